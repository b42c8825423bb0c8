/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "virtio/virtq-handover.h"

#include <stdlib.h>
#include <string.h>

#include "virtio/features.h"
#include "virtio/virtq-private.h"

enum queue_tag {
	TAG_FEATURES = 1,
	TAG_FLAGS, /* BIT(enum queue_flag) */
	TAG_LAST_AVAIL,
	TAG_USED_IDX,
	TAG_POSITIONS, /* packed: both, as a base has them */
	TAG_FAULT,
	TAG_LEFT, /* what an earlier device left, and is not taken yet */
	TAG_RECORD,
};

enum queue_flag {
	FLAG_CALL_FORCED,
	FLAG_RECORDS, /* what is in flight */
	N_FLAGS,
};

/* Saving. */

static void save_left(const struct virtq *q, struct state_writer *w)
{
	const uint32_t n = q->n_left - q->left_at;

	if (n == 0)
		return;
	if (q->packed)
		state_put_bytes(w, TAG_LEFT, q->left_chains + q->left_at,
				n * sizeof(*q->left_chains));
	else
		state_put_bytes(w, TAG_LEFT, q->left_heads + q->left_at,
				n * sizeof(*q->left_heads));
}

void virtq_save(const struct virtq *q, struct handover_out *out, unsigned int tag)
{
	const struct inflight *record = q->inflight.record;
	struct state_writer *w = &out->state;

	if (q->n_held > 0 || q->n_skipped > 0 || q->published_idx != q->used_idx)
		handover_busy(out, "a ring holds chains of its driver");
	if (record && record != q->record)
		handover_busy(out, "a ring that runs has another record of what is in flight than "
				   "the session");
	state_begin_group(w, tag);
	state_put_number(w, TAG_FEATURES, q->features);
	state_put_number(w, TAG_FLAGS,
			 (uint64_t)q->call_forced << FLAG_CALL_FORCED | (uint64_t)(record != NULL)
										<< FLAG_RECORDS);
	state_put_number(w, TAG_LAST_AVAIL, q->last_avail);
	state_put_number(w, TAG_USED_IDX, q->used_idx);
	state_put_number(w, TAG_POSITIONS, packed_base(q->avail, q->used));
	state_put_number(w, TAG_FAULT, q->fault);
	save_left(q, w);
	if (record)
		inflight_save(&q->inflight, q->packed, w, TAG_RECORD);
	state_end(w);
}

/* Loading. */

static void load_positions(struct virtq *q, struct state_reader *r)
{
	uint32_t both;

	q->last_avail = (uint16_t)state_take_number(r, TAG_LAST_AVAIL, "index", UINT16_MAX);
	q->used_idx = (uint16_t)state_take_number(r, TAG_USED_IDX, "used index", UINT16_MAX);
	q->published_idx = q->used_idx;
	both = (uint32_t)state_take_number(r, TAG_POSITIONS, "positions", UINT32_MAX);
	q->avail = packed_base_avail(both);
	q->used = packed_base_used(both);
	q->n_unshown = q->taken_at = q->n_out = 0;
	q->silent = false; /* so that the driver is told again, whatever it was told */
	q->fault = (enum virtq_fault)state_take_number(r, TAG_FAULT, "fault", VIRTQ_N_FAULTS - 1);
	if (q->packed && q->fault == VIRTQ_FAULT_NONE && !virtq_packed_go_on(q))
		state_fail(r, "positions 0x%x are not in the ring", both);
}

/* How many elements of that size, or 0; bytes is where they are. */
static uint32_t take_left(struct virtq *q, struct state_reader *r, size_t size, void **ret_copy)
{
	const uint8_t *bytes;
	size_t len = state_take_bytes(r, TAG_LEFT, "left", q->size * size, &bytes);

	*ret_copy = calloc(q->size, size);
	if (!*ret_copy || len % size != 0) {
		state_fail(r, "no memory, or no such list");
		return 0;
	}
	if (len > 0)
		memcpy(*ret_copy, bytes, len);
	return (uint32_t)(len / size);
}

static bool left_fits(const struct virtq *q, uint32_t i)
{
	if (!q->packed)
		return q->left_heads[i] < q->size;
	return q->left_chains[i].entry < q->size && q->left_chains[i].n_descs > 0 &&
	       q->left_chains[i].n_descs <= q->size;
}

static void load_left(struct virtq *q, struct state_reader *r)
{
	void *copy = NULL;

	if (!state_has(r, TAG_LEFT))
		return;
	q->n_left = take_left(q, r, q->packed ? sizeof(*q->left_chains) : sizeof(*q->left_heads),
			      &copy);
	if (q->packed)
		q->left_chains = copy;
	else
		q->left_heads = copy;
	for (uint32_t i = 0; i < q->n_left; i++)
		if (!left_fits(q, i))
			state_fail(r, "an entry is not below the ring's size");
}

static void load_record(struct virtq *q, struct state_reader *r)
{
	if (!q->record || !inflight_fits(q->record, q->record_idx, q->size, q->packed)) {
		state_fail(r, "there is no such record of what is in flight");
		return;
	}
	inflight_attach(&q->inflight, q->record, q->record_idx, q->size);
	inflight_load(&q->inflight, q->packed, r, TAG_RECORD);
}

static void load_features(struct virtq *q, struct state_reader *r)
{
	q->features = state_take_number(r, TAG_FEATURES, "features", UINT64_MAX);
	q->event_idx = (q->features & BIT(VIRTIO_F_EVENT_IDX_BIT)) != 0;
	q->in_order = (q->features & BIT(VIRTIO_F_IN_ORDER_BIT)) != 0;
	q->packed = (q->features & BIT(VIRTIO_F_RING_PACKED_BIT)) != 0;
}

void virtq_load(struct virtq *q, struct state_reader *r, unsigned int tag, uint32_t size)
{
	uint64_t flags;

	if (!state_enter(r, tag, "queue"))
		return;
	q->size = size;
	load_features(q, r);
	flags = state_take_number(r, TAG_FLAGS, "flags", BIT(N_FLAGS) - 1);
	q->call_forced = flags & BIT(FLAG_CALL_FORCED);
	load_positions(q, r);
	load_left(q, r);
	if (!r->failed && (flags & BIT(FLAG_RECORDS)))
		load_record(q, r);
	if (!virtq_allocate(q, size))
		q->fault = VIRTQ_FAULT_NO_MEMORY;
	state_leave(r);
}
