/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Operations by the time at which they end: a binary heap. */
#ifndef VHU_LOOP_TIMERS_H
#define VHU_LOOP_TIMERS_H

#include "loop.h"

struct loop_timers {
	struct loop_timer {
		uint64_t when; /* of monotonic_ns() */
		struct op *op; /* its wait.at is the index here */
	} * heap;
	size_t n, cap;
};

/* All zero is none. Frees the memory; whatever was in it is forgotten. */
void loop_timers_free(struct loop_timers *t);

/* 0, or -ENOMEM. The op stays where it is until it is taken out. */
int loop_timers_add(struct loop_timers *t, struct op *op, uint64_t when);
void loop_timers_remove(struct loop_timers *t, const struct op *op);

/* When the next one is due; UINT64_MAX: there is none. */
uint64_t loop_timers_next(const struct loop_timers *t);

/* Takes out one that is due. NULL: there is none. */
struct op *loop_timers_take_due(struct loop_timers *t, uint64_t now);

/* Takes out any. NULL: there is none. */
struct op *loop_timers_take(struct loop_timers *t);

#endif
