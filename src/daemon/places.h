/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Where guests run: on the daemon's own loop, or spread over workers (--loops). */
#ifndef VHU_DAEMON_PLACES_H
#define VHU_DAEMON_PLACES_H

#include "daemon/guest.h"

struct daemon;
struct places;

/* What those places tell the daemon. All of it is called in the main thread. */
struct places_events {
	void (*quit)(struct daemon *d);
	void (*finished)(struct daemon *d);
	void (*settled)(struct daemon *d);
};

/*
 * d: with its loop, its scope and its setup. n_ops: operations of all guests
 * together. -errno, and *ret_why is one sentence, on failure.
 */
int places_new(struct daemon *d, const struct places_events *events, unsigned int n_ops,
	       struct places **ret_places, const char **ret_why);

/* After all guests, and after the main loop has stopped. NULL is allowed. */
void places_free(struct places *ps);

/* For guests that are new from now on. */
void places_set_max_queue_size(struct places *ps, unsigned int max_queue_size);

/* How long their loops look for work before they sleep. */
void places_set_poll(struct places *ps, uint64_t max_ns);

/* The place with the fewest guests. */
const struct guest_env *places_pick(struct places *ps);

/* A guest has come to its place, or goes. */
void places_count(const struct guest *g, int change);

struct daemon *places_daemon(const struct guest *g);

/* Runs what has to be done about g in the main thread; nothing else is to be done yet. */
void places_tell(struct guest *g, task_fn *run);

/* Calls fn(arg) in every thread that runs places, but the calling one. The first -errno. */
int places_in_each_thread(struct places *ps, int (*fn)(void *arg), void *arg);

/*
 * For a hand-over: parks the loops of all places that are not the main one
 * (workers_park()); whether all of them are at rest; the end of that.
 */
int places_park(struct places *ps, uint64_t wait_ns);
bool places_at_rest(const struct places *ps);
void places_unpark(struct places *ps);

/* Parks them before they have a guest, by the main thread; and what ends that. */
void places_begin_parked(struct places *ps);
void places_go_on(struct places *ps);

#endif
