/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "unit.h"

#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conform/cases/cases.h"
#include "conform/cases/generated.h"
#include "conform/devices/device.h"
#include "conform/frontend/frontend-cases.h"
#include "conform/needs.h"

/* What commands of --do there are, as the manual has them. */
static const char *const actions[] = { "resize", "plug", "unplug" };

/* Says which case is wrong before the test fails. */
static void expect(const struct case_row *row, bool holds, const char *what)
{
	if (!holds)
		print_error("%s: %s\n", row->id, what);
	assert_true(holds);
}

static const struct case_row *all(size_t *ret_n)
{
	const struct case_row *rows = cases_all(ret_n);

	assert_non_null(rows);
	assert_true(*ret_n > 0);
	return rows;
}

static bool cites(const struct case_row *row, const struct clause *wanted)
{
	const char *pos = row->clauses;
	const struct clause *clause;

	while (clause_next(&pos, &clause))
		if (clause == wanted)
			return true;
	return false;
}

/* By a case for the side whose duty it is. */
static bool is_cited(const struct clause *wanted)
{
	size_t n, n_frontend;
	const struct case_row *rows = all(&n);
	const struct frontend_case *others = frontend_cases(&n_frontend);

	assert_non_null(others);
	for (size_t i = 0; wanted->series != CLAUSE_VF && i < n; i++)
		if (cites(&rows[i], wanted))
			return true;
	for (size_t i = 0; wanted->series == CLAUSE_VF && i < n_frontend; i++)
		if (cites(&others[i].row, wanted))
			return true;
	return false;
}

static void clause_when_listed_has_a_case_or_a_reason_and_not_both(void **state)
{
	char id[16];

	(void)state;
	for (size_t i = 0; i < n_clauses; i++) {
		bool cited = is_cited(&clauses[i]), unseen = clauses[i].unseen != NULL;

		if (cited == unseen)
			print_error("%s has %s\n", clause_id(&clauses[i], id),
				    cited ? "a case and is said to be unseen" : "no case");
		assert_true(cited != unseen);
	}
}

static void case_when_it_cites_clauses_cites_known_ones_once(void **state)
{
	size_t n;
	const struct case_row *rows = all(&n);

	(void)state;
	for (size_t i = 0; i < n; i++) {
		const char *pos = rows[i].clauses;
		const struct clause *seen[16], *clause;
		size_t n_seen = 0;

		while (clause_next(&pos, &clause)) {
			expect(&rows[i], clause != NULL, "cites a clause that is not there");
			expect(&rows[i], clause->series != CLAUSE_VF, "cites a front-end's duty");
			for (size_t j = 0; j < n_seen; j++)
				expect(&rows[i], seen[j] != clause, "cites a clause twice");
			assert_true(n_seen < ARRAY_SIZE(seen));
			seen[n_seen++] = clause;
		}
		expect(&rows[i], n_seen > 0, "cites no clause");
		assert_ptr_equal(case_clause(&rows[i]), seen[0]);
	}
}

static int compare_ids(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void id_when_of_any_case_is_of_no_other(void **state)
{
	size_t n;
	const struct case_row *rows = all(&n);
	const char **ids = calloc(n, sizeof(*ids));

	(void)state;
	assert_non_null(ids);
	for (size_t i = 0; i < n; i++)
		ids[i] = rows[i].id;
	qsort(ids, n, sizeof(*ids), compare_ids);
	for (size_t i = 1; i < n; i++)
		assert_string_not_equal(ids[i - 1], ids[i]);
	free(ids);
}

/* Series or "dev", area, topic, number or name. */
static void id_when_of_any_case_has_the_form(void **state)
{
	size_t n;
	const struct case_row *rows = all(&n);
	regex_t form;

	(void)state;
	assert_int_equal(regcomp(&form, "^(vu|vr|vc|dev)(/[a-z0-9]+(-[a-z0-9]+)*){2,4}$",
				 REG_EXTENDED | REG_NOSUB),
			 0);
	for (size_t i = 0; i < n; i++)
		expect(&rows[i], regexec(&form, rows[i].id, 0, NULL, 0) == 0,
		       "expected an id like vu/ring/enable/01");
	regfree(&form);
}

/* An id is what the clauses are about: vr/... looks at rings. */
static void id_when_it_names_a_series_cites_that_series(void **state)
{
	size_t n;
	const struct case_row *rows = all(&n);

	(void)state;
	for (size_t i = 0; i < n; i++) {
		const struct clause *clause = case_clause(&rows[i]);

		if (strncmp(rows[i].id, "vu/row/", 7) == 0)
			expect(&rows[i], clause->series == CLAUSE_VU, "expected a clause VU-...");
		if (strncmp(rows[i].id, "vc/", 3) == 0)
			expect(&rows[i], clause->series == CLAUSE_VC, "expected a clause VC-...");
	}
}

static bool is_phrase(const char *text)
{
	return text && strlen(text) > 5 && text[strlen(text) - 1] != '.' && !strchr(text, '\n');
}

static void texts_when_of_any_case_are_phrases(void **state)
{
	size_t n;
	const struct case_row *rows = all(&n);

	(void)state;
	for (size_t i = 0; i < n; i++) {
		expect(&rows[i], is_phrase(rows[i].title), "expected a title without stop");
		expect(&rows[i], is_phrase(rows[i].why), "expected a reason without stop");
		expect(&rows[i], !rows[i].bug || is_phrase(rows[i].bug),
		       "expected a bug without stop");
	}
}

static void flags_when_of_any_case_are_known(void **state)
{
	size_t n, n_hostile = 0, n_both = 0;
	const struct case_row *rows = all(&n);

	(void)state;
	for (size_t i = 0; i < n; i++) {
		expect(&rows[i],
		       (rows[i].flags & ~(unsigned int)(CASE_BOTH | CASE_HOSTILE | CASE_SLOW |
							CASE_UNCONNECTED)) == 0,
		       "a flag that means nothing");
		expect(&rows[i], rows[i].run != NULL, "nothing to run");
		n_hostile += (rows[i].flags & CASE_HOSTILE) != 0;
		n_both += (rows[i].flags & CASE_BOTH) != 0;
	}
	assert_in_range(n_hostile, 1, n / 4);
	assert_in_range(n_both, 1, n);
}

/* A word alone, on a back-end that offers nothing: anything but an error is fine. */
static void needs_when_of_any_case_are_words_that_mean_something(void **state)
{
	const struct target target = { .connect_fd = -1 };
	size_t n;
	const struct case_row *rows = all(&n);
	char word[64], reason[256];

	(void)state;
	for (size_t i = 0; i < n; i++) {
		const char *pos = rows[i].needs;

		while (needs_next(&pos, word)) {
			const struct case_row one = { .id = rows[i].id, .needs = word };
			enum verdict verdict =
				needs_check(&one, &target, NULL, reason, sizeof(reason));

			expect(&rows[i], verdict != VERDICT_ERROR, reason);
		}
	}
}

static bool is_action(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(actions); i++)
		if (strcmp(actions[i], name) == 0)
			return true;
	return false;
}

static void names_when_in_needs_are_known(void **state)
{
	size_t n;
	const struct case_row *rows = all(&n);
	char word[64];

	(void)state;
	for (size_t i = 0; i < n; i++) {
		const char *pos = rows[i].needs;

		while (needs_next(&pos, word)) {
			if (strncmp(word, "device:", 7) == 0)
				expect(&rows[i], device_find(word + 7) != NULL, word);
			if (strncmp(word, "do:", 3) == 0)
				expect(&rows[i], is_action(word + 3), word);
		}
	}
}

static void run_when_row_is_generated_is_one_function(void **state)
{
	size_t n, n_generated = 0;
	const struct case_row *rows = all(&n);

	(void)state;
	for (size_t i = 0; i < n; i++) {
		bool generated = strncmp(rows[i].id, "vu/row/", 7) == 0;

		assert_true(generated == (rows[i].run == case_generated));
		n_generated += generated;
	}
	assert_true(n_generated > vhu_desc_count());
}

/* What is asked of every request there is. */
static void request_when_front_ends_make_it_has_generated_cases(void **state)
{
	size_t n;
	const struct case_row *rows = all(&n);

	(void)state;
	for (size_t row = 0; row < vhu_desc_count(); row++) {
		unsigned int n_version = 0, n_fd_extra = 0;

		if (vhu_desc_at(row)->dir != VHU_FE)
			continue;
		for (size_t i = 0; i < n; i++) {
			bool mine = rows[i].run == case_generated && row_of_arg(rows[i].arg) == row;

			n_version += mine && kind_of_arg(rows[i].arg) == ROW_VERSION;
			n_fd_extra += mine && kind_of_arg(rows[i].arg) == ROW_FD_EXTRA;
		}
		assert_int_equal(n_version, 1);
		assert_int_equal(n_fd_extra, 1);
	}
}

static void request_and_kind_when_generated_make_one_case(void **state)
{
	size_t n;
	const struct case_row *rows = all(&n);

	(void)state;
	for (size_t i = 0; i < n; i++)
		for (size_t j = i + 1; rows[i].run == case_generated && j < n; j++)
			expect(&rows[i],
			       rows[j].run != case_generated || rows[i].arg != rows[j].arg,
			       rows[j].id);
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(clause_when_listed_has_a_case_or_a_reason_and_not_both),
	UNIT_TEST(case_when_it_cites_clauses_cites_known_ones_once),
	UNIT_TEST(id_when_of_any_case_is_of_no_other),
	UNIT_TEST(id_when_of_any_case_has_the_form),
	UNIT_TEST(id_when_it_names_a_series_cites_that_series),
	UNIT_TEST(texts_when_of_any_case_are_phrases),
	UNIT_TEST(flags_when_of_any_case_are_known),
	UNIT_TEST(needs_when_of_any_case_are_words_that_mean_something),
	UNIT_TEST(names_when_in_needs_are_known),
	UNIT_TEST(run_when_row_is_generated_is_one_function),
	UNIT_TEST(request_when_front_ends_make_it_has_generated_cases),
	UNIT_TEST(request_and_kind_when_generated_make_one_case),
};

UNIT_MAIN(tests)
