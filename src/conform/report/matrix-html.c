/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* One page without scripts or other files. */
#include <string.h>

#include "conform/report/matrix-data.h"
#include "encode.h"

static const char head[] =
	"<!DOCTYPE html>\n"
	"<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n"
	"<title>vhost-user back-ends</title>\n"
	"<style>\n"
	"body { font-family: sans-serif; margin: 2em; }\n"
	"table { border-collapse: collapse; margin-bottom: 1em; }\n"
	"th, td { border: 1px solid #bbb; padding: 0.2em 0.5em; text-align: left; }\n"
	"td.pass { background: #dfd; } td.fail { background: #fcc; }\n"
	"td.warn { background: #ffd; } td.crash, td.hang, td.error { background: #f99; }\n"
	"td.na, td.skip, td.none { color: #777; }\n"
	"</style>\n</head>\n<body>\n<h1>vhost-user back-ends</h1>\n";

/* An element with text, and nothing else, in it. */
static void put(FILE *out, const char *element, const char *text)
{
	fprintf(out, "<%s>", element);
	encode_xml(out, text);
	fprintf(out, "</%s>", element);
}

static void put_targets(const struct matrix *m, FILE *out)
{
	fputs("<table>\n<tr><th>back-end</th><th>device</th>", out);
	for (unsigned int i = 0; i < VERDICT_N; i++)
		put(out, "th", verdict_name((enum verdict)i));
	fputs("<th>clauses exercised of applicable</th></tr>\n", out);
	for (size_t j = 0; j < m->n_targets; j++) {
		const struct matrix_target *t = &m->targets[j];

		fputs("<tr>", out);
		put(out, "td", t->name);
		put(out, "td", t->device ? t->device : "-");
		for (unsigned int i = 0; i < VERDICT_N; i++)
			fprintf(out, "<td>%u</td>", t->n[i]);
		if (t->finished)
			fprintf(out, "<td>%u / %u</td>", t->n_exercised, t->n_applicable);
		else
			fputs("<td>unfinished</td>", out);
		fputs("</tr>\n", out);
	}
	fputs("</table>\n", out);
}

static void put_area(const struct matrix *m, FILE *out, const char *area)
{
	put(out, "h2", area);
	fputs("\n<table>\n<tr><th>case</th><th>level</th>", out);
	for (size_t i = 0; i < m->n_targets; i++)
		put(out, "th", m->targets[i].name);
	fputs("</tr>\n", out);
}

static const char *class_of(const struct matrix_cell *cell)
{
	if (!cell->there)
		return "none";
	return cell->verdict == VERDICT_NA ? "na" : verdict_name(cell->verdict);
}

static void put_cell(FILE *out, const struct matrix_cell *cell)
{
	fprintf(out, "<td class=\"%s\"", class_of(cell));
	if (cell->reason) {
		fputs(" title=\"", out);
		encode_xml(out, cell->reason);
		fputc('"', out);
	}
	fprintf(out, ">%s", matrix_cell_text(cell));
	if (cell->note > 0)
		fprintf(out, "<sup><a href=\"#note%u\">%u</a></sup>", cell->note, cell->note);
	fputs("</td>", out);
}

static void put_row(const struct matrix *m, FILE *out, const struct matrix_row *row)
{
	fputs("<tr><td title=\"", out);
	encode_xml(out, row->clauses);
	fputs("\">", out);
	put(out, "code", row->id);
	fputs("<br/>", out);
	encode_xml(out, row->title);
	fputs("</td>", out);
	put(out, "td", row->level);
	for (size_t i = 0; i < m->n_targets; i++)
		put_cell(out, &row->cells[i]);
	fputs("</tr>\n", out);
}

static void put_rows(const struct matrix *m, FILE *out)
{
	struct matrix_walk walk = { .next = 0 };
	const struct matrix_row *row;
	bool any = false;

	while ((row = matrix_next_row(m, &walk)) != NULL) {
		if (walk.begins && any)
			fputs("</table>\n", out);
		if (walk.begins)
			put_area(m, out, walk.area);
		put_row(m, out, row);
		any = true;
	}
	if (any)
		fputs("</table>\n", out);
}

static void put_reasons(const struct matrix *m, FILE *out)
{
	fputs("<h2>What was seen</h2>\n<dl>\n", out);
	for (size_t i = 0; i < m->n_rows; i++)
		for (size_t j = 0; j < m->n_targets; j++) {
			const struct matrix_cell *cell = &m->rows[i].cells[j];

			if (!matrix_cell_matters(cell))
				continue;
			fputs("<dt>", out);
			put(out, "code", m->rows[i].id);
			fputs(", ", out);
			encode_xml(out, m->targets[j].name);
			fprintf(out, ", %s</dt>", matrix_cell_text(cell));
			put(out, "dd", cell->reason ? cell->reason : "no reason was given");
			fputc('\n', out);
		}
	fputs("</dl>\n", out);
}

static void put_notes(const struct matrix *m, FILE *out)
{
	fputs("<h2>Notes</h2>\n", out);
	for (unsigned int n = 1; n <= m->n_notes; n++)
		for (size_t i = 0; i < m->n_notes; i++) {
			if (m->notes[i].number != n)
				continue;
			fprintf(out, "<p id=\"note%u\">%u. ", n, n);
			encode_xml(out, m->notes[i].text);
			fputs("</p>\n", out);
		}
}

void matrix_print_html(const struct matrix *m, FILE *out)
{
	bool any = false;

	for (size_t i = 0; i < m->n_targets; i++)
		any = any || m->targets[i].n[VERDICT_FAIL] + m->targets[i].n[VERDICT_WARN] +
					     m->targets[i].n[VERDICT_CRASH] +
					     m->targets[i].n[VERDICT_HANG] +
					     m->targets[i].n[VERDICT_ERROR] >
				     0;
	fputs(head, out);
	put_targets(m, out);
	put_rows(m, out);
	if (any)
		put_reasons(m, out);
	if (m->n_notes > 0)
		put_notes(m, out);
	fputs("</body>\n</html>\n", out);
}
