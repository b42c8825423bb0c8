/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What one party costs a loop that others use, too: connections, messages, kicks for
 * nothing. A party that has cost more than its part rests, until the loop has nothing
 * else to do or enough time has passed. So one alone is never held up, and one among
 * many cannot have more than SHARE_PART of the loop that way, once its credit is used up.
 */
#ifndef VHU_LOOP_SHARE_H
#define VHU_LOOP_SHARE_H

#include "loop.h"

enum {
	SHARE_PART = 32,		    /* of the loop's time, that part */
	SHARE_CREDIT_NS = 10 * 1000 * 1000, /* of cost at once: more than any guest's start */
	/* What the kernel does for them is not seen by our clock. */
	SHARE_MESSAGE_NS = 5 * 1000,
	SHARE_CONNECT_NS = 30 * 1000,
	SHARE_KICK_NS = 2 * 1000,
};

struct share {
	struct loop *loop;	 /* NULL: it is over */
	struct list_node link;	 /* in the loop's, while it rests */
	uint64_t debt_ns;	 /* cost that time has not paid back */
	uint64_t settled_ns;	 /* when debt_ns was right */
	uint64_t rests_until_ns; /* while it rests */
	void (*rested)(struct share *s);
};

/* rested: the rest is over. From the loop, never from within a call of these. */
void share_init(struct share *s, struct loop *loop, void (*rested)(struct share *s));

/* Ends a rest without a word; what it costs from here on, as at its end, is nobody's. */
void share_fini(struct share *s);

/* It has cost that much. It rests from here on if that was too much. */
void share_charge(struct share *s, uint64_t ns);

/* The same, for what has been done since then, by monotonic_ns(), and extra_ns more. */
void share_charge_since(struct share *s, uint64_t begin_ns, uint64_t extra_ns);

/* It rests: nothing more is to be taken from it before rested() is called. */
static inline bool share_rests(const struct share *s)
{
	return !list_empty(&s->link);
}

/*
 * For the loop, before it waits. idle: there is nothing else to do. Ends rests that are
 * over, and one more if it is idle. True if any has ended.
 */
bool loop_end_rests(struct loop *loop, bool idle);

#endif
