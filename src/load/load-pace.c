/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "load/load-pace.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "clock.h"

enum { MS = 1000000, LOOK_NS = 20 * MS, NAP_NS = 50 * MS };

#define STUCK_NS UINT64_C(5000000000)
#define ASLEEP_NS UINT64_C(1000000000)

void load_pace_begin(struct load_pace *p, struct load_run *run)
{
	const struct load_options *o = run->o;
	uint64_t now_ns = monotonic_ns();

	*p = (struct load_pace){
		.run = run,
		.start_ns = now_ns,
		.end_ns = o->messages > 0 ? UINT64_MAX : now_ns + o->ns,
		.n_left = o->messages > 0 ? o->messages : UINT64_MAX,
		.interval_ns = o->rate > 0 ? UINT64_C(1000000000) / o->rate : 0,
		.due_ns = now_ns,
		.moved_ns = now_ns,
		.looked_ns = now_ns,
	};
}

int load_pace_watch_idle(struct load_pace *p, uint64_t now_ns)
{
	if (now_ns - p->moved_ns < LOOK_NS || now_ns - p->looked_ns < LOOK_NS)
		return 0;
	p->looked_ns = now_ns;
	if (!load_run_lives(p->run))
		return -ECONNRESET;
	/* With an open loop nothing may be due for long. */
	if (now_ns < p->due_ns)
		p->moved_ns = now_ns;
	if (now_ns - p->moved_ns < STUCK_NS)
		return 0;
	return load_fail(-ETIMEDOUT, "nothing has moved for %d seconds",
			 (int)(STUCK_NS / 1000000000));
}

int load_pace_sleep(struct load_line *l, const struct load_wish *wish, uint64_t now_ns,
		    uint64_t at_ns)
{
	struct pollfd fds[3] = {
		{ wish->out ? l->fe->rings[l->tx_ring].call_fd : -1, POLLIN, 0 },
		{ wish->in ? l->fe->rings[l->rx_ring].call_fd : -1, POLLIN, 0 },
		{ l->peer, (short)((wish->readable ? POLLIN : 0) | (wish->writable ? POLLOUT : 0)),
		  0 },
	};
	struct timespec ts = { .tv_nsec = NAP_NS };

	if (load_line_calls_on(l, wish->out, wish->in))
		return 0;
	if (fds[2].events == 0)
		fds[2].fd = -1;
	if (at_ns > now_ns && at_ns - now_ns < NAP_NS)
		ts.tv_nsec = (long)(at_ns - now_ns);
	if (ppoll(fds, ARRAY_SIZE(fds), &ts, NULL) < 0 && errno != EINTR)
		return load_fail(-errno, "%s: poll: %s", l->name, strerror(errno));
	load_line_take_calls(l);
	load_line_calls_off(l);
	return 0;
}

int load_pace_await_asleep(struct load_pace *p, struct load_threads *threads)
{
	uint64_t began = monotonic_ns();
	int err = threads->n > 0 ? 0 : load_threads_open(threads, p->run->pid);

	while (err == 0 && !load_threads_sleep(threads))
		if (monotonic_ns() - began > ASLEEP_NS)
			err = load_fail(-ETIMEDOUT, "--asleep: the back-end does not sleep");
	return err;
}

void load_figures_begin(struct load_run *run)
{
	for (unsigned int i = 0; i < run->n_guests; i++) {
		struct load_line *l = &run->guests[i].line;

		load_line_take_calls(l);
		l->n_kicks = 0;
		l->n_calls = 0;
	}
}

void load_figures_end(struct load_run *run, const struct load_pace *p, struct load_figures *f)
{
	f->ns = monotonic_ns() - p->start_ns;
	for (unsigned int i = 0; i < run->n_guests; i++) {
		struct load_line *l = &run->guests[i].line;

		load_line_take_calls(l);
		f->n_kicks += l->n_kicks;
		f->n_calls += l->n_calls;
	}
	f->n_violations = load_run_violations(run);
}
