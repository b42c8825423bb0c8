/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Streams: a ring that is kept full of output, or of room for input, or both. */
#include "clock.h"
#include "load/load-modes.h"
#include "load/load-pace.h"

enum { SEND_LEN = 65536 };

struct stream {
	struct load_line *l;
	struct load_pace pace;
	bool out, in;
	uint64_t in_left; /* bytes that the peer may still send; --messages */
};

static int reap_all(struct load_line *l)
{
	uint64_t at_ns;
	int n = 0, got;

	while ((got = load_line_reap(l, &at_ns)) == 1)
		n++;
	return got < 0 ? got : n;
}

/* As many chunks as there is room for, shown together. */
static int refill(struct stream *s, uint64_t now_ns)
{
	int n = 0, err = 0;

	while (err == 0 && load_line_has_room(s->l) && load_pace_more(&s->pace, now_ns)) {
		load_pace_take(&s->pace, now_ns);
		err = load_line_offer(s->l, now_ns);
		n++;
	}
	if (err == 0 && n > 0)
		err = load_line_show(s->l);
	return err < 0 ? err : n;
}

/* Returns how much was done, in no unit. */
static int step_out(struct stream *s, uint64_t now_ns)
{
	int reaped = reap_all(s->l);
	int filled = reaped >= 0 ? refill(s, now_ns) : reaped;
	int read = 0;

	if (filled >= 0 && s->l->out_seen < s->l->out_offered)
		read = load_line_read(s->l);
	if (filled < 0 || read < 0)
		return filled < 0 ? filled : read;
	return reaped + filled + (read > 0);
}

static bool may_send(const struct stream *s, uint64_t now_ns)
{
	return s->in && s->in_left > 0 && now_ns < s->pace.end_ns;
}

static int step_in(struct stream *s, uint64_t now_ns)
{
	int taken = load_line_take(s->l);
	int sent = 0;

	if (taken >= 0 && may_send(s, now_ns))
		sent = load_line_send(s->l, (size_t)min_u64(SEND_LEN, s->in_left));
	if (sent > 0)
		s->in_left -= (uint64_t)sent;
	if (taken < 0 || sent < 0)
		return taken < 0 ? taken : sent;
	return taken + (sent > 0);
}

static int wait_for_more(struct stream *s, uint64_t now_ns)
{
	const struct load_wish wish = {
		.out = s->out && s->l->n_out > 0,
		.in = s->in,
		.readable = s->out,
		.writable = may_send(s, now_ns),
	};

	return load_pace_sleep(s->l, &wish, now_ns, 0);
}

static bool goes_on(const struct stream *s, uint64_t now_ns)
{
	return (s->out && load_pace_more(&s->pace, now_ns)) || may_send(s, now_ns) ||
	       !load_line_idle(s->l);
}

static int flow(struct stream *s, bool call)
{
	uint64_t now_ns = s->pace.start_ns;
	int err = 0;

	while (err == 0 && goes_on(s, now_ns)) {
		int out = s->out ? step_out(s, now_ns) : 0;
		int in = out >= 0 && s->in ? step_in(s, now_ns) : 0;

		if (out < 0 || in < 0)
			return out < 0 ? out : in;
		err = load_pace_watch(&s->pace, now_ns, out + in > 0);
		if (err == 0 && out + in == 0 && call)
			err = wait_for_more(s, now_ns);
		now_ns = monotonic_ns();
	}
	return err;
}

static int measure(struct load_run *run, bool out, bool in, struct load_figures *f)
{
	struct stream s = { .l = &run->guests[0].line, .out = out, .in = in };
	int err = load_mode_prime(run, out, in);
	uint64_t before = s.l->out_seen + s.l->in_seen;

	*f = (struct load_figures){ .ns = 0 };
	load_figures_begin(run);
	load_pace_begin(&s.pace, run);
	s.in_left = run->o->messages > 0 ? run->o->messages * run->shape.chunk : UINT64_MAX;
	if (err == 0)
		err = flow(&s, run->o->wait == LOAD_WAIT_CALL);
	load_figures_end(run, &s.pace, f);
	f->n_bytes = s.l->out_seen + s.l->in_seen - before;
	f->n_messages = f->n_bytes / run->shape.chunk;
	return err;
}

int load_mode_tx(struct load_run *run, struct load_figures *ret_figures)
{
	return measure(run, true, false, ret_figures);
}

int load_mode_rx(struct load_run *run, struct load_figures *ret_figures)
{
	return measure(run, false, true, ret_figures);
}

int load_mode_duplex(struct load_run *run, struct load_figures *ret_figures)
{
	return measure(run, true, true, ret_figures);
}
