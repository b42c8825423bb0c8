/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Guests that play the same rounds every time, for counting what a daemon does
 * in them: nothing begins before the daemon sleeps, so what it finds when it
 * wakes does not depend on the clock.
 *
 *	budget_play WHAT OPTION...
 *
 * WHAT is out, in, echo or idle; the options are those of vhu-load. A round is
 * --depth messages of one guest, the guests taking turns; there are as many
 * rounds as make --messages. An idle message is a millisecond without any.
 *
 * The daemon gets a SIGWINCH, which changes nothing, at three marks: two in a
 * row, then the rounds, then the third.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "load/load-command.h"
#include "load/load-pace.h"

enum { WARM_UP_ROUNDS = 20 };

struct play;

typedef int round_fn(struct play *p, struct load_line *l);

struct play {
	struct load_run run;
	struct load_pace pace; /* for its patience alone */
	struct load_threads threads;
	round_fn *round;
	unsigned int depth;
	unsigned int turn; /* of which guest */
	bool call;	   /* the driver wants to be called */
};

static int await_asleep(struct play *p)
{
	return load_pace_await_asleep(&p->pace, &p->threads);
}

/* Takes back what has come back: how many chains and bytes, or -errno. */
static int collect(struct load_line *l)
{
	uint64_t at_ns;
	int n = 0, got, read = 0, taken;

	while ((got = load_line_reap(l, &at_ns)) == 1)
		n++;
	if (got == 0 && l->peer >= 0)
		read = load_line_read(l);
	taken = got == 0 && read >= 0 ? load_line_take(l) : -EIO;
	return taken < 0 ? taken : n + read + taken;
}

/* A port without a peer gives its output to nobody that we could ask. */
static bool settled(const struct load_line *l)
{
	return l->peer < 0 ? l->n_out == 0 : load_line_idle(l);
}

/* Until the daemon sleeps and everything that went in has come out. */
static int settle(struct play *p, struct load_line *l)
{
	int err = 0;

	do {
		int moved = await_asleep(p);

		if (moved == 0)
			moved = collect(l);
		err = moved < 0 ? moved : load_pace_watch(&p->pace, monotonic_ns(), moved > 0);
	} while (err == 0 && !settled(l));
	load_line_take_calls(l);
	return err < 0 ? err : await_asleep(p);
}

static int play_out(struct play *p, struct load_line *l)
{
	int err = 0;

	if (p->call)
		load_line_calls_on(l, true, true);
	for (unsigned int i = 0; i < p->depth && err == 0; i++)
		err = load_line_offer(l, 0);
	if (err == 0)
		err = load_line_show(l);
	return err == 0 ? settle(p, l) : err;
}

/* In one piece: what the daemon finds must not depend on when it looks. */
static int play_in(struct play *p, struct load_line *l)
{
	size_t len = (size_t)p->depth * p->run.shape.chunk;
	int sent;

	if (p->call)
		load_line_calls_on(l, true, true);
	sent = load_line_send(l, len);
	if (sent >= 0 && (size_t)sent < len)
		return load_fail(-EIO, "the peer's socket took %d bytes of %zu", sent, len);
	return sent < 0 ? sent : settle(p, l);
}

static int play_echo(struct play *p, struct load_line *l)
{
	int err = play_out(p, l);

	return err == 0 ? play_in(p, l) : err;
}

static int play_idle(struct play *p, struct load_line *l)
{
	const struct timespec ms = { .tv_nsec = 1000000 };

	(void)p;
	(void)l;
	return nanosleep(&ms, NULL) < 0 ? -errno : 0;
}

static const struct {
	const char *name;
	enum load_mode_id mode; /* whose buffers for input are posted */
	round_fn *round;
} kinds[] = {
	{ "out", LOAD_MODE_many, play_out },
	{ "in", LOAD_MODE_rx, play_in },
	{ "echo", LOAD_MODE_echo, play_echo },
	{ "idle", LOAD_MODE_idle, play_idle },
};

static int play_rounds(struct play *p, uint64_t n)
{
	int err = 0;

	for (uint64_t i = 0; i < n && err == 0; i++) {
		err = p->round(p, &p->run.guests[p->turn].line);
		p->turn = (p->turn + 1) % p->run.n_guests;
	}
	return err;
}

static int mark(struct play *p)
{
	int err = await_asleep(p);

	if (err == 0 && kill(p->run.pid, SIGWINCH) < 0)
		err = load_fail(-errno, "the back-end cannot be marked: %s", strerror(errno));
	return err == 0 ? await_asleep(p) : err;
}

static int play(struct play *p, const struct load_options *o)
{
	uint64_t n_before = p->run.n_guests + WARM_UP_ROUNDS;
	int err;

	p->depth = (unsigned int)o->depth;
	p->call = o->wait == LOAD_WAIT_CALL;
	load_pace_begin(&p->pace, &p->run);
	err = play_rounds(p, n_before);
	if (err == 0)
		err = mark(p);
	if (err == 0)
		err = mark(p);
	if (err == 0)
		err = play_rounds(p, o->messages / o->depth);
	if (err == 0)
		err = mark(p);
	if (err == 0 && load_run_violations(&p->run) > 0)
		err = -EPROTO; /* a sentence has said which */
	load_threads_close(&p->threads);
	return err;
}

static int run(struct play *p, const struct load_options *o, enum load_mode_id mode)
{
	int err = load_run_init(&p->run, o, mode);

	if (err == 0)
		err = play(p, o);
	load_run_fini(&p->run);
	return err;
}

int main(int argc, char **argv)
{
	static struct play p;
	static char idle[] = "idle"; /* the mode that goes with all options */
	struct load_command command;
	size_t i = 0;
	int err;

	signal(SIGPIPE, SIG_IGN);
	while (argc > 1 && i < ARRAY_SIZE(kinds) && strcmp(argv[1], kinds[i].name) != 0)
		i++;
	if (argc < 2 || i == ARRAY_SIZE(kinds)) {
		fputs("budget_play: expected out, in, echo or idle\n", stderr);
		return 2;
	}
	argv[1] = idle;
	if (load_command_parse(&command, argc, argv) < 0)
		return 2;
	p.round = kinds[i].round;
	err = run(&p, &command.options, kinds[i].mode);
	load_command_free(&command);
	return err == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
