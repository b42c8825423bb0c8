/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "unit.h"

#include <string.h>

#include "story_rig.h"

#define FEATURES (BIT(VIRTIO_F_VERSION_1_BIT) | BIT(VHU_F_PROTOCOL_FEATURES_BIT))
#define ACK BIT(VHU_PF_REPLY_ACK_BIT)
#define NEED VHU_FLAG_NEED_REPLY

/* What is asked and answered. */

static void reply_when_asked_for_answers_its_request(void **state)
{
	struct story_rig *rig = rig_new();
	const struct trace_told *told;

	(void)state;
	rig_open(rig);
	told = rig_send(rig, VHU_FE_GET_FEATURES, 0, NULL, 0);
	assert_false(told->is_reply);
	assert_non_null(story_unanswered(told->session, VHU_FE, 0));
	assert_null(story_unanswered(told->session, VHU_FE, 1));
	rig->ns += 41000;
	told = rig_reply_u64(rig, VHU_FE_GET_FEATURES, FEATURES);
	assert_true(told->is_reply);
	assert_int_equal(told->rule, VHU_OK);
	assert_non_null(told->request);
	assert_int_equal(told->request->id, VHU_FE_GET_FEATURES);
	assert_int_equal(told->answered_ns, 42000);
	assert_false(told->refuses);
	assert_null(story_unanswered(told->session, VHU_FE, 0));
	rig_free(rig);
}

static void reply_when_nothing_was_asked_breaks_a_rule(void **state)
{
	struct story_rig *rig = rig_new();

	(void)state;
	rig_open(rig);
	rig_reply_u64(rig, VHU_FE_GET_FEATURES, FEATURES);
	assert_int_equal(rig->told.rule, VHU_RULE_REPLY_UNEXPECTED);
	assert_null(rig->told.request);
	assert_int_equal(rig->told.session->nego.offered_features, 0);
	rig_free(rig);
}

static void reply_to_another_message_breaks_a_rule(void **state)
{
	struct story_rig *rig = rig_new();

	(void)state;
	rig_open(rig);
	rig_send(rig, VHU_FE_GET_FEATURES, 0, NULL, 0);
	rig_reply_u64(rig, VHU_FE_GET_QUEUE_NUM, 2);
	assert_int_equal(rig->told.rule, VHU_RULE_REPLY_ID);
	assert_null(rig->told.request);
	rig_reply_u64(rig, VHU_FE_GET_FEATURES, FEATURES);
	assert_int_equal(rig->told.rule, VHU_OK);
	assert_non_null(rig->told.request);
	rig_free(rig);
}

static void reply_before_its_turn_is_named_once(void **state)
{
	struct story_rig *rig = rig_new();

	(void)state;
	rig_open(rig);
	rig_send(rig, VHU_FE_GET_QUEUE_NUM, 0, NULL, 0);
	rig_send(rig, VHU_FE_GET_FEATURES, 0, NULL, 0);
	rig_reply_u64(rig, VHU_FE_GET_FEATURES, FEATURES);
	assert_int_equal(rig->told.rule, VHU_RULE_REPLY_ID);
	assert_int_equal(rig->told.request->id, VHU_FE_GET_FEATURES);
	rig_send(rig, VHU_FE_GET_FEATURES, 0, NULL, 0);
	rig_reply_u64(rig, VHU_FE_GET_FEATURES, FEATURES);
	assert_int_equal(rig->told.rule, VHU_OK);
	assert_int_equal(story_unanswered(rig->told.session, VHU_FE, 0)->id, VHU_FE_GET_QUEUE_NUM);
	rig_reply_u64(rig, VHU_FE_GET_QUEUE_NUM, 2);
	assert_int_equal(rig->told.rule, VHU_RULE_REPLY_ID);
	assert_non_null(rig->told.request);
	rig_free(rig);
}

static void reply_after_one_that_is_missing_answers_the_later_request(void **state)
{
	struct story_rig *rig = rig_new();

	(void)state;
	rig_open(rig);
	rig_send(rig, VHU_FE_GET_QUEUE_NUM, 0, NULL, 0);
	rig_send(rig, VHU_FE_GET_FEATURES, 0, NULL, 0);
	rig_reply_u64(rig, VHU_FE_GET_FEATURES, FEATURES);
	rig_send(rig, VHU_FE_GET_QUEUE_NUM, 0, NULL, 0);
	rig_reply_u64(rig, VHU_FE_GET_QUEUE_NUM, 2);
	assert_int_equal(rig->told.rule, VHU_OK);
	assert_int_equal(rig->told.answered_ns, 1000);
	assert_non_null(story_unanswered(rig->told.session, VHU_FE, 0));
	assert_null(story_unanswered(rig->told.session, VHU_FE, 1));
	rig_free(rig);
}

static void replies_to_two_alike_answer_in_order(void **state)
{
	struct story_rig *rig = rig_new();

	(void)state;
	rig_open(rig);
	rig_send(rig, VHU_FE_GET_FEATURES, 0, NULL, 0);
	rig_send(rig, VHU_FE_GET_FEATURES, 0, NULL, 0);
	assert_int_equal(rig_reply_u64(rig, VHU_FE_GET_FEATURES, 1)->answered_ns, 2000);
	assert_int_equal(rig_reply_u64(rig, VHU_FE_GET_FEATURES, 1)->answered_ns, 2000);
	rig_free(rig);
}

static void reply_with_wrong_flags_breaks_a_rule_and_teaches(void **state)
{
	struct story_rig *rig = rig_new();

	(void)state;
	rig_open(rig);
	rig_send(rig, VHU_FE_GET_FEATURES, NEED, NULL, 0);
	vhu_msg_init(&rig->msg, VHU_FE, VHU_FE_GET_FEATURES);
	rig->msg.flags = 0xd;
	vhu_msg_put_u64(&rig->msg, FEATURES);
	rig_message(rig, &rig->msg, NULL, 0);
	assert_int_equal(rig->told.rule, VHU_RULE_REPLY_FLAGS);
	assert_true(rig->told.session->nego.offered_features == FEATURES);
	rig_free(rig);
}

/* need_reply on the very message that accepts REPLY_ACK, as UML does. */
static void acknowledgement_when_just_negotiated_is_due(void **state)
{
	struct story_rig *rig = rig_new();

	(void)state;
	rig_open(rig);
	rig_send(rig, VHU_FE_GET_FEATURES, 0, NULL, 0);
	rig_reply_u64(rig, VHU_FE_GET_FEATURES, FEATURES);
	rig_send(rig, VHU_FE_GET_PROTOCOL_FEATURES, 0, NULL, 0);
	rig_reply_u64(rig, VHU_FE_GET_PROTOCOL_FEATURES, ACK);
	rig_send_u64(rig, VHU_FE_SET_PROTOCOL_FEATURES, NEED, ACK);
	assert_int_equal(rig->told.rule, VHU_OK);
	assert_true(rig->told.was_offered == ACK);
	rig_reply_u64(rig, VHU_FE_SET_PROTOCOL_FEATURES, 0);
	assert_int_equal(rig->told.rule, VHU_OK);
	assert_non_null(rig->told.request);
	assert_false(rig->told.refuses);
	rig_free(rig);
}

static void acknowledgement_when_not_asked_for_breaks_a_rule(void **state)
{
	struct story_rig *rig = rig_new();

	(void)state;
	rig_negotiate(rig, FEATURES, ACK);
	rig_send_ring(rig, VHU_FE_SET_VRING_NUM, 0, 0, 256);
	assert_null(story_unanswered(rig->told.session, VHU_FE, 0));
	rig_reply_u64(rig, VHU_FE_SET_VRING_NUM, 0);
	assert_int_equal(rig->told.rule, VHU_RULE_REPLY_UNEXPECTED);
	rig_free(rig);
}

static void acknowledgement_that_says_failed_refuses(void **state)
{
	struct story_rig *rig = rig_new();

	(void)state;
	rig_negotiate(rig, FEATURES, ACK);
	rig_send_ring(rig, VHU_FE_SET_VRING_NUM, NEED, 1, 256);
	rig_reply_u64(rig, VHU_FE_SET_VRING_NUM, 1);
	assert_int_equal(rig->told.rule, VHU_OK);
	assert_true(rig->told.refuses);
	assert_true(rig->told.has_ring);
	assert_int_equal(rig->told.ring, 1);
	rig_free(rig);
}

static void reply_of_its_own_that_says_failed_refuses(void **state)
{
	struct vhu_config config = { .offset = 0, .size = 4 };
	struct story_rig *rig = rig_new();

	(void)state;
	rig_negotiate(rig, FEATURES, BIT(VHU_PF_CONFIG_BIT));
	rig_send(rig, VHU_FE_GET_CONFIG, 0, &config, 16);
	rig_reply(rig, VHU_FE_GET_CONFIG, NULL, 0);
	assert_int_equal(rig->told.rule, VHU_OK);
	assert_true(rig->told.refuses);
	rig_send(rig, VHU_FE_GET_CONFIG, 0, &config, 16);
	rig_reply(rig, VHU_FE_GET_CONFIG, &config, 16);
	assert_int_equal(rig->told.rule, VHU_OK);
	assert_false(rig->told.refuses);
	rig_free(rig);
}

static void requests_when_too_many_wait_forget_the_oldest(void **state)
{
	struct story_rig *rig = rig_new();
	unsigned int n = 0;

	(void)state;
	rig_open(rig);
	rig_send(rig, VHU_FE_GET_QUEUE_NUM, 0, NULL, 0);
	for (unsigned int i = 0; i < 1000; i++)
		rig_send(rig, VHU_FE_GET_FEATURES, 0, NULL, 0);
	while (story_unanswered(rig->told.session, VHU_FE, n))
		n++;
	assert_in_range(n, 100, 999);
	assert_int_equal(story_unanswered(rig->told.session, VHU_FE, 0)->id, VHU_FE_GET_FEATURES);
	rig_free(rig);
}

/* Rules. */

static void rule_that_a_request_breaks_is_named(void **state)
{
	static const struct fd_about many[16];
	struct story_rig *rig = rig_new();

	(void)state;
	rig_negotiate(rig, FEATURES, ACK);
	rig_send(rig, (enum vhu_fe_id)1000, 0, NULL, 0);
	assert_int_equal(rig->told.rule, VHU_RULE_UNKNOWN);
	assert_null(rig->told.desc);
	rig_send_ring(rig, VHU_FE_SET_VRING_NUM, 0x10, 0, 256);
	assert_int_equal(rig->told.rule, VHU_RULE_RESERVED_FLAGS);
	rig_send(rig, VHU_FE_GET_MAX_MEM_SLOTS, 0, NULL, 0);
	assert_int_equal(rig->told.rule, VHU_RULE_GATE_PROTOCOL);
	vhu_msg_init(&rig->msg, VHU_FE, VHU_FE_SET_OWNER);
	rig_message(rig, &rig->msg, many, 16);
	assert_int_equal(rig->told.rule, VHU_RULE_FDS_TOO_MANY);
	assert_int_equal(rig->told.msg->fds.n_fds, FDSET_MAX);
	rig_free(rig);
}

static void rule_of_a_message_that_is_cut_is_named(void **state)
{
	struct trace_record record = { .kind = TRACE_MESSAGE };
	struct story_rig *rig = rig_new();

	(void)state;
	rig_negotiate(rig, FEATURES, ACK);
	vhu_msg_init(&rig->msg, VHU_FE, VHU_FE_SET_VRING_NUM);
	vhu_msg_put_u64(&rig->msg, UINT64_MAX);
	record.len = vhu_msg_pack(&rig->msg, rig->bytes);
	record.bytes = rig->bytes;
	while (record.len-- > 0) {
		rig_tell(rig, record);
		assert_int_equal(rig->told.rule, VHU_RULE_TRUNCATED);
		assert_non_null(rig->told.msg);
	}
	assert_int_equal(rig->told.session->ring[0].num, 0);
	rig_free(rig);
}

static void request_that_breaks_a_rule_and_is_refused_changes_nothing(void **state)
{
	struct story_rig *rig = rig_new();

	(void)state;
	rig_negotiate(rig, FEATURES, ACK);
	rig_send_ring(rig, VHU_FE_SET_VRING_NUM, 0, 0, 64);
	rig_send_ring(rig, VHU_FE_SET_VRING_NUM, NEED, 0, 100);
	assert_int_equal(rig->told.rule, VHU_RULE_NUM_POWER);
	rig_reply_u64(rig, VHU_FE_SET_VRING_NUM, 1);
	assert_int_equal(rig->told.rule, VHU_OK);
	assert_true(rig->told.refuses);
	assert_int_equal(rig->told.session->ring[0].num, 64);
	rig_free(rig);
}

static void request_that_breaks_a_rule_and_is_done_is_followed(void **state)
{
	struct story_rig *rig = rig_new();

	(void)state;
	rig_negotiate(rig, FEATURES, ACK);
	rig_send_ring(rig, VHU_FE_SET_VRING_NUM, NEED, 0, 100);
	assert_int_equal(rig->told.session->ring[0].num, 0);
	rig_reply_u64(rig, VHU_FE_SET_VRING_NUM, 0);
	assert_int_equal(rig->told.session->ring[0].num, 100);
	rig_send_ring(rig, VHU_FE_SET_VRING_NUM, 0, 0, 200);
	assert_int_equal(rig->told.rule, VHU_RULE_NUM_POWER);
	assert_int_equal(rig->told.session->ring[0].num, 200);
	rig_free(rig);
}

static void raw_bytes_say_why_framing_is_lost_once(void **state)
{
	static const uint8_t absurd[12] = { 1, 0, 0, 0, 1, 0, 0, 0, 0xff, 0xff, 0xff, 0x7f };
	struct trace_record record = { .kind = TRACE_RAW, .bytes = absurd, .len = 12 };
	struct story_rig *rig = rig_new();

	(void)state;
	rig_open(rig);
	assert_int_equal(rig_tell(rig, record)->rule, VHU_RULE_PAYLOAD_LIMIT);
	assert_int_equal(rig_tell(rig, record)->rule, VHU_OK);
	record.dir = TRACE_TO_FRONTEND;
	record.len = 5;
	assert_int_equal(rig_tell(rig, record)->rule, VHU_RULE_TRUNCATED);
	rig_free(rig);
}

/* Sessions. */

static void channel_has_requests_of_its_own(void **state)
{
	struct story_rig *rig = rig_new();
	struct vhu_msg request;

	(void)state;
	rig_negotiate(rig, FEATURES, ACK | BIT(VHU_PF_BACKEND_REQ_BIT) | BIT(VHU_PF_CONFIG_BIT));
	rig_send(rig, VHU_FE_GET_FEATURES, 0, NULL, 0);
	vhu_msg_init(&request, VHU_BE, VHU_BE_CONFIG_CHANGE_MSG);
	request.flags |= NEED;
	rig_message(rig, &request, NULL, 0);
	assert_int_equal(rig->told.rule, VHU_OK);
	assert_false(rig->told.is_reply);
	assert_string_equal(rig->told.desc->name, "BACKEND_CONFIG_CHANGE_MSG");
	assert_int_equal(story_unanswered(rig->told.session, VHU_BE, 0)->id,
			 VHU_BE_CONFIG_CHANGE_MSG);
	vhu_msg_init_reply(&rig->msg, &request);
	vhu_msg_put_u64(&rig->msg, 1);
	rig_message(rig, &rig->msg, NULL, 0);
	assert_true(rig->told.is_reply && rig->told.refuses);
	assert_int_equal(rig->told.rule, VHU_OK);
	assert_null(story_unanswered(rig->told.session, VHU_BE, 0));
	assert_non_null(story_unanswered(rig->told.session, VHU_FE, 0));
	rig_free(rig);
}

static void session_when_both_ends_are_closed_is_over_and_still_there(void **state)
{
	struct story_rig *rig = rig_new();

	(void)state;
	rig_negotiate(rig, FEATURES, ACK);
	rig_send(rig, VHU_FE_GET_FEATURES, 0, NULL, 0);
	rig_tell(rig,
		 (struct trace_record){ .kind = TRACE_END, .channel = true, .text = "", .dir = 1 });
	rig_end(rig, TRACE_TO_BACKEND);
	assert_true(rig->told.session->open);
	rig_end(rig, TRACE_TO_FRONTEND);
	assert_non_null(rig->told.session);
	assert_false(rig->told.session->open);
	assert_int_equal(story_unanswered(rig->told.session, VHU_FE, 0)->id, VHU_FE_GET_FEATURES);
	rig_tell(rig, (struct trace_record){ .kind = TRACE_NOTE, .text = "" });
	assert_ptr_equal(rig->told.session, story_session(rig->story, 1));
	assert_non_null(rig->told.session);
	rig_free(rig);
}

static void session_is_ended_by_one_record_alone(void **state)
{
	const struct trace_record channel = { .kind = TRACE_END, .channel = true, .text = "" };
	struct story_rig *rig = rig_new();

	(void)state;
	rig_open(rig);
	assert_false(rig_end(rig, TRACE_TO_BACKEND)->ends_session);
	assert_false(rig_tell(rig, channel)->ends_session);
	assert_true(rig_end(rig, TRACE_TO_FRONTEND)->ends_session);
	assert_false(rig_tell(rig, channel)->ends_session);
	assert_false(rig_end(rig, TRACE_TO_FRONTEND)->ends_session);
	rig_free(rig);
}

static void session_that_follows_begins_with_nothing(void **state)
{
	struct vhu_mem_table table = { .n_regions = 1, .regions = { { 0x1000, 0x1000, 0, 0 } } };
	struct story_rig *rig = rig_new();

	(void)state;
	rig_negotiate(rig, FEATURES, ACK);
	rig_send(rig, VHU_FE_SET_MEM_TABLE, 0, &table, 40);
	rig_send_fd(rig, VHU_FE_SET_VRING_KICK, 0);
	rig_end(rig, TRACE_TO_BACKEND);
	rig_end(rig, TRACE_TO_FRONTEND);
	rig->session = 2;
	rig_open(rig);
	assert_int_equal(rig->told.session->number, 2);
	assert_true(rig->told.session->open);
	assert_int_equal(rig->told.session->memory.n_regions, 0);
	assert_int_equal(rig->told.session->nego.features, 0);
	assert_int_equal(rig->told.session->ring[0].state, STORY_STOPPED);
	assert_null(story_session(rig->story, 1));
	rig_free(rig);
}

static void session_of_a_number_that_was_there_begins_anew(void **state)
{
	struct story_rig *rig = rig_new();

	(void)state;
	rig_negotiate(rig, FEATURES, ACK);
	rig_open(rig);
	assert_int_equal(rig->told.session->nego.features, 0);
	rig_free(rig);
}

static void sessions_at_once_are_apart(void **state)
{
	struct story_rig *rig = rig_new();

	(void)state;
	rig_negotiate(rig, FEATURES, ACK);
	rig->session = 2;
	rig_open(rig);
	rig_send(rig, VHU_FE_GET_FEATURES, 0, NULL, 0);
	rig->session = 1;
	rig_reply_u64(rig, VHU_FE_GET_FEATURES, 1);
	assert_int_equal(rig->told.rule, VHU_RULE_REPLY_UNEXPECTED);
	assert_true(rig->told.session->nego.features == FEATURES);
	rig_free(rig);
}

static void sessions_when_too_many_are_told_without_one(void **state)
{
	struct story_rig *rig = rig_new();

	(void)state;
	for (rig->session = 1; rig->session <= STORY_MAX_SESSIONS; rig->session++)
		assert_non_null(rig_open(rig)->session);
	assert_null(
		rig_tell(rig, (struct trace_record){ .kind = TRACE_OPEN, .text = "" })->session);
	rig_send(rig, VHU_FE_GET_FEATURES, 0, NULL, 0);
	assert_null(rig->told.session);
	assert_string_equal(rig->told.desc->name, "GET_FEATURES");
	rig_free(rig);
}

static void session_that_nobody_opened_begins_with_a_message(void **state)
{
	struct story_rig *rig = rig_new();

	(void)state;
	assert_null(
		rig_tell(rig, (struct trace_record){ .kind = TRACE_NOTE, .text = "" })->session);
	assert_null(rig_end(rig, TRACE_TO_BACKEND)->session);
	assert_non_null(rig_send(rig, VHU_FE_SET_OWNER, 0, NULL, 0)->session);
	rig_free(rig);
}

static void times_are_since_the_first_and_the_last_record(void **state)
{
	struct story_rig *rig = rig_new();

	(void)state;
	rig_open(rig);
	assert_int_equal(rig->told.number, 1);
	assert_int_equal(rig->told.since_first_ns, 0);
	rig->ns += 500;
	rig_send(rig, VHU_FE_SET_OWNER, 0, NULL, 0);
	assert_int_equal(rig->told.number, 2);
	assert_int_equal(rig->told.since_first_ns, 1500);
	rig_send(rig, VHU_FE_SET_OWNER, 0, NULL, 0);
	assert_int_equal(rig->told.since_first_ns, 2500);
	assert_int_equal(rig->told.since_last_ns, 1000);
	rig->ns = 5; /* the clock was set */
	rig_send(rig, VHU_FE_SET_OWNER, 0, NULL, 0);
	assert_int_equal(rig->told.since_first_ns, 0);
	assert_int_equal(rig->told.since_last_ns, 0);
	rig_free(rig);
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(reply_when_asked_for_answers_its_request),
	UNIT_TEST(reply_when_nothing_was_asked_breaks_a_rule),
	UNIT_TEST(reply_to_another_message_breaks_a_rule),
	UNIT_TEST(reply_before_its_turn_is_named_once),
	UNIT_TEST(reply_after_one_that_is_missing_answers_the_later_request),
	UNIT_TEST(replies_to_two_alike_answer_in_order),
	UNIT_TEST(reply_with_wrong_flags_breaks_a_rule_and_teaches),
	UNIT_TEST(acknowledgement_when_just_negotiated_is_due),
	UNIT_TEST(acknowledgement_when_not_asked_for_breaks_a_rule),
	UNIT_TEST(acknowledgement_that_says_failed_refuses),
	UNIT_TEST(reply_of_its_own_that_says_failed_refuses),
	UNIT_TEST(requests_when_too_many_wait_forget_the_oldest),
	UNIT_TEST(rule_that_a_request_breaks_is_named),
	UNIT_TEST(rule_of_a_message_that_is_cut_is_named),
	UNIT_TEST(request_that_breaks_a_rule_and_is_refused_changes_nothing),
	UNIT_TEST(request_that_breaks_a_rule_and_is_done_is_followed),
	UNIT_TEST(raw_bytes_say_why_framing_is_lost_once),
	UNIT_TEST(channel_has_requests_of_its_own),
	UNIT_TEST(session_when_both_ends_are_closed_is_over_and_still_there),
	UNIT_TEST(session_is_ended_by_one_record_alone),
	UNIT_TEST(session_that_follows_begins_with_nothing),
	UNIT_TEST(session_of_a_number_that_was_there_begins_anew),
	UNIT_TEST(sessions_at_once_are_apart),
	UNIT_TEST(sessions_when_too_many_are_told_without_one),
	UNIT_TEST(session_that_nobody_opened_begins_with_a_message),
	UNIT_TEST(times_are_since_the_first_and_the_last_record),
};

UNIT_MAIN(tests)
