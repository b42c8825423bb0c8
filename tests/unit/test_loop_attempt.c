/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Calls that must not wait, whatever those who share the descriptor do meanwhile. */
#include "loop_rig.h"

#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>

#include "loop-attempt.h"
#include "loop-guard.h"

enum { ROUNDS = 2000 };

static struct loop_guard guard;
static struct probe probe;
static uint64_t most = UINT64_MAX - 1, one = 1;

static int set_up(void **state)
{
	unit_setup(state);
	begin();
	probe_init(&probe);
	return loop_guard_open(&guard);
}

static int tear_down(void **state)
{
	loop_guard_close(&guard);
	end();
	return unit_teardown(state);
}

static int attempt(enum op_code code, int fd, const void *buf, size_t len, bool ready)
{
	probe.op.request = (struct op_request){ code, fd, (uint32_t)len, 0, buf };
	return loop_attempt(&probe.op, ready);
}

/* Of what there is to be taken; a terminal may have been interrupted by chance. */
static int sure_attempt(enum op_code code, int fd, const void *buf, size_t len)
{
	int res;

	do {
		res = attempt(code, fd, buf, len, true);
	} while (res == -EAGAIN);
	return res;
}

static void eventfd_that_waits_when_full_is_left_alone(void **state)
{
	int fd = eventfd(0, EFD_CLOEXEC);

	(void)state;
	assert_int_equal(attempt(OP_WRITE, fd, &most, sizeof(most), false), 8);
	assert_int_equal(attempt(OP_WRITE, fd, &one, sizeof(one), false), -EAGAIN);
	assert_int_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, 0); /* others may count on it */
	close(fd);
}

/* As when somebody fills it between the look and the write. */
static void write_that_waits_after_all_is_interrupted(void **state)
{
	int fd = eventfd(0, EFD_CLOEXEC);

	(void)state;
	assert_int_equal(write(fd, &most, sizeof(most)), 8);
	for (unsigned int i = 0; i < 3; i++)
		assert_int_equal(attempt(OP_WRITE, fd, &one, sizeof(one), true), -EDEADLK);
	close(fd);
}

/*
 * A terminal's kernel code knows no RWF_NOWAIT, so it is the guard that ends this read.
 * It is interrupted also where it need not wait, which nobody is to suffer from.
 */
static void read_that_waits_after_all_is_interrupted(void **state)
{
	int fds[2];
	char byte = 0;

	(void)state;
	make(TERMINAL, fds);
	assert_int_equal(attempt(OP_READ, fds[0], &byte, 1, false), -EAGAIN);
	assert_int_equal(attempt(OP_READ, fds[0], &byte, 1, true), -EAGAIN);
	assert_int_equal(write(fds[1], "x", 1), 1);
	assert_int_equal(sure_attempt(OP_READ, fds[0], &byte, 1), 1);
	unmake(fds);
}

/* Calls that nobody guards are left in peace, before, between and after those that are. */
static void call_that_is_not_guarded_is_not_interrupted(void **state)
{
	int fd = eventfd(0, EFD_CLOEXEC);

	(void)state;
	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(poll(NULL, 0, 20), 0);
		assert_int_equal(attempt(OP_WRITE, fd, &one, sizeof(one), true), 8);
		assert_int_equal(poll(NULL, 0, 20), 0);
		assert_int_equal(poll(NULL, 0, 0), 0);
	}
	close(fd);
}

static void read_when_somebody_was_faster_waits_on(void **state)
{
	char buf[8];
	int fds[2];

	(void)state;
	for (enum kind kind = PIPE; kind < N_KINDS; kind++) {
		if (kind == TERMINAL)
			continue;
		make(kind, fds);
		probe_init(&probe);
		assert_int_equal(attempt(OP_READ, fds[0], buf, sizeof(buf), true), -EAGAIN);
		unmake(fds);
	}
}

static void write_when_the_reader_is_slow_takes_what_fits(void **state)
{
	static char bytes[1 << 20];
	int fds[2], res;

	(void)state;
	for (enum kind kind = PIPE; kind <= TERMINAL; kind++) {
		unsigned int n = 0;

		make(kind, fds);
		probe_init(&probe);
		do {
			res = attempt(OP_WRITE, fds[1], bytes, sizeof(bytes), false);
			n += res > 0;
		} while (res > 0 || n == 0);
		assert_int_equal(res, -EAGAIN);
		unmake(fds);
	}
}

static void file_is_read_and_written_at_once(void **state)
{
	FILE *file = tmpfile();
	static char bytes[100000], got[100000];
	int fd = fileno(file);

	(void)state;
	memset(bytes, 'x', sizeof(bytes));
	assert_int_equal(attempt(OP_WRITE, fd, bytes, sizeof(bytes), false), sizeof(bytes));
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_int_equal(attempt(OP_READ, fd, got, sizeof(got), true), sizeof(got));
	assert_memory_equal(got, bytes, sizeof(got));
	assert_int_equal(attempt(OP_READ, fd, got, sizeof(got), true), 0);
	fclose(file);
}

/* The way that was found for one descriptor is wrong for the next one, and still does not wait. */
static void operation_that_is_for_something_else_now_does_not_wait(void **state)
{
	uint64_t value = 0;
	int fds[2];

	(void)state;
	for (enum kind before = PIPE; before < N_KINDS; before++) {
		for (enum kind kind = PIPE; kind < N_KINDS; kind++) {
			probe_init(&probe);
			make(before, fds);
			attempt(OP_READ, fds[0], &value, sizeof(value), false);
			unmake(fds);
			make(kind, fds);
			assert_int_equal(attempt(OP_READ, fds[0], &value, sizeof(value), false),
					 -EAGAIN);
			assert_int_equal(write(fds[1], &one, sizeof(one)), 8);
			assert_int_equal(sure_attempt(OP_READ, fds[0], &value, sizeof(value)), 8);
			unmake(fds);
		}
	}
}

static void what_cannot_be_done_says_why(void **state)
{
	int fds[2];
	char byte = 0;

	(void)state;
	make(PIPE, fds);
	assert_int_equal(attempt(OP_READ, fds[1], &byte, 1, true), -EBADF);
	assert_int_equal(attempt(OP_WRITE, fds[0], &byte, 1, true), -EBADF);
	assert_int_equal(attempt(OP_RECVMSG, fds[0], &(struct msghdr){ 0 }, 1, true), -ENOTSOCK);
	assert_int_equal(attempt(OP_ACCEPT, fds[0], NULL, 0, true), -ENOTSOCK);
	assert_int_equal(attempt(OP_READ, -1, &byte, 1, true), -EBADF);
	unmake(fds);
}

/*
 * A peer that shares the descriptor takes O_NONBLOCK away and gives it back, fills
 * the counter and empties it, as fast as it can.
 */
struct peer {
	pthread_t thread;
	int fd; /* its own number for it */
	bool stop;
};

static void *play(void *arg)
{
	struct peer *p = arg;
	uint64_t got;

	while (!__atomic_load_n(&p->stop, __ATOMIC_RELAXED)) {
		fcntl(p->fd, F_SETFL, O_NONBLOCK);
		(void)!read(p->fd, &got, sizeof(got));
		(void)!write(p->fd, &most, sizeof(most));
		fcntl(p->fd, F_SETFL, 0);
	}
	fcntl(p->fd, F_SETFL, O_NONBLOCK);
	(void)!read(p->fd, &got, sizeof(got));
	return NULL;
}

static void loop_whose_peer_plays_with_flag_and_counter_goes_on(void **state)
{
	struct peer peer = { .fd = -1 };
	unsigned int n_written = 0;
	int fds[2];

	(void)state;
	make(EVENT, fds);
	peer.fd = fds[0];
	assert_int_equal(pthread_create(&peer.thread, NULL, play, &peer), 0);
	for (unsigned int i = 1; i <= ROUNDS; i++) {
		op_write(&probe.op, fds[1], &one, sizeof(one));
		run_until(&probe.n_done, i);
		/* With an io_uring, whatever comes next for the loop interrupts what waits after
		 * all. */
		assert_true(probe.res == 8 || (!by_uring() && probe.res == -EDEADLK) ||
			    (by_uring() && (probe.res == -EAGAIN || probe.res == -EINTR)));
		n_written += probe.res == 8;
	}
	__atomic_store_n(&peer.stop, true, __ATOMIC_RELAXED);
	pthread_join(peer.thread, NULL);
	assert_true(n_written > 0);
	unmake(fds);
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST_WITH(eventfd_that_waits_when_full_is_left_alone, set_up, tear_down),
	UNIT_TEST_WITH(write_that_waits_after_all_is_interrupted, set_up, tear_down),
	UNIT_TEST_WITH(read_that_waits_after_all_is_interrupted, set_up, tear_down),
	UNIT_TEST_WITH(call_that_is_not_guarded_is_not_interrupted, set_up, tear_down),
	UNIT_TEST_WITH(read_when_somebody_was_faster_waits_on, set_up, tear_down),
	UNIT_TEST_WITH(write_when_the_reader_is_slow_takes_what_fits, set_up, tear_down),
	UNIT_TEST_WITH(file_is_read_and_written_at_once, set_up, tear_down),
	UNIT_TEST_WITH(operation_that_is_for_something_else_now_does_not_wait, set_up, tear_down),
	UNIT_TEST_WITH(what_cannot_be_done_says_why, set_up, tear_down),
	UNIT_TEST_WITH(loop_whose_peer_plays_with_flag_and_counter_goes_on, set_up, tear_down),
};
UNIT_MAIN(tests)
