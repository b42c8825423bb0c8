/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Peers that go in the middle of bulk input, which the device takes from their sockets. */
#include "clock.h"
#include "socket_rig.h"

#include "backends/client.h"
#include "fd.h"
#include "said_rig.h"

enum { BULK = 128 * 1024 }; /* more than the port keeps, less than a socket does */

static uint8_t sent[BULK];
static char name[64];

static int join_unix(void)
{
	unsigned int n = rig.port.n_clients;
	int fd = dial_unix(name);

	assert_true(fd >= 0);
	PUMP_UNTIL(rig.port.n_clients == n + 1);
	return fd;
}

static void begin(void)
{
	rig_begin_lossless();
	snprintf(name, sizeof(name), "@vhu-test-%d", getpid());
	assert_int_equal(rig_open(ATTACHMENT_unix_server, name), 0);
	rig_fill(sent, BULK);
}

static void end(void)
{
	rig_close();
	rig_end();
}

/* Sends until the port's queue is full and what follows is offered past it. */
static void send_until_offered(int fd, size_t len)
{
	send_all(fd, sent, len);
	PUMP_UNTIL(rig.port.writer && rig.port.writer->gives_now);
}

/* VC-067: what it said is the guest's, in order, though it takes no output any more. */
static void bulk_of_a_peer_that_went_when_output_fails_stays_in_order(void **state)
{
	static const uint8_t output[4096];
	int fd;

	(void)state;
	begin();
	fd = join_unix();
	send_until_offered(fd, BULK);
	close(fd);
	rig_output(output, sizeof(output));
	rig_step_quietly();
	take_exactly(sent, BULK);
	PUMP_UNTIL(rig.port.n_clients == 0);
	end();
}

/* A guest that never takes it must not keep the keyboard from all others for ever. */
static void peer_that_went_with_bulk_when_the_guest_takes_nothing_leaves(void **state)
{
	static const uint8_t output[4096];
	int fd;

	(void)state;
	begin();
	fd = join_unix();
	send_until_offered(fd, BULK);
	close(fd);
	rig_output(output, sizeof(output));
	PUMP_UNTIL(rig.port.n_clients == 0);
	end();
}

/* All is taken, to the byte, so that the next call of the kernel is told why it is the last. */
static void peer_that_resets_when_all_is_taken_leaves_for_that_reason(void **state)
{
	uint8_t got[2 * CLIENT_INPUT_SIZE];
	struct said words;
	bool told;
	int fd;

	(void)state;
	rig_begin_lossless();
	serve_tcp(ATTACHMENT_tcp_server);
	fd = join();
	send_until_offered(fd, CLIENT_INPUT_SIZE + sizeof(got));
	assert_int_equal(port_take_input(&rig.port, got, sizeof(got)), CLIENT_INPUT_SIZE);
	assert_int_equal(port_take_input(&rig.port, got, sizeof(got)), sizeof(got));
	assert_int_equal(said_begin(&words), 0);
	reset_connection(fd);
	assert_int_equal(port_take_input(&rig.port, got, sizeof(got)), 0);
	PUMP_UNTIL(rig.port.n_clients == 0);
	told = said(&words, "left: Connection reset by peer");
	said_end(&words);
	assert_true(told);
	end();
}

/*
 * A poll of a socket that sends no more never waits, and a descriptor that does
 * not block cannot be made to: its status is shared with whoever gave it to us.
 */
static void half_closed_descriptor_that_takes_no_more_does_not_keep_the_loop_busy(void **state)
{
	char number[16];
	uint64_t start;
	int fds[2];

	(void)state;
	rig_begin_lossless();
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	snprintf(number, sizeof(number), "%d", fds[0]);
	if (rig_open(ATTACHMENT_descriptor, number) < 0)
		fail_msg("%s", rig.why);
	assert_int_equal(shutdown(fds[1], SHUT_WR), 0);
	flood_until_stuck();
	/* Half of these are writes, and each waits for a rest before it. */
	start = monotonic_ns();
	for (unsigned int i = 0; i < 20; i++)
		assert_int_equal(loop_step(rig.loop, true), 0);
	assert_true(monotonic_ns() - start > 50 * UINT64_C(1000000));
	assert_int_equal(rig.port.n_clients, 1);
	close(fds[1]);
	PUMP_UNTIL(rig.port.n_clients == 0);
	end();
	close(fds[0]);
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(bulk_of_a_peer_that_went_when_output_fails_stays_in_order),
	UNIT_TEST(peer_that_went_with_bulk_when_the_guest_takes_nothing_leaves),
	UNIT_TEST(half_closed_descriptor_that_takes_no_more_does_not_keep_the_loop_busy),
	UNIT_TEST(peer_that_resets_when_all_is_taken_leaves_for_that_reason),
};
UNIT_MAIN(tests)
