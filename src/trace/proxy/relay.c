/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "trace/proxy/relay.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "fd.h"
#include "vhu/codec.h"

enum {
	TURN = 32,   /* messages in a row, then others have their turn */
	LAST = 4096, /* messages that are taken from who is in a hurry to end */
};

static void drop_fds(struct relay *r)
{
	for (size_t i = 0; i < r->n_fds; i++)
		fd_close(r->fds[i]);
	r->n_fds = r->n_fds_sent = r->split_fds = 0;
	r->instead = fd_close(r->instead);
}

static void end(struct relay *r, enum relay_end how, int err)
{
	if (r->over)
		return;
	r->over = true;
	r->ops->ended(r, how, err);
}

/* Telling. */

static struct relay_piece all_of_it(const struct relay *r)
{
	return (struct relay_piece){
		.bytes = r->bytes,
		.len = r->n_read,
		.fds = r->fds,
		.n_fds = min_size(r->n_fds, TRACE_MAX_FDS),
	};
}

static void tell_raw(struct relay *r)
{
	struct relay_piece piece = all_of_it(r);

	r->told = true;
	r->ops->raw(r, &piece);
}

static void tell_message(struct relay *r)
{
	struct relay_piece piece = all_of_it(r);

	r->told = true;
	r->ops->message(r, &piece);
}

bool relay_replace_fd(struct relay *r, size_t idx, int fd)
{
	if (idx < r->n_fds_sent || idx >= r->n_fds) {
		fd_close(fd);
		return false;
	}
	fd_close(r->instead);
	r->instead = fd;
	r->instead_idx = idx;
	return true;
}

/* Reading. */

/* Takes over descriptors that came from the byte at on; there is room for them. */
static void keep_fds(struct relay *r, struct msghdr *hdr, size_t at)
{
	size_t n_before = r->n_fds;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(hdr); c; c = CMSG_NXTHDR(hdr, c)) {
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		memcpy(r->fds + r->n_fds, CMSG_DATA(c), n * sizeof(int));
		r->n_fds += n;
	}
	/* Bytes before them that wait to go on came in another message of the sender's. */
	if (r->n_fds > n_before && at > r->n_sent) {
		r->split_at = at;
		r->split_fds = n_before;
	}
}

/* At most len bytes more. How many came; 0: the end; or a negative errno. */
static ssize_t receive(struct relay *r, size_t len)
{
	struct iovec iov = { r->bytes + r->n_read, len };
	struct msghdr hdr = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = r->control,
		.msg_controllen = sizeof(r->control),
	};
	size_t at = r->n_read;
	ssize_t n;

	do {
		n = recvmsg(r->from, &hdr, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	r->n_read += (size_t)n;
	keep_fds(r, &hdr, at);
	return hdr.msg_flags & MSG_CTRUNC ? -EMFILE : n;
}

/* What the unit under way lacks; 0: it is whole. */
static size_t n_missing(const struct relay *r)
{
	struct vhu_msg msg;

	if (r->lost)
		return r->told ? 0 : RELAY_BYTES - r->n_read;
	if (r->n_read < VHU_HDR_LEN)
		return VHU_HDR_LEN - r->n_read;
	vhu_header_parse(r->bytes, &msg);
	return VHU_HDR_LEN + (size_t)msg.size - r->n_read;
}

static bool header_is_nonsense(const struct relay *r)
{
	struct vhu_msg msg;

	return r->n_read == VHU_HDR_LEN && vhu_header_parse(r->bytes, &msg) < 0;
}

/* Something has come: tells if that makes a unit. False: read no further before it went on. */
static bool take_in(struct relay *r)
{
	if (!r->lost && header_is_nonsense(r))
		r->lost = true;
	if (r->lost)
		tell_raw(r);
	else if (n_missing(r) == 0)
		tell_message(r);
	return !r->told && r->split_at == 0 && r->n_fds <= TRACE_MAX_FDS;
}

/* Reads the rest of the unit as far as it is there. False: the relay has ended. */
static bool gather(struct relay *r, bool *ret_dry)
{
	ssize_t n;

	*ret_dry = false;
	do {
		n = receive(r, n_missing(r));
		if (n == -EAGAIN) {
			*ret_dry = true;
			return true;
		}
		if (n == -EMFILE) {
			end(r, RELAY_NO_FDS, (int)n);
			return false;
		}
		if (n <= 0) {
			/* A reset tells that the other end has closed, too: with bytes unread. */
			r->at_end = true;
			*ret_dry = true;
			if (n < 0 && n != -ECONNRESET)
				end(r, RELAY_FAILED, (int)n);
			return !r->over;
		}
	} while (take_in(r));
	return true;
}

/* Writing. */

/* Sends bytes up to to_byte, and descriptors up to to_fd with the first of them. */
static ssize_t send_part(struct relay *r, size_t to_byte, size_t to_fd)
{
	struct iovec iov = { r->bytes + r->n_sent, to_byte - r->n_sent };
	struct msghdr hdr = { .msg_iov = &iov, .msg_iovlen = 1 };
	size_t n_fds = to_fd - r->n_fds_sent;
	int fds[TRACE_MAX_FDS];
	ssize_t n;

	for (size_t i = 0; i < n_fds; i++)
		fds[i] = r->fds[r->n_fds_sent + i];
	if (r->instead >= 0 && r->instead_idx - r->n_fds_sent < n_fds)
		fds[r->instead_idx - r->n_fds_sent] = r->instead;
	if (n_fds > 0) {
		memset(r->control, 0, sizeof(r->control));
		fd_attach(&hdr, r->control, fds, n_fds);
	}
	do {
		n = sendmsg(r->to, &hdr, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

/* 0: all that was read has gone on; -EAGAIN: not now; or how it failed. */
static int forward(struct relay *r)
{
	while (r->n_sent < r->n_read) {
		bool split = r->split_at > r->n_sent;
		size_t to_fd = split ? r->split_fds : r->n_fds;
		ssize_t n = send_part(r, split ? r->split_at : r->n_read, to_fd);

		if (n < 0)
			return (int)n;
		r->n_sent += (size_t)n;
		r->n_fds_sent = to_fd;
	}
	r->split_at = 0;
	return 0;
}

/* The whole. */

/* All that was read has gone on: room for what comes. */
static void make_room(struct relay *r)
{
	if (r->told)
		r->n_read = r->n_sent = 0;
	if (r->told || r->n_fds > TRACE_MAX_FDS)
		drop_fds(r);
	r->told = false;
}

/* Whether more may be there at once. */
static bool pass_one(struct relay *r)
{
	bool dry;
	int err;

	if (r->n_sent == r->n_read) {
		if (!gather(r, &dry))
			return false;
		if (r->at_end && r->n_read > 0 && !r->told)
			tell_raw(r);
	} else {
		dry = r->at_end;
	}
	if (r->over)
		return false;
	err = forward(r);
	if (err == 0)
		make_room(r);
	if (err == -EAGAIN)
		op_poll(&r->writable, r->to, POLLOUT);
	else if (err == -EPIPE || err == -ECONNRESET)
		end(r, RELAY_UNWANTED, err);
	else if (err < 0)
		end(r, RELAY_FAILED, err);
	else if (dry && (r->at_end || r->hasty))
		end(r, RELAY_END, 0);
	else if (dry)
		op_poll(&r->readable, r->from, POLLIN);
	return err == 0 && !dry;
}

static void pump(struct relay *r)
{
	for (unsigned int i = 0; i < (r->hasty ? LAST : TURN); i++)
		if (!pass_one(r))
			return;
	if (r->hasty)
		end(r, RELAY_END, 0);
	else
		op_poll(&r->readable, r->from, POLLIN); /* ready at once, but after others */
}

static void on_readable(struct op *op, int res)
{
	struct relay *r = container_of(op, struct relay, readable);

	(void)res; /* what it is, the next read tells */
	if (!scope_cancelling(&r->scope) && !r->over && !op_armed(&r->writable))
		pump(r);
}

static void on_writable(struct op *op, int res)
{
	struct relay *r = container_of(op, struct relay, writable);

	(void)res;
	if (!scope_cancelling(&r->scope) && !r->over)
		pump(r);
}

void relay_init(struct relay *r, struct loop *loop, int from, int to, const struct relay_ops *ops)
{
	memset(r, 0, sizeof(*r));
	r->ops = ops;
	r->from = from;
	r->to = to;
	r->instead = -1;
	scope_init(&r->scope, loop);
	op_init(&r->readable, &r->scope, on_readable);
	op_init(&r->writable, &r->scope, on_writable);
}

void relay_start(struct relay *r)
{
	if (!r->over)
		pump(r);
}

void relay_finish(struct relay *r)
{
	if (r->over || r->hasty)
		return;
	r->hasty = true;
	if (!op_armed(&r->writable))
		pump(r);
}

static void scope_is_idle(struct scope *scope)
{
	struct relay *r = container_of(scope, struct relay, scope);

	drop_fds(r);
	r->closed(r);
}

void relay_close(struct relay *r, void (*closed)(struct relay *r))
{
	r->over = true;
	r->closed = closed;
	scope_cancel(&r->scope, scope_is_idle);
}
