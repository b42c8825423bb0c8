/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The split ring's layout (virtio "Split Virtqueues"), for both sides. No
 * other file dereferences ring memory or indirect tables: every shared value
 * is loaded or stored once, by name, and is a private local afterwards.
 *
 * Slots are taken modulo the ring size here; an index is free-running.
 */
#ifndef VHU_VIRTIO_VRING_H
#define VHU_VIRTIO_VRING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base.h"
#include "virtio/gmem.h"

enum {
	VRING_MAX_SIZE = 32768,
	VRING_DESC_BYTES = 16,

	VRING_DESC_ALIGN = 16,
	VRING_AVAIL_ALIGN = 2,
	VRING_USED_ALIGN = 4,

	/* descriptor flags */
	VRING_DESC_F_NEXT = 1,
	VRING_DESC_F_WRITE = 2,
	VRING_DESC_F_INDIRECT = 4,

	/* avail.flags, used.flags */
	VRING_AVAIL_F_NO_INTERRUPT = 1,
	VRING_USED_F_NO_NOTIFY = 1,
};

/* A private copy of a descriptor, in host byte order. */
struct vring_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags;
	uint16_t next;
};

/* Borrowed memory: whoever maps a ring keeps its gmem referenced. */
struct vring {
	uint64_t *desc;	     /* two words per descriptor */
	uint16_t *avail;     /* flags, idx, ring[size], used_event */
	uint16_t *used;	     /* flags, idx */
	uint32_t *used_ring; /* {id, len}[size], then avail_event */
	uint32_t size;	     /* descriptors; 0: not mapped */
};

/* Bytes of the three areas of a ring of n descriptors; the event words are always part. */
static inline size_t vring_desc_bytes(size_t n)
{
	return VRING_DESC_BYTES * n;
}

static inline size_t vring_avail_bytes(size_t n)
{
	return 6 + 2 * n;
}

static inline size_t vring_used_bytes(size_t n)
{
	return 6 + 8 * n;
}

/* Whether a split ring may have n descriptors. */
static inline bool vring_size_valid(uint64_t n)
{
	return is_power_of_two(n) && n <= VRING_MAX_SIZE;
}

/*
 * Binds ring to three areas of the sizes above. False, and ring untouched,
 * when one is NULL or misaligned or size is not valid.
 */
bool vring_map(struct vring *ring, void *desc, void *avail, void *used, unsigned int size);

/* Loads the 16 bytes of a descriptor, at any alignment, each of them once. */
struct vring_desc vring_desc_read(const void *shared);

/* Loads n shared bytes, each of them once. */
void vring_bytes_load(unsigned char *dst, const void *shared, size_t n);

/* A descriptor from a private copy of its bytes. */
struct vring_desc vring_desc_from_bytes(const unsigned char bytes[VRING_DESC_BYTES]);

/*
 * Loads an entry of an indirect table at a guest address; it may lie across
 * regions. False, and nothing written, when a byte of it is not mapped.
 */
bool vring_desc_read_guest(const struct gmem *mem, uint64_t guest_addr,
			   struct vring_desc *ret_desc);

/* Driver side: stores a descriptor at an 8-byte aligned place (ring or table). */
void vring_desc_write(uint64_t *shared, struct vring_desc desc);

/* From the two 8-byte words of a descriptor to its fields. */
static inline struct vring_desc vring_desc_split(uint64_t addr, uint64_t rest)
{
	return (struct vring_desc){
		.addr = addr,
		.len = (uint32_t)rest,
		.flags = (uint16_t)(rest >> 32),
		.next = (uint16_t)(rest >> 48),
	};
}

/* Descriptor table. idx must be below ring->size. */
static inline struct vring_desc vring_desc_load(const struct vring *ring, uint32_t idx)
{
	const uint64_t *p = ring->desc + 2 * (size_t)idx;

	return vring_desc_split(shm_load_le64(p), shm_load_le64(p + 1));
}

static inline void vring_desc_store(const struct vring *ring, uint32_t idx, struct vring_desc desc)
{
	vring_desc_write(ring->desc + 2 * (size_t)idx, desc);
}

static inline uint32_t vring_slot(const struct vring *ring, uint16_t idx)
{
	return idx & (ring->size - 1);
}

/* Available ring, device side. */
static inline uint16_t vring_avail_flags(const struct vring *ring)
{
	return shm_load_le16(&ring->avail[0]);
}

/* Acquire: the entries and descriptors below this index are visible afterwards. */
static inline uint16_t vring_avail_idx(const struct vring *ring)
{
	return shm_load_acquire_le16(&ring->avail[1]);
}

static inline uint16_t vring_avail_entry(const struct vring *ring, uint16_t idx)
{
	return shm_load_le16(&ring->avail[2 + vring_slot(ring, idx)]);
}

static inline uint16_t vring_used_event(const struct vring *ring)
{
	return shm_load_le16(&ring->avail[2 + ring->size]);
}

/* Available ring, driver side. */
static inline void vring_set_avail_flags(const struct vring *ring, uint16_t flags)
{
	shm_store_le16(&ring->avail[0], flags);
}

/* Release: publishes the entries and descriptors stored before. */
static inline void vring_set_avail_idx(const struct vring *ring, uint16_t idx)
{
	shm_store_release_le16(&ring->avail[1], idx);
}

static inline void vring_set_avail_entry(const struct vring *ring, uint16_t idx, uint16_t head)
{
	shm_store_le16(&ring->avail[2 + vring_slot(ring, idx)], head);
}

static inline void vring_set_used_event(const struct vring *ring, uint16_t event)
{
	shm_store_le16(&ring->avail[2 + ring->size], event);
}

/* Used ring, device side. */
static inline void vring_set_used_flags(const struct vring *ring, uint16_t flags)
{
	shm_store_le16(&ring->used[0], flags);
}

/* Release: publishes the entries and the data stored before. */
static inline void vring_set_used_idx(const struct vring *ring, uint16_t idx)
{
	shm_store_release_le16(&ring->used[1], idx);
}

static inline void vring_set_used_entry(const struct vring *ring, uint16_t idx, uint32_t id,
					uint32_t len)
{
	uint32_t *entry = ring->used_ring + 2 * (size_t)vring_slot(ring, idx);

	shm_store_le32(entry, id);
	shm_store_le32(entry + 1, len);
}

static inline uint16_t *vring_avail_event_word(const struct vring *ring)
{
	return (uint16_t *)(void *)(ring->used_ring + 2 * (size_t)ring->size);
}

static inline void vring_set_avail_event(const struct vring *ring, uint16_t event)
{
	shm_store_le16(vring_avail_event_word(ring), event);
}

/* Used ring, driver side; vring_used_idx() also where a device starts. */
static inline uint16_t vring_used_flags(const struct vring *ring)
{
	return shm_load_le16(&ring->used[0]);
}

static inline uint16_t vring_used_idx(const struct vring *ring)
{
	return shm_load_acquire_le16(&ring->used[1]);
}

static inline void vring_used_entry(const struct vring *ring, uint16_t idx, uint32_t *ret_id,
				    uint32_t *ret_len)
{
	const uint32_t *entry = ring->used_ring + 2 * (size_t)vring_slot(ring, idx);

	*ret_id = shm_load_le32(entry);
	*ret_len = shm_load_le32(entry + 1);
}

static inline uint16_t vring_avail_event(const struct vring *ring)
{
	return shm_load_le16(vring_avail_event_word(ring));
}

/*
 * Event index rule of both directions: going from index old to index new,
 * was event passed (old <= event < new, modulo 2^16)?
 */
static inline bool vring_event_passed(uint16_t event, uint16_t new_idx, uint16_t old_idx)
{
	return (uint16_t)(new_idx - event - 1) < (uint16_t)(new_idx - old_idx);
}

#endif
