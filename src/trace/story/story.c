/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "trace/story/story.h"

#include <stdlib.h>

#include "trace/story/story-private.h"
#include "vhu/codec.h"

struct trace_story *story_new(void)
{
	return calloc(1, sizeof(struct trace_story));
}

static void free_session(struct session *session)
{
	if (!session)
		return;
	for (size_t dir = 0; dir < ARRAY_SIZE(session->shown.waiting); dir++)
		while (session->shown.waiting[dir])
			story_waiting_free(
				story_waiting_take(session, &session->shown.waiting[dir]));
	story_rings_free(&session->shown);
	free(session);
}

void story_free(struct trace_story *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < STORY_MAX_SESSIONS; i++)
		free_session(s->sessions[i]);
	story_waiting_free(s->answered);
	free(s);
}

static struct session *find_session(const struct trace_story *s, uint32_t number)
{
	for (size_t i = 0; i < STORY_MAX_SESSIONS; i++)
		if (s->sessions[i] && s->sessions[i]->shown.number == number)
			return s->sessions[i];
	return NULL;
}

const struct story_session *story_session(const struct trace_story *s, uint32_t number)
{
	const struct session *session = find_session(s, number);

	return session ? &session->shown : NULL;
}

/*
 * Those that ended stay until another begins: views may still ask for them. An
 * open one of the same number is of another capture.
 */
static void forget_closed(struct trace_story *s, uint32_t number)
{
	for (size_t i = 0; i < STORY_MAX_SESSIONS; i++) {
		struct session *session = s->sessions[i];

		if (session && (!session->shown.open || session->shown.number == number)) {
			free_session(session);
			s->sessions[i] = NULL;
		}
	}
}

static struct session *open_session(struct trace_story *s, uint32_t number)
{
	struct session *session = NULL;
	size_t i = 0;

	forget_closed(s, number);
	while (i < STORY_MAX_SESSIONS && s->sessions[i])
		i++;
	if (i < STORY_MAX_SESSIONS)
		session = calloc(1, sizeof(*session));
	if (!session)
		return NULL;
	session->shown.number = number;
	session->shown.open = true;
	vhu_nego_init(&session->shown.nego);
	s->sessions[i] = session;
	return session;
}

/* A capture may begin within a session. What may come after the end of one begins none. */
static bool begins_session(const struct session *known, enum trace_kind kind)
{
	return kind == TRACE_OPEN || (!known && (kind == TRACE_MESSAGE || kind == TRACE_CHANNEL));
}

static void end_direction(struct session *session, const struct trace_record *record,
			  struct trace_told *told)
{
	bool was_open = session->shown.open;

	if (record->channel)
		return;
	session->ended[record->dir] = true;
	session->shown.open = !session->ended[0] || !session->ended[1];
	told->ends_session = was_open && !session->shown.open;
}

/* The first bytes that are no message say why. */
static void tell_raw(struct session *session, const struct trace_record *record,
		     struct trace_told *told)
{
	bool *raw = session ? &session->raw[record->channel][record->dir] : NULL;
	struct vhu_msg hdr = { 0 };

	if (raw && *raw)
		return;
	if (raw)
		*raw = true;
	if (record->len >= VHU_HDR_LEN)
		(void)vhu_header_parse(record->bytes, &hdr);
	told->rule = hdr.size > VHU_MAX_PAYLOAD ? VHU_RULE_PAYLOAD_LIMIT : VHU_RULE_TRUNCATED;
}

static void tell_picture(struct session *session, const struct trace_record *record,
			 struct trace_told *told)
{
	if (!session || !record->picture || record->ring >= VHU_MAX_RINGS)
		return;
	story_ring_picture(&session->shown, record);
	told->has_ring = true;
	told->ring = record->ring;
	told->before = session->shown.ring[record->ring].state;
	told->after = told->before;
}

static void tell_times(struct trace_story *s, const struct trace_record *record,
		       struct trace_told *told)
{
	if (s->n_records == 0) {
		s->first_ns = record->ns;
		s->last_ns = record->ns;
	}
	told->number = ++s->n_records;
	told->since_first_ns = record->ns > s->first_ns ? record->ns - s->first_ns : 0;
	told->since_last_ns = record->ns > s->last_ns ? record->ns - s->last_ns : 0;
	s->last_ns = record->ns;
}

void story_tell(struct trace_story *s, const struct trace_record *record,
		struct trace_told *ret_told)
{
	struct session *session = find_session(s, record->session);

	*ret_told = (struct trace_told){ .record = record };
	story_waiting_free(s->answered);
	s->answered = NULL;
	tell_times(s, record, ret_told);
	if (begins_session(session, record->kind))
		session = open_session(s, record->session);
	ret_told->session = session ? &session->shown : NULL;
	if (record->kind == TRACE_MESSAGE)
		story_message(s, session, record, ret_told);
	else if (record->kind == TRACE_RING)
		tell_picture(session, record, ret_told);
	else if (record->kind == TRACE_RAW)
		tell_raw(session, record, ret_told);
	else if (record->kind == TRACE_END && session)
		end_direction(session, record, ret_told);
}
