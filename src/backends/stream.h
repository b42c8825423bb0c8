/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A duplex byte stream over one or two descriptors, for every backend: one
 * read and one write in flight, so order is kept and a slow end is felt.
 *
 * Output is copied into a buffer of the stream's own before it is written: the
 * port's ring may overwrite its oldest bytes while a write is under way, and a
 * pending write sends whatever the buffer holds by then.
 */
#ifndef VHU_BACKENDS_STREAM_H
#define VHU_BACKENDS_STREAM_H

#include "handover.h"
#include "loop.h"

struct stream;

enum {
	STREAM_OUT_MIN = 4 * 1024, /* of the buffer at first; it grows with what fills it */
	STREAM_OUT_SIZE = 64 * 1024,
};

struct stream_ops {
	/* Where input may go; the space stays until input() or close. 0: none now. */
	size_t (*input_space)(struct stream *s, void **ret_buf);

	/* len bytes have come into that space. */
	void (*input)(struct stream *s, size_t len);

	/* Input has ended: err 0 at the end of the stream, else -errno. Not told twice. */
	void (*input_ended)(struct stream *s, int err);

	/* Copies up to cap (STREAM_OUT_MIN at least) bytes to be written into buf; 0: none. */
	size_t (*output)(struct stream *s, void *buf, size_t cap);

	/* Writing has failed for good. */
	void (*output_failed)(struct stream *s, int err);

	/* All output is written; after stream_write_now(), that more may go. */
	void (*drained)(struct stream *s);

	/* In bulk: input, and not its end, is there for stream_read_now(). May be NULL without
	 * bulk. */
	void (*readable)(struct stream *s);

	/*
	 * Of a stream that is recorded: reads into the input space, or writes, what goes
	 * without waiting. As read(2) and write(2), with -errno.
	 */
	ssize_t (*recorded_read)(struct stream *s);
	ssize_t (*recorded_write)(struct stream *s, const void *buf, size_t len);
	/* After stream_halt(): nothing is being read any more. May be NULL without that. */
	void (*halted)(struct stream *s);
};

struct stream {
	const struct stream_ops *ops;
	struct scope scope;
	int in_fd, out_fd; /* may be the same */
	struct op rd, wr;
	struct timer rest;	     /* between writes to a socket that half_closed is true of */
	struct timer nap;	     /* in bulk, until more has gathered */
	bool rd_polling, wr_polling; /* the op waits for readiness */
	bool filling, refill;	     /* output() is being asked; it has more since */
	bool input_over, output_over;
	bool half_closed; /* the peer sends no more, and that is all that a poll tells */
	bool bulk;	  /* input is waited for and not read: see stream_read_now() */
	bool input_paused;
	bool recorded; /* its owner transfers by itself when that goes; set it before the first */
	bool halting;
	uint8_t *out;
	size_t out_size;
	size_t out_len, out_done; /* of the chunk under way */
	void (*closed)(struct stream *s);
};

/*
 * Lends the descriptors, which stay open until closed() was called; negative:
 * that direction does not exist. Returns 0 or -ENOMEM.
 */
int stream_init(struct stream *s, struct loop *loop, int in_fd, int out_fd,
		const struct stream_ops *ops);

/* Reads if there is space and nothing is being read. */
void stream_read(struct stream *s);

/*
 * Stops reading until stream_resume(), which also tries again after an end of
 * input; bytes that came already are still given.
 */
void stream_pause(struct stream *s);
void stream_resume(struct stream *s);

/*
 * Ends the read under way; bytes that came already are still given. True if
 * nothing is being read, else halted() tells. input_space() keeps it that way.
 */
bool stream_halt(struct stream *s);

/* Its owner has found the end of input in what came: nothing more is read, or told of. */
void stream_end_input(struct stream *s);

/* Writes if there is output and nothing is being written. */
void stream_write(struct stream *s);
/* Whether something is on its way out. */
bool stream_writing(const struct stream *s);

/* Whether both directions are the same stream socket: what the two below need. */
bool stream_is_socket(const struct stream *s);

/*
 * Writes as much of n vectors as goes without waiting. All output before must
 * have been given to output() and written, or this is 0. If it is not all,
 * drained() tells when more may go.
 */
size_t stream_write_now(struct stream *s, const struct iovec *iov, unsigned int n);

/*
 * Reads as much into n vectors as is there; 0 if nothing is, or if it ended or
 * failed, as the next read will tell. Less than there was room for, or 0, goes
 * back to waiting by itself: for readable() while s->bulk, else for input().
 */
size_t stream_read_now(struct stream *s, const struct iovec *iov, unsigned int n);

/*
 * For a hand-over, as a group: what is on its way out, and which ends have been
 * seen. What was loaded into a stream that is new begins to go out; the owner
 * calls stream_write() and stream_read() then.
 */
void stream_save(const struct stream *s, struct handover_out *out, unsigned int tag);
void stream_load(struct stream *s, struct handover_in *in, unsigned int tag);

/* Cancels, waits, frees; calls closed later than this call. */
void stream_close(struct stream *s, void (*closed)(struct stream *s));

#endif
