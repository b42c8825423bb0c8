/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Sockets from a service manager, and what it is told. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "systemd.h"

enum { FIRST = 3 };

static char why[256];

static void set_number(const char *variable, long number)
{
	char text[32];

	snprintf(text, sizeof(text), "%ld", number);
	setenv(variable, text, 1);
}

/* What is passed has fixed numbers, so that nothing of ours may stand there. */
static void pass(unsigned int n, const char *names)
{
	for (unsigned int i = 0; i < n; i++)
		assert_int_equal(dup2(STDOUT_FILENO, FIRST + (int)i), FIRST + (int)i);
	set_number("LISTEN_PID", getpid());
	set_number("LISTEN_FDS", n);
	if (names)
		setenv("LISTEN_FDNAMES", names, 1);
	else
		unsetenv("LISTEN_FDNAMES");
}

static void close_passed(unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		close(FIRST + (int)i);
}

static void sockets_when_named_are_found_by_name_and_order(void **state)
{
	(void)state;
	pass(4, "con:control:con:agent");
	assert_int_equal(systemd_take_sockets(why, sizeof(why)), 4);
	assert_int_equal(systemd_n_sockets(), 4);
	assert_string_equal(systemd_socket_name(0), "con");
	assert_string_equal(systemd_socket_name(1), "control");
	assert_string_equal(systemd_socket_name(3), "agent");
	assert_int_equal(systemd_socket_fd(3), FIRST + 3);
	assert_int_equal(systemd_find_fd("con", 0), FIRST);
	assert_int_equal(systemd_find_fd("con", 1), FIRST + 2);
	assert_int_equal(systemd_find_fd("con", 2), -1);
	assert_int_equal(systemd_find_fd("agent", 0), FIRST + 3);
	assert_int_equal(systemd_find_fd("age", 0), -1);
	assert_int_equal(systemd_find_fd("", 0), -1);
	close_passed(4);
}

static void sockets_when_taken_are_close_on_exec_and_unannounced(void **state)
{
	(void)state;
	pass(2, "a:b");
	assert_int_equal(systemd_take_sockets(why, sizeof(why)), 2);
	assert_true(fcntl(FIRST, F_GETFD) & FD_CLOEXEC);
	assert_true(fcntl(FIRST + 1, F_GETFD) & FD_CLOEXEC);
	assert_null(getenv("LISTEN_PID"));
	assert_null(getenv("LISTEN_FDS"));
	assert_null(getenv("LISTEN_FDNAMES"));
	close_passed(2);
	assert_int_equal(systemd_take_sockets(why, sizeof(why)), 0);
	assert_int_equal(systemd_n_sockets(), 0);
}

static void sockets_when_names_are_short_are_unknown(void **state)
{
	(void)state;
	pass(3, "a");
	assert_int_equal(systemd_take_sockets(why, sizeof(why)), 3);
	assert_string_equal(systemd_socket_name(0), "a");
	assert_string_equal(systemd_socket_name(1), "unknown");
	assert_string_equal(systemd_socket_name(2), "unknown");
	pass(1, NULL);
	assert_int_equal(systemd_take_sockets(why, sizeof(why)), 1);
	assert_string_equal(systemd_socket_name(0), "unknown");
	pass(3, ":b:");
	assert_int_equal(systemd_take_sockets(why, sizeof(why)), 3);
	assert_string_equal(systemd_socket_name(0), "unknown");
	assert_string_equal(systemd_socket_name(1), "b");
	assert_string_equal(systemd_socket_name(2), "unknown");
	close_passed(3);
}

static void sockets_when_for_another_process_are_left_alone(void **state)
{
	(void)state;
	pass(1, "a");
	set_number("LISTEN_PID", getpid() + 1L);
	assert_int_equal(systemd_take_sockets(why, sizeof(why)), 0);
	assert_false(fcntl(FIRST, F_GETFD) & FD_CLOEXEC);
	close_passed(1);
	pass(1, "a");
	unsetenv("LISTEN_PID");
	assert_int_equal(systemd_take_sockets(why, sizeof(why)), 0);
	close_passed(1);
}

static void sockets_when_the_count_is_wrong_are_refused_in_words(void **state)
{
	static const char *const counts[] = { "x", "", "-1", "1 ", "4097", "99999999999999999999" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
		set_number("LISTEN_PID", getpid());
		setenv("LISTEN_FDS", counts[i], 1);
		assert_int_equal(systemd_take_sockets(why, sizeof(why)), -EINVAL);
		assert_non_null(strstr(why, "LISTEN_FDS"));
		assert_int_equal(systemd_n_sockets(), 0);
	}
}

static void sockets_when_not_open_are_refused_in_words(void **state)
{
	(void)state;
	pass(2, "a:b");
	close(FIRST + 1);
	assert_int_equal(systemd_take_sockets(why, sizeof(why)), -EBADF);
	assert_non_null(strstr(why, "descriptor 4"));
	assert_int_equal(systemd_n_sockets(), 0);
	close_passed(1);
}

static void descriptor_when_a_number_is_itself_if_open(void **state)
{
	(void)state;
	assert_int_equal(systemd_find_fd("1", 0), 1);
	assert_int_equal(systemd_find_fd("99", 0), -1);
	assert_int_equal(systemd_find_fd("-1", 0), -1);
	assert_int_equal(systemd_find_fd("1x", 0), -1);
	assert_int_equal(systemd_find_fd("4294967297", 0), -1);
}

/* A manager's socket, abstract or in a folder of its own. */

static int manager_listen(bool abstract)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	socklen_t len;

	assert_true(fd >= 0);
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/vhu-test-notify-%d",
		 abstract ? "@" : "/tmp", getpid());
	len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(addr.sun_path));
	setenv("NOTIFY_SOCKET", addr.sun_path, 1);
	if (abstract)
		addr.sun_path[0] = '\0';
	else
		unlink(addr.sun_path);
	assert_int_equal(bind(fd, (const struct sockaddr *)&addr, len + !abstract), 0);
	return fd;
}

static void manager_close(int fd, bool abstract)
{
	const char *path = getenv("NOTIFY_SOCKET");

	if (path && !abstract)
		unlink(path);
	unsetenv("NOTIFY_SOCKET");
	close(fd);
}

static void expect_message(int fd, const char *text)
{
	char buf[4096];
	ssize_t n = recv(fd, buf, sizeof(buf) - 1, 0);

	assert_true(n >= 0);
	buf[n] = '\0';
	assert_string_equal(buf, text);
}

static void expect_silence(int fd)
{
	char byte;

	assert_int_equal(recv(fd, &byte, 1, 0), -1);
	assert_int_equal(errno, EAGAIN);
}

static void notify_when_the_manager_listens_arrives(void **state)
{
	(void)state;
	for (int abstract = 0; abstract <= 1; abstract++) {
		int fd = manager_listen(abstract);

		systemd_notify("READY=1\nSTATUS=%d guests", 3);
		expect_message(fd, "READY=1\nSTATUS=3 guests");
		expect_silence(fd);
		manager_close(fd, abstract);
	}
}

static void notify_when_nobody_listens_does_nothing(void **state)
{
	static const char *const nowhere[] = { "", "/", "relative", "/tmp/vhu-test-no-such-socket",
					       "vsock:2:1234" };

	(void)state;
	unsetenv("NOTIFY_SOCKET");
	systemd_notify("READY=1");
	for (size_t i = 0; i < ARRAY_SIZE(nowhere); i++) {
		setenv("NOTIFY_SOCKET", nowhere[i], 1);
		systemd_notify("READY=1");
	}
	unsetenv("NOTIFY_SOCKET");
}

/* The alarm of the program is what fails this test: a manager that hangs must not hang us. */
static void notify_when_the_manager_takes_nothing_returns(void **state)
{
	int fd = manager_listen(true);

	(void)state;
	for (unsigned int i = 0; i < 5000; i++)
		systemd_notify("WATCHDOG=1");
	expect_message(fd, "WATCHDOG=1");
	manager_close(fd, true);
}

static void stopped(void *arg)
{
	++*(unsigned int *)arg;
}

static struct loop *new_loop(void)
{
	const char *reason = NULL;
	struct loop *loop = NULL;

	if (loop_new(4, &loop, &reason) < 0)
		fail_msg("%s", reason);
	return loop;
}

static void watchdog_when_asked_for_is_patted_until_stopped(void **state)
{
	struct loop *loop = new_loop();
	int fd = manager_listen(true);
	unsigned int n_stopped = 0;

	(void)state;
	setenv("WATCHDOG_USEC", "20000", 1);
	set_number("WATCHDOG_PID", getpid());
	systemd_watchdog_start(loop);
	expect_message(fd, "WATCHDOG=1");
	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(loop_step(loop, true), 0);
		expect_message(fd, "WATCHDOG=1");
	}
	systemd_watchdog_stop(stopped, &n_stopped);
	while (n_stopped == 0)
		assert_int_equal(loop_step(loop, true), 0);
	assert_int_equal(n_stopped, 1);
	expect_silence(fd);
	manager_close(fd, true);
	loop_free(loop);
}

static void watchdog_when_for_nobody_stays_silent(void **state)
{
	struct loop *loop = new_loop();
	int fd = manager_listen(true);
	unsigned int n_stopped = 0;

	(void)state;
	unsetenv("WATCHDOG_USEC");
	systemd_watchdog_start(loop);
	setenv("WATCHDOG_USEC", "20000", 1);
	set_number("WATCHDOG_PID", getpid() + 1L);
	systemd_watchdog_start(loop);
	unsetenv("WATCHDOG_PID");
	setenv("WATCHDOG_USEC", "soon", 1);
	systemd_watchdog_start(loop);
	setenv("WATCHDOG_USEC", "0", 1);
	systemd_watchdog_start(loop);
	unsetenv("WATCHDOG_USEC");
	expect_silence(fd);
	systemd_watchdog_stop(stopped, &n_stopped);
	assert_int_equal(n_stopped, 1);
	manager_close(fd, true);
	loop_free(loop);
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(sockets_when_named_are_found_by_name_and_order),
	UNIT_TEST(sockets_when_taken_are_close_on_exec_and_unannounced),
	UNIT_TEST(sockets_when_names_are_short_are_unknown),
	UNIT_TEST(sockets_when_for_another_process_are_left_alone),
	UNIT_TEST(sockets_when_the_count_is_wrong_are_refused_in_words),
	UNIT_TEST(sockets_when_not_open_are_refused_in_words),
	UNIT_TEST(descriptor_when_a_number_is_itself_if_open),
	UNIT_TEST(notify_when_the_manager_listens_arrives),
	UNIT_TEST(notify_when_nobody_listens_does_nothing),
	UNIT_TEST(notify_when_the_manager_takes_nothing_returns),
	UNIT_TEST(watchdog_when_asked_for_is_patted_until_stopped),
	UNIT_TEST(watchdog_when_for_nobody_stays_silent),
};

/* The test runner's own descriptors must not stand where passed sockets do. */
int main(void)
{
	unit_start_alarm();
	for (int fd = FIRST; fd < 16; fd++)
		close(fd);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
