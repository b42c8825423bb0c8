/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What the files of the device side share: virtq.c chooses, the others know one layout or one
 * thing. */
#ifndef VHU_VIRTIO_VIRTQ_PRIVATE_H
#define VHU_VIRTIO_VIRTQ_PRIVATE_H

#include "base.h"
#include "virtio/virtq.h"

/* What every chain takes, and what keeps registers and branches from it if it is inlined. */
#define HOT inline __attribute__((always_inline))
#define RARE __attribute__((noinline, cold))
#define APART __attribute__((noinline))

/* Of a chain that is out; bits. */
enum virtq_held {
	HELD = 1,
	HELD_LEFT = 2, /* an earlier device had taken it */
	HELD_UNREAD =
		4, /* the driver expects nothing in it: returned in order, it may be skipped */
};

/* A chain is no longer out: returned, or given back untouched. */
static inline void virtq_let_go(struct virtq *q, uint16_t head)
{
	if (q->held[head] & HELD_LEFT)
		q->n_left_held--;
	q->held[head] = 0;
	q->n_held--;
}

static inline enum pop_result virtq_fail(struct virtq *q, enum virtq_fault fault)
{
	if (q->missing)
		return POP_MISSING;
	virtq_break(q, fault);
	return POP_BROKEN;
}

/* The common chain, one buffer where the last one was; false: not of that kind. */
static inline bool virtq_single(struct virtq *q, uint64_t addr, uint32_t len, uint16_t flags,
				struct chain *chain)
{
	unsigned int in = (flags & VRING_DESC_F_WRITE) != 0;

	if ((flags & (VRING_DESC_F_NEXT | VRING_DESC_F_INDIRECT)) || len == 0 ||
	    !range_within(addr, len, q->window.guest_addr, q->window.size))
		return false;
	q->iov[0].iov_base = q->window.host + (addr - q->window.guest_addr);
	q->iov[0].iov_len = len;
	chain->iov = q->iov;
	chain->n_out = !in;
	chain->n_in = in;
	chain->n_links = 1;
	chain->out_len = in ? 0 : len;
	chain->in_len = in ? len : 0;
	return true;
}

/* virtq.c: what depends on the size of the ring; q->packed is set. False: no memory. */
bool virtq_allocate(struct virtq *q, uint32_t size);

/* virtq.c: whether head is the chain that is out longest. What was left comes before all else. */
bool virtq_is_oldest(const struct virtq *q, uint16_t head);

/*
 * virtq-gather.c: the whole chain that begins with a descriptor of a split ring,
 * or a packed ring's list of n, all of which are private copies. When an address
 * has no translation, q->missing is set and the fault means nothing.
 */
enum virtq_fault virtq_gather(struct virtq *q, struct vring_desc first, struct chain *ret_chain);
enum virtq_fault virtq_gather_list(struct virtq *q, const struct packed_desc *descs, unsigned int n,
				   struct chain *ret_chain);

/*
 * virtq-split.c and virtq-packed.c. Each does for its layout what the function
 * without that word says in virtq.h, with a ring that is there and sound (the
 * packed ring's pop and push look for themselves). Those that unpop do so for
 * one chain and say which; the caller lets it go.
 */
void virtq_split_start(struct virtq *q, uint32_t base);

/* Looks for new entries. False: none, or the ring broke. */
bool virtq_split_reload(struct virtq *q, uint16_t *ret_avail_idx);

enum pop_result virtq_split_pop(struct virtq *q, struct chain *ret_chain);
void virtq_split_push(struct virtq *q, uint16_t head, uint32_t len);
struct ring_mark virtq_split_mark(struct virtq *q);
bool virtq_split_publish(struct virtq *q);
bool virtq_split_finish(const struct vring *ring, const struct ring_mark *mark);
uint16_t virtq_split_unpop(struct virtq *q);
void virtq_split_kicks_off(struct virtq *q);
void virtq_split_kicks_on(struct virtq *q);

void virtq_packed_start(struct virtq *q, uint32_t base);

/* Counts what is out by the positions. False: the ring does not have them. */
bool virtq_packed_go_on(struct virtq *q);
uint32_t virtq_packed_base(const struct virtq *q);
uint32_t virtq_packed_position(const struct virtq *q);
enum pop_result virtq_packed_pop(struct virtq *q, struct chain *ret_chain);
void virtq_packed_push(struct virtq *q, uint16_t id, uint32_t len);
struct ring_mark virtq_packed_mark(struct virtq *q);
bool virtq_packed_publish(struct virtq *q);
bool virtq_packed_finish(struct virtq *q, const struct packed_ring *ring,
			 const struct ring_mark *mark);
uint16_t virtq_packed_unpop(struct virtq *q);
void virtq_packed_kicks_off(struct virtq *q);
void virtq_packed_kicks_on(struct virtq *q);
bool virtq_packed_has_avail(const struct virtq *q);

/*
 * virtq-inflight.c: begins to record, if there is a record that fits. Splits the
 * start: the positions move to where an earlier device stopped, and what it left is listed.
 */
void virtq_inflight_start_split(struct virtq *q);
void virtq_inflight_start_packed(struct virtq *q);
void virtq_inflight_stop(struct virtq *q);

/* virtq-log.c: the queue has written the descriptor at that offset of a packed ring. */
void virtq_log_desc(struct virtq *q, uint32_t offset);

/* The same of the area that the log knows at ring_log_addr, by byte offsets in it. */
static inline void virtq_log_area(struct virtq *q, uint64_t offset, uint64_t len)
{
	uint64_t addr;

	/* An address that wraps is in no log. */
	if (q->log_ring && add_u64(q->ring_log_addr, offset, &addr))
		dirty_log_mark(q->log, addr, len);
}

#endif
