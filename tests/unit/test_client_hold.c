/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Clients of a port that holds the guest up rather than lose output. */
#include "clock.h"
#include "socket_rig.h"

#include "backends/client.h"

static void begin(void)
{
	rig_begin_lossless();
	serve_tcp(ATTACHMENT_tcp_server);
}

static void end(void)
{
	rig_close();
	rig_end();
}

/* VC-062: a guest is held up by the slowest, and nobody loses or doubles a byte. */
static void port_that_holds_gives_clients_of_any_speed_everything(void **state)
{
	enum { N_PEERS = 5, TOTAL = 1024 * 1024 };
	static uint8_t sent[TOTAL], got[N_PEERS][TOTAL];
	size_t n_sent = 0, n_got[N_PEERS] = { 0 }, n_done = 0;
	time_t deadline = rig_seconds() + DEADLINE_SECONDS;
	int fds[N_PEERS];
	char name[64];

	(void)state;
	rig_begin_lossless();
	snprintf(name, sizeof(name), "@vhu-test-%d", getpid());
	assert_int_equal(rig_open(ATTACHMENT_unix_server, name), 0);
	rig_fill(sent, TOTAL);
	for (unsigned int i = 0; i < N_PEERS; i++)
		fds[i] = dial_unix(name);
	PUMP_UNTIL(rig.port.n_clients == N_PEERS);
	while (n_done < N_PEERS) {
		n_sent += rig_offer(sent + n_sent, min_size(40000, TOTAL - n_sent));
		n_done = 0;
		for (unsigned int i = 0; i < N_PEERS; i++) {
			/* The last is not read before everybody waits for it. */
			bool reads = i + 1 < N_PEERS || rig.port.counters.n_stalls > 0;
			size_t piece = min_size(reads ? 30000U >> i : 0, TOTAL - n_got[i]);
			ssize_t n = piece > 0 ? read(fds[i], got[i] + n_got[i], piece) : 0;

			n_got[i] += n > 0 ? (size_t)n : 0;
			n_done += n_got[i] == TOTAL;
		}
		rig_step_before(deadline);
	}
	for (unsigned int i = 0; i < N_PEERS; i++)
		assert_memory_equal(got[i], sent, TOTAL);
	assert_true(rig.n_room > 0);
	assert_true(rig.port.counters.output_lost == 0);
	end();
	for (unsigned int i = 0; i < N_PEERS; i++)
		close(fds[i]);
}

/* Offers output until no more is taken; returns how much went. */
static uint64_t offer_until_held(void)
{
	static uint8_t bytes[FLOOD_PIECE];
	unsigned int n_refused = 0;
	uint64_t n = 0;

	while (n_refused < QUIET_STEPS && n < FLOOD_OUT) {
		size_t taken = rig_offer(bytes, sizeof(bytes));

		n_refused = taken > 0 ? 0 : n_refused + 1;
		n += taken;
		rig_step();
	}
	return n;
}

/* VC-064: it is closed, reset or sent away while a guest waits for it. */
static void guest_that_is_held_goes_on_when_the_client_leaves(void **state)
{
	(void)state;
	for (unsigned int how = 0; how < 3; how++) {
		unsigned int n_room;
		int fd;

		begin();
		fd = join_with(SMALL);
		assert_true(offer_until_held() < FLOOD_OUT);
		assert_true(rig.port.stalled);
		n_room =
			rig.n_room; /* the client's buffers may have had some more, after a while */
		if (how == 0)
			close(fd);
		else if (how == 1)
			reset_connection(fd);
		else
			rig.port.writer->ops->disconnect(rig.port.writer, "it is sent away");
		PUMP_UNTIL(rig.port.n_clients == 0);
		assert_int_equal(rig.n_room, n_room + 1);
		assert_false(rig.port.stalled);
		assert_int_equal(rig.n_open, 2);
		end();
		if (how == 2)
			close(fd);
	}
}

static void read_only_client_never_holds_the_guest(void **state)
{
	int fd;

	(void)state;
	rig_begin_lossless();
	rig.options.ro = true;
	serve_tcp(ATTACHMENT_tcp_server);
	fd = join_with(SMALL);
	assert_true(offer_until_held() >= FLOOD_OUT);
	rig_close();
	rig.attachment->ops->hurry(rig.attachment);
	rig_end();
	close(fd);
}

/* VC-066 */
static void client_with_the_smallest_buffers_gets_everything(void **state)
{
	static uint8_t sent[N_BYTES], got[N_BYTES];
	const int one = 1;
	int fd;

	(void)state;
	begin();
	fd = join_with(one);
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &one, sizeof(one));
	rig_fill(sent, sizeof(sent));
	rig_output(sent, sizeof(sent));
	rig_read_all(fd, got, sizeof(got), 100);
	assert_memory_equal(got, sent, sizeof(got));
	send_all(fd, sent, sizeof(sent));
	take_exactly(sent, sizeof(sent));
	end();
	close(fd);
}

/* The whole of a stream that a device adds to from within output_room(). */
static uint8_t eager_bytes[1024 * 1024];
static size_t n_eager;

static void add_at_once(struct port *port)
{
	size_t n;

	(void)port;
	do {
		n = rig_offer(eager_bytes + n_eager,
			      min_size(20000, sizeof(eager_bytes) - n_eager));
		n_eager += n;
	} while (n > 0);
}

static void output_that_comes_while_output_is_taken_keeps_its_order(void **state)
{
	static const struct port_device_ops eager = {
		.input_ready = on_input,
		.output_room = add_at_once,
		.host_open_changed = on_open,
		.size_changed = on_size,
	};
	static uint8_t got[sizeof(eager_bytes)];
	int fd;

	(void)state;
	begin();
	rig.port.dev_ops = &eager;
	fd = join();
	rig_fill(eager_bytes, sizeof(eager_bytes));
	n_eager = 0;
	add_at_once(&rig.port);
	rig_read_all(fd, got, sizeof(got), 50000);
	assert_memory_equal(got, eager_bytes, sizeof(got));
	end();
	close(fd);
}

/* A reader that has shut down its side, as nc -N does, and stops for a while. */
static void client_that_sends_no_more_is_given_all_there_is(void **state)
{
	enum { TOTAL = 8 * 1024 * 1024 };
	static uint8_t sent[TOTAL], got[TOTAL];
	time_t deadline = rig_seconds() + DEADLINE_SECONDS;
	size_t n_sent = 0, n_got = 0;
	uint64_t until = 0;
	int fd;

	(void)state;
	begin();
	fd = join();
	shutdown(fd, SHUT_WR);
	rig_fill(sent, sizeof(sent));
	while (n_got < TOTAL) {
		bool waited = until > 0 && monotonic_ns() > until;
		ssize_t n = waited ? read(fd, got + n_got, 50000) : 0;

		n_got += n > 0 ? (size_t)n : 0;
		n_sent += rig_offer(sent + n_sent, min_size(50000, TOTAL - n_sent));
		if (until == 0 && rig.port.stalled)
			until = monotonic_ns() + 2 * CLIENT_LINGER_MS * UINT64_C(1000000);
		rig_step_before(deadline);
	}
	assert_memory_equal(got, sent, TOTAL);
	PUMP_UNTIL(at_end(fd));
	end();
	close(fd);
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(port_that_holds_gives_clients_of_any_speed_everything),
	UNIT_TEST(guest_that_is_held_goes_on_when_the_client_leaves),
	UNIT_TEST(read_only_client_never_holds_the_guest),
	UNIT_TEST(client_with_the_smallest_buffers_gets_everything),
	UNIT_TEST(output_that_comes_while_output_is_taken_keeps_its_order),
	UNIT_TEST(client_that_sends_no_more_is_given_all_there_is),
};
UNIT_MAIN(tests)
