/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What the files of the loop know of each other. */
#ifndef VHU_LOOP_PRIVATE_H
#define VHU_LOOP_PRIVATE_H

#include <liburing.h>

#include "loop-fair.h"
#include "loop.h"

struct loop_poller;

/*
 * What is below a loop. The functions are called by the loop's own thread, but
 * begin(), cancel() and prepared(), which whoever has borrowed the loop may
 * call, and none of them calls back but reap().
 */
struct loop_engine {
	const char *name;
	/* 0, or -errno with one sentence in *ret_why, and nothing is open. */
	int (*open)(struct loop *loop, unsigned int n_ops, const char **ret_why);
	void (*close)(struct loop *loop);

	/*
	 * Takes over an operation, or the wish to end one that it has; for one that is
	 * done apart that is said again until it has ended.
	 */
	void (*begin)(struct loop *loop, struct op *op);
	void (*cancel)(struct loop *loop, struct op *op);
	/* Ends all that are under way, for a loop that is being parked. */
	void (*cancel_all)(struct loop *loop);
	/* Whether something was taken over since the last submit(), enter() or wait(). */
	bool (*prepared)(const struct loop *loop);

	/*
	 * What is taken over goes to the kernel: that alone; and what has come is
	 * taken up; and, if nothing has, it is waited for, for wait_ns at most
	 * (UINT64_MAX: as long as it takes). How many went, or -errno.
	 */
	int (*submit)(struct loop *loop);
	int (*enter)(struct loop *loop);
	int (*wait)(struct loop *loop, uint64_t wait_ns);
	/* Waits, with nothing prepared; others may borrow the loop meanwhile. 0 or -errno. */
	int (*sleep)(struct loop *loop);

	/* Whether there is something to reap: that is known of; that a look finds. */
	bool (*ready)(const struct loop *loop);
	bool (*look)(struct loop *loop);
	/* Gives each completion at hand to loop_complete(). */
	void (*reap)(struct loop *loop);

	/* A message at once: what recvmsg(2) or sendmsg(2) return, or -errno. */
	int (*message_now)(struct loop *loop, enum op_code code, int fd, const struct msghdr *msg);
};

extern const struct loop_engine loop_uring, loop_poll;

struct loop {
	const struct loop_engine *engine;
	struct io_uring ring;	    /* loop-uring.c's */
	uint64_t n_now;		    /* messages at once, ever: loop-uring.c's */
	struct scope own;	    /* of the loop itself */
	struct timer again;	    /* for those in insisting */
	struct list_node insisting; /* operations apart that do not end */
	struct loop_poller *poller; /* loop-poll.c's */
	struct list_node tasks;	    /* for the next round, */
	struct list_node round;	    /* and those of this one that have not run yet */
	uint64_t n_rounds;
	struct list_node watches;
	unsigned int n_watches, n_naps;
	uint64_t poll_max_ns;	  /* 0: it goes to sleep at once, always */
	unsigned int n_short;	  /* sleeps in a row that polling would have spared */
	unsigned int n_in_flight; /* operations that the engine has */
	struct loop_counters counters;
	const struct loop_turns *turns; /* NULL: one thread alone */
	void *turns_arg;
	struct list_node resting; /* shares: loop-share.c's */
	/* loop-fair.c: */
	uint64_t paid_round; /* the last in which somebody had others waiting, and in that: */
	uint64_t pays_ns;    /* what is paid back of each one's turns */
	uint64_t least_ns;   /* that anybody still owes who was put off */
	bool had_turn;	     /* somebody */
	struct fair *group[FAIR_GROUP]; /* that have had turns which are timed together */
	unsigned int n_group;
	uint64_t group_began_ns; /* without turns amid it that are timed each */
	struct fair *turn;	 /* that others wait for; NULL: none */
	uint64_t turn_began_ns;	 /* of one that is timed */
	uint64_t looked_ns;	 /* the time; 0: it has to be looked at */
	long n_preempted;	 /* times, when it was looked at last */
	/* loop-park.c: */
	struct op **kept; /* what is armed and kept, n_kept of cap_kept */
	size_t n_kept, cap_kept;
	struct list_node postponed; /* tasks for when it is not parked any more */

	bool restricted; /* the ring is */
	bool polling;	 /* before it sleeps */
	bool sending;	 /* something is prepared that is likely to be done at once */
	bool running, stopping;
	bool borrowed; /* only the loop's own thread may call the engine */
	bool parked;   /* what is armed is kept from the engine */
};

/* Hands an armed operation to the engine. */
void loop_hand_over(struct op *op);

/* The end of an operation that the engine had; the tasks at hand. */
void loop_complete(struct loop *loop, struct op *op, int res);
void loop_run_tasks(struct loop *loop);

/* Takes the op, armed and not in flight, into what is kept. False: without memory. */
bool loop_keep(struct loop *loop, struct op *op);

#endif
