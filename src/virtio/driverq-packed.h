/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Driver side of a packed ring, as virtio/driverq.h is of a split one. For
 * tests and the tester. Kicks only when the text obliges it to.
 */
#ifndef VHU_VIRTIO_DRIVERQ_PACKED_H
#define VHU_VIRTIO_DRIVERQ_PACKED_H

#include "virtio/driverq.h"
#include "virtio/packed.h"

struct driverq_packed_list;

struct driverq_packed {
	struct packed_ring ring;
	uint64_t desc_addr; /* guest addresses of the three areas */
	uint64_t driver_addr;
	uint64_t device_addr;
	bool event_idx;
	bool in_order;
	struct packed_position avail;	  /* next descriptor to fill */
	struct packed_position published; /* the device has been shown what is before it */
	uint16_t held_flags;		  /* of the descriptor at published, not stored yet */
	struct packed_position used;	  /* next used descriptor to collect */
	unsigned int n_unpublished;	  /* descriptors */
	unsigned int n_unpublished_lists;
	unsigned int n_free; /* descriptors not offered */
	unsigned int n_held; /* lists that the device has, or is about to */
	uint16_t free_id;
	uint16_t oldest, newest; /* in_order: the lists due first and last */
	unsigned int n_batch;	 /* in_order: lists that `last` stands for, not collected */
	struct driverq_packed_list *lists; /* by buffer id */
	struct packed_desc last;	   /* the used descriptor that was read last */
};

/* Bytes of the block that the ring is laid out in. */
size_t driverq_packed_bytes(unsigned int size);

/*
 * A fresh ring, both wrap counters 1, in driverq_packed_bytes(size) bytes at
 * host_ring, which the guest knows as guest_ring_addr; both multiples of 16.
 * The block stays the caller's. Returns 0, -EINVAL or -ENOMEM.
 */
int driverq_packed_init(struct driverq_packed *q, void *host_ring, uint64_t guest_ring_addr,
			unsigned int size, uint64_t features);

/* Frees what init allocated. Allowed on a zeroed struct, and twice. */
void driverq_packed_fini(struct driverq_packed *q);

/* Nothing offered, at this position, as a ring is after all that came before has been used. */
void driverq_packed_set_position(struct driverq_packed *q, struct packed_position at);

/*
 * Offers one list: n_out buffers to read, then n_in to write; token (not NULL)
 * comes back with it. Not visible before driverq_packed_publish(). Returns 0,
 * -ENOSPC while the ring is too full, -E2BIG, or -EINVAL for no buffers at all.
 */
int driverq_packed_add(struct driverq_packed *q, const struct driverq_buf *bufs, unsigned int n_out,
		       unsigned int n_in, void *token);

/*
 * The same through an indirect table of the caller's: room for n_out + n_in
 * entries at host_table, 8-byte aligned, until the list is back.
 */
int driverq_packed_add_indirect(struct driverq_packed *q, void *host_table, uint64_t guest_table,
				const struct driverq_buf *bufs, unsigned int n_out,
				unsigned int n_in, void *token);

/* Shows the device what was added, all at once; returns whether it must be kicked for it. */
bool driverq_packed_publish(struct driverq_packed *q);

/*
 * Collects the next list returned. DRIVERQ_USED and DRIVERQ_BAD_LEN alone write
 * its token and the bytes the device says it wrote: 0 unless the descriptor has
 * the WRITE flag.
 * After anything but DRIVERQ_USED and DRIVERQ_EMPTY the ring is of no more use.
 */
enum driverq_result driverq_packed_get(struct driverq_packed *q, void **ret_token,
				       uint32_t *ret_len);

/* Asks for no calls. */
void driverq_packed_calls_off(struct driverq_packed *q);

/* Asks for a call at the next list. True: some are there already, and may get no call. */
bool driverq_packed_calls_on(struct driverq_packed *q);

/*
 * Where the device goes on that has lost its state: behind all that it returned,
 * collected or not, with the rest to be taken again.
 */
struct packed_position driverq_packed_used_end(const struct driverq_packed *q);

/* The positions as the device should say them when it has used all that was offered. */
static inline uint32_t driverq_packed_base(const struct driverq_packed *q)
{
	return packed_base(q->published, q->used);
}

#endif
