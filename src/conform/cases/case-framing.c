/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Headers, pieces and sizes (rst "Header", "Communication"). */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conform/cases/case-list.h"
#include "conform/cases/case-steps.h"
#include "conform/target/process.h"

enum { GAP_MS = 5, RSS_GRACE = 16 << 20 };

/* Replies read as they are, with no rule applied before the case's own. */

static int send_plain(struct trial *t, enum vhu_fe_id id, uint32_t more_flags)
{
	struct vhu_msg msg;

	vhu_msg_init(&msg, VHU_FE, id);
	msg.flags |= more_flags;
	return trial_step(t, vhu_frontend_send_unchecked(&t->fe, &msg), "%s",
			  vhu_msg_name(VHU_FE, id));
}

/* The next message is the reply to id, of size bytes. */
static int expect_reply(struct trial *t, enum vhu_fe_id id, uint32_t size, struct vhu_msg *ret_msg)
{
	bool closed;
	int err = trial_receive(t, ret_msg, &closed);

	if (err < 0)
		return err;
	if (closed)
		return trial_fail(t, "%s: expected its reply, but the connection was closed",
				  vhu_msg_name(VHU_FE, id));
	fdset_close(&ret_msg->fds);
	if (ret_msg->id != (uint32_t)id || ret_msg->size != size ||
	    ret_msg->flags != VHU_REPLY_FLAGS)
		return trial_fail(t,
				  "%s: expected its reply of %u bytes with flags 0x5, but id %u "
				  "(%s) with %u bytes and flags %#x came",
				  vhu_msg_name(VHU_FE, id), size, ret_msg->id,
				  vhu_msg_name(VHU_FE, ret_msg->id), ret_msg->size, ret_msg->flags);
	return 0;
}

int case_framing_two_in_one(struct trial *t)
{
	uint8_t bytes[2 * (VHU_HDR_LEN + VHU_MAX_PAYLOAD)];
	struct vhu_msg msg;
	size_t len;
	int err;

	vhu_msg_init(&msg, VHU_FE, VHU_FE_SET_OWNER);
	len = vhu_msg_pack(&msg, bytes);
	vhu_msg_init(&msg, VHU_FE, VHU_FE_GET_FEATURES);
	len += vhu_msg_pack(&msg, bytes + len);
	err = trial_step(t, vhu_frontend_send_raw(&t->fe, bytes, len, NULL, 0),
			 "SET_OWNER and GET_FEATURES in one write");
	if (err == 0)
		err = expect_reply(t, VHU_FE_GET_FEATURES, sizeof(uint64_t), &msg);
	return err < 0 ? err : trial_expect_silence(t);
}

/* Sends bytes piece by piece, the back-end having time to see each. */
static int send_pieces(struct trial *t, const uint8_t *bytes, size_t len, size_t piece)
{
	int err = 0;

	for (size_t at = 0; at < len && err == 0; at += piece) {
		err = vhu_frontend_send_raw(&t->fe, bytes + at, min_size(piece, len - at), NULL, 0);
		if (err == 0)
			err = vhu_frontend_pass_time(&t->fe, trial_ms(t, GAP_MS));
	}
	return trial_step(t, err, "a message in pieces of %zu bytes", piece);
}

int case_framing_bytes(struct trial *t)
{
	uint8_t bytes[VHU_HDR_LEN + VHU_MAX_PAYLOAD];
	struct vhu_msg msg;
	int err;

	vhu_msg_init(&msg, VHU_FE, VHU_FE_GET_FEATURES);
	err = send_pieces(t, bytes, vhu_msg_pack(&msg, bytes), 1);
	if (err == 0)
		err = expect_reply(t, VHU_FE_GET_FEATURES, sizeof(uint64_t), &msg);
	return err < 0 ? err : trial_ping(t);
}

/* Header, 3 bytes and 5 bytes: only what is whole can be right, and the next message is in frame.
 */
int case_framing_split_payload(struct trial *t)
{
	uint8_t bytes[VHU_HDR_LEN + VHU_MAX_PAYLOAD];
	struct vhu_msg msg;
	int err = trial_handshake_protocol(t, trial_protocol(t));

	if (err < 0)
		return err;
	vhu_msg_init(&msg, VHU_FE, VHU_FE_SET_FEATURES);
	vhu_msg_put_u64(&msg, trial_features(t));
	if (vhu_frontend_has_protocol(&t->fe, VHU_PF_REPLY_ACK_BIT))
		msg.flags |= VHU_FLAG_NEED_REPLY;
	vhu_msg_pack(&msg, bytes);
	err = send_pieces(t, bytes, VHU_HDR_LEN, VHU_HDR_LEN);
	if (err == 0)
		err = send_pieces(t, bytes + VHU_HDR_LEN, 3, 3);
	if (err == 0)
		err = send_pieces(t, bytes + VHU_HDR_LEN + 3, 5, 5);
	if (err == 0 && (msg.flags & VHU_FLAG_NEED_REPLY))
		err = expect_reply(t, VHU_FE_SET_FEATURES, sizeof(uint64_t), &msg);
	if (err == 0 && (msg.flags & VHU_FLAG_REPLY) && vhu_msg_u64(&msg) != 0)
		return trial_fail(t, "SET_FEATURES in three pieces: expected success, but it was "
				     "refused");
	return err < 0 ? err : trial_ping(t);
}

int case_framing_reply_flags(struct trial *t)
{
	struct vhu_msg reply;
	int err = trial_expect_silence(t);

	if (err == 0)
		err = send_plain(t, VHU_FE_GET_FEATURES, 0);
	if (err == 0)
		err = expect_reply(t, VHU_FE_GET_FEATURES, sizeof(uint64_t), &reply);
	if (err == 0)
		err = trial_handshake(t);
	if (err == 0)
		err = send_plain(t, VHU_FE_GET_FEATURES, VHU_FLAG_NEED_REPLY);
	return err < 0 ? err : expect_reply(t, VHU_FE_GET_FEATURES, sizeof(uint64_t), &reply);
}

int case_framing_reply_id(struct trial *t)
{
	struct vhu_msg reply;
	int err = trial_handshake(t);

	for (unsigned int i = 0; i < 3 && err == 0; i++) {
		err = send_plain(t, VHU_FE_GET_FEATURES, 0);
		if (err == 0)
			err = expect_reply(t, VHU_FE_GET_FEATURES, sizeof(uint64_t), &reply);
		if (err < 0 || !trial_offers(t, VHU_F_PROTOCOL_FEATURES_BIT))
			continue;
		err = send_plain(t, VHU_FE_GET_PROTOCOL_FEATURES, 0);
		if (err == 0)
			err = expect_reply(t, VHU_FE_GET_PROTOCOL_FEATURES, sizeof(uint64_t),
					   &reply);
	}
	return err;
}

/* One recv() for so many bytes, once there are any, as DPDK and SPDK do. */
static int receive_piece(struct trial *t, void *buf, size_t len, const char *part)
{
	struct pollfd p = { .fd = t->fe.fd, .events = POLLIN };
	ssize_t n;

	if (poll(&p, 1, trial_ms(t, TRIAL_ANSWER_MS)) <= 0)
		return trial_fail(t, "expected the %s of a reply, but nothing came in time", part);
	n = recv(t->fe.fd, buf, len, MSG_DONTWAIT);
	if (n == (ssize_t)len)
		return 0;
	return trial_fail(t, "expected the %zu bytes of a reply's %s in one piece, but %zd came",
			  len, part, n);
}

int case_framing_reply_pieces(struct trial *t)
{
	uint8_t hdr[VHU_HDR_LEN];
	uint64_t value;
	int err = 0;

	for (unsigned int i = 0; i < 16 && err == 0; i++) {
		err = send_plain(t, VHU_FE_GET_FEATURES, 0);
		if (err == 0)
			err = receive_piece(t, hdr, sizeof(hdr), "header");
		if (err == 0)
			err = receive_piece(t, &value, sizeof(value), "payload");
	}
	return err;
}

/* Flags. */

static int with_version(struct trial *t, uint32_t version)
{
	struct vhu_msg msg;

	vhu_msg_init(&msg, VHU_FE, VHU_FE_GET_FEATURES);
	msg.flags = version;
	return step_own_refused(t, &msg, "GET_FEATURES of version %u", version);
}

int case_framing_version_0(struct trial *t)
{
	return with_version(t, 0);
}

int case_framing_version_3(struct trial *t)
{
	return with_version(t, 3);
}

/* Each flag on each of two requests: answered all, or refused all. */
int case_framing_reserved_flags(struct trial *t)
{
	static const uint32_t flags[] = { 0x10, 0x10, 0x100, 0x80000000 };
	unsigned int n_answered = 0;
	bool accepted;
	int err = 0;

	for (size_t i = 0; i < ARRAY_SIZE(flags) && err == 0; i++) {
		struct vhu_msg msg;

		if (t->closed)
			err = step_reconnect(t);
		vhu_msg_init(&msg, VHU_FE, VHU_FE_GET_FEATURES);
		msg.flags |= flags[i];
		if (err == 0)
			err = trial_survives(t, &msg, &accepted, "GET_FEATURES with flags %#x",
					     msg.flags);
		if (err == 0)
			n_answered += accepted;
	}
	if (err < 0)
		return err;
	trial_remark(t, "reserved flags are %s", n_answered > 0 ? "ignored" : "refused");
	if (n_answered == 0 || n_answered == ARRAY_SIZE(flags))
		return 0;
	return trial_fail(t,
			  "expected reserved flags to be ignored or refused alike, but %u of %zu "
			  "requests were answered",
			  n_answered, ARRAY_SIZE(flags));
}

/* Ends. */

static int cut_off(struct trial *t, const uint8_t *bytes, size_t len)
{
	int err = step_send_raw(t, bytes, len, NULL, 0);

	if (err < 0 || t->closed)
		return err;
	if (shutdown(t->fe.fd, SHUT_WR) < 0)
		return trial_error(t, "shutdown: %s", strerror(errno));
	if (t->evidence)
		evidence_shut(t->evidence, &t->fe);
	return trial_expect_close(t);
}

int case_framing_cut_header(struct trial *t)
{
	uint8_t bytes[VHU_HDR_LEN + VHU_MAX_PAYLOAD];
	struct vhu_msg msg;

	vhu_msg_init(&msg, VHU_FE, VHU_FE_GET_FEATURES);
	vhu_msg_pack(&msg, bytes);
	return cut_off(t, bytes, 7);
}

int case_framing_cut_payload(struct trial *t)
{
	uint8_t bytes[VHU_HDR_LEN + VHU_MAX_PAYLOAD];
	struct vhu_msg msg;
	int err = trial_handshake(t);

	if (err < 0)
		return err;
	trial_msg_vring(t, &msg, VHU_FE_SET_VRING_NUM, trial_ring(t), TRIAL_RING);
	vhu_msg_pack(&msg, bytes);
	return cut_off(t, bytes, VHU_HDR_LEN + 3);
}

/* Sizes. */

/* The header and no more than a real payload: who waits for the rest waits for ever. */
static int with_size(struct trial *t, uint32_t size)
{
	int64_t before = process_rss(t->target->pid), after;
	uint8_t bytes[VHU_HDR_LEN + sizeof(uint64_t)] = { 0 };
	struct vhu_msg msg;
	int err = trial_handshake(t);

	if (err < 0)
		return err;
	vhu_msg_init(&msg, VHU_FE, VHU_FE_SET_FEATURES);
	msg.size = size;
	vhu_header_pack(&msg, bytes);
	err = step_send_raw(t, bytes, sizeof(bytes), NULL, 0);
	if (err == 0 && !t->closed)
		err = trial_expect_close(t);
	after = process_rss(t->target->pid);
	if (err < 0 || before < 0 || after - before < RSS_GRACE)
		return err;
	return trial_fail(t,
			  "a payload size of %u: expected no memory to be taken, but the process "
			  "grew by %lld KiB",
			  size, (long long)((after - before) / 1024));
}

int case_framing_size_max(struct trial *t)
{
	return with_size(t, UINT32_MAX);
}

int case_framing_size_signed(struct trial *t)
{
	return with_size(t, INT32_MAX);
}

int case_framing_size_64k(struct trial *t)
{
	return with_size(t, 65536);
}
