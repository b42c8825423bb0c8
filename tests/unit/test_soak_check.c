/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The soak test's judgement of streams: what it must let pass, and what it must find. */
#include "unit.h"

#include "../soak/check.h"

#include <string.h>

static const struct pattern binary = { .salt = 77 }, text = { .salt = 78, .text = true };
static struct check_gaps gaps;
static struct check check;

static void begin(enum check_kind kind, struct pattern pattern)
{
	gaps = (struct check_gaps){ .n = 0 };
	check_init(&check, kind, pattern, &gaps);
}

static bool feed(uint64_t pos, size_t len)
{
	uint8_t bytes[4096];

	assert_true(len <= sizeof(bytes));
	pattern_fill(&check.pattern, pos, bytes, len);
	return check_feed(&check, bytes, len);
}

static bool say(const char *line)
{
	return check_feed(&check, (const uint8_t *)line, strlen(line));
}

static void position_of_any_bytes_is_told(void **state)
{
	uint8_t bytes[PATTERN_LOCATE];
	uint64_t pos;

	(void)state;
	for (uint64_t at = 0; at < 5000; at += 7) {
		pattern_fill(&text, at, bytes, sizeof(bytes));
		assert_true(pattern_locate(&text, bytes, sizeof(bytes), &pos) && pos == at);
		assert_false(pattern_locate(&binary, bytes, sizeof(bytes), &pos));
		pattern_fill(&binary, at << 20, bytes, sizeof(bytes));
		assert_true(pattern_locate(&binary, bytes, sizeof(bytes), &pos));
		assert_int_equal(pos, at << 20);
		bytes[11] ^= 1;
		assert_false(pattern_locate(&binary, bytes, sizeof(bytes), &pos));
	}
}

static void bytes_in_order_pass(void **state)
{
	(void)state;
	begin(CHECK_EXACT, binary);
	for (uint64_t pos = 0; pos < 3000; pos += 3)
		assert_true(feed(pos, 3));
	assert_true(check_end(&check));
	assert_int_equal(check_position(&check), 3000);
	assert_int_equal(check.n_bytes, 3000);
}

static void byte_that_is_lost_is_found_and_its_place_said(void **state)
{
	(void)state;
	begin(CHECK_EXACT, binary);
	assert_true(feed(0, 1000));
	assert_false(feed(1001, 100));
	assert_non_null(strstr(check.error, "byte 1000 "));
	assert_non_null(strstr(check.error, "from byte 1001 on"));
}

static void bytes_that_come_twice_are_found(void **state)
{
	(void)state;
	begin(CHECK_EXACT, binary);
	assert_true(feed(0, 1000));
	assert_false(feed(900, 100));
}

static void byte_of_another_stream_is_found(void **state)
{
	uint8_t byte;

	(void)state;
	begin(CHECK_EXACT, binary);
	assert_true(feed(0, 10));
	byte = (uint8_t)(pattern_byte(&binary, 10) + 1);
	assert_false(check_feed(&check, &byte, 1));
}

/* Of a guest that was killed, from where it was surely heard to all it had said. */
static void gap_that_was_noted_may_be_entered_anywhere(void **state)
{
	(void)state;
	for (uint64_t at = 1000; at <= 1100; at++) {
		begin(CHECK_EXACT, binary);
		assert_true(feed(0, (size_t)at));
		check_gap_note(&gaps, 1000, 1100);
		for (uint64_t pos = 1100; pos < 1200; pos += 10)
			assert_true(feed(pos, 10));
		assert_true(check_end(&check));
		assert_int_equal(check_position(&check), 1200);
		assert_int_equal(check.n_bytes, at + 100);
	}
}

static void gap_cannot_be_entered_before_it_begins(void **state)
{
	(void)state;
	begin(CHECK_EXACT, binary);
	assert_true(feed(0, 999));
	check_gap_note(&gaps, 1000, 1100);
	assert_false(feed(1100, 100));
}

static void gap_cannot_be_left_before_its_end(void **state)
{
	(void)state;
	begin(CHECK_EXACT, binary);
	assert_true(feed(0, 1050));
	check_gap_note(&gaps, 1000, 1100);
	assert_false(feed(1090, 100));
}

static void gaps_with_hardly_a_byte_between_them_pass(void **state)
{
	(void)state;
	begin(CHECK_EXACT, binary);
	assert_true(feed(0, 100));
	for (uint64_t i = 1; i <= 5; i++)
		check_gap_note(&gaps, 100 * i, 100 * i + 97);
	for (uint64_t i = 1; i <= 5; i++)
		assert_true(feed(100 * i + 97, 3));
	assert_true(feed(600, 100));
	assert_true(check_end(&check));
	assert_int_equal(check_position(&check), 700);
}

static void stretch_that_begins_within_bounds_passes(void **state)
{
	(void)state;
	begin(CHECK_EXACT, binary);
	check_begin(&check, 500, 600);
	assert_true(feed(600, 3));
	assert_true(feed(603, 300));
	assert_int_equal(check_position(&check), 903);
	assert_int_equal(check.n_unplaced, 0);
}

static void stretch_that_begins_beyond_its_bounds_is_found(void **state)
{
	(void)state;
	begin(CHECK_EXACT, binary);
	check_begin(&check, 500, 600);
	assert_false(feed(601, 300));
	check_begin(&check, 500, 600);
	assert_false(feed(400, 50) && feed(450, 49));
}

static void loss_that_is_told_passes_if_it_is_as_long(void **state)
{
	(void)state;
	begin(CHECK_MARKED, text);
	assert_true(feed(0, 1000));
	assert_true(say("\r\n[23"));
	assert_true(say("4 bytes of output lost here]\r\n"));
	assert_true(feed(1234, 1000));
	assert_int_equal(check.n_told, 234);
	assert_true(say("\r\n[the keyboard is yours now]\r\n"));
	assert_true(feed(2234, 10));
}

static void loss_that_is_told_wrong_is_found(void **state)
{
	(void)state;
	begin(CHECK_MARKED, text);
	assert_true(feed(0, 1000));
	assert_true(say("\r\n[233 bytes of output lost here]\r\n"));
	assert_false(feed(1234, 1000));
}

static void loss_that_is_not_told_is_found_where_it_must_be(void **state)
{
	(void)state;
	begin(CHECK_MARKED, text);
	assert_true(feed(0, 1000));
	assert_false(feed(1234, 1000));
}

static void loss_passes_where_any_may_be_lost(void **state)
{
	(void)state;
	begin(CHECK_FREE, binary);
	assert_true(feed(0, 1000));
	assert_true(feed(5000, 1000));
	assert_true(feed(9000, 1000));
	assert_true(check_end(&check));
	assert_int_equal(check_position(&check), 10000);
	assert_int_equal(check.n_bytes, 3000);
}

static void bytes_that_come_again_are_found_where_any_may_be_lost(void **state)
{
	(void)state;
	begin(CHECK_FREE, binary);
	assert_true(feed(0, 1000));
	assert_false(feed(500, 1000));
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(position_of_any_bytes_is_told),
	UNIT_TEST(bytes_in_order_pass),
	UNIT_TEST(byte_that_is_lost_is_found_and_its_place_said),
	UNIT_TEST(bytes_that_come_twice_are_found),
	UNIT_TEST(byte_of_another_stream_is_found),
	UNIT_TEST(gap_that_was_noted_may_be_entered_anywhere),
	UNIT_TEST(gap_cannot_be_entered_before_it_begins),
	UNIT_TEST(gap_cannot_be_left_before_its_end),
	UNIT_TEST(gaps_with_hardly_a_byte_between_them_pass),
	UNIT_TEST(stretch_that_begins_within_bounds_passes),
	UNIT_TEST(stretch_that_begins_beyond_its_bounds_is_found),
	UNIT_TEST(loss_that_is_told_passes_if_it_is_as_long),
	UNIT_TEST(loss_that_is_told_wrong_is_found),
	UNIT_TEST(loss_that_is_not_told_is_found_where_it_must_be),
	UNIT_TEST(loss_passes_where_any_may_be_lost),
	UNIT_TEST(bytes_that_come_again_are_found_where_any_may_be_lost),
};
UNIT_MAIN(tests)
