/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Rings: what messages make of them, and what pictures show. */
#include <stdlib.h>
#include <string.h>

#include "trace/story/story-private.h"
#include "vhu/codec.h"

enum { CHAINS_MAX = 1024 }; /* of a ring that are told apart */

#define PATIENCE_NS UINT64_C(1000000000)

/* Chains that the device has, oldest first; those of id UNKNOWN were in no picture themselves. */
struct story_chains {
	uint32_t n;
	struct story_chain {
		uint64_t ns; /* of the picture in which it was first seen */
		uint32_t id; /* head */
		bool readable;
	} chain[CHAINS_MAX];
};

#define UNKNOWN UINT32_MAX

bool story_ring_named(const struct vhu_msg *m, uint32_t *ret_ring)
{
	uint32_t ring;

	if (!vhu_msg_ring(m, &ring) || ring >= VHU_MAX_RINGS)
		return false;
	*ret_ring = ring;
	return true;
}

/* Stopping drops both descriptors, and kicks are not waited for any more. */
static void stop(struct story_ring *r)
{
	r->kick_fd = false;
	r->call_fd = false;
	r->kicked_ns = 0;
}

void story_ring_request(struct story_session *s, const struct vhu_msg *m)
{
	bool with_fd = !(vhu_msg_u64(m) & VHU_VRING_NOFD);
	struct vhu_vring_state state;
	struct story_ring *r;
	uint32_t ring;

	if (m->dir != VHU_FE || !story_ring_named(m, &ring))
		return;
	r = &s->ring[ring];
	r->seen = true;
	vhu_msg_get(m, &state, sizeof(state));
	switch (m->id) {
	case VHU_FE_SET_VRING_NUM:
		r->num = state.num;
		break;
	case VHU_FE_SET_VRING_ADDR:
		vhu_msg_get(m, &r->addr, sizeof(r->addr));
		break;
	case VHU_FE_SET_VRING_BASE:
		r->base = state.num;
		break;
	case VHU_FE_SET_VRING_KICK:
		r->kick_fd = with_fd;
		break;
	case VHU_FE_SET_VRING_CALL:
		r->call_fd = with_fd;
		break;
	case VHU_FE_SET_VRING_ERR:
		r->err_fd = with_fd;
		break;
	case VHU_FE_GET_VRING_BASE:
	case VHU_FE_GET_VRING_BASE_SKIP_DRAIN:
		stop(r);
		break;
	default:
		break;
	}
}

void story_ring_reply(struct story_session *s, const struct vhu_msg *request,
		      const struct vhu_msg *reply)
{
	struct vhu_vring_state state;
	uint32_t ring;

	if (request->dir != VHU_FE || !story_ring_named(request, &ring))
		return;
	if (request->id != VHU_FE_GET_VRING_BASE && request->id != VHU_FE_GET_VRING_BASE_SKIP_DRAIN)
		return;
	if (vhu_msg_payload_len(reply) < sizeof(state))
		return;
	vhu_msg_get(reply, &state, sizeof(state));
	s->ring[ring].base = state.num;
}

void story_ring_states(struct story_session *s)
{
	for (size_t i = 0; i < VHU_MAX_RINGS; i++) {
		const struct vhu_nego_ring *n = &s->nego.ring[i];

		if (n->kick_set)
			s->ring[i].state = n->enabled ? STORY_RUNNING : STORY_STARTED;
		else
			s->ring[i].state = n->enabled ? STORY_ENABLED : STORY_STOPPED;
	}
}

/* A packed position as a number that runs to twice the size, then begins anew. */
static uint32_t packed_place(uint16_t position, uint32_t size)
{
	return (position & 0x7fffU) + (position & 0x8000U ? 0 : size);
}

/* Whether idx is at, or after, the other one; both are at most a ring apart. */
static bool reached(const struct ring_picture *p, uint16_t idx, uint16_t other)
{
	uint32_t apart;

	if (!p->packed)
		return (uint16_t)(idx - other) < 0x8000;
	if (p->size == 0 || p->size > PACKED_MAX_SIZE)
		return false;
	apart = packed_place(idx, p->size) + 2 * p->size - packed_place(other, p->size);
	return apart % (2 * p->size) < p->size;
}

static void time_kick(struct story_ring *r, const struct trace_record *record)
{
	const struct ring_picture *p = record->picture;

	if (r->kicked_ns != 0 && reached(p, p->used_idx, r->kicked_idx)) {
		histogram_add(&r->latency,
			      record->ns > r->kicked_ns ? record->ns - r->kicked_ns : 0);
		r->kicked_ns = 0;
	}
	if (record->cause == TRACE_KICK && r->kicked_ns == 0 && p->used_idx != p->avail_idx) {
		r->kicked_ns = record->ns;
		r->kicked_idx = p->avail_idx;
	}
}

/* Chains. */

static void chains_add(struct story_chains *c, const struct picture_chain *chain, uint64_t ns)
{
	if (c->n < CHAINS_MAX)
		c->chain[c->n++] = (struct story_chain){ ns, chain->head, chain->out_len > 0 };
}

static void chains_drop(struct story_chains *c, uint32_t i)
{
	c->n--;
	memmove(&c->chain[i], &c->chain[i + 1], (c->n - i) * sizeof(c->chain[0]));
}

/* The oldest of this id; false: there is none. */
static bool chains_find(const struct story_chains *c, uint32_t id, uint32_t *ret_i)
{
	for (uint32_t i = 0; i < c->n; i++) {
		if (c->chain[i].id != id)
			continue;
		*ret_i = i;
		return true;
	}
	return false;
}

static void chains_returned(struct story_chains *c, uint32_t id)
{
	uint32_t i;

	if (chains_find(c, id, &i) || chains_find(c, UNKNOWN, &i))
		chains_drop(c, i);
}

/* One that the device has: a new one, or one of which more may be known now. */
static void chains_waits(struct story_chains *c, const struct picture_chain *chain, uint64_t ns)
{
	uint32_t i;

	if (!chains_find(c, chain->head, &i) && !chains_find(c, UNKNOWN, &i)) {
		chains_add(c, chain, ns);
		return;
	}
	c->chain[i].id = chain->head;
	c->chain[i].readable |= chain->out_len > 0;
}

/* What was in no picture counts from this one; of too many, the oldest have come back unseen. */
static void chains_fit(struct story_chains *c, uint32_t n_waiting, uint64_t ns)
{
	const struct picture_chain unknown = { 0 };

	while (c->n > n_waiting)
		chains_drop(c, 0);
	while (c->n < min_size(n_waiting, CHAINS_MAX)) {
		chains_add(c, &unknown, ns);
		c->chain[c->n - 1].id = UNKNOWN;
	}
}

/* Since the picture before there are n entries up to end; whether at is one of them. */
static bool is_new(uint16_t at, uint16_t end, uint16_t n)
{
	return (uint16_t)(end - 1 - at) < n;
}

/* First all that was offered: it may have come back at once. */
static void follow_split(const struct story_ring *r, const struct trace_record *record)
{
	const struct ring_picture *p = record->picture;
	uint16_t n_offered = (uint16_t)(p->avail_idx - r->avail_idx);
	uint16_t n_used = (uint16_t)(p->used_idx - r->used_idx);

	for (size_t i = 0; i < p->n_chains; i++)
		if (is_new(p->chains[i].at, p->avail_idx, n_offered))
			chains_add(r->chains, &p->chains[i], record->ns);
	for (size_t i = 0; i < p->n_used; i++)
		if (is_new(p->used[i].at, p->used_idx, n_used))
			chains_returned(r->chains, p->used[i].id);
}

static void follow_packed(const struct story_ring *r, const struct ring_picture *p)
{
	for (size_t i = 0; i < p->n_chains; i++)
		if (p->chains[i].owner == PICTURE_DRIVER)
			chains_returned(r->chains, p->chains[i].head);
}

static uint32_t n_returned(const struct story_ring *r, const struct ring_picture *p)
{
	uint32_t n = p->n_missed;

	if (!p->packed)
		return (uint16_t)(p->used_idx - r->used_idx);
	for (size_t i = 0; i < p->n_chains; i++)
		n += p->chains[i].owner == PICTURE_DRIVER;
	return n;
}

/* What is known of the chains that wait, as of them all. */
static void sum_up(struct story_ring *r)
{
	r->waiting_readable = false;
	r->waiting_ns = UINT64_MAX;
	for (uint32_t i = 0; i < r->chains->n; i++) {
		r->waiting_readable |= r->chains->chain[i].readable;
		r->waiting_ns = min_u64(r->waiting_ns, r->chains->chain[i].ns);
	}
}

/* A ring that begins has nothing to do with the one that was there before. */
static void follow_chains(struct story_ring *r, const struct trace_record *record)
{
	const struct ring_picture *p = record->picture;
	bool anew = record->cause == TRACE_BEGIN || r->n_pictures == 0;
	uint32_t n = anew ? 0 : n_returned(r, p);

	if (!r->chains)
		r->chains = calloc(1, sizeof(*r->chains));
	if (!r->chains || !picture_windows_sound(p))
		return;
	if (anew)
		r->chains->n = 0;
	if (anew || n > 0)
		r->progress_ns = record->ns;
	r->n_returned += n;
	r->n_waiting = picture_n_offered(p);
	if (!anew && p->packed)
		follow_packed(r, p);
	else if (!anew)
		follow_split(r, record);
	for (size_t i = 0; i < p->n_chains; i++)
		if (p->chains[i].owner == PICTURE_DEVICE)
			chains_waits(r->chains, &p->chains[i], record->ns);
	chains_fit(r->chains, r->n_waiting, record->ns);
	sum_up(r);
}

bool story_ring_hangs(const struct story_ring *ring, uint64_t ns)
{
	uint64_t since =
		ring->progress_ns > ring->waiting_ns ? ring->progress_ns : ring->waiting_ns;

	if (ring->state != STORY_RUNNING || ring->n_waiting == 0 || !ring->waiting_readable)
		return false;
	return ns > since && ns - since > PATIENCE_NS;
}

void story_rings_free(struct story_session *s)
{
	for (size_t i = 0; i < VHU_MAX_RINGS; i++)
		free(s->ring[i].chains);
}

/* Kicks and calls. */

static void take_descriptor(struct story_signals *signals, const struct trace_record *record)
{
	signals->opaque = record->n_fds > 0 && record->fds[0].kind != FD_KIND_EVENTFD;
}

void story_ring_signal(struct story_session *s, const struct trace_record *record,
		       const struct vhu_msg *m)
{
	struct story_ring *r;
	uint32_t ring;

	if (!story_ring_named(m, &ring))
		return;
	r = &s->ring[ring];
	if (m->dir == VHU_BE)
		r->calls.n_messages += m->id == VHU_BE_VRING_CALL;
	else if (m->id == VHU_FE_VRING_KICK)
		r->kicks.n_messages++;
	else if (m->id == VHU_FE_SET_VRING_KICK)
		take_descriptor(&r->kicks, record);
	else if (m->id == VHU_FE_SET_VRING_CALL)
		take_descriptor(&r->calls, record);
}

/* An in-band kick may be the cause of a picture, too. */
bool story_signals_seen(const struct story_ring *ring, const struct story_signals *signals,
			uint64_t *ret_n)
{
	if (signals->n_messages == 0 && (signals->opaque || !ring->watched))
		return false;
	*ret_n = signals->n_messages > 0 ? signals->n_messages : signals->n_pictures;
	return true;
}

void story_ring_picture(struct story_session *s, const struct trace_record *record)
{
	struct story_ring *r = &s->ring[record->ring];

	if (record->cause == TRACE_BEGIN)
		r->kicked_ns = 0;
	time_kick(r, record);
	follow_chains(r, record);
	r->watched |= record->cause != TRACE_ASKED;
	r->kicks.n_pictures += record->cause == TRACE_KICK;
	r->calls.n_pictures += record->cause == TRACE_CALL;
	r->seen = true;
	r->n_pictures++;
	r->avail_idx = record->picture->avail_idx;
	r->used_idx = record->picture->used_idx;
}
