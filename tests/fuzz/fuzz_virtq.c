/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The device side of a ring in memory that the input fills. Input:
 *
 *	byte 0		log2 of the ring size, modulo 7; of a packed ring the size
 *			less one, modulo 64
 *	byte 1		features: 1 indirect, 2 event index, 4 notify on empty,
 *			8 packed, 16 in order
 *	bytes 2, 3	available index to start at, or both positions, little-endian
 *	byte 4		number of operations, one byte each: the low three bits
 *			are an enum fuzz_op, the rest its argument
 *	the rest	guest memory: two regions of 4096 bytes that adjoin at
 *			guest address 0x11000. The ring is at 0x10000, its
 *			available area after the descriptors, its used area
 *			after that, aligned to 4. So are the two words of a packed ring.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base.h"
#include "virtio/driverq.h"
#include "virtio/features.h"
#include "virtio/virtq.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

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

enum {
	N_REGIONS = 2,
	REGION_BYTES = 4096,
	HEAD_BYTES = 5,
	MAX_POPS = 512,
};

struct fuzz {
	struct gmem *mem;
	unsigned char *host[N_REGIONS];
	struct virtq q;
	struct virtq_ring ring;
	struct {
		uint16_t head;
		bool pushed;
	} pops[MAX_POPS]; /* since the start, in order */
	unsigned int n_pops;
};

static void must(bool condition)
{
	if (!condition)
		abort();
}

/* Made once and filled again for each input. */
static void fuzz_map(struct fuzz *f)
{
	struct gmem_region *regions[N_REGIONS];

	for (uint64_t i = 0; i < N_REGIONS; i++) {
		struct gmem_desc desc = { 0x10000 + i * REGION_BYTES, REGION_BYTES,
					  0x70000000 + i * 0x100000, 0 };
		int fd = memfd_create("fuzz", MFD_CLOEXEC);

		must(fd >= 0 && ftruncate(fd, REGION_BYTES) == 0);
		must(gmem_region_map(&desc, fd, &regions[i]) == GMEM_OK);
		close(fd);
	}
	must(gmem_new(regions, N_REGIONS, &f->mem) == GMEM_OK);
	for (uint64_t i = 0; i < N_REGIONS; i++) {
		f->host[i] = gmem_host_from_guest(f->mem, 0x10000 + i * REGION_BYTES, 1);
		gmem_region_unref(regions[i]);
	}
	must(virtq_init(&f->q, VRING_MAX_SIZE, 0) == 0);
}

static void fuzz_fill(struct fuzz *f, const uint8_t *data, size_t size)
{
	for (size_t i = 0; i < N_REGIONS; i++) {
		size_t part = min_size(size, REGION_BYTES);

		memset(f->host[i], 0, REGION_BYTES);
		if (part > 0)
			memcpy(f->host[i], data, part);
		data += part;
		size -= part;
	}
}

static void check_chain(const struct fuzz *f, const struct chain *chain)
{
	uint64_t sums[2] = { 0, 0 };

	for (unsigned int i = 0; i < chain->n_out + chain->n_in; i++) {
		uintptr_t base = (uintptr_t)chain->iov[i].iov_base;
		size_t len = chain->iov[i].iov_len;
		unsigned int part = 0;

		while (part < N_REGIONS && base - (uintptr_t)f->host[part] >= REGION_BYTES)
			part++;
		must(part < N_REGIONS);
		must(len > 0 && len <= REGION_BYTES - (base - (uintptr_t)f->host[part]));
		sums[i >= chain->n_out] += len;
	}
	must(sums[0] == chain->out_len && sums[1] == chain->in_len);
	must(chain->head < f->ring.size);
}

static enum pop_result do_pop(struct fuzz *f)
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

static void do_push(struct fuzz *f, unsigned int which)
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

static void do_unpop(struct fuzz *f, unsigned int most)
{
	uint32_t base = virtq_base(&f->q);
	unsigned int n = 0;

	while (n < most && n < f->n_pops && !f->pops[f->n_pops - 1 - n].pushed)
		n++;
	virtq_unpop(&f->q, n);
	f->n_pops -= n;
	must(f->q.packed || virtq_base(&f->q) == (uint16_t)(base - n));
}

/* A packed ring's driver hands over a descriptor with whatever is in it. */
static void do_offer(struct fuzz *f, unsigned int argument)
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

static void do_op(struct fuzz *f, enum fuzz_op op, unsigned int argument)
{
	switch (op) {
	case OP_POP:
		do_pop(f);
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
static void fuzz_start(struct fuzz *f, const uint8_t head[HEAD_BYTES])
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fuzz f;
	size_t n_ops;

	if (size < HEAD_BYTES)
		return 0;
	if (!f.mem)
		fuzz_map(&f);
	n_ops = min_size(data[4], size - HEAD_BYTES);
	fuzz_fill(&f, data + HEAD_BYTES + n_ops, size - HEAD_BYTES - n_ops);
	fuzz_start(&f, data);
	for (size_t i = 0; i < n_ops; i++)
		do_op(&f, data[HEAD_BYTES + i] & 7, data[HEAD_BYTES + i] >> 3);
	while (do_pop(&f) == POP_CHAIN)
		continue;
	virtq_stop(&f.q);
	return 0;
}
