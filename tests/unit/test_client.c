/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* A connection as a client of a port, by way of a TCP server. */
#include "socket_rig.h"

#include "backends/client.h"

static void begin(void)
{
	rig_begin();
	serve_tcp(ATTACHMENT_tcp_server);
}

static void end(void)
{
	rig_close();
	rig_end();
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
	int fd;

	(void)state;
	begin();
	fd = join();
	shutdown(fd, SHUT_WR);
	PUMP_UNTIL(!rig.port.writer); /* the timer runs */
	reset_connection(fd);
	rig_output("y", 1);
	PUMP_UNTIL(rig.port.n_clients == 0); /* its cancel is not under way before the next step */
	poll(NULL, 0, CLIENT_LINGER_MS + 100);
	rig_step_quietly();
	fd = join();
	rig_expect_output(fd, "y");
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
	/* In bulk, it is left in the socket until the guest wants it. */
	assert_int_equal(port_input_pending(&rig.port), CLIENT_INPUT_SIZE);
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
	rig.attachment->ops->hurry(rig.attachment);
	rig_end();
	close(fd);
}

/* Both ways at once, every value of a byte, in pieces of any size. VC-069 */
static void bytes_pass_both_ways_unchanged(void **state)
{
	static uint8_t typed[N_BYTES], shown[N_BYTES], got_in[N_BYTES], got_out[N_BYTES];
	size_t n_typed = 0, n_shown = 0, n_in = 0, n_out = 0;
	time_t deadline = rig_seconds() + DEADLINE_SECONDS;
	int fd;

	(void)state;
	begin();
	fd = join();
	rig_fill(typed, N_BYTES);
	rig_fill(shown, N_BYTES);
	while (n_in < N_BYTES || n_out < N_BYTES) {
		size_t piece = min_size(1 + rig_random() % 5000, N_BYTES - n_typed);
		ssize_t n = piece > 0 ? write(fd, typed + n_typed, piece) : 0;

		n_typed += n > 0 ? (size_t)n : 0;
		piece = min_size(1 + rig_random() % 5000, N_BYTES - n_shown);
		rig_output(shown + n_shown, piece);
		n_shown += piece;
		n_in += rig_take(got_in + n_in, N_BYTES - n_in);
		n = n_out < N_BYTES ? read(fd, got_out + n_out, N_BYTES - n_out) : 0;
		n_out += n > 0 ? (size_t)n : 0;
		rig_step_before(deadline);
	}
	assert_memory_equal(got_in, typed, N_BYTES);
	assert_memory_equal(got_out, shown, N_BYTES);
	end();
	close(fd);
}

/* A device that takes input from within input_ready(), and by that makes room. */
/* As a person pastes: never as much at once as makes it bulk, which leaves it in the socket. */
static void send_in_pieces(int fd, const uint8_t *bytes, size_t len)
{
	for (size_t done = 0; done < len; done += 4000) {
		send_all(fd, bytes + done, min_size(4000, len - done));
		rig_step_quietly();
	}
}

static uint8_t eager_bytes[2 * N_BYTES];
static size_t n_eager;

static void take_at_once(struct port *port)
{
	while (port_input_flows(port)) {
		assert_true(n_eager < sizeof(eager_bytes));
		n_eager += port_take_input(port, eager_bytes + n_eager,
					   min_size(700, sizeof(eager_bytes) - n_eager));
	}
}

static void input_that_is_taken_while_it_is_given_is_taken_once(void **state)
{
	static const struct port_device_ops eager = {
		.input_ready = take_at_once,
		.output_room = on_room,
		.host_open_changed = on_open,
		.size_changed = on_size,
	};
	static uint8_t bytes[N_BYTES];
	int fd;

	(void)state;
	begin();
	rig.port.dev_ops = &eager;
	fd = join();
	rig_fill(bytes, sizeof(bytes));
	n_eager = 0;
	send_all(fd, bytes, sizeof(bytes));
	PUMP_UNTIL(n_eager >= sizeof(bytes));
	rig_step_quietly();
	assert_int_equal(n_eager, sizeof(bytes));
	assert_memory_equal(eager_bytes, bytes, sizeof(bytes));
	end();
	close(fd);
}

/* What waits in its own buffer and the port's is given before its end is seen. */
static void writer_of_a_full_port_hands_over_without_loss(void **state)
{
	enum { FIRST = PORT_INPUT_SIZE + CLIENT_INPUT_SIZE };
	static uint8_t bytes[FIRST + N_BYTES], got[FIRST + N_BYTES];
	struct port_client *was;
	int first, second;
	size_t n = 0;

	(void)state;
	begin();
	first = join();
	second = join();
	rig_fill(bytes, sizeof(bytes));
	was = rig.port.writer;
	send_in_pieces(first, bytes, FIRST);
	PUMP_UNTIL(port_input_pending(&rig.port) == PORT_INPUT_SIZE);
	close(first);
	rig_step_quietly();
	assert_ptr_equal(rig.port.writer, was); /* nothing is read, not even the end */
	for (time_t deadline = rig_seconds() + DEADLINE_SECONDS; rig.port.writer == was;) {
		n += rig_take(got + n, sizeof(got) - n);
		rig_step_before(deadline);
	}
	send_all(second, bytes + FIRST, N_BYTES);
	take_exactly(bytes + n, sizeof(bytes) - n);
	assert_memory_equal(got, bytes, n);
	rig_step_quietly();
	assert_int_equal(port_input_pending(&rig.port), 0);
	end();
	close(second);
}

/* It had typed ahead when another took the keyboard: that must not come out later. */
static void input_that_waits_is_thrown_away_with_the_role(void **state)
{
	static uint8_t bytes[PORT_INPUT_SIZE + CLIENT_INPUT_SIZE];
	struct port_client *was;
	int first, second;

	(void)state;
	begin();
	first = join();
	rig_fill(bytes, sizeof(bytes));
	send_in_pieces(first, bytes, sizeof(bytes));
	PUMP_UNTIL(port_input_pending(&rig.port) == PORT_INPUT_SIZE);
	rig_step_quietly();
	was = rig.port.writer;
	rig.options.steal = true;
	second = join();
	assert_ptr_not_equal(rig.port.writer, was);
	send_all(second, "mine", 4);
	rig_step_quietly();
	port_steal(was);
	take_exactly(bytes, PORT_INPUT_SIZE);
	send_all(first, "again", 5);
	rig_expect_input("again"); /* and nothing of the 16 KiB before it, nor of the other's */
	end();
	close(first);
	close(second);
}

static void client_that_steals_has_the_keyboard_and_both_are_told(void **state)
{
	int first, second;

	(void)state;
	begin();
	first = join();
	rig.options.steal = true;
	second = join();
	rig_expect_output(first, "\r\n[the keyboard was taken over by another client]\r\n");
	rig_expect_output(second, "\r\n[the keyboard is yours now]\r\n");
	send_all(first, "lost", 4);
	send_all(second, "kept", 4);
	rig_expect_input("kept");
	close(second);
	PUMP_UNTIL(rig.port.n_clients == 1);
	send_all(first, "back", 4);
	rig_expect_input("back");
	end();
	close(first);
}

static void read_only_client_is_read_to_notice_its_end(void **state)
{
	static const uint8_t noise[1024 * 1024];
	int fd;

	(void)state;
	rig_begin();
	rig.options.ro = true;
	serve_tcp(ATTACHMENT_tcp_server);
	fd = join();
	assert_null(rig.port.writer);
	send_all(fd, noise, sizeof(noise));
	rig_output("shown", 5);
	rig_expect_output(fd, "shown");
	assert_int_equal(port_input_pending(&rig.port), 0);
	close(fd);
	PUMP_UNTIL(rig.port.n_clients == 0);
	end();
}

/* It still has to be given output, but has the keyboard no more. */
static void client_that_is_finished_hands_the_keyboard_over_at_once(void **state)
{
	struct attachment *leaving;
	int first, second;

	(void)state;
	begin();
	first = join_with(SMALL);
	leaving = rig.attachment;
	flood_until_stuck();
	serve_tcp(ATTACHMENT_tcp_server);
	second = join();
	rig_close_this(leaving);
	send_all(second, "mine", 4);
	rig_expect_input("mine");
	assert_int_equal(rig.n_closed, 0);
	leaving->ops->hurry(leaving);
	PUMP_UNTIL(rig.n_closed == 1);
	rig.n_closed = 0;
	rig_close();
	rig.attachment->ops->hurry(rig.attachment);
	rig_end();
	close(first);
	close(second);
}

static void client_sent_away_is_closed_and_the_next_one_writes(void **state)
{
	int first, second;

	(void)state;
	begin();
	first = join();
	second = join();
	rig.port.writer->ops->disconnect(rig.port.writer, "it is sent away");
	PUMP_UNTIL(at_end(first));
	assert_int_equal(rig.port.n_clients, 1);
	send_all(second, "on", 2);
	rig_expect_input("on");
	end();
	close(first);
	close(second);
}

/*
 * A peer that sends more than the port takes and hangs up; the guest's echo then
 * breaks the connection. VC-067 ends it, after all that it had sent.
 */
static void input_of_a_peer_that_hung_up_is_not_lost_to_an_echo(void **state)
{
	enum { SENT = PORT_INPUT_SIZE + CLIENT_INPUT_SIZE + 4096 };
	static uint8_t bytes[SENT];
	int fd;

	(void)state;
	begin();
	fd = join();
	rig_fill(bytes, sizeof(bytes));
	send_in_pieces(fd, bytes, sizeof(bytes));
	PUMP_UNTIL(port_input_pending(&rig.port) == PORT_INPUT_SIZE);
	close(fd);
	for (unsigned int i = 0; i < QUIET_STEPS; i++) {
		rig_output("echo", 4);
		rig_step();
	}
	take_exactly(bytes, sizeof(bytes));
	PUMP_UNTIL(rig.port.n_clients == 0);
	end();
}

/* The same, but the guest takes nothing: the host side must not stay open for that. */
static void peer_that_hung_up_is_let_go_when_the_guest_takes_nothing(void **state)
{
	static uint8_t bytes[PORT_INPUT_SIZE + CLIENT_INPUT_SIZE];
	int fd;

	(void)state;
	begin();
	fd = join();
	send_in_pieces(fd, bytes, sizeof(bytes));
	PUMP_UNTIL(port_input_pending(&rig.port) == PORT_INPUT_SIZE);
	close(fd);
	rig_step_quietly();
	for (unsigned int i = 0; i < QUIET_STEPS; i++) {
		rig_output("echo", 4);
		rig_step();
	}
	PUMP_UNTIL(rig.port.n_clients == 0);
	assert_int_equal(rig.n_open, 2);
	end();
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(client_that_never_reads_is_told_exactly_what_it_lost),
	UNIT_TEST(client_that_sends_no_more_still_gets_an_answer_and_is_closed),
	UNIT_TEST(client_that_breaks_off_while_it_is_waited_for_is_let_go_once),
	UNIT_TEST(input_is_read_only_as_fast_as_the_guest_takes_it),
	UNIT_TEST(close_writes_what_is_left_first),
	UNIT_TEST(hurry_ends_a_close_that_nobody_reads),
	UNIT_TEST(bytes_pass_both_ways_unchanged),
	UNIT_TEST(input_that_is_taken_while_it_is_given_is_taken_once),
	UNIT_TEST(writer_of_a_full_port_hands_over_without_loss),
	UNIT_TEST(input_that_waits_is_thrown_away_with_the_role),
	UNIT_TEST(client_that_steals_has_the_keyboard_and_both_are_told),
	UNIT_TEST(read_only_client_is_read_to_notice_its_end),
	UNIT_TEST(client_that_is_finished_hands_the_keyboard_over_at_once),
	UNIT_TEST(client_sent_away_is_closed_and_the_next_one_writes),
	UNIT_TEST(input_of_a_peer_that_hung_up_is_not_lost_to_an_echo),
	UNIT_TEST(peer_that_hung_up_is_let_go_when_the_guest_takes_nothing),
};
UNIT_MAIN(tests)
