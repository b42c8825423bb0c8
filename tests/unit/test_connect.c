/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Attachments that connect: the test is the server, which comes and goes. */
#include "socket_rig.h"

#include <dlfcn.h>
#include <netdb.h>

enum { ROUNDS = 6 };

#define TWO_ADDRESSES "two.test"

/* The resolver, with a name of ours that no machine has: 127.0.0.2 and 127.0.0.1. */
int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
		struct addrinfo **ret_list)
{
	int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
	void *symbol = dlsym(RTLD_NEXT, "getaddrinfo");
	int err;

	memcpy(&real, &symbol, sizeof(real));
	if (strcmp(node, TWO_ADDRESSES) != 0)
		return real(node, service, hints, ret_list);
	if (hints->ai_flags & AI_NUMERICHOST)
		return EAI_NONAME;
	err = real("127.0.0.2", service, hints, ret_list);
	if (err == 0)
		err = real("127.0.0.1", service, hints, &(*ret_list)->ai_next);
	return err;
}

static char target[64];

/* A server on that port of this machine, 0: any, which is then the target. */
static int listen_tcp(uint16_t port)
{
	struct sockaddr_in in = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr = { htonl(INADDR_LOOPBACK) },
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	socklen_t len = sizeof(in);
	const int on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	assert_int_equal(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	assert_int_equal(listen(fd, 16), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &len), 0);
	snprintf(target, sizeof(target), "127.0.0.1:%u", ntohs(in.sin_port));
	return fd;
}

/* The same in the abstract namespace: free again the moment it is closed. */
static int listen_unix(int backlog)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(target, sizeof(target), "@vhu-test-connect-%d", getpid());
	memcpy(un.sun_path + 1, target + 1, strlen(target) - 1);
	assert_int_equal(bind(fd, (struct sockaddr *)&un,
			      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(target))),
			 0);
	assert_int_equal(listen(fd, backlog), 0);
	return fd;
}

/* The connection that comes next; the port has its client by then. */
static int take_connection(int listener)
{
	int fd;

	PUMP_UNTIL((fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0);
	PUMP_UNTIL(rig.port.n_clients == 1);
	return fd;
}

static bool described(const char *words)
{
	char text[160];

	rig_describe(text, sizeof(text));
	return strstr(text, words) != NULL;
}

static void end(void)
{
	rig_close();
	rig_end();
}

static void connection_moves_bytes_both_ways(void **state)
{
	static uint8_t bytes[N_BYTES], got[N_BYTES];
	int listener, fd;

	(void)state;
	for (unsigned int i = 0; i < 2; i++) {
		rig_begin();
		listener = i == 0 ? listen_tcp(0) : listen_unix(4);
		assert_int_equal(
			rig_open(i == 0 ? ATTACHMENT_tcp_connect : ATTACHMENT_unix_connect, target),
			0);
		fd = take_connection(listener);
		assert_true(described(", connected"));
		assert_true(described(target));
		assert_non_null(strstr(rig.port.writer->what, target));
		rig_fill(bytes, sizeof(bytes));
		send_all(fd, bytes, sizeof(bytes));
		take_exactly(bytes, sizeof(bytes));
		rig_output(bytes, sizeof(bytes));
		rig_read_all(fd, got, sizeof(got), 1000);
		assert_memory_equal(got, bytes, sizeof(got));
		end();
		assert_true(at_end(fd));
		close(fd);
		close(listener);
	}
}

static void refused_at_first_it_connects_once_somebody_listens(void **state)
{
	char same[64];
	uint16_t port;
	int listener, fd;

	(void)state;
	rig_begin();
	close(listen_tcp(0)); /* its port is free now, and no other's before long */
	port = (uint16_t)strtoul(strchr(target, ':') + 1, NULL, 10);
	snprintf(same, sizeof(same), "%s", target);
	assert_int_equal(rig_open(ATTACHMENT_tcp_connect, same), 0);
	PUMP_UNTIL(described(", next try in "));
	PUMP_UNTIL(described(", connecting"));
	PUMP_UNTIL(described(", next try in "));
	assert_int_equal(rig.port.n_clients, 0);
	assert_int_equal(rig.n_open, 0);
	listener = listen_tcp(port);
	fd = take_connection(listener);
	rig_output("here", 4);
	rig_expect_output(fd, "here");
	end();
	close(fd);
	close(listener);
}

/* VC-097, and nothing that came meanwhile is lost, or told twice. */
static void connection_that_ends_is_made_again_and_goes_on(void **state)
{
	static uint8_t bytes[ROUNDS * 1000];
	uint8_t got[1000];
	int listener, fd;

	(void)state;
	rig_begin();
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = letter(i);
	listener = listen_unix(4);
	rig_output(bytes, 500); /* a console's old output is for the first, too */
	assert_int_equal(rig_open(ATTACHMENT_unix_connect, target), 0);
	for (unsigned int i = 0; i < ROUNDS; i++) {
		fd = take_connection(listener);
		rig_output(bytes + i * 1000 + 500, 500);
		rig_read_all(fd, got, sizeof(got), 300);
		assert_memory_equal(got, bytes + i * 1000, sizeof(got));
		send_all(fd, "x", 1);
		rig_expect_input("x");
		close(fd);
		close(listener);
		PUMP_UNTIL(rig.port.n_clients == 0);
		assert_int_equal(rig.n_open, 2 * i + 2);
		if (i + 1 < ROUNDS)
			rig_output(bytes + (i + 1) * 1000, 500);
		PUMP_UNTIL(described("next try in"));
		listener = listen_unix(4);
	}
	end();
	close(listener);
}

static void later_connection_is_given_no_more_of_the_past_than_asked_for(void **state)
{
	int listener, fd;

	(void)state;
	rig_begin();
	rig.options.replay = (struct option_maybe){ .set = true, .value = 4 };
	listener = listen_unix(4);
	rig_output("old, 4321", 9);
	assert_int_equal(rig_open(ATTACHMENT_unix_connect, target), 0);
	fd = take_connection(listener);
	rig_expect_output(fd, "4321");
	close(fd);
	PUMP_UNTIL(rig.port.n_clients == 0);
	rig_output("missed, 8765", 12);
	fd = take_connection(listener);
	rig_output(".", 1);
	rig_expect_output(fd, "8765.");
	end();
	close(fd);
	close(listener);
}

/* A peer that has shut down its side is gone, whatever it still reads. */
static void peer_that_sends_no_more_is_left_and_connected_to_again(void **state)
{
	int listener, fd, next;

	(void)state;
	rig_begin();
	listener = listen_tcp(0);
	assert_int_equal(rig_open(ATTACHMENT_tcp_connect, target), 0);
	fd = take_connection(listener);
	shutdown(fd, SHUT_WR);
	PUMP_UNTIL(!rig.port.writer);
	rig_output("answer", 6);
	rig_expect_output(fd, "answer");
	PUMP_UNTIL(at_end(fd));
	next = take_connection(listener);
	send_all(next, "again", 5);
	rig_expect_input("again");
	end();
	close(fd);
	close(next);
	close(listener);
}

static void peer_that_drops_every_connection_is_tried_on_and_on(void **state)
{
	int listener;

	(void)state;
	rig_begin();
	listener = listen_tcp(0);
	assert_int_equal(rig_open(ATTACHMENT_tcp_connect, target), 0);
	for (unsigned int i = 0; i < ROUNDS; i++) {
		reset_connection(take_connection(listener));
		PUMP_UNTIL(rig.port.n_clients == 0);
	}
	end();
	close(listener);
}

static void connection_sent_away_is_made_again(void **state)
{
	int listener, fd, next;

	(void)state;
	rig_begin();
	listener = listen_tcp(0);
	assert_int_equal(rig_open(ATTACHMENT_tcp_connect, target), 0);
	fd = take_connection(listener);
	rig.port.writer->ops->disconnect(rig.port.writer, "it is sent away");
	PUMP_UNTIL(at_end(fd));
	next = take_connection(listener);
	end();
	close(fd);
	close(next);
	close(listener);
}

/* Nobody accepts, and the queue is full: that must not stop the loop. */
static void server_that_never_accepts_is_waited_for_without_blocking(void **state)
{
	int listener, waiting, fd;

	(void)state;
	rig_begin();
	listener = listen_unix(0);
	waiting = dial_unix(target); /* the queue's only place */
	assert_true(waiting >= 0);
	assert_int_equal(rig_open(ATTACHMENT_unix_connect, target), 0);
	PUMP_UNTIL(described("next try in"));
	close(accept4(listener, NULL, NULL, SOCK_CLOEXEC));
	fd = take_connection(listener);
	end();
	close(fd);
	close(waiting);
	close(listener);
}

/* Nobody listens on the first of the two. */
static void all_addresses_of_a_name_are_tried(void **state)
{
	char name[64];
	int listener, fd;

	(void)state;
	rig_begin();
	listener = listen_tcp(0);
	snprintf(name, sizeof(name), TWO_ADDRESSES "%s", strchr(target, ':'));
	assert_int_equal(rig_open(ATTACHMENT_tcp_connect, name), 0);
	fd = take_connection(listener);
	assert_true(described(TWO_ADDRESSES));
	close(fd);
	PUMP_UNTIL(rig.port.n_clients == 0);
	fd = take_connection(listener);
	end();
	close(fd);
	close(listener);
}

/* What was handed over but not written is for the next connection. */
static void output_under_way_when_the_connection_ends_is_not_lost(void **state)
{
	static uint8_t got[1024 * 1024];
	uint64_t n_sent = 0;
	size_t n_got = 0;
	int listener, fd, n_there;
	ssize_t n;

	(void)state;
	rig_begin();
	rig.port.console = false;
	listener = listen_unix(4);
	assert_int_equal(rig_open(ATTACHMENT_unix_connect, target), 0);
	fd = take_connection(listener);
	do {
		uint8_t piece[1000];

		for (size_t i = 0; i < sizeof(piece); i++)
			piece[i] = letter(n_sent++);
		rig_output(piece, sizeof(piece));
		for (unsigned int i = 0; i < 4; i++)
			rig_step();
		assert_int_equal(ioctl(fd, FIONREAD, &n_there), 0);
	} while ((uint64_t)n_there == n_sent);
	while ((n = read(fd, got + n_got, sizeof(got) - n_got)) > 0)
		n_got += (size_t)n;
	close(fd);
	assert_true(n_got < n_sent);
	PUMP_UNTIL(rig.port.n_clients == 0);
	fd = take_connection(listener);
	rig_read_all(fd, got + n_got, n_sent - n_got, 1000);
	for (size_t i = 0; i < n_sent; i++)
		assert_int_equal(got[i], letter(i));
	end();
	close(fd);
	close(listener);
}

static void guest_waits_only_while_it_is_connected(void **state)
{
	static uint8_t bytes[FLOOD_PIECE];
	int listener, fd;

	(void)state;
	rig_begin_lossless();
	listener = listen_unix(4);
	assert_int_equal(rig_open(ATTACHMENT_unix_connect, target), 0);
	fd = take_connection(listener);
	for (size_t n = 0; n < FLOOD_OUT && !rig.port.stalled; n += sizeof(bytes)) {
		rig_offer(bytes, sizeof(bytes));
		for (unsigned int i = 0; i < 4; i++)
			rig_step();
	}
	assert_true(rig.port.stalled);
	close(fd);
	close(listener);
	PUMP_UNTIL(rig.port.n_clients == 0);
	assert_false(rig.port.stalled);
	assert_int_equal(rig.n_room, 1);
	assert_true(port_output_room(&rig.port) == UINT64_MAX);
	end();
}

static void close_in_every_state_ends(void **state)
{
	int listener, fd;

	(void)state;
	for (unsigned int i = 0; i < 4; i++) {
		bool hurry = i & 1;

		rig_begin();
		listener = listen_unix(4);
		if (i < 2)
			close(listener);
		assert_int_equal(rig_open(ATTACHMENT_unix_connect, target), 0);
		if (i < 2)
			PUMP_UNTIL(described("next try in"));
		if (hurry)
			rig.attachment->ops->hurry(rig.attachment);
		end();
		if (i < 2)
			continue;
		fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		close(fd);
		close(listener);
	}
}

static void close_writes_what_is_left_first(void **state)
{
	static uint8_t bytes[N_BYTES], got[N_BYTES];
	int listener, fd;

	(void)state;
	rig_begin();
	listener = listen_tcp(0);
	assert_int_equal(rig_open(ATTACHMENT_tcp_connect, target), 0);
	fd = take_connection(listener);
	rig_fill(bytes, sizeof(bytes));
	rig_output(bytes, sizeof(bytes));
	rig_close();
	rig_read_all(fd, got, sizeof(got), 500);
	assert_memory_equal(got, bytes, sizeof(got));
	rig_end();
	assert_true(at_end(fd));
	close(fd);
	close(listener);
}

static void hurry_ends_a_close_that_nobody_reads(void **state)
{
	int listener, fd;

	(void)state;
	rig_begin();
	listener = listen_tcp(0);
	assert_int_equal(rig_open(ATTACHMENT_tcp_connect, target), 0);
	fd = take_connection(listener);
	flood_until_stuck();
	rig_close();
	rig_step_quietly();
	assert_int_equal(rig.n_closed, 0);
	rig.attachment->ops->hurry(rig.attachment);
	rig_end();
	close(fd);
	close(listener);
}

static void bad_addresses_are_refused_with_a_reason(void **state)
{
	static const char *const bad[] = { "4000", "127.0.0.1:0", "::1:4000", "127.0.0.1:x" };
	struct attachment *more;
	char path[300];

	(void)state;
	rig_begin();
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(rig_open_more(ATTACHMENT_tcp_connect, bad[i], &more), -EINVAL);
		assert_non_null(strstr(rig.why, bad[i]));
	}
	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(rig_open_more(ATTACHMENT_unix_connect, path, &more), -EINVAL);
	assert_int_equal(rig_open_more(ATTACHMENT_unix_connect, "@", &more), -EINVAL);
	rig_end();
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(connection_moves_bytes_both_ways),
	UNIT_TEST(refused_at_first_it_connects_once_somebody_listens),
	UNIT_TEST(connection_that_ends_is_made_again_and_goes_on),
	UNIT_TEST(later_connection_is_given_no_more_of_the_past_than_asked_for),
	UNIT_TEST(peer_that_sends_no_more_is_left_and_connected_to_again),
	UNIT_TEST(peer_that_drops_every_connection_is_tried_on_and_on),
	UNIT_TEST(connection_sent_away_is_made_again),
	UNIT_TEST(server_that_never_accepts_is_waited_for_without_blocking),
	UNIT_TEST(all_addresses_of_a_name_are_tried),
	UNIT_TEST(output_under_way_when_the_connection_ends_is_not_lost),
	UNIT_TEST(guest_waits_only_while_it_is_connected),
	UNIT_TEST(close_in_every_state_ends),
	UNIT_TEST(close_writes_what_is_left_first),
	UNIT_TEST(hurry_ends_a_close_that_nobody_reads),
	UNIT_TEST(bad_addresses_are_refused_with_a_reason),
};
UNIT_MAIN(tests)
