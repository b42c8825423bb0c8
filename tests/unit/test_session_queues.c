/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Front-ends with fewer rings than the device, rings without descriptors, time in the rings. */
#include "ports_rig.h"
#include "vhu/server.h"

#include <endian.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>

enum { MAX_NR_PORTS = 4 /* in the config space */ };

static int saved_stderr, said;

/* What is logged goes to a socket, a line per message. */
static int log_setup(void **state, unsigned int max_ports)
{
	int err = ports_setup(state, max_ports);
	int pair[2];

	if (err < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -1;
	saved_stderr = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
	said = pair[0];
	dup2(pair[1], STDERR_FILENO);
	fd_close(pair[1]);
	log_set_level(LOG_LEVEL_INFO);
	return 0;
}

static int log_teardown(void **state)
{
	log_set_level(LOG_LEVEL_ERROR);
	dup2(saved_stderr, STDERR_FILENO);
	fd_close(saved_stderr);
	fd_close(said);
	return ports_teardown(state);
}

/* How many lines since the last call had this in them. */
static unsigned int count_said(const char *what)
{
	char line[LOG_LINE_MAX];
	unsigned int n = 0;
	ssize_t len;

	while ((len = recv(said, line, sizeof(line) - 1, MSG_DONTWAIT)) > 0) {
		line[len] = '\0';
		n += strstr(line, what) != NULL;
	}
	return n;
}

static int setup_4(void **state)
{
	return log_setup(state, 4);
}

static int setup_200(void **state)
{
	return log_setup(state, 200);
}

static int setup_511(void **state)
{
	return log_setup(state, CONSOLE_MAX_PORTS);
}

#define QUEUES_TEST(f, setup) UNIT_TEST_WITH(f, setup, log_teardown)

static unsigned int max_nr_ports(void)
{
	uint32_t n;

	assert_fe_ok(rig, vhu_frontend_get_config(&rig->fe, MAX_NR_PORTS, sizeof(n), 0, &n));
	return le32toh(n);
}

/* Another machine, with n_rings rings, up to where its guest's driver would start. */
static void plug_in(enum vhu_frontend_style style, unsigned int n_rings)
{
	rig_disconnect(rig);
	rig_forget_guest(rig);
	rig_connect(rig);
	rig_plan = (struct vhu_frontend_plan){
		.style = style,
		.n_set_up = n_rings,
		.n_rings = n_rings,
	};
	assert_fe_ok(rig, vhu_style_begin(&rig->fe, &rig_plan));
}

/* VC-012, VC-013: the guest is offered as many ports as the machine has rings for. */
static void front_end_with_fewer_rings_has_fewer_ports(void **state)
{
	static const struct {
		unsigned int n_rings, n_ports;
	} rows[] = { { 2, 1 }, { 4, 1 }, { 5, 1 }, { 6, 2 }, { 8, 3 }, { 10, 4 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		plug_in(VHU_STYLE_QEMU, rows[i].n_rings);
		assert_int_equal(max_nr_ports(), rows[i].n_ports);
		assert_int_equal(rig->con.vdev.n_queues_seen, rows[i].n_rings);
	}
	rig_disconnect(rig);
	assert_int_equal(rig->con.vdev.n_queues_seen, 0);
}

static void front_end_with_fewer_rings_is_said_once(void **state)
{
	(void)state;
	plug_in(VHU_STYLE_QEMU, 4);
	for (unsigned int i = 0; i < 3; i++)
		max_nr_ports();
	assert_int_equal(count_said("has 4 queues, the device 10: give it num_vqs=10"), 1);
	plug_in(VHU_STYLE_QEMU, 10);
	max_nr_ports();
	assert_int_equal(count_said("num_vqs"), 0);
}

/* A guest with fewer rings works with the ports that these are for. */
static void guest_with_fewer_rings_works_with_its_ports(void **state)
{
	struct host *first = host_new(1, "first");
	struct host *last = host_new(3, "last");

	(void)state;
	host_plug(first);
	host_plug(last);
	host_join(first);
	host_join(last);
	plug_in(VHU_STYLE_QEMU, 6);
	assert_fe_ok(rig, vhu_style_boot(&rig->fe, &rig_plan, 0));
	boot_guest();
	assert_int_equal(guest.n_ports, 2);
	open_port(first);
	expect_port_works(first);
	/* Port 3 has no rings: a message about it would fail the driver. */
	assert_fe_ok(rig, guest_settle(&guest, RIG_QUIET_MS));
}

/* A boot loader's driver takes two rings; that says nothing of the machine. */
static void rings_that_a_guest_leaves_unused_are_still_there(void **state)
{
	static const enum vhu_frontend_style styles[] = {
		VHU_STYLE_UML,
		VHU_STYLE_CROSVM,
		VHU_STYLE_LIBKRUN,
		VHU_STYLE_SPDK,
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(styles); i++) {
		plug_in(styles[i], 10);
		assert_int_equal(max_nr_ports(), 4);
		rig_plan.n_set_up = 2;
		assert_fe_ok(rig, vhu_style_boot(&rig->fe, &rig_plan, 0));
		assert_int_equal(max_nr_ports(), 4);
	}
	assert_int_equal(count_said("num_vqs"), 0);
}

/* VU-123: descriptors have room for 256 rings, whatever QEMU's num_vqs is. */
static void rings_without_room_for_descriptors_need_inband_notifications(void **state)
{
	(void)state;
	plug_in(VHU_STYLE_QEMU, 256);
	assert_int_equal(max_nr_ports(), 127);
	assert_int_equal(count_said("can use 256 of the device's 1024 queues"), 1);
	plug_in(VHU_STYLE_CROSVM, 256);
	assert_int_equal(max_nr_ports(), 127);
	plug_in(VHU_STYLE_UML, 1024);
	assert_int_equal(max_nr_ports(), 511);
	assert_int_equal(count_said("can use"), 1);
}

/* A ring from 256 on has no descriptors: nothing that names it that way reaches another. */
static void ring_words_past_eight_bits_are_refused(void **state)
{
	static const uint64_t words[] = { 256, 257, 512, 1023, UINT64_C(1) << 40 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		struct vhu_msg msg, reply;

		plug_in(VHU_STYLE_UML, 1024);
		vhu_msg_init(&msg, VHU_FE, VHU_FE_SET_VRING_CALL);
		msg.flags |= VHU_FLAG_NEED_REPLY;
		vhu_msg_put_u64(&msg, words[i]);
		msg.fds.fd[msg.fds.n_fds++] = rig->fe.channel_fd;
		assert_fe_ok(rig, vhu_frontend_send_unchecked(&rig->fe, &msg));
		assert_fe_ok(rig, vhu_frontend_receive(&rig->fe, &reply, RIG_TIMEOUT_MS));
		assert_true(vhu_msg_u64(&reply) != 0);
		for (unsigned int r = 0; r < rig->b->n_vqs; r++)
			assert_int_equal(rig->b->vqs[r].call_fd, -1);
	}
}

/* The same from the other end: such a front-end is not ours. */
static void front_end_gives_descriptors_to_256_rings_alone(void **state)
{
	int fd;

	(void)state;
	plug_in(VHU_STYLE_UML, 1024);
	fd = rig->fe.channel_fd;
	assert_int_equal(vhu_frontend_vring_fd(&rig->fe, VHU_FE_SET_VRING_CALL, 256, fd, true),
			 -EINVAL);
	assert_fe_ok(rig, vhu_frontend_vring_fd(&rig->fe, VHU_FE_SET_VRING_CALL, 255, fd, true));
	assert_true(rig->b->vqs[255].call_fd >= 0);
	rig_forget_guest(rig);
	assert_int_equal(vhu_frontend_make_rings(&rig->fe, 1025, VHU_CALL_NONE), -EINVAL);
}

/* QEMU leaves at once when its num_vqs is more than GET_QUEUE_NUM says. */
static void front_end_that_leaves_after_the_number_of_queues_is_told_why(void **state)
{
	uint64_t n;

	(void)state;
	rig_connect(rig);
	assert_fe_ok(rig, vhu_frontend_ping(&rig->fe));
	assert_fe_ok(rig, vhu_frontend_get_u64(&rig->fe, VHU_FE_GET_QUEUE_NUM, &n));
	assert_int_equal(n, 10);
	rig_disconnect(rig);
	assert_int_equal(count_said("told of 10 queues"), 1);
	/* One that was content, and one that has never asked. */
	plug_in(VHU_STYLE_QEMU, 10);
	rig_disconnect(rig);
	rig_connect(rig);
	assert_fe_ok(rig, vhu_frontend_ping(&rig->fe));
	rig_disconnect(rig);
	assert_int_equal(count_said("told of"), 0);
}

static bool all_called(void)
{
	for (unsigned int i = 0; i < n_hosts; i++)
		if (rig->fe.heard.n_calls[GUEST_PORT_RX(hosts[i].number)] == 0)
			return false;
	return true;
}

/* VU-140: more rings have something to say than calls may be under way; none is forgotten. */
static void calls_of_very_many_rings_all_come(void **state)
{
	(void)state;
	for (unsigned int i = 1; i < 200; i++) {
		struct host *h = host_new(i, "");

		host_plug(h);
		host_join(h);
	}
	rig_setup_style(rig, VHU_STYLE_UML, 4, ~BIT(VIRTIO_F_EVENT_IDX_BIT), 0);
	boot_guest();
	for (unsigned int i = 0; i < n_hosts; i++)
		open_port(&hosts[i]);
	assert_fe_ok(rig, guest_settle(&guest, RIG_QUIET_MS));
	memset(rig->fe.heard.n_calls, 0, sizeof(rig->fe.heard.n_calls));
	for (unsigned int i = 0; i < n_hosts; i++)
		driverq_calls_on(&rig->fe.rings[GUEST_PORT_RX(hosts[i].number)].q);
	rig->fe.channel_silent = true;
	/* Twice, so that the first rings are due again before the last were heard. */
	for (unsigned int round = 0; round < 2; round++) {
		for (unsigned int i = 0; i < n_hosts; i++)
			assert_int_equal(port_input(&hosts[i].port, "x", 1), 1);
		rig_settle(rig);
	}
	while (rig->fe.heard.n_unanswered < VHU_CONN_MAX_QUEUED)
		rig_settle(rig);
	assert_int_equal(rig->fe.heard.n_unanswered, VHU_CONN_MAX_QUEUED);
	assert_fe_ok(rig, vhu_frontend_speak(&rig->fe));
	while (!all_called())
		rig_settle(rig);
	assert_int_equal(rig->fe.heard.n_unanswered, 0);
}

/* Time from a kick to the buffer's return: one entry per kick, however it comes. */
static void kicks_are_timed_until_their_buffers_are_back(void **state)
{
	static const enum vhu_frontend_style styles[] = { VHU_STYLE_QEMU, VHU_STYLE_UML };
	const struct histogram *h = &rig->port.latency;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(styles); i++) {
		uint64_t n;

		rig_setup_style(rig, styles[i], 0, 0, 0);
		boot_guest();
		n = h->n;
		for (unsigned int k = 1; k <= 5; k++) {
			assert_fe_ok(rig, guest_write(&guest, "x", 1, RIG_TIMEOUT_MS));
			assert_int_equal(h->n, n + k);
		}
		/* One for nothing is none, now or when something comes. */
		assert_fe_ok(rig, vhu_frontend_kick(&rig->fe, GUEST_TX));
		rig_settle(rig);
		assert_int_equal(rig->b->vqs[GUEST_TX].kicked_ns, 0);
		assert_int_equal(h->n, n + 5);
		guest_fini(&guest);
	}
	assert_true(h->sum_ns > 0 && h->max_ns <= h->sum_ns);
}

/* A buffer that is held counts once, when it comes back. */
static void buffer_that_is_held_is_timed_when_it_comes_back(void **state)
{
	struct host *h = host_new(1, "x");
	uint8_t page[2 * HOST_HISTORY] = { 0 };
	uint64_t n;

	(void)state;
	host_plug(h);
	host_join(h);
	boot_guest();
	open_port(h);
	h->pausing = true;
	/* The ring is full after the first. */
	assert_fe_ok(rig, guest_write_port(&guest, 1, page, HOST_HISTORY, RIG_TIMEOUT_MS));
	n = h->port.latency.n;
	assert_true(guest_try_write_port(&guest, 1, page, GUEST_PAGE) > 0);
	rig_settle(rig);
	assert_int_equal(h->port.latency.n, n);
	host_resume(h);
	assert_fe_ok(rig, guest_await_taken(&guest, 1, RIG_TIMEOUT_MS));
	assert_int_equal(h->port.latency.n, n + 1);
}

/* Nobody who asks: no clock is read, and nothing is left over for who comes. */
static void ring_that_nobody_times_notes_nothing(void **state)
{
	(void)state;
	boot_guest();
	rig->b->vqs[GUEST_TX].q.latency = NULL;
	assert_fe_ok(rig, guest_write(&guest, "x", 1, RIG_TIMEOUT_MS));
	assert_int_equal(rig->b->vqs[GUEST_TX].kicked_ns, 0);
	assert_int_equal(rig->b->vqs[GUEST_RX].kicked_ns, 0);
	assert_int_equal(rig->port.latency.n, 0);
}

static unsigned int n_servers_closed;

static void server_closed(struct vhu_server *s)
{
	(void)s;
	n_servers_closed++;
}

static int listen_anywhere(struct sockaddr_un *ret_addr, socklen_t *ret_len)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	*ret_addr = (struct sockaddr_un){ .sun_family = AF_UNIX };
	*ret_len = sizeof(*ret_addr);
	/* An address of the kernel's choice. */
	assert_int_equal(bind(fd, (struct sockaddr *)ret_addr, sizeof(sa_family_t)), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)ret_addr, ret_len), 0);
	return fd;
}

static int connect_to(const struct sockaddr_un *addr, socklen_t len)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (const struct sockaddr *)addr, len), 0);
	return fd;
}

/* Whoever connects again and again, with a session there or without. */
static void front_ends_that_come_and_go_do_not_fill_the_log(void **state)
{
	enum { TIMES = 10 * LOG_LIMIT_BURST };
	struct vhu_backend_options options = { .who = "rig", .max_queue_size = RIG_QUEUE_MAX };
	struct sockaddr_un addr;
	unsigned int n_said = 0;
	struct vhu_server s;
	socklen_t len;
	char byte;
	int fd;

	(void)state;
	assert_int_equal(vhu_server_start(&s, rig->loop, &rig->con.vdev,
					  listen_anywhere(&addr, &len), NULL, &options, NULL),
			 0);
	for (unsigned int i = 0; i < TIMES; i++) {
		int first = connect_to(&addr, len);

		while (!s.session)
			rig_step(rig);
		fd = connect_to(&addr, len);
		while (recv(fd, &byte, 1, MSG_DONTWAIT) < 0)
			rig_step(rig);
		fd_close(fd);
		fd_close(first);
		while (s.session)
			rig_step(rig);
		n_said += count_said(""); /* now: what is not read has no room for long */
	}
	n_servers_closed = 0;
	vhu_server_close(&s, server_closed);
	while (n_servers_closed == 0)
		rig_step(rig);
	/* Of three lines each time: two kinds, and what a second or two earns. */
	assert_true(n_said >= 2 * LOG_LIMIT_BURST && n_said < TIMES);
}

/* Kept, it would hold the session open for good when the front-end is gone. */
static void front_end_that_gives_its_own_socket_is_turned_out(void **state)
{
	struct vhu_backend_options options = { .who = "rig", .max_queue_size = RIG_QUEUE_MAX };
	struct vhu_frontend fe;
	struct sockaddr_un addr;
	struct vhu_server s;
	struct vhu_msg msg;
	socklen_t len;

	(void)state;
	assert_int_equal(vhu_server_start(&s, rig->loop, &rig->con.vdev,
					  listen_anywhere(&addr, &len), NULL, &options, NULL),
			 0);
	vhu_frontend_init(&fe, connect_to(&addr, len));
	vhu_msg_init(&msg, VHU_FE, VHU_FE_SET_LOG_FD);
	msg.fds.fd[msg.fds.n_fds++] = fe.fd; /* lent */
	while (!s.session)
		rig_step(rig);
	assert_int_equal(vhu_frontend_send_unchecked(&fe, &msg), 0);
	vhu_frontend_fini(&fe);
	for (unsigned int n = 0; s.session; n++) {
		rig_step(rig);
		assert_true(n < 2000);
	}
	n_servers_closed = 0;
	vhu_server_close(&s, server_closed);
	while (n_servers_closed == 0)
		rig_step(rig);
}

static const struct CMUnitTest tests[] = {
	QUEUES_TEST(front_end_with_fewer_rings_has_fewer_ports, setup_4),
	QUEUES_TEST(front_end_with_fewer_rings_is_said_once, setup_4),
	QUEUES_TEST(guest_with_fewer_rings_works_with_its_ports, setup_4),
	QUEUES_TEST(rings_that_a_guest_leaves_unused_are_still_there, setup_4),
	QUEUES_TEST(rings_without_room_for_descriptors_need_inband_notifications, setup_511),
	QUEUES_TEST(ring_words_past_eight_bits_are_refused, setup_511),
	QUEUES_TEST(front_end_gives_descriptors_to_256_rings_alone, setup_511),
	QUEUES_TEST(front_end_that_leaves_after_the_number_of_queues_is_told_why, setup_4),
	QUEUES_TEST(calls_of_very_many_rings_all_come, setup_200),
	QUEUES_TEST(kicks_are_timed_until_their_buffers_are_back, setup_4),
	QUEUES_TEST(buffer_that_is_held_is_timed_when_it_comes_back, setup_4),
	QUEUES_TEST(ring_that_nobody_times_notes_nothing, setup_4),
	QUEUES_TEST(front_end_that_gives_its_own_socket_is_turned_out, setup_4),
	QUEUES_TEST(front_ends_that_come_and_go_do_not_fill_the_log, setup_4),
};
UNIT_MAIN(tests)
