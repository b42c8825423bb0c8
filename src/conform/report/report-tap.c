/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * TAP 14. What passes with a warning is "ok", as no word of TAP says less than
 * "not ok"; the verdict stands in the diagnostics. The plan comes last, when it
 * is known how many cases there were.
 */
#include <string.h>

#include "conform/report/report-impl.h"

static void tap_begin(struct report *r)
{
	fputs("TAP version 14\n", r->out);
	fprintf(r->out, "# vhu-conform %s", r->run.version);
	if (r->run.target) {
		fputs(" ", r->out);
		encode_line(r->out, r->run.target, "");
	}
	fputc('\n', r->out);
	if (r->run.shuffled)
		fprintf(r->out, "# --seed %llu\n", (unsigned long long)r->run.seed);
}

static void put_key(struct report *r, const char *key, const char *text)
{
	if (!text || !*text)
		return;
	fprintf(r->out, "  %s: ", key);
	encode_json_text(r->out, text);
	fputc('\n', r->out);
}

/* Each clause as an item of a list. */
static void put_clauses(struct report *r, const struct case_row *row)
{
	const char *pos = row->clauses;
	const struct clause *clause;
	char id[16];

	fputs("  clauses:\n", r->out);
	while (clause_next(&pos, &clause)) {
		if (!clause)
			continue;
		fprintf(r->out, "    - { id: %s, level: %s, section: ", clause_id(clause, id),
			clause_level_name(clause->level));
		encode_json_text(r->out, clause->section);
		fputs(" }\n", r->out);
	}
}

static void put_diagnostics(struct report *r, const struct result *res)
{
	fputs("  ---\n", r->out);
	put_key(r, "verdict", verdict_name(res->verdict));
	put_key(r, "message", res->reason);
	put_key(r, "variant", res->variant);
	put_key(r, "remark", res->remark);
	put_clauses(r, res->row);
	put_key(r, "why", res->row->why);
	put_key(r, "bug", res->row->bug);
	put_key(r, "replay", res->replay_file);
	fprintf(r->out, "  duration_ms: %.3f\n", (double)res->ns / 1e6);
	if (res->details && *res->details) {
		/* Not every reader of TAP knows the form that allows a space in front. */
		fprintf(r->out, "  details: |%s\n", strchr(" \n", *res->details) ? "2" : "");
		encode_lines(r->out, res->details, 4);
	}
	fputs("  ...\n", r->out);
}

static void put_directive(struct report *r, const struct result *res)
{
	if (res->verdict == VERDICT_NA || res->verdict == VERDICT_SKIP) {
		fputs(" # SKIP ", r->out);
		encode_line(r->out, res->reason, "\\#");
	} else if (report_is_bad(res->verdict) && res->expected) {
		fputs(" # TODO expected by --expect", r->out);
	}
}

static void tap_result(struct report *r, const struct result *res)
{
	fprintf(r->out, "%s %zu - ", report_is_bad(res->verdict) ? "not ok" : "ok", r->n_results);
	encode_line(r->out, res->row->id, "\\#");
	fputc(' ', r->out);
	encode_line(r->out, res->row->title, "\\#");
	put_directive(r, res);
	fputc('\n', r->out);
	if (report_is_bad(res->verdict) || res->verdict == VERDICT_WARN || *res->remark)
		put_diagnostics(r, res);
}

static void tap_end(struct report *r, const struct summary *s)
{
	const struct coverage *c = &s->coverage;

	if (s->error) {
		fputs("Bail out! ", r->out);
		encode_line(r->out, s->error, "\\#");
		fputc('\n', r->out);
	}
	if (s->interrupted)
		fputs("Bail out! interrupted\n", r->out);
	fprintf(r->out, "1..%zu%s\n", r->n_results, r->n_results == 0 ? " # SKIP no case ran" : "");
	fprintf(r->out, "# clauses: %u exercised of %u applicable of %u\n", c->n_exercised,
		c->n_applicable, c->n_total);
}

const struct report_ops report_tap = { tap_begin, tap_result, tap_end, NULL };
