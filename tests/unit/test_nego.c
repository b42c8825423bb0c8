/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Replies, when they are due, and what messages change in the state of a session. */
#include "rules_rig.h"

static struct vhu_msg reply;

static void expect_reply(enum vhu_rule expected)
{
	expect_rule(vhu_check_reply(&nego, &msg, &reply), expected);
}

static void good_reply(void)
{
	const struct vhu_desc *desc = vhu_desc_find(msg.dir, msg.id);

	vhu_msg_init_reply(&reply, &msg);
	reply.size = vhu_shape_ack()->max_len;
	if (desc && vhu_has_own_reply(desc, &nego))
		reply.size = desc->reply->max_len;
}

/* Every row: a reply of the right form passes, and one byte more or less does not. */
static void reply_for_each_row_has_its_size(void **state)
{
	(void)state;
	for (size_t i = 0; i < vhu_desc_count(); i++) {
		const struct vhu_desc *d = vhu_desc_at(i);
		bool varies;

		open_nego();
		sample(d->dir, d->id);
		msg.flags |= VHU_FLAG_NEED_REPLY;
		varies = vhu_has_own_reply(d, &nego) && d->reply->min_len != d->reply->max_len;
		good_reply();
		if (varies)
			reply.size = msg.size;
		if (d->id == VHU_FE_GET_CONFIG || d->id == VHU_FE_GET_VRING_BASE)
			memcpy(reply.payload, msg.payload, msg.size);
		if (d->dir == VHU_FE && d->id == VHU_FE_SET_DEVICE_STATE_FD)
			vhu_msg_put_u64(&reply, VHU_DEVICE_STATE_NOFD);
		expect_reply(VHU_OK);
		if (d->dir == VHU_FE && d->id == VHU_FE_SET_LOG_BASE)
			continue;
		reply.size++;
		expect_reply(VHU_RULE_REPLY_SIZE);
		reply.size -= 2;
		if (reply.size < VHU_MAX_PAYLOAD)
			expect_reply(VHU_RULE_REPLY_SIZE);
	}
}

/* VU-003, VU-004, VU-011 */
static void reply_header_is_checked(void **state)
{
	const uint32_t flags[] = { 0x1, 0x4, 0x6, 0xd, 0x15 };

	(void)state;
	fe(VHU_FE_GET_FEATURES);
	good_reply();
	expect_rule(vhu_check_reply_header(&reply), VHU_OK);
	reply.size = VHU_MAX_PAYLOAD;
	expect_rule(vhu_check_reply_header(&reply), VHU_OK);
	reply.size++;
	expect_rule(vhu_check_reply_header(&reply), VHU_RULE_PAYLOAD_LIMIT);
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		reply.flags = flags[i];
		expect_rule(vhu_check_reply_header(&reply), VHU_RULE_REPLY_FLAGS);
		expect_reply(VHU_RULE_REPLY_FLAGS);
	}
	good_reply();
	reply.size = UINT32_MAX;
	expect_rule(vhu_check_reply_header(&reply), VHU_RULE_PAYLOAD_LIMIT);
	good_reply();
	reply.id = VHU_FE_GET_STATUS;
	expect_reply(VHU_RULE_REPLY_ID);
	good_reply();
	reply.dir = VHU_BE;
	expect_reply(VHU_RULE_REPLY_ID);
}

/* VU-048 */
static void reply_when_none_is_due_is_unexpected(void **state)
{
	(void)state;
	fe(VHU_FE_SET_OWNER);
	good_reply();
	expect_reply(VHU_RULE_REPLY_UNEXPECTED);
	msg.flags = 0x9;
	expect_reply(VHU_OK);
	nego.protocol = 0;
	expect_reply(VHU_RULE_REPLY_UNEXPECTED);
}

/* VU-016: an unknown request can be answered with a negative acknowledgement. */
static void reply_to_an_unknown_request_is_an_acknowledgement(void **state)
{
	(void)state;
	open_nego();
	vhu_msg_init(&msg, VHU_FE, 1000);
	msg.flags = 0x9;
	good_reply();
	vhu_msg_put_u64(&reply, 1);
	expect_reply(VHU_OK);
	reply.size = 0;
	expect_reply(VHU_RULE_REPLY_SIZE);
}

/* VU-117, VU-108 */
static void reply_base_names_the_ring(void **state)
{
	struct vhu_vring_state s = { .index = 2, .num = 0xffff };

	(void)state;
	fe_ring(VHU_FE_GET_VRING_BASE, 2, 0);
	good_reply();
	vhu_msg_put(&reply, &s, sizeof(s));
	expect_reply(VHU_OK);
	s.num = 0x10000;
	vhu_msg_put(&reply, &s, sizeof(s));
	expect_reply(VHU_RULE_REPLY_BASE_UPPER);
	s.index = 1;
	vhu_msg_put(&reply, &s, sizeof(s));
	expect_reply(VHU_RULE_REPLY_RING);
}

/* VU-143, VU-145 */
static void reply_config_repeats_the_request(void **state)
{
	const uint32_t wrong[4] = { 4, 4, 0, 0 };
	const uint32_t none[3] = { 0, 0, 0 };

	(void)state;
	fe_config(VHU_FE_GET_CONFIG, 0, 4, 0, 4);
	vhu_msg_init_reply(&reply, &msg);
	vhu_msg_put(&reply, msg.payload, msg.size);
	expect_reply(VHU_OK);
	vhu_msg_put(&reply, wrong, sizeof(wrong));
	expect_reply(VHU_RULE_REPLY_CONFIG);
	vhu_msg_put(&reply, none, sizeof(none));
	expect_reply(VHU_RULE_REPLY_CONFIG_ERROR);
	vhu_msg_put(&reply, wrong, sizeof(none));
	expect_reply(VHU_RULE_REPLY_SIZE);
	vhu_msg_put(&reply, msg.payload, msg.size);
	reply.payload[0] = 1;
	expect_reply(VHU_RULE_REPLY_CONFIG);
	reply.payload[0] = 0;
	reply.payload[4] = 0;
	expect_reply(VHU_RULE_REPLY_CONFIG);
	vhu_msg_put(&reply, NULL, 0);
	expect_reply(VHU_OK);
}

/* VU-169, VU-177 */
static void reply_fds_are_checked(void **state)
{
	const struct vhu_inflight i = { .mmap_size = 64 };

	(void)state;
	fe(VHU_FE_GET_FEATURES);
	good_reply();
	reply.fds.n_fds = 1;
	expect_reply(VHU_RULE_REPLY_FDS);
	fe(VHU_FE_SET_OWNER);
	msg.flags = 0x9;
	good_reply();
	reply.fds.n_fds = 1;
	expect_reply(VHU_RULE_REPLY_FDS);
	fe(VHU_FE_POSTCOPY_ADVISE);
	good_reply();
	reply.fds.n_fds = 1;
	expect_reply(VHU_OK);
	reply.fds.n_fds = 2;
	expect_reply(VHU_RULE_REPLY_FDS);
	fe(VHU_FE_GET_INFLIGHT_FD);
	good_reply();
	expect_reply(VHU_OK);
	reply.fds.n_fds = 1;
	expect_reply(VHU_RULE_REPLY_INFLIGHT);
	vhu_msg_put(&reply, &i, sizeof(i));
	expect_reply(VHU_OK);
	reply.fds.n_fds = 0;
	expect_reply(VHU_RULE_REPLY_INFLIGHT);
}

/* VU-182, VU-192, VU-193 */
static void reply_state_and_status_are_checked(void **state)
{
	(void)state;
	fe(VHU_FE_SET_DEVICE_STATE_FD);
	good_reply();
	vhu_msg_put_u64(&reply, 0x101);
	expect_reply(VHU_OK);
	reply.fds.n_fds = 1;
	expect_reply(VHU_RULE_REPLY_STATE);
	vhu_msg_put_u64(&reply, 0);
	expect_reply(VHU_OK);
	vhu_msg_put_u64(&reply, 1);
	expect_reply(VHU_RULE_REPLY_STATE);
	reply.fds.n_fds = 0;
	expect_reply(VHU_RULE_REPLY_STATE);
	fe(VHU_FE_GET_STATUS);
	good_reply();
	vhu_msg_put_u64(&reply, 0xff);
	expect_reply(VHU_OK);
	vhu_msg_put_u64(&reply, 0x100);
	expect_reply(VHU_RULE_REPLY_STATUS);
}

/* VU-157: three lengths are in use; without LOG_SHMFD it is a plain acknowledgement. */
static void reply_log_base_of_another_length_is_noted(void **state)
{
	(void)state;
	fe(VHU_FE_SET_LOG_BASE);
	good_reply();
	expect_reply(VHU_OK);
	reply.size = 8;
	expect_reply(VHU_RULE_REPLY_LOG_SIZE);
	reply.size = 0;
	expect_reply(VHU_RULE_REPLY_LOG_SIZE);
	nego.protocol &= ~BIT(VHU_PF_LOG_SHMFD_BIT);
	msg.flags = 0x9;
	expect_reply(VHU_RULE_REPLY_SIZE);
	reply.size = 8;
	expect_reply(VHU_OK);
}

/* VU-046, VU-047, VU-048, VU-053 */
static void reply_due_for_each_row_follows_the_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < vhu_desc_count(); i++) {
		const struct vhu_desc *d = vhu_desc_at(i);
		bool always = d->replied.kind == VHU_REPLY_ALWAYS;
		bool asked = d->replied.kind == VHU_REPLY_ASKED;

		vhu_nego_init(&nego);
		sample(d->dir, d->id);
		assert_int_equal(vhu_reply_due(&nego, &msg), always);
		msg.flags = 0x9;
		assert_int_equal(vhu_reply_due(&nego, &msg), always || asked);
		nego.protocol = BIT(VHU_PF_REPLY_ACK_BIT);
		assert_true(vhu_reply_due(&nego, &msg));
		msg.flags = 0x1;
		assert_int_equal(vhu_reply_due(&nego, &msg), always);
	}
	fe(VHU_FE_SET_LOG_BASE);
	assert_true(vhu_reply_due(&nego, &msg));
	vhu_msg_init(&msg, VHU_FE, 1000);
	assert_false(vhu_reply_due(&nego, &msg));
	msg.flags = 0x9;
	assert_true(vhu_reply_due(&nego, &msg));
}

/* VU-050: UML's very message that accepts REPLY_ACK waits for its acknowledgement. */
static void reply_due_after_observing_reply_ack_is_yes(void **state)
{
	(void)state;
	fe_u64(VHU_FE_SET_PROTOCOL_FEATURES, BIT(3));
	nego.protocol = 0;
	msg.flags = 0x9;
	assert_false(vhu_reply_due(&nego, &msg));
	vhu_observe(&nego, &msg);
	assert_true(vhu_reply_due(&nego, &msg));
	assert_true(nego.protocol_set);
	vhu_msg_put_u64(&msg, 0);
	vhu_observe(&nego, &msg);
	assert_false(vhu_reply_due(&nego, &msg));
}

static void observe_replies_teach_what_is_offered(void **state)
{
	const struct {
		uint32_t id;
		uint64_t value;
	} cases[] = {
		{ VHU_FE_GET_FEATURES, BIT(32) | BIT(30) },
		{ VHU_FE_GET_PROTOCOL_FEATURES, BIT(3) },
		{ VHU_FE_GET_QUEUE_NUM, 64 },
	};

	(void)state;
	vhu_nego_init(&nego);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		vhu_msg_init(&msg, VHU_FE, cases[i].id);
		vhu_msg_init_reply(&reply, &msg);
		vhu_msg_put_u64(&reply, cases[i].value);
		vhu_observe(&nego, &msg);
		vhu_observe(&nego, &reply);
	}
	assert_true(nego.offered_features == (BIT(32) | BIT(30)));
	assert_int_equal(nego.offered_protocol, BIT(3));
	assert_int_equal(nego.n_queues, 64);
	assert_false(nego.features_set || nego.protocol_set);
	vhu_msg_put_u64(&reply, UINT64_MAX);
	vhu_observe(&nego, &reply);
	assert_int_equal(nego.n_queues, VHU_MAX_RINGS);
}

/* VU-036, VU-037 */
static void observe_features_enables_rings_without_bit_30_and_never_disables(void **state)
{
	(void)state;
	vhu_nego_init(&nego);
	sample(VHU_FE, VHU_FE_SET_FEATURES);
	vhu_msg_put_u64(&msg, BIT(32) | BIT(30));
	vhu_observe(&nego, &msg);
	assert_true(nego.features_set && vhu_nego_has_feature(&nego, 32));
	assert_false(nego.ring[0].enabled);
	vhu_msg_put_u64(&msg, BIT(32));
	vhu_observe(&nego, &msg);
	assert_true(nego.ring[0].enabled && nego.ring[255].enabled);
	vhu_msg_put_u64(&msg, BIT(32) | BIT(30) | BIT(26));
	vhu_observe(&nego, &msg);
	assert_true(nego.ring[0].enabled);
}

static void observe_ring_messages_touch_that_ring_only(void **state)
{
	(void)state;
	fe_ring(VHU_FE_SET_VRING_NUM, 2, 64);
	vhu_observe(&nego, &msg);
	sample(VHU_FE, VHU_FE_SET_VRING_ADDR);
	msg.payload[0] = 2;
	vhu_observe(&nego, &msg);
	sample(VHU_FE, VHU_FE_SET_VRING_BASE);
	msg.payload[0] = 2;
	vhu_observe(&nego, &msg);
	sample(VHU_FE, VHU_FE_SET_VRING_ENABLE);
	msg.payload[0] = 2;
	vhu_observe(&nego, &msg);
	sample(VHU_FE, VHU_FE_SET_VRING_KICK);
	vhu_msg_put_u64(&msg, 2);
	vhu_observe(&nego, &msg);
	sample(VHU_FE, VHU_FE_SET_VRING_CALL);
	vhu_msg_put_u64(&msg, 2);
	vhu_observe(&nego, &msg);
	assert_int_equal(nego.ring[2].num, 64);
	assert_true(nego.ring[2].num_set && nego.ring[2].addr_set && nego.ring[2].base_set);
	assert_true(nego.ring[2].kick_set && nego.ring[2].call_set && nego.ring[2].enabled);
	vhu_msg_put_u64(&msg, 2 | VHU_VRING_NOFD);
	vhu_observe(&nego, &msg);
	assert_false(nego.ring[2].call_set);
	for (size_t i = 0; i < VHU_MAX_RINGS; i++) {
		const struct vhu_nego_ring *r = &nego.ring[i];

		if (i != 2)
			assert_false(r->num_set || r->addr_set || r->base_set || r->kick_set ||
				     r->call_set || r->enabled || r->num);
	}
}

/* VU-108, VU-113, VU-114, VU-138 */
static void observe_stop_drops_descriptors_and_keeps_the_enabled_flag(void **state)
{
	(void)state;
	fe_ring(VHU_FE_GET_VRING_BASE, 1, 0);
	nego.ring[1] = (struct vhu_nego_ring){
		.num_set = true, .kick_set = true, .call_set = true, .enabled = true, .num = 8
	};
	nego.ring[0] = nego.ring[1];
	vhu_observe(&nego, &msg);
	assert_false(nego.ring[1].kick_set || nego.ring[1].call_set);
	assert_true(nego.ring[1].enabled && nego.ring[1].num_set);
	assert_true(nego.ring[0].kick_set && nego.ring[0].call_set);
	fe_ring(VHU_FE_VRING_KICK, 1, 0);
	vhu_observe(&nego, &msg);
	assert_true(nego.ring[1].kick_set);
}

/* VU-184, VU-189, VU-190, VU-191 */
static void observe_resets_disable_or_stop_the_rings(void **state)
{
	const uint32_t ids[] = { VHU_FE_RESET_DEVICE, VHU_FE_RESET_OWNER };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
		fe(ids[i]);
		nego.owner = true;
		nego.ring[3].enabled = true;
		vhu_observe(&nego, &msg);
		assert_false(nego.ring[3].enabled);
		assert_int_equal(nego.owner, ids[i] != VHU_FE_RESET_OWNER);
		nego.ring[3].enabled = true;
		nego.features = BIT(32);
		vhu_observe(&nego, &msg);
		assert_true(nego.ring[3].enabled);
	}
	fe_u64(VHU_FE_SET_STATUS, 0xf);
	nego.ring[3].kick_set = true;
	vhu_observe(&nego, &msg);
	assert_true(nego.ring[3].kick_set);
	vhu_msg_put_u64(&msg, 0);
	vhu_observe(&nego, &msg);
	assert_false(nego.ring[3].kick_set);
}

/* Nothing that was not accepted, or comes from the other side, may reach past the state. */
static void observe_for_hostile_messages_changes_nothing(void **state)
{
	static struct vhu_nego before;

	(void)state;
	open_nego();
	before = nego;
	for (size_t i = 0; i < vhu_desc_count(); i++) {
		const struct vhu_desc *d = vhu_desc_at(i);

		if (d->dir == VHU_FE && d->index != VHU_INDEX_FIRST)
			continue;
		sample(d->dir, d->id);
		memset(msg.payload, 0xff, sizeof(msg.payload));
		vhu_observe(&nego, &msg);
		msg.size = 0;
		vhu_observe(&nego, &msg);
	}
	vhu_msg_init(&msg, VHU_FE, 1000);
	vhu_observe(&nego, &msg);
	sample(VHU_FE, VHU_FE_SET_VRING_NUM);
	msg.payload[1] = VHU_MAX_RINGS >> 8; /* the first that is too high */
	vhu_observe(&nego, &msg);
	assert_memory_equal(&nego, &before, sizeof(nego));
}

/* Comes last: every rule of this part was broken by some test before. */
static void every_rule_of_this_part_is_broken_by_a_test(void **state)
{
	(void)state;
	assert_all_broken(VHU_RULE_REPLY_UNEXPECTED, VHU_RULE_REPLY_CONFIG_ERROR);
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(reply_for_each_row_has_its_size),
	UNIT_TEST(reply_header_is_checked),
	UNIT_TEST(reply_when_none_is_due_is_unexpected),
	UNIT_TEST(reply_to_an_unknown_request_is_an_acknowledgement),
	UNIT_TEST(reply_base_names_the_ring),
	UNIT_TEST(reply_config_repeats_the_request),
	UNIT_TEST(reply_fds_are_checked),
	UNIT_TEST(reply_state_and_status_are_checked),
	UNIT_TEST(reply_log_base_of_another_length_is_noted),
	UNIT_TEST(reply_due_for_each_row_follows_the_table),
	UNIT_TEST(reply_due_after_observing_reply_ack_is_yes),
	UNIT_TEST(observe_replies_teach_what_is_offered),
	UNIT_TEST(observe_features_enables_rings_without_bit_30_and_never_disables),
	UNIT_TEST(observe_ring_messages_touch_that_ring_only),
	UNIT_TEST(observe_stop_drops_descriptors_and_keeps_the_enabled_flag),
	UNIT_TEST(observe_resets_disable_or_stop_the_rings),
	UNIT_TEST(observe_for_hostile_messages_changes_nothing),
	UNIT_TEST(every_rule_of_this_part_is_broken_by_a_test),
};
UNIT_MAIN(tests)
