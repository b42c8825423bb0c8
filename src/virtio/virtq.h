/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Device side of a ring, split or packed: take chains, return them, publish,
 * decide on notifications. A chain is copied and checked in full before the
 * caller sees it. A driver that breaks a rule breaks its ring, never the process.
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

#include "ringmark.h"
#include "virtio/dirtylog.h"
#include "virtio/gmem.h"
#include "virtio/inflight.h"
#include "virtio/iotlb.h"
#include "virtio/packed.h"
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
	POP_CHAIN,   /* a chain was taken */
	POP_EMPTY,   /* the driver has offered no more */
	POP_BROKEN,  /* the ring is broken; virtq_broken() says why */
	POP_MISSING, /* an address of the next chain has no translation, or its page is late:
			virtq_missing() */
};

/* Why a ring is broken: name and the sentence of virtq_fault_text(). */
#define VIRTQ_FAULT_LIST(X)                                                                        \
	X(NONE, "the ring is sound")                                                               \
	X(BASE, "the ring was started at a position that it does not have")                        \
	X(AVAIL_JUMP, "the available index moved by more than the ring size")                      \
	X(ID_RANGE, "a buffer id is not below the ring size")                                      \
	X(HEAD_RANGE, "an available entry names a descriptor outside the table")                   \
	X(HEAD_IN_USE, "a chain was offered again before it was returned")                         \
	X(NEXT_RANGE, "a descriptor's next names an entry outside its table")                      \
	X(CHAIN_LONG, "a chain has more links than its table has descriptors")                     \
	X(INDIRECT_FEATURE, "an indirect descriptor was used without the feature")                 \
	X(INDIRECT_NESTED, "an indirect table holds an indirect descriptor")                       \
	X(INDIRECT_NEXT, "an indirect descriptor must be the last of its chain")                   \
	X(INDIRECT_IN_LIST, "a list of descriptors holds an indirect one")                         \
	X(LIST_NOT_AVAIL, "a list of descriptors goes on with one that is not available")          \
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
	uint16_t head; /* names the chain in virtq_push(): its head, or a packed ring's buffer id */
	unsigned int n_out; /* vectors the device reads: iov[0 .. n_out) */
	unsigned int n_in;  /* vectors the device writes: iov[n_out .. n_out + n_in) */
	struct iovec *iov;
	unsigned int n_links; /* descriptors followed */
	uint64_t out_len;     /* their bytes; each sum fits 32 bits */
	uint64_t in_len;
};

/* The three areas of a ring in host memory; borrowed. */
struct virtq_ring {
	bool packed;
	uint32_t size; /* 0: not mapped */
	union {
		struct vring split;
		struct packed_ring pack;
	};
};

/* Bytes of the areas of a ring, in the order of SET_VRING_ADDR's names. */
struct virtq_areas {
	size_t desc;
	size_t driver; /* available ring, or driver event suppression */
	size_t device; /* used ring, or device event suppression */
};

/* Of a ring of size entries (virtq_size_valid()) under these features. */
struct virtq_areas virtq_area_bytes(uint64_t features, uint32_t size);

/* Whether a ring may have size entries: any number up to 32768, for a split ring a power of two. */
bool virtq_size_valid(uint64_t features, uint64_t size);

/*
 * Binds ring to areas of those sizes. False, and ring untouched, when one is
 * NULL or misaligned or size is not valid.
 */
bool virtq_ring_map(struct virtq_ring *ring, uint64_t features, void *desc, void *driver,
		    void *device, uint32_t size);

/*
 * Whether a base is that of a ring that nobody has used: 0, or both positions 0
 * with both wrap counters 1. DPDK leaves out the used position, which means that
 * it is the available one.
 */
bool virtq_base_is_fresh(uint64_t features, uint32_t base);

/* How a packed ring's list lies in it, and in the record. */
struct virtq_list {
	uint16_t n_descs;
	uint16_t entry;
};

struct virtq {
	struct virtq_ring ring;	   /* size 0 while stopped or parked */
	struct gmem *mem;	   /* a reference */
	struct gmem_window window; /* where the last buffer was; into mem */
	uint64_t features;
	uint16_t last_avail;	/* the next available index to take */
	uint16_t avail_idx;	/* the driver's, as last seen and checked */
	uint16_t used_idx;	/* the next used entry to write; packed: how many were written */
	uint16_t published_idx; /* what the driver has been shown of it */
	uint32_t plain_size;	/* the ring's, if it is split and has nothing to it but itself */
	uint32_t pack_size;	/* the same of a packed one, which may be in order */
	bool call_forced;	/* nothing published since the start */
	bool event_idx;
	bool packed, in_order;
	enum virtq_fault fault;
	unsigned int n_held; /* chains taken and not returned */
	uint32_t size;	     /* of the ring, also while parked */
	uint32_t max_size;   /* that it can have */
	uint32_t n_slots;    /* allocated, of what follows */
	uint16_t *head_at;   /* by slot (packed: in turn): the head that was taken there */
	uint8_t *held;	     /* by head: enum virtq_held, 0 when it is the driver's */
	struct iovec *iov;
	unsigned int iov_size; /* vectors allocated */

	/* Packed rings alone. */
	struct packed_position avail, used; /* next descriptor to take, and to write as used */
	struct packed_position first_used;  /* of those that the driver has not been shown */
	uint16_t first_flags;		    /* that will show them */
	uint16_t n_unshown;		    /* descriptors from there to used */
	uint16_t n_out;			    /* from used to avail */
	bool silent;			    /* the driver was told that no kicks are needed */
	uint16_t taken_at;		    /* where in head_at the next chain goes */
	struct virtq_list *lists;	    /* by buffer id */
	struct packed_desc *descs;	    /* private copies of a list */

	/* IN_ORDER: chains returned that share a used entry with the next one. */
	uint16_t n_skipped, n_skipped_descs, skipped_head;

	/* Requests in flight. */
	struct inflight *record; /* a reference, for the next start; NULL: none */
	uint32_t record_idx;
	struct inflight_ring inflight;
	uint16_t *left_heads; /* what an earlier device left: split, or packed */
	struct inflight_chain *left_chains;
	uint32_t n_left, left_at; /* how many, and the next to be taken */
	unsigned int n_left_held;
	bool resumed; /* the record knew where the ring goes on */

	struct dirty_log *log; /* a reference; NULL: none */
	bool log_ring;
	uint64_t ring_log_addr;

	const struct iotlb *tlb; /* lent; NULL: none */
	bool missing;
	uint8_t missing_perm;
	uint64_t missing_iova;
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
 * Starts at base, as SET_VRING_BASE carries it: the next available index (the
 * used index is what the ring's memory holds), or both positions of a packed
 * ring. Forgets faults, held chains and notification state. Takes a reference to
 * mem, in which ring lies. Without memory of our own, or with a position outside
 * the ring, it starts broken. features: as negotiated, bit numbers of
 * virtio/features.h; ring was mapped with the same. Asks for kicks as a new ring
 * does, so the owner calls virtq_pop() or virtq_kicks_on() once (a kick may have
 * come before).
 */
void virtq_start(struct virtq *q, const struct virtq_ring *ring, struct gmem *mem, uint32_t base,
		 uint64_t features);

/*
 * From the next start on what is taken and not returned is recorded in ring idx
 * of record, and what an earlier device left there is taken first, once, oldest
 * first; base then counts only when the record is new. A record that does not
 * fit the ring is not used. Takes a reference; NULL: none.
 */
void virtq_set_inflight(struct virtq *q, struct inflight *record, uint32_t idx);

/*
 * From now on descriptors name I/O virtual addresses, which tlb (lent, until
 * the next call) translates; NULL: guest addresses. Chains held stay as they are.
 * tlb may change between two calls of this module.
 */
void virtq_set_iotlb(struct virtq *q, const struct iotlb *tlb);

/*
 * From now on pages that are written are marked in log, and with ring_too those
 * that the queue itself writes: a split ring's used ring lies at ring_log_addr in
 * the log's terms, so does the event suppression of a packed one. Takes a
 * reference; NULL: none.
 */
void virtq_set_log(struct virtq *q, struct dirty_log *log, bool ring_too, uint64_t ring_log_addr);

/*
 * The device has written the first len bytes of these n vectors of a chain's
 * writable part. Call it before virtq_push(): the log must be first to know.
 */
void virtq_written(struct virtq *q, const struct iovec *iov, unsigned int n, uint64_t len);

/*
 * Goes on in other memory, with all indices and held chains kept. The ring must
 * have the size it started with. NULL, NULL parks the queue: publish first;
 * nothing can be popped or pushed until memory is set again.
 */
void virtq_set_memory(struct virtq *q, const struct virtq_ring *ring, struct gmem *mem);

/*
 * What was returned since the last publish; nothing may be pushed between this
 * and the next one. It is of use only with a record of requests in flight.
 */
struct ring_mark virtq_mark(struct virtq *q);

/*
 * Before ring starts: publishes, in it and in the record, what a device that was
 * killed had marked. False, and nothing is touched: that is published already,
 * or is of another time, or the ring has no record.
 */
bool virtq_finish(struct virtq *q, const struct virtq_ring *ring, const struct ring_mark *mark);

/* Drops the memory and forgets held chains; virtq_base() stays. Publish first. */
void virtq_stop(struct virtq *q);

/* What GET_VRING_BASE returns: as virtq_start() takes it. */
uint32_t virtq_base(const struct virtq *q);

/* Whether the last start went on where the record says that an earlier device was. */
static inline bool virtq_resumed(const struct virtq *q)
{
	return q->resumed;
}

/*
 * Whether nobody has used the ring. A packed one comes by its first position
 * again and again; a record tells.
 */
bool virtq_is_fresh(const struct virtq *q);

/* Names the next chain to be taken among those near it: its index, or offset and wrap counter. */
uint32_t virtq_position(const struct virtq *q);

/*
 * Takes the next chain. *ret_chain is written for POP_CHAIN only. After
 * POP_MISSING the queue is as if it had not been called.
 */
enum pop_result virtq_pop(struct virtq *q, struct chain *ret_chain);

/* The queue's memory is not late any more (gmem_set_late()). */
void virtq_memory_came(struct virtq *q);

/*
 * The address without a translation, and IOTLB_READ or IOTLB_WRITE for what it
 * is needed, if that is why the last pop took nothing; else false.
 */
bool virtq_missing(const struct virtq *q, uint64_t *ret_iova, uint8_t *ret_perm);

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
