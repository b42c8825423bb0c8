/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "conform/cases/case-row.h"
#include "conform/cases/case-steps.h"
#include "conform/cases/generated.h"

/* No protocol feature has this bit, so that nothing else is left out. */
#define NO_PROTOCOL_BIT BIT(63)

enum { SURPLUS_LEN = 4096, LOW_INDEX_MAX = 255 };

/* A request and what was done to it. */
struct broken {
	const struct vhu_desc *desc;
	enum row_kind kind;
	enum vhu_rule rule; /* the one rule that is broken */
	struct vhu_msg msg;
	int surplus_fd; /* or -1 */
};

static uint64_t what_to_leave_out(const struct vhu_desc *desc, enum row_kind kind)
{
	if (kind != ROW_GATE)
		return 0;
	return desc->gate.kind == VHU_GATE_PROTOCOL ? BIT(desc->gate.bit) : NO_PROTOCOL_BIT;
}

static void ask(const struct trial *t, struct vhu_msg *msg, bool wanted)
{
	if (wanted && vhu_frontend_has_protocol(&t->fe, VHU_PF_REPLY_ACK_BIT))
		msg->flags |= VHU_FLAG_NEED_REPLY;
}

/* Where the payload names the ring is also where its bytes start. */
static int put_index(struct trial *t, struct broken *b, uint32_t idx)
{
	uint32_t word;

	if (b->desc->index == VHU_INDEX_LOW && idx > LOW_INDEX_MAX)
		return trial_na(t, "there is a ring for every index that %s can name",
				b->desc->name);
	memcpy(&word, b->msg.payload, sizeof(word));
	word = b->desc->index == VHU_INDEX_LOW ? (word & ~(uint32_t)LOW_INDEX_MAX) | idx : idx;
	memcpy(b->msg.payload, &word, sizeof(word));
	b->rule = VHU_RULE_RING_INDEX;
	return 0;
}

static int put_index_255(struct trial *t, struct broken *b)
{
	if (step_first_no_ring(t) > LOW_INDEX_MAX)
		return trial_na(t, "there may be a ring 255");
	return put_index(t, b, LOW_INDEX_MAX);
}

static int add_surplus_fd(struct trial *t, struct broken *b)
{
	unsigned int n = b->desc->fds.kind == VHU_FD_OPTIONAL ? 2 : b->msg.fds.n_fds + 1;
	int err = step_memfd(t, SURPLUS_LEN, &b->surplus_fd);

	while (err == 0 && b->msg.fds.n_fds < n && b->msg.fds.n_fds < FDSET_MAX)
		b->msg.fds.fd[b->msg.fds.n_fds++] = b->surplus_fd;
	switch (b->desc->fds.kind) {
	case VHU_FD_NONE:
		b->rule = VHU_RULE_FD_UNEXPECTED;
		break;
	case VHU_FD_REGIONS:
		b->rule = VHU_RULE_FD_REGIONS;
		break;
	case VHU_FD_ONE:
	case VHU_FD_OPTIONAL:
	case VHU_FD_RING:
		b->rule = VHU_RULE_FD_MANY;
		break;
	case VHU_FD_IF:
		b->rule = n == 1 ? VHU_RULE_FD_UNEXPECTED : VHU_RULE_FD_MANY;
		break;
	}
	return err;
}

static enum vhu_rule gate_rule(const struct vhu_desc *desc)
{
	switch (desc->gate.kind) {
	case VHU_GATE_OFFERED:
		return VHU_RULE_GATE_OFFERED;
	case VHU_GATE_ACKED:
		return VHU_RULE_GATE_ACKED;
	case VHU_GATE_VIRTIO:
		return VHU_RULE_GATE_VIRTIO;
	default:
		return VHU_RULE_GATE_PROTOCOL;
	}
}

/* Does to the request what the kind says. */
static int breach(struct trial *t, struct broken *b)
{
	struct vhu_msg *msg = &b->msg;

	switch (b->kind) {
	case ROW_SHORT:
		msg->size--;
		b->rule = VHU_RULE_SIZE_SHORT;
		return 0;
	case ROW_LONG:
		msg->payload[msg->size++] = 0;
		b->rule = VHU_RULE_PAYLOAD_ROW_LIMIT;
		return 0;
	case ROW_PAYLOAD:
		vhu_msg_put_u64(msg, 0);
		b->rule = VHU_RULE_PAYLOAD_ROW_LIMIT;
		return 0;
	case ROW_FD_EXTRA:
		return add_surplus_fd(t, b);
	case ROW_FD_MISSING:
		msg->fds.n_fds = 0;
		b->rule = b->desc->fds.kind == VHU_FD_RING ? VHU_RULE_NOFD_MISSING
							   : VHU_RULE_FD_MISSING;
		return 0;
	case ROW_GATE:
		b->rule = gate_rule(b->desc);
		return 0;
	case ROW_INDEX_NEXT:
		return put_index(t, b, step_first_no_ring(t));
	case ROW_INDEX_255:
		return put_index_255(t, b);
	case ROW_INDEX_MAX:
		return put_index(t, b, UINT32_MAX);
	case ROW_REPLY_BIT:
		msg->flags |= VHU_FLAG_REPLY;
		b->rule = VHU_RULE_REPLY_BIT;
		return 0;
	case ROW_VERSION:
		msg->flags = (msg->flags & ~VHU_FLAG_VERSION_MASK) | 2;
		b->rule = VHU_RULE_VERSION;
		return 0;
	case ROW_ACKED:
	case ROW_UNASKED:
	case ROW_ANSWERED:
	case ROW_N_KINDS:
		break;
	}
	return 0;
}

/* The tester must break what it says it breaks, and nothing else before that. */
static int check_rule(struct trial *t, const struct broken *b)
{
	struct vhu_nego nego = t->fe.nego;
	enum vhu_rule rule;

	if (b->rule == VHU_RULE_RING_INDEX)
		nego.n_queues = step_first_no_ring(t);
	rule = vhu_check_header(&nego, &b->msg);
	if (rule == VHU_OK)
		rule = vhu_check_request(&nego, &b->msg);
	if (rule == b->rule || (b->rule == VHU_OK && vhu_rule_severity(rule) == VHU_NOTE))
		return 0;
	return trial_error(t, "%s was to break rule %s, but it breaks %s", b->desc->name,
			   vhu_rule_name(b->rule), vhu_rule_name(rule));
}

/* In order. */

static bool may_refuse(const struct broken *b)
{
	return row_safety((enum vhu_fe_id)b->desc->id) == ROW_ANY;
}

/*
 * The answer, of which only what tells it from others is judged: its other
 * bytes have cases of their own, and a device may refuse some requests.
 */
static int await_answer(struct trial *t, const struct broken *b)
{
	const char *name = b->desc->name;
	struct vhu_msg reply;
	bool closed;
	int err = trial_step(t, vhu_frontend_send(&t->fe, &b->msg), "%s", name);

	if (err == 0)
		err = trial_receive(t, &reply, &closed);
	if (err < 0)
		return err;
	/* Who does not know a request may end the connection, as with any refusal. */
	if (closed && may_refuse(b))
		return trial_remark(t, "%s is refused by ending the connection", name);
	if (closed)
		return trial_fail(t, "%s: expected an answer, but the connection was closed", name);
	fdset_close(&reply.fds);
	if (reply.id != b->msg.id || !(reply.flags & VHU_FLAG_REPLY))
		return trial_fail(t, "%s: expected its answer, but %s with flags %#x came", name,
				  vhu_msg_name(VHU_FE, reply.id), reply.flags);
	if (b->kind == ROW_ACKED && reply.size != sizeof(uint64_t))
		return trial_fail(t,
				  "%s: expected an acknowledgement of 8 bytes, but %u bytes came",
				  name, reply.size);
	if (b->kind == ROW_ANSWERED || vhu_msg_u64(&reply) == 0 || may_refuse(b))
		return 0;
	return trial_fail(t, "%s: expected to be acknowledged with 0, but it was with %llu", name,
			  (unsigned long long)vhu_msg_u64(&reply));
}

static int in_order(struct trial *t, struct broken *b)
{
	int err;

	ask(t, &b->msg, b->kind != ROW_UNASKED);
	err = check_rule(t, b);
	if (err == 0)
		err = b->kind == ROW_UNASKED ? trial_request(t, &b->msg, NULL) : await_answer(t, b);
	if (err < 0 || t->closed)
		return err;
	/* Whatever else was said comes before the answer to this. */
	return may_refuse(b) ? trial_goes_on(t, b->desc->name) : trial_ping(t);
}

/* Out of order. */

static const char *what_is_wrong(enum row_kind kind)
{
	static const char *const words[ROW_N_KINDS] = {
		[ROW_SHORT] = "one byte too short",
		[ROW_LONG] = "one byte too long",
		[ROW_PAYLOAD] = "with a payload of 8 bytes",
		[ROW_FD_EXTRA] = "with a descriptor too many",
		[ROW_FD_MISSING] = "without its descriptor",
		[ROW_GATE] = "without its feature",
		[ROW_INDEX_NEXT] = "for the ring after the last one",
		[ROW_INDEX_255] = "for ring 255",
		[ROW_INDEX_MAX] = "for ring 4294967295",
		[ROW_REPLY_BIT] = "with the reply bit set",
		[ROW_VERSION] = "of version 2",
	};

	return words[kind] ? words[kind] : "in order";
}

static bool may_be_accepted(const struct broken *b)
{
	if (b->kind == ROW_LONG || b->kind == ROW_PAYLOAD)
		return true;
	return b->kind == ROW_FD_EXTRA && b->desc->id != VHU_FE_SET_MEM_TABLE &&
	       b->desc->id != VHU_FE_ADD_MEM_REG && b->desc->id != VHU_FE_REM_MEM_REG;
}

static int out_of_order(struct trial *t, struct broken *b)
{
	char what[96];
	int err = breach(t, b);

	snprintf(what, sizeof(what), "%s %s", b->desc->name, what_is_wrong(b->kind));

	/* A refusal is best seen where an acknowledgement is asked for. */
	ask(t, &b->msg,
	    (t->ack || b->kind == ROW_REPLY_BIT || b->kind == ROW_VERSION) &&
		    !row_has_answer(b->desc));
	if (err == 0)
		err = check_rule(t, b);
	if (err == 0 && may_be_accepted(b))
		err = trial_survives(t, &b->msg, NULL, "%s", what);
	else if (err == 0)
		err = step_refused(t, &b->msg, "%s", what);
	if (err == 0 && b->surplus_fd >= 0)
		err = step_not_kept(t, b->surplus_fd, what);
	return err;
}

int case_generated(struct trial *t)
{
	struct broken b = {
		.desc = vhu_desc_at(row_of_arg(t->row->arg)),
		.kind = kind_of_arg(t->row->arg),
		.surplus_fd = -1,
	};
	AUTO_STAGE struct stage stage;
	int err;

	stage_init(&stage);
	err = row_prepare(t, b.desc, what_to_leave_out(b.desc, b.kind), &stage);
	if (err == 0)
		err = row_make(t, b.desc, &stage, &b.msg);
	if (err == 0)
		err = b.kind == ROW_ACKED || b.kind == ROW_UNASKED || b.kind == ROW_ANSWERED
			      ? in_order(t, &b)
			      : out_of_order(t, &b);
	fd_close(b.surplus_fd);
	return err;
}
