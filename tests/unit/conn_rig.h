/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* A connection on a loop, and its peer. */
#ifndef VHU_TESTS_CONN_RIG_H
#define VHU_TESTS_CONN_RIG_H

#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "loop.h"
#include "vhu/codec.h"
#include "vhu/conn.h"

enum { MANY_STEPS = 2000 };

struct rig {
	struct loop *loop;
	struct vhu_conn conn;
	int peer;
	bool read_on;	       /* ask for the next message at once */
	enum vhu_rule verdict; /* of every header */
	unsigned int n_headers, n_messages, n_sent, n_ended, n_closed;
	struct vhu_msg last; /* without its descriptors */
	unsigned int n_fds;
	int err;
	enum vhu_rule rule;
};

static struct rig rig;

static inline enum vhu_rule on_header(struct vhu_conn *conn, const struct vhu_msg *msg)
{
	(void)conn;
	(void)msg;
	rig.n_headers++;
	return rig.verdict;
}

static inline void on_message(struct vhu_conn *conn, struct vhu_msg *msg)
{
	rig.n_messages++;
	rig.last = *msg;
	rig.n_fds = msg->fds.n_fds;
	if (rig.read_on)
		vhu_conn_read(conn);
}

static inline void on_sent(struct vhu_conn *conn)
{
	(void)conn;
	rig.n_sent++;
}

static inline void on_ended(struct vhu_conn *conn, int err, enum vhu_rule rule)
{
	(void)conn;
	rig.n_ended++;
	rig.err = err;
	rig.rule = rule;
}

static inline void on_closed(struct vhu_conn *conn)
{
	assert_int_equal(conn->fd, -1);
	rig.n_closed++;
}

static const struct vhu_conn_ops ops = { on_header, on_message, on_sent, on_ended };

static inline void begin_on(int type)
{
	const char *why = NULL;
	int fds[2];

	signal(SIGPIPE, SIG_IGN);
	memset(&rig, 0, sizeof(rig));
	if (loop_new(16, &rig.loop, &why) < 0)
		fail_msg("%s", why);
	assert_int_equal(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fds), 0);
	rig.peer = fds[1];
	rig.read_on = true;
	vhu_conn_init(&rig.conn, rig.loop, fds[0], VHU_FE, &ops);
	vhu_conn_read(&rig.conn);
}

static inline void begin(void)
{
	begin_on(SOCK_STREAM);
}

static inline void settle(void)
{
	for (unsigned int i = 0; i < 8; i++)
		assert_int_equal(loop_step(rig.loop, false), 0);
}

static inline void run_until(const unsigned int *counter, unsigned int value)
{
	for (unsigned int i = 0; *counter < value; i++) {
		assert_true(i < MANY_STEPS);
		assert_int_equal(loop_step(rig.loop, true), 0);
	}
}

static inline void end(void)
{
	vhu_conn_close(&rig.conn, on_closed);
	assert_int_equal(rig.n_closed, 0); /* later, always */
	run_until(&rig.n_closed, 1);
	fd_close(rig.peer);
	loop_free(rig.loop);
}

static inline size_t pack(uint8_t *at, uint32_t id, const void *payload, uint32_t len)
{
	uint32_t head[3] = { id, 1, len };

	memcpy(at, head, sizeof(head));
	if (len > 0)
		memcpy(at + sizeof(head), payload, len);
	return sizeof(head) + len;
}

/* Bytes from the peer, with n descriptors on the first of them. */
static inline void peer_sends(const void *bytes, size_t len, unsigned int n)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(64 * sizeof(int))];
	} control = { .space = { 0 } };
	struct iovec iov = { (void *)(uintptr_t)bytes, len };
	struct msghdr hdr = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *cmsg;
	int fd = n > 0 ? eventfd(0, EFD_CLOEXEC) : -1;

	if (n > 0) {
		hdr.msg_control = control.space;
		hdr.msg_controllen = CMSG_SPACE(n * sizeof(int));
		cmsg = CMSG_FIRSTHDR(&hdr);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(n * sizeof(int));
		for (unsigned int i = 0; i < n; i++)
			memcpy(CMSG_DATA(cmsg) + i * sizeof(int), &fd, sizeof(fd));
	}
	assert_int_equal(sendmsg(rig.peer, &hdr, MSG_NOSIGNAL), len);
	fd_close(fd);
}

static const uint64_t word = 0x1122334455667788;

static inline void make_reply(struct vhu_msg *msg, uint32_t id, size_t len)
{
	static const uint8_t zeroes[VHU_MAX_PAYLOAD];

	vhu_msg_init(msg, VHU_FE, id);
	vhu_msg_put(msg, zeroes, len);
}

/* Reads one message as a front-end would: how many descriptors came with its first byte. */
static inline unsigned int peer_reads(uint32_t id, uint32_t size)
{
	static uint8_t bytes[VHU_HDR_LEN + VHU_MAX_PAYLOAD];
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(16 * sizeof(int))];
	} control;
	struct iovec iov = { bytes, VHU_HDR_LEN };
	struct msghdr hdr = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.space,
		.msg_controllen = sizeof(control.space),
	};
	uint32_t head[3];
	unsigned int n = 0;
	size_t done = 0;

	while (recvmsg(rig.peer, &hdr, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) < 0) {
		assert_int_equal(errno, EAGAIN);
		assert_int_equal(loop_step(rig.loop, true), 0);
	}
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&hdr); c; c = CMSG_NXTHDR(&hdr, c)) {
		for (; CMSG_LEN(n * sizeof(int)) < c->cmsg_len; n++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + n * sizeof(int), sizeof(fd));
			close(fd);
		}
	}
	memcpy(head, bytes, sizeof(head));
	assert_int_equal(head[0], id);
	assert_int_equal(head[2], size);
	while (done < size) {
		ssize_t got = recv(rig.peer, bytes, size - done, MSG_DONTWAIT);

		if (got < 0)
			assert_int_equal(loop_step(rig.loop, true), 0);
		else
			done += (size_t)got;
	}
	return n;
}

#endif
