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
	uint16_t next;	 /* in the list of free ids */
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
	};
	q->lists = calloc(size, sizeof(*q->lists));
	if (!q->lists)
		return -ENOMEM;
	driverq_packed_set_position(q, (struct packed_position){ .offset = 0, .wrap = true });
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

static bool next_is_used(const struct driverq_packed *q)
{
	return packed_is_used(packed_desc_flags(&q->ring, q->used.offset), q->used.wrap);
}

enum driverq_result driverq_packed_get(struct driverq_packed *q, void **ret_token,
				       uint32_t *ret_len)
{
	struct driverq_packed_list *list;
	uint64_t in_len;
	uint32_t len;
	void *token;

	if (!next_is_used(q))
		return DRIVERQ_EMPTY;
	if (q->n_held == q->n_unpublished_lists)
		return DRIVERQ_BAD_IDX;
	q->last = packed_desc_load(&q->ring, q->used.offset);
	if (q->last.id >= q->ring.size || !q->lists[q->last.id].token)
		return DRIVERQ_BAD_ID;
	list = &q->lists[q->last.id];
	token = list->token;
	in_len = list->in_len;
	list->token = NULL;
	list->next = q->free_id;
	q->free_id = q->last.id;
	q->n_free += list->n_desc;
	q->n_held--;
	q->used = packed_advance(&q->ring, q->used, list->n_desc);
	len = (q->last.flags & PACKED_DESC_F_WRITE) ? q->last.len : 0;
	if (len > in_len)
		return DRIVERQ_BAD_LEN;
	*ret_token = token;
	*ret_len = len;
	return DRIVERQ_USED;
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
