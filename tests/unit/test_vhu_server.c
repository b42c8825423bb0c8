/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* A device's place on the outside, given a descriptor of any kind. */
#include "session_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "fail_rig.h"
#include "vhu/server.h"

static struct vhu_server server;
static unsigned int n_finished, n_closed;
static const struct vhu_backend_options options = {
	.who = "served",
	.max_queue_size = RIG_QUEUE_MAX,
};

static void finished(struct vhu_server *s)
{
	assert_ptr_equal(s, &server);
	n_finished++;
}

static void closed(struct vhu_server *s)
{
	assert_ptr_equal(s, &server);
	n_closed++;
}

static int serve_with(struct session_rig *rig, int fd, const struct vhu_backend_options *how)
{
	n_finished = n_closed = 0;
	return vhu_server_start(&server, rig->loop, &rig->con.vdev, fd, NULL, how, finished);
}

static int serve(struct session_rig *rig, int fd)
{
	return serve_with(rig, fd, &options);
}

static void run_until(struct session_rig *rig, const unsigned int *counter)
{
	for (unsigned int i = 0; *counter == 0; i++) {
		assert_true(i < 2000);
		rig_step(rig);
	}
}

static int listening(struct sockaddr_un *ret_addr, socklen_t *ret_len)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	const struct sockaddr_un any = { .sun_family = AF_UNIX };

	assert_true(fd >= 0);
	/* The kernel finds a name. */
	assert_int_equal(bind(fd, (const struct sockaddr *)&any, sizeof(sa_family_t)), 0);
	assert_int_equal(listen(fd, 4), 0);
	*ret_len = sizeof(*ret_addr);
	assert_int_equal(getsockname(fd, (struct sockaddr *)ret_addr, ret_len), 0);
	return fd;
}

static int dial(const struct sockaddr_un *addr, socklen_t len)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (const struct sockaddr *)addr, len), 0);
	return fd;
}

/* The front-end there was is gone; another one is served, and the server closes. */
static void expect_next_is_served(struct session_rig *rig, const struct sockaddr_un *addr,
				  socklen_t len)
{
	vhu_frontend_disconnect(&rig->fe);
	vhu_frontend_attach(&rig->fe, dial(addr, len));
	assert_fe_ok(rig, vhu_frontend_ping(&rig->fe));
	vhu_frontend_disconnect(&rig->fe);
	rig_settle(rig);
	vhu_server_close(&server, closed);
	run_until(rig, &n_closed);
}

/* Taken, and closed. */
static void descriptor_when_it_is_no_such_socket_is_refused(void **state)
{
	struct session_rig *rig = *state;
	int fds[2];

	assert_int_equal(serve(rig, open("/dev/null", O_RDWR | O_CLOEXEC)), -ENOTSOCK);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	assert_int_equal(serve(rig, fds[0]), -EPROTOTYPE);
	close(fds[1]);
	assert_int_equal(serve(rig, socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)), -EPROTOTYPE);
	assert_int_equal(serve(rig, socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)), -ENOTCONN);
}

static void connection_when_it_is_over_finishes_the_server(void **state)
{
	struct session_rig *rig = *state;
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	assert_int_equal(serve(rig, fds[0]), 0);
	assert_non_null(server.session);
	vhu_frontend_attach(&rig->fe, fds[1]);
	assert_fe_ok(rig, vhu_frontend_ping(&rig->fe));
	vhu_frontend_disconnect(&rig->fe);
	run_until(rig, &n_finished);
	assert_null(server.session);
	vhu_server_close(&server, closed);
	assert_int_equal(n_closed, 1); /* there is nothing to wait for */
}

static void server_when_closed_ends_its_session(void **state)
{
	struct session_rig *rig = *state;
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	assert_int_equal(serve(rig, fds[0]), 0);
	vhu_frontend_attach(&rig->fe, fds[1]);
	assert_fe_ok(rig, vhu_frontend_ping(&rig->fe));
	vhu_server_close(&server, closed);
	run_until(rig, &n_closed);
	assert_int_equal(n_finished, 0);
	vhu_frontend_disconnect(&rig->fe);
}

/* VU-112: one at a time; who comes while the one before is ending is next. */
static void front_end_when_the_one_before_has_hung_up_is_next(void **state)
{
	struct session_rig *rig = *state;
	struct handover_out out;
	struct sockaddr_un addr;
	socklen_t len;
	int first;

	assert_int_equal(serve(rig, listening(&addr, &len)), 0);
	first = dial(&addr, len);
	while (!server.session)
		rig_step(rig);
	vhu_frontend_attach(&rig->fe, dial(&addr, len));
	rig_settle(rig);
	assert_fe_ok(rig, vhu_frontend_await_close(&rig->fe, RIG_TIMEOUT_MS)); /* turned away */
	vhu_frontend_disconnect(&rig->fe);
	vhu_frontend_attach(&rig->fe, dial(&addr, len));
	close(first);
	for (unsigned int i = 0; server.next_fd < 0 && server.session && i < 2; i++)
		rig_step(rig);
	handover_out_init(&out);
	vhu_server_save(&server, &out, 1);
	if (server.next_fd >= 0)
		assert_string_not_equal(out.why, "");
	handover_out_fini(&out);
	assert_fe_ok(rig, vhu_frontend_ping(&rig->fe));
	vhu_frontend_disconnect(&rig->fe);
	rig_settle(rig);
	vhu_server_close(&server, closed);
	run_until(rig, &n_closed);
}

/* Who cannot be served is hung up on; the next one is served. */
static void front_end_when_there_is_no_memory_is_hung_up_on(void **state)
{
	struct session_rig *rig = *state;
	struct sockaddr_un addr;
	socklen_t len;

	assert_int_equal(serve(rig, listening(&addr, &len)), 0);
	rig_settle(rig); /* the loop has what it needs to wait for somebody */
	vhu_frontend_attach(&rig->fe, dial(&addr, len));
	fail_begin(1);
	while (n_failed == 0)
		rig_step(rig);
	fail_end();
	rig_settle(rig);
	assert_null(server.session);
	assert_fe_ok(rig, vhu_frontend_await_close(&rig->fe, RIG_TIMEOUT_MS));
	expect_next_is_served(rig, &addr, len);
}

static bool admits_none(void *arg, int fd)
{
	assert_ptr_equal(arg, &server);
	assert_true(fd >= 0);
	return false;
}

/* Who is not let in is hung up on, and no session begins. */
static void front_end_when_it_is_not_let_in_is_hung_up_on(void **state)
{
	struct vhu_backend_options guarded = options;
	struct session_rig *rig = *state;
	struct sockaddr_un addr;
	socklen_t len;

	guarded.admits = admits_none;
	guarded.admits_arg = &server;
	assert_int_equal(serve_with(rig, listening(&addr, &len), &guarded), 0);
	vhu_frontend_attach(&rig->fe, dial(&addr, len));
	assert_fe_ok(rig, vhu_frontend_await_close(&rig->fe, RIG_TIMEOUT_MS));
	assert_null(server.session);
	vhu_frontend_disconnect(&rig->fe);
	vhu_server_close(&server, closed);
	run_until(rig, &n_closed);
}

/* VU-023: descriptors for which this process has no room are nobody's fault; the next is served. */
static void session_when_its_descriptors_find_no_room_ends(void **state)
{
	struct session_rig *rig = *state;
	struct rlimit limit, few;
	struct sockaddr_un addr;
	struct vhu_msg msg;
	socklen_t len;

	assert_int_equal(serve(rig, listening(&addr, &len)), 0);
	vhu_frontend_attach(&rig->fe, dial(&addr, len));
	assert_fe_ok(rig, vhu_frontend_ping(&rig->fe));
	vhu_msg_init(&msg, VHU_FE, VHU_FE_SET_VRING_CALL);
	vhu_msg_put_u64(&msg, 0);
	msg.fds.fd[msg.fds.n_fds++] = rig->fe.fd;
	assert_fe_ok(rig, vhu_frontend_send_unchecked(&rig->fe, &msg));
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	few = limit;
	few.rlim_cur = (rlim_t)dup(rig->fe.fd); /* the first that is free */
	close((int)few.rlim_cur);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	for (unsigned int i = 0; server.session && i < 2000; i++)
		rig_step(rig);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_null(server.session);
	expect_next_is_served(rig, &addr, len);
}

/* More than any credit: it rests until the loop has nothing else to do. */
enum { FAR_TOO_MUCH = 1000 * 1000 * 1000 };

/* Connections cost the same purse: who has spent it waits in the queue of the socket. */
static void connections_when_their_server_rests_come_afterwards(void **state)
{
	struct session_rig *rig = *state;
	struct sockaddr_un addr;
	socklen_t len;

	assert_int_equal(serve(rig, listening(&addr, &len)), 0);
	for (unsigned int i = 0; i < 3; i++) {
		vhu_frontend_attach(&rig->fe, dial(&addr, len));
		share_charge(&server.share, FAR_TOO_MUCH);
		assert_fe_ok(rig, vhu_frontend_ping(&rig->fe));
		vhu_frontend_disconnect(&rig->fe);
		for (unsigned int n = 0; server.session; n++) {
			assert_true(n < 2000);
			rig_step(rig);
		}
	}
	vhu_server_close(&server, closed);
	run_until(rig, &n_closed);
}

static const struct CMUnitTest tests[] = {
	RIG_TEST(descriptor_when_it_is_no_such_socket_is_refused),
	RIG_TEST(connection_when_it_is_over_finishes_the_server),
	RIG_TEST(server_when_closed_ends_its_session),
	RIG_TEST(front_end_when_the_one_before_has_hung_up_is_next),
	RIG_TEST(front_end_when_there_is_no_memory_is_hung_up_on),
	RIG_TEST(front_end_when_it_is_not_let_in_is_hung_up_on),
	RIG_TEST(session_when_its_descriptors_find_no_room_ends),
	RIG_TEST(connections_when_their_server_rests_come_afterwards),
};
UNIT_MAIN(tests)
