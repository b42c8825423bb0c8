/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "conform/catalog.h"

#include <ctype.h>
#include <fnmatch.h>
#include <string.h>

#include "conform/frontend/frontend-cases.h"

enum { INDENT = 13 };

static const char *level_of(const struct case_row *row)
{
	const struct clause *clause = case_clause(row);

	return clause ? clause_level_name(clause->level) : "-";
}

void catalog_list(FILE *out, const struct selection *selection)
{
	for (size_t i = 0; i < selection->n_rows; i++) {
		const struct case_row *row = selection->rows[i];

		fprintf(out, "%-40s %-7s %s%s\n", row->id, level_of(row), row->title,
			row->flags & CASE_HOSTILE ? " (hostile)" : "");
	}
}

static void print(FILE *out, const char *title, const char *text)
{
	fprintf(out, "  %-*s", INDENT - 2, title);
	options_wrap(out, text, INDENT, INDENT);
}

static void print_clause(FILE *out, const struct clause *clause)
{
	char text[640], id[16];

	snprintf(text, sizeof(text), "%s (%s%s; %s) %s", clause_id(clause, id),
		 clause_level_name(clause->level),
		 clause->differs ? ", implementations differ" : "", clause->section, clause->text);
	print(out, "clause", text);
}

static void print_flags(FILE *out, const struct case_row *row)
{
	static const struct {
		unsigned int flag;
		const char *text;
	} flags[] = {
		{ CASE_BOTH, "runs twice: with and without acknowledgements" },
		{ CASE_HOSTILE, "only with --hostile" },
		{ CASE_SLOW, "takes seconds" },
		{ CASE_UNCONNECTED, "makes its connections itself" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
		if (row->flags & flags[i].flag)
			print(out, "how", flags[i].text);
}

static void explain_case(FILE *out, const struct case_row *row)
{
	const char *pos = row->clauses;
	const struct clause *clause;

	fprintf(out, "%s\n", row->id);
	print(out, "holds when", row->title);
	while (clause_next(&pos, &clause))
		if (clause)
			print_clause(out, clause);
	if (row->needs[0])
		print(out, "needs", row->needs);
	print_flags(out, row);
	print(out, "why", row->why);
	if (row->bug)
		print(out, "known bug", row->bug);
}

static bool cites(const struct case_row *row, const struct clause *clause)
{
	const char *pos = row->clauses;
	const struct clause *cited;

	while (clause_next(&pos, &cited))
		if (cited == clause)
			return true;
	return false;
}

/* Those for back-ends, then those for front-ends; NULL after the last. */
static const struct case_row *nth_case(size_t i)
{
	size_t n, n_frontend;
	const struct case_row *rows = cases_all(&n);
	const struct frontend_case *others = frontend_cases(&n_frontend);

	if (i < n)
		return &rows[i];
	return others && i - n < n_frontend ? &others[i - n].row : NULL;
}

/* The cases that look at a clause: how many. */
static size_t print_citing(FILE *out, const struct clause *clause)
{
	const struct case_row *row;
	size_t n_cases = 0;

	for (size_t i = 0; (row = nth_case(i)) != NULL; i++) {
		if (!cites(row, clause))
			continue;
		n_cases++;
		fprintf(out, "  %-*s%-40s %s\n", INDENT - 2, "case", row->id, row->title);
	}
	return n_cases;
}

static void explain_clause(FILE *out, const struct clause *clause)
{
	size_t n_cases;
	char id[16];

	fprintf(out, "%s\n", clause_id(clause, id));
	print(out, "says", clause->text);
	print(out, "section", clause->section);
	print(out, "area", clause->area);
	print(out, "level", clause_level_name(clause->level));
	if (clause->differs)
		print(out, "note", "implementations differ: what is seen fails nobody");
	n_cases = print_citing(out, clause);
	if (clause->unseen)
		print(out, "unseen", clause->unseen);
	else if (n_cases == 0)
		print(out, "case", "none");
}

static const struct clause *find_clause(const char *id)
{
	char upper[16];
	size_t i;

	for (i = 0; i + 1 < sizeof(upper) && id[i]; i++)
		upper[i] = (char)toupper((unsigned char)id[i]);
	upper[i] = '\0';
	return id[i] ? NULL : clause_find(upper);
}

bool catalog_explain(FILE *out, const char *id)
{
	const struct clause *clause = find_clause(id);
	const struct case_row *row;
	size_t n_found = 0;

	if (clause) {
		explain_clause(out, clause);
		return true;
	}
	for (size_t i = 0; (row = nth_case(i)) != NULL; i++) {
		if (fnmatch(id, row->id, 0) != 0)
			continue;
		if (n_found++ > 0)
			fputc('\n', out);
		explain_case(out, row);
	}
	return n_found > 0;
}
