/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Chains that cross between a queue and a stream of bytes together: as many as
 * a call of the kernel is worth, with all their vectors side by side.
 */
#ifndef VHU_VIRTIO_BATCH_H
#define VHU_VIRTIO_BATCH_H

#include "virtio/virtq.h"

enum {
	BATCH_CHAINS = 64,
	BATCH_VECTORS = 128,
};

struct batch {
	struct virtq *vq;
	unsigned int budget; /* chain_cost() that may still be spent */
	unsigned int n_chains, n_iov;
	uint64_t len;	   /* bytes of the vectors */
	struct iovec *iov; /* in own, or the queue's for a single chain that has more */
	struct {
		uint16_t head;
		uint64_t len;
	} chains[BATCH_CHAINS];
	struct iovec own[BATCH_VECTORS];
};

void batch_init(struct batch *b, struct virtq *vq, unsigned int budget);

/*
 * Takes chains until their readable (out) or writable (in) bytes are at least
 * wanted, the batch is full or the budget is spent. False: the queue has no
 * more. The one before must have been returned.
 */
bool batch_fill_out(struct batch *b, uint64_t wanted);
bool batch_fill_in(struct batch *b, uint64_t wanted);

/* Leaves out the first bytes of the first chain: n, or all it has. Returns how many. */
uint64_t batch_skip(struct batch *b, uint64_t n);

/*
 * Returns the chains whose readable bytes are among the first *len, and takes
 * back the others. Returns how many those are; *len: the bytes gone of the first.
 */
unsigned int batch_return_out(struct batch *b, uint64_t *len);

/*
 * Returns the chains that the first len bytes were written to; the last of them
 * may be filled in part. Takes back the others; true: there are none.
 */
bool batch_return_in(struct batch *b, uint64_t len);

#endif
