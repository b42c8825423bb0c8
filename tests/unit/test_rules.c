/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Rules that are the same for every row: each is broken by at least one
 * message and kept by its neighbour.
 */
#include "rules_rig.h"

static void text_for_each_rule_is_there(void **state)
{
	(void)state;
	for (int i = 1; i < VHU_N_RULES; i++) {
		assert_true(strlen(vhu_rule_name((enum vhu_rule)i)) > 0);
		assert_true(strlen(vhu_rule_text((enum vhu_rule)i)) > 10);
		assert_int_equal(strncmp(vhu_rule_ref((enum vhu_rule)i), "VU-", 3), 0);
	}
	assert_string_equal(vhu_rule_name(VHU_OK), "OK");
	assert_string_equal(vhu_rule_name(VHU_N_RULES), "?");
	assert_int_equal(vhu_rule_severity(VHU_RULE_VERSION), VHU_CLOSE);
	assert_int_equal(vhu_rule_severity(VHU_RULE_NUM_ZERO), VHU_REFUSE);
	assert_int_equal(vhu_rule_severity(VHU_RULE_RESERVED_FLAGS), VHU_NOTE);
	assert_int_equal(vhu_rule_severity(VHU_OK), VHU_NOTE);
}

/* Every row: its sample passes, header and whole; notes are allowed, as for reserved numbers. */
static void sample_for_each_row_is_accepted(void **state)
{
	(void)state;
	open_nego();
	for (size_t i = 0; i < vhu_desc_count(); i++) {
		const struct vhu_desc *d = vhu_desc_at(i);

		sample(d->dir, d->id);
		expect_header(VHU_OK);
		assert_int_equal(vhu_rule_severity(vhu_check_request(&nego, &msg)), VHU_NOTE);
	}
}

/* VU-012, VU-013, VU-015: every row, one byte short and one byte beyond its largest. */
static void size_for_each_row_is_bounded_on_both_sides(void **state)
{
	(void)state;
	open_nego();
	for (size_t i = 0; i < vhu_desc_count(); i++) {
		const struct vhu_desc *d = vhu_desc_at(i);

		sample(d->dir, d->id);
		if (msg.size > 0) {
			msg.size--;
			expect(VHU_RULE_SIZE_SHORT);
		}
		if (d->request->max_len < VHU_MAX_PAYLOAD) {
			msg.size = d->request->max_len + 1;
			expect_header(VHU_RULE_PAYLOAD_ROW_LIMIT);
			expect(d->request->max_len ? VHU_RULE_SIZE_LONG
						   : VHU_RULE_PAYLOAD_UNEXPECTED);
		}
		msg.size = d->request->max_len;
		expect_header(VHU_OK);
		msg.size = VHU_MAX_PAYLOAD + 1;
		expect_header(VHU_RULE_PAYLOAD_LIMIT);
	}
}

/* Every row: one descriptor too many, and none where one is needed. */
static void fds_for_each_row_are_counted(void **state)
{
	(void)state;
	open_nego();
	for (size_t i = 0; i < vhu_desc_count(); i++) {
		const struct vhu_desc *d = vhu_desc_at(i);
		unsigned int n_fds;

		sample(d->dir, d->id);
		n_fds = msg.fds.n_fds;
		msg.fds.n_fds = d->fds.kind == VHU_FD_OPTIONAL ? 2 : n_fds + 1;
		assert_int_equal(vhu_rule_severity(vhu_check_request(&nego, &msg)), VHU_REFUSE);
		msg.fds.n_fds = FDSET_MAX;
		assert_int_equal(vhu_rule_severity(vhu_check_request(&nego, &msg)), VHU_REFUSE);
		msg.fds.n_fds = 0;
		assert_int_equal(vhu_rule_severity(vhu_check_request(&nego, &msg)),
				 n_fds > 0 ? VHU_REFUSE : VHU_NOTE);
	}
}

/* VU-018: every gated row is refused in a session that negotiated nothing. */
static void gate_for_each_row_is_closed_before_negotiation(void **state)
{
	(void)state;
	open_nego();
	for (size_t i = 0; i < vhu_desc_count(); i++) {
		const struct vhu_desc *d = vhu_desc_at(i);
		bool gated = d->gate.kind != VHU_GATE_NONE && d->gate.kind != VHU_GATE_LAX;

		vhu_nego_init(&nego);
		sample(d->dir, d->id);
		assert_int_equal(vhu_rule_severity(vhu_check_request(&nego, &msg)),
				 gated ? VHU_REFUSE : VHU_NOTE);
	}
}

/* VU-081: every row with an index, at and above the number of rings. */
static void index_for_each_row_is_below_the_number_of_rings(void **state)
{
	(void)state;
	open_nego();
	for (size_t i = 0; i < vhu_desc_count(); i++) {
		const struct vhu_desc *d = vhu_desc_at(i);
		const uint32_t bad[] = { 4, 64, 255 };

		for (size_t j = 0; j < ARRAY_SIZE(bad) && d->index != VHU_INDEX_NONE; j++) {
			sample(d->dir, d->id);
			memcpy(msg.payload, &bad[j], sizeof(bad[j]));
			expect(VHU_RULE_RING_INDEX);
		}
	}
	fe_ring(VHU_FE_SET_VRING_NUM, 3, 64);
	expect(VHU_OK);
	fe_ring(VHU_FE_SET_VRING_NUM, 0x100, 64);
	expect(VHU_RULE_RING_INDEX);
	fe_ring(VHU_FE_SET_VRING_NUM, UINT32_MAX, 64);
	expect(VHU_RULE_RING_INDEX);
	fe_ring(VHU_FE_SET_VRING_NUM, VHU_MAX_RINGS - 1, 64);
	nego.n_queues = 0;
	expect(VHU_OK);
	fe_ring(VHU_FE_SET_VRING_NUM, VHU_MAX_RINGS, 64);
	nego.n_queues = 100000;
	expect(VHU_RULE_RING_INDEX);
}

/* VU-006 */
static void header_when_version_is_not_1_closes(void **state)
{
	const uint32_t flags[] = { 0, 2, 3 };

	(void)state;
	fe(VHU_FE_GET_FEATURES);
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		msg.flags = flags[i];
		expect_header(VHU_RULE_VERSION);
	}
	msg.flags = 1;
	expect_header(VHU_OK);
}

/* VU-007 */
static void header_when_a_request_has_the_reply_bit_closes(void **state)
{
	(void)state;
	fe(VHU_FE_GET_FEATURES);
	msg.flags = 0x5;
	expect_header(VHU_RULE_REPLY_BIT);
	msg.flags = 0x9;
	expect_header(VHU_OK);
}

/* VU-011, VU-016: bounded payloads of unknown requests are drained. */
static void header_of_an_unknown_request_passes_up_to_the_limit(void **state)
{
	const uint32_t ids[] = { 0, 46, 1000, UINT32_MAX };

	(void)state;
	open_nego();
	for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
		vhu_msg_init(&msg, VHU_FE, ids[i]);
		msg.size = VHU_MAX_PAYLOAD;
		expect_header(VHU_OK);
		expect(VHU_RULE_UNKNOWN);
		msg.size = UINT32_MAX;
		expect_header(VHU_RULE_PAYLOAD_LIMIT);
	}
}

/* VU-030: offered is enough; SET_FEATURES may come later. */
static void protocol_features_when_bit_30_is_offered_may_be_asked_for(void **state)
{
	(void)state;
	vhu_nego_init(&nego);
	sample(VHU_FE, VHU_FE_GET_PROTOCOL_FEATURES);
	expect(VHU_RULE_GATE_OFFERED);
	nego.offered_features = BIT(30);
	expect(VHU_OK);
	sample(VHU_FE, VHU_FE_SET_PROTOCOL_FEATURES);
	expect(VHU_OK);
}

/* VU-106 */
static void enable_without_accepted_bit_30_is_refused(void **state)
{
	(void)state;
	fe_ring(VHU_FE_SET_VRING_ENABLE, 0, 1);
	expect(VHU_OK);
	nego.features &= ~BIT(30);
	expect(VHU_RULE_GATE_ACKED);
}

static void gate_for_features_follows_the_negotiated_set(void **state)
{
	(void)state;
	fe(VHU_FE_GET_CONFIG);
	nego.protocol = BIT(VHU_PF_CONFIG_BIT);
	expect(VHU_OK);
	nego.protocol = ~BIT(VHU_PF_CONFIG_BIT);
	expect(VHU_RULE_GATE_PROTOCOL);
	fe(VHU_FE_IOTLB_MSG);
	expect(VHU_OK);
	nego.features = BIT(30);
	expect(VHU_RULE_GATE_VIRTIO);
}

/* VU-043: SPDK asks without having negotiated MQ. */
static void queue_num_without_mq_is_noted_and_accepted(void **state)
{
	(void)state;
	fe(VHU_FE_GET_QUEUE_NUM);
	expect(VHU_OK);
	nego.protocol = 0;
	expect(VHU_RULE_GATE_LAX);
	assert_int_equal(vhu_rule_severity(VHU_RULE_GATE_LAX), VHU_NOTE);
}

/* VU-024, VU-025, VU-074, VU-076, VU-077 */
static void fds_when_wrong_are_told_apart(void **state)
{
	(void)state;
	fe(VHU_FE_SET_VRING_NUM);
	expect(VHU_OK);
	msg.fds.n_fds = 1;
	expect(VHU_RULE_FD_UNEXPECTED);

	fe(VHU_FE_SET_BACKEND_REQ_FD);
	expect(VHU_OK);
	msg.fds.n_fds = 0;
	expect(VHU_RULE_FD_MISSING);
	msg.fds.n_fds = 2;
	expect(VHU_RULE_FD_MANY);

	fe(VHU_FE_REM_MEM_REG);
	expect(VHU_OK);
	msg.fds.n_fds = 1;
	expect(VHU_OK);
	msg.fds.n_fds = 2;
	expect(VHU_RULE_FD_MANY);
}

/* VU-157, VU-158 */
static void log_base_has_a_descriptor_with_log_shmfd_only(void **state)
{
	(void)state;
	fe(VHU_FE_SET_LOG_BASE);
	expect(VHU_OK);
	assert_int_equal(msg.fds.n_fds, 1);
	msg.fds.n_fds = 0;
	expect(VHU_RULE_FD_MISSING);
	nego.protocol = 0;
	expect(VHU_OK);
	msg.fds.n_fds = 1;
	expect(VHU_RULE_FD_UNEXPECTED);
}

/* VU-124 */
static void nofd_bit_and_descriptor_exclude_each_other(void **state)
{
	const uint32_t ids[] = { VHU_FE_SET_VRING_KICK, VHU_FE_SET_VRING_CALL,
				 VHU_FE_SET_VRING_ERR };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
		fe_u64(ids[i], 1);
		expect(VHU_OK);
		msg.fds.n_fds = 0;
		expect(VHU_RULE_NOFD_MISSING);
		msg.fds.n_fds = 2;
		expect(VHU_RULE_FD_MANY);
		fe_u64(ids[i], 1 | VHU_VRING_NOFD);
		expect(VHU_RULE_FD_DESPITE_NOFD);
		msg.fds.n_fds = 0;
		expect(VHU_OK);
	}
}

/* VU-008, VU-049, VU-050 */
static void flags_that_mean_nothing_are_noted(void **state)
{
	(void)state;
	fe(VHU_FE_GET_FEATURES);
	msg.flags = 0x11;
	expect_header(VHU_OK);
	expect(VHU_RULE_RESERVED_FLAGS);
	fe(VHU_FE_SET_OWNER);
	msg.flags = 0x9;
	expect(VHU_OK);
	nego.protocol = 0;
	expect(VHU_RULE_NEED_REPLY_EARLY);
	fe_u64(VHU_FE_SET_PROTOCOL_FEATURES, BIT(3));
	nego.protocol = 0;
	msg.flags = 0x9;
	expect(VHU_OK);
	fe_u64(VHU_FE_SET_PROTOCOL_FEATURES, BIT(5));
	nego.protocol = 0;
	msg.flags = 0x9;
	expect(VHU_RULE_NEED_REPLY_EARLY);
	fe(VHU_FE_POSTCOPY_LISTEN);
	nego.protocol = BIT(VHU_PF_PAGEFAULT_BIT);
	msg.flags = 0x9;
	expect(VHU_OK);
}

/* VU-026, VU-064: the count decides about bytes and descriptors, and is bounded itself. */
static void table_when_its_count_disagrees_is_refused(void **state)
{
	const struct vhu_mem_table t = { .n_regions = VHU_MAX_REGIONS + 1 };

	(void)state;
	fe(VHU_FE_SET_MEM_TABLE);
	expect(VHU_OK);
	msg.fds.n_fds = 2;
	expect(VHU_RULE_FD_REGIONS);
	vhu_msg_put(&msg, &t, sizeof(t));
	expect(VHU_RULE_COUNT_LIMIT);
}

/* Comes last: every rule of this part was broken by some test before. */
static void every_rule_of_this_part_is_broken_by_a_test(void **state)
{
	(void)state;
	assert_all_broken(VHU_RULE_VERSION, VHU_RULE_NEED_REPLY_EARLY);
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(text_for_each_rule_is_there),
	UNIT_TEST(sample_for_each_row_is_accepted),
	UNIT_TEST(size_for_each_row_is_bounded_on_both_sides),
	UNIT_TEST(fds_for_each_row_are_counted),
	UNIT_TEST(gate_for_each_row_is_closed_before_negotiation),
	UNIT_TEST(index_for_each_row_is_below_the_number_of_rings),
	UNIT_TEST(header_when_version_is_not_1_closes),
	UNIT_TEST(header_when_a_request_has_the_reply_bit_closes),
	UNIT_TEST(header_of_an_unknown_request_passes_up_to_the_limit),
	UNIT_TEST(protocol_features_when_bit_30_is_offered_may_be_asked_for),
	UNIT_TEST(enable_without_accepted_bit_30_is_refused),
	UNIT_TEST(gate_for_features_follows_the_negotiated_set),
	UNIT_TEST(queue_num_without_mq_is_noted_and_accepted),
	UNIT_TEST(fds_when_wrong_are_told_apart),
	UNIT_TEST(log_base_has_a_descriptor_with_log_shmfd_only),
	UNIT_TEST(nofd_bit_and_descriptor_exclude_each_other),
	UNIT_TEST(flags_that_mean_nothing_are_noted),
	UNIT_TEST(table_when_its_count_disagrees_is_refused),
	UNIT_TEST(every_rule_of_this_part_is_broken_by_a_test),
};
UNIT_MAIN(tests)
