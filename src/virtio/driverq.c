/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base.h"
#include "virtio/driverq.h"
#include "virtio/features.h"

/* What the driver knows of a descriptor: nothing is read back from the ring. */
struct driverq_slot {
	void *token;	 /* not NULL: head of a chain that the device has */
	uint64_t in_len; /* of a head: bytes it may be told were written */
	uint16_t next;	 /* in the free list or in the chain */
	uint16_t n_desc; /* of a head: descriptors of the ring in its chain */
};

static const char *const result_texts[] = {
	[DRIVERQ_EMPTY] = "nothing returned",
	[DRIVERQ_USED] = "a chain returned",
	[DRIVERQ_BAD_IDX] = "more chains returned than offered",
	[DRIVERQ_BAD_ID] = "a chain returned that the device did not have",
	[DRIVERQ_BAD_LEN] = "more bytes reported than the chain has room for",
};

const char *driverq_result_text(enum driverq_result result)
{
	assert((size_t)result < ARRAY_SIZE(result_texts));
	return result_texts[result];
}

static size_t avail_offset(unsigned int size)
{
	return vring_desc_bytes(size);
}

static size_t used_offset(unsigned int size)
{
	size_t end = avail_offset(size) + vring_avail_bytes(size);

	return (end + VRING_USED_ALIGN - 1) & ~(size_t)(VRING_USED_ALIGN - 1);
}

size_t driverq_bytes(unsigned int size)
{
	return used_offset(size) + vring_used_bytes(size);
}

void driverq_reset(struct driverq *q)
{
	memset(q->ring.desc, 0, driverq_bytes(q->ring.size));
	for (unsigned int i = 0; i < q->ring.size; i++)
		q->slots[i] = (struct driverq_slot){ .next = (uint16_t)(i + 1) };
	q->free_head = 0;
	q->n_free = q->ring.size;
	q->n_held = 0;
	q->avail_idx = 0;
	q->published_idx = 0;
	q->last_used = 0;
}

int driverq_init(struct driverq *q, void *host_ring, uint64_t guest_ring_addr, unsigned int size,
		 uint64_t features)
{
	unsigned char *host = host_ring;
	struct vring ring;

	if (!vring_size_valid(size) ||
	    !vring_map(&ring, host, host + avail_offset(size), host + used_offset(size), size))
		return -EINVAL;
	*q = (struct driverq){
		.ring = ring,
		.desc_addr = guest_ring_addr,
		.avail_addr = guest_ring_addr + avail_offset(size),
		.used_addr = guest_ring_addr + used_offset(size),
		.features = features,
		.event_idx = (features & BIT(VIRTIO_F_EVENT_IDX_BIT)) != 0,
	};
	q->slots = calloc(size, sizeof(*q->slots));
	if (!q->slots)
		return -ENOMEM;
	driverq_reset(q);
	return 0;
}

void driverq_fini(struct driverq *q)
{
	free(q->slots);
	*q = (struct driverq){ .slots = NULL };
}

size_t driverq_table_bytes(unsigned int size, unsigned int table_size)
{
	return (size_t)size * table_size * VRING_DESC_BYTES;
}

void driverq_set_tables(struct driverq *q, void *host, uint64_t guest_addr, unsigned int table_size)
{
	q->tables = host;
	q->tables_addr = guest_addr;
	q->table_size = table_size;
}

void driverq_set_idx(struct driverq *q, uint16_t idx)
{
	assert(q->n_held == 0);
	q->avail_idx = idx;
	q->published_idx = idx;
	q->last_used = idx;
	vring_set_avail_idx(&q->ring, idx);
	vring_set_used_idx(&q->ring, idx);
	if (q->event_idx) {
		vring_set_used_event(&q->ring, idx);
		vring_set_avail_event(&q->ring, idx);
	}
}

/* Descriptor i of n that describes bufs[i]; next is where the chain goes on. */
static struct vring_desc buf_desc(const struct driverq_buf *bufs, unsigned int i, unsigned int n,
				  unsigned int n_out, uint16_t next)
{
	bool last = i + 1 == n;

	return (struct vring_desc){
		.addr = bufs[i].addr,
		.len = bufs[i].len,
		.flags = (uint16_t)((last ? 0 : VRING_DESC_F_NEXT) |
				    (i >= n_out ? VRING_DESC_F_WRITE : 0)),
		.next = last ? 0 : next,
	};
}

static uint16_t slot_take(struct driverq *q)
{
	uint16_t idx = q->free_head;

	q->free_head = q->slots[idx].next;
	q->n_free--;
	return idx;
}

static void add_direct(struct driverq *q, const struct driverq_buf *bufs, unsigned int n,
		       unsigned int n_out)
{
	for (unsigned int i = 0; i < n; i++) {
		uint16_t idx = slot_take(q);

		/* The free list is the order in which the chain is linked, too. */
		vring_desc_store(&q->ring, idx, buf_desc(bufs, i, n, n_out, q->free_head));
	}
}

static void add_indirect(struct driverq *q, const struct driverq_buf *bufs, unsigned int n,
			 unsigned int n_out)
{
	uint16_t head = slot_take(q);
	size_t first = (size_t)head * q->table_size;

	for (unsigned int i = 0; i < n; i++)
		vring_desc_write(q->tables + 2 * (first + i),
				 buf_desc(bufs, i, n, n_out, (uint16_t)(i + 1)));
	vring_desc_store(&q->ring, head,
			 (struct vring_desc){
				 .addr = q->tables_addr + first * VRING_DESC_BYTES,
				 .len = n * VRING_DESC_BYTES,
				 .flags = VRING_DESC_F_INDIRECT,
			 });
}

int driverq_add(struct driverq *q, const struct driverq_buf *bufs, unsigned int n_out,
		unsigned int n_in, bool indirect, void *token)
{
	unsigned int n = n_out + n_in;
	unsigned int n_desc = indirect ? 1 : n;
	struct driverq_slot *slot;
	uint16_t head = q->free_head;

	if (n == 0 || !token)
		return -EINVAL;
	if (n > (indirect ? q->table_size : q->ring.size))
		return -E2BIG;
	if (n_desc > q->n_free)
		return -ENOSPC;
	slot = &q->slots[head];
	slot->token = token;
	slot->n_desc = (uint16_t)n_desc;
	slot->in_len = 0;
	for (unsigned int i = n_out; i < n; i++)
		slot->in_len += bufs[i].len;
	if (indirect)
		add_indirect(q, bufs, n, n_out);
	else
		add_direct(q, bufs, n, n_out);
	vring_set_avail_entry(&q->ring, q->avail_idx, head);
	q->avail_idx++;
	q->n_held++;
	return 0;
}

/* "Available Buffer Notification Suppression". */
bool driverq_publish(struct driverq *q)
{
	uint16_t old_idx = q->published_idx;

	if (old_idx == q->avail_idx)
		return false;
	vring_set_avail_idx(&q->ring, q->avail_idx);
	q->published_idx = q->avail_idx;
	full_barrier();
	if (!q->event_idx)
		return !(vring_used_flags(&q->ring) & VRING_USED_F_NO_NOTIFY);
	return vring_event_passed(vring_avail_event(&q->ring), q->avail_idx, old_idx);
}

/* Puts a chain's descriptors back at the front of the free list. */
static void slot_free_chain(struct driverq *q, uint16_t head)
{
	struct driverq_slot *slot = &q->slots[head];
	uint16_t last = head;

	for (unsigned int i = 1; i < slot->n_desc; i++)
		last = q->slots[last].next;
	q->slots[last].next = q->free_head;
	q->free_head = head;
	q->n_free += slot->n_desc;
	q->n_held--;
	slot->token = NULL;
}

enum driverq_result driverq_get(struct driverq *q, void **ret_token, uint32_t *ret_len)
{
	uint16_t used_idx = vring_used_idx(&q->ring);
	unsigned int n_unseen = (uint16_t)(q->avail_idx - q->published_idx);
	struct driverq_slot *slot;
	uint64_t in_len;
	void *token;

	if (used_idx == q->last_used)
		return DRIVERQ_EMPTY;
	if ((uint16_t)(used_idx - q->last_used) > q->n_held - n_unseen)
		return DRIVERQ_BAD_IDX;
	vring_used_entry(&q->ring, q->last_used, &q->last_id, &q->last_len);
	q->last_used++;
	if (q->last_id >= q->ring.size || !q->slots[q->last_id].token)
		return DRIVERQ_BAD_ID;
	slot = &q->slots[q->last_id];
	token = slot->token;
	in_len = slot->in_len;
	slot_free_chain(q, (uint16_t)q->last_id);
	if (q->last_len > in_len)
		return DRIVERQ_BAD_LEN;
	*ret_token = token;
	*ret_len = q->last_len;
	return DRIVERQ_USED;
}

/*
 * With the event index: an event so far back that no batch passes it which the
 * device is just publishing, and which we may have collected already; yet so
 * far ahead that a ring's worth of chains does not come round to it.
 */
void driverq_calls_off(struct driverq *q)
{
	unsigned int behind = q->ring.size < VRING_MAX_SIZE ? q->ring.size : VRING_MAX_SIZE / 2;

	if (q->event_idx)
		vring_set_used_event(&q->ring, (uint16_t)(q->last_used - behind - 1));
	else
		vring_set_avail_flags(&q->ring, VRING_AVAIL_F_NO_INTERRUPT);
}

bool driverq_calls_on(struct driverq *q)
{
	if (q->event_idx)
		vring_set_used_event(&q->ring, q->last_used);
	else
		vring_set_avail_flags(&q->ring, 0);
	full_barrier();
	return vring_used_idx(&q->ring) != q->last_used;
}
