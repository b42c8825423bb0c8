/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Driver side of a ring, split or packed as the features say: offers buffers,
 * collects them, and judges what the device returned. For tests, the tester and
 * the load generator.
 *
 * With IN_ORDER, chains take descriptors in the ring's order and must come back
 * in the order offered; a device may return several with one used entry, the
 * last one's (virtio "In-order use of descriptors").
 *
 * Lets a device get away with nothing: it kicks only when the text obliges it
 * to, and asks for calls only when it is about to wait.
 */
#ifndef VHU_VIRTIO_DRIVERQ_H
#define VHU_VIRTIO_DRIVERQ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "virtio/vring.h"

enum driverq_result {
	DRIVERQ_EMPTY,	 /* the device has returned nothing more */
	DRIVERQ_USED,	 /* a chain came back */
	DRIVERQ_BAD_IDX, /* more was returned than was ever offered */
	DRIVERQ_BAD_ID,	 /* the entry names no chain that the device has */
	DRIVERQ_BAD_LEN, /* more written than the chain has room for */
};

struct driverq_buf {
	uint64_t addr; /* guest address */
	uint32_t len;
};

struct driverq_slot;
struct driverq_packed;

struct driverq {
	struct driverq_packed *packed; /* NULL: a split ring, described by what is below */
	unsigned int size;	       /* descriptors; 0: no ring */
	struct vring ring;	       /* not mapped if packed */
	uint64_t desc_addr;	       /* guest addresses: descriptors */
	uint64_t avail_addr;	       /* available ring; packed: driver area */
	uint64_t used_addr;	       /* used ring; packed: device area */
	uint64_t features;
	bool event_idx;
	bool in_order;
	uint16_t avail_idx;	/* next available index to fill */
	uint16_t published_idx; /* what the device has been shown of it */
	uint16_t last_used;	/* next used index to collect */
	unsigned int n_free;	/* descriptors not offered */
	unsigned int n_held;	/* chains that the device has */
	uint16_t free_head;
	uint16_t oldest;      /* in_order: head of the chain that is due first */
	uint32_t last_id;     /* the used entry that driverq_get() read last */
	uint32_t last_len;    /* also of a packed ring */
	unsigned int n_batch; /* in_order: chains that this entry stands for, not collected yet */
	struct driverq_slot *slots; /* by descriptor */
	uint64_t *tables;	    /* indirect tables, one per descriptor, or NULL */
	uint64_t tables_addr;
	unsigned int table_size; /* descriptors in each */
};

/* A word for a result; static storage. */
const char *driverq_result_text(enum driverq_result result);

/* Bytes of the block that driverq_init() lays a ring of size descriptors out in: either kind. */
size_t driverq_bytes(unsigned int size);

/*
 * A fresh ring in driverq_bytes(size) bytes at host_ring, which the guest knows
 * as guest_ring_addr; both multiples of 16. Zeroes the block. features: bit
 * numbers of virtio/features.h; with RING_PACKED the ring is packed. size must
 * be valid for its kind. The block stays the caller's. Returns 0, -EINVAL or
 * -ENOMEM.
 */
int driverq_init(struct driverq *q, void *host_ring, uint64_t guest_ring_addr, unsigned int size,
		 uint64_t features);

/* Frees what init allocated. Allowed on a zeroed struct, and twice. */
void driverq_fini(struct driverq *q);

/* Bytes that driverq_set_tables() needs. */
size_t driverq_table_bytes(unsigned int size, unsigned int table_size);

/*
 * Gives room for indirect tables of table_size descriptors each, one per
 * descriptor of the ring; both addresses multiples of 16. Stays the caller's.
 */
void driverq_set_tables(struct driverq *q, void *host, uint64_t guest_addr,
			unsigned int table_size);

/* As a driver that resets its queue: a zeroed ring, nothing offered. */
void driverq_reset(struct driverq *q);

/*
 * Continues, with nothing offered, from base on, as SET_VRING_BASE carries it
 * (split: the index in both rings; packed: the position, both halves equal).
 * The ring's memory is set to it.
 */
void driverq_set_base(struct driverq *q, uint32_t base);

/*
 * What SET_VRING_BASE must say for a device that lost its state, so that it
 * takes everything again that it had not returned (VU-097, VR-100, VU-235).
 * Looks at the ring: what came back counts even if it was not collected yet.
 */
uint32_t driverq_base(const struct driverq *q);

/* What SET_VRING_BASE says for a fresh ring: 0; packed: both wrap counters set (VR-082). */
uint32_t driverq_first_base(const struct driverq *q);

/* Chains that the device has, or is about to have; and descriptors left. */
unsigned int driverq_n_held(const struct driverq *q);
unsigned int driverq_n_free(const struct driverq *q);

/* What the used entry of the chain added next will be called: last_id when it is back. */
uint16_t driverq_next_id(const struct driverq *q);

/*
 * Offers one chain: n_out buffers to read, then n_in to write; token (not NULL)
 * comes back with it. indirect: through a table, in one descriptor. Not visible
 * before driverq_publish(). Returns 0, -ENOSPC while the ring is too full,
 * -E2BIG when such a chain never fits, -EINVAL for no buffers at all.
 */
int driverq_add(struct driverq *q, const struct driverq_buf *bufs, unsigned int n_out,
		unsigned int n_in, bool indirect, void *token);

/* Shows the device what was added; returns whether it must be kicked for it. */
bool driverq_publish(struct driverq *q);

/*
 * Collects the next chain returned. DRIVERQ_USED and DRIVERQ_BAD_LEN alone write
 * its token and the bytes the device says it wrote; a chain that shares another's
 * used entry counts as written to its end (VR-080). A bad entry of a split ring
 * is stepped over (its chain, if it names one, is free again); last_id and
 * last_len show it. DRIVERQ_BAD_IDX steps over nothing; after that, or anything
 * bad in a packed ring, the ring is of no more use.
 */
enum driverq_result driverq_get(struct driverq *q, void **ret_token, uint32_t *ret_len);

/* Asks for no calls. */
void driverq_calls_off(struct driverq *q);

/* Asks for a call at the next chain. True: some are there already, and may get no call. */
bool driverq_calls_on(struct driverq *q);

#endif
