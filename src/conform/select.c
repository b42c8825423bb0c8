/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "conform/select.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include "conform/needs.h"

enum { N_LEVELS = CLAUSE_DRIVER + 1 };

bool select_matches(const struct case_row *row, const char *glob)
{
	const char *pos = row->clauses;
	const struct clause *clause;
	char id[16];

	if (fnmatch(glob, row->id, 0) == 0)
		return true;
	while (clause_next(&pos, &clause))
		if (clause && fnmatch(glob, clause_id(clause, id), FNM_CASEFOLD) == 0)
			return true;
	return false;
}

static bool any_matches(const struct case_row *row, const struct option_texts *globs)
{
	for (unsigned int i = 0; i < globs->n_items; i++)
		if (select_matches(row, globs->items[i].text))
			return true;
	return false;
}

/* Tags. */

static bool is_word(const char *word, const char *tag, size_t len)
{
	return strlen(word) == len && strncasecmp(word, tag, len) == 0;
}

static bool area_is(const struct case_row *row, const char *tag, size_t len)
{
	const char *pos = row->clauses;
	const struct clause *clause;

	while (clause_next(&pos, &clause))
		if (clause && is_word(clause->area, tag, len))
			return true;
	return false;
}

static bool id_has(const struct case_row *row, const char *tag, size_t len)
{
	const char *slash;

	for (const char *word = row->id; (slash = strchr(word, '/')) != NULL; word = slash + 1)
		if ((size_t)(slash - word) == len && strncasecmp(word, tag, len) == 0)
			return true;
	return false;
}

static bool needs_say(const struct case_row *row, const char *tag, size_t len)
{
	const char *pos = row->needs;
	char word[64];

	while (needs_next(&pos, word)) {
		const char *name = strncmp(word, "device:", 7) == 0 ? word + 7 : word;

		if (is_word(name, tag, len))
			return true;
	}
	return false;
}

bool select_has_tag(const struct case_row *row, const char *tag, size_t len)
{
	return ((row->flags & CASE_HOSTILE) && is_word("hostile", tag, len)) ||
	       ((row->flags & CASE_SLOW) && is_word("slow", tag, len)) || area_is(row, tag, len) ||
	       id_has(row, tag, len) || needs_say(row, tag, len);
}

/* Lists of words between commas: false at the end. */
static bool next_word(const char **pos, const char **ret_word, size_t *ret_len)
{
	const char *word = *pos + strspn(*pos, ", ");

	*ret_len = strcspn(word, ", ");
	*ret_word = word;
	*pos = word + *ret_len;
	return *ret_len > 0;
}

static bool any_tag(const struct case_row *row, const char *list)
{
	const char *word;
	size_t len;

	while (next_word(&list, &word, &len))
		if (select_has_tag(row, word, len))
			return true;
	return false;
}

static bool any_section(const struct case_row *row, const char *text)
{
	const char *pos = row->clauses;
	const struct clause *clause;

	while (clause_next(&pos, &clause))
		if (clause && strcasestr(clause->section, text))
			return true;
	return false;
}

/* What was asked for, checked. */

static int parse_levels(const char *list, unsigned int *ret_mask, char error[256])
{
	unsigned int mask = 0, level;
	const char *word;
	size_t len;

	while (next_word(&list, &word, &len)) {
		for (level = 0; level < N_LEVELS; level++)
			if (is_word(clause_level_name(level), word, len))
				break;
		if (level == N_LEVELS) {
			snprintf(error, 256,
				 "--level: '%.*s' is not one of must, should, may, implied, "
				 "safety, driver",
				 (int)len, word);
			return -EINVAL;
		}
		mask |= 1U << level;
	}
	*ret_mask = mask;
	return 0;
}

/* A word that selects nothing is a mistake. */
static int check_tags(const char *list, const struct case_row *rows, size_t n_rows, char error[256])
{
	const char *word;
	size_t len, i;

	while (next_word(&list, &word, &len)) {
		for (i = 0; i < n_rows && !select_has_tag(&rows[i], word, len); i++)
			;
		if (i == n_rows) {
			snprintf(error, 256, "--tag: no case has the tag '%.*s'", (int)len, word);
			return -EINVAL;
		}
	}
	return 0;
}

static int check_section(const char *text, const struct case_row *rows, size_t n_rows,
			 char error[256])
{
	for (size_t i = 0; i < n_rows; i++)
		if (any_section(&rows[i], text))
			return 0;
	snprintf(error, 256, "--section: no section has '%.160s' in its name", text);
	return -EINVAL;
}

static int check_globs(const char *option, const struct option_texts *globs,
		       const struct case_row *rows, size_t n_rows, char error[256])
{
	for (unsigned int i = 0; i < globs->n_items; i++) {
		const char *glob = globs->items[i].text;
		size_t at;

		for (at = 0; at < n_rows && !select_matches(&rows[at], glob); at++)
			;
		if (at == n_rows) {
			snprintf(error, 256,
				 "%s: no case or clause has an id like '%s'; --list prints them",
				 option, glob);
			return -EINVAL;
		}
	}
	return 0;
}

static bool is_asked_for(const struct case_row *row, const struct conform_options *o,
			 unsigned int levels)
{
	const struct clause *main_clause = case_clause(row);

	if (o->select.n_items > 0 && !any_matches(row, &o->select))
		return false;
	if (any_matches(row, &o->skip))
		return false;
	if (o->level && (!main_clause || !(levels & (1U << main_clause->level))))
		return false;
	if (o->tag && !any_tag(row, o->tag))
		return false;
	return !o->section || any_section(row, o->section);
}

/* The order. */

/* A small generator (splitmix64), so that a seed gives the same order everywhere. */
static uint64_t next_random(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static void shuffle(struct selection *s)
{
	uint64_t state = s->seed;

	for (size_t n = s->n_rows; n > 1; n--) {
		size_t i = next_random(&state) % n;
		const struct case_row *row = s->rows[i];

		s->rows[i] = s->rows[n - 1];
		s->rows[n - 1] = row;
	}
}

static void take(struct selection *s, const struct case_row *rows, size_t n_rows,
		 const struct conform_options *o, unsigned int levels)
{
	for (size_t i = 0; i < n_rows; i++) {
		if (!is_asked_for(&rows[i], o, levels))
			s->n_others++;
		else if ((rows[i].flags & CASE_HOSTILE) && !o->hostile)
			s->n_hostile++;
		else
			s->rows[s->n_rows++] = &rows[i];
	}
}

int selection_make(struct selection *ret_selection, const struct conform_options *o,
		   char error[256])
{
	struct selection s = { .seed = o->seed };
	bool shuffled = o->shuffle || o->seed != 0;
	unsigned int levels = 0;
	size_t n_rows;
	const struct case_row *rows = cases_all(&n_rows);
	int err = o->level ? parse_levels(o->level, &levels, error) : 0;

	if (err == 0 && o->tag)
		err = check_tags(o->tag, rows, n_rows, error);
	if (err == 0 && o->section)
		err = check_section(o->section, rows, n_rows, error);
	if (err == 0)
		err = check_globs("--select", &o->select, rows, n_rows, error);
	if (err == 0)
		err = check_globs("--skip", &o->skip, rows, n_rows, error);
	if (err < 0)
		return err;
	s.rows = calloc(n_rows + 1, sizeof(const struct case_row *));
	if (!s.rows || !rows) {
		free(s.rows);
		snprintf(error, 256, "no memory for the cases");
		return -ENOMEM;
	}
	take(&s, rows, n_rows, o, levels);
	if (shuffled && s.seed == 0 && getrandom(&s.seed, sizeof(s.seed), 0) > 0)
		s.seed >>= 32; /* short enough to type */
	if (shuffled)
		shuffle(&s);
	*ret_selection = s;
	return 0;
}

void selection_free(struct selection *selection)
{
	free(selection->rows);
	*selection = (struct selection){ 0 };
}
