/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <string.h>

#include "backends/escape.h"
#include "unit.h"

/* Types text in one read and checks what the guest gets of it. */
static void types(struct escape *e, const char *text, const char *expected, bool leaves)
{
	char out[256 + ESCAPE_MAX];
	bool leave = !leaves;
	size_t n = escape_filter(e, text, strlen(text), out, &leave);

	assert_int_equal(n, strlen(expected));
	assert_memory_equal(out, expected, n);
	assert_int_equal(leave, leaves);
}

static void keys_at_start_of_session_leave(void **state)
{
	struct escape e;

	(void)state;
	assert_int_equal(escape_init(&e, "~."), 0);
	types(&e, "~.", "", true);
}

static void keys_after_newline_one_by_one_leave(void **state)
{
	struct escape e;

	(void)state;
	escape_init(&e, "~.");
	types(&e, "ls", "ls", false);
	types(&e, "\r", "\r", false);
	types(&e, "~", "", false);
	types(&e, ".", "", true);
}

static void keys_inside_a_line_go_to_the_guest(void **state)
{
	struct escape e;

	(void)state;
	escape_init(&e, "~.");
	types(&e, "cd ~.", "cd ~.", false);
}

static void held_key_followed_by_another_is_given_back(void **state)
{
	struct escape e;

	(void)state;
	escape_init(&e, "~.");
	types(&e, "\r~", "\r", false);
	types(&e, "a", "~a", false);
	types(&e, "~.", "~.", false);
}

static void pasted_keys_go_to_the_guest(void **state)
{
	struct escape e;
	const char *paste = "a longer text\r~.\r~.\r";

	(void)state;
	escape_init(&e, "~.");
	assert_true(strlen(paste) > ESCAPE_TYPED_MAX);
	types(&e, paste, paste, false);
}

static void held_key_before_a_paste_is_not_lost(void **state)
{
	struct escape e;

	(void)state;
	escape_init(&e, "~.");
	types(&e, "~", "", false);
	types(&e, ".bashrc and so on, at length", "~.bashrc and so on, at length", false);
}

/* A shell that asks for the cursor at each prompt gets an answer as if typed. */
static void keys_after_a_terminals_answer_leave(void **state)
{
	struct escape e;

	(void)state;
	escape_init(&e, "~.");
	types(&e, "ls\r", "ls\r", false);
	types(&e, "\33[12", "\33[12", false);
	types(&e, ";40R", ";40R", false);
	types(&e, "~.", "", true);
}

static void escape_key_alone_ends_the_start_of_line(void **state)
{
	struct escape e;

	(void)state;
	escape_init(&e, "~.");
	types(&e, "\r\33x", "\r\33x", false);
	types(&e, "~.", "~.", false);
}

static void control_key_anywhere_leaves(void **state)
{
	struct escape e;

	(void)state;
	assert_int_equal(escape_init(&e, "^]q"), 0);
	types(&e, "abc\35", "abc", false);
	types(&e, "x", "\35x", false);
	types(&e, "\35q", "", true);
}

static void none_never_leaves(void **state)
{
	struct escape e;

	(void)state;
	assert_int_equal(escape_init(&e, "none"), 0);
	types(&e, "\r~.", "\r~.", false);
}

static void keys_too_many_or_none_at_all_are_refused(void **state)
{
	struct escape e;

	(void)state;
	assert_int_equal(escape_init(&e, ""), -EINVAL);
	assert_int_equal(escape_init(&e, "12345678901234567"), -EINVAL);
	assert_int_equal(escape_init(&e, "1234567890123456"), 0);
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(keys_at_start_of_session_leave),
	UNIT_TEST(keys_after_newline_one_by_one_leave),
	UNIT_TEST(keys_inside_a_line_go_to_the_guest),
	UNIT_TEST(held_key_followed_by_another_is_given_back),
	UNIT_TEST(pasted_keys_go_to_the_guest),
	UNIT_TEST(held_key_before_a_paste_is_not_lost),
	UNIT_TEST(keys_after_a_terminals_answer_leave),
	UNIT_TEST(escape_key_alone_ends_the_start_of_line),
	UNIT_TEST(control_key_anywhere_leaves),
	UNIT_TEST(none_never_leaves),
	UNIT_TEST(keys_too_many_or_none_at_all_are_refused),
};

UNIT_MAIN(tests)
