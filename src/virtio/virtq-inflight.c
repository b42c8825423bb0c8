/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What an earlier device left in flight, at the start of a ring. */
#include <errno.h>
#include <stdlib.h>

#include "virtio/virtq-private.h"

void virtq_set_inflight(struct virtq *q, struct inflight *record, uint32_t idx)
{
	struct inflight *old = q->record;

	q->record = record ? inflight_ref(record) : NULL;
	q->record_idx = idx;
	inflight_unref(old);
}

static bool begin(struct virtq *q)
{
	if (!q->record || q->fault != VIRTQ_FAULT_NONE ||
	    !inflight_fits(q->record, q->record_idx, q->size, q->packed))
		return false;
	inflight_attach(&q->inflight, q->record, q->record_idx, q->size);
	return true;
}

/*
 * Chains that are in the available ring as they were taken, from the used index
 * on, might as well not have been taken: then the base is right for everybody.
 */
static bool as_in_ring(const struct virtq *q, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (vring_avail_entry(&q->ring.split, (uint16_t)(q->used_idx + i)) !=
		    q->left_heads[i])
			return false;
	return true;
}

static void leave_in_ring(struct virtq *q, uint32_t n)
{
	while (n > 0)
		inflight_split_untake(&q->inflight, q->left_heads[--n]);
	q->last_avail = q->used_idx;
}

void virtq_inflight_start_split(struct virtq *q)
{
	int n;

	if (!begin(q))
		return;
	q->left_heads = calloc(q->size, sizeof(*q->left_heads));
	n = q->left_heads
		    ? inflight_split_resume(&q->inflight, q->used_idx, q->last_avail, q->left_heads)
		    : -ENOMEM;
	if (n == -ENOMEM)
		virtq_break(q, VIRTQ_FAULT_NO_MEMORY);
	if (n < 0)
		return;
	q->resumed = true;
	if (as_in_ring(q, (uint32_t)n)) {
		leave_in_ring(q, (uint32_t)n);
		return;
	}
	q->last_avail = (uint16_t)(q->used_idx + n);
	q->n_left = (uint32_t)n;
}

/*
 * Of a batch that was never shown, the used descriptors after the first are in
 * the ring: the driver would come upon them as soon as the first was used again.
 */
static void hide_used(struct virtq *q, uint32_t n)
{
	struct packed_position at = q->used;

	for (; n > 0; n--, at = packed_advance(&q->ring.pack, at, 1))
		if (packed_is_used(packed_desc_flags(&q->ring.pack, at.offset), at.wrap))
			packed_desc_store_flags(&q->ring.pack, at.offset,
						packed_avail_flags(at.wrap));
}

void virtq_inflight_start_packed(struct virtq *q)
{
	uint32_t n_descs = 0;
	int n;

	if (!begin(q))
		return;
	q->left_chains = calloc(q->size, sizeof(*q->left_chains));
	n = q->left_chains ? inflight_packed_resume(&q->inflight, &q->ring.pack, q->avail, &q->used,
						    q->left_chains)
			   : -ENOMEM;
	if (n == -ENOMEM)
		virtq_break(q, VIRTQ_FAULT_NO_MEMORY);
	if (n < 0)
		return;
	q->resumed = true;
	for (int i = 0; i < n; i++)
		n_descs += q->left_chains[i].n_descs;
	q->avail = packed_advance(&q->ring.pack, q->used, n_descs);
	hide_used(q, n_descs);
	q->n_left = (uint32_t)n;
}

void virtq_inflight_stop(struct virtq *q)
{
	inflight_detach(&q->inflight);
	free(q->left_heads);
	free(q->left_chains);
	q->left_heads = NULL;
	q->left_chains = NULL;
	q->n_left = q->left_at = 0;
	q->n_left_held = 0;
	q->resumed = false;
}
