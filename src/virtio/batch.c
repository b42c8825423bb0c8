/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "virtio/batch.h"

#include <string.h>

#include "base.h"

/* The arrays are filled as chains come: clearing them would cost more than a chain. */
void batch_init(struct batch *b, struct virtq *vq, unsigned int budget)
{
	b->vq = vq;
	b->budget = budget;
	b->n_chains = 0;
}

static void batch_add(struct batch *b, const struct chain *chain, struct iovec *iov, unsigned int n,
		      uint64_t len)
{
	unsigned int cost = chain_cost(chain);

	if (n > BATCH_VECTORS)
		b->iov = iov;
	else
		memcpy(b->own + b->n_iov, iov, n * sizeof(*iov));
	b->n_iov += n;
	b->len += len;
	b->chains[b->n_chains].head = chain->head;
	b->chains[b->n_chains++].len = len;
	b->budget -= cost < b->budget ? cost : b->budget;
}

static bool batch_fill(struct batch *b, bool in, uint64_t wanted)
{
	struct chain chain;

	b->n_chains = b->n_iov = 0;
	b->len = 0;
	b->iov = b->own;
	while (b->n_chains < BATCH_CHAINS && b->budget > 0 && b->len < wanted) {
		unsigned int n;

		if (virtq_pop(b->vq, &chain) != POP_CHAIN)
			return false;
		n = in ? chain.n_in : chain.n_out;
		if (n > BATCH_VECTORS - b->n_iov && b->n_chains > 0) {
			virtq_unpop(b->vq, 1);
			break;
		}
		if (in)
			batch_add(b, &chain, chain.iov + chain.n_out, n, chain.in_len);
		else
			batch_add(b, &chain, chain.iov, n, chain.out_len);
		if (n > BATCH_VECTORS)
			break;
	}
	return true;
}

bool batch_fill_out(struct batch *b, uint64_t wanted)
{
	return batch_fill(b, false, wanted);
}

bool batch_fill_in(struct batch *b, uint64_t wanted)
{
	return batch_fill(b, true, wanted);
}

uint64_t batch_skip(struct batch *b, uint64_t n)
{
	uint64_t left;

	if (n == 0 || b->n_chains == 0)
		return 0;
	n = min_u64(n, b->chains[0].len);
	b->chains[0].len -= n;
	b->len -= n;
	for (left = n; left > 0 && left >= b->iov->iov_len; b->n_iov--)
		left -= b->iov++->iov_len;
	if (left > 0) {
		b->iov->iov_base = (uint8_t *)b->iov->iov_base + left;
		b->iov->iov_len -= left;
	}
	return n;
}

unsigned int batch_return_out(struct batch *b, uint64_t *len)
{
	unsigned int i = 0;

	for (; i < b->n_chains && *len >= b->chains[i].len; i++) {
		*len -= b->chains[i].len;
		virtq_push(b->vq, b->chains[i].head, 0);
	}
	if (i < b->n_chains)
		virtq_unpop(b->vq, b->n_chains - i);
	return b->n_chains - i;
}

bool batch_return_in(struct batch *b, uint64_t len)
{
	unsigned int i = 0;

	virtq_written(b->vq, b->iov, b->n_iov, len);
	for (; i < b->n_chains && (len > 0 || b->chains[i].len == 0); i++) {
		uint64_t n = min_u64(len, b->chains[i].len);

		len -= n;
		virtq_push(b->vq, b->chains[i].head, (uint32_t)n);
	}
	if (i == b->n_chains)
		return true;
	virtq_unpop(b->vq, b->n_chains - i);
	return false;
}
