/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The requirements that back-ends are tested against, each with a stable
 * number, from the clauses-*.def lists. Cases cite them.
 */
#ifndef VHU_CONFORM_CLAUSES_H
#define VHU_CONFORM_CLAUSES_H

#include "base.h"

/* VF: what a front-end owes; the others are back-ends' duties. */
enum clause_series { CLAUSE_VU, CLAUSE_VR, CLAUSE_VC, CLAUSE_VF };

/* How much a requirement obliges; see the head of clauses-vu.def. */
enum clause_level {
	CLAUSE_MUST,
	CLAUSE_SHOULD,
	CLAUSE_MAY,
	CLAUSE_IMPLIED,
	CLAUSE_SAFETY,
	CLAUSE_DRIVER,
};

struct clause {
	enum clause_series series;
	unsigned int number;
	const char *area;
	enum clause_level level;
	bool differs;	     /* implementations do; what is seen fails nobody */
	const char *section; /* of the text */
	const char *text;
	const char *unseen; /* why nothing outside can tell, or NULL */
};

extern const struct clause clauses[];
extern const size_t n_clauses;

/* "MUST" and the like. */
const char *clause_level_name(enum clause_level level);

/* By its id, "VU-105"; NULL when there is none. */
const struct clause *clause_find(const char *id);

/* "VU-105" into buf. */
const char *clause_id(const struct clause *clause, char buf[16]);

/*
 * The ids in a text such as "VU-105 VR-012", one after the other: false at its
 * end. *pos starts at the text; *ret_clause is NULL for an id that is none.
 */
bool clause_next(const char **pos, const struct clause **ret_clause);

#endif
