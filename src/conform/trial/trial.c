/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Verdicts, connections, handshakes, and requests that are not in order. */
#include "conform/trial/trial.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conform/target/process.h"
#include "virtio/features.h"

/*
 * What the tester accepts unless a case wants more. Without INFLIGHT_SHMFD:
 * who accepts that must use it before the rings run.
 */
#define FEATURES                                                                                   \
	(BIT(VIRTIO_F_INDIRECT_DESC_BIT) | BIT(VIRTIO_F_EVENT_IDX_BIT) |                           \
	 BIT(VHU_F_PROTOCOL_FEATURES_BIT) | BIT(VIRTIO_F_VERSION_1_BIT))
#define PROTOCOL                                                                                   \
	(BIT(VHU_PF_MQ_BIT) | BIT(VHU_PF_REPLY_ACK_BIT) | BIT(VHU_PF_BACKEND_REQ_BIT) |            \
	 BIT(VHU_PF_CONFIG_BIT) | BIT(VHU_PF_RESET_DEVICE_BIT) |                                   \
	 BIT(VHU_PF_CONFIGURE_MEM_SLOTS_BIT) | BIT(VHU_PF_STATUS_BIT))

int trial_init(struct trial *t, const struct case_row *row, struct target *target,
	       const struct device *device, struct evidence *evidence, bool ack)
{
	*t = (struct trial){
		.row = row,
		.target = target,
		.device = device,
		.evidence = evidence,
		.ack = ack,
		.peer_fd = -1,
		.verdict = VERDICT_PASS,
	};
	vhu_frontend_init(&t->fe, -1);
	t->fe.timeout_ms = trial_ms(t, TRIAL_ANSWER_MS);
	t->fe.seal_memory = true;
	return 0;
}

void trial_fini(struct trial *t)
{
	vhu_frontend_fini(&t->fe);
	t->peer_fd = fd_close(t->peer_fd);
	free(t->device_state);
	t->device_state = NULL;
}

/* Verdicts. */

/* The first one stays: what comes after it is its consequence. */
PRINTF_LIKE(3, 0)
static void judge(struct trial *t, enum verdict verdict, const char *fmt, va_list args)
{
	if (t->verdict != VERDICT_PASS)
		return;
	if (t->evidence)
		evidence_judged(t->evidence, &t->fe);
	t->verdict = verdict;
	vsnprintf(t->reason, sizeof(t->reason), fmt, args);
}

#define JUDGE(t, verdict, fmt)                                                                     \
	do {                                                                                       \
		va_list args;                                                                      \
		va_start(args, fmt);                                                               \
		judge(t, verdict, fmt, args);                                                      \
		va_end(args);                                                                      \
	} while (0)

int trial_fail(struct trial *t, const char *fmt, ...)
{
	JUDGE(t, VERDICT_FAIL, fmt);
	return -EPROTO;
}

int trial_warn(struct trial *t, const char *fmt, ...)
{
	JUDGE(t, VERDICT_WARN, fmt);
	return -EPROTO;
}

int trial_na(struct trial *t, const char *fmt, ...)
{
	JUDGE(t, VERDICT_NA, fmt);
	return -ENOTSUP;
}

int trial_error(struct trial *t, const char *fmt, ...)
{
	JUDGE(t, VERDICT_ERROR, fmt);
	return -EIO;
}

int trial_remark(struct trial *t, const char *fmt, ...)
{
	size_t len = strlen(t->remark);
	va_list args;

	if (len > 0 && len + 2 < sizeof(t->remark))
		len += (size_t)snprintf(t->remark + len, sizeof(t->remark) - len, "; ");
	va_start(args, fmt);
	vsnprintf(t->remark + len, sizeof(t->remark) - len, fmt, args);
	va_end(args);
	return 0;
}

/* Whether an error of the front-end is the back-end's doing. */
static bool is_theirs(int err)
{
	return err == -ETIMEDOUT || err == -ECONNRESET || err == -EREMOTEIO || err == -EPROTO;
}

int trial_step(struct trial *t, int err, const char *fmt, ...)
{
	char what[256];

	if (err >= 0)
		return 0;
	FORMAT_SENTENCE(what, fmt);
	if (err == -ECONNRESET)
		t->closed = true;
	if (!is_theirs(err)) {
		trial_error(t, "%s: %s", what, t->fe.error);
		return err;
	}
	trial_fail(t, "%s: expected %s%s", what, t->fe.error,
		   err == -ETIMEDOUT	? ", but nothing came in time"
		   : err == -ECONNRESET ? ", but the connection was closed"
					: "");
	return err;
}

int trial_ms(const struct trial *t, int ms)
{
	return target_ms(t->target, ms);
}

bool trial_offers(const struct trial *t, unsigned int feature_bit)
{
	return (t->target->info.features & BIT(feature_bit)) != 0;
}

bool trial_offers_protocol(const struct trial *t, unsigned int protocol_bit)
{
	return trial_offers(t, VHU_F_PROTOCOL_FEATURES_BIT) &&
	       (t->target->info.protocol & BIT(protocol_bit)) != 0;
}

int trial_pass(struct trial *t, int ms)
{
	return trial_step(t, vhu_frontend_pass_time(&t->fe, ms), "time passes");
}

int trial_n_fds(struct trial *t, int *ret_n)
{
	int n = target_n_fds(t->target);

	if (n < 0)
		return trial_na(t, "the descriptors of process %d cannot be listed",
				(int)t->target->pid);
	*ret_n = n;
	return 0;
}

/* Connections. */

/* A back-end that serves one connection and ends is started again, if it is ours to start. */
static int revive(struct trial *t)
{
	struct target *target = t->target;

	if (target->info.persistent || !target->exec || t->fe.fd < 0)
		return 0;
	vhu_frontend_disconnect(&t->fe);
	target_stop(target);
	if (target_start(target) < 0)
		return trial_error(t, "the back-end started again: %s", target->error);
	return 0;
}

/* Who answers before it is asked would be taken for somebody who answers rightly. */
static int check_nothing_said(struct trial *t)
{
	char byte;

	if (recv(t->fe.fd, &byte, sizeof(byte), MSG_PEEK | MSG_DONTWAIT) <= 0)
		return 0;
	return trial_fail(t, "expected silence until the first request, but the back-end said "
			     "something unasked");
}

int trial_reconnect(struct trial *t)
{
	int fd, err = revive(t);

	if (err < 0)
		return err;
	vhu_frontend_disconnect(&t->fe);
	err = target_connect(t->target, &fd);
	if (err < 0)
		return trial_fail(t, "a connection to the back-end: %s", t->target->error);
	vhu_frontend_attach(&t->fe, fd);
	t->closed = false;
	if (t->evidence)
		evidence_attach(t->evidence, &t->fe);
	return check_nothing_said(t);
}

int trial_ping(struct trial *t)
{
	return trial_step(t, vhu_frontend_ping(&t->fe), "GET_FEATURES to see whether it answers");
}

int trial_expect_close(struct trial *t)
{
	int err = vhu_frontend_await_close(&t->fe, trial_ms(t, TRIAL_ANSWER_MS));

	if (err < 0)
		return trial_step(t, err, "the end of the connection");
	t->closed = true;
	return 0;
}

int trial_expect_silence(struct trial *t)
{
	int err = vhu_frontend_await_readable(&t->fe, &t->fe.fd, 1, trial_ms(t, TRIAL_QUIET_MS));

	if (err == -ETIMEDOUT)
		return 0;
	if (err < 0)
		return trial_step(t, err, "silence");
	return trial_fail(t, "expected no message, but one came, or the connection ended");
}

/* Handshakes. */

uint64_t trial_features(const struct trial *t)
{
	uint64_t known = FEATURES | (t->device ? t->device->features : 0);

	return t->target->info.features & known;
}

uint64_t trial_protocol(const struct trial *t)
{
	return trial_offers(t, VHU_F_PROTOCOL_FEATURES_BIT) ? t->target->info.protocol & PROTOCOL
							    : 0;
}

/* Asks, and accepts of the answer what is in protocol. */
static int agree_on_protocol(struct trial *t, uint64_t protocol)
{
	uint64_t offered;
	int err = vhu_frontend_get_u64(&t->fe, VHU_FE_GET_PROTOCOL_FEATURES, &offered);

	if (err < 0)
		return trial_step(t, err, "GET_PROTOCOL_FEATURES");
	err = vhu_frontend_set_u64(&t->fe, VHU_FE_SET_PROTOCOL_FEATURES, offered & protocol, false);
	if (err == 0 && vhu_frontend_has_protocol(&t->fe, VHU_PF_BACKEND_REQ_BIT))
		err = vhu_frontend_open_channel(&t->fe, true);
	return trial_step(t, err, "SET_PROTOCOL_FEATURES");
}

static int begin_session(struct trial *t, uint64_t protocol, uint64_t *ret_features)
{
	uint64_t none;
	int err = vhu_frontend_simple(&t->fe, VHU_FE_SET_OWNER, false);

	if (err == 0)
		err = vhu_frontend_get_u64(&t->fe, VHU_FE_GET_FEATURES, ret_features);
	if (err < 0)
		return trial_step(t, err, "SET_OWNER and GET_FEATURES");
	if (!(*ret_features & BIT(VHU_F_PROTOCOL_FEATURES_BIT)))
		return 0;
	/* That it has none may be for want of an answer that could be used. */
	if (t->target->info.protocol == 0)
		return trial_step(t,
				  vhu_frontend_get_u64(&t->fe, VHU_FE_GET_PROTOCOL_FEATURES, &none),
				  "GET_PROTOCOL_FEATURES");
	if (protocol == 0)
		return 0;
	return agree_on_protocol(t, protocol);
}

int trial_handshake_protocol(struct trial *t, uint64_t protocol)
{
	uint64_t features;

	return begin_session(t, protocol, &features);
}

int trial_handshake_with(struct trial *t, uint64_t features, uint64_t protocol)
{
	uint64_t offered;
	int err = begin_session(t, protocol, &offered);

	if (err < 0)
		return err;
	err = vhu_frontend_set_u64(&t->fe, VHU_FE_SET_FEATURES, offered & features, true);
	return trial_step(t, err, "SET_FEATURES of %#llx",
			  (unsigned long long)(offered & features));
}

int trial_handshake(struct trial *t)
{
	return trial_handshake_with(t, trial_features(t), trial_protocol(t));
}

int trial_request(struct trial *t, const struct vhu_msg *msg, struct vhu_msg *ret_reply)
{
	return trial_step(t, vhu_frontend_request(&t->fe, msg, ret_reply, t->fe.timeout_ms), "%s",
			  vhu_msg_name(msg->dir, msg->id));
}

/* Requests that are not in order. */

void trial_msg(const struct trial *t, struct vhu_msg *ret_msg, enum vhu_fe_id id)
{
	vhu_msg_init(ret_msg, VHU_FE, id);
	if (t->ack && vhu_frontend_has_protocol(&t->fe, VHU_PF_REPLY_ACK_BIT))
		ret_msg->flags |= VHU_FLAG_NEED_REPLY;
}

void trial_msg_u64(const struct trial *t, struct vhu_msg *ret_msg, enum vhu_fe_id id,
		   uint64_t value)
{
	trial_msg(t, ret_msg, id);
	vhu_msg_put_u64(ret_msg, value);
}

void trial_msg_vring(const struct trial *t, struct vhu_msg *ret_msg, enum vhu_fe_id id,
		     uint32_t idx, uint32_t num)
{
	const struct vhu_vring_state state = { .index = idx, .num = num };

	trial_msg(t, ret_msg, id);
	vhu_msg_put(ret_msg, &state, sizeof(state));
}

int trial_receive(struct trial *t, struct vhu_msg *ret_reply, bool *ret_closed)
{
	int err = vhu_frontend_receive(&t->fe, ret_reply, trial_ms(t, TRIAL_ANSWER_MS));

	*ret_closed = err == -ECONNRESET;
	if (err == -ECONNRESET) {
		t->closed = true;
		return 0;
	}
	return trial_step(t, err, "an answer");
}

enum answer { ANSWER_NONE, ANSWER_YES, ANSWER_NO, ANSWER_CLOSED };

static enum answer read_answer(const struct vhu_msg *msg, const struct vhu_desc *desc,
			       const struct vhu_msg *reply, bool own)
{
	if (reply->id != msg->id || !(reply->flags & VHU_FLAG_REPLY))
		return ANSWER_NONE;
	if (!own)
		return vhu_msg_u64(reply) == 0 ? ANSWER_YES : ANSWER_NO;
	/* An empty reply is an error report, and so is an acknowledgement in place of a reply. */
	if (reply->size == 0 && desc->reply->min_len > 0)
		return ANSWER_NO;
	return reply->size == sizeof(uint64_t) && reply->size < desc->reply->min_len &&
			       vhu_msg_u64(reply) != 0
		       ? ANSWER_NO
		       : ANSWER_YES;
}

/* Sends, and awaits an answer if there has to be one. */
static int ask_wrongly(struct trial *t, const struct vhu_msg *msg, const char *what,
		       enum answer *ret_answer)
{
	const struct vhu_desc *desc = vhu_desc_find(msg->dir, msg->id);
	bool own = desc && vhu_has_own_reply(desc, &t->fe.nego);
	bool asked = (msg->flags & VHU_FLAG_NEED_REPLY) &&
		     vhu_frontend_has_protocol(&t->fe, VHU_PF_REPLY_ACK_BIT);
	struct vhu_msg reply;
	int err = vhu_frontend_send_unchecked(&t->fe, msg);

	*ret_answer = ANSWER_NONE;
	if (err == 0 && (own || asked))
		err = vhu_frontend_receive(&t->fe, &reply, trial_ms(t, TRIAL_ANSWER_MS));
	if (err == -ECONNRESET) {
		*ret_answer = ANSWER_CLOSED;
		return 0;
	}
	if (err == -ETIMEDOUT)
		return trial_fail(t, "%s: expected a refusal, but no answer came in time", what);
	if (err < 0)
		return trial_step(t, err, "%s", what);
	if (!own && !asked)
		return 0;
	*ret_answer = read_answer(msg, desc, &reply, own);
	fdset_close(&reply.fds);
	if (*ret_answer == ANSWER_NONE)
		return trial_fail(t, "%s: expected its answer, but %s with flags %#x came", what,
				  vhu_msg_name(VHU_FE, reply.id), reply.flags);
	return 0;
}

int trial_goes_on(struct trial *t, const char *what)
{
	int err = vhu_frontend_ping(&t->fe);

	if (err == -ECONNRESET) {
		t->closed = true;
		return 0;
	}
	return trial_step(t, err, "%s, then GET_FEATURES", what);
}

static int try_wrong(struct trial *t, const struct vhu_msg *msg, bool *ret_accepted,
		     const char *what)
{
	enum answer answer;
	int err = ask_wrongly(t, msg, what, &answer);

	if (err < 0)
		return err;
	*ret_accepted = answer == ANSWER_YES;
	if (answer == ANSWER_CLOSED) {
		t->closed = true;
		return 0;
	}
	return trial_goes_on(t, what);
}

int trial_refused(struct trial *t, const struct vhu_msg *msg, const char *fmt, ...)
{
	bool accepted;
	char what[256];
	int err;

	FORMAT_SENTENCE(what, fmt);
	err = try_wrong(t, msg, &accepted, what);
	if (err < 0 || !accepted)
		return err;
	/* What an acknowledgement says of it has a case of its own: VU-052. */
	if (t->closed)
		return trial_warn(t,
				  "%s: expected a refusal, but it was answered as if in order "
				  "before the connection was closed",
				  what);
	return trial_fail(t,
			  "%s: expected a refusal or the end of the connection, but it was "
			  "answered as if in order",
			  what);
}

int trial_survives(struct trial *t, const struct vhu_msg *msg, bool *ret_accepted, const char *fmt,
		   ...)
{
	bool accepted;
	char what[256];
	int err;

	FORMAT_SENTENCE(what, fmt);
	err = try_wrong(t, msg, &accepted, what);
	if (err == 0 && ret_accepted)
		*ret_accepted = accepted;
	return err;
}

int trial_refresh(struct trial *t)
{
	int err;

	if (!t->closed)
		return 0;
	err = trial_reconnect(t);
	return err < 0 ? err : trial_handshake(t);
}
