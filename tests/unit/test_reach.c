/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* TCP to and from other machines, and words about TLS: what is missing is said. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "unit.h"

#include "config.h"

#include "backends/reach.h"
#include "backends/tls.h"
#include "daemon/spec.h"

static char why[512];

static const struct spec_defaults defaults = { .history = 1 << 20 };

static int parse(const char *text)
{
	struct attachment_spec *spec = NULL;
	int err = attachment_spec_parse(text, &defaults, &spec, why, sizeof(why));

	if (err == 0)
		attachment_spec_free(spec);
	return err;
}

static void is_taken(const char *text)
{
	if (parse(text) < 0)
		fail_msg("%s: %s", text, why);
}

static void is_refused(const char *text, const char *expected)
{
	assert_int_equal(parse(text), -EINVAL);
	if (!strstr(why, expected))
		fail_msg("%s: \"%s\" is not in \"%s\"", text, expected, why);
}

static void this_machine_needs_no_word(void **state)
{
	(void)state;
	is_taken("tcp:4000");
	is_taken("tcp:127.0.0.1:4000");
	is_taken("telnet:127.9.9.9:4000");
	is_taken("tcp:[::1]:4000");
	is_taken("tcp:[::ffff:127.0.0.1]:4000");
	is_taken("tcp-connect:127.0.0.1:4000");
	/* A name is looked up when it is opened. */
	is_taken("tcp:localhost:4000");
	is_taken("tcp-connect:example.test:4000");
}

static void other_machines_need_the_word_and_tls(void **state)
{
	static const char *const servers[] = {
		"tcp:0.0.0.0:4000",
		"telnet:0.0.0.0:4000",
		"tcp:[::]:4000",
		"tcp:[::ffff:0.0.0.0]:4000",
		"tcp:192.0.2.1:4000",
		"tcp:[2001:db8::1]:4000",
		"tcp:[::ffff:192.0.2.1]:4000",
		"telnet:198.51.100.7:0+1",
		"tcp:[fe80::1]:4000",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(servers); i++)
		is_refused(servers[i],
			   "can be reached from other machines, which needs a word of its own and "
			   "TLS: add remote,tls-cert=FILE,tls-key=FILE (or remote,tls-psk=FILE)");
	is_refused("tcp-connect:192.0.2.1:4000",
		   "tcp-connect:192.0.2.1:4000 leads to another machine, which needs a word of its "
		   "own and TLS: add remote,tls (or remote,tls-psk=FILE)");
}

static void half_of_it_is_not_enough(void **state)
{
	(void)state;
	is_refused("tcp:0.0.0.0:4000,remote", "add tls-cert=FILE,tls-key=FILE (or tls-psk=FILE)");
	is_refused("tcp-connect:192.0.2.1:4000,remote", "add tls (or tls-psk=FILE)");
#ifdef HAVE_GNUTLS
	is_refused("tcp:0.0.0.0:4000,tls-psk=/k", "TLS: add remote");
	is_refused("tcp-connect:192.0.2.1:4000,tls", "TLS: add remote");
	is_taken("tcp:0.0.0.0:4000,remote,tls-psk=/k");
	is_taken("tcp-connect:192.0.2.1:4000,remote,tls");
	is_taken("telnet:[::]:4000,remote,tls-cert=/c,tls-key=/k,tls-ca=/a");
#endif
}

static void words_of_tls_that_do_not_go_together_are_refused(void **state)
{
	static const struct {
		const char *text, *expected;
	} rows[] = {
		{ "tcp:4000,tls", "nothing to prove who we are: add tls-cert=FILE,tls-key=FILE" },
		{ "tcp:4000,tls-cert=/c", "go together: add tls-key=FILE" },
		{ "unix:/u,tls-key=/k", "go together: add tls-cert=FILE" },
		{ "tcp:4000,tls-ca=/a", "nothing to prove who we are" },
		{ "tcp:4000,tls-psk=/p,tls-ca=/a", "tls-ca asks for certificates" },
		{ "tcp-connect:127.0.0.1:1,tls-psk=/p,tls-ca=/a", "leave tls-psk out" },
		{ "unix-connect:/u,tls", "add tls-name=NAME or tls-psk=FILE" },
		{ "tcp:4000,tls-name=x", "'tls-name=x' does not go with tcp" },
		{ "pty,tls", "'tls' does not go with pty" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
#ifdef HAVE_GNUTLS
		is_refused(rows[i].text, rows[i].expected);
#else
		is_refused(rows[i].text, strstr(rows[i].expected, "does not go")
						 ? rows[i].expected
						 : "TLS needs GnuTLS, which this build is without");
#endif
	}
}

static void words_of_tls_that_go_together_are_taken(void **state)
{
	static const char *const texts[] = {
		"tcp:4000,tls-cert=/c,tls-key=/k",
		"telnet:4000,tls-cert=/c,tls-key=/k,tls-ca=/a,tls-timeout=500",
		"unix:/u,tls-psk=/p",
		"tcp:4000,tls-psk=/p,tls-cert=/c,tls-key=/k,tls-ca=/a",
		"tcp-connect:127.0.0.1:1,tls",
		"tcp-connect:127.0.0.1:1,tls-name=console.example",
		"tcp-connect:127.0.0.1:1,tls-ca=/a,tls-cert=/c,tls-key=/k",
		"unix-connect:/u,tls-psk=/p",
		"unix-connect:/u,tls-name=console.example,tls-ca=/a",
		"fd:7,tls-psk=/p",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
#ifdef HAVE_GNUTLS
		is_taken(texts[i]);
#else
		is_refused(texts[i], "TLS needs GnuTLS, which this build is without");
#endif
	}
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(this_machine_needs_no_word),
	UNIT_TEST(other_machines_need_the_word_and_tls),
	UNIT_TEST(half_of_it_is_not_enough),
	UNIT_TEST(words_of_tls_that_do_not_go_together_are_refused),
	UNIT_TEST(words_of_tls_that_go_together_are_taken),
};

UNIT_MAIN(tests)
