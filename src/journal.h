/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A file in memory that outlives the process: what is committed to it is there
 * whole after a SIGKILL at any moment, and what was not is as before. It is not
 * written for a machine that loses power: a file in /run is meant.
 */
#ifndef VHU_JOURNAL_H
#define VHU_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "handover.h"

struct journal_header;

struct journal {
	int fd; /* locked: one process at a time has the file */
	struct journal_header *header;
	size_t map_len;
	size_t commit_len;
	void *area; /* area_len bytes that no commit is about, page-aligned */
};

/*
 * Opens the file at path, or makes it, for one process alone (mode 0600). What
 * another version, or another kind or size, has left there is forgotten. kind:
 * names what it holds, as the users of this file choose. *ret_found: something
 * was committed before. 0, or -errno with one sentence in ret_why: -EBUSY when
 * another process has it.
 */
int journal_open(struct journal *j, const char *path, uint32_t kind, size_t commit_len,
		 size_t area_len, bool *ret_found, char *ret_why, size_t why_cap);

/* Lets go of it. Allowed on a zeroed struct. */
void journal_close(struct journal *j);

/* Replaces what was committed before by commit_len bytes, all at once. */
void journal_commit(struct journal *j, const void *bytes);

/* What was committed last, commit_len bytes; NULL: nothing was. */
const void *journal_last(const struct journal *j);

/*
 * For a hand-over, as a group: the file stays locked all the time, by whoever has
 * its descriptor. Nothing in it is changed by either; a file of another layout is
 * an error.
 */
void journal_save(const struct journal *j, struct handover_out *out, unsigned int tag);
void journal_load(struct journal *j, struct handover_in *in, unsigned int tag, uint32_t kind,
		  size_t commit_len, size_t area_len);

#endif
