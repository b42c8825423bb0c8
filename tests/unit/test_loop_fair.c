/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Parties with data share a loop by time: VC-065. */
#include "clock_rig.h"
#include "loop_rig.h"

#include "loop-fair.h"

#define FAR_TOO_MUCH (UINT64_C(1000) * 1000 * 1000 * 1000)

enum { PARTIES = 3 };

/* Others that always have work. */
static struct task others;

static void take_turn(struct task *task)
{
	loop_defer(rig.loop, task);
}

static void turn_around(unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		assert_int_equal(loop_step(rig.loop, true), 0);
}

/* A party that always has data. */
static struct worker {
	struct task task;
	struct fair fair;
	uint64_t turn_ns; /* that a turn of it takes */
	unsigned int n_turns;
	bool preempted; /* in each of them */
} workers[PARTIES];

static unsigned int n_served; /* turns of all workers */

static void work(struct task *task)
{
	struct worker *w = container_of(task, struct worker, task);

	if (fair_take_turn(rig.loop, &w->fair)) {
		w->n_turns++;
		n_served++;
		clock_ns += w->turn_ns;
		n_preempted += w->preempted;
	}
	loop_defer(rig.loop, task);
}

static void begin_worker(unsigned int i, uint64_t turn_ns)
{
	workers[i] = (struct worker){ .turn_ns = turn_ns };
	task_init(&workers[i].task, work);
	loop_defer(rig.loop, &workers[i].task);
}

static void begin_workers(void)
{
	begin();
	task_init(&others, take_turn);
	clock_ns = 1;
	n_preempted = 0;
	n_served = n_looks = 0;
}

static void end_workers(void)
{
	for (unsigned int i = 0; i < PARTIES; i++)
		if (workers[i].task.run)
			task_cancel(&workers[i].task);
	task_cancel(&others);
	memset(workers, 0, sizeof(workers));
	clock_ns = 0;
	end();
}

static void party_with_short_turns_has_one_in_each_round(void **state)
{
	(void)state;
	begin_workers();
	begin_worker(0, FAIR_TURN_NS);
	begin_worker(1, 100 * FAIR_TURN_NS);
	turn_around(FOREVER);
	assert_int_equal(workers[0].n_turns, FOREVER);
	end_workers();
}

static void party_with_long_turns_has_no_more_than_its_part_in_the_mean(void **state)
{
	enum { TIMES = 7 };

	(void)state;
	begin_workers();
	begin_worker(0, FAIR_TURN_NS);
	begin_worker(1, TIMES * FAIR_TURN_NS);
	turn_around(FOREVER);
	assert_in_range(workers[1].n_turns, FOREVER / TIMES, FOREVER / TIMES + 2);
	end_workers();
}

/* What is a bit too much adds up, and is not made up for by a whole round at once. */
static void party_with_slightly_long_turns_is_put_off_now_and_then(void **state)
{
	(void)state;
	begin_workers();
	begin_worker(0, FAIR_TURN_NS);
	begin_worker(1, FAIR_TURN_NS + FAIR_TURN_NS / 4);
	begin_worker(2, FAIR_GROUP_NS); /* so that it is noticed at all */
	turn_around(FOREVER);
	assert_in_range(workers[1].n_turns, FOREVER * 4 / 5, FOREVER * 4 / 5 + 2);
	end_workers();
}

/* As a loop spins in such a round, there are not two of them in a row. */
static void parties_with_long_turns_have_equal_parts_and_no_idle_rounds(void **state)
{
	(void)state;
	begin_workers();
	for (unsigned int i = 0; i < PARTIES; i++)
		begin_worker(i, (i + 1) * 10 * FAIR_TURN_NS);
	for (unsigned int i = 0; i < FOREVER; i++) {
		unsigned int before = n_served;

		turn_around(2);
		assert_true(n_served > before);
	}
	for (unsigned int i = 1; i < PARTIES; i++) {
		uint64_t first = workers[0].n_turns * workers[0].turn_ns;
		uint64_t ns = workers[i].n_turns * workers[i].turn_ns;

		assert_in_range(ns, first - first / 20, first + first / 20);
	}
	end_workers();
}

static void party_alone_has_every_turn_for_nothing(void **state)
{
	(void)state;
	begin_workers();
	begin_worker(0, 1000 * FAIR_TURN_NS);
	turn_around(FOREVER);
	assert_int_equal(workers[0].n_turns, FOREVER);
	assert_int_equal(workers[0].fair.owed_ns, 0);
	end_workers();
}

/* It was put off for others; there are none now. */
static void party_that_owes_turns_is_served_when_others_are_done(void **state)
{
	(void)state;
	begin_workers();
	begin_worker(0, FAIR_TURN_NS);
	begin_worker(1, 50 * FAIR_TURN_NS);
	turn_around(3);
	assert_int_equal(workers[1].n_turns, 2);
	task_cancel(&workers[0].task);
	turn_around(10);
	assert_int_equal(workers[1].n_turns, 12);
	end_workers();
}

/* Whoever had our core meanwhile, it was not that guest. */
static void turn_in_which_we_were_preempted_costs_little(void **state)
{
	(void)state;
	begin_workers();
	begin_worker(0, FAIR_TURN_NS);
	begin_worker(1, 1000 * FAIR_LONG_NS);
	workers[1].preempted = true;
	turn_around(2);
	assert_int_equal(workers[1].fair.owed_ns, FAIR_LONG_NS);
	end_workers();
}

/* A guest that makes us wait has that time, too. */
static void turn_in_which_we_waited_costs_what_it_took(void **state)
{
	(void)state;
	begin_workers();
	begin_worker(0, FAIR_TURN_NS);
	begin_worker(1, 2 * FAIR_LONG_NS);
	turn_around(2);
	assert_int_equal(workers[1].fair.owed_ns, 2 * FAIR_LONG_NS);
	end_workers();
}

static void turn_without_end_costs_no_more_than_the_most(void **state)
{
	(void)state;
	begin_workers();
	begin_worker(0, FAIR_TURN_NS);
	begin_worker(1, FAR_TOO_MUCH);
	turn_around(2);
	assert_int_equal(workers[1].fair.owed_ns, FAIR_OWED_MAX_NS);
	end_workers();
}

/* The clock would cost them as much as what they have to do. */
static void short_turns_are_not_timed_one_by_one(void **state)
{
	(void)state;
	begin_workers();
	for (unsigned int i = 0; i < PARTIES; i++)
		begin_worker(i, FAIR_GROUP_NS / FAIR_GROUP);
	turn_around(FOREVER);
	assert_int_equal(n_served, PARTIES * FOREVER);
	assert_int_equal(n_looks, 2 * FOREVER);
	end_workers();
}

static void party_of_a_group_that_was_long_is_timed_until_its_turns_are_short(void **state)
{
	(void)state;
	begin_workers();
	begin_worker(0, 1);
	begin_worker(1, FAIR_GROUP_NS);
	turn_around(1);
	assert_int_equal(workers[0].fair.n_timed, FAIR_TIMED);
	assert_int_equal(workers[1].fair.n_timed, FAIR_TIMED);
	turn_around(FAIR_TIMED);
	assert_int_equal(workers[0].fair.n_timed, 0);
	assert_int_equal(workers[1].fair.n_timed, FAIR_TIMED);
	/* Turns amid a group that are timed by themselves do not make it long. */
	turn_around(FOREVER);
	assert_int_equal(workers[0].fair.n_timed, 0);
	end_workers();
}

static void party_that_goes_amid_a_group_is_not_in_it_any_more(void **state)
{
	struct fair f = { 0 };

	(void)state;
	begin_workers();
	loop_defer(rig.loop, &others);
	for (unsigned int i = 0; i < 2; i++) {
		assert_true(fair_take_turn(rig.loop, &f));
		clock_ns += FAR_TOO_MUCH;
	}
	fair_leave(rig.loop, &f);
	turn_around(1);
	assert_int_equal(f.n_timed, 0);
	end_workers();
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(party_with_short_turns_has_one_in_each_round),
	UNIT_TEST(party_with_long_turns_has_no_more_than_its_part_in_the_mean),
	UNIT_TEST(party_with_slightly_long_turns_is_put_off_now_and_then),
	UNIT_TEST(parties_with_long_turns_have_equal_parts_and_no_idle_rounds),
	UNIT_TEST(party_alone_has_every_turn_for_nothing),
	UNIT_TEST(party_that_owes_turns_is_served_when_others_are_done),
	UNIT_TEST(turn_in_which_we_were_preempted_costs_little),
	UNIT_TEST(turn_in_which_we_waited_costs_what_it_took),
	UNIT_TEST(turn_without_end_costs_no_more_than_the_most),
	UNIT_TEST(short_turns_are_not_timed_one_by_one),
	UNIT_TEST(party_of_a_group_that_was_long_is_timed_until_its_turns_are_short),
	UNIT_TEST(party_that_goes_amid_a_group_is_not_in_it_any_more),
};
UNIT_MAIN(tests)
