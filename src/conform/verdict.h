/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What a case came to, and all that is told of it. */
#ifndef VHU_CONFORM_VERDICT_H
#define VHU_CONFORM_VERDICT_H

#include "conform/cases/cases.h"

enum verdict {
	VERDICT_PASS,
	VERDICT_FAIL,  /* a clause is not held */
	VERDICT_WARN,  /* the same, where the text only recommends or implementations differ */
	VERDICT_NA,    /* the back-end does not offer what the case is about */
	VERDICT_SKIP,  /* the tester was not given what it needs, or --expect says skip */
	VERDICT_ERROR, /* the tester itself failed */
	VERDICT_CRASH, /* the back-end's process ended */
	VERDICT_HANG,  /* it lives and does not answer */
	VERDICT_N,
};

const char *verdict_name(enum verdict verdict);
bool verdict_find(const char *name, enum verdict *ret_verdict);

/* What happened, for people: kept while a case runs. */
struct evidence;

struct result {
	const struct case_row *row;
	enum verdict verdict;
	bool expected;	  /* by --expect */
	char reason[512]; /* empty for PASS; what was expected and what came */
	char remark[512]; /* behaviour worth recording, or empty */
	uint64_t ns;
	const char *variant; /* "acknowledged" or "unacknowledged" when only one of both failed; or
				NULL */
	char *details;	     /* decoded messages, hexdump, rings; NULL unless not passed. Owned */
	char *replay_file;   /* path, or NULL. Owned */
};

#endif
