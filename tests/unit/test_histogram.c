/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "clock.h"
#include "unit.h"

#include "histogram.h"

static struct histogram filled(const uint64_t *ns, size_t n)
{
	struct histogram h = { 0 };

	for (size_t i = 0; i < n; i++)
		histogram_add(&h, ns[i]);
	return h;
}

static void empty_has_no_percentile(void **state)
{
	struct histogram h = { 0 };

	(void)state;
	assert_int_equal(histogram_percentile(&h, 50), 0);
	assert_int_equal(histogram_percentile(&h, 100), 0);
}

static void durations_fall_into_powers_of_two(void **state)
{
	static const struct {
		uint64_t ns;
		unsigned int bucket;
	} rows[] = {
		{ 0, 0 },
		{ 1, 0 },
		{ 2, 1 },
		{ 3, 1 },
		{ 4, 2 },
		{ 1023, 9 },
		{ 1024, 10 },
		{ (UINT64_C(1) << 39) - 1, 38 },
		{ UINT64_C(1) << 39, 39 },
		{ UINT64_C(1) << 40, 39 },
		{ UINT64_MAX, 39 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct histogram h = filled(&rows[i].ns, 1);

		assert_int_equal(h.bucket[rows[i].bucket], 1);
		assert_int_equal(h.n, 1);
	}
}

static void count_sum_and_longest_are_kept(void **state)
{
	static const uint64_t ns[] = { 5, 100, 7, 0 };
	struct histogram h = filled(ns, ARRAY_SIZE(ns));

	(void)state;
	assert_int_equal(h.n, 4);
	assert_int_equal(h.sum_ns, 112);
	assert_int_equal(h.max_ns, 100);
}

static void percentile_is_the_end_of_its_bucket(void **state)
{
	static const uint64_t ns[] = { 10, 10, 10, 10, 10, 10, 10, 10, 10, 1000 };
	struct histogram h = filled(ns, ARRAY_SIZE(ns));

	(void)state;
	assert_int_equal(histogram_percentile(&h, 0), 1);
	assert_int_equal(histogram_percentile(&h, 1), 15);
	assert_int_equal(histogram_percentile(&h, 90), 15);
	assert_int_equal(histogram_percentile(&h, 91), 1000);
	assert_int_equal(histogram_percentile(&h, 100), 1000);
}

static void percentile_never_exceeds_the_longest(void **state)
{
	static const uint64_t one = 9, huge = UINT64_MAX;
	struct histogram h = filled(&one, 1);

	(void)state;
	assert_int_equal(histogram_percentile(&h, 50), 9);
	h = filled(&huge, 1);
	assert_int_equal(histogram_percentile(&h, 99), UINT64_MAX);
}

/* One in a hundred and one is past the 99th percentile. */
static void percentile_counts_fractions_up(void **state)
{
	struct histogram h = { 0 };

	(void)state;
	for (unsigned int i = 0; i < 99; i++)
		histogram_add(&h, 1);
	histogram_add(&h, 1000);
	assert_int_equal(histogram_percentile(&h, 99), 1);
	histogram_add(&h, 1000);
	assert_int_equal(histogram_percentile(&h, 99), 1000);
}

static void percentile_of_very_many_does_not_overflow(void **state)
{
	struct histogram h = { .n = UINT64_MAX, .max_ns = 3 };

	(void)state;
	h.bucket[1] = UINT64_MAX;
	assert_int_equal(histogram_percentile(&h, 99), 3);
	assert_int_equal(histogram_percentile(&h, 100), 3);
}

static void time_does_not_go_back(void **state)
{
	uint64_t before = monotonic_ns();

	(void)state;
	assert_true(before > 0);
	assert_true(monotonic_ns() >= before);
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(empty_has_no_percentile),
	UNIT_TEST(durations_fall_into_powers_of_two),
	UNIT_TEST(count_sum_and_longest_are_kept),
	UNIT_TEST(percentile_is_the_end_of_its_bucket),
	UNIT_TEST(percentile_never_exceeds_the_longest),
	UNIT_TEST(percentile_counts_fractions_up),
	UNIT_TEST(percentile_of_very_many_does_not_overflow),
	UNIT_TEST(time_does_not_go_back),
};
UNIT_MAIN(tests)
