/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "conform/coverage.h"

#include <errno.h>
#include <stdlib.h>

enum coverage_outcome coverage_outcome(enum verdict verdict)
{
	switch (verdict) {
	case VERDICT_PASS:
	case VERDICT_WARN:
		return COVERAGE_EXERCISED;
	case VERDICT_FAIL:
	case VERDICT_CRASH:
	case VERDICT_HANG:
		return COVERAGE_FAILED;
	case VERDICT_SKIP:
	case VERDICT_ERROR:
		return COVERAGE_APPLICABLE;
	case VERDICT_NA:
	case VERDICT_N:
		break;
	}
	return COVERAGE_NONE;
}

/* The best known of a clause's cases counts; only a case's first clause has failed with it. */
static void add_case(const struct case_row *row, enum coverage_outcome outcome,
		     enum coverage_outcome *best)
{
	const char *pos = row->clauses;
	const struct clause *clause;
	bool first = true;

	while (clause_next(&pos, &clause)) {
		enum coverage_outcome one = outcome;

		if (one == COVERAGE_FAILED && !first)
			one = COVERAGE_EXERCISED;
		first = false;
		if (clause && one > best[clause - clauses])
			best[clause - clauses] = one;
	}
}

int coverage_count(const enum coverage_outcome *outcomes, struct coverage *ret_coverage)
{
	struct coverage c = { 0 };
	enum coverage_outcome *best = calloc(n_clauses, sizeof(*best));
	size_t n;
	const struct case_row *rows = cases_all(&n);

	if (!best)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		add_case(&rows[i], outcomes[i], best);
	for (size_t i = 0; i < n_clauses; i++) {
		if (clauses[i].series == CLAUSE_VF)
			continue; /* no business of a back-end */
		c.n_total++;
		c.n_unseen += clauses[i].unseen && best[i] == COVERAGE_NONE;
		c.n_applicable += best[i] >= COVERAGE_APPLICABLE;
		c.n_exercised += best[i] >= COVERAGE_EXERCISED;
		c.n_failed += best[i] == COVERAGE_FAILED;
	}
	free(best);
	*ret_coverage = c;
	return 0;
}
