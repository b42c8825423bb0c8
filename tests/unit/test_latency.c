/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "unit.h"

#include "load/latency.h"

static const uint64_t last_edge = UINT64_C(127) << 33; /* where the last bucket begins */

static struct latency one_to(uint64_t n)
{
	struct latency l = { 0 };

	for (uint64_t ns = 1; ns <= n; ns++)
		latency_add(&l, ns);
	return l;
}

static void buckets_follow_one_another_without_gap(void **state)
{
	uint64_t low, high, expected = 0;

	(void)state;
	for (unsigned int i = 0; i < LATENCY_N_BUCKETS; i++) {
		latency_bucket(i, &low, &high);
		assert_int_equal(low, expected);
		assert_true(high > low);
		expected = high;
	}
	assert_int_equal(low, last_edge);
	assert_int_equal(high, UINT64_MAX);
}

static void buckets_when_not_the_last_are_exact_to_one_in_64(void **state)
{
	uint64_t low, high;

	(void)state;
	for (unsigned int i = 0; i < LATENCY_N_BUCKETS - 1; i++) {
		latency_bucket(i, &low, &high);
		assert_true((high - 1 - low) * 64 <= low);
	}
}

static void value_when_added_falls_between_its_buckets_edges(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < LATENCY_N_BUCKETS; i++) {
		struct latency l = { 0 };
		uint64_t low, high;

		latency_bucket(i, &low, &high);
		latency_add(&l, low);
		latency_add(&l, high - 1);
		assert_int_equal(l.bucket[i], 2);
		assert_int_equal(l.min_ns, low);
		assert_int_equal(l.max_ns, high - 1);
	}
}

static void nothing_added_has_no_percentile(void **state)
{
	const struct latency l = { 0 };

	(void)state;
	assert_int_equal(latency_at(&l, 0), 0);
	assert_int_equal(latency_at(&l, 0.5), 0);
	assert_int_equal(latency_at(&l, 1), 0);
}

static void one_value_is_every_percentile(void **state)
{
	struct latency l = { 0 };

	(void)state;
	latency_add(&l, 123457);
	assert_int_equal(latency_at(&l, 0), 123457);
	assert_int_equal(latency_at(&l, 0.5), 123457);
	assert_int_equal(latency_at(&l, 0.999), 123457);
	assert_int_equal(latency_at(&l, 1), 123457);
}

/* Up to 127 each value has a bucket of its own. */
static void percentiles_of_small_values_are_exact(void **state)
{
	struct latency l = one_to(100);

	(void)state;
	assert_int_equal(latency_at(&l, 0.001), 1);
	assert_int_equal(latency_at(&l, 0.01), 1);
	assert_int_equal(latency_at(&l, 0.011), 2);
	assert_int_equal(latency_at(&l, 0.5), 50);
	assert_int_equal(latency_at(&l, 0.501), 51);
	assert_int_equal(latency_at(&l, 0.9), 90);
	assert_int_equal(latency_at(&l, 0.99), 99);
	assert_int_equal(latency_at(&l, 0.999), 100);
	assert_int_equal(latency_at(&l, 1), 100);
}

static void percentiles_of_large_values_are_exact_to_one_in_64(void **state)
{
	static const double shares[] = { 0.01, 0.25, 0.5, 0.9, 0.99, 0.999, 0.9999 };
	struct latency l = one_to(1000000);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(shares); i++) {
		double exact = shares[i] * 1000000;
		double found = (double)latency_at(&l, shares[i]);

		assert_true(found >= exact - 0.5);
		assert_true(found <= exact * (1 + 1.0 / 64));
	}
}

static void share_when_out_of_range_is_the_nearest(void **state)
{
	struct latency l = one_to(10);

	(void)state;
	assert_int_equal(latency_at(&l, -1), 1);
	assert_int_equal(latency_at(&l, 2), 10);
}

static void longest_when_beyond_the_buckets_is_kept(void **state)
{
	struct latency l = { 0 };

	(void)state;
	latency_add(&l, 0);
	latency_add(&l, last_edge - 1);
	latency_add(&l, UINT64_MAX);
	assert_int_equal(l.bucket[0], 1);
	assert_int_equal(l.bucket[LATENCY_N_BUCKETS - 1], 1);
	assert_int_equal(l.min_ns, 0);
	assert_int_equal(latency_at(&l, 0.3), 0);
	assert_int_equal(latency_at(&l, 0.6), last_edge - 1);
	assert_int_equal(latency_at(&l, 1), UINT64_MAX);
}

static void merge_is_as_if_all_were_added_to_one(void **state)
{
	struct latency odd = { 0 }, even = { 0 }, all = one_to(5000);

	(void)state;
	for (uint64_t ns = 1; ns <= 5000; ns++)
		latency_add(ns % 2 ? &odd : &even, ns);
	latency_merge(&odd, &even);
	assert_memory_equal(&odd, &all, sizeof(all));
}

static void merge_with_nothing_changes_nothing(void **state)
{
	const struct latency nothing = { 0 };
	struct latency l = one_to(3), was = l;

	(void)state;
	latency_merge(&l, &nothing);
	assert_memory_equal(&l, &was, sizeof(l));
}

static void merge_into_nothing_copies(void **state)
{
	struct latency l = { 0 }, other = one_to(3);

	(void)state;
	latency_merge(&l, &other);
	assert_memory_equal(&l, &other, sizeof(l));
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(buckets_follow_one_another_without_gap),
	UNIT_TEST(buckets_when_not_the_last_are_exact_to_one_in_64),
	UNIT_TEST(value_when_added_falls_between_its_buckets_edges),
	UNIT_TEST(nothing_added_has_no_percentile),
	UNIT_TEST(one_value_is_every_percentile),
	UNIT_TEST(percentiles_of_small_values_are_exact),
	UNIT_TEST(percentiles_of_large_values_are_exact_to_one_in_64),
	UNIT_TEST(share_when_out_of_range_is_the_nearest),
	UNIT_TEST(longest_when_beyond_the_buckets_is_kept),
	UNIT_TEST(merge_is_as_if_all_were_added_to_one),
	UNIT_TEST(merge_with_nothing_changes_nothing),
	UNIT_TEST(merge_into_nothing_copies),
};

UNIT_MAIN(tests)
