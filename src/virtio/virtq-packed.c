/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Packed rings. */
#include <assert.h>

#include "virtio/features.h"
#include "virtio/virtq-private.h"

static struct packed_position go_back(uint32_t size, struct packed_position at, uint32_t n)
{
	if (at.offset < n) {
		at.offset = (uint16_t)(at.offset + size - n);
		at.wrap = !at.wrap;
	} else {
		at.offset = (uint16_t)(at.offset - n);
	}
	return at;
}

/* Descriptors from one position to a later one, or more than there are. */
static uint32_t distance(const struct virtq *q, struct packed_position from,
			 struct packed_position to)
{
	if (from.wrap == to.wrap)
		return to.offset >= from.offset ? (uint32_t)to.offset - from.offset : UINT32_MAX;
	return q->size + to.offset - from.offset;
}

/*
 * A ring that has gone round was used somewhere with the first wrap counter, and what
 * is offered over that has the other one: this bit either way. See begins_lap().
 */
static bool went_round(const struct virtq *q)
{
	for (uint32_t i = 0; i < q->ring.size; i++)
		if (packed_desc_flags(&q->ring.pack, i) & PACKED_DESC_F_USED)
			return true;
	return false;
}

/*
 * DPDK leaves the used half 0 and means that nothing is out; a ring that has been
 * used would say so. UML says 0 for a new ring, whose wrap counters are 1.
 */
static void set_positions(struct virtq *q, uint32_t base)
{
	q->avail = packed_base_avail(base);
	q->used = packed_base_used(base);
	if (base == 0 && !went_round(q))
		q->avail.wrap = true;
	if (base >> 16 == 0)
		q->used = q->avail;
}

void virtq_packed_start(struct virtq *q, uint32_t base)
{
	set_positions(q, base);
	q->last_avail = 0;
	q->used_idx = q->published_idx = 0;
	q->n_unshown = q->taken_at = q->n_out = 0;
	if (q->fault != VIRTQ_FAULT_NONE)
		return;
	if (q->avail.offset < q->size && q->used.offset < q->size)
		virtq_inflight_start_packed(q);
	if (!virtq_packed_go_on(q))
		virtq_break(q, VIRTQ_FAULT_BASE);
}

bool virtq_packed_go_on(struct virtq *q)
{
	uint32_t n_out = distance(q, q->used, q->avail);

	if (q->avail.offset >= q->size || q->used.offset >= q->size || n_out > q->size)
		return false;
	q->n_out = (uint16_t)n_out;
	return true;
}

uint32_t virtq_packed_base(const struct virtq *q)
{
	return packed_base(q->avail, q->used);
}

uint32_t virtq_packed_position(const struct virtq *q)
{
	struct packed_position at = q->avail;

	for (uint32_t i = q->left_at; i < q->n_left; i++)
		at = go_back(q->size, at, q->left_chains[i].n_descs);
	return packed_base(at, (struct packed_position){ .offset = 0 });
}

/*
 * The list that begins at the next descriptor, copied: *ret_n descriptors, 0 when
 * none is available. Each is read once, its flags first (VR-083, VR-084).
 */
static enum virtq_fault load_list(struct virtq *q, unsigned int *ret_n)
{
	const struct packed_ring *ring = &q->ring.pack;
	struct packed_position at = q->avail;
	unsigned int n = 0;

	*ret_n = 0;
	do {
		if (n + q->n_out == q->size)
			return n > 0 ? VIRTQ_FAULT_CHAIN_LONG : VIRTQ_FAULT_NONE;
		q->descs[n] = packed_desc_load(ring, at.offset);
		if (!packed_is_avail(q->descs[n].flags, at.wrap))
			return n > 0 ? VIRTQ_FAULT_LIST_NOT_AVAIL : VIRTQ_FAULT_NONE;
		at = packed_advance(ring, at, 1);
	} while (q->descs[n++].flags & PACKED_DESC_F_NEXT);
	*ret_n = n;
	return VIRTQ_FAULT_NONE;
}

/* What is in the way of a list with that id being taken. */
static HOT enum virtq_fault check_id(const struct virtq *q, uint16_t id)
{
	if (id >= q->size)
		return VIRTQ_FAULT_ID_RANGE;
	return q->held[id] ? VIRTQ_FAULT_HEAD_IN_USE : VIRTQ_FAULT_NONE;
}

/* The n descriptors of q->descs as a chain; its id is the last one's (VR-087). */
static enum virtq_fault gather(struct virtq *q, unsigned int n, struct chain *chain)
{
	enum virtq_fault fault;

	chain->head = q->descs[n - 1].id;
	fault = check_id(q, chain->head);
	return fault != VIRTQ_FAULT_NONE ? fault : virtq_gather_list(q, q->descs, n, chain);
}

static HOT void take(struct virtq *q, const struct chain *chain, unsigned int held,
		     struct virtq_list list)
{
	q->held[chain->head] = (uint8_t)(held | (chain->in_len > 0 ? 0 : HELD_UNREAD));
	q->lists[chain->head] = list;
	q->head_at[q->taken_at] = chain->head;
	q->taken_at = (uint16_t)(q->taken_at + 1u == q->size ? 0 : q->taken_at + 1);
	q->n_held++;
}

/* The same for one that the ring has next. */
static HOT void take_next(struct virtq *q, const struct chain *chain, struct virtq_list list)
{
	take(q, chain, HELD, list);
	q->avail = packed_advance(&q->ring.pack, q->avail, list.n_descs);
	q->n_out = (uint16_t)(q->n_out + list.n_descs);
}

/* From the record: used descriptors may have taken these places in the ring. */
static enum pop_result take_left(struct virtq *q, struct chain *ret_chain)
{
	const struct inflight_chain *left = &q->left_chains[q->left_at];
	enum virtq_fault fault;
	struct chain chain;

	inflight_packed_load(&q->inflight, left->entry, q->descs);
	fault = gather(q, left->n_descs, &chain);
	if (fault != VIRTQ_FAULT_NONE)
		return virtq_fail(q, fault);
	take(q, &chain, HELD | HELD_LEFT, (struct virtq_list){ left->n_descs, left->entry });
	q->left_at++;
	q->n_left_held++;
	*ret_chain = chain;
	return POP_CHAIN;
}

static APART enum pop_result pop_list(struct virtq *q, struct chain *ret_chain)
{
	struct virtq_list list = { 0, INFLIGHT_NO_ENTRY };
	enum virtq_fault fault;
	struct chain chain;
	unsigned int n;

	fault = load_list(q, &n);
	if (fault == VIRTQ_FAULT_NONE && n == 0)
		return POP_EMPTY;
	if (fault == VIRTQ_FAULT_NONE)
		fault = gather(q, n, &chain);
	if (fault != VIRTQ_FAULT_NONE)
		return virtq_fail(q, fault);
	list.n_descs = (uint16_t)n;
	if (q->inflight.record)
		list.entry = inflight_packed_take(&q->inflight, q->descs, n);
	take_next(q, &chain, list);
	*ret_chain = chain;
	return POP_CHAIN;
}

static APART enum pop_result pop_otherwise(struct virtq *q, struct chain *ret_chain)
{
	q->missing = false;
	if (q->fault != VIRTQ_FAULT_NONE)
		return POP_BROKEN;
	if (q->ring.size == 0)
		return POP_EMPTY;
	if (q->left_at < q->n_left)
		return take_left(q, ret_chain);
	return pop_list(q, ret_chain);
}

/*
 * A list of one is taken at once. Of any other kind the first descriptor is
 * loaded again, and nothing of this copy is used.
 */
enum pop_result virtq_packed_pop(struct virtq *q, struct chain *ret_chain)
{
	struct packed_desc desc;

	if (q->pack_size == 0 || q->n_out == q->pack_size)
		return pop_otherwise(q, ret_chain);
	desc = packed_desc_load(&q->ring.pack, q->avail.offset);
	if (!packed_is_avail(desc.flags, q->avail.wrap))
		return POP_EMPTY;
	if ((desc.flags & PACKED_DESC_F_NEXT) || check_id(q, desc.id) != VIRTQ_FAULT_NONE)
		return pop_list(q, ret_chain);
	if (!virtq_single(q, desc.addr, desc.len, desc.flags, ret_chain)) {
		enum virtq_fault fault = virtq_gather_list(q, &desc, 1, ret_chain);

		if (fault != VIRTQ_FAULT_NONE)
			return virtq_fail(q, fault);
	}
	ret_chain->head = desc.id;
	take_next(q, ret_chain, (struct virtq_list){ 1, INFLIGHT_NO_ENTRY });
	return POP_CHAIN;
}

/*
 * One used descriptor, at the first of n_descs places. The first since the last
 * publish is kept from the driver, and so is all that follows it.
 */
static HOT void write_used(struct virtq *q, uint16_t id, uint32_t len, uint16_t n_descs)
{
	uint16_t flags = packed_used_flags(q->used.wrap);

	if (len > 0)
		flags |= PACKED_DESC_F_WRITE;
	packed_used_store(&q->ring.pack, q->used.offset, id, len);
	if (q->n_unshown == 0) {
		q->first_used = q->used;
		q->first_flags = flags;
	} else {
		packed_desc_store_flags(&q->ring.pack, q->used.offset, flags);
	}
	if (q->log_ring)
		virtq_log_desc(q, q->used.offset);
	q->used = packed_advance(&q->ring.pack, q->used, n_descs);
	q->n_unshown = (uint16_t)(q->n_unshown + n_descs);
	q->n_out = (uint16_t)(q->n_out - n_descs);
	q->used_idx++;
	q->n_skipped = q->n_skipped_descs = 0;
}

static void write_skipped(struct virtq *q)
{
	if (q->n_skipped > 0)
		write_used(q, q->skipped_head, 0, q->n_skipped_descs);
}

/* No lap is skipped over whole, so that went_round() can tell. */
static bool begins_lap(const struct virtq *q)
{
	return packed_advance(&q->ring.pack, q->used, q->n_skipped_descs).wrap != q->used.wrap;
}

void virtq_packed_push(struct virtq *q, uint16_t id, uint32_t len)
{
	uint16_t n_descs;

	assert(id < q->ring.size && q->held[id]);
	/* Who has that feature negotiated promises it (VR-078). */
	assert(!q->in_order || virtq_is_oldest(q, id));
	if (q->n_skipped > 0 && begins_lap(q))
		write_skipped(q);
	n_descs = (uint16_t)(q->n_skipped_descs + q->lists[id].n_descs);
	if (q->inflight.record)
		inflight_packed_return(&q->inflight, q->lists[id].entry);
	if (q->in_order && (q->held[id] & HELD_UNREAD)) {
		q->n_skipped++;
		q->n_skipped_descs = n_descs;
		q->skipped_head = id;
	} else {
		write_used(q, id, len, n_descs);
	}
	virtq_let_go(q, id);
}

/* "Event Suppression Structure Format"; what is reserved, or not negotiated, asks for calls. */
static bool call_wanted(struct virtq *q, uint16_t n_descs)
{
	struct packed_event event = packed_event_load(q->ring.pack.driver_event);
	bool forced = q->call_forced;

	q->call_forced = false;
	event.flags &= PACKED_EVENT_RESERVED; /* the other bits are nobody's yet */
	if (event.flags == PACKED_EVENT_DISABLE)
		return false;
	if (event.flags != PACKED_EVENT_DESC || !q->event_idx)
		return true;
	return forced || packed_event_passed(&q->ring.pack, event, q->used, n_descs);
}

/* As packed_base_avail() takes it. */
static uint16_t mark_place(struct packed_position at)
{
	return (uint16_t)packed_base(at, (struct packed_position){ .offset = 0 });
}

struct ring_mark virtq_packed_mark(struct virtq *q)
{
	write_skipped(q);
	return (struct ring_mark){
		.n = q->n_unshown,
		.used = mark_place(q->used),
		.flags = q->first_flags,
		.head = q->inflight.batch_head,
		.tail = q->inflight.batch_tail,
	};
}

/* All but the first of its used descriptors are there, flags and all. */
bool virtq_packed_finish(struct virtq *q, const struct packed_ring *ring,
			 const struct ring_mark *mark)
{
	struct packed_position end = packed_base_avail(mark->used), first;
	struct inflight_ring r = { .record = NULL };
	bool known;

	if (end.offset >= ring->size)
		return false;
	first = go_back(ring->size, end, mark->n);
	if (!packed_is_avail(packed_desc_flags(ring, first.offset), first.wrap))
		return false; /* it was shown */
	inflight_attach(&r, q->record, q->record_idx, ring->size);
	known = inflight_packed_finish(&r, first, end, mark->head, mark->tail);
	inflight_detach(&r);
	if (known)
		packed_desc_store_flags(ring, first.offset,
					packed_used_flags(first.wrap) |
						(mark->flags & PACKED_DESC_F_WRITE));
	return known;
}

bool virtq_packed_publish(struct virtq *q)
{
	uint16_t n_descs;

	write_skipped(q);
	n_descs = q->n_unshown;
	if (n_descs == 0)
		return false;
	inflight_packed_publish(&q->inflight, q->used);
	packed_desc_store_flags(&q->ring.pack, q->first_used.offset, q->first_flags);
	inflight_packed_published(&q->inflight);
	if (q->log_ring)
		virtq_log_desc(q, q->first_used.offset);
	q->n_unshown = 0;
	q->published_idx = q->used_idx;
	full_barrier();
	return call_wanted(q, n_descs);
}

/* What was left comes before all else, so it is given back after all else. */
uint16_t virtq_packed_unpop(struct virtq *q)
{
	uint16_t id;

	q->taken_at = (uint16_t)(q->taken_at == 0 ? q->size - 1 : q->taken_at - 1u);
	id = q->head_at[q->taken_at];
	if (q->held[id] & HELD_LEFT) {
		q->left_at--;
		return id;
	}
	if (q->inflight.record)
		inflight_packed_untake(&q->inflight, q->lists[id].entry);
	q->avail = go_back(q->size, q->avail, q->lists[id].n_descs);
	q->n_out = (uint16_t)(q->n_out - q->lists[id].n_descs);
	return id;
}

static void ask(struct virtq *q, struct packed_event event)
{
	packed_event_store(q->ring.pack.device_event, event);
	virtq_log_area(q, 0, PACKED_EVENT_BYTES);
	q->silent = event.flags == PACKED_EVENT_DISABLE;
}

/* Also with the event index: a position comes round again after two laps, which may be soon. */
void virtq_packed_kicks_off(struct virtq *q)
{
	if (!q->silent)
		ask(q, (struct packed_event){ .flags = PACKED_EVENT_DISABLE });
}

void virtq_packed_kicks_on(struct virtq *q)
{
	struct packed_event event = { .flags = PACKED_EVENT_ENABLE };

	if (q->event_idx)
		event = (struct packed_event){ q->avail.offset, q->avail.wrap, PACKED_EVENT_DESC };
	ask(q, event);
}

bool virtq_packed_has_avail(const struct virtq *q)
{
	return q->n_out < q->size &&
	       packed_is_avail(packed_desc_flags(&q->ring.pack, q->avail.offset), q->avail.wrap);
}
