/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "thread.h"

#include <signal.h>

#include "base.h"

/* What a thread does itself: a fault of memory, a system call that the sandbox forbids. */
static const int own_signals[] = { SIGBUS, SIGSEGV, SIGILL, SIGFPE, SIGTRAP, SIGSYS };

/* seccomp: rt_sigprocmask clone:CLONE_THREAD */
int thread_start(pthread_t *ret_thread, void *(*run)(void *arg), void *arg)
{
	sigset_t blocked, before;
	int err;

	sigfillset(&blocked);
	for (size_t i = 0; i < ARRAY_SIZE(own_signals); i++)
		sigdelset(&blocked, own_signals[i]);
	pthread_sigmask(SIG_SETMASK, &blocked, &before);
	err = pthread_create(ret_thread, NULL, run, arg);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -err;
}
