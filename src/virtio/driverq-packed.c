/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "virtio/driverq-packed.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "virtio/features.h"

/* What the driver knows of a buffer id: nothing is read back from the ring. */
struct driverq_packed_list {
	void *token;	 /* not NULL: a list that the device has */
	uint64_t in_len; /* bytes it may be told were written */
	uint16_t next;	 /* in the list of free ids; in_order: of those held, by age */
	uint16_t n_desc; /* descriptors of the ring in its list */
};

size_t driverq_packed_bytes(unsigned int size)
{
	return packed_desc_bytes(size) + (size_t)2 * PACKED_EVENT_BYTES;
}

/*
 * A descriptor before the position was used in this lap, one behind it in the
 * lap before: a ring of zeroes would seem used where the wrap counter is 0.
 */
void driverq_packed_set_position(struct driverq_packed *q, struct packed_position at)
{
	memset(q->ring.desc, 0, driverq_packed_bytes(q->ring.size));
	for (uint32_t i = 0; i < q->ring.size; i++) {
		bool lap = i < at.offset ? at.wrap : !at.wrap;

		packed_desc_store_flags(&q->ring, i, packed_used_flags(lap));
		q->lists[i] = (struct driverq_packed_list){ .next = (uint16_t)(i + 1) };
	}
	q->avail = at;
	q->published = at;
	q->used = at;
	q->n_unpublished = 0;
	q->n_unpublished_lists = 0;
	q->n_free = q->ring.size;
	q->n_held = 0;
	q->free_id = 0;
	q->n_batch = 0;
}

int driverq_packed_init(struct driverq_packed *q, void *host_ring, uint64_t guest_ring_addr,
			unsigned int size, uint64_t features)
{
	size_t events = packed_desc_bytes(size);
	unsigned char *host = host_ring;
	struct packed_ring ring;

	if (!packed_map(&ring, host, host + events, host + events + PACKED_EVENT_BYTES, size))
		return -EINVAL;
	*q = (struct driverq_packed){
		.ring = ring,
		.desc_addr = guest_ring_addr,
		.driver_addr = guest_ring_addr + events,
		.device_addr = guest_ring_addr + events + PACKED_EVENT_BYTES,
		.event_idx = (features & BIT(VIRTIO_F_EVENT_IDX_BIT)) != 0,
		.in_order = (features & BIT(VIRTIO_F_IN_ORDER_BIT)) != 0,
	};
	q->lists = calloc(size, sizeof(*q->lists));
	if (!q->lists)
		return -ENOMEM;
	driverq_packed_set_position(q, PACKED_START);
	return 0;
}

void driverq_packed_fini(struct driverq_packed *q)
{
	free(q->lists);
	*q = (struct driverq_packed){ .lists = NULL };
}

/* The flags that hand over a batch are stored last, by driverq_packed_publish(). */
static void put_desc(struct driverq_packed *q, struct packed_desc desc)
{
	desc.flags |= packed_avail_flags(q->avail.wrap);
	packed_desc_store_body(&q->ring, q->avail.offset, desc);
	if (q->n_unpublished == 0)
		q->held_flags = desc.flags;
	else
		packed_desc_store_flags(&q->ring, q->avail.offset, desc.flags);
	q->avail = packed_advance(&q->ring, q->avail, 1);
	q->n_unpublished++;
	q->n_free--;
}

static uint16_t take_id(struct driverq_packed *q, const struct driverq_buf *bufs,
			unsigned int n_out, unsigned int n_in, unsigned int n_desc, void *token)
{
	uint16_t id = q->free_id;
	struct driverq_packed_list *list = &q->lists[id];

	q->free_id = list->next;
	list->token = token;
	list->n_desc = (uint16_t)n_desc;
	list->in_len = 0;
	for (unsigned int i = n_out; i < n_out + n_in; i++)
		list->in_len += bufs[i].len;
	/* A list that came back out of order is linked with what is free. */
	if (q->in_order && q->n_held > 0)
		q->lists[q->newest].next = id;
	else
		q->oldest = id;
	q->newest = id;
	q->n_held++;
	q->n_unpublished_lists++;
	return id;
}

int driverq_packed_add(struct driverq_packed *q, const struct driverq_buf *bufs, unsigned int n_out,
		       unsigned int n_in, void *token)
{
	unsigned int n = n_out + n_in;
	uint16_t id;

	if (n == 0 || !token)
		return -EINVAL;
	if (n > q->ring.size)
		return -E2BIG;
	if (n > q->n_free)
		return -ENOSPC;
	id = take_id(q, bufs, n_out, n_in, n, token);
	for (unsigned int i = 0; i < n; i++)
		put_desc(q, (struct packed_desc){
				    .addr = bufs[i].addr,
				    .len = bufs[i].len,
				    .id = id,
				    .flags = (uint16_t)((i + 1 < n ? PACKED_DESC_F_NEXT : 0) |
							(i >= n_out ? PACKED_DESC_F_WRITE : 0)),
			    });
	return 0;
}

int driverq_packed_add_indirect(struct driverq_packed *q, void *host_table, uint64_t guest_table,
				const struct driverq_buf *bufs, unsigned int n_out,
				unsigned int n_in, void *token)
{
	unsigned int n = n_out + n_in;

	if (n == 0 || !token)
		return -EINVAL;
	if (n > q->ring.size)
		return -E2BIG;
	if (q->n_free == 0)
		return -ENOSPC;
	for (unsigned int i = 0; i < n; i++)
		packed_table_store(host_table, i,
				   (struct packed_desc){
					   .addr = bufs[i].addr,
					   .len = bufs[i].len,
					   .flags = i >= n_out ? PACKED_DESC_F_WRITE : 0,
				   });
	put_desc(q, (struct packed_desc){
			    .addr = guest_table,
			    .len = n * PACKED_DESC_BYTES,
			    .id = take_id(q, bufs, n_out, n_in, 1, token),
			    .flags = PACKED_DESC_F_INDIRECT,
		    });
	return 0;
}

/* "Driver and Device Event Suppression". */
bool driverq_packed_publish(struct driverq_packed *q)
{
	unsigned int n = q->n_unpublished;
	struct packed_event event;

	if (n == 0)
		return false;
	packed_desc_store_flags(&q->ring, q->published.offset, q->held_flags);
	q->published = q->avail;
	q->n_unpublished = 0;
	q->n_unpublished_lists = 0;
	full_barrier();
	event = packed_event_load(q->ring.device_event);
	if ((event.flags & 3) == PACKED_EVENT_DESC && q->event_idx)
		return packed_event_passed(&q->ring, event, q->published, n);
	return (event.flags & 3) != PACKED_EVENT_DISABLE;
}

static bool is_used_at(const struct driverq_packed *q, struct packed_position at)
{
	return packed_is_used(packed_desc_flags(&q->ring, at.offset), at.wrap);
}

static bool next_is_used(const struct driverq_packed *q)
{
	return q->n_batch > 0 || is_used_at(q, q->used);
}

static bool is_held(const struct driverq_packed *q, uint16_t id)
{
	return id < q->ring.size && q->lists[id].token;
}

/*
 * In order: how many lists the used descriptor with this id stands for, from id
 * oldest on, of n_seen that the device has been shown. 0: it names none of them.
 */
static unsigned int count_batch(const struct driverq_packed *q, uint16_t oldest, uint16_t id,
				unsigned int n_seen)
{
	uint16_t at = oldest;

	for (unsigned int n = 1; n <= n_seen; n++) {
		if (at == id)
			return n;
		at = q->lists[at].next;
	}
	return 0;
}

/* How many lists were returned by the used descriptor at a position, which is read; or 0. */
static unsigned int read_used(const struct driverq_packed *q, struct packed_position at,
			      uint16_t oldest, unsigned int n_seen, struct packed_desc *ret_desc)
{
	*ret_desc = packed_desc_load(&q->ring, at.offset);
	if (!is_held(q, ret_desc->id))
		return 0;
	return q->in_order ? count_batch(q, oldest, ret_desc->id, n_seen) : 1;
}

struct packed_position driverq_packed_used_end(const struct driverq_packed *q)
{
	unsigned int n_seen = q->n_held - q->n_unpublished_lists;
	struct packed_position at = q->used;
	unsigned int n_batch = q->n_batch;
	struct packed_desc desc = q->last;
	uint16_t oldest = q->oldest;

	for (; n_seen > 0; n_seen--) {
		uint16_t id;

		if (n_batch == 0 && is_used_at(q, at))
			n_batch = read_used(q, at, oldest, n_seen, &desc);
		if (n_batch == 0)
			break;
		n_batch--;
		id = q->in_order ? oldest : desc.id;
		oldest = q->lists[id].next;
		at = packed_advance(&q->ring, at, q->lists[id].n_desc);
	}
	return at;
}

static enum driverq_result begin_batch(struct driverq_packed *q)
{
	unsigned int n_seen = q->n_held - q->n_unpublished_lists;

	if (!is_used_at(q, q->used))
		return DRIVERQ_EMPTY;
	if (n_seen == 0)
		return DRIVERQ_BAD_IDX;
	q->n_batch = read_used(q, q->used, q->oldest, n_seen, &q->last);
	return q->n_batch > 0 ? DRIVERQ_USED : DRIVERQ_BAD_ID;
}

static void free_list(struct driverq_packed *q, uint16_t id)
{
	struct driverq_packed_list *list = &q->lists[id];

	q->oldest = list->next; /* looked at in order alone, as is newest */
	list->token = NULL;
	list->next = q->free_id;
	q->free_id = id;
	q->n_free += list->n_desc;
	q->n_held--;
	q->used = packed_advance(&q->ring, q->used, list->n_desc);
}

enum driverq_result driverq_packed_get(struct driverq_packed *q, void **ret_token,
				       uint32_t *ret_len)
{
	enum driverq_result result = q->n_batch > 0 ? DRIVERQ_USED : begin_batch(q);
	uint64_t in_len, len;
	uint16_t id;

	if (result != DRIVERQ_USED)
		return result;
	q->n_batch--;
	id = q->in_order ? q->oldest : q->last.id;
	in_len = q->lists[id].in_len;
	*ret_token = q->lists[id].token;
	len = (q->last.flags & PACKED_DESC_F_WRITE) ? q->last.len : 0;
	if (q->n_batch > 0)
		len = min_u64(in_len, UINT32_MAX);
	free_list(q, id);
	*ret_len = (uint32_t)len;
	return len > in_len ? DRIVERQ_BAD_LEN : DRIVERQ_USED;
}

void driverq_packed_calls_off(struct driverq_packed *q)
{
	packed_event_store(q->ring.driver_event,
			   (struct packed_event){ .flags = PACKED_EVENT_DISABLE });
}

bool driverq_packed_calls_on(struct driverq_packed *q)
{
	struct packed_event event = { .flags = PACKED_EVENT_ENABLE };

	if (q->event_idx)
		event = (struct packed_event){
			.offset = q->used.offset,
			.wrap = q->used.wrap,
			.flags = PACKED_EVENT_DESC,
		};
	packed_event_store(q->ring.driver_event, event);
	full_barrier();
	return next_is_used(q);
}
