/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Bounded ring of bytes addressed by positions in the stream. Positions are 64
 * bits wide and never reduced, so a reader can keep its own and see how far it
 * fell behind; at a terabyte a second they last for months.
 */
#ifndef VHU_BYTERING_H
#define VHU_BYTERING_H

#include "base.h"

#include <sys/uio.h>

/*
 * Bytes tail..head are in the ring: byte p at buf[(p - base) & (size - 1)].
 * head - tail <= size.
 */
struct bytering {
	uint8_t *buf;
	size_t size;   /* power of two */
	uint64_t base; /* where the buffer begins; see bytering_rewind() */
	uint64_t head;
	uint64_t tail;
	bool lent; /* the buffer is the caller's */
};

/*
 * An empty ring at position 0. Pages are touched only as bytes arrive. Zero,
 * -EINVAL when size is no power of two, or -ENOMEM; untouched on failure.
 */
int bytering_init(struct bytering *r, size_t size);

/* The same in a buffer of the caller's, which outlives the ring; what it had is freed. */
void bytering_lend(struct bytering *r, void *buf, size_t size);

/* Frees the buffer. An all-zero ring is allowed, as is calling it twice. */
void bytering_fini(struct bytering *r);

/* Bytes in the ring. */
size_t bytering_used(const struct bytering *r);

/* Bytes that still fit. */
size_t bytering_room(const struct bytering *r);

/* Appends as much of data as fits and returns how many bytes that was. */
size_t bytering_put(struct bytering *r, const void *data, size_t len);

/*
 * Appends all of data; the oldest bytes go. When len exceeds the ring, its last
 * size bytes remain, and head has still moved by len. A reader whose position
 * fell behind tail lost bytes; an operation that reads from the ring's memory
 * meanwhile may see newer ones.
 */
void bytering_put_over(struct bytering *r, const void *data, size_t len);

/*
 * Moves the stream on by n bytes that nobody will ever read; what is in the
 * ring goes if n is not 0. For the start of something larger than the ring.
 */
void bytering_skip_over(struct bytering *r, uint64_t n);

/*
 * The contiguous free bytes at head: *ret_seg and their count, 0 when full.
 * They stay where they are until bytering_commit(), so an operation may fill
 * them; nobody else may put meanwhile.
 */
size_t bytering_free_segment(struct bytering *r, void **ret_seg);

/* The first n bytes of the free segment hold data now. */
void bytering_commit(struct bytering *r, size_t n);

/* Describes tail..head in order; returns how many of the two are used, 0 when empty. */
unsigned int bytering_data_iov(const struct bytering *r, struct iovec iov[2]);

/*
 * Copies up to len bytes from position pos, which is in tail..head, to buf and
 * returns how many. Consumes nothing.
 */
size_t bytering_copy_at(const struct bytering *r, uint64_t pos, void *buf, size_t len);

/* Drops the n oldest bytes; n is at most bytering_used(). */
void bytering_consume(struct bytering *r, size_t n);

/*
 * An empty ring goes on at the front of its buffer, so that little traffic
 * touches few pages. Nobody may be filling a free segment.
 */
void bytering_rewind(struct bytering *r);

#endif
