/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Turns of parties that have data. Each has one in each round of the loop's tasks. A turn
 * that takes longer than FAIR_TURN_NS while others wait is paid for with the rounds after
 * it, so that in the mean no party has more of a round than that, unless all do: then they
 * have equal parts. One alone has every turn, and its turns are free.
 */
#ifndef VHU_LOOP_FAIR_H
#define VHU_LOOP_FAIR_H

#include "loop.h"

enum {
	FAIR_TURN_NS = 16 * 1000,	/* that all may have in each round */
	FAIR_OWED_MAX_NS = 1000 * 1000, /* to be paid for after a turn that was longer */
	FAIR_LONG_NS = 64 * 1000,	/* that counts at most if we were off our core meanwhile */
	FAIR_GROUP = 4,			/* turns that are timed together; */
	FAIR_GROUP_NS = 32 * 1000,	/* if they take longer, */
	FAIR_TIMED = 64,		/* so many of each of their parties are timed singly */
};

/* A party, 0 at first. It is where what a turn needs is, as many of them are not in caches. */
struct fair {
	uint64_t owed_ns;     /* of its turns, not paid for yet */
	unsigned int n_timed; /* turns that are timed yet, each */
};

/*
 * Data is to be served, from a task of the loop: a turn that lasts until the next one's
 * begins, or the round ends. False: not before the next round, this one is others'.
 */
bool fair_take_turn(struct loop *loop, struct fair *f);

/* It is about to go. */
void fair_leave(struct loop *loop, const struct fair *f);

/* For the loop, after a round in which somebody had others waiting. */
void loop_end_turns(struct loop *loop);

/* What is charged for work that took so long. */
uint64_t loop_cost(struct loop *loop, uint64_t ns);

#endif
