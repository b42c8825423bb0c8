/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "conform/cases/case-program.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "fd.h"

enum { LOOK_MS = 5, END_MS = 2000, LAST_CAPABILITY = 63 };

/* Processes. */

static void lose_power(void)
{
	for (int i = 0; i <= LAST_CAPABILITY; i++)
		prctl(PR_CAPBSET_DROP, i, 0, 0, 0);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

_Noreturn static void become(const char *line, const struct program *p,
			     const struct program_start *how, pid_t parent)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int given = how->fd > 0 ? fcntl(how->fd, F_DUPFD_CLOEXEC, PROGRAM_FD + 1) : -1;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent || null < 0)
		_exit(127);
	setpgid(0, 0);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	dup2(null, STDIN_FILENO);
	dup2(how->silent ? null : p->output, STDOUT_FILENO);
	dup2(how->silent ? null : p->errors, STDERR_FILENO);
	if (given >= 0)
		dup2(given, PROGRAM_FD);
	if (how->powerless)
		lose_power();
	execl("/bin/sh", "sh", "-c", line, (char *)NULL);
	_exit(127);
}

int program_run(struct trial *t, struct program *p, const char *line,
		const struct program_start *how)
{
	static const struct program_start usual;
	pid_t parent = getpid();
	char *command;

	how = how ? how : &usual;
	p->output = memfd_create("output", MFD_CLOEXEC);
	p->errors = memfd_create("errors", MFD_CLOEXEC);
	if (p->output < 0 || p->errors < 0 || asprintf(&command, "exec %s", line) < 0)
		return trial_error(t, "files for what it prints: %s", strerror(errno));
	p->pid = fork();
	if (p->pid == 0)
		become(command, p, how, parent);
	free(command);
	if (p->pid < 0) {
		p->pid = 0;
		return trial_error(t, "fork: %s", strerror(errno));
	}
	setpgid(p->pid, p->pid);
	p->pidfd = (int)syscall(SYS_pidfd_open, p->pid, 0);
	if (p->pidfd < 0)
		return trial_error(t, "watching a process: %s", strerror(errno));
	return 0;
}

bool program_ended(struct program *p, int ms)
{
	struct pollfd fd = { .fd = p->pidfd, .events = POLLIN };

	if (p->ended)
		return true;
	if (p->pid == 0 || poll(&fd, 1, ms) <= 0)
		return false;
	p->ended = waitpid(p->pid, &p->status, 0) == p->pid;
	return p->ended;
}

void program_fini(struct program *p)
{
	/* A socket may outlive a process that is killed: one that ends has closed it. */
	if (p->pid > 0 && !p->ended)
		kill(-p->pid, SIGTERM);
	if (p->pid > 0 && !program_ended(p, END_MS)) {
		kill(-p->pid, SIGKILL);
		while (waitpid(p->pid, &p->status, 0) < 0 && errno == EINTR)
			;
	}
	p->pid = 0;
	p->pidfd = fd_close(p->pidfd);
	p->output = fd_close(p->output);
	p->errors = fd_close(p->errors);
}

char *program_text(int fd)
{
	char *text = calloc(1, PROGRAM_TEXT_MAX + 1);

	if (text && pread(fd, text, PROGRAM_TEXT_MAX, 0) < 0)
		text[0] = '\0';
	return text;
}

/* Command lines. */

/* A path as the shell finds it: a new string, or NULL. */
static char *find_program(const char *word)
{
	const char *path = getenv("PATH");
	char full[PATH_MAX];

	if (strchr(word, '/'))
		return realpath(word, NULL);
	while (path && *path) {
		size_t len = strcspn(path, ":");

		snprintf(full, sizeof(full), "%.*s/%s", (int)len, path, word);
		if (access(full, X_OK) == 0)
			return realpath(full, NULL);
		path += len + (path[len] == ':');
	}
	return NULL;
}

static bool is_plain_word(const char *word)
{
	const char *base = strrchr(word, '/');

	/* A loader is the program that runs, but not the one that is meant. */
	return word[0] && !strpbrk(word, "'\"\\$`;&|(){}<>*?=") &&
	       strncmp(base ? base + 1 : word, "ld-", 3) != 0;
}

int program_name(struct trial *t, char **ret_name)
{
	size_t len = strcspn(t->target->exec, " \t\n");
	char *word = strndup(t->target->exec, len), *found = NULL;
	char link[64], exe[PATH_MAX] = "";
	int err = 0;

	snprintf(link, sizeof(link), "/proc/%d/exe", (int)t->target->pid);
	if (!word)
		err = trial_error(t, "no memory");
	else if (is_plain_word(word))
		found = find_program(word);
	if (err == 0 &&
	    (!found || readlink(link, exe, sizeof(exe) - 1) < 0 || strcmp(exe, found) != 0))
		err = trial_na(t,
			       "'%s', which --exec begins with, is not the program that serves "
			       "the socket",
			       word);
	free(word);
	if (err == 0)
		*ret_name = found;
	else
		free(found);
	return err;
}

int program_line(struct trial *t, const char *path, char **ret_line)
{
	struct target copy = *t->target;
	char *own = strdup(path);

	copy.path = own;
	*ret_line = own ? target_expand(&copy, t->target->exec, NULL) : NULL;
	free(own);
	return *ret_line ? 0 : trial_error(t, "no memory");
}

const char *program_socket_path(const char *line, size_t *ret_len)
{
	static const char option[] = "--socket-path";
	const char *at = strstr(line, option);

	if (!at || !strchr("= ", at[sizeof(option) - 1]) || !at[sizeof(option) - 1])
		return NULL;
	at += sizeof(option);
	*ret_len = strcspn(at, " \t\n");
	return at;
}

int program_line_without_path(struct trial *t, const char *path, const char *other, char **ret_line)
{
	const char *value;
	char *line, *made = NULL;
	size_t len;
	int err = program_line(t, path, &line);

	if (err < 0)
		return err;
	value = program_socket_path(line, &len);
	if (!value) {
		err = trial_na(t, "--exec has no --socket-path");
	} else if (asprintf(&made, "%.*s%s%s", (int)(value - line) - (int)strlen("--socket-path="),
			    line, other, value + len) < 0) {
		made = NULL;
		err = trial_error(t, "no memory");
	}
	free(line);
	if (err == 0)
		*ret_line = made;
	return err;
}

int program_connect(struct trial *t, struct program *p, const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int64_t deadline = monotonic_ms() + trial_ms(t, TARGET_START_MS);
	AUTO_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || strlen(path) >= sizeof(addr.sun_path))
		return -1;
	memcpy(addr.sun_path, path, strlen(path) + 1);
	while (connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0)
		if (program_ended(p, LOOK_MS) || monotonic_ms() > deadline)
			return -1;
	return fd_take(&fd);
}
