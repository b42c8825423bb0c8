/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Lengths, unknown requests, order, and front-ends that do not read (rst "Communication"). */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conform/cases/case-list.h"
#include "conform/cases/case-steps.h"
#include "conform/trial/trial-ring.h"

enum {
	UML_TABLE_LEN = 72, /* room for two regions */
	UNKNOWN_ID = 200,
	N_LEFT_OPEN = 200,
	N_UNREAD = 100000,
	STUCK_MS = 200,
};

/* Lengths. */

static int taken_as_uml_sends_it(struct trial *t, bool ack)
{
	int err = vhu_frontend_set_mem_table(&t->fe, UML_TABLE_LEN, ack);

	if (err == 0)
		err = vhu_frontend_ping(&t->fe);
	if (err != -EREMOTEIO && err != -ECONNRESET)
		return trial_step(t, err, "SET_MEM_TABLE of one region in 72 bytes");
	t->closed = err == -ECONNRESET;
	/* What is too long the text says nothing of, and others refuse it. */
	return trial_warn(t,
			  "SET_MEM_TABLE of one region in 72 bytes, as Linux UML up to 6.12 sends "
			  "it: expected to be accepted, but %s",
			  t->closed ? "the connection was closed" : "it was refused");
}

int case_framing_long_table(struct trial *t)
{
	int err = trial_handshake(t);

	if (err == 0)
		err = trial_make_memory(t, NULL);
	return err < 0 ? err : taken_as_uml_sends_it(t, t->ack);
}

int case_framing_long_table_traffic(struct trial *t)
{
	int err = trial_boot(t, NULL);

	if (err == 0)
		err = taken_as_uml_sends_it(t, true);
	return err < 0 ? err : trial_exchange(t, 8);
}

int case_framing_short_features(struct trial *t)
{
	struct vhu_msg msg;
	int err = trial_handshake(t);

	if (err < 0)
		return err;
	trial_msg_u64(t, &msg, VHU_FE_SET_FEATURES, trial_features(t));
	msg.size = 4;
	return trial_refused(t, &msg, "SET_FEATURES of 4 bytes");
}

int case_framing_short_table(struct trial *t)
{
	struct vhu_mem_table table = { .n_regions = 2 };
	struct vhu_msg msg;
	int err = trial_handshake(t);

	if (err == 0)
		err = trial_make_memory(t, NULL);
	if (err < 0)
		return err;
	table.regions[0] = t->fe.regions[0].wire;
	trial_msg(t, &msg, VHU_FE_SET_MEM_TABLE);
	vhu_msg_put(&msg, &table, offsetof(struct vhu_mem_table, regions[1]));
	msg.fds = (struct fdset){ .fd = { t->fe.mem_fd, t->fe.mem_fd }, .n_fds = 2 };
	return trial_refused(t, &msg, "SET_MEM_TABLE of two regions in 40 bytes");
}

int case_framing_empty(struct trial *t)
{
	int err = trial_step(t, vhu_frontend_simple(&t->fe, VHU_FE_SET_OWNER, false),
			     "SET_OWNER of size 0");

	return err < 0 ? err : trial_ping(t);
}

int case_framing_get_payload(struct trial *t)
{
	struct vhu_msg msg;

	vhu_msg_init(&msg, VHU_FE, VHU_FE_GET_FEATURES);
	vhu_msg_put_u64(&msg, 0);
	return trial_survives(t, &msg, NULL, "GET_FEATURES with 8 bytes of payload");
}

/* Unknown requests. */

static int send_unknown(struct trial *t, uint32_t id, size_t len, int fd, unsigned int n_fds)
{
	static const uint8_t payload[64];
	struct vhu_msg msg;
	int err = trial_handshake(t);

	if (err < 0)
		return err;
	trial_msg(t, &msg, VHU_FE_GET_FEATURES);
	msg.id = id;
	vhu_msg_put(&msg, payload, len);
	while (msg.fds.n_fds < n_fds)
		msg.fds.fd[msg.fds.n_fds++] = fd;
	return trial_refused(t, &msg, "request %u with %zu bytes and %u descriptors", id, len,
			     n_fds);
}

static int send_unknown_with_fds(struct trial *t, size_t len, unsigned int n_fds)
{
	AUTO_FD int fd = -1;
	int err = step_memfd(t, 4096, &fd);

	if (err == 0)
		err = send_unknown(t, UNKNOWN_ID, len, fd, n_fds);
	return err < 0 ? err : step_not_kept(t, fd, "an unknown request with descriptors");
}

int case_framing_unknown_plain(struct trial *t)
{
	return send_unknown(t, 1000, 0, -1, 0);
}

int case_framing_unknown_payload(struct trial *t)
{
	return send_unknown(t, 1000, 64, -1, 0);
}

int case_framing_unknown_fd(struct trial *t)
{
	return send_unknown_with_fds(t, 0, 1);
}

int case_framing_unknown_both(struct trial *t)
{
	return send_unknown_with_fds(t, 64, 1);
}

int case_framing_unknown_max(struct trial *t)
{
	return send_unknown(t, UINT32_MAX, 0, -1, 0);
}

int case_framing_unknown_zero(struct trial *t)
{
	return send_unknown(t, 0, 0, -1, 0);
}

int case_framing_unknown_next(struct trial *t)
{
	return send_unknown(t, VHU_FE_GET_VRING_BASE_SKIP_DRAIN + 1, 0, -1, 0);
}

int case_framing_unknown_leak(struct trial *t)
{
	return send_unknown_with_fds(t, 0, 3);
}

int case_framing_gate_reset(struct trial *t)
{
	static const struct trial_plan plan = {
		.without_protocol = BIT(VHU_PF_RESET_DEVICE_BIT),
	};
	struct vhu_msg msg;
	int err = trial_boot(t, &plan);

	if (err == 0)
		err = trial_exchange(t, 2);
	if (err < 0)
		return err;
	trial_msg(t, &msg, VHU_FE_RESET_DEVICE);
	err = trial_refused(t, &msg, "RESET_DEVICE without its feature");
	return err < 0 ? err : step_traffic(t, 2);
}

/* Order. */

/*
 * The ring's base is set twice, the ring is started and stopped, and nothing is
 * waited for: the only answer names the second base.
 */
static int send_order(struct trial *t, unsigned int idx)
{
	const struct vhu_frontend_ring *r = &t->fe.rings[idx];
	uint8_t bytes[3 * (VHU_HDR_LEN + sizeof(uint64_t))];
	struct vhu_msg msg;
	size_t len;
	int err;

	vhu_msg_init(&msg, VHU_FE, VHU_FE_SET_VRING_BASE);
	vhu_msg_put(&msg, &(struct vhu_vring_state){ idx, 3 }, sizeof(struct vhu_vring_state));
	len = VHU_HDR_LEN + msg.size;
	vhu_header_pack(&msg, bytes);
	memcpy(bytes + VHU_HDR_LEN, msg.payload, msg.size);
	vhu_header_pack(&msg, bytes + len);
	memcpy(bytes + len + VHU_HDR_LEN, &(struct vhu_vring_state){ idx, r->base }, msg.size);
	err = vhu_frontend_send_raw(&t->fe, bytes, 2 * len, NULL, 0);
	if (err < 0)
		return err;
	msg.id = VHU_FE_SET_VRING_KICK;
	vhu_msg_put_u64(&msg, idx);
	vhu_header_pack(&msg, bytes);
	memcpy(bytes + VHU_HDR_LEN, msg.payload, msg.size);
	msg.id = VHU_FE_GET_VRING_BASE;
	vhu_header_pack(&msg, bytes + len);
	memcpy(bytes + len + VHU_HDR_LEN, msg.payload, msg.size);
	return vhu_frontend_send_raw(&t->fe, bytes, 2 * len, &r->kick_fd, 1);
}

int case_framing_order(struct trial *t)
{
	static const struct trial_plan plan = {
		.only_ring = true,
		.no_kick = true,
		.no_enable = true,
		.not_ready = true,
		.base = 7,
	};
	struct vhu_vring_state state;
	struct vhu_msg reply;
	unsigned int idx = trial_ring(t);
	bool closed;
	int err = trial_boot(t, &plan);

	if (err == 0)
		err = trial_step(t, send_order(t, idx), "requests one after the other");
	if (err == 0)
		err = trial_receive(t, &reply, &closed);
	if (err < 0)
		return err;
	if (closed)
		return trial_fail(t, "SET_VRING_BASE, KICK and GET_VRING_BASE without waiting: "
				     "expected an answer, but the connection was closed");
	fdset_close(&reply.fds);
	vhu_msg_get(&reply, &state, sizeof(state));
	if (reply.id != VHU_FE_GET_VRING_BASE || state.index != idx || state.num != plan.base)
		return trial_fail(t,
				  "SET_VRING_BASE of 3 and of 7, then GET_VRING_BASE of ring %u: "
				  "expected 7, but %s came with ring %u and %u",
				  idx, vhu_msg_name(VHU_FE, reply.id), state.index, state.num);
	return trial_ping(t);
}

/* Replies that nobody reads. */

struct flood {
	uint8_t msg[VHU_HDR_LEN];
	size_t n_sent; /* messages, whole or begun */
	size_t rest;   /* bytes of the last one that are not sent yet */
	bool closed;
};

/* Until the socket takes no more for a while, N_UNREAD are sent, or it is closed. */
static void send_flood(struct trial *t, struct flood *f)
{
	struct pollfd p = { .fd = t->fe.fd, .events = POLLOUT };

	while (f->n_sent < N_UNREAD || f->rest > 0) {
		ssize_t n;

		if (f->rest == 0) {
			f->rest = sizeof(f->msg);
			f->n_sent++;
		}
		n = send(t->fe.fd, f->msg + sizeof(f->msg) - f->rest, f->rest,
			 MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n > 0) {
			f->rest -= (size_t)n;
			continue;
		}
		if (errno != EAGAIN && errno != EINTR) {
			f->closed = true;
			return;
		}
		if (poll(&p, 1, trial_ms(t, STUCK_MS)) == 0)
			return;
	}
}

/* Reads all answers to what was sent; the last request may have to be completed first. */
static int drain_flood(struct trial *t, struct flood *f)
{
	size_t left = (f->n_sent - (f->rest > 0)) * (VHU_HDR_LEN + sizeof(uint64_t));
	uint8_t bytes[65536];
	int err = 0;

	while (err == 0 && left > 0) {
		struct pollfd p = { .fd = t->fe.fd, .events = POLLIN };
		ssize_t n;

		if (poll(&p, 1, trial_ms(t, TRIAL_ANSWER_MS)) == 0)
			return trial_fail(t,
					  "%zu GET_FEATURES: expected all replies once they are "
					  "read, but %zu bytes do not come",
					  f->n_sent, left);
		n = recv(t->fe.fd, bytes, min_size(sizeof(bytes), left), MSG_DONTWAIT);
		if (n > 0)
			left -= (size_t)n;
		else if (n == 0 || (errno != EAGAIN && errno != EINTR))
			break;
	}
	t->closed = left > 0;
	if (t->closed || f->rest == 0)
		return 0;
	err = vhu_frontend_send_raw(&t->fe, f->msg + sizeof(f->msg) - f->rest, f->rest, NULL, 0);
	if (err == 0)
		err = vhu_frontend_receive(&t->fe, &(struct vhu_msg){ 0 }, t->fe.timeout_ms);
	return trial_step(t, err, "the last of many GET_FEATURES");
}

int case_framing_unread(struct trial *t)
{
	struct flood flood = { .closed = false };
	struct vhu_msg msg;
	int err = trial_boot(t, NULL);

	if (err == 0)
		err = trial_exchange(t, 1);
	if (err < 0)
		return err;
	vhu_msg_init(&msg, VHU_FE, VHU_FE_GET_FEATURES);
	vhu_header_pack(&msg, flood.msg);
	send_flood(t, &flood);
	if (flood.closed) {
		t->closed = true;
		return 0;
	}
	trial_remark(t, "%zu requests are taken while no reply is read", flood.n_sent);
	err = trial_exchange(t, 4);
	return err < 0 ? err : drain_flood(t, &flood);
}

int case_framing_early_close(struct trial *t)
{
	struct vhu_msg msg;
	int err = 0;

	vhu_msg_init(&msg, VHU_FE, VHU_FE_GET_FEATURES);
	for (unsigned int i = 0; i < N_LEFT_OPEN && err == 0; i++) {
		err = vhu_frontend_send_unchecked(&t->fe, &msg);
		if (err == 0 || err == -ECONNRESET)
			err = trial_reconnect(t);
		else
			err = trial_step(t, err, "GET_FEATURES");
	}
	return err < 0 ? err : step_reconnect(t);
}
