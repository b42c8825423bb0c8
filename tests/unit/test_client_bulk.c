/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Bytes that go between the guest and a client's socket past all buffers of ours. */
#include "bulk_rig.h"

#include <sys/mman.h>

#include "backends/client.h"
#include "clock.h"

enum { TOTAL = 12 * 1024 * 1024, STREAM = 3 * 1024 * 1024, PIECE = 40000, WINDOW = 128 * 1024 };

static uint8_t sent[TOTAL], got[TOTAL];

static void fill_once(void)
{
	static bool filled;

	if (!filled)
		rig_fill(sent, sizeof(sent));
	filled = true;
}

static void begin_kind(bool tcp)
{
	rig_begin_lossless();
	fill_once();
	memset(got, 0, sizeof(got));
	serve_kind(tcp ? ATTACHMENT_tcp_server : ATTACHMENT_unix_server);
}

static int connect_kind(bool tcp)
{
	return tcp ? join_with(WINDOW) : join_unix();
}

static struct port_client *first(void)
{
	return list_first(&rig.port.clients, struct port_client, link);
}

static size_t read_some(int fd, size_t done, size_t piece)
{
	ssize_t n = read(fd, got + done, min_size(piece, TOTAL - done));

	return n > 0 ? (size_t)n : 0;
}

/* Nothing stays in the ring, as it would on the other way. */
static void output_to_the_only_client_is_not_kept(void **state)
{
	(void)state;
	EACH_SOCKET
	{
		int fd;

		begin_kind(tcp);
		fd = connect_kind(tcp);
		assert_true(first()->takes_now);
		assert_int_equal(rig_offer(sent, PIECE), PIECE);
		assert_true(rig.port.out.tail == PIECE && rig.port.out.head == PIECE);
		rig_read_all(fd, got, PIECE, PIECE);
		assert_memory_equal(got, sent, PIECE);
		end_at_once(fd);
	}
}

/* VC-062: typed lines and bulk, a peer that stops now and then for longer than we wait. */
static void output_of_all_sizes_is_given_once_and_in_order(void **state)
{
	(void)state;
	EACH_SOCKET
	{
		time_t deadline = rig_seconds() + DEADLINE_SECONDS;
		size_t n_sent = 0, n_got = 0;
		uint64_t until = 0;
		unsigned int n_pauses = 0, n_straight = 0;
		int fd;

		begin_kind(tcp);
		fd = connect_kind(tcp);
		while (n_got < STREAM) {
			size_t want = 1 + rig_random() % (rig_random() % 3 ? PIECE : 1000);
			size_t n = rig_offer(sent + n_sent, min_size(want, STREAM - n_sent));

			n_sent += n;
			n_straight += n > 0 && rig.port.out.tail == rig.port.out.head;
			if (rig.port.stalled && n_pauses < 6 && until == 0) {
				n_pauses++;
				until = monotonic_ns() + n_pauses % 3 * UINT64_C(12000000);
			}
			if (monotonic_ns() > until) {
				n_got += read_some(fd, n_got, 1 + rig_random() % (PIECE / 3));
				until = 0;
			}
			rig_step_before(deadline);
		}
		assert_memory_equal(got, sent, STREAM);
		assert_true(n_pauses > 0 && n_straight > 0);
		assert_true(rig.port.counters.output_lost == 0);
		end_at_once(fd);
	}
}

/* The guest's vectors until the socket takes no more: returns how many bytes went. */
static size_t offer_until_full(size_t done)
{
	size_t n_sent = done;

	while (!rig.port.stalled) {
		assert_true(n_sent < TOTAL - 2 * HISTORY);
		n_sent += rig_offer(sent + n_sent, min_size(PIECE, TOTAL - n_sent));
	}
	assert_true(first()->full);
	assert_true(port_output_room(&rig.port) == 0);
	return n_sent;
}

static void read_the_rest(int fd, size_t n_got, size_t n_sent)
{
	rig_read_all(fd, got + n_got, n_sent - n_got, PIECE);
	assert_memory_equal(got, sent, n_sent);
	rig_step_quietly();
	assert_int_equal(read(fd, got, 1), -1);
}

/* A guest is not held up for longer than that while the ring has room. */
static void ring_takes_what_a_peer_does_not_read_in_time(void **state)
{
	(void)state;
	EACH_SOCKET
	{
		size_t n_sent;
		int fd;

		begin_kind(tcp);
		fd = connect_kind(tcp);
		n_sent = offer_until_full(0);
		PUMP_UNTIL(rig.n_room > 0);
		assert_false(first()->takes_now);
		assert_true(port_output_room(&rig.port) == HISTORY);
		assert_int_equal(rig_offer(sent + n_sent, HISTORY), HISTORY);
		assert_true(port_output_room(&rig.port) < HISTORY);
		n_sent += HISTORY;
		read_the_rest(fd, 0, n_sent);
		/* As before, once it has read all. */
		PUMP_UNTIL(first()->takes_now);
		assert_int_equal(rig_offer(sent + n_sent, PIECE), PIECE);
		assert_true(rig.port.out.tail == rig.port.out.head);
		read_the_rest(fd, n_sent, n_sent + PIECE);
		end_at_once(fd);
	}
}

static void peer_that_reads_on_gets_the_rest_straight(void **state)
{
	(void)state;
	EACH_SOCKET
	{
		size_t n_sent, n_got = 0;
		int fd;

		begin_kind(tcp);
		fd = connect_kind(tcp);
		n_sent = offer_until_full(0);
		while (rig.n_room == 0) {
			n_got += read_some(fd, n_got, PIECE);
			rig_step();
		}
		if (first()->takes_now) { /* it was in time, as a rule */
			n_sent += rig_offer(sent + n_sent, PIECE);
			assert_true(rig.port.out.tail == rig.port.out.head);
		}
		read_the_rest(fd, n_got, n_sent);
		end_at_once(fd);
	}
}

/* Both get all from when they came, once and in order. */
static void client_that_joins_while_one_is_full_wakes_the_guest(void **state)
{
	(void)state;
	EACH_SOCKET
	{
		static uint8_t late[HISTORY];
		size_t n_sent;
		int fd, second;

		begin_kind(tcp);
		fd = connect_kind(tcp);
		n_sent = offer_until_full(0);
		second = connect_kind(tcp);
		assert_true(rig.n_room > 0);
		assert_int_equal(rig_offer(sent + n_sent, HISTORY), HISTORY);
		rig_read_all(second, late, HISTORY, PIECE);
		assert_memory_equal(late, sent + n_sent, HISTORY);
		n_sent += HISTORY;
		read_the_rest(fd, 0, n_sent);
		close(second);
		PUMP_UNTIL(rig.port.n_clients == 1);
		assert_int_equal(rig_offer(sent + n_sent, PIECE), PIECE);
		read_the_rest(fd, n_sent, n_sent + PIECE);
		end_at_once(fd);
	}
}

/* VC-064 */
static void guest_goes_on_when_a_full_client_leaves(void **state)
{
	(void)state;
	EACH_SOCKET
	{
		for (unsigned int how = 0; how < 3; how++) {
			int fd;

			begin_kind(tcp);
			fd = connect_kind(tcp);
			offer_until_full(0);
			if (how == 0)
				close(fd);
			else if (how == 1)
				reset_connection(fd);
			else
				first()->ops->disconnect(first(), "it is sent away");
			PUMP_UNTIL(rig.port.n_clients == 0);
			assert_true(rig.n_room > 0);
			assert_false(rig.port.stalled);
			assert_int_equal(rig_offer(sent, PIECE), PIECE);
			end_at_once(how == 2 ? fd : -1);
		}
	}
}

/* All that the guest got rid of, and then the end. */
static void client_that_is_full_is_finished_with_all_it_took(void **state)
{
	(void)state;
	EACH_SOCKET
	{
		size_t n_sent;
		int fd;

		begin_kind(tcp);
		fd = connect_kind(tcp);
		n_sent = offer_until_full(0);
		rig_close();
		assert_true(rig.n_room > 0);
		n_sent += rig_offer(sent + n_sent, PIECE);
		rig_read_all(fd, got, n_sent, PIECE);
		assert_memory_equal(got, sent, n_sent);
		PUMP_UNTIL(at_end(fd));
		rig_end();
		close(fd);
	}
}

/* One that joins late may be promised what was there before. */
static void output_is_kept_while_somebody_may_ask_for_it(void **state)
{
	struct attachment *other;
	int fd;

	(void)state;
	begin_kind(true);
	fd = connect_kind(true);
	rig.options.replay = (struct option_maybe){ .set = true, .value = PORT_REPLAY_ALL };
	assert_int_equal(rig_open_more(ATTACHMENT_tcp_server, "0", &other), 0);
	assert_int_equal(rig_offer(sent, PIECE), PIECE);
	assert_true(rig.port.out.tail == 0);
	read_the_rest(fd, 0, PIECE);
	rig_close_this(other);
	PUMP_UNTIL(rig.n_closed == 1);
	rig.n_closed = 0;
	assert_int_equal(rig_offer(sent + PIECE, PIECE), PIECE);
	assert_true(rig.port.out.tail == rig.port.out.head);
	read_the_rest(fd, PIECE, 2 * PIECE);
	end_at_once(fd);
}

/* VC-061: those who drop, those who are shown lines of ours, and those who do not hold. */
static void output_goes_through_the_ring_for_everybody_else(void **state)
{
	(void)state;
	for (unsigned int how = 0; how < 3; how++) {
		int fd;

		rig_begin_lossless();
		fill_once();
		rig.options.ro = how == 1;
		rig.port.overflow = how == 2 ? PORT_DROP : PORT_HOLD;
		serve_tcp(how == 0 ? ATTACHMENT_telnet_server : ATTACHMENT_tcp_server);
		fd = join();
		rig_step_quietly();
		assert_int_equal(rig_output(sent, PIECE), PIECE);
		assert_true(rig.port.out.head - rig.port.out.tail == PIECE);
		end_at_once(fd);
	}
}

/* A guest's memory that is gone is not the client's fault. */
static void memory_that_cannot_be_read_costs_no_client(void **state)
{
	uint8_t *hole = mmap(NULL, PIECE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)state;
	assert_true(hole != MAP_FAILED);
	EACH_SOCKET
	{
		int fd;

		begin_kind(tcp);
		fd = connect_kind(tcp);
		assert_int_equal(rig_offer(sent, PIECE), PIECE);
		assert_int_equal(rig_output(hole, PIECE), 0);
		assert_false(first()->full ||
			     first()->takes_now); /* so the ring is next to read it */
		assert_true(port_output_room(&rig.port) > 0);
		rig_step_quietly();
		assert_int_equal(rig.port.n_clients, 1);
		assert_int_equal(rig_offer(sent + PIECE, PIECE), PIECE);
		read_the_rest(fd, 0, 2 * PIECE);
		end_at_once(fd);
	}
	munmap(hole, PIECE);
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(output_to_the_only_client_is_not_kept),
	UNIT_TEST(output_of_all_sizes_is_given_once_and_in_order),
	UNIT_TEST(ring_takes_what_a_peer_does_not_read_in_time),
	UNIT_TEST(peer_that_reads_on_gets_the_rest_straight),
	UNIT_TEST(client_that_joins_while_one_is_full_wakes_the_guest),
	UNIT_TEST(guest_goes_on_when_a_full_client_leaves),
	UNIT_TEST(client_that_is_full_is_finished_with_all_it_took),
	UNIT_TEST(output_is_kept_while_somebody_may_ask_for_it),
	UNIT_TEST(output_goes_through_the_ring_for_everybody_else),
	UNIT_TEST(memory_that_cannot_be_read_costs_no_client),
};
UNIT_MAIN(tests)
