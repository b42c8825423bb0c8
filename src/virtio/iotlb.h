/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Translations of an IOMMU, as the front-end tells them: from I/O virtual
 * addresses, which rings and descriptors use then, to the front-end's own
 * (vhost-user text, "IOMMU support"). Pure look-ups; who asks for what is missing
 * is vhu/backend-iommu.c.
 */
#ifndef VHU_VIRTIO_IOTLB_H
#define VHU_VIRTIO_IOTLB_H

#include <stdbool.h>
#include <stdint.h>

#include "state.h"
#include "virtio/gmem.h"

enum {
	IOTLB_READ = 1, /* the device may read there */
	IOTLB_WRITE = 2,

	IOTLB_MAX_ENTRIES = 65536,
};

struct iotlb;

struct iotlb_entry {
	uint64_t iova;
	uint64_t size;
	uint64_t user_addr;
	uint8_t perm; /* IOTLB_READ | IOTLB_WRITE */
};

/* NULL when there is no memory for it. */
struct iotlb *iotlb_new(void);
void iotlb_free(struct iotlb *tlb);

/*
 * Adds a translation; what it overlaps is cut. When there are too many the
 * oldest goes: it can be asked for again. 0, -EINVAL (empty, wraps, no
 * permission) or -ENOMEM.
 */
int iotlb_update(struct iotlb *tlb, const struct iotlb_entry *entry);

/* Removes what is known of [iova, iova + size); it may end at 2^64. Nothing if size is 0. */
void iotlb_invalidate(struct iotlb *tlb, uint64_t iova, uint64_t size);
void iotlb_clear(struct iotlb *tlb);

/* How many translations there are, after cuts. */
size_t iotlb_n_entries(const struct iotlb *tlb);

/* Whether anything is known of [iova, iova + size). */
bool iotlb_knows(const struct iotlb *tlb, uint64_t iova, uint64_t size);

/* The whole translation around iova, whatever its permission; false: none, nothing written. */
bool iotlb_find(const struct iotlb *tlb, uint64_t iova, struct iotlb_entry *ret_entry);

/*
 * The stretch around iova that one translation and one region of mem hold, for
 * an access of that kind. False, and nothing written, when there is none.
 */
bool iotlb_window_at(const struct iotlb *tlb, const struct gmem *mem, uint64_t iova, uint8_t perm,
		     struct gmem_window *ret_window);

/*
 * Where [iova, iova + len) lies here when all of it is contiguous here, as the
 * areas of a ring must be; else NULL, and *ret_missing is the first address
 * without a translation (or iova, when all are there and do not fit together).
 */
void *iotlb_host(const struct iotlb *tlb, const struct gmem *mem, uint64_t iova, uint64_t len,
		 uint8_t perm, uint64_t *ret_missing);

/* For a hand-over: all of them, the oldest first; loaded into one that is empty. */
void iotlb_save(const struct iotlb *tlb, struct state_writer *w, unsigned int tag);
void iotlb_load(struct iotlb *tlb, struct state_reader *r, unsigned int tag);

#endif
