/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <string.h>

#include "conform/report/matrix-data.h"
#include "encode.h"

/* Characters that Markdown, or HTML in it, would act on. */
static const char special[] = "\\`*_[]<>|#~&";

static void put(FILE *out, const char *text)
{
	encode_line(out, text, special);
}

static void put_targets(const struct matrix *m, FILE *out)
{
	static const enum verdict order[] = { VERDICT_PASS, VERDICT_FAIL, VERDICT_CRASH,
					      VERDICT_HANG, VERDICT_WARN, VERDICT_NA,
					      VERDICT_SKIP, VERDICT_ERROR };

	fputs("| back-end | device |", out);
	for (size_t i = 0; i < ARRAY_SIZE(order); i++)
		fprintf(out, " %s |", verdict_name(order[i]));
	fputs(" clauses exercised of applicable |\n|---|---|", out);
	for (size_t i = 0; i < ARRAY_SIZE(order); i++)
		fputs("--:|", out);
	fputs("--:|\n", out);
	for (size_t j = 0; j < m->n_targets; j++) {
		const struct matrix_target *t = &m->targets[j];

		fputs("| ", out);
		put(out, t->name);
		fputs(" | ", out);
		put(out, t->device ? t->device : "-");
		fputs(" |", out);
		for (size_t i = 0; i < ARRAY_SIZE(order); i++)
			fprintf(out, " %u |", t->n[order[i]]);
		if (t->finished)
			fprintf(out, " %u / %u |\n", t->n_exercised, t->n_applicable);
		else
			fputs(" unfinished |\n", out);
	}
}

static void put_area(const struct matrix *m, FILE *out, const char *area)
{
	fprintf(out, "\n## %s\n\n| case | level |", area);
	for (size_t i = 0; i < m->n_targets; i++) {
		fputc(' ', out);
		put(out, m->targets[i].name);
		fputs(" |", out);
	}
	fputs("\n|---|---|", out);
	for (size_t i = 0; i < m->n_targets; i++)
		fputs("---|", out);
	fputc('\n', out);
}

static void put_cell(FILE *out, const struct matrix_cell *cell)
{
	const char *strong = matrix_cell_matters(cell) ? "**" : "";

	fprintf(out, " %s%s%s", strong, matrix_cell_text(cell), strong);
	if (cell->note > 0)
		fprintf(out, "[^%u]", cell->note);
	fputs(" |", out);
}

static void put_row(const struct matrix *m, FILE *out, const struct matrix_row *row)
{
	fprintf(out, "| `%s` ", row->id);
	put(out, row->title);
	fputs(" (", out);
	put(out, row->clauses);
	fputs(") | ", out);
	put(out, row->level);
	fputs(" |", out);
	for (size_t i = 0; i < m->n_targets; i++)
		put_cell(out, &row->cells[i]);
	fputc('\n', out);
}

static void put_rows(const struct matrix *m, FILE *out)
{
	struct matrix_walk walk = { .next = 0 };
	const struct matrix_row *row;

	while ((row = matrix_next_row(m, &walk)) != NULL) {
		if (walk.begins)
			put_area(m, out, walk.area);
		put_row(m, out, row);
	}
}

static void put_reason(const struct matrix *m, FILE *out, const struct matrix_row *row, size_t j)
{
	const struct matrix_cell *cell = &row->cells[j];

	fprintf(out, "- `%s`, ", row->id);
	put(out, m->targets[j].name);
	fprintf(out, ", %s: ", matrix_cell_text(cell));
	put(out, cell->reason ? cell->reason : "no reason was given");
	if (cell->note > 0)
		fprintf(out, "[^%u]", cell->note);
	fputc('\n', out);
}

static void put_reasons(const struct matrix *m, FILE *out)
{
	bool begun = false;

	for (size_t i = 0; i < m->n_rows; i++)
		for (size_t j = 0; j < m->n_targets; j++) {
			if (!matrix_cell_matters(&m->rows[i].cells[j]))
				continue;
			if (!begun)
				fputs("\n## What was seen\n\n", out);
			begun = true;
			put_reason(m, out, &m->rows[i], j);
		}
}

/* By number, which is not the order of the file. */
static void put_notes(const struct matrix *m, FILE *out)
{
	for (unsigned int n = 1; n <= m->n_notes; n++)
		for (size_t i = 0; i < m->n_notes; i++) {
			if (m->notes[i].number != n)
				continue;
			fprintf(out, "%s[^%u]: ", n == 1 ? "\n" : "", n);
			encode_line(out, m->notes[i].text, ""); /* may be Markdown */
			fputc('\n', out);
		}
}

void matrix_print_markdown(const struct matrix *m, FILE *out)
{
	put_targets(m, out);
	put_rows(m, out);
	put_reasons(m, out);
	put_notes(m, out);
}
