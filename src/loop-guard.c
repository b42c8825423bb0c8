/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "loop-guard.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* A call that waits lasts that long or twice as long; nobody else is served meanwhile. */
enum { TICK_NS = 5 * 1000 * 1000 };

/* Of all signals the one that means nothing when it strays, and that nobody else here uses. */
enum { GUARD_SIGNAL = SIGURG };

/* In the thread of the calls, so between any two instructions of it and not beside them. */
static void tick(int number, siginfo_t *info, void *context)
{
	struct loop_guard *g = info->si_value.sival_ptr;

	(void)number;
	(void)context;
	if (info->si_code == SI_TIMER && g->inside)
		g->struck = 1;
}

/* seccomp: rt_sigprocmask rt_sigreturn */
static int set_mask(int how)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, GUARD_SIGNAL);
	return -pthread_sigmask(how, &set, NULL);
}

/* seccomp(start): rt_sigaction */
static int take_signal(void)
{
	/* Without SA_RESTART: the call is to end. */
	struct sigaction action = { .sa_sigaction = tick, .sa_flags = SA_SIGINFO };

	if (sigaction(GUARD_SIGNAL, &action, NULL) < 0)
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
		.sigev_signo = GUARD_SIGNAL,
		.sigev_value.sival_ptr = g,
		._sigev_un._tid = gettid(),
	};
	int err = take_signal();

	memset(g, 0, sizeof(*g));
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
	set_mask(SIG_UNBLOCK); /* a last signal that was pending, while its guard is there */
	set_mask(SIG_BLOCK);
}

void loop_guard_enter(struct loop_guard *g)
{
	set_mask(SIG_UNBLOCK); /* what was pending comes now, and means nothing */
	g->struck = 0;
	g->inside = 1;
}

bool loop_guard_leave(struct loop_guard *g)
{
	int err = errno;

	g->inside = 0;
	set_mask(SIG_BLOCK);
	errno = err;
	return g->struck;
}
