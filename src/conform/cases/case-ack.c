/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Acknowledgements (rst "VHOST_USER_PROTOCOL_F_REPLY_ACK"), and what must not outlive a connection.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "conform/cases/case-list.h"
#include "conform/cases/case-steps.h"
#include "conform/trial/trial-ring.h"

static int await_reply(struct trial *t, struct vhu_msg *ret_reply, const char *what)
{
	bool closed;
	int err = trial_receive(t, ret_reply, &closed);

	if (err < 0)
		return err;
	if (closed)
		return trial_fail(t, "%s: expected an answer, but the connection was closed", what);
	fdset_close(&ret_reply->fds);
	return 0;
}

static bool is_reply(const struct vhu_msg *reply, enum vhu_fe_id id)
{
	return reply->id == (uint32_t)id && reply->flags == VHU_REPLY_FLAGS &&
	       reply->size == sizeof(uint64_t);
}

static int expect_reply(struct trial *t, enum vhu_fe_id id, const char *what)
{
	struct vhu_msg reply;
	int err = await_reply(t, &reply, what);

	if (err < 0 || is_reply(&reply, id))
		return err;
	return trial_fail(t,
			  "%s: expected a reply of 8 bytes to %s next, but %s with %u bytes and "
			  "flags %#x came",
			  what, vhu_msg_name(VHU_FE, id), vhu_msg_name(VHU_FE, reply.id),
			  reply.size, reply.flags);
}

/* Before anything was agreed on. */

/* SET_OWNER that asks for an acknowledgement, first thing; *ret_answered: whether one came. */
static int ask_early(struct trial *t, bool *ret_answered)
{
	struct vhu_msg msg, reply;
	int err;

	vhu_msg_init(&msg, VHU_FE, VHU_FE_SET_OWNER);
	msg.flags |= VHU_FLAG_NEED_REPLY;
	err = vhu_frontend_send_unchecked(&t->fe, &msg);
	vhu_msg_init(&msg, VHU_FE, VHU_FE_GET_FEATURES);
	if (err == 0)
		err = vhu_frontend_send_unchecked(&t->fe, &msg);
	err = trial_step(t, err, "SET_OWNER and GET_FEATURES");
	if (err == 0)
		err = await_reply(t, &reply, "SET_OWNER and GET_FEATURES");
	if (err < 0)
		return err;
	*ret_answered = is_reply(&reply, VHU_FE_SET_OWNER);
	if (*ret_answered)
		return expect_reply(t, VHU_FE_GET_FEATURES, "after SET_OWNER was answered");
	if (is_reply(&reply, VHU_FE_GET_FEATURES))
		return 0;
	return trial_fail(t,
			  "SET_OWNER with need_reply, then GET_FEATURES: expected the reply to "
			  "either, but %s with %u bytes and flags %#x came",
			  vhu_msg_name(VHU_FE, reply.id), reply.size, reply.flags);
}

int case_ack_early(struct trial *t)
{
	bool answered;
	int err = ask_early(t, &answered);

	if (err == 0)
		trial_remark(t, "need_reply before REPLY_ACK is %s",
			     answered ? "answered" : "ignored");
	return err < 0 ? err : trial_ping(t);
}

int case_features_fresh_ack(struct trial *t)
{
	bool first, second;
	int err = ask_early(t, &first);

	if (err == 0)
		err = step_reconnect(t);
	if (err == 0)
		err = trial_handshake(t);
	if (err == 0)
		err = step_reconnect(t);
	if (err == 0)
		err = ask_early(t, &second);
	if (err < 0 || first == second)
		return err;
	return trial_fail(t, "need_reply before REPLY_ACK: expected the same on a connection after "
			     "one that had agreed on it, but only one of them was answered");
}

/* Requests of a ring with no memory behind it: refused, or the connection ends, or nothing happens.
 */
static int set_up_blindly(struct trial *t, unsigned int idx)
{
	const struct vhu_frontend_ring *r = &t->fe.rings[idx];
	const struct vhu_vring_addr addr = {
		.index = idx,
		.desc = vhu_frontend_user_addr(&t->fe, r->q.desc_addr),
		.used = vhu_frontend_user_addr(&t->fe, r->q.used_addr),
		.avail = vhu_frontend_user_addr(&t->fe, r->q.avail_addr),
	};
	struct vhu_msg msgs[6];
	int err = 0;

	trial_msg_vring(t, &msgs[0], VHU_FE_SET_VRING_NUM, idx, r->size);
	trial_msg_vring(t, &msgs[1], VHU_FE_SET_VRING_BASE, idx, 0);
	trial_msg(t, &msgs[2], VHU_FE_SET_VRING_ADDR);
	vhu_msg_put(&msgs[2], &addr, sizeof(addr));
	trial_msg_u64(t, &msgs[3], VHU_FE_SET_VRING_CALL, idx);
	msgs[3].fds.fd[msgs[3].fds.n_fds++] = r->call_peer;
	trial_msg_u64(t, &msgs[4], VHU_FE_SET_VRING_KICK, idx);
	msgs[4].fds.fd[msgs[4].fds.n_fds++] = r->kick_fd;
	trial_msg_vring(t, &msgs[5], VHU_FE_SET_VRING_ENABLE, idx, 1);
	for (size_t i = 0; i < ARRAY_SIZE(msgs) && err == 0 && !t->closed; i++)
		err = trial_survives(t, &msgs[i], NULL, "%s on a connection without memory",
				     vhu_msg_name(VHU_FE, msgs[i].id));
	return err;
}

int case_features_fresh_memory(struct trial *t)
{
	unsigned int idx = trial_ring(t);
	struct trial_request request;
	uint16_t used;
	int err = trial_boot(t, NULL);

	if (err == 0)
		err = trial_exchange(t, 4);
	if (err == 0)
		err = step_reconnect(t);
	if (err == 0)
		err = trial_handshake(t);
	if (err < 0)
		return err;
	vhu_frontend_reset_ring(&t->fe, idx);
	used = trial_used_idx(t, idx);
	err = trial_offer(t, NULL, &request);
	if (err == 0)
		err = set_up_blindly(t, idx);
	if (err < 0 || t->closed)
		return err;
	err = trial_publish(t);
	vhu_frontend_pass_time(&t->fe, trial_ms(t, TRIAL_QUIET_MS));
	if (err < 0)
		return err;
	if (trial_used_idx(t, idx) != used)
		return trial_fail(t, "a ring on a connection without memory: expected nothing to "
				     "happen, but its request was taken from the memory of the "
				     "connection before");
	return trial_goes_on(t, "a ring on a connection without memory");
}

/* Which requests are answered. */

int case_ack_creates_itself(struct trial *t)
{
	uint64_t features, protocol;
	int err = vhu_frontend_simple(&t->fe, VHU_FE_SET_OWNER, false);

	if (err == 0)
		err = vhu_frontend_get_u64(&t->fe, VHU_FE_GET_FEATURES, &features);
	if (err == 0)
		err = vhu_frontend_get_u64(&t->fe, VHU_FE_GET_PROTOCOL_FEATURES, &protocol);
	err = trial_step(t, err, "GET_PROTOCOL_FEATURES");
	if (err < 0)
		return err;
	err = vhu_frontend_set_u64(&t->fe, VHU_FE_SET_PROTOCOL_FEATURES, trial_protocol(t), true);
	err = trial_step(t, err, "SET_PROTOCOL_FEATURES with REPLY_ACK that asks for an answer");
	return err < 0 ? err : trial_ping(t);
}

int case_ack_sequence(struct trial *t)
{
	static const struct {
		enum vhu_fe_id id;
		uint32_t num;
		bool asks;
	} requests[] = {
		{ VHU_FE_SET_VRING_NUM, TRIAL_RING, true },
		{ VHU_FE_SET_VRING_NUM, TRIAL_RING, false },
		{ VHU_FE_SET_VRING_BASE, 0, true },
		{ VHU_FE_SET_VRING_BASE, 0, false },
		{ VHU_FE_SET_VRING_NUM, TRIAL_RING, true },
	};
	struct vhu_msg msg;
	int err = trial_handshake(t);

	for (size_t i = 0; i < ARRAY_SIZE(requests) && err == 0; i++) {
		vhu_msg_init(&msg, VHU_FE, requests[i].id);
		vhu_msg_put(&msg, &(struct vhu_vring_state){ trial_ring(t), requests[i].num },
			    sizeof(struct vhu_vring_state));
		if (requests[i].asks)
			msg.flags |= VHU_FLAG_NEED_REPLY;
		err = trial_step(t, vhu_frontend_send_unchecked(&t->fe, &msg), "requests in a row");
	}
	for (size_t i = 0; i < ARRAY_SIZE(requests) && err == 0; i++)
		if (requests[i].asks)
			err = expect_reply(t, requests[i].id, "requests in a row");
	return err < 0 ? err : trial_ping(t);
}

/* Effects. */

static bool is_readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) > 0;
}

/* A request whose completion must be called for. */
static int exchange_with_call(struct trial *t, unsigned int idx)
{
	struct trial_request request;
	int err = trial_offer(t, NULL, &request);

	if (err < 0)
		return err;
	vhu_frontend_take_calls(&t->fe, idx);
	driverq_calls_on(&t->fe.rings[idx].q);
	err = trial_publish(t);
	if (err == 0)
		err = trial_step(t,
				 vhu_frontend_await_call(&t->fe, idx, trial_ms(t, TRIAL_ANSWER_MS)),
				 "a request after SET_VRING_CALL");
	return err < 0 ? err : trial_answered(t, &request);
}

int case_ack_after_call_swap(struct trial *t)
{
	unsigned int idx = trial_ring(t);
	struct vhu_frontend_ring *r;
	AUTO_FD int old = -1;
	uint64_t count;
	int err = trial_boot(t, NULL);

	if (err == 0)
		err = trial_exchange(t, 4);
	if (err < 0)
		return err;
	r = &t->fe.rings[idx];
	old = r->call_fd;
	r->call_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r->call_peer = r->call_fd;
	if (r->call_fd < 0)
		return trial_error(t, "an eventfd: %s", strerror(errno));
	err = trial_step(
		t, vhu_frontend_vring_fd(&t->fe, VHU_FE_SET_VRING_CALL, idx, r->call_fd, true),
		"SET_VRING_CALL while the ring runs");
	if (err == 0 && is_readable(old) && read(old, &count, sizeof(count)) < 0)
		err = trial_error(t, "an eventfd: %s", strerror(errno));
	for (unsigned int i = 0; i < 4 && err == 0; i++)
		err = exchange_with_call(t, idx);
	if (err < 0 || !is_readable(old))
		return err;
	return trial_fail(t, "SET_VRING_CALL: expected only the new descriptor to be written after "
			     "it was acknowledged, but the old one was");
}

/* A ring of 0 entries is what most back-ends refuse. */
/* A request that fails: its acknowledgement, which *ret_closed stands for when there is none. */
static int await_failure(struct trial *t, struct vhu_msg *msg, const char *what,
			 uint64_t *ret_value, bool *ret_closed)
{
	struct vhu_msg reply;
	int err;

	msg->flags |= VHU_FLAG_NEED_REPLY;
	err = trial_step(t, vhu_frontend_send_unchecked(&t->fe, msg), "%s", what);
	if (err == 0)
		err = trial_receive(t, &reply, ret_closed);
	if (err < 0 || *ret_closed)
		return err;
	fdset_close(&reply.fds);
	*ret_value = vhu_msg_u64(&reply);
	if (is_reply(&reply, (enum vhu_fe_id)msg->id))
		return 0;
	return trial_fail(t,
			  "%s: expected an acknowledgement of 8 bytes, but %s with %u bytes and "
			  "flags %#x came",
			  what, vhu_msg_name(VHU_FE, reply.id), reply.size, reply.flags);
}

/* Memory that is a pipe: nobody can have mapped it. */
static int map_a_pipe(struct trial *t)
{
	static const struct vhu_mem_table table = {
		.n_regions = 1,
		.regions = { { 0x40000000, 2 << 20, 0x7f5500000000, 0 } },
	};
	const char *what = "SET_MEM_TABLE of a pipe";
	AUTO_FD int out = -1;
	AUTO_FD int in = -1;
	bool closed = false;
	uint64_t value = 0;
	struct vhu_msg msg;
	int fds[2], err;

	if (pipe(fds) < 0)
		return trial_error(t, "a pipe: %s", strerror(errno));
	out = fds[0];
	in = fds[1];
	vhu_msg_init(&msg, VHU_FE, VHU_FE_SET_MEM_TABLE);
	vhu_msg_put(&msg, &table, offsetof(struct vhu_mem_table, regions[1]));
	msg.fds.fd[msg.fds.n_fds++] = out;
	err = await_failure(t, &msg, what, &value, &closed);
	if (err < 0)
		return err;
	if (closed)
		return trial_na(t, "what is refused ends the connection, so that no failure is "
				   "acknowledged");
	err = trial_goes_on(t, what);
	if (err < 0 || value != 0)
		return err;
	if (t->closed)
		return trial_warn(t,
				  "%s: expected a number other than 0, but it was acknowledged "
				  "with 0 before the connection was closed",
				  what);
	return trial_fail(t, "%s: expected a number other than 0, but it was acknowledged with 0",
			  what);
}

int case_ack_failure(struct trial *t)
{
	const struct vhu_vring_state none = { trial_ring(t), 0 };
	const char *what = "SET_VRING_NUM of 0";
	bool closed = false;
	uint64_t value = 0;
	struct vhu_msg msg;
	int err = trial_handshake(t);

	if (err < 0)
		return err;
	vhu_msg_init(&msg, VHU_FE, VHU_FE_SET_VRING_NUM);
	vhu_msg_put(&msg, &none, sizeof(none));
	err = await_failure(t, &msg, what, &value, &closed);
	if (err == 0 && closed)
		return trial_fail(t,
				  "%s that asks for an answer: expected an answer, but the "
				  "connection was closed",
				  what);
	if (err == 0 && value == 0)
		return map_a_pipe(t); /* a ring of 0 entries is no failure here */
	if (err == 0)
		err = trial_goes_on(t, what);
	if (err == 0 && t->closed)
		return trial_warn(t,
				  "%s: expected the connection to go on after the failure was "
				  "acknowledged, but it was closed",
				  what);
	return err;
}

int case_ack_postcopy_listen(struct trial *t)
{
	struct vhu_msg msg, reply;
	int err = trial_handshake_with(t, trial_features(t), BIT(VHU_PF_PAGEFAULT_BIT));

	if (err < 0)
		return err;
	vhu_msg_init(&msg, VHU_FE, VHU_FE_POSTCOPY_ADVISE);
	err = trial_request(t, &msg, &reply);
	if (err < 0)
		return err;
	if (reply.fds.n_fds == 0)
		return trial_na(t, "the back-end has no userfaultfd");
	fdset_close(&reply.fds);
	vhu_msg_init(&msg, VHU_FE, VHU_FE_POSTCOPY_LISTEN);
	msg.flags |= VHU_FLAG_NEED_REPLY;
	err = trial_step(t, vhu_frontend_send_unchecked(&t->fe, &msg), "POSTCOPY_LISTEN");
	if (err == 0)
		err = expect_reply(t, VHU_FE_POSTCOPY_LISTEN, "POSTCOPY_LISTEN with need_reply");
	if (err < 0)
		return err;
	vhu_msg_init(&msg, VHU_FE, VHU_FE_POSTCOPY_END);
	return trial_request(t, &msg, NULL);
}
