/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Split rings, but for the short path of virtq.c. */
#include <assert.h>

#include "virtio/features.h"
#include "virtio/virtq-private.h"

enum {
	USED_FLAGS = 0, /* where in the used area, as the log has it */
	USED_IDX = 2,
	USED_RING = 4,
	USED_ENTRY = 8,
};

void virtq_split_start(struct virtq *q, uint32_t base)
{
	q->last_avail = (uint16_t)base;
	q->used_idx = vring_used_idx(&q->ring.split);
	virtq_inflight_start_split(q);
	q->published_idx = q->used_idx;
	vring_set_used_flags(&q->ring.split, 0);
	virtq_log_area(q, USED_FLAGS, 2);
}

bool virtq_split_reload(struct virtq *q, uint16_t *ret_avail_idx)
{
	uint16_t idx = vring_avail_idx(&q->ring.split);

	if ((uint16_t)(idx - q->last_avail) > q->ring.size) {
		virtq_break(q, VIRTQ_FAULT_AVAIL_JUMP);
		return false;
	}
	*ret_avail_idx = idx;
	return idx != q->last_avail;
}

/* What is in the way of head being taken. */
static enum virtq_fault check_head(const struct virtq *q, uint16_t head)
{
	if (head >= q->ring.size)
		return VIRTQ_FAULT_HEAD_RANGE;
	return q->held[head] ? VIRTQ_FAULT_HEAD_IN_USE : VIRTQ_FAULT_NONE;
}

static enum virtq_fault gather_head(struct virtq *q, uint16_t head, struct chain *chain)
{
	enum virtq_fault fault = check_head(q, head);
	struct vring_desc desc;

	if (fault != VIRTQ_FAULT_NONE)
		return fault;
	desc = vring_desc_load(&q->ring.split, head);
	chain->head = head;
	if (virtq_single(q, desc.addr, desc.len, desc.flags, chain))
		return VIRTQ_FAULT_NONE;
	return virtq_gather(q, desc, chain);
}

static enum pop_result take_left(struct virtq *q, struct chain *ret_chain)
{
	uint16_t head = q->left_heads[q->left_at];
	enum virtq_fault fault;
	struct chain chain;

	fault = gather_head(q, head, &chain);
	if (fault != VIRTQ_FAULT_NONE)
		return virtq_fail(q, fault);
	q->left_at++;
	q->n_left_held++;
	q->held[head] = HELD | HELD_LEFT;
	q->n_held++;
	*ret_chain = chain;
	return POP_CHAIN;
}

enum pop_result virtq_split_pop(struct virtq *q, struct chain *ret_chain)
{
	enum virtq_fault fault;
	struct chain chain;
	uint16_t idx;

	if (q->left_at < q->n_left)
		return take_left(q, ret_chain);
	if (!virtq_split_reload(q, &idx))
		return q->fault != VIRTQ_FAULT_NONE ? POP_BROKEN : POP_EMPTY;
	fault = gather_head(q, vring_avail_entry(&q->ring.split, q->last_avail), &chain);
	if (fault != VIRTQ_FAULT_NONE)
		return virtq_fail(q, fault);
	inflight_split_take(&q->inflight, chain.head);
	q->head_at[vring_slot(&q->ring.split, q->last_avail)] = chain.head;
	q->held[chain.head] = chain.in_len > 0 ? HELD : HELD | HELD_UNREAD;
	q->n_held++;
	q->last_avail++;
	q->avail_idx = q->last_avail;
	*ret_chain = chain;
	return POP_CHAIN;
}

/* One entry for this chain and for those before it that were skipped (VR-079). */
static void write_used(struct virtq *q, uint16_t head, uint32_t len, uint16_t n)
{
	vring_set_used_entry(&q->ring.split, q->used_idx, head, len);
	q->used_idx = (uint16_t)(q->used_idx + n);
	q->n_skipped = 0;
}

void virtq_split_push(struct virtq *q, uint16_t head, uint32_t len)
{
	if (q->in_order && (q->held[head] & HELD_UNREAD)) {
		q->n_skipped++;
		q->skipped_head = head;
	} else {
		write_used(q, head, len, (uint16_t)(q->n_skipped + 1));
	}
	inflight_split_return(&q->inflight, head);
}

/* The entries from old_idx on, before they are shown. */
static void log_used(struct virtq *q, uint16_t old_idx)
{
	uint32_t n = (uint16_t)(q->used_idx - old_idx);
	uint32_t first = vring_slot(&q->ring.split, old_idx);
	uint32_t part = n < q->size - first ? n : q->size - first;

	virtq_log_area(q, USED_RING + (uint64_t)USED_ENTRY * first, (uint64_t)USED_ENTRY * part);
	if (part < n)
		virtq_log_area(q, USED_RING, (uint64_t)USED_ENTRY * (n - part));
}

/*
 * "Used Buffer Notification Suppression". What was read before the barrier
 * that precedes this is too old to decide on.
 */
static bool call_wanted(struct virtq *q, uint16_t old_idx, uint16_t new_idx)
{
	bool forced = q->call_forced;

	q->call_forced = false;
	if ((q->features & BIT(VIRTIO_F_NOTIFY_ON_EMPTY_BIT)) && q->n_held == 0 &&
	    vring_avail_idx(&q->ring.split) == q->last_avail)
		return true;
	if (!q->event_idx)
		return !(vring_avail_flags(&q->ring.split) & VRING_AVAIL_F_NO_INTERRUPT);
	return forced || vring_event_passed(vring_used_event(&q->ring.split), new_idx, old_idx);
}

static void write_skipped(struct virtq *q)
{
	if (q->n_skipped > 0)
		write_used(q, q->skipped_head, 0, q->n_skipped);
}

struct ring_mark virtq_split_mark(struct virtq *q)
{
	write_skipped(q);
	return (struct ring_mark){
		.n = (uint16_t)(q->used_idx - q->published_idx),
		.used = q->used_idx,
	};
}

/* The record is put right by the used index, when the ring starts. */
bool virtq_split_finish(const struct vring *ring, const struct ring_mark *mark)
{
	if ((uint16_t)(mark->used - vring_used_idx(ring)) != mark->n)
		return false;
	vring_set_used_idx(ring, mark->used);
	return true;
}

bool virtq_split_publish(struct virtq *q)
{
	uint16_t old_idx = q->published_idx;

	write_skipped(q);
	if (old_idx == q->used_idx)
		return false;
	if (q->log_ring)
		log_used(q, old_idx);
	vring_set_used_idx(&q->ring.split, q->used_idx);
	virtq_log_area(q, USED_IDX, 2);
	inflight_split_published(&q->inflight, q->used_idx);
	q->published_idx = q->used_idx;
	full_barrier();
	return call_wanted(q, old_idx, q->used_idx);
}

/* What was left comes before all else, so it is given back after all else. */
uint16_t virtq_split_unpop(struct virtq *q)
{
	uint16_t head;

	if (q->n_left_held == q->n_held)
		return q->left_heads[--q->left_at];
	q->last_avail--;
	head = q->head_at[q->last_avail & (q->size - 1)];
	inflight_split_untake(&q->inflight, head);
	return head;
}

/* With the event index, silence is not to ask: the event stays where it was. */
void virtq_split_kicks_off(struct virtq *q)
{
	if (q->event_idx)
		return;
	vring_set_used_flags(&q->ring.split, VRING_USED_F_NO_NOTIFY);
	virtq_log_area(q, USED_FLAGS, 2);
}

void virtq_split_kicks_on(struct virtq *q)
{
	if (q->event_idx) {
		vring_set_avail_event(&q->ring.split, q->last_avail);
		virtq_log_area(q, USED_RING + (uint64_t)USED_ENTRY * q->size, 2);
	} else {
		vring_set_used_flags(&q->ring.split, 0);
		virtq_log_area(q, USED_FLAGS, 2);
	}
}
