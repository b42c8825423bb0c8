/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <inttypes.h>
#include <math.h>

#include "conform/report/report-impl.h"
#include "conform/report/report-keys.h"
#include "encode.h"
#include "options.h"

#define OR_NULL(text) (*(text) ? (text) : NULL)

/* What a line may tell of. */
struct line {
	const struct report_run *run;
	const struct result *res;
	const struct summary *sum;
};

static void put_clauses(FILE *out, const struct line *line)
{
	const char *pos = line->res->row->clauses;
	const char *separator = "[";
	const struct clause *clause;
	char id[16];

	while (clause_next(&pos, &clause)) {
		if (!clause)
			continue;
		fprintf(out, "%s{\"id\":\"%s\",\"level\":\"%s\",\"section\":", separator,
			clause_id(clause, id), clause_level_name(clause->level));
		encode_json_text(out, clause->section);
		fprintf(out, ",\"differs\":%s}", clause->differs ? "true" : "false");
		separator = ",";
	}
	fputs(*separator == '[' ? "[]" : "]", out);
}

static void put_verdicts(FILE *out, const struct line *line)
{
	for (unsigned int i = 0; i < VERDICT_N; i++)
		fprintf(out, "%s\"%s\":%u", i == 0 ? "{" : ",", verdict_name((enum verdict)i),
			line->sum->n_verdicts[i]);
	fputc('}', out);
}

/* As text: a reader that has only doubles would change it. */
static void put_seed(FILE *out, const struct line *line)
{
	if (line->run->shuffled)
		fprintf(out, "\"%" PRIu64 "\"", line->run->seed);
	else
		fputs("null", out);
}

static void put_mask(FILE *out, const uint64_t *mask)
{
	if (mask)
		fprintf(out, "\"0x%" PRIx64 "\"", *mask);
	else
		fputs("null", out);
}

enum line_kind {
#define LINE(ident, title) LINE_##ident,
#define NUMBER(...)
#define MASK(...)
#define TEXT(...)
#define FLAG(...)
#define LIST(...)
#include "conform/report/report-keys.def"
#undef LINE
#undef NUMBER
#undef MASK
#undef TEXT
#undef FLAG
#undef LIST
};

/* Each kind of line is a case of the switch, which the next one ends. */
static void put_line(FILE *out, enum line_kind kind, const struct line *line)
{
	const struct report_run *run = line->run;
	const struct result *res = line->res;
	const struct summary *sum = line->sum;

	switch (kind) {
		/* clang-format off */
#define LINE(ident, title)                                                                         \
		break;                                                                             \
	case LINE_##ident:                                                                         \
		fputs("{\"type\":\"" #ident "\"", out);
#define KEY(key) fputs(",\"" #key "\":", out)
#define NUMBER(key, value, help) KEY(key); encode_json_number(out, (double)(value));
#define MASK(key, value, help) KEY(key); put_mask(out, value);
#define TEXT(key, value, help) KEY(key); encode_json_text(out, value);
#define FLAG(key, value, help) KEY(key); fputs((value) ? "true" : "false", out);
#define LIST(key, function, help) KEY(key); function(out, line);
#include "conform/report/report-keys.def"
#undef LINE
#undef KEY
#undef NUMBER
#undef MASK
#undef TEXT
#undef FLAG
#undef LIST
		/* clang-format on */
		break;
	}
	fputs("}\n", out);
}

static void jsonl_begin(struct report *r)
{
	const struct line line = { .run = &r->run };

	put_line(r->out, LINE_run, &line);
}

static void jsonl_result(struct report *r, const struct result *res)
{
	const struct line line = { .run = &r->run, .res = res };

	put_line(r->out, LINE_result, &line);
}

static void jsonl_end(struct report *r, const struct summary *s)
{
	const struct line line = { .run = &r->run, .sum = s };

	put_line(r->out, LINE_summary, &line);
}

const struct report_ops report_jsonl = { jsonl_begin, jsonl_result, jsonl_end, NULL };

static void man_key(FILE *out, const char *key, const char *help)
{
	fprintf(out, ".TP\n.B %s\n", key);
	options_man_text(out, help);
	fputs(".\n", out);
}

void report_man_keys(FILE *out)
{
#define LINE(ident, title) fprintf(out, ".SS %s\n", title);
#define NUMBER(key, value, help) man_key(out, #key, help);
#define MASK(key, value, help) man_key(out, #key, help);
#define TEXT(key, value, help) man_key(out, #key, help);
#define FLAG(key, value, help) man_key(out, #key, help);
#define LIST(key, function, help) man_key(out, #key, help);
#include "conform/report/report-keys.def"
}
