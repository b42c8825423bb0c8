/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Rules about values: each is broken by one message and kept by its neighbour. */
#include "rules_rig.h"

#include "vhu/checks.h"

/* VU-034, VU-035 */
static void features_when_not_offered_are_refused(void **state)
{
	(void)state;
	fe_u64(VHU_FE_SET_FEATURES, BIT(32));
	nego.offered_features = BIT(32) | BIT(30) | BIT(29);
	expect(VHU_OK);
	fe_u64(VHU_FE_SET_FEATURES, BIT(32) | BIT(50));
	nego.offered_features = BIT(32) | BIT(30);
	expect(VHU_RULE_FEATURES_OFFERED);
}

/* VU-039, VU-040, VU-041 */
static void protocol_features_are_checked_against_offer_and_needs(void **state)
{
	(void)state;
	fe_u64(VHU_FE_SET_PROTOCOL_FEATURES, BIT(3) | BIT(5) | BIT(14));
	expect(VHU_OK);
	fe_u64(VHU_FE_SET_PROTOCOL_FEATURES, BIT(63));
	expect(VHU_RULE_PROTOCOL_OFFERED);
	fe_u64(VHU_FE_SET_PROTOCOL_FEATURES, BIT(14));
	expect(VHU_RULE_INBAND_NEEDS);
	fe_u64(VHU_FE_SET_PROTOCOL_FEATURES, BIT(14) | BIT(3));
	expect(VHU_RULE_INBAND_NEEDS);
	fe_u64(VHU_FE_SET_PROTOCOL_FEATURES, BIT(14) | BIT(5));
	expect(VHU_RULE_INBAND_NEEDS);
	assert_int_equal(vhu_rule_severity(VHU_RULE_INBAND_NEEDS), VHU_CLOSE);
	nego.offered_protocol = 0;
	expect(VHU_RULE_INBAND_NEEDS);
	fe_u64(VHU_FE_SET_PROTOCOL_FEATURES, BIT(23));
	expect(VHU_RULE_SKIP_DRAIN_NEEDS);
	fe_u64(VHU_FE_SET_PROTOCOL_FEATURES, BIT(23) | BIT(20) | BIT(12));
	expect(VHU_OK);
	fe_u64(VHU_FE_SET_PROTOCOL_FEATURES, BIT(10));
	expect(VHU_RULE_PROTOCOL_NEEDS);
	fe_u64(VHU_FE_SET_PROTOCOL_FEATURES, BIT(10) | BIT(14));
	expect(VHU_RULE_INBAND_NEEDS);
}

static void owner_when_set_twice_is_noted(void **state)
{
	(void)state;
	fe(VHU_FE_SET_OWNER);
	expect(VHU_OK);
	vhu_observe(&nego, &msg);
	expect(VHU_RULE_OWNER_AGAIN);
}

static struct vhu_mem_table table;

/* A good table of n adjacent regions. */
static void fe_table(uint32_t n)
{
	fe(VHU_FE_SET_MEM_TABLE);
	memset(&table, 0, sizeof(table));
	table.n_regions = n;
	for (uint32_t i = 0; i < VHU_MAX_REGIONS; i++) {
		table.regions[i].guest_addr = i * UINT64_C(0x10000);
		table.regions[i].user_addr = 0x7f0000000000 + i * UINT64_C(0x10000);
		table.regions[i].size = 0x10000;
		table.regions[i].mmap_offset = 0x1000;
	}
	msg.fds.n_fds = n < VHU_MAX_REGIONS ? n : VHU_MAX_REGIONS;
}

static void expect_table(enum vhu_rule expected)
{
	vhu_msg_put(&msg, &table,
		    offsetof(struct vhu_mem_table, regions) +
			    min_size(table.n_regions, VHU_MAX_REGIONS) * sizeof(table.regions[0]));
	expect(expected);
}

/* VU-026, VU-064 */
static void table_of_any_size_up_to_eight_is_accepted(void **state)
{
	const uint32_t bad[] = { 9, 0x08000000, UINT32_MAX };

	(void)state;
	for (uint32_t n = 1; n <= VHU_MAX_REGIONS; n++) {
		fe_table(n);
		expect_table(VHU_OK);
		msg.fds.n_fds = n - 1;
		expect_table(n == 1 ? VHU_RULE_FD_MISSING : VHU_RULE_FD_REGIONS);
		if (n == VHU_MAX_REGIONS)
			continue;
		msg.fds.n_fds = n + 1;
		expect_table(VHU_RULE_FD_REGIONS);
	}
	fe_table(0);
	expect_table(VHU_RULE_MEM_EMPTY);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		fe_table(bad[i]);
		expect_table(VHU_RULE_COUNT_LIMIT);
	}
}

/* VU-012: 72 bytes for one region (UML), but not 40 bytes for two. */
static void table_when_longer_than_its_count_is_accepted(void **state)
{
	(void)state;
	fe_table(1);
	vhu_msg_put(&msg, &table, 72);
	expect_header(VHU_OK);
	expect(VHU_OK);
	vhu_msg_put(&msg, &table, sizeof(table));
	expect(VHU_OK);
	fe_table(2);
	vhu_msg_put(&msg, &table, 40);
	expect(VHU_RULE_SIZE_SHORT);
	vhu_msg_put(&msg, &table, 71);
	expect(VHU_RULE_SIZE_SHORT);
}

/* VU-060 */
static void region_when_empty_or_wrapping_is_refused(void **state)
{
	(void)state;
	fe_table(3);
	table.regions[2].size = 0;
	expect_table(VHU_RULE_REGION_ZERO);
	fe_table(3);
	table.regions[2].guest_addr = UINT64_MAX - 0xfffe;
	expect_table(VHU_RULE_REGION_GUEST_WRAP);
	table.regions[2].guest_addr = UINT64_MAX - 0x10000;
	expect_table(VHU_OK);
	table.regions[2].user_addr = UINT64_MAX - 0xfffe;
	expect_table(VHU_RULE_REGION_USER_WRAP);
	fe_table(3);
	table.regions[2].mmap_offset = UINT64_MAX;
	expect_table(VHU_RULE_REGION_OFFSET_WRAP);
	table.regions[2].mmap_offset = INT64_MAX;
	expect_table(VHU_RULE_REGION_OFFSET_WRAP);
	table.regions[2].mmap_offset = INT64_MAX - 0x10000;
	expect_table(VHU_OK);
}

/* VU-063 */
static void regions_when_overlapping_are_refused(void **state)
{
	(void)state;
	fe_table(3);
	table.regions[2].guest_addr = table.regions[0].guest_addr;
	expect_table(VHU_RULE_REGION_GUEST_OVERLAP);
	table.regions[2].guest_addr = table.regions[1].guest_addr + 0xffff;
	expect_table(VHU_RULE_REGION_GUEST_OVERLAP);
	fe_table(3);
	table.regions[0].guest_addr = table.regions[2].guest_addr - 1;
	expect_table(VHU_RULE_REGION_GUEST_OVERLAP);
	fe_table(3);
	table.regions[2].user_addr = table.regions[1].user_addr - 1;
	table.regions[2].guest_addr = 0x100000;
	expect_table(VHU_RULE_REGION_USER_OVERLAP);
	/* Neighbours touch but do not overlap, in whatever order they are listed. */
	fe_table(2);
	table.regions[2] = table.regions[0];
	table.regions[0] = table.regions[1];
	table.regions[1] = table.regions[2];
	expect_table(VHU_OK);
	table.regions[1].guest_addr++;
	expect_table(VHU_RULE_REGION_GUEST_OVERLAP);
	/* What lies beyond the count does not matter. */
	fe_table(2);
	table.regions[2] = table.regions[0];
	expect_table(VHU_OK);
}

/* VU-073, VU-074 */
static void single_region_is_checked_like_one_of_a_table(void **state)
{
	struct vhu_single_region r = { .region = { 0x1000, 0, 0x1000, 0 } };

	(void)state;
	fe(VHU_FE_ADD_MEM_REG);
	expect(VHU_OK);
	vhu_msg_put(&msg, &r, sizeof(r));
	expect(VHU_RULE_REGION_ZERO);
	r.region.size = UINT64_MAX;
	vhu_msg_put(&msg, &r, sizeof(r));
	expect(VHU_RULE_REGION_GUEST_WRAP);
	/* Nothing but equality matters for removal (VU-075). */
	fe(VHU_FE_REM_MEM_REG);
	vhu_msg_put(&msg, &r, sizeof(r));
	expect(VHU_OK);
}

/* VU-157, VU-158, VU-167 */
static void log_base_sizes_and_ranges_are_checked(void **state)
{
	struct vhu_log log = { .mmap_size = 0x1000, .mmap_offset = UINT64_MAX };

	(void)state;
	fe_u64(VHU_FE_SET_LOG_BASE, 0x1000);
	expect(VHU_RULE_SIZE_SHORT);
	nego.protocol = 0;
	msg.fds.n_fds = 0;
	expect(VHU_OK);
	vhu_msg_put(&msg, &log, 12);
	expect(VHU_RULE_SIZE_SHORT);
	vhu_msg_put(&msg, &log, sizeof(log));
	expect(VHU_OK);
	fe(VHU_FE_SET_LOG_BASE);
	vhu_msg_put(&msg, &log, sizeof(log));
	expect(VHU_RULE_LOG_SIZE);
	log = (struct vhu_log){ .mmap_size = 0 };
	vhu_msg_put(&msg, &log, sizeof(log));
	expect(VHU_RULE_LOG_SIZE);
	log.mmap_size = 1;
	vhu_msg_put(&msg, &log, sizeof(log));
	expect(VHU_OK);
}

/* VU-082, VU-083, VU-084 */
static void num_is_a_power_of_two_within_limits(void **state)
{
	(void)state;
	for (uint32_t n = 1; n <= 32768; n *= 2) {
		fe_ring(VHU_FE_SET_VRING_NUM, 0, n);
		expect(n <= 1024 ? VHU_OK : VHU_RULE_NUM_MAX);
		nego.max_queue_size = 0;
		expect(VHU_OK);
		nego.max_queue_size = 32768;
		expect(VHU_OK);
	}
	fe_ring(VHU_FE_SET_VRING_NUM, 0, 0);
	expect(VHU_RULE_NUM_ZERO);
	fe_ring(VHU_FE_SET_VRING_NUM, 0, 32769);
	expect(VHU_RULE_NUM_LIMIT);
	fe_ring(VHU_FE_SET_VRING_NUM, 0, 65536);
	expect(VHU_RULE_NUM_LIMIT);
	fe_ring(VHU_FE_SET_VRING_NUM, 0, 0x10001);
	expect(VHU_RULE_NUM_LIMIT);
	fe_ring(VHU_FE_SET_VRING_NUM, 0, UINT32_MAX);
	expect(VHU_RULE_NUM_LIMIT);
	fe_ring(VHU_FE_SET_VRING_NUM, 0, 100);
	expect(VHU_RULE_NUM_POWER);
	nego.features |= BIT(VIRTIO_F_RING_PACKED_BIT);
	expect(VHU_OK);
}

static void fe_addr(uint64_t desc, uint64_t avail, uint64_t used, uint32_t flags)
{
	/* UML's log address is all ones (VU-093). */
	const struct vhu_vring_addr a = {
		.flags = flags,
		.desc = desc,
		.used = used,
		.avail = avail,
		.log = UINT64_MAX,
	};

	fe(VHU_FE_SET_VRING_ADDR);
	vhu_msg_put(&msg, &a, sizeof(a));
}

/* VU-085, VU-087, VU-093 */
static void addr_flags_and_alignment_are_checked(void **state)
{
	(void)state;
	fe_addr(0x1010, 0x2002, 0x3004, 0);
	expect(VHU_OK);
	nego.features |= BIT(VIRTIO_F_RING_PACKED_BIT);
	expect(VHU_RULE_AVAIL_ALIGN);
	fe_addr(0x1010, 0x2002, 0x3004, 1);
	expect(VHU_OK);
	fe_addr(0x1010, 0x2002, 0x3004, 0x80000000);
	expect(VHU_RULE_ADDR_FLAGS);
	fe_addr(0x1010, 0x2002, 0x3004, 2);
	expect(VHU_RULE_ADDR_FLAGS);
	fe_addr(0x1018, 0x2002, 0x3004, 0);
	expect(VHU_RULE_DESC_ALIGN);
	fe_addr(0x1010, 0x2001, 0x3004, 0);
	expect(VHU_RULE_AVAIL_ALIGN);
	fe_addr(0x1010, 0x2002, 0x3002, 0);
	expect(VHU_RULE_USED_ALIGN);
}

/* VU-092, VU-097, VU-107, VU-116 */
static void ring_numbers_are_checked(void **state)
{
	(void)state;
	fe_ring(VHU_FE_SET_VRING_BASE, 0, 0xffff);
	expect(VHU_OK);
	fe_ring(VHU_FE_SET_VRING_BASE, 0, 0x10005);
	expect(VHU_RULE_BASE_UPPER);
	nego.features |= BIT(VIRTIO_F_RING_PACKED_BIT);
	expect(VHU_OK);
	fe_ring(VHU_FE_SET_VRING_ENABLE, 0, 0);
	expect(VHU_OK);
	fe_ring(VHU_FE_SET_VRING_ENABLE, 0, 2);
	expect(VHU_RULE_ENABLE_VALUE);
	fe_ring(VHU_FE_SET_VRING_ENDIAN, 0, 1);
	expect(VHU_OK);
	fe_ring(VHU_FE_SET_VRING_ENDIAN, 0, 2);
	expect(VHU_RULE_ENDIAN_VALUE);
	fe_ring(VHU_FE_GET_VRING_BASE, 0, 0);
	expect(VHU_OK);
	fe_ring(VHU_FE_GET_VRING_BASE, 0, 7);
	expect(VHU_RULE_RESERVED_NUM);
}

/* VU-143, VU-145, VU-146, VU-148 */
static void get_config_sizes_are_checked(void **state)
{
	(void)state;
	fe_config(VHU_FE_GET_CONFIG, 0, 12, 0, 12);
	expect(VHU_OK);
	fe_config(VHU_FE_GET_CONFIG, 0, 256, 1, 256);
	expect(VHU_OK);
	fe_config(VHU_FE_GET_CONFIG, 0, 0, 0, 0);
	expect(VHU_RULE_CONFIG_EMPTY);
	fe_config(VHU_FE_GET_CONFIG, 0, 4096, 0, 0);
	expect(VHU_RULE_COUNT_LIMIT);
	fe_config(VHU_FE_GET_CONFIG, 0, 100, 0, 99);
	expect(VHU_RULE_SIZE_SHORT);
	fe_config(VHU_FE_GET_CONFIG, 0, 100, 0, 101);
	expect(VHU_RULE_CONFIG_SIZE);
	fe_config(VHU_FE_GET_CONFIG, 0xfffffff0, 0x20, 0, 0x20);
	expect(VHU_RULE_CONFIG_RANGE);
	fe_config(VHU_FE_GET_CONFIG, VHU_MAX_CONFIG - 4, 4, 0, 4);
	expect(VHU_OK);
	fe_config(VHU_FE_GET_CONFIG, VHU_MAX_CONFIG - 3, 4, 0, 4);
	expect(VHU_RULE_CONFIG_RANGE);
}

/* VU-149, VU-153; SPDK's payload is longer than its size says. */
static void set_config_flags_and_sizes_are_checked(void **state)
{
	(void)state;
	fe_config(VHU_FE_SET_CONFIG, 0, 4, 1, 4);
	expect(VHU_OK);
	fe_config(VHU_FE_SET_CONFIG, 0, 4, 0, 256);
	expect(VHU_OK);
	fe_config(VHU_FE_SET_CONFIG, 0, 4, 0, 3);
	expect(VHU_RULE_SIZE_SHORT);
	fe_config(VHU_FE_SET_CONFIG, 0, 4, 2, 4);
	expect(VHU_RULE_CONFIG_FLAGS);
	fe_config(VHU_FE_SET_CONFIG, 0, 4, UINT32_MAX, 4);
	expect(VHU_RULE_CONFIG_FLAGS);
	fe_config(VHU_FE_SET_CONFIG, 0, 0, 0, 0);
	expect(VHU_RULE_CONFIG_EMPTY);
	fe_config(VHU_FE_SET_CONFIG, UINT32_MAX, 4, 0, 4);
	expect(VHU_RULE_CONFIG_RANGE);
}

/* VU-175 */
static void inflight_values_are_checked(void **state)
{
	struct vhu_inflight i = { .num_queues = 2, .queue_size = 64 };

	(void)state;
	fe(VHU_FE_GET_INFLIGHT_FD);
	vhu_msg_put(&msg, &i, sizeof(i));
	expect(VHU_OK);
	fe(VHU_FE_SET_INFLIGHT_FD);
	vhu_msg_put(&msg, &i, sizeof(i));
	expect(VHU_RULE_INFLIGHT_SIZE);
	i.mmap_size = 0x1000;
	vhu_msg_put(&msg, &i, sizeof(i));
	expect(VHU_OK);
	i.mmap_offset = UINT64_MAX;
	vhu_msg_put(&msg, &i, sizeof(i));
	expect(VHU_RULE_INFLIGHT_SIZE);
	i.queue_size = 0;
	vhu_msg_put(&msg, &i, sizeof(i));
	expect(VHU_RULE_INFLIGHT_EMPTY);
	fe(VHU_FE_GET_INFLIGHT_FD);
	i.queue_size = 64;
	i.num_queues = 0;
	vhu_msg_put(&msg, &i, sizeof(i));
	expect(VHU_RULE_INFLIGHT_EMPTY);
}

/* VU-188, VU-198 */
static void status_and_device_state_values_are_checked(void **state)
{
	struct vhu_device_state s = { .direction = 1 };

	(void)state;
	fe_u64(VHU_FE_SET_STATUS, 0xff);
	expect(VHU_OK);
	fe_u64(VHU_FE_SET_STATUS, 0x100);
	expect(VHU_RULE_STATUS_VALUE);
	fe(VHU_FE_SET_DEVICE_STATE_FD);
	vhu_msg_put(&msg, &s, sizeof(s));
	expect(VHU_OK);
	s.direction = 2;
	vhu_msg_put(&msg, &s, sizeof(s));
	expect(VHU_RULE_STATE_VALUE);
	s = (struct vhu_device_state){ .phase = 1 };
	vhu_msg_put(&msg, &s, sizeof(s));
	expect(VHU_RULE_STATE_VALUE);
}

static void iotlb_values_are_checked(void **state)
{
	struct vhu_iotlb t = { .iova = UINT64_MAX - 0xfff, .size = 0x1000, .perm = 3, .type = 4 };

	(void)state;
	fe(VHU_FE_IOTLB_MSG);
	vhu_msg_put(&msg, &t, sizeof(t));
	expect(VHU_OK);
	t.size++;
	vhu_msg_put(&msg, &t, sizeof(t));
	expect(VHU_RULE_IOTLB_VALUE);
	t = (struct vhu_iotlb){ .size = 1, .type = 1 };
	vhu_msg_put(&msg, &t, sizeof(t));
	expect(VHU_OK);
	t = (struct vhu_iotlb){ .size = 1, .type = 5 };
	vhu_msg_put(&msg, &t, sizeof(t));
	expect(VHU_RULE_IOTLB_VALUE);
	t = (struct vhu_iotlb){ .size = 1, .type = 1, .perm = 4 };
	vhu_msg_put(&msg, &t, sizeof(t));
	expect(VHU_RULE_IOTLB_VALUE);
	t = (struct vhu_iotlb){ .size = 1, .type = 0 };
	vhu_msg_put(&msg, &t, sizeof(t));
	expect(VHU_RULE_IOTLB_VALUE);
}

static void back_end_mappings_are_checked(void **state)
{
	struct vhu_mmap p = { .len = 0x1000, .flags = 1 };
	struct vhu_vring_area a = { .value = 1, .size = 0x1000 };

	(void)state;
	open_nego();
	sample(VHU_BE, VHU_BE_SHMEM_MAP);
	vhu_msg_put(&msg, &p, sizeof(p));
	expect(VHU_OK);
	p.flags = 2;
	vhu_msg_put(&msg, &p, sizeof(p));
	expect(VHU_RULE_MMAP_VALUE);
	p = (struct vhu_mmap){ .len = 0x1000, .shm_offset = UINT64_MAX };
	vhu_msg_put(&msg, &p, sizeof(p));
	expect(VHU_RULE_MMAP_VALUE);

	sample(VHU_BE, VHU_BE_VRING_HOST_NOTIFIER_MSG);
	vhu_msg_put(&msg, &a, sizeof(a));
	expect(VHU_OK);
	a.offset = UINT64_MAX;
	vhu_msg_put(&msg, &a, sizeof(a));
	expect(VHU_RULE_AREA_RANGE);
	a.value |= VHU_VRING_NOFD;
	vhu_msg_put(&msg, &a, sizeof(a));
	msg.fds.n_fds = 0;
	expect(VHU_OK);
}

/* VU-123 */
static void reserved_bits_beside_the_index_are_noted(void **state)
{
	(void)state;
	fe_u64(VHU_FE_SET_VRING_KICK, 1 | BIT(9));
	expect(VHU_RULE_RESERVED_BITS);
}

/* VU-123: of more rings than eight bits can name, one would be taken for another. */
static void ring_word_with_a_longer_index_is_refused(void **state)
{
	static const uint32_t ids[] = { VHU_FE_SET_VRING_KICK, VHU_FE_SET_VRING_CALL,
					VHU_FE_SET_VRING_ERR };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
		fe_u64(ids[i], 512);
		nego.n_queues = VHU_MAX_FD_RINGS;
		expect(VHU_RULE_RESERVED_BITS);
		nego.n_queues = VHU_MAX_FD_RINGS + 2;
		expect(VHU_RULE_RING_WORD);
		/* Ring 256 looks like ring 0 without a descriptor, which is there. */
		vhu_msg_put_u64(&msg, 256);
		expect(VHU_RULE_FD_DESPITE_NOFD);
		vhu_msg_put_u64(&msg, 255);
		expect(VHU_OK);
	}
}

static void values_of_an_unknown_request_are_those_of_none(void **state)
{
	const uint32_t ids[] = { 0, 46, UINT32_MAX };

	(void)state;
	open_nego();
	for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
		vhu_msg_init(&msg, VHU_FE, ids[i]);
		expect_rule(vhu_check_values(&nego, &msg), VHU_RULE_UNKNOWN);
		msg.dir = VHU_BE;
		expect_rule(vhu_check_values(&nego, &msg), VHU_RULE_UNKNOWN);
	}
	msg.id = 11;
	expect_rule(vhu_check_values(&nego, &msg), VHU_RULE_UNKNOWN);
}

/* Comes last: every rule of this part was broken by some test before. */
static void every_rule_of_this_part_is_broken_by_a_test(void **state)
{
	(void)state;
	assert_all_broken(VHU_RULE_FEATURES_OFFERED, VHU_RULE_RESERVED_NUM);
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(features_when_not_offered_are_refused),
	UNIT_TEST(protocol_features_are_checked_against_offer_and_needs),
	UNIT_TEST(owner_when_set_twice_is_noted),
	UNIT_TEST(table_of_any_size_up_to_eight_is_accepted),
	UNIT_TEST(table_when_longer_than_its_count_is_accepted),
	UNIT_TEST(region_when_empty_or_wrapping_is_refused),
	UNIT_TEST(regions_when_overlapping_are_refused),
	UNIT_TEST(single_region_is_checked_like_one_of_a_table),
	UNIT_TEST(log_base_sizes_and_ranges_are_checked),
	UNIT_TEST(num_is_a_power_of_two_within_limits),
	UNIT_TEST(addr_flags_and_alignment_are_checked),
	UNIT_TEST(ring_numbers_are_checked),
	UNIT_TEST(get_config_sizes_are_checked),
	UNIT_TEST(set_config_flags_and_sizes_are_checked),
	UNIT_TEST(inflight_values_are_checked),
	UNIT_TEST(status_and_device_state_values_are_checked),
	UNIT_TEST(iotlb_values_are_checked),
	UNIT_TEST(back_end_mappings_are_checked),
	UNIT_TEST(reserved_bits_beside_the_index_are_noted),
	UNIT_TEST(ring_word_with_a_longer_index_is_refused),
	UNIT_TEST(values_of_an_unknown_request_are_those_of_none),
	UNIT_TEST(every_rule_of_this_part_is_broken_by_a_test),
};
UNIT_MAIN(tests)
