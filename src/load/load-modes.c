/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What the modes share, and those in which nothing flows. */
#include "load/load-modes.h"

#include <errno.h>
#include <poll.h>

#include "clock.h"
#include "load/load-pace.h"

/* Moves what can be moved; *left: bytes that the peer still has to send. Returns how much. */
static int prime_step(struct load_line *l, bool out, size_t *left)
{
	uint64_t at_ns;
	int n = load_line_reap(l, &at_ns);
	int moved = n;

	if (n >= 0 && out) {
		n = load_line_read(l);
		moved += n;
	}
	if (n >= 0 && *left > 0) {
		n = load_line_send(l, *left);
		*left -= n > 0 ? (size_t)n : 0;
		moved += n;
	}
	if (n >= 0) {
		n = load_line_take(l);
		moved += n;
	}
	return n < 0 ? n : moved;
}

static int prime_line(struct load_pace *p, struct load_line *l, bool out, bool in)
{
	int err = out ? load_line_offer(l, monotonic_ns()) : 0;
	size_t left = in ? l->shape.chunk : 0;

	if (err == 0)
		err = load_line_show(l);
	while (err == 0 && (left > 0 || !load_line_idle(l))) {
		int moved = prime_step(l, out, &left);

		if (moved < 0)
			return moved;
		err = load_pace_watch(p, monotonic_ns(), moved > 0);
	}
	return err;
}

int load_mode_prime(struct load_run *run, bool out, bool in)
{
	struct load_pace p;
	int err = 0;

	load_pace_begin(&p, run);
	for (unsigned int i = 0; i < run->n_guests && err == 0; i++)
		err = prime_line(&p, &run->guests[i].line, out, in);
	return err;
}

/* Nothing but the end of a connection wakes us. */
int load_mode_idle(struct load_run *run, struct load_figures *ret_figures)
{
	struct load_figures f = { .ns = 0 };
	struct load_pace p;
	int err = 0;

	load_figures_begin(run);
	load_pace_begin(&p, run);
	while (err == 0 && monotonic_ns() < p.start_ns + run->o->ns) {
		uint64_t left_ns = p.start_ns + run->o->ns - monotonic_ns();

		poll(NULL, 0, (int)min_u64(left_ns / 1000000 + 1, 1000));
		if (!load_run_lives(run))
			err = -ECONNRESET;
	}
	load_figures_end(run, &p, &f);
	*ret_figures = f;
	return err;
}

/* All of it has happened when the guests are ready. */
int load_mode_start(struct load_run *run, struct load_figures *ret_figures)
{
	bool started = run->exec.pid != 0;

	*ret_figures = (struct load_figures){
		.ns = started ? monotonic_ns() - run->exec.began_ns : run->handshakes->sum_ns,
		.n_messages = run->handshakes->n,
		.n_violations = load_run_violations(run),
		.listen_ns = run->listen_ns,
		.serve_ns = run->serve_ns,
		.first_ns = run->first_ns,
		.latency = *run->handshakes,
	};
	return 0;
}

int load_mode_run(struct load_run *run, struct load_figures *ret_figures)
{
	static load_mode_fn *const modes[LOAD_N_MODES] = {
#define MODE(ident, ...) [LOAD_MODE_##ident] = load_mode_##ident,
#include "load/load-modes.def"
#undef MODE
	};

	return modes[run->mode](run, ret_figures);
}
