/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* A packed ring of the rig, by a driver that writes what it likes. */
#ifndef VHU_TESTS_PACKED_RIG_H
#define VHU_TESTS_PACKED_RIG_H

#include "ring_rig.h"
#include "virtio/driverq-packed.h"

enum {
	PNEXT = PACKED_DESC_F_NEXT,
	PWRITE = PACKED_DESC_F_WRITE,
	PINDIRECT = PACKED_DESC_F_INDIRECT,
};

static inline const struct packed_ring *rig_packed(const struct rig *rig)
{
	return &rig->driver.packed->ring;
}

/* A descriptor at offset, available in the lap whose wrap counter is wrap. */
static inline void rig_pdesc(struct rig *rig, uint32_t offset, bool wrap, uint64_t addr,
			     uint32_t len, uint16_t id, unsigned int flags)
{
	packed_desc_store_body(rig_packed(rig), offset,
			       (struct packed_desc){ .addr = addr, .len = len, .id = id });
	packed_desc_store_flags(rig_packed(rig), offset,
				(uint16_t)(flags | packed_avail_flags(wrap)));
}

/* Entry idx of an indirect table at a guest address of the rig's region. */
static inline void rig_packed_table(struct rig *rig, uint64_t table, unsigned int idx,
				    uint64_t addr, uint32_t len, unsigned int flags)
{
	packed_table_store(rig_at(rig, table), idx,
			   (struct packed_desc){ addr, len, 0x7777, (uint16_t)flags });
}

static inline struct packed_desc rig_packed_at(const struct rig *rig, uint32_t offset)
{
	return packed_desc_load(rig_packed(rig), offset);
}

/* Whether the descriptor at offset is used in the lap whose wrap counter is wrap. */
static inline bool rig_packed_used(const struct rig *rig, uint32_t offset, bool wrap)
{
	return packed_is_used(rig_packed_at(rig, offset).flags, wrap);
}

/* What the driver says of calls. */
static inline void rig_packed_calls(struct rig *rig, unsigned int flags, uint16_t offset, bool wrap)
{
	packed_event_store(rig_packed(rig)->driver_event,
			   (struct packed_event){ offset, wrap, (uint16_t)flags });
}

static inline struct packed_event rig_packed_kicks(const struct rig *rig)
{
	return packed_event_load(rig_packed(rig)->device_event);
}

#endif
