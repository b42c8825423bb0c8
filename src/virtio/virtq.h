/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Device side of a split ring: take chains, return them, publish, decide on
 * notifications. A chain is copied and checked in full before the caller sees
 * it. A driver that breaks a rule breaks its ring, never the process.
 *
 * Life: init, then (start ... stop) any number of times, then fini. While
 * parked (virtq_set_memory() with NULL) or stopped, it has nothing to pop.
 */
#ifndef VHU_VIRTIO_VIRTQ_H
#define VHU_VIRTIO_VIRTQ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "virtio/gmem.h"
#include "virtio/vring.h"

enum {
	/*
	 * A chain may have as many descriptors as the ring, or this many if the
	 * ring is smaller: drivers size an indirect table by the request.
	 */
	VIRTQ_MIN_CHAIN_LIMIT = 1024,

	/* What one unit of budget pays for, beside the chain itself. */
	CHAIN_COST_LINKS = 16,
	CHAIN_COST_BYTES = 4096,
};

enum pop_result {
	POP_CHAIN,  /* a chain was taken */
	POP_EMPTY,  /* the driver has offered no more */
	POP_BROKEN, /* the ring is broken; virtq_broken() says why */
};

/* Why a ring is broken: name and the sentence of virtq_fault_text(). */
#define VIRTQ_FAULT_LIST(X)                                                                        \
	X(NONE, "the ring is sound")                                                               \
	X(AVAIL_JUMP, "the available index moved by more than the ring size")                      \
	X(HEAD_RANGE, "an available entry names a descriptor outside the table")                   \
	X(HEAD_IN_USE, "a chain was offered again before it was returned")                         \
	X(NEXT_RANGE, "a descriptor's next names an entry outside its table")                      \
	X(CHAIN_LONG, "a chain has more links than its table has descriptors")                     \
	X(INDIRECT_FEATURE, "an indirect descriptor was used without the feature")                 \
	X(INDIRECT_NESTED, "an indirect table holds an indirect descriptor")                       \
	X(INDIRECT_NEXT, "an indirect descriptor must be the last of its chain")                   \
	X(INDIRECT_SIZE, "an indirect table's size must be a multiple of 16 above 0")              \
	X(INDIRECT_UNMAPPED, "an indirect table lies outside guest memory")                        \
	X(ORDER, "a readable descriptor follows a writable one")                                   \
	X(UNMAPPED, "a descriptor's buffer lies outside guest memory")                             \
	X(TOO_LARGE, "a chain's bytes in one direction must fit 32 bits")                          \
	X(TOO_SCATTERED, "a chain's buffers lie across too many memory regions")                   \
	X(NO_MEMORY, "the device had no memory of its own for the ring or a chain")                \
	X(MEMORY_LOST, "the memory behind the ring was taken away")                                \
	X(KICK, "the kick descriptor failed")                                                      \
	X(DEVICE, "the chain does not make sense to the device")

enum virtq_fault {
#define X(name, text) VIRTQ_FAULT_##name,
	VIRTQ_FAULT_LIST(X)
#undef X
		VIRTQ_N_FAULTS
};

/*
 * A chain as taken. The vectors are the virtq's own storage, valid until the
 * next pop; what they point at is guest memory, valid while the gmem is held.
 * Only private copies of it may be parsed: the driver can change it any time.
 */
struct chain {
	uint16_t head;	    /* names the chain in virtq_push() */
	unsigned int n_out; /* vectors the device reads: iov[0 .. n_out) */
	unsigned int n_in;  /* vectors the device writes: iov[n_out .. n_out + n_in) */
	struct iovec *iov;
	unsigned int n_links; /* descriptors followed */
	uint64_t out_len;     /* their bytes; each sum fits 32 bits */
	uint64_t in_len;
};

struct virtq {
	struct vring ring;	   /* size 0 while stopped or parked */
	struct gmem *mem;	   /* a reference */
	struct gmem_window window; /* where the last buffer was; into mem */
	uint64_t features;
	uint16_t last_avail;	/* the next available index to take */
	uint16_t avail_idx;	/* the driver's, as last seen and checked */
	uint16_t used_idx;	/* the next used entry to write */
	uint16_t published_idx; /* what the driver has been shown of it */
	bool call_forced;	/* nothing published since the start */
	bool event_idx;
	enum virtq_fault fault;
	unsigned int n_held; /* chains taken and not returned */
	uint32_t size;	     /* of the ring, also while parked */
	uint32_t max_size;   /* that it can have */
	uint32_t n_slots;    /* allocated, of the two that follow */
	uint16_t *head_at;   /* by slot: the head that was taken there */
	uint8_t *held;	     /* by head: whether taken and not returned */
	struct iovec *iov;
	unsigned int iov_size; /* vectors allocated */
};

/* One line on why; static storage. */
const char *virtq_fault_text(enum virtq_fault fault);

/*
 * A queue for rings of up to max_size entries. 0 or -ENOMEM; virtq_fini() is
 * allowed either way.
 */
int virtq_init(struct virtq *q, uint32_t max_size, uint64_t features);

/* Stops if needed and frees. Allowed on a zeroed struct, and twice. */
void virtq_fini(struct virtq *q);

/*
 * Starts at available index last_avail and at the used index that the ring's
 * memory holds; forgets faults, held chains and notification state. Takes a
 * reference to mem, in which ring lies. Without memory of our own it starts broken.
 * features: as negotiated, bit numbers
 * of virtio/features.h. Asks for kicks as a new ring does, so the owner calls
 * virtq_pop() or virtq_kicks_on() once (a kick may have come before).
 */
void virtq_start(struct virtq *q, const struct vring *ring, struct gmem *mem, uint16_t last_avail,
		 uint64_t features);

/*
 * What a queue that has published all and holds nothing is, beside its memory
 * and its features: enough to go on in another process (virtq_restart()).
 */
struct virtq_position {
	uint16_t last_avail, used_idx;
	bool call_forced;
	enum virtq_fault fault;
};

struct virtq_position virtq_position(const struct virtq *q);

/*
 * Starts where another one was, and writes nothing into the ring. ring and mem
 * NULL: parked, for a ring of this size.
 */
void virtq_restart(struct virtq *q, const struct vring *ring, struct gmem *mem, uint32_t size,
		   const struct virtq_position *position, uint64_t features);

/*
 * Goes on in other memory, with all indices and held chains kept. The ring must
 * have the size it started with. NULL, NULL parks the queue: publish first;
 * nothing can be popped or pushed until memory is set again.
 */
void virtq_set_memory(struct virtq *q, const struct vring *ring, struct gmem *mem);

/* Drops the memory and forgets held chains; virtq_base() stays. Publish first. */
void virtq_stop(struct virtq *q);

/* The next available index to be taken: what GET_VRING_BASE returns. */
uint16_t virtq_base(const struct virtq *q);

/* Takes the next chain. *ret_chain is written for POP_CHAIN only. */
enum pop_result virtq_pop(struct virtq *q, struct chain *ret_chain);

/*
 * Returns a chain that was popped, with the number of bytes written into its
 * writable part. The driver sees it at the next virtq_publish().
 */
void virtq_push(struct virtq *q, uint16_t head, uint32_t len);

/* Shows the driver what was pushed; returns whether it is to be called. */
bool virtq_publish(struct virtq *q);

/*
 * Takes back the n newest pops, so that the next pop yields the oldest of
 * them. None of them may have been pushed.
 */
void virtq_unpop(struct virtq *q, unsigned int n);

/* Tells the driver that kicks are not needed for now; it may still send some. */
void virtq_kicks_off(struct virtq *q);

/*
 * Asks for a kick at the next buffer. True: buffers are there already and no
 * kick may come for them, so service the queue again before sleeping. Call it
 * before every sleep that a kick is to end.
 */
bool virtq_kicks_on(struct virtq *q);

/* Whether a pop would not say POP_EMPTY; false for a broken ring. */
bool virtq_has_avail(const struct virtq *q);

/* VIRTQ_FAULT_NONE while the ring is sound. */
enum virtq_fault virtq_broken(const struct virtq *q);

/*
 * Breaks the ring until its next start: no more pops. The first reason stays.
 * Chains held can still be pushed and published.
 */
void virtq_break(struct virtq *q, enum virtq_fault fault);

/*
 * Copies up to len bytes from byte offset of the chain's readable part, or to
 * its writable part. Returns the bytes copied: less when the part ends.
 */
size_t chain_read(const struct chain *chain, size_t offset, void *buf, size_t len);
size_t chain_write(const struct chain *chain, size_t offset, const void *buf, size_t len);

/*
 * How much of a device's budget for one turn a chain uses up: its bytes and its
 * descriptors are the driver's to choose, so counting chains bounds nothing.
 */
static inline unsigned int chain_cost(const struct chain *chain)
{
	return 1 + chain->n_links / CHAIN_COST_LINKS +
	       (unsigned int)((chain->out_len + chain->in_len) / CHAIN_COST_BYTES);
}

#endif
