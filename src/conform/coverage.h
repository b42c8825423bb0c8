/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Which clauses the cases of a run have looked at. */
#ifndef VHU_CONFORM_COVERAGE_H
#define VHU_CONFORM_COVERAGE_H

#include "conform/runner.h"

/* What became of a case. */
enum coverage_outcome {
	COVERAGE_NONE,	     /* it does not apply */
	COVERAGE_APPLICABLE, /* it does, and was not run */
	COVERAGE_EXERCISED,  /* it was run and gave a verdict on the back-end */
	COVERAGE_FAILED,     /* which was a bad one */
};

enum coverage_outcome coverage_outcome(enum verdict verdict);

/* outcomes: one for each of the cases of cases_all(). Zero or -ENOMEM. */
int coverage_count(const enum coverage_outcome *outcomes, struct coverage *ret_coverage);

#endif
