/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What a queue has beside its ring: the dirty log and the record of requests in flight. */
#include "virtio/virtq.h"

#include "base.h"

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

void virtq_set_inflight(struct virtq *q, struct inflight *record, uint32_t idx)
{
	struct inflight *old = q->record;

	q->record = record ? inflight_ref(record) : NULL;
	q->record_idx = idx;
	inflight_unref(old);
}
