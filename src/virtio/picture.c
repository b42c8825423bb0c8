/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Pictures as they are made: room for them, and what lies behind descriptors. */
#include "virtio/picture.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "virtio/picture-private.h"

enum {
	MAX_DATA = PICTURE_MAX_BYTES / 2, /* of all chains: the rest is less than the other half */
	MAX_FOLLOWED = 1 << 20,		  /* descriptors of all chains: some milliseconds */
};

/* The array with room for n elements, maybe elsewhere; NULL: no memory, which is noted. */
static void *make_room(struct picture_maker *m, void *array, size_t *cap, size_t n, size_t size)
{
	size_t wanted;
	void *more;

	if (n <= *cap)
		return array;
	wanted = n + *cap + 16;
	more = realloc(array, wanted * size);
	if (more)
		*cap = wanted;
	else
		m->failed = true;
	return more;
}

unsigned int picture_want_slots(const struct picture_want *want)
{
	unsigned int slots = want->slots > 0 ? want->slots : PICTURE_SLOTS;

	return (unsigned int)min_size(slots, PICTURE_MAX_SLOTS);
}

void picture_add_used(struct picture_maker *m, const struct picture_used *used)
{
	struct ring_picture *p = m->p;
	void *more = make_room(m, p->used, &m->cap_used, p->n_used + 1, sizeof(p->used[0]));

	if (!more)
		return;
	p->used = more;
	p->used[p->n_used++] = *used;
}

/* Guest memory. */

static const uint8_t *host_of(const struct picture_maker *m, uint64_t addr, uint64_t len)
{
	uint64_t end;

	if (!add_u64(addr, len, &end))
		return NULL;
	return m->source->host(m->source->arg, addr, len);
}

bool picture_load_entry(struct picture_maker *m, struct picture_chain *chain,
			const struct picture_desc *d, uint32_t number, struct vring_desc *ret_desc)
{
	const uint8_t *host;
	uint64_t at;

	if (number >= d->len / VRING_DESC_BYTES) {
		chain->fault = PICTURE_NEXT_RANGE;
		return false;
	}
	host = add_u64(d->addr, (uint64_t)number * VRING_DESC_BYTES, &at)
		       ? host_of(m, at, VRING_DESC_BYTES)
		       : NULL;
	if (!host) {
		chain->fault = PICTURE_TABLE_UNMAPPED;
		return false;
	}
	*ret_desc = vring_desc_read(host);
	return true;
}

/* It may go on in another region; that both ends are there is good enough to show it. */
static bool is_mapped(const struct picture_maker *m, const struct picture_desc *d)
{
	uint64_t last;

	if (d->len == 0 || host_of(m, d->addr, d->len))
		return true;
	return add_u64(d->addr, d->len - 1, &last) && host_of(m, d->addr, 1) && host_of(m, last, 1);
}

static bool is_buffer(const struct picture_desc *d, bool writable)
{
	return !(d->flags & VRING_DESC_F_INDIRECT) &&
	       writable == ((d->flags & VRING_DESC_F_WRITE) != 0);
}

/* Chains. */

void picture_begin_chain(struct picture_maker *m, struct picture_chain *chain, uint32_t size)
{
	chain->first_desc = (uint32_t)m->p->n_descs;
	m->most = size;
	m->is_unmapped = false;
}

void picture_add_table(struct picture_maker *m, const struct picture_chain *chain, uint32_t n)
{
	uint64_t most = (uint64_t)chain->n_descs + chain->n_more + n;

	if (most > m->most)
		m->most = (uint32_t)min_u64(most, PICTURE_MAX_FOLLOWED);
}

static void measure(struct picture_maker *m, struct picture_chain *chain,
		    const struct picture_desc *d)
{
	if (is_buffer(d, false))
		chain->out_len += d->len;
	else if (is_buffer(d, true))
		chain->in_len += d->len;
	else
		return;
	if (m->source->host && !m->is_unmapped)
		m->is_unmapped = !is_mapped(m, d);
}

static bool keep_desc(struct picture_maker *m, struct picture_chain *chain,
		      const struct picture_desc *d)
{
	struct ring_picture *p = m->p;
	void *descs = make_room(m, p->descs, &m->cap_descs, p->n_descs + 1, sizeof(p->descs[0]));

	if (!descs)
		return false;
	p->descs = descs;
	p->descs[p->n_descs++] = *d;
	chain->n_descs++;
	return true;
}

bool picture_add_desc(struct picture_maker *m, struct picture_chain *chain,
		      const struct picture_desc *d)
{
	if (chain->n_descs + chain->n_more >= m->most) {
		chain->fault = PICTURE_LONG;
		return false;
	}
	/* Nothing is wrong with the chain then, as far as is known. */
	if (m->n_followed == MAX_FOLLOWED)
		return false;
	m->n_followed++;
	measure(m, chain, d);
	if (chain->n_descs < PICTURE_MAX_CHAIN)
		return keep_desc(m, chain, d);
	chain->n_more++;
	return true;
}

bool picture_judge_chain(const struct picture_maker *m, struct picture_chain *chain)
{
	if (chain->fault == PICTURE_SOUND && m->is_unmapped)
		chain->fault = PICTURE_UNMAPPED;
	return chain->fault != PICTURE_SOUND && chain->fault != PICTURE_REUSED;
}

void picture_drop_chain(struct picture_maker *m, struct picture_chain *chain)
{
	m->p->n_descs = chain->first_desc;
	chain->n_descs = 0;
	chain->n_more = 0;
	chain->out_len = 0;
	chain->in_len = 0;
	chain->fault = PICTURE_REUSED;
}

/* Data. */

static void copy(struct picture_maker *m, uint64_t addr, uint32_t len)
{
	struct ring_picture *p = m->p;
	void *data = make_room(m, p->data, &m->cap_data, p->n_data + len, 1);
	const uint8_t *host;

	if (!data)
		return;
	p->data = data;
	host = host_of(m, addr, len);
	if (host) {
		memcpy(p->data + p->n_data, host, len);
		p->n_data += len;
		return;
	}
	for (uint32_t i = 0; i < len && (host = host_of(m, addr + i, 1)) != NULL; i++)
		p->data[p->n_data++] = *host;
}

/* The first bytes of the chain's buffers of one direction, at most max; how many. */
static uint32_t copy_buffers(struct picture_maker *m, const struct picture_chain *chain,
			     bool writable, size_t max)
{
	size_t begin = m->p->n_data;
	size_t left = min_size(max, MAX_DATA - begin);

	for (uint32_t i = 0; i < chain->n_descs && left > 0 && !m->failed; i++) {
		const struct picture_desc d = m->p->descs[chain->first_desc + i];
		uint32_t n = (uint32_t)min_size(left, d.len);
		size_t before = m->p->n_data;

		if (n == 0 || !is_buffer(&d, writable))
			continue;
		copy(m, d.addr, n);
		if (m->p->n_data - before != n)
			break;
		left -= n;
	}
	return (uint32_t)(m->p->n_data - begin);
}

static void copy_data(struct picture_maker *m, struct picture_chain *chain)
{
	size_t want = min_size(m->want->data, PICTURE_MAX_DATA);

	chain->out_at = (uint32_t)m->p->n_data;
	chain->n_out = copy_buffers(m, chain, false, want);
	chain->in_at = (uint32_t)m->p->n_data;
	want = min_size(want, PICTURE_MAX_DATA - chain->n_out);
	if (chain->has_used)
		chain->n_in = copy_buffers(m, chain, true, min_size(want, chain->used_len));
}

void picture_add_chain(struct picture_maker *m, struct picture_chain *chain)
{
	struct ring_picture *p = m->p;
	void *chains;

	if (m->source->host)
		copy_data(m, chain);
	chains = make_room(m, p->chains, &m->cap_chains, p->n_chains + 1, sizeof(p->chains[0]));
	if (!chains)
		return;
	p->chains = chains;
	p->chains[p->n_chains++] = *chain;
}

/* Whole pictures. */

struct ring_picture *picture_take(const struct picture_source *source,
				  const struct picture_want *want)
{
	struct picture_maker m = { .source = source, .want = want };

	m.p = calloc(1, sizeof(*m.p));
	if (!m.p)
		return NULL;
	m.p->event_idx = source->event_idx;
	if (source->split)
		picture_take_split(&m);
	else
		picture_take_packed(&m);
	if (m.failed) {
		picture_free(m.p);
		return NULL;
	}
	return m.p;
}

bool picture_offered_since(const struct picture_source *source, uint16_t since_avail)
{
	return source->split ? vring_avail_idx(source->split) != since_avail
			     : picture_packed_offered(source);
}

bool picture_used_since(const struct picture_source *source, uint16_t since_used)
{
	return source->split ? vring_used_idx(source->split) != since_used
			     : picture_packed_used(source);
}

void picture_free(struct ring_picture *p)
{
	if (!p)
		return;
	free(p->chains);
	free(p->used);
	free(p->descs);
	free(p->data);
	free(p);
}

unsigned int picture_n_offered(const struct ring_picture *p)
{
	unsigned int n = 0;

	if (!p->packed)
		return (uint16_t)(p->avail_idx - p->used_idx);
	for (size_t i = 0; i < p->n_chains; i++)
		n += p->chains[i].owner == PICTURE_DEVICE;
	return n;
}

bool picture_windows_sound(const struct ring_picture *p)
{
	return p->packed || (uint16_t)(p->avail_idx - p->used_idx) <= p->size;
}

bool picture_chain_broken(const struct picture_chain *c)
{
	return c->owner == PICTURE_DEVICE && c->fault != PICTURE_SOUND &&
	       c->fault != PICTURE_REUSED;
}

static bool used_ahead(const struct ring_picture *p)
{
	uint16_t ahead = (uint16_t)(p->used_idx - p->avail_idx);

	return !p->packed && ahead > 0 && ahead < 0x8000;
}

bool picture_device_wrong(const struct ring_picture *p, size_t i, char *ret_text, size_t cap)
{
	if (used_ahead(p) && i-- == 0) {
		snprintf(ret_text, cap,
			 "used index %u is ahead of available index %u: more came back than was "
			 "offered (VR-055)",
			 p->used_idx, p->avail_idx);
		return true;
	}
	for (size_t k = 0; k < p->n_used; k++) {
		const struct picture_used *u = &p->used[k];

		if (u->fault == PICTURE_RETURN_SOUND || i-- > 0)
			continue;
		snprintf(ret_text, cap, "used entry [%u] returns id %" PRIu32 ", %s", u->at, u->id,
			 picture_return_text(u->fault));
		return true;
	}
	return false;
}

bool picture_device_broken(const struct ring_picture *p)
{
	char text[256];

	return picture_device_wrong(p, 0, text, sizeof(text));
}

/* Both directions are alike: flags or an event of one side, the index of the other. */
static bool is_off(const struct ring_picture *p, uint16_t flags, uint16_t event, uint16_t idx)
{
	if (!p->packed)
		return p->event_idx ? event != idx : (flags & VRING_AVAIL_F_NO_INTERRUPT) != 0;
	if (flags == PACKED_EVENT_DESC)
		return event != idx;
	return flags == PACKED_EVENT_DISABLE;
}

bool picture_calls_off(const struct ring_picture *p)
{
	return is_off(p, p->avail_flags, p->used_event, p->used_idx);
}

bool picture_kicks_off(const struct ring_picture *p)
{
	return is_off(p, p->used_flags, p->avail_event, p->avail_idx);
}
