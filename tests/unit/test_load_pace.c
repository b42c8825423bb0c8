/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "unit.h"

#include "load/load-pace.h"

/* A pace that has begun, by its options alone: there are no guests. */
static struct load_pace pace_of(const struct load_options *o)
{
	static struct load_run run;
	struct load_pace p;

	run = (struct load_run){ .o = o };
	load_pace_begin(&p, &run);
	return p;
}

static void more_when_messages_are_asked_for_ends_with_them(void **state)
{
	const struct load_options o = { .messages = 2, .ns = 1 };
	struct load_pace p = pace_of(&o);

	(void)state;
	assert_true(load_pace_more(&p, UINT64_MAX - 1));
	load_pace_take(&p, p.start_ns);
	assert_true(load_pace_more(&p, UINT64_MAX - 1));
	load_pace_take(&p, p.start_ns);
	assert_false(load_pace_more(&p, p.start_ns));
}

static void more_when_a_time_is_asked_for_ends_with_it(void **state)
{
	const struct load_options o = { .ns = 1000 };
	struct load_pace p = pace_of(&o);

	(void)state;
	for (int i = 0; i < 100; i++)
		load_pace_take(&p, p.start_ns);
	assert_true(load_pace_more(&p, p.start_ns + 999));
	assert_false(load_pace_more(&p, p.start_ns + 1000));
}

static void take_when_the_loop_is_closed_counts_from_now(void **state)
{
	const struct load_options o = { .ns = 1000 };
	struct load_pace p = pace_of(&o);

	(void)state;
	assert_int_equal(load_pace_take(&p, 12345), 12345);
	assert_true(load_pace_due(&p, p.start_ns));
}

/* A message that is late has been waiting since it was due. */
static void take_when_the_loop_is_open_counts_from_when_it_was_due(void **state)
{
	const struct load_options o = { .ns = 1000, .rate = 1000 };
	struct load_pace p = pace_of(&o);
	uint64_t late_ns = p.start_ns + 2500000;

	(void)state;
	assert_true(load_pace_due(&p, p.start_ns));
	assert_int_equal(load_pace_take(&p, p.start_ns), p.start_ns);
	assert_false(load_pace_due(&p, p.start_ns + 999999));
	assert_true(load_pace_due(&p, late_ns));
	assert_int_equal(load_pace_take(&p, late_ns), p.start_ns + 1000000);
	assert_int_equal(load_pace_take(&p, late_ns), p.start_ns + 2000000);
	assert_false(load_pace_due(&p, late_ns));
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(more_when_messages_are_asked_for_ends_with_them),
	UNIT_TEST(more_when_a_time_is_asked_for_ends_with_it),
	UNIT_TEST(take_when_the_loop_is_closed_counts_from_now),
	UNIT_TEST(take_when_the_loop_is_open_counts_from_when_it_was_due),
};
UNIT_MAIN(tests)
