/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * JUnit XML: a test suite for each area. Its counts come first in the file, so
 * the cases of each are kept as text until the end.
 */
#include <stdlib.h>
#include <string.h>

#include "conform/report/report-impl.h"

struct suite {
	char area[64];
	unsigned int n, n_failures, n_errors, n_skipped;
	uint64_t ns;
	char *text;
	size_t len;
	FILE *out; /* into text */
	struct suite *next;
};

static struct suite *add_suite(struct report *r, struct suite **at, const char *area)
{
	struct suite *suite = calloc(1, sizeof(*suite));

	if (suite)
		suite->out = open_memstream(&suite->text, &suite->len);
	if (!suite || !suite->out) {
		free(suite);
		r->no_memory = true;
		return NULL;
	}
	snprintf(suite->area, sizeof(suite->area), "%s", area);
	*at = suite;
	return suite;
}

static struct suite *suite_of(struct report *r, const struct case_row *row)
{
	struct suite **at = (struct suite **)&r->own;
	char area[sizeof((*at)->area)];

	report_area(row, area, sizeof(area));
	for (; *at; at = &(*at)->next)
		if (strcmp((*at)->area, area) == 0)
			return *at;
	return add_suite(r, at, area);
}

static void put_attribute(FILE *out, const char *name, const char *value)
{
	fprintf(out, " %s=\"", name);
	encode_xml(out, value);
	fputc('"', out);
}

/* What is said in the element beside its message. */
static void put_body(FILE *out, const struct result *res)
{
	char *cited = report_clauses(res->row);

	encode_xml(out, res->row->title);
	fputs("\nclauses: ", out);
	encode_xml(out, cited ? cited : "");
	free(cited);
	fputs("\nwhy: ", out);
	encode_xml(out, res->row->why);
	if (res->row->bug) {
		fputs("\nknown bug: ", out);
		encode_xml(out, res->row->bug);
	}
	if (res->replay_file) {
		fputs("\nreplay: ", out);
		encode_xml(out, res->replay_file);
	}
	fputc('\n', out);
	if (res->details)
		encode_xml(out, res->details);
}

static void put_element(FILE *out, const char *element, const struct result *res, bool body)
{
	fprintf(out, "      <%s", element);
	put_attribute(out, "message", *res->reason ? res->reason : verdict_name(res->verdict));
	if (!body) {
		fputs("/>\n", out);
		return;
	}
	put_attribute(out, "type", verdict_name(res->verdict));
	fputc('>', out);
	put_body(out, res);
	fprintf(out, "</%s>\n", element);
}

static void put_outcome(struct suite *suite, const struct result *res)
{
	bool bad = report_is_bad(res->verdict);

	if (res->verdict == VERDICT_NA || res->verdict == VERDICT_SKIP || (bad && res->expected)) {
		suite->n_skipped++;
		put_element(suite->out, "skipped", res, false);
	} else if (res->verdict == VERDICT_FAIL) {
		suite->n_failures++;
		put_element(suite->out, "failure", res, true);
	} else if (bad) {
		suite->n_errors++;
		put_element(suite->out, "error", res, true);
	}
}

/* What is worth knowing of a case that has not failed. */
static void put_said(FILE *out, const struct result *res)
{
	bool warned = res->verdict == VERDICT_WARN;

	if (!warned && !*res->remark && !(report_is_bad(res->verdict) && res->expected))
		return;
	fputs("      <system-out>", out);
	fputs(verdict_name(res->verdict), out);
	if (*res->reason) {
		fputs(": ", out);
		encode_xml(out, res->reason);
	}
	if (*res->remark) {
		fputs("\nremark: ", out);
		encode_xml(out, res->remark);
	}
	fputs("</system-out>\n", out);
}

static void junit_result(struct report *r, const struct result *res)
{
	struct suite *suite = suite_of(r, res->row);

	if (!suite)
		return;
	suite->n++;
	suite->ns += res->ns;
	fputs("    <testcase", suite->out);
	put_attribute(suite->out, "classname", suite->area);
	put_attribute(suite->out, "name", res->row->id);
	fprintf(suite->out, " time=\"%.6f\">\n", (double)res->ns / 1e9);
	put_outcome(suite, res);
	put_said(suite->out, res);
	fputs("    </testcase>\n", suite->out);
}

static void put_counts(FILE *out, const struct suite *s)
{
	fprintf(out, " tests=\"%u\" failures=\"%u\" errors=\"%u\" skipped=\"%u\" time=\"%.6f\">\n",
		s->n, s->n_failures, s->n_errors, s->n_skipped, (double)s->ns / 1e9);
}

static void put_property(FILE *out, const char *name, const char *value)
{
	if (!value)
		return;
	fputs("      <property", out);
	put_attribute(out, "name", name);
	put_attribute(out, "value", value);
	fputs("/>\n", out);
}

static void put_suite(struct report *r, struct suite *suite)
{
	fflush(suite->out);
	fputs("  <testsuite", r->out);
	put_attribute(r->out, "name", suite->area);
	put_counts(r->out, suite);
	fputs("    <properties>\n", r->out);
	put_property(r->out, "version", r->run.version);
	put_property(r->out, "target", r->run.target);
	put_property(r->out, "name", r->run.name);
	put_property(r->out, "device", r->run.device);
	fputs("    </properties>\n", r->out);
	fwrite(suite->text, 1, suite->len, r->out);
	fputs("  </testsuite>\n", r->out);
}

/* The one case of a run that could not begin. */
static void add_error(struct report *r, const char *error)
{
	struct suite *suite = add_suite(r, (struct suite **)&r->own, "vhu-conform");

	if (!suite)
		return;
	suite->n = suite->n_errors = 1;
	fputs("    <testcase classname=\"vhu-conform\" name=\"start\" time=\"0\">\n"
	      "      <error",
	      suite->out);
	put_attribute(suite->out, "message", error);
	fputs(" type=\"error\"/>\n    </testcase>\n", suite->out);
}

static void junit_end(struct report *r, const struct summary *s)
{
	struct suite all = { .ns = s->ns };

	if (s->error && !r->own)
		add_error(r, s->error);
	for (const struct suite *suite = r->own; suite; suite = suite->next) {
		all.n += suite->n;
		all.n_failures += suite->n_failures;
		all.n_errors += suite->n_errors;
		all.n_skipped += suite->n_skipped;
	}
	fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites", r->out);
	put_attribute(r->out, "name", "vhu-conform");
	put_counts(r->out, &all);
	for (struct suite *suite = r->own; suite; suite = suite->next)
		put_suite(r, suite);
	fputs("</testsuites>\n", r->out);
}

static void junit_release(struct report *r)
{
	struct suite *suite = r->own;

	while (suite) {
		struct suite *next = suite->next;

		fclose(suite->out);
		free(suite->text);
		free(suite);
		suite = next;
	}
}

const struct report_ops report_junit = { NULL, junit_result, junit_end, junit_release };
