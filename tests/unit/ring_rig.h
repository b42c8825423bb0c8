/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Guest memory and a ring in it, with both sides attached, for the tests of
 * the ring engine. Functions that fail end the running test.
 */
#ifndef VHU_TESTS_RING_RIG_H
#define VHU_TESTS_RING_RIG_H

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "unit.h"

#include "base.h"
#include "driver_ring.h"
#include "virtio/driverq.h"
#include "virtio/features.h"
#include "virtio/gmem.h"
#include "virtio/virtq.h"

#define RIG_GUEST UINT64_C(0x40000000)
#define RIG_USER UINT64_C(0x7f0000000000)
#define RIG_NOWHERE UINT64_C(0x10)

#define RIG_V1 BIT(VIRTIO_F_VERSION_1_BIT)
#define RIG_INDIRECT BIT(VIRTIO_F_INDIRECT_DESC_BIT)
#define RIG_EVENT BIT(VIRTIO_F_EVENT_IDX_BIT)
#define RIG_PACKED BIT(VIRTIO_F_RING_PACKED_BIT)
#define RIG_ORDER BIT(VIRTIO_F_IN_ORDER_BIT)

#define RIG_FRESH_PACKED 0x80008000u

enum {
	RIG_TABLE = 8, /* descriptors of an indirect table */
	RIG_DATA_BYTES = 0x10000,
};

/* One region, described by RIG_GUEST: the ring, its tables, then data. */
struct rig {
	struct gmem *mem;
	unsigned char *host; /* of RIG_GUEST */
	size_t len;
	uint64_t tables; /* guest addresses */
	uint64_t data;
	struct driverq driver;
	struct virtq device;
	uint64_t features;
};

static inline int rig_memfd(uint64_t size)
{
	int fd = memfd_create("guest", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	return fd;
}

/* A region over a file of its own. */
static inline struct gmem_region *rig_region(uint64_t guest, uint64_t user, uint64_t size)
{
	struct gmem_desc desc = { .guest_addr = guest, .size = size, .user_addr = user };
	struct gmem_region *region = NULL;
	int fd = rig_memfd(size);

	assert_int_equal(gmem_region_map(&desc, fd, &region), GMEM_OK);
	assert_int_equal(close(fd), 0);
	return region;
}

/* A table over regions, whose references the caller gives up. */
static inline struct gmem *rig_gmem(struct gmem_region **regions, size_t n)
{
	struct gmem *mem = NULL;

	assert_int_equal(gmem_new(regions, n, &mem), GMEM_OK);
	for (size_t i = 0; i < n; i++)
		gmem_region_unref(regions[i]);
	return mem;
}

static inline size_t rig_page_up(size_t n)
{
	return (n + 4095) & ~(size_t)4095;
}

static inline void rig_start(struct rig *rig, uint32_t base)
{
	struct virtq_ring ring = driver_ring(&rig->driver, rig->mem);

	virtq_start(&rig->device, &ring, rig->mem, base, rig->features);
}

/*
 * A ring of size descriptors with data_len bytes of buffers, nothing offered,
 * device started at 0.
 */
static inline void rig_open_data(struct rig *rig, unsigned int size, uint64_t features,
				 size_t data_len)
{
	size_t ring_len = rig_page_up(driverq_bytes(size));
	size_t table_len = rig_page_up(driverq_table_bytes(size, RIG_TABLE));
	struct gmem_region *region;

	memset(rig, 0, sizeof(*rig));
	rig->features = features;
	rig->len = ring_len + table_len + data_len;
	rig->tables = RIG_GUEST + ring_len;
	rig->data = rig->tables + table_len;
	region = rig_region(RIG_GUEST, RIG_USER, rig->len);
	rig->mem = rig_gmem(&region, 1);
	rig->host = gmem_host_from_guest(rig->mem, RIG_GUEST, rig->len);
	assert_non_null(rig->host);
	assert_int_equal(driverq_init(&rig->driver, rig->host, RIG_GUEST, size, features), 0);
	driverq_set_tables(&rig->driver, rig->host + ring_len, rig->tables, RIG_TABLE);
	assert_int_equal(virtq_init(&rig->device, size, features), 0);
	rig_start(rig, features & RIG_PACKED ? RIG_FRESH_PACKED : 0);
}

static inline void rig_open(struct rig *rig, unsigned int size, uint64_t features)
{
	rig_open_data(rig, size, features, RIG_DATA_BYTES);
}

static inline void rig_close(struct rig *rig)
{
	virtq_fini(&rig->device);
	driverq_fini(&rig->driver);
	gmem_unref(rig->mem);
}

/* Where a guest address of the rig's region is here. */
static inline unsigned char *rig_at(const struct rig *rig, uint64_t guest)
{
	return rig->host + (guest - RIG_GUEST);
}

/* Below: a driver that writes what it likes, past driverq. */
static inline void rig_desc(struct rig *rig, uint32_t idx, uint64_t addr, uint32_t len,
			    unsigned int flags, unsigned int next)
{
	vring_desc_store(&rig->driver.ring, idx,
			 (struct vring_desc){ addr, len, (uint16_t)flags, (uint16_t)next });
}

/* Entry idx of an indirect table at a guest address of the rig's region. */
static inline void rig_table_desc(struct rig *rig, uint64_t table, uint32_t idx, uint64_t addr,
				  uint32_t len, unsigned int flags, unsigned int next)
{
	void *p = rig_at(rig, table + idx * (uint64_t)VRING_DESC_BYTES);

	vring_desc_write(p, (struct vring_desc){ addr, len, (uint16_t)flags, (uint16_t)next });
}

/* Makes the chain at head available as the next entry. */
static inline void rig_offer(struct rig *rig, uint16_t head)
{
	const struct vring *ring = &rig->driver.ring;
	uint16_t idx = vring_avail_idx(ring);

	vring_set_avail_entry(ring, idx, head);
	vring_set_avail_idx(ring, (uint16_t)(idx + 1));
}

/* A reproducible stream of numbers; *state must not be 0. */
static inline uint32_t rig_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return (uint32_t)(*state >> 16);
}

/* Below n, which must not be 0. */
static inline uint32_t rig_below(uint64_t *state, uint32_t n)
{
	return rig_random(state) % n;
}

/* Pops a chain that must be there. */
static inline struct chain rig_pop(struct rig *rig)
{
	struct chain chain;

	memset(&chain, 0, sizeof(chain));
	assert_int_equal(virtq_pop(&rig->device, &chain), POP_CHAIN);
	return chain;
}

#endif
