/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base.h"
#include "virtio/driverq-packed.h"
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

/* A split ring needs more than a packed one. */
size_t driverq_bytes(unsigned int size)
{
	return used_offset(size) + vring_used_bytes(size);
}

static void split_reset(struct driverq *q)
{
	memset(q->ring.desc, 0, driverq_bytes(q->size));
	for (unsigned int i = 0; i < q->size; i++)
		q->slots[i] = (struct driverq_slot){ .next = (uint16_t)((i + 1) % q->size) };
	q->free_head = 0;
	q->oldest = 0;
	q->n_free = q->size;
	q->n_held = 0;
	q->n_batch = 0;
	q->avail_idx = 0;
	q->published_idx = 0;
	q->last_used = 0;
}

void driverq_reset(struct driverq *q)
{
	if (q->packed)
		driverq_packed_set_position(q->packed, PACKED_START);
	else
		split_reset(q);
}

static int split_init(struct driverq *q, unsigned char *host)
{
	unsigned int size = q->size;

	if (!vring_size_valid(size) ||
	    !vring_map(&q->ring, host, host + avail_offset(size), host + used_offset(size), size))
		return -EINVAL;
	q->avail_addr = q->desc_addr + avail_offset(size);
	q->used_addr = q->desc_addr + used_offset(size);
	q->slots = calloc(size, sizeof(*q->slots));
	if (!q->slots)
		return -ENOMEM;
	split_reset(q);
	return 0;
}

static int packed_init(struct driverq *q, void *host)
{
	struct driverq_packed *packed = malloc(sizeof(*packed));
	int err;

	if (!packed)
		return -ENOMEM;
	err = driverq_packed_init(packed, host, q->desc_addr, q->size, q->features);
	if (err < 0) {
		free(packed);
		return err;
	}
	q->packed = packed;
	q->avail_addr = packed->driver_addr;
	q->used_addr = packed->device_addr;
	return 0;
}

int driverq_init(struct driverq *q, void *host_ring, uint64_t guest_ring_addr, unsigned int size,
		 uint64_t features)
{
	struct driverq made = {
		.size = size,
		.desc_addr = guest_ring_addr,
		.features = features,
		.event_idx = (features & BIT(VIRTIO_F_EVENT_IDX_BIT)) != 0,
		.in_order = (features & BIT(VIRTIO_F_IN_ORDER_BIT)) != 0,
	};
	bool packed = (features & BIT(VIRTIO_F_RING_PACKED_BIT)) != 0;
	int err = packed ? packed_init(&made, host_ring) : split_init(&made, host_ring);

	if (err == 0)
		*q = made;
	return err;
}

void driverq_fini(struct driverq *q)
{
	if (q->packed)
		driverq_packed_fini(q->packed);
	free(q->packed);
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

static void split_set_base(struct driverq *q, uint16_t idx)
{
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

void driverq_set_base(struct driverq *q, uint32_t base)
{
	assert(driverq_n_held(q) == 0);
	if (q->packed)
		driverq_packed_set_position(q->packed, packed_base_avail(base));
	else
		split_set_base(q, (uint16_t)base);
}

uint32_t driverq_base(const struct driverq *q)
{
	struct packed_position at;

	if (!q->packed)
		return vring_used_idx(&q->ring);
	at = driverq_packed_used_end(q->packed);
	return packed_base(at, at);
}

uint32_t driverq_first_base(const struct driverq *q)
{
	return q->packed ? packed_base(PACKED_START, PACKED_START) : 0;
}

unsigned int driverq_n_held(const struct driverq *q)
{
	return q->packed ? q->packed->n_held : q->n_held;
}

unsigned int driverq_n_free(const struct driverq *q)
{
	return q->packed ? q->packed->n_free : q->n_free;
}

uint16_t driverq_next_id(const struct driverq *q)
{
	return q->packed ? q->packed->free_id : q->free_head;
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

static int split_add(struct driverq *q, const struct driverq_buf *bufs, unsigned int n_out,
		     unsigned int n_in, bool indirect, void *token)
{
	unsigned int n = n_out + n_in;
	unsigned int n_desc = indirect ? 1 : n;
	uint16_t head = q->free_head;
	struct driverq_slot *slot = &q->slots[head];

	if (n > (indirect ? q->table_size : q->size))
		return -E2BIG;
	if (n_desc > q->n_free)
		return -ENOSPC;
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

/* Tables go by buffer id: that of the list added next is free, and so is its table. */
static int packed_add(struct driverq *q, const struct driverq_buf *bufs, unsigned int n_out,
		      unsigned int n_in, bool indirect, void *token)
{
	size_t first = (size_t)q->packed->free_id * q->table_size;

	if (!indirect)
		return driverq_packed_add(q->packed, bufs, n_out, n_in, token);
	if (n_out + n_in > q->table_size)
		return -E2BIG;
	if (q->packed->n_free == 0)
		return -ENOSPC;
	return driverq_packed_add_indirect(q->packed, q->tables + 2 * first,
					   q->tables_addr + first * VRING_DESC_BYTES, bufs, n_out,
					   n_in, token);
}

int driverq_add(struct driverq *q, const struct driverq_buf *bufs, unsigned int n_out,
		unsigned int n_in, bool indirect, void *token)
{
	if (n_out + n_in == 0 || !token)
		return -EINVAL;
	if (q->packed)
		return packed_add(q, bufs, n_out, n_in, indirect, token);
	return split_add(q, bufs, n_out, n_in, indirect, token);
}

/* "Available Buffer Notification Suppression". */
bool driverq_publish(struct driverq *q)
{
	uint16_t old_idx = q->published_idx;

	if (q->packed)
		return driverq_packed_publish(q->packed);
	if (old_idx == q->avail_idx)
		return false;
	vring_set_avail_idx(&q->ring, q->avail_idx);
	q->published_idx = q->avail_idx;
	full_barrier();
	if (!q->event_idx)
		return !(vring_used_flags(&q->ring) & VRING_USED_F_NO_NOTIFY);
	return vring_event_passed(vring_avail_event(&q->ring), q->avail_idx, old_idx);
}

/*
 * Puts a chain's descriptors back: at the front of the free list, where they are
 * warm; in order they are behind the last free one already.
 */
static void slot_free_chain(struct driverq *q, uint16_t head)
{
	struct driverq_slot *slot = &q->slots[head];
	uint16_t last = head;

	if (q->in_order) {
		q->oldest = (uint16_t)((head + slot->n_desc) & (q->size - 1));
	} else {
		for (unsigned int i = 1; i < slot->n_desc; i++)
			last = q->slots[last].next;
		q->slots[last].next = q->free_head;
		q->free_head = head;
	}
	q->n_free += slot->n_desc;
	q->n_held--;
	slot->token = NULL;
}

/*
 * In order: how many chains the used entry with the id of last_id stands for, of
 * n that the used index allows. 0: it names none of them.
 */
static unsigned int count_batch(const struct driverq *q, unsigned int n)
{
	uint16_t head = q->oldest;

	for (unsigned int i = 1; i <= n; i++) {
		if (head == q->last_id)
			return i;
		head = (uint16_t)((head + q->slots[head].n_desc) & (q->size - 1));
	}
	return 0;
}

/* Reads the next used entry. */
static enum driverq_result begin_batch(struct driverq *q)
{
	unsigned int n_unseen = (uint16_t)(q->avail_idx - q->published_idx);
	unsigned int n_new = (uint16_t)(vring_used_idx(&q->ring) - q->last_used);

	if (n_new == 0)
		return DRIVERQ_EMPTY;
	if (n_new > q->n_held - n_unseen)
		return DRIVERQ_BAD_IDX;
	vring_used_entry(&q->ring, q->last_used, &q->last_id, &q->last_len);
	q->n_batch = 1;
	if (q->in_order)
		q->n_batch = count_batch(q, n_new);
	else if (q->last_id >= q->size || !q->slots[q->last_id].token)
		q->n_batch = 0;
	if (q->n_batch > 0)
		return DRIVERQ_USED;
	q->last_used++;
	return DRIVERQ_BAD_ID;
}

static enum driverq_result split_get(struct driverq *q, void **ret_token, uint32_t *ret_len)
{
	enum driverq_result result = q->n_batch > 0 ? DRIVERQ_USED : begin_batch(q);
	struct driverq_slot *slot;
	uint16_t head;
	uint64_t len;

	if (result != DRIVERQ_USED)
		return result;
	q->n_batch--;
	q->last_used++;
	head = q->in_order ? q->oldest : (uint16_t)q->last_id;
	slot = &q->slots[head];
	len = q->n_batch > 0 ? min_u64(slot->in_len, UINT32_MAX) : q->last_len;
	*ret_token = slot->token;
	*ret_len = (uint32_t)len;
	slot_free_chain(q, head);
	return len > slot->in_len ? DRIVERQ_BAD_LEN : DRIVERQ_USED;
}

static enum driverq_result packed_get(struct driverq *q, void **ret_token, uint32_t *ret_len)
{
	enum driverq_result result = driverq_packed_get(q->packed, ret_token, ret_len);

	q->last_id = q->packed->last.id;
	q->last_len = q->packed->last.len;
	return result;
}

enum driverq_result driverq_get(struct driverq *q, void **ret_token, uint32_t *ret_len)
{
	return q->packed ? packed_get(q, ret_token, ret_len) : split_get(q, ret_token, ret_len);
}

/*
 * With the event index: an event so far back that no batch passes it which the
 * device is just publishing, and which we may have collected already; yet so
 * far ahead that a ring's worth of chains does not come round to it.
 */
static void split_calls_off(struct driverq *q)
{
	unsigned int behind = q->size < VRING_MAX_SIZE ? q->size : VRING_MAX_SIZE / 2;

	if (q->event_idx)
		vring_set_used_event(&q->ring, (uint16_t)(q->last_used - behind - 1));
	else
		vring_set_avail_flags(&q->ring, VRING_AVAIL_F_NO_INTERRUPT);
}

void driverq_calls_off(struct driverq *q)
{
	if (q->packed)
		driverq_packed_calls_off(q->packed);
	else
		split_calls_off(q);
}

static bool split_calls_on(struct driverq *q)
{
	if (q->event_idx)
		vring_set_used_event(&q->ring, q->last_used);
	else
		vring_set_avail_flags(&q->ring, 0);
	full_barrier();
	return vring_used_idx(&q->ring) != q->last_used;
}

bool driverq_calls_on(struct driverq *q)
{
	return q->packed ? driverq_packed_calls_on(q->packed) : split_calls_on(q);
}
