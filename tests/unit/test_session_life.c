/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Whole sessions: the habits of every front-end, and ends of every kind. */
#include "session_rig.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static void fill_pattern(uint8_t *bytes, size_t len, unsigned int seed)
{
	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)(i * 7 + i / 256 + seed);
}

/* A driver on the rings that were set up; a byte each way and a page or so. */
static void exchange(struct session_rig *rig, struct guest *g)
{
	uint8_t bytes[10000], got[10000];

	fill_pattern(bytes, sizeof(bytes), 1);
	assert_fe_ok(rig, guest_write(g, bytes, sizeof(bytes), RIG_TIMEOUT_MS));
	rig_expect_output(rig, bytes, sizeof(bytes));
	fill_pattern(bytes, sizeof(bytes), 2);
	assert_int_equal(port_input(&rig->port, bytes, sizeof(bytes)), sizeof(bytes));
	assert_fe_ok(rig, guest_read(g, got, sizeof(got), RIG_TIMEOUT_MS));
	assert_memory_equal(got, bytes, sizeof(bytes));
}

static void begin_guest(struct session_rig *rig, struct guest *g)
{
	assert_fe_ok(rig, guest_init(g, &rig->fe, vhu_style_features(&rig->fe, &rig_plan)));
	assert_fe_ok(rig, guest_start(g, RIG_TIMEOUT_MS));
}

static void one_style(struct session_rig *rig, enum vhu_frontend_style style, uint64_t features,
		      uint64_t protocol)
{
	struct guest g;

	rig_setup_style(rig, style, 0, features, protocol);
	begin_guest(rig, &g);
	exchange(rig, &g);
	assert_fe_ok(rig, vhu_style_stop(&rig->fe, &rig_plan));
	guest_fini(&g);
	rig_disconnect(rig);
}

static void session_in_every_style_carries_both_ways(void **state)
{
	struct session_rig *rig = *state;

	rig_join(rig);
	for (int s = 0; s < VHU_N_STYLES; s++) {
		print_message("style %s\n", vhu_style_name((enum vhu_frontend_style)s));
		one_style(rig, (enum vhu_frontend_style)s, 0, 0);
	}
}

/* VU-005 aside, nothing in a session may depend on what was agreed on. */
static void session_with_any_subset_of_features_carries_both_ways(void **state)
{
	static const uint64_t ring_bits[] = {
		0,
		BIT(VIRTIO_F_EVENT_IDX_BIT),
		BIT(VIRTIO_F_INDIRECT_DESC_BIT),
		BIT(VIRTIO_F_EVENT_IDX_BIT) | BIT(VIRTIO_F_INDIRECT_DESC_BIT),
	};
	struct session_rig *rig = *state;

	rig_join(rig);
	for (size_t i = 0; i < ARRAY_SIZE(ring_bits); i++) {
		uint64_t v1 = BIT(VIRTIO_F_VERSION_1_BIT) | ring_bits[i];

		one_style(rig, VHU_STYLE_QEMU, v1, 0);
		one_style(rig, VHU_STYLE_QEMU, v1 | BIT(CONSOLE_F_MULTIPORT_BIT), 0);
		one_style(rig, VHU_STYLE_UML, v1 | BIT(CONSOLE_F_MULTIPORT_BIT),
			  ~BIT(VHU_PF_INBAND_NOTIFICATIONS_BIT));
		one_style(rig, VHU_STYLE_CROSVM, v1 | BIT(CONSOLE_F_SIZE_BIT), 0);
	}
}

/* VU-232: the front-end goes after message k, for every k. */
static void disconnect_after_each_message_leaves_nothing(void **state)
{
	struct session_rig *rig = *state;

	for (int s = 0; s < VHU_N_STYLES; s++) {
		unsigned int n_fds = 0;
		int err = -ECANCELED;

		for (unsigned int k = 1; err == -ECANCELED; k++) {
			struct vhu_frontend_plan plan = {
				.style = (enum vhu_frontend_style)s,
				.n_set_up = s == VHU_STYLE_CLOUD_HYPERVISOR ? 2 : GUEST_N_RINGS,
				.n_rings = GUEST_N_RINGS,
			};

			rig_connect(rig);
			rig->fe.max_sent = k;
			err = vhu_style_setup(&rig->fe, &plan, 0);
			if (err == 0)
				err = vhu_style_stop(&rig->fe, &plan);
			if (err != -ECANCELED)
				assert_fe_ok(rig, err);
			rig_disconnect(rig);
			rig_forget_guest(rig);
			if (k == 1)
				n_fds = fd_count_open();
			assert_int_equal(fd_count_open(), n_fds);
			assert_null(rig->con.queues[GUEST_RX]);
		}
		rig_expect_service(rig);
	}
}

/* The rings of a guest that reboots. */
static void reset_rings(struct session_rig *rig)
{
	for (unsigned int i = 0; i < rig_plan.n_set_up; i++)
		vhu_frontend_reset_ring(&rig->fe, i);
}

/*
 * VC-088, VU-095: the guest restarts on the same connection, in the way of each
 * front-end. What was typed meanwhile waits until the new driver opens the port.
 */
static void guest_that_reboots_in_every_style_finds_a_new_device(void **state)
{
	struct session_rig *rig = *state;

	rig_join(rig);
	for (int s = 0; s < VHU_N_STYLES; s++) {
		struct guest g;

		if (s == VHU_STYLE_LIBBLKIO)
			continue; /* it closes its socket instead */
		print_message("style %s\n", vhu_style_name((enum vhu_frontend_style)s));
		rig_setup_style(rig, (enum vhu_frontend_style)s, 0, 0, 0);
		begin_guest(rig, &g);
		exchange(rig, &g);
		for (unsigned int i = 0; i < 3; i++) {
			char got[5];

			assert_fe_ok(rig, vhu_style_stop(&rig->fe, &rig_plan));
			/* Some do not wait, and have their guest's reset race with us. */
			assert_fe_ok(rig, vhu_frontend_ping(&rig->fe));
			assert_int_equal(port_input(&rig->port, "typed", 5), 5);
			reset_rings(rig);
			assert_fe_ok(rig, vhu_style_start(&rig->fe, &rig_plan));
			assert_fe_ok(rig, guest_begin(&g));
			assert_fe_ok(rig, vhu_frontend_pass_time(&rig->fe, 10));
			assert_fe_ok(rig, guest_poll(&g));
			if (g.multiport) {
				assert_int_equal(g.ports[0].input_len, 0);
				assert_int_equal(g.n_events, 0);
				assert_fe_ok(rig, guest_tell(&g, 0, CONSOLE_DEVICE_READY, 1));
			}
			assert_fe_ok(rig, guest_read(&g, got, 5, RIG_TIMEOUT_MS));
			assert_memory_equal(got, "typed", 5);
			exchange(rig, &g);
		}
		guest_fini(&g);
	}
}

/* VU-104, VC-089: paused and resumed, as cloud-hypervisor and UML do it. */
static void paused_guest_loses_nothing(void **state)
{
	struct session_rig *rig = *state;
	struct guest g;
	char got[6];

	rig_join(rig);
	rig_setup_style(rig, VHU_STYLE_UML, 0, 0, 0);
	begin_guest(rig, &g);
	for (unsigned int on = 0; on < 2; on++) {
		for (unsigned int i = 0; i < GUEST_N_RINGS; i++)
			assert_fe_ok(rig, vhu_frontend_vring(&rig->fe, VHU_FE_SET_VRING_ENABLE, i,
							     on, true));
		if (!on)
			assert_int_equal(port_input(&rig->port, "paused", 6), 6);
		assert_fe_ok(rig, vhu_frontend_pass_time(&rig->fe, 10));
		if (!on)
			assert_int_equal(guest_poll(&g), 0);
	}
	assert_fe_ok(rig, guest_read(&g, got, 6, RIG_TIMEOUT_MS));
	assert_memory_equal(got, "paused", 6);
	exchange(rig, &g);
	guest_fini(&g);
}

/* VU-233, VU-235: the same guest behind a front-end that hung up and came again. */
static void guest_behind_a_new_connection_goes_on_where_it_was(void **state)
{
	struct session_rig *rig = *state;
	struct guest g;
	char got[4];

	rig_join(rig);
	rig_setup_style(rig, VHU_STYLE_QEMU, 0, 0, 0);
	begin_guest(rig, &g);
	exchange(rig, &g);
	for (unsigned int i = 0; i < 5; i++) {
		rig_disconnect(rig);
		assert_int_equal(port_input(&rig->port, "away", 4), 4);
		rig_connect(rig);
		for (unsigned int r = 0; r < GUEST_N_RINGS; r++)
			rig->fe.rings[r].base = vring_used_idx(&rig->fe.rings[r].q.ring);
		assert_fe_ok(rig, vhu_style_negotiate(&rig->fe, &rig_plan));
		assert_fe_ok(rig, vhu_style_start(&rig->fe, &rig_plan));
		assert_fe_ok(rig, guest_read(&g, got, 4, RIG_TIMEOUT_MS));
		assert_memory_equal(got, "away", 4);
		exchange(rig, &g);
	}
	guest_fini(&g);
}

/* VU-238 */
static void many_sessions_leave_nothing(void **state)
{
	struct session_rig *rig = *state;
	unsigned int n_fds = 0;

	for (unsigned int i = 0; i < 100; i++) {
		rig_setup_usual(rig);
		rig_disconnect(rig);
		if (i == 0)
			n_fds = fd_count_open();
		assert_int_equal(fd_count_open(), n_fds);
	}
	rig_expect_service(rig);
}

/* A session that is told to end while everything is under way. */
static void session_closed_from_inside_ends_in_order(void **state)
{
	struct session_rig *rig = *state;

	rig_join(rig);
	for (int s = 0; s < VHU_N_STYLES; s++) {
		rig_setup_style(rig, (enum vhu_frontend_style)s, 0, 0, 0);
		rig_offer_output(rig, "last words");
		assert_fe_ok(rig, vhu_frontend_kick(&rig->fe, GUEST_TX));
		vhu_backend_close(rig->b, LOG_LEVEL_INFO, NULL);
		vhu_backend_close(rig->b, LOG_LEVEL_INFO, NULL);
		rig_await_end(rig);
		assert_false(rig->port.present);
		assert_fe_ok(rig, vhu_frontend_await_close(&rig->fe, RIG_TIMEOUT_MS));
	}
	rig_expect_service(rig);
}

/* Megabytes each way: order, nothing lost, nothing twice (VC-054). */
static void bulk_passes_both_ways_unharmed(void **state)
{
	enum { PIECE = 8192, N_PIECES = 300 };
	static uint8_t bytes[PIECE], got[PIECE];
	struct session_rig *rig = *state;
	struct guest g;

	rig_join(rig);
	rig_setup_style(rig, VHU_STYLE_CROSVM, 0, 0, 0);
	begin_guest(rig, &g);
	for (unsigned int i = 0; i < N_PIECES; i++) {
		fill_pattern(bytes, PIECE, i);
		assert_fe_ok(rig, guest_write(&g, bytes, PIECE, RIG_TIMEOUT_MS));
		rig_expect_output(rig, bytes, PIECE);
		assert_int_equal(port_input(&rig->port, bytes, PIECE), PIECE);
		assert_fe_ok(rig, guest_read(&g, got, PIECE, RIG_TIMEOUT_MS));
		assert_memory_equal(got, bytes, PIECE);
	}
	guest_fini(&g);
}

static const struct CMUnitTest tests[] = {
	RIG_TEST(session_in_every_style_carries_both_ways),
	RIG_TEST(session_with_any_subset_of_features_carries_both_ways),
	RIG_TEST(disconnect_after_each_message_leaves_nothing),
	RIG_TEST(guest_that_reboots_in_every_style_finds_a_new_device),
	RIG_TEST(paused_guest_loses_nothing),
	RIG_TEST(guest_behind_a_new_connection_goes_on_where_it_was),
	RIG_TEST(many_sessions_leave_nothing),
	RIG_TEST(session_closed_from_inside_ends_in_order),
	RIG_TEST(bulk_passes_both_ways_unharmed),
};
UNIT_MAIN(tests)
