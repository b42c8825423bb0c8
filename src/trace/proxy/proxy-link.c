/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "fd.h"
#include "trace/proxy/proxy-private.h"
#include "vhu/codec.h"

static const char *const side_names[] = {
	[TRACE_TO_BACKEND] = "back-end",
	[TRACE_TO_FRONTEND] = "front-end",
};

static struct proxy_way *way_of(struct relay *r)
{
	return container_of(r, struct proxy_way, relay);
}

static enum trace_dir other(enum trace_dir dir)
{
	return dir == TRACE_TO_BACKEND ? TRACE_TO_FRONTEND : TRACE_TO_BACKEND;
}

static void tell_piece(const struct proxy_way *way, enum trace_kind kind,
		       const struct relay_piece *piece)
{
	struct fd_about fds[TRACE_MAX_FDS];
	size_t n_fds = 0;
	struct trace_record record = {
		.kind = kind,
		.dir = way->dir,
		.channel = way->link->channel,
		.bytes = piece->bytes,
		.len = piece->len,
		.fds = fds,
	};

	for (size_t i = 0; i < piece->n_fds; i++)
		if (fd_describe(piece->fds[i], &fds[n_fds]))
			n_fds++;
	record.n_fds = n_fds;
	proxy_tell(way->link->session, &record);
}

/* The back-end's channel */

static bool is_stream_socket(int fd)
{
	int type;
	socklen_t len = sizeof(type);

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_STREAM;
}

static bool brings_channel(const struct proxy_way *way, const struct relay_piece *piece)
{
	struct vhu_msg msg;

	vhu_header_parse(piece->bytes, &msg);
	return way->link->session->proxy->options.channel && !way->link->channel &&
	       way->dir == TRACE_TO_BACKEND && msg.id == VHU_FE_SET_BACKEND_REQ_FD &&
	       piece->n_fds == 1 && is_stream_socket(piece->fds[0]);
}

/* The back-end gets one end of a pair of ours, so that the channel passes through here. */
static int open_channel(struct proxy_way *way, int theirs)
{
	struct proxy_session *s = way->link->session;
	AUTO_FD int front = fcntl(theirs, F_DUPFD_CLOEXEC, 0);
	int pair[2];

	if (front < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	if (!relay_replace_fd(&way->relay, 0, pair[1])) {
		fd_close(pair[0]);
		return -EALREADY;
	}
	proxy_tell(s, &(struct trace_record){ .kind = TRACE_CHANNEL, .channel = true });
	return proxy_link_open(s, fd_take(&front), pair[0], true);
}

static void on_message(struct relay *r, const struct relay_piece *piece)
{
	struct proxy_way *way = way_of(r);
	int err = 0;

	tell_piece(way, TRACE_MESSAGE, piece);
	if (!way->link->channel)
		proxy_session_message(way->link->session, piece);
	if (brings_channel(way, piece))
		err = open_channel(way, piece->fds[0]);
	if (err < 0)
		proxy_note(way->link->session, false, "the back-end's channel passes unseen: %s",
			   strerror(-err));
}

static void on_raw(struct relay *r, const struct relay_piece *piece)
{
	tell_piece(way_of(r), TRACE_RAW, piece);
}

/* The end */

static void tell_end(struct proxy_way *way, const char *why)
{
	struct trace_record record = {
		.kind = TRACE_END,
		.dir = way->dir,
		.channel = way->link->channel,
		.text = why,
	};

	if (way->told_end)
		return;
	way->told_end = true;
	proxy_tell(way->link->session, &record);
}

static void way_closed(struct relay *r)
{
	struct proxy_link *link = way_of(r)->link;
	struct proxy_session *s = link->session;

	if (--link->n_open > 0)
		return;
	link->front = fd_close(link->front);
	link->back = fd_close(link->back);
	list_remove(&link->node);
	free(link);
	proxy_session_part_closed(s);
}

void proxy_link_close(struct proxy_link *link, const char *why)
{
	struct proxy_session *s = link->session;

	if (link->closing)
		return;
	link->closing = true;
	if (!link->channel) { /* the last word is the main socket's */
		proxy_session_look(s, TRACE_FINISH);
		proxy_session_close(s, why);
	}
	for (unsigned int i = 0; i < ARRAY_SIZE(link->way); i++) {
		tell_end(&link->way[i], why);
		relay_close(&link->way[i].relay, way_closed);
	}
	/* Known there at once: the next front-end may be connected before all is closed. */
	if (!link->channel)
		shutdown(link->back, SHUT_RDWR);
}

/* Whether nothing can be sent there any more, either. */
static bool has_hung_up(int fd)
{
	struct pollfd p = { .fd = fd };

	return poll(&p, 1, 0) > 0 && (p.revents & (POLLHUP | POLLERR));
}

/* A side sends no more. Half of a connection may go on without the other. */
static void side_closed(struct proxy_way *way)
{
	struct proxy_way *back = &way->link->way[other(way->dir)];
	bool gone = has_hung_up(way->relay.from);
	char why[32];

	tell_end(way, "");
	snprintf(why, sizeof(why), "the %s is gone", side_names[back->dir]);
	if (back->told_end || gone) {
		proxy_link_close(way->link, why);
		return;
	}
	shutdown(way->relay.to, SHUT_WR);
}

static void on_ended(struct relay *r, enum relay_end how, int err)
{
	struct proxy_way *way = way_of(r);
	struct proxy_way *back = &way->link->way[other(way->dir)];
	char why[64];

	snprintf(why, sizeof(why), "the %s is gone", side_names[way->dir]);
	if (how == RELAY_END && !way->relay.hasty) {
		side_closed(way);
		return;
	}
	if (how == RELAY_END) { /* the last words of who is gone */
		tell_end(way, "");
		snprintf(why, sizeof(why), "the %s is gone", side_names[back->dir]);
		proxy_link_close(way->link, why);
		return;
	}
	if (how == RELAY_UNWANTED) {
		tell_end(way, why);
		if (back->told_end)
			proxy_link_close(way->link, why);
		else
			relay_finish(&back->relay);
		return;
	}
	if (how == RELAY_NO_FDS)
		snprintf(why, sizeof(why), "descriptors were lost: %s", strerror(EMFILE));
	else
		snprintf(why, sizeof(why), "cannot pass on: %s", strerror(-err));
	proxy_note(way->link->session, way->link->channel, "%s", why);
	proxy_link_close(way->link, why);
}

void proxy_link_check(struct proxy_link *link)
{
	if (!link->closing && has_hung_up(link->front))
		relay_finish(&link->way[TRACE_TO_BACKEND].relay);
}

static const struct relay_ops relay_ops = {
	.message = on_message,
	.raw = on_raw,
	.ended = on_ended,
};

static void init_way(struct proxy_link *link, enum trace_dir dir, int from, int to)
{
	struct proxy_way *way = &link->way[dir];

	way->link = link;
	way->dir = dir;
	relay_init(&way->relay, link->session->proxy->loop, from, to, &relay_ops);
	link->n_open++;
}

int proxy_link_open(struct proxy_session *s, int front, int back, bool channel)
{
	struct proxy_link *link = calloc(1, sizeof(*link));

	if (!link) {
		fd_close(front);
		fd_close(back);
		return -ENOMEM;
	}
	link->session = s;
	link->channel = channel;
	link->front = front;
	link->back = back;
	init_way(link, TRACE_TO_BACKEND, front, back);
	init_way(link, TRACE_TO_FRONTEND, back, front);
	list_append(&s->links, &link->node);
	s->n_open++;
	relay_start(&link->way[TRACE_TO_BACKEND].relay);
	relay_start(&link->way[TRACE_TO_FRONTEND].relay);
	return 0;
}
