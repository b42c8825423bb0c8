/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "unit.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "load/report-json.h"

static const struct load_limit_row ping = { .name = "tcp-ping", .unit = "ns" };
static const struct load_limit_row stream = { .name = "tcp-stream", .unit = "MB/s" };

/* A report of 1000 messages of 4 bytes in a second, each with a latency of 10 us. */
struct rig {
	struct load_options options;
	struct load_figures figures, limit;
	struct load_usage usage;
	struct load_report report;
};

static void fill(struct load_figures *f, uint64_t latency_ns)
{
	*f = (struct load_figures){ .ns = 1000000000, .n_messages = 1000, .n_bytes = 4000 };
	for (unsigned int i = 0; i < 1000; i++)
		latency_add(&f->latency, latency_ns);
}

static void rig_fill(struct rig *rig)
{
	rig->options = (struct load_options){ .port = "0", .ring = 256, .style = "qemu" };
	rig->usage = (struct load_usage){ .cpu_ns = 2000000, .n_switches = 500, .n_syscalls = -1 };
	fill(&rig->figures, 10000);
	fill(&rig->limit, 40000);
	rig->report = (struct load_report){
		.mode = "echo",
		.o = &rig->options,
		.n_guests = 2,
		.f = &rig->figures,
		.u = &rig->usage,
		.limit = &ping,
		.limit_figures = &rig->limit,
	};
}

static struct rig *rig_new(void)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	assert_non_null(rig);
	rig_fill(rig);
	return rig;
}

/* Prints the report as JSON or as a table; the caller frees it. */
static char *printed(const struct rig *rig, bool json)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	assert_non_null(out);
	report_print(out, &rig->report, json);
	assert_int_equal(fclose(out), 0);
	return text;
}

static void assert_says(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("expected %s in:\n%s", part, text);
}

static void assert_near(double value, double expected)
{
	if (!(fabs(value - expected) <= expected * 0.016))
		fail_msg("%g, expected %g", value, expected);
}

static void numbers_when_all_is_measured_are_in_the_units_of_their_names(void **state)
{
	struct rig *rig = rig_new();
	const struct load_report *r = &rig->report;

	(void)state;
	rig->figures.n_kicks = 500;
	assert_near(report_number(r, REPORT_p50_ns), 10000);
	assert_near(report_number(r, REPORT_messages_per_s), 1000);
	assert_near(report_number(r, REPORT_mb_per_s), 0.004);
	assert_near(report_number(r, REPORT_kicks_per_message), 0.5);
	assert_near(report_number(r, REPORT_kicks_per_mb), 125000);
	assert_near(report_number(r, REPORT_cpu_ms_per_mb), 500);
	assert_near(report_number(r, REPORT_cpu_us_per_message), 2);
	assert_near(report_number(r, REPORT_cpu_cores), 0.002);
	assert_near(report_number(r, REPORT_context_switches_per_message), 0.5);
	free(rig);
}

static void ratio_when_the_limit_is_a_latency_is_of_the_medians(void **state)
{
	struct rig *rig = rig_new();

	(void)state;
	assert_near(report_number(&rig->report, REPORT_ratio), 0.25);
	free(rig);
}

static void ratio_when_the_limit_is_a_speed_is_of_the_speeds(void **state)
{
	struct rig *rig = rig_new();

	(void)state;
	rig->report.limit = &stream;
	rig->limit.n_bytes = 1000;
	assert_near(report_number(&rig->report, REPORT_ratio), 4);
	free(rig);
}

static void cpu_ratio_when_the_limit_knows_its_cpu_is_by_megabyte(void **state)
{
	struct rig *rig = rig_new();

	(void)state;
	assert_true(isnan(report_number(&rig->report, REPORT_cpu_ratio)));
	rig->limit.cpu_ns = 8000000;
	assert_near(report_number(&rig->report, REPORT_cpu_ratio), 0.25);
	free(rig);
}

static void json_when_values_mean_nothing_has_null(void **state)
{
	static const char *const keys[] = {
		"rate",	     "p50_ns",	      "mb_per_s", "cpu_ms_per_mb", "syscalls",
		"listen_ns", "private_bytes", "fds",	  "limit",	   "ratio",
	};
	struct rig *rig = rig_new();
	char *text, part[64];

	(void)state;
	memset(&rig->figures, 0, sizeof(rig->figures));
	rig->report.u = NULL;
	rig->report.limit = NULL;
	rig->report.limit_figures = NULL;
	text = printed(rig, true);
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		snprintf(part, sizeof(part), "\"%s\": null", keys[i]);
		assert_says(text, part);
	}
	free(text);
	free(rig);
}

static void json_when_all_is_measured_has_every_key(void **state)
{
	struct rig *rig = rig_new();
	char *text = printed(rig, true), part[64];

	(void)state;
	for (unsigned int i = 0; i < REPORT_N_KEYS; i++) {
		if (!report_rows[i].help)
			continue;
		snprintf(part, sizeof(part), "  \"%s\": ", report_rows[i].name);
		assert_says(text, part);
	}
	assert_says(text, "{\n  \"schema\": 1,\n  \"mode\": \"echo\",\n  \"guests\": 2,\n");
	assert_says(text, "\"event_idx\": true");
	assert_says(text, "\"messages\": 1000,");
	assert_says(text, "\"limit\": \"tcp-ping\"");
	free(text);
	free(rig);
}

static void json_when_a_text_has_special_bytes_escapes_them(void **state)
{
	struct rig *rig = rig_new();
	char *text;

	(void)state;
	rig->options.port = "a\"b\\c\n";
	text = printed(rig, true);
	assert_says(text, "\"port\": \"a\\\"b\\\\c\\n\"");
	free(text);
	free(rig);
}

static void table_when_no_process_was_measured_leaves_its_lines_out(void **state)
{
	struct rig *rig = rig_new();
	char *with = printed(rig, false), *without;

	(void)state;
	rig->report.u = NULL;
	without = printed(rig, false);
	assert_says(with, "\n  CPU  ");
	assert_null(strstr(without, "CPU"));
	assert_null(strstr(without, "resident"));
	assert_null(strstr(with, "system calls"));
	free(with);
	free(without);
	free(rig);
}

static void table_when_there_is_a_limit_ends_with_the_ratio(void **state)
{
	struct rig *rig = rig_new();
	char *text = printed(rig, false);

	(void)state;
	assert_says(text, "\n  limit             tcp-ping 40 us; this is 0.250 of it\n");
	free(text);
	free(rig);
}

static void limits_when_printed_have_a_row_each(void **state)
{
	struct load_limit_report *limits = calloc(2, sizeof(*limits));
	struct rig *rig = rig_new();
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	assert_non_null(limits);
	assert_non_null(out);
	limits[0] = (struct load_limit_report){ .limit = &ping, .figures = rig->limit };
	limits[1] = (struct load_limit_report){ .limit = &stream };
	report_print_limits(out, &rig->options, limits, 2, false);
	report_print_limits(out, &rig->options, limits, 2, true);
	assert_int_equal(fclose(out), 0);
	assert_says(text, "\ntcp-ping         40.");
	assert_says(text,
		    "\ntcp-stream            -          -          -          -          -\n");
	assert_says(text, "\"mode\": \"limit\"");
	assert_says(text, "\"name\": \"tcp-stream\",\n  \"unit\": \"MB/s\",\n");
	free(text);
	free(limits);
	free(rig);
}

static void plot_when_the_name_has_another_ending_is_refused(void **state)
{
	(void)state;
	assert_true(report_plot_takes("a.png"));
	assert_true(report_plot_takes("/tmp/a.b.svg"));
	assert_false(report_plot_takes("a.gif"));
	assert_false(report_plot_takes(".png"));
	assert_false(report_plot_takes("png"));
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(numbers_when_all_is_measured_are_in_the_units_of_their_names),
	UNIT_TEST(ratio_when_the_limit_is_a_latency_is_of_the_medians),
	UNIT_TEST(ratio_when_the_limit_is_a_speed_is_of_the_speeds),
	UNIT_TEST(cpu_ratio_when_the_limit_knows_its_cpu_is_by_megabyte),
	UNIT_TEST(json_when_values_mean_nothing_has_null),
	UNIT_TEST(json_when_all_is_measured_has_every_key),
	UNIT_TEST(json_when_a_text_has_special_bytes_escapes_them),
	UNIT_TEST(table_when_no_process_was_measured_leaves_its_lines_out),
	UNIT_TEST(table_when_there_is_a_limit_ends_with_the_ratio),
	UNIT_TEST(limits_when_printed_have_a_row_each),
	UNIT_TEST(plot_when_the_name_has_another_ending_is_refused),
};

UNIT_MAIN(tests)
