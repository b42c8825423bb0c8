/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The ring that a driver laid out in guest memory, as its device is given it. */
#ifndef VHU_TESTS_DRIVER_RING_H
#define VHU_TESTS_DRIVER_RING_H

#include <assert.h>

#include "virtio/driverq.h"
#include "virtio/gmem.h"
#include "virtio/virtq.h"

static inline struct virtq_ring driver_ring(const struct driverq *d, const struct gmem *mem)
{
	struct virtq_areas len = virtq_area_bytes(d->features, d->size);
	struct virtq_ring ring = { .size = 0 };
	bool mapped = virtq_ring_map(&ring, d->features,
				     gmem_host_from_guest(mem, d->desc_addr, len.desc),
				     gmem_host_from_guest(mem, d->avail_addr, len.driver),
				     gmem_host_from_guest(mem, d->used_addr, len.device), d->size);

	assert(mapped);
	(void)mapped;
	return ring;
}

#endif
