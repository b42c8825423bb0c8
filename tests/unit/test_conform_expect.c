/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "conform/expect.h"

static const struct case_row header = { .id = "vu/framing/header/01" };

static struct result result_of(enum verdict verdict, const char *reason)
{
	struct result res = { .row = &header, .verdict = verdict };

	snprintf(res.reason, sizeof(res.reason), "%s", reason);
	return res;
}

static int parse(const char *text, struct expect *ret_expect, char error[256])
{
	size_t len = strlen(text);
	FILE *file = tmpfile();
	int err;

	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, len, file), len);
	rewind(file);
	err = expect_parse(ret_expect, file, "known", error);
	fclose(file);
	return err;
}

/* Of a text that is right; expect_free() is due. */
static struct expect expecting(const char *text)
{
	struct expect e;
	char error[256] = "";
	int err = parse(text, &e, error);

	if (err < 0)
		print_error("%s\n", error);
	assert_int_equal(err, 0);
	return e;
}

static void assert_mistake(const char *text, const char *sentence)
{
	struct expect e;
	char error[256] = "";

	assert_int_equal(parse(text, &e, error), -EINVAL);
	assert_string_equal(error, sentence);
}

static void lines_when_right_are_kept_with_their_reasons(void **state)
{
	struct expect e = expecting("# of somebody\n"
				    "\n"
				    "fail vu/framing/header/01 # bug 7 # of 9\n"
				    "  HANG\tvu/framing/*\r\n"
				    "skip vr/*#later");

	(void)state;
	assert_int_equal(e.n_lines, 3);
	assert_int_equal(e.lines[0].verdict, VERDICT_FAIL);
	assert_string_equal(e.lines[0].glob, "vu/framing/header/01");
	assert_string_equal(e.lines[0].why, "bug 7 # of 9");
	assert_int_equal(e.lines[0].number, 3);
	assert_int_equal(e.lines[1].verdict, VERDICT_HANG);
	assert_string_equal(e.lines[1].glob, "vu/framing/*");
	assert_null(e.lines[1].why);
	assert_string_equal(e.lines[2].why, "later");
	assert_int_equal(e.lines[2].number, 5);
	expect_free(&e);
}

static void file_when_empty_expects_nothing(void **state)
{
	struct expect e = expecting("");

	(void)state;
	assert_int_equal(e.n_lines, 0);
	assert_null(expect_find(&e, header.id));
	expect_free(&e);
}

static void mistake_when_made_is_told_with_its_line(void **state)
{
	(void)state;
	assert_mistake("fail vu/*\nfails vu/*\n", "known:2: expected fail, warn, crash, hang, "
						  "error or skip, not fails");
	assert_mistake("pass vu/*\n",
		       "known:1: expected fail, warn, crash, hang, error or skip, not pass");
	assert_mistake("\n\nwarn # vu/*\n", "known:3: expected the id of a case after warn");
	assert_mistake("warn vu/* because\n", "known:1: expected # before because");
	assert_mistake("warn vu/nonsense/*\n", "known:1: no case has an id like vu/nonsense/*");
}

static void mistake_when_it_moves_the_cursor_is_told_plainly(void **state)
{
	(void)state;
	assert_mistake("\033[2Jfail vu/*\n", "known:1: expected fail, warn, crash, hang, error or "
					     "skip, not ?[2jfail");
	assert_mistake("warn vu/\177\a\n", "known:1: no case has an id like vu/??");
}

static void file_when_absent_is_an_error_with_its_name(void **state)
{
	struct expect e;
	char error[256] = "";

	(void)state;
	assert_int_equal(expect_read(&e, "/nonexistent/known", error), -ENOENT);
	assert_string_equal(error, "/nonexistent/known: No such file or directory");
}

static void line_when_two_match_is_the_first(void **state)
{
	struct expect e = expecting("warn vu/framing/header/*\nfail vu/*\n");

	(void)state;
	assert_ptr_equal(expect_find(&e, header.id), &e.lines[0]);
	assert_ptr_equal(expect_find(&e, "vu/state/enable/01"), &e.lines[1]);
	assert_null(expect_find(&e, "vr/life/01"));
	expect_free(&e);
}

static void result_when_as_expected_is_counted_for_its_line(void **state)
{
	struct expect e = expecting("fail vu/framing/*\n");
	struct result failed = result_of(VERDICT_FAIL, ""), passed = result_of(VERDICT_PASS, "");

	(void)state;
	assert_true(expect_judge(&e, &failed));
	assert_true(expect_judge(&e, &failed));
	assert_false(expect_judge(&e, &passed));
	assert_int_equal(e.lines[0].n_hits, 2);
	assert_int_equal(e.lines[0].n_good, 1);
	expect_free(&e);
}

static void result_when_worse_than_expected_is_not_expected(void **state)
{
	struct expect e = expecting("fail vu/framing/*\n");
	struct result crashed = result_of(VERDICT_CRASH, "");

	(void)state;
	assert_false(expect_judge(&e, &crashed));
	assert_int_equal(e.lines[0].n_hits, 0);
	assert_int_equal(e.lines[0].n_good, 0);
	expect_free(&e);
}

static void result_when_no_line_matches_is_not_expected(void **state)
{
	struct expect e = expecting("fail vr/*\n");
	struct result failed = result_of(VERDICT_FAIL, "");

	(void)state;
	assert_false(expect_judge(&e, &failed));
	expect_free(&e);
}

/* What is written for a result, or "" if nothing is. */
static const char *written(enum verdict verdict, const char *reason)
{
	static char text[1024];
	struct result res = result_of(verdict, reason);
	FILE *file = fmemopen(text, sizeof(text), "w");
	bool wrote;

	assert_non_null(file);
	text[0] = '\0';
	wrote = expect_write_line(file, &res);
	fclose(file);
	assert_int_equal(wrote, text[0] != '\0');
	return text;
}

static void line_when_written_is_read_again(void **state)
{
	struct expect e = expecting(written(VERDICT_FAIL, "a refusal,\nbut it went on # so"));
	struct result failed = result_of(VERDICT_FAIL, "");

	(void)state;
	assert_int_equal(e.n_lines, 1);
	assert_string_equal(e.lines[0].why, "a refusal, but it went on # so");
	assert_true(expect_judge(&e, &failed));
	expect_free(&e);
}

static void line_when_all_is_well_is_not_written(void **state)
{
	(void)state;
	assert_string_equal(written(VERDICT_PASS, ""), "");
	assert_string_equal(written(VERDICT_NA, "not offered"), "");
	assert_string_equal(written(VERDICT_SKIP, "not given"), "");
	assert_string_equal(written(VERDICT_HANG, ""), "hang vu/framing/header/01\n");
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(lines_when_right_are_kept_with_their_reasons),
	UNIT_TEST(file_when_empty_expects_nothing),
	UNIT_TEST(mistake_when_made_is_told_with_its_line),
	UNIT_TEST(mistake_when_it_moves_the_cursor_is_told_plainly),
	UNIT_TEST(file_when_absent_is_an_error_with_its_name),
	UNIT_TEST(line_when_two_match_is_the_first),
	UNIT_TEST(result_when_as_expected_is_counted_for_its_line),
	UNIT_TEST(result_when_worse_than_expected_is_not_expected),
	UNIT_TEST(result_when_no_line_matches_is_not_expected),
	UNIT_TEST(line_when_written_is_read_again),
	UNIT_TEST(line_when_all_is_well_is_not_written),
};

UNIT_MAIN(tests)
