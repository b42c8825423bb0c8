/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The control queue's state machine: VC-023 to VC-046, VC-073 to VC-078. */
#include "unit.h"

#include <endian.h>
#include <string.h>

#include "virtio/console-ctrl.h"

enum { N_PORTS = 3 };

struct rig {
	struct port ports[N_PORTS];
	struct console_port console[N_PORTS];
	struct console_ctrl ctrl;
	struct port_client client;
};

static struct rig rig;
static const struct port_client_ops deaf = { .output_ready = NULL };

/* Ports as the device has them; nobody connected, no size. */
static void begin(unsigned int n_ports)
{
	memset(&rig, 0, sizeof(rig));
	for (unsigned int i = 0; i < n_ports; i++) {
		list_init(&rig.ports[i].clients);
		rig.console[i].port = &rig.ports[i];
	}
	rig.ctrl = (struct console_ctrl){ .ports = rig.console, .n_ports = n_ports, .size = true };
}

static void tell(uint32_t id, uint16_t event, uint16_t value)
{
	uint8_t msg[CONSOLE_MSG_LEN] = {
		(uint8_t)id,	(uint8_t)(id >> 8),    (uint8_t)(id >> 16), (uint8_t)(id >> 24),
		(uint8_t)event, (uint8_t)(event >> 8), (uint8_t)value,	    (uint8_t)(value >> 8),
	};

	console_ctrl_receive(&rig.ctrl, msg, sizeof(msg));
}

static void expect_nothing(void)
{
	uint8_t msg[CONSOLE_MSG_MAX];

	assert_int_equal(console_ctrl_peek(&rig.ctrl, msg), 0);
}

/* The next message is this one; it is taken. */
static void expect(uint32_t id, uint16_t event, uint16_t value)
{
	uint8_t msg[CONSOLE_MSG_MAX], again[CONSOLE_MSG_MAX];
	size_t len = event == CONSOLE_RESIZE ? 12 : 8;

	memset(msg, 0, sizeof(msg));
	memset(again, 0, sizeof(again));
	assert_int_equal(console_ctrl_peek(&rig.ctrl, msg), len);
	assert_int_equal(console_ctrl_peek(&rig.ctrl, again), len);
	assert_memory_equal(msg, again, sizeof(msg));
	assert_int_equal(msg[0] | msg[1] << 8 | msg[2] << 16, id);
	assert_int_equal(msg[4] | msg[5] << 8, event);
	if (event == CONSOLE_PORT_OPEN || event == CONSOLE_CONSOLE_PORT)
		assert_int_equal(msg[6] | msg[7] << 8, value);
	console_ctrl_sent(&rig.ctrl);
}

static void host_opens(unsigned int port)
{
	port_join(&rig.ports[port], &rig.client, &deaf);
	console_ctrl_host_open_changed(&rig.ctrl, port);
}

static void host_closes(unsigned int port)
{
	port_leave(&rig.client);
	console_ctrl_host_open_changed(&rig.ctrl, port);
}

static void resize(unsigned int port, uint16_t cols, uint16_t rows)
{
	port_resize(&rig.ports[port], cols, rows);
	console_ctrl_size_changed(&rig.ctrl, port);
}

/* Until the driver knows port 0 as a console; the host side is closed. */
static void shake_hands(void)
{
	tell(0, CONSOLE_DEVICE_READY, 1);
	expect(0, CONSOLE_PORT_ADD, 1);
	tell(0, CONSOLE_PORT_READY, 1);
	expect(0, CONSOLE_CONSOLE_PORT, 1);
	tell(0, CONSOLE_PORT_OPEN, 1);
	expect_nothing();
}

/* VC-023, VC-025 */
static void driver_that_is_not_ready_is_told_nothing(void **state)
{
	(void)state;
	begin(1);
	host_opens(0);
	resize(0, 80, 25);
	expect_nothing();
	tell(0, CONSOLE_DEVICE_READY, 0);
	expect_nothing();
	tell(0, CONSOLE_DEVICE_READY, 2);
	expect_nothing();
	port_leave(&rig.client);
}

/* VC-024, VC-026, VC-029 */
static void ready_driver_is_told_of_every_port_in_order(void **state)
{
	static const uint32_t ids[] = { 0, 7, UINT32_MAX };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
		begin(N_PORTS);
		tell(ids[i], CONSOLE_DEVICE_READY, 1);
		for (uint32_t p = 0; p < N_PORTS; p++)
			expect(p, CONSOLE_PORT_ADD, 1);
		expect_nothing();
	}
}

/* VC-028, VC-073, VC-076 */
static void ready_port_is_told_console_then_size_then_open(void **state)
{
	uint8_t msg[CONSOLE_MSG_MAX];

	(void)state;
	begin(1);
	host_opens(0);
	resize(0, 132, 43);
	tell(0, CONSOLE_DEVICE_READY, 1);
	expect(0, CONSOLE_PORT_ADD, 1);
	expect_nothing();
	tell(0, CONSOLE_PORT_READY, 1);
	expect(0, CONSOLE_CONSOLE_PORT, 1);
	assert_int_equal(console_ctrl_peek(&rig.ctrl, msg), 12);
	assert_memory_equal(msg + 8, "\x84\0\x2b\0", 4);
	expect(0, CONSOLE_RESIZE, 0);
	expect(0, CONSOLE_PORT_OPEN, 1);
	expect_nothing();
	port_leave(&rig.client);
}

/* VC-030 */
static void port_that_is_not_ready_is_told_nothing(void **state)
{
	(void)state;
	begin(1);
	tell(0, CONSOLE_DEVICE_READY, 1);
	expect(0, CONSOLE_PORT_ADD, 1);
	tell(0, CONSOLE_PORT_READY, 0);
	host_opens(0);
	resize(0, 80, 25);
	expect_nothing();
	host_closes(0);
}

/* VC-027, VC-032, VC-033: reload without reset; back from hibernation. */
static void driver_that_repeats_itself_is_answered_again(void **state)
{
	(void)state;
	begin(1);
	shake_hands();
	shake_hands();
	console_ctrl_reset(&rig.ctrl);
	host_opens(0);
	for (unsigned int i = 0; i < 2; i++) {
		tell(0, CONSOLE_PORT_READY, 1);
		expect(0, CONSOLE_CONSOLE_PORT, 1);
		expect(0, CONSOLE_PORT_OPEN, 1);
		expect_nothing();
	}
	port_leave(&rig.client);
}

/* VC-034, VC-042 */
static void guest_side_is_what_the_driver_said_last(void **state)
{
	(void)state;
	begin(1);
	tell(0, CONSOLE_PORT_OPEN, 1); /* even before all else */
	assert_true(rig.console[0].guest_open);
	shake_hands();
	tell(0, CONSOLE_PORT_OPEN, 0);
	assert_false(rig.console[0].guest_open);
	tell(0, CONSOLE_PORT_OPEN, 2);
	assert_true(rig.console[0].guest_open);
	tell(0, CONSOLE_DEVICE_READY, 1);
	assert_false(rig.console[0].guest_open);
}

/* VC-031, VC-040, VC-041, VC-085 */
static void messages_without_sense_are_ignored(void **state)
{
	static const uint16_t events[] = {
		CONSOLE_PORT_ADD, CONSOLE_PORT_REMOVE, CONSOLE_CONSOLE_PORT,
		CONSOLE_RESIZE,	  CONSOLE_PORT_NAME,   8,
		0xffff,
	};

	(void)state;
	begin(1);
	shake_hands();
	for (size_t i = 0; i < ARRAY_SIZE(events); i++)
		tell(0, events[i], 1);
	tell(1, CONSOLE_PORT_READY, 1);
	tell(99, CONSOLE_PORT_READY, 1);
	tell(UINT32_MAX, CONSOLE_PORT_OPEN, 1);
	expect_nothing();
	assert_true(rig.console[0].ready && rig.console[0].guest_open);
}

/* VC-038, VC-039 */
static void only_the_first_eight_bytes_of_a_message_count(void **state)
{
	uint8_t msg[64] = { 0, 0, 0, 0, CONSOLE_DEVICE_READY, 0, 1, 0, 0xff, 0xff };

	(void)state;
	begin(1);
	for (size_t len = 0; len < 8; len++)
		console_ctrl_receive(&rig.ctrl, msg, len);
	expect_nothing();
	console_ctrl_receive(&rig.ctrl, msg, sizeof(msg));
	expect(0, CONSOLE_PORT_ADD, 1);
	expect_nothing();
}

/* VC-044, VC-045, VC-050 */
static void states_that_were_superseded_are_told_once(void **state)
{
	(void)state;
	begin(1);
	shake_hands();
	for (unsigned int i = 0; i < 1000; i++) {
		host_opens(0);
		resize(0, (uint16_t)(1 + i), 25);
		host_closes(0);
	}
	/* It is closed as it was: only the last size is news. */
	expect(0, CONSOLE_RESIZE, 0);
	expect_nothing();
	host_opens(0);
	expect(0, CONSOLE_PORT_OPEN, 1);
	expect_nothing();
	host_closes(0);
	host_opens(0);
	expect_nothing();
	host_closes(0);
	expect(0, CONSOLE_PORT_OPEN, 0);
	expect_nothing();
}

/* A message that was looked at may have changed by the time it is sent. */
static void state_that_changes_before_it_is_sent_is_told_as_it_is(void **state)
{
	uint8_t msg[CONSOLE_MSG_MAX];

	(void)state;
	begin(1);
	shake_hands();
	host_opens(0);
	assert_int_equal(console_ctrl_peek(&rig.ctrl, msg), 8);
	host_closes(0);
	expect_nothing();
}

/* VC-075, VC-078 */
static void size_that_is_unknown_or_unwanted_is_not_told(void **state)
{
	(void)state;
	begin(1);
	shake_hands();
	resize(0, 0, 0);
	resize(0, 80, 0);
	resize(0, 0, 25);
	expect_nothing();
	rig.ctrl.size = false;
	resize(0, 80, 25);
	expect_nothing();
	rig.ctrl.size = true;
	resize(0, 80, 26);
	expect(0, CONSOLE_RESIZE, 0);
	expect_nothing();
}

/* VC-078: known when it was to be told, unknown when there is a buffer for it. */
static void size_that_became_unknown_is_not_told(void **state)
{
	(void)state;
	begin(1);
	shake_hands();
	resize(0, 80, 25);
	resize(0, 0, 0);
	expect_nothing();
}

/* VC-088 */
static void reset_forgets_what_was_to_be_told(void **state)
{
	(void)state;
	begin(N_PORTS);
	tell(0, CONSOLE_DEVICE_READY, 1);
	host_opens(1);
	console_ctrl_reset(&rig.ctrl);
	expect_nothing();
	port_leave(&rig.client);
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(driver_that_is_not_ready_is_told_nothing),
	UNIT_TEST(ready_driver_is_told_of_every_port_in_order),
	UNIT_TEST(ready_port_is_told_console_then_size_then_open),
	UNIT_TEST(port_that_is_not_ready_is_told_nothing),
	UNIT_TEST(driver_that_repeats_itself_is_answered_again),
	UNIT_TEST(guest_side_is_what_the_driver_said_last),
	UNIT_TEST(messages_without_sense_are_ignored),
	UNIT_TEST(only_the_first_eight_bytes_of_a_message_count),
	UNIT_TEST(states_that_were_superseded_are_told_once),
	UNIT_TEST(state_that_changes_before_it_is_sent_is_told_as_it_is),
	UNIT_TEST(size_that_is_unknown_or_unwanted_is_not_told),
	UNIT_TEST(size_that_became_unknown_is_not_told),
	UNIT_TEST(reset_forgets_what_was_to_be_told),
};
UNIT_MAIN(tests)
