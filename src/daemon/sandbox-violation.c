/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "daemon/sandbox-violation.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base.h"

/* By number, as the kernel's headers have them. */
static const struct {
	int number;
	const char *name;
} names[] = {
#include "daemon/sandbox-names.h"
};

struct line {
	char text[160];
	size_t len;
};

/* In a signal handler: nothing of stdio. */
static void add_text(struct line *l, const char *text)
{
	while (*text && l->len < sizeof(l->text))
		l->text[l->len++] = *text++;
}

static void add_number(struct line *l, unsigned int number)
{
	char digits[12];
	size_t at = sizeof(digits) - 1;

	digits[at] = '\0';
	do {
		digits[--at] = (char)('0' + number % 10);
		number /= 10;
	} while (number > 0);
	add_text(l, digits + at);
}

static const char *name_of(int number)
{
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (names[i].number == number)
			return names[i].name;
	return "unknown";
}

static void violated(int signo, siginfo_t *info, void *context)
{
	struct sigaction dflt = { .sa_handler = SIG_DFL };
	struct line l = { .len = 0 };

	(void)context;
	add_text(&l, "vhost-device-console: system call ");
	add_number(&l, (unsigned int)info->si_syscall);
	add_text(&l, " (");
	add_text(&l, name_of(info->si_syscall));
	add_text(&l, ") is not allowed in the sandbox (--sandbox): this process ends here\n");
	(void)!write(STDERR_FILENO, l.text, l.len);
	sigaction(signo, &dflt, NULL);
	raise(signo); /* delivered when this handler returns */
}

/* seccomp: rt_sigaction tgkill write */
int sandbox_violation_handle(void)
{
	struct sigaction action = { .sa_flags = SA_SIGINFO };

	action.sa_sigaction = violated;
	return sigaction(SIGSYS, &action, NULL) < 0 ? -errno : 0;
}
