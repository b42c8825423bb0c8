/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "conform/report/report.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conform/report/report-impl.h"

static const struct {
	const char *name;
	const struct report_ops *ops;
} formats[REPORT_N_FORMATS] = {
	[REPORT_HUMAN] = { "human", &report_human },
	[REPORT_TAP] = { "tap", &report_tap },
	[REPORT_JUNIT] = { "junit", &report_junit },
	[REPORT_JSONL] = { "jsonl", &report_jsonl },
};

const char *report_format_name(enum report_format format)
{
	return formats[format].name;
}

struct report *report_open(enum report_format format, FILE *out, bool color)
{
	struct report *r = calloc(1, sizeof(*r));

	if (r) {
		r->ops = formats[format].ops;
		r->out = out;
		r->color = color;
	}
	return r;
}

/* What is known is on its way even if the next case takes long, or the tester is killed. */
void report_begin(struct report *r, const struct report_run *run)
{
	r->run = *run;
	if (r->ops->begin)
		r->ops->begin(r);
	fflush(r->out);
}

void report_result(struct report *r, const struct result *res)
{
	r->n_results++;
	r->ops->result(r, res);
	fflush(r->out);
}

void report_end(struct report *r, const struct summary *summary)
{
	r->ops->end(r, summary);
	fflush(r->out);
}

int report_close(struct report *r)
{
	int err = 0;

	if (!r)
		return 0;
	if (r->ops->release)
		r->ops->release(r);
	if (r->no_memory)
		err = -ENOMEM;
	else if (fflush(r->out) != 0)
		err = -errno;
	else if (ferror(r->out))
		err = -EIO;
	free(r);
	return err;
}

const char *report_area(const struct case_row *row, char *buf, size_t size)
{
	const char *slash = strchr(row->id, '/');

	slash = slash ? strchr(slash + 1, '/') : NULL;
	snprintf(buf, size, "%.*s", slash ? (int)(slash - row->id) : (int)strlen(row->id), row->id);
	return buf;
}

bool report_is_bad(enum verdict verdict)
{
	return verdict == VERDICT_FAIL || verdict == VERDICT_ERROR || verdict == VERDICT_CRASH ||
	       verdict == VERDICT_HANG;
}

char *report_clauses(const struct case_row *row)
{
	const char *pos = row->clauses, *separator = "";
	const struct clause *clause;
	char id[16], *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return NULL;
	while (clause_next(&pos, &clause)) {
		if (!clause)
			continue;
		fprintf(out, "%s%s (%s, %s)", separator, clause_id(clause, id),
			clause_level_name(clause->level), clause->section);
		separator = "; ";
	}
	fclose(out);
	return text;
}
