/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Messages: what is wrong with them, and what they change. */
#include <stdlib.h>
#include <string.h>

#include "trace/story/story-private.h"
#include "vhu/codec.h"

/* What is said on the main socket belongs to the front-end's requests, else to the back-end's. */
static void parse(const struct trace_record *record, struct vhu_msg *m)
{
	uint8_t hdr[VHU_HDR_LEN] = { 0 };
	size_t len = record->len > VHU_HDR_LEN ? record->len - VHU_HDR_LEN : 0;

	vhu_msg_init(m, record->channel ? VHU_BE : VHU_FE, 0);
	if (record->len > 0)
		memcpy(hdr, record->bytes, min_size(record->len, sizeof(hdr)));
	(void)vhu_header_parse(hdr, m); /* a size beyond all bounds is named by its rule */
	memset(m->payload, 0, sizeof(m->payload));
	if (len > 0)
		memcpy(m->payload, record->bytes + VHU_HDR_LEN, min_size(len, VHU_MAX_PAYLOAD));
	m->fds.n_fds = (unsigned int)min_size(record->n_fds, FDSET_MAX);
	memset(m->fds.fd, -1, sizeof(m->fds.fd));
}

static bool is_reply(const struct trace_record *record)
{
	return record->dir == (record->channel ? TRACE_TO_BACKEND : TRACE_TO_FRONTEND);
}

/* What can be said without knowing which message it is. */
static enum vhu_rule judge_stream(const struct trace_record *record, const struct vhu_msg *m)
{
	if (record->len < VHU_HDR_LEN || record->len - VHU_HDR_LEN < vhu_msg_payload_len(m))
		return VHU_RULE_TRUNCATED;
	return record->n_fds > FDSET_MAX ? VHU_RULE_FDS_TOO_MANY : VHU_OK;
}

static enum vhu_rule judge_request(const struct vhu_nego *n, const struct trace_record *record,
				   const struct vhu_msg *m)
{
	enum vhu_rule rule = judge_stream(record, m);

	if (rule == VHU_OK)
		rule = vhu_check_header(n, m);
	if (rule == VHU_OK)
		rule = vhu_check_request(n, m);
	return rule;
}

/* Requests from which nothing can be learnt: they are no requests, or not all is there. */
static bool unreadable(enum vhu_rule rule)
{
	switch (rule) {
	case VHU_RULE_TRUNCATED:
	case VHU_RULE_REPLY_BIT:
	case VHU_RULE_PAYLOAD_LIMIT:
	case VHU_RULE_SIZE_SHORT:
	case VHU_RULE_COUNT_LIMIT:
		return true;
	default:
		return false;
	}
}

static struct story_memory *copy_memory(const struct story_memory *m)
{
	struct story_memory *copy = malloc(sizeof(*copy));

	if (copy)
		*copy = *m;
	return copy;
}

static void observe(struct story_session *s, const struct vhu_msg *m)
{
	vhu_observe(&s->nego, m);
	story_ring_request(s, m);
}

/*
 * State follows requests as they pass. One that breaks a rule has to wait for
 * its answer, if there will be one. Only the memory map is shown as it was
 * wanted, and goes back when it is refused.
 */
static void follow_request(struct trace_story *story, struct session *session,
			   const struct trace_record *record, struct trace_told *told)
{
	struct story_session *s = &session->shown;
	const struct vhu_msg *m = told->msg;
	struct story_waiting *w = NULL;
	bool due;

	story->nego = s->nego;
	if (!unreadable(told->rule))
		vhu_observe(&s->nego, m);
	due = !(m->flags & VHU_FLAG_REPLY) && vhu_reply_due(&s->nego, m);
	s->nego = story->nego;
	if (due)
		w = story_waiting_add(session, m, record->ns);
	if (unreadable(told->rule))
		return;
	if (w && vhu_rule_severity(told->rule) != VHU_NOTE)
		w->held = true;
	else
		observe(s, m);
	if (!story_memory_changes(m))
		return;
	if (w)
		w->before = copy_memory(&s->memory);
	story_memory_take(&s->memory, m, record->fds, record->n_fds);
	told->memory_changed = true;
}

static uint64_t was_offered(const struct vhu_nego *n, const struct vhu_msg *m)
{
	if (m->dir != VHU_FE)
		return 0;
	if (m->id == VHU_FE_SET_FEATURES)
		return n->offered_features;
	return m->id == VHU_FE_SET_PROTOCOL_FEATURES ? n->offered_protocol : 0;
}

static void tell_request(struct trace_story *story, struct session *session,
			 const struct trace_record *record, struct trace_told *told)
{
	struct story_session *s = &session->shown;

	told->has_ring = story_ring_named(told->msg, &told->ring);
	if (told->has_ring)
		told->before = s->ring[told->ring].state;
	told->was_offered = was_offered(&s->nego, told->msg);
	told->rule = judge_request(&s->nego, record, told->msg);
	follow_request(story, session, record, told);
	story_ring_signal(s, record, told->msg);
}

/* Replies of their own by which requests say that they failed. */
static bool own_reply_fails(const struct vhu_msg *request, const struct vhu_msg *reply)
{
	static const struct {
		enum vhu_dir dir;
		uint32_t id;
		uint64_t mask; /* any of these bits */
	} rows[] = {
		{ VHU_FE, VHU_FE_IOTLB_MSG, UINT64_MAX },
		{ VHU_FE, VHU_FE_POSTCOPY_END, UINT64_MAX },
		{ VHU_FE, VHU_FE_SET_DEVICE_STATE_FD, 0xff },
		{ VHU_FE, VHU_FE_CHECK_DEVICE_STATE, UINT64_MAX },
		{ VHU_BE, VHU_BE_SHARED_OBJECT_LOOKUP, UINT64_MAX },
	};

	if (request->dir == VHU_FE && request->id == VHU_FE_GET_CONFIG)
		return reply->size == 0;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (rows[i].dir == request->dir && rows[i].id == request->id)
			return vhu_msg_u64(reply) & rows[i].mask;
	return false;
}

static bool says_failed(const struct vhu_nego *n, const struct vhu_msg *request,
			const struct vhu_msg *reply)
{
	const struct vhu_desc *desc = vhu_desc_find(request->dir, request->id);

	if (desc && vhu_has_own_reply(desc, n))
		return own_reply_fails(request, reply);
	return vhu_msg_u64(reply) != 0;
}

static enum vhu_rule judge_reply(const struct vhu_nego *n, const struct trace_record *record,
				 const struct story_waiting *w, const struct vhu_msg *reply)
{
	enum vhu_rule rule = judge_stream(record, reply);

	if (rule == VHU_OK)
		rule = vhu_check_reply(n, &w->msg, reply);
	return rule;
}

static void follow_reply(struct trace_story *story, struct session *session,
			 const struct trace_record *record, struct trace_told *told)
{
	struct story_session *s = &session->shown;
	struct story_waiting *w = story->answered;

	story->nego = s->nego;
	if (w->held)
		vhu_observe(&s->nego, &w->msg);
	told->rule = judge_reply(&s->nego, record, w, told->msg);
	told->refuses = says_failed(&s->nego, &w->msg, told->msg);
	s->nego = story->nego;
	if (told->refuses && w->before) {
		s->memory = *w->before;
		told->memory_changed = true;
	}
	if (told->refuses || unreadable(told->rule))
		return;
	if (w->held)
		observe(s, &w->msg);
	if (vhu_msg_payload_len(told->msg) > 0)
		vhu_observe(&s->nego, told->msg);
	story_ring_reply(s, &w->msg, told->msg);
}

/* A reply that nobody waits for. */
static enum vhu_rule judge_unasked(const struct story_session *s, const struct trace_record *record,
				   const struct vhu_msg *m)
{
	enum vhu_rule rule = judge_stream(record, m);

	if (rule == VHU_OK)
		rule = vhu_check_reply_header(m);
	if (rule == VHU_OK)
		rule = s->waiting[m->dir] ? VHU_RULE_REPLY_ID : VHU_RULE_REPLY_UNEXPECTED;
	return rule;
}

static void tell_reply(struct trace_story *story, struct session *session,
		       const struct trace_record *record, struct trace_told *told)
{
	struct story_session *s = &session->shown;
	struct story_waiting **at = story_waiting_find(s, told->msg);
	struct story_waiting *w;
	bool out_of_turn;

	told->is_reply = true;
	if (!at) {
		told->rule = judge_unasked(s, record, told->msg);
		return;
	}
	out_of_turn = (*at)->passed || story_waiting_pass_over(s, *at);
	w = story_waiting_take(session, at);
	story->answered = w;
	told->request = &w->msg;
	told->answered_ns = record->ns > w->ns ? record->ns - w->ns : 0;
	told->has_ring = story_ring_named(&w->msg, &told->ring);
	if (told->has_ring)
		told->before = s->ring[told->ring].state;
	follow_reply(story, session, record, told);
	if (told->rule == VHU_OK && out_of_turn)
		told->rule = VHU_RULE_REPLY_ID;
}

void story_message(struct trace_story *story, struct session *session,
		   const struct trace_record *record, struct trace_told *told)
{
	parse(record, &story->msg);
	told->msg = &story->msg;
	told->desc = vhu_desc_find(story->msg.dir, story->msg.id);
	told->is_reply = is_reply(record);
	if (!session)
		return;
	if (told->is_reply)
		tell_reply(story, session, record, told);
	else
		tell_request(story, session, record, told);
	story_ring_states(&session->shown);
	if (told->has_ring)
		told->after = session->shown.ring[told->ring].state;
}
