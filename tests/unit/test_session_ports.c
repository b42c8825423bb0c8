/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Many ports over a session: handshake, hot-plug, back-pressure: VC-017 to VC-087. */
#include "ports_rig.h"

#include <stdio.h>

static int setup_4(void **state)
{
	return ports_setup(state, 4);
}

static int setup_511(void **state)
{
	return ports_setup(state, CONSOLE_MAX_PORTS);
}

#define PORTS_TEST(f) UNIT_TEST_WITH(f, setup_4, ports_teardown)

/* Fails unless the messages about a port were these, each "event" or "event value". */
static void expect_told(unsigned int id, const char *expected)
{
	static const char *const names[] = { "?",	"add",	  "remove", "?",
					     "console", "resize", "open",   "name" };
	char got[256] = "";
	size_t len = 0;

	for (unsigned int i = 0; i < guest.n_events; i++) {
		const struct guest_event *e = &guest.events[i];

		if (e->id == id && len < sizeof(got))
			len += (size_t)snprintf(
				got + len, sizeof(got) - len, "%s%s%s", len > 0 ? " " : "",
				names[e->event % ARRAY_SIZE(names)],
				e->event == CONSOLE_PORT_OPEN && !e->value ? "-0" : "");
	}
	assert_string_equal(got, expected);
}

/* VC-024, VC-028, VC-029, VC-074: what is told of each port, and in which order. */
static void handshake_of_three_ports_is_in_order(void **state)
{
	struct host *open = host_new(1, "org.example.open");
	struct host *closed = host_new(2, "org.example.closed");

	(void)state;
	host_plug(closed);
	host_plug(open);
	host_join(open);
	rig_join(rig);
	port_resize(&rig->port, 132, 43);
	port_resize(&open->port, 132, 43);
	boot_guest();
	assert_fe_ok(rig, guest_await_events(&guest, 8, RIG_TIMEOUT_MS));
	assert_fe_ok(rig, guest_settle(&guest, RIG_QUIET_MS));
	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(guest.events[i].event, CONSOLE_PORT_ADD);
		assert_int_equal(guest.events[i].id, i);
	}
	expect_told(0, "add console open resize");
	expect_told(1, "add name open");
	expect_told(2, "add name");
	assert_string_equal(guest.ports[1].name, "org.example.open");
	assert_string_equal(guest.ports[2].name, "org.example.closed");
	assert_true(guest.ports[0].is_console && !guest.ports[1].is_console);
	assert_int_equal(guest.ports[0].cols, 132);
	assert_int_equal(guest.ports[0].rows, 43);
}

/* VC-073, VC-076: both orders of rows and columns; the last of many sizes is told. */
static void resize_is_in_the_order_asked_for(void **state)
{
	(void)state;
	for (unsigned int rows_first = 0; rows_first < 2; rows_first++) {
		rig->con.ctrl.rows_first = rows_first;
		port_resize(&rig->port, 80, 24);
		boot_guest();
		for (uint16_t i = 1; i <= 5; i++)
			port_resize(&rig->port, (uint16_t)(100 + i), 50);
		while (guest.ports[0].cols != (rows_first ? 50 : 105))
			assert_fe_ok(rig, guest_wait(&guest, RIG_TIMEOUT_MS));
		assert_int_equal(guest.ports[0].rows, rows_first ? 105 : 50);
		guest_fini(&guest);
		rig_disconnect(rig);
		rig_forget_guest(rig);
	}
}

/* VC-049, VC-050, VC-097: clients come and go. */
static void host_side_that_opens_and_closes_is_told(void **state)
{
	struct host *h = host_new(3, "x");

	(void)state;
	host_plug(h);
	boot_guest();
	assert_fe_ok(rig, guest_await_port(&guest, 3, RIG_TIMEOUT_MS));
	for (unsigned int i = 0; i < 3; i++) {
		host_join(h);
		assert_fe_ok(rig, guest_await_port_host_open(&guest, 3, true, RIG_TIMEOUT_MS));
		host_leave(h);
		assert_fe_ok(rig, guest_await_port_host_open(&guest, 3, false, RIG_TIMEOUT_MS));
	}
	expect_told(3, "add name open open-0 open open-0 open open-0");
}

/* VC-052, VC-051: input waits for a program in the guest, and the host side knows of it. */
static void input_waits_until_the_guest_opens_the_port(void **state)
{
	struct host *h = host_new(1, "x");
	char got[3];

	(void)state;
	host_plug(h);
	host_join(h);
	boot_guest();
	assert_int_equal(port_input(&h->port, "abc", 3), 3);
	assert_fe_ok(rig, guest_await_port_host_open(&guest, 1, true, RIG_TIMEOUT_MS));
	assert_fe_ok(rig, guest_settle(&guest, RIG_QUIET_MS));
	assert_int_equal(guest.ports[1].input_len, 0);
	assert_false(h->port.guest_open);
	assert_fe_ok(rig, guest_open_port(&guest, 1, true));
	assert_fe_ok(rig, guest_read_port(&guest, 1, got, 3, RIG_TIMEOUT_MS));
	assert_memory_equal(got, "abc", 3);
	assert_true(h->port.guest_open);
	assert_fe_ok(rig, guest_open_port(&guest, 1, false));
	assert_false(h->port.guest_open);
}

/* VC-080 to VC-084: added and removed while the guest runs, again and again. */
static void port_added_and_removed_at_run_time_works_each_time(void **state)
{
	struct host *h = host_new(2, "hot");
	unsigned int id;

	(void)state;
	boot_guest();
	for (unsigned int i = 0; i < 20; i++) {
		host_plug(h);
		host_join(h);
		assert_fe_ok(rig, guest_await_name(&guest, "hot", RIG_TIMEOUT_MS, &id));
		assert_int_equal(id, 2);
		open_port(h);
		expect_port_works(h);
		host_leave(h);
		host_unplug(h);
		assert_fe_ok(rig, guest_await_no_port(&guest, 2, RIG_TIMEOUT_MS));
	}
	assert_fe_ok(rig, guest_settle(&guest, RIG_QUIET_MS));
	assert_int_equal(guest.events[guest.n_events - 1].event, CONSOLE_PORT_REMOVE);
}

/* VC-081: removed and another put in its place, before the driver hears of either. */
static void port_replaced_is_told_as_removed_and_added(void **state)
{
	struct host *before = host_new(1, "before");
	struct host *after = host_new(1, "after");
	unsigned int id;

	(void)state;
	host_plug(before);
	boot_guest();
	assert_fe_ok(rig, guest_await_name(&guest, "before", RIG_TIMEOUT_MS, &id));
	host_unplug(before);
	host_plug(after);
	host_join(after);
	assert_fe_ok(rig, guest_await_name(&guest, "after", RIG_TIMEOUT_MS, &id));
	open_port(after);
	expect_told(1, "add name remove add name open");
	expect_port_works(after);
}

/* VC-082: what the guest had queued for a port that goes comes back first. */
static void output_that_is_held_comes_back_when_the_port_goes(void **state)
{
	struct host *h = host_new(1, "x");
	uint8_t page[GUEST_PAGE] = { 0 };
	int n;

	(void)state;
	host_plug(h);
	host_join(h);
	h->pausing = true;
	boot_guest();
	open_port(h);
	do {
		n = guest_try_write_port(&guest, 1, page, sizeof(page));
		rig_settle(rig);
	} while (n > 0);
	assert_int_equal(n, -EAGAIN);
	host_leave(h);
	host_unplug(h);
	assert_fe_ok(rig, guest_await_taken(&guest, 1, RIG_TIMEOUT_MS));
	assert_fe_ok(rig, guest_await_no_port(&guest, 1, RIG_TIMEOUT_MS));
}

/* VC-087: kicks for a port that is not there; its buffers serve the port that comes. */
static void kicks_on_rings_of_absent_ports_leave_buffers_alone(void **state)
{
	struct host *h = host_new(3, "late");
	struct guest_port *p;

	(void)state;
	boot_guest();
	p = &guest.ports[3];
	/* As a driver that posts before it was told to; and writes, which none does. */
	assert_int_equal(guest_try_write_port(&guest, 3, "early", 5), 5);
	for (unsigned int i = 0; i < 3; i++) {
		assert_fe_ok(rig, vhu_frontend_kick(&rig->fe, GUEST_PORT_RX(3)));
		assert_fe_ok(rig, vhu_frontend_kick(&rig->fe, GUEST_PORT_TX(3)));
		rig_settle(rig);
	}
	assert_int_equal(vring_used_idx(&rig->fe.rings[GUEST_PORT_TX(3)].q.ring), 0);
	assert_true(p->sending);
	host_plug(h);
	host_join(h);
	open_port(h);
	host_expect(h, "early", 5);
	expect_port_works(h);
}

/* VC-017 to VC-022: before features, memory and rings; to the first console there is. */
static void emergency_write_before_features_reaches_the_first_console(void **state)
{
	struct host *agent = host_new(1, "agent");
	struct host *console = host_new(2, "");
	uint64_t offered;
	uint8_t config[12];

	(void)state;
	console_remove_port(&rig->con, 0);
	console->port.console = true;
	host_plug(agent);
	host_plug(console);
	host_join(agent);
	host_join(console);
	rig_connect(rig);
	assert_fe_ok(rig, vhu_frontend_ping(&rig->fe));
	assert_fe_ok(rig, vhu_frontend_get_u64(&rig->fe, VHU_FE_GET_PROTOCOL_FEATURES, &offered));
	assert_fe_ok(rig, vhu_frontend_set_u64(&rig->fe, VHU_FE_SET_PROTOCOL_FEATURES,
					       BIT(VHU_PF_CONFIG_BIT) | BIT(VHU_PF_REPLY_ACK_BIT),
					       true));
	assert_fe_ok(rig, vhu_frontend_set_config(&rig->fe, 8, "AB\0", 4, 0, true));
	assert_fe_ok(rig, vhu_frontend_set_config(&rig->fe, 8, "C", 1, 0, true));
	assert_fe_ok(rig, vhu_frontend_get_config(&rig->fe, 0, 12, 0, config));
	assert_int_equal(config[8], 0);
	assert_fe_ok(rig, vhu_frontend_set_config(&rig->fe, 0, config, 12, 0, false));
	host_expect(console, "AC", 2);
	assert_int_equal(agent->len, 0);
}

/* Writes until the device holds; returns how many bytes of the stream went. */
static size_t write_until_held(const struct host *h, const uint8_t *stream, size_t len)
{
	size_t done = 0;

	while (done < len) {
		int n = guest_try_write_port(&guest, h->number, stream + done, len - done);

		if (n == -EAGAIN) {
			rig_settle(rig);
			n = guest_try_write_port(&guest, h->number, stream + done, len - done);
		}
		if (n == -EAGAIN)
			break;
		assert_fe_ok(rig, n);
		done += (size_t)n;
	}
	return done;
}

/* VC-062, VC-065: the slow client's port waits, no byte is lost, and other ports go on. */
static void port_that_holds_waits_for_its_client_and_loses_nothing(void **state)
{
	enum { LEN = 200000 };
	static uint8_t stream[LEN];
	struct host *slow = host_new(1, "slow");
	struct host *other = host_new(2, "other");
	unsigned int n_stops = 0;
	size_t done = 0;

	(void)state;
	fill_pattern(stream, LEN, 3);
	host_plug(slow);
	host_plug(other);
	host_join(slow);
	host_join(other);
	boot_guest();
	open_port(slow);
	open_port(other);
	while (done < LEN) {
		slow->pausing = true;
		done += write_until_held(slow, stream + done, LEN - done);
		/* At most the ring's bytes and one buffer of the guest's are under way. */
		assert_true(done - slow->len <= HOST_HISTORY + GUEST_PAGE);
		n_stops += done < LEN;
		expect_port_works(other);
		host_resume(slow);
		assert_fe_ok(rig, guest_await_taken(&guest, 1, RIG_TIMEOUT_MS));
	}
	host_expect(slow, stream, LEN);
	assert_true(n_stops > 10);
	assert_int_equal(slow->port.counters.output_lost, 0);
	assert_true(slow->port.counters.n_stalls >= n_stops);
}

/* VC-061: the same client on a port that drops never makes the guest wait. */
static void port_that_drops_never_waits_for_its_client(void **state)
{
	struct host *h = host_new(1, "fast");
	uint8_t page[GUEST_PAGE] = { 0 };

	(void)state;
	h->port.overflow = PORT_DROP;
	host_plug(h);
	host_join(h);
	h->pausing = true;
	boot_guest();
	open_port(h);
	for (unsigned int i = 0; i < 20; i++)
		assert_fe_ok(rig, guest_write_port(&guest, 1, page, sizeof(page), RIG_TIMEOUT_MS));
	host_resume(h);
	assert_int_equal(h->port.counters.output, 20 * GUEST_PAGE);
	assert_int_equal(h->len + h->port.counters.output_lost, 20 * GUEST_PAGE);
}

/* VC-064, VC-063: without a client nothing waits any more. */
static void client_that_leaves_lets_the_guest_go_on(void **state)
{
	static uint8_t stream[20000];
	struct host *h = host_new(1, "x");

	(void)state;
	host_plug(h);
	host_join(h);
	h->pausing = true;
	boot_guest();
	open_port(h);
	assert_true(write_until_held(h, stream, sizeof(stream)) < sizeof(stream));
	host_leave(h);
	assert_fe_ok(rig, guest_await_port_host_open(&guest, 1, false, RIG_TIMEOUT_MS));
	assert_fe_ok(rig, guest_await_taken(&guest, 1, RIG_TIMEOUT_MS));
	assert_fe_ok(rig, guest_write_port(&guest, 1, stream, sizeof(stream), RIG_TIMEOUT_MS));
}

/* Stops a ring as a paused machine does, and starts it where it was. */
static void pause_ring(unsigned int idx)
{
	struct vhu_frontend *fe = &rig->fe;
	uint32_t base;

	assert_fe_ok(rig, vhu_frontend_vring_base(fe, idx, &base));
	assert_fe_ok(rig, vhu_frontend_vring(fe, VHU_FE_SET_VRING_BASE, idx, base, true));
	assert_fe_ok(rig, vhu_frontend_vring_fd(fe, VHU_FE_SET_VRING_CALL, idx,
						fe->rings[idx].call_peer, true));
	assert_fe_ok(rig, vhu_frontend_vring_fd(fe, VHU_FE_SET_VRING_KICK, idx,
						fe->rings[idx].kick_fd, true));
}

/* Pauses again and again while a chain is held of which a part went out. */
static void hold_across_pauses(size_t n_before)
{
	enum { LEN = 3 * GUEST_PAGE };
	static uint8_t stream[LEN];
	struct host *h = host_new(1, "x");
	size_t done = n_before;

	fill_pattern(stream, LEN, 9);
	host_plug(h);
	host_join(h);
	boot_guest();
	open_port(h);
	assert_fe_ok(rig, guest_write_port(&guest, 1, stream, n_before, RIG_TIMEOUT_MS));
	h->pausing = true;
	while (done < LEN) {
		done += write_until_held(h, stream + done, LEN - done);
		for (unsigned int i = 0; i < 3; i++)
			pause_ring(GUEST_PORT_TX(1));
		rig_settle(rig);
		host_resume(h);
		assert_fe_ok(rig, guest_await_taken(&guest, 1, RIG_TIMEOUT_MS));
		h->pausing = true;
	}
	h->pausing = false;
	host_expect(h, stream, LEN);
}

/* VC-089, VC-062: what went out is not sent again, nor is the rest lost. */
static void chain_held_across_a_pause_goes_on_where_it_was(void **state)
{
	(void)state;
	hold_across_pauses(100);
}

/* Index 0 is a pause's too, if nothing has come back yet. */
static void first_chain_held_across_a_pause_goes_on_where_it_was(void **state)
{
	(void)state;
	hold_across_pauses(0);
}

/* VU-233: the same, when the front-end hangs up and comes again. */
static void chain_held_across_a_connection_goes_on_where_it_was(void **state)
{
	static uint8_t stream[3 * GUEST_PAGE];
	struct host *h = host_new(1, "x");
	size_t done;

	(void)state;
	fill_pattern(stream, sizeof(stream), 4);
	host_plug(h);
	host_join(h);
	boot_guest();
	open_port(h);
	assert_fe_ok(rig, guest_write_port(&guest, 1, stream, 100, RIG_TIMEOUT_MS));
	h->pausing = true;
	done = 100 + write_until_held(h, stream + 100, sizeof(stream) - 100);
	assert_true(done < sizeof(stream));
	rig_connect(rig);
	for (unsigned int r = 0; r < rig->fe.n_rings; r++)
		rig->fe.rings[r].base = vring_used_idx(&rig->fe.rings[r].q.ring);
	assert_fe_ok(rig, vhu_style_negotiate(&rig->fe, &rig_plan));
	assert_fe_ok(rig, vhu_style_start(&rig->fe, &rig_plan));
	host_resume(h);
	assert_fe_ok(rig, guest_write_port(&guest, 1, stream + done, sizeof(stream) - done,
					   RIG_TIMEOUT_MS));
	host_expect(h, stream, sizeof(stream));
	expect_port_works(h);
}

/* VC-013: every port that there can be, all rings by in-band notifications. */
static void all_511_ports_carry_both_ways(void **state)
{
	(void)state;
	for (unsigned int i = 1; i < CONSOLE_MAX_PORTS; i++) {
		struct host *h = host_new(i, "");

		snprintf(h->port.name, sizeof(h->port.name), "port.%u", i);
		host_plug(h);
		host_join(h);
	}
	rig_setup_style(rig, VHU_STYLE_UML, 4, 0, 0);
	assert_int_equal(rig->fe.n_rings, VHU_MAX_RINGS);
	boot_guest();
	assert_int_equal(guest.n_ports, CONSOLE_MAX_PORTS);
	/* Each of them: add, name, open; port 0: add, console. */
	assert_fe_ok(rig, guest_await_events(&guest, 3 * n_hosts + 2, RIG_TIMEOUT_MS));
	for (unsigned int i = 0; i < n_hosts; i++) {
		struct host *h = &hosts[i];

		assert_string_equal(guest.ports[h->number].name, h->port.name);
		open_port(h);
		expect_port_works(h);
	}
	assert_int_equal(guest.n_events, 3 * n_hosts + 2);
}

/* Fills a transmit ring with chains of a byte, unseen by the device until it looks. */
static void flood(unsigned int idx, uint64_t addr)
{
	struct driverq *q = &rig->fe.rings[idx].q;
	struct driverq_buf byte = { .addr = addr, .len = 1 };

	while (driverq_add(q, &byte, 1, 0, false, rig) == 0)
		;
	driverq_publish(q);
	vqueue_wake(rig->con.queues[idx]);
}

/* VC-065: however many rings are busy, an iteration is short, and each ring gets its turns. */
static void rings_that_are_all_busy_are_served_in_turn(void **state)
{
	uint64_t most = 0, least = 0, addr;
	unsigned int n_turns = 0;

	(void)state;
	for (unsigned int i = 1; i < CONSOLE_MAX_PORTS; i++)
		host_plug(host_new(i, ""));
	rig_setup_style(rig, VHU_STYLE_UML, 1024, 0, 0);
	assert_non_null(vhu_frontend_alloc(&rig->fe, 1, 1, &addr));
	for (unsigned int i = 0; i < n_hosts; i++)
		assert_fe_ok(rig, vhu_frontend_kick(&rig->fe, GUEST_PORT_TX(hosts[i].number)));
	assert_fe_ok(rig, vhu_frontend_ping(&rig->fe));
	rig_settle(rig);
	for (unsigned int i = 0; i < n_hosts; i++)
		flood(GUEST_PORT_TX(hosts[i].number), addr);
	while (least == 0) {
		assert_int_equal(loop_step(rig->loop, false), 0);
		least = UINT64_MAX;
		for (unsigned int i = 0; i < n_hosts; i++) {
			least = min_u64(least, hosts[i].port.counters.output);
			if (hosts[i].port.counters.output > most)
				most = hosts[i].port.counters.output;
		}
		assert_true(most <= least + VQIO_BUDGET);
		n_turns++;
	}
	assert_true(n_turns > 1);
}

static void work_of_others(struct task *task)
{
	loop_defer(rig->loop, task);
}

/* VC-065: who has had more than others waits for a round, and its chains do, too. */
static void rings_of_a_session_that_owes_time_wait_for_others(void **state)
{
	const uint64_t *output = &rig->port.counters.output;
	struct task others;
	uint64_t addr;

	(void)state;
	rig_setup_style(rig, VHU_STYLE_UML, 256, 0, 0);
	assert_non_null(vhu_frontend_alloc(&rig->fe, 1, 1, &addr));
	assert_fe_ok(rig, vhu_frontend_kick(&rig->fe, GUEST_PORT_TX(0)));
	assert_fe_ok(rig, vhu_frontend_ping(&rig->fe));
	rig_settle(rig);
	rig->b->turns.owed_ns = UINT64_C(3) * FAIR_TURN_NS;
	task_init(&others, work_of_others);

	flood(GUEST_PORT_TX(0), addr);
	loop_defer(rig->loop, &others);
	assert_int_equal(loop_step(rig->loop, false), 0);
	assert_int_equal(*output, 0);
	assert_int_equal(loop_step(rig->loop, false), 0); /* nobody else had a turn */
	assert_int_equal(*output, 256);
	task_cancel(&others);
}

static const struct CMUnitTest tests[] = {
	PORTS_TEST(handshake_of_three_ports_is_in_order),
	PORTS_TEST(resize_is_in_the_order_asked_for),
	PORTS_TEST(host_side_that_opens_and_closes_is_told),
	PORTS_TEST(input_waits_until_the_guest_opens_the_port),
	PORTS_TEST(port_added_and_removed_at_run_time_works_each_time),
	PORTS_TEST(port_replaced_is_told_as_removed_and_added),
	PORTS_TEST(output_that_is_held_comes_back_when_the_port_goes),
	PORTS_TEST(kicks_on_rings_of_absent_ports_leave_buffers_alone),
	PORTS_TEST(emergency_write_before_features_reaches_the_first_console),
	PORTS_TEST(port_that_holds_waits_for_its_client_and_loses_nothing),
	PORTS_TEST(port_that_drops_never_waits_for_its_client),
	PORTS_TEST(client_that_leaves_lets_the_guest_go_on),
	PORTS_TEST(chain_held_across_a_pause_goes_on_where_it_was),
	PORTS_TEST(first_chain_held_across_a_pause_goes_on_where_it_was),
	PORTS_TEST(chain_held_across_a_connection_goes_on_where_it_was),
	UNIT_TEST_WITH(all_511_ports_carry_both_ways, setup_511, ports_teardown),
	UNIT_TEST_WITH(rings_of_a_session_that_owes_time_wait_for_others, setup_511,
		       ports_teardown),
	UNIT_TEST_WITH(rings_that_are_all_busy_are_served_in_turn, setup_511, ports_teardown),
};
UNIT_MAIN(tests)
