/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The attachment "log": what is written, rotation, reopening, and disks that are full. */
#include "log_file_rig.h"

/* What is written */

static void output_of_any_bytes_is_logged_exactly(void **state)
{
	static uint8_t bytes[N_BYTES];

	(void)state;
	begin();
	rig_fill(bytes, sizeof(bytes));
	rig_output(bytes, sizeof(bytes));
	end();
	assert_int_equal(read_log(path), sizeof(bytes));
	assert_memory_equal(text, bytes, sizeof(bytes));
}

static void log_alone_does_not_open_the_host_side(void **state)
{
	(void)state;
	begin();
	assert_false(port_host_open(&rig.port));
	assert_int_equal(rig.port.n_clients, 1);
	assert_null(rig.port.writer);
	end();
}

static void log_goes_on_behind_what_was_there(void **state)
{
	(void)state;
	begin();
	say("before\n");
	end();
	begin();
	say("after\n");
	expect_log("before\nafter\n");
	end();
}

static void log_does_not_repeat_what_came_before_it(void **state)
{
	(void)state;
	set_up();
	say("before\n");
	open_log();
	say("after\n");
	expect_log("after\n");
	end();
}

static void timestamps_stand_at_the_start_of_lines(void **state)
{
	(void)state;
	set_up();
	rig.options.timestamps = true;
	open_log();
	say("one\r\ntw");
	say("o\n");
	end();
	read_log(path);
	expect_pattern("^" TIME " one\r\n" TIME " two\n$");
}

static void front_ends_are_delimited(void **state)
{
	(void)state;
	begin();
	port_set_present(&rig.port, true);
	say("boot 1\nlogin: ");
	port_set_present(&rig.port, false);
	port_set_present(&rig.port, true);
	say("boot 2\n");
	end();
	read_log(path);
	expect_pattern("^--- front-end connected " TIME " ---\nboot 1\nlogin: \n"
		       "--- front-end disconnected " TIME " ---\n"
		       "--- front-end connected " TIME " ---\nboot 2\n$");
}

static void delimiter_after_a_crash_is_on_a_line_of_its_own(void **state)
{
	(void)state;
	begin();
	say("half a line");
	end();
	begin();
	port_set_present(&rig.port, true);
	end();
	read_log(path);
	expect_pattern("^half a line\n--- front-end connected " TIME " ---\n$");
}

static void opening_by_the_guest_is_no_delimiter(void **state)
{
	(void)state;
	begin();
	port_set_guest_open(&rig.port, true);
	port_set_guest_open(&rig.port, false);
	end();
	assert_int_equal(file_size(path), 0);
}

/* Input */

static void input_is_not_logged_by_default(void **state)
{
	(void)state;
	begin_recording(OUTPUT);
	type("secret\r");
	say("Password: ");
	settle();
	end_recording();
	read_log(path);
	assert_string_equal(text, "Password: ");
}

static void both_are_told_apart_and_in_order(void **state)
{
	(void)state;
	begin_recording(BOTH);
	say("login: ");
	type("ro");
	type("ot\r");
	say("root\r\nPassword: ");
	type("x\ry\r\nz\n");
	say("\r\n");
	end_recording();
	read_log(path);
	assert_string_equal(text,
			    "< login: \n> root\n< root\r\n< Password: \n> x\n> y\n> z\n< \r\n");
}

static void input_alone_leaves_output_out_and_holds_nothing(void **state)
{
	static uint8_t bytes[HISTORY];

	(void)state;
	begin_recording(INPUT);
	rig.port.overflow = PORT_HOLD;
	rig_output(bytes, sizeof(bytes));
	assert_true(port_output_room(&rig.port) >= HISTORY);
	type("ls\33[D\r");
	expect_log("> ls\\x1b[D\n");
	end_recording();
}

static void unfinished_input_is_logged_at_the_end(void **state)
{
	(void)state;
	begin_recording(BOTH);
	type("unfinished");
	settle();
	assert_int_equal(file_size(path), 0);
	end_recording();
	read_log(path);
	assert_string_equal(text, "> unfinished\n");
}

static void endless_input_is_split_into_lines(void **state)
{
	static char keys[1001];

	(void)state;
	begin_recording(INPUT);
	memset(keys, 'k', sizeof(keys) - 1);
	type(keys);
	end_recording();
	assert_int_equal(read_log(path), 1000 + 4 * strlen("> \n"));
}

/* Errors */

static void full_disk_is_survived_and_the_loss_is_told(void **state)
{
	static uint8_t bytes[2 * LIMIT];
	uint64_t idle;

	(void)state;
	begin();
	settle();
	idle = n_in_flight();
	memset(bytes, 'x', sizeof(bytes));
	set_limit(LIMIT);
	rig_output(bytes, sizeof(bytes));
	PUMP_UNTIL(failing() && n_in_flight() == idle);
	say("lost as well");
	rig_step_quietly();
	PUMP_UNTIL(n_in_flight() == idle);
	assert_int_equal(file_size(path), LIMIT);
	unlimit();
	say("back\n");
	PUMP_UNTIL(file_size(path) > LIMIT);
	settle();
	end();
	read_log(path);
	assert_string_equal(text + LIMIT, "\n[10012 bytes lost]\nback\n");
}

static void loss_is_told_at_the_end_when_nothing_comes_after_it(void **state)
{
	static uint8_t bytes[LIMIT + 100];

	(void)state;
	begin();
	memset(bytes, 'x', sizeof(bytes));
	set_limit(LIMIT);
	rig_output(bytes, sizeof(bytes));
	PUMP_UNTIL(failing());
	unlimit();
	end();
	read_log(path);
	assert_string_equal(text + LIMIT, "\n[100 bytes lost]\n");
}

static void full_disk_holds_up_no_guest(void **state)
{
	static uint8_t bytes[HISTORY];

	(void)state;
	set_up();
	rig.port.console = false;
	rig.port.overflow = PORT_HOLD;
	assert_int_equal(rig_open(ATTACHMENT_log_file, "/dev/full"), 0);
	for (unsigned int i = 0; i < 5; i++) {
		rig_output(bytes, sizeof(bytes));
		PUMP_UNTIL(port_output_room(&rig.port) == HISTORY);
	}
	end();
}

static void hold_port_waits_for_its_log(void **state)
{
	static uint8_t bytes[HISTORY];
	uint64_t n_output = 0;

	(void)state;
	set_up();
	rig.port.console = false;
	rig.port.overflow = PORT_HOLD;
	open_log();
	rig_fill(bytes, sizeof(bytes));
	while (n_output < 3 * HISTORY) {
		uint64_t room = min_u64(port_output_room(&rig.port), sizeof(bytes));

		rig_output(bytes, room);
		n_output += room;
		rig_step();
	}
	end();
	assert_int_equal(read_log(path), n_output);
	assert_int_equal(rig.port.counters.output_lost, 0);
}

/* A console does not wait: what came too fast for the log is counted in it. */
static void output_that_came_too_fast_is_told_as_lost(void **state)
{
	static uint8_t bytes[HISTORY];

	(void)state;
	begin();
	memset(bytes, 'x', sizeof(bytes));
	for (unsigned int i = 0; i < 3; i++)
		rig_output(bytes, sizeof(bytes));
	end();
	read_log(path);
	expect_pattern("^x+\n\\[[1-9][0-9]* bytes lost\\]\nx+$");
}

static void close_with_a_full_disk_completes(void **state)
{
	(void)state;
	set_up();
	assert_int_equal(rig_open(ATTACHMENT_log_file, "/dev/full"), 0);
	say("x");
	end();
}

static void hurry_before_close_leaves_the_rest(void **state)
{
	static uint8_t bytes[HISTORY];

	(void)state;
	begin();
	rig_output(bytes, sizeof(bytes));
	rig.attachment->ops->hurry(rig.attachment);
	end();
}

static const struct CMUnitTest tests[] = {
	TEST(output_of_any_bytes_is_logged_exactly),
	TEST(log_alone_does_not_open_the_host_side),
	TEST(log_goes_on_behind_what_was_there),
	TEST(log_does_not_repeat_what_came_before_it),
	TEST(timestamps_stand_at_the_start_of_lines),
	TEST(front_ends_are_delimited),
	TEST(delimiter_after_a_crash_is_on_a_line_of_its_own),
	TEST(opening_by_the_guest_is_no_delimiter),
	TEST(input_is_not_logged_by_default),
	TEST(both_are_told_apart_and_in_order),
	TEST(input_alone_leaves_output_out_and_holds_nothing),
	TEST(unfinished_input_is_logged_at_the_end),
	TEST(endless_input_is_split_into_lines),
	TEST(full_disk_is_survived_and_the_loss_is_told),
	TEST(loss_is_told_at_the_end_when_nothing_comes_after_it),
	TEST(full_disk_holds_up_no_guest),
	TEST(hold_port_waits_for_its_log),
	TEST(output_that_came_too_fast_is_told_as_lost),
	TEST(close_with_a_full_disk_completes),
	TEST(hurry_before_close_leaves_the_rest),
};
UNIT_MAIN(tests)
