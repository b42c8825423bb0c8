/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The layout of one ring's part of a record, and loads and stores of it, in
 * native byte order. For the files inflight*.c alone.
 *
 * A store here is ordered after those before it also for the compiler: whoever
 * is killed between two of them has made the first and not the second.
 */
#ifndef VHU_VIRTIO_INFLIGHT_PRIVATE_H
#define VHU_VIRTIO_INFLIGHT_PRIVATE_H

#include "base.h"
#include "virtio/inflight.h"

/* Offsets in a part. */
enum {
	PART_FEATURES = 0,
	PART_VERSION = 8,
	PART_DESC_NUM = 10,

	SPLIT_LAST_BATCH = 12,
	SPLIT_USED_IDX = 14,

	/* The numbers of a packed ring change two words at a time. */
	PACKED_LIST_WORD = 8,
	PACKED_FREE_HEAD = 12,
	PACKED_OLD_FREE_HEAD = 14,
	PACKED_USED_WORD = 16,
};

/* Offsets in an entry. */
enum {
	ENTRY_INFLIGHT = 0,
	ENTRY_COUNTER = 8,

	SPLIT_ENTRY_NEXT = 6,

	PACKED_ENTRY_NEXT = 2,
	PACKED_ENTRY_LAST = 4,
	PACKED_ENTRY_NUM = 6,
	PACKED_ENTRY_ID = 16,
	PACKED_ENTRY_FLAGS = 18,
	PACKED_ENTRY_LEN = 20,
	PACKED_ENTRY_ADDR = 24,
};

/* One in flight, as it is put into order. */
struct inflight_found {
	uint64_t counter;
	uint16_t entry;
};

#define INFLIGHT_ACCESS(bits)                                                                      \
	static inline uint##bits##_t part_load##bits(const uint8_t *bytes, size_t off)             \
	{                                                                                          \
		const uint##bits##_t *p = (const uint##bits##_t *)(const void *)(bytes + off);     \
                                                                                                   \
		return __atomic_load_n(p, __ATOMIC_RELAXED);                                       \
	}                                                                                          \
	static inline void part_store##bits(uint8_t *bytes, size_t off, uint##bits##_t v)          \
	{                                                                                          \
		uint##bits##_t *p = (uint##bits##_t *)(void *)(bytes + off);                       \
                                                                                                   \
		__atomic_store_n(p, v, __ATOMIC_RELEASE);                                          \
	}
INFLIGHT_ACCESS(8)
INFLIGHT_ACCESS(16)
INFLIGHT_ACCESS(32)
INFLIGHT_ACCESS(64)
#undef INFLIGHT_ACCESS

/* Whether somebody has begun the part, for a ring of that many entries. */
bool inflight_part_begun(const struct inflight_ring *r);

enum { INFLIGHT_PACKED_LISTS = 3 }; /* next, last, num */

/* Makes room for the lists of a packed ring, in one allocation that r->next names. */
bool inflight_packed_lists(struct inflight_ring *r);

/* Sorts what was found in flight, oldest first. */
void inflight_sort(struct inflight_found *found, size_t n);

#endif
