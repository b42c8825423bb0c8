/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Floods: each runs in a process of its own until that is killed. */
#ifndef VHU_TESTS_FLOODERS_H
#define VHU_TESTS_FLOODERS_H

#include "intruder.h"

/* How far a flood is; shared with whoever measures. */
struct flood_state {
	bool ready;
	uint64_t n; /* of whatever it consists of */
};

struct flooder {
	const char *text;
	void (*run)(struct intruder *in, struct flood_state *state);
};

/* The rows of floods.def; the end has no text. */
extern const struct flooder flooders[];

#endif
