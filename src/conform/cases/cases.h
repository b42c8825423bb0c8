/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The cases: what is done to a back-end to learn whether it holds a clause.
 * Rows are in the cases-*.def lists as
 *
 * CASE(ident, "id", "clauses", "needs", FLAGS, "title", "why", bug)
 *
 * ident    case_<ident>() in case-*.c
 * id       stable: "vu/ring/enable/01"
 * clauses  "VU-105 VU-102"; the first one gives level, section and area
 * needs    words, all of which must hold of the target, else the case is not
 *          applicable:
 *            pf:NAME no-pf:NAME  protocol feature is (not) offered
 *            f:NAME no-f:NAME    feature is (not) offered, by features.def's
 *                                names, or a bit number for the device's own
 *            rings:N             at least N rings
 *            device:NAME         the tester was told that it is this device
 *            traffic             it was told what device it is, and knows
 *                                requests that such a device answers
 *            peer                it was given the other side of a console
 *            do:NAME             it was told a command that makes it happen
 *            process             the back-end's process can be looked at
 *            exec                the tester starts it
 *            connect             further connections can be made
 *            persistent          it serves another front-end after one has left
 * FLAGS    CASE_ words of enum case_flags
 * title    what is seen when all is well, a sentence without its stop
 * why      what goes wrong for whom when it is not held
 * bug      a known bug of that kind ("vhost #210: ..."), or NULL
 */
#ifndef VHU_CONFORM_CASES_H
#define VHU_CONFORM_CASES_H

#include "conform/clauses/clauses.h"

struct trial;

enum case_flags {
	CASE_PLAIN = 0,
	CASE_BOTH = 1,	  /* run with requests that ask for acknowledgements, and again without */
	CASE_HOSTILE = 2, /* only with --hostile: might crash or starve a careless back-end */
	CASE_SLOW = 4,	  /* seconds rather than milliseconds */
	CASE_UNCONNECTED = 8, /* makes its connections itself */
};

struct case_row {
	const char *id, *clauses, *needs;
	unsigned int flags;
	const char *title, *why, *bug;
	/*
	 * 0 when the clause holds. Negative when the trial has been given a
	 * verdict (trial_fail() and the like). The connection is open; afterwards
	 * the runner checks that the back-end still answers.
	 */
	int (*run)(struct trial *t);
	uint64_t arg; /* of generated cases */
};

/* All cases, in the order of the lists; built at the first call, never freed. NULL: no memory. */
const struct case_row *cases_all(size_t *ret_n);

/* The clause that comes first. */
const struct clause *case_clause(const struct case_row *row);

/* Cases that follow from the rows of messages.def; appended by cases_all(). */
int cases_generate(struct case_row **ret_rows, size_t *ret_n);

#endif
