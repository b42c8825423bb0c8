/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "vhu/frontend.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "clock.h"
#include "vhu/codec.h"
#include "vhu/frontend-iotlb.h"

/* More than a message may carry, so that a tester can send too many. */
enum { MAX_RAW_FDS = 253, MAX_WAIT = VHU_MAX_FD_RINGS + 1 };

union control {
	struct cmsghdr align;
	char space[CMSG_SPACE(MAX_RAW_FDS * sizeof(int))];
};

int vhu_frontend_fail(struct vhu_frontend *fe, int err, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(fe->error, sizeof(fe->error), fmt, args);
	va_end(args);
	return err;
}

static int fail_rule(struct vhu_frontend *fe, int err, const struct vhu_msg *msg,
		     enum vhu_rule rule)
{
	return vhu_frontend_fail(fe, err, "of %s that %s [%s: %s]", vhu_msg_name(msg->dir, msg->id),
				 vhu_rule_text(rule), vhu_rule_name(rule), vhu_rule_ref(rule));
}

bool vhu_frontend_has_protocol(const struct vhu_frontend *fe, unsigned int bit)
{
	return vhu_nego_has_protocol(&fe->nego, bit);
}

/* Life. */

void vhu_frontend_init(struct vhu_frontend *fe, int fd)
{
	*fe = (struct vhu_frontend){
		.fd = fd,
		.timeout_ms = VHU_FRONTEND_TIMEOUT_MS,
		.channel_fd = -1,
		.mem_fd = -1,
	};
	vhu_nego_init(&fe->nego);
}

void vhu_frontend_disconnect(struct vhu_frontend *fe)
{
	fe->fd = fd_close(fe->fd);
	fe->channel_fd = fd_close(fe->channel_fd);
	free(fe->unanswered);
	fe->unanswered = NULL;
}

void vhu_frontend_attach(struct vhu_frontend *fe, int fd)
{
	vhu_frontend_disconnect(fe);
	fe->fd = fd;
	fe->n_sent = 0;
	for (unsigned int i = 0; i < fe->n_regions; i++)
		fe->regions[i].added = false;
	vhu_nego_init(&fe->nego);
}

int vhu_frontend_connect(struct vhu_frontend *fe, const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd, err;

	if (strlen(path) >= sizeof(addr.sun_path))
		return vhu_frontend_fail(fe, -ENAMETOOLONG, "a socket path has at most %zu bytes",
					 sizeof(addr.sun_path) - 1);
	memcpy(addr.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return vhu_frontend_fail(fe, -errno, "a socket: %s", strerror(errno));
	if (connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0) {
		err = -errno;
		fd_close(fd);
		return vhu_frontend_fail(fe, err, "a server at %s: %s", path, strerror(-err));
	}
	vhu_frontend_attach(fe, fd);
	return 0;
}

/* Waiting. */

/* What we wait for: events on descriptors and, if serve is set, the channel. */
struct wait {
	struct pollfd fds[MAX_WAIT + 1]; /* the last one in use is the channel's */
	nfds_t n_fds;
	int64_t deadline; /* in monotonic_ms() time */
	bool serve;
};

/* 1: something is there, 0: not yet. *ret_heard: the channel said something. */
static int look(struct vhu_frontend *fe, struct wait *w, int timeout_ms, bool *ret_heard)
{
	struct pollfd *channel = &w->fds[w->n_fds];
	int n, err;

	*channel = (struct pollfd){ .fd = w->serve ? fe->channel_fd : -1, .events = POLLIN };
	n = poll(w->fds, w->n_fds + 1, timeout_ms);
	if (n < 0 && errno != EINTR)
		return vhu_frontend_fail(fe, -errno, "poll: %s", strerror(errno));
	if (n <= 0)
		return 0;
	if (channel->revents) {
		*ret_heard = true;
		n--;
		err = vhu_frontend_serve_channel(fe);
		if (err < 0)
			return err;
	}
	return n > 0;
}

/* 0 when something is there, or when the channel said something and that counts. */
static int wait_for(struct vhu_frontend *fe, struct wait *w, bool hearing_counts)
{
	for (;;) {
		int64_t left = w->deadline - monotonic_ms();
		bool heard = false;
		int ret = w->serve ? vhu_frontend_iotlb_serve(fe) : 0;

		if (ret == 0)
			ret = look(fe, w, fe->pump || left < 0 ? 0 : (int)left, &heard);
		if (ret != 0)
			return ret < 0 ? ret : 0;
		if (heard && hearing_counts)
			return 0;
		if (left <= 0)
			return vhu_frontend_fail(fe, -ETIMEDOUT,
						 "something to happen before the deadline");
		ret = fe->pump ? fe->pump(fe->pump_arg) : 0;
		if (ret < 0)
			return vhu_frontend_fail(fe, ret, "the back-end's loop: %s",
						 strerror(-ret));
	}
}

static int wait_fd(struct vhu_frontend *fe, int fd, short events, int64_t deadline, bool serve)
{
	struct wait w = { .n_fds = 1, .deadline = deadline, .serve = serve };

	w.fds[0] = (struct pollfd){ .fd = fd, .events = events };
	return wait_for(fe, &w, false);
}

int vhu_frontend_await_readable(struct vhu_frontend *fe, const int *fds, size_t n_fds,
				int timeout_ms)
{
	struct wait w = { .deadline = monotonic_ms() + timeout_ms, .serve = true };

	for (; w.n_fds < n_fds && w.n_fds < MAX_WAIT; w.n_fds++)
		w.fds[w.n_fds] = (struct pollfd){ .fd = fds[w.n_fds], .events = POLLIN };
	return wait_for(fe, &w, true);
}

int vhu_frontend_await_writable(struct vhu_frontend *fe, int fd, int timeout_ms)
{
	return wait_fd(fe, fd, POLLOUT, monotonic_ms() + timeout_ms, true);
}

int vhu_frontend_pass_time(struct vhu_frontend *fe, int ms)
{
	struct wait w = { .deadline = monotonic_ms() + ms, .serve = true };
	int err = wait_for(fe, &w, false);

	return err == -ETIMEDOUT ? 0 : err;
}

static void tell_end(const struct vhu_frontend *fe, int sock)
{
	if (sock == fe->fd && fe->ear && fe->ear->ended)
		fe->ear->ended(fe->ear->arg);
}

/* Sending. */

static int send_on(struct vhu_frontend *fe, int sock, const void *bytes, size_t len, const int *fds,
		   size_t n_fds, bool serve)
{
	int64_t deadline = monotonic_ms() + fe->timeout_ms;
	size_t done = 0;

	if (fe->ear && fe->ear->sent)
		fe->ear->sent(fe->ear->arg, sock == fe->channel_fd, bytes, len, fds, n_fds);
	while (done < len) {
		union control control = { .space = { 0 } };
		struct iovec iov = { (char *)(uintptr_t)bytes + done, len - done };
		struct msghdr hdr = { .msg_iov = &iov, .msg_iovlen = 1 };
		ssize_t n;
		int err;

		if (done == 0 && (n_fds > 0 || fe->empty_control))
			fd_attach(&hdr, control.space, fds, n_fds);
		n = sendmsg(sock, &hdr, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n >= 0) {
			done += (size_t)n;
			continue;
		}
		if (errno == EPIPE || errno == ECONNRESET) {
			tell_end(fe, sock);
			return vhu_frontend_fail(fe, -ECONNRESET, "the back-end to be there");
		}
		if (errno != EAGAIN && errno != EINTR)
			return vhu_frontend_fail(fe, -errno, "sendmsg: %s", strerror(errno));
		err = wait_fd(fe, sock, POLLOUT, deadline, serve);
		if (err < 0)
			return err;
	}
	return 0;
}

int vhu_frontend_send_raw(struct vhu_frontend *fe, const void *bytes, size_t len, const int *fds,
			  size_t n_fds)
{
	int err;

	if (n_fds > MAX_RAW_FDS)
		return vhu_frontend_fail(fe, -EINVAL, "at most %d descriptors", MAX_RAW_FDS);
	fe->n_busy++;
	err = send_on(fe, fe->fd, bytes, len, fds, n_fds, true);
	fe->n_busy--;
	return err;
}

int vhu_frontend_send_unchecked(struct vhu_frontend *fe, const struct vhu_msg *msg)
{
	uint8_t bytes[VHU_HDR_LEN + VHU_MAX_PAYLOAD];

	if (fe->max_sent > 0 && fe->n_sent >= fe->max_sent)
		return vhu_frontend_fail(fe, -ECANCELED, "no more than %u messages to be sent",
					 fe->max_sent);
	fe->n_sent++;
	return vhu_frontend_send_raw(fe, bytes, vhu_msg_pack(msg, bytes), msg->fds.fd,
				     msg->fds.n_fds);
}

/* Receiving. */

static int read_exactly(struct vhu_frontend *fe, int sock, void *buf, size_t len, struct fdset *fds,
			int64_t deadline, bool serve)
{
	size_t done = 0;

	while (done < len) {
		union control control;
		struct iovec iov = { (char *)buf + done, len - done };
		struct msghdr hdr = {
			.msg_iov = &iov,
			.msg_iovlen = 1,
			.msg_control = control.space,
			.msg_controllen = sizeof(control.space),
		};
		ssize_t n = recvmsg(sock, &hdr, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
		int err;

		if (n > 0) {
			fdset_receive(fds, &hdr);
			done += (size_t)n;
			continue;
		}
		if (n == 0 || errno == ECONNRESET)
			return vhu_frontend_fail(fe, -ECONNRESET,
						 done > 0 ? "no end inside a message"
							  : "the connection to stay open");
		if (errno != EAGAIN && errno != EINTR)
			return vhu_frontend_fail(fe, -errno, "recvmsg: %s", strerror(errno));
		err = wait_fd(fe, sock, POLLIN, deadline, serve);
		if (err < 0)
			return err;
	}
	return 0;
}

static int receive_on(struct vhu_frontend *fe, int sock, enum vhu_dir dir, struct vhu_msg *ret_msg,
		      int64_t deadline, bool serve)
{
	uint8_t hdr[VHU_HDR_LEN];
	struct vhu_msg msg;
	int err;

	vhu_msg_init(&msg, dir, 0);
	err = read_exactly(fe, sock, hdr, sizeof(hdr), &msg.fds, deadline, serve);
	if (err == 0 && vhu_header_parse(hdr, &msg) < 0)
		err = fail_rule(fe, -EPROTO, &msg, VHU_RULE_PAYLOAD_LIMIT);
	if (err == 0)
		err = read_exactly(fe, sock, msg.payload, msg.size, &msg.fds, deadline, serve);
	if (err < 0) {
		if (err == -ECONNRESET)
			tell_end(fe, sock);
		fdset_close(&msg.fds);
		return err;
	}
	if (fe->ear && fe->ear->received)
		fe->ear->received(fe->ear->arg, sock == fe->channel_fd, &msg);
	*ret_msg = msg;
	return 0;
}

int vhu_frontend_receive(struct vhu_frontend *fe, struct vhu_msg *ret_msg, int timeout_ms)
{
	return receive_on(fe, fe->fd, VHU_FE, ret_msg, monotonic_ms() + timeout_ms, true);
}

int vhu_frontend_await_close(struct vhu_frontend *fe, int timeout_ms)
{
	struct vhu_msg msg;
	int err = vhu_frontend_receive(fe, &msg, timeout_ms);

	if (err == -ECONNRESET)
		return 0;
	if (err < 0)
		return err;
	fdset_close(&msg.fds);
	return vhu_frontend_fail(fe, -EPROTO, "the connection to be closed, not %s with %u bytes",
				 vhu_msg_name(msg.dir, msg.id), msg.size);
}

/* Requests. */

static int check_acknowledgement(struct vhu_frontend *fe, const struct vhu_msg *msg,
				 const struct vhu_msg *reply)
{
	const struct vhu_desc *desc = vhu_desc_find(msg->dir, msg->id);

	if (desc && vhu_has_own_reply(desc, &fe->nego))
		return 0;
	if (vhu_msg_u64(reply) == 0)
		return 0;
	return vhu_frontend_fail(fe, -EREMOTEIO, "%s to be accepted",
				 vhu_msg_name(msg->dir, msg->id));
}

static int await_reply(struct vhu_frontend *fe, const struct vhu_msg *msg,
		       struct vhu_msg *ret_reply, int timeout_ms)
{
	struct vhu_msg reply;
	enum vhu_rule rule;
	int err = vhu_frontend_receive(fe, &reply, timeout_ms);

	if (err < 0)
		return err;
	rule = vhu_check_reply(&fe->nego, msg, &reply);
	if (rule != VHU_OK && vhu_rule_severity(rule) != VHU_NOTE)
		err = fail_rule(fe, -EPROTO, msg, rule);
	else
		err = check_acknowledgement(fe, msg, &reply);
	if (err == 0)
		vhu_observe(&fe->nego, &reply);
	if (err == 0 && ret_reply)
		*ret_reply = reply;
	else
		fdset_close(&reply.fds);
	return err;
}

static int check_honest(struct vhu_frontend *fe, const struct vhu_msg *msg)
{
	enum vhu_rule rule = vhu_check_header(&fe->nego, msg);

	if (rule == VHU_OK)
		rule = vhu_check_request(&fe->nego, msg);
	if (rule != VHU_OK && vhu_rule_severity(rule) != VHU_NOTE)
		return fail_rule(fe, -EINVAL, msg, rule);
	return 0;
}

int vhu_frontend_send(struct vhu_frontend *fe, const struct vhu_msg *msg)
{
	int err = check_honest(fe, msg);

	if (err == 0)
		err = vhu_frontend_send_unchecked(fe, msg);
	if (err == 0)
		vhu_observe(&fe->nego, msg);
	return err;
}

int vhu_frontend_request(struct vhu_frontend *fe, const struct vhu_msg *msg, struct vhu_msg *reply,
			 int timeout_ms)
{
	struct vhu_nego before = fe->nego;
	int err = vhu_frontend_send(fe, msg);

	if (err < 0)
		return err;
	if (!vhu_reply_due(&fe->nego, msg))
		return reply ? vhu_frontend_fail(fe, -EINVAL, "%s to have a reply",
						 vhu_msg_name(msg->dir, msg->id))
			     : 0;
	fe->n_busy++;
	err = await_reply(fe, msg, reply, timeout_ms);
	fe->n_busy--;
	if (err < 0) {
		fe->nego = before; /* refused: nothing has changed */
		return err;
	}
	err = vhu_frontend_iotlb_serve(fe);
	if (err < 0 && reply)
		fdset_close(&reply->fds);
	return err;
}

/* The back-end's channel. */

int vhu_frontend_answer(struct vhu_frontend *fe, const struct vhu_msg *msg, uint64_t value)
{
	uint8_t bytes[VHU_HDR_LEN + VHU_MAX_PAYLOAD];
	struct vhu_msg reply;

	vhu_msg_init_reply(&reply, msg);
	vhu_msg_put_u64(&reply, value);
	return send_on(fe, fe->channel_fd, bytes, vhu_msg_pack(&reply, bytes), NULL, 0, false);
}

static int answer_or_keep(struct vhu_frontend *fe, const struct vhu_msg *msg)
{
	if (!fe->channel_silent)
		return vhu_frontend_answer(fe, msg, 0);
	fe->heard.n_unanswered++;
	if (fe->unanswered)
		return 0;
	fe->unanswered = malloc(sizeof(*msg));
	if (!fe->unanswered)
		return vhu_frontend_fail(fe, -ENOMEM, "memory for a message");
	*fe->unanswered = *msg;
	return 0;
}

static void note(struct vhu_frontend *fe, const struct vhu_msg *msg)
{
	struct vhu_frontend_heard *heard = &fe->heard;
	uint32_t ring = 0;

	heard->n_messages++;
	if (msg->id == VHU_BE_CONFIG_CHANGE_MSG)
		heard->n_config_changes++;
	else if (msg->id == VHU_BE_VRING_CALL && vhu_msg_ring(msg, &ring))
		heard->n_calls[ring]++;
	else if (msg->id == VHU_BE_VRING_ERR && vhu_msg_ring(msg, &ring))
		heard->n_errs[ring]++;
}

static int serve_one(struct vhu_frontend *fe)
{
	struct vhu_msg msg;
	enum vhu_rule rule;
	int err = receive_on(fe, fe->channel_fd, VHU_BE, &msg, monotonic_ms() + fe->timeout_ms,
			     false);

	if (err == -ECONNRESET) {
		fe->channel_fd = fd_close(fe->channel_fd);
		return 0;
	}
	if (err < 0)
		return err;
	rule = vhu_check_header(&fe->nego, &msg);
	if (rule == VHU_OK)
		rule = vhu_check_request(&fe->nego, &msg);
	fdset_close(&msg.fds); /* nothing that we let the back-end ask for brings any */
	if (rule != VHU_OK && vhu_rule_severity(rule) != VHU_NOTE)
		return fail_rule(fe, -EPROTO, &msg, rule);
	note(fe, &msg);
	if (msg.id == VHU_BE_IOTLB_MSG && fe->iotlb)
		return vhu_frontend_iotlb_hear(fe, &msg);
	return vhu_reply_due(&fe->nego, &msg) ? answer_or_keep(fe, &msg) : 0;
}

int vhu_frontend_serve_channel(struct vhu_frontend *fe)
{
	/* Who never stops talking must not keep us from the deadline of whoever waits. */
	enum { AT_ONCE = 256 };
	int err = 0;

	for (int i = 0; i < AT_ONCE && err == 0 && fe->channel_fd >= 0; i++) {
		struct pollfd p = { .fd = fe->channel_fd, .events = POLLIN };

		if (poll(&p, 1, 0) <= 0)
			break;
		err = serve_one(fe);
	}
	return err;
}

int vhu_frontend_speak(struct vhu_frontend *fe)
{
	int err = 0;

	fe->channel_silent = false;
	for (; fe->heard.n_unanswered > 0 && fe->channel_fd >= 0 && err == 0;
	     fe->heard.n_unanswered--)
		err = vhu_frontend_answer(fe, fe->unanswered, 0);
	free(fe->unanswered);
	fe->unanswered = NULL;
	fe->heard.n_unanswered = 0;
	return err;
}
