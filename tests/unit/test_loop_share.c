/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Who costs a loop too much rests while others have work: VU-129, VU-132. */
#include "clock_rig.h"
#include "loop_rig.h"

#include "loop-fair.h"
#include "loop-share.h"

#define FAR_TOO_MUCH (UINT64_C(1000) * 1000 * 1000 * 1000)

enum { PARTIES = 3 };

static struct party {
	struct share share;
	unsigned int n_rested;
	unsigned int place; /* among those that have rested, from 1 on */
} parties[PARTIES];

static unsigned int n_over;

/* Others that always have work. */
static struct task others;
static unsigned int n_turns;

static void take_turn(struct task *task)
{
	n_turns++;
	loop_defer(rig.loop, task);
}

static void rested(struct share *s)
{
	struct party *p = container_of(s, struct party, share);

	assert_false(share_rests(s));
	p->n_rested++;
	p->place = ++n_over;
}

static void begin_parties(void)
{
	begin();
	n_over = n_turns = 0;
	n_preempted = 0;
	clock_ns = 0;
	memset(parties, 0, sizeof(parties));
	for (unsigned int i = 0; i < PARTIES; i++)
		share_init(&parties[i].share, rig.loop, rested);
	task_init(&others, take_turn);
}

static void end_parties(void)
{
	task_cancel(&others);
	for (unsigned int i = 0; i < PARTIES; i++)
		share_fini(&parties[i].share);
	end();
}

static void turn_around(unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		assert_int_equal(loop_step(rig.loop, true), 0);
}

static void party_within_its_credit_never_rests(void **state)
{
	(void)state;
	begin_parties();
	loop_defer(rig.loop, &others);
	share_charge(&parties[0].share, SHARE_CREDIT_NS / 2);
	share_charge(&parties[0].share, SHARE_CREDIT_NS / 2);
	assert_false(share_rests(&parties[0].share));
	turn_around(10);
	assert_int_equal(parties[0].n_rested, 0);
	end_parties();
}

static void party_beyond_its_credit_rests_while_others_have_work(void **state)
{
	(void)state;
	begin_parties();
	loop_defer(rig.loop, &others);
	share_charge(&parties[0].share, FAR_TOO_MUCH);
	assert_true(share_rests(&parties[0].share));
	turn_around(FOREVER);
	assert_int_equal(n_turns, FOREVER);
	assert_int_equal(parties[0].n_rested, 0);
	/* They have none left. */
	task_cancel(&others);
	run_until(&parties[0].n_rested, 1);
	end_parties();
}

/* Nobody else needs the time: it is not held up, whatever it has cost. */
static void party_alone_is_never_held_up(void **state)
{
	(void)state;
	begin_parties();
	for (unsigned int i = 1; i <= 10; i++) {
		share_charge(&parties[0].share, FAR_TOO_MUCH);
		assert_true(share_rests(&parties[0].share));
		turn_around(1);
		assert_int_equal(parties[0].n_rested, i);
	}
	end_parties();
}

static void rest_ends_by_itself_though_others_have_work(void **state)
{
	(void)state;
	begin_parties();
	loop_defer(rig.loop, &others);
	share_charge(&parties[0].share, SHARE_CREDIT_NS + 1000);
	assert_true(share_rests(&parties[0].share));
	while (parties[0].n_rested == 0)
		turn_around(1);
	assert_true(n_turns > 0);
	end_parties();
}

/* Time pays back: what was too much at once is not, later. */
static void debt_when_time_has_passed_is_less(void **state)
{
	uint64_t before;

	(void)state;
	begin_parties();
	share_charge(&parties[0].share, SHARE_CREDIT_NS);
	before = parties[0].share.debt_ns;
	poll(NULL, 0, 1);
	share_charge(&parties[0].share, 0);
	assert_true(parties[0].share.debt_ns < before);
	assert_false(share_rests(&parties[0].share));
	end_parties();
}

static void parties_that_rest_go_on_one_by_one(void **state)
{
	(void)state;
	begin_parties();
	for (unsigned int i = 0; i < PARTIES; i++)
		share_charge(&parties[i].share, FAR_TOO_MUCH);
	for (unsigned int i = 0; i < PARTIES; i++) {
		assert_int_equal(n_over, i);
		turn_around(1);
	}
	for (unsigned int i = 0; i < PARTIES; i++)
		assert_int_equal(parties[i].place, i + 1);
	end_parties();
}

static void party_that_goes_while_it_rests_hears_nothing_more(void **state)
{
	(void)state;
	begin_parties();
	share_charge(&parties[0].share, FAR_TOO_MUCH);
	share_fini(&parties[0].share);
	run_what_is_there();
	assert_int_equal(parties[0].n_rested, 0);
	end_parties();
}

static void party_that_is_gone_when_it_costs_more_does_not_rest(void **state)
{
	(void)state;
	begin_parties();
	share_fini(&parties[0].share);
	share_charge(&parties[0].share, FAR_TOO_MUCH);
	assert_false(share_rests(&parties[0].share));
	run_what_is_there();
	assert_int_equal(parties[0].n_rested, 0);
	end_parties();
}

/* An operation under way is not the work of now: the loop waits, and so does nobody else. */
static void rest_ends_while_operations_wait(void **state)
{
	struct probe p;
	int fds[2];
	char byte;

	(void)state;
	begin_parties();
	make(PIPE, fds);
	probe_init(&p);
	op_read(&p.op, fds[0], &byte, 1);
	share_charge(&parties[0].share, FAR_TOO_MUCH);
	run_until(&parties[0].n_rested, 1);
	assert_int_equal(p.n_done, 0);
	assert_int_equal(write(fds[1], "x", 1), 1);
	run_until(&p.n_done, 1);
	end_parties();
	unmake(fds);
}

static void message_in_which_we_were_preempted_costs_little(void **state)
{
	uint64_t began = 1;

	(void)state;
	begin_parties();
	clock_ns = 1;
	clock_ns = began + FAR_TOO_MUCH;
	n_preempted++;
	share_charge_since(&parties[0].share, began, SHARE_MESSAGE_NS);
	assert_int_equal(parties[0].share.debt_ns, FAIR_LONG_NS + SHARE_MESSAGE_NS);
	/* Once. */
	share_charge_since(&parties[0].share, began, SHARE_MESSAGE_NS);
	assert_true(share_rests(&parties[0].share));
	clock_ns = 0;
	end_parties();
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(party_within_its_credit_never_rests),
	UNIT_TEST(party_beyond_its_credit_rests_while_others_have_work),
	UNIT_TEST(party_alone_is_never_held_up),
	UNIT_TEST(rest_ends_by_itself_though_others_have_work),
	UNIT_TEST(debt_when_time_has_passed_is_less),
	UNIT_TEST(parties_that_rest_go_on_one_by_one),
	UNIT_TEST(party_that_goes_while_it_rests_hears_nothing_more),
	UNIT_TEST(party_that_is_gone_when_it_costs_more_does_not_rest),
	UNIT_TEST(rest_ends_while_operations_wait),
	UNIT_TEST(message_in_which_we_were_preempted_costs_little),
};
UNIT_MAIN(tests)
