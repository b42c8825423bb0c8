/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "unit.h"

#include <string.h>

#include "story_rig.h"

#define FEATURES (BIT(VIRTIO_F_VERSION_1_BIT) | BIT(VHU_F_PROTOCOL_FEATURES_BIT))
#define ACK BIT(VHU_PF_REPLY_ACK_BIT)
#define SLOTS BIT(VHU_PF_CONFIGURE_MEM_SLOTS_BIT)
#define NEED VHU_FLAG_NEED_REPLY

static const struct fd_about ram = {
	.kind = FD_KIND_MEMORY,
	.size = 1 << 20,
	.path = "/memfd:ram (deleted)",
};

static const struct trace_told *send_table(struct story_rig *rig, uint32_t flags,
					   const struct vhu_region *regions, uint32_t n)
{
	struct vhu_mem_table t = { .n_regions = n };
	struct fd_about fds[VHU_MAX_REGIONS];

	for (uint32_t i = 0; i < n; i++) {
		t.regions[i] = regions[i];
		fds[i] = ram;
	}
	vhu_msg_init(&rig->msg, VHU_FE, VHU_FE_SET_MEM_TABLE);
	rig->msg.flags |= flags;
	vhu_msg_put(&rig->msg, &t, 8 + n * sizeof(t.regions[0]));
	return rig_message(rig, &rig->msg, fds, n);
}

static const struct trace_told *send_region(struct story_rig *rig, enum vhu_fe_id id,
					    uint32_t flags, struct vhu_region region)
{
	struct vhu_single_region one = { .region = region };

	vhu_msg_init(&rig->msg, VHU_FE, id);
	rig->msg.flags |= flags;
	vhu_msg_put(&rig->msg, &one, sizeof(one));
	return rig_message(rig, &rig->msg, &ram, id == VHU_FE_ADD_MEM_REG);
}

static const struct vhu_region low = { 0x1000, 0x4000, 0x70000000, 0 };
static const struct vhu_region high = { 0x100000, 0x4000, 0x70100000, 0x8000 };

/* Memory. */

static void table_when_set_is_the_map_by_guest_address(void **state)
{
	const struct vhu_region regions[] = { high, low };
	struct story_rig *rig = rig_new();
	const struct story_memory *m;

	(void)state;
	rig_negotiate(rig, FEATURES, ACK);
	send_table(rig, 0, regions, 2);
	assert_int_equal(rig->told.rule, VHU_OK);
	assert_true(rig->told.memory_changed);
	m = &rig->told.session->memory;
	assert_int_equal(m->n_regions, 2);
	assert_memory_equal(&m->region[0].wire, &low, sizeof(low));
	assert_memory_equal(&m->region[1].wire, &high, sizeof(high));
	assert_string_equal(m->region[1].file.path, ram.path);
	assert_false(m->region[0].overlaps || m->region[0].past_file);
	assert_false(rig_send(rig, VHU_FE_SET_OWNER, 0, NULL, 0)->memory_changed);
	rig_free(rig);
}

static void table_without_descriptors_has_no_files(void **state)
{
	struct vhu_mem_table t = { .n_regions = 1, .regions = { low } };
	struct story_rig *rig = rig_new();

	(void)state;
	rig_negotiate(rig, FEATURES, ACK);
	rig_send(rig, VHU_FE_SET_MEM_TABLE, 0, &t, 40);
	assert_int_equal(rig->told.rule, VHU_RULE_FD_MISSING);
	assert_int_equal(rig->told.session->memory.n_regions, 1);
	assert_string_equal(rig->told.session->memory.region[0].file.path, "");
	assert_false(rig->told.session->memory.region[0].past_file);
	rig_free(rig);
}

static void table_with_an_overlap_marks_both_regions(void **state)
{
	struct vhu_region regions[] = { low, high, high };
	struct story_rig *rig = rig_new();
	const struct story_memory *m;

	(void)state;
	rig_negotiate(rig, FEATURES, ACK);
	regions[2].guest_addr = 0x200000;
	regions[2].user_addr = low.user_addr + low.size - 1;
	send_table(rig, 0, regions, 3);
	assert_int_equal(rig->told.rule, VHU_RULE_REGION_USER_OVERLAP);
	m = &rig->told.session->memory;
	assert_true(m->region[0].overlaps && m->region[2].overlaps);
	assert_false(m->region[1].overlaps);
	regions[2].user_addr++;
	send_table(rig, 0, regions, 3);
	assert_false(m->region[0].overlaps || m->region[2].overlaps);
	rig_free(rig);
}

static void table_with_a_region_past_its_file_marks_it(void **state)
{
	struct vhu_region region = low;
	struct story_rig *rig = rig_new();

	(void)state;
	rig_negotiate(rig, FEATURES, ACK);
	region.mmap_offset = ram.size - region.size;
	send_table(rig, 0, &region, 1);
	assert_false(rig->told.session->memory.region[0].past_file);
	region.mmap_offset++;
	send_table(rig, 0, &region, 1);
	assert_true(rig->told.session->memory.region[0].past_file);
	region.mmap_offset = UINT64_MAX;
	send_table(rig, 0, &region, 1);
	assert_true(rig->told.session->memory.region[0].past_file);
	rig_free(rig);
}

static void table_when_refused_gives_way_to_the_one_before(void **state)
{
	struct story_rig *rig = rig_new();

	(void)state;
	rig_negotiate(rig, FEATURES, ACK);
	send_table(rig, NEED, &low, 1);
	rig_reply_u64(rig, VHU_FE_SET_MEM_TABLE, 0);
	assert_false(rig->told.memory_changed);
	send_table(rig, NEED, &high, 1);
	assert_memory_equal(&rig->told.session->memory.region[0].wire, &high, sizeof(high));
	rig_reply_u64(rig, VHU_FE_SET_MEM_TABLE, 1);
	assert_true(rig->told.refuses && rig->told.memory_changed);
	assert_int_equal(rig->told.session->memory.n_regions, 1);
	assert_memory_equal(&rig->told.session->memory.region[0].wire, &low, sizeof(low));
	rig_free(rig);
}

static void regions_come_and_go_one_by_one(void **state)
{
	struct vhu_region shifted = low;
	struct story_rig *rig = rig_new();
	const struct story_memory *m;

	(void)state;
	rig_negotiate(rig, FEATURES, ACK | SLOTS);
	send_region(rig, VHU_FE_ADD_MEM_REG, 0, high);
	send_region(rig, VHU_FE_ADD_MEM_REG, 0, low);
	assert_int_equal(rig->told.rule, VHU_OK);
	m = &rig->told.session->memory;
	assert_int_equal(m->n_regions, 2);
	shifted.mmap_offset = 0x77000; /* does not matter */
	send_region(rig, VHU_FE_REM_MEM_REG, 0, shifted);
	assert_true(rig->told.memory_changed);
	assert_int_equal(m->n_regions, 1);
	assert_int_equal(m->region[0].wire.guest_addr, high.guest_addr);
	send_region(rig, VHU_FE_REM_MEM_REG, 0, low);
	assert_int_equal(m->n_regions, 1);
	rig_free(rig);
}

static void regions_beyond_all_bounds_are_left_out(void **state)
{
	struct vhu_region region = { 0x1000, 0x1000, 0x1000, 0 };
	struct story_rig *rig = rig_new();

	(void)state;
	rig_negotiate(rig, FEATURES, ACK | SLOTS);
	for (unsigned int i = 0; i < STORY_MAX_REGIONS + 2; i++) {
		send_region(rig, VHU_FE_ADD_MEM_REG, 0, region);
		region.guest_addr += 0x1000;
		region.user_addr += 0x1000;
	}
	assert_int_equal(rig->told.session->memory.n_regions, STORY_MAX_REGIONS);
	rig_free(rig);
}

/* Rings. */

static void assert_step(const struct story_rig *rig, enum story_state before,
			enum story_state after)
{
	assert_true(rig->told.has_ring);
	assert_int_equal(rig->told.before, before);
	assert_int_equal(rig->told.after, after);
	assert_int_equal(rig->told.session->ring[rig->told.ring].state, after);
}

static void ring_goes_through_its_states(void **state)
{
	struct vhu_vring_state answer = { .index = 3, .num = 77 };
	struct vhu_vring_addr addr = {
		.index = 3, .desc = 0x1000, .used = 0x3000, .avail = 0x2000
	};
	struct story_rig *rig = rig_new();
	const struct story_ring *ring;

	(void)state;
	rig_negotiate(rig, FEATURES, ACK);
	ring = &rig->told.session->ring[3];
	assert_false(ring->seen);
	rig_send_ring(rig, VHU_FE_SET_VRING_NUM, 0, 3, 256);
	assert_step(rig, STORY_STOPPED, STORY_STOPPED);
	rig_send_ring(rig, VHU_FE_SET_VRING_BASE, 0, 3, 5);
	rig_send(rig, VHU_FE_SET_VRING_ADDR, 0, &addr, sizeof(addr));
	assert_true(ring->seen);
	assert_int_equal(ring->num, 256);
	assert_int_equal(ring->base, 5);
	assert_memory_equal(&ring->addr, &addr, sizeof(addr));
	rig_send_fd(rig, VHU_FE_SET_VRING_CALL, 3);
	rig_send_fd(rig, VHU_FE_SET_VRING_ERR, 3);
	assert_step(rig, STORY_STOPPED, STORY_STOPPED);
	rig_send_fd(rig, VHU_FE_SET_VRING_KICK, 3);
	assert_step(rig, STORY_STOPPED, STORY_STARTED);
	assert_true(ring->kick_fd && ring->call_fd && ring->err_fd);
	rig_send_ring(rig, VHU_FE_SET_VRING_ENABLE, 0, 3, 1);
	assert_step(rig, STORY_STARTED, STORY_RUNNING);
	rig_send_ring(rig, VHU_FE_GET_VRING_BASE, 0, 3, 0);
	assert_step(rig, STORY_RUNNING, STORY_ENABLED);
	assert_false(ring->kick_fd || ring->call_fd);
	rig_reply(rig, VHU_FE_GET_VRING_BASE, &answer, sizeof(answer));
	assert_int_equal(rig->told.rule, VHU_OK);
	assert_int_equal(rig->told.ring, 3);
	assert_int_equal(ring->base, 77);
	rig_send_fd(rig, VHU_FE_SET_VRING_KICK, 3);
	assert_step(rig, STORY_ENABLED, STORY_RUNNING);
	rig_send_ring(rig, VHU_FE_SET_VRING_ENABLE, 0, 3, 0);
	assert_step(rig, STORY_RUNNING, STORY_STARTED);
	assert_false(rig->told.session->ring[2].seen);
	rig_free(rig);
}

static void ring_without_protocol_features_is_enabled_at_once(void **state)
{
	struct story_rig *rig = rig_new();

	(void)state;
	rig_negotiate(rig, BIT(VIRTIO_F_VERSION_1_BIT), 0);
	assert_false(rig->told.has_ring);
	assert_int_equal(rig->told.session->ring[0].state, STORY_ENABLED);
	rig_send_fd(rig, VHU_FE_SET_VRING_KICK, 0);
	assert_step(rig, STORY_ENABLED, STORY_RUNNING);
	rig_free(rig);
}

static void ring_without_a_descriptor_is_started_too(void **state)
{
	struct story_rig *rig = rig_new();

	(void)state;
	rig_negotiate(rig, FEATURES, ACK);
	rig_send_u64(rig, VHU_FE_SET_VRING_KICK, 0, 1 | VHU_VRING_NOFD);
	assert_int_equal(rig->told.rule, VHU_OK);
	assert_int_equal(rig->told.ring, 1);
	assert_step(rig, STORY_STOPPED, STORY_STARTED);
	assert_false(rig->told.session->ring[1].kick_fd);
	rig_free(rig);
}

static void ring_beyond_all_bounds_is_none(void **state)
{
	struct story_rig *rig = rig_new();

	(void)state;
	rig_negotiate(rig, FEATURES, ACK);
	rig_send_ring(rig, VHU_FE_SET_VRING_NUM, 0, VHU_MAX_RINGS, 256);
	assert_int_equal(rig->told.rule, VHU_RULE_RING_INDEX);
	assert_false(rig->told.has_ring);
	rig_free(rig);
}

/* Pictures. */

static const struct trace_told *look(struct story_rig *rig, enum trace_cause cause,
				     struct ring_picture picture)
{
	return rig_tell(rig, (struct trace_record){
				     .kind = TRACE_RING, .cause = cause, .picture = &picture });
}

static void latency_is_from_the_first_kick_to_its_return(void **state)
{
	struct story_rig *rig = rig_new();
	const struct story_ring *ring;

	(void)state;
	ring = &rig_open(rig)->session->ring[0];
	look(rig, TRACE_KICK, (struct ring_picture){ .avail_idx = 2, .used_idx = 0 });
	assert_true(rig->told.has_ring);
	look(rig, TRACE_KICK, (struct ring_picture){ .avail_idx = 3, .used_idx = 1 });
	assert_int_equal(ring->latency.n, 0);
	look(rig, TRACE_USED, (struct ring_picture){ .avail_idx = 3, .used_idx = 2 });
	assert_int_equal(ring->latency.n, 1);
	assert_int_equal(ring->latency.sum_ns, 2000);
	look(rig, TRACE_USED, (struct ring_picture){ .avail_idx = 3, .used_idx = 3 });
	assert_int_equal(ring->latency.n, 1);
	assert_int_equal(ring->n_pictures, 4);
	assert_int_equal(ring->avail_idx, 3);
	assert_int_equal(ring->used_idx, 3);
	rig_free(rig);
}

static void latency_over_the_end_of_indices_is_counted(void **state)
{
	struct story_rig *rig = rig_new();
	const struct story_ring *ring;

	(void)state;
	ring = &rig_open(rig)->session->ring[0];
	look(rig, TRACE_KICK, (struct ring_picture){ .avail_idx = 1, .used_idx = 65535 });
	look(rig, TRACE_USED, (struct ring_picture){ .avail_idx = 1, .used_idx = 0 });
	assert_int_equal(ring->latency.n, 0);
	look(rig, TRACE_USED, (struct ring_picture){ .avail_idx = 1, .used_idx = 1 });
	assert_int_equal(ring->latency.n, 1);
	rig_free(rig);
}

static void latency_of_a_packed_ring_goes_by_offset_and_wrap(void **state)
{
	struct ring_picture p = { .packed = true, .size = 8 };
	struct story_rig *rig = rig_new();
	const struct story_ring *ring;

	(void)state;
	ring = &rig_open(rig)->session->ring[0];
	p.used_idx = 0x8006;
	p.avail_idx = 0x0002;
	look(rig, TRACE_KICK, p);
	p.used_idx = 0x0000;
	look(rig, TRACE_USED, p);
	assert_int_equal(ring->latency.n, 0);
	p.used_idx = 0x0002;
	look(rig, TRACE_USED, p);
	assert_int_equal(ring->latency.n, 1);
	p.avail_idx = 0x8002; /* the ring is full */
	look(rig, TRACE_KICK, p);
	assert_int_equal(ring->latency.n, 1);
	look(rig, TRACE_ASKED, p);
	assert_int_equal(ring->latency.n, 1);
	p.used_idx = 0x8001;
	look(rig, TRACE_USED, p);
	assert_int_equal(ring->latency.n, 1);
	p.used_idx = 0x8002;
	look(rig, TRACE_USED, p);
	assert_int_equal(ring->latency.n, 2);
	rig_free(rig);
}

static void latency_of_a_kick_that_offers_nothing_is_none(void **state)
{
	struct story_rig *rig = rig_new();
	const struct story_ring *ring;

	(void)state;
	ring = &rig_open(rig)->session->ring[0];
	look(rig, TRACE_KICK, (struct ring_picture){ .avail_idx = 2, .used_idx = 2 });
	look(rig, TRACE_USED, (struct ring_picture){ .avail_idx = 2, .used_idx = 2 });
	assert_int_equal(ring->latency.n, 0);
	rig_free(rig);
}

static void latency_of_a_kick_before_a_stop_is_forgotten(void **state)
{
	struct story_rig *rig = rig_new();

	(void)state;
	rig_negotiate(rig, FEATURES, ACK);
	look(rig, TRACE_KICK, (struct ring_picture){ .avail_idx = 2, .used_idx = 0 });
	rig_send_ring(rig, VHU_FE_GET_VRING_BASE, 0, 0, 0);
	look(rig, TRACE_USED, (struct ring_picture){ .avail_idx = 2, .used_idx = 2 });
	assert_int_equal(rig->told.session->ring[0].latency.n, 0);
	rig_free(rig);
}

/* Chains of a split ring: heads from at on, one each; the device's, but for the first n_back. */
static const struct trace_told *look_at(struct story_rig *rig, enum trace_cause cause, uint16_t at,
					const char *heads, size_t n_back, bool readable)
{
	struct picture_chain chains[8] = { { 0 } };
	size_t n = strlen(heads);

	for (size_t i = 0; i < n; i++) {
		chains[i].at = (uint16_t)(at + i);
		chains[i].head = (uint16_t)(heads[i] - 'a');
		chains[i].owner = i < n_back ? PICTURE_DRIVER : PICTURE_DEVICE;
		chains[i].out_len = readable ? 10 : 0;
		chains[i].in_len = 20;
	}
	return look(rig, cause,
		    (struct ring_picture){
			    .size = 16,
			    .avail_idx = (uint16_t)(at + n),
			    .used_idx = (uint16_t)(at + n_back),
			    .chains = chains,
			    .n_chains = n,
		    });
}

static void chains_are_counted_until_they_come_back(void **state)
{
	struct story_rig *rig = rig_new();
	const struct story_ring *ring;

	(void)state;
	ring = &rig_open(rig)->session->ring[0];
	look_at(rig, TRACE_BEGIN, 65534, "ab", 0, true);
	assert_int_equal(ring->n_returned, 0);
	assert_int_equal(ring->n_waiting, 2);
	look_at(rig, TRACE_USED, 65534, "abc", 2, true);
	assert_int_equal(ring->n_returned, 2);
	assert_int_equal(ring->n_waiting, 1);
	assert_int_equal(ring->progress_ns, rig->record.ns);
	look_at(rig, TRACE_USED, 65534, "abc", 3, true);
	assert_int_equal(ring->n_returned, 3);
	assert_int_equal(ring->n_waiting, 0);
	rig_free(rig);
}

/* One was offered first and is the only one that is left. */
static void chain_that_others_overtake_waits_since_it_was_offered(void **state)
{
	struct picture_chain chains[] = {
		{ .at = 0, .head = 0, .out_len = 1 },
		{ .at = 1, .head = 1, .owner = PICTURE_DRIVER, .out_len = 1 },
		{ .at = 2, .head = 1, .owner = PICTURE_DRIVER, .out_len = 1 },
	};
	struct picture_used used[] = { { .at = 0, .id = 1 }, { .at = 1, .id = 1 } };
	const struct ring_picture later = {
		.size = 16,
		.avail_idx = 3,
		.used_idx = 2,
		.chains = chains,
		.n_chains = ARRAY_SIZE(chains),
		.used = used,
		.n_used = ARRAY_SIZE(used),
	};
	struct story_rig *rig = rig_new();
	const struct story_ring *ring;
	uint64_t first_ns;

	(void)state;
	ring = &rig_open(rig)->session->ring[0];
	look_at(rig, TRACE_BEGIN, 0, "", 0, true);
	look_at(rig, TRACE_KICK, 0, "a", 0, true);
	first_ns = rig->record.ns;
	look_at(rig, TRACE_KICK, 0, "ab", 0, true);
	look(rig, TRACE_USED, later);
	assert_int_equal(ring->n_waiting, 1);
	assert_int_equal(ring->n_returned, 2);
	assert_int_equal(ring->waiting_ns, first_ns);
	rig_free(rig);
}

static void chains_of_a_packed_ring_are_counted_by_what_is_seen(void **state)
{
	struct picture_chain chains[] = {
		{ .at = 0, .head = 5, .out_len = 1 },
		{ .at = 1, .head = 6, .out_len = 1 },
	};
	struct ring_picture p = {
		.packed = true,
		.size = 8,
		.chains = chains,
		.n_chains = 2,
	};
	struct story_rig *rig = rig_new();
	const struct story_ring *ring;
	uint64_t first_ns;

	(void)state;
	ring = &rig_open(rig)->session->ring[0];
	look(rig, TRACE_BEGIN, p);
	first_ns = rig->record.ns;
	chains[0].owner = PICTURE_DRIVER;
	look(rig, TRACE_USED, p);
	assert_int_equal(ring->n_returned, 1);
	assert_int_equal(ring->n_waiting, 1);
	assert_int_equal(ring->waiting_ns, first_ns);
	rig_free(rig);
}

/* More than a picture has, and some of them came back without being seen. */
static void chains_that_no_picture_has_count_too(void **state)
{
	const struct ring_picture many = { .size = 32768, .avail_idx = 3000 };
	const struct ring_picture few = { .size = 32768, .avail_idx = 3000, .used_idx = 2999 };
	struct story_rig *rig = rig_new();
	const struct story_ring *ring;
	uint64_t first_ns;

	(void)state;
	ring = &rig_open(rig)->session->ring[0];
	look(rig, TRACE_BEGIN, many);
	first_ns = rig->record.ns;
	assert_int_equal(ring->n_waiting, 3000);
	look(rig, TRACE_USED, few);
	assert_int_equal(ring->n_waiting, 1);
	assert_int_equal(ring->n_returned, 2999);
	assert_int_equal(ring->waiting_ns, first_ns);
	rig_free(rig);
}

static void run_ring(struct story_rig *rig)
{
	rig_negotiate(rig, FEATURES, ACK);
	rig_send_fd(rig, VHU_FE_SET_VRING_KICK, 0);
	rig_send_ring(rig, VHU_FE_SET_VRING_ENABLE, 0, 0, 1);
	assert_int_equal(rig->told.after, STORY_RUNNING);
}

static void ring_hangs_when_what_can_be_read_waits_for_a_second(void **state)
{
	struct story_rig *rig = rig_new();
	const struct story_ring *ring;
	uint64_t since;

	(void)state;
	run_ring(rig);
	ring = &rig->told.session->ring[0];
	look_at(rig, TRACE_BEGIN, 0, "", 0, true);
	assert_false(story_ring_hangs(ring, UINT64_MAX));
	look_at(rig, TRACE_KICK, 0, "a", 0, true);
	since = rig->record.ns;
	assert_false(story_ring_hangs(ring, since + 1000000000));
	assert_true(story_ring_hangs(ring, since + 1000000001));
	look_at(rig, TRACE_USED, 0, "ab", 1, true);
	since = rig->record.ns;
	assert_false(story_ring_hangs(ring, since + 1000000000));
	assert_true(story_ring_hangs(ring, since + 1000000001));
	rig_send_ring(rig, VHU_FE_GET_VRING_BASE, 0, 0, 0);
	assert_false(story_ring_hangs(ring, UINT64_MAX));
	rig_free(rig);
}

static void ring_that_waits_for_input_does_not_hang(void **state)
{
	struct story_rig *rig = rig_new();

	(void)state;
	run_ring(rig);
	look_at(rig, TRACE_BEGIN, 0, "abc", 0, false);
	assert_int_equal(rig->told.session->ring[0].n_waiting, 3);
	assert_false(story_ring_hangs(&rig->told.session->ring[0], UINT64_MAX));
	rig_free(rig);
}

/* Kicks and calls. */

static void send_socket(struct story_rig *rig, enum vhu_fe_id id, uint32_t ring)
{
	static const struct fd_about socket = { .kind = FD_KIND_SOCKET };

	vhu_msg_init(&rig->msg, VHU_FE, id);
	vhu_msg_put_u64(&rig->msg, ring);
	rig_message(rig, &rig->msg, &socket, 1);
}

static void signals_are_seen_in_pictures_that_they_cause(void **state)
{
	struct story_rig *rig = rig_new();
	const struct story_ring *ring;
	uint64_t n = 99;

	(void)state;
	run_ring(rig);
	ring = &rig->told.session->ring[0];
	look_at(rig, TRACE_ASKED, 0, "", 0, true);
	assert_false(story_signals_seen(ring, &ring->kicks, &n));
	look_at(rig, TRACE_BEGIN, 0, "", 0, true);
	assert_true(story_signals_seen(ring, &ring->kicks, &n));
	assert_int_equal(n, 0);
	look_at(rig, TRACE_KICK, 0, "a", 0, true);
	look_at(rig, TRACE_CALL, 0, "a", 1, true);
	look_at(rig, TRACE_CALL, 0, "ab", 2, true);
	assert_true(story_signals_seen(ring, &ring->kicks, &n));
	assert_int_equal(n, 1);
	assert_true(story_signals_seen(ring, &ring->calls, &n));
	assert_int_equal(n, 2);
	send_socket(rig, VHU_FE_SET_VRING_CALL, 0);
	assert_false(story_signals_seen(ring, &ring->calls, &n));
	assert_true(story_signals_seen(ring, &ring->kicks, &n));
	rig_free(rig);
}

static void signals_in_band_are_messages_and_count_once(void **state)
{
	struct story_rig *rig = rig_new();
	const struct vhu_vring_state of_ring = { .index = 0 };
	const struct story_ring *ring;
	uint64_t n = 0;

	(void)state;
	run_ring(rig);
	ring = &rig->told.session->ring[0];
	for (int i = 0; i < 3; i++)
		rig_send_ring(rig, VHU_FE_VRING_KICK, 0, 0, 0);
	look_at(rig, TRACE_KICK, 0, "a", 0, true);
	vhu_msg_init(&rig->msg, VHU_BE, VHU_BE_VRING_CALL);
	vhu_msg_put(&rig->msg, &of_ring, sizeof(of_ring));
	rig_message(rig, &rig->msg, NULL, 0);
	assert_true(story_signals_seen(ring, &ring->kicks, &n));
	assert_int_equal(n, 3);
	assert_true(story_signals_seen(ring, &ring->calls, &n));
	assert_int_equal(n, 1);
	rig_free(rig);
}

static void picture_of_a_ring_beyond_all_bounds_is_left_alone(void **state)
{
	struct ring_picture p = { .avail_idx = 1 };
	struct story_rig *rig = rig_new();

	(void)state;
	rig_open(rig);
	rig_tell(rig,
		 (struct trace_record){ .kind = TRACE_RING, .ring = VHU_MAX_RINGS, .picture = &p });
	assert_false(rig->told.has_ring);
	rig_tell(rig, (struct trace_record){ .kind = TRACE_RING, .ring = 0 });
	assert_false(rig->told.has_ring);
	rig_free(rig);
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(table_when_set_is_the_map_by_guest_address),
	UNIT_TEST(table_without_descriptors_has_no_files),
	UNIT_TEST(table_with_an_overlap_marks_both_regions),
	UNIT_TEST(table_with_a_region_past_its_file_marks_it),
	UNIT_TEST(table_when_refused_gives_way_to_the_one_before),
	UNIT_TEST(regions_come_and_go_one_by_one),
	UNIT_TEST(regions_beyond_all_bounds_are_left_out),
	UNIT_TEST(ring_goes_through_its_states),
	UNIT_TEST(ring_without_protocol_features_is_enabled_at_once),
	UNIT_TEST(ring_without_a_descriptor_is_started_too),
	UNIT_TEST(ring_beyond_all_bounds_is_none),
	UNIT_TEST(latency_is_from_the_first_kick_to_its_return),
	UNIT_TEST(latency_over_the_end_of_indices_is_counted),
	UNIT_TEST(latency_of_a_packed_ring_goes_by_offset_and_wrap),
	UNIT_TEST(latency_of_a_kick_that_offers_nothing_is_none),
	UNIT_TEST(latency_of_a_kick_before_a_stop_is_forgotten),
	UNIT_TEST(chains_are_counted_until_they_come_back),
	UNIT_TEST(chain_that_others_overtake_waits_since_it_was_offered),
	UNIT_TEST(chains_of_a_packed_ring_are_counted_by_what_is_seen),
	UNIT_TEST(chains_that_no_picture_has_count_too),
	UNIT_TEST(ring_hangs_when_what_can_be_read_waits_for_a_second),
	UNIT_TEST(ring_that_waits_for_input_does_not_hang),
	UNIT_TEST(signals_are_seen_in_pictures_that_they_cause),
	UNIT_TEST(signals_in_band_are_messages_and_count_once),
	UNIT_TEST(picture_of_a_ring_beyond_all_bounds_is_left_alone),
};

UNIT_MAIN(tests)
