/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Servers: TCP, telnet and Unix, with real clients on this machine. */
#include "socket_rig.h"

#include <sys/stat.h>

enum { SURPLUS = 3 };

static void begin(void)
{
	rig_begin();
	serve_tcp(ATTACHMENT_tcp_server);
}

static void end(void)
{
	rig_close();
	rig_end();
}

static void first_client_writes_and_others_watch(void **state)
{
	static const uint8_t noise[1024 * 1024];
	int first, second;

	(void)state;
	begin();
	first = join();
	second = join();
	/* More than the sockets keep: it is read, and goes nowhere. */
	send_all(second, noise, sizeof(noise));
	assert_int_equal(port_input_pending(&rig.port), 0);
	send_all(first, "typed", 5);
	rig_expect_input("typed");
	rig_output("seen by both", 12);
	rig_expect_output(first, "seen by both");
	rig_expect_output(second, "seen by both");
	end();
	close(first);
	close(second);
}

static void watcher_writes_when_the_writer_has_left(void **state)
{
	static uint8_t bytes[N_BYTES];
	struct port_client *was;
	int first, second;

	(void)state;
	begin();
	first = join();
	second = join();
	rig_fill(bytes, sizeof(bytes));
	was = rig.port.writer;
	send_all(first, bytes, 1000);
	close(first);
	PUMP_UNTIL(rig.port.writer != was);
	assert_non_null(rig.port.writer);
	send_all(second, bytes + 1000, sizeof(bytes) - 1000);
	take_exactly(bytes, sizeof(bytes));
	rig_step_quietly();
	assert_int_equal(port_input_pending(&rig.port), 0);
	end();
	close(second);
}

static void kept_output_is_replayed_to_who_comes_later(void **state)
{
	static uint8_t bytes[N_BYTES], got[N_BYTES];
	int first, second;

	(void)state;
	begin();
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = letter(i);
	rig_output(bytes, 20000);
	first = join();
	rig_output(bytes + 20000, 20000);
	rig_read_all(first, got, 40000, 1000);
	assert_memory_equal(got, bytes, 40000);
	second = join();
	rig_output(bytes + 40000, sizeof(bytes) - 40000);
	rig_read_all(second, got, sizeof(got), 1000);
	assert_memory_equal(got, bytes, sizeof(got));
	rig_read_all(first, got, sizeof(got) - 40000, 1000);
	assert_memory_equal(got, bytes + 40000, sizeof(got) - 40000);
	end();
	close(first);
	close(second);
}

static void connection_that_is_reset_leaves_room_for_the_next(void **state)
{
	int fd;

	(void)state;
	begin();
	for (unsigned int i = 0; i < 3; i++) {
		fd = join();
		send_all(fd, "x", 1);
		rig_expect_input("x");
		if (i == 1) /* while it is written to */
			rig_output("y", 1);
		reset_connection(fd);
		PUMP_UNTIL(rig.port.n_clients == 0);
	}
	fd = join();
	rig_expect_output(fd, "y");
	send_all(fd, "on", 2);
	rig_expect_input("on");
	end();
	close(fd);
}

static void clients_beyond_the_limit_are_closed(void **state)
{
	int fds[CLIENTS_MAX], again;

	(void)state;
	begin();
	for (unsigned int i = 0; i < CLIENTS_MAX; i++)
		fds[i] = join();
	for (unsigned int i = 0; i < SURPLUS; i++) {
		int fd = dial(0);

		PUMP_UNTIL(at_end(fd));
		close(fd);
		assert_int_equal(rig.port.n_clients, CLIENTS_MAX);
	}
	rig_output("all", 3);
	for (unsigned int i = 0; i < CLIENTS_MAX; i++)
		rig_expect_output(fds[i], "all");
	shutdown(fds[5], SHUT_WR);
	PUMP_UNTIL(at_end(fds[5])); /* its place is given up with its socket */
	assert_int_equal(rig.port.n_clients, CLIENTS_MAX - 1);
	again = join(); /* there is a place again */
	rig_expect_output(again, "all");
	assert_int_equal(rig.n_open, 1);
	end();
	close(again);
	for (unsigned int i = 0; i < CLIENTS_MAX; i++)
		close(fds[i]);
}

static void host_side_opens_with_the_first_and_closes_with_the_last(void **state)
{
	int first, second;

	(void)state;
	begin();
	assert_int_equal(rig.n_open, 0);
	first = join();
	assert_int_equal(rig.n_open, 1);
	second = join();
	close(first);
	PUMP_UNTIL(rig.port.n_clients == 1);
	assert_int_equal(rig.n_open, 1);
	close(second);
	PUMP_UNTIL(rig.port.n_clients == 0);
	rig_step_quietly();
	assert_int_equal(rig.n_open, 2);
	end();
	assert_int_equal(rig.n_open, 2);
}

static void open_on_a_port_in_use_fails_and_says_why(void **state)
{
	struct attachment *more;
	char text[32];

	(void)state;
	begin();
	snprintf(text, sizeof(text), "%u", ntohs(address.sin_port));
	assert_int_equal(rig_open_more(ATTACHMENT_tcp_server, text, &more), -EADDRINUSE);
	assert_non_null(strstr(rig.why, "127.0.0.1:"));
	assert_non_null(strstr(rig.why, text));
	end();
}

static void open_with_a_bad_address_fails_and_quotes_it(void **state)
{
	static const char *const bad[] = { "",		 "x",	  "70000",	"1+65535",
					   "127.0.0.1:", ":4000", "::1:4000",	"[::1]4000",
					   "4000+",	 "-1",	  "4000 ",	"[]:4000",
					   "1.2.3:4:5",	 "0x10",  "99999999999" };
	struct attachment *more;

	(void)state;
	rig_begin();
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(rig_open_more(ATTACHMENT_tcp_server, bad[i], &more), -EINVAL);
		assert_non_null(strstr(rig.why, bad[i]));
	}
	rig_end();
}

static void ipv6_server_takes_clients(void **state)
{
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	unsigned int port;
	char text[128];
	int fd;

	(void)state;
	rig_begin();
	assert_int_equal(rig_open(ATTACHMENT_tcp_server, "[::1]:0"), 0);
	rig_describe(text, sizeof(text));
	assert_int_equal(sscanf(text, "TCP [::1]:%u", &port), 1);
	in6.sin6_port = htons((uint16_t)port);
	fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&in6, sizeof(in6)), 0);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	send_all(fd, "six", 3);
	rig_expect_input("six");
	assert_non_null(strstr(rig.port.writer->what, "tcp [::1]:"));
	end();
	close(fd);
}

static void clients_are_counted_and_told_apart(void **state)
{
	struct port_client *writer;
	char text[128];
	int first, second;

	(void)state;
	begin();
	rig_describe(text, sizeof(text));
	assert_null(strchr(text, ','));
	first = join();
	writer = rig.port.writer;
	assert_int_equal(strncmp(writer->what, "tcp 127.0.0.1:", 14), 0);
	rig_describe(text, sizeof(text));
	assert_non_null(strstr(text, ", 1 client"));
	second = join();
	rig_describe(text, sizeof(text));
	assert_non_null(strstr(text, ", 2 clients"));
	end();
	close(first);
	close(second);
}

/* The end of the daemon, when time is up before everything was told to close. */
static void hurry_before_close_leaves_nothing_to_wait_for(void **state)
{
	int fd, late;

	(void)state;
	begin();
	fd = join_with(SMALL);
	flood_until_stuck();
	rig.attachment->ops->hurry(rig.attachment);
	late = dial(0);
	PUMP_UNTIL(at_end(late));
	end();
	close(fd);
	close(late);
}

/* Unix */

static char folder[64], path[96];

static void begin_unix(void)
{
	snprintf(folder, sizeof(folder), "/tmp/vhu-test-XXXXXX");
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/port.sock", folder);
	rig_begin();
}

static void end_unix(void)
{
	rig_end();
	assert_int_equal(rmdir(folder), 0); /* empty: the socket is gone */
}

static void unix_server_moves_bytes_both_ways_and_removes_its_file(void **state)
{
	char text[160];
	int fd;

	(void)state;
	begin_unix();
	assert_int_equal(rig_open(ATTACHMENT_unix_server, path), 0);
	rig_describe(text, sizeof(text));
	assert_int_equal(strncmp(text, "Unix /tmp/", 10), 0);
	fd = dial_unix(path);
	send_all(fd, "typed", 5);
	rig_expect_input("typed");
	rig_output("shown", 5);
	rig_expect_output(fd, "shown");
	snprintf(text, sizeof(text), "unix pid %d uid %u", getpid(), getuid());
	assert_string_equal(rig.port.writer->what, text);
	rig_close();
	end_unix();
	close(fd);
}

static void unix_socket_has_its_mode_whatever_the_umask(void **state)
{
	static const mode_t modes[] = { 0600, 0660, 0666, 0777, 0 };
	struct stat st;
	mode_t mask;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		begin_unix();
		rig.options.mode = (struct option_maybe){ .set = true, .value = modes[i] };
		mask = umask(0077);
		assert_int_equal(rig_open(ATTACHMENT_unix_server, path), 0);
		umask(mask);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_mode & 07777, modes[i]);
		rig_close();
		end_unix();
	}
}

static void unix_socket_with_an_unknown_owner_is_not_left_behind(void **state)
{
	struct attachment *more;

	(void)state;
	begin_unix();
	rig.options.owner = "no-such-user-here";
	assert_int_equal(rig_open_more(ATTACHMENT_unix_server, path, &more), -EINVAL);
	assert_non_null(strstr(rig.why, "no-such-user-here"));
	end_unix();
}

static void unix_socket_of_a_dead_server_is_replaced_and_of_a_live_one_is_not(void **state)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct attachment *more;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)state;
	begin_unix();
	memcpy(un.sun_path, path, strlen(path));
	assert_int_equal(bind(fd, (struct sockaddr *)&un, sizeof(un)), 0);
	close(fd);
	assert_int_equal(rig_open(ATTACHMENT_unix_server, path), 0);
	assert_int_equal(rig_open_more(ATTACHMENT_unix_server, path, &more), -EADDRINUSE);
	assert_non_null(strstr(rig.why, path));
	fd = dial_unix(path);
	rig_output("alive", 5);
	rig_expect_output(fd, "alive");
	close(fd);
	rig_close();
	end_unix();
}

static void unix_path_that_is_no_socket_is_left_alone(void **state)
{
	struct attachment *more;
	int fd;

	(void)state;
	begin_unix();
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	close(fd);
	assert_int_equal(rig_open_more(ATTACHMENT_unix_server, path, &more), -EEXIST);
	assert_non_null(strstr(rig.why, path));
	assert_int_equal(unlink(path), 0);
	end_unix();
}

static void abstract_socket_takes_clients_and_no_mode(void **state)
{
	struct attachment *more;
	char name[64];
	int fd;

	(void)state;
	rig_begin();
	snprintf(name, sizeof(name), "@vhu-test-%d", getpid());
	assert_int_equal(rig_open(ATTACHMENT_unix_server, name), 0);
	fd = dial_unix(name);
	send_all(fd, "typed", 5);
	rig_expect_input("typed");
	rig.options.mode.set = true;
	assert_int_equal(rig_open_more(ATTACHMENT_unix_server, name, &more), -EINVAL);
	assert_non_null(strstr(rig.why, name));
	rig.options.mode.set = false;
	assert_int_equal(rig_open_more(ATTACHMENT_unix_server, name, &more), -EADDRINUSE);
	end();
	close(fd);
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(first_client_writes_and_others_watch),
	UNIT_TEST(watcher_writes_when_the_writer_has_left),
	UNIT_TEST(kept_output_is_replayed_to_who_comes_later),
	UNIT_TEST(connection_that_is_reset_leaves_room_for_the_next),
	UNIT_TEST(clients_beyond_the_limit_are_closed),
	UNIT_TEST(host_side_opens_with_the_first_and_closes_with_the_last),
	UNIT_TEST(open_on_a_port_in_use_fails_and_says_why),
	UNIT_TEST(open_with_a_bad_address_fails_and_quotes_it),
	UNIT_TEST(ipv6_server_takes_clients),
	UNIT_TEST(clients_are_counted_and_told_apart),
	UNIT_TEST(hurry_before_close_leaves_nothing_to_wait_for),
	UNIT_TEST(unix_server_moves_bytes_both_ways_and_removes_its_file),
	UNIT_TEST(unix_socket_has_its_mode_whatever_the_umask),
	UNIT_TEST(unix_socket_with_an_unknown_owner_is_not_left_behind),
	UNIT_TEST(unix_socket_of_a_dead_server_is_replaced_and_of_a_live_one_is_not),
	UNIT_TEST(unix_path_that_is_no_socket_is_left_alone),
	UNIT_TEST(abstract_socket_takes_clients_and_no_mode),
};
UNIT_MAIN(tests)
