/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pty.h>
#include <stdio.h>
#include <sys/socket.h>

#include "unit.h"

static int open_null(void)
{
	int fd = open("/dev/null", O_RDWR);

	assert_true(fd >= 0);
	return fd;
}

static bool fd_is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static void close_when_open_closes_and_keeps_errno(void **state)
{
	int fd = open_null();

	(void)state;
	errno = EXDEV;
	assert_int_equal(fd_close(fd), -1);
	assert_int_equal(errno, EXDEV);
	assert_false(fd_is_open(fd));
}

/* A connection over TCP whose peer takes nothing; what it can hold is there. */
static void make_full(int *ret_fd, int *ret_peer)
{
	struct sockaddr_in addr = { .sin_family = AF_INET,
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(addr);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	static char bytes[1 << 16];

	assert_int_equal(bind(listener, (struct sockaddr *)&addr, len), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&addr, &len), 0);
	*ret_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(*ret_fd, (struct sockaddr *)&addr, len), 0);
	*ret_peer = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(*ret_peer >= 0);
	while (send(*ret_fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		;
	close(listener);
}

/* Whoever has made the socket wants its last close to wait for longer than this test may last. */
static void close_when_a_socket_lingers_does_not_wait(void **state)
{
	const struct linger long_time = { .l_onoff = 1, .l_linger = 100 * UNIT_ALARM_SECONDS };
	int fd, peer;

	(void)state;
	make_full(&fd, &peer);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &long_time, sizeof(long_time)), 0);
	fd_close(fd);
	fd_close(peer);
}

static ssize_t send_one(int to, int fd)
{
	char space[CMSG_SPACE(sizeof(int))] = "", byte = 0;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr hdr = { .msg_iov = &iov, .msg_iovlen = 1 };

	fd_attach(&hdr, space, &fd, 1);
	return sendmsg(to, &hdr, MSG_NOSIGNAL);
}

static void rights_when_refused_cannot_be_sent(void **state)
{
	int fds[2], passes;
	socklen_t len = sizeof(passes);

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	assert_int_equal(send_one(fds[1], fds[0]), 1);
	fd_refuse_rights(fds[0]);
	if (getsockopt(fds[0], SOL_SOCKET, SO_PASSRIGHTS, &passes, &len) == 0) {
		assert_int_equal(passes, 0);
		assert_int_equal(send_one(fds[1], fds[0]), -1);
	} else {
		print_message("SO_PASSRIGHTS is not to be had here\n");
	}
	fd_close(fds[0]);
	fd_close(fds[1]);
	errno = EXDEV;
	fd_refuse_rights(-1);
	assert_int_equal(errno, EXDEV);
}

static void close_when_negative_or_bad_keeps_errno(void **state)
{
	(void)state;
	errno = EXDEV;
	assert_int_equal(fd_close(-1), -1);
	assert_int_equal(fd_close(1000000), -1);
	assert_int_equal(errno, EXDEV);
}

static void take_leaves_minus_one(void **state)
{
	int fd = 7;

	(void)state;
	assert_int_equal(fd_take(&fd), 7);
	assert_int_equal(fd, -1);
}

static void auto_fd_when_scope_ends_is_closed(void **state)
{
	int number;

	(void)state;
	{
		AUTO_FD int fd = open_null();

		number = fd;
		assert_true(fd_is_open(number));
	}
	assert_false(fd_is_open(number));
}

static void fdset_take_when_taken_before_returns_minus_one(void **state)
{
	struct fdset set;
	int fd;

	(void)state;
	fdset_init(&set);
	assert_int_equal(fdset_take(&set, 0), -1);
	set.fd[0] = open_null();
	set.fd[1] = open_null();
	set.n_fds = 2;
	fd = fdset_take(&set, 1);
	assert_true(fd_is_open(fd));
	assert_int_equal(fdset_take(&set, 1), -1);
	assert_int_equal(fdset_take(&set, 2), -1);
	assert_int_equal(set.n_fds, 2);
	fdset_close(&set);
	assert_true(fd_is_open(fd));
	fd_close(fd);
}

static void fdset_close_when_called_twice_is_empty(void **state)
{
	struct fdset set;
	int first;

	(void)state;
	fdset_init(&set);
	for (set.n_fds = 0; set.n_fds < FDSET_MAX; set.n_fds++)
		set.fd[set.n_fds] = open_null();
	first = set.fd[0];
	fdset_close(&set);
	assert_int_equal(set.n_fds, 0);
	assert_int_equal(set.fd[0], -1);
	assert_false(fd_is_open(first));
	fdset_close(&set);
}

static void fdset_move_closes_target_and_empties_source(void **state)
{
	struct fdset src, dst;
	int old, moved;

	(void)state;
	fdset_init(&src);
	fdset_init(&dst);
	old = dst.fd[0] = open_null();
	dst.n_fds = 1;
	moved = src.fd[0] = open_null();
	src.n_fds = 1;
	fdset_move(&dst, &src);
	assert_false(fd_is_open(old));
	assert_int_equal(dst.fd[0], moved);
	assert_int_equal(dst.n_fds, 1);
	assert_int_equal(src.n_fds, 0);
	assert_int_equal(src.fd[0], -1);
	fdset_close(&dst);
}

static void fdset_move_onto_itself_changes_nothing(void **state)
{
	struct fdset set;

	(void)state;
	fdset_init(&set);
	set.fd[0] = open_null();
	set.n_fds = 1;
	fdset_move(&set, &set);
	assert_int_equal(set.n_fds, 1);
	assert_true(fd_is_open(set.fd[0]));
	fdset_close(&set);
}

static void reopen_tty_gives_a_description_of_its_own(void **state)
{
	AUTO_FD int master = -1;
	AUTO_FD int slave = -1;
	AUTO_FD int own = -1;

	(void)state;
	assert_int_equal(openpty(&master, &slave, NULL, NULL, NULL), 0);
	own = fd_reopen_tty(slave);
	assert_true(own >= 0);
	assert_true(isatty(own));
	assert_true(fcntl(own, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(own, F_GETFD) & FD_CLOEXEC);
	/* Flags belong to descriptions: the one that others share is as it was. */
	assert_false(fcntl(slave, F_GETFL) & O_NONBLOCK);
}

static void reopen_tty_when_no_terminal_fails(void **state)
{
	AUTO_FD int fd = open_null();

	(void)state;
	assert_int_equal(fd_reopen_tty(fd), -ENOTTY);
	assert_int_equal(fd_reopen_tty(1000000), -EBADF);
}

/* Two connections to one listening socket, by the file system's name or another. */
static void leads_to_when_connected_to_the_same_listener_is_true(void **state)
{
	char name[64];
	struct sockaddr_un addr;
	socklen_t len;
	int listener = socket(AF_UNIX, SOCK_STREAM, 0), clients[2], accepted[2], pair[2];

	(void)state;
	snprintf(name, sizeof(name), "@vhu-test-fd-%d", (int)getpid());
	assert_true(fd_unix_address(name, &addr, &len));
	assert_int_equal(bind(listener, (struct sockaddr *)&addr, len), 0);
	assert_int_equal(listen(listener, 2), 0);
	for (unsigned int i = 0; i < 2; i++) {
		clients[i] = socket(AF_UNIX, SOCK_STREAM, 0);
		assert_int_equal(connect(clients[i], (struct sockaddr *)&addr, len), 0);
		accepted[i] = accept(listener, NULL, NULL);
		assert_true(accepted[i] >= 0);
	}
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_true(fd_leads_to(clients[0], accepted[0]));
	assert_true(fd_leads_to(clients[1], accepted[0]));
	assert_false(fd_leads_to(accepted[0], accepted[0]));
	assert_false(fd_leads_to(listener, accepted[0]));
	assert_false(fd_leads_to(pair[0], accepted[0]));
	assert_false(fd_leads_to(clients[0], pair[1]));
	assert_false(fd_leads_to(pair[0], pair[1]));
	for (unsigned int i = 0; i < 2; i++) {
		close(clients[i]);
		close(accepted[i]);
		close(pair[i]);
	}
	close(listener);
}

static void set_cloexec_when_open_sets_the_flag(void **state)
{
	AUTO_FD int fd = open_null();

	(void)state;
	assert_false(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(fd_set_cloexec(fd), 0);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(fd_set_cloexec(1000000), -EBADF);
}

static void count_open_when_one_more_is_one_higher(void **state)
{
	unsigned int before = fd_count_open();
	int fd = open_null();

	(void)state;
	assert_true(before >= 3);
	assert_int_equal(fd_count_open(), before + 1);
	fd_close(fd);
	assert_int_equal(fd_count_open(), before);
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(close_when_a_socket_lingers_does_not_wait),
	UNIT_TEST(rights_when_refused_cannot_be_sent),
	UNIT_TEST(close_when_open_closes_and_keeps_errno),
	UNIT_TEST(close_when_negative_or_bad_keeps_errno),
	UNIT_TEST(take_leaves_minus_one),
	UNIT_TEST(auto_fd_when_scope_ends_is_closed),
	UNIT_TEST(fdset_take_when_taken_before_returns_minus_one),
	UNIT_TEST(fdset_close_when_called_twice_is_empty),
	UNIT_TEST(fdset_move_closes_target_and_empties_source),
	UNIT_TEST(fdset_move_onto_itself_changes_nothing),
	UNIT_TEST(reopen_tty_gives_a_description_of_its_own),
	UNIT_TEST(reopen_tty_when_no_terminal_fails),
	UNIT_TEST(leads_to_when_connected_to_the_same_listener_is_true),
	UNIT_TEST(set_cloexec_when_open_sets_the_flag),
	UNIT_TEST(count_open_when_one_more_is_one_higher),
};

UNIT_MAIN(tests)
