/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The cases for front-ends: written and generated ones as one list. */
#ifndef VHU_CONFORM_FRONTEND_CASES_H
#define VHU_CONFORM_FRONTEND_CASES_H

#include "conform/cases/cases.h"
#include "conform/frontend/played.h"

enum frontend_case_kind {
	FRONTEND_GOOD,	/* the good session itself */
	FRONTEND_RULE,	/* number: enum vhu_rule; judged on a good session */
	FRONTEND_DUTY,	/* number: enum played_duty; the same */
	FRONTEND_OFFER, /* a session of its own */
	FRONTEND_FAULT, /* a session of its own */
};

struct frontend_case {
	struct case_row row; /* for reports; run is NULL */
	enum frontend_case_kind kind;
	unsigned int number;
	bool warns; /* not met: a warning */
	struct played_script script;
};

/* All, in the order in which they run; built at the first call, never freed. NULL: no memory. */
const struct frontend_case *frontend_cases(size_t *ret_n);

#endif
