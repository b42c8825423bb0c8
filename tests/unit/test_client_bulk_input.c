/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Input that the guest takes from a client's socket itself, in bulk. */
#include "bulk_rig.h"

#include "backends/client.h"

enum { TOTAL = 2 * 1024 * 1024, BULK = 200000 };

static uint8_t sent[TOTAL], got[TOTAL];
static size_t n_sent, n_got;

static void begin_kind(enum attachment_kind kind)
{
	static bool filled;

	rig_begin_lossless();
	if (!filled)
		rig_fill(sent, sizeof(sent));
	filled = true;
	n_sent = n_got = 0;
	serve_kind(kind);
}

static int connect_kind(bool tcp)
{
	return tcp ? join() : join_unix();
}

#define BEGIN() begin_kind(tcp ? ATTACHMENT_tcp_server : ATTACHMENT_unix_server)

/* As much of the stream as the socket takes, up to end. */
static void send_up_to(int fd, size_t end_at)
{
	ssize_t n = n_sent < end_at ? write(fd, sent + n_sent, end_at - n_sent) : 0;

	n_sent += n > 0 ? (size_t)n : 0;
}

/* The guest's buffers: two pieces of that much in all. */
static size_t take(size_t len)
{
	struct iovec iov[2];

	len = min_size(len, TOTAL - n_got);
	iov[0] = (struct iovec){ got + n_got, len / 3 };
	iov[1] = (struct iovec){ got + n_got + len / 3, len - len / 3 };
	len = port_take_input_v(&rig.port, iov, 2);
	n_got += len;
	return len;
}

static void take_up_to(size_t end_at, size_t piece)
{
	time_t deadline = rig_seconds() + DEADLINE_SECONDS;

	while (n_got < end_at) {
		take(min_size(piece, end_at - n_got));
		rig_step_before(deadline);
	}
	assert_memory_equal(got, sent, n_got);
}

/* The stream from where it was taken up to end_at, by this client. */
static void pass(int fd, size_t end_at)
{
	time_t deadline = rig_seconds() + DEADLINE_SECONDS;

	n_sent = n_got;
	while (n_got < end_at) {
		send_up_to(fd, end_at);
		take(30000);
		rig_step_before(deadline);
	}
	assert_memory_equal(got, sent, n_got);
}

/* Sends until the client leaves the rest in its socket for the guest. */
static void send_until_bulk(int fd)
{
	time_t deadline = rig_seconds() + DEADLINE_SECONDS;

	while (!rig.port.writer->gives_now) {
		send_up_to(fd, BULK);
		rig_step_before(deadline);
	}
	assert_true(port_input_pending(&rig.port) == CLIENT_INPUT_SIZE);
}

static void bulk_is_left_in_the_socket_until_the_guest_takes_it(void **state)
{
	(void)state;
	EACH_SOCKET
	{
		int fd;

		BEGIN();
		fd = connect_kind(tcp);
		send_until_bulk(fd);
		take_up_to(CLIENT_INPUT_SIZE, TOTAL);
		assert_int_equal(port_input_pending(&rig.port), 0);
		assert_true(port_input_flows(&rig.port));
		assert_true(take(1000) == 1000); /* at once */
		take_up_to(n_sent, TOTAL);
		assert_true(rig.port.counters.input == n_sent);
		assert_true(rig.port.writer->n_written == n_sent);
		end_at_once(fd);
	}
}

static void input_of_all_sizes_is_taken_once_and_in_order(void **state)
{
	(void)state;
	EACH_SOCKET
	{
		time_t deadline = rig_seconds() + DEADLINE_SECONDS;
		unsigned int n_straight = 0;
		int fd;

		BEGIN();
		fd = connect_kind(tcp);
		while (n_got < TOTAL) {
			size_t burst = rig_random() % 4 ? 100000 : 100;

			if (rig_random() % 3)
				send_up_to(fd, min_size(n_sent + 1 + rig_random() % burst, TOTAL));
			if (rig_random() % 2) {
				bool queued = port_input_pending(&rig.port) > 0;

				n_straight += take(1 + rig_random() % 70000) > 0 && !queued;
			}
			rig_step_before(deadline);
		}
		assert_memory_equal(got, sent, TOTAL);
		assert_true(n_straight > 0);
		end_at_once(fd);
	}
}

/* What it had sent is thrown away with the role; the other's comes whole. */
static void writer_that_loses_its_role_in_bulk_gives_no_more(void **state)
{
	(void)state;
	EACH_SOCKET
	{
		size_t before;
		int fd, second;

		BEGIN();
		fd = connect_kind(tcp);
		send_until_bulk(fd);
		take_up_to(CLIENT_INPUT_SIZE + 5000, TOTAL);
		second = connect_kind(tcp);
		port_steal(list_entry(rig.port.clients.prev, struct port_client, link));
		before = n_got;
		assert_int_equal(take(1000), 0);
		rig_step_quietly();
		assert_int_equal(take(1000), 0);
		pass(second, before + BULK);
		/* The first is a watcher like others: it may become the writer again. */
		close(second);
		PUMP_UNTIL(rig.port.n_clients == 1);
		pass(fd, before + 2 * BULK);
		end_at_once(fd);
	}
}

static uint8_t seen[TOTAL];
static size_t n_seen;

static void on_seen(struct port_client *c, const void *data, size_t len)
{
	(void)c;
	memcpy(seen + n_seen, data, len);
	n_seen += len;
}

static void log_of_input_is_shown_all_of_it(void **state)
{
	static const struct port_client_ops ops = { .input_seen = on_seen };
	static const struct port_client_options options = { .passive = true };

	(void)state;
	EACH_SOCKET
	{
		struct port_client log;
		int fd;

		BEGIN();
		n_seen = 0;
		port_join(&rig.port, &log, &ops, &options);
		fd = connect_kind(tcp);
		send_until_bulk(fd);
		take_up_to(n_sent, 50000);
		assert_int_equal(n_seen, n_sent);
		assert_memory_equal(seen, sent, n_seen);
		port_leave(&log);
		end_at_once(fd);
	}
}

static void disabled_input_waits_in_the_socket(void **state)
{
	(void)state;
	EACH_SOCKET
	{
		int fd;

		BEGIN();
		fd = connect_kind(tcp);
		send_until_bulk(fd);
		take_up_to(CLIENT_INPUT_SIZE + 5000, TOTAL);
		port_enable_input(&rig.port, false);
		assert_int_equal(take(1000), 0);
		rig_step_quietly();
		assert_int_equal(take(1000), 0);
		rig.n_input = 0;
		port_enable_input(&rig.port, true);
		assert_true(rig.n_input > 0);
		take_up_to(n_sent, 50000);
		end_at_once(fd);
	}
}

/* A guest has buffers for more at all times, or would not see the end. */
static void take_all_it_left(size_t piece)
{
	time_t deadline = rig_seconds() + DEADLINE_SECONDS;

	while (rig.port.n_clients > 0 || port_input_pending(&rig.port) > 0) {
		take(piece);
		rig_step_before(deadline);
	}
	assert_memory_equal(got, sent, n_got);
}

/* VC-067: what a peer sent before it left is the guest's, then the host side closes. */
static void end_after_bulk_comes_after_all_of_it(void **state)
{
	(void)state;
	EACH_SOCKET
	{
		for (unsigned int half = 0; half < 2; half++) {
			int fd;

			BEGIN();
			fd = connect_kind(tcp);
			send_until_bulk(fd);
			take_up_to(CLIENT_INPUT_SIZE + 1000, TOTAL);
			if (half)
				shutdown(fd, SHUT_WR);
			else
				fd = fd_close(fd);
			rig_step_quietly();
			take_all_it_left(3000);
			assert_int_equal(n_got, n_sent);
			assert_false(port_host_open(&rig.port));
			end_at_once(fd);
		}
	}
}

static void reset_after_bulk_ends_the_client(void **state)
{
	int fd;

	(void)state;
	begin_kind(ATTACHMENT_tcp_server);
	fd = connect_kind(true);
	send_until_bulk(fd);
	take_up_to(CLIENT_INPUT_SIZE + 1000, TOTAL);
	reset_connection(fd);
	take_all_it_left(1000);
	end_at_once(-1);
}

/* VC-067: writing tells first that it is gone; what it left is read in order all the same. */
static void input_of_a_peer_that_hung_up_in_bulk_keeps_its_order(void **state)
{
	int fd;

	(void)state;
	begin_kind(ATTACHMENT_unix_server);
	fd = connect_kind(false);
	while (n_sent < BULK) {
		size_t before = n_sent;

		send_up_to(fd, BULK);
		rig_step();
		if (n_sent == before)
			break; /* it is as full as can be */
	}
	PUMP_UNTIL(rig.port.writer->gives_now);
	assert_true(n_sent > PORT_INPUT_SIZE + 3 * CLIENT_INPUT_SIZE);
	close(fd);
	rig_output("echo", 4); /* nobody hears it */
	rig_step_quietly();
	take_all_it_left(700);
	assert_int_equal(n_got, n_sent);
	end_at_once(-1);
}

/* Its bytes are not the port's; nor may a watcher's be. */
static void input_goes_through_the_queue_for_everybody_else(void **state)
{
	(void)state;
	for (unsigned int how = 0; how < 2; how++) {
		struct port_client *c;
		int fd;

		begin_kind(how == 0 ? ATTACHMENT_telnet_server : ATTACHMENT_tcp_server);
		rig.options.ro = how == 1;
		fd = connect_kind(true);
		c = list_first(&rig.port.clients, struct port_client, link);
		for (unsigned int i = 0; i < 500; i++) {
			send_up_to(fd, BULK);
			rig_step();
			assert_false(c->gives_now);
		}
		assert_true(n_sent > 0);
		assert_int_equal(port_input_flows(&rig.port), how == 0);
		end_at_once(fd);
	}
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(bulk_is_left_in_the_socket_until_the_guest_takes_it),
	UNIT_TEST(input_of_all_sizes_is_taken_once_and_in_order),
	UNIT_TEST(writer_that_loses_its_role_in_bulk_gives_no_more),
	UNIT_TEST(log_of_input_is_shown_all_of_it),
	UNIT_TEST(disabled_input_waits_in_the_socket),
	UNIT_TEST(end_after_bulk_comes_after_all_of_it),
	UNIT_TEST(reset_after_bulk_ends_the_client),
	UNIT_TEST(input_of_a_peer_that_hung_up_in_bulk_keeps_its_order),
	UNIT_TEST(input_goes_through_the_queue_for_everybody_else),
};
UNIT_MAIN(tests)
