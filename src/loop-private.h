/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What the files of the loop know of each other. */
#ifndef VHU_LOOP_PRIVATE_H
#define VHU_LOOP_PRIVATE_H

#include "loop-setup.h"
#include "loop.h"

/*
 * user_data is the address of the op. A cancel request completes to the same
 * address with this bit set; all it means then is one cancel less to expect.
 */
#define CANCEL_TAG UINT64_C(1)

/*
 * What was done at once (loop_sendmsg_now()): a number in place of an address,
 * with this bit set. Its result has been read when its turn comes.
 */
#define NOW_TAG UINT64_C(2)

struct loop {
	struct io_uring ring;
	struct list_node tasks;
	struct list_node watches;
	unsigned int n_watches, n_naps;
	uint64_t poll_max_ns; /* 0: it goes to sleep at once, always */
	bool polling;	      /* before it sleeps */
	unsigned int n_short; /* sleeps in a row that polling would have spared */
	uint64_t n_now;	      /* operations done at once, ever */
	bool sending;	      /* something is prepared that is likely to be done at once */
	struct loop_counters counters;
	bool running, stopping;
	const struct loop_turns *turns; /* NULL: one thread alone */
	void *turns_arg;
	struct list_node resting; /* shares: loop-share.c's */
	bool borrowed;		  /* only the thread that made the ring may enter it */
	/* loop-park.c: */
	unsigned int n_in_flight; /* operations that the kernel knows, or is about to */
	bool parked;		  /* what is armed is kept from the kernel */
	struct op **kept;	  /* what is armed and kept, n_kept of cap_kept */
	size_t n_kept, cap_kept;
	struct list_node postponed; /* tasks for when it is not parked any more */
};

/* An empty submission entry; a full queue is handed to the kernel first. */
struct io_uring_sqe *loop_get_sqe(struct loop *loop);

/* Hands an armed operation to the kernel, with the next submission. */
void loop_hand_over(struct op *op);

/* One completion; the tasks at hand. */
void loop_complete(struct loop *loop, struct io_uring_cqe *cqe);
void loop_run_tasks(struct loop *loop);

/* Takes the op, armed and not in flight, into what is kept. False: without memory. */
bool loop_keep(struct loop *loop, struct op *op);

#endif
