/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The parts of the proxy: sessions, and the connections that they pass on. */
#ifndef VHU_TRACE_PROXY_PRIVATE_H
#define VHU_TRACE_PROXY_PRIVATE_H

#include "listener.h"
#include "trace/proxy/proxy.h"
#include "trace/proxy/relay.h"
#include "trace/proxy/rings.h"

enum { PROXY_WHY_MAX = 256 };

struct proxy_session;

struct proxy_link;

struct proxy_way {
	struct relay relay;
	struct proxy_link *link;
	enum trace_dir dir;
	bool told_end; /* TRACE_END was */
};

/* A connection with both directions: the main socket, or the back-end's channel. */
struct proxy_link {
	struct list_node node; /* in session->links */
	struct proxy_session *session;
	bool channel;
	int front, back;	 /* owned */
	struct proxy_way way[2]; /* by enum trace_dir */
	bool closing;
	unsigned int n_open; /* ways that are not closed yet */
};

struct proxy_session {
	struct list_node node; /* in proxy->sessions */
	struct proxy *proxy;
	uint32_t number;
	int front;   /* owned until the main link has it */
	bool counts; /* the back-end was reached */
	struct scope scope;
	struct timer patience; /* the back-end has no room for a connection now */
	unsigned int n_tries;
	struct list_node links;
	struct trace_rings *rings; /* NULL: they are not looked at */
	bool closing;
	unsigned int n_open; /* parts that are not closed yet */
};

struct proxy {
	struct loop *loop;
	struct proxy_options options;
	struct trace_sink *sink;
	struct listener listener;
	bool listening;
	uint32_t n_sessions; /* ever */
	struct list_node sessions;
	bool closing, has_ended;
	void (*ended)(void *arg);
	void *ended_arg;
};

/* proxy-link.c: takes both sockets. 0, or -ENOMEM and they are closed. May end at once. */
int proxy_link_open(struct proxy_session *s, int front, int back, bool channel);

/* Ends it if it has not ended yet; why: for sides that have not closed by themselves. */
void proxy_link_close(struct proxy_link *link, const char *why);

/* If the front-end has gone already, does what there is to do about it. */
void proxy_link_check(struct proxy_link *link);

/* proxy-session.c: takes fd. 0, or -ENOMEM and fd is closed. */
int proxy_session_open(struct proxy *p, int fd);
void proxy_session_close(struct proxy_session *s, const char *why);

/*
 * Another front-end has come: if this one's has gone, the back-end is told now.
 * Many take one at a time, and who is next must not be too early.
 */
void proxy_session_check(struct proxy_session *s);

/* A message of the main socket, before it goes on. */
void proxy_session_message(struct proxy_session *s, const struct relay_piece *piece);

/* Pictures of its rings, if they are wanted for this cause. */
void proxy_session_look(struct proxy_session *s, enum trace_cause cause);

/* A part that close had to wait for is gone. */
void proxy_session_part_closed(struct proxy_session *s);

/* Tells a record of this session; the rest of it is filled in. */
void proxy_tell(const struct proxy_session *s, struct trace_record *record);
PRINTF_LIKE(3, 4)
void proxy_note(const struct proxy_session *s, bool channel, const char *fmt, ...);

/* proxy.c: the session is gone. */
void proxy_session_gone(struct proxy *p, bool counts);

#endif
