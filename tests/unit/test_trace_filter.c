/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "unit.h"

#include <string.h>

#include "story_rig.h"
#include "trace/filter.h"

#define FEATURES (BIT(VIRTIO_F_VERSION_1_BIT) | BIT(VHU_F_PROTOCOL_FEATURES_BIT))
#define ACK BIT(VHU_PF_REPLY_ACK_BIT)

static bool passes(const struct trace_filter *f, const struct trace_told *told)
{
	return filter_passes(f, told);
}

static bool only(const char *list, const struct trace_told *told)
{
	return passes(&(struct trace_filter){ .only = list }, told);
}

static const struct trace_told *send_call(struct story_rig *rig)
{
	vhu_msg_init(&rig->msg, VHU_BE, VHU_BE_VRING_CALL);
	vhu_msg_put_u64(&rig->msg, 1);
	return rig_message(rig, &rig->msg, NULL, 0);
}

static void filter_of_nothing_passes_all(void **state)
{
	const struct trace_filter all = { 0 };
	struct story_rig *rig = rig_new();

	(void)state;
	assert_true(passes(&all, rig_open(rig)));
	assert_true(passes(&all, rig_send(rig, VHU_FE_GET_FEATURES, 0, NULL, 0)));
	assert_true(passes(&all, rig_reply_u64(rig, VHU_FE_GET_FEATURES, 1)));
	assert_true(passes(&all, rig_end(rig, TRACE_TO_BACKEND)));
	rig_free(rig);
}

static void only_takes_names_and_their_beginnings(void **state)
{
	struct story_rig *rig = rig_new();
	const struct trace_told *told;

	(void)state;
	rig_open(rig);
	told = rig_send_ring(rig, VHU_FE_SET_VRING_NUM, 0, 0, 256);
	assert_true(only("SET_VRING_NUM", told));
	assert_true(only("GET_FEATURES,SET_VRING_NUM", told));
	assert_true(only("SET_VRING_*", told));
	assert_true(only("set_vring_num", told));
	assert_true(only("*", told));
	assert_false(only("SET_VRING", told));
	assert_false(only("SET_VRING_NUMBER", told));
	assert_false(only("GET_*,SET_FEATURES", told));
	assert_false(only("", told));
	rig_free(rig);
}

static void only_with_a_request_passes_its_reply(void **state)
{
	struct story_rig *rig = rig_new();

	(void)state;
	rig_negotiate(rig, FEATURES, ACK);
	assert_true(only("SET_VRING_NUM",
			 rig_send_ring(rig, VHU_FE_SET_VRING_NUM, VHU_FLAG_NEED_REPLY, 0, 256)));
	rig_reply_u64(rig, VHU_FE_SET_VRING_NUM, 0);
	assert_true(only("SET_VRING_NUM", &rig->told));
	assert_false(only("GET_FEATURES", &rig->told));
	rig_free(rig);
}

static void only_takes_names_of_the_channel_without_their_prefix(void **state)
{
	struct story_rig *rig = rig_new();
	const struct trace_told *told;

	(void)state;
	rig_open(rig);
	told = send_call(rig);
	assert_true(only("BACKEND_VRING_CALL", told));
	assert_true(only("VRING_CALL", told));
	assert_true(only("BACKEND_*", told));
	assert_false(only("SET_VRING_CALL", told));
	rig_free(rig);
}

static void only_leaves_out_what_surrounds_messages_but_notes(void **state)
{
	struct story_rig *rig = rig_new();

	(void)state;
	assert_false(only("*", rig_open(rig)));
	assert_false(only("*", rig_end(rig, TRACE_TO_BACKEND)));
	assert_true(
		only("*", rig_tell(rig, (struct trace_record){ .kind = TRACE_NOTE, .text = "" })));
	rig_free(rig);
}

static void without_leaves_out_what_it_names(void **state)
{
	const struct trace_filter f = { .only = "GET_*", .without = "GET_FEATURES" };
	const struct trace_filter g = { .without = "GET_FEATURES" };
	struct story_rig *rig = rig_new();

	(void)state;
	assert_true(passes(&g, rig_open(rig)));
	assert_false(passes(&f, rig_send(rig, VHU_FE_GET_FEATURES, 0, NULL, 0)));
	assert_false(passes(&g, &rig->told));
	assert_true(passes(&f, rig_send(rig, VHU_FE_GET_QUEUE_NUM, 0, NULL, 0)));
	assert_true(passes(&g, rig_send(rig, VHU_FE_SET_OWNER, 0, NULL, 0)));
	rig_free(rig);
}

static void rings_pass_messages_and_pictures_of_them_alone(void **state)
{
	struct vhu_vring_state answer = { .index = 3 };
	struct ring_picture picture = { 0 };
	struct story_rig *rig = rig_new();
	struct trace_filter f = { 0 };

	(void)state;
	assert_true(filter_parse_rings(&f, "1,3-4"));
	rig_negotiate(rig, FEATURES, ACK);
	assert_false(passes(&f, &rig->told));
	assert_false(passes(&f, rig_send_ring(rig, VHU_FE_SET_VRING_NUM, 0, 2, 256)));
	assert_true(passes(&f, rig_send_ring(rig, VHU_FE_SET_VRING_NUM, 0, 4, 256)));
	assert_true(passes(&f, rig_send_fd(rig, VHU_FE_SET_VRING_KICK, 1)));
	rig_send_ring(rig, VHU_FE_GET_VRING_BASE, 0, 3, 0);
	assert_true(passes(&f, rig_reply(rig, VHU_FE_GET_VRING_BASE, &answer, sizeof(answer))));
	rig_tell(rig, (struct trace_record){ .kind = TRACE_RING, .ring = 3, .picture = &picture });
	assert_true(passes(&f, &rig->told));
	rig_tell(rig, (struct trace_record){ .kind = TRACE_RING, .ring = 5, .picture = &picture });
	assert_false(passes(&f, &rig->told));
	rig_free(rig);
}

static void rings_that_are_no_list_are_refused(void **state)
{
	static const char *const bad[] = { "",	     ",",
					   "a",	     "1,",
					   "-",	     "3-",
					   "-3",     "4-3",
					   "1024",   "0-1024",
					   "1-2-3",  "1;2",
					   " 1-2 x", "99999999999999999999999999999999" };
	struct trace_filter f = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(filter_parse_rings(&f, bad[i]));
	assert_false(f.has_rings);
	assert_true(filter_parse_rings(&f, "0,1023"));
	assert_true(f.rings[0] == 1 && f.rings[15] == BIT(63));
	assert_true(filter_parse_rings(&f, "60-70"));
	assert_true(f.rings[0] == UINT64_C(0xf) << 60 && f.rings[1] == 0x7f && f.rings[15] == 0);
}

static void sender_passes_what_it_sends(void **state)
{
	const struct trace_filter front = { .from = TRACE_FROM_FRONTEND };
	const struct trace_filter back = { .from = TRACE_FROM_BACKEND };
	struct story_rig *rig = rig_new();

	(void)state;
	rig_open(rig);
	rig_send(rig, VHU_FE_GET_FEATURES, 0, NULL, 0);
	assert_true(passes(&front, &rig->told) && !passes(&back, &rig->told));
	rig_reply_u64(rig, VHU_FE_GET_FEATURES, 1);
	assert_true(!passes(&front, &rig->told) && passes(&back, &rig->told));
	send_call(rig);
	assert_true(!passes(&front, &rig->told) && passes(&back, &rig->told));
	rig_end(rig, TRACE_TO_BACKEND);
	assert_true(passes(&front, &rig->told) && !passes(&back, &rig->told));
	rig_free(rig);
}

static void broken_passes_rules_failures_and_faults(void **state)
{
	const struct trace_filter f = { .broken = true };
	struct picture_chain chain = { .fault = PICTURE_SOUND };
	struct ring_picture picture = { .chains = &chain, .n_chains = 1 };
	struct trace_record look = { .kind = TRACE_RING, .picture = &picture };
	struct story_rig *rig = rig_new();

	(void)state;
	rig_negotiate(rig, FEATURES, ACK);
	assert_false(passes(&f, &rig->told));
	assert_true(passes(&f, rig_send(rig, (enum vhu_fe_id)1000, 0, NULL, 0)));
	assert_false(
		passes(&f, rig_send_ring(rig, VHU_FE_SET_VRING_NUM, VHU_FLAG_NEED_REPLY, 0, 256)));
	assert_true(passes(&f, rig_reply_u64(rig, VHU_FE_SET_VRING_NUM, 1)));
	assert_false(passes(&f, rig_tell(rig, look)));
	chain.fault = PICTURE_LONG;
	assert_true(passes(&f, rig_tell(rig, look)));
	assert_true(passes(&f, rig_tell(rig, (struct trace_record){ .kind = TRACE_RAW })));
	assert_false(passes(&f, rig_end(rig, TRACE_TO_BACKEND)));
	rig_free(rig);
}

/* A chain's owner and fault, and whether it passes with --broken. */
static void broken_passes_faults_of_what_the_device_has(void **state)
{
	static const struct {
		enum picture_owner owner;
		enum picture_fault fault;
		bool passes;
	} rows[] = {
		{ PICTURE_DEVICE, PICTURE_HEAD_RANGE, true },
		{ PICTURE_DEVICE, PICTURE_UNMAPPED, true },
		{ PICTURE_DEVICE, PICTURE_REUSED, false },
		{ PICTURE_DRIVER, PICTURE_UNMAPPED, false },
		{ PICTURE_DRIVER, PICTURE_TABLE_UNMAPPED, false },
		{ PICTURE_DRIVER, PICTURE_REUSED, false },
	};
	const struct trace_filter f = { .broken = true };
	const struct trace_filter front = { .broken = true, .from = TRACE_FROM_FRONTEND };
	const struct trace_filter back = { .broken = true, .from = TRACE_FROM_BACKEND };
	const struct trace_filter all = { .from = TRACE_FROM_BACKEND };
	struct picture_chain chains[2] = { { .fault = PICTURE_SOUND } };
	struct ring_picture picture = { .chains = chains, .n_chains = 2 };
	struct trace_record look = { .kind = TRACE_RING, .picture = &picture };
	struct story_rig *rig = rig_new();

	(void)state;
	rig_open(rig);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		chains[1].owner = rows[i].owner;
		chains[1].fault = rows[i].fault;
		rig_tell(rig, look);
		assert_int_equal(passes(&f, &rig->told), rows[i].passes);
		assert_int_equal(passes(&front, &rig->told), rows[i].passes);
		assert_false(passes(&back, &rig->told));
		assert_true(passes(&all, &rig->told));
	}
	rig_free(rig);
}

static void broken_passes_returns_of_the_back_end(void **state)
{
	const struct trace_filter f = { .broken = true };
	const struct trace_filter front = { .broken = true, .from = TRACE_FROM_FRONTEND };
	const struct trace_filter back = { .broken = true, .from = TRACE_FROM_BACKEND };
	struct picture_used used = { .fault = PICTURE_RETURN_SOUND };
	struct ring_picture picture = { .size = 16, .used = &used, .n_used = 1 };
	struct trace_record look = { .kind = TRACE_RING, .picture = &picture };
	struct story_rig *rig = rig_new();

	(void)state;
	rig_open(rig);
	rig_tell(rig, look);
	assert_false(passes(&f, &rig->told) || filter_blames_device(&f, &rig->told));
	used.fault = PICTURE_RETURN_NOT_OFFERED;
	assert_true(passes(&f, &rig->told) && filter_blames_device(&f, &rig->told));
	assert_true(passes(&back, &rig->told) && filter_blames_device(&back, &rig->told));
	assert_false(passes(&front, &rig->told) || filter_blames_device(&front, &rig->told));
	rig_free(rig);
}

static void pictures_that_are_not_wanted_do_not_pass(void **state)
{
	const struct trace_filter f = { .no_pictures = true };
	struct ring_picture picture = { 0 };
	struct story_rig *rig = rig_new();

	(void)state;
	assert_true(passes(&f, rig_open(rig)));
	rig_tell(rig, (struct trace_record){ .kind = TRACE_RING, .picture = &picture });
	assert_false(passes(&f, &rig->told));
	rig_free(rig);
}

static void name_that_no_message_has_is_found(void **state)
{
	char name[16] = "";

	(void)state;
	assert_false(filter_unknown_name("GET_FEATURES,SET_VRING_*,VRING_CALL,BACKEND_VRING_CALL,*",
					 name, sizeof(name)));
	assert_true(filter_unknown_name("GET_FEATURES,GET_FETURES", name, sizeof(name)));
	assert_string_equal(name, "GET_FETURES");
	assert_true(filter_unknown_name("NOTHING_*", name, sizeof(name)));
	assert_string_equal(name, "NOTHING_*");
	assert_true(filter_unknown_name("GET_FEATURES,", name, sizeof(name)));
	assert_string_equal(name, "");
	assert_true(filter_unknown_name("A_NAME_THAT_IS_TOO_LONG", name, sizeof(name)));
	assert_string_equal(name, "A_NAME_THAT_IS_");
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(filter_of_nothing_passes_all),
	UNIT_TEST(only_takes_names_and_their_beginnings),
	UNIT_TEST(only_with_a_request_passes_its_reply),
	UNIT_TEST(only_takes_names_of_the_channel_without_their_prefix),
	UNIT_TEST(only_leaves_out_what_surrounds_messages_but_notes),
	UNIT_TEST(without_leaves_out_what_it_names),
	UNIT_TEST(rings_pass_messages_and_pictures_of_them_alone),
	UNIT_TEST(rings_that_are_no_list_are_refused),
	UNIT_TEST(sender_passes_what_it_sends),
	UNIT_TEST(broken_passes_rules_failures_and_faults),
	UNIT_TEST(broken_passes_faults_of_what_the_device_has),
	UNIT_TEST(broken_passes_returns_of_the_back_end),
	UNIT_TEST(pictures_that_are_not_wanted_do_not_pass),
	UNIT_TEST(name_that_no_message_has_is_found),
};

UNIT_MAIN(tests)
