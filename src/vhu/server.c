/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "vhu/server.h"

#include <errno.h>
#include <poll.h>

#include "clock.h"
#include "fd.h"
#include "log.h"
#include "vhu/backend-handover.h"

static int begin_session(struct vhu_server *s, int fd);

static void settle(struct vhu_server *s)
{
	if (s->closing && !s->session && !s->listening)
		s->closed(s);
}

static void session_closed(struct vhu_backend *b, void *arg)
{
	struct vhu_server *s = arg;

	vhu_backend_free(b);
	s->session = NULL;
	if (s->closing) {
		settle(s);
		return;
	}
	if (s->next_fd >= 0) {
		begin_session(s, fd_take(&s->next_fd));
	} else if (!s->listening) {
		share_fini(&s->share); /* it may be freed from here on */
		s->finished(s);
	}
}

static int begin_session(struct vhu_server *s, int fd)
{
	int err = vhu_backend_new(s->loop, s->dev, fd, &s->options, session_closed, s, &s->session);

	if (err < 0)
		log_errno(LOG_LEVEL_ERROR, s->options.who, err, "cannot serve the front-end");
	else
		vhu_log_limited(&s->limits.sessions, LOG_LEVEL_INFO, s->options.who,
				"a front-end is connected");
	return err;
}

/* A front-end that died has hung up, even if its end has not reached the session yet. */
static bool session_is_over(const struct vhu_backend *b)
{
	struct pollfd p = { .fd = b->conn.fd, .events = POLLRDHUP };

	return b->closing || (poll(&p, 1, 0) > 0 && (p.revents & (POLLHUP | POLLRDHUP | POLLERR)));
}

static void turn_away(struct vhu_server *s, int fd)
{
	fd_close(fd);
	vhu_log_limited(&s->limits.warnings, LOG_LEVEL_WARNING, s->options.who,
			"a second front-end was turned away: one at a time");
}

static void take_connection(struct vhu_server *s, int fd)
{
	if (s->options.admits && !s->options.admits(s->options.admits_arg, fd)) {
		fd_close(fd);
	} else if (!s->session) {
		begin_session(s, fd);
	} else if (s->next_fd < 0 && session_is_over(s->session)) {
		s->next_fd = fd;
	} else {
		turn_away(s, fd);
	}
}

static void accepted(struct listener *l, int fd)
{
	struct vhu_server *s = container_of(l, struct vhu_server, listener);
	uint64_t begin = monotonic_ns();

	take_connection(s, fd);
	share_charge_since(&s->share, begin, SHARE_CONNECT_NS);
	listener_hold(l, share_rests(&s->share));
}

static void rested(struct share *share)
{
	struct vhu_server *s = container_of(share, struct vhu_server, share);

	if (s->listening)
		listener_hold(&s->listener, false);
	if (s->session)
		vhu_backend_rested(s->session);
}

/* A Unix stream socket that listens (1) or is connected (0); else -errno. */
/* seccomp: getsockopt getpeername poll ppoll */
static int kind_of(int fd)
{
	struct sockaddr_un peer;
	socklen_t len = sizeof(int), peer_len = sizeof(peer);
	int listens, domain, type;

	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) < 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) < 0)
		return -errno;
	if (domain != AF_UNIX || type != SOCK_STREAM)
		return -EPROTOTYPE;
	if (!listens && getpeername(fd, (struct sockaddr *)&peer, &peer_len) < 0)
		return -errno;
	return listens != 0;
}

static void init(struct vhu_server *s, struct loop *loop, struct vdev *dev,
		 const struct vhu_backend_options *options, void (*finished)(struct vhu_server *s))
{
	*s = (struct vhu_server){
		.loop = loop,
		.dev = dev,
		.options = *options,
		.next_fd = -1,
		.finished = finished,
	};
	s->options.limits = &s->limits;
	s->options.share = &s->share;
	share_init(&s->share, loop, rested);
}

int vhu_server_start(struct vhu_server *s, struct loop *loop, struct vdev *dev, int fd,
		     const char *path, const struct vhu_backend_options *options,
		     void (*finished)(struct vhu_server *s))
{
	int listens = kind_of(fd);

	if (listens < 0) {
		fd_close(fd);
		return listens;
	}
	init(s, loop, dev, options, finished);
	s->listening = listens != 0;
	if (listens)
		listener_start(&s->listener, loop, fd, path, s->options.who, accepted);
	else
		return begin_session(s, fd);
	return 0;
}

/* Another process. */

enum { TAG_LISTENER = 1, TAG_HAS_PATH, TAG_SESSION };

void vhu_server_save(const struct vhu_server *s, struct handover_out *out, unsigned int tag)
{
	struct state_writer *w = &out->state;

	if (s->closing || s->next_fd >= 0)
		handover_busy(out, "%s: a session is about to end", s->options.who);
	state_begin_group(w, tag);
	handover_put_fd(out, TAG_LISTENER, s->listening ? s->listener.fd : -1);
	state_put_number(w, TAG_HAS_PATH, s->listening && s->listener.path[0] != '\0');
	if (s->session)
		vhu_backend_save(s->session, out, TAG_SESSION);
	state_end(w);
}

int vhu_server_load(struct vhu_server *s, struct loop *loop, struct vdev *dev,
		    struct handover_in *in, unsigned int tag, const char *path,
		    const struct vhu_backend_options *options,
		    void (*finished)(struct vhu_server *s))
{
	int err = 0, fd;
	bool has_path;

	init(s, loop, dev, options, finished);
	if (!state_enter(&in->state, tag, "front-end"))
		return 0;
	fd = handover_take_fd(in, TAG_LISTENER, "listener", false);
	has_path = state_take_flag(&in->state, TAG_HAS_PATH, "has a path");
	s->listening = fd >= 0;
	if (s->listening)
		listener_start(&s->listener, loop, fd, has_path ? path : NULL, s->options.who,
			       accepted);
	if (state_has(&in->state, TAG_SESSION))
		err = vhu_backend_load(loop, dev, in, TAG_SESSION, &s->options, session_closed, s,
				       &s->session);
	state_leave(&in->state);
	return err;
}

static void listener_closed(struct listener *l)
{
	struct vhu_server *s = container_of(l, struct vhu_server, listener);

	s->listening = false;
	settle(s);
}

void vhu_server_close(struct vhu_server *s, void (*closed)(struct vhu_server *s))
{
	s->closing = true;
	s->closed = closed;
	s->next_fd = fd_close(s->next_fd);
	share_fini(&s->share);
	if (s->session)
		vhu_backend_close(s->session, LOG_LEVEL_INFO, NULL);
	if (s->listening)
		listener_close(&s->listener, listener_closed);
	settle(s);
}
