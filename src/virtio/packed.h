/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The packed ring's layout (virtio "Packed Virtqueues"), for both sides, as
 * virtio/vring.h is for the split ring: no other file dereferences packed ring
 * memory, and every shared value is loaded or stored once.
 *
 * A position is an offset into the ring with the wrap counter that holds there.
 */
#ifndef VHU_VIRTIO_PACKED_H
#define VHU_VIRTIO_PACKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base.h"

enum {
	PACKED_MAX_SIZE = 32768,
	PACKED_DESC_BYTES = 16,
	PACKED_EVENT_BYTES = 4,

	PACKED_DESC_ALIGN = 16,
	PACKED_EVENT_ALIGN = 4,

	/* descriptor flags */
	PACKED_DESC_F_NEXT = 1,
	PACKED_DESC_F_WRITE = 2,
	PACKED_DESC_F_INDIRECT = 4,
	PACKED_DESC_F_AVAIL = 0x80,
	PACKED_DESC_F_USED = 0x8000,

	/* flags of event suppression */
	PACKED_EVENT_ENABLE = 0,
	PACKED_EVENT_DISABLE = 1,
	PACKED_EVENT_DESC = 2, /* at a position; only with EVENT_IDX */
	PACKED_EVENT_RESERVED = 3,
};

/* A private copy of a descriptor, in host byte order. */
struct packed_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t id;
	uint16_t flags;
};

/* A private copy of an event suppression structure. */
struct packed_event {
	uint16_t offset; /* bits 0-14 */
	bool wrap;	 /* bit 15 */
	uint16_t flags;
};

struct packed_position {
	uint16_t offset;
	bool wrap;
};

/* A descriptor in shared memory, little-endian. */
struct packed_slot {
	uint64_t addr;
	uint32_t len;
	uint16_t id;
	uint16_t flags;
};

/* Where a fresh ring begins (VR-082). */
#define PACKED_START ((struct packed_position){ .offset = 0, .wrap = true })

/* Borrowed memory. */
struct packed_ring {
	struct packed_slot *desc;
	uint32_t *driver_event; /* written by the driver: which calls it wants */
	uint32_t *device_event; /* written by the device: which kicks it wants */
	uint32_t size;
};

static inline size_t packed_desc_bytes(size_t n)
{
	return PACKED_DESC_BYTES * n;
}

/* Whether a packed ring may have n descriptors: no power of two is asked for. */
static inline bool packed_size_valid(uint64_t n)
{
	return n > 0 && n <= PACKED_MAX_SIZE;
}

/* Binds ring to its areas. False, and ring untouched, when an address or the size is not valid. */
bool packed_map(struct packed_ring *ring, void *desc, void *driver_event, void *device_event,
		unsigned int size);

/* Flags for a descriptor that becomes available, or used, while the wrap counter is wrap. */
static inline uint16_t packed_avail_flags(bool wrap)
{
	return wrap ? PACKED_DESC_F_AVAIL : PACKED_DESC_F_USED;
}

static inline uint16_t packed_used_flags(bool wrap)
{
	return wrap ? PACKED_DESC_F_AVAIL | PACKED_DESC_F_USED : 0;
}

static inline bool packed_is_avail(uint16_t flags, bool wrap)
{
	return (flags & (PACKED_DESC_F_AVAIL | PACKED_DESC_F_USED)) == packed_avail_flags(wrap);
}

static inline bool packed_is_used(uint16_t flags, bool wrap)
{
	return (flags & (PACKED_DESC_F_AVAIL | PACKED_DESC_F_USED)) == packed_used_flags(wrap);
}

/* n descriptors on, at most a ring's size. */
static inline struct packed_position packed_advance(const struct packed_ring *ring,
						    struct packed_position at, uint32_t n)
{
	uint32_t offset = at.offset + n;

	if (offset >= ring->size) {
		offset -= ring->size;
		at.wrap = !at.wrap;
	}
	at.offset = (uint16_t)offset;
	return at;
}

/* Flags of a descriptor. Acquire: what was stored before them is visible afterwards. */
static inline uint16_t packed_desc_flags(const struct packed_ring *ring, uint32_t offset)
{
	return shm_load_acquire_le16(&ring->desc[offset].flags);
}

/* A descriptor, its flags first. offset must be below ring->size. */
static inline struct packed_desc packed_desc_load(const struct packed_ring *ring, uint32_t offset)
{
	const struct packed_slot *slot = &ring->desc[offset];
	struct packed_desc desc = { .flags = shm_load_acquire_le16(&slot->flags) };

	desc.addr = shm_load_le64(&slot->addr);
	desc.len = shm_load_le32(&slot->len);
	desc.id = shm_load_le16(&slot->id);
	return desc;
}

/* What a used descriptor says beside its flags; its address means nothing and stays. */
static inline void packed_used_store(const struct packed_ring *ring, uint32_t offset, uint16_t id,
				     uint32_t len)
{
	shm_store_le32(&ring->desc[offset].len, len);
	shm_store_le16(&ring->desc[offset].id, id);
}

/* Everything of a descriptor but its flags. */
void packed_desc_store_body(const struct packed_ring *ring, uint32_t offset,
			    struct packed_desc desc);

/* Release: hands the descriptor over with what was stored before. */
static inline void packed_desc_store_flags(const struct packed_ring *ring, uint32_t offset,
					   uint16_t flags)
{
	shm_store_release_le16(&ring->desc[offset].flags, flags);
}

/* Entry i of an indirect table at an 8-byte aligned place. */
void packed_table_store(void *table, unsigned int i, struct packed_desc desc);

/* Event suppression: each structure is loaded and stored whole. */
struct packed_event packed_event_load(const uint32_t *shared);
void packed_event_store(uint32_t *shared, struct packed_event event);

/* Going n descriptors on to position now, was the event's position passed? n is at most size. */
bool packed_event_passed(const struct packed_ring *ring, struct packed_event event,
			 struct packed_position now, uint32_t n);

/* Both positions as SET_VRING_BASE and GET_VRING_BASE carry them. */
static inline uint32_t packed_base(struct packed_position avail, struct packed_position used)
{
	return (uint32_t)avail.offset | (uint32_t)avail.wrap << 15 | (uint32_t)used.offset << 16 |
	       (uint32_t)used.wrap << 31;
}

/* The first of the two, where the driver or a device that starts again goes on. */
static inline struct packed_position packed_base_avail(uint32_t base)
{
	return (struct packed_position){ .offset = base & 0x7fff, .wrap = (base & 0x8000) != 0 };
}

/* The second, where used descriptors go on. */
static inline struct packed_position packed_base_used(uint32_t base)
{
	return packed_base_avail(base >> 16);
}

#endif
