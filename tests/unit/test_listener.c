/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "loop_rig.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "listener.h"

enum { CROWD = 100 };

static char folder[64], path[96], why[256];
static struct listener listener;
static unsigned int n_accepted, n_closed;
static int accepted_fd;

static void make_path(void)
{
	snprintf(folder, sizeof(folder), "/tmp/vhu-test-XXXXXX");
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/s", folder);
}

static void on_accepted(struct listener *l, int fd)
{
	assert_ptr_equal(l, &listener);
	n_accepted++;
	accepted_fd = fd;
}

static void on_closed(struct listener *l)
{
	assert_ptr_equal(l, &listener);
	n_closed++;
}

static int dial_with(const char *to, int flags)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
	int err;

	memcpy(un.sun_path, to, strlen(to));
	err = connect(fd, (struct sockaddr *)&un, sizeof(un)) < 0 ? -errno : 0;
	if (err < 0)
		close(fd);
	return err < 0 ? err : fd;
}

static int dial(const char *to)
{
	return dial_with(to, 0);
}

static void start(int fd)
{
	begin();
	n_accepted = n_closed = 0;
	listener_start(&listener, rig.loop, fd, path, "test", on_accepted);
}

static void stop(void)
{
	listener_close(&listener, on_closed);
	assert_int_equal(n_closed, 0);
	run_until(&n_closed, 1);
	end();
}

/* Not even those that do not wait, when they come all at once. */
static void crowd_that_comes_at_once_is_taken(void **state)
{
	int peers[CROWD];

	(void)state;
	make_path();
	start(listener_unix_socket(path, why, sizeof(why)));
	for (size_t i = 0; i < CROWD; i++) {
		peers[i] = dial_with(path, SOCK_NONBLOCK);
		assert_true(peers[i] >= 0);
	}
	for (size_t i = 0; i < CROWD; i++) {
		run_until(&n_accepted, (unsigned int)i + 1);
		close(accepted_fd);
		close(peers[i]);
	}
	stop();
	rmdir(folder);
}

static void bound_socket_takes_nobody_before_it_listens(void **state)
{
	int fd, peer;

	(void)state;
	make_path();
	fd = listener_unix_bind(path, why, sizeof(why));
	assert_true(fd >= 0);
	assert_int_equal(dial(path), -ECONNREFUSED);
	assert_int_equal(listener_listen(fd, path, why, sizeof(why)), 0);
	peer = dial(path);
	assert_true(peer >= 0);
	close(peer);
	close(fd);
	unlink(path);
	rmdir(folder);
}

static void connections_are_handed_over_close_on_exec_and_the_file_goes_at_the_end(void **state)
{
	struct stat st;
	int peer;

	(void)state;
	make_path();
	start(listener_unix_socket(path, why, sizeof(why)));
	for (unsigned int i = 1; i <= 3; i++) {
		peer = dial(path);
		assert_true(peer >= 0);
		run_until(&n_accepted, i);
		assert_int_equal(fcntl(accepted_fd, F_GETFD), FD_CLOEXEC);
		close(accepted_fd);
		close(peer);
	}
	stop();
	assert_int_equal(stat(path, &st), -1);
	assert_int_equal(rmdir(folder), 0);
}

static void file_that_another_has_put_in_its_place_is_left_alone(void **state)
{
	struct stat st;
	int other;

	(void)state;
	make_path();
	start(listener_unix_socket(path, why, sizeof(why)));
	assert_int_equal(unlink(path), 0);
	other = listener_unix_socket(path, why, sizeof(why));
	assert_true(other >= 0);
	stop();
	assert_int_equal(stat(path, &st), 0);
	close(other);
	unlink(path);
	rmdir(folder);
}

/* Its socket answers for as long as its process is no more than killed. */
static void socket_of_a_dead_process_is_replaced(void **state)
{
	int ready[2], fd;
	char byte;
	pid_t pid;

	(void)state;
	make_path();
	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		fd = listener_unix_socket(path, why, sizeof(why));
		_exit(fd < 0 || write(ready[1], "r", 1) != 1 || pause() < 0);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_int_equal(listener_unix_socket(path, why, sizeof(why)), -EADDRINUSE);
	assert_non_null(strstr(why, path));
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	fd = listener_unix_socket(path, why, sizeof(why));
	assert_true(fd >= 0);
	close(fd);
	unmake(ready);
	unlink(path);
	rmdir(folder);
}

static void path_that_cannot_be_used_is_named(void **state)
{
	char deep[200];

	(void)state;
	make_path();
	snprintf(deep, sizeof(deep), "%s/none/s", folder);
	assert_int_equal(listener_unix_bind(deep, why, sizeof(why)), -ENOENT);
	assert_non_null(strstr(why, deep));
	memset(deep, 'x', sizeof(deep) - 1);
	deep[sizeof(deep) - 1] = '\0';
	assert_int_equal(listener_unix_bind(deep, why, sizeof(why)), -ENAMETOOLONG);
	assert_int_equal(listener_unix_bind(folder, why, sizeof(why)), -EEXIST);
	assert_non_null(strstr(why, folder));
	rmdir(folder);
}

static void abstract_name_is_free_when_its_socket_is_closed(void **state)
{
	char name[64];
	int fd;

	(void)state;
	snprintf(name, sizeof(name), "vhu-test-listener-%d", getpid());
	for (unsigned int i = 0; i < 2; i++) {
		fd = listener_abstract_socket(name, why, sizeof(why));
		assert_true(fd >= 0);
		assert_int_equal(listener_abstract_socket(name, why, sizeof(why)), -EADDRINUSE);
		assert_non_null(strstr(why, name));
		close(fd);
	}
	assert_int_equal(listener_abstract_socket("", why, sizeof(why)), -EINVAL);
}

static void tcp_port_in_use_is_named_and_free_again_at_once(void **state)
{
	struct sockaddr_in in = {
		.sin_family = AF_INET,
		.sin_addr = { htonl(INADDR_LOOPBACK) },
	};
	const struct sockaddr *addr = (const struct sockaddr *)&in;
	socklen_t len = sizeof(in);
	int fd;

	(void)state;
	fd = listener_tcp_socket(addr, len, true, "here", why, sizeof(why));
	assert_true(fd >= 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &len), 0);
	assert_int_equal(listener_tcp_socket(addr, len, true, "here", why, sizeof(why)),
			 -EADDRINUSE);
	assert_non_null(strstr(why, "here"));
	close(fd);
	fd = listener_tcp_socket(addr, len, true, "here", why, sizeof(why));
	assert_true(fd >= 0);
	close(fd);
}

/* No descriptor is left: it says so, waits, and goes on when there is one. */
static void accepting_goes_on_after_descriptors_ran_out(void **state)
{
	struct rlimit limit, none;
	int peer, top;

	(void)state;
	make_path();
	start(listener_unix_socket(path, why, sizeof(why)));
	peer = dial(path);
	assert_true(peer >= 0);
	top = fcntl(peer, F_DUPFD_CLOEXEC, 0);
	close(top);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none = limit;
	none.rlim_cur = (rlim_t)top;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	/* valgrind keeps this limit to itself, and the kernel accepts. */
	for (unsigned int i = 0; !listener.failing && n_accepted == 0; i++) {
		assert_true(i < FOREVER);
		assert_int_equal(loop_step(rig.loop, true), 0);
	}
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	run_until(&n_accepted, 1);
	close(accepted_fd);
	close(peer);
	stop();
	rmdir(folder);
}

static void listener_that_rests_leaves_others_waiting(void **state)
{
	int peers[3], fds[3];

	(void)state;
	make_path();
	start(listener_unix_socket(path, why, sizeof(why)));
	run_what_is_there();
	listener_rest(&listener, UINT64_C(3600) * 1000000000);
	run_what_is_there();
	peers[0] = dial(path);
	peers[1] = dial(path);
	run_what_is_there();
	assert_int_equal(n_accepted, 0);
	stop();

	/* A short one has its end, and nobody is lost. */
	close(peers[0]);
	close(peers[1]);
	start(listener_unix_socket(path, why, sizeof(why)));
	for (unsigned int i = 0; i < 3; i++) {
		listener_rest(&listener, 1000000);
		peers[i] = dial(path);
		run_until(&n_accepted, i + 1);
		fds[i] = accepted_fd;
	}
	for (unsigned int i = 0; i < 3; i++) {
		close(peers[i]);
		close(fds[i]);
	}
	stop();
	rmdir(folder);
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(listener_that_rests_leaves_others_waiting),
	UNIT_TEST(crowd_that_comes_at_once_is_taken),
	UNIT_TEST(bound_socket_takes_nobody_before_it_listens),
	UNIT_TEST(connections_are_handed_over_close_on_exec_and_the_file_goes_at_the_end),
	UNIT_TEST(file_that_another_has_put_in_its_place_is_left_alone),
	UNIT_TEST(socket_of_a_dead_process_is_replaced),
	UNIT_TEST(path_that_cannot_be_used_is_named),
	UNIT_TEST(abstract_name_is_free_when_its_socket_is_closed),
	UNIT_TEST(tcp_port_in_use_is_named_and_free_again_at_once),
	UNIT_TEST(accepting_goes_on_after_descriptors_ran_out),
};
UNIT_MAIN(tests)
