/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The back-end's channel and in-band notifications: VU-138 to VU-142, VU-154, VU-202 to VU-209. */
#include "session_rig.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

static void send_text(struct session_rig *rig, const char *text)
{
	rig_offer_output(rig, text);
	assert_fe_ok(rig, vhu_frontend_kick(&rig->fe, GUEST_TX));
	rig_expect_output(rig, text, strlen(text));
}

/* UML's way: no kick and no call descriptor at all. */
static void setup_inband(struct session_rig *rig)
{
	rig_setup_style(rig, VHU_STYLE_UML, 64,
			~(BIT(VIRTIO_F_EVENT_IDX_BIT) | BIT(VIRTIO_F_RING_PACKED_BIT)), 0);
	assert_true(vhu_frontend_has_protocol(&rig->fe, VHU_PF_INBAND_NOTIFICATIONS_BIT));
	if (!rig->joined)
		rig_join(rig);
	rig->output_len = 0;
}

/* Single-port, so that a change of size is a change of the config space. */
static void setup_single_port(struct session_rig *rig)
{
	rig_setup_style(rig, VHU_STYLE_UML, 64,
			BIT(VIRTIO_F_VERSION_1_BIT) | BIT(CONSOLE_F_SIZE_BIT),
			~BIT(VHU_PF_INBAND_NOTIFICATIONS_BIT));
}

/* VU-138, VU-139 */
static void inband_kick_starts_the_ring_and_is_answered_after_service(void **state)
{
	struct session_rig *rig = *state;

	setup_inband(rig);
	assert_false(rig->b->vqs[GUEST_TX].started);
	for (uint16_t i = 1; i <= 3; i++) {
		rig_offer_output(rig, "now");
		assert_fe_ok(rig, vhu_frontend_kick(&rig->fe, GUEST_TX));
		/* The answer is here, so the buffer is used and the bytes are out. */
		assert_int_equal(vring_used_idx(&rig->fe.rings[GUEST_TX].q.ring), i);
		assert_int_equal(rig->output_len, 3);
		rig->output_len = 0;
	}
}

/* VU-140 */
static void inband_call_comes_for_each_completion(void **state)
{
	struct session_rig *rig = *state;

	setup_inband(rig);
	for (unsigned int i = 0; i < 3; i++) {
		send_text(rig, "x");
		assert_fe_ok(rig, vhu_frontend_await_call(&rig->fe, GUEST_TX, RIG_TIMEOUT_MS));
	}
	assert_true(rig->fe.heard.n_calls[GUEST_RX] == 0);
}

/* VU-141 */
static void descriptors_are_preferred_to_messages(void **state)
{
	struct session_rig *rig = *state;
	struct vhu_frontend_ring *r;
	unsigned int n_heard;

	setup_inband(rig);
	r = &rig->fe.rings[GUEST_TX];
	send_text(rig, "x");
	assert_fe_ok(rig, vhu_frontend_await_call(&rig->fe, GUEST_TX, RIG_TIMEOUT_MS));
	assert_fe_ok(rig, vhu_frontend_vring_fd(&rig->fe, VHU_FE_SET_VRING_CALL, GUEST_TX,
						r->call_peer, true));
	rig_settle(rig);
	vhu_frontend_take_calls(&rig->fe, GUEST_TX);
	n_heard = rig->fe.heard.n_calls[GUEST_TX];
	send_text(rig, "y");
	assert_fe_ok(rig, vhu_frontend_await_call(&rig->fe, GUEST_TX, RIG_TIMEOUT_MS));
	assert_int_equal(rig->fe.heard.n_calls[GUEST_TX], n_heard);
}

/* VU-142: both ends wait for each other's answer, and neither for ever. */
static void late_answer_to_a_call_holds_nothing_up(void **state)
{
	struct session_rig *rig = *state;

	setup_inband(rig);
	rig->fe.channel_silent = true;
	for (unsigned int i = 0; i < 5; i++)
		send_text(rig, "x");
	/* One call is out; the four after it are one call more. */
	assert_int_equal(rig->fe.heard.n_calls[GUEST_TX], 1);
	assert_fe_ok(rig, vhu_frontend_speak(&rig->fe));
	rig_until(rig, rig->fe.heard.n_calls[GUEST_TX] >= 2);
	rig_settle(rig);
	assert_int_equal(rig->fe.heard.n_calls[GUEST_TX], 2);
}

/* VU-118, VU-208: an answer that comes when all is stopped is no reason to call. */
/* VU-202: what the older channel was told, or was about to be, may never have been heard. */
static void calls_are_made_again_on_a_new_channel(void **state)
{
	struct session_rig *rig = *state;

	setup_inband(rig);
	rig->fe.channel_silent = true;
	send_text(rig, "x");
	send_text(rig, "y");
	assert_int_equal(rig->fe.heard.n_calls[GUEST_TX], 1);
	rig->fe.channel_silent = false;
	assert_fe_ok(rig, vhu_frontend_open_channel(&rig->fe, true));
	rig_until(rig, rig->fe.heard.n_calls[GUEST_TX] >= 2);
}

static void call_that_was_due_is_not_made_for_a_stopped_ring(void **state)
{
	struct session_rig *rig = *state;
	unsigned int n_messages;

	setup_inband(rig);
	rig->fe.channel_silent = true;
	send_text(rig, "x");
	send_text(rig, "y");
	for (unsigned int i = 0; i < GUEST_N_RINGS; i++)
		assert_fe_ok(rig, vhu_frontend_vring_base(&rig->fe, i, &rig->fe.rings[i].base));
	n_messages = rig->fe.heard.n_messages;
	assert_fe_ok(rig, vhu_frontend_speak(&rig->fe));
	assert_fe_ok(rig, vhu_frontend_pass_time(&rig->fe, RIG_QUIET_MS));
	assert_int_equal(rig->fe.heard.n_messages, n_messages);
}

/* VU-136 in-band */
static void inband_error_is_told_on_the_channel(void **state)
{
	struct session_rig *rig = *state;
	struct vring *ring;

	setup_inband(rig);
	ring = &rig->fe.rings[GUEST_TX].q.ring;
	vring_set_avail_entry(ring, 0, 0xffff);
	vring_set_avail_idx(ring, 1);
	assert_fe_ok(rig, vhu_frontend_kick(&rig->fe, GUEST_TX));
	assert_fe_ok(rig, vhu_frontend_pass_time(&rig->fe, 20));
	assert_int_equal(rig->fe.heard.n_errs[GUEST_TX], 1);
}

/* VU-154, VU-155, VC-015: told once, and the new value is there by then. */
static void config_change_is_told_after_it_is_in_force(void **state)
{
	struct session_rig *rig = *state;
	uint8_t config[4];

	setup_single_port(rig);
	for (uint16_t i = 1; i <= 3; i++) {
		port_resize(&rig->port, (uint16_t)(80 + i), 25);
		assert_fe_ok(rig, vhu_frontend_pass_time(&rig->fe, 20));
		assert_int_equal(rig->fe.heard.n_config_changes, i);
		assert_fe_ok(rig, vhu_frontend_get_config(&rig->fe, 0, 4, 0, config));
		assert_int_equal(config[0], 80 + i);
		assert_int_equal(config[2], 25);
	}
}

/* VU-154, VU-119: not while all rings are stopped; as soon as one runs. */
static void config_change_while_stopped_is_told_later(void **state)
{
	struct session_rig *rig = *state;

	setup_single_port(rig);
	for (unsigned int i = 0; i < 2; i++)
		assert_fe_ok(rig, vhu_frontend_vring_base(&rig->fe, i, &rig->fe.rings[i].base));
	port_resize(&rig->port, 132, 43);
	assert_fe_ok(rig, vhu_frontend_pass_time(&rig->fe, RIG_QUIET_MS));
	assert_int_equal(rig->fe.heard.n_config_changes, 0);
	for (unsigned int i = 0; i < 2; i++)
		vhu_frontend_reset_ring(&rig->fe, i);
	assert_fe_ok(rig, vhu_style_start(&rig->fe, &rig_plan));
	rig_until(rig, rig->fe.heard.n_config_changes == 1);
}

/* VU-203: cloud-hypervisor opens the channel last. */
static void config_change_before_the_channel_is_told_on_it(void **state)
{
	struct session_rig *rig = *state;

	rig_setup_style(rig, VHU_STYLE_LIBBLKIO, 64,
			BIT(VIRTIO_F_VERSION_1_BIT) | BIT(CONSOLE_F_SIZE_BIT), 0);
	assert_fe_ok(rig, vhu_frontend_set_u64(&rig->fe, VHU_FE_SET_PROTOCOL_FEATURES,
					       rig->fe.nego.protocol | BIT(VHU_PF_BACKEND_REQ_BIT),
					       true));
	port_resize(&rig->port, 132, 43);
	rig_settle(rig);
	assert_fe_ok(rig, vhu_frontend_open_channel(&rig->fe, true));
	rig_until(rig, rig->fe.heard.n_config_changes == 1);
}

/* VU-202 */
static void channel_when_replaced_is_closed_and_the_new_one_used(void **state)
{
	struct session_rig *rig = *state;
	unsigned int n_fds;

	setup_single_port(rig);
	n_fds = fd_count_open();
	for (uint16_t i = 1; i <= 5; i++) {
		assert_fe_ok(rig, vhu_frontend_open_channel(&rig->fe, true));
		rig_until(rig, fd_count_open() == n_fds);
		port_resize(&rig->port, (uint16_t)(80 + i), 25);
		rig_until(rig, rig->fe.heard.n_config_changes == i);
	}
}

/* VU-206 */
static void channel_closed_by_the_front_end_is_done_without(void **state)
{
	struct session_rig *rig = *state;

	setup_single_port(rig);
	rig_join(rig);
	rig->fe.channel_fd = fd_close(rig->fe.channel_fd);
	rig_until(rig, !rig->b->channel);
	port_resize(&rig->port, 132, 43);
	send_text(rig, "without");
	assert_fe_ok(rig, vhu_frontend_ping(&rig->fe));
	/* What could not be told is told on the next one. */
	assert_fe_ok(rig, vhu_frontend_open_channel(&rig->fe, true));
	rig_until(rig, rig->fe.heard.n_config_changes == 1);
}

/* VU-205: nobody reads the channel while it fills up. */
static void channel_that_nobody_reads_holds_nothing_up(void **state)
{
	struct session_rig *rig = *state;
	int channel;

	setup_single_port(rig);
	rig_join(rig);
	channel = fd_take(&rig->fe.channel_fd);
	for (unsigned int i = 0; i < 20000; i++) {
		port_resize(&rig->port, (uint16_t)(1 + i % 1000), 25);
		if (i % 200 == 0)
			send_text(rig, "on");
	}
	assert_fe_ok(rig, vhu_frontend_ping(&rig->fe));
	close(channel);
	rig_settle(rig);
	send_text(rig, "after");
}

/* VU-209: nonsense ends the channel, never the session. */
static void garbage_on_the_channel_ends_the_channel_alone(void **state)
{
	static const uint32_t rows[][5] = {
		{ VHU_BE_VRING_CALL, VHU_REPLY_FLAGS, 8, 0, 0 }, /* nothing was asked */
		{ VHU_BE_CONFIG_CHANGE_MSG, VHU_REPLY_FLAGS, 8, 0, 0 },
		{ VHU_BE_VRING_CALL, 1, 8, 0, 0 }, /* a request */
		{ 0, 0, 0, 0, 0 },
		{ 99, VHU_REPLY_FLAGS, 8, 0, 0 },
		{ VHU_BE_VRING_CALL, VHU_REPLY_FLAGS, 0xffffffff, 0, 0 },
		{ 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff },
	};
	struct session_rig *rig = *state;

	rig_join(rig);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		setup_inband(rig);
		assert_int_equal(send(rig->fe.channel_fd, rows[i], sizeof(rows[i]), MSG_NOSIGNAL),
				 sizeof(rows[i]));
		rig_until(rig, !rig->b->channel && rig->fe.channel_fd == -1);
		send_text(rig, "still");
		assert_fe_ok(rig, vhu_frontend_ping(&rig->fe));
	}
}

/* VU-028: what is given as a channel may be anything. */
static void channel_that_is_no_socket_is_done_without(void **state)
{
	struct session_rig *rig = *state;
	struct vhu_msg msg;

	setup_single_port(rig);
	rig_join(rig);
	vhu_msg_init(&msg, VHU_FE, VHU_FE_SET_BACKEND_REQ_FD);
	msg.flags |= VHU_FLAG_NEED_REPLY;
	msg.fds.fd[msg.fds.n_fds++] = rig->fe.mem_fd;
	(void)vhu_frontend_request(&rig->fe, &msg, NULL, RIG_TIMEOUT_MS);
	rig_settle(rig);
	port_resize(&rig->port, 132, 43);
	rig_settle(rig);
	send_text(rig, "fine");
}

/* VU-204 */
static void channel_without_reply_ack_asks_for_no_answers(void **state)
{
	struct session_rig *rig = *state;

	rig_setup_style(rig, VHU_STYLE_UML, 64,
			BIT(VIRTIO_F_VERSION_1_BIT) | BIT(CONSOLE_F_SIZE_BIT),
			BIT(VHU_PF_BACKEND_REQ_BIT) | BIT(VHU_PF_CONFIG_BIT));
	rig->fe.channel_silent = true;
	port_resize(&rig->port, 132, 43);
	rig_until(rig, rig->fe.heard.n_config_changes == 1);
	assert_int_equal(rig->fe.heard.n_unanswered, 0);
}

static const struct CMUnitTest tests[] = {
	RIG_TEST(inband_kick_starts_the_ring_and_is_answered_after_service),
	RIG_TEST(inband_call_comes_for_each_completion),
	RIG_TEST(descriptors_are_preferred_to_messages),
	RIG_TEST(late_answer_to_a_call_holds_nothing_up),
	RIG_TEST(calls_are_made_again_on_a_new_channel),
	RIG_TEST(call_that_was_due_is_not_made_for_a_stopped_ring),
	RIG_TEST(inband_error_is_told_on_the_channel),
	RIG_TEST(config_change_is_told_after_it_is_in_force),
	RIG_TEST(config_change_while_stopped_is_told_later),
	RIG_TEST(config_change_before_the_channel_is_told_on_it),
	RIG_TEST(channel_when_replaced_is_closed_and_the_new_one_used),
	RIG_TEST(channel_closed_by_the_front_end_is_done_without),
	RIG_TEST(channel_that_nobody_reads_holds_nothing_up),
	RIG_TEST(garbage_on_the_channel_ends_the_channel_alone),
	RIG_TEST(channel_that_is_no_socket_is_done_without),
	RIG_TEST(channel_without_reply_ack_asks_for_no_answers),
};
UNIT_MAIN(tests)
