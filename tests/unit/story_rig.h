/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Records by hand for tests of what is made of them. */
#ifndef VHU_STORY_RIG_H
#define VHU_STORY_RIG_H

#include <string.h>

#include "trace/story/story.h"
#include "vhu/codec.h"

struct story_rig {
	struct trace_story *story;
	struct trace_record record; /* the last one */
	struct trace_told told;	    /* of it */
	uint8_t bytes[VHU_HDR_LEN + VHU_MAX_PAYLOAD];
	uint64_t ns; /* moves on by 1000 with each record */
	uint32_t session;
	struct vhu_msg msg;
};

static inline struct story_rig *rig_new(void)
{
	struct story_rig *rig = calloc(1, sizeof(*rig));

	assert_non_null(rig);
	rig->story = story_new();
	assert_non_null(rig->story);
	rig->ns = 1000000;
	rig->session = 1;
	return rig;
}

static inline void rig_free(struct story_rig *rig)
{
	story_free(rig->story);
	free(rig);
}

static inline const struct trace_told *rig_tell(struct story_rig *rig, struct trace_record record)
{
	rig->record = record;
	rig->record.ns = rig->ns;
	rig->record.session = rig->session;
	rig->ns += 1000;
	story_tell(rig->story, &rig->record, &rig->told);
	return &rig->told;
}

static inline const struct trace_told *rig_open(struct story_rig *rig)
{
	rig_tell(rig, (struct trace_record){ .kind = TRACE_OPEN, .text = "" });
	assert_non_null(rig->told.session);
	return &rig->told;
}

static inline const struct trace_told *rig_end(struct story_rig *rig, enum trace_dir dir)
{
	return rig_tell(rig, (struct trace_record){ .kind = TRACE_END, .dir = dir, .text = "" });
}

/* Whatever m is: the direction of its table and its flags say who sends it. */
static inline const struct trace_told *rig_message(struct story_rig *rig, const struct vhu_msg *m,
						   const struct fd_about *fds, size_t n_fds)
{
	bool reply = m->flags & VHU_FLAG_REPLY, channel = m->dir == VHU_BE;
	struct trace_record record = {
		.kind = TRACE_MESSAGE,
		.dir = reply == channel ? TRACE_TO_BACKEND : TRACE_TO_FRONTEND,
		.channel = channel,
		.bytes = rig->bytes,
		.len = vhu_msg_pack(m, rig->bytes),
		.fds = fds,
		.n_fds = n_fds,
	};

	return rig_tell(rig, record);
}

static inline const struct trace_told *rig_send(struct story_rig *rig, enum vhu_fe_id id,
						uint32_t flags, const void *payload, size_t len)
{
	vhu_msg_init(&rig->msg, VHU_FE, id);
	rig->msg.flags |= flags;
	if (len > 0)
		vhu_msg_put(&rig->msg, payload, len);
	return rig_message(rig, &rig->msg, NULL, 0);
}

static inline const struct trace_told *rig_send_u64(struct story_rig *rig, enum vhu_fe_id id,
						    uint32_t flags, uint64_t value)
{
	return rig_send(rig, id, flags, &value, sizeof(value));
}

static inline const struct trace_told *rig_send_ring(struct story_rig *rig, enum vhu_fe_id id,
						     uint32_t flags, uint32_t ring, uint32_t num)
{
	struct vhu_vring_state state = { ring, num };

	return rig_send(rig, id, flags, &state, sizeof(state));
}

/* A ring's descriptor, which comes along. */
static inline const struct trace_told *rig_send_fd(struct story_rig *rig, enum vhu_fe_id id,
						   uint32_t ring)
{
	static const struct fd_about event = { .kind = FD_KIND_EVENTFD };

	vhu_msg_init(&rig->msg, VHU_FE, id);
	vhu_msg_put_u64(&rig->msg, ring);
	return rig_message(rig, &rig->msg, &event, 1);
}

static inline const struct trace_told *rig_reply(struct story_rig *rig, enum vhu_fe_id id,
						 const void *payload, size_t len)
{
	struct vhu_msg request;

	vhu_msg_init(&request, VHU_FE, id);
	vhu_msg_init_reply(&rig->msg, &request);
	if (len > 0)
		vhu_msg_put(&rig->msg, payload, len);
	return rig_message(rig, &rig->msg, NULL, 0);
}

static inline const struct trace_told *rig_reply_u64(struct story_rig *rig, enum vhu_fe_id id,
						     uint64_t value)
{
	return rig_reply(rig, id, &value, sizeof(value));
}

/* A session where these features and protocol features are offered and accepted. */
static inline void rig_negotiate(struct story_rig *rig, uint64_t features, uint64_t protocol)
{
	rig_open(rig);
	rig_send(rig, VHU_FE_SET_OWNER, 0, NULL, 0);
	rig_send(rig, VHU_FE_GET_FEATURES, 0, NULL, 0);
	rig_reply_u64(rig, VHU_FE_GET_FEATURES, features);
	if (features & BIT(VHU_F_PROTOCOL_FEATURES_BIT)) {
		rig_send(rig, VHU_FE_GET_PROTOCOL_FEATURES, 0, NULL, 0);
		rig_reply_u64(rig, VHU_FE_GET_PROTOCOL_FEATURES, protocol);
		rig_send_u64(rig, VHU_FE_SET_PROTOCOL_FEATURES, 0, protocol);
		assert_int_equal(rig->told.rule, VHU_OK);
	}
	rig_send_u64(rig, VHU_FE_SET_FEATURES, 0, features);
	assert_int_equal(rig->told.rule, VHU_OK);
}

#endif
