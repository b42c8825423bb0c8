/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "backends/terminal-modes.h"

#include <signal.h>

#include "base.h"

/*
 * What a dying process must put back; signal handlers have no argument. Set
 * while the terminal is raw.
 */
static struct termios cooked_modes;
static volatile sig_atomic_t raw_tty = -1;

static const int fatal_signals[] = { SIGSEGV, SIGABRT, SIGILL,	SIGFPE,	 SIGBUS,    SIGSYS,
				     SIGTRAP, SIGXCPU, SIGXFSZ, SIGALRM, SIGVTALRM, SIGPROF,
				     SIGUSR1, SIGUSR2, SIGPWR,	SIGIO };

/* seccomp(terminals): ioctl:TCSETS */
void terminal_modes_restore(void)
{
	if (raw_tty >= 0)
		tcsetattr(raw_tty, TCSANOW, &cooked_modes);
}

/* A crash: the terminal first, then whatever the signal does by itself. */
/* seccomp(terminals): rt_sigaction tgkill gettid getpid */
static void restore_and_die(int signo)
{
	terminal_modes_restore();
	raise(signo); /* the handler is reset already; this is delivered on return */
}

void terminal_modes_guard(void)
{
	struct sigaction sa = {
		.sa_handler = restore_and_die,
		.sa_flags = (int)SA_RESETHAND,
	};

	sigemptyset(&sa.sa_mask);
	for (size_t i = 0; i < ARRAY_SIZE(fatal_signals); i++) {
		struct sigaction old;

		/* Whoever handles one knows what to do with it. */
		if (sigaction(fatal_signals[i], NULL, &old) == 0 && old.sa_handler == SIG_DFL)
			sigaction(fatal_signals[i], &sa, NULL);
	}
}

struct termios *terminal_modes_cooked(void)
{
	return &cooked_modes;
}

void terminal_modes_raw(int tty)
{
	raw_tty = tty;
}
