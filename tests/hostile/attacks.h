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

#endif
