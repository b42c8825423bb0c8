/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Which cases the command line asks for, and in which order. */
#ifndef VHU_CONFORM_SELECT_H
#define VHU_CONFORM_SELECT_H

#include "conform/cases/cases.h"
#include "conform/conform-command.h"

struct selection {
	const struct case_row **rows; /* in the order in which they run */
	size_t n_rows;
	unsigned int n_hostile; /* asked for, but for want of --hostile */
	unsigned int n_others;	/* not asked for */
	uint64_t seed;		/* of the order */
};

/* Zero, and selection_free() is due; -EINVAL or -ENOMEM with a sentence in error. */
int selection_make(struct selection *ret_selection, const struct conform_options *o,
		   char error[256]);
void selection_free(struct selection *selection);

/* Whether a glob is the case's id, or that of a clause that it cites. */
bool select_matches(const struct case_row *row, const char *glob);

/*
 * Tags of a case: the areas of its clauses, the words of its id but the last,
 * the device that it is for, traffic, exec, process, peer, hostile, slow.
 */
bool select_has_tag(const struct case_row *row, const char *tag, size_t len);

#endif
