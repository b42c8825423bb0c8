/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "conform/report/matrix.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "conform/report/matrix-data.h"
#include "conform/report/report-impl.h"

bool matrix_cell_matters(const struct matrix_cell *cell)
{
	return cell->there && (report_is_bad(cell->verdict) || cell->verdict == VERDICT_WARN);
}

static bool row_is_shown(const struct matrix *m, const struct matrix_row *row)
{
	for (size_t i = 0; i < m->n_targets; i++)
		if (matrix_cell_matters(&row->cells[i]))
			return true;
	return m->all;
}

const char *matrix_cell_text(const struct matrix_cell *cell)
{
	return cell->there ? verdict_name(cell->verdict) : "-";
}

const struct matrix_row *matrix_next_row(const struct matrix *m, struct matrix_walk *walk)
{
	char area[sizeof(walk->area)];

	while (walk->next < m->n_rows && !row_is_shown(m, &m->rows[walk->next]))
		walk->next++;
	if (walk->next == m->n_rows)
		return NULL;
	report_area(&(const struct case_row){ .id = m->rows[walk->next].id }, area, sizeof(area));
	walk->begins = strcmp(area, walk->area) != 0;
	memcpy(walk->area, area, sizeof(area));
	return &m->rows[walk->next++];
}

/* Notes. */

/* A word, which may stand in double quotes. What comes after it is in *rest. NULL: there is none.
 */
static char *take_word(char **rest)
{
	char *word = *rest + strspn(*rest, " \t");
	const char *end = *word == '"' ? "\"" : " \t";
	size_t len;

	word += *word == '"';
	len = strcspn(word, end);
	if (len == 0 || word[len] == '\0')
		return NULL;
	word[len] = '\0';
	*rest = word + len + 1;
	*rest += strspn(*rest, " \t");
	return word;
}

static int add_note(struct matrix *m, char *line)
{
	char *rest = line;
	char *target = take_word(&rest);
	char *id = target ? take_word(&rest) : NULL;
	struct matrix_note *notes, *note;

	if (!id || !*rest)
		return -EINVAL;
	notes = reallocarray(m->notes, m->n_notes + 1, sizeof(*notes));
	if (!notes)
		return -ENOMEM;
	m->notes = notes;
	note = &notes[m->n_notes++];
	*note = (struct matrix_note){ strdup(target), strdup(id), strdup(rest), 0 };
	return note->target && note->id && note->text ? 0 : -ENOMEM;
}

static int read_notes_from(struct matrix *m, FILE *in, const char *path)
{
	char *line = NULL;
	size_t cap = 0;
	int err = 0;

	for (unsigned int n = 1; err == 0 && getline(&line, &cap, in) >= 0; n++) {
		line[strcspn(line, "\n")] = '\0';
		if (line[strspn(line, " \t")] == '\0' || line[strspn(line, " \t")] == '#')
			continue;
		err = add_note(m, line);
		if (err < 0)
			fprintf(stderr,
				"vhu-conform: %s, line %u: expected a glob of targets, a glob of "
				"ids, and a text\n",
				path, n);
	}
	free(line);
	return err;
}

static int read_notes(struct matrix *m, const char *path)
{
	FILE *in = fopen(path, "re");
	int err;

	if (!in) {
		err = -errno;
		fprintf(stderr, "vhu-conform: %s: %s\n", path, strerror(-err));
		return err;
	}
	err = read_notes_from(m, in, path);
	fclose(in);
	return err;
}

/* The first note that is about this cell. */
static struct matrix_note *find_note(struct matrix *m, const char *target, const char *id)
{
	for (size_t i = 0; i < m->n_notes; i++)
		if (fnmatch(m->notes[i].target, target, FNM_EXTMATCH) == 0 &&
		    fnmatch(m->notes[i].id, id, FNM_EXTMATCH) == 0)
			return &m->notes[i];
	return NULL;
}

/* Numbers go up in the order in which they are met. */
static void number_notes(struct matrix *m)
{
	unsigned int n = 0;

	for (size_t i = 0; i < m->n_rows; i++)
		for (size_t j = 0; j < m->n_targets; j++) {
			struct matrix_cell *cell = &m->rows[i].cells[j];
			struct matrix_note *note =
				matrix_cell_matters(cell)
					? find_note(m, m->targets[j].name, m->rows[i].id)
					: NULL;

			if (!note)
				continue;
			if (note->number == 0)
				note->number = ++n;
			cell->note = note->number;
		}
}

/* The whole. */

static int by_id(const void *a, const void *b)
{
	const struct matrix_row *x = a, *y = b;

	return strcmp(x->id, y->id);
}

static void matrix_fini(struct matrix *m)
{
	for (size_t i = 0; i < m->n_rows; i++) {
		struct matrix_row *row = &m->rows[i];

		for (size_t j = 0; row->cells && j < m->n_targets; j++)
			free(row->cells[j].reason);
		free(row->cells);
		free(row->id);
		free(row->title);
		free(row->level);
		free(row->clauses);
	}
	for (size_t i = 0; i < m->n_targets; i++) {
		free(m->targets[i].name);
		free(m->targets[i].device);
		free(m->targets[i].tester);
	}
	for (size_t i = 0; i < m->n_notes; i++) {
		free(m->notes[i].target);
		free(m->notes[i].id);
		free(m->notes[i].text);
	}
	free(m->rows);
	free(m->targets);
	free(m->notes);
}

int matrix_run(const struct matrix_options *o, FILE *out)
{
	struct matrix m = { .all = o->all };
	int err = matrix_read(&m, o);

	if (err == 0 && o->notes)
		err = read_notes(&m, o->notes);
	if (err == 0) {
		if (m.n_rows > 0)
			qsort(m.rows, m.n_rows, sizeof(*m.rows), by_id);
		number_notes(&m);
		if (o->html)
			matrix_print_html(&m, out);
		else
			matrix_print_markdown(&m, out);
	}
	matrix_fini(&m);
	return err < 0 ? CONFORM_USAGE : 0;
}
