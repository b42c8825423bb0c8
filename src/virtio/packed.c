/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "virtio/packed.h"

static bool aligned(const void *p, uintptr_t align)
{
	return p && ((uintptr_t)p & (align - 1)) == 0;
}

bool packed_map(struct packed_ring *ring, void *desc, void *driver_event, void *device_event,
		unsigned int size)
{
	if (!packed_size_valid(size) || !aligned(desc, PACKED_DESC_ALIGN) ||
	    !aligned(driver_event, PACKED_EVENT_ALIGN) ||
	    !aligned(device_event, PACKED_EVENT_ALIGN))
		return false;
	ring->desc = desc;
	ring->driver_event = driver_event;
	ring->device_event = device_event;
	ring->size = size;
	return true;
}

static void slot_store_body(struct packed_slot *slot, struct packed_desc desc)
{
	shm_store_le64(&slot->addr, desc.addr);
	shm_store_le32(&slot->len, desc.len);
	shm_store_le16(&slot->id, desc.id);
}

void packed_desc_store_body(const struct packed_ring *ring, uint32_t offset,
			    struct packed_desc desc)
{
	slot_store_body(&ring->desc[offset], desc);
}

void packed_table_store(void *table, unsigned int i, struct packed_desc desc)
{
	struct packed_slot *slots = table;

	slot_store_body(&slots[i], desc);
	shm_store_le16(&slots[i].flags, desc.flags);
}

struct packed_event packed_event_load(const uint32_t *shared)
{
	uint32_t word = shm_load_le32(shared);

	return (struct packed_event){
		.offset = word & 0x7fff,
		.wrap = (word & 0x8000) != 0,
		.flags = (uint16_t)(word >> 16),
	};
}

void packed_event_store(uint32_t *shared, struct packed_event event)
{
	shm_store_le32(shared, (uint32_t)(event.offset & 0x7fff) | (uint32_t)event.wrap << 15 |
				       (uint32_t)event.flags << 16);
}

/* Distances back from the new position: what lies less than n behind it was passed. */
bool packed_event_passed(const struct packed_ring *ring, struct packed_event event,
			 struct packed_position now, uint32_t n)
{
	uint32_t at = now.offset + ring->size;
	uint32_t behind;

	if (event.offset >= ring->size)
		return false;
	at -= event.offset;
	/* The lap before this one when the wrap counters differ; else this one or the next. */
	behind = event.wrap == now.wrap ? at - ring->size : at;
	return behind - 1 < n;
}
