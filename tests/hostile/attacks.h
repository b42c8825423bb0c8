/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Attacks on the daemon through memory and descriptors that it shares with a front-end. */
#ifndef VHU_TESTS_ATTACKS_H
#define VHU_TESTS_ATTACKS_H

#include "intruder.h"

struct attack {
	const char *text;
	void (*run)(struct intruder *in); /* from no session to no session */
};

/* The rows of attacks.def; the end has no text. */
extern const struct attack attacks[];

/*
 * The daemon is asked to end while an operation on the intruder's descriptor cannot be
 * taken back. It says so in time. Its process is over when this returns.
 */
void attack_end(struct run_daemon *d, struct intruder *in);

#endif
