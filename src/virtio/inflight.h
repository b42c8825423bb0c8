/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The record of requests in flight, in memory that the front-end keeps while a
 * back-end is restarted (vhost-user text, "Inflight I/O tracking"): which
 * chains of a ring were taken and not returned, in which order. A back-end
 * that finds a record does again what is in flight there, once.
 *
 * The front-end can write to the record at any time. It is read once, when a
 * ring starts, and nothing in it is believed that does not fit the ring.
 * Shared values are loaded and stored here alone.
 */
#ifndef VHU_VIRTIO_INFLIGHT_H
#define VHU_VIRTIO_INFLIGHT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "virtio/gmem.h"

enum {
	INFLIGHT_ALIGN = 64,
	INFLIGHT_SPLIT_HEAD = 16,
	INFLIGHT_SPLIT_DESC = 16,
	INFLIGHT_PACKED_HEAD = 32,
	INFLIGHT_PACKED_DESC = 32,
};

struct inflight;

/* One ring's part of a record. */
struct inflight_ring {
	struct inflight *record; /* a reference; NULL: nothing is recorded */
	uint8_t *bytes;		 /* of the part */
	bool packed;
	uint32_t size;	     /* entries of the ring */
	uint64_t counter;    /* of the next request */
	uint16_t last_batch; /* split: the newest of those returned and not published */
	uint16_t batch_end;  /* split: what the record said before them */
	unsigned int n_batch;
	uint16_t free_head; /* packed: our own view of its list */
};

/* Bytes of a record for n_rings rings of size entries each; 0: not possible, or too many. */
uint64_t inflight_bytes(uint32_t n_rings, uint32_t size, bool packed);

/*
 * A new record, zeroed, in a file of its own, *ret_fd (the caller's). The caller
 * gets the only reference. 0 or a negative errno.
 */
int inflight_new(uint32_t n_rings, uint32_t size, bool packed, struct inflight **ret_record,
		 int *ret_fd);

/*
 * The record that the front-end gives back: len bytes of the file fd (stays the
 * caller's) from offset on, for n_rings of size entries.
 */
enum gmem_result inflight_map(uint64_t len, uint64_t offset, int fd, uint32_t n_rings,
			      uint32_t size, bool packed, struct inflight **ret_record);

struct inflight *inflight_ref(struct inflight *record);

/* Unmaps with the last reference. NULL is allowed. */
void inflight_unref(struct inflight *record);

/* Whether the record has ring idx with that many entries in that layout. */
bool inflight_fits(const struct inflight *record, uint32_t idx, uint32_t size, bool packed);

/* Whether the record lost its file. */
bool inflight_faulted(const struct inflight *record);

/*
 * Begins to record ring idx, which inflight_fits(); drops what r had before.
 * NULL: r records nothing from now on.
 */
void inflight_attach(struct inflight_ring *r, struct inflight *record, uint32_t idx);
void inflight_detach(struct inflight_ring *r);

/*
 * Split. What an earlier back-end left: repairs the record against the used
 * index that the ring's memory holds, and lists the heads in flight, oldest
 * first, in heads[size]. Returns how many; the next available index is then
 * used_idx plus that many. A record that nobody began, or that makes no sense, is
 * begun anew: -1, and the front-end's base counts.
 */
int inflight_split_resume(struct inflight_ring *r, uint16_t used_idx, uint16_t *ret_heads);

/* Split: a chain was taken, given back untouched, returned; then all those returned published. */
void inflight_split_take(struct inflight_ring *r, uint16_t head);
void inflight_split_untake(struct inflight_ring *r, uint16_t head);
void inflight_split_return(struct inflight_ring *r, uint16_t head);
void inflight_split_published(struct inflight_ring *r, uint16_t used_idx);

#endif
