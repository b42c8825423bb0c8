/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What the console tells its driver, and its starts and stops: VC-006 to VC-050, VC-073 to VC-097.
 */
#include "console_rig.h"

/* VC-006 to VC-009, VC-011 */
static void offer_follows_what_the_port_knows(void **state)
{
	uint8_t config[12];

	(void)state;
	begin(0, 8);
	assert_true(rig.con.vdev.ops->features(&rig.con.vdev) ==
		    (BIT(CONSOLE_F_SIZE_BIT) | BIT(CONSOLE_F_MULTIPORT_BIT) |
		     BIT(CONSOLE_F_EMERG_WRITE_BIT)));
	port_resize(&rig.port, 132, 43);
	rig.port.has_size = false;
	assert_false(rig.con.vdev.ops->features(&rig.con.vdev) & BIT(CONSOLE_F_SIZE_BIT));
	rig.con.vdev.ops->config_read(&rig.con.vdev, 0, config, sizeof(config));
	assert_memory_equal(config, "\0\0\0\0\1\0\0\0\0\0\0\0", 12);
	end();
}

/* VC-023 to VC-028, step by step */
static void handshake_comes_step_by_step(void **state)
{
	uint8_t *first;

	(void)state;
	begin(BIT(CONSOLE_F_MULTIPORT_BIT) | BIT(CONSOLE_F_SIZE_BIT), 8);
	port_join(&rig.port, &rig.client, &deaf);
	port_resize(&rig.port, 80, 25);
	first = post_page(CTRL_RX);
	expect_unused(CTRL_RX);
	tell(7, CONSOLE_DEVICE_READY, 1);
	expect_event(first, CONSOLE_PORT_ADD, 1);
	first = post_page(CTRL_RX);
	expect_unused(CTRL_RX);
	tell(0, CONSOLE_PORT_READY, 1);
	expect_event(first, CONSOLE_CONSOLE_PORT, 1);
	expect_event(post_page(CTRL_RX), CONSOLE_RESIZE, 1);
	expect_event(post_page(CTRL_RX), CONSOLE_PORT_OPEN, 1);
	post_page(CTRL_RX);
	expect_unused(CTRL_RX);
	port_leave(&rig.client);
	end();
}

/* VC-046 */
static void control_message_that_does_not_fit_waits_for_room(void **state)
{
	static const uint32_t small[] = { 4, 7, 8 };
	uint8_t *row;

	(void)state;
	begin(BIT(CONSOLE_F_MULTIPORT_BIT) | BIT(CONSOLE_F_SIZE_BIT), 8);
	port_resize(&rig.port, 132, 43);
	tell(0, CONSOLE_DEVICE_READY, 1);
	for (unsigned int i = 0; i < 2; i++) {
		row = post(CTRL_RX, &small[i], 1);
		expect_used(CTRL_RX, row, 0);
		assert_int_equal(row[0], 0xee);
	}
	row = post(CTRL_RX, &small[2], 1);
	expect_event(row, CONSOLE_PORT_ADD, 1);
	tell(0, CONSOLE_PORT_READY, 1);
	expect_event(post(CTRL_RX, &small[2], 1), CONSOLE_CONSOLE_PORT, 1);
	/* RESIZE needs twelve. */
	row = post(CTRL_RX, &small[2], 1);
	expect_used(CTRL_RX, row, 0);
	row = post(CTRL_RX, (const uint32_t[]){ 12 }, 1);
	expect_event(row, CONSOLE_RESIZE, 1);
	assert_memory_equal(row + 8, "\x84\0\x2b\0", 4);
	end();
}

/* VC-038: what is too short to be a message is given back. */
static void short_control_messages_come_back(void **state)
{
	(void)state;
	begin_open(8);
	for (uint32_t len = 1; len < 8; len++) {
		offer(CTRL_TX, "\0\0\0\0\0\0\0", len);
		expect_used(CTRL_TX, &rig, 0);
	}
	post_page(CTRL_RX);
	expect_unused(CTRL_RX);
	assert_true(rig.con.ports[0].guest_open);
	end();
}

/* VC-097, VC-049, VC-050 */
static void clients_that_come_and_go_are_told_to_the_guest(void **state)
{
	(void)state;
	begin_open(8);
	for (unsigned int i = 0; i < 3; i++) {
		port_join(&rig.port, &rig.client, &deaf);
		run();
		expect_event(post_page(CTRL_RX), CONSOLE_PORT_OPEN, 1);
		port_leave(&rig.client);
		run();
		expect_event(post_page(CTRL_RX), CONSOLE_PORT_OPEN, 0);
	}
	end();
}

/* VC-015, VC-016, VC-076, VC-077 */
static void size_is_told_by_message_or_by_config(void **state)
{
	uint8_t config[4], *msg;

	(void)state;
	begin_open(8);
	for (uint16_t i = 1; i <= 3; i++) {
		port_resize(&rig.port, i, 25);
		rig.con.vdev.ops->config_read(&rig.con.vdev, 0, config, 4);
		assert_int_equal(config[0], i);
		run();
		msg = post_page(CTRL_RX);
		expect_event(msg, CONSOLE_RESIZE, 1);
		assert_int_equal(msg[8], i);
	}
	assert_int_equal(rig.n_config_changes, 0);
	end();
	begin(BIT(CONSOLE_F_SIZE_BIT), 8);
	port_resize(&rig.port, 80, 25);
	assert_int_equal(rig.n_config_changes, 1);
	end();
	begin(0, 8); /* nobody cares */
	port_resize(&rig.port, 80, 25);
	assert_int_equal(rig.n_config_changes, 0);
	end();
}

/* VC-089, VC-090 */
static void stop_and_start_where_it_was_is_no_reset(void **state)
{
	uint8_t *page, *msg;

	(void)state;
	begin_open(8);
	page = post_page(RX);
	for (unsigned int i = 0; i < CONSOLE_N_QUEUES; i++)
		stop(i);
	port_join(&rig.port, &rig.client, &deaf);
	port_resize(&rig.port, 80, 25);
	assert_int_equal(port_input(&rig.port, "typed", 5), 5);
	run();
	expect_unused(RX);
	for (unsigned int i = 0; i < CONSOLE_N_QUEUES; i++)
		start(i, 0);
	run();
	expect_used(RX, page, 5);
	msg = post_page(CTRL_RX);
	expect_event(msg, CONSOLE_RESIZE, 1);
	expect_event(post_page(CTRL_RX), CONSOLE_PORT_OPEN, 1);
	port_leave(&rig.client);
	end();
}

/* VC-088 */
static void new_rings_are_a_new_driver(void **state)
{
	uint8_t *page;

	(void)state;
	begin_open(8);
	port_join(&rig.port, &rig.client, &deaf);
	for (unsigned int i = 0; i < CONSOLE_N_QUEUES; i++)
		stop(i);
	for (unsigned int i = 0; i < CONSOLE_N_QUEUES; i++)
		start(i, 8);
	run();
	page = post_page(CTRL_RX);
	post_page(RX);
	assert_int_equal(port_input(&rig.port, "typed", 5), 5);
	run();
	expect_unused(CTRL_RX);
	expect_unused(RX);
	tell(0, CONSOLE_DEVICE_READY, 1);
	expect_event(page, CONSOLE_PORT_ADD, 1);
	tell(0, CONSOLE_PORT_READY, 1);
	expect_event(post_page(CTRL_RX), CONSOLE_CONSOLE_PORT, 1);
	expect_event(post_page(CTRL_RX), CONSOLE_PORT_OPEN, 1);
	port_leave(&rig.client);
	end();
}

/* The queues of a new driver start one after another: input must not slip in between. */
static void input_does_not_reach_a_driver_that_starts(void **state)
{
	(void)state;
	begin_open(8);
	for (unsigned int i = 0; i < CONSOLE_N_QUEUES; i++)
		stop(i);
	assert_int_equal(port_input(&rig.port, "typed", 5), 5);
	for (unsigned int i = 0; i < CONSOLE_N_QUEUES; i++) {
		start(i, 8);
		if (i == RX)
			post_page(RX);
		run();
		expect_unused(RX);
	}
	end();
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(offer_follows_what_the_port_knows),
	UNIT_TEST(handshake_comes_step_by_step),
	UNIT_TEST(control_message_that_does_not_fit_waits_for_room),
	UNIT_TEST(short_control_messages_come_back),
	UNIT_TEST(clients_that_come_and_go_are_told_to_the_guest),
	UNIT_TEST(size_is_told_by_message_or_by_config),
	UNIT_TEST(stop_and_start_where_it_was_is_no_reset),
	UNIT_TEST(new_rings_are_a_new_driver),
	UNIT_TEST(input_does_not_reach_a_driver_that_starts),
};
UNIT_MAIN(tests)
