/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Ports that come and go, and whose turn it is: VC-032, VC-044 to VC-046, VC-079 to VC-085. */
#include "console_ctrl_rig.h"

/* VC-081 */
static void port_that_comes_late_is_told_when_the_driver_is_ready(void **state)
{
	(void)state;
	begin(N_PORTS);
	rig.console[1].port = NULL;
	adds(1);
	expect_nothing();
	tell(0, CONSOLE_DEVICE_READY, 1);
	removes(2);
	expect(0, CONSOLE_PORT_ADD, 1);
	expect(1, CONSOLE_PORT_ADD, 1);
	expect_nothing();
	adds(2);
	expect(2, CONSOLE_PORT_ADD, 1);
	expect_nothing();
}

/* VC-080: what came and went before the driver heard of it is no news. */
static void port_that_was_not_told_goes_without_a_word(void **state)
{
	(void)state;
	begin_known();
	removes(1);
	expect(1, CONSOLE_PORT_REMOVE, 1);
	for (unsigned int i = 0; i < 3; i++) {
		adds(1);
		removes(1);
	}
	expect_nothing();
}

/* VC-079, VC-080, VC-045 */
static void port_that_was_replaced_is_told_as_removed_and_added(void **state)
{
	(void)state;
	begin_known();
	for (unsigned int i = 0; i < 1000; i++) {
		removes(1);
		adds(1);
	}
	expect(1, CONSOLE_PORT_REMOVE, 1);
	assert_false(rig.console[1].known);
	expect(1, CONSOLE_PORT_ADD, 1);
	assert_true(rig.console[1].known);
	expect_nothing();
	removes(1);
	adds(1);
	removes(1);
	expect(1, CONSOLE_PORT_REMOVE, 1);
	expect_nothing();
}

/* VC-084 */
static void nothing_is_said_of_a_port_that_is_gone(void **state)
{
	(void)state;
	begin_known();
	host_opens(1);
	resize(1, 80, 25);
	removes(1);
	expect(1, CONSOLE_PORT_REMOVE, 1);
	expect_nothing();
	adds(1);
	console_ctrl_host_open_changed(&rig.ctrl, 1);
	console_ctrl_size_changed(&rig.ctrl, 1);
	expect(1, CONSOLE_PORT_ADD, 1);
	expect_nothing();
	tell(1, CONSOLE_PORT_READY, 1);
	expect(1, CONSOLE_CONSOLE_PORT, 1);
	expect(1, CONSOLE_PORT_OPEN, 1);
	expect(1, CONSOLE_RESIZE, 1);
	expect_nothing();
	port_leave(&rig.client);
}

/* VC-085: said before the driver had heard. */
static void late_messages_for_the_port_before_are_ignored(void **state)
{
	(void)state;
	begin_known();
	removes(1);
	assert_false(rig.ports[1].guest_open);
	tell(1, CONSOLE_PORT_READY, 1);
	tell(1, CONSOLE_PORT_OPEN, 1);
	adds(1);
	tell(1, CONSOLE_PORT_READY, 1);
	tell(1, CONSOLE_PORT_OPEN, 1);
	expect(1, CONSOLE_PORT_REMOVE, 1);
	tell(1, CONSOLE_PORT_READY, 1);
	tell(1, CONSOLE_PORT_OPEN, 1);
	assert_false(rig.console[1].ready || rig.ports[1].guest_open);
	expect(1, CONSOLE_PORT_ADD, 1);
	tell(1, CONSOLE_PORT_OPEN, 1);
	expect_nothing();
	assert_false(rig.console[1].ready || rig.ports[1].guest_open);
	tell(1, CONSOLE_PORT_READY, 1);
	tell(1, CONSOLE_PORT_OPEN, 1);
	expect(1, CONSOLE_CONSOLE_PORT, 1);
	expect_nothing();
	assert_true(rig.console[1].ready && rig.ports[1].guest_open);
}

/* A driver may say all it has to say before it has a buffer for an answer. */
static void ready_before_the_port_was_told_counts(void **state)
{
	(void)state;
	begin(1);
	tell(0, CONSOLE_DEVICE_READY, 1);
	tell(0, CONSOLE_PORT_READY, 1);
	tell(0, CONSOLE_PORT_OPEN, 1);
	expect(0, CONSOLE_CONSOLE_PORT, 1);
	expect_nothing();
	assert_true(rig.console[0].known && rig.console[0].guest_open);
}

/* VC-032: after hibernation, ports come and go as after DEVICE_READY. */
static void driver_back_from_hibernation_is_told_of_changes(void **state)
{
	(void)state;
	begin(N_PORTS);
	rig.console[2].port = NULL;
	tell(0, CONSOLE_PORT_READY, 1);
	tell(1, CONSOLE_PORT_READY, 1);
	expect(0, CONSOLE_CONSOLE_PORT, 1);
	expect(1, CONSOLE_CONSOLE_PORT, 1);
	expect_nothing();
	removes(1);
	adds(2);
	expect(2, CONSOLE_PORT_ADD, 1);
	expect(1, CONSOLE_PORT_REMOVE, 1);
	expect_nothing();
}

/* VC-082 */
static void removal_that_waits_is_told_when_the_queue_is_drained(void **state)
{
	(void)state;
	begin_known();
	console_ctrl_port_removed(&rig.ctrl, 1, true);
	expect_nothing();
	adds(1);
	expect_nothing();
	removes(0);
	expect(0, CONSOLE_PORT_REMOVE, 1);
	expect_nothing();
	console_ctrl_drained(&rig.ctrl, 1);
	expect(1, CONSOLE_PORT_REMOVE, 1);
	expect(1, CONSOLE_PORT_ADD, 1);
	expect_nothing();
}

/* However often a port's state changes, the others have their turn. */
static void ports_are_told_in_turn(void **state)
{
	(void)state;
	begin_known();
	resize(0, 80, 25);
	resize(1, 80, 25);
	resize(2, 80, 25);
	expect(0, CONSOLE_RESIZE, 1);
	resize(0, 80, 26);
	expect(1, CONSOLE_RESIZE, 1);
	resize(0, 80, 27);
	resize(1, 80, 27);
	expect(2, CONSOLE_RESIZE, 1);
	expect(0, CONSOLE_RESIZE, 1);
	expect(1, CONSOLE_RESIZE, 1);
	expect_nothing();
}

/* VC-046: what has to wait for a larger buffer holds up nobody else. */
static void postponed_message_lets_others_pass(void **state)
{
	(void)state;
	begin_known();
	resize(1, 80, 25);
	resize(2, 80, 25);
	console_ctrl_postpone(&rig.ctrl);
	expect(2, CONSOLE_RESIZE, 1);
	expect(1, CONSOLE_RESIZE, 1);
	console_ctrl_postpone(&rig.ctrl);
	console_ctrl_sent(&rig.ctrl);
	expect_nothing();
}

/* VC-079: numbers that the driver was not told to have. */
static void ports_past_the_limit_are_not_told(void **state)
{
	(void)state;
	begin(N_PORTS);
	rig.ctrl.limit = 2;
	tell(0, CONSOLE_DEVICE_READY, 1);
	expect(0, CONSOLE_PORT_ADD, 1);
	expect(1, CONSOLE_PORT_ADD, 1);
	expect_nothing();
	tell(2, CONSOLE_PORT_READY, 1);
	tell(2, CONSOLE_PORT_OPEN, 1);
	removes(2);
	adds(2);
	expect_nothing();
	assert_false(rig.console[2].ready || rig.console[2].guest_open);
}

/* VC-027, VC-088 */
static void new_driver_waits_for_no_queue_of_the_one_before(void **state)
{
	(void)state;
	begin_known();
	console_ctrl_port_removed(&rig.ctrl, 1, true);
	adds(1);
	tell(0, CONSOLE_DEVICE_READY, 1);
	for (uint32_t p = 0; p < N_PORTS; p++)
		expect(p, CONSOLE_PORT_ADD, 1);
	expect_nothing();
}

/* VC-080: what the driver before knew is not removed from the one that starts. */
static void new_driver_is_not_told_of_removals_before_it(void **state)
{
	(void)state;
	begin_known();
	console_ctrl_reset(&rig.ctrl);
	tell(0, CONSOLE_PORT_READY, 1);
	expect(0, CONSOLE_CONSOLE_PORT, 1);
	removes(1);
	expect_nothing();
}

/* Nothing of it was told, so nothing has to be given back first. */
static void port_that_was_not_told_goes_without_waiting(void **state)
{
	(void)state;
	begin(N_PORTS);
	tell(0, CONSOLE_DEVICE_READY, 1);
	console_ctrl_port_removed(&rig.ctrl, 0, true);
	adds(0);
	for (uint32_t p = 0; p < N_PORTS; p++)
		expect(p, CONSOLE_PORT_ADD, 1);
	expect_nothing();
}

/* VC-050: a port begins as closed on both sides, whatever the one before was. */
static void port_that_comes_back_begins_closed(void **state)
{
	(void)state;
	begin_known();
	host_opens(1);
	expect(1, CONSOLE_PORT_OPEN, 1);
	removes(1);
	port_leave(&rig.client);
	adds(1);
	expect(1, CONSOLE_PORT_REMOVE, 1);
	expect(1, CONSOLE_PORT_ADD, 1);
	tell(1, CONSOLE_PORT_READY, 1);
	expect(1, CONSOLE_CONSOLE_PORT, 1);
	expect_nothing();
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(port_that_comes_late_is_told_when_the_driver_is_ready),
	UNIT_TEST(port_that_was_not_told_goes_without_a_word),
	UNIT_TEST(port_that_was_replaced_is_told_as_removed_and_added),
	UNIT_TEST(nothing_is_said_of_a_port_that_is_gone),
	UNIT_TEST(late_messages_for_the_port_before_are_ignored),
	UNIT_TEST(ready_before_the_port_was_told_counts),
	UNIT_TEST(driver_back_from_hibernation_is_told_of_changes),
	UNIT_TEST(removal_that_waits_is_told_when_the_queue_is_drained),
	UNIT_TEST(ports_are_told_in_turn),
	UNIT_TEST(postponed_message_lets_others_pass),
	UNIT_TEST(ports_past_the_limit_are_not_told),
	UNIT_TEST(new_driver_waits_for_no_queue_of_the_one_before),
	UNIT_TEST(new_driver_is_not_told_of_removals_before_it),
	UNIT_TEST(port_that_was_not_told_goes_without_waiting),
	UNIT_TEST(port_that_comes_back_begins_closed),
};
UNIT_MAIN(tests)
