/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "load/report-json.h"

#include "encode.h"

static void put_value(FILE *out, const struct report_row *row, const struct load_report *r)
{
	const char *text = row->text ? row->text(r) : NULL;

	if (row->number)
		encode_json_number(out, row->number(r));
	else if (row->flag)
		fputs(row->flag(r) ? "true" : "false", out);
	else
		encode_json_text(out, text);
}

/* The keys from one on, up to the next title or, with all, up to the last one. */
static void put_keys(FILE *out, enum report_key from, bool all, const struct load_report *r)
{
	for (unsigned int key = from; key < REPORT_N_KEYS; key++) {
		const struct report_row *row = &report_rows[key];

		if (!row->help && all)
			continue;
		if (!row->help)
			break;
		fputs(",\n  ", out);
		encode_json_text(out, row->name);
		fputs(": ", out);
		put_value(out, row, r);
	}
}

void report_print_json(FILE *out, const struct load_report *r)
{
	fprintf(out, "{\n  \"schema\": %d", REPORT_SCHEMA);
	put_keys(out, 0, true, r);
	fputs("\n}\n", out);
}

static void put_limit(FILE *out, const struct load_options *o,
		      const struct load_limit_report *limit)
{
	const struct load_report r = { .o = o, .f = &limit->figures };

	fputs("  {\n  \"name\": ", out);
	encode_json_text(out, limit->limit->name);
	fputs(",\n  \"unit\": ", out);
	encode_json_text(out, limit->limit->unit);
	put_keys(out, REPORT_GROUP_figures + 1, false, &r);
	fputs(",\n  \"cpu_ms_per_mb\": ", out);
	put_value(out, &report_rows[REPORT_cpu_ms_per_mb], &r);
	fputs("\n  }", out);
}

void report_print_limits_json(FILE *out, const struct load_options *o,
			      const struct load_limit_report *limits, unsigned int n_limits)
{
	const struct load_report r = { .mode = "limit", .o = o };

	fprintf(out, "{\n  \"schema\": %d", REPORT_SCHEMA);
	put_keys(out, REPORT_mode, false, &r);
	fputs(",\n  \"limits\": [", out);
	for (unsigned int i = 0; i < n_limits; i++) {
		fputs(i > 0 ? ",\n" : "\n", out);
		put_limit(out, o, &limits[i]);
	}
	fputs("\n  ]\n}\n", out);
}
