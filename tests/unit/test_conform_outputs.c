/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "conform/report/outputs.h"
#include "conform/runner.h"

static void assert_describes(const struct conform_options *o, const char *wanted)
{
	char *text = outputs_describe_target(o);

	assert_non_null(text);
	assert_string_equal(text, wanted);
	free(text);
}

static void target_when_told_again_is_quoted_for_a_shell(void **state)
{
	struct option_text action = { .text = "plug=it's {port}" };

	(void)state;
	assert_describes(&(struct conform_options){ .socket = "/a b", .timeout_scale = "1" },
			 "--socket '/a b'");
	assert_describes(&(struct conform_options){ .exec = "be '$x' {socket}",
						    .peer = "tcp:h:1",
						    .actions = { &action, 1 },
						    .timeout_scale = "2.5" },
			 "--exec 'be '\\''$x'\\'' {socket}' --peer 'tcp:h:1' "
			 "--do 'plug=it'\\''s {port}' --timeout-scale '2.5'");
	assert_describes(&(struct conform_options){ .connect_fd = { .fd = { 7 }, .n_fds = 1 },
						    .timeout_scale = "1" },
			 "--connect-fd '7'");
}

/* A report into a file whose name is put into path. */
static struct conform_options into(struct option_text *item, char path[64], char text[80],
				   const char *prefix)
{
	int fd;

	snprintf(path, 64, "/tmp/vhu-outputs.XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	fd_close(fd);
	snprintf(text, 80, "%s%s", prefix, path);
	*item = (struct option_text){ .text = text };
	return (struct conform_options){ .socket = "/s",
					 .timeout_scale = "1",
					 .format = REPORT_JSONL,
					 .color = CONFORM_COLOR_NEVER,
					 .outputs = { item, 1 } };
}

/* What the report without any case is in the file, which is removed. */
static void report_nothing(const struct conform_options *o, const char *path, char ret_text[512])
{
	const struct report_run about = { .version = "1" };
	const struct summary summary = { .exit_status = CONFORM_NOTHING };
	struct outputs outputs;
	FILE *file;
	size_t n;

	assert_int_equal(outputs_open(&outputs, o), 0);
	assert_int_equal(outputs.n_items, 2);
	/* The other one is standard output's. */
	outputs.n_items = 1;
	outputs_begin(&outputs, o, &about);
	assert_int_equal(outputs_end(&outputs, &summary), 0);
	outputs.n_items = 2;
	outputs_close(&outputs);
	file = fopen(path, "re");
	assert_non_null(file);
	n = fread(ret_text, 1, 511, file);
	ret_text[n] = '\0';
	fclose(file);
	assert_int_equal(unlink(path), 0);
}

static void file_when_it_has_a_format_gets_that(void **state)
{
	struct option_text item;
	char path[64], text[80], got[512];
	struct conform_options o = into(&item, path, text, "tap:");

	(void)state;
	report_nothing(&o, path, got);
	assert_int_equal(strncmp(got, "TAP version 14\n", 15), 0);
}

static void file_when_it_has_none_gets_that_of_the_option(void **state)
{
	struct option_text item;
	char path[64], text[80], got[512];
	struct conform_options o = into(&item, path, text, "");

	(void)state;
	report_nothing(&o, path, got);
	assert_int_equal(strncmp(got, "{\"type\":\"run\"", 13), 0);
	assert_non_null(strstr(got, "--socket '/s'"));
}

static void file_when_it_cannot_be_made_is_told(void **state)
{
	struct option_text item = { .text = "tap:/nonexistent/report" };
	const struct conform_options o = { .timeout_scale = "1", .outputs = { &item, 1 } };
	struct outputs outputs;

	(void)state;
	assert_int_equal(outputs_open(&outputs, &o), -ENOENT);
	assert_string_equal(outputs.error, "/nonexistent/report: No such file or directory");
	outputs_close(&outputs);
}

static void file_when_its_format_is_mistyped_is_not_made(void **state)
{
	struct option_text items[] = { { .text = "tap:/nonexistent/a" }, { .text = "junti:b" } };
	const struct conform_options o = { .timeout_scale = "1", .outputs = { items, 2 } };
	struct outputs outputs;

	(void)state;
	assert_int_equal(outputs_open(&outputs, &o), -EINVAL);
	assert_string_equal(outputs.error,
			    "--output: 'junti' is not one of human, tap, junit, jsonl; a file of "
			    "that name is ./junti:b");
	assert_int_equal(outputs.n_items, 0);
	outputs_close(&outputs);
}

static void file_when_its_name_is_empty_is_told(void **state)
{
	struct option_text item = { .text = "junit:" };
	const struct conform_options o = { .timeout_scale = "1", .outputs = { &item, 1 } };
	struct outputs outputs;

	(void)state;
	assert_int_equal(outputs_open(&outputs, &o), -EINVAL);
	assert_string_equal(outputs.error, "--output: expected a file after 'junit:'");
	outputs_close(&outputs);
}

/* What comes of a run that cannot begin. */
static void give_up_in(const char *prefix, char ret_text[2048])
{
	struct option_text item;
	char path[64], text[80];
	struct conform_options o = into(&item, path, text, prefix);
	const struct report_run about = { .version = "1" };
	const struct summary summary = { .exit_status = CONFORM_NOT_REACHED,
					 .error = "nobody < there" };
	struct outputs outputs;
	FILE *file;
	size_t n;

	assert_int_equal(outputs_open(&outputs, &o), 0);
	outputs_give_up(&outputs, &o, &about, &summary);
	outputs_close(&outputs);
	file = fopen(path, "re");
	assert_non_null(file);
	n = fread(ret_text, 1, 2047, file);
	ret_text[n] = '\0';
	fclose(file);
	assert_int_equal(unlink(path), 0);
}

static void file_when_nothing_can_be_run_says_why(void **state)
{
	static const struct {
		const char *prefix, *part;
	} formats[] = {
		{ "tap:", "\nBail out! nobody < there\n1..0 " },
		{ "junit:", "<error message=\"nobody &lt; there\" type=\"error\"/>" },
		{ "junit:", " tests=\"1\" failures=\"0\" errors=\"1\" " },
		{ "jsonl:", "\"exit_status\":3,\"error\":\"nobody < there\"}\n" },
		{ "human:", "\nnobody < there\n" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		char text[2048];

		give_up_in(formats[i].prefix, text);
		if (!strstr(text, formats[i].part))
			print_error("%s\n", text);
		assert_non_null(strstr(text, formats[i].part));
	}
}

static void end_when_nothing_more_fits_is_an_error(void **state)
{
	struct option_text item = { .text = "tap:/dev/full" };
	const struct conform_options o = { .timeout_scale = "1",
					   .color = CONFORM_COLOR_NEVER,
					   .outputs = { &item, 1 } };
	const struct report_run about = { .version = "1" };
	const struct summary summary = { 0 };
	struct outputs outputs;

	(void)state;
	assert_int_equal(outputs_open(&outputs, &o), 0);
	outputs.n_items = 1;
	outputs_begin(&outputs, &o, &about);
	assert_true(outputs_end(&outputs, &summary) < 0);
	assert_int_equal(strncmp(outputs.error, "/dev/full: ", 11), 0);
	outputs.n_items = 2;
	outputs_close(&outputs);
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(target_when_told_again_is_quoted_for_a_shell),
	UNIT_TEST(file_when_it_has_a_format_gets_that),
	UNIT_TEST(file_when_it_has_none_gets_that_of_the_option),
	UNIT_TEST(file_when_it_cannot_be_made_is_told),
	UNIT_TEST(file_when_its_format_is_mistyped_is_not_made),
	UNIT_TEST(file_when_its_name_is_empty_is_told),
	UNIT_TEST(file_when_nothing_can_be_run_says_why),
	UNIT_TEST(end_when_nothing_more_fits_is_an_error),
};

UNIT_MAIN(tests)
