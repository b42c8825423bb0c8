/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Input of a stream past the buffers: bulk. */
#include "stream_rig.h"

static void read_now_that_fills_its_room_waits_for_nothing(void **state)
{
	(void)state;
	EACH_SOCKET
	{
		BEGIN();
		assert_int_equal(peer_sends(3 * INPUT), 3 * INPUT);
		for (unsigned int i = 0; i < 3; i++) {
			assert_int_equal(read_now(got + i * INPUT, INPUT), INPUT);
			assert_false(op_armed(&rig.stream.rd));
			assert_true(rig.stream.bulk);
		}
		assert_memory_equal(got, bytes, 3 * INPUT);
		end();
	}
}

/* It is there for the next call, and not read into a buffer. */
static void read_now_that_gets_less_waits_for_more_in_bulk(void **state)
{
	(void)state;
	EACH_SOCKET
	{
		BEGIN();
		for (unsigned int i = 0; i < 2; i++) {
			assert_int_equal(peer_sends(BULK_MIN), BULK_MIN);
			assert_int_equal(read_now(got, INPUT), BULK_MIN);
			assert_memory_equal(got, bytes, BULK_MIN);
			settle();
			assert_int_equal(rig.n_readable, i);
			assert_int_equal(read_now(got, INPUT), 0); /* it waits already */
			assert_int_equal(peer_sends(10), 10);
			STEP_UNTIL(rig.n_readable == i + 1);
			assert_int_equal(rig.n_input, 0);
			assert_int_equal(read_now(got, 10), 10);
			assert_false(rig.stream.bulk);
			assert_false(op_armed(&rig.stream.rd));
		}
		end();
	}
}

static void read_now_that_gets_little_goes_back_to_reading(void **state)
{
	(void)state;
	EACH_SOCKET
	{
		BEGIN();
		rig.stream.bulk = true;
		assert_int_equal(peer_sends(100), 100);
		assert_int_equal(read_now(got, INPUT), 100);
		assert_int_equal(write(rig.fds[1], bytes + 100, 50), 50);
		rig.n_input = 100;
		STEP_UNTIL(rig.n_input == 150);
		assert_memory_equal(got, bytes, 150);
		assert_int_equal(rig.n_readable, 0);
		end();
	}
}

static void read_now_of_nothing_waits_in_bulk(void **state)
{
	(void)state;
	EACH_SOCKET
	{
		BEGIN();
		assert_int_equal(read_now(got, INPUT), 0);
		settle();
		assert_int_equal(rig.n_readable + rig.n_ended, 0);
		assert_int_equal(peer_sends(1), 1);
		STEP_UNTIL(rig.n_readable == 1);
		end();
	}
}

static void read_now_at_the_end_is_zero_and_the_end_is_told_once(void **state)
{
	(void)state;
	EACH_SOCKET
	{
		BEGIN();
		rig.stream.bulk = true;
		shutdown(rig.fds[1], SHUT_WR);
		assert_int_equal(read_now(got, INPUT), 0);
		STEP_UNTIL(rig.n_ended == 1);
		assert_int_equal(rig.ended, 0);
		assert_int_equal(read_now(got, INPUT), 0);
		settle();
		assert_int_equal(rig.n_ended, 1);
		assert_int_equal(rig.n_readable, 0);
		end();
	}
}

/* What comes with the end is read as usual, so that the end is seen. */
static void end_that_comes_with_bulk_loses_nothing(void **state)
{
	(void)state;
	EACH_SOCKET
	{
		BEGIN();
		assert_int_equal(read_now(got, INPUT), 0);
		assert_int_equal(peer_sends(3 * INPUT), 3 * INPUT);
		shutdown(rig.fds[1], SHUT_WR);
		STEP_UNTIL(rig.n_ended == 1);
		assert_int_equal(rig.ended, 0);
		assert_int_equal(rig.n_input, 3 * INPUT);
		assert_memory_equal(got, bytes, 3 * INPUT);
		end();
	}
}

static void reset_while_bulk_is_awaited_is_told(void **state)
{
	const struct linger none = { .l_onoff = 1 };

	(void)state;
	begin(true);
	assert_int_equal(read_now(got, INPUT), 0);
	settle();
	setsockopt(rig.fds[1], SOL_SOCKET, SO_LINGER, &none, sizeof(none));
	rig.fds[1] = fd_close(rig.fds[1]);
	STEP_UNTIL(rig.n_ended == 1);
	assert_int_equal(rig.ended, -ECONNRESET);
	end();
}

/* The kernel says it once, to whoever reads first. */
static void read_now_after_a_reset_tells_of_it(void **state)
{
	const struct linger none = { .l_onoff = 1 };

	(void)state;
	begin(true);
	setsockopt(rig.fds[1], SOL_SOCKET, SO_LINGER, &none, sizeof(none));
	rig.fds[1] = fd_close(rig.fds[1]);
	assert_int_equal(read_now(got, INPUT), 0);
	settle();
	assert_int_equal(rig.n_ended, 1);
	assert_int_equal(rig.ended, -ECONNRESET);
	end();
}

static void read_now_into_bad_memory_loses_nothing(void **state)
{
	uint8_t *hole = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)state;
	assert_true(hole != MAP_FAILED);
	EACH_SOCKET
	{
		BEGIN();
		rig.stream.bulk = true;
		assert_int_equal(peer_sends(5000), 5000);
		assert_int_equal(read_now(hole, 4096), 0);
		STEP_UNTIL(rig.n_input == 5000);
		assert_memory_equal(got, bytes, 5000);
		assert_int_equal(rig.n_ended, 0);
		end();
	}
	munmap(hole, 4096);
}

static void paused_stream_is_not_read_in_bulk_either(void **state)
{
	(void)state;
	EACH_SOCKET
	{
		BEGIN();
		assert_int_equal(read_now(got, INPUT), 0);
		settle();
		stream_pause(&rig.stream);
		assert_int_equal(peer_sends(INPUT), INPUT);
		settle();
		assert_int_equal(read_now(got, INPUT), 0);
		assert_int_equal(rig.n_readable + rig.n_input, 0);
		stream_resume(&rig.stream);
		STEP_UNTIL(rig.n_readable == 1 || rig.n_input == INPUT);
		end();
	}
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(read_now_that_fills_its_room_waits_for_nothing),
	UNIT_TEST(read_now_that_gets_less_waits_for_more_in_bulk),
	UNIT_TEST(read_now_that_gets_little_goes_back_to_reading),
	UNIT_TEST(read_now_of_nothing_waits_in_bulk),
	UNIT_TEST(read_now_at_the_end_is_zero_and_the_end_is_told_once),
	UNIT_TEST(end_that_comes_with_bulk_loses_nothing),
	UNIT_TEST(reset_while_bulk_is_awaited_is_told),
	UNIT_TEST(read_now_after_a_reset_tells_of_it),
	UNIT_TEST(read_now_into_bad_memory_loses_nothing),
	UNIT_TEST(paused_stream_is_not_read_in_bulk_either),
};
UNIT_MAIN(tests)
