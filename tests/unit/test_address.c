/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "backends/address.h"

static char why[256];

static void tcp_addresses_are_what_they_say(void **state)
{
	static const struct {
		const char *text, *shown;
		bool local;
	} rows[] = {
		{ "4000", "127.0.0.1:4000", true },
		{ "4000+3", "127.0.0.1:4003", true },
		{ "1+2+3", "127.0.0.1:6", true },
		{ "0", "127.0.0.1:0", true },
		{ "65535", "127.0.0.1:65535", true },
		{ "00080", "127.0.0.1:80", true },
		{ "127.0.0.1:4000", "127.0.0.1:4000", true },
		{ "127.9.9.9:1", "127.9.9.9:1", true },
		{ "[::1]:4000+1", "[::1]:4001", true },
		{ "[::ffff:127.0.0.1]:1", "[::ffff:127.0.0.1]:1", true },
		{ "0.0.0.0:4000", "0.0.0.0:4000", false },
		{ "10.1.2.3:4000", "10.1.2.3:4000", false },
		{ "[::]:4000", "[::]:4000", false },
		{ "[2001:db8::1]:4000", "[2001:db8::1]:4000", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct addresses found;
		char shown[ADDRESS_TEXT_MAX];

		assert_int_equal(address_parse_tcp(rows[i].text, "127.0.0.1", true, &found, why,
						   sizeof(why)),
				 0);
		assert_int_equal(found.n, 1);
		address_format(&found.item[0], shown, sizeof(shown));
		assert_string_equal(shown, rows[i].shown);
		assert_int_equal(address_is_local(&found.item[0]), rows[i].local);
	}
}

static void text_that_is_no_tcp_address_is_refused_and_quoted(void **state)
{
	static const char *const bad[] = { "",
					   "x",
					   "70000",
					   "1+65535",
					   "127.0.0.1:",
					   ":4000",
					   "::1:4000",
					   "[::1]4000",
					   "4000+",
					   "+4000",
					   "-1",
					   "4000 ",
					   " 4000",
					   "[]:4000",
					   "1.2.3:4:5",
					   "0x10",
					   "[::1]",
					   "host",
					   "65535+1",
					   "4294967296",
					   "9999999999999999999999",
					   "1+4294967295" };
	struct addresses found;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(
			address_parse_tcp(bad[i], "127.0.0.1", true, &found, why, sizeof(why)),
			-EINVAL);
		assert_non_null(strstr(why, bad[i]));
		assert_non_null(strstr(why, "[HOST:]PORT"));
	}
}

static void host_is_needed_where_there_is_no_default(void **state)
{
	struct addresses found;

	(void)state;
	assert_int_equal(address_parse_tcp("4000", NULL, true, &found, why, sizeof(why)), -EINVAL);
	assert_non_null(strstr(why, " HOST:PORT"));
	assert_int_equal(address_parse_tcp("127.0.0.1:4000", NULL, true, &found, why, sizeof(why)),
			 0);
	assert_int_equal(address_port(&found.item[0]), 4000);
}

static void host_of_any_length_is_no_harm(void **state)
{
	struct addresses found;
	char text[400];

	(void)state;
	for (size_t len = 250; len < 300; len++) {
		memset(text, 'x', len);
		snprintf(text + len, sizeof(text) - len, ":1");
		assert_true(address_parse_tcp(text, NULL, true, &found, why, sizeof(why)) < 0);
	}
}

static void name_is_resolved_and_one_that_is_none_is_told(void **state)
{
	struct addresses found;

	(void)state;
	assert_int_equal(address_parse_tcp("localhost:4000", NULL, true, &found, why, sizeof(why)),
			 0);
	assert_true(found.n >= 1 && found.n <= ADDRESSES_MAX);
	for (unsigned int i = 0; i < found.n; i++) {
		assert_true(address_is_local(&found.item[i]));
		assert_int_equal(address_port(&found.item[i]), 4000);
	}
	assert_int_equal(address_parse_tcp("no such host:1", NULL, true, &found, why, sizeof(why)),
			 -EHOSTUNREACH);
	assert_non_null(strstr(why, "no such host"));
}

/* A resolver can take its time, which a daemon that runs has not. */
static void name_is_refused_where_nothing_may_wait(void **state)
{
	struct addresses found;

	(void)state;
	assert_int_equal(address_parse_tcp("localhost:4000", NULL, false, &found, why, sizeof(why)),
			 -EINVAL);
	assert_non_null(strstr(why, "localhost in numbers"));
	assert_int_equal(address_parse_tcp("127.0.0.1:4000", NULL, false, &found, why, sizeof(why)),
			 0);
}

static void unix_paths_and_abstract_names_are_told_apart(void **state)
{
	struct sockaddr_un un;
	struct address a;
	char text[120];

	(void)state;
	assert_int_equal(address_parse_unix("/tmp/x", &a, why, sizeof(why)), 0);
	memcpy(&un, &a.sa, sizeof(un));
	assert_string_equal(un.sun_path, "/tmp/x");
	assert_true(address_is_local(&a));
	assert_int_equal(address_port(&a), 0);
	assert_int_equal(address_parse_unix("@name", &a, why, sizeof(why)), 0);
	memcpy(&un, &a.sa, sizeof(un));
	assert_memory_equal(un.sun_path, "\0name", 5);
	assert_int_equal(a.len, offsetof(struct sockaddr_un, sun_path) + 5);
	assert_int_equal(address_parse_unix("", &a, why, sizeof(why)), -EINVAL);
	assert_int_equal(address_parse_unix("@", &a, why, sizeof(why)), -EINVAL);
	memset(text, 'x', 108);
	text[108] = '\0';
	assert_int_equal(address_parse_unix(text, &a, why, sizeof(why)), -EINVAL);
	text[107] = '\0';
	assert_int_equal(address_parse_unix(text, &a, why, sizeof(why)), 0);
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(tcp_addresses_are_what_they_say),
	UNIT_TEST(text_that_is_no_tcp_address_is_refused_and_quoted),
	UNIT_TEST(host_is_needed_where_there_is_no_default),
	UNIT_TEST(host_of_any_length_is_no_harm),
	UNIT_TEST(name_is_resolved_and_one_that_is_none_is_told),
	UNIT_TEST(name_is_refused_where_nothing_may_wait),
	UNIT_TEST(unix_paths_and_abstract_names_are_told_apart),
};
UNIT_MAIN(tests)
