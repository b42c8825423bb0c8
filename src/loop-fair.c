/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "loop-fair.h"

#include <sys/resource.h>

#include "clock.h"
#include "loop-private.h"

/*
 * Whether this thread has had to leave its core since this was asked last: what took
 * long may not have been anybody's fault. Who makes us wait is another matter.
 */
/* seccomp: getrusage */
static bool was_preempted(struct loop *loop)
{
	struct rusage usage;
	long before = loop->n_preempted;

	if (getrusage(RUSAGE_THREAD, &usage) < 0)
		return false;
	loop->n_preempted = usage.ru_nivcsw;
	return usage.ru_nivcsw != before;
}

uint64_t loop_cost(struct loop *loop, uint64_t ns)
{
	return ns > FAIR_LONG_NS && was_preempted(loop) ? FAIR_LONG_NS : ns;
}

/* After a round in which all were put off, whoever owes least is served. */
static void note_round(struct loop *loop)
{
	bool all_put_off = !loop->had_turn && loop->paid_round + 1 == loop->n_rounds;

	if (loop->paid_round == loop->n_rounds)
		return;
	loop->paid_round = loop->n_rounds;
	loop->pays_ns = FAIR_TURN_NS + (all_put_off ? loop->least_ns : 0);
	loop->least_ns = UINT64_MAX;
	loop->had_turn = false;
	loop->looked_ns = 0;
}

/* Whether it has been. What is left over is kept, so that the mean is what counts. */
static bool pay_for_turns(struct loop *loop, struct fair *f)
{
	note_round(loop);
	f->owed_ns -= min_u64(f->owed_ns, loop->pays_ns);
	if (f->owed_ns < FAIR_TURN_NS)
		loop->had_turn = true;
	else
		loop->least_ns = min_u64(loop->least_ns, f->owed_ns);
	return f->owed_ns < FAIR_TURN_NS;
}

/* Whose task is run now: nobody waits for its end. */
static bool is_last(const struct loop *loop)
{
	return list_empty(&loop->round) && list_empty(&loop->tasks);
}

/* One look at the clock is for the end of a turn and the beginning of the next. */
static uint64_t look(struct loop *loop)
{
	if (loop->looked_ns == 0)
		loop->looked_ns = monotonic_ns();
	return loop->looked_ns;
}

static void charge_timed(struct loop *loop, struct fair *f)
{
	uint64_t ns = look(loop) - loop->turn_began_ns;

	f->owed_ns = min_u64(f->owed_ns + loop_cost(loop, ns), FAIR_OWED_MAX_NS);
	f->n_timed = ns > FAIR_TURN_NS ? FAIR_TIMED : f->n_timed - 1;
	loop->group_began_ns += ns;
}

/* A clock costs as much as a short message does: it is read for single turns once some were long.
 */
static void end_group(struct loop *loop)
{
	bool was_long = look(loop) - loop->group_began_ns > FAIR_GROUP_NS;

	for (unsigned int i = 0; was_long && i < loop->n_group; i++)
		loop->group[i]->n_timed = FAIR_TIMED;
	loop->n_group = 0;
}

static void end_turn(struct loop *loop)
{
	struct fair *f = loop->turn;

	loop->turn = NULL;
	if (f->n_timed > 0) {
		charge_timed(loop, f);
		return;
	}
	loop->group[loop->n_group++] = f;
	if (loop->n_group == FAIR_GROUP)
		end_group(loop);
}

void loop_end_turns(struct loop *loop)
{
	if (loop->turn)
		end_turn(loop);
	if (loop->n_group > 0)
		end_group(loop);
}

/* Apart: who is alone does not save registers for it. */
static __attribute__((noinline)) bool take_turn(struct loop *loop, struct fair *f)
{
	if (loop->turn)
		end_turn(loop);
	if (is_last(loop)) {
		loop_end_turns(loop);
		return true;
	}
	if (!pay_for_turns(loop, f))
		return false;
	if (f->n_timed > 0)
		loop->turn_began_ns = look(loop);
	else if (loop->n_group == 0)
		loop->group_began_ns = look(loop);
	loop->looked_ns = 0;
	loop->turn = f;
	return true;
}

bool fair_take_turn(struct loop *loop, struct fair *f)
{
	return (!loop->turn && is_last(loop)) || take_turn(loop, f);
}

void fair_leave(struct loop *loop, const struct fair *f)
{
	if (loop->turn == f)
		loop->turn = NULL;
	for (unsigned int i = 0; i < loop->n_group; i++)
		if (loop->group[i] == f)
			loop->group[i--] = loop->group[--loop->n_group];
}
