/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What a queue tells the dirty log. */
#include "virtio/virtq-private.h"

void virtq_set_log(struct virtq *q, struct dirty_log *log, bool ring_too, uint64_t ring_log_addr)
{
	struct dirty_log *old = q->log;

	q->log = log ? dirty_log_ref(log) : NULL;
	q->log_ring = log && ring_too;
	q->ring_log_addr = ring_log_addr;
	dirty_log_unref(old);
}

void virtq_written(struct virtq *q, const struct iovec *iov, unsigned int n, uint64_t len)
{
	if (!q->log)
		return;
	for (unsigned int i = 0; i < n && len > 0; i++) {
		uint64_t part = min_u64(len, iov[i].iov_len), addr;

		if (gmem_guest_from_host(q->mem, iov[i].iov_base, &addr))
			dirty_log_mark(q->log, addr, part);
		len -= part;
	}
}

void virtq_log_desc(struct virtq *q, uint32_t offset)
{
	uint64_t addr;

	if (gmem_guest_from_host(q->mem, &q->ring.pack.desc[offset], &addr))
		dirty_log_mark(q->log, addr, PACKED_DESC_BYTES);
}
