/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Config space, what is told of port 0, starts and stops: VC-004 to VC-050, VC-073 to VC-097. */
#include "console_rig.h"

static void emerg_write(char c)
{
	uint8_t config[12] = { [8] = (uint8_t)c, [9] = 0x56, [10] = 0x34, [11] = 0x12 };

	assert_int_equal(rig.con.vdev.ops->config_write(&rig.con.vdev, 0, config, 12), 0);
}

/* VC-006 to VC-010, VC-078: an unknown size is 0 x 0. */
static void size_is_offered_even_if_it_is_unknown(void **state)
{
	uint8_t config[12];

	(void)state;
	begin(0, 8);
	assert_true(rig.con.vdev.ops->features(&rig.con.vdev) ==
		    (SIZE | MULTIPORT | BIT(CONSOLE_F_EMERG_WRITE_BIT)));
	read_config(config);
	assert_memory_equal(config, "\0\0\0\0\1\0\0\0\0\0\0\0", 12);
	port_resize(&rig.ports[0], 132, 43);
	read_config(config);
	assert_memory_equal(config, "\x84\0\x2b\0\1\0\0\0\0\0\0\0", 12);
	end();
}

/* VC-010, VC-012, VC-016 */
static void config_counts_port_numbers_and_mirrors_port_0(void **state)
{
	uint8_t config[12];

	(void)state;
	begin_ready(8, 5);
	plug(3, true, "");
	port_resize(&rig.ports[3], 80, 25);
	read_config(config);
	assert_memory_equal(config, "\0\0\0\0\5\0\0\0\0\0\0\0", 12);
	plug(0, true, "");
	port_resize(&rig.ports[0], 132, 43);
	read_config(config);
	assert_memory_equal(config, "\x84\0\x2b\0\5\0\0\0\0\0\0\0", 12);
	end();
}

/* VC-012, VC-079: a driver that finds no queues for its ports gives up the device. */
static void front_end_with_fewer_queues_gets_fewer_ports(void **state)
{
	static const struct {
		unsigned int n_queues;
		uint8_t n_ports;
	} rows[] = { { 0, 5 }, { 1, 1 }, { 2, 1 },  { 4, 1 },  { 5, 1 },  { 6, 2 },
		     { 7, 2 }, { 8, 3 }, { 12, 5 }, { 14, 5 }, { 64, 5 }, { 1024, 5 } };
	uint8_t config[12];

	(void)state;
	begin_empty(MULTIPORT, 8, 5);
	plug(1, false, "");
	plug(2, false, "");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		rig.con.vdev.n_queues_seen = rows[i].n_queues;
		read_config(config);
		assert_int_equal(config[4], rows[i].n_ports);
	}
	rig.con.vdev.n_queues_seen = 6;
	tell(0, CONSOLE_DEVICE_READY, 1);
	expect_told(1, CONSOLE_PORT_ADD, 1);
	plug(4, false, "");
	tell(2, CONSOLE_PORT_READY, 1);
	/* The driver has read how many it may have: more queues come too late. */
	rig.con.vdev.n_queues_seen = 12;
	tell(1, CONSOLE_PORT_READY, 1);
	plug(3, false, "");
	post_page(CTRL_RX);
	expect_unused(CTRL_RX);
	end();
}

/* VC-017, VC-018, VC-020 */
static void emergency_output_finds_the_first_console(void **state)
{
	(void)state;
	begin_stopped(0, 5);
	emerg_write('?'); /* nowhere to go */
	plug(2, false, "");
	emerg_write('a');
	plug(3, true, "");
	emerg_write('b');
	plug(0, false, "");
	emerg_write('c');
	plug(1, true, "");
	emerg_write('d');
	emerg_write('\0');
	join(2, &rig.client);
	expect_output("a");
	leave(&rig.client);
	join(3, &rig.client);
	expect_output("bc");
	leave(&rig.client);
	join(1, &rig.client);
	expect_output("d");
	leave(&rig.client);
	end();
}

/* VC-023 to VC-028, step by step */
static void handshake_comes_step_by_step(void **state)
{
	uint8_t *first;

	(void)state;
	begin(MULTIPORT | SIZE, 8);
	join(0, &rig.client);
	port_resize(&rig.ports[0], 80, 25);
	first = post_page(CTRL_RX);
	expect_unused(CTRL_RX);
	tell(7, CONSOLE_DEVICE_READY, 1);
	expect_event(first, CONSOLE_PORT_ADD, 1);
	first = post_page(CTRL_RX);
	expect_unused(CTRL_RX);
	tell(0, CONSOLE_PORT_READY, 1);
	expect_event(first, CONSOLE_CONSOLE_PORT, 1);
	expect_told(0, CONSOLE_PORT_OPEN, 1);
	expect_told(0, CONSOLE_RESIZE, 1);
	post_page(CTRL_RX);
	expect_unused(CTRL_RX);
	leave(&rig.client);
	end();
}

/* VC-046 */
static void control_message_that_does_not_fit_waits_for_room(void **state)
{
	static const uint32_t small[] = { 4, 7, 8 };
	uint8_t *row;

	(void)state;
	begin(MULTIPORT | SIZE, 8);
	port_resize(&rig.ports[0], 132, 43);
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
	assert_true(rig.con.ctrl.ports[0].guest_open);
	end();
}

/* VC-097, VC-049, VC-050 */
static void clients_that_come_and_go_are_told_to_the_guest(void **state)
{
	(void)state;
	begin_open(8);
	for (unsigned int i = 0; i < 3; i++) {
		join(0, &rig.client);
		run();
		expect_told(0, CONSOLE_PORT_OPEN, 1);
		leave(&rig.client);
		run();
		expect_told(0, CONSOLE_PORT_OPEN, 0);
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
		port_resize(&rig.ports[0], i, 25);
		rig.con.vdev.ops->config_read(&rig.con.vdev, 0, config, 4);
		assert_int_equal(config[0], i);
		run();
		msg = post_page(CTRL_RX);
		expect_event(msg, CONSOLE_RESIZE, 1);
		assert_int_equal(msg[8], i);
	}
	assert_int_equal(rig.n_config_changes, 0);
	end();
	begin(SIZE, 8);
	port_resize(&rig.ports[0], 80, 25);
	assert_int_equal(rig.n_config_changes, 1);
	end();
	begin(0, 8); /* nobody cares */
	port_resize(&rig.ports[0], 80, 25);
	assert_int_equal(rig.n_config_changes, 0);
	end();
}

/* VC-089, VC-090 */
static void stop_and_start_where_it_was_is_no_reset(void **state)
{
	uint8_t *page;

	(void)state;
	begin_open(8);
	page = post_page(RX);
	stop_all();
	join(0, &rig.client);
	port_resize(&rig.ports[0], 80, 25);
	assert_int_equal(port_input(&rig.ports[0], "typed", 5), 5);
	run();
	expect_unused(RX);
	start_all(0);
	expect_used(RX, page, 5);
	expect_told(0, CONSOLE_PORT_OPEN, 1);
	expect_told(0, CONSOLE_RESIZE, 1);
	leave(&rig.client);
	end();
}

/* VC-089, VC-090: a new session of the same guest, which begins without features. */
static void reconnect_where_it_was_is_no_reset(void **state)
{
	uint8_t *page;

	(void)state;
	begin_open(8);
	page = post_page(RX);
	stop_all();
	rig.con.vdev.ops->set_present(&rig.con.vdev, false);
	set_features(0);
	rig.con.vdev.ops->set_present(&rig.con.vdev, true);
	port_resize(&rig.ports[0], 80, 25);
	type_on(0, "typed");
	assert_true(rig.ports[0].guest_open && rig.ports[0].present);
	set_features(rig.features);
	start_all(0);
	expect_used(RX, page, 5);
	expect_told(0, CONSOLE_RESIZE, 1);
	assert_int_equal(rig.n_config_changes, 0);
	end();
}

/* VC-088 */
static void new_rings_are_a_new_driver(void **state)
{
	uint8_t *page;

	(void)state;
	begin_open(8);
	join(0, &rig.client);
	stop_all();
	start_all(8);
	page = post_page(CTRL_RX);
	post_page(RX);
	assert_int_equal(port_input(&rig.ports[0], "typed", 5), 5);
	run();
	expect_unused(CTRL_RX);
	expect_unused(RX);
	tell(0, CONSOLE_DEVICE_READY, 1);
	expect_event(page, CONSOLE_PORT_ADD, 1);
	tell(0, CONSOLE_PORT_READY, 1);
	expect_told(0, CONSOLE_CONSOLE_PORT, 1);
	expect_told(0, CONSOLE_PORT_OPEN, 1);
	leave(&rig.client);
	end();
}

/* The queues of a new driver start one after another: input must not slip in between. */
static void input_does_not_reach_a_driver_that_starts(void **state)
{
	(void)state;
	begin_open(8);
	stop_all();
	assert_int_equal(port_input(&rig.ports[0], "typed", 5), 5);
	for (unsigned int i = 0; i < rig.n_queues; i++) {
		start(i, 8);
		if (i == RX)
			post_page(RX);
		run();
		expect_unused(RX);
	}
	end();
}

/* VC-051: clients are told of the guest's side. */
static void guest_side_is_told_to_the_port(void **state)
{
	(void)state;
	begin_open(8);
	assert_true(rig.ports[0].guest_open);
	tell(0, CONSOLE_PORT_OPEN, 0);
	assert_false(rig.ports[0].guest_open);
	tell(0, CONSOLE_PORT_OPEN, 1);
	assert_true(rig.ports[0].guest_open);
	stop_all();
	assert_true(rig.ports[0].guest_open); /* a pause */
	rig.con.vdev.ops->reset(&rig.con.vdev);
	assert_false(rig.ports[0].guest_open);
	end();
}

/* VC-004: a firmware without F_MULTIPORT, then a system with it, then the firmware again. */
static void each_driver_is_served_in_its_own_mode(void **state)
{
	(void)state;
	begin(0, 8);
	assert_true(rig.ports[0].guest_open);
	for (unsigned int i = 0; i < 2; i++) {
		stop_all();
		rig.features |= MULTIPORT;
		set_features(rig.features);
		start_all(8);
		assert_false(rig.ports[0].guest_open);
		tell(0, CONSOLE_DEVICE_READY, 1);
		shake_hands(0, 1);
		assert_true(rig.ports[0].guest_open);
		stop_all();
		rig.features &= ~MULTIPORT;
		set_features(rig.features);
		start_all(8);
		assert_true(rig.ports[0].guest_open && rig.con.ctrl.ports[0].guest_open);
		assert_false(rig.con.ctrl.driver_ready);
	}
	end();
}

/* Queues that began to run before the driver's choice was heard are looked at again. */
static void features_that_come_late_are_served(void **state)
{
	(void)state;
	begin_stopped(MULTIPORT, 1);
	console_add_port(&rig.con, 0, make_port(0, true, ""));
	set_features(0);
	start_all(8);
	offer(CTRL_TX, "\0\0\0\0\0\0\1\0", 8);
	expect_unused(CTRL_TX);
	set_features(MULTIPORT);
	assert_false(rig.ports[0].guest_open);
	run();
	expect_used(CTRL_TX, &rig, 0);
	shake_hands(0, 1);
	end();
}

/* VC-073: a size that could not be told is told once F_SIZE is accepted. */
static void size_is_told_once_it_may_be(void **state)
{
	uint8_t *msg;

	(void)state;
	begin(MULTIPORT, 8);
	tell(UINT32_MAX, CONSOLE_DEVICE_READY, 1);
	shake_hands(0, 1);
	msg = post_page(CTRL_RX);
	port_resize(&rig.ports[0], 80, 25);
	run();
	expect_unused(CTRL_RX);
	set_features(MULTIPORT | SIZE);
	run();
	expect_event(msg, CONSOLE_RESIZE, 1);
	end();
}

/* VC-002, VC-087: without port 0 its queues are left alone. */
static void console_without_port_0_swallows_output_until_it_comes(void **state)
{
	uint8_t *page;

	(void)state;
	begin_empty(0, 8, 2);
	plug(1, true, "");
	assert_false(rig.ports[1].guest_open); /* it has no queues in this mode */
	page = post_page(RX);
	offer(TX, "swallowed", 9);
	expect_used(TX, &rig, 0);
	make_port(0, true, "");
	type_on(0, "key");
	console_add_port(&rig.con, 0, &rig.ports[0]);
	run();
	assert_true(rig.ports[0].guest_open);
	expect_used(RX, page, 3);
	offer(TX, "kept", 4);
	expect_used(TX, &rig, 0);
	join(0, &rig.client);
	expect_output("kept");
	leave(&rig.client);
	end();
}

/* VC-082: a guest that prints would spin for ever on a console that went away. */
static void single_console_that_goes_away_swallows_output(void **state)
{
	(void)state;
	begin(SIZE, 8);
	port_resize(&rig.ports[0], 80, 25);
	unplug(0);
	assert_int_equal(rig.n_config_changes, 2); /* known, then unknown */
	assert_false(rig.ports[0].guest_open);
	send_line("lost");
	console_add_port(&rig.con, 0, &rig.ports[0]);
	assert_int_equal(rig.n_config_changes, 3);
	send_line("seen");
	join(0, &rig.client);
	expect_output("seen");
	leave(&rig.client);
	end();
}

/* The time from kick to return is kept by the port of the queue, while there is one. */
static void latency_is_counted_for_the_port(void **state)
{
	(void)state;
	begin_open(8);
	assert_ptr_equal(rig.q[TX].latency, &rig.ports[0].latency);
	assert_null(rig.q[RX].latency);
	assert_null(rig.q[CTRL_TX].latency);
	unplug(0);
	assert_null(rig.q[TX].latency);
	console_add_port(&rig.con, 0, &rig.ports[0]);
	assert_ptr_equal(rig.q[TX].latency, &rig.ports[0].latency);
	stop(TX);
	assert_null(rig.q[TX].latency);
	end();
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(size_is_offered_even_if_it_is_unknown),
	UNIT_TEST(config_counts_port_numbers_and_mirrors_port_0),
	UNIT_TEST(front_end_with_fewer_queues_gets_fewer_ports),
	UNIT_TEST(emergency_output_finds_the_first_console),
	UNIT_TEST(handshake_comes_step_by_step),
	UNIT_TEST(control_message_that_does_not_fit_waits_for_room),
	UNIT_TEST(short_control_messages_come_back),
	UNIT_TEST(clients_that_come_and_go_are_told_to_the_guest),
	UNIT_TEST(size_is_told_by_message_or_by_config),
	UNIT_TEST(stop_and_start_where_it_was_is_no_reset),
	UNIT_TEST(reconnect_where_it_was_is_no_reset),
	UNIT_TEST(new_rings_are_a_new_driver),
	UNIT_TEST(input_does_not_reach_a_driver_that_starts),
	UNIT_TEST(guest_side_is_told_to_the_port),
	UNIT_TEST(each_driver_is_served_in_its_own_mode),
	UNIT_TEST(features_that_come_late_are_served),
	UNIT_TEST(size_is_told_once_it_may_be),
	UNIT_TEST(console_without_port_0_swallows_output_until_it_comes),
	UNIT_TEST(single_console_that_goes_away_swallows_output),
	UNIT_TEST(latency_is_counted_for_the_port),
};
UNIT_MAIN(tests)
