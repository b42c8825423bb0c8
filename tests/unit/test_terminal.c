/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The attachment "terminal" over a terminal of our own, and over what is none. */
#include "terminal_rig.h"

static void terminal_is_raw_only_while_a_guest_is_there(void **state)
{
	(void)state;
	begin("~.");
	assert_true(is_cooked());
	port_set_present(&rig.port, true);
	assert_true(is_raw());
	port_set_present(&rig.port, false);
	assert_true(is_cooked());
	port_set_present(&rig.port, true);
	assert_true(is_raw());
	end();
	assert_true(is_cooked());
}

static void paste_of_any_bytes_arrives_exactly_at_the_guests_pace(void **state)
{
	static uint8_t bytes[N_BYTES], got[N_BYTES];
	size_t n_sent = 0, n_got = 0;
	time_t deadline = rig_seconds() + DEADLINE_SECONDS;

	(void)state;
	begin("none");
	port_set_present(&rig.port, true);
	rig_fill(bytes, sizeof(bytes));
	while (n_got < sizeof(got)) {
		ssize_t n = write(master, bytes + n_sent, sizeof(bytes) - n_sent);

		n_sent += n > 0 ? (size_t)n : 0;
		rig_step_before(deadline);
		if (rig_random() % 4 == 0)
			n_got += rig_take(got + n_got, sizeof(got) - n_got);
	}
	assert_memory_equal(got, bytes, sizeof(got));
	rig_step_quietly();
	assert_int_equal(port_input_pending(&rig.port), 0);
	end();
}

/* More than the port holds, and nobody takes it: the rest stays in the terminal. */
static void paste_beyond_the_ports_room_waits_and_loses_nothing(void **state)
{
	static uint8_t bytes[3 * N_BYTES], got[3 * N_BYTES];
	size_t n_sent = 0, n_got = 0;
	time_t deadline = rig_seconds() + DEADLINE_SECONDS;
	unsigned int n_refused = 0;

	(void)state;
	begin("none");
	port_set_present(&rig.port, true);
	rig_fill(bytes, sizeof(bytes));
	while (n_refused < QUIET_STEPS) {
		ssize_t n = write(master, bytes + n_sent, sizeof(bytes) - n_sent);

		n_sent += n > 0 ? (size_t)n : 0;
		assert_true(n_sent < sizeof(bytes));
		if (n <= 0 && port_input_pending(&rig.port) == PORT_INPUT_SIZE)
			n_refused++;
		rig_step_before(deadline);
	}
	while (n_got < sizeof(got)) {
		ssize_t n = write(master, bytes + n_sent, sizeof(bytes) - n_sent);

		n_sent += n > 0 ? (size_t)n : 0;
		n_got += rig_take(got + n_got, sizeof(got) - n_got);
		rig_step_before(deadline);
	}
	assert_memory_equal(got, bytes, sizeof(got));
	end();
}

static void output_of_any_bytes_reaches_a_slow_terminal_exactly(void **state)
{
	static uint8_t bytes[N_BYTES], got[N_BYTES];

	(void)state;
	begin("~.");
	port_set_present(&rig.port, true);
	rig_fill(bytes, sizeof(bytes));
	rig_output(bytes, sizeof(bytes));
	rig_read_all(master, got, sizeof(got), PIECE);
	assert_memory_equal(got, bytes, sizeof(got));
	rig_step_quietly();
	assert_int_equal(read(master, got, sizeof(got)), -1);
	end();
}

static void keys_typed_before_the_guest_wait_in_the_terminal(void **state)
{
	(void)state;
	begin("~.");
	type("early\r");
	rig_expect_output(master, "early\r\n"); /* its echo: the terminal has it */
	rig_step_quietly();
	assert_int_equal(port_input_pending(&rig.port), 0);
	port_set_present(&rig.port, true);
	rig_expect_input("early\n"); /* as edited lines end */
	type("raw\r\003");
	rig_expect_input("raw\r\003");
	port_set_present(&rig.port, false);
	rig_expect_output(master, "\r\n"); /* off the guest's last line */
	type("between\r");
	rig_expect_output(master, "between\r\n");
	rig_step_quietly();
	assert_int_equal(port_input_pending(&rig.port), 0);
	port_set_present(&rig.port, true);
	rig_expect_input("between\n");
	end();
}

static void escape_when_typed_asks_to_leave_once(void **state)
{
	(void)state;
	begin("~.");
	port_set_present(&rig.port, true);
	type("x\r");
	rig_expect_input("x\r");
	type("~");
	rig_step_quietly();
	assert_int_equal(rig.n_quit, 0);
	assert_int_equal(port_input_pending(&rig.port), 0);
	type(".");
	PUMP_UNTIL(rig.n_quit > 0);
	type("behind");
	rig_step_quietly();
	assert_int_equal(rig.n_quit, 1);
	assert_int_equal(port_input_pending(&rig.port), 0);
	end();
	assert_true(is_cooked());
}

static void escape_within_a_paste_is_the_guests(void **state)
{
	static const char paste[] = "a line, and one that looks like leaving\r~.\rand a third\r";

	(void)state;
	begin("~.");
	port_set_present(&rig.port, true);
	type(paste);
	rig_expect_input(paste);
	assert_int_equal(rig.n_quit, 0);
	end();
}

static void input_at_its_end_leaves_output_and_the_writers_role(void **state)
{
	(void)state;
	for (unsigned int piped = 0; piped < 2; piped++) {
		int reader = begin_piped(piped ? closed_pipe()
					       : open("/dev/null", O_RDONLY | O_CLOEXEC));
		struct port_client other;

		PUMP_UNTIL(!rig.port.writer);
		assert_int_equal(rig.port.n_clients, 1);
		assert_int_equal(rig.n_quit, 0);
		rig_output("still here", 10);
		rig_expect_output(reader, "still here");
		port_join(&rig.port, &other, &deaf, &writer);
		assert_true(port_is_writer(&other));
		port_leave(&other);
		end();
		close(reader);
	}
}

/* No terminal, no escape and no waiting for a guest: a script's bytes are typed ahead. */
static void piped_input_goes_in_unchanged_and_ends(void **state)
{
	int in[2], reader;

	(void)state;
	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	reader = begin_piped(in[0]);
	assert_int_equal(rig.port.cols, 0);
	assert_int_equal(write(in[1], "\n~.\n", 4), 4);
	rig_expect_input("\n~.\n");
	assert_int_equal(rig.n_quit, 0);
	close(in[1]);
	PUMP_UNTIL(!rig.port.writer);
	end();
	close(reader);
}

static void output_to_nobody_is_given_up_and_close_completes(void **state)
{
	(void)state;
	for (unsigned int late = 0; late < 2; late++) {
		int reader = begin_piped(closed_pipe());

		close(reader);
		rig_output("lost", 4);
		if (!late) /* close finds it given up, or notices it itself */
			rig_step_quietly();
		end();
		assert_int_equal(rig.n_closed, 1);
	}
}

static void close_writes_what_is_left_first(void **state)
{
	static uint8_t bytes[N_BYTES], got[N_BYTES];
	int reader = begin_piped(closed_pipe());

	(void)state;
	rig_fill(bytes, sizeof(bytes));
	rig_output(bytes, sizeof(bytes));
	rig_close();
	rig_step_quietly();
	assert_int_equal(rig.n_closed, 0); /* the reader has not begun */
	rig_read_all(reader, got, sizeof(got), PIECE);
	assert_memory_equal(got, bytes, sizeof(got));
	rig_end();
	close(reader);
}

static void close_of_a_terminal_writes_what_is_left_first(void **state)
{
	static uint8_t bytes[N_BYTES], got[N_BYTES];

	(void)state;
	begin("~.");
	port_set_present(&rig.port, true);
	rig_fill(bytes, sizeof(bytes));
	rig_output(bytes, sizeof(bytes));
	rig_close();
	rig_step_quietly();
	assert_int_equal(rig.n_closed, 0);
	assert_true(is_raw()); /* the guest's bytes are not to be cooked */
	rig_read_all(master, got, sizeof(got), PIECE);
	assert_memory_equal(got, bytes, sizeof(got));
	rig_end();
	assert_true(is_cooked());
}

static void hurry_ends_a_close_that_nobody_reads(void **state)
{
	static uint8_t bytes[N_BYTES];
	int reader = begin_piped(closed_pipe());

	(void)state;
	rig_output(bytes, sizeof(bytes));
	rig_close();
	rig_step_quietly();
	assert_int_equal(rig.n_closed, 0);
	rig.attachment->ops->hurry(rig.attachment);
	rig_end();
	close(reader);
}

static void hurry_ends_a_close_that_a_stuck_terminal_holds_up(void **state)
{
	static uint8_t bytes[N_BYTES];

	(void)state;
	begin("~.");
	port_set_present(&rig.port, true);
	rig_output(bytes, sizeof(bytes));
	rig_close();
	rig_step_quietly();
	assert_int_equal(rig.n_closed, 0);
	rig.attachment->ops->hurry(rig.attachment);
	rig_end();
	assert_true(is_cooked());
}

static void size_is_the_terminals_and_follows_it(void **state)
{
	struct winsize size = { .ws_col = 132, .ws_row = 43 };

	(void)state;
	begin("~.");
	assert_int_equal(rig.port.cols, 91);
	assert_int_equal(rig.port.rows, 27);
	rig.attachment->ops->terminal_changed(rig.attachment);
	assert_int_equal(rig.n_size, 1); /* the same again */
	assert_int_equal(ioctl(master, TIOCSWINSZ, &size), 0);
	rig.attachment->ops->terminal_changed(rig.attachment);
	assert_int_equal(rig.n_size, 2);
	assert_int_equal(rig.port.cols, 132);
	assert_int_equal(rig.port.rows, 43);
	end();
}

static const struct CMUnitTest tests[] = {
	TEST(terminal_is_raw_only_while_a_guest_is_there),
	TEST(paste_of_any_bytes_arrives_exactly_at_the_guests_pace),
	TEST(paste_beyond_the_ports_room_waits_and_loses_nothing),
	TEST(output_of_any_bytes_reaches_a_slow_terminal_exactly),
	TEST(keys_typed_before_the_guest_wait_in_the_terminal),
	TEST(escape_when_typed_asks_to_leave_once),
	TEST(escape_within_a_paste_is_the_guests),
	TEST(input_at_its_end_leaves_output_and_the_writers_role),
	TEST(piped_input_goes_in_unchanged_and_ends),
	TEST(output_to_nobody_is_given_up_and_close_completes),
	TEST(close_writes_what_is_left_first),
	TEST(close_of_a_terminal_writes_what_is_left_first),
	TEST(hurry_ends_a_close_that_nobody_reads),
	TEST(hurry_ends_a_close_that_a_stuck_terminal_holds_up),
	TEST(size_is_the_terminals_and_follows_it),
};
UNIT_MAIN(tests)
