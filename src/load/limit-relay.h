/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The simplest process in the shape of a console back-end: slots in shared
 * memory and an eventfd that wakes it on the driver's side, TCP on the other.
 * It sleeps in poll(2), takes one message, passes it on, and sleeps again.
 */
#ifndef VHU_LOAD_LIMIT_RELAY_H
#define VHU_LOAD_LIMIT_RELAY_H

#include "base.h"

/* One direction; both indices run freely, and who owns one stores it with release. */
struct relay_queue {
	uint32_t *produced, *consumed; /* shared, each on a cache line of its own */
	uint32_t *len;		       /* shared, of each slot */
	unsigned char *bytes;	       /* shared, chunk for each slot */
	void *memory;
	size_t memory_len;
	uint32_t n_slots, chunk;
};

/* Both sides have one; the descriptors are inherited. */
struct relay {
	struct relay_queue tx, rx; /* to the peer, from the peer */
	int kick_fd;		   /* a semaphore: one for each slot of tx */
	int room_fd;		   /* one for each slot of rx given back */
	int call_fd;		   /* one for each message, when calls are wanted */
	int tcp_fd;		   /* the relay's end */
	bool calls;
};

/* Zero, or -errno after a sentence. */
int relay_queue_init(struct relay_queue *q, uint32_t n_slots, size_t chunk);
void relay_queue_free(struct relay_queue *q);

/* The producer's look: slots to fill. */
static inline uint32_t relay_queue_room(const struct relay_queue *q)
{
	return q->n_slots - (*q->produced - __atomic_load_n(q->consumed, __ATOMIC_ACQUIRE));
}

/* The consumer's look: slots to take. */
static inline uint32_t relay_queue_filled(const struct relay_queue *q)
{
	return __atomic_load_n(q->produced, __ATOMIC_ACQUIRE) - *q->consumed;
}

static inline void relay_queue_advance(uint32_t *idx)
{
	__atomic_store_n(idx, *idx + 1, __ATOMIC_RELEASE);
}

/* The relay itself, a limit_side_fn. */
void relay_serve(void *arg, int ready_fd);

#endif
