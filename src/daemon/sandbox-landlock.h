/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Landlock: which files may be opened, made and removed, which ports may be connected to. */
#ifndef VHU_DAEMON_SANDBOX_LANDLOCK_H
#define VHU_DAEMON_SANDBOX_LANDLOCK_H

#include "daemon/sandbox-needs.h"
#include "state.h"

/* NULL, or a phrase that says why this kernel cannot do it. */
const char *sandbox_landlock_missing(void);

/* What this kernel's cannot do, as a phrase; NULL: it can do all that is wanted. */
const char *sandbox_landlock_lacks(void);

/*
 * Rules from needs, as a descriptor that the caller owns; a place that is not
 * there is left out. -errno.
 */
int sandbox_landlock_make(const struct sandbox_needs *needs);

/* For the calling thread and those that it starts; rules stays open. 0 or -errno. */
int sandbox_landlock_enter(int rules);

/* Whether needs has a rule for access to path, or what is above it; after sandbox_landlock_make().
 */
bool sandbox_landlock_has(const struct sandbox_place *place);

/* What the rules are about, for the program that goes on within them. */
void sandbox_landlock_save(struct state_writer *w, unsigned int tag);
void sandbox_landlock_load(struct state_reader *r, unsigned int tag);

#endif
