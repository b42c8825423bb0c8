/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "loop-guard.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* A call that waits lasts that long or twice as long; nobody else is served meanwhile. */
enum { TICK_NS = 5 * 1000 * 1000 };

/* Of all signals the one that means nothing when it strays, and that nobody else here uses. */
enum { GUARD_SIGNAL = SIGURG };

/* seccomp: timer_settime rt_sigreturn */
static void set_ticking(struct loop_guard *g, bool on)
{
	struct itimerspec spec = {
		.it_interval.tv_nsec = on ? TICK_NS : 0,
		.it_value.tv_nsec = on ? TICK_NS : 0,
	};

	g->ticking = on;
	timer_settime(g->timer, 0, &spec, NULL);
}

/* In the thread of the calls, so between any two instructions of it and not beside them. */
static void tick(int number, siginfo_t *info, void *context)
{
	struct loop_guard *g = info->si_value.sival_ptr;
	int err = errno;

	(void)number;
	(void)context;
	if (info->si_code != SI_TIMER)
		return;
	g->struck |= g->inside;
	if (!g->inside && !g->used)
		set_ticking(g, false);
	g->used = 0;
	errno = err;
}

/* Without SA_RESTART: the call is to end. */
/* seccomp(start): rt_sigaction rt_sigprocmask */
static int take_signal(void)
{
	struct sigaction action = { .sa_sigaction = tick, .sa_flags = SA_SIGINFO };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, GUARD_SIGNAL);
	if (sigaction(GUARD_SIGNAL, &action, NULL) < 0 ||
	    pthread_sigmask(SIG_UNBLOCK, &set, NULL) < 0)
		return -errno;
	return 0;
}

/* seccomp(start): timer_create gettid */
int loop_guard_open(struct loop_guard *g)
{
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
	return timer_create(CLOCK_MONOTONIC, &event, &g->timer) < 0 ? -errno : 0;
}

/* seccomp: timer_delete */
void loop_guard_close(struct loop_guard *g)
{
	timer_delete(g->timer);
}

void loop_guard_enter(struct loop_guard *g)
{
	g->struck = 0;
	g->used = 1;
	g->inside = 1;
	if (!g->ticking)
		set_ticking(g, true);
}

bool loop_guard_leave(struct loop_guard *g)
{
	g->inside = 0;
	return g->struck;
}
