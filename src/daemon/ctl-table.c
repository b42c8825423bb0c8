/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "daemon/ctl-table.h"

#include <assert.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/control-text.h"

void table_init(struct table *t, const struct table_column *columns, unsigned int n_columns)
{
	assert(n_columns <= TABLE_COLUMNS_MAX);
	*t = (struct table){ .columns = columns, .n_columns = n_columns };
}

void table_fini(struct table *t)
{
	for (size_t i = 0; i < t->n_cells; i++)
		free(t->cells[i]);
	free(t->cells);
	t->cells = NULL;
	t->n_cells = t->cap = 0;
}

/* A cell without memory is an empty one: this is a display. */
void table_cell(struct table *t, const char *text)
{
	if (t->n_cells == t->cap) {
		size_t cap = t->cap > 0 ? t->cap * 2 : 64;
		char **cells = realloc(t->cells, cap * sizeof(*cells));

		if (!cells)
			return;
		t->cells = cells;
		t->cap = cap;
	}
	t->cells[t->n_cells++] = text_for_terminal(text && text[0] ? text : "-");
}

void table_cell_f(struct table *t, const char *fmt, ...)
{
	char text[256];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	table_cell(t, text);
}

static const char *cell_at(const struct table *t, size_t idx)
{
	return t->cells[idx] ? t->cells[idx] : "";
}

static void print_cell(const struct table *t, unsigned int column, const char *text, size_t width,
		       FILE *out)
{
	int pad = (int)(width - utf8_width(text));

	if (t->columns[column].right)
		fprintf(out, "%*s%s", pad, "", text);
	else if (column + 1 < t->n_columns)
		fprintf(out, "%s%*s", text, pad, "");
	else
		fputs(text, out);
	fputs(column + 1 < t->n_columns ? "  " : "\n", out);
}

void table_print(const struct table *t, FILE *out)
{
	size_t widths[TABLE_COLUMNS_MAX];

	assert(t->n_columns > 0);
	if (t->n_cells < t->n_columns)
		return;
	for (unsigned int i = 0; i < t->n_columns; i++)
		widths[i] = utf8_width(t->columns[i].title);
	for (size_t i = 0; i < t->n_cells; i++) {
		size_t width = utf8_width(cell_at(t, i)), *widest = &widths[i % t->n_columns];

		*widest = width > *widest ? width : *widest;
	}
	fputc('\n', out);
	for (unsigned int i = 0; i < t->n_columns; i++)
		print_cell(t, i, t->columns[i].title, widths[i], out);
	for (size_t i = 0; i < t->n_cells; i++) {
		unsigned int column = (unsigned int)(i % t->n_columns);

		print_cell(t, column, cell_at(t, i), widths[column], out);
	}
}
