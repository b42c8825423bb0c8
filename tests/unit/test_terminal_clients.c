/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The attachment "terminal" among others, and how it comes and goes. */
#include "terminal_rig.h"

static void open_with_a_bad_escape_fails_and_says_why(void **state)
{
	(void)state;
	rig_begin();
	make_terminal();
	rig.options.escape = "";
	assert_int_equal(rig_open(ATTACHMENT_terminal, NULL), -EINVAL);
	assert_non_null(strstr(rig.why, "--escape"));
	assert_int_equal(rig.port.n_clients, 0);
	assert_true(is_cooked());
	port_fini(&rig.port);
	loop_free(rig.loop);
}

/* VC-067 */
static void output_that_fails_holds_up_no_guest(void **state)
{
	static uint8_t bytes[2 * N_BYTES];
	int reader;

	(void)state;
	reader = begin_piped(closed_pipe());
	rig.port.overflow = PORT_HOLD;
	close(reader);
	rig_output(bytes, HISTORY); /* is on its way */
	rig_output(bytes, HISTORY);
	assert_int_equal(port_output_room(&rig.port), 0);
	port_output_stalled(&rig.port);
	PUMP_UNTIL(rig.n_room > 0);
	rig_output(bytes, HISTORY);
	assert_int_equal(port_output_room(&rig.port), HISTORY);
	end();
}

static void second_terminal_is_refused_until_the_first_is_closed(void **state)
{
	struct attachment *second;

	(void)state;
	begin("~.");
	assert_int_equal(rig_open_more(ATTACHMENT_terminal, NULL, &second), -EBUSY);
	assert_non_null(strstr(rig.why, "one terminal"));
	assert_int_equal(rig.port.n_clients, 1);
	rig_close();
	PUMP_UNTIL(rig.n_closed > 0);
	rig.n_closed = 0;
	open_terminal("~.");
	end();
}

/* Types, and waits until the terminal was read. */
static void type_and_be_read(const char *keys)
{
	uint64_t before;

	rig_step_quietly(); /* nothing else is under way */
	before = loop_counters(rig.loop).n_completions;
	type(keys);
	PUMP_UNTIL(loop_counters(rig.loop).n_completions > before);
}

static void keys_are_dropped_while_another_has_the_keyboard(void **state)
{
	struct port_client thief;

	(void)state;
	begin("~.");
	port_set_present(&rig.port, true);
	port_join(&rig.port, &thief, &deaf, &writer);
	rig_expect_output(master, "\r\n[the keyboard was taken over by another client]\r\n");
	type_and_be_read("nobody hears\r");
	assert_int_equal(port_input_pending(&rig.port), 0);
	port_leave(&thief);
	type("this\r");
	rig_expect_input("this\r");
	end();
}

static void keys_that_waited_for_room_go_with_the_keyboard(void **state)
{
	static uint8_t full[PORT_INPUT_SIZE];
	struct port_client thief;

	(void)state;
	begin("~.");
	port_set_present(&rig.port, true);
	assert_int_equal(port_input(&rig.port, full, sizeof(full)), sizeof(full));
	type_and_be_read("waits\r");
	port_join(&rig.port, &thief, &deaf, &writer);
	assert_int_equal(port_take_input(&rig.port, full, sizeof(full)), sizeof(full));
	rig_step_quietly();
	port_leave(&thief);
	type("new\r");
	rig_expect_input("new\r");
	end();
}

static void read_only_terminal_has_the_escape_and_no_other_keys(void **state)
{
	(void)state;
	rig_begin();
	rig.options.ro = true;
	make_terminal();
	open_terminal("~.");
	port_set_present(&rig.port, true);
	assert_true(is_raw());
	type("x\r");
	rig_step_quietly();
	assert_null(rig.port.writer);
	assert_int_equal(port_input_pending(&rig.port), 0);
	assert_int_equal(rig.n_quit, 0);
	type("~.");
	PUMP_UNTIL(rig.n_quit > 0);
	end();
}

static void old_output_is_shown_as_far_as_asked(void **state)
{
	(void)state;
	rig_begin();
	rig.options.replay = (struct option_maybe){ .set = true, .value = 5 };
	rig_output("older, newer", 12);
	make_terminal();
	open_terminal("~.");
	port_set_present(&rig.port, true);
	rig_output("!", 1);
	rig_expect_output(master, "newer!");
	end();
}

static void terminal_added_while_a_guest_is_there_is_raw_at_once(void **state)
{
	(void)state;
	rig_begin();
	port_set_present(&rig.port, true);
	make_terminal();
	open_terminal("~.");
	assert_true(is_raw());
	type("k");
	rig_expect_input("k");
	end();
	assert_true(is_cooked());
}

static void disconnect_gives_the_terminal_back_and_close_still_works(void **state)
{
	char text[128];

	(void)state;
	begin("~.");
	port_set_present(&rig.port, true);
	rig.port.writer->ops->disconnect(rig.port.writer, "asked to");
	PUMP_UNTIL(rig.port.n_clients == 0);
	assert_true(is_cooked());
	rig_describe(text, sizeof(text));
	assert_string_equal(text, "this terminal, disconnected");
	rig.attachment->ops->terminal_changed(rig.attachment);
	rig_close();
	assert_int_equal(rig.n_closed, 0); /* never from within close() */
	rig_end();
}

static void hurry_before_close_leaves_the_rest_unwritten(void **state)
{
	static uint8_t bytes[N_BYTES];
	int reader = begin_piped(closed_pipe());

	(void)state;
	rig_output(bytes, sizeof(bytes));
	rig.attachment->ops->hurry(rig.attachment);
	rig_close();
	rig_end();
	close(reader);
}

static const struct CMUnitTest tests[] = {
	TEST(open_with_a_bad_escape_fails_and_says_why),
	TEST(output_that_fails_holds_up_no_guest),
	TEST(second_terminal_is_refused_until_the_first_is_closed),
	TEST(keys_are_dropped_while_another_has_the_keyboard),
	TEST(keys_that_waited_for_room_go_with_the_keyboard),
	TEST(read_only_terminal_has_the_escape_and_no_other_keys),
	TEST(old_output_is_shown_as_far_as_asked),
	TEST(terminal_added_while_a_guest_is_there_is_raw_at_once),
	TEST(disconnect_gives_the_terminal_back_and_close_still_works),
	TEST(hurry_before_close_leaves_the_rest_unwritten),
};
UNIT_MAIN(tests)
