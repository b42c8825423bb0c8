/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "loop-guard.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

/* A call that waits lasts that long at most: as long as any guest may keep others waiting. */
enum { TICK_NS = 1000 * 1000 };

/* That it comes is enough. */
static void tick(int number)
{
	(void)number;
}

/* seccomp: rt_sigprocmask rt_sigreturn */
static int set_mask(int how)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, LOOP_GUARD_SIGNAL);
	return -pthread_sigmask(how, &set, NULL);
}

/* seccomp(start): rt_sigaction */
static int take_signal(void)
{
	/* Without SA_RESTART: the call is to end. */
	struct sigaction action = { .sa_handler = tick };

	if (sigaction(LOOP_GUARD_SIGNAL, &action, NULL) < 0)
		return -errno;
	return set_mask(SIG_BLOCK);
}

/* seccomp(start): timer_create timer_settime gettid */
int loop_guard_open(struct loop_guard *g)
{
	struct itimerspec often = {
		.it_interval.tv_nsec = TICK_NS,
		.it_value.tv_nsec = TICK_NS,
	};
	struct sigevent event = {
		.sigev_notify = SIGEV_THREAD_ID,
		.sigev_signo = LOOP_GUARD_SIGNAL,
		._sigev_un._tid = gettid(),
	};
	int err = take_signal();

	if (err < 0)
		return err;
	if (timer_create(CLOCK_MONOTONIC, &event, &g->timer) < 0)
		return -errno;
	timer_settime(g->timer, 0, &often, NULL);
	return 0;
}

/* seccomp: timer_delete */
void loop_guard_close(struct loop_guard *g)
{
	timer_delete(g->timer);
}

void loop_guard_enter(void)
{
	set_mask(SIG_UNBLOCK); /* what was pending comes now, and ends nothing */
}

void loop_guard_leave(void)
{
	int err = errno;

	set_mask(SIG_BLOCK);
	errno = err;
}
