/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "backends/log-text.h"
#include "unit.h"

#include <string.h>

#define AT_MS (UINT64_C(1732195777) * 1000 + 42)
#define AT_TEXT "2024-11-21T13:29:37.042Z"

static void output_is(struct log_text *t, const char *in, const char *expected)
{
	char out[512];
	size_t len;

	assert_int_equal(log_text_output(t, AT_MS, in, strlen(in), out, sizeof(out), &len),
			 strlen(in));
	assert_int_equal(len, strlen(expected));
	assert_memory_equal(out, expected, len);
}

static void line_is(struct log_text *t, const char *text, const char *expected)
{
	char out[LOG_TEXT_LINE_MAX];

	assert_int_equal(log_text_line(t, AT_MS, text, out), strlen(expected));
	assert_memory_equal(out, expected, strlen(expected));
}

static void input_is(struct log_text *t, const char *typed, const char *expected)
{
	char out[LOG_TEXT_LINE_MAX];

	assert_int_equal(log_text_input(t, AT_MS, typed, strlen(typed), out), strlen(expected));
	assert_memory_equal(out, expected, strlen(expected));
}

static void time_is_rfc_3339_in_utc_with_milliseconds(void **state)
{
	char text[LOG_TEXT_TIME_MAX];

	(void)state;
	assert_int_equal(log_text_time(AT_MS, text), 24);
	assert_string_equal(text, AT_TEXT);
	assert_int_equal(log_text_time(0, text), 24);
	assert_string_equal(text, "1970-01-01T00:00:00.000Z");
}

static void output_without_more_is_as_it_came(void **state)
{
	struct log_text t = { 0 };

	(void)state;
	output_is(&t, "one\r\n\ntwo\33[m", "one\r\n\ntwo\33[m");
	assert_true(t.inside_line);
	output_is(&t, "\n", "\n");
	assert_false(t.inside_line);
}

static void each_line_has_the_time_at_which_it_began(void **state)
{
	struct log_text t = { .timestamps = true };

	(void)state;
	output_is(&t, "a\nb", AT_TEXT " a\n" AT_TEXT " b");
	output_is(&t, "c\n", "c\n");
	output_is(&t, "\n", AT_TEXT " \n");
}

static void marks_tell_output_input_and_our_lines_apart(void **state)
{
	struct log_text t = { .marks = true };

	(void)state;
	output_is(&t, "> not typed\n", "< > not typed\n");
	input_is(&t, "ls", "> ls\n");
	line_is(&t, "--- ours ---", "--- ours ---\n");
}

static void line_of_ours_ends_the_one_under_way(void **state)
{
	struct log_text t = { .marks = true };

	(void)state;
	output_is(&t, "login: ", "< login: ");
	input_is(&t, "root", "\n> root\n");
	output_is(&t, "root\r\n", "< root\r\n");
	output_is(&t, "half", "< half");
	line_is(&t, "[5 bytes lost]", "\n[5 bytes lost]\n");
}

static void input_shows_control_characters_as_hex(void **state)
{
	struct log_text t = { .timestamps = true };

	(void)state;
	input_is(&t, "a\33[A\\\303\244\177", AT_TEXT " > a\\x1b[A\\x5c\\xc3\\xa4\\x7f\n");
}

static void longest_input_fits_its_room(void **state)
{
	struct log_text t = { .timestamps = true, .inside_line = true };
	char typed[LOG_TEXT_TYPED_MAX + 1] = { 0 };
	char out[LOG_TEXT_LINE_MAX];

	(void)state;
	memset(typed, 7, LOG_TEXT_TYPED_MAX);
	assert_int_equal(log_text_input(&t, AT_MS, typed, LOG_TEXT_TYPED_MAX, out),
			 1 + 25 + 2 + 4 * LOG_TEXT_TYPED_MAX + 1);
}

/* However little room there is each time, the text is the same and fits. */
static void output_in_small_rooms_is_the_same(void **state)
{
	static const char in[] = "one\n\n\ntwo, which is a longer line than there is room for\nx";
	struct log_text whole = { .timestamps = true }, t;
	char expected[512], got[512], small[512];
	size_t n_expected, used, n_got, len;

	(void)state;
	log_text_output(&whole, AT_MS, in, sizeof(in) - 1, expected, sizeof(expected), &n_expected);
	for (size_t cap = LOG_TEXT_OUTPUT_MIN; cap < 100; cap++) {
		t = (struct log_text){ .timestamps = true };
		n_got = 0;
		for (size_t at = 0; at < sizeof(in) - 1; at += used) {
			used = log_text_output(&t, AT_MS, in + at, sizeof(in) - 1 - at, small, cap,
					       &len);
			assert_true(used > 0);
			assert_true(len <= cap);
			memcpy(got + n_got, small, len);
			n_got += len;
		}
		assert_int_equal(n_got, n_expected);
		assert_memory_equal(got, expected, n_got);
	}
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(time_is_rfc_3339_in_utc_with_milliseconds),
	UNIT_TEST(output_without_more_is_as_it_came),
	UNIT_TEST(each_line_has_the_time_at_which_it_began),
	UNIT_TEST(marks_tell_output_input_and_our_lines_apart),
	UNIT_TEST(line_of_ours_ends_the_one_under_way),
	UNIT_TEST(input_shows_control_characters_as_hex),
	UNIT_TEST(longest_input_fits_its_room),
	UNIT_TEST(output_in_small_rooms_is_the_same),
};
UNIT_MAIN(tests)
