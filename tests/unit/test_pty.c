/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The attachment "pty": its link, who has it open, and bytes both ways. */
#include "pty_rig.h"

#include <sys/wait.h>

enum { N_ROUNDS = 50 };

static void host_is_open_exactly_while_somebody_has_the_slave_open(void **state)
{
	int fd, second;

	(void)state;
	begin();
	rig_step_quietly();
	assert_false(port_host_open(&rig.port));
	fd = open_and_join();
	assert_true(port_host_open(&rig.port));
	second = open_slave();
	close(fd);
	rig_step_quietly();
	assert_true(port_host_open(&rig.port));
	close_and_leave(second);
	assert_false(port_host_open(&rig.port));
	assert_int_equal(rig.n_open, 2);
	end();
}

static void output_before_anybody_opens_is_replayed_to_the_first(void **state)
{
	int fd;

	(void)state;
	begin();
	rig_output("early", 5);
	rig_step_quietly();
	fd = open_slave();
	rig_expect_output(fd, "early");
	close_and_leave(fd);
	end();
}

static void each_opener_of_a_console_begins_with_all_output(void **state)
{
	uint64_t n_output = 0;

	(void)state;
	begin();
	for (unsigned int i = 0; i < N_ROUNDS; i++) {
		static uint8_t got[8 * N_ROUNDS];
		char text[9];
		int fd;

		snprintf(text, sizeof(text), "round%03u", i);
		rig_output(text, 8);
		n_output += 8;
		fd = open_slave();
		rig_read_all(fd, got, n_output, PIECE);
		assert_memory_equal(got + n_output - 8, text, 8);
		rig_step_quietly();
		assert_int_equal(read(fd, got, sizeof(got)), -1);
		close_and_leave(fd);
	}
	end();
}

/* What one left unread is not the next one's: it would come twice, or with a gap. */
static void remainder_of_one_is_not_read_by_the_next(void **state)
{
	static uint8_t bytes[N_BYTES], got[N_BYTES];
	int fd;

	(void)state;
	rig_begin();
	rig.port.console = false; /* bytes as they are, even old ones */
	rig.options.replay = (struct option_maybe){ .set = true, .value = PORT_REPLAY_ALL };
	if (rig_open(ATTACHMENT_pty, link_path) < 0)
		fail_msg("%s", rig.why);
	rig_fill(bytes, sizeof(bytes));
	rig_output(bytes, sizeof(bytes));
	fd = open_slave();
	rig_read_all(fd, got, PIECE, PIECE);
	rig_step_quietly();
	close_and_leave(fd);
	fd = open_slave();
	rig_read_all(fd, got, sizeof(got), PIECE);
	assert_memory_equal(got, bytes, sizeof(got));
	close_and_leave(fd);
	end();
}

/* No step between close and open: it is one session, and nothing of it is missing. */
static void reopened_at_once_goes_on_without_loss(void **state)
{
	int fd;

	(void)state;
	rig_begin_lossless();
	if (rig_open(ATTACHMENT_pty, link_path) < 0)
		fail_msg("%s", rig.why);
	fd = open_and_join();
	for (unsigned int i = 0; i < N_ROUNDS; i++) {
		close(fd);
		rig_output("between", 7);
		fd = open_slave();
		rig_expect_output(fd, "between");
	}
	close_and_leave(fd);
	end();
}

static void bytes_of_any_value_pass_exactly_both_ways(void **state)
{
	static uint8_t bytes[N_BYTES], typed[N_BYTES], got[N_BYTES], taken[N_BYTES];
	size_t n_sent = 0, n_got = 0, n_taken = 0;
	time_t deadline = rig_seconds() + DEADLINE_SECONDS;
	int fd;

	(void)state;
	begin();
	fd = open_and_join();
	rig_fill(bytes, sizeof(bytes));
	rig_fill(typed, sizeof(typed));
	rig_output(bytes, sizeof(bytes));
	while (n_got < sizeof(got) || n_taken < sizeof(taken)) {
		ssize_t n = write(fd, typed + n_sent, min_size(PIECE, sizeof(typed) - n_sent));

		n_sent += n > 0 ? (size_t)n : 0;
		n = read(fd, got + n_got, min_size(PIECE, sizeof(got) - n_got));
		n_got += n > 0 ? (size_t)n : 0;
		n_taken += rig_take(taken + n_taken, sizeof(taken) - n_taken);
		rig_step_before(deadline);
	}
	assert_memory_equal(got, bytes, sizeof(got));
	assert_memory_equal(taken, typed, sizeof(taken));
	close_and_leave(fd);
	end();
}

/* As by "echo text > LINK": it is gone before we look. */
static void input_of_one_who_has_left_already_counts(void **state)
{
	int fd;

	(void)state;
	begin();
	fd = open_slave();
	say(fd, "hello\n");
	close(fd);
	rig_expect_input("hello\n");
	PUMP_UNTIL(rig.port.n_clients == 0);
	end();
}

static void input_waits_for_a_slow_guest_after_its_writer_has_left(void **state)
{
	static uint8_t full[PORT_INPUT_SIZE];
	int fd;

	(void)state;
	begin();
	fd = open_and_join();
	assert_int_equal(port_input(&rig.port, full, sizeof(full)), sizeof(full));
	say(fd, "waits");
	rig_step_quietly();
	close(fd);
	rig_step_quietly();
	assert_int_equal(rig.port.n_clients, 1);
	/* Nobody is there to read: it is not held for them. VC-067 */
	rig.port.overflow = PORT_HOLD;
	rig_output(full, HISTORY);
	PUMP_UNTIL(port_output_room(&rig.port) > 0);
	assert_int_equal(port_take_input(&rig.port, full, sizeof(full)), sizeof(full));
	rig_expect_input("waits");
	PUMP_UNTIL(rig.port.n_clients == 0);
	end();
}

/* The one before is gone but for its input; the new one is a new client all the same. */
static void opener_is_new_while_the_last_ones_input_waits(void **state)
{
	static uint8_t full[PORT_INPUT_SIZE];
	int fd;

	(void)state;
	begin();
	fd = open_and_join();
	assert_int_equal(port_input(&rig.port, full, sizeof(full)), sizeof(full));
	say(fd, "waits");
	rig_step_quietly();
	close(fd);
	rig_output("unseen", 6);
	fd = open_slave();
	rig_expect_output(fd, "unseen");
	assert_int_equal(port_take_input(&rig.port, full, sizeof(full)), sizeof(full));
	rig_expect_input("waits");
	close_and_leave(fd);
	end();
}

static void hold_port_waits_for_a_reader_that_is_slow(void **state)
{
	static uint8_t bytes[HISTORY], got[HISTORY];
	int fd;

	(void)state;
	rig_begin_lossless();
	if (rig_open(ATTACHMENT_pty, link_path) < 0)
		fail_msg("%s", rig.why);
	fd = open_and_join();
	rig_fill(bytes, sizeof(bytes));
	rig_output(bytes, sizeof(bytes));
	rig_step_quietly();
	assert_true(port_output_room(&rig.port) < HISTORY);
	rig_read_all(fd, got, sizeof(got), PIECE);
	assert_memory_equal(got, bytes, sizeof(got));
	assert_int_equal(rig.port.counters.output_lost, 0);
	close_and_leave(fd);
	end();
}

static void reader_that_leaves_in_the_middle_lets_the_guest_go_on(void **state)
{
	static uint8_t bytes[HISTORY];
	int fd;

	(void)state;
	rig_begin_lossless();
	if (rig_open(ATTACHMENT_pty, link_path) < 0)
		fail_msg("%s", rig.why);
	fd = open_and_join();
	rig_output(bytes, sizeof(bytes));
	rig_step_quietly();
	assert_true(port_output_room(&rig.port) < HISTORY);
	port_output_stalled(&rig.port);
	close_and_leave(fd);
	assert_int_equal(rig.n_room, 1);
	end();
}

static void read_only_pty_shows_and_hears_nothing(void **state)
{
	int fd;

	(void)state;
	rig_begin();
	rig.options.ro = true;
	if (rig_open(ATTACHMENT_pty, link_path) < 0)
		fail_msg("%s", rig.why);
	fd = open_and_join();
	say(fd, "nobody hears");
	rig_output("seen", 4);
	rig_expect_output(fd, "seen");
	rig_step_quietly();
	assert_int_equal(port_input_pending(&rig.port), 0);
	close_and_leave(fd);
	end();
}

static void disconnect_hangs_up_and_makes_another_terminal(void **state)
{
	uint8_t byte;
	int fd;

	(void)state;
	begin();
	fd = open_and_join();
	rig.port.writer->ops->disconnect(rig.port.writer, "asked to");
	PUMP_UNTIL(rig.port.n_clients == 0);
	PUMP_UNTIL(read(fd, &byte, 1) == 0); /* hung up */
	close(fd);
	assert_true(leads_to_terminal());
	fd = open_and_join();
	say(fd, "back");
	rig_expect_input("back");
	close_and_leave(fd);
	end();
}

/* Another process that opens the slave and writes until it cannot. Returns when it waits. */
static pid_t start_writer(void)
{
	static char bytes[N_BYTES];
	time_t deadline = rig_seconds() + DEADLINE_SECONDS;
	char path[64], line[512], state = 'R';
	pid_t pid = fork();
	int fd;

	assert_true(pid >= 0);
	if (pid == 0) {
		close_range(3, ~0U, 0); /* the master is not to be held open here */
		fd = open(link_path, O_RDWR | O_NOCTTY | O_CLOEXEC);
		while (fd >= 0 && write(fd, bytes, sizeof(bytes)) > 0)
			;
		_exit(0);
	}
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	while (state != 'S') {
		ssize_t n;

		assert_true(rig_seconds() < deadline);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		n = read(fd, line, sizeof(line) - 1);
		assert_true(n > 0);
		line[n] = '\0';
		state = strrchr(line, ')')[2];
		close(fd);
		sched_yield();
	}
	return pid;
}

static void join_writer(pid_t pid)
{
	int status;

	PUMP_UNTIL(waitpid(pid, &status, WNOHANG) == pid);
	assert_int_equal(status, 0);
}

/* It holds a lock of the terminal while it waits for us to read. */
static void disconnect_of_one_who_waits_to_write_does_not_wait_for_them(void **state)
{
	static uint8_t full[PORT_INPUT_SIZE];
	pid_t pid;

	(void)state;
	begin();
	assert_int_equal(port_input(&rig.port, full, sizeof(full)), sizeof(full));
	pid = start_writer();
	PUMP_UNTIL(rig.port.n_clients == 1);
	rig_step_quietly();
	rig.port.writer->ops->disconnect(rig.port.writer, "asked to");
	PUMP_UNTIL(rig.port.n_clients == 0);
	join_writer(pid);
	end();
}

static void end_of_one_does_not_wait_for_the_next_who_writes(void **state)
{
	static uint8_t bytes[N_BYTES], taken[PORT_INPUT_SIZE];
	uint64_t n_taken = 0;
	time_t deadline;
	pid_t pid;
	int fd;

	(void)state;
	begin();
	assert_int_equal(port_input(&rig.port, bytes, sizeof(bytes)), sizeof(bytes));
	assert_int_equal(port_input(&rig.port, bytes, sizeof(bytes)),
			 PORT_INPUT_SIZE - sizeof(bytes));
	fd = open_and_join();
	rig_output(bytes, sizeof(bytes)); /* more than it reads */
	say(fd, "waits");
	rig_step_quietly();
	close(fd);
	rig_output("x", 1);
	rig_step_quietly();
	pid = start_writer();
	deadline = rig_seconds() + DEADLINE_SECONDS;
	while (n_taken < 3 * PORT_INPUT_SIZE) {
		n_taken += port_take_input(&rig.port, taken, sizeof(taken));
		rig_step_before(deadline);
	}
	assert_int_equal(rig.port.n_clients, 1);
	rig.port.writer->ops->disconnect(rig.port.writer, "enough");
	PUMP_UNTIL(rig.port.n_clients == 0);
	join_writer(pid);
	end();
}

static void disconnect_while_it_is_closing_ends_the_close(void **state)
{
	static uint8_t bytes[N_BYTES];
	struct port_client *c;
	int fd;

	(void)state;
	begin();
	fd = open_and_join();
	rig_output(bytes, sizeof(bytes));
	rig_close();
	c = port_find_client(&rig.port, 1);
	c->ops->disconnect(c, "asked to");
	rig_end();
	close(fd);
}

static void close_while_it_is_made_anew_completes(void **state)
{
	struct port_client *c;
	int fd;

	(void)state;
	begin();
	fd = open_and_join();
	c = port_find_client(&rig.port, 1);
	c->ops->disconnect(c, "asked to");
	end();
	close(fd);
}

static void close_lets_the_reader_have_the_rest(void **state)
{
	static uint8_t bytes[N_BYTES], got[N_BYTES];
	int fd;

	(void)state;
	begin();
	fd = open_and_join();
	rig_fill(bytes, sizeof(bytes));
	rig_output(bytes, sizeof(bytes));
	rig_close();
	rig_step_quietly();
	assert_int_equal(rig.n_closed, 0);
	rig_read_all(fd, got, sizeof(got), PIECE);
	assert_memory_equal(got, bytes, sizeof(got));
	rig_end();
	close(fd);
}

/* It fits into the terminal, which must not be hung up before it is read. */
static void close_waits_until_a_short_rest_is_read(void **state)
{
	int fd;

	(void)state;
	begin();
	fd = open_and_join();
	rig_output("last words", 10);
	rig_close();
	rig_step_quietly();
	assert_int_equal(rig.n_closed, 0);
	rig_expect_output(fd, "last words");
	rig_end();
	close(fd);
}

static void close_ends_when_the_reader_leaves_instead(void **state)
{
	static uint8_t bytes[N_BYTES];
	int fd;

	(void)state;
	begin();
	fd = open_and_join();
	rig_output(bytes, sizeof(bytes));
	rig_close();
	rig_step_quietly();
	close(fd);
	rig_end();
}

static void hurry_ends_a_close_that_nobody_reads(void **state)
{
	static uint8_t bytes[N_BYTES];
	int fd;

	(void)state;
	begin();
	fd = open_and_join();
	rig_output(bytes, sizeof(bytes));
	rig_close();
	rig_step_quietly();
	assert_int_equal(rig.n_closed, 0);
	rig.attachment->ops->hurry(rig.attachment);
	rig_end();
	close(fd);
}

static const struct CMUnitTest tests[] = {
	TEST(host_is_open_exactly_while_somebody_has_the_slave_open),
	TEST(output_before_anybody_opens_is_replayed_to_the_first),
	TEST(each_opener_of_a_console_begins_with_all_output),
	TEST(remainder_of_one_is_not_read_by_the_next),
	TEST(reopened_at_once_goes_on_without_loss),
	TEST(bytes_of_any_value_pass_exactly_both_ways),
	TEST(input_of_one_who_has_left_already_counts),
	TEST(input_waits_for_a_slow_guest_after_its_writer_has_left),
	TEST(opener_is_new_while_the_last_ones_input_waits),
	TEST(hold_port_waits_for_a_reader_that_is_slow),
	TEST(reader_that_leaves_in_the_middle_lets_the_guest_go_on),
	TEST(read_only_pty_shows_and_hears_nothing),
	TEST(disconnect_hangs_up_and_makes_another_terminal),
	TEST(disconnect_of_one_who_waits_to_write_does_not_wait_for_them),
	TEST(end_of_one_does_not_wait_for_the_next_who_writes),
	TEST(disconnect_while_it_is_closing_ends_the_close),
	TEST(close_while_it_is_made_anew_completes),
	TEST(close_lets_the_reader_have_the_rest),
	TEST(close_waits_until_a_short_rest_is_read),
	TEST(close_ends_when_the_reader_leaves_instead),
	TEST(hurry_ends_a_close_that_nobody_reads),
};
UNIT_MAIN(tests)
