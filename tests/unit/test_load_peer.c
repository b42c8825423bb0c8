/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "said_rig.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <sys/un.h>

#include "load/load-peer.h"

static struct said said_by_us;

static int setup(void **state)
{
	*state = &said_by_us;
	return unit_setup(state) == 0 ? said_begin(&said_by_us) : -1;
}

static int teardown(void **state)
{
	said_end(*state);
	return unit_teardown(state);
}

static void parse_when_tcp_finds_host_and_port(void **state)
{
	struct load_peer_address a;
	struct sockaddr_in in;

	(void)state;
	assert_int_equal(load_peer_parse("tcp:127.0.0.2:4711", &a), 0);
	assert_int_equal(a.len, sizeof(in));
	memcpy(&in, &a.sa, sizeof(in));
	assert_int_equal(in.sin_family, AF_INET);
	assert_int_equal(in.sin_port, htons(4711));
	assert_int_equal(in.sin_addr.s_addr, htonl(0x7f000002));
}

static void parse_when_tcp_has_brackets_finds_the_host_in_them(void **state)
{
	struct load_peer_address a;
	struct sockaddr_in6 in6;

	(void)state;
	assert_int_equal(load_peer_parse("tcp:[::1]:80", &a), 0);
	assert_int_equal(a.len, sizeof(in6));
	memcpy(&in6, &a.sa, sizeof(in6));
	assert_int_equal(in6.sin6_family, AF_INET6);
	assert_int_equal(in6.sin6_port, htons(80));
	assert_memory_equal(&in6.sin6_addr, &in6addr_loopback, sizeof(in6.sin6_addr));
}

static void parse_when_unix_takes_the_path(void **state)
{
	struct load_peer_address a;
	struct sockaddr_un un;

	(void)state;
	assert_int_equal(load_peer_parse("unix:/run/a:b", &a), 0);
	memcpy(&un, &a.sa, sizeof(un));
	assert_int_equal(un.sun_family, AF_UNIX);
	assert_string_equal(un.sun_path, "/run/a:b");
}

static void local_when_given_a_port_is_loopback(void **state)
{
	struct load_peer_address a;
	struct sockaddr_in in;

	(void)state;
	load_peer_local(65535, &a);
	memcpy(&in, &a.sa, sizeof(in));
	assert_int_equal(in.sin_port, htons(65535));
	assert_int_equal(in.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
}

static void parse_when_an_address_is_wrong_says_what_is_expected(void **state)
{
	const char *const wrong[] = {
		"",
		"tcp",
		"tcp:",
		"tcp:1234",
		"tcp::1234",
		"tcp:[]:",
		"udp:127.0.0.1:1",
		"tcp:127.0.0.1:http",
		"unix:",
	};

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		struct load_peer_address a;
		char sentence[128];

		assert_int_equal(load_peer_parse(wrong[i], &a), -EINVAL);
		snprintf(sentence, sizeof(sentence), "--peer %s: ", wrong[i]);
		assert_true(said(*state, sentence));
	}
}

static void parse_when_a_path_is_too_long_fails(void **state)
{
	struct load_peer_address a;
	char text[5 + 108 + 1] = "unix:";

	memset(text + 5, 'x', 108);
	assert_int_equal(load_peer_parse(text, &a), -EINVAL);
	assert_true(said(*state, "1 to 107 bytes"));
	text[5 + 107] = '\0';
	assert_int_equal(load_peer_parse(text, &a), 0);
}

#define SAID_TEST(f) UNIT_TEST_WITH(f, setup, teardown)

static const struct CMUnitTest tests[] = {
	SAID_TEST(parse_when_tcp_finds_host_and_port),
	SAID_TEST(parse_when_tcp_has_brackets_finds_the_host_in_them),
	SAID_TEST(parse_when_unix_takes_the_path),
	SAID_TEST(local_when_given_a_port_is_loopback),
	SAID_TEST(parse_when_an_address_is_wrong_says_what_is_expected),
	SAID_TEST(parse_when_a_path_is_too_long_fails),
};
UNIT_MAIN(tests)
