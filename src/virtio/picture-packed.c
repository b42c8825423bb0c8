/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Packed rings. One array shows both sides: a driver writes every descriptor of
 * it in turn, so its position is where the bit AVAIL is that of the lap before. A
 * device writes one descriptor for each list that it returns and skips the rest,
 * so its position is found only by walking, with the lists' lengths at hand.
 */
#include <stdlib.h>

#include "virtio/picture-private.h"

/* A list in the ring. */
struct list {
	struct packed_position at;
	uint16_t n;
	bool used;
	uint16_t id;
	uint32_t used_len;
};

struct walk {
	const struct packed_ring *ring;
	struct packed_position avail, used;
	struct list *lists; /* oldest first, at most ring->size + 1 */
	size_t n_lists;
};

static uint16_t as_word(struct packed_position at)
{
	return (uint16_t)(at.offset | (unsigned int)at.wrap << 15);
}

/* The bit AVAIL as the driver leaves it in this lap. */
static bool is_written(const struct packed_ring *ring, struct packed_position at)
{
	bool bit = (packed_desc_flags(ring, at.offset) & PACKED_DESC_F_AVAIL) != 0;

	return bit == at.wrap;
}

static bool is_returned(const struct packed_ring *ring, struct packed_position at)
{
	return packed_is_used(packed_desc_flags(ring, at.offset), at.wrap);
}

/* Positions come from outside, too. */
static struct packed_position position(const struct picture_source *source,
				       const struct packed_position *known)
{
	const struct packed_position start = { .offset = 0, .wrap = true };

	return known && known->offset < source->packed->size ? *known : start;
}

bool picture_packed_offered(const struct picture_source *source)
{
	return is_written(source->packed, position(source, source->avail));
}

bool picture_packed_used(const struct picture_source *source)
{
	return is_returned(source->packed, position(source, source->used));
}

/* Descriptors from one position on to the other: size or less if that makes sense. */
static uint32_t distance(const struct packed_ring *ring, struct packed_position from,
			 struct packed_position to)
{
	if (from.wrap == to.wrap)
		return to.offset >= from.offset ? (uint32_t)(to.offset - from.offset) : UINT32_MAX;
	return ring->size - from.offset + to.offset;
}

static struct packed_position step_back(const struct packed_ring *ring, struct packed_position at)
{
	if (at.offset > 0)
		return (struct packed_position){ (uint16_t)(at.offset - 1), at.wrap };
	return (struct packed_position){ (uint16_t)(ring->size - 1), !at.wrap };
}

/* Where the bit changes; *at stays if it does not. */
static void find_seam(const struct packed_ring *ring, struct packed_position *at)
{
	bool first = (packed_desc_flags(ring, 0) & PACKED_DESC_F_AVAIL) != 0;

	for (uint32_t i = 1; i < ring->size; i++) {
		struct packed_position p = { (uint16_t)i, first };

		if (!is_written(ring, p)) {
			*at = p;
			return;
		}
	}
}

/* From where the driver was to where it is; it may have been round the ring since. */
static void walk_avail(struct walk *w)
{
	uint32_t n = 0;

	for (; n < w->ring->size && is_written(w->ring, w->avail); n++)
		w->avail = packed_advance(w->ring, w->avail, 1);
	if (n == 0 && !is_written(w->ring, step_back(w->ring, w->avail)))
		find_seam(w->ring, &w->avail);
}

/* How many descriptors a list that was returned has: as seen before, or those with its id. */
static uint16_t returned_len(const struct picture_source *source, struct packed_position at,
			     uint16_t id, uint32_t most)
{
	const struct packed_ring *ring = source->packed;
	struct packed_desc d = { .flags = PACKED_DESC_F_NEXT };
	uint16_t n = 1;

	if (source->lists && id < ring->size && source->lists[id] > 0)
		return (uint16_t)min_size(source->lists[id], most);
	while (n < most && (d.flags & PACKED_DESC_F_NEXT)) {
		at = packed_advance(ring, at, 1);
		d = packed_desc_load(ring, at.offset);
		if (d.id != id || packed_is_used(d.flags, at.wrap))
			break;
		n++;
	}
	return n;
}

/* Lists that the device has returned since it was looked at last. */
static void walk_used(struct walk *w, const struct picture_source *source)
{
	uint32_t left = distance(w->ring, w->used, w->avail);

	while (left > 0 && is_returned(w->ring, w->used)) {
		struct packed_desc d = packed_desc_load(w->ring, w->used.offset);
		struct list *l = &w->lists[w->n_lists++];

		*l = (struct list){ .at = w->used, .used = true, .id = d.id };
		l->used_len = (d.flags & PACKED_DESC_F_WRITE) ? d.len : 0;
		l->n = returned_len(source, w->used, d.id, left);
		w->used = packed_advance(w->ring, w->used, l->n);
		left -= l->n;
	}
}

/* Lists from the device's position to the driver's. */
static void walk_offered(struct walk *w, const struct picture_source *source)
{
	struct packed_position at = w->used;
	uint32_t left = distance(w->ring, w->used, w->avail);

	while (left > 0) {
		struct list *l = &w->lists[w->n_lists++];
		struct packed_desc d;

		*l = (struct list){ .at = at };
		do {
			d = packed_desc_load(w->ring, at.offset);
			at = packed_advance(w->ring, at, 1);
			l->n++;
			left--;
		} while ((d.flags & PACKED_DESC_F_NEXT) && left > 0);
		l->id = d.id;
		if (source->lists && d.id < w->ring->size)
			source->lists[d.id] = l->n;
	}
}

/* The device's position is not behind the driver's: the last descriptor it returned says more. */
static void find_used(struct walk *w, const struct picture_source *source)
{
	struct packed_position at = w->avail;
	uint32_t n = 0;

	for (; n < w->ring->size; n++) {
		struct packed_position before = step_back(w->ring, at);

		at = before;
		if (is_returned(w->ring, at))
			break;
	}
	w->used = w->avail;
	if (n == w->ring->size)
		return;
	w->used = packed_advance(
		w->ring, at,
		returned_len(source, at, packed_desc_load(w->ring, at.offset).id, n + 1));
}

/* Chains. */

static struct picture_desc from_packed(struct packed_desc d, uint16_t number, bool in_table)
{
	return (struct picture_desc){ d.addr, d.len, d.flags, d.id, number, in_table };
}

/* Entries of a table follow each other; their ids and other flags mean nothing. */
static void follow_table(struct picture_maker *m, struct picture_chain *chain,
			 const struct picture_desc *table)
{
	uint32_t n = table->len / PACKED_DESC_BYTES;

	picture_add_table(m, chain, n);
	for (uint32_t i = 0; i < n; i++) {
		struct vring_desc d;
		struct picture_desc entry;

		if (!picture_load_entry(m, chain, table, i, &d))
			return;
		/* The same bytes in another order: flags and id have changed places. */
		entry = (struct picture_desc){ d.addr, d.len, d.next, d.flags, (uint16_t)i, true };
		if (!picture_add_desc(m, chain, &entry))
			return;
	}
}

static void follow(struct picture_maker *m, struct picture_chain *chain, const struct list *l)
{
	const struct packed_ring *ring = m->source->packed;
	struct packed_position at = l->at;
	struct picture_desc d = { .flags = 0 };

	picture_begin_chain(m, chain, ring->size);
	for (uint16_t i = 0; i < l->n && chain->fault == PICTURE_SOUND; i++) {
		d = from_packed(packed_desc_load(ring, at.offset), at.offset, false);
		if (!picture_add_desc(m, chain, &d))
			return;
		/* What was returned has flags of the device's. */
		if ((d.flags & PACKED_DESC_F_INDIRECT) && !l->used && m->source->host)
			follow_table(m, chain, &d);
		at = packed_advance(ring, at, 1);
	}
	if (chain->fault == PICTURE_SOUND && !l->used && (d.flags & PACKED_DESC_F_NEXT))
		chain->fault = PICTURE_NEXT_RANGE;
}

/*
 * Whether the device has returned something by now, after what was loaded before:
 * the descriptor at its position is not as the driver has left it.
 */
static bool has_moved(const struct walk *w)
{
	full_barrier();
	return !packed_is_avail(packed_desc_flags(w->ring, w->used.offset), w->used.wrap);
}

static void take_list(struct picture_maker *m, const struct walk *w, const struct list *l)
{
	struct picture_chain chain = {
		.at = l->at.offset,
		.head = l->id,
		.owner = l->used ? PICTURE_DRIVER : PICTURE_DEVICE,
		.has_used = l->used,
		.used_len = l->used_len,
	};

	follow(m, &chain, l);
	if (picture_judge_chain(m, &chain) && (l->used || has_moved(w)))
		picture_drop_chain(m, &chain);
	picture_add_chain(m, &chain);
}

/* The newest lists, as many as are wanted; of those since, as many as there may be. */
static void take_lists(struct picture_maker *m, const struct walk *w)
{
	size_t n = m->want->since ? PICTURE_MAX_SLOTS : picture_want_slots(m->want);

	n = min_size(n, w->n_lists);
	if (m->want->since)
		m->p->n_missed = (uint16_t)(w->n_lists - n);
	for (size_t i = w->n_lists - n; i < w->n_lists && !m->failed; i++)
		take_list(m, w, &w->lists[i]);
}

static void load_events(struct ring_picture *p, const struct packed_ring *ring)
{
	struct packed_event driver = packed_event_load(ring->driver_event);
	struct packed_event device = packed_event_load(ring->device_event);

	p->avail_flags = driver.flags;
	p->used_event = as_word((struct packed_position){ driver.offset, driver.wrap });
	p->used_flags = device.flags;
	p->avail_event = as_word((struct packed_position){ device.offset, device.wrap });
}

/* Where the sides stand, and every list between. */
static void walk_ring(struct walk *w, const struct picture_source *source)
{
	walk_avail(w);
	if (distance(w->ring, w->used, w->avail) > w->ring->size)
		find_used(w, source);
	walk_used(w, source);
	walk_offered(w, source);
}

static void move_on(struct packed_position *known, struct packed_position now)
{
	if (known)
		*known = now;
}

void picture_take_packed(struct picture_maker *m)
{
	const struct picture_source *source = m->source;
	struct walk w = {
		.ring = source->packed,
		.avail = position(source, source->avail),
		.used = position(source, source->used),
	};

	m->p->packed = true;
	m->p->size = w.ring->size;
	w.lists = calloc(w.ring->size + (size_t)1, sizeof(*w.lists));
	if (!w.lists) {
		m->failed = true;
		return;
	}
	walk_ring(&w, source);
	m->p->avail_idx = as_word(w.avail);
	m->p->used_idx = as_word(w.used);
	load_events(m->p, w.ring);
	take_lists(m, &w);
	free(w.lists);
	move_on(source->avail, w.avail);
	move_on(source->used, w.used);
}
