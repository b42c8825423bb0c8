/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Options as text for people: --help and manuals. */
#include <string.h>

#include "options.h"

enum {
	HELP_COLUMNS = 80,
	HELP_TEXT_COLUMN_MAX = 32, /* option names wider than that push their text down */
	NAME_MAX_LEN = 64,	   /* "-x, --long-name METAVAR" */
};

static void format_name(const struct option_row *row, char *out, size_t cap)
{
	char letter[8] = "    ";

	if (row->short_name)
		snprintf(letter, sizeof(letter), "-%c, ", row->short_name);
	snprintf(out, cap, "  %s--%s%s%s", letter, row->long_name, row->metavar ? " " : "",
		 row->metavar ? row->metavar : "");
}

static int help_text_column(const struct option_row *rows, size_t n_rows)
{
	char name[NAME_MAX_LEN];
	size_t widest = 0;

	for (size_t i = 0; i < n_rows; i++) {
		if (rows[i].type == OPTION_HEADING)
			continue;
		format_name(&rows[i], name, sizeof(name));
		if (strlen(name) > widest && strlen(name) + 2 <= HELP_TEXT_COLUMN_MAX)
			widest = strlen(name);
	}
	return (int)widest + 2;
}

void options_wrap(FILE *out, const char *text, int at, int indent)
{
	for (bool begun = false; *text; begun = true) {
		int len = (int)strcspn(text, " ");

		if (begun && at + 1 + len > HELP_COLUMNS) {
			fprintf(out, "\n%*s", indent, "");
			at = indent;
		} else if (begun) {
			fputc(' ', out);
			at++;
		}
		fprintf(out, "%.*s", len, text);
		at += len;
		text += len;
		text += strspn(text, " ");
	}
	fputc('\n', out);
}

static void help_row(FILE *out, const struct option_row *row, int column)
{
	char name[NAME_MAX_LEN], text[256];

	format_name(row, name, sizeof(name));
	snprintf(text, sizeof(text), "%s%s%s%s", row->help, row->dflt ? " (default " : "",
		 row->dflt ? row->dflt : "", row->dflt ? ")" : "");
	if ((int)strlen(name) + 2 > column)
		fprintf(out, "%s\n%*s", name, column, "");
	else
		fprintf(out, "%-*s", column, name);
	options_wrap(out, text, column, column);
}

void options_help(FILE *out, const struct option_row *rows, size_t n_rows)
{
	int column = help_text_column(rows, n_rows);

	for (size_t i = 0; i < n_rows; i++) {
		if (rows[i].type == OPTION_HEADING)
			fprintf(out, "%s:\n", rows[i].long_name);
		else
			help_row(out, &rows[i], column);
	}
}

void options_man_text(FILE *out, const char *text)
{
	for (const char *c = text; *c; c++) {
		if (*c == '\\')
			fputs("\\e", out);
		else if (*c == '-')
			fputs("\\-", out);
		else if (*c == '~')
			fputs("\\(ti", out);
		else if (c == text && (*c == '.' || *c == '\''))
			fprintf(out, "\\&%c", *c);
		else
			fputc(*c, out);
	}
}

static void man_help(FILE *out, const struct option_row *row)
{
	options_man_text(out, row->help);
	if (row->dflt) {
		fputs(" (default ", out);
		options_man_text(out, row->dflt);
		fputc(')', out);
	}
}

static void man_row(FILE *out, const struct option_row *row)
{
	fputs(".TP\n", out);
	if (row->short_name)
		fprintf(out, "\\fB\\-%c\\fR, ", row->short_name);
	fputs("\\fB\\-\\-", out);
	options_man_text(out, row->long_name);
	fputs("\\fR", out);
	if (row->metavar)
		fprintf(out, " \\fI%s\\fR", row->metavar);
	fputc('\n', out);
	man_help(out, row);
	fputs(".\n", out);
}

void options_man(FILE *out, const struct option_row *rows, size_t n_rows)
{
	for (size_t i = 0; i < n_rows; i++) {
		if (rows[i].type == OPTION_HEADING)
			fprintf(out, ".SS %s\n", rows[i].long_name);
		else
			man_row(out, &rows[i]);
	}
}

void options_man_words(FILE *out, const struct option_row *rows, size_t n_rows,
		       void (*more)(FILE *out, size_t row_idx))
{
	for (size_t i = 0; i < n_rows; i++) {
		fputs(".TP\n\\fB", out);
		options_man_text(out, rows[i].long_name);
		if (rows[i].metavar)
			fprintf(out, "=\\fR\\fI%s", rows[i].metavar);
		fputs("\\fR\n", out);
		man_help(out, &rows[i]);
		fputs(".\n", out);
		if (more)
			more(out, i);
	}
}
