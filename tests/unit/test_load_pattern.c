/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "unit.h"

#include <string.h>

#include "load/load-pattern.h"

enum { CHUNK = 48, LEN = 200000 };

/* A stream as it should be, longer than the period, for tests to spoil. */
struct rig {
	struct load_pattern pattern;
	uint8_t bytes[LEN];
};

static int setup(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	*state = rig;
	if (!rig || unit_setup(state) != 0 || load_pattern_init(&rig->pattern, CHUNK) < 0)
		return -1;
	load_pattern_fill(&rig->pattern, rig->bytes, LEN);
	return 0;
}

static int teardown(void **state)
{
	struct rig *rig = *state;

	load_pattern_fini(&rig->pattern);
	free(rig);
	return unit_teardown(state);
}

static size_t match(const struct rig *rig, uint64_t pos, size_t len)
{
	return load_pattern_match(&rig->pattern, pos, rig->bytes, len);
}

static void match_when_all_is_right_is_all_of_it(void **state)
{
	struct rig *rig = *state;

	assert_true(rig->pattern.period < LEN);
	assert_int_equal(match(rig, 0, LEN), LEN);
	assert_int_equal(match(rig, 3 * rig->pattern.period, LEN), LEN);
	for (size_t at = 1; at < 2000; at += 7)
		assert_int_equal(load_pattern_match(&rig->pattern, at, rig->bytes + at, LEN - at),
				 LEN - at);
}

static void match_when_one_byte_is_wrong_ends_there(void **state)
{
	struct rig *rig = *state;
	const size_t places[] = {
		0, 1, CHUNK - 1, CHUNK, rig->pattern.period - 1, rig->pattern.period, LEN - 1
	};

	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		for (unsigned int bit = 0; bit < 8; bit++) {
			rig->bytes[places[i]] ^= (uint8_t)BIT(bit);
			assert_int_equal(match(rig, 0, LEN), places[i]);
			rig->bytes[places[i]] ^= (uint8_t)BIT(bit);
		}
	}
}

/* After a slip the bytes may agree by chance, but not many of them. */
static void assert_slip_shows(const struct rig *rig, uint64_t pos, size_t at)
{
	size_t n = load_pattern_match(&rig->pattern, pos, rig->bytes + at, LEN - at);

	assert_true(n < 8);
}

static void match_when_bytes_were_lost_ends_soon(void **state)
{
	const struct rig *rig = *state;

	for (size_t n_lost = 1; n_lost <= 64; n_lost++)
		assert_slip_shows(rig, CHUNK, CHUNK + n_lost);
}

static void match_when_bytes_come_twice_ends_soon(void **state)
{
	const struct rig *rig = *state;

	for (size_t n_twice = 1; n_twice <= 64; n_twice++)
		assert_slip_shows(rig, 1000, 1000 - n_twice);
}

/* A chunk lost, doubled or late, by any number of chunks below the period. */
static void match_when_a_whole_chunk_is_elsewhere_ends_soon(void **state)
{
	const struct rig *rig = *state;

	for (size_t slip = CHUNK; slip < rig->pattern.period; slip += CHUNK)
		assert_slip_shows(rig, 0, slip);
}

static void match_when_the_bytes_are_zero_ends_soon(void **state)
{
	struct rig *rig = *state;

	memset(rig->bytes, 0, LEN);
	for (uint64_t pos = 0; pos < rig->pattern.period; pos++)
		assert_true(match(rig, pos, 64) < 8);
}

static void bytes_when_a_period_has_passed_have_had_all_values(void **state)
{
	const struct rig *rig = *state;
	bool seen[256] = { false };
	unsigned int n = 0;

	for (size_t i = 0; i < rig->pattern.period; i++)
		seen[rig->bytes[i]] = true;
	for (size_t i = 0; i < ARRAY_SIZE(seen); i++)
		n += seen[i];
	assert_int_equal(n, 256);
}

/* Or a buffer that came back and was offered again would hold what it held before. */
static void period_when_of_any_chunk_is_an_odd_number_of_chunks(void **state)
{
	const size_t chunks[] = { 1, 2, 16, 1000, 4096, 65536, 1048576 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(chunks); i++) {
		struct load_pattern p;

		assert_int_equal(load_pattern_init(&p, chunks[i]), 0);
		assert_int_equal(p.period % chunks[i], 0);
		assert_int_equal(p.period / chunks[i] % 2, 1);
		assert_memory_equal(p.bytes, p.bytes + p.period, p.period);
		load_pattern_fini(&p);
	}
}

#define RIG_TEST(f) UNIT_TEST_WITH(f, setup, teardown)

static const struct CMUnitTest tests[] = {
	RIG_TEST(match_when_all_is_right_is_all_of_it),
	RIG_TEST(match_when_one_byte_is_wrong_ends_there),
	RIG_TEST(match_when_bytes_were_lost_ends_soon),
	RIG_TEST(match_when_bytes_come_twice_ends_soon),
	RIG_TEST(match_when_a_whole_chunk_is_elsewhere_ends_soon),
	RIG_TEST(match_when_the_bytes_are_zero_ends_soon),
	RIG_TEST(bytes_when_a_period_has_passed_have_had_all_values),
	UNIT_TEST(period_when_of_any_chunk_is_an_odd_number_of_chunks),
};
UNIT_MAIN(tests)
