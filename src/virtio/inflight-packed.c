/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * "Inflight I/O tracking", packed virtqueues. An entry is in a list of free ones,
 * or part of a chain in flight. What old_free_head leads to is free, whatever
 * else an entry says: the store of old_free_head is what takes a chain.
 *
 * What was returned joins the free list only when it is about to be published.
 * Entered earlier, as the text does for one batch, it would be taken again by the
 * next chain while a restart still has to serve it.
 */
#include <errno.h>
#include <stdlib.h>

#include "virtio/inflight-private.h"

/* The numbers of a part's two words. */
struct list_word {
	uint16_t free_head, old_free_head;
};

struct used_word {
	struct packed_position now, old;
};

static size_t entry_at(uint16_t entry)
{
	return INFLIGHT_PACKED_HEAD + (size_t)entry * INFLIGHT_PACKED_DESC;
}

static uint16_t load_next(const struct inflight_ring *r, uint16_t entry)
{
	return part_load16(r->bytes, entry_at(entry) + PACKED_ENTRY_NEXT);
}

static void store_next(struct inflight_ring *r, uint16_t entry, uint16_t next)
{
	r->next[entry] = next;
	part_store16(r->bytes, entry_at(entry) + PACKED_ENTRY_NEXT, next);
}

static void set_inflight(struct inflight_ring *r, uint16_t entry, bool inflight)
{
	part_store8(r->bytes, entry_at(entry) + ENTRY_INFLIGHT, inflight);
}

static struct used_word load_used(const struct inflight_ring *r)
{
	union {
		uint64_t word;
		uint16_t half[4];
		uint8_t byte[8];
	} u = { .word = part_load64(r->bytes, PACKED_USED_WORD) };

	return (struct used_word){
		.now = { .offset = u.half[0], .wrap = u.byte[4] & 1 },
		.old = { .offset = u.half[1], .wrap = u.byte[5] & 1 },
	};
}

/* In one store: an offset and its wrap counter mean nothing without each other. */
static void store_used(struct inflight_ring *r, struct packed_position now,
		       struct packed_position old)
{
	union {
		uint16_t half[4];
		uint8_t byte[8];
		uint64_t word;
	} u = { .half = { now.offset, old.offset } };

	u.byte[4] = now.wrap;
	u.byte[5] = old.wrap;
	part_store64(r->bytes, PACKED_USED_WORD, u.word);
}

static bool same_position(struct packed_position a, struct packed_position b)
{
	return a.offset == b.offset && a.wrap == b.wrap;
}

/* See the split one. The last entry's next is the size: no entry. */
static int begin_anew(struct inflight_ring *r, struct packed_position avail,
		      struct packed_position used)
{
	part_store16(r->bytes, PART_VERSION, 0);
	if (!same_position(avail, used)) {
		inflight_detach(r);
		return -ENOENT;
	}
	part_store64(r->bytes, PART_FEATURES, 0);
	part_store16(r->bytes, PART_DESC_NUM, (uint16_t)r->size);
	part_store16(r->bytes, PACKED_FREE_HEAD, 0);
	part_store16(r->bytes, PACKED_OLD_FREE_HEAD, 0);
	store_used(r, used, used);
	for (uint32_t i = 0; i < r->size; i++) {
		for (size_t off = 0; off < INFLIGHT_PACKED_DESC; off += sizeof(uint64_t))
			part_store64(r->bytes, entry_at((uint16_t)i) + off, 0);
		store_next(r, (uint16_t)i, (uint16_t)(i + 1));
	}
	r->free_head = 0;
	r->used = used;
	part_store16(r->bytes, PART_VERSION, INFLIGHT_VERSION);
	return -ENOENT;
}

/*
 * Was the last batch shown to the driver? Its first descriptor is where the old
 * used position says. If so the batch is history, else it never was.
 */
static bool repair_batch(struct inflight_ring *r, const struct packed_ring *ring)
{
	struct used_word used = load_used(r);

	if (used.now.offset >= r->size || used.old.offset >= r->size)
		return false;
	if (!same_position(used.now, used.old) &&
	    !packed_is_avail(packed_desc_flags(ring, used.old.offset), used.old.wrap)) {
		part_store16(r->bytes, PACKED_OLD_FREE_HEAD,
			     part_load16(r->bytes, PACKED_FREE_HEAD));
		used.old = used.now;
	}
	r->free_head = part_load16(r->bytes, PACKED_OLD_FREE_HEAD);
	r->used = used.old;
	part_store16(r->bytes, PACKED_FREE_HEAD, r->free_head);
	store_used(r, r->used, r->used);
	return true;
}

/* An entry is visited once; what else leads to it is a forgery, or the end of a list. */
static bool visit(struct inflight_ring *r, uint16_t entry, uint8_t *visited)
{
	if (entry >= r->size || visited[entry])
		return false;
	visited[entry] = 1;
	r->next[entry] = load_next(r, entry);
	return true;
}

/* Walks the free list; what is on it is not in flight. Its end is made ours. */
static void repair_free_list(struct inflight_ring *r, uint8_t *visited)
{
	uint16_t entry = r->free_head, last = INFLIGHT_NO_ENTRY;

	while (visit(r, entry, visited)) {
		set_inflight(r, entry, false);
		last = entry;
		entry = r->next[entry];
	}
	if (last != INFLIGHT_NO_ENTRY)
		store_next(r, last, (uint16_t)r->size);
	else
		r->free_head = (uint16_t)r->size;
}

/* Takes over the chain that begins at entry. False: its entries are not its own. */
static bool adopt_chain(struct inflight_ring *r, uint16_t entry, uint8_t *visited)
{
	uint16_t n = part_load16(r->bytes, entry_at(entry) + PACKED_ENTRY_NUM);
	uint16_t last = entry;

	for (uint16_t i = 0; i < n; i++) {
		uint16_t at = i == 0 ? entry : r->next[last];

		if (!visit(r, at, visited))
			return false;
		last = at;
	}
	r->num[entry] = n;
	r->last[entry] = last;
	return n > 0;
}

/* Returns how many, in order, or -EINVAL. */
static int list_inflight(struct inflight_ring *r, uint8_t *visited, struct inflight_found *found,
			 struct inflight_chain *ret_chains)
{
	int n = 0;

	repair_free_list(r, visited);
	for (uint32_t i = 0; i < r->size; i++) {
		uint16_t entry = (uint16_t)i;

		if (part_load8(r->bytes, entry_at(entry) + ENTRY_INFLIGHT) != 1)
			continue;
		if (!adopt_chain(r, entry, visited))
			return -EINVAL;
		found[n].counter = part_load64(r->bytes, entry_at(entry) + ENTRY_COUNTER);
		found[n++].entry = entry;
	}
	inflight_sort(found, (size_t)n);
	r->counter = n > 0 ? found[n - 1].counter + 1 : 0;
	for (int i = 0; i < n; i++)
		ret_chains[i] = (struct inflight_chain){
			.entry = found[i].entry,
			.n_descs = r->num[found[i].entry],
		};
	return n;
}

/* next, last and num live in one allocation, which next names. */
bool inflight_packed_lists(struct inflight_ring *r)
{
	free(r->next);
	r->next = calloc(INFLIGHT_PACKED_LISTS * (size_t)r->size, sizeof(*r->next));
	if (!r->next)
		return false;
	r->last = r->next + r->size;
	r->num = r->last + r->size;
	return true;
}

int inflight_packed_resume(struct inflight_ring *r, const struct packed_ring *ring,
			   struct packed_position avail, struct packed_position *used,
			   struct inflight_chain *ret_chains)
{
	struct inflight_found *found = calloc(r->size, sizeof(*found));
	uint8_t *visited = calloc(r->size, 1);
	int n = -EINVAL;

	r->n_batch = 0;
	r->counter = 0;
	if (!found || !visited || !inflight_packed_lists(r)) {
		inflight_detach(r);
		n = -ENOMEM;
	} else if (inflight_part_begun(r) && repair_batch(r, ring)) {
		n = list_inflight(r, visited, found, ret_chains);
	}
	if (n == -EINVAL)
		n = begin_anew(r, avail, *used);
	else if (n >= 0)
		*used = r->used;
	free(found);
	free(visited);
	return n;
}

void inflight_packed_load(const struct inflight_ring *r, uint16_t entry,
			  struct packed_desc *ret_descs)
{
	uint16_t at = entry;

	for (uint16_t i = 0; i < r->num[entry]; i++, at = r->next[at]) {
		ret_descs[i] = (struct packed_desc){
			.addr = part_load64(r->bytes, entry_at(at) + PACKED_ENTRY_ADDR),
			.len = part_load32(r->bytes, entry_at(at) + PACKED_ENTRY_LEN),
			.id = part_load16(r->bytes, entry_at(at) + PACKED_ENTRY_ID),
			.flags = part_load16(r->bytes, entry_at(at) + PACKED_ENTRY_FLAGS),
		};
	}
}

static void store_desc(struct inflight_ring *r, uint16_t entry, const struct packed_desc *desc)
{
	part_store16(r->bytes, entry_at(entry) + PACKED_ENTRY_ID, desc->id);
	part_store16(r->bytes, entry_at(entry) + PACKED_ENTRY_FLAGS, desc->flags);
	part_store32(r->bytes, entry_at(entry) + PACKED_ENTRY_LEN, desc->len);
	part_store64(r->bytes, entry_at(entry) + PACKED_ENTRY_ADDR, desc->addr);
}

/* Both heads of the free list at once: from here on the chain is in flight, or free. */
static void store_free_head(struct inflight_ring *r, uint16_t head)
{
	union {
		uint16_t half[4];
		uint64_t word;
	} u = { .half = { INFLIGHT_VERSION, (uint16_t)r->size, head, head } };

	r->free_head = head;
	part_store64(r->bytes, PACKED_LIST_WORD, u.word);
}

uint16_t inflight_packed_take(struct inflight_ring *r, const struct packed_desc *descs,
			      unsigned int n)
{
	uint16_t head = r->free_head, at = head, last = head;

	if (!r->record)
		return INFLIGHT_NO_ENTRY;
	for (unsigned int i = 0; i < n; i++) {
		if (at >= r->size)
			return INFLIGHT_NO_ENTRY;
		store_desc(r, at, &descs[i]);
		last = at;
		at = r->next[at];
	}
	part_store16(r->bytes, entry_at(head) + PACKED_ENTRY_NUM, (uint16_t)n);
	part_store16(r->bytes, entry_at(head) + PACKED_ENTRY_LAST, last);
	part_store64(r->bytes, entry_at(head) + ENTRY_COUNTER, r->counter++);
	set_inflight(r, head, true);
	r->num[head] = (uint16_t)n;
	r->last[head] = last;
	store_free_head(r, at);
	return head;
}

/* A forged record may have had no free entry for a chain. */
static bool is_recorded(const struct inflight_ring *r, uint16_t entry)
{
	return r->record && entry != INFLIGHT_NO_ENTRY;
}

/* An entry of the free list may say that it is in flight; a repair corrects that. */
void inflight_packed_untake(struct inflight_ring *r, uint16_t entry)
{
	if (!is_recorded(r, entry))
		return;
	r->counter--;
	store_next(r, r->last[entry], r->free_head);
	store_free_head(r, entry);
	set_inflight(r, entry, false);
}

/* Links it in front of those returned before it; nothing leads there yet. */
void inflight_packed_return(struct inflight_ring *r, uint16_t entry)
{
	if (!is_recorded(r, entry))
		return;
	if (r->n_batch++ == 0)
		r->batch_tail = r->last[entry];
	else
		store_next(r, r->last[entry], r->batch_head);
	r->batch_head = entry;
}

void inflight_packed_publish(struct inflight_ring *r, struct packed_position used)
{
	if (!r->record || r->n_batch == 0)
		return;
	store_next(r, r->batch_tail, r->free_head);
	r->free_head = r->batch_head;
	part_store16(r->bytes, PACKED_FREE_HEAD, r->free_head);
	store_used(r, used, r->used);
	r->used = used;
}

void inflight_packed_published(struct inflight_ring *r)
{
	if (!r->record)
		return;
	for (; r->n_batch > 0; r->n_batch--) {
		set_inflight(r, r->batch_head, false);
		r->batch_head = r->next[r->last[r->batch_head]];
	}
	part_store16(r->bytes, PACKED_OLD_FREE_HEAD, r->free_head);
	store_used(r, r->used, r->used);
}

/* Nothing here was different before: it can be done as often as processes are killed at it. */
bool inflight_packed_finish(struct inflight_ring *r, struct packed_position first,
			    struct packed_position end, uint16_t batch_head, uint16_t batch_tail)
{
	if (!inflight_part_begun(r) || !same_position(load_used(r).old, first) ||
	    batch_head >= r->size || batch_tail >= r->size)
		return false;
	part_store16(r->bytes, entry_at(batch_tail) + PACKED_ENTRY_NEXT,
		     part_load16(r->bytes, PACKED_OLD_FREE_HEAD));
	part_store16(r->bytes, PACKED_FREE_HEAD, batch_head);
	store_used(r, end, first);
	return true;
}
