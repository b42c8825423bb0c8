/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The control socket as a protocol: lines, order, bounds, and who may use it. */
#include "control_rig.h"

#include "daemon/control-access.h"

#define STATUS "{\"command\":\"status\"}"
#define SOMETHING "{\"command\":\"reload\"}"

static void one_connection_answers_many_requests_in_order(void **state)
{
	char request[64], answer[64];
	int fd;

	(void)state;
	rig_begin(1);
	rig_listen();
	fd = rig_connect();
	for (unsigned int i = 0; i < 100; i++) {
		snprintf(request, sizeof(request), "{\"command\":\"reload\",\"id\":%u}\n", i);
		rig_send(fd, request, strlen(request));
	}
	for (unsigned int i = 0; i < 100; i++) {
		snprintf(answer, sizeof(answer), "{\"ok\":true,\"result\":{},\"id\":%u}", i);
		assert_string_equal(rig_line(fd), answer);
	}
	assert_int_equal(rig.n_reloads, 100);
	close(fd);
	rig_end();
}

static void id_of_any_type_comes_back(void **state)
{
	static const char *const ids[] = {
		"7",
		"-1",
		"1.50",
		"\"x\\ny\"",
		"null",
		"true",
		"[1,[2],{}]",
		"{\"a\":{\"b\":null}}",
		"18446744073709551615",
		"\"\xc3\xa9\"",
	};
	char request[128], answer[128];

	(void)state;
	rig_begin(1);
	rig_listen();
	for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
		snprintf(request, sizeof(request), "{\"id\":%s,\"command\":\"reload\"}", ids[i]);
		snprintf(answer, sizeof(answer), "{\"ok\":true,\"result\":{},\"id\":%s}", ids[i]);
		rig_expect(request, answer);
	}
	rig_expect("{\"id\":[5],\"command\":\"fly\"}",
		   "{\"ok\":false,\"error\":\"there is no command \\\"fly\\\"; \\\"help\\\" lists "
		   "them\",\"id\":[5]}");
	rig_end();
}

/* Every bad line has its answer, and the next one is as if nothing had been. */
static void bad_lines_are_refused_and_the_connection_lives(void **state)
{
	static const char *const lines[] = {
		"x",
		"{",
		"}",
		"[]",
		"null",
		"7",
		"\"status\"",
		"{}",
		"{\"command\":7}",
		"{\"command\":null}",
		"{\"command\":\"\"}",
		"{\"command\":\"STATUS\"}",
		"{'command':'status'}",
		"{\"command\":\"status\"}x",
		"{\"command\":\"status\"",
		"{\"command\":\"status\",}",
		"{\"command\":\"status\" \"id\":1}",
		"{\"command\":\"status\",\"id\":NaN}",
		"{\"command\":\"status\",\"id\":Infinity}",
		"{\"command\":\"status\",\"id\":01}",
		"/**/{\"command\":\"status\"}",
		"{\"command\":\"status\",\"command\":\"status\"}",
		"{\"command\":\"status\",\"device\":\"console0\",\"device\":\"console0\"}",
		"{\"command\":\"status\",\"dev\\u0069ce\":\"console0\",\"device\":\"console0\"}",
		"{\"command\":\"status\",\"device\\u0000\":\"console0\"}",
		"{\"command\":\"status\\u0000\"}",
		"{\"command\":\"sta\ttus\"}",
		"{\"command\":\"status\",\"id\":\"\xff\"}",
		"{\"command\":\"status\",\"id\":\"\xc0\x80\"}",
		"{\"command\":\"status\",\"id\":\"\xed\xa0\x80\"}",
		"{\"command\":\"status\",\"id\":\"\xf5\x80\x80\x80\"}",
		"{\"command\":\"status\",\"id\":\"\xe2\x82\"}",
		"{\"command\":\"status\",\"colour\":1}",
		"{\"command\":\"status\",\"device\":7}",
		"{\"command\":\"status\",\"device\":\"\"}",
		"{\"command\":\"status\",\"device\":[\"console0\"]}",
		"{\"command\":\"status\",\"id\":\"",
		"\xef\xbb\xbf{\"command\":\"status\"}",
		"GET / HTTP/1.1",
	};
	static const char answer[] = "{\"ok\":false,\"error\":\"";
	int fd;

	(void)state;
	rig_begin(1);
	rig_listen();
	fd = rig_connect();
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		const char *got = rig_ask(fd, lines[i]);

		if (!got || strncmp(got, answer, strlen(answer)) != 0)
			fail_msg("%s is answered by %s", lines[i], got);
		assert_string_equal(rig_ask(fd, SOMETHING), OK_ANSWER);
	}
	close(fd);
	rig_end();
}

static void raw_nul_bytes_are_refused(void **state)
{
	static const char line[] = "{\"command\":\"status\"\0}\n\0\n{\"command\0\":\"status\"}\n";
	int fd;

	(void)state;
	rig_begin(1);
	rig_listen();
	fd = rig_connect();
	rig_send(fd, line, sizeof(line) - 1);
	for (unsigned int i = 0; i < 3; i++)
		assert_non_null(strstr(rig_line(fd), "\"ok\":false"));
	close(fd);
	rig_end();
}

static void deep_nesting_is_refused(void **state)
{
	static char line[20200];
	int fd;

	(void)state;
	rig_begin(1);
	rig_listen();
	strcpy(line, "{\"command\":\"status\",\"id\":");
	memset(line + strlen(line), '[', 10000);
	memset(line + strlen(line), ']', 10000);
	strcat(line, "}");
	fd = rig_connect();
	assert_non_null(strstr(rig_ask(fd, line), "\"ok\":false"));
	assert_string_equal(rig_ask(fd, SOMETHING), OK_ANSWER);
	close(fd);
	rig_end();
}

/* They are no numbers that we have; what comes back is JSON all the same. */
static void huge_numbers_do_no_harm(void **state)
{
	static const char *const numbers[] = { "1e999", "-1e999", "99999999999999999999999999",
					       "-99999999999999999999999999", "0.1e-9999" };
	char request[256];

	(void)state;
	rig_begin(1);
	rig_listen();
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		struct json_object *answer;

		snprintf(request, sizeof(request), "{\"command\":\"reload\",\"id\":%s}",
			 numbers[i]);
		answer = json_tokener_parse(rig_ask_once(request));
		assert_non_null(answer);
		json_object_put(answer);
		snprintf(request, sizeof(request),
			 "{\"command\":\"steal\",\"port\":0,\"client\":%s}", numbers[i]);
		assert_non_null(strstr(rig_ask_once(request), "must be a number from 1"));
	}
	rig_end();
}

static void one_byte_at_a_time_is_a_request(void **state)
{
	static const char line[] = SOMETHING "\r\n\n" SOMETHING "\n";
	int fd;

	(void)state;
	rig_begin(1);
	rig_listen();
	fd = rig_connect();
	for (size_t i = 0; i + 1 < sizeof(line); i++)
		rig_send(fd, line + i, 1);
	assert_string_equal(rig_line(fd), OK_ANSWER);
	assert_string_equal(rig_line(fd), OK_ANSWER);
	assert_int_equal(rig.n_reloads, 2);
	close(fd);
	rig_end();
}

static void last_line_without_its_end_is_answered(void **state)
{
	int fd;

	(void)state;
	rig_begin(1);
	rig_listen();
	fd = rig_connect();
	rig_send(fd, SOMETHING "\n" SOMETHING, strlen(SOMETHING "\n" SOMETHING));
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	assert_string_equal(rig_line(fd), OK_ANSWER);
	assert_string_equal(rig_line(fd), OK_ANSWER);
	assert_null(rig_line(fd));
	close(fd);
	rig_end();
}

static void client_that_leaves_in_the_middle_is_forgotten(void **state)
{
	unsigned int before;

	(void)state;
	rig_begin(1);
	rig_listen();
	before = fd_count_open();
	for (unsigned int i = 0; i < 2 * CONTROL_CLIENTS_MAX; i++) {
		int fd = rig_connect();

		rig_send(fd, STATUS "\n{\"comm", strlen(STATUS "\n{\"comm"));
		close(fd);
		PUMP_UNTIL(fd_count_open() == before);
	}
	rig_expect(SOMETHING, OK_ANSWER);
	rig_end();
}

/* A line of exactly len bytes before its end. */
static void send_long(int fd, size_t len)
{
	static const char head[] = "{\"command\":\"reload\",\"id\":\"", tail[] = "\"}";
	char *line = malloc(len + 1);

	memset(line, 'x', len);
	memcpy(line, head, sizeof(head) - 1);
	memcpy(line + len - sizeof(tail) + 1, tail, sizeof(tail) - 1);
	line[len] = '\n';
	rig_send(fd, line, len + 1);
	free(line);
}

static void longest_line_is_answered(void **state)
{
	int fd;

	(void)state;
	rig_begin(1);
	rig_listen();
	fd = rig_connect();
	for (unsigned int i = 0; i < 3; i++) {
		send_long(fd, CONTROL_LINE_MAX);
		assert_non_null(strstr(rig_line(fd), "{\"ok\":true,\"result\":{},\"id\":\"xxx"));
	}
	close(fd);
	rig_end();
}

static void longer_line_ends_the_connection(void **state)
{
	char bytes[CONTROL_LINE_MAX + 1];
	int fd;

	(void)state;
	rig_begin(1);
	rig_listen();
	fd = rig_connect();
	memset(bytes, 'x', sizeof(bytes));
	rig_send(fd, bytes, sizeof(bytes));
	assert_string_equal(rig_line(fd), REFUSED("a request is longer than 65536 bytes"));
	assert_null(rig_line(fd));
	close(fd);
	rig_end();
}

/* Sends until nothing more is taken; true when that came before n requests. */
static bool send_until_full(int fd, unsigned int n, unsigned int *ret_sent)
{
	char request[64];

	for (unsigned int i = 0, idle = 0; i < n;) {
		snprintf(request, sizeof(request), "{\"command\":\"help\",\"id\":%8u}\n", i);
		if (send(fd, request, strlen(request), MSG_NOSIGNAL) == (ssize_t)strlen(request)) {
			*ret_sent = ++i;
			idle = 0;
		} else if (++idle > 1000) {
			return true;
		}
		rig_step();
	}
	return false;
}

/* Requests whose answers nobody reads are not looked at, and the others are served. */
static void client_that_does_not_read_is_not_read_from(void **state)
{
	unsigned int n_sent = 0, n_reloads;
	int fd;

	(void)state;
	rig_begin(1);
	rig_listen();
	fd = rig_connect();
	assert_true(send_until_full(fd, 100000, &n_sent));
	n_reloads = rig.n_reloads;
	rig_expect(SOMETHING, OK_ANSWER);
	assert_int_equal(rig.n_reloads, n_reloads + 1);
	for (unsigned int i = 0; i < n_sent; i++) {
		char id[32];

		snprintf(id, sizeof(id), ",\"id\":%u}", i);
		assert_non_null(strstr(rig_line(fd), id));
	}
	assert_string_equal(rig_ask(fd, SOMETHING), OK_ANSWER);
	close(fd);
	rig_end();
}

/* Requests come in while answers go out, and none is lost, doubled or torn. */
static void many_requests_at_once_are_answered_in_order(void **state)
{
	enum { N = 20000, LEN = sizeof("{\"id\":12345}\n") - 1 };
	char *requests = malloc(N * LEN + 1);
	char id[32];
	int fd;

	(void)state;
	rig_begin(1);
	rig_listen();
	fd = rig_connect();
	for (size_t i = 0; i < N; i++)
		snprintf(requests + LEN * i, LEN + 1, "{\"id\":%5zu}\n", i);
	for (size_t done = 0, answered = 0; answered < N;) {
		ssize_t n = send(fd, requests + done, N * LEN - done, MSG_NOSIGNAL);

		done += n > 0 ? (size_t)n : 0;
		rig_step();
		for (size_t i = 0; i < 100 && answered < N; i++, answered++) {
			snprintf(id, sizeof(id), "lists them\",\"id\":%zu}", answered);
			assert_non_null(strstr(rig_line(fd), id));
		}
	}
	free(requests);
	close(fd);
	rig_end();
}

static void one_connection_too_many_is_turned_away(void **state)
{
	int fds[CONTROL_CLIENTS_MAX], fd;

	(void)state;
	rig_begin(1);
	rig_listen();
	for (unsigned int i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		fds[i] = rig_connect();
		assert_string_equal(rig_ask(fds[i], SOMETHING), OK_ANSWER);
	}
	fd = rig_connect();
	assert_string_equal(rig_line(fd), REFUSED("too many connections are open already"));
	assert_null(rig_line(fd));
	close(fd);
	close(fds[0]);
	rig_step();
	for (const char *answer = NULL; !answer || strcmp(answer, OK_ANSWER) != 0;) {
		fd = rig_connect(); /* the place is free when the daemon has seen the end */
		send(fd, SOMETHING "\n", strlen(SOMETHING "\n"), MSG_NOSIGNAL);
		answer = rig_line(fd);
		close(fd);
	}
	for (unsigned int i = 1; i < CONTROL_CLIENTS_MAX; i++)
		close(fds[i]);
	rig_end();
}

static void close_ends_connections_whatever_they_do(void **state)
{
	unsigned int n_sent;
	int idle, busy, half;

	(void)state;
	rig_begin(1);
	rig_listen();
	idle = rig_connect();
	busy = rig_connect();
	half = rig_connect();
	assert_string_equal(rig_ask(idle, SOMETHING), OK_ANSWER);
	assert_true(send_until_full(busy, 100000, &n_sent));
	rig_send(half, "{\"comm", 7);
	control_close(rig.control, rig_closed, &rig);
	rig.control = NULL;
	assert_int_equal(rig.n_closed, 0);
	PUMP_UNTIL(rig.n_closed > 0);
	assert_null(rig_line(idle));
	assert_null(rig_line(half));
	close(idle);
	close(busy);
	close(half);
	rig_end();
}

static void reload_may_close_the_socket_it_came_by(void **state)
{
	int fd;

	(void)state;
	rig_begin(1);
	rig_listen();
	rig.reload_closes = true;
	fd = rig_connect();
	rig_send(fd, SOMETHING "\n" SOMETHING "\n", strlen(SOMETHING "\n" SOMETHING "\n"));
	PUMP_UNTIL(rig.n_closed > 0);
	assert_int_equal(rig.n_reloads, 1);
	close(fd);
	rig_end();
}

static const struct peer_rules no_rules;

/* Who: pid, user, group, one more group. File: owner, group, mode. The daemon is user 5. */
static bool allowed(uid_t uid, gid_t gid, gid_t more, mode_t mode)
{
	const struct peer peer = { .uid = uid, .gid = gid, .groups = &more, .n_groups = 1 };
	const struct stat file = { .st_uid = 10, .st_gid = 20, .st_mode = S_IFSOCK | mode };

	return control_peer_allowed(&peer, &no_rules, 5, &file);
}

static void access_is_for_root_self_owner_and_group_only(void **state)
{
	const struct peer peer = { .uid = 10, .gid = 20 };
	const struct peer root = { .uid = 0, .gid = 20 };
	const struct peer self = { .uid = 5, .gid = 99 };

	(void)state;
	assert_true(allowed(0, 99, 99, 0000));
	assert_true(allowed(5, 99, 99, 0000));
	assert_true(allowed(10, 99, 99, 0600));
	assert_false(allowed(10, 20, 20, 0060)); /* as for files, the owner's bits are his */
	assert_true(allowed(11, 20, 99, 0660));
	assert_true(allowed(11, 99, 20, 0660));
	assert_false(allowed(11, 20, 20, 0640));
	assert_false(allowed(11, 99, 99, 0666));
	assert_false(control_peer_allowed(&peer, &no_rules, 5, NULL));
	assert_true(control_peer_allowed(&root, &no_rules, 5, NULL));
	assert_true(control_peer_allowed(&self, &no_rules, 5, NULL));
}

static void access_with_rules_is_for_root_self_and_those_they_name(void **state)
{
	const struct peer_rules rules = { .uids = { .id = { 10 }, .n = 1 },
					  .gids = { .id = { 20 }, .n = 1 } };
	const struct stat file = { .st_uid = 11, .st_gid = 21, .st_mode = S_IFSOCK | 0660 };
	const struct peer named = { .uid = 10, .gid = 99 }, grouped = { .uid = 12, .gid = 20 };
	const struct peer owner = { .uid = 11, .gid = 21 };
	const struct peer root = { .uid = 0, .gid = 99 }, self = { .uid = 5, .gid = 99 };

	(void)state;
	assert_true(control_peer_allowed(&named, &rules, 5, NULL));
	assert_true(control_peer_allowed(&grouped, &rules, 5, &file));
	assert_false(control_peer_allowed(&owner, &rules, 5, &file));
	assert_true(control_peer_allowed(&root, &rules, 5, NULL));
	assert_true(control_peer_allowed(&self, &rules, 5, NULL));
}

static void peer_is_read_from_its_socket(void **state)
{
	struct peer peer;
	int fds[2], n_groups = getgroups(0, NULL);

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	assert_int_equal(peer_ask(fds[0], &peer), 0);
	assert_int_equal(peer.pid, getpid());
	assert_int_equal(peer.uid, geteuid());
	assert_int_equal(peer.gid, getegid());
	assert_int_equal(peer.n_groups, n_groups);
	peer_free(&peer);
	close(fds[0]);
	close(fds[1]);
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(one_connection_answers_many_requests_in_order),
	UNIT_TEST(id_of_any_type_comes_back),
	UNIT_TEST(bad_lines_are_refused_and_the_connection_lives),
	UNIT_TEST(raw_nul_bytes_are_refused),
	UNIT_TEST(deep_nesting_is_refused),
	UNIT_TEST(huge_numbers_do_no_harm),
	UNIT_TEST(one_byte_at_a_time_is_a_request),
	UNIT_TEST(last_line_without_its_end_is_answered),
	UNIT_TEST(client_that_leaves_in_the_middle_is_forgotten),
	UNIT_TEST(longest_line_is_answered),
	UNIT_TEST(longer_line_ends_the_connection),
	UNIT_TEST(client_that_does_not_read_is_not_read_from),
	UNIT_TEST(many_requests_at_once_are_answered_in_order),
	UNIT_TEST(one_connection_too_many_is_turned_away),
	UNIT_TEST(close_ends_connections_whatever_they_do),
	UNIT_TEST(reload_may_close_the_socket_it_came_by),
	UNIT_TEST(access_is_for_root_self_owner_and_group_only),
	UNIT_TEST(access_with_rules_is_for_root_self_and_those_they_name),
	UNIT_TEST(peer_is_read_from_its_socket),
};

UNIT_MAIN(tests)
