/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Messages one by one: from the kick to the return of the buffer, and to the peer and back. */
#include <errno.h>
#include <stdlib.h>

#include "clock.h"
#include "load/load-modes.h"
#include "load/load-pace.h"

enum {
	READ_AT = 4096, /* bytes of output on their way at which the peer reads: not for each
			   message */
};

/* A measurement on one line. */
struct course {
	struct load_line *l;
	struct load_pace pace;
	struct load_figures *f;
	struct load_threads threads; /* --asleep */
	uint64_t depth;
	bool asleep, call;
	uint64_t read_at; /* see READ_AT */

	/* echo: when each message under way began, in order, and the end of the first in the stream
	 */
	uint64_t *began_ns;
	uint64_t first, n_under_way, first_end;
};

static void begin(struct course *c, struct load_run *run, struct load_figures *f)
{
	*f = (struct load_figures){ .ns = 0 };
	*c = (struct course){
		.l = &run->guests[0].line,
		.f = f,
		.asleep = run->o->asleep,
		.call = run->o->wait == LOAD_WAIT_CALL,
		.read_at = READ_AT,
	};
	c->depth = min_u64(run->o->depth, c->l->n_slots);
	load_figures_begin(run);
	load_pace_begin(&c->pace, run);
}

static void finish(struct course *c, struct load_run *run)
{
	load_figures_end(run, &c->pace, c->f);
	load_threads_close(&c->threads);
	free(c->began_ns);
}

/* One message; when its latency begins. */
static int send_one(struct course *c, uint64_t *ret_at_ns)
{
	uint64_t at_ns;
	int err = 0;

	if (c->asleep)
		err = load_pace_await_asleep(&c->pace, &c->threads);
	if (err < 0)
		return err;
	at_ns = load_pace_take(&c->pace, monotonic_ns());
	err = load_line_offer(c->l, at_ns);
	*ret_at_ns = at_ns;
	return err == 0 ? load_line_show(c->l) : err;
}

/* Kick. */

static int reap_all(struct course *c)
{
	uint64_t at_ns;
	int n = 0, got;

	while ((got = load_line_reap(c->l, &at_ns)) == 1) {
		latency_add(&c->f->latency, monotonic_ns() - at_ns);
		c->f->n_messages++;
		n++;
	}
	return got < 0 ? got : n;
}

/* The peer must not disturb: it reads when there is some, or when nothing else is left. */
static int read_some(struct course *c, bool more)
{
	uint64_t on_the_way = c->l->out_offered - c->l->out_seen;

	if (on_the_way == 0 || (more && on_the_way < c->read_at))
		return 0;
	return load_line_read(c->l);
}

/* What there is to do now; *ret_moved: whether there was anything. */
static int kick_step(struct course *c, uint64_t now_ns, bool *ret_moved)
{
	bool more = load_pace_more(&c->pace, now_ns);
	bool due = more && c->l->n_out < c->depth && load_pace_due(&c->pace, now_ns);
	uint64_t at_ns;
	int err = due ? send_one(c, &at_ns) : 0;
	int reaped = err == 0 ? reap_all(c) : err;
	int read = reaped >= 0 ? read_some(c, more) : reaped;

	if (read < 0)
		return read;
	*ret_moved = due || reaped > 0 || read > 0;
	return 0;
}

static int kick_wait(struct course *c, uint64_t now_ns)
{
	bool more = load_pace_more(&c->pace, now_ns);
	const struct load_wish wish = {
		.out = c->l->n_out > 0,
		.readable = !more,
	};

	return load_pace_sleep(c->l, &wish, now_ns,
			       more && c->l->n_out < c->depth ? c->pace.due_ns : 0);
}

int load_mode_kick(struct load_run *run, struct load_figures *ret_figures)
{
	uint64_t now_ns = monotonic_ns();
	struct course c;
	bool moved;
	int err = load_mode_prime(run, true, false);

	begin(&c, run, ret_figures);
	while (err == 0 && (load_pace_more(&c.pace, now_ns) || !load_line_idle(c.l))) {
		err = kick_step(&c, now_ns, &moved);
		if (err == 0)
			err = load_pace_watch(&c.pace, now_ns, moved);
		if (err == 0 && !moved && c.call)
			err = kick_wait(&c, now_ns);
		now_ns = monotonic_ns();
	}
	finish(&c, run);
	ret_figures->n_bytes = ret_figures->n_messages * run->shape.chunk;
	return err;
}

/* Echo. */

static int echo_send(struct course *c)
{
	uint64_t at_ns = 0;
	int err = send_one(c, &at_ns);

	/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): made when the course began */
	c->began_ns[(c->first + c->n_under_way++) % c->depth] = at_ns;
	return err;
}

/* What the peer has got and not yet sent back. */
static int echo_back(struct course *c)
{
	size_t owed = (size_t)(c->l->out_seen - c->l->in_sent);

	return owed > 0 ? load_line_send(c->l, owed) : 0;
}

/* Messages that are back as a whole. */
static void echo_count(struct course *c)
{
	uint64_t now_ns = monotonic_ns();

	while (c->n_under_way > 0 && c->l->in_seen >= c->first_end) {
		latency_add(&c->f->latency, now_ns - c->began_ns[c->first % c->depth]);
		c->f->n_messages++;
		c->first++;
		c->first_end += c->l->shape.chunk;
		c->n_under_way--;
	}
}

static int echo_step(struct course *c, uint64_t now_ns, bool *ret_moved)
{
	bool due = load_pace_more(&c->pace, now_ns) && c->n_under_way < c->depth &&
		   load_line_has_room(c->l) && load_pace_due(&c->pace, now_ns);
	int err = due ? echo_send(c) : 0;
	int taken = err == 0 ? load_line_take(c->l) : err;
	uint64_t at_ns;
	int reaped, read, sent;

	if (taken > 0)
		echo_count(c);
	reaped = taken >= 0 ? load_line_reap(c->l, &at_ns) : taken;
	read = reaped >= 0 ? load_line_read(c->l) : reaped;
	sent = read >= 0 ? echo_back(c) : read;
	if (sent < 0)
		return sent;
	*ret_moved = due || taken > 0 || reaped > 0 || read > 0 || sent > 0;
	return 0;
}

static int echo_wait(struct course *c, uint64_t now_ns)
{
	bool more = load_pace_more(&c->pace, now_ns);
	const struct load_wish wish = {
		.in = true,
		.out = more && !load_line_has_room(c->l),
		.readable = true,
		.writable = c->l->full,
	};

	return load_pace_sleep(c->l, &wish, now_ns,
			       more && c->n_under_way < c->depth ? c->pace.due_ns : 0);
}

int load_mode_echo(struct load_run *run, struct load_figures *ret_figures)
{
	uint64_t now_ns = monotonic_ns();
	struct course c;
	bool moved;
	int err = load_mode_prime(run, true, true);

	begin(&c, run, ret_figures);
	c.first_end = c.l->in_sent + run->shape.chunk;
	c.began_ns = calloc(c.depth, sizeof(*c.began_ns));
	if (!c.began_ns)
		err = load_fail(-ENOMEM, "memory for %u messages", (unsigned int)c.depth);
	while (err == 0 &&
	       (load_pace_more(&c.pace, now_ns) || c.n_under_way > 0 || !load_line_idle(c.l))) {
		err = echo_step(&c, now_ns, &moved);
		if (err == 0)
			err = load_pace_watch(&c.pace, now_ns, moved);
		if (err == 0 && !moved && c.call)
			err = echo_wait(&c, now_ns);
		now_ns = monotonic_ns();
	}
	finish(&c, run);
	ret_figures->n_bytes = ret_figures->n_messages * run->shape.chunk;
	return err;
}
