/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What can be seen of a session from outside, as it happens: the one thing that
 * sources (a proxy, a capture, a daemon from inside) make and that views and
 * captures take. What it means is story.h's.
 */
#ifndef VHU_TRACE_RECORD_H
#define VHU_TRACE_RECORD_H

#include "fdkind.h"
#include "virtio/picture.h"

enum trace_kind {
	TRACE_OPEN,    /* a front-end has connected; text: where */
	TRACE_MESSAGE, /* bytes are one message, header included */
	TRACE_RAW,     /* bytes that make none: framing is lost, or the end came too early */
	TRACE_CHANNEL, /* the back-end's channel is open from here on */
	TRACE_END,     /* who sends in direction dir has closed; text: why, or "" */
	TRACE_NOTE,    /* text: the tracer's own words */
	TRACE_RING,    /* a picture */
	TRACE_N_KINDS,
};

enum trace_dir {
	TRACE_TO_BACKEND,
	TRACE_TO_FRONTEND,
};

/* Why a picture was taken. */
enum trace_cause {
	TRACE_KICK,
	TRACE_CALL,
	TRACE_USED,   /* chains were returned */
	TRACE_ASKED,  /* by the user */
	TRACE_BEGIN,  /* the ring was started */
	TRACE_FINISH, /* the ring was stopped, or the session ended */
	TRACE_N_CAUSES,
};

enum {
	TRACE_MAX_FDS = 253,	  /* that the kernel takes at once */
	TRACE_MAX_RAW = 64 << 10, /* bytes of one raw record */
	TRACE_MAX_TEXT = 1024,
};

/* Everything is lent. Members that a kind does not name are 0. */
struct trace_record {
	enum trace_kind kind;
	uint64_t ns;	  /* since 1970, UTC */
	uint32_t session; /* from 1 */
	enum trace_dir dir;
	bool channel; /* on the back-end's channel, not the main socket */

	const uint8_t *bytes; /* MESSAGE, RAW */
	size_t len;
	const struct fd_about *fds; /* that came with these bytes */
	size_t n_fds;

	const char *text; /* OPEN, END, NOTE; never NULL there */

	uint32_t ring; /* RING */
	enum trace_cause cause;
	const struct ring_picture *picture;
};

/* Takes records, one after the other. */
struct trace_sink {
	void (*take)(struct trace_sink *sink, const struct trace_record *record);
};

/* "kick", ... */
const char *trace_cause_name(enum trace_cause cause);

#endif
