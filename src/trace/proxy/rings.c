/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What messages say of rings. */
#include "trace/proxy/rings.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "clock.h"
#include "trace/proxy/rings-private.h"
#include "vhu/codec.h"

void rings_note(const struct trace_rings *r, const char *fmt, ...)
{
	char text[TRACE_MAX_TEXT];
	const struct trace_record record = {
		.kind = TRACE_NOTE,
		.ns = realtime_ns(),
		.session = r->session,
		.text = text,
	};
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	r->sink->take(r->sink, &record);
}

/* The ring that the message names, which is known from now on; NULL: none. */
static struct trace_ring *ring_of(struct trace_rings *r, const struct vhu_msg *msg)
{
	struct trace_ring *ring;
	uint32_t idx;

	if (!vhu_msg_ring(msg, &idx) || idx >= VHU_MAX_RINGS)
		return NULL;
	ring = r->ring[idx];
	if (ring)
		return ring;
	ring = calloc(1, sizeof(*ring));
	if (!ring)
		return NULL;
	ring->idx = idx;
	ring->avail.wrap = true;
	ring->used.wrap = true;
	for (size_t i = 0; i < N_WATCHED; i++)
		ring->fd[i] = -1;
	r->ring[idx] = ring;
	return ring;
}

/* Started again it is another ring, whose indices have nothing to do with these. */
static void stop(struct trace_rings *r, struct trace_ring *ring)
{
	if (!ring->started)
		return;
	if (r->options.pictures)
		ring_look(r, ring, TRACE_FINISH);
	ring->started = false;
	ring->seen = false;
	for (size_t i = 0; i < N_WATCHED; i++)
		ring_unwatch(r, ring, (enum watched)i);
}

static void stop_all(struct trace_rings *r)
{
	for (size_t i = 0; i < VHU_MAX_RINGS; i++)
		if (r->ring[i])
			stop(r, r->ring[i]);
}

/* Something that a ring lies by has changed. */
static void forget_place(struct trace_ring *ring)
{
	ring_unmap(ring);
	ring->seen = false;
}

static void forget_lists(struct trace_ring *ring)
{
	free(ring->lists);
	ring->lists = NULL;
}

static void set_num(struct trace_ring *ring, const struct vhu_msg *msg)
{
	struct vhu_vring_state s;

	vhu_msg_get(msg, &s, sizeof(s));
	forget_place(ring);
	forget_lists(ring);
	ring->num = s.num <= VHU_MAX_QUEUE_SIZE ? s.num : 0;
}

static void set_addr(struct trace_ring *ring, const struct vhu_msg *msg)
{
	forget_place(ring);
	vhu_msg_get(msg, &ring->addr, sizeof(ring->addr));
	ring->has_addr = true;
}

/* For packed rings the word has two positions; see packed_base(). */
static void set_base(struct trace_ring *ring, const struct vhu_msg *msg)
{
	struct vhu_vring_state s;

	vhu_msg_get(msg, &s, sizeof(s));
	ring->avail = (struct packed_position){ s.num & 0x7fff, (s.num & BIT(15)) != 0 };
	ring->used = (struct packed_position){ s.num >> 16 & 0x7fff, (s.num & BIT(31)) != 0 };
	ring->from_zero = s.num == 0;
	ring->seen = false;
	forget_lists(ring);
	ring_unmap(ring);
}

static void start(struct trace_rings *r, struct trace_ring *ring)
{
	if (!ring->started)
		ring->seen = false;
	ring->started = true;
	rings_hasten(r);
}

static void set_fd(struct trace_rings *r, struct trace_ring *ring, enum watched which,
		   const int *fds, size_t n_fds)
{
	if (n_fds > 0)
		ring_watch(r, ring, which, fds[0]);
	else
		ring_unwatch(r, ring, which);
}

static void kick_in_band(struct trace_rings *r, struct trace_ring *ring)
{
	start(r, ring);
	if (ring_begin(r, ring) && r->options.pictures)
		ring_look(r, ring, TRACE_KICK);
}

static void on_ring(struct trace_rings *r, const struct vhu_msg *msg, const int *fds, size_t n_fds)
{
	struct trace_ring *ring = ring_of(r, msg);

	if (!ring)
		return;
	switch (msg->id) {
	case VHU_FE_SET_VRING_NUM:
		set_num(ring, msg);
		break;
	case VHU_FE_SET_VRING_ADDR:
		set_addr(ring, msg);
		break;
	case VHU_FE_SET_VRING_BASE:
		set_base(ring, msg);
		break;
	case VHU_FE_SET_VRING_KICK:
		set_fd(r, ring, WATCHED_KICK, fds, n_fds);
		start(r, ring);
		break;
	case VHU_FE_SET_VRING_CALL:
		set_fd(r, ring, WATCHED_CALL, fds, n_fds);
		break;
	case VHU_FE_VRING_KICK:
		kick_in_band(r, ring);
		break;
	default:
		break;
	}
	if (r->options.pictures)
		ring_begin(r, ring);
}

static void set_features(struct trace_rings *r, const struct vhu_msg *msg)
{
	r->features = vhu_msg_u64(msg);
	for (size_t i = 0; i < VHU_MAX_RINGS; i++)
		if (r->ring[i])
			forget_place(r->ring[i]);
}

/* Requests that are about all rings, or about memory; false: this is none. */
static bool on_session(struct trace_rings *r, const struct vhu_msg *msg, const int *fds,
		       size_t n_fds)
{
	switch (msg->id) {
	case VHU_FE_SET_FEATURES:
		set_features(r, msg);
		return true;
	case VHU_FE_SET_MEM_TABLE:
		rings_set_memory(r, msg, fds, n_fds);
		return true;
	case VHU_FE_ADD_MEM_REG:
		rings_add_memory(r, msg, fds, n_fds);
		return true;
	case VHU_FE_REM_MEM_REG:
		rings_remove_memory(r, msg);
		return true;
	case VHU_FE_SET_STATUS:
		if (vhu_msg_u64(msg) == 0)
			stop_all(r);
		return true;
	case VHU_FE_RESET_DEVICE:
		stop_all(r);
		return true;
	case VHU_FE_POSTCOPY_LISTEN:
		rings_note(r, "postcopy: rings are not shown until its end, as a look at a page "
			      "that is missing would bring it about");
		r->postcopy = true;
		return true;
	case VHU_FE_POSTCOPY_END:
		r->postcopy = false;
		return true;
	default:
		return false;
	}
}

/* A ring is at rest when the back-end says so, not yet when it is asked. */
static void on_reply(struct trace_rings *r, const struct vhu_msg *msg)
{
	struct trace_ring *ring;

	if (msg->id != VHU_FE_GET_VRING_BASE && msg->id != VHU_FE_GET_VRING_BASE_SKIP_DRAIN)
		return;
	ring = ring_of(r, msg);
	if (ring)
		stop(r, ring);
}

void rings_message(struct trace_rings *r, const struct vhu_msg *msg, const int *fds, size_t n_fds)
{
	if (msg->dir != VHU_FE || r->closed)
		return;
	if (msg->flags & VHU_FLAG_REPLY)
		on_reply(r, msg);
	else if (!on_session(r, msg, fds, n_fds))
		on_ring(r, msg, fds, n_fds);
}

void rings_look(struct trace_rings *r, enum trace_cause cause)
{
	if (cause == TRACE_FINISH) {
		stop_all(r);
		return;
	}
	for (size_t i = 0; i < VHU_MAX_RINGS; i++)
		if (r->ring[i])
			ring_look(r, r->ring[i], cause);
}

struct trace_rings *rings_new(struct loop *loop, struct trace_sink *sink, uint32_t session,
			      const struct trace_rings_options *options)
{
	struct trace_rings *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->loop = loop;
	r->sink = sink;
	r->session = session;
	r->options = *options;
	rings_watch_init(r);
	return r;
}

static void on_idle(struct scope *scope)
{
	struct trace_rings *r = container_of(scope, struct trace_rings, scope);
	void (*closed)(void *arg) = r->closed;
	void *arg = r->arg;

	rings_drop_memory(r);
	rings_watch_fini(r);
	for (size_t i = 0; i < VHU_MAX_RINGS; i++) {
		if (r->ring[i])
			free(r->ring[i]->lists);
		free(r->ring[i]);
	}
	free(r);
	closed(arg);
}

void rings_close(struct trace_rings *r, void (*closed)(void *arg), void *arg)
{
	stop_all(r);
	for (size_t i = 0; i < VHU_MAX_RINGS; i++)
		for (size_t which = 0; r->ring[i] && which < N_WATCHED; which++)
			ring_unwatch(r, r->ring[i], (enum watched)which);
	r->closed = closed;
	r->arg = arg;
	scope_cancel(&r->scope, on_idle);
}
