/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* A chain's descriptors, checked and turned into vectors of host memory. */
#include <stdlib.h>

#include "virtio/features.h"
#include "virtio/virtq-private.h"

/* A chain in the making: everything here is private. */
struct gather {
	struct virtq *q;
	struct gmem_window window; /* the queue's, or where translations led last */
	struct iovec *iov;	   /* the queue's */
	unsigned int n_links;	   /* descriptors followed, in the ring and in a table */
	unsigned int max_links;
	unsigned int n_iov;
	unsigned int cap_iov; /* that fit without growing, and are allowed */
	unsigned int n_out;
	uint64_t out_len;
	uint64_t in_len;
};

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

static RARE enum virtq_fault gather_grow(struct gather *g)
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

/* The stretch around addr that the device may access in that way. */
static bool window_at(struct virtq *q, uint64_t addr, uint8_t perm, struct gmem_window *ret_window)
{
	if (!q->tlb && gmem_window_at(q->mem, addr, ret_window))
		return true;
	if (!q->tlb && (!gmem_is_late(q->mem) || !gmem_host_from_guest(q->mem, addr, 1)))
		return false;
	if (q->tlb && iotlb_window_at(q->tlb, q->mem, addr, perm, ret_window))
		return true;
	q->missing = true;
	q->missing_iova = addr;
	q->missing_perm = perm;
	return false;
}

/*
 * The next window of a chain. A translation is not remembered beyond the chain,
 * nor from its readable part to its writable one: it may not be good for both.
 */
static bool gather_window(struct gather *g, uint64_t addr)
{
	struct virtq *q = g->q;

	if (!window_at(q, addr, g->in_len > 0 ? IOTLB_WRITE : IOTLB_READ, &g->window))
		return false;
	if (!q->tlb)
		q->window = g->window;
	return true;
}

/* Adds [addr, addr + len) of guest memory, cut where regions meet. */
static RARE enum virtq_fault gather_pieces(struct gather *g, uint64_t addr, uint32_t len)
{
	struct gmem_window *w = &g->window;

	while (len > 0) {
		uint64_t off = addr - w->guest_addr;
		uint32_t run;

		if (off >= w->size) {
			if (!gather_window(g, addr))
				return VIRTQ_FAULT_UNMAPPED;
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
static HOT enum virtq_fault gather_buffer(struct gather *g, uint64_t addr, uint32_t len)
{
	const uint64_t off = addr - g->window.guest_addr;

	/* Below the window, off is huge. */
	if (g->n_iov == g->cap_iov || off >= g->window.size || len > g->window.size - off)
		return gather_pieces(g, addr, len);
	gather_add(g, g->window.host + off, len);
	return VIRTQ_FAULT_NONE;
}

/* One descriptor that names a buffer. An empty one has no effect at all. */
static HOT enum virtq_fault gather_desc(struct gather *g, const struct vring_desc *desc)
{
	enum virtq_fault fault;

	if (desc->len == 0)
		return VIRTQ_FAULT_NONE;
	if (desc->flags & VRING_DESC_F_WRITE) {
		if (desc->len > UINT32_MAX - g->in_len)
			return VIRTQ_FAULT_TOO_LARGE;
		if (g->in_len == 0 && g->q->tlb)
			g->window.size = 0;
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
 * are contiguous here and aligned; else here is NULL, and entries are looked for
 * one by one.
 */
struct table {
	uint64_t guest_addr;
	uint64_t *here;
	uint32_t n;
};

/* Looks at every window of the table; *ret_host: where all of it is, or NULL. */
static RARE bool table_covered(struct virtq *q, const struct vring_desc *ref, void **ret_host)
{
	uint64_t addr = ref->addr, left = ref->len;
	struct gmem_window w;

	*ret_host = NULL;
	while (left > 0) {
		uint64_t off, run;

		if (!window_at(q, addr, IOTLB_READ, &w))
			return false;
		off = addr - w.guest_addr;
		run = min_u64(left, w.size - off);
		if (run == ref->len)
			*ret_host = w.host + off;
		/* No window ends at 2^64: what would wrap is not mapped. */
		addr += run;
		left -= run;
	}
	return true;
}

static HOT enum virtq_fault table_find(struct virtq *q, const struct vring_desc *ref,
				       struct table *ret_table)
{
	const struct gmem_window *w = &q->window;
	void *host;

	*ret_table = (struct table){ .guest_addr = ref->addr, .n = ref->len / VRING_DESC_BYTES };
	if (ref->len == 0 || ref->len % VRING_DESC_BYTES != 0)
		return VIRTQ_FAULT_INDIRECT_SIZE;
	if (range_within(ref->addr, ref->len, w->guest_addr, w->size))
		host = w->host + (ref->addr - w->guest_addr);
	else if (!table_covered(q, ref, &host))
		return VIRTQ_FAULT_INDIRECT_UNMAPPED;
	if (((uintptr_t)host & (sizeof(uint64_t) - 1)) == 0)
		ret_table->here = host;
	return VIRTQ_FAULT_NONE;
}

/* An entry that is not aligned, or lies across windows. */
static RARE bool table_load_bytes(struct virtq *q, uint64_t addr, struct vring_desc *ret_desc)
{
	unsigned char bytes[VRING_DESC_BYTES];
	struct gmem_window w;
	size_t done = 0;

	while (done < sizeof(bytes)) {
		uint64_t off;
		size_t run;

		if (!window_at(q, addr + done, IOTLB_READ, &w))
			return false;
		off = addr + done - w.guest_addr;
		run = (size_t)min_u64(sizeof(bytes) - done, w.size - off);
		vring_bytes_load(bytes + done, w.host + off, run);
		done += run;
	}
	*ret_desc = vring_desc_from_bytes(bytes);
	return true;
}

static HOT bool table_load(struct virtq *q, const struct table *table, uint32_t idx,
			   struct vring_desc *ret_desc)
{
	const struct vring as_ring = { .desc = table->here };

	if (!table->here)
		return table_load_bytes(q, table->guest_addr + (uint64_t)idx * VRING_DESC_BYTES,
					ret_desc);
	*ret_desc = vring_desc_load(&as_ring, idx);
	return true;
}

/* The descriptors of a split ring's table, each loaded once. */
static HOT enum virtq_fault gather_entries(struct gather *g, const struct table *table)
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
		if (!table_load(g->q, table, idx, &desc))
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

/*
 * The same of a packed ring's table: one after the other, whatever their ids and
 * flags but WRITE say ("Indirect Flag: Scatter-Gather Support"). The last two
 * fields are the other way round there.
 */
static enum virtq_fault gather_sequence(struct gather *g, const struct table *table)
{
	if (table->n > g->max_links - g->n_links)
		return VIRTQ_FAULT_CHAIN_LONG;
	for (uint32_t i = 0; i < table->n; i++) {
		struct vring_desc desc;
		enum virtq_fault fault;

		if (!table_load(g->q, table, i, &desc))
			return VIRTQ_FAULT_INDIRECT_UNMAPPED;
		desc.flags = desc.next;
		fault = gather_desc(g, &desc);
		if (fault != VIRTQ_FAULT_NONE)
			return fault;
	}
	g->n_links += table->n;
	return VIRTQ_FAULT_NONE;
}

/* The table that ref refers to; its WRITE flag means nothing. */
static HOT enum virtq_fault gather_indirect(struct gather *g, const struct vring_desc *ref,
					    bool packed)
{
	struct table table;
	enum virtq_fault fault;

	if (!(g->q->features & BIT(VIRTIO_F_INDIRECT_DESC_BIT)))
		return VIRTQ_FAULT_INDIRECT_FEATURE;
	if (ref->flags & VRING_DESC_F_NEXT)
		return VIRTQ_FAULT_INDIRECT_NEXT;
	fault = table_find(g->q, ref, &table);
	if (fault != VIRTQ_FAULT_NONE)
		return fault;
	return packed ? gather_sequence(g, &table) : gather_entries(g, &table);
}

/* The whole chain that begins with desc; each descriptor is loaded once. */
static enum virtq_fault gather_chain(struct gather *g, struct vring_desc desc)
{
	const struct vring *ring = &g->q->ring.split;
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
	return gather_indirect(g, &desc, false);
}

/* A packed ring's list. An indirect descriptor is a list of its own. */
static enum virtq_fault gather_list(struct gather *g, const struct packed_desc *descs,
				    unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		struct vring_desc desc = { descs[i].addr, descs[i].len, descs[i].flags, 0 };
		enum virtq_fault fault;

		if (desc.flags & VRING_DESC_F_INDIRECT)
			return n > 1 ? VIRTQ_FAULT_INDIRECT_IN_LIST
				     : gather_indirect(g, &desc, true);
		fault = gather_desc(g, &desc);
		if (fault != VIRTQ_FAULT_NONE)
			return fault;
	}
	g->n_links += n;
	return VIRTQ_FAULT_NONE;
}

static HOT void gather_begin(struct gather *g, struct virtq *q)
{
	*g = (struct gather){
		.q = q,
		.window = q->window,
		.max_links =
			q->ring.size > VIRTQ_MIN_CHAIN_LIMIT ? q->ring.size : VIRTQ_MIN_CHAIN_LIMIT,
	};
	gather_set_cap(g);
}

static HOT void gather_end(const struct gather *g, struct chain *chain)
{
	chain->iov = g->q->iov;
	chain->n_out = g->n_out;
	chain->n_in = g->n_iov - g->n_out;
	chain->n_links = g->n_links;
	chain->out_len = g->out_len;
	chain->in_len = g->in_len;
}

enum virtq_fault virtq_gather(struct virtq *q, struct vring_desc first, struct chain *ret_chain)
{
	struct gather g;
	enum virtq_fault fault;

	gather_begin(&g, q);
	fault = gather_chain(&g, first);
	if (fault == VIRTQ_FAULT_NONE)
		gather_end(&g, ret_chain);
	return fault;
}

enum virtq_fault virtq_gather_list(struct virtq *q, const struct packed_desc *descs, unsigned int n,
				   struct chain *ret_chain)
{
	struct gather g;
	enum virtq_fault fault;

	gather_begin(&g, q);
	fault = gather_list(&g, descs, n);
	if (fault == VIRTQ_FAULT_NONE)
		gather_end(&g, ret_chain);
	return fault;
}
