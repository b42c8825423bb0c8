/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The device's state on its way from one session to another (VU-192 to VU-201). */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "move_rig.h"

#include "vhu/backend-handover.h"

static struct vhu_frontend_state moving;

static int setup(void **state)
{
	moving = (struct vhu_frontend_state){ 0 };
	return move_setup(state);
}

static int teardown(void **state)
{
	vhu_frontend_state_fini(&moving);
	return move_teardown(state);
}

static void save_at_source(enum vhu_state_way way)
{
	stop_source();
	assert_fe_ok(rig, vhu_frontend_save_state(&rig->fe, way, &moving));
	assert_true(moving.len > 0);
}

static void move(enum vhu_state_way way)
{
	save_at_source(way);
	leave_source();
	come_to_target();
	assert_fe_ok(rig, vhu_frontend_load_state(&rig->fe, way, moving.bytes, moving.len));
	run_at_target();
}

/* SET_DEVICE_STATE_FD with one end of a pipe, whose other end is returned. */
static int ask(uint32_t direction, uint32_t phase, uint64_t *ret_answer)
{
	struct vhu_device_state wanted = { .direction = direction, .phase = phase };
	unsigned int theirs = direction == 1 ? 0 : 1;
	struct vhu_msg msg, reply;
	int fds[2];

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	vhu_msg_init(&msg, VHU_FE, VHU_FE_SET_DEVICE_STATE_FD);
	vhu_msg_put(&msg, &wanted, sizeof(wanted));
	msg.fds.fd[msg.fds.n_fds++] = fds[theirs];
	assert_fe_ok(rig, vhu_frontend_send_unchecked(&rig->fe, &msg));
	close(fds[theirs]);
	assert_fe_ok(rig, vhu_frontend_receive(&rig->fe, &reply, RIG_TIMEOUT_MS));
	assert_int_equal(reply.fds.n_fds, 0);
	*ret_answer = vhu_msg_u64(&reply);
	return fds[1 - theirs];
}

static uint64_t check(void)
{
	uint64_t answer = 99;

	assert_fe_ok(rig, vhu_frontend_get_u64(&rig->fe, VHU_FE_CHECK_DEVICE_STATE, &answer));
	return answer;
}

/* VU-195: ports are open and known; the driver is told nothing that it knows. */
static void guest_when_moved_goes_on_as_if_nothing_had_been(void **state)
{
	unsigned int n_events;

	(void)state;
	boot_to_move();
	expect_port_works(data);
	assert_fe_ok(rig, guest_settle(&guest, 5));
	n_events = guest.n_events;
	move(VHU_STATE_PIPE);
	expect_port_works(data_there);
	assert_fe_ok(rig, guest_settle(&guest, 5));
	assert_int_equal(guest.n_events, n_events);
	assert_true(data_there->port.guest_open);
}

/* VU-201. */
static void guest_when_moved_through_sockets_goes_on(void **state)
{
	(void)state;
	boot_to_move();
	move(VHU_STATE_SOCKET);
	expect_port_works(data_there);
}

/* Bytes of both directions that nobody had when it moved come before any others. */
static void bytes_when_undelivered_come_first_at_the_target(void **state)
{
	char got[16] = "";

	(void)state;
	boot_to_move();
	data->pausing = true;
	assert_fe_ok(rig, guest_write_port(&guest, 1, "old output,", 11, RIG_TIMEOUT_MS));
	stop_source();
	assert_int_equal(port_input(&data->port, "old input,", 10), 10);
	assert_int_equal(port_input(&data_there->port, "new", 3), 3);
	move(VHU_STATE_PIPE);
	assert_fe_ok(rig, guest_read_port(&guest, 1, got, 13, RIG_TIMEOUT_MS));
	assert_memory_equal(got, "old input,new", 13);
	assert_fe_ok(rig, guest_write_port(&guest, 1, "new", 3, RIG_TIMEOUT_MS));
	host_expect(data_there, "old output,new", 14);
	/* And they are nowhere else. */
	host_resume(data);
	assert_int_equal(data->len, 0);
	assert_int_equal(port_input_pending(&data->port), 0);
}

/* What the guest still had in its queues was written to a client, and waits for it there. */
static void output_when_its_client_comes_later_waits_for_it(void **state)
{
	uint8_t text[HOST_HISTORY + 100];

	(void)state;
	fill_pattern(text, sizeof(text), 7);
	boot_to_move();
	host_leave(data_there);
	stop_source();
	assert_int_equal(guest_try_write_port(&guest, 1, text, sizeof(text)), sizeof(text));
	move(VHU_STATE_PIPE);
	assert_fe_ok(rig, vhu_frontend_ping(&rig->fe));
	assert_int_equal(bytering_used(&data_there->port.out), HOST_HISTORY);
	host_join(data_there);
	host_collect(&data_there->client);
	assert_fe_ok(rig, guest_await_taken(&guest, 1, RIG_TIMEOUT_MS));
	host_expect(data_there, text, sizeof(text));
}

/* A chain that was taken in part is gone on with at the same byte, also from index 0. */
static void chain_when_taken_in_part_goes_on_at_the_same_byte(void **state)
{
	uint8_t page[4096];

	(void)state;
	fill_pattern(page, sizeof(page), 3);
	boot_to_move();
	data->pausing = true;
	assert_int_equal(guest_try_write_port(&guest, 1, page, sizeof(page)), sizeof(page));
	assert_fe_ok(rig, vhu_frontend_pass_time(&rig->fe, 5));
	assert_int_equal(bytering_used(&data->port.out), HOST_HISTORY);
	move(VHU_STATE_PIPE);
	assert_fe_ok(rig, guest_await_taken(&guest, 1, RIG_TIMEOUT_MS));
	host_expect(data_there, page, sizeof(page));
}

/* What was printed can still be read by who comes later; who is there is spared it. */
static void history_when_moved_is_for_those_who_come_later(void **state)
{
	(void)state;
	boot_to_move();
	assert_fe_ok(rig, guest_write(&guest, "printed ", 8, RIG_TIMEOUT_MS));
	rig_expect_output(rig, "printed ", 8);
	move(VHU_STATE_PIPE);
	assert_fe_ok(rig, guest_write(&guest, "later", 5, RIG_TIMEOUT_MS));
	host_expect(console_there, "later", 5);
	assert_int_equal(console_there->port.out.head, 13);
	rig_leave(rig);
	rig_join(rig);
	assert_int_equal(rig->output_len, 0); /* at the source nothing is left */
}

/* A message that the driver had no buffer for before is told after. */
static void control_messages_when_pending_are_told_at_the_target(void **state)
{
	(void)state;
	boot_to_move();
	assert_fe_ok(rig, guest_settle(&guest, 5));
	stop_source();
	host_leave(data); /* CLOSE is to be told, and at the target it is open */
	port_resize(&rig->port, 100, 30);
	move(VHU_STATE_PIPE);
	while (guest.ports[0].cols != 100)
		assert_fe_ok(rig, guest_wait(&guest, RIG_TIMEOUT_MS));
	assert_int_equal(guest.ports[0].rows, 30);
	assert_true(guest.ports[1].host_open);
	expect_port_works(data_there);
}

/* The move fails after the state was saved: the source goes on with all it has. */
static void source_when_the_move_fails_goes_on(void **state)
{
	char got[8] = "";

	(void)state;
	boot_to_move();
	data->pausing = true;
	assert_fe_ok(rig, guest_write_port(&guest, 1, "output", 6, RIG_TIMEOUT_MS));
	stop_source();
	assert_int_equal(port_input(&data->port, "input", 5), 5);
	assert_fe_ok(rig, vhu_frontend_save_state(&rig->fe, VHU_STATE_PIPE, &moving));
	/* It stands still: nothing is given to clients, or taken from them. */
	host_resume(data);
	assert_int_equal(data->len, 0);
	assert_int_equal(port_input(&data->port, "x", 1), 0);
	assert_fe_ok(rig, vhu_style_start(&rig->fe, &rig_plan));
	host_expect(data, "output", 6);
	assert_fe_ok(rig, guest_read_port(&guest, 1, got, 5, RIG_TIMEOUT_MS));
	assert_memory_equal(got, "input", 5);
	expect_port_works(data);
	/* The session's end is none of a guest that has moved away. */
	assert_fe_ok(rig, guest_write_port(&guest, 1, "kept", 4, RIG_TIMEOUT_MS));
	leave_source();
	host_expect(data, "kept", 4);
}

/* And the target, which has loaded it and never ran, has given nobody anything. */
static void target_when_the_move_fails_has_delivered_nothing(void **state)
{
	(void)state;
	boot_to_move();
	data->pausing = true;
	assert_fe_ok(rig, guest_write_port(&guest, 1, "output", 6, RIG_TIMEOUT_MS));
	save_at_source(VHU_STATE_PIPE);
	leave_source();
	come_to_target();
	assert_fe_ok(rig,
		     vhu_frontend_load_state(&rig->fe, VHU_STATE_PIPE, moving.bytes, moving.len));
	vhu_frontend_disconnect(&rig->fe);
	target_await_end();
	assert_int_equal(data_there->len, 0);
	assert_int_equal(data_there->port.out.head, 0);
	assert_null(target.con.loaded);
	assert_false(data_there->port.guest_open);
}

/* RESET_DEVICE: what was loaded is gone, and the driver starts anew. */
static void state_when_reset_before_it_runs_is_gone(void **state)
{
	(void)state;
	boot_to_move();
	save_at_source(VHU_STATE_PIPE);
	leave_source();
	come_to_target();
	assert_fe_ok(rig,
		     vhu_frontend_load_state(&rig->fe, VHU_STATE_PIPE, moving.bytes, moving.len));
	assert_fe_ok(rig, vhu_frontend_simple(&rig->fe, VHU_FE_RESET_DEVICE, true));
	assert_null(target.con.loaded);
	assert_int_equal(check(), 1);
	run_at_target();
	assert_false(data_there->port.guest_open);
}

/* VU-200, VU-196: refused as a whole, and the target is as it was. */
static void state_when_cut_or_of_other_ports_is_refused(void **state)
{
	(void)state;
	boot_to_move();
	save_at_source(VHU_STATE_PIPE);
	leave_source();
	come_to_target();
	assert_int_equal(
		vhu_frontend_load_state(&rig->fe, VHU_STATE_PIPE, moving.bytes, moving.len / 2),
		-EREMOTEIO);
	console_remove_port(&target.con, 1);
	assert_int_equal(
		vhu_frontend_load_state(&rig->fe, VHU_STATE_PIPE, moving.bytes, moving.len),
		-EREMOTEIO);
	assert_null(target.con.loaded);
	console_add_port(&target.con, 1, &data_there->port);
	assert_fe_ok(rig,
		     vhu_frontend_load_state(&rig->fe, VHU_STATE_PIPE, moving.bytes, moving.len));
	run_at_target();
	expect_port_works(data_there);
}

/* VU-192, VU-193, VU-198, VU-199: an error, no descriptor, and the session goes on. */
static void request_when_wrong_or_too_early_has_an_error(void **state)
{
	static const uint32_t wrong[][2] = { { 0, 1 }, { 1, 1 }, { 2, 0 } };
	uint64_t answer;

	(void)state;
	boot_to_move();
	close(ask(0, 0, &answer));
	assert_int_equal(answer, 0x101); /* rings run */
	stop_source();
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		close(ask(wrong[i][0], wrong[i][1], &answer));
		assert_int_equal(answer, 0x101);
	}
	assert_int_equal(check(), 1); /* nothing has begun */
	assert_fe_ok(rig, vhu_style_start(&rig->fe, &rig_plan));
	expect_port_works(data);
}

/* VU-197, VU-194: the answer comes first, however little the pipe holds. */
static void save_when_the_pipe_is_small_is_answered_at_once(void **state)
{
	static uint8_t bytes[RIG_HISTORY];
	static char got[4 * RIG_HISTORY];
	size_t len = 0;
	uint64_t answer;
	ssize_t n;
	int fd;

	(void)state;
	boot_to_move();
	port_output(&rig->port, bytes, sizeof(bytes)); /* history */
	stop_source();
	fd = ask(0, 0, &answer);
	assert_int_equal(answer, 0x100);
	assert_true(fcntl(fd, F_SETPIPE_SZ, 4096) >= 4096 || errno == EBUSY);
	assert_fe_ok(rig, vhu_frontend_ping(&rig->fe)); /* VU-118 */
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	while ((n = read(fd, got + len, sizeof(got) - len)) != 0) {
		len += n > 0 ? (size_t)n : 0;
		assert_true(n > 0 || errno == EAGAIN);
		rig_step(rig);
	}
	assert_true(len > sizeof(bytes));
	assert_int_equal(check(), 0);
	close(fd);
}

/* VU-196: it waits for the outcome; and a front-end that goes meanwhile ends the session. */
static void check_when_the_state_never_ends_goes_with_the_front_end(void **state)
{
	struct vhu_msg msg;
	uint64_t answer;
	int fd;

	(void)state;
	boot_to_move();
	stop_source();
	fd = ask(1, 0, &answer);
	assert_int_equal(answer, 0x100);
	vhu_msg_init(&msg, VHU_FE, VHU_FE_CHECK_DEVICE_STATE);
	assert_fe_ok(rig, vhu_frontend_send_unchecked(&rig->fe, &msg));
	assert_fe_ok(rig, vhu_frontend_pass_time(&rig->fe, 5));
	assert_non_null(rig->b);
	leave_source();
	close(fd);
}

/* Nobody reads: the state was not saved, and the device goes on. */
static void save_when_the_pipe_breaks_fails(void **state)
{
	uint64_t answer;

	(void)state;
	boot_to_move();
	stop_source();
	close(ask(0, 0, &answer));
	/* It may have fitted into the pipe before that was closed. */
	assert_int_equal(answer, 0x100);
	(void)check();
	assert_fe_ok(rig, vhu_style_start(&rig->fe, &rig_plan));
	expect_port_works(data);
}

/* SET_DEVICE_STATE_FD with a descriptor of the caller's; the answer. */
static uint64_t ask_with(uint32_t direction, int fd)
{
	struct vhu_device_state wanted = { .direction = direction };
	struct vhu_msg msg, reply;

	vhu_msg_init(&msg, VHU_FE, VHU_FE_SET_DEVICE_STATE_FD);
	vhu_msg_put(&msg, &wanted, sizeof(wanted));
	msg.fds.fd[msg.fds.n_fds++] = fd;
	assert_fe_ok(rig, vhu_frontend_request(&rig->fe, &msg, &reply, RIG_TIMEOUT_MS));
	return vhu_msg_u64(&reply);
}

/* VU-194: a way that does not block is waited for, in both directions. */
static void way_when_it_does_not_block_is_waited_for(void **state)
{
	static uint8_t bytes[4 * RIG_HISTORY];
	size_t len = 0, done = 0;
	int fds[2];
	ssize_t n;

	(void)state;
	boot_to_move();
	port_output(&rig->port, bytes, RIG_HISTORY);
	stop_source();
	assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
	fcntl(fds[1], F_SETPIPE_SZ, 4096);
	assert_int_equal(ask_with(0, fds[1]), 0x100);
	fds[1] = fd_close(fds[1]);
	while ((n = read(fds[0], bytes + len, sizeof(bytes) - len)) != 0) {
		len += n > 0 ? (size_t)n : 0;
		assert_true(n > 0 || errno == EAGAIN);
		rig_step(rig);
	}
	close(fds[0]);
	assert_int_equal(check(), 0);
	assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
	assert_int_equal(ask_with(1, fds[0]), 0x100);
	close(fds[0]);
	rig_settle(rig); /* nothing is there yet */
	while (done < len) {
		n = write(fds[1], bytes + done, len - done);
		done += n > 0 ? (size_t)n : 0;
		assert_true(n > 0 || errno == EAGAIN);
		rig_step(rig);
	}
	close(fds[1]);
	assert_int_equal(check(), 0);
}

/* VU-196: an end of a pipe that cannot be used so. */
static void way_when_it_goes_the_other_way_fails(void **state)
{
	int fds[2];

	(void)state;
	boot_to_move();
	stop_source();
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	for (uint32_t direction = 0; direction < 2; direction++) {
		assert_int_equal(ask_with(direction, fds[direction]), 0x100);
		assert_int_equal(check(), 1);
	}
	close(fds[0]);
	close(fds[1]);
	assert_fe_ok(rig, vhu_style_start(&rig->fe, &rig_plan));
	expect_port_works(data);
}

/* VU-199: one at a time, and only while all rings are stopped. */
static void transfer_when_a_ring_starts_is_given_up(void **state)
{
	struct handover_out out;
	uint64_t answer;
	int fd;

	(void)state;
	boot_to_move();
	stop_source();
	fd = ask(1, 0, &answer);
	assert_int_equal(answer, 0x100);
	close(ask(1, 0, &answer));
	assert_int_equal(answer, 0x101);
	handover_out_init(&out);
	vhu_backend_save(rig->b, &out, 1);
	assert_non_null(strstr(out.why, "state is being moved"));
	handover_out_fini(&out);
	assert_fe_ok(rig, vhu_style_start(&rig->fe, &rig_plan));
	assert_int_equal(check(), 1);
	close(fd);
	expect_port_works(data);
}

#define STATE_TEST(f) UNIT_TEST_WITH(f, setup, teardown)

static const struct CMUnitTest tests[] = {
	STATE_TEST(guest_when_moved_goes_on_as_if_nothing_had_been),
	STATE_TEST(guest_when_moved_through_sockets_goes_on),
	STATE_TEST(bytes_when_undelivered_come_first_at_the_target),
	STATE_TEST(output_when_its_client_comes_later_waits_for_it),
	STATE_TEST(chain_when_taken_in_part_goes_on_at_the_same_byte),
	STATE_TEST(history_when_moved_is_for_those_who_come_later),
	STATE_TEST(control_messages_when_pending_are_told_at_the_target),
	STATE_TEST(source_when_the_move_fails_goes_on),
	STATE_TEST(target_when_the_move_fails_has_delivered_nothing),
	STATE_TEST(state_when_reset_before_it_runs_is_gone),
	STATE_TEST(state_when_cut_or_of_other_ports_is_refused),
	STATE_TEST(request_when_wrong_or_too_early_has_an_error),
	STATE_TEST(save_when_the_pipe_is_small_is_answered_at_once),
	STATE_TEST(check_when_the_state_never_ends_goes_with_the_front_end),
	STATE_TEST(save_when_the_pipe_breaks_fails),
	STATE_TEST(way_when_it_does_not_block_is_waited_for),
	STATE_TEST(way_when_it_goes_the_other_way_fails),
	STATE_TEST(transfer_when_a_ring_starts_is_given_up),
};

UNIT_MAIN(tests)
