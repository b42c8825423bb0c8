/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Output of a stream past its own buffer, and through it. */
#include "stream_rig.h"

enum { MANY = 3000 }; /* vectors */

static void write_now_goes_at_once_and_in_order_with_the_rest(void **state)
{
	(void)state;
	EACH_SOCKET
	{
		BEGIN();
		assert_int_equal(write_now(bytes, 1000), 1000);
		rig.pending = bytes + 1000;
		rig.n_pending = 3000;
		stream_write(&rig.stream);
		/* What is under way comes first. */
		assert_int_equal(write_now(bytes + 4000, 10), 0);
		STEP_UNTIL(rig.n_drained == 1);
		assert_int_equal(write_now(bytes + 4000, 10), 10);
		peer_gets(4010);
		assert_int_equal(rig.n_drained, 1); /* all of it went: nothing to tell */
		end();
	}
}

static void write_now_that_went_in_part_is_told_of_room(void **state)
{
	(void)state;
	EACH_SOCKET
	{
		size_t n_sent = 0, n_got = 0;
		unsigned int n_partial = 0;

		BEGIN();
		while (n_got < TOTAL) {
			size_t want = TOTAL - n_sent;
			size_t n = want > 0 ? write_now(bytes + n_sent, want) : 0;
			ssize_t r;

			n_sent += n;
			if (n < want) {
				assert_int_equal(write_now(bytes, 1), 0);
				n_partial += n > 0;
			}
			r = read(rig.fds[1], got + n_got, 100000);
			n_got += r > 0 ? (size_t)r : 0;
			step();
		}
		assert_memory_equal(got, bytes, TOTAL);
		assert_true(n_partial > 0 && rig.n_drained > 0);
		assert_int_equal(rig.n_failed, 0);
		end();
	}
}

/* The ring takes over while the socket is full; no byte overtakes another. */
static void output_goes_on_where_write_now_stopped(void **state)
{
	(void)state;
	EACH_SOCKET
	{
		size_t n;

		BEGIN();
		n = write_now(bytes, TOTAL - 1000);
		assert_true(n > 0 && n < TOTAL - 1000);
		rig.pending = bytes + n;
		rig.n_pending = TOTAL - n;
		stream_write(&rig.stream);
		peer_gets(TOTAL);
		assert_true(rig.n_drained > 0);
		end();
	}
}

static void write_now_from_within_output_is_nothing(void **state)
{
	(void)state;
	EACH_SOCKET
	{
		BEGIN();
		rig.write_in_output = true;
		rig.n_pending = 100;
		stream_write(&rig.stream);
		peer_gets(100);
		end();
	}
}

static void write_now_to_a_peer_that_is_gone_fails_once(void **state)
{
	(void)state;
	EACH_SOCKET
	{
		BEGIN();
		rig.fds[1] = fd_close(rig.fds[1]);
		for (unsigned int i = 0; rig.n_failed == 0 && i < 100; i++) {
			write_now(bytes, 5000);
			settle();
		}
		assert_int_equal(rig.n_failed, 1);
		assert_true(rig.failed == -EPIPE || rig.failed == -ECONNRESET);
		assert_int_equal(write_now(bytes, 5000), 0);
		rig.n_pending = 10;
		stream_write(&rig.stream);
		settle();
		assert_int_equal(rig.n_failed, 1);
		assert_int_equal(rig.n_pending, 10);
		end();
	}
}

/* The peer has nothing to do with it: what goes the other way still goes. */
static void write_now_from_bad_memory_is_nothing_and_no_failure(void **state)
{
	uint8_t *two = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)state;
	assert_true(two != MAP_FAILED);
	assert_int_equal(mprotect(two + 4096, 4096, PROT_NONE), 0);
	EACH_SOCKET
	{
		BEGIN();
		assert_int_equal(write_now(two + 4096, 4096), 0);
		settle();
		assert_int_equal(rig.n_failed, 0);
		assert_false(op_armed(&rig.stream.wr));
		assert_int_equal(write_now(bytes, 700), 700);
		rig.pending = bytes + 700;
		rig.n_pending = 300;
		stream_write(&rig.stream);
		peer_gets(1000);
		end();
	}
	munmap(two, 8192);
}

/* A peer that sends no more looks ready at all times, so room cannot be waited for. */
static void write_now_to_a_half_closed_peer_ends_with_the_first_wait(void **state)
{
	(void)state;
	EACH_SOCKET
	{
		size_t n;

		BEGIN();
		shutdown(rig.fds[1], SHUT_WR);
		n = write_now(bytes, TOTAL);
		assert_true(n > 0 && n < TOTAL);
		STEP_UNTIL(rig.stream.half_closed);
		assert_true(rig.n_drained > 0);
		peer_gets(n);
		assert_int_equal(write_now(bytes + n, 1), 0); /* though there is room */
		rig.pending = bytes + n;
		rig.n_pending = TOTAL - n;
		stream_write(&rig.stream);
		peer_gets_from(n, TOTAL);
		end();
	}
}

static void write_now_while_closing_is_nothing(void **state)
{
	(void)state;
	EACH_SOCKET
	{
		BEGIN();
		assert_true(write_now(bytes, TOTAL) > 0);
		assert_true(op_armed(&rig.stream.wr));
		stream_close(&rig.stream, closed);
		assert_int_equal(write_now(bytes, 10), 0);
		assert_int_equal(read_now(got, 10), 0);
		STEP_UNTIL(rig.n_closed > 0);
		assert_int_equal(rig.n_drained, 0);
		end();
	}
}

/* A filled buffer is followed by a larger one, up to the largest; contents stay in order. */
static void buffer_grows_with_what_fills_it(void **state)
{
	(void)state;
	EACH_SOCKET
	{
		BEGIN();
		assert_int_equal(rig.stream.out_size, STREAM_OUT_MIN);
		rig.n_pending = STREAM_OUT_MIN - 1;
		stream_write(&rig.stream);
		peer_gets(STREAM_OUT_MIN - 1);
		assert_int_equal(rig.biggest_ask, STREAM_OUT_MIN);
		rig.pending = bytes;
		rig.n_pending = TOTAL;
		stream_write(&rig.stream);
		peer_gets(TOTAL);
		assert_int_equal(rig.biggest_ask, STREAM_OUT_SIZE);
		assert_true(rig.n_asked < TOTAL / STREAM_OUT_SIZE + 8);
		end();
	}
}

/* More vectors than the kernel takes: the rest is told of as room. */
static void vectors_without_number_go_in_turns(void **state)
{
	static struct iovec iov[MANY];

	(void)state;
	EACH_SOCKET
	{
		size_t n_sent = 0;

		BEGIN();
		for (unsigned int i = 0; i < MANY; i++)
			iov[i] = (struct iovec){ bytes + 3 * i, 3 };
		while (n_sent < 3 * MANY) {
			unsigned int n_drained = rig.n_drained;
			size_t n = stream_write_now(&rig.stream, iov + n_sent / 3,
						    (unsigned int)(MANY - n_sent / 3));

			assert_true(n > 0 && n % 3 == 0);
			n_sent += n;
			if (n_sent < 3 * MANY)
				STEP_UNTIL(rig.n_drained > n_drained);
		}
		peer_gets(3 * MANY);
		end();
	}
}

static void only_one_stream_socket_both_ways_is_a_socket(void **state)
{
	static const int types[] = { SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM };
	struct stream s = { .in_fd = -1, .out_fd = -1 };
	int fds[2];

	(void)state;
	assert_false(stream_is_socket(&s));
	for (unsigned int i = 0; i < ARRAY_SIZE(types); i++) {
		assert_int_equal(socketpair(AF_UNIX, types[i] | SOCK_CLOEXEC, 0, fds), 0);
		s.in_fd = s.out_fd = fds[0];
		assert_int_equal(stream_is_socket(&s), types[i] == SOCK_STREAM);
		s.out_fd = fds[1];
		assert_false(stream_is_socket(&s));
		close(fds[0]);
		close(fds[1]);
	}
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	s.in_fd = s.out_fd = fds[0];
	assert_false(stream_is_socket(&s));
	close(fds[0]);
	close(fds[1]);
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(write_now_goes_at_once_and_in_order_with_the_rest),
	UNIT_TEST(write_now_that_went_in_part_is_told_of_room),
	UNIT_TEST(output_goes_on_where_write_now_stopped),
	UNIT_TEST(write_now_from_within_output_is_nothing),
	UNIT_TEST(write_now_to_a_peer_that_is_gone_fails_once),
	UNIT_TEST(write_now_from_bad_memory_is_nothing_and_no_failure),
	UNIT_TEST(write_now_to_a_half_closed_peer_ends_with_the_first_wait),
	UNIT_TEST(write_now_while_closing_is_nothing),
	UNIT_TEST(buffer_grows_with_what_fills_it),
	UNIT_TEST(vectors_without_number_go_in_turns),
	UNIT_TEST(only_one_stream_socket_both_ways_is_a_socket),
};
UNIT_MAIN(tests)
