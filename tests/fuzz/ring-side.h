/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The device side of a ring in memory that an input fills, for fuzz_virtq and
 * fuzz_chain. Bytes of the input:
 *
 *	byte 0		log2 of the ring size, modulo 7; of a packed ring the size
 *			less one, modulo 64
 *	byte 1		features: 1 indirect, 2 event index, 4 notify on empty,
 *			8 packed, 16 in order
 *	bytes 2, 3	available index to start at, or both positions, little-endian
 *	operations	one byte each: the low three bits are an enum fuzz_op of
 *			ring-side.c, the rest its argument
 *	memory		two regions of 4096 bytes that adjoin at guest address
 *			0x11000. The ring is at 0x10000, its available area after
 *			the descriptors, its used area after that, aligned to 4. So
 *			are the two words of a packed ring.
 */
#ifndef VHU_TESTS_FUZZ_RING_SIDE_H
#define VHU_TESTS_FUZZ_RING_SIDE_H

#include "fuzz.h"

#include "virtio/virtq.h"

enum {
	RING_SIDE_REGIONS = 2,
	RING_SIDE_REGION = 4096,
	RING_SIDE_HEAD = 4,
	MAX_POPS = 512,
};

struct ring_side {
	struct gmem *mem;
	unsigned char *host[RING_SIDE_REGIONS];
	struct virtq q;
	struct virtq_ring ring;
	struct {
		uint16_t head;
		bool pushed;
	} pops[MAX_POPS]; /* since the start, in order */
	unsigned int n_pops;
};

/* Made once and filled again for each input. */
void ring_side_map(struct ring_side *f);
void ring_side_fill(struct ring_side *f, const uint8_t *data, size_t size);

/* Lays out the ring and starts it. */
void ring_side_start(struct ring_side *f, const uint8_t head[RING_SIDE_HEAD]);

/* One operation; a pop checks the chain that it yields. */
void ring_side_do(struct ring_side *f, uint8_t byte);
enum pop_result ring_side_pop(struct ring_side *f);

#endif
