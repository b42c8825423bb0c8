/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Kicks and calls by descriptor, and silence before an answer: VU-051, VU-122 to VU-137. */
#include "session_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

static const uint64_t one = 1;

static void send_text(struct session_rig *rig, const char *text)
{
	rig_offer_output(rig, text);
	assert_fe_ok(rig, vhu_frontend_kick(&rig->fe, GUEST_TX));
	rig_expect_output(rig, text, strlen(text));
}

static void set_fd(struct session_rig *rig, enum vhu_fe_id id, int fd)
{
	assert_fe_ok(rig, vhu_frontend_vring_fd(&rig->fe, id, GUEST_TX, fd, true));
}

static bool is_readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) > 0;
}

/* A session whose transmit ring has been offered calls by every completion. */
static void setup_calling(struct session_rig *rig)
{
	rig_setup_style(rig, VHU_STYLE_CROSVM, 64,
			~(BIT(VIRTIO_F_EVENT_IDX_BIT) | BIT(VIRTIO_F_RING_PACKED_BIT)), 0);
	if (!rig->joined)
		rig_join(rig);
	rig->output_len = 0;
	rig_settle(rig);
	vhu_frontend_take_calls(&rig->fe, GUEST_TX);
}

/* How often the loop turned while nothing was to be done. */
static uint64_t turns_while_idle(struct session_rig *rig)
{
	uint64_t before = loop_counters(rig->loop).n_iterations;

	assert_fe_ok(rig, vhu_frontend_pass_time(&rig->fe, 100));
	return loop_counters(rig->loop).n_iterations - before;
}

/* VU-122 */
static void kick_descriptor_when_replaced_is_the_one_that_counts(void **state)
{
	struct session_rig *rig = *state;
	int old, kick = eventfd(0, EFD_CLOEXEC);

	setup_calling(rig);
	old = rig->fe.rings[GUEST_TX].kick_fd;
	set_fd(rig, VHU_FE_SET_VRING_KICK, kick);
	rig_settle(rig);
	rig_offer_output(rig, "x");
	assert_int_equal(write(old, &one, sizeof(one)), sizeof(one));
	rig_expect_no_output(rig);
	assert_int_equal(write(kick, &one, sizeof(one)), sizeof(one));
	rig_expect_output(rig, "x", 1);
	close(kick);
}

/* VU-123: bits beside index and no-fd are for the log only. */
static void reserved_bits_beside_the_index_are_ignored(void **state)
{
	struct session_rig *rig = *state;
	struct vhu_msg msg;

	setup_calling(rig);
	vhu_msg_init(&msg, VHU_FE, VHU_FE_SET_VRING_CALL);
	vhu_msg_put_u64(&msg, GUEST_TX | BIT(9) | VHU_VRING_NOFD);
	assert_fe_ok(rig, vhu_frontend_request(&rig->fe, &msg, NULL, RIG_TIMEOUT_MS));
	send_text(rig, "fine");
}

/* VU-125: the ring is looked at, and not more often than that takes. */
static void ring_without_kick_descriptor_is_polled(void **state)
{
	struct session_rig *rig = *state;

	setup_calling(rig);
	set_fd(rig, VHU_FE_SET_VRING_KICK, -1);
	for (unsigned int i = 0; i < 3; i++) {
		rig_offer_output(rig, "unannounced");
		rig_expect_output(rig, "unannounced", 11);
	}
	assert_true(turns_while_idle(rig) < 300);
}

/* VU-126, VU-127 */
static void ring_without_call_descriptor_is_served_all_the_same(void **state)
{
	struct session_rig *rig = *state;

	setup_calling(rig);
	set_fd(rig, VHU_FE_SET_VRING_CALL, -1);
	send_text(rig, "quietly");
	assert_int_equal(vring_used_idx(&rig->fe.rings[GUEST_TX].q.ring), 1);
	assert_false(vhu_frontend_take_calls(&rig->fe, GUEST_TX));
}

enum { PIPE, SOCKETS, BLOCKING, NON_BLOCKING };

static void make_ends(int kind, int flags, int ret_fds[2])
{
	if (kind == PIPE)
		assert_int_equal(pipe2(ret_fds, O_CLOEXEC | flags), 0);
	else
		assert_int_equal(
			socketpair(AF_UNIX,
				   SOCK_STREAM | SOCK_CLOEXEC | (flags ? SOCK_NONBLOCK : 0), 0,
				   ret_fds),
			0);
}

/* VU-128, VU-135: pipes and sockets, blocking or not, whose flags stay as they are. */
static void kicks_and_calls_through_pipes_and_sockets_work(void **state)
{
	static const struct {
		int kind, flags;
	} rows[] = { { PIPE, 0 }, { PIPE, O_NONBLOCK }, { SOCKETS, 0 }, { SOCKETS, O_NONBLOCK } };
	struct session_rig *rig = *state;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		int kick[2], call[2];
		uint64_t value = 0;

		setup_calling(rig);
		make_ends(rows[i].kind, rows[i].flags, kick);
		make_ends(rows[i].kind, rows[i].flags, call);
		set_fd(rig, VHU_FE_SET_VRING_KICK, kick[0]);
		set_fd(rig, VHU_FE_SET_VRING_CALL, call[1]);
		assert_fe_ok(rig, vhu_frontend_await_readable(&rig->fe, call, 1, RIG_TIMEOUT_MS));
		assert_int_equal(read(call[0], &value, sizeof(value)), sizeof(value));
		for (unsigned int round = 0; round < 3; round++) {
			rig_offer_output(rig, "x");
			assert_int_equal(write(kick[1], &one, sizeof(one)), sizeof(one));
			rig_expect_output(rig, "x", 1);
			assert_fe_ok(rig, vhu_frontend_await_readable(&rig->fe, call, 1,
								      RIG_TIMEOUT_MS));
			assert_int_equal(read(call[0], &value, sizeof(value)), sizeof(value));
			assert_true(value == 1);
		}
		assert_int_equal(fcntl(kick[0], F_GETFL) & O_NONBLOCK, rows[i].flags);
		assert_int_equal(fcntl(call[1], F_GETFL) & O_NONBLOCK, rows[i].flags);
		rig_disconnect(rig);
		for (unsigned int end = 0; end < 2; end++) {
			close(kick[end]);
			close(call[end]);
		}
	}
}

/* VU-135 for the descriptors of most front-ends. */
static void flags_of_eventfds_stay_as_they_are(void **state)
{
	struct session_rig *rig = *state;

	for (int flags = 0; flags <= EFD_NONBLOCK; flags += EFD_NONBLOCK) {
		int kick = eventfd(0, EFD_CLOEXEC | flags), call = eventfd(0, EFD_CLOEXEC | flags);

		setup_calling(rig);
		set_fd(rig, VHU_FE_SET_VRING_KICK, kick);
		set_fd(rig, VHU_FE_SET_VRING_CALL, call);
		rig_offer_output(rig, "x");
		assert_int_equal(write(kick, &one, sizeof(one)), sizeof(one));
		rig_expect_output(rig, "x", 1);
		assert_fe_ok(rig, vhu_frontend_await_readable(&rig->fe, &call, 1, RIG_TIMEOUT_MS));
		assert_int_equal(fcntl(kick, F_GETFL) & O_NONBLOCK, flags);
		assert_int_equal(fcntl(call, F_GETFL) & O_NONBLOCK, flags);
		rig_disconnect(rig);
		close(kick);
		close(call);
	}
}

/* VU-129, VU-132 */
static void kicks_of_any_value_and_number_are_taken_in_one(void **state)
{
	struct session_rig *rig = *state;
	uint64_t huge = UINT64_MAX - 1;
	int kick;

	setup_calling(rig);
	kick = rig->fe.rings[GUEST_TX].kick_fd;
	for (unsigned int i = 0; i < 1000; i++)
		assert_int_equal(write(kick, &one, sizeof(one)), sizeof(one));
	rig_settle(rig);
	assert_int_equal(write(kick, &huge, sizeof(huge)), sizeof(huge));
	rig_settle(rig);
	assert_false(is_readable(kick));
	assert_true(turns_while_idle(rig) < 200);
	send_text(rig, "alive");
}

/* A call descriptor that cannot take any more, blocking or not. */
static int full_call(int kind, int *ret_other_end)
{
	uint64_t most = UINT64_MAX - 1;
	int fds[2], fd;

	*ret_other_end = -1;
	if (kind == BLOCKING || kind == NON_BLOCKING) {
		fd = eventfd(0, EFD_CLOEXEC | (kind == NON_BLOCKING ? EFD_NONBLOCK : 0));
		assert_int_equal(write(fd, &most, sizeof(most)), sizeof(most));
		return fd;
	}
	make_ends(kind, 0, fds);
	*ret_other_end = fds[0];
	fcntl(fds[1], F_SETFL, O_NONBLOCK);
	while (write(fds[1], &one, sizeof(one)) > 0)
		;
	fcntl(fds[1], F_SETFL, 0);
	return fds[1];
}

/* VU-130: it has been called already, in effect. */
static void full_call_descriptor_does_not_stop_the_ring(void **state)
{
	struct session_rig *rig = *state;

	for (int kind = PIPE; kind <= NON_BLOCKING; kind++) {
		int other, call = full_call(kind, &other);

		setup_calling(rig);
		set_fd(rig, VHU_FE_SET_VRING_CALL, call);
		for (unsigned int i = 0; i < 10; i++)
			send_text(rig, "on and on");
		assert_fe_ok(rig, vhu_frontend_ping(&rig->fe));
		rig_disconnect(rig);
		close(call);
		fd_close(other);
	}
}

/* VU-131 */
static void call_to_nobody_harms_nobody(void **state)
{
	struct session_rig *rig = *state;

	for (int kind = PIPE; kind <= SOCKETS; kind++) {
		int fds[2];

		setup_calling(rig);
		make_ends(kind, 0, fds);
		set_fd(rig, VHU_FE_SET_VRING_CALL, fds[1]);
		close(fds[0]);
		close(fds[1]);
		send_text(rig, "anyone?");
		send_text(rig, "no");
	}
	rig_expect_service(rig);
}

/* VU-028, VU-133: what can never kick ends its ring, and is not asked again and again. */
static void kick_descriptor_that_ended_stops_the_ring_alone(void **state)
{
	struct session_rig *rig = *state;

	for (int kind = PIPE; kind <= SOCKETS; kind++) {
		int fds[2] = { -1, -1 }, kick;

		setup_calling(rig);
		make_ends(kind, 0, fds);
		fd_close(fds[1]);
		set_fd(rig, VHU_FE_SET_VRING_ERR, rig->fe.rings[GUEST_TX].err_fd);
		set_fd(rig, VHU_FE_SET_VRING_KICK, fds[0]);
		close(fds[0]);
		assert_fe_ok(rig,
			     vhu_frontend_await_readable(&rig->fe, &rig->fe.rings[GUEST_TX].err_fd,
							 1, RIG_TIMEOUT_MS));
		assert_true(turns_while_idle(rig) < 200);
		/* Another kick descriptor mends it. */
		kick = rig->fe.rings[GUEST_TX].kick_fd;
		set_fd(rig, VHU_FE_SET_VRING_KICK, kick);
		send_text(rig, "mended");
		rig_disconnect(rig);
	}
}

/* VU-129, VU-132: a semaphore is read for ever, and that would be all we do. */
static void kick_that_is_never_used_up_stops_the_ring_alone(void **state)
{
	struct session_rig *rig = *state;
	const uint64_t most = UINT64_MAX - 1;
	int kick = eventfd(0, EFD_CLOEXEC | EFD_SEMAPHORE | EFD_NONBLOCK);

	setup_calling(rig);
	assert_int_equal(write(kick, &most, sizeof(most)), sizeof(most));
	set_fd(rig, VHU_FE_SET_VRING_ERR, rig->fe.rings[GUEST_TX].err_fd);
	set_fd(rig, VHU_FE_SET_VRING_KICK, kick);
	assert_fe_ok(rig, vhu_frontend_await_readable(&rig->fe, &rig->fe.rings[GUEST_TX].err_fd, 1,
						      RIG_TIMEOUT_MS));
	assert_true(turns_while_idle(rig) < 200);
	set_fd(rig, VHU_FE_SET_VRING_KICK, rig->fe.rings[GUEST_TX].kick_fd);
	send_text(rig, "mended");
	close(kick);
}

/* One that comes to an end is a kick like others, however slow it is read. */
static void semaphore_with_few_kicks_works(void **state)
{
	struct session_rig *rig = *state;
	const uint64_t some = VQIO_VAIN_MAX - 1;
	int kick = eventfd(0, EFD_CLOEXEC | EFD_SEMAPHORE | EFD_NONBLOCK);

	setup_calling(rig);
	set_fd(rig, VHU_FE_SET_VRING_KICK, kick);
	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(write(kick, &some, sizeof(some)), sizeof(some));
		while (is_readable(kick))
			rig_step(rig);
		rig_offer_output(rig, "x");
		assert_int_equal(write(kick, &one, sizeof(one)), sizeof(one));
		rig_expect_output(rig, "x", 1);
	}
	close(kick);
}

/* VU-051, VU-134: once it is acknowledged, the old descriptor is never written. */
static void call_descriptor_when_replaced_is_the_one_that_is_called(void **state)
{
	struct session_rig *rig = *state;
	int calls[2] = { eventfd(0, EFD_CLOEXEC), eventfd(0, EFD_CLOEXEC) };
	uint64_t value;

	setup_calling(rig);
	set_fd(rig, VHU_FE_SET_VRING_CALL, calls[0]);
	for (unsigned int i = 0; i < 50; i++) {
		int old = calls[i % 2], new = calls[(i + 1) % 2];

		/* A completion is under way while the descriptor changes. */
		rig_offer_output(rig, "x");
		assert_fe_ok(rig, vhu_frontend_kick(&rig->fe, GUEST_TX));
		set_fd(rig, VHU_FE_SET_VRING_CALL, new);
		if (is_readable(old))
			assert_int_equal(read(old, &value, sizeof(value)), sizeof(value));
		rig_expect_output(rig, "x", 1);
		assert_fe_ok(rig, vhu_frontend_await_readable(&rig->fe, &new, 1, RIG_TIMEOUT_MS));
		rig_settle(rig);
		assert_false(is_readable(old));
		assert_int_equal(read(new, &value, sizeof(value)), sizeof(value));
	}
	close(calls[0]);
	close(calls[1]);
}

/* VU-137 */
static void one_call_descriptor_for_all_rings_works(void **state)
{
	struct session_rig *rig = *state;
	struct guest g;
	int call = eventfd(0, EFD_CLOEXEC);
	uint64_t value;

	setup_calling(rig);
	assert_fe_ok(rig, guest_init(&g, &rig->fe, vhu_style_features(&rig->fe, &rig_plan)));
	assert_fe_ok(rig, guest_start(&g, RIG_TIMEOUT_MS));
	for (unsigned int i = 0; i < 4; i++)
		assert_fe_ok(rig,
			     vhu_frontend_vring_fd(&rig->fe, VHU_FE_SET_VRING_CALL, i, call, true));
	rig_settle(rig);
	assert_int_equal(read(call, &value, sizeof(value)), sizeof(value));
	send_text(rig, "x");
	assert_fe_ok(rig, vhu_frontend_await_readable(&rig->fe, &call, 1, RIG_TIMEOUT_MS));
	assert_int_equal(read(call, &value, sizeof(value)), sizeof(value));
	assert_int_equal(port_input(&rig->port, "i", 1), 1);
	assert_fe_ok(rig, vhu_frontend_await_readable(&rig->fe, &call, 1, RIG_TIMEOUT_MS));
	guest_fini(&g);
	close(call);
}

/*
 * What must be silent before it is answered, while a call is stuck: the
 * request is answered, and the call is made again where it still can be.
 */
static void stuck_call_is_taken_back_before_an_answer(void **state)
{
	enum { NEW_CALL, SAME_TABLE, STOP, DISABLE, NEW_KICK, N_REQUESTS };
	struct session_rig *rig = *state;

	for (int kind = PIPE; kind <= BLOCKING; kind++) {
		for (int request = NEW_CALL; request < N_REQUESTS; request++) {
			int other, call = full_call(kind, &other);
			int fresh = eventfd(0, EFD_CLOEXEC);
			uint32_t base;

			setup_calling(rig);
			set_fd(rig, VHU_FE_SET_VRING_CALL, call);
			send_text(rig, "x");
			rig_settle(rig);
			assert_true(op_armed(&rig->b->vqs[GUEST_TX].call));
			if (request == NEW_CALL) {
				set_fd(rig, VHU_FE_SET_VRING_CALL, fresh);
				assert_fe_ok(rig, vhu_frontend_await_readable(&rig->fe, &fresh, 1,
									      RIG_TIMEOUT_MS));
			} else if (request == SAME_TABLE) {
				assert_fe_ok(rig, vhu_frontend_set_mem_table(&rig->fe, 0, true));
				send_text(rig, "y");
			} else if (request == STOP) {
				assert_fe_ok(rig,
					     vhu_frontend_vring_base(&rig->fe, GUEST_TX, &base));
				assert_int_equal(base, 1);
				assert_true(scope_idle(&rig->b->vqs[GUEST_TX].scope));
			} else if (request == DISABLE) {
				assert_fe_ok(rig,
					     vhu_frontend_vring(&rig->fe, VHU_FE_SET_VRING_ENABLE,
								GUEST_TX, 0, true));
			} else {
				set_fd(rig, VHU_FE_SET_VRING_KICK, rig->fe.rings[GUEST_TX].kick_fd);
				send_text(rig, "z");
			}
			assert_fe_ok(rig, vhu_frontend_ping(&rig->fe));
			rig_disconnect(rig);
			close(fresh);
			close(call);
			fd_close(other);
		}
	}
}

/* A call that was taken back is not forgotten. */
static void call_taken_back_is_made_again(void **state)
{
	struct session_rig *rig = *state;
	int other, call = full_call(SOCKETS, &other);
	uint64_t values[64];
	ssize_t n_before = 0, n_after = 0, n;

	setup_calling(rig);
	set_fd(rig, VHU_FE_SET_VRING_CALL, call);
	send_text(rig, "x");
	assert_fe_ok(rig, vhu_frontend_set_mem_table(&rig->fe, 0, true));
	while ((n = recv(other, values, sizeof(values), MSG_DONTWAIT)) > 0)
		n_before += n;
	assert_true(n_before > 0 && n_before % 8 == 0);
	assert_fe_ok(rig, vhu_frontend_await_readable(&rig->fe, &other, 1, RIG_TIMEOUT_MS));
	while ((n = recv(other, values, sizeof(values), MSG_DONTWAIT)) > 0)
		n_after += n;
	assert_true(n_after > 0 && n_after % 8 == 0);
	rig_disconnect(rig);
	close(call);
	close(other);
}

static const struct CMUnitTest tests[] = {
	RIG_TEST(kick_descriptor_when_replaced_is_the_one_that_counts),
	RIG_TEST(reserved_bits_beside_the_index_are_ignored),
	RIG_TEST(ring_without_kick_descriptor_is_polled),
	RIG_TEST(ring_without_call_descriptor_is_served_all_the_same),
	RIG_TEST(kicks_and_calls_through_pipes_and_sockets_work),
	RIG_TEST(flags_of_eventfds_stay_as_they_are),
	RIG_TEST(kicks_of_any_value_and_number_are_taken_in_one),
	RIG_TEST(full_call_descriptor_does_not_stop_the_ring),
	RIG_TEST(call_to_nobody_harms_nobody),
	RIG_TEST(kick_descriptor_that_ended_stops_the_ring_alone),
	RIG_TEST(kick_that_is_never_used_up_stops_the_ring_alone),
	RIG_TEST(semaphore_with_few_kicks_works),
	RIG_TEST(call_descriptor_when_replaced_is_the_one_that_is_called),
	RIG_TEST(one_call_descriptor_for_all_rings_works),
	RIG_TEST(stuck_call_is_taken_back_before_an_answer),
	RIG_TEST(call_taken_back_is_made_again),
};
UNIT_MAIN(tests)
