/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* A view of records that a test makes, one after the other, 100 us apart. */
#ifndef VHU_VIEW_RIG_H
#define VHU_VIEW_RIG_H

#include <stdio.h>
#include <string.h>

#include "trace/views/views.h"
#include "vhu/codec.h"

struct view_rig {
	struct trace_story *story;
	struct trace_view *view;
	FILE *out;
	char *text;
	size_t len, from; /* of text: what a test looks at begins at from */
	uint64_t ns;
};

typedef struct trace_view *view_new_fn(FILE *out, const struct view_options *options);

static struct view_rig rig;
static struct vhu_msg msg;

static inline void rig_start(view_new_fn *view_new, const struct view_options *options)
{
	rig = (struct view_rig){ .story = story_new(), .ns = UINT64_C(1700000000123456789) };
	assert_non_null(rig.story);
	rig.out = open_memstream(&rig.text, &rig.len);
	assert_non_null(rig.out);
	rig.view = view_new(rig.out, options);
	assert_non_null(rig.view);
}

static inline void rig_show(struct trace_record *record)
{
	struct trace_told told;

	record->ns = rig.ns;
	if (record->session == 0)
		record->session = 1;
	story_tell(rig.story, record, &told);
	rig.view->show(rig.view, &told);
	rig.ns += 100000;
}

static inline void rig_note(enum trace_kind kind, enum trace_dir dir, const char *text)
{
	rig_show(&(struct trace_record){ .kind = kind, .dir = dir, .text = text });
}

/* Sends msg, whose direction of travel follows from who asks and whether it is a reply. */
static inline void rig_send_fds(const struct fd_about *fds, size_t n_fds)
{
	uint8_t bytes[VHU_HDR_LEN + VHU_MAX_PAYLOAD];
	bool reply = msg.flags & VHU_FLAG_REPLY;

	rig_show(&(struct trace_record){
		.kind = TRACE_MESSAGE,
		.dir = (msg.dir == VHU_FE) != reply ? TRACE_TO_BACKEND : TRACE_TO_FRONTEND,
		.channel = msg.dir == VHU_BE,
		.bytes = bytes,
		.len = vhu_msg_pack(&msg, bytes),
		.fds = fds,
		.n_fds = n_fds,
	});
}

static inline void rig_send(void)
{
	rig_send_fds(NULL, 0);
}

static inline void rig_ask(uint32_t id)
{
	vhu_msg_init(&msg, VHU_FE, id);
	rig_send();
}

static inline void rig_ask_u64(uint32_t id, uint64_t value)
{
	vhu_msg_init(&msg, VHU_FE, id);
	vhu_msg_put_u64(&msg, value);
	rig_send();
}

static inline void rig_ask_ring(uint32_t id, uint32_t ring, uint32_t num)
{
	const struct vhu_vring_state state = { .index = ring, .num = num };

	vhu_msg_init(&msg, VHU_FE, id);
	vhu_msg_put(&msg, &state, sizeof(state));
	rig_send();
}

static inline void rig_answer_u64(uint32_t id, uint64_t value)
{
	vhu_msg_init(&msg, VHU_FE, id);
	msg.flags = VHU_REPLY_FLAGS;
	vhu_msg_put_u64(&msg, value);
	rig_send();
}

/* What has been written since rig_clear(). */
static inline const char *rig_text(void)
{
	assert_int_equal(fflush(rig.out), 0);
	return rig.text + rig.from;
}

static inline void rig_clear(void)
{
	assert_int_equal(fflush(rig.out), 0);
	rig.from = rig.len;
}

static inline void rig_stop(void)
{
	assert_int_equal(rig.view->finish(rig.view), 0);
	assert_int_equal(fclose(rig.out), 0);
	story_free(rig.story);
	free(rig.text);
}

#endif
