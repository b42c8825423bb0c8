/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * One direction of a connection on the loop: what one socket gives goes to
 * another, with its descriptors, and whoever listens is told of each message.
 *
 * Nothing is held back: what is there goes on, whether the message is whole or
 * not. Linux lets one recvmsg() return the end of a message and the beginning of
 * the next one, descriptors and all. So no read goes beyond the header or the
 * payload that it is in, and no descriptor is taken for another message's.
 */
#ifndef VHU_TRACE_RELAY_H
#define VHU_TRACE_RELAY_H

#include "loop.h"
#include "trace/record.h"
#include "vhu/proto.h"

struct relay;

enum {
	RELAY_BYTES = VHU_HDR_LEN + VHU_MAX_PAYLOAD, /* of the longest message */
	RELAY_CONTROL = CMSG_SPACE(TRACE_MAX_FDS * sizeof(int)),
};

/* Bytes with the descriptors that came with them; all lent. */
struct relay_piece {
	const uint8_t *bytes;
	size_t len;
	const int *fds;
	size_t n_fds; /* at most TRACE_MAX_FDS */
};

enum relay_end {
	RELAY_END,	/* nothing more comes, and all of it has gone on */
	RELAY_UNWANTED, /* who should take it has closed */
	RELAY_NO_FDS,	/* descriptors were lost: no more can be opened */
	RELAY_FAILED,	/* otherwise; err says how */
};

struct relay_ops {
	/* A whole message, before its last bytes go on. */
	void (*message)(struct relay *r, const struct relay_piece *piece);

	/* Bytes that are none: framing is lost from here on, or the end came within a message. */
	void (*raw)(struct relay *r, const struct relay_piece *piece);

	/* Once, and the last word. Close it. */
	void (*ended)(struct relay *r, enum relay_end how, int err);
};

struct relay {
	const struct relay_ops *ops;
	struct scope scope;
	struct op readable, writable;
	void (*closed)(struct relay *r);
	int from, to; /* lent */
	bool lost;    /* framing is */
	bool told;    /* what is in bytes is a unit that ops has heard of */
	bool at_end;  /* nothing more comes */
	bool hasty;   /* ends as soon as nothing is there */
	bool over;    /* ended() was called */

	/* The message under way, or other bytes: read, and sent of that. */
	uint8_t bytes[RELAY_BYTES];
	size_t n_read, n_sent;
	/* Its descriptors, owned until it is whole and has gone on. */
	int fds[2 * TRACE_MAX_FDS];
	size_t n_fds, n_fds_sent;
	/* If not 0: from this byte on, descriptors from split_fds on go with it. */
	size_t split_at, split_fds;
	int instead; /* goes on in place of descriptor instead_idx; -1: none */
	size_t instead_idx;
	_Alignas(struct cmsghdr) char control[RELAY_CONTROL];
};

/* Both sockets are lent and stay until it is closed. It begins with relay_start(). */
void relay_init(struct relay *r, struct loop *loop, int from, int to, const struct relay_ops *ops);

/* May call back at once. */
void relay_start(struct relay *r);

/*
 * From within message(): fd (taken) goes on in the place of descriptor idx.
 * False: that one has gone on already; fd is closed.
 */
bool relay_replace_fd(struct relay *r, size_t idx, int fd);

/* Takes what is there and still can go on, then ends. May call back at once. */
void relay_finish(struct relay *r);

/* Calls closed, always later; ended() is not called any more. */
void relay_close(struct relay *r, void (*closed)(struct relay *r));

#endif
