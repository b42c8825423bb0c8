/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Pictures as bytes: a head, then the arrays as their counts say. Each record has
 * one function for both ways, so that they cannot differ.
 */
#include <stdlib.h>
#include <string.h>

#include "virtio/picture.h"

enum {
	VERSION = 1,
	HEAD_BYTES = 40,
	CHAIN_BYTES = 52,
	USED_BYTES = 12,
	DESC_BYTES = 20,
	MAX_DESCS = PICTURE_MAX_SLOTS * PICTURE_MAX_CHAIN,

	/* flags of the head */
	HEAD_PACKED = 1,
	HEAD_EVENT_IDX = 2,
};

/* Bytes being written or read; there is room for whole records. */
struct cursor {
	uint8_t *at;
	bool reading;
};

static void pass(struct cursor *c, uint64_t *value, size_t n)
{
	uint64_t le = htole64(*value);

	if (c->reading) {
		le = 0;
		memcpy(&le, c->at, n);
		*value = le64toh(le);
	} else {
		memcpy(c->at, &le, n);
	}
	c->at += n;
}

/* A member of any unsigned type as n bytes. */
#define PASS(c, member, n)                                                                         \
	do {                                                                                       \
		uint64_t value_ = (uint64_t)(member);                                              \
		pass(c, &value_, n);                                                               \
		(member) = (__typeof__(member))value_;                                             \
	} while (0)

struct head {
	uint8_t version, flags;
	uint16_t avail_idx, used_idx, avail_flags, used_event, used_flags, avail_event, n_missed;
	uint32_t size, n_chains, n_used, n_descs, n_data;
	uint32_t reserved;
};

static void pass_head(struct cursor *c, struct head *h)
{
	PASS(c, h->version, 1);
	PASS(c, h->flags, 1);
	PASS(c, h->avail_idx, 2);
	PASS(c, h->used_idx, 2);
	PASS(c, h->avail_flags, 2);
	PASS(c, h->used_event, 2);
	PASS(c, h->used_flags, 2);
	PASS(c, h->avail_event, 2);
	PASS(c, h->n_missed, 2);
	PASS(c, h->size, 4);
	PASS(c, h->n_chains, 4);
	PASS(c, h->n_used, 4);
	PASS(c, h->n_descs, 4);
	PASS(c, h->n_data, 4);
	PASS(c, h->reserved, 4);
}

static void pass_chain(struct cursor *c, struct picture_chain *chain)
{
	PASS(c, chain->at, 2);
	PASS(c, chain->head, 2);
	PASS(c, chain->owner, 1);
	PASS(c, chain->fault, 1);
	PASS(c, chain->has_used, 2);
	PASS(c, chain->used_len, 4);
	PASS(c, chain->first_desc, 4);
	PASS(c, chain->n_descs, 1);
	PASS(c, chain->n_more, 3);
	PASS(c, chain->out_at, 4);
	PASS(c, chain->n_out, 4);
	PASS(c, chain->in_at, 4);
	PASS(c, chain->n_in, 4);
	PASS(c, chain->out_len, 8);
	PASS(c, chain->in_len, 8);
}

static void pass_used(struct cursor *c, struct picture_used *used)
{
	PASS(c, used->at, 2);
	PASS(c, used->fault, 2);
	PASS(c, used->id, 4);
	PASS(c, used->len, 4);
}

static void pass_desc(struct cursor *c, struct picture_desc *d)
{
	PASS(c, d->addr, 8);
	PASS(c, d->len, 4);
	PASS(c, d->flags, 2);
	PASS(c, d->next, 2);
	PASS(c, d->number, 2);
	PASS(c, d->in_table, 2);
}

/* Everything after the head, whose counts are those of p. */
static void pass_arrays(struct cursor *c, struct ring_picture *p)
{
	for (size_t i = 0; i < p->n_chains; i++)
		pass_chain(c, &p->chains[i]);
	for (size_t i = 0; i < p->n_used; i++)
		pass_used(c, &p->used[i]);
	for (size_t i = 0; i < p->n_descs; i++)
		pass_desc(c, &p->descs[i]);
	if (p->n_data == 0)
		return;
	if (c->reading)
		memcpy(p->data, c->at, p->n_data);
	else
		memcpy(c->at, p->data, p->n_data);
}

static struct head head_of(const struct ring_picture *p)
{
	return (struct head){
		.version = VERSION,
		.flags = (uint8_t)((p->packed ? HEAD_PACKED : 0) |
				   (p->event_idx ? HEAD_EVENT_IDX : 0)),
		.avail_idx = p->avail_idx,
		.used_idx = p->used_idx,
		.avail_flags = p->avail_flags,
		.used_event = p->used_event,
		.used_flags = p->used_flags,
		.avail_event = p->avail_event,
		.n_missed = p->n_missed,
		.size = p->size,
		.n_chains = (uint32_t)p->n_chains,
		.n_used = (uint32_t)p->n_used,
		.n_descs = (uint32_t)p->n_descs,
		.n_data = (uint32_t)p->n_data,
	};
}

/* Bounded counts: nothing wraps. */
static size_t packed_len(const struct head *h)
{
	return HEAD_BYTES + (size_t)h->n_chains * CHAIN_BYTES + (size_t)h->n_used * USED_BYTES +
	       (size_t)h->n_descs * DESC_BYTES + h->n_data;
}

uint8_t *picture_pack(const struct ring_picture *p, size_t *ret_len)
{
	struct head head = head_of(p);
	struct ring_picture copy = *p;
	struct cursor c = { .at = calloc(1, packed_len(&head)) };
	uint8_t *bytes = c.at;

	if (!bytes)
		return NULL;
	pass_head(&c, &head);
	pass_arrays(&c, &copy);
	*ret_len = packed_len(&head);
	return bytes;
}

/* Foreign bytes. */

static bool head_sound(const struct head *h, size_t len)
{
	bool packed = h->flags & HEAD_PACKED;

	return h->version == VERSION && h->flags <= (HEAD_PACKED | HEAD_EVENT_IDX) &&
	       h->reserved == 0 &&
	       (packed ? packed_size_valid(h->size) : vring_size_valid(h->size)) &&
	       h->n_chains <= PICTURE_MAX_SLOTS && h->n_used <= PICTURE_MAX_SLOTS &&
	       h->n_descs <= MAX_DESCS && h->n_data <= PICTURE_MAX_BYTES && packed_len(h) == len;
}

static bool within(uint32_t at, uint32_t n, size_t size)
{
	return range_within(at, n, 0, size);
}

/* Enumerations and truth values are read as numbers; see numbers_sound(). */
static bool chain_sound(const struct ring_picture *p, const struct picture_chain *c)
{
	return c->n_descs <= PICTURE_MAX_CHAIN && c->n_more <= PICTURE_MAX_FOLLOWED &&
	       (c->n_more == 0 || c->n_descs == PICTURE_MAX_CHAIN) &&
	       within(c->first_desc, c->n_descs, p->n_descs) && c->n_out <= PICTURE_MAX_DATA &&
	       within(c->out_at, c->n_out, p->n_data) && c->n_in <= PICTURE_MAX_DATA &&
	       within(c->in_at, c->n_in, p->n_data);
}

static bool picture_sound(const struct ring_picture *p)
{
	for (size_t i = 0; i < p->n_chains; i++)
		if (!chain_sound(p, &p->chains[i]))
			return false;
	return true;
}

/*
 * What is not a plain number must be one of few, and is so before it becomes a
 * member: owner, fault, has_used at 4, 5, 6 of a chain; fault at 2 of a used entry;
 * in_table at 18 of a descriptor.
 */
static bool numbers_sound(const struct head *h, const uint8_t *bytes)
{
	const uint8_t *at = bytes + HEAD_BYTES;

	for (uint32_t i = 0; i < h->n_chains; i++, at += CHAIN_BYTES)
		if (at[4] > PICTURE_DRIVER || at[5] >= PICTURE_N_FAULTS || at[6] > 1 || at[7] > 0)
			return false;
	for (uint32_t i = 0; i < h->n_used; i++, at += USED_BYTES)
		if (at[2] >= PICTURE_N_RETURNS || at[3] > 0)
			return false;
	for (uint32_t i = 0; i < h->n_descs; i++, at += DESC_BYTES)
		if (at[18] > 1 || at[19] > 0)
			return false;
	return true;
}

static struct ring_picture *picture_of(const struct head *h)
{
	struct ring_picture *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	*p = (struct ring_picture){
		.packed = h->flags & HEAD_PACKED,
		.event_idx = h->flags & HEAD_EVENT_IDX,
		.size = h->size,
		.avail_idx = h->avail_idx,
		.used_idx = h->used_idx,
		.avail_flags = h->avail_flags,
		.used_event = h->used_event,
		.used_flags = h->used_flags,
		.avail_event = h->avail_event,
		.n_missed = h->n_missed,
		.chains = calloc(h->n_chains + (size_t)1, sizeof(p->chains[0])),
		.n_chains = h->n_chains,
		.used = calloc(h->n_used + (size_t)1, sizeof(p->used[0])),
		.n_used = h->n_used,
		.descs = calloc(h->n_descs + (size_t)1, sizeof(p->descs[0])),
		.n_descs = h->n_descs,
		.data = calloc(h->n_data + (size_t)1, 1),
		.n_data = h->n_data,
	};
	if (p->chains && p->used && p->descs && p->data)
		return p;
	picture_free(p);
	return NULL;
}

struct ring_picture *picture_unpack(const uint8_t *bytes, size_t len)
{
	struct cursor c = { .reading = true };
	struct ring_picture *p;
	struct head head;
	uint8_t *copy;

	if (len < HEAD_BYTES || len > PICTURE_MAX_BYTES)
		return NULL;
	copy = malloc(len);
	if (!copy)
		return NULL;
	memcpy(copy, bytes, len);
	c.at = copy;
	memset(&head, 0, sizeof(head));
	pass_head(&c, &head);
	p = head_sound(&head, len) && numbers_sound(&head, copy) ? picture_of(&head) : NULL;
	if (p) {
		pass_arrays(&c, p);
		if (!picture_sound(p)) {
			picture_free(p);
			p = NULL;
		}
	}
	free(copy);
	return p;
}
