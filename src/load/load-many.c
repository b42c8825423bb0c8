/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Many guests, each with messages under way: how many pass in all, and whether any waits long. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "clock.h"
#include "load/load-modes.h"
#include "load/load-pace.h"

enum { READ_AT = 2048, MAX_EVENTS = 64, NAP_MS = 50, VISITS_PER_CLOCK = 8 };

struct crowd {
	struct load_run *run;
	struct load_pace pace;
	struct load_figures *f;
	uint64_t *moved_ns; /* of each guest */
	uint64_t now_ns;    /* some visits old at most */
	uint64_t depth;
	int epoll; /* of all guests' calls; -1: polling */
};

static int watch_calls(struct crowd *c)
{
	c->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (c->epoll < 0)
		return load_fail(-errno, "epoll: %s", strerror(errno));
	for (unsigned int i = 0; i < c->run->n_guests; i++) {
		struct load_line *l = &c->run->guests[i].line;
		struct epoll_event e = { .events = EPOLLIN, .data.u32 = i };

		if (epoll_ctl(c->epoll, EPOLL_CTL_ADD, l->fe->rings[l->tx_ring].call_fd, &e) < 0)
			return load_fail(-errno, "%s: epoll: %s", l->name, strerror(errno));
	}
	return 0;
}

static int begin(struct crowd *c, struct load_run *run, struct load_figures *f)
{
	*f = (struct load_figures){ .ns = 0 };
	*c = (struct crowd){ .run = run, .f = f, .epoll = -1 };
	c->depth = min_u64(run->o->depth, run->guests[0].line.n_slots);
	c->moved_ns = calloc(run->n_guests, sizeof(*c->moved_ns));
	if (!c->moved_ns)
		return load_fail(-ENOMEM, "memory for %u guests", run->n_guests);
	if (run->o->wait == LOAD_WAIT_CALL)
		return watch_calls(c);
	return 0;
}

static void note_moved(struct crowd *c, unsigned int i, uint64_t now_ns)
{
	uint64_t gap_ns = now_ns - c->moved_ns[i];

	if (gap_ns > c->f->starved_ns)
		c->f->starved_ns = gap_ns;
	c->moved_ns[i] = now_ns;
}

static int reap_all(struct crowd *c, struct load_line *l, uint64_t now_ns)
{
	uint64_t at_ns;
	int n = 0, got;

	while ((got = load_line_reap(l, &at_ns)) == 1) {
		latency_add(&c->f->latency, now_ns > at_ns ? now_ns - at_ns : 0);
		c->f->n_messages++;
		n++;
	}
	return got < 0 ? got : n;
}

static int refill(struct crowd *c, struct load_line *l, uint64_t now_ns)
{
	int err = 0;

	while (err == 0 && l->n_out < c->depth && load_pace_more(&c->pace, now_ns)) {
		load_pace_take(&c->pace, now_ns);
		err = load_line_offer(l, now_ns);
	}
	return err == 0 ? load_line_show(l) : err;
}

static int read_some(struct crowd *c, struct load_line *l, uint64_t now_ns)
{
	uint64_t on_the_way = l->out_offered - l->out_seen;

	if (on_the_way == 0 || (on_the_way < READ_AT && load_pace_more(&c->pace, now_ns)))
		return 0;
	return load_line_read(l);
}

/* One guest's turn. *ret_busy: it still has something under way. */
static int visit(struct crowd *c, unsigned int i, bool *ret_moved, bool *ret_busy)
{
	struct load_line *l = &c->run->guests[i].line;
	int reaped, err, read;

	/* A look at the clock costs as much as a message. */
	if (i % VISITS_PER_CLOCK == 0)
		c->now_ns = monotonic_ns();
	reaped = reap_all(c, l, c->now_ns);
	err = reaped >= 0 ? refill(c, l, c->now_ns) : reaped;
	read = err == 0 ? read_some(c, l, c->now_ns) : err;
	if (reaped > 0)
		note_moved(c, i, c->now_ns);
	*ret_moved |= reaped > 0 || read > 0;
	*ret_busy |= !load_line_idle(l);
	return read < 0 ? read : 0;
}

/* Sleeps until some guest is called, unless there is something for one already. */
static int wait_for_calls(struct crowd *c)
{
	struct epoll_event events[MAX_EVENTS];
	bool there = false;
	int n;

	for (unsigned int i = 0; i < c->run->n_guests; i++)
		there |= load_line_calls_on(&c->run->guests[i].line, true, false);
	n = epoll_wait(c->epoll, events, MAX_EVENTS, there ? 0 : NAP_MS);
	for (int i = 0; i < n; i++)
		load_line_take_calls(&c->run->guests[events[i].data.u32].line);
	return n < 0 && errno != EINTR ? load_fail(-errno, "epoll: %s", strerror(errno)) : 0;
}

static int round_of_visits(struct crowd *c, bool *ret_busy)
{
	bool moved = false;
	int err = 0;

	*ret_busy = false;
	for (unsigned int i = 0; i < c->run->n_guests && err == 0; i++)
		err = visit(c, i, &moved, ret_busy);
	if (err == 0)
		err = load_pace_watch(&c->pace, monotonic_ns(), moved);
	return err == 0 && !moved && c->epoll >= 0 ? wait_for_calls(c) : err;
}

/* Whoever still waits at the end has waited until then. */
static int run_crowd(struct crowd *c)
{
	bool busy = true;
	int err = 0;

	for (unsigned int i = 0; i < c->run->n_guests; i++)
		c->moved_ns[i] = c->pace.start_ns;
	while (err == 0 && (busy || load_pace_more(&c->pace, monotonic_ns())))
		err = round_of_visits(c, &busy);
	return err;
}

int load_mode_many(struct load_run *run, struct load_figures *ret_figures)
{
	struct crowd c = { .epoll = -1 };
	int err = load_mode_prime(run, true, false);

	if (err == 0)
		err = begin(&c, run, ret_figures);
	if (err == 0) {
		load_figures_begin(run);
		load_pace_begin(&c.pace, run);
		err = run_crowd(&c);
		load_figures_end(run, &c.pace, ret_figures);
		ret_figures->n_bytes = ret_figures->n_messages * run->shape.chunk;
	}
	fd_close(c.epoll);
	free(c.moved_ns);
	return err;
}
