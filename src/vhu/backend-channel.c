/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "vhu/backend-channel.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vhu/backend.h"
#include "vhu/codec.h"

enum { CALL_WORDS = VHU_MAX_RINGS / 64 };

/* A request that is to be acknowledged. */
struct asked {
	uint32_t id;
	uint32_t ring;
};

struct vhu_channel {
	struct vhu_conn conn;
	struct vhu_backend *b;
	/* By ring: an in-band call that is sent and not acknowledged yet, and one due after it. */
	bool call_sent[VHU_MAX_RINGS];
	uint64_t call_again[CALL_WORDS];	 /* a bit each */
	uint32_t call_next;			 /* where the search for one that is due begins */
	struct asked asked[VHU_CONN_MAX_QUEUED]; /* the oldest first */
	unsigned int n_asked;
	bool config_queued; /* a config change waits to be sent: one says it all */
};

static struct vhu_channel *to_channel(struct vhu_conn *conn)
{
	return container_of(conn, struct vhu_channel, conn);
}

static void channel_closed(struct vhu_conn *conn)
{
	struct vhu_channel *ch = to_channel(conn);
	struct vhu_backend *b = ch->b;

	free(ch);
	vhu_backend_part_closed(b);
}

void vhu_channel_close(struct vhu_backend *b)
{
	struct vhu_channel *ch = b->channel;

	if (!ch)
		return;
	b->channel = NULL;
	vhu_conn_close(&ch->conn, channel_closed);
}

static void ended(struct vhu_conn *conn, int err, enum vhu_rule rule)
{
	struct vhu_channel *ch = to_channel(conn);
	struct vhu_backend *b = ch->b;

	if (rule != VHU_OK)
		vhu_backend_warn(b, b->who, "back-end channel closed: %s expected",
				 vhu_rule_text(rule));
	else if (err < 0)
		vhu_backend_warn(b, b->who, "back-end channel failed (error %d)", -err);
	else
		log_debug(b->who, "the front-end closed the back-end channel");
	if (b->channel == ch)
		vhu_channel_close(b);
}

static enum vhu_rule check_header(struct vhu_conn *conn, const struct vhu_msg *msg)
{
	(void)conn;
	return vhu_check_reply_header(msg);
}

static void set_again(struct vhu_channel *ch, uint32_t idx, bool due)
{
	if (due)
		ch->call_again[idx / 64] |= BIT(idx % 64);
	else
		ch->call_again[idx / 64] &= ~BIT(idx % 64);
}

/* Queues msg, which is about a ring and is to be acknowledged. */
static bool ask(struct vhu_channel *ch, struct vhu_msg *msg, uint32_t idx)
{
	if (ch->n_asked == ARRAY_SIZE(ch->asked))
		return false;
	msg->flags |= VHU_FLAG_NEED_REPLY;
	if (vhu_conn_send(&ch->conn, msg) < 0)
		return false;
	ch->asked[ch->n_asked++] = (struct asked){ .id = msg->id, .ring = idx };
	return true;
}

static bool send_call(struct vhu_channel *ch, uint32_t idx)
{
	struct vhu_vring_state state = { .index = idx };
	struct vhu_msg msg;

	vhu_msg_init(&msg, VHU_BE, VHU_BE_VRING_CALL);
	vhu_msg_put(&msg, &state, sizeof(state));
	if (!ask(ch, &msg, idx)) /* INBAND implies REPLY_ACK (VU-040) */
		return false;
	ch->call_sent[idx] = true;
	return true;
}

/* The first of 64 rings that is due and has no call under way; 64: none. */
static unsigned int find_due(const struct vhu_channel *ch, uint32_t word, uint64_t mask)
{
	for (uint64_t due = ch->call_again[word] & mask; due; due &= due - 1) {
		unsigned int bit = (unsigned int)__builtin_ctzll(due);

		if (!ch->call_sent[word * 64 + bit])
			return bit;
	}
	return 64;
}

/*
 * Calls that are due go out while there is room, from where the last search
 * ended: busy rings with low numbers do not keep the others waiting.
 */
static void send_due(struct vhu_channel *ch)
{
	uint32_t start = ch->call_next;

	/* The word that it begins in is looked at twice: from the bit on, then whole. */
	for (uint32_t i = 0; i <= CALL_WORDS; i++) {
		uint32_t word = (start / 64 + i) % CALL_WORDS;
		uint64_t mask = i == 0 ? UINT64_MAX << (start % 64) : UINT64_MAX;
		unsigned int bit;

		while ((bit = find_due(ch, word, mask)) < 64) {
			uint32_t idx = word * 64 + bit;

			if (!send_call(ch, idx))
				return;
			set_again(ch, idx, false);
			ch->call_next = (idx + 1) % VHU_MAX_RINGS;
		}
	}
}

unsigned int vhu_channel_n_unacked(const struct vhu_backend *b)
{
	return b->channel ? b->channel->n_asked : 0;
}

static void acknowledged(struct vhu_channel *ch, const struct asked *asked, bool refused)
{
	if (asked->id == VHU_BE_IOTLB_MSG) {
		vhu_iommu_acknowledged(ch->b, asked->ring, refused);
		return;
	}
	if (refused)
		vhu_backend_warn(ch->b, ch->b->who, "the front-end refused a call for ring %u",
				 asked->ring);
	ch->call_sent[asked->ring] = false;
}

/* There may be room again for what had none. */
static void send_rest(struct vhu_channel *ch)
{
	vhu_iommu_flush(ch->b);
	send_due(ch);
}

/* A front-end may put off one kind of request; those of one kind it answers in order. */
static bool take_asked(struct vhu_channel *ch, uint32_t id, struct asked *ret_asked)
{
	unsigned int i = 0;

	while (i < ch->n_asked && ch->asked[i].id != id)
		i++;
	if (i == ch->n_asked)
		return false;
	*ret_asked = ch->asked[i];
	ch->n_asked--;
	memmove(&ch->asked[i], &ch->asked[i + 1], (ch->n_asked - i) * sizeof(ch->asked[0]));
	return true;
}

static void message(struct vhu_conn *conn, struct vhu_msg *msg)
{
	struct vhu_channel *ch = to_channel(conn);
	struct asked asked;

	if (msg->size != sizeof(uint64_t) || !take_asked(ch, msg->id, &asked)) {
		ended(conn, 0, VHU_RULE_REPLY_UNEXPECTED);
		return;
	}
	acknowledged(ch, &asked, vhu_msg_u64(msg) != 0);
	send_rest(ch);
	vhu_conn_read(conn);
}

static void sent(struct vhu_conn *conn)
{
	struct vhu_channel *ch = to_channel(conn);

	ch->config_queued = false;
	send_rest(ch);
	vhu_backend_flush_config(ch->b);
}

static const struct vhu_conn_ops channel_ops = {
	.header = check_header,
	.message = message,
	.sent = sent,
	.ended = ended,
};

int vhu_channel_open(struct vhu_backend *b, int fd)
{
	struct vhu_channel *ch = calloc(1, sizeof(*ch));

	if (!ch) {
		fd_close(fd);
		return -ENOMEM;
	}
	vhu_channel_close(b);
	ch->b = b;
	b->channel = ch;
	b->n_open++;
	vhu_conn_init(&ch->conn, b->loop, fd, VHU_BE, &channel_ops);
	ch->conn.ear = b->conn.ear;
	vhu_conn_read_apart(&ch->conn); /* the front-end has this end of it, too */
	vhu_conn_read(&ch->conn);
	return 0;
}

bool vhu_channel_config_change(struct vhu_backend *b)
{
	struct vhu_msg msg;

	if (!b->channel)
		return false;
	if (b->channel->config_queued)
		return true;
	vhu_msg_init(&msg, VHU_BE, VHU_BE_CONFIG_CHANGE_MSG);
	b->channel->config_queued = vhu_conn_send(&b->channel->conn, &msg) == 0;
	return b->channel->config_queued;
}

void vhu_channel_vring_call(struct vhu_backend *b, uint32_t idx)
{
	struct vhu_channel *ch = b->channel;

	if (!ch || !vhu_backend_has_protocol(b, VHU_PF_INBAND_NOTIFICATIONS_BIT))
		return; /* the front-end polls */
	set_again(ch, idx, ch->call_sent[idx] || !send_call(ch, idx));
}

void vhu_channel_forget_call(struct vhu_backend *b, uint32_t idx)
{
	if (b->channel)
		set_again(b->channel, idx, false);
}

void vhu_channel_vring_err(struct vhu_backend *b, uint32_t idx)
{
	struct vhu_vring_state state = { .index = idx };
	struct vhu_msg msg;

	if (!b->channel || !vhu_backend_has_protocol(b, VHU_PF_INBAND_NOTIFICATIONS_BIT))
		return;
	vhu_msg_init(&msg, VHU_BE, VHU_BE_VRING_ERR);
	vhu_msg_put(&msg, &state, sizeof(state));
	vhu_conn_send(&b->channel->conn, &msg);
}

bool vhu_channel_iotlb(struct vhu_backend *b, uint32_t idx, const struct vhu_iotlb *payload,
		       bool *ret_unacked)
{
	bool acked = vhu_backend_has_protocol(b, VHU_PF_REPLY_ACK_BIT);
	struct vhu_msg msg;

	if (!b->channel)
		return false;
	vhu_msg_init(&msg, VHU_BE, VHU_BE_IOTLB_MSG);
	vhu_msg_put(&msg, payload, sizeof(*payload));
	if (acked ? !ask(b->channel, &msg, idx) : vhu_conn_send(&b->channel->conn, &msg) < 0)
		return false;
	*ret_unacked = acked;
	return true;
}

/* Another process. */

enum { TAG_CONN = 1, TAG_AGAIN, TAG_NEXT, TAG_ASKED, TAG_CONFIG_QUEUED };

void vhu_channel_save(const struct vhu_backend *b, struct handover_out *out, unsigned int tag)
{
	const struct vhu_channel *ch = b->channel;
	struct state_writer *w = &out->state;

	if (!ch)
		return;
	if (ch->conn.has_ended)
		handover_busy(out, "%s: the back-end channel is being closed", b->who);
	state_begin_group(w, tag);
	vhu_conn_save(&ch->conn, out, TAG_CONN);
	state_put_bytes(w, TAG_AGAIN, ch->call_again, sizeof(ch->call_again));
	state_put_number(w, TAG_NEXT, ch->call_next);
	state_put_bytes(w, TAG_ASKED, ch->asked, ch->n_asked * sizeof(ch->asked[0]));
	state_put_number(w, TAG_CONFIG_QUEUED, ch->config_queued);
	state_end(w);
}

/* What waits for its acknowledgement: calls, and translations that were asked for. */
static void load_asked(struct vhu_channel *ch, struct state_reader *r)
{
	const uint8_t *bytes;
	size_t len = state_take_bytes(r, TAG_ASKED, "requests", sizeof(ch->asked), &bytes);

	ch->n_asked = (unsigned int)(len / sizeof(ch->asked[0]));
	if (len > 0)
		memcpy(ch->asked, bytes, ch->n_asked * sizeof(ch->asked[0]));
	for (unsigned int i = 0; i < ch->n_asked; i++) {
		const struct asked *asked = &ch->asked[i];

		if (asked->ring >= ch->b->n_vqs)
			state_fail(r, "a request is about a ring that there is not");
		else if (asked->id == VHU_BE_VRING_CALL)
			ch->call_sent[asked->ring] = true;
	}
}

void vhu_channel_load(struct vhu_backend *b, struct handover_in *in, unsigned int tag)
{
	struct vhu_channel *ch;

	if (!state_has(&in->state, tag) || !state_enter(&in->state, tag, "channel"))
		return;
	ch = calloc(1, sizeof(*ch));
	if (!ch) {
		state_fail(&in->state, "no memory");
		return;
	}
	ch->b = b;
	b->channel = ch;
	b->n_open++;
	vhu_conn_load(&ch->conn, b->loop, VHU_BE, &channel_ops, in, TAG_CONN);
	ch->conn.ear = b->conn.ear;
	vhu_conn_read_apart(&ch->conn);
	handover_take_exact(in, TAG_AGAIN, "calls due", ch->call_again, sizeof(ch->call_again));
	ch->call_next =
		(uint32_t)state_take_number(&in->state, TAG_NEXT, "next", VHU_MAX_RINGS - 1);
	load_asked(ch, &in->state);
	ch->config_queued = state_take_flag(&in->state, TAG_CONFIG_QUEUED, "config change");
	state_leave(&in->state);
}
