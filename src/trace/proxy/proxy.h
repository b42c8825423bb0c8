/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Stands between front-ends that connect to one socket and a back-end that
 * listens on another. Bytes and descriptors pass as they are, message by
 * message; but for the socket of SET_BACKEND_REQ_FD, whose place one of our own
 * takes, so that the channel is seen. Rings and buffers never pass through here.
 */
#ifndef VHU_TRACE_PROXY_H
#define VHU_TRACE_PROXY_H

#include "loop.h"
#include "trace/record.h"

struct proxy;

enum proxy_rings {
	PROXY_RINGS_NONE,  /* guest memory is not mapped */
	PROXY_RINGS_ASKED, /* pictures when proxy_look() is called */
	PROXY_RINGS_ALL,   /* when something happens in a ring, too */
};

struct proxy_options {
	const char *listen;  /* a path, or "@name" in the abstract namespace */
	const char *connect; /* the same */
	int listen_fd;	     /* if not -1, instead of listen: taken */
	bool once;	     /* the first session that reaches the back-end is the only one */
	bool channel;	     /* look inside the back-end's channel */
	enum proxy_rings rings;
	unsigned int data; /* bytes of buffers in pictures */
};

/*
 * 0 or a negative errno, with a sentence in why. Runs on loop from then on; the
 * strings of options and the sink are lent.
 */
int proxy_new(struct loop *loop, const struct proxy_options *options, struct trace_sink *sink,
	      struct proxy **ret_proxy, char *ret_why, size_t why_cap);

/* A picture of every ring there is, now. */
void proxy_look(struct proxy *p);

/* Ends all sessions, then calls ended(arg); also called by itself after the only session. */
void proxy_close(struct proxy *p);

/* Before the loop runs. */
void proxy_on_end(struct proxy *p, void (*ended)(void *arg), void *arg);

/* After ended(), or when the loop never ran. NULL is allowed. */
void proxy_free(struct proxy *p);

#endif
