/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Split rings. A chain is the device's if its head was offered and not returned.
 * Nothing says which return is of which offer, and slots are written over: while
 * chains come back in the order in which they were offered, the indices say all;
 * else heads are compared. The device returns chains while they are followed, and
 * drivers give tables and buffers to others then.
 */
#include <stdlib.h>
#include <string.h>

#include "virtio/picture-private.h"

enum { PATIENCE = 4 }; /* looks at windows that move meanwhile */

/* What is known of a head while owners are looked for. Ages count from the newest entry. */
struct head {
	bool offered, returned;
	uint32_t offered_age, returned_age;
	int32_t n_out; /* offers without a return, in the first lap */
};

struct split {
	const struct vring *ring;
	uint16_t avail_idx, used_idx;
	uint16_t n_device; /* chains that the device has; 0 if the windows are not sound */
	bool in_order;
	bool first_lap; /* and not in order */
	/* Unless in order, by head: the last offer of it is the device's; that is a guess. */
	bool *held, *guessed;
};

/* The device returns and the driver offers while we look: two values of one moment, if possible. */
static void load_windows(struct split *s)
{
	for (unsigned int i = 0; i < PATIENCE; i++) {
		s->used_idx = vring_used_idx(s->ring);
		s->avail_idx = vring_avail_idx(s->ring);
		if (s->used_idx == vring_used_idx(s->ring) &&
		    (uint16_t)(s->avail_idx - s->used_idx) <= s->ring->size)
			break;
	}
	s->n_device = (uint16_t)(s->avail_idx - s->used_idx);
	if (s->n_device > s->ring->size)
		s->n_device = 0;
}

/* How many entries came since the last picture; an index that went back begins anew. */
static uint32_t n_since(const struct picture_want *want, uint16_t idx, uint16_t since)
{
	uint16_t n = (uint16_t)(idx - since);

	return want->since && n <= VRING_MAX_SIZE ? n : 0;
}

/* Every return that both rings still hold is of the chain that was offered then. */
static bool came_in_order(const struct split *s)
{
	uint32_t n = s->ring->size - s->n_device;

	for (uint32_t back = 1; back <= n; back++) {
		uint16_t i = (uint16_t)(s->used_idx - back);
		uint32_t id, len;

		vring_used_entry(s->ring, i, &id, &len);
		if (id != vring_avail_entry(s->ring, i))
			return false;
	}
	return true;
}

static bool is_blank(const struct vring *ring, uint32_t avail, uint32_t used)
{
	for (uint32_t i = avail; i < ring->size; i++)
		if (vring_avail_entry(ring, (uint16_t)i) != 0)
			return false;
	for (uint32_t i = used; i < ring->size; i++) {
		uint32_t id, len;

		vring_used_entry(ring, (uint16_t)i, &id, &len);
		if (id != 0 || len != 0)
			return false;
	}
	return true;
}

/*
 * Whether nothing was written over before this. Entries written ahead would show:
 * of two, one is not of head 0.
 */
static bool is_first_lap(const struct split *s)
{
	uint16_t used_idx = vring_used_idx(s->ring), avail_idx = vring_avail_idx(s->ring);

	return s->used_idx <= used_idx && used_idx <= avail_idx && s->avail_idx <= avail_idx &&
	       avail_idx + 2U <= s->ring->size && is_blank(s->ring, avail_idx, used_idx);
}

/* Whether the rings have no lap behind them: then they say what of each head is out. */
static bool count_out(const struct picture_maker *m, const struct split *s, struct head *heads)
{
	if (!m->source->from_zero || !is_first_lap(s))
		return false;
	for (uint16_t i = 0; i < s->avail_idx; i++) {
		uint16_t head = vring_avail_entry(s->ring, i);

		if (head < s->ring->size)
			heads[head].n_out++;
	}
	for (uint16_t i = 0; i < s->used_idx; i++) {
		uint32_t id, len;

		vring_used_entry(s->ring, i, &id, &len);
		if (id < s->ring->size)
			heads[id].n_out--;
	}
	full_barrier();
	return is_first_lap(s);
}

/* The last offer and the last return of each head, in what the rings hold. */
static void survey(const struct split *s, struct head *heads)
{
	for (uint32_t age = 0; age < s->ring->size; age++) {
		uint16_t head = vring_avail_entry(s->ring, (uint16_t)(s->avail_idx - 1 - age));
		uint32_t id, len;

		if (head < s->ring->size && !heads[head].offered) {
			heads[head].offered = true;
			heads[head].offered_age = age;
		}
		vring_used_entry(s->ring, (uint16_t)(s->used_idx - 1 - age), &id, &len);
		if (id < s->ring->size && !heads[id].returned) {
			heads[id].returned = true;
			heads[id].returned_age = age;
		}
	}
}

/*
 * That the last offer is not returned: nothing else can be, or the last picture was
 * taken after the last return and before the offer.
 */
static bool is_certain(const struct split *s, const struct picture_want *want, const struct head *h)
{
	return s->first_lap || !h->returned ||
	       (h->offered_age < n_since(want, s->avail_idx, want->since_avail) &&
		h->returned_age >= n_since(want, s->used_idx, want->since_used));
}

/*
 * How late a head's last return is compared with its last offer: the least are the
 * device's. What is so for certain is before all.
 */
static int64_t lateness(const struct split *s, const struct picture_want *want,
			const struct head *h)
{
	int64_t age = h->offered_age;

	if (s->first_lap)
		return -h->n_out;
	return is_certain(s, want, h) ? INT64_MIN + age : age - (int64_t)h->returned_age;
}

struct candidate {
	int64_t late;
	uint32_t returned_age;
	uint16_t head;
};

static int candidate_compare(const void *va, const void *vb)
{
	const struct candidate *a = va, *b = vb;

	if (a->late != b->late)
		return a->late < b->late ? -1 : 1;
	/* Of two alike, the one whose return is longer ago. */
	if (a->returned_age != b->returned_age)
		return a->returned_age > b->returned_age ? -1 : 1;
	return a->head < b->head ? -1 : a->head > b->head;
}

static void pick(struct split *s, const struct picture_want *want, const struct head *heads,
		 struct candidate *candidates)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < s->ring->size; i++)
		if (heads[i].offered)
			candidates[n++] = (struct candidate){ lateness(s, want, &heads[i]),
							      heads[i].returned_age, (uint16_t)i };
	qsort(candidates, n, sizeof(candidates[0]), candidate_compare);
	for (uint32_t i = 0; i < n && i < s->n_device; i++) {
		uint16_t head = candidates[i].head;

		s->held[head] = true;
		s->guessed[head] = !is_certain(s, want, &heads[head]);
	}
}

/* As many heads as the device has chains. False: no memory. */
static bool find_owners(struct split *s, const struct picture_maker *m)
{
	struct candidate *candidates;
	struct head *heads;

	s->in_order = came_in_order(s);
	if (s->in_order)
		return true;
	heads = calloc(s->ring->size, sizeof(*heads));
	candidates = calloc(s->ring->size, sizeof(*candidates));
	s->held = calloc(s->ring->size, sizeof(*s->held));
	s->guessed = calloc(s->ring->size, sizeof(*s->guessed));
	if (heads && candidates && s->held && s->guessed) {
		s->first_lap = count_out(m, s, heads);
		survey(s, heads);
		pick(s, m->want, heads, candidates);
	}
	free(heads);
	free(candidates);
	return heads && candidates && s->held && s->guessed;
}

/* From the newest entry to the oldest: an older offer of a held head has been returned. */
static enum picture_owner owner_of(struct split *s, uint16_t i, uint16_t head)
{
	bool device;

	if (s->in_order || head >= s->ring->size)
		device = (uint16_t)(s->avail_idx - i) <= s->n_device;
	else
		device = s->held[head];
	if (s->held && head < s->ring->size)
		s->held[head] = false;
	return device ? PICTURE_DEVICE : PICTURE_DRIVER;
}

/*
 * Returns. An id is wrong if it came back more often than it was offered. Drivers
 * that have not published yet may have written over any entry of the available
 * ring that is not the device's, so that is known for certain only while neither
 * ring has been written over.
 */
struct counts {
	uint16_t offered, returned;
};

static void count_offered(const struct split *s, struct counts *counts, uint32_t n)
{
	for (uint32_t back = 1; back <= n; back++) {
		uint16_t head = vring_avail_entry(s->ring, (uint16_t)(s->avail_idx - back));

		if (head < s->ring->size)
			counts[head].offered++;
	}
	full_barrier();
}

/* All that was ever offered is counted. */
static void judge_first_lap(const struct split *s, struct ring_picture *p, struct counts *counts)
{
	size_t before = s->used_idx - p->n_used;

	for (uint16_t i = 0; i < s->used_idx; i++) {
		enum picture_return fault = PICTURE_RETURN_SOUND;
		uint32_t id, len;

		vring_used_entry(s->ring, i, &id, &len);
		if (id < s->ring->size && ++counts[id].returned > counts[id].offered)
			fault = counts[id].offered > 0 ? PICTURE_RETURN_AGAIN
						       : PICTURE_RETURN_NOT_OFFERED;
		if (i >= before && p->used[i - before].id == id)
			p->used[i - before].fault = fault;
	}
}

/*
 * Of two returns while the latest half of a ring was offered, the later one needs
 * an offer among those, and no driver writes over half a ring before it publishes.
 */
static void judge_latest(const struct split *s, struct ring_picture *p, struct counts *counts)
{
	uint16_t ahead = (uint16_t)(vring_avail_idx(s->ring) - s->used_idx);
	uint32_t n = ahead < s->ring->size / 2 ? s->ring->size / 2 - ahead : 0;

	for (size_t i = p->n_used - min_size(n, p->n_used); i < p->n_used; i++) {
		struct picture_used *u = &p->used[i];

		if (u->id < s->ring->size && ++counts[u->id].returned > 1 &&
		    counts[u->id].offered == 0)
			u->fault = PICTURE_RETURN_NOT_OFFERED;
	}
}

/* Of entries that the device has written for certain, and has not begun to write again. */
static void judge_ranges(const struct picture_maker *m, const struct split *s)
{
	struct ring_picture *p = m->p;
	uint16_t ahead = (uint16_t)(vring_avail_idx(s->ring) - s->used_idx);
	uint32_t n = m->source->from_zero ? s->used_idx
					  : n_since(m->want, s->used_idx, m->want->since_used);

	n = (uint32_t)min_size(n, s->ring->size - min_size(ahead, s->ring->size));
	for (size_t i = p->n_used - min_size(n, p->n_used); i < p->n_used; i++)
		if (p->used[i].id >= s->ring->size)
			p->used[i].fault = PICTURE_RETURN_RANGE;
}

static void judge_returns(struct picture_maker *m, const struct split *s)
{
	bool first_lap = m->source->from_zero && m->p->n_used <= s->used_idx && is_first_lap(s);
	struct counts *counts;

	if (!picture_windows_sound(m->p) || m->p->n_used == 0 || m->source->in_order)
		return;
	counts = calloc(s->ring->size, sizeof(*counts));
	if (!counts) {
		m->failed = true;
		return;
	}
	count_offered(s, counts, first_lap ? s->avail_idx : s->ring->size);
	if (first_lap && is_first_lap(s))
		judge_first_lap(s, m->p, counts);
	else if (!first_lap)
		judge_latest(s, m->p, counts);
	judge_ranges(m, s);
	free(counts);
}

/* Chains. */

static struct picture_desc from_vring(struct vring_desc d, uint16_t number, bool in_table)
{
	return (struct picture_desc){ d.addr, d.len, d.flags, d.next, number, in_table };
}

/* Tables are chains of their own. */
static bool follow_table(struct picture_maker *m, struct picture_chain *chain,
			 const struct picture_desc *table)
{
	uint16_t number = 0;

	picture_add_table(m, chain, table->len / VRING_DESC_BYTES);
	for (;;) {
		struct vring_desc d;
		struct picture_desc entry;

		if (!picture_load_entry(m, chain, table, number, &d))
			return false;
		entry = from_vring(d, number, true);
		if (!picture_add_desc(m, chain, &entry))
			return false;
		if (!(d.flags & VRING_DESC_F_NEXT))
			return true;
		number = d.next;
	}
}

static void follow(struct picture_maker *m, struct picture_chain *chain)
{
	const struct vring *ring = m->source->split;
	uint16_t number = chain->head;

	picture_begin_chain(m, chain, ring->size);
	if (number >= ring->size && chain->fault == PICTURE_SOUND)
		chain->fault = PICTURE_HEAD_RANGE;
	while (chain->fault == PICTURE_SOUND) {
		struct picture_desc d = from_vring(vring_desc_load(ring, number), number, false);

		if (!picture_add_desc(m, chain, &d))
			return;
		if ((d.flags & VRING_DESC_F_INDIRECT) && m->source->host &&
		    !follow_table(m, chain, &d))
			return;
		if (!(d.flags & VRING_DESC_F_NEXT))
			return;
		number = d.next;
		if (number >= ring->size)
			chain->fault = PICTURE_NEXT_RANGE;
	}
}

/* Windows. */

/* Of an index that has not wrapped, what is before 0 was never written. */
static uint32_t n_last(const struct split *s, const struct picture_want *want, uint16_t idx)
{
	return (uint32_t)min_size(picture_want_slots(want), min_size(idx, s->ring->size));
}

static uint32_t max_entries(const struct split *s, uint32_t a, uint32_t b)
{
	return (uint32_t)min_size(a > b ? a : b, min_size(s->ring->size, PICTURE_MAX_SLOTS));
}

static void take_used(struct picture_maker *m, const struct split *s)
{
	uint32_t since = n_since(m->want, s->used_idx, m->want->since_used);
	uint32_t n = max_entries(s, n_last(s, m->want, s->used_idx), since);

	for (uint16_t i = (uint16_t)(s->used_idx - n); i != s->used_idx; i++) {
		struct picture_used u = { .at = i };

		vring_used_entry(s->ring, i, &u.id, &u.len);
		picture_add_used(m, &u);
	}
}

/* Which chains to take: the newest, those offered since, and those returned since. */
struct selection {
	uint32_t n_newest;				/* offered since among them */
	uint32_t n_returns;				/* since */
	bool taken[PICTURE_MAX_SLOTS];			/* of the used entries: has its chain */
	struct picture_chain chains[PICTURE_MAX_SLOTS]; /* newest first */
	uint32_t n;
	bool is_kept[PICTURE_MAX_SLOTS]; /* of the chains: see note_reuse() */
	uint8_t newer[VRING_MAX_SIZE];	 /* by head: whose the next chain is */
};

enum { NO_NEWER, OF_DEVICE, OF_DRIVER };

/*
 * A head that was offered again has the descriptors of the newer chain. What the
 * device wrote for the older one is still told as long as the device has
 * not used the buffer again: drivers like to offer the same.
 */
static void note_reuse(struct selection *sel, struct picture_chain *chain)
{
	bool is_kept =
		chain->has_used && chain->used_len > 0 && sel->newer[chain->head] == OF_DEVICE;

	if (sel->newer[chain->head] != NO_NEWER && !is_kept)
		chain->fault = PICTURE_REUSED;
	sel->is_kept[sel->n] = is_kept;
	sel->newer[chain->head] = chain->owner == PICTURE_DEVICE ? OF_DEVICE : OF_DRIVER;
}

static void begin_selection(struct selection *sel, struct picture_maker *m, const struct split *s)
{
	uint32_t slots = picture_want_slots(m->want);
	uint32_t since = n_since(m->want, s->avail_idx, m->want->since_avail);
	uint32_t last = n_last(s, m->want, s->avail_idx);

	/* The device's own are there in any case. */
	last = max_entries(s, last, (uint32_t)min_size(slots, s->n_device));
	sel->n_newest = max_entries(s, last, since);
	sel->n_returns = (uint32_t)min_size(n_since(m->want, s->used_idx, m->want->since_used),
					    m->p->n_used);
	m->p->n_missed = (uint16_t)(since > sel->n_newest ? since - sel->n_newest : 0);
}

/* The newest return of the chain's head that no newer chain has; whether it came since. */
static bool find_return(struct selection *sel, const struct ring_picture *p,
			struct picture_chain *chain)
{
	for (size_t i = p->n_used; i-- > 0;)
		if (p->used[i].id == chain->head && !sel->taken[i]) {
			sel->taken[i] = true;
			chain->has_used = true;
			chain->used_len = p->used[i].len;
			return p->n_used - i <= sel->n_returns;
		}
	return false;
}

static void select_chains(struct selection *sel, struct picture_maker *m, struct split *s)
{
	uint32_t n_found = 0;

	for (uint32_t back = 1; back <= s->ring->size && sel->n < PICTURE_MAX_SLOTS; back++) {
		struct picture_chain c = { .at = (uint16_t)(s->avail_idx - back) };
		bool returned = false;

		if (back > sel->n_newest && n_found == sel->n_returns)
			break;
		c.head = vring_avail_entry(s->ring, c.at);
		c.owner = owner_of(s, c.at, c.head);
		if (c.owner == PICTURE_DRIVER)
			returned = find_return(sel, m->p, &c);
		if (c.head < s->ring->size)
			note_reuse(sel, &c);
		n_found += returned;
		if (back <= sel->n_newest || returned)
			sel->chains[sel->n++] = c;
	}
}

/* Whether the device could read there, what is the newer chain's; or there is a table. */
static bool is_mixed(const struct picture_maker *m, const struct picture_chain *chain)
{
	bool mixed = chain->out_len > 0;

	for (uint32_t i = 0; i < chain->n_descs; i++)
		mixed |= !(m->p->descs[chain->first_desc + i].flags & VRING_DESC_F_WRITE);
	return mixed;
}

/*
 * Whether the windows are other ones by now, after what was loaded before. Any
 * return counts: who has what was found by looking at returns.
 */
static bool has_moved(const struct split *s)
{
	full_barrier();
	return vring_used_idx(s->ring) != s->used_idx ||
	       (uint16_t)(vring_avail_idx(s->ring) - s->avail_idx) > s->ring->size;
}

/* For certain: nobody has had reason to change it since it was offered. */
static bool is_devices(const struct split *s, const struct picture_chain *chain)
{
	bool guessed = s->guessed && chain->head < s->ring->size && s->guessed[chain->head];

	return chain->owner == PICTURE_DEVICE && !guessed && !has_moved(s);
}

static void take_chain(struct picture_maker *m, const struct split *s, struct picture_chain *chain,
		       bool is_kept)
{
	bool wrong;

	follow(m, chain);
	wrong = picture_judge_chain(m, chain);
	if ((is_kept && is_mixed(m, chain)) || (wrong && !is_devices(s, chain)))
		picture_drop_chain(m, chain);
	picture_add_chain(m, chain);
}

static void take_chains(struct picture_maker *m, struct split *s)
{
	struct selection *sel = calloc(1, sizeof(*sel));

	if (!sel) {
		m->failed = true;
		return;
	}
	begin_selection(sel, m, s);
	select_chains(sel, m, s);
	for (uint32_t i = sel->n; i-- > 0 && !m->failed;)
		take_chain(m, s, &sel->chains[i], sel->is_kept[i]);
	free(sel);
}

void picture_take_split(struct picture_maker *m)
{
	struct split s = { .ring = m->source->split };
	struct ring_picture *p = m->p;

	load_windows(&s);
	p->size = s.ring->size;
	p->avail_idx = s.avail_idx;
	p->used_idx = s.used_idx;
	p->avail_flags = vring_avail_flags(s.ring);
	p->used_flags = vring_used_flags(s.ring);
	p->used_event = vring_used_event(s.ring);
	p->avail_event = vring_avail_event(s.ring);
	take_used(m, &s);
	judge_returns(m, &s);
	if (find_owners(&s, m))
		take_chains(m, &s);
	else
		m->failed = true;
	free(s.held);
	free(s.guessed);
}
