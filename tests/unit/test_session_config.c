/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Config space, status and resets in a session: VU-143 to VU-153, VU-182 to VU-191. */
#include "session_rig.h"

#include <errno.h>
#include <string.h>

#define SET_CONFIG(what, size_, off, len, flags_)                                                  \
	{                                                                                          \
		.clause = (what), .id = VHU_FE_SET_CONFIG, .size = size_, .words = {               \
			off,                                                                       \
			len,                                                                       \
			flags_                                                                     \
		}                                                                                  \
	}
#define GET_CONFIG(what, size_, off, len)                                                          \
	{                                                                                          \
		.clause = (what), .id = VHU_FE_GET_CONFIG, .size = size_,                          \
		.words = { off, len, 0 }, .empty_reply = true                                      \
	}

static const struct rig_refusal bad_accesses[] = {
	GET_CONFIG("VU-145", 12 + 0x20, 0xfffffff0, 0x20),
	GET_CONFIG("VU-145", 12 + 8, 4084, 8),
	GET_CONFIG("VU-146", 24, 0, 4096),
	GET_CONFIG("VU-146", 24, 0, 0),
	GET_CONFIG("VU-146", 24, 0, 4),
	GET_CONFIG("VU-146", 8, 0, 0),
	SET_CONFIG("VU-149", 16, 8, 4, 2),
	SET_CONFIG("VU-149", 16, 8, 4, 0xffffffff),
	SET_CONFIG("VU-150", 16, 0, 4, 0),
	SET_CONFIG("VU-153", 16, 12, 4, 0),
	SET_CONFIG("VU-153", 16, 0xffffffff, 4, 0),
	SET_CONFIG("VU-146", 12, 8, 4, 0),
	SET_CONFIG("VU-146", 16, 8, 0, 0),
	{ .clause = "VU-188", .id = VHU_FE_SET_STATUS, .size = 8, .words = { 0x100 } },
};

static void setup_status(struct session_rig *rig)
{
	rig_setup_style(rig, VHU_STYLE_QEMU, 0, 0, 0);
	assert_true(vhu_frontend_has_protocol(&rig->fe, VHU_PF_STATUS_BIT));
}

static void bad_accesses_are_refused(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(bad_accesses); i++)
		rig_expect_refusal(*state, &bad_accesses[i], setup_status);
	rig_expect_service(*state);
}

/* VU-143, VU-144, VU-148, VC-010, VC-095: all offsets and sizes, zeroes past the end. */
static void config_reads_are_exact_everywhere(void **state)
{
	static const uint8_t config[12] = { 132, 0, 43, 0, 1, 0, 0, 0, 0, 0, 0, 0 };
	struct session_rig *rig = *state;
	uint8_t got[256];

	rig_setup_usual(rig);
	port_resize(&rig->port, 132, 43);
	for (uint32_t off = 0; off <= 14; off++) {
		for (uint32_t len = 1; len <= 16; len++) {
			memset(got, 0xee, sizeof(got));
			assert_fe_ok(rig,
				     vhu_frontend_get_config(&rig->fe, off, len, len % 2, got));
			for (uint32_t i = 0; i < len; i++)
				assert_int_equal(got[i], off + i < 12 ? config[off + i] : 0);
			assert_int_equal(got[len], 0xee);
		}
	}
	assert_fe_ok(rig, vhu_frontend_get_config(&rig->fe, 0, 256, 0, got));
	for (unsigned int i = 0; i < 256; i++)
		assert_int_equal(got[i], i < 12 ? config[i] : 0);
	assert_fe_ok(rig, vhu_frontend_get_config(&rig->fe, 12, 244, 0, got));
	for (unsigned int i = 0; i < 244; i++)
		assert_int_equal(got[i], 0);
}

/* VU-147, VC-017, VC-019: before features, memory or rings. */
static void config_works_before_anything_is_set_up(void **state)
{
	struct session_rig *rig = *state;
	uint64_t offered;
	uint8_t got[12];

	rig_connect(rig);
	rig_join(rig);
	assert_fe_ok(rig, vhu_frontend_ping(&rig->fe));
	assert_fe_ok(rig, vhu_frontend_get_u64(&rig->fe, VHU_FE_GET_PROTOCOL_FEATURES, &offered));
	assert_fe_ok(rig,
		     vhu_frontend_set_u64(&rig->fe, VHU_FE_SET_PROTOCOL_FEATURES, offered, true));
	assert_fe_ok(rig, vhu_frontend_get_config(&rig->fe, 0, 12, 0, got));
	assert_fe_ok(rig, vhu_frontend_set_config(&rig->fe, 8, "A", 1, 0, true));
	rig_expect_output(rig, "A", 1);
}

/* VU-150 to VU-152, VC-014, VC-018, VC-020 to VC-022 */
static void emergency_write_is_one_character(void **state)
{
	static const struct {
		uint32_t off, len, flags;
		uint8_t bytes[12];
		const char *out;
	} rows[] = {
		{ 8, 4, 0, { 'A', 0, 0, 0 }, "A" },
		{ 8, 4, 0, { 0x41, 0x56, 0x34, 0x12 }, "A" },
		{ 8, 1, 0, { 'B' }, "B" },
		{ 8, 2, 1, { 'C', 0 }, "C" }, /* cloud-hypervisor's flag on a guest's write */
		{ 0, 12, 0, { 99, 99, 99, 99, 99, 99, 99, 99, 'D', 0, 0, 0 }, "D" },
		{ 0, 12, 0, { 0 }, "" },
		{ 9, 3, 0, { 'x', 'y', 'z' }, "" },
		{ 0, 8, 1, { 99, 99, 99, 99 }, "" },
		{ 6, 4, 0, { 7, 7, 'E', 7 }, "E" },
	};
	struct session_rig *rig = *state;
	uint8_t before[12], after[12];

	rig_setup_usual(rig);
	rig_join(rig);
	assert_fe_ok(rig, vhu_frontend_get_config(&rig->fe, 0, 12, 0, before));
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_fe_ok(rig, vhu_frontend_set_config(&rig->fe, rows[i].off, rows[i].bytes,
							  rows[i].len, rows[i].flags, true));
		rig_expect_output(rig, rows[i].out, strlen(rows[i].out));
		assert_fe_ok(rig, vhu_frontend_get_config(&rig->fe, 0, 12, 0, after));
		assert_memory_equal(before, after, 12);
	}
}

/* A header that says more than the config.size in it: SPDK. */
static void config_write_with_a_longer_payload_is_taken(void **state)
{
	struct session_rig *rig = *state;
	struct vhu_msg msg;
	struct vhu_config config = { .offset = 8, .size = 4, .bytes = { 'S' } };

	rig_setup_usual(rig);
	rig_join(rig);
	vhu_msg_init(&msg, VHU_FE, VHU_FE_SET_CONFIG);
	msg.flags |= VHU_FLAG_NEED_REPLY;
	vhu_msg_put(&msg, &config, 268);
	assert_fe_ok(rig, vhu_frontend_request(&rig->fe, &msg, NULL, RIG_TIMEOUT_MS));
	rig_expect_output(rig, "S", 1);
}

static uint64_t status_of(struct session_rig *rig)
{
	uint64_t status = 0;

	assert_fe_ok(rig, vhu_frontend_get_u64(&rig->fe, VHU_FE_GET_STATUS, &status));
	return status;
}

static void set_status(struct session_rig *rig, uint64_t status)
{
	assert_fe_ok(rig, vhu_frontend_set_u64(&rig->fe, VHU_FE_SET_STATUS, status, true));
}

/* VU-182, VU-183 */
static void status_is_what_was_set_in_any_order(void **state)
{
	static const uint8_t values[] = { 0x08, 0x0f, 0x01, 0x03, 0x0b, 0x80, 0x00 };
	struct session_rig *rig = *state;

	setup_status(rig);
	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		set_status(rig, values[i]);
		assert_int_equal(status_of(rig), values[i]);
	}
}

/* VU-185, VR-001: rings that are set up and enabled wait for DRIVER_OK. */
static void rings_run_only_while_the_driver_is_ok(void **state)
{
	struct session_rig *rig = *state;

	setup_status(rig);
	rig_join(rig);
	for (unsigned int round = 0; round < 3; round++) {
		set_status(rig, 0x0b);
		rig_offer_output(rig, "later");
		assert_fe_ok(rig, vhu_frontend_kick(&rig->fe, GUEST_TX));
		rig_expect_no_output(rig);
		set_status(rig, 0x0f);
		rig_expect_output(rig, "later", 5);
	}
}

/* VU-184, VR-002: a reset leaves the rings alone until they are set up again. */
static void status_0_stops_the_rings_until_they_start_again(void **state)
{
	struct session_rig *rig = *state;

	setup_status(rig);
	rig_join(rig);
	set_status(rig, 0);
	assert_int_equal(status_of(rig), 0);
	rig_offer_output(rig, "later");
	assert_fe_ok(rig, vhu_frontend_kick(&rig->fe, GUEST_TX));
	set_status(rig, 0x0f);
	rig_expect_no_output(rig);
	assert_fe_ok(rig, vhu_style_start(&rig->fe, &rig_plan));
	rig_expect_output(rig, "later", 5);
}

/* VU-186, VR-007: a ring that failed is seen in the status, and told. */
static void failed_ring_needs_a_reset(void **state)
{
	struct session_rig *rig = *state;
	struct vring *ring;
	unsigned int n_changes;

	setup_status(rig);
	n_changes = rig->fe.heard.n_config_changes;
	ring = &rig->fe.rings[GUEST_TX].q.ring;
	vring_set_avail_idx(ring, (uint16_t)(ring->size + 1));
	assert_fe_ok(rig, vhu_frontend_kick(&rig->fe, GUEST_TX));
	assert_fe_ok(rig, vhu_frontend_await_readable(&rig->fe, &rig->fe.rings[GUEST_TX].err_fd, 1,
						      RIG_TIMEOUT_MS));
	assert_int_equal(status_of(rig), 0x4f);
	assert_fe_ok(rig, vhu_frontend_pass_time(&rig->fe, 20));
	assert_int_equal(rig->fe.heard.n_config_changes, n_changes + 1);
}

/* VU-189, VU-190, VC-088: all initial but connection and memory. */
static void device_reset_brings_back_the_initial_state(void **state)
{
	struct session_rig *rig = *state;
	struct guest g;

	setup_status(rig);
	rig_join(rig);
	assert_fe_ok(rig, guest_init(&g, &rig->fe, vhu_style_features(&rig->fe, &rig_plan)));
	assert_fe_ok(rig, guest_start(&g, RIG_TIMEOUT_MS));
	assert_true(rig->con.ctrl.ports[0].guest_open);
	assert_fe_ok(rig, vhu_frontend_simple(&rig->fe, VHU_FE_RESET_DEVICE, true));
	assert_false(rig->con.ctrl.ports[0].guest_open || rig->con.ctrl.ports[0].ready);
	assert_int_equal(status_of(rig), 0);
	for (unsigned int i = 0; i < GUEST_N_RINGS; i++) {
		assert_false(rig->b->vqs[i].enabled || rig->b->vqs[i].started);
		vhu_frontend_reset_ring(&rig->fe, i);
	}
	/* A kick descriptor alone does not enable a ring. */
	set_status(rig, 0x0f);
	assert_fe_ok(rig, vhu_frontend_vring(&rig->fe, VHU_FE_SET_VRING_BASE, GUEST_TX, 0, true));
	assert_fe_ok(rig, vhu_frontend_vring_fd(&rig->fe, VHU_FE_SET_VRING_KICK, GUEST_TX,
						rig->fe.rings[GUEST_TX].kick_fd, true));
	rig_offer_output(rig, "x");
	assert_fe_ok(rig, vhu_frontend_kick(&rig->fe, GUEST_TX));
	rig_expect_no_output(rig);
	assert_fe_ok(rig, vhu_frontend_vring(&rig->fe, VHU_FE_SET_VRING_ENABLE, GUEST_TX, 1, true));
	rig_expect_output(rig, "x", 1);
	vhu_frontend_reset_ring(&rig->fe, GUEST_TX);
	/* No word of memory is needed for the whole guest to come back. */
	assert_fe_ok(rig, vhu_style_start(&rig->fe, &rig_plan));
	assert_fe_ok(rig, guest_start(&g, RIG_TIMEOUT_MS));
	assert_fe_ok(rig, guest_write(&g, "back", 4, RIG_TIMEOUT_MS));
	rig_expect_output(rig, "back", 4);
	guest_fini(&g);
}

/* VU-189: the negotiation stays, so the driver still has its control queues. */
static void accepted_features_outlive_a_device_reset(void **state)
{
	struct session_rig *rig = *state;
	struct guest g;

	setup_status(rig);
	rig_join(rig);
	assert_fe_ok(rig, guest_init(&g, &rig->fe, vhu_style_features(&rig->fe, &rig_plan)));
	assert_fe_ok(rig, guest_start(&g, RIG_TIMEOUT_MS));
	assert_fe_ok(rig, vhu_frontend_simple(&rig->fe, VHU_FE_RESET_DEVICE, true));
	for (unsigned int i = 0; i < GUEST_N_RINGS; i++) {
		vhu_frontend_reset_ring(&rig->fe, i);
		assert_fe_ok(rig, vhu_frontend_vring(&rig->fe, VHU_FE_SET_VRING_BASE, i, 0, true));
		assert_fe_ok(rig, vhu_frontend_vring_fd(&rig->fe, VHU_FE_SET_VRING_KICK, i,
							rig->fe.rings[i].kick_fd, true));
		assert_fe_ok(rig,
			     vhu_frontend_vring(&rig->fe, VHU_FE_SET_VRING_ENABLE, i, 1, true));
	}
	set_status(rig, 0x0f);
	assert_fe_ok(rig, guest_start(&g, RIG_TIMEOUT_MS));
	assert_fe_ok(rig, guest_write(&g, "back", 4, RIG_TIMEOUT_MS));
	rig_expect_output(rig, "back", 4);
	guest_fini(&g);
}

/* VU-191 */
static void owner_reset_leaves_the_session_in_place(void **state)
{
	struct session_rig *rig = *state;

	rig_setup_usual(rig);
	rig_join(rig);
	assert_fe_ok(rig, vhu_frontend_simple(&rig->fe, VHU_FE_RESET_OWNER, true));
	assert_fe_ok(rig, vhu_frontend_ping(&rig->fe));
	for (unsigned int i = 0; i < GUEST_N_RINGS; i++)
		assert_fe_ok(rig,
			     vhu_frontend_vring(&rig->fe, VHU_FE_SET_VRING_ENABLE, i, 1, true));
	rig_offer_output(rig, "x");
	assert_fe_ok(rig, vhu_frontend_kick(&rig->fe, GUEST_TX));
	rig_expect_output(rig, "x", 1);
}

static const struct CMUnitTest tests[] = {
	RIG_TEST(bad_accesses_are_refused),
	RIG_TEST(config_reads_are_exact_everywhere),
	RIG_TEST(config_works_before_anything_is_set_up),
	RIG_TEST(emergency_write_is_one_character),
	RIG_TEST(config_write_with_a_longer_payload_is_taken),
	RIG_TEST(status_is_what_was_set_in_any_order),
	RIG_TEST(rings_run_only_while_the_driver_is_ok),
	RIG_TEST(status_0_stops_the_rings_until_they_start_again),
	RIG_TEST(failed_ring_needs_a_reset),
	RIG_TEST(device_reset_brings_back_the_initial_state),
	RIG_TEST(accepted_features_outlive_a_device_reset),
	RIG_TEST(owner_reset_leaves_the_session_in_place),
};
UNIT_MAIN(tests)
