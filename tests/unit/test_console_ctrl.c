/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The control queue's state machine: VC-023 to VC-046, VC-070 to VC-078. */
#include "console_ctrl_rig.h"

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

/* VC-028, VC-070, VC-073, VC-076 */
static void ready_port_is_told_console_name_open_size(void **state)
{
	uint8_t msg[CONSOLE_MSG_MAX];

	(void)state;
	begin(1);
	host_opens(0);
	resize(0, 132, 43);
	strcpy(rig.ports[0].name, "org.n");
	tell(0, CONSOLE_DEVICE_READY, 1);
	expect(0, CONSOLE_PORT_ADD, 1);
	expect_nothing();
	tell(0, CONSOLE_PORT_READY, 1);
	expect(0, CONSOLE_CONSOLE_PORT, 1);
	assert_int_equal(console_ctrl_peek(&rig.ctrl, msg), 13);
	assert_memory_equal(msg + 8, "org.n", 5);
	expect(0, CONSOLE_PORT_NAME, 1);
	expect(0, CONSOLE_PORT_OPEN, 1);
	assert_int_equal(console_ctrl_peek(&rig.ctrl, msg), 12);
	assert_memory_equal(msg + 8, "\x84\0\x2b\0", 4);
	expect(0, CONSOLE_RESIZE, 1);
	expect_nothing();
	port_leave(&rig.client);
}

/* VC-073: for a Linux that swaps them. */
static void size_has_rows_first_if_asked_for(void **state)
{
	uint8_t msg[CONSOLE_MSG_MAX];

	(void)state;
	begin(1);
	rig.ctrl.rows_first = true;
	shake_hands();
	resize(0, 132, 43);
	assert_int_equal(console_ctrl_peek(&rig.ctrl, msg), 12);
	assert_memory_equal(msg + 8, "\x2b\0\x84\0", 4);
}

/* VC-028, VC-074 */
static void generic_port_is_told_neither_console_nor_size(void **state)
{
	(void)state;
	begin(1);
	rig.ports[0].console = false;
	resize(0, 80, 25);
	tell(0, CONSOLE_DEVICE_READY, 1);
	expect(0, CONSOLE_PORT_ADD, 1);
	tell(0, CONSOLE_PORT_READY, 1);
	expect_nothing();
	resize(0, 80, 26);
	expect_nothing();
	host_opens(0);
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
	expect(0, CONSOLE_RESIZE, 1);
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
	console_ctrl_set_size(&rig.ctrl, false);
	resize(0, 80, 25);
	expect_nothing();
}

/* VC-090: between two sessions no features are accepted. */
static void size_that_changed_while_it_was_unwanted_is_told_once_it_is_wanted(void **state)
{
	(void)state;
	begin(N_PORTS);
	tell(0, CONSOLE_DEVICE_READY, 1);
	for (uint32_t p = 0; p < N_PORTS; p++)
		expect(p, CONSOLE_PORT_ADD, 1);
	tell(2, CONSOLE_PORT_READY, 1);
	expect(2, CONSOLE_CONSOLE_PORT, 1);
	console_ctrl_set_size(&rig.ctrl, false);
	resize(2, 80, 25);
	expect_nothing();
	console_ctrl_set_size(&rig.ctrl, true);
	expect(2, CONSOLE_RESIZE, 1);
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

/* VC-046 */
static void only_names_are_cut_to_a_small_buffer(void **state)
{
	static const uint8_t resize_msg[12] = { [4] = CONSOLE_RESIZE };
	uint8_t name[8 + 7] = { [4] = CONSOLE_PORT_NAME };

	(void)state;
	assert_int_equal(console_ctrl_fit(resize_msg, 12, UINT64_MAX), 12);
	assert_int_equal(console_ctrl_fit(resize_msg, 12, 12), 12);
	assert_int_equal(console_ctrl_fit(resize_msg, 12, 11), 0);
	assert_int_equal(console_ctrl_fit(resize_msg, 8, 7), 0);
	memcpy(name + 8, "a\u20acb\u00fc", 7); /* of 1, 3, 1 and 2 bytes */
	assert_int_equal(console_ctrl_fit(name, 15, 15), 15);
	assert_int_equal(console_ctrl_fit(name, 15, 14), 13);
	assert_int_equal(console_ctrl_fit(name, 15, 13), 13);
	assert_int_equal(console_ctrl_fit(name, 15, 12), 12);
	assert_int_equal(console_ctrl_fit(name, 15, 11), 9);
	assert_int_equal(console_ctrl_fit(name, 15, 10), 9);
	assert_int_equal(console_ctrl_fit(name, 15, 9), 9);
	assert_int_equal(console_ctrl_fit(name, 15, 8), 8);
	assert_int_equal(console_ctrl_fit(name, 15, 7), 0);
}

/* VC-030: a port that the driver could not take. */
static void port_that_failed_is_shut_until_it_is_ready(void **state)
{
	(void)state;
	begin_known();
	host_opens(1);
	tell(1, CONSOLE_PORT_READY, 0);
	assert_false(rig.ports[1].guest_open);
	expect_nothing();
	tell(1, CONSOLE_PORT_READY, 1);
	expect(1, CONSOLE_CONSOLE_PORT, 1);
	expect(1, CONSOLE_PORT_OPEN, 1);
	expect_nothing();
	port_leave(&rig.client);
}

/* VC-024: saying so of a port that it was not told of yet. */
static void port_that_failed_too_early_is_told_all_the_same(void **state)
{
	(void)state;
	begin(1);
	tell(0, CONSOLE_DEVICE_READY, 1);
	tell(0, CONSOLE_PORT_READY, 0);
	expect(0, CONSOLE_PORT_ADD, 1);
	expect_nothing();
}

/* VC-033: news that was still to be told is not lost with the answer. */
static void driver_that_repeats_itself_hears_of_the_end_of_a_client(void **state)
{
	(void)state;
	begin(1);
	shake_hands();
	host_opens(0);
	expect(0, CONSOLE_PORT_OPEN, 1);
	host_closes(0);
	tell(0, CONSOLE_PORT_READY, 1);
	expect(0, CONSOLE_CONSOLE_PORT, 1);
	expect(0, CONSOLE_PORT_OPEN, 0);
	expect_nothing();
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(driver_that_is_not_ready_is_told_nothing),
	UNIT_TEST(ready_driver_is_told_of_every_port_in_order),
	UNIT_TEST(ready_port_is_told_console_name_open_size),
	UNIT_TEST(size_has_rows_first_if_asked_for),
	UNIT_TEST(generic_port_is_told_neither_console_nor_size),
	UNIT_TEST(port_that_is_not_ready_is_told_nothing),
	UNIT_TEST(driver_that_repeats_itself_is_answered_again),
	UNIT_TEST(guest_side_is_what_the_driver_said_last),
	UNIT_TEST(messages_without_sense_are_ignored),
	UNIT_TEST(only_the_first_eight_bytes_of_a_message_count),
	UNIT_TEST(states_that_were_superseded_are_told_once),
	UNIT_TEST(state_that_changes_before_it_is_sent_is_told_as_it_is),
	UNIT_TEST(size_that_is_unknown_or_unwanted_is_not_told),
	UNIT_TEST(size_that_changed_while_it_was_unwanted_is_told_once_it_is_wanted),
	UNIT_TEST(size_that_became_unknown_is_not_told),
	UNIT_TEST(reset_forgets_what_was_to_be_told),
	UNIT_TEST(only_names_are_cut_to_a_small_buffer),
	UNIT_TEST(port_that_failed_is_shut_until_it_is_ready),
	UNIT_TEST(port_that_failed_too_early_is_told_all_the_same),
	UNIT_TEST(driver_that_repeats_itself_hears_of_the_end_of_a_client),
};
UNIT_MAIN(tests)
