/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The network backend, with real clients on the loopback address. */
#include "backend_rig.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>

enum {
	CLIENTS_MAX = 64,
	LINGER_MS = 500, /* as in network.c */
	SURPLUS = 3,
	FLOOD = 4 * 1024 * 1024, /* more than sockets keep for one who does not read */
	FLOOD_PIECE = 16 * 1024,
	FLOOD_OUT = 16 * 1024 * 1024, /* more than a socket's send buffer grows to */
};

static struct sockaddr_in address;

static void begin(void)
{
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	rig_begin();
	address = (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_addr = { htonl(INADDR_LOOPBACK) },
	};
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	close(fd); /* its port is free now, and no other's before long */
	if (rig_open(&console_backend_network, ntohs(address.sin_port), "none") < 0)
		fail_msg("%s", rig.why);
}

static void end(void)
{
	rig_close();
	rig_end();
}

/* A client that need not be served yet; rcvbuf: bytes it can hold, 0 for as usual. */
static int dial(int rcvbuf)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (rcvbuf > 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &rcvbuf, sizeof(rcvbuf));
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

static int join_with(int rcvbuf)
{
	unsigned int n = rig.port.n_clients;
	int fd = dial(rcvbuf);

	PUMP_UNTIL(rig.port.n_clients == n + 1);
	return fd;
}

static int join(void)
{
	return join_with(0);
}

static void send_all(int fd, const void *data, size_t len)
{
	time_t deadline = rig_seconds() + DEADLINE_SECONDS;
	const uint8_t *bytes = data;

	for (size_t done = 0; done < len;) {
		ssize_t n = send(fd, bytes + done, len - done, 0);

		if (n < 0)
			assert_int_equal(errno, EAGAIN);
		done += n > 0 ? (size_t)n : 0;
		rig_step_before(deadline);
	}
}

static bool at_end(int fd)
{
	char byte;

	return recv(fd, &byte, 1, 0) == 0;
}

static void take_exactly(const uint8_t *expected, size_t len)
{
	time_t deadline = rig_seconds() + DEADLINE_SECONDS;
	uint8_t *got = malloc(len);

	assert_non_null(got);
	for (size_t done = 0; done < len;) {
		done += rig_take(got + done, len - done);
		rig_step_before(deadline);
	}
	assert_memory_equal(got, expected, len);
	free(got);
}

static void first_client_writes_and_others_watch(void **state)
{
	static const uint8_t noise[1024 * 1024];
	int first, second;

	(void)state;
	begin();
	first = join();
	second = join();
	/* More than the sockets keep: it is read, and goes nowhere. */
	send_all(second, noise, sizeof(noise));
	assert_int_equal(port_input_pending(&rig.port), 0);
	send_all(first, "typed", 5);
	rig_expect_input("typed");
	rig_output("seen by both", 12);
	rig_expect_output(first, "seen by both");
	rig_expect_output(second, "seen by both");
	end();
	close(first);
	close(second);
}

static void watcher_writes_when_the_writer_has_left(void **state)
{
	static uint8_t bytes[N_BYTES];
	struct port_client *was;
	int first, second;

	(void)state;
	begin();
	first = join();
	second = join();
	rig_fill(bytes, sizeof(bytes));
	was = rig.port.writer;
	send_all(first, bytes, 1000);
	close(first);
	PUMP_UNTIL(rig.port.writer != was);
	assert_non_null(rig.port.writer);
	send_all(second, bytes + 1000, sizeof(bytes) - 1000);
	take_exactly(bytes, sizeof(bytes));
	rig_step_quietly();
	assert_int_equal(port_input_pending(&rig.port), 0);
	end();
	close(second);
}

/* The next one's read was under way, and what it brings finds one byte of room. */
static void writer_of_a_full_port_hands_over_without_loss(void **state)
{
	static uint8_t bytes[PORT_INPUT_SIZE + N_BYTES];
	struct port_client *was;
	int first, second;
	uint8_t taken;

	(void)state;
	begin();
	first = join();
	second = join();
	rig_fill(bytes, sizeof(bytes));
	was = rig.port.writer;
	send_all(first, bytes, PORT_INPUT_SIZE);
	PUMP_UNTIL(port_input_pending(&rig.port) == PORT_INPUT_SIZE);
	close(first);
	rig_step_quietly();
	assert_ptr_equal(rig.port.writer, was); /* nothing is read, not even the end */
	assert_int_equal(port_take_input(&rig.port, &taken, 1), 1);
	assert_int_equal(taken, bytes[0]);
	PUMP_UNTIL(rig.port.writer != was);
	send_all(second, bytes + PORT_INPUT_SIZE, N_BYTES);
	PUMP_UNTIL(port_input_pending(&rig.port) == PORT_INPUT_SIZE);
	take_exactly(bytes + 1, sizeof(bytes) - 1);
	rig_step_quietly();
	assert_int_equal(port_input_pending(&rig.port), 0);
	end();
	close(second);
}

static void kept_output_is_replayed_to_who_comes_later(void **state)
{
	static uint8_t bytes[N_BYTES], got[N_BYTES];
	int first, second;

	(void)state;
	begin();
	rig_fill(bytes, sizeof(bytes));
	rig_output(bytes, 20000);
	first = join();
	rig_output(bytes + 20000, 20000);
	rig_read_all(first, got, 40000, 1000);
	assert_memory_equal(got, bytes, 40000);
	second = join();
	rig_output(bytes + 40000, sizeof(bytes) - 40000);
	rig_read_all(second, got, sizeof(got), 1000);
	assert_memory_equal(got, bytes, sizeof(got));
	rig_read_all(first, got, sizeof(got) - 40000, 1000);
	assert_memory_equal(got, bytes + 40000, sizeof(got) - 40000);
	end();
	close(first);
	close(second);
}

/* The byte of the stream at a position: a letter, so that a marker stands out. */
static uint8_t letter(uint64_t pos)
{
	return (uint8_t)('a' + (pos * 2654435761U >> 7) % 26);
}

/*
 * Reads to the stream's end and follows it: letters move by one, a marker by
 * what it says. Returns the position reached; counts markers.
 */
static uint64_t follow(int fd, uint64_t total, unsigned int *ret_n_markers)
{
	time_t deadline = rig_seconds() + DEADLINE_SECONDS;
	char line[PORT_MARKER_MAX + 1], again[PORT_MARKER_MAX + 1];
	size_t line_len = 0;
	uint64_t pos = 0;

	*ret_n_markers = 0;
	while (pos < total) {
		uint8_t buf[4096];
		ssize_t n = read(fd, buf, sizeof(buf));

		assert_true(n > 0 || (n < 0 && errno == EAGAIN));
		for (ssize_t i = 0; i < n; i++) {
			unsigned long lost;

			if (line_len == 0 && buf[i] != '\r') {
				assert_int_equal(buf[i], letter(pos++));
				continue;
			}
			assert_true(line_len < PORT_MARKER_MAX);
			line[line_len++] = (char)buf[i];
			if (buf[i] != '\n' || line_len == 2)
				continue;
			line[line_len] = '\0';
			assert_int_equal(sscanf(line, "\r\n[%lu", &lost), 1);
			snprintf(again, sizeof(again), "\r\n[%lu bytes of output lost here]\r\n",
				 lost);
			assert_string_equal(line, again);
			pos += lost;
			line_len = 0;
			++*ret_n_markers;
		}
		rig_step_before(deadline);
	}
	return pos;
}

/* VC-061 */
static void client_that_never_reads_is_told_exactly_what_it_lost(void **state)
{
	static uint8_t piece[FLOOD_PIECE], got[FLOOD_PIECE];
	unsigned int n_markers;
	int slow, quick;

	(void)state;
	begin();
	slow = join_with(4096);
	quick = join();
	for (uint64_t pos = 0; pos < FLOOD_OUT; pos += sizeof(piece)) {
		for (size_t i = 0; i < sizeof(piece); i++)
			piece[i] = letter(pos + i);
		rig_output(piece, sizeof(piece));
		rig_read_all(quick, got, sizeof(got), sizeof(got));
		assert_memory_equal(got, piece, sizeof(got));
	}
	assert_true(follow(slow, FLOOD_OUT, &n_markers) == FLOOD_OUT);
	assert_int_equal(n_markers, 1);
	end();
	close(slow);
	close(quick);
}

static void client_that_sends_no_more_still_gets_an_answer_and_is_closed(void **state)
{
	int fd;

	(void)state;
	begin();
	fd = join();
	send_all(fd, "question", 8);
	shutdown(fd, SHUT_WR);
	rig_expect_input("question");
	PUMP_UNTIL(!rig.port.writer);
	rig_output("answer", 6);
	rig_expect_output(fd, "answer");
	PUMP_UNTIL(at_end(fd));
	PUMP_UNTIL(rig.port.n_clients == 0);
	assert_int_equal(rig.n_open, 2);
	end();
	close(fd);
}

/* It has hung up and is waited for a moment; the connection breaks, and then the moment is over. */
static void client_that_breaks_off_while_it_is_waited_for_is_let_go_once(void **state)
{
	const struct linger none = { .l_onoff = 1 };
	int fd;

	(void)state;
	begin();
	fd = join();
	shutdown(fd, SHUT_WR);
	PUMP_UNTIL(!rig.port.writer); /* the timer runs */
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
	close(fd);
	rig_output("y", 1);
	PUMP_UNTIL(rig.port.n_clients == 0); /* its cancel is not under way before the next step */
	poll(NULL, 0, LINGER_MS + 100);
	rig_step_quietly();
	fd = join();
	rig_expect_output(fd, "y");
	end();
	close(fd);
}

static void connection_that_is_reset_leaves_room_for_the_next(void **state)
{
	const struct linger none = { .l_onoff = 1 };
	int fd;

	(void)state;
	begin();
	for (unsigned int i = 0; i < 3; i++) {
		fd = join();
		send_all(fd, "x", 1);
		rig_expect_input("x");
		if (i == 1) /* while it is written to */
			rig_output("y", 1);
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
		close(fd);
		PUMP_UNTIL(rig.port.n_clients == 0);
	}
	fd = join();
	rig_expect_output(fd, "y");
	send_all(fd, "on", 2);
	rig_expect_input("on");
	end();
	close(fd);
}

static void input_is_read_only_as_fast_as_the_guest_takes_it(void **state)
{
	static uint8_t bytes[FLOOD], got[FLOOD];
	time_t deadline = rig_seconds() + DEADLINE_SECONDS;
	size_t n_sent = 0, n_got = 0;
	unsigned int n_refused = 0;
	const int sndbuf = 64 * 1024;
	int fd;

	(void)state;
	begin();
	fd = join();
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &sndbuf, sizeof(sndbuf));
	rig_fill(bytes, sizeof(bytes));
	while (n_refused < QUIET_STEPS) {
		ssize_t n = send(fd, bytes + n_sent, sizeof(bytes) - n_sent, 0);

		n_sent += n > 0 ? (size_t)n : 0;
		assert_true(n_sent < sizeof(bytes)); /* else nothing holds it back */
		n_refused = n < 0 && errno == EAGAIN ? n_refused + 1 : 0;
		rig_step_before(deadline);
	}
	assert_int_equal(port_input_pending(&rig.port), PORT_INPUT_SIZE);
	while (n_got < sizeof(got)) {
		if (n_sent < sizeof(bytes)) {
			ssize_t n = send(fd, bytes + n_sent, sizeof(bytes) - n_sent, 0);

			n_sent += n > 0 ? (size_t)n : 0;
		}
		n_got += rig_take(got + n_got, sizeof(got) - n_got);
		rig_step_before(deadline);
	}
	assert_memory_equal(got, bytes, sizeof(got));
	end();
	close(fd);
}

static void clients_beyond_the_limit_are_closed(void **state)
{
	int fds[CLIENTS_MAX], again;

	(void)state;
	begin();
	for (unsigned int i = 0; i < CLIENTS_MAX; i++)
		fds[i] = join();
	for (unsigned int i = 0; i < SURPLUS; i++) {
		int fd = dial(0);

		PUMP_UNTIL(at_end(fd));
		close(fd);
		assert_int_equal(rig.port.n_clients, CLIENTS_MAX);
	}
	rig_output("all", 3);
	for (unsigned int i = 0; i < CLIENTS_MAX; i++)
		rig_expect_output(fds[i], "all");
	shutdown(fds[5], SHUT_WR);
	PUMP_UNTIL(at_end(fds[5])); /* its place is given up with its socket */
	assert_int_equal(rig.port.n_clients, CLIENTS_MAX - 1);
	again = join(); /* there is a place again */
	rig_expect_output(again, "all");
	assert_int_equal(rig.n_open, 1);
	end();
	close(again);
	for (unsigned int i = 0; i < CLIENTS_MAX; i++)
		close(fds[i]);
}

static void host_side_opens_with_the_first_and_closes_with_the_last(void **state)
{
	int first, second;

	(void)state;
	begin();
	assert_int_equal(rig.n_open, 0);
	first = join();
	assert_int_equal(rig.n_open, 1);
	second = join();
	close(first);
	PUMP_UNTIL(rig.port.n_clients == 1);
	assert_int_equal(rig.n_open, 1);
	close(second);
	PUMP_UNTIL(rig.port.n_clients == 0);
	rig_step_quietly();
	assert_int_equal(rig.n_open, 2);
	end();
	assert_int_equal(rig.n_open, 2);
}

static void close_writes_what_is_left_first(void **state)
{
	static uint8_t bytes[N_BYTES], got[N_BYTES];
	int fd;

	(void)state;
	begin();
	fd = join_with(4096);
	rig_fill(bytes, sizeof(bytes));
	rig_output(bytes, sizeof(bytes));
	rig_close();
	rig_read_all(fd, got, sizeof(got), 500);
	assert_memory_equal(got, bytes, sizeof(got));
	rig_end();
	assert_true(at_end(fd));
	close(fd);
}

/* Output until nothing moves: no socket buffer takes more, and the ring holds some. */
static void flood_until_stuck(void)
{
	static uint8_t bytes[FLOOD_PIECE];

	for (size_t n = 0; n < FLOOD_OUT; n += sizeof(bytes)) {
		rig_output(bytes, sizeof(bytes));
		for (unsigned int i = 0; i < 4; i++)
			rig_step();
	}
}

static void hurry_ends_a_close_that_nobody_reads(void **state)
{
	int fd;

	(void)state;
	begin();
	fd = join_with(4096);
	flood_until_stuck();
	rig_close();
	rig_step_quietly();
	assert_int_equal(rig.n_closed, 0);
	rig.backend->ops->hurry(rig.backend);
	rig_end();
	close(fd);
}

static void open_on_a_port_in_use_fails_and_says_why(void **state)
{
	struct console_backend *backend;

	(void)state;
	begin();
	backend = rig.backend;
	assert_int_equal(rig_open(&console_backend_network, ntohs(address.sin_port), "none"),
			 -EADDRINUSE);
	assert_non_null(strstr(rig.why, "127.0.0.1"));
	rig.backend = backend;
	end();
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(first_client_writes_and_others_watch),
	UNIT_TEST(watcher_writes_when_the_writer_has_left),
	UNIT_TEST(writer_of_a_full_port_hands_over_without_loss),
	UNIT_TEST(kept_output_is_replayed_to_who_comes_later),
	UNIT_TEST(client_that_never_reads_is_told_exactly_what_it_lost),
	UNIT_TEST(client_that_sends_no_more_still_gets_an_answer_and_is_closed),
	UNIT_TEST(client_that_breaks_off_while_it_is_waited_for_is_let_go_once),
	UNIT_TEST(connection_that_is_reset_leaves_room_for_the_next),
	UNIT_TEST(input_is_read_only_as_fast_as_the_guest_takes_it),
	UNIT_TEST(clients_beyond_the_limit_are_closed),
	UNIT_TEST(host_side_opens_with_the_first_and_closes_with_the_last),
	UNIT_TEST(close_writes_what_is_left_first),
	UNIT_TEST(hurry_ends_a_close_that_nobody_reads),
	UNIT_TEST(open_on_a_port_in_use_fails_and_says_why),
};
UNIT_MAIN(tests)
