/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* A client that speaks telnet, by way of a server. See test_telnet.c for the protocol itself. */
#include "socket_rig.h"

enum { IAC = 255, DO = 253, WILL = 251, DM = 242, SB = 250, SE = 240, NAWS = 31 };

static void begin(void)
{
	rig_begin();
	serve_tcp(ATTACHMENT_telnet_server);
}

static void end(void)
{
	rig_close();
	rig_end();
}

/* Reads until text has come, past what telnet negotiates. */
static void expect_after_negotiation(int fd, const void *text, size_t len)
{
	time_t deadline = rig_seconds() + DEADLINE_SECONDS;
	uint8_t got[512];
	size_t n = 0;

	while (n < len || memcmp(got + n - len, text, len) != 0) {
		ssize_t r = read(fd, got + n, 1);

		n += r > 0 ? 1 : 0;
		assert_true(n < sizeof(got));
		rig_step_before(deadline);
	}
}

static void telnet_client_is_asked_and_bytes_pass_both_ways(void **state)
{
	static const uint8_t shown[] = { 'a', IAC, 'b' }, wire[] = { 'a', IAC, IAC, 'b' };
	static const uint8_t typed[] = { 'x', IAC, IAC, 'y' };
	static const uint8_t ask_size[] = { IAC, DO, NAWS };
	uint8_t got[8];
	int fd;

	(void)state;
	begin();
	fd = join();
	assert_int_equal(strncmp(rig.port.writer->what, "telnet 127.0.0.1:", 17), 0);
	expect_after_negotiation(fd, ask_size, sizeof(ask_size));
	rig_output(shown, sizeof(shown));
	expect_after_negotiation(fd, wire, sizeof(wire));
	send_all(fd, typed, sizeof(typed));
	PUMP_UNTIL(port_input_pending(&rig.port) == 3);
	assert_int_equal(port_take_input(&rig.port, got, sizeof(got)), 3);
	assert_memory_equal(got, "x\377y", 3);
	end();
	close(fd);
}

/* RFC 854: Synch ends with a command whose last byte is urgent data. */
static void telnet_command_in_urgent_data_takes_nothing_with_it(void **state)
{
	static const uint8_t synch[] = { 'a', IAC, DM };
	int fd;

	(void)state;
	begin();
	fd = join();
	assert_int_equal(send(fd, synch, sizeof(synch), MSG_OOB), sizeof(synch));
	send_all(fd, "bcd", 3);
	rig_expect_input("abcd");
	end();
	close(fd);
}

static void telnet_window_of_the_writer_is_the_ports(void **state)
{
	static const uint8_t size[] = { IAC, WILL, NAWS, IAC, SB, NAWS, 0, 132, 0, 43, IAC, SE };
	static const uint8_t other[] = { IAC, WILL, NAWS, IAC, SB, NAWS, 0, 80, 0, 25, IAC, SE };
	int first, second;

	(void)state;
	begin();
	first = join();
	second = join();
	send_all(second, other, sizeof(other));
	rig_step_quietly();
	assert_int_equal(rig.n_size, 0);
	send_all(first, size, sizeof(size));
	PUMP_UNTIL(rig.n_size == 1);
	assert_int_equal(rig.port.cols, 132);
	assert_int_equal(rig.port.rows, 43);
	close(first);
	PUMP_UNTIL(rig.n_size == 2);
	assert_int_equal(rig.port.cols, 80);
	assert_int_equal(rig.port.rows, 25);
	end();
	close(second);
}

/* 60000 bytes 0xff are twice as many on the wire. */
static void telnet_doubles_a_flood_without_loss(void **state)
{
	static uint8_t bytes[N_BYTES], got[3 * N_BYTES];
	time_t deadline = rig_seconds() + DEADLINE_SECONDS;
	size_t n = 0, n_iac = 0;
	int fd;

	(void)state;
	begin();
	fd = join_with(SMALL);
	memset(bytes, IAC, sizeof(bytes));
	rig_output(bytes, sizeof(bytes));
	rig_output("\n.", 2);
	while (n < 2 || memcmp(got + n - 2, "\n.", 2) != 0) {
		ssize_t r = read(fd, got + n, min_size(1000, sizeof(got) - n));

		n += r > 0 ? (size_t)r : 0;
		rig_step_before(deadline);
	}
	for (size_t i = 1; i + 2 < n; i++)
		if (got[i] == IAC && got[i - 1] == IAC) {
			n_iac++;
			i++;
		}
	assert_int_equal(n_iac, N_BYTES);
	end();
	close(fd);
}

/* It asks and asks and never reads the answers: it is no longer read, and nothing grows. */
static void telnet_peer_that_asks_without_end_is_held_back(void **state)
{
	static uint8_t asking[30000], answers[30000];
	unsigned int n_refused = 0;
	size_t n_sent = 0;
	int fd;

	(void)state;
	begin();
	for (size_t i = 0; i < sizeof(asking); i += 3) {
		asking[i] = IAC;
		asking[i + 1] = DO;
		asking[i + 2] = 99; /* an option that nobody has */
	}
	fd = join_with(SMALL);
	while (n_refused < QUIET_STEPS && n_sent < FLOOD_OUT) {
		ssize_t n = write(fd, asking, sizeof(asking));

		n_refused = n > 0 ? 0 : n_refused + 1;
		n_sent += n > 0 ? (size_t)n : 0;
		rig_step();
	}
	assert_true(n_sent < FLOOD_OUT);
	/* It reads at last, and is read again. */
	for (time_t deadline = rig_seconds() + DEADLINE_SECONDS;
	     port_input_pending(&rig.port) == 0;) {
		while (read(fd, answers, sizeof(answers)) > 0)
			;
		assert_true(write(fd, "typed", 5) > 0 || errno == EAGAIN);
		rig_step_before(deadline);
	}
	rig_close();
	rig.attachment->ops->hurry(rig.attachment);
	rig_end();
	close(fd);
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(telnet_client_is_asked_and_bytes_pass_both_ways),
	UNIT_TEST(telnet_command_in_urgent_data_takes_nothing_with_it),
	UNIT_TEST(telnet_window_of_the_writer_is_the_ports),
	UNIT_TEST(telnet_doubles_a_flood_without_loss),
	UNIT_TEST(telnet_peer_that_asks_without_end_is_held_back),
};
UNIT_MAIN(tests)
