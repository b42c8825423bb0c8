/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What the cases of cases-migration.def share. */
#ifndef VHU_CONFORM_CASE_MIGRATION_H
#define VHU_CONFORM_CASE_MIGRATION_H

#include "conform/trial/trial.h"

/*
 * Sends msg as it stands and takes its answer, whatever that says; its
 * descriptors are the caller's. *ret_closed: the connection ended instead. An
 * answer to something else, or none in time, fails.
 */
int migration_ask(struct trial *t, const struct vhu_msg *msg, struct vhu_msg *ret_reply,
		  bool *ret_closed);

/* A number of no meaning, the next of a row that is the same in every run. */
uint64_t migration_random(uint64_t *state);

/* Handshake, status, guest memory and rings, without any message about memory or rings. */
int migration_begin(struct trial *t, uint64_t features, uint64_t protocol);

/* The rest of it: memory, all rings, driver ready. */
int migration_run(struct trial *t, const struct trial_plan *plan);

/* Another process serves the same guest: its memory, rings and driver, no message sent yet. */
int migration_move(struct trial *t);

#endif
