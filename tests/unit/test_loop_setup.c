/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* An io_uring does what the loop needs, and nothing else: not for us, not for an intruder. */
#include "loop_rig.h"

#include <stdio.h>

#include "loop-private.h"

static int set_up(void **state)
{
	unit_setup(state);
	begin();
	return 0;
}

static int tear_down(void **state)
{
	end();
	return unit_teardown(state);
}

/* What the kernel says to an entry that the loop would not make. */
static int result_of(const struct io_uring_sqe *wanted)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&rig.loop->ring);
	struct io_uring_cqe *cqe;
	int res;

	*sqe = *wanted;
	assert_int_equal(io_uring_submit(&rig.loop->ring), 1);
	assert_int_equal(io_uring_wait_cqe(&rig.loop->ring, &cqe), 0);
	res = cqe->res;
	io_uring_cqe_seen(&rig.loop->ring, cqe);
	return res;
}

static void loop_says_that_it_is_restricted(void **state)
{
	(void)state;
	assert_true(loop_restricted(rig.loop));
}

static void operation_that_opens_a_file_is_refused(void **state)
{
	struct io_uring_sqe sqe = { 0 };

	(void)state;
	io_uring_prep_openat(&sqe, AT_FDCWD, "/dev/null", O_RDONLY | O_CLOEXEC, 0);
	assert_int_equal(result_of(&sqe), -EACCES);
}

static void operation_that_is_not_listed_is_refused_whatever_it_is(void **state)
{
	static const uint8_t needed[] = {
		IORING_OP_READ,	  IORING_OP_WRITE,    IORING_OP_RECVMSG, IORING_OP_SENDMSG,
		IORING_OP_ACCEPT, IORING_OP_POLL_ADD, IORING_OP_TIMEOUT, IORING_OP_ASYNC_CANCEL,
	};

	(void)state;
	for (unsigned int op = 0; op < IORING_OP_LAST; op++) {
		struct io_uring_sqe sqe = { .opcode = (uint8_t)op, .fd = -1 };

		if (memchr(needed, (int)op, sizeof(needed)))
			continue;
		assert_int_equal(result_of(&sqe), -EACCES);
	}
}

static void needed_operation_with_another_flag_is_refused(void **state)
{
	char byte;

	(void)state;
	for (unsigned int bit = 0; bit < 8; bit++) {
		struct io_uring_sqe sqe = { .opcode = IORING_OP_READ,
					    .fd = -1,
					    .flags = (uint8_t)BIT(bit),
					    .addr = (uintptr_t)&byte,
					    .len = 1 };
		int res = result_of(&sqe);

		/* The one flag that is in use: a thread of the kernel's does it. */
		if (BIT(bit) == IOSQE_ASYNC)
			assert_int_equal(res, -EBADF);
		else
			assert_true(res == -EACCES || res == -EINVAL);
	}
}

static void registration_is_refused(void **state)
{
	int ring_fd = rig.loop->ring.ring_fd, fd = STDIN_FILENO;

	(void)state;
	assert_int_equal(io_uring_register_files(&rig.loop->ring, &fd, 1), -EACCES);
	assert_int_equal(
		io_uring_register((unsigned int)ring_fd, IORING_REGISTER_PERSONALITY, NULL, 0),
		-EACCES);
	assert_int_equal(
		io_uring_register((unsigned int)ring_fd, IORING_REGISTER_RESTRICTIONS, NULL, 0),
		-EACCES);
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST_WITH(loop_says_that_it_is_restricted, set_up, tear_down),
	UNIT_TEST_WITH(operation_that_opens_a_file_is_refused, set_up, tear_down),
	UNIT_TEST_WITH(operation_that_is_not_listed_is_refused_whatever_it_is, set_up, tear_down),
	UNIT_TEST_WITH(needed_operation_with_another_flag_is_refused, set_up, tear_down),
	UNIT_TEST_WITH(registration_is_refused, set_up, tear_down),
};

/* Where io_uring is forbidden there is nothing to look at. */
int main(void)
{
	struct loop *loop;
	const char *why;

	unit_start_alarm();
	loop_choose_engine(LOOP_URING);
	if (loop_engine_lacks(loop_new(16, &loop, &why))) {
		printf("1..0 # SKIP %s\n", why);
		return 0;
	}
	loop_free(loop);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
