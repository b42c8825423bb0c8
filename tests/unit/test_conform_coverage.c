/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "unit.h"

#include <string.h>

#include "conform/coverage.h"

static const struct case_row *rows;
static size_t n_rows;
static enum coverage_outcome outcomes[4096];

static int setup(void **state)
{
	rows = cases_all(&n_rows);
	memset(outcomes, 0, sizeof(outcomes));
	return !rows || n_rows > ARRAY_SIZE(outcomes) ? -1 : unit_setup(state);
}

static struct coverage count(void)
{
	struct coverage c;

	assert_int_equal(coverage_count(outcomes, &c), 0);
	return c;
}

static unsigned int n_cited(const struct case_row *row)
{
	const char *pos = row->clauses;
	const struct clause *clause;
	unsigned int n = 0;

	while (clause_next(&pos, &clause))
		n++;
	return n;
}

static size_t case_of_clauses(unsigned int n)
{
	size_t i = 0;

	while (i < n_rows && n_cited(&rows[i]) != n)
		i++;
	assert_true(i < n_rows);
	return i;
}

static void clauses_when_counted_are_those_of_back_ends(void **state)
{
	struct coverage c = count();
	unsigned int n = 0, n_unseen = 0;

	(void)state;
	for (size_t i = 0; i < n_clauses; i++) {
		n += clauses[i].series != CLAUSE_VF;
		n_unseen += clauses[i].series != CLAUSE_VF && clauses[i].unseen;
	}
	assert_int_equal(c.n_total, n);
	assert_int_equal(c.n_unseen, n_unseen);
	assert_int_equal(c.n_applicable, 0);
	assert_int_equal(c.n_exercised, 0);
	assert_int_equal(c.n_failed, 0);
}

static void clauses_when_all_cases_pass_are_exercised_but_the_unseen(void **state)
{
	struct coverage c;

	(void)state;
	for (size_t i = 0; i < n_rows; i++)
		outcomes[i] = COVERAGE_EXERCISED;
	c = count();
	assert_int_equal(c.n_exercised, c.n_applicable);
	assert_int_equal(c.n_exercised + c.n_unseen, c.n_total);
	assert_int_equal(c.n_failed, 0);
}

static void clauses_when_their_case_did_not_run_are_applicable(void **state)
{
	struct coverage c;

	(void)state;
	outcomes[case_of_clauses(2)] = COVERAGE_APPLICABLE;
	c = count();
	assert_int_equal(c.n_applicable, 2);
	assert_int_equal(c.n_exercised, 0);
}

static void clauses_when_their_case_failed_fail_but_those_it_only_touches(void **state)
{
	struct coverage c;

	(void)state;
	outcomes[case_of_clauses(2)] = COVERAGE_FAILED;
	c = count();
	assert_int_equal(c.n_applicable, 2);
	assert_int_equal(c.n_exercised, 2);
	assert_int_equal(c.n_failed, 1);
}

static void clause_when_one_case_fails_and_one_passes_has_failed(void **state)
{
	size_t first = case_of_clauses(1), second = 0;
	const struct clause *clause = case_clause(&rows[first]);
	struct coverage c;

	(void)state;
	while (second < n_rows && (second == first || case_clause(&rows[second]) != clause ||
				   n_cited(&rows[second]) != 1))
		second++;
	assert_true(second < n_rows);
	outcomes[first] = COVERAGE_FAILED;
	outcomes[second] = COVERAGE_EXERCISED;
	c = count();
	assert_int_equal(c.n_exercised, 1);
	assert_int_equal(c.n_failed, 1);
}

static void outcome_when_verdict_is_given_is_what_it_says_of_the_back_end(void **state)
{
	static const struct {
		enum verdict verdict;
		enum coverage_outcome outcome;
	} table[] = {
		{ VERDICT_PASS, COVERAGE_EXERCISED },  { VERDICT_WARN, COVERAGE_EXERCISED },
		{ VERDICT_FAIL, COVERAGE_FAILED },     { VERDICT_CRASH, COVERAGE_FAILED },
		{ VERDICT_HANG, COVERAGE_FAILED },     { VERDICT_NA, COVERAGE_NONE },
		{ VERDICT_SKIP, COVERAGE_APPLICABLE }, { VERDICT_ERROR, COVERAGE_APPLICABLE },
	};

	(void)state;
	assert_int_equal(ARRAY_SIZE(table), VERDICT_N);
	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		assert_int_equal(coverage_outcome(table[i].verdict), table[i].outcome);
}

#define COVERAGE_TEST(f) UNIT_TEST_WITH(f, setup, unit_teardown)

static const struct CMUnitTest tests[] = {
	COVERAGE_TEST(clauses_when_counted_are_those_of_back_ends),
	COVERAGE_TEST(clauses_when_all_cases_pass_are_exercised_but_the_unseen),
	COVERAGE_TEST(clauses_when_their_case_did_not_run_are_applicable),
	COVERAGE_TEST(clauses_when_their_case_failed_fail_but_those_it_only_touches),
	COVERAGE_TEST(clause_when_one_case_fails_and_one_passes_has_failed),
	COVERAGE_TEST(outcome_when_verdict_is_given_is_what_it_says_of_the_back_end),
};

UNIT_MAIN(tests)
