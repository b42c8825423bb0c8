/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "unit.h"

#include <stdio.h>
#include <string.h>

#include "conform/report/report-keys.h"
#include "conform/report/report.h"
#include "conform/runner.h"
#include "encode.h"

static const struct case_row enable = {
	.id = "vu/ring/enable/01",
	.clauses = "VU-105 VU-102",
	.title = "A ring that is not enabled is left alone",
	.why = "The guest's memory is used too early",
	.bug = "vhost #34: <index> & \"more\"",
};

static const struct case_row size = {
	.id = "vu/config/size/02",
	.clauses = "VU-21",
	.title = "Config # of size \\ one",
	.why = "It hangs",
};

/* Holds what formats must not take over as it stands. */
static char hostile[] = "first <&>\"'\\ \x1b[31m \xff\xc0\x80 \xed\xa0\x80 ok \xc3\xa4\n  second";

static struct result result_of(const struct case_row *row, enum verdict verdict, const char *reason)
{
	struct result res = { .row = row, .verdict = verdict, .ns = 1500000 };

	snprintf(res.reason, sizeof(res.reason), "%s", reason);
	return res;
}

static struct summary summary_of(int exit_status)
{
	return (struct summary){
		.n_results = 3,
		.n_verdicts = { [VERDICT_PASS] = 2, [VERDICT_FAIL] = 1 },
		.coverage = { .n_total = 452,
			      .n_unseen = 9,
			      .n_applicable = 400,
			      .n_exercised = 390 },
		.ns = 2500000000,
		.exit_status = exit_status,
	};
}

static struct report_run run_of(size_t n_cases)
{
	return (struct report_run){
		.target = "--socket /tmp/s",
		.name = "toy 1.0",
		.n_cases = n_cases,
		.version = "9.9",
	};
}

/* The whole report on these results; the caller frees it. */
static char *reported_by(enum report_format format, const struct report_run *run,
			 const struct result *results, size_t n, bool color)
{
	const struct summary summary = summary_of(1);
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	struct report *r = report_open(format, out, color);

	assert_non_null(r);
	report_begin(r, run);
	for (size_t i = 0; i < n; i++)
		report_result(r, &results[i]);
	report_end(r, &summary);
	assert_int_equal(report_close(r), 0);
	assert_int_equal(fclose(out), 0);
	return text;
}

static char *reported(enum report_format format, const struct result *results, size_t n)
{
	const struct report_run run = run_of(n);

	return reported_by(format, &run, results, n, false);
}

static void assert_says(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("expected %s in:\n%s", part, text);
}

static void assert_silent(const char *text, const char *part)
{
	if (strstr(text, part))
		fail_msg("expected no %s in:\n%s", part, text);
}

/* Nothing but printable UTF-8, tabs and newlines. */
static void assert_clean(const char *text)
{
	const char *p = text;
	uint32_t c;

	while ((c = encode_next_char(&p)) != 0)
		if ((c < 0x20 && c != '\n' && c != '\t') || (c >= 0x7f && c < 0xa0))
			fail_msg("a control character, 0x%x, in:\n%s", (unsigned int)c, text);
}

/* Text. */

static void next_char_when_bytes_are_no_utf8_is_the_replacement(void **state)
{
	static const struct {
		const char *text;
		uint32_t first;
	} rows[] = {
		{ "a", 'a' },
		{ "\xc3\xa4", 0xe4 },
		{ "\xe2\x82\xac", 0x20ac },
		{ "\xf0\x9f\x98\x80", 0x1f600 },
		{ "\x80", 0xfffd },	    /* no beginning */
		{ "\xc0\x80", 0xfffd },	    /* longer than needed */
		{ "\xed\xa0\x80", 0xfffd }, /* half of a pair */
		{ "\xf4\x90\x80\x80", 0xfffd },
		{ "\xe2\x82", 0xfffd }, /* cut off */
		{ "\xef\xbf\xbf", 0xfffd },
		{ "\xff", 0xfffd },
		{ "", 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const char *p = rows[i].text;

		assert_int_equal(encode_next_char(&p), rows[i].first);
	}
}

/* People. */

static void human_when_a_case_fails_says_what_is_needed(void **state)
{
	struct result res = result_of(&enable, VERDICT_FAIL, "a request came back");
	char *text;

	(void)state;
	res.details = hostile;
	res.replay_file = hostile;
	text = reported(REPORT_HUMAN, &res, 1);
	assert_says(text, "vu/ring\n  fail  vu/ring/enable/01: A ring that is");
	assert_says(text, "a request came back\n");
	assert_says(text, "VU-105 (");
	assert_says(text, "VU-102 (");
	assert_says(text, "why: The guest's memory");
	assert_says(text, "known bug: vhost #34");
	assert_says(text, "vhu-conform --socket /tmp/s --select vu/ring/enable/01\n");
	assert_says(text, "vhu-conform replay ");
	assert_says(text, "          second\n");
	assert_says(text, "390 exercised of 400 applicable of 452");
	assert_says(text, "exit status 1: something that must hold does not");
	assert_clean(text);
	free(text);
}

static void human_when_cases_pass_or_do_not_apply_tells_of_none(void **state)
{
	const struct result results[] = {
		result_of(&enable, VERDICT_PASS, ""),
		result_of(&size, VERDICT_NA, "CONFIG is not offered"),
	};
	char *text = reported(REPORT_HUMAN, results, 2);

	(void)state;
	assert_silent(text, "vu/ring");
	assert_silent(text, "CONFIG");
	free(text);
}

static void human_when_verbose_tells_of_all(void **state)
{
	const struct result results[] = {
		result_of(&enable, VERDICT_PASS, ""),
		result_of(&size, VERDICT_NA, "CONFIG is not offered"),
	};
	struct report_run run = run_of(2);
	char *text;

	(void)state;
	run.verbose = true;
	text = reported_by(REPORT_HUMAN, &run, results, 2, false);
	assert_says(text, "  pass  vu/ring/enable/01");
	assert_says(text, "  n/a   vu/config/size/02");
	assert_says(text, "CONFIG is not offered");
	free(text);
}

static void human_when_there_is_one_of_a_kind_says_so(void **state)
{
	const struct report_run run = run_of(1);
	const struct summary summary = { .n_results = 1, .n_hostile = 1, .n_now_good = 1 };
	struct result res = result_of(&enable, VERDICT_PASS, "");
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	struct report *r = report_open(REPORT_HUMAN, out, false);

	(void)state;
	assert_non_null(r);
	snprintf(res.remark, sizeof(res.remark), "odd");
	report_begin(r, &run);
	report_result(r, &res);
	report_end(r, &summary);
	assert_int_equal(report_close(r), 0);
	assert_int_equal(fclose(out), 0);
	assert_says(text, "9.9: 1 case against");
	assert_says(text, "\n1 case in ");
	assert_says(text, "\n1 case passes that --expect lists as a failure\n");
	assert_says(text, "\n1 hostile case was left out; --hostile runs it\n");
	assert_says(text, "\n1 remark on cases that passed; --verbose shows it\n");
	free(text);
}

static void human_when_cases_are_skipped_counts_their_reasons(void **state)
{
	const struct result results[] = {
		result_of(&enable, VERDICT_SKIP, "--peer was not given"),
		result_of(&size, VERDICT_SKIP, "--peer was not given"),
	};
	char *text = reported(REPORT_HUMAN, results, 2);

	(void)state;
	assert_says(text, "skipped 2: --peer was not given\n");
	free(text);
}

static void human_when_a_failure_is_expected_is_short(void **state)
{
	struct result res = result_of(&enable, VERDICT_FAIL, "a request came back");
	char *text;

	(void)state;
	res.expected = true;
	text = reported(REPORT_HUMAN, &res, 1);
	assert_says(text, "[expected]");
	assert_silent(text, "known bug");
	free(text);
}

static void human_when_an_expected_failure_passes_is_told(void **state)
{
	struct result res = result_of(&enable, VERDICT_PASS, "");
	char *text;

	(void)state;
	res.expected = true;
	text = reported(REPORT_HUMAN, &res, 1);
	assert_says(text, "pass  vu/ring/enable/01");
	assert_says(text, "[--expect says otherwise]");
	free(text);
}

static void human_when_color_is_wanted_has_escapes_and_else_none(void **state)
{
	const struct result res = result_of(&enable, VERDICT_FAIL, "no");
	const struct report_run run = run_of(1);
	char *plain = reported_by(REPORT_HUMAN, &run, &res, 1, false);
	char *colored = reported_by(REPORT_HUMAN, &run, &res, 1, true);

	(void)state;
	assert_silent(plain, "\033");
	assert_says(colored, "\033[31m  fail \033[0m vu/ring");
	free(plain);
	free(colored);
}

/* TAP. */

static void tap_when_verdicts_differ_has_the_words_for_them(void **state)
{
	struct result results[] = {
		result_of(&enable, VERDICT_PASS, ""),
		result_of(&enable, VERDICT_FAIL, "bad"),
		result_of(&enable, VERDICT_WARN, "not so good"),
		result_of(&enable, VERDICT_NA, "not # offered"),
		result_of(&enable, VERDICT_CRASH, "signal 11"),
		result_of(&size, VERDICT_FAIL, "bad"),
	};
	char *text;

	(void)state;
	results[5].expected = true;
	text = reported(REPORT_TAP, results, ARRAY_SIZE(results));
	assert_int_equal(strncmp(text, "TAP version 14\n", 15), 0);
	assert_says(text,
		    "\nok 1 - vu/ring/enable/01 A ring that is not enabled is left alone\nnot");
	assert_says(text, "\nnot ok 2 - ");
	assert_says(text, "\nok 3 - ");
	assert_says(text, "  verdict: \"warn\"\n");
	assert_says(text, "# SKIP not \\# offered\n");
	assert_says(text, "\nnot ok 5 - ");
	assert_says(text, "not ok 6 - vu/config/size/02 Config \\# of size \\\\ one # TODO ");
	assert_says(text, "\n1..6\n");
	free(text);
}

static void tap_when_text_is_hostile_stays_in_its_block(void **state)
{
	struct result res = result_of(&enable, VERDICT_FAIL, hostile);
	char *text;

	(void)state;
	res.details = hostile;
	text = reported(REPORT_TAP, &res, 1);
	assert_says(text, "  message: \"first <&>\\\"'\\\\ \\u001b[31m ");
	assert_says(text, "  details: |\n    first");
	assert_says(text, "\n      second\n  ...\n1..1\n");
	assert_clean(text);
	free(text);
}

static void tap_when_nothing_ran_skips_all(void **state)
{
	char *text = reported(REPORT_TAP, NULL, 0);

	(void)state;
	assert_says(text, "\n1..0 # SKIP ");
	free(text);
}

/* JUnit. */

static void junit_when_cases_are_of_two_areas_has_two_suites(void **state)
{
	const struct result results[] = {
		result_of(&enable, VERDICT_FAIL, "bad"),
		result_of(&size, VERDICT_HANG, "no answer"),
		result_of(&enable, VERDICT_NA, "not offered"),
	};
	char *text = reported(REPORT_JUNIT, results, 3);

	(void)state;
	assert_says(text,
		    "<testsuites name=\"vhu-conform\" tests=\"3\" failures=\"1\" errors=\"1\" "
		    "skipped=\"1\" time=\"2.500000\">");
	assert_says(text, "<testsuite name=\"vu/ring\" tests=\"2\" failures=\"1\" errors=\"0\" "
			  "skipped=\"1\" time=\"0.003000\">");
	assert_says(text, "<testcase classname=\"vu/config\" name=\"vu/config/size/02\" "
			  "time=\"0.001500\">");
	assert_says(text, "<failure message=\"bad\" type=\"fail\">");
	assert_says(text, "<error message=\"no answer\" type=\"hang\">");
	assert_says(text, "<skipped message=\"not offered\"/>");
	free(text);
}

static void junit_when_text_is_hostile_is_escaped(void **state)
{
	struct result res = result_of(&enable, VERDICT_FAIL, hostile);
	char *text;

	(void)state;
	res.details = hostile;
	text = reported(REPORT_JUNIT, &res, 1);
	assert_says(text, "message=\"first &lt;&amp;&gt;&quot;'\\ ");
	assert_says(text, "known bug: vhost #34: &lt;index&gt; &amp; &quot;more&quot;\n");
	assert_says(text, "\xc3\xa4");
	assert_clean(text);
	free(text);
}

/* JSON Lines. */

static void jsonl_when_a_run_ends_has_a_line_for_each(void **state)
{
	struct result res = result_of(&enable, VERDICT_FAIL, "bad");
	char *text;

	(void)state;
	text = reported(REPORT_JSONL, &res, 1);
	assert_int_equal(strncmp(text, "{\"type\":\"run\",\"schema\":1,", 25), 0);
	assert_says(text, "\"name\":\"toy 1.0\"");
	assert_says(text, "\n{\"type\":\"result\",\"id\":\"vu/ring/enable/01\",");
	assert_says(text, "\"clauses\":[{\"id\":\"VU-105\",\"level\":\"");
	assert_says(text, "\"verdict\":\"fail\",\"expected\":false,\"reason\":\"bad\",");
	assert_says(text, "\"remark\":null");
	assert_says(text, "\"ms\":1.5,");
	assert_says(text, "\n{\"type\":\"summary\",\"verdicts\":{\"pass\":2,\"fail\":1,");
	assert_says(text, "\"clauses_exercised\":390,");
	assert_says(text, "\"exit_status\":1,\"error\":null}\n");
	free(text);
}

static void jsonl_when_text_is_hostile_is_escaped(void **state)
{
	struct result res = result_of(&enable, VERDICT_FAIL, hostile);
	char *text;

	(void)state;
	res.details = hostile;
	text = reported(REPORT_JSONL, &res, 1);
	assert_says(text, "\"reason\":\"first <&>\\\"'\\\\ \\u001b[31m \xef\xbf\xbd");
	assert_says(text, "\xc3\xa4\\n  second\"");
	assert_clean(text);
	free(text);
}

static void man_when_printed_has_every_key(void **state)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	report_man_keys(out);
	fclose(out);
	assert_says(text, ".B clauses_exercised\n");
	assert_says(text, ".B verdict\n");
	free(text);
}

static void verdict_when_named_is_found_again(void **state)
{
	enum verdict verdict;

	(void)state;
	for (unsigned int i = 0; i < VERDICT_N; i++) {
		assert_true(verdict_find(verdict_name((enum verdict)i), &verdict));
		assert_int_equal(verdict, i);
	}
	assert_false(verdict_find("good", &verdict));
}

static void close_when_the_file_cannot_be_written_says_so(void **state)
{
	const struct result res = result_of(&enable, VERDICT_FAIL, "bad");
	const struct report_run run = run_of(1);
	FILE *out = fopen("/dev/full", "we");
	struct report *r = report_open(REPORT_TAP, out, false);

	(void)state;
	assert_non_null(r);
	report_begin(r, &run);
	report_result(r, &res);
	assert_true(report_close(r) < 0);
	fclose(out);
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(next_char_when_bytes_are_no_utf8_is_the_replacement),
	UNIT_TEST(human_when_a_case_fails_says_what_is_needed),
	UNIT_TEST(human_when_cases_pass_or_do_not_apply_tells_of_none),
	UNIT_TEST(human_when_verbose_tells_of_all),
	UNIT_TEST(human_when_there_is_one_of_a_kind_says_so),
	UNIT_TEST(human_when_cases_are_skipped_counts_their_reasons),
	UNIT_TEST(human_when_a_failure_is_expected_is_short),
	UNIT_TEST(human_when_an_expected_failure_passes_is_told),
	UNIT_TEST(human_when_color_is_wanted_has_escapes_and_else_none),
	UNIT_TEST(tap_when_verdicts_differ_has_the_words_for_them),
	UNIT_TEST(tap_when_text_is_hostile_stays_in_its_block),
	UNIT_TEST(tap_when_nothing_ran_skips_all),
	UNIT_TEST(junit_when_cases_are_of_two_areas_has_two_suites),
	UNIT_TEST(junit_when_text_is_hostile_is_escaped),
	UNIT_TEST(jsonl_when_a_run_ends_has_a_line_for_each),
	UNIT_TEST(jsonl_when_text_is_hostile_is_escaped),
	UNIT_TEST(man_when_printed_has_every_key),
	UNIT_TEST(verdict_when_named_is_found_again),
	UNIT_TEST(close_when_the_file_cannot_be_written_says_so),
};

UNIT_MAIN(tests)
