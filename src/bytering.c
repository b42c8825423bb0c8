/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bytering.h"

/* Where position pos lies in the buffer. */
static size_t ring_offset(const struct bytering *r, uint64_t pos)
{
	return (size_t)((pos - r->base) & (r->size - 1));
}

/* How many of len bytes from pos come before the buffer's end. */
static size_t ring_straight(const struct bytering *r, uint64_t pos, size_t len)
{
	return min_size(len, r->size - ring_offset(r, pos));
}

/* Writes at head; the caller made sure that len bytes may be written. */
static void ring_append(struct bytering *r, const uint8_t *data, size_t len)
{
	size_t first = ring_straight(r, r->head, len);

	memcpy(r->buf + ring_offset(r, r->head), data, first);
	memcpy(r->buf, data + first, len - first);
	r->head += len;
}

int bytering_init(struct bytering *r, size_t size)
{
	uint8_t *buf;

	if (!is_power_of_two(size))
		return -EINVAL;
	/* What was not written is never read, so no page is touched here. */
	buf = malloc(size);
	if (!buf)
		return -ENOMEM;
	*r = (struct bytering){ .buf = buf, .size = size };
	return 0;
}

void bytering_lend(struct bytering *r, void *buf, size_t size)
{
	assert(is_power_of_two(size));
	bytering_fini(r);
	*r = (struct bytering){ .buf = buf, .size = size, .lent = true };
}

void bytering_fini(struct bytering *r)
{
	if (!r->lent)
		free(r->buf);
	*r = (struct bytering){ 0 };
}

size_t bytering_used(const struct bytering *r)
{
	return (size_t)(r->head - r->tail);
}

size_t bytering_room(const struct bytering *r)
{
	return r->size - bytering_used(r);
}

size_t bytering_put(struct bytering *r, const void *data, size_t len)
{
	size_t n = min_size(len, bytering_room(r));

	if (n > 0)
		ring_append(r, data, n);
	return n;
}

void bytering_put_over(struct bytering *r, const void *data, size_t len)
{
	size_t skipped = len > r->size ? len - r->size : 0;
	const uint8_t *bytes = data;

	if (len == 0)
		return;
	r->head += skipped;
	ring_append(r, bytes + skipped, len - skipped);
	if (r->head - r->tail > r->size)
		r->tail = r->head - r->size;
}

void bytering_skip_over(struct bytering *r, uint64_t n)
{
	if (n == 0)
		return;
	r->head += n;
	r->tail = r->head;
}

size_t bytering_free_segment(struct bytering *r, void **ret_seg)
{
	*ret_seg = r->buf + ring_offset(r, r->head);
	return ring_straight(r, r->head, bytering_room(r));
}

void bytering_commit(struct bytering *r, size_t n)
{
	assert(n <= bytering_room(r));
	r->head += n;
}

unsigned int bytering_data_iov(const struct bytering *r, struct iovec iov[2])
{
	size_t used = bytering_used(r);
	size_t first = ring_straight(r, r->tail, used);

	if (used == 0)
		return 0;
	iov[0] = (struct iovec){ .iov_base = r->buf + ring_offset(r, r->tail), .iov_len = first };
	if (first == used)
		return 1;
	iov[1] = (struct iovec){ .iov_base = r->buf, .iov_len = used - first };
	return 2;
}

size_t bytering_copy_at(const struct bytering *r, uint64_t pos, void *buf, size_t len)
{
	uint8_t *bytes = buf;
	size_t first;

	assert(pos >= r->tail && pos <= r->head);
	len = min_size(len, (size_t)(r->head - pos));
	if (len == 0)
		return 0;
	first = ring_straight(r, pos, len);
	memcpy(bytes, r->buf + ring_offset(r, pos), first);
	memcpy(bytes + first, r->buf, len - first);
	return len;
}

void bytering_consume(struct bytering *r, size_t n)
{
	assert(n <= bytering_used(r));
	r->tail += n;
}

void bytering_rewind(struct bytering *r)
{
	if (r->tail == r->head)
		r->base = r->head;
}
