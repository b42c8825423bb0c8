/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base.h"
#include "virtio/features.h"
#include "virtio/virtq.h"

enum {
	INITIAL_IOV = 16,
};

/* A chain in the making: everything here is private. */
struct gather {
	struct virtq *q;
	struct gmem_window window; /* the queue's */
	struct iovec *iov;	   /* the queue's */
	unsigned int n_links;	   /* descriptors followed, in the ring and in a table */
	unsigned int max_links;
	unsigned int n_iov;
	unsigned int cap_iov; /* that fit without growing, and are allowed */
	unsigned int n_out;
	uint64_t out_len;
	uint64_t in_len;
};

static const char *const fault_texts[VIRTQ_N_FAULTS] = {
#define X(name, text) [VIRTQ_FAULT_##name] = (text),
	VIRTQ_FAULT_LIST(X)
#undef X
};

const char *virtq_fault_text(enum virtq_fault fault)
{
	assert((size_t)fault < VIRTQ_N_FAULTS);
	return fault_texts[fault];
}

int virtq_init(struct virtq *q, uint32_t max_size, uint64_t features)
{
	*q = (struct virtq){ .features = features, .max_size = max_size };
	q->iov = calloc(INITIAL_IOV, sizeof(*q->iov));
	q->iov_size = INITIAL_IOV;
	return q->iov ? 0 : -ENOMEM;
}

/* What depends on the size of the ring: most are far smaller than they might be. */
static bool virtq_allocate(struct virtq *q, uint32_t size)
{
	if (size <= q->n_slots)
		return true;
	free(q->head_at);
	free(q->held);
	q->head_at = calloc(size, sizeof(*q->head_at));
	q->held = calloc(size, sizeof(*q->held));
	q->n_slots = q->head_at && q->held ? size : 0;
	return q->n_slots > 0;
}

void virtq_fini(struct virtq *q)
{
	gmem_unref(q->mem);
	free(q->head_at);
	free(q->held);
	free(q->iov);
	*q = (struct virtq){ .size = 0 };
}

/*
 * Adopts ring and mem, or neither. The available index is read again at the
 * next pop, so the fast path needs no check for a queue without a ring.
 */
static void virtq_bind(struct virtq *q, const struct vring *ring, struct gmem *mem)
{
	struct gmem *old = q->mem;

	q->mem = gmem_ref(mem);
	q->ring = ring ? *ring : (struct vring){ .size = 0 };
	q->window = (struct gmem_window){ .size = 0 };
	q->avail_idx = q->last_avail;
	gmem_unref(old);
}

static void virtq_forget_held(struct virtq *q)
{
	if (q->n_slots > 0)
		memset(q->held, 0, q->n_slots * sizeof(*q->held));
	q->n_held = 0;
}

void virtq_start(struct virtq *q, const struct vring *ring, struct gmem *mem, uint16_t last_avail,
		 uint64_t features)
{
	assert(ring->size <= q->max_size);
	virtq_forget_held(q);
	q->features = features;
	q->event_idx = (features & BIT(VIRTIO_F_EVENT_IDX_BIT)) != 0;
	q->last_avail = last_avail;
	q->size = ring->size;
	q->fault = virtq_allocate(q, ring->size) ? VIRTQ_FAULT_NONE : VIRTQ_FAULT_NO_MEMORY;
	virtq_bind(q, ring, mem);
	q->used_idx = vring_used_idx(&q->ring);
	q->published_idx = q->used_idx;
	q->call_forced = true;
	vring_set_used_flags(&q->ring, 0);
	if (q->event_idx)
		vring_set_avail_event(&q->ring, last_avail);
}

struct virtq_position virtq_position(const struct virtq *q)
{
	return (struct virtq_position){
		.last_avail = q->last_avail,
		.used_idx = q->used_idx,
		.call_forced = q->call_forced,
		.fault = q->fault,
	};
}

void virtq_restart(struct virtq *q, const struct vring *ring, struct gmem *mem, uint32_t size,
		   const struct virtq_position *position, uint64_t features)
{
	assert(size <= q->max_size);
	q->features = features;
	q->event_idx = (features & BIT(VIRTIO_F_EVENT_IDX_BIT)) != 0;
	q->last_avail = position->last_avail;
	q->size = size;
	q->fault = virtq_allocate(q, size) ? position->fault : VIRTQ_FAULT_NO_MEMORY;
	virtq_forget_held(q);
	virtq_bind(q, ring, ring ? mem : NULL);
	q->used_idx = q->published_idx = position->used_idx;
	q->call_forced = position->call_forced;
}

void virtq_set_memory(struct virtq *q, const struct vring *ring, struct gmem *mem)
{
	assert(!ring || ring->size == q->size);
	virtq_bind(q, ring, ring ? mem : NULL);
}

void virtq_stop(struct virtq *q)
{
	virtq_forget_held(q);
	virtq_bind(q, NULL, NULL);
}

uint16_t virtq_base(const struct virtq *q)
{
	return q->last_avail;
}

enum virtq_fault virtq_broken(const struct virtq *q)
{
	return q->fault;
}

/* Without cached entries the next pop goes through virtq_reload(), which sees the fault. */
void virtq_break(struct virtq *q, enum virtq_fault fault)
{
	if (q->fault == VIRTQ_FAULT_NONE)
		q->fault = fault;
	q->avail_idx = q->last_avail;
}

/* Looks for new entries when the known ones are used up; false: none, or broken. */
static bool virtq_reload(struct virtq *q)
{
	uint16_t idx;

	if (q->ring.size == 0 || q->fault != VIRTQ_FAULT_NONE)
		return false;
	idx = vring_avail_idx(&q->ring);
	if ((uint16_t)(idx - q->last_avail) > q->ring.size) {
		virtq_break(q, VIRTQ_FAULT_AVAIL_JUMP);
		return false;
	}
	q->avail_idx = idx;
	return idx != q->last_avail;
}

/* Every descriptor may lie across one seam, and one across all regions. */
static unsigned int gather_max_iov(const struct gather *g)
{
	return 2 * g->max_links + GMEM_MAX_REGIONS;
}

static inline void gather_set_cap(struct gather *g)
{
	unsigned int max = gather_max_iov(g);

	g->cap_iov = g->q->iov_size < max ? g->q->iov_size : max;
	g->iov = g->q->iov;
}

static enum virtq_fault gather_grow(struct gather *g)
{
	struct virtq *q = g->q;
	struct iovec *iov;

	if (g->n_iov >= gather_max_iov(g))
		return VIRTQ_FAULT_TOO_SCATTERED;
	iov = reallocarray(q->iov, 2 * (size_t)q->iov_size, sizeof(*iov));
	if (!iov)
		return VIRTQ_FAULT_NO_MEMORY;
	q->iov = iov;
	q->iov_size *= 2;
	gather_set_cap(g);
	return VIRTQ_FAULT_NONE;
}

static inline void gather_add(struct gather *g, unsigned char *host, uint32_t len)
{
	struct iovec *iov = &g->iov[g->n_iov++];

	iov->iov_base = host;
	iov->iov_len = len;
}

/* Adds [addr, addr + len) of guest memory, cut where regions meet. */
static enum virtq_fault gather_pieces(struct gather *g, uint64_t addr, uint32_t len)
{
	struct gmem_window *w = &g->window;

	while (len > 0) {
		uint64_t off = addr - w->guest_addr;
		uint32_t run;

		if (off >= w->size) {
			if (!gmem_window_at(g->q->mem, addr, w))
				return VIRTQ_FAULT_UNMAPPED;
			g->q->window = *w;
			off = addr - w->guest_addr;
		}
		if (g->n_iov == g->cap_iov) {
			enum virtq_fault fault = gather_grow(g);

			if (fault != VIRTQ_FAULT_NONE)
				return fault;
		}
		run = (uint32_t)min_u64(len, w->size - off);
		gather_add(g, w->host + off, run);
		/* No region ends at 2^64: what would wrap is not mapped. */
		addr += run;
		len -= run;
	}
	return VIRTQ_FAULT_NONE;
}

/* The same; most buffers are where the last one was. */
static inline enum virtq_fault gather_buffer(struct gather *g, uint64_t addr, uint32_t len)
{
	const uint64_t off = addr - g->window.guest_addr;

	/* Below the window, off is huge. */
	if (g->n_iov == g->cap_iov || off >= g->window.size || len > g->window.size - off)
		return gather_pieces(g, addr, len);
	gather_add(g, g->window.host + off, len);
	return VIRTQ_FAULT_NONE;
}

/* One descriptor that names a buffer. An empty one has no effect at all. */
static inline enum virtq_fault gather_desc(struct gather *g, const struct vring_desc *desc)
{
	enum virtq_fault fault;

	if (desc->len == 0)
		return VIRTQ_FAULT_NONE;
	if (desc->flags & VRING_DESC_F_WRITE) {
		if (desc->len > UINT32_MAX - g->in_len)
			return VIRTQ_FAULT_TOO_LARGE;
		g->in_len += desc->len;
		return gather_buffer(g, desc->addr, desc->len);
	}
	if (g->in_len > 0)
		return VIRTQ_FAULT_ORDER;
	if (desc->len > UINT32_MAX - g->out_len)
		return VIRTQ_FAULT_TOO_LARGE;
	g->out_len += desc->len;
	fault = gather_buffer(g, desc->addr, desc->len);
	g->n_out = g->n_iov;
	return fault;
}

/*
 * The table of n entries at a guest address, as a ring's table where its bytes
 * are contiguous here and aligned; else desc is NULL, and entries are looked for
 * one by one.
 */
struct table {
	uint64_t guest_addr;
	uint64_t *here;
	uint32_t n;
};

static inline enum virtq_fault table_find(struct virtq *q, const struct vring_desc *ref,
					  struct table *ret_table)
{
	const struct gmem_window *w = &q->window;
	void *host;

	*ret_table = (struct table){ .guest_addr = ref->addr, .n = ref->len / VRING_DESC_BYTES };
	if (ref->len == 0 || ref->len % VRING_DESC_BYTES != 0)
		return VIRTQ_FAULT_INDIRECT_SIZE;
	if (range_within(ref->addr, ref->len, w->guest_addr, w->size))
		host = w->host + (ref->addr - w->guest_addr);
	else
		host = gmem_host_from_guest(q->mem, ref->addr, ref->len);
	if (!host && !gmem_covers(q->mem, ref->addr, ref->len))
		return VIRTQ_FAULT_INDIRECT_UNMAPPED;
	if (((uintptr_t)host & (sizeof(uint64_t) - 1)) == 0)
		ret_table->here = host;
	return VIRTQ_FAULT_NONE;
}

static inline bool table_load(const struct gmem *mem, const struct table *table, uint32_t idx,
			      struct vring_desc *ret_desc)
{
	const struct vring as_ring = { .desc = table->here };

	if (!table->here)
		return vring_desc_read_guest(
			mem, table->guest_addr + (uint64_t)idx * VRING_DESC_BYTES, ret_desc);
	*ret_desc = vring_desc_load(&as_ring, idx);
	return true;
}

/* The descriptors of a table, each loaded once. */
static inline enum virtq_fault gather_entries(struct gather *g, const struct table *table)
{
	const uint32_t most =
		table->n < g->max_links - g->n_links ? table->n : g->max_links - g->n_links;
	struct vring_desc desc;
	enum virtq_fault fault;
	uint32_t n_links = 0;
	uint32_t idx = 0;

	do {
		if (idx >= table->n)
			return VIRTQ_FAULT_NEXT_RANGE;
		if (n_links++ == most)
			return VIRTQ_FAULT_CHAIN_LONG;
		if (!table_load(g->q->mem, table, idx, &desc))
			return VIRTQ_FAULT_INDIRECT_UNMAPPED;
		if (desc.flags & VRING_DESC_F_INDIRECT)
			return VIRTQ_FAULT_INDIRECT_NESTED;
		fault = gather_desc(g, &desc);
		if (fault != VIRTQ_FAULT_NONE)
			return fault;
		idx = desc.next;
	} while (desc.flags & VRING_DESC_F_NEXT);
	g->n_links += n_links;
	return VIRTQ_FAULT_NONE;
}

/* The table that ref refers to; its WRITE flag means nothing. */
static enum virtq_fault gather_indirect(struct gather *g, const struct vring_desc *ref)
{
	struct table table;
	enum virtq_fault fault;

	if (!(g->q->features & BIT(VIRTIO_F_INDIRECT_DESC_BIT)))
		return VIRTQ_FAULT_INDIRECT_FEATURE;
	if (ref->flags & VRING_DESC_F_NEXT)
		return VIRTQ_FAULT_INDIRECT_NEXT;
	fault = table_find(g->q, ref, &table);
	if (fault == VIRTQ_FAULT_NONE)
		fault = gather_entries(g, &table);
	return fault;
}

/* The whole chain that begins with desc; each descriptor is loaded once. */
static enum virtq_fault gather_chain(struct gather *g, struct vring_desc desc)
{
	const struct vring *ring = &g->q->ring;
	enum virtq_fault fault;

	while (!(desc.flags & VRING_DESC_F_INDIRECT)) {
		if (g->n_links++ == ring->size)
			return VIRTQ_FAULT_CHAIN_LONG;
		fault = gather_desc(g, &desc);
		if (fault != VIRTQ_FAULT_NONE)
			return fault;
		if (!(desc.flags & VRING_DESC_F_NEXT))
			return VIRTQ_FAULT_NONE;
		if (desc.next >= ring->size)
			return VIRTQ_FAULT_NEXT_RANGE;
		desc = vring_desc_load(ring, desc.next);
	}
	return gather_indirect(g, &desc);
}

static enum virtq_fault virtq_gather(struct virtq *q, const struct vring_desc *first,
				     struct chain *chain)
{
	struct gather g = {
		.q = q,
		.window = q->window,
		.max_links =
			q->ring.size > VIRTQ_MIN_CHAIN_LIMIT ? q->ring.size : VIRTQ_MIN_CHAIN_LIMIT,
	};
	enum virtq_fault fault;

	gather_set_cap(&g);
	fault = gather_chain(&g, *first);
	if (fault != VIRTQ_FAULT_NONE)
		return fault;
	chain->iov = q->iov;
	chain->n_out = g.n_out;
	chain->n_in = g.n_iov - g.n_out;
	chain->n_links = g.n_links;
	chain->out_len = g.out_len;
	chain->in_len = g.in_len;
	return VIRTQ_FAULT_NONE;
}

/* The common chain, one buffer where the last one was; false: not of that kind. */
static inline bool virtq_single(struct virtq *q, const struct vring_desc *desc, struct chain *chain)
{
	unsigned int in = (desc->flags & VRING_DESC_F_WRITE) != 0;

	if ((desc->flags & (VRING_DESC_F_NEXT | VRING_DESC_F_INDIRECT)) || desc->len == 0 ||
	    !range_within(desc->addr, desc->len, q->window.guest_addr, q->window.size))
		return false;
	q->iov[0].iov_base = q->window.host + (desc->addr - q->window.guest_addr);
	q->iov[0].iov_len = desc->len;
	chain->iov = q->iov;
	chain->n_out = !in;
	chain->n_in = in;
	chain->n_links = 1;
	chain->out_len = in ? 0 : desc->len;
	chain->in_len = in ? desc->len : 0;
	return true;
}

/* Marks head, found at last_avail, as taken. */
static inline void virtq_take(struct virtq *q, uint16_t head)
{
	q->head_at[vring_slot(&q->ring, q->last_avail)] = head;
	q->held[head] = 1;
	q->n_held++;
	q->last_avail++;
}

static enum pop_result virtq_fail(struct virtq *q, enum virtq_fault fault)
{
	virtq_break(q, fault);
	return POP_BROKEN;
}

enum pop_result virtq_pop(struct virtq *q, struct chain *ret_chain)
{
	struct vring_desc desc;
	struct chain chain;
	uint16_t head;

	if (q->last_avail == q->avail_idx && !virtq_reload(q))
		return q->fault != VIRTQ_FAULT_NONE ? POP_BROKEN : POP_EMPTY;
	head = vring_avail_entry(&q->ring, q->last_avail);
	if (head >= q->ring.size)
		return virtq_fail(q, VIRTQ_FAULT_HEAD_RANGE);
	if (q->held[head])
		return virtq_fail(q, VIRTQ_FAULT_HEAD_IN_USE);
	desc = vring_desc_load(&q->ring, head);
	if (!virtq_single(q, &desc, &chain)) {
		enum virtq_fault fault = virtq_gather(q, &desc, &chain);

		if (fault != VIRTQ_FAULT_NONE)
			return virtq_fail(q, fault);
	}
	virtq_take(q, head);
	chain.head = head;
	*ret_chain = chain;
	return POP_CHAIN;
}

void virtq_push(struct virtq *q, uint16_t head, uint32_t len)
{
	assert(head < q->ring.size && q->held[head]);
	q->held[head] = 0;
	q->n_held--;
	vring_set_used_entry(&q->ring, q->used_idx, head, len);
	q->used_idx++;
}

/*
 * "Used Buffer Notification Suppression". What was read before the barrier
 * that precedes this is too old to decide on.
 */
static bool virtq_call_wanted(struct virtq *q, uint16_t old_idx, uint16_t new_idx)
{
	bool forced = q->call_forced;

	q->call_forced = false;
	if ((q->features & BIT(VIRTIO_F_NOTIFY_ON_EMPTY_BIT)) && q->n_held == 0 &&
	    vring_avail_idx(&q->ring) == q->last_avail)
		return true;
	if (!q->event_idx)
		return !(vring_avail_flags(&q->ring) & VRING_AVAIL_F_NO_INTERRUPT);
	return forced || vring_event_passed(vring_used_event(&q->ring), new_idx, old_idx);
}

bool virtq_publish(struct virtq *q)
{
	uint16_t old_idx = q->published_idx;

	if (old_idx == q->used_idx || q->ring.size == 0)
		return false;
	vring_set_used_idx(&q->ring, q->used_idx);
	q->published_idx = q->used_idx;
	full_barrier();
	return virtq_call_wanted(q, old_idx, q->used_idx);
}

void virtq_unpop(struct virtq *q, unsigned int n)
{
	assert(q->size > 0 && n <= q->n_held);
	for (unsigned int i = 0; i < n; i++) {
		uint16_t head;

		q->last_avail--;
		head = q->head_at[q->last_avail & (q->size - 1)];
		assert(q->held[head]);
		q->held[head] = 0;
		q->n_held--;
	}
	q->avail_idx = q->last_avail;
}

/* With the event index, silence is not to ask: the event stays where it was. */
void virtq_kicks_off(struct virtq *q)
{
	if (q->ring.size > 0 && !q->event_idx)
		vring_set_used_flags(&q->ring, VRING_USED_F_NO_NOTIFY);
}

bool virtq_kicks_on(struct virtq *q)
{
	if (q->ring.size == 0 || q->fault != VIRTQ_FAULT_NONE)
		return false;
	if (q->event_idx)
		vring_set_avail_event(&q->ring, q->last_avail);
	else
		vring_set_used_flags(&q->ring, 0);
	full_barrier();
	return vring_avail_idx(&q->ring) != q->last_avail;
}

bool virtq_has_avail(const struct virtq *q)
{
	if (q->ring.size == 0 || q->fault != VIRTQ_FAULT_NONE)
		return false;
	return q->avail_idx != q->last_avail || vring_avail_idx(&q->ring) != q->last_avail;
}

size_t chain_read(const struct chain *chain, size_t offset, void *buf, size_t len)
{
	unsigned char *dst = buf;
	size_t done = 0;

	for (unsigned int i = 0; i < chain->n_out && done < len; i++) {
		const struct iovec *iov = &chain->iov[i];
		size_t part;

		if (offset >= iov->iov_len) {
			offset -= iov->iov_len;
			continue;
		}
		part = min_size(len - done, iov->iov_len - offset);
		memcpy(dst + done, (const unsigned char *)iov->iov_base + offset, part);
		done += part;
		offset = 0;
	}
	return done;
}

size_t chain_write(const struct chain *chain, size_t offset, const void *buf, size_t len)
{
	const unsigned char *src = buf;
	size_t done = 0;

	for (unsigned int i = 0; i < chain->n_in && done < len; i++) {
		const struct iovec *iov = &chain->iov[chain->n_out + i];
		size_t part;

		if (offset >= iov->iov_len) {
			offset -= iov->iov_len;
			continue;
		}
		part = min_size(len - done, iov->iov_len - offset);
		memcpy((unsigned char *)iov->iov_base + offset, src + done, part);
		done += part;
		offset = 0;
	}
	return done;
}
