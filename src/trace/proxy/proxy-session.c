/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "fd.h"
#include "trace/proxy/proxy-private.h"
#include "vhu/codec.h"

enum {
	TRIES = 500,
	TRY_AGAIN_NS = 10 * 1000 * 1000,
};

/* Telling. */

void proxy_tell(const struct proxy_session *s, struct trace_record *record)
{
	record->ns = realtime_ns();
	record->session = s->number;
	s->proxy->sink->take(s->proxy->sink, record);
}

void proxy_note(const struct proxy_session *s, bool channel, const char *fmt, ...)
{
	char text[PROXY_WHY_MAX];
	struct trace_record record = { .kind = TRACE_NOTE, .channel = channel, .text = text };
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	proxy_tell(s, &record);
}

void proxy_session_message(struct proxy_session *s, const struct relay_piece *piece)
{
	struct vhu_msg msg;

	if (!s->rings)
		return;
	vhu_msg_init(&msg, VHU_FE, 0);
	vhu_header_parse(piece->bytes, &msg);
	memcpy(msg.payload, piece->bytes + VHU_HDR_LEN, msg.size);
	msg.fds.n_fds = (unsigned int)min_size(piece->n_fds, FDSET_MAX);
	rings_message(s->rings, &msg, piece->fds, piece->n_fds);
}

void proxy_session_look(struct proxy_session *s, enum trace_cause cause)
{
	if (s->rings && (cause == TRACE_ASKED || s->proxy->options.rings == PROXY_RINGS_ALL))
		rings_look(s->rings, cause);
}

/* The end. */

void proxy_session_part_closed(struct proxy_session *s)
{
	struct proxy *p = s->proxy;
	bool counts = s->counts;

	if (--s->n_open > 0)
		return;
	fd_close(s->front);
	list_remove(&s->node);
	free(s);
	proxy_session_gone(p, counts);
}

static void rings_closed(void *arg)
{
	proxy_session_part_closed(arg);
}

static void timer_closed(struct scope *scope)
{
	proxy_session_part_closed(container_of(scope, struct proxy_session, scope));
}

/* Its end is not told by a link: it has never had one. */
static void tell_no_link(const struct proxy_session *s, const char *why)
{
	for (unsigned int dir = 0; dir < 2; dir++) {
		struct trace_record record = {
			.kind = TRACE_END,
			.dir = (enum trace_dir)dir,
			.text = why,
		};

		proxy_tell(s, &record);
	}
}

void proxy_session_close(struct proxy_session *s, const char *why)
{
	struct list_node *node, *tmp;

	if (s->closing)
		return;
	s->closing = true;
	if (s->front >= 0)
		tell_no_link(s, why);
	list_for_each (node, tmp, &s->links)
		proxy_link_close(list_entry(node, struct proxy_link, node), why);
	if (s->rings)
		rings_close(s->rings, rings_closed, s);
	s->rings = NULL;
	scope_cancel(&s->scope, timer_closed);
}

void proxy_session_check(struct proxy_session *s)
{
	struct list_node *node, *tmp;

	list_for_each (node, tmp, &s->links) {
		struct proxy_link *link = list_entry(node, struct proxy_link, node);

		if (!link->channel)
			proxy_link_check(link);
	}
}

/* The beginning. */

/* Nobody serves this front-end. */
static void turn_away(struct proxy_session *s, int err)
{
	proxy_note(s, false, "cannot connect to %s: %s", s->proxy->options.connect, strerror(-err));
	proxy_session_close(s, "the back-end cannot be reached");
}

/* A socket, or a negative errno. */
static int connect_to(const char *connect_name)
{
	AUTO_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un addr;
	socklen_t len;

	if (fd < 0)
		return -errno;
	if (!fd_unix_address(connect_name, &addr, &len))
		return -ENAMETOOLONG;
	if (connect(fd, (const struct sockaddr *)&addr, len) < 0)
		return -errno;
	return fd_take(&fd);
}

static void try_connect(struct proxy_session *s)
{
	int fd = connect_to(s->proxy->options.connect);
	int err;

	if (fd == -EAGAIN && s->n_tries++ < TRIES) { /* its queue is full */
		timer_arm(&s->patience, TRY_AGAIN_NS);
		return;
	}
	if (fd < 0) {
		turn_away(s, fd);
		return;
	}
	s->counts = true;
	err = proxy_link_open(s, fd_take(&s->front), fd, false);
	if (err < 0)
		turn_away(s, err);
}

static void patience_done(struct op *op, int res)
{
	struct proxy_session *s = container_of(op, struct proxy_session, patience.op);

	(void)res;
	if (!scope_cancelling(&s->scope))
		try_connect(s);
}

static void make_rings(struct proxy_session *s)
{
	const struct proxy_options *o = &s->proxy->options;
	const struct trace_rings_options options = {
		.pictures = o->rings == PROXY_RINGS_ALL,
		.data = o->data,
	};

	if (o->rings == PROXY_RINGS_NONE)
		return;
	s->rings = rings_new(s->proxy->loop, s->proxy->sink, s->number, &options);
	if (s->rings)
		s->n_open++;
	else
		proxy_note(s, false, "rings are not looked at: %s", strerror(ENOMEM));
}

int proxy_session_open(struct proxy *p, int fd)
{
	struct proxy_session *s = calloc(1, sizeof(*s));
	struct trace_record record = {
		.kind = TRACE_OPEN,
		.text = p->options.listen ? p->options.listen : "an inherited socket",
	};

	if (!s) {
		fd_close(fd);
		return -ENOMEM;
	}
	s->proxy = p;
	s->number = ++p->n_sessions;
	s->front = fd;
	s->n_open = 1; /* the timer */
	scope_init(&s->scope, p->loop);
	timer_init(&s->patience, &s->scope, patience_done);
	list_init(&s->links);
	list_append(&p->sessions, &s->node);
	proxy_tell(s, &record);
	make_rings(s);
	try_connect(s);
	return 0;
}
