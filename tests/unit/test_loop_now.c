/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Messages that are sent and received at once, beside operations under way. */
#include "loop_rig.h"

#include <sys/mman.h>

enum {
	SQ_ENTRIES = 256, /* operations that are prepared before the kernel is called */
	MANY = 2000,
	PIECES = 1024, /* vectors that the kernel takes */
	PIECE = 100,
};

static int fds[2];

static void begin_sockets(void)
{
	begin();
	make(SOCKETS, fds);
	fcntl(fds[1], F_SETFL, O_NONBLOCK);
}

static void end_sockets(void)
{
	unmake(fds);
	end();
}

static int send_now(const void *data, size_t len)
{
	struct iovec iov = { (void *)(uintptr_t)data, len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	return loop_sendmsg_now(rig.loop, fds[0], &msg);
}

static int receive_now(void *data, size_t len)
{
	struct iovec iov = { data, len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	return loop_recvmsg_now(rig.loop, fds[0], &msg);
}

static void message_that_goes_at_once_is_there_on_return(void **state)
{
	char got[8] = "";

	(void)state;
	begin_sockets();
	assert_int_equal(send_now("hello", 5), 5);
	assert_int_equal(read(fds[1], got, sizeof(got)), 5);
	assert_memory_equal(got, "hello", 5);
	assert_int_equal(write(fds[1], "world", 5), 5);
	assert_int_equal(receive_now(got, 3), 3);
	assert_memory_equal(got, "wor", 3);
	assert_int_equal(receive_now(got, 8), 2);
	assert_memory_equal(got, "ld", 2);
	run_what_is_there();
	end_sockets();
}

static void nothing_to_receive_is_eagain_and_the_end_is_zero(void **state)
{
	char got[8];

	(void)state;
	begin_sockets();
	assert_int_equal(receive_now(got, sizeof(got)), -EAGAIN);
	shutdown(fds[1], SHUT_WR);
	assert_int_equal(receive_now(got, sizeof(got)), 0);
	end_sockets();
}

static void full_socket_takes_a_part_and_then_nothing(void **state)
{
	static uint8_t bytes[4 << 20], got[65536];
	size_t n_sent = 0, n_got = 0;
	ssize_t n;
	int res;

	(void)state;
	begin_sockets();
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 7 + i / 251);
	while ((res = send_now(bytes + n_sent, sizeof(bytes) - n_sent)) > 0)
		n_sent += (size_t)res;
	assert_int_equal(res, -EAGAIN);
	assert_true(n_sent > 0 && n_sent < sizeof(bytes));
	for (; (n = read(fds[1], got, sizeof(got))) > 0; n_got += (size_t)n)
		assert_memory_equal(got, bytes + n_got, (size_t)n);
	assert_int_equal(n_got, n_sent);
	assert_true(send_now(bytes, 1) == 1);
	end_sockets();
}

/* No signal either. */
static void peer_that_is_gone_is_an_error(void **state)
{
	(void)state;
	begin_sockets();
	signal(SIGPIPE, SIG_DFL);
	fds[1] = fd_close(fds[1]);
	assert_int_equal(send_now("x", 1), -EPIPE);
	signal(SIGPIPE, SIG_IGN);
	close(fds[0]);
	end();
}

static void memory_that_cannot_be_read_is_an_error(void **state)
{
	void *hole = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)state;
	assert_true(hole != MAP_FAILED);
	begin_sockets();
	assert_int_equal(send_now(hole, 4096), -EFAULT);
	assert_int_equal(write(fds[1], "x", 1), 1);
	assert_int_equal(receive_now(hole, 4096), -EFAULT);
	assert_int_equal(send_now("y", 1), 1);
	end_sockets();
	munmap(hole, 4096);
}

static void vectors_go_side_by_side(void **state)
{
	static uint8_t bytes[PIECES * PIECE], got[PIECES * PIECE];
	static struct iovec iov[PIECES];
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = PIECES };

	(void)state;
	begin_sockets();
	for (unsigned int i = 0; i < PIECES; i++) {
		memset(bytes + i * PIECE, (int)(i % 251), PIECE);
		iov[PIECES - 1 - i] = (struct iovec){ bytes + i * PIECE, PIECE };
	}
	assert_int_equal(loop_sendmsg_now(rig.loop, fds[0], &msg), PIECES * PIECE);
	assert_int_equal(read(fds[1], got, sizeof(got)), PIECES * PIECE);
	for (unsigned int i = 0; i < PIECES; i++)
		assert_memory_equal(got + i * PIECE, iov[i].iov_base, PIECE);
	assert_int_equal(write(fds[1], got, sizeof(got)), PIECES * PIECE);
	memset(bytes, 0, sizeof(bytes));
	assert_int_equal(loop_recvmsg_now(rig.loop, fds[0], &msg), PIECES * PIECE);
	for (unsigned int i = 0; i < PIECES; i++)
		assert_memory_equal(got + i * PIECE, iov[i].iov_base, PIECE);
	end_sockets();
}

/* With exactly as many operations prepared as the queue has room for, or one more or less. */
static void full_submission_queue_goes_first(void **state)
{
	static struct probe probes[SQ_ENTRIES + 1];

	(void)state;
	for (unsigned int n = SQ_ENTRIES - 1; n <= SQ_ENTRIES + 1; n++) {
		uint64_t one = 1, sum = 0;
		int event[2];

		begin_sockets();
		make(EVENT, event);
		for (unsigned int i = 0; i < n; i++) {
			probe_init(&probes[i]);
			op_write(&probes[i].op, event[1], &one, sizeof(one));
		}
		assert_int_equal(send_now("x", 1), 1);
		for (unsigned int i = 0; i < n; i++)
			if (op_armed(&probes[i].op))
				run_until(&probes[i].n_done, 1);
		run_what_is_there();
		for (unsigned int i = 0; i < n; i++) {
			assert_int_equal(probes[i].n_done, 1);
			assert_int_equal(probes[i].res, 8);
		}
		assert_int_equal(read(event[0], &sum, sizeof(sum)), 8);
		assert_true(sum == n);
		unmake(event);
		end_sockets();
	}
}

/* An operation and its end come from the same call of the kernel. */
static void operation_that_a_message_completes_is_told_once(void **state)
{
	struct probe p;
	char got[4];

	(void)state;
	begin_sockets();
	probe_init(&p);
	op_read(&p.op, fds[1], got, sizeof(got));
	run_what_is_there();
	assert_int_equal(p.n_done, 0);
	assert_int_equal(send_now("abc", 3), 3);
	assert_int_equal(p.n_done, 0);
	run_until(&p.n_done, 1);
	assert_int_equal(p.res, 3);
	run_what_is_there();
	assert_int_equal(p.n_done, 1);
	end_sockets();
}

/* In one iteration: some have to wait, none is lost or doubled, and nobody else's end is. */
static void many_in_one_iteration_are_each_done_once(void **state)
{
	static struct probe probes[MANY];
	static uint32_t got[MANY];
	unsigned int n_sent = 0, n_waited = 0, n_armed = 0;
	uint64_t one = 1, sum;
	int event[2];
	size_t n_got = 0;

	(void)state;
	begin_sockets();
	make(EVENT, event);
	while (n_sent < MANY) {
		uint32_t n = n_sent;
		int res = send_now(&n, sizeof(n));
		ssize_t r;

		if (n_armed < MANY && n_armed % 3 == n_sent % 3) {
			probe_init(&probes[n_armed]);
			op_write(&probes[n_armed++].op, event[1], &one, sizeof(one));
		}
		if (res == sizeof(n)) {
			n_sent++;
		} else {
			assert_int_equal(res, -EAGAIN);
			n_waited++;
			assert_int_equal(loop_step(rig.loop, false), 0);
		}
		r = read(fds[1], got + n_got / 4, sizeof(n));
		n_got += r > 0 ? (size_t)r : 0;
		assert_true(n_waited < FOREVER);
	}
	assert_true(by_uring() == (n_waited > 0)); /* for room among the completions */
	assert_int_equal(n_got, sizeof(got));
	for (uint32_t i = 0; i < MANY; i++)
		assert_int_equal(got[i], i);
	for (unsigned int i = 0; i < n_armed; i++)
		if (op_armed(&probes[i].op))
			run_until(&probes[i].n_done, 1);
	run_what_is_there();
	for (unsigned int i = 0; i < n_armed; i++)
		assert_int_equal(probes[i].n_done, 1);
	assert_int_equal(read(event[0], &sum, sizeof(sum)), 8);
	assert_true(sum == n_armed && n_armed > 0);
	unmake(event);
	end_sockets();
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(message_that_goes_at_once_is_there_on_return),
	UNIT_TEST(nothing_to_receive_is_eagain_and_the_end_is_zero),
	UNIT_TEST(full_socket_takes_a_part_and_then_nothing),
	UNIT_TEST(peer_that_is_gone_is_an_error),
	UNIT_TEST(memory_that_cannot_be_read_is_an_error),
	UNIT_TEST(vectors_go_side_by_side),
	UNIT_TEST(full_submission_queue_goes_first),
	UNIT_TEST(operation_that_a_message_completes_is_told_once),
	UNIT_TEST(many_in_one_iteration_are_each_done_once),
};
UNIT_MAIN(tests)
