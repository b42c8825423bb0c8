/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Many ports on queues of their own, ports that come and go: VC-003, VC-046, VC-052, VC-065 to
 * VC-087. */
#include "console_rig.h"

enum { AGENT = 1, N_FEW = 4 };

/* One turn of one queue, nothing else. */
static void serve(unsigned int queue)
{
	rig.woken[queue] = false;
	rig.con.vdev.ops->queue_service(&rig.con.vdev, &rig.q[queue], BUDGET);
	virtq_publish(&rig.q[queue].vq);
}

/* A chain that the device has not looked at yet. */
static void offer_unseen(unsigned int queue, const char *text)
{
	struct driverq_buf buf = { .len = (uint32_t)strlen(text) };
	void *host;

	buf.addr = take(buf.len, &host);
	memcpy(host, text, buf.len);
	assert_int_equal(driverq_add(&rig.d[queue], &buf, 1, 0, false, &rig), 0);
	driverq_publish(&rig.d[queue]);
}

static void expect_told_nothing(void)
{
	post_page(CTRL_RX);
	expect_unused(CTRL_RX);
}

/* A driver of two generic ports, 1 named and 2 not, and console 0; all open. */
static void begin_three(void)
{
	begin_ready(16, N_FEW);
	plug(0, true, "");
	plug(AGENT, false, "org.qemu.guest_agent.0");
	plug(2, false, "");
	for (uint32_t i = 0; i < 3; i++)
		expect_told(i, CONSOLE_PORT_ADD, 1);
	for (uint32_t i = 0; i < 3; i++) {
		tell(i, CONSOLE_PORT_READY, 1);
		if (i == 0)
			expect_told(0, CONSOLE_CONSOLE_PORT, 1);
		if (i == AGENT)
			expect_told(AGENT, CONSOLE_PORT_NAME, 1);
		tell(i, CONSOLE_PORT_OPEN, 1);
	}
}

/* VC-003, VC-065, VC-070 */
static void each_port_has_its_own_queues(void **state)
{
	struct port_client clients[3];

	(void)state;
	begin_three();
	for (unsigned int i = 0; i < 3; i++) {
		const char text[] = { (char)('a' + i), '\0' };
		uint8_t *page = post_page(rx_of(i));

		join(i, &clients[i]);
		send_on(i, text);
		type_on(i, text);
		expect_used(rx_of(i), page, 1);
		assert_int_equal(page[0], text[0]);
	}
	for (unsigned int i = 0; i < 3; i++) {
		const char text[] = { (char)('a' + i), '\0' };

		expect_read(&clients[i], text);
		leave(&clients[i]);
	}
	end();
}

/* VC-024, VC-028: the largest console there is. */
static void as_many_ports_as_there_can_be_all_serve(void **state)
{
	static struct port_client clients[CONSOLE_MAX_PORTS];

	(void)state;
	begin_stopped(MULTIPORT, CONSOLE_MAX_PORTS);
	assert_int_equal(rig.n_queues, 1024);
	for (unsigned int i = 0; i < CONSOLE_MAX_PORTS; i++) {
		assert_int_equal(port_init(&rig.ports[i], 4096), 0);
		rig.ports[i].console = false;
		console_add_port(&rig.con, i, &rig.ports[i]);
	}
	start_all(4);
	tell(0, CONSOLE_DEVICE_READY, 1);
	for (uint32_t i = 0; i < CONSOLE_MAX_PORTS; i++)
		expect_told(i, CONSOLE_PORT_ADD, 1);
	for (uint32_t i = 0; i < CONSOLE_MAX_PORTS; i++) {
		tell(i, CONSOLE_PORT_READY, 1);
		tell(i, CONSOLE_PORT_OPEN, 1);
	}
	for (uint32_t i = 0; i < CONSOLE_MAX_PORTS; i++) {
		const char text[] = { (char)(1 + i % 255), '\0' };
		uint8_t *page = post_page(rx_of(i));

		join(i, &clients[i]);
		expect_told(i, CONSOLE_PORT_OPEN, 1);
		send_on(i, text);
		expect_read(&clients[i], text);
		type_on(i, text);
		expect_used(rx_of(i), page, 1);
		assert_int_equal(page[0], (uint8_t)text[0]);
	}
	expect_told_nothing();
	for (unsigned int i = 0; i < CONSOLE_MAX_PORTS; i++)
		leave(&clients[i]);
	end();
}

/* VC-046: a name that never fits is cut, and all after it is heard. */
static void name_is_cut_to_what_the_driver_has_room_for(void **state)
{
	static const uint32_t room[] = { 4, 8, 11, 30, 4096 };
	uint8_t *msg;

	(void)state;
	begin_three();
	for (size_t i = 0; i < ARRAY_SIZE(room); i++) {
		uint32_t len = room[i] < 8 ? 0 : (uint32_t)min_size(room[i], 8 + 22);

		tell(AGENT, CONSOLE_PORT_READY, 1);
		msg = post(CTRL_RX, &room[i], 1);
		expect_used(CTRL_RX, msg, len);
		if (len == 0)
			continue;
		assert_int_equal(msg[4], CONSOLE_PORT_NAME);
		assert_memory_equal(msg + 8, "org.qemu.guest_agent.0", len - 8);
		join(AGENT, &rig.client);
		expect_told(AGENT, CONSOLE_PORT_OPEN, 1);
		leave(&rig.client);
		expect_told(AGENT, CONSOLE_PORT_OPEN, 0);
	}
	end();
}

/* VC-081, VC-087 */
static void port_added_at_run_time_serves_once_it_is_there(void **state)
{
	uint8_t *page, *msg;

	(void)state;
	begin_three();
	page = post_page(rx_of(3));
	offer(tx_of(3), "kept", 4);
	expect_unused(rx_of(3));
	expect_unused(tx_of(3));
	tell(3, CONSOLE_PORT_OPEN, 1);
	msg = post_page(CTRL_RX);
	plug(3, false, "late");
	expect_port_event(msg, 3, CONSOLE_PORT_ADD, 1);
	type_on(3, "key");
	expect_unused(rx_of(3));
	tell(3, CONSOLE_PORT_READY, 1);
	expect_told(3, CONSOLE_PORT_NAME, 1);
	expect_unused(rx_of(3));
	tell(3, CONSOLE_PORT_OPEN, 1);
	expect_used(rx_of(3), page, 3);
	expect_used(tx_of(3), &rig, 0);
	end();
}

/* VC-052 */
static void generic_port_gets_input_only_while_the_guest_has_it_open(void **state)
{
	uint8_t *page;

	(void)state;
	begin_three();
	tell(AGENT, CONSOLE_PORT_OPEN, 0);
	page = post_page(rx_of(AGENT));
	type_on(AGENT, "wait");
	expect_unused(rx_of(AGENT));
	assert_int_equal(port_input_pending(&rig.ports[AGENT]), 4);
	tell(AGENT, CONSOLE_PORT_OPEN, 1);
	expect_used(rx_of(AGENT), page, 4);
	end();
}

/* VC-079, VC-087: what the driver was never told of, it cannot have written to. */
static void port_that_was_not_told_leaves_its_queues_alone(void **state)
{
	(void)state;
	begin_three();
	plug(3, false, "");
	unplug(3);
	offer(tx_of(3), "waits", 5);
	expect_unused(tx_of(3));
	expect_told_nothing();
	end();
}

/* VC-082: first the chains, then the message. */
static void removed_port_gives_its_chains_back_before_the_driver_hears(void **state)
{
	(void)state;
	begin_three();
	post_page(CTRL_RX);
	offer_unseen(tx_of(AGENT), "one");
	offer_unseen(tx_of(AGENT), "two");
	console_remove_port(&rig.con, AGENT);
	assert_null(console_port(&rig.con, AGENT));
	serve(CTRL_RX);
	expect_unused(CTRL_RX);
	serve(tx_of(AGENT));
	expect_used(tx_of(AGENT), &rig, 0);
	expect_used(tx_of(AGENT), &rig, 0);
	expect_unused(CTRL_RX);
	run();
	assert_false(rig.con.ctrl.ports[AGENT].known);
	assert_int_equal(rig.ports[AGENT].counters.output, 0);
	end();
}

static void removed_port_is_told_at_once_if_its_queue_cannot_be_served(void **state)
{
	(void)state;
	begin_three();
	offer_unseen(tx_of(AGENT), "stopped");
	rig.q[tx_of(AGENT)].running = false; /* disabled */
	unplug(AGENT);
	expect_told(AGENT, CONSOLE_PORT_REMOVE, 1);
	/* One that stops while the message waits for it. */
	offer_unseen(tx_of(2), "stops");
	console_remove_port(&rig.con, 2);
	stop(tx_of(2));
	run();
	expect_told(2, CONSOLE_PORT_REMOVE, 1);
	/* A ring that is broken gives nothing back. */
	vring_set_avail_idx(&rig.d[TX].ring, 1000);
	unplug(0);
	assert_int_equal(virtq_broken(&rig.q[TX].vq), VIRTQ_FAULT_AVAIL_JUMP);
	expect_told(0, CONSOLE_PORT_REMOVE, 1);
	end();
}

/*
 * VC-082: a guest that writes as the port goes has not heard of it yet, and a
 * console that it writes to spins.
 */
static void chains_that_come_too_late_come_back_unread(void **state)
{
	(void)state;
	begin_three();
	join(AGENT, &rig.client);
	expect_told(AGENT, CONSOLE_PORT_OPEN, 1);
	unplug(AGENT);
	send_on(AGENT, "late");
	expect_told(AGENT, CONSOLE_PORT_REMOVE, 1);
	send_on(AGENT, "later");
	console_add_port(&rig.con, AGENT, &rig.ports[AGENT]);
	expect_told(AGENT, CONSOLE_PORT_ADD, 1);
	send_on(AGENT, "still of the port before");
	tell(AGENT, CONSOLE_PORT_READY, 1);
	send_on(AGENT, "new");
	expect_output("new");
	leave(&rig.client);
	end();
}

/* VC-083, VC-084: Linux keeps the receive buffers of a port that is removed. */
static void receive_buffers_stay_for_the_next_port_of_the_number(void **state)
{
	uint8_t *page;

	(void)state;
	begin_three();
	page = post_page(rx_of(AGENT));
	unplug(AGENT);
	expect_told(AGENT, CONSOLE_PORT_REMOVE, 1);
	free_port(AGENT);
	expect_unused(rx_of(AGENT));
	plug(AGENT, false, "another");
	expect_told(AGENT, CONSOLE_PORT_ADD, 1);
	type_on(AGENT, "key");
	expect_unused(rx_of(AGENT));
	tell(AGENT, CONSOLE_PORT_READY, 1);
	expect_told(AGENT, CONSOLE_PORT_NAME, 1);
	tell(AGENT, CONSOLE_PORT_OPEN, 1);
	expect_used(rx_of(AGENT), page, 3);
	end();
}

/* A port is renamed by removing and adding it: its clients see nothing of that. */
static void clients_stay_with_a_port_that_is_renamed(void **state)
{
	(void)state;
	begin_three();
	join(AGENT, &rig.client);
	expect_told(AGENT, CONSOLE_PORT_OPEN, 1);
	send_on(AGENT, "before ");
	console_remove_port(&rig.con, AGENT);
	snprintf(rig.ports[AGENT].name, sizeof(rig.ports[AGENT].name), "renamed");
	console_add_port(&rig.con, AGENT, &rig.ports[AGENT]);
	run();
	expect_told(AGENT, CONSOLE_PORT_REMOVE, 1);
	expect_told(AGENT, CONSOLE_PORT_ADD, 1);
	tell(AGENT, CONSOLE_PORT_READY, 1);
	expect_told(AGENT, CONSOLE_PORT_NAME, 1);
	expect_told(AGENT, CONSOLE_PORT_OPEN, 1);
	send_on(AGENT, "after");
	expect_output("before after");
	leave(&rig.client);
	end();
}

/* A guest that came back from hibernation with a port that is gone must not hang in it. */
static void port_that_went_during_hibernation_swallows_output(void **state)
{
	(void)state;
	begin_empty(MULTIPORT, 8, 2);
	offer(tx_of(1), "waits", 5);
	expect_unused(tx_of(1));
	tell(1, CONSOLE_PORT_READY, 1);
	expect_told_nothing();
	send_on(1, "spins");
	end();
}

static void port_that_comes_late_knows_of_the_front_end(void **state)
{
	(void)state;
	begin_ready(8, N_FEW);
	plug(0, true, "");
	assert_false(rig.ports[0].present);
	rig.con.vdev.ops->set_present(&rig.con.vdev, true);
	plug(1, true, "");
	assert_true(rig.ports[0].present && rig.ports[1].present);
	rig.con.vdev.ops->set_present(&rig.con.vdev, false);
	assert_false(rig.ports[0].present || rig.ports[1].present);
	end();
}

/* VC-031, VC-085: floods for numbers that no port has. */
static void messages_for_ports_that_are_not_there_do_nothing(void **state)
{
	(void)state;
	begin_ready(16, N_FEW);
	plug(1, false, "");
	expect_told(1, CONSOLE_PORT_ADD, 1);
	for (uint32_t i = 0; i < 5000; i++) {
		uint32_t id = i % 2 ? i : UINT32_MAX - i;

		if (id == 1)
			continue;
		tell(id, CONSOLE_PORT_READY, (uint16_t)(i & 1));
		tell(id, CONSOLE_PORT_OPEN, (uint16_t)(i & 1));
		rig.n_taken -= 8192; /* those two messages are done with */
	}
	expect_told_nothing();
	tell(1, CONSOLE_PORT_READY, 1);
	assert_true(rig.con.ctrl.ports[1].ready);
	end();
}

/* VC-045: what piles up while the driver takes nothing is two messages a port. */
static void ports_that_come_and_go_unheard_pile_up_nothing(void **state)
{
	(void)state;
	begin_three();
	join(AGENT, &rig.client);
	for (unsigned int i = 0; i < 10000; i++) {
		console_remove_port(&rig.con, AGENT);
		console_add_port(&rig.con, AGENT, &rig.ports[AGENT]);
		if (i % 7 == 0)
			port_resize(&rig.ports[0], (uint16_t)(1 + i), 25);
		if (i % 100 == 0)
			run();
	}
	run();
	expect_told(0, CONSOLE_RESIZE, 1);
	expect_told(AGENT, CONSOLE_PORT_REMOVE, 1);
	expect_told(AGENT, CONSOLE_PORT_ADD, 1);
	expect_told_nothing();
	leave(&rig.client);
	end();
}

/* What was to be told of a port when it goes is forgotten. */
static void port_that_goes_takes_its_news_along(void **state)
{
	(void)state;
	begin_three();
	for (unsigned int i = 0; i < 3; i++) {
		tell(i, CONSOLE_PORT_READY, 1);
		port_resize(&rig.ports[i], 80, 25);
	}
	for (unsigned int i = 0; i < 3; i++) {
		unplug(i);
		expect_told(i, CONSOLE_PORT_REMOVE, 1);
		if (i == 0) /* in turn: 0, 1, 2, 0 */
			expect_told(AGENT, CONSOLE_PORT_NAME, 1);
	}
	expect_told_nothing();
	end();
}

/* VC-088: a driver that starts anew knows of no removal. */
static void new_driver_is_told_of_the_ports_that_are_left(void **state)
{
	(void)state;
	begin_three();
	unplug(AGENT);
	stop_all();
	start_all(16);
	expect_unused(CTRL_RX);
	offer(tx_of(AGENT), "waits", 5);
	expect_unused(tx_of(AGENT));
	tell(0, CONSOLE_DEVICE_READY, 1);
	expect_told(0, CONSOLE_PORT_ADD, 1);
	expect_told(2, CONSOLE_PORT_ADD, 1);
	expect_told_nothing();
	end();
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(each_port_has_its_own_queues),
	UNIT_TEST(as_many_ports_as_there_can_be_all_serve),
	UNIT_TEST(name_is_cut_to_what_the_driver_has_room_for),
	UNIT_TEST(port_added_at_run_time_serves_once_it_is_there),
	UNIT_TEST(generic_port_gets_input_only_while_the_guest_has_it_open),
	UNIT_TEST(port_that_was_not_told_leaves_its_queues_alone),
	UNIT_TEST(removed_port_gives_its_chains_back_before_the_driver_hears),
	UNIT_TEST(removed_port_is_told_at_once_if_its_queue_cannot_be_served),
	UNIT_TEST(chains_that_come_too_late_come_back_unread),
	UNIT_TEST(receive_buffers_stay_for_the_next_port_of_the_number),
	UNIT_TEST(clients_stay_with_a_port_that_is_renamed),
	UNIT_TEST(port_that_went_during_hibernation_swallows_output),
	UNIT_TEST(port_that_comes_late_knows_of_the_front_end),
	UNIT_TEST(messages_for_ports_that_are_not_there_do_nothing),
	UNIT_TEST(ports_that_come_and_go_unheard_pile_up_nothing),
	UNIT_TEST(port_that_goes_takes_its_news_along),
	UNIT_TEST(new_driver_is_told_of_the_ports_that_are_left),
};
UNIT_MAIN(tests)
