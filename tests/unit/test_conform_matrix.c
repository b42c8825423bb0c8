/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "unit.h"

#include <stdio.h>
#include <string.h>

#include "conform/report/matrix.h"

#define RUN(name) "{\"type\":\"run\",\"schema\":1,\"version\":\"9\",\"name\":\"" name "\"}\n"
#define RESULT(id, verdict, reason)                                                                \
	"{\"type\":\"result\",\"id\":\"" id "\",\"title\":\"title of " id                          \
	" | <b>\",\"clauses\":[{\"id\":\"VU-105\",\"level\":\"MUST\"},{\"id\":\"VU-102\","         \
	"\"level\":\"MAY\"}],\"verdict\":\"" verdict "\",\"reason\":" reason "}\n"
#define SUMMARY "{\"type\":\"summary\",\"clauses_applicable\":401,\"clauses_exercised\":390}\n"

/* Reports of two back-ends and a file of notes, in a folder of their own. */
struct rig {
	char *dir, paths[3][96];
	const char *files[2];
	struct matrix_options options;
};

static void write_file(const char *path, const char *text)
{
	FILE *out = fopen(path, "we");

	assert_non_null(out);
	assert_true(fputs(text, out) >= 0);
	assert_int_equal(fclose(out), 0);
}

static struct rig *rig_new(const char *one, const char *two)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	assert_non_null(rig);
	rig->dir = strdup("/tmp/test_conform_matrix.XXXXXX");
	assert_non_null(rig->dir);
	assert_non_null(mkdtemp(rig->dir));
	for (int i = 0; i < 3; i++)
		snprintf(rig->paths[i], sizeof(rig->paths[i]), "%s/%d", rig->dir, i);
	write_file(rig->paths[0], one);
	write_file(rig->paths[1], two);
	rig->files[0] = rig->paths[0];
	rig->files[1] = rig->paths[1];
	rig->options = (struct matrix_options){ .files = rig->files, .n_files = 2 };
	return rig;
}

static struct rig *rig_usual(void)
{
	return rig_new(RUN("toy 1") RESULT("vu/ring/a/01", "fail", "\"it | came\"")
			       RESULT("vu/config/b/01", "pass", "null") SUMMARY,
		       RUN("box <2>") RESULT("vu/config/b/01", "n/a", "\"no CONFIG\"")
			       RESULT("vu/ring/a/01", "pass", "null")
				       RESULT("vr/c/c/01", "crash", "\"signal 11\""));
}

static void rig_free(struct rig *rig)
{
	for (int i = 0; i < 3; i++)
		unlink(rig->paths[i]);
	assert_int_equal(rmdir(rig->dir), 0);
	free(rig->dir);
	free(rig);
}

static void add_notes(struct rig *rig, const char *text)
{
	write_file(rig->paths[2], text);
	rig->options.notes = rig->paths[2];
}

/* What is printed; the caller frees it. */
static char *printed(const struct rig *rig, int status)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	assert_non_null(out);
	assert_int_equal(matrix_run(&rig->options, out), status);
	assert_int_equal(fclose(out), 0);
	return text;
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

static void markdown_when_some_fail_has_their_rows_alone(void **state)
{
	struct rig *rig = rig_usual();
	char *text = printed(rig, 0);

	(void)state;
	assert_says(text, "| toy 1 | - | 1 | 1 | 0 | 0 | 0 | 0 | 0 | 0 | 390 / 401 |\n");
	assert_says(text, "| box \\<2\\> | - | 1 | 0 | 1 | 0 | 0 | 1 | 0 | 0 | unfinished |\n");
	assert_says(text,
		    "\n## vu/ring\n\n| case | level | toy 1 | box \\<2\\> |\n|---|---|---|---|\n"
		    "| `vu/ring/a/01` title of vu/ring/a/01 \\| \\<b\\> (VU-105 VU-102) | MUST "
		    "| **fail** | pass |\n");
	assert_says(text, "| MUST | - | **crash** |\n");
	assert_says(text, "- `vu/ring/a/01`, toy 1, fail: it \\| came\n");
	assert_silent(text, "vu/config");
	free(text);
	rig_free(rig);
}

static void markdown_when_all_are_wanted_has_every_row_by_id(void **state)
{
	struct rig *rig = rig_usual();
	char *text;

	(void)state;
	rig->options.all = true;
	text = printed(rig, 0);
	assert_says(text, "\n## vu/config\n");
	assert_says(text, "| pass | n/a |\n");
	assert_true(strstr(text, "## vr/c") < strstr(text, "## vu/config"));
	assert_true(strstr(text, "## vu/config") < strstr(text, "## vu/ring"));
	free(text);
	rig_free(rig);
}

static void markdown_when_there_are_notes_numbers_those_that_fit(void **state)
{
	struct rig *rig = rig_usual();
	char *text;

	(void)state;
	add_notes(rig, "# whose fault\n\n"
		       "other* * not shown\n"
		       "toy* vu/ring/* the `toy` is wrong\n"
		       "\"box <2>\" * known\n");
	text = printed(rig, 0);
	assert_says(text, "| **crash**[^1] |");
	assert_says(text, "| **fail**[^2] | pass |");
	assert_says(text, "\n[^1]: known\n[^2]: the `toy` is wrong\n");
	assert_silent(text, "not shown");
	free(text);
	rig_free(rig);
}

static void markdown_when_a_file_is_given_a_name_it_is_the_column(void **state)
{
	struct rig *rig = rig_usual();
	char word[128], *text;

	(void)state;
	snprintf(word, sizeof(word), "My toy=%s", rig->paths[0]);
	rig->files[0] = word;
	text = printed(rig, 0);
	assert_says(text, "| My toy | - |");
	free(text);
	rig_free(rig);
}

static void markdown_when_the_back_end_has_no_name_takes_its_program(void **state)
{
	struct rig *rig =
		rig_new("{\"type\":\"run\",\"schema\":1,\"target\":\"--exec '/usr/bin/toyd -s "
			"{socket}'\"}\n",
			"{\"type\":\"run\",\"schema\":1,\"target\":\"--socket /run/s\"}\n");
	char *text = printed(rig, 0);

	(void)state;
	assert_says(text, "| toyd | - |");
	assert_says(text, "| --socket /run/s | - |");
	free(text);
	rig_free(rig);
}

static void html_when_printed_is_escaped_and_has_notes(void **state)
{
	struct rig *rig = rig_usual();
	char *text;

	(void)state;
	rig->options.html = true;
	add_notes(rig, "toy* * a <note>\n");
	text = printed(rig, 0);
	assert_says(text, "<th>box &lt;2&gt;</th>");
	assert_says(text, "title of vu/ring/a/01 | &lt;b&gt;</td>");
	assert_says(text,
		    "<td class=\"fail\" title=\"it | came\">fail<sup><a href=\"#note1\">1</a>");
	assert_says(text, "<p id=\"note1\">1. a &lt;note&gt;</p>");
	assert_says(text, "</body>\n</html>\n");
	free(text);
	rig_free(rig);
}

static void run_when_a_file_is_no_report_is_a_usage_error(void **state)
{
	static const char *const texts[] = {
		"",
		"TAP version 14\n",
		"[]\n",
		"{\"type\":\"run\",\"schema\":2}\n",
		"{\"type\":\"result\"}\n",
		RUN("x") "{\"type\":\"result\",\"id\":\"a\",\"verdict\":\"maybe\"}\n",
		RUN("x") "nonsense\n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct rig *rig = rig_new(texts[i], texts[i]);

		free(printed(rig, 2));
		rig_free(rig);
	}
}

static void run_when_a_note_is_no_note_is_a_usage_error(void **state)
{
	struct rig *rig = rig_usual();

	(void)state;
	add_notes(rig, "toy* vu/ring/*\n");
	free(printed(rig, 2));
	rig->options.notes = "/nonexistent/notes";
	free(printed(rig, 2));
	rig_free(rig);
}

static void run_when_a_file_is_missing_is_a_usage_error(void **state)
{
	struct rig *rig = rig_usual();

	(void)state;
	rig->files[1] = "/nonexistent/report";
	free(printed(rig, 2));
	rig->options.n_files = 0;
	free(printed(rig, 2));
	rig_free(rig);
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(markdown_when_some_fail_has_their_rows_alone),
	UNIT_TEST(markdown_when_all_are_wanted_has_every_row_by_id),
	UNIT_TEST(markdown_when_there_are_notes_numbers_those_that_fit),
	UNIT_TEST(markdown_when_a_file_is_given_a_name_it_is_the_column),
	UNIT_TEST(markdown_when_the_back_end_has_no_name_takes_its_program),
	UNIT_TEST(html_when_printed_is_escaped_and_has_notes),
	UNIT_TEST(run_when_a_file_is_no_report_is_a_usage_error),
	UNIT_TEST(run_when_a_note_is_no_note_is_a_usage_error),
	UNIT_TEST(run_when_a_file_is_missing_is_a_usage_error),
};

UNIT_MAIN(tests)
