/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "ring-side.h"

#include "virtio/driverq.h"
#include "virtio/features.h"

enum fuzz_op {
	OP_POP,
	OP_PUSH, /* argument: which of the chains held */
	OP_PUBLISH,
	OP_UNPOP,  /* argument: how many */
	OP_KICKS,  /* argument: odd on, even off */
	OP_MEMORY, /* argument: odd the same again, even none and back */
	OP_RESTART,
	OP_OFFER, /* argument: added to the available index, or which becomes available next */
};

/* Made once and filled again for each input. */
void ring_side_map(struct ring_side *f)
{
	struct gmem_region *regions[RING_SIDE_REGIONS];

	for (uint64_t i = 0; i < RING_SIDE_REGIONS; i++) {
		struct gmem_desc desc = { 0x10000 + i * RING_SIDE_REGION, RING_SIDE_REGION,
					  0x70000000 + i * 0x100000, 0 };
		int fd = fuzz_file(RING_SIDE_REGION);

		must(gmem_region_map(&desc, fd, &regions[i]) == GMEM_OK);
		close(fd);
	}
	must(gmem_new(regions, RING_SIDE_REGIONS, &f->mem) == GMEM_OK);
	for (uint64_t i = 0; i < RING_SIDE_REGIONS; i++) {
		f->host[i] = gmem_host_from_guest(f->mem, 0x10000 + i * RING_SIDE_REGION, 1);
		gmem_region_unref(regions[i]);
	}
	must(virtq_init(&f->q, VRING_MAX_SIZE, 0) == 0);
}

void ring_side_fill(struct ring_side *f, const uint8_t *data, size_t size)
{
	for (size_t i = 0; i < RING_SIDE_REGIONS; i++) {
		size_t part = min_size(size, RING_SIDE_REGION);

		memset(f->host[i], 0, RING_SIDE_REGION);
		if (part > 0)
			memcpy(f->host[i], data, part);
		data += part;
		size -= part;
	}
}

static void check_chain(const struct ring_side *f, const struct chain *chain)
{
	uint64_t sums[2] = { 0, 0 };

	for (unsigned int i = 0; i < chain->n_out + chain->n_in; i++) {
		uintptr_t base = (uintptr_t)chain->iov[i].iov_base;
		size_t len = chain->iov[i].iov_len;
		unsigned int part = 0;

		while (part < RING_SIDE_REGIONS &&
		       base - (uintptr_t)f->host[part] >= RING_SIDE_REGION)
			part++;
		must(part < RING_SIDE_REGIONS);
		must(len > 0 && len <= RING_SIDE_REGION - (base - (uintptr_t)f->host[part]));
		sums[i >= chain->n_out] += len;
	}
	must(sums[0] == chain->out_len && sums[1] == chain->in_len);
	must(chain->head < f->ring.size);
}

enum pop_result ring_side_pop(struct ring_side *f)
{
	struct chain chain;
	enum pop_result result;

	if (f->n_pops == MAX_POPS)
		return POP_EMPTY;
	result = virtq_pop(&f->q, &chain);
	must((result == POP_BROKEN) == (virtq_broken(&f->q) != VIRTQ_FAULT_NONE));
	if (result == POP_CHAIN) {
		check_chain(f, &chain);
		f->pops[f->n_pops].head = chain.head;
		f->pops[f->n_pops++].pushed = false;
	}
	return result;
}

static void do_push(struct ring_side *f, unsigned int which)
{
	if (f->q.in_order)
		which = 0;
	for (unsigned int i = 0; i < f->n_pops; i++) {
		if (f->pops[i].pushed || which-- > 0)
			continue;
		virtq_push(&f->q, f->pops[i].head, 0);
		f->pops[i].pushed = true;
		return;
	}
}

static void do_unpop(struct ring_side *f, unsigned int most)
{
	uint32_t base = virtq_base(&f->q);
	unsigned int n = 0;

	while (n < most && n < f->n_pops && !f->pops[f->n_pops - 1 - n].pushed)
		n++;
	virtq_unpop(&f->q, n);
	f->n_pops -= n;
	/* What a record had left does not count. */
	must(f->q.packed || f->q.record || virtq_base(&f->q) == (uint16_t)(base - n));
}

/* A packed ring's driver hands over a descriptor with whatever is in it. */
static void do_offer(struct ring_side *f, unsigned int argument)
{
	uint32_t at = argument % f->ring.size;
	uint16_t flags;

	if (f->ring.packed) {
		flags = packed_desc_flags(&f->ring.pack, at) & 7;
		packed_desc_store_flags(&f->ring.pack, at,
					flags | packed_avail_flags(f->q.avail.wrap));
	} else {
		vring_set_avail_idx(&f->ring.split,
				    (uint16_t)(vring_avail_idx(&f->ring.split) + argument));
	}
}

void ring_side_do(struct ring_side *f, uint8_t byte)
{
	unsigned int argument = byte >> 3;

	switch ((enum fuzz_op)(byte & 7)) {
	case OP_POP:
		ring_side_pop(f);
		break;
	case OP_PUSH:
		do_push(f, argument);
		break;
	case OP_PUBLISH:
		virtq_publish(&f->q);
		break;
	case OP_UNPOP:
		do_unpop(f, argument);
		break;
	case OP_KICKS:
		if (argument & 1)
			virtq_kicks_on(&f->q);
		else
			virtq_kicks_off(&f->q);
		break;
	case OP_MEMORY:
		if (!(argument & 1))
			virtq_set_memory(&f->q, NULL, NULL);
		virtq_set_memory(&f->q, &f->ring, f->mem);
		break;
	case OP_RESTART:
		f->n_pops = 0;
		virtq_start(&f->q, &f->ring, f->mem, virtq_base(&f->q), f->q.features);
		break;
	case OP_OFFER:
		do_offer(f, argument);
		break;
	}
}

static uint64_t features_from(uint8_t bits)
{
	return BIT(VIRTIO_F_VERSION_1_BIT) | (bits & 1 ? BIT(VIRTIO_F_INDIRECT_DESC_BIT) : 0) |
	       (bits & 2 ? BIT(VIRTIO_F_EVENT_IDX_BIT) : 0) |
	       (bits & 4 ? BIT(VIRTIO_F_NOTIFY_ON_EMPTY_BIT) : 0) |
	       (bits & 8 ? BIT(VIRTIO_F_RING_PACKED_BIT) : 0) |
	       (bits & 16 ? BIT(VIRTIO_F_IN_ORDER_BIT) : 0);
}

/* Lays out the ring and starts it. */
void ring_side_start(struct ring_side *f, const uint8_t head[RING_SIDE_HEAD])
{
	uint64_t features = features_from(head[1]);
	bool packed = features & BIT(VIRTIO_F_RING_PACKED_BIT);
	uint32_t size = packed ? 1 + head[0] % 64u : 1u << head[0] % 7;
	uint32_t base = (uint32_t)(head[2] | head[3] << 8);
	struct virtq_areas len = virtq_area_bytes(features, size);
	size_t device_at = (len.desc + len.driver + 3) & ~(size_t)3;

	must(virtq_ring_map(&f->ring, features, f->host[0], f->host[0] + len.desc,
			    f->host[0] + device_at, size));
	f->n_pops = 0;
	virtq_start(&f->q, &f->ring, f->mem, packed ? base | base << 16 : base, features);
}
