/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "trace/trace-command.h"

/* Words of a command line, whose strings nobody writes to. */
#define WORDS(...) ((const char *const[]){ "vhu-trace", __VA_ARGS__, NULL })
#define PROXY "-l", "/run/front", "-c", "/run/back"

static char why[256];

static int parse_at(const char *const *words, bool terminal, struct trace_command *ret_command)
{
	static char texts[16][128], *argv[ARRAY_SIZE(texts) + 1];
	int argc = 0;

	for (; words[argc]; argc++) {
		assert_true((size_t)argc < ARRAY_SIZE(texts));
		snprintf(texts[argc], sizeof(texts[argc]), "%s", words[argc]);
		argv[argc] = texts[argc];
	}
	argv[argc] = NULL;
	why[0] = '\0';
	return trace_command_parse(ret_command, argc, argv, terminal, why, sizeof(why));
}

/* Of a line that is right; it holds nothing that would have to be freed. */
static struct trace_command command(const char *const *words)
{
	struct trace_command c;

	if (parse_at(words, false, &c) < 0)
		fail_msg("%s", why);
	trace_command_free(&c);
	return c;
}

static void assert_mistake(const char *const *words, const char *sentence)
{
	struct trace_command c;

	assert_int_equal(parse_at(words, false, &c), -EINVAL);
	if (!strstr(why, sentence))
		fail_msg("not '%s' but '%s'", sentence, why);
	assert_null(strchr(why, '\n'));
}

static void line_when_it_names_two_sockets_is_a_proxy(void **state)
{
	struct trace_command c = command(WORDS(PROXY));

	(void)state;
	assert_int_equal(c.mode, TRACE_MODE_PROXY);
	assert_string_equal(c.proxy.listen, "/run/front");
	assert_string_equal(c.proxy.connect, "/run/back");
	assert_int_equal(c.proxy.listen_fd, -1);
	assert_int_equal(c.proxy.rings, PROXY_RINGS_ASKED);
	assert_true(c.proxy.channel);
	assert_false(c.proxy.once);
	assert_int_equal(c.proxy.data, 64);
}

static void line_when_it_names_a_capture_reads_it(void **state)
{
	struct trace_command c = command(WORDS("--read", "x.pcapng", "-v", "--time=clock"));

	(void)state;
	assert_int_equal(c.mode, TRACE_MODE_READ);
	assert_true(c.view.fields);
	assert_int_equal(c.view.times, TRACE_TIMES_CLOCK);
}

static void inherited_socket_stands_in_for_a_path(void **state)
{
	struct trace_command c = command(WORDS("--listen-fd", "7", "-c", "@back", "--once"));

	(void)state;
	assert_int_equal(c.proxy.listen_fd, 7);
	assert_null(c.proxy.listen);
	assert_true(c.proxy.once);
}

static void sources_that_do_not_fit_together_are_refused(void **state)
{
	(void)state;
	assert_mistake((const char *const[]){ "vhu-trace", NULL }, "--listen PATH --connect PATH");
	assert_mistake(WORDS("-l", "/a"), "--connect PATH");
	assert_mistake(WORDS("-c", "/a"), "one of --listen and --listen-fd");
	assert_mistake(WORDS(PROXY, "--listen-fd", "3"), "one of --listen and --listen-fd");
	assert_mistake(WORDS("--listen-fd", "3", "--listen-fd", "4", "-c", "/a"), "once");
	assert_mistake(WORDS("-l", "/a", "-c", "/a"), "cannot be both");
	assert_mistake(WORDS(PROXY, "-r", "x"), "either");
	assert_mistake(WORDS(PROXY, "more"), "unexpected argument");
	assert_mistake(WORDS("-r", "x", "-w", "x"), "x cannot be two files");
	assert_mistake(WORDS(PROXY, "-o", "x", "--html", "x"), "x cannot be two files");
}

static void data_and_latency_bring_pictures(void **state)
{
	struct trace_command data = command(WORDS(PROXY, "--follow-data"));
	struct trace_command latency = command(WORDS(PROXY, "--latency"));
	struct trace_command none = command(WORDS(PROXY, "--rings", "none", "--no-channel"));

	(void)state;
	assert_int_equal(data.proxy.rings, PROXY_RINGS_ALL);
	assert_true(data.proxy.data > 64 && data.view.data);
	assert_int_equal(latency.proxy.rings, PROXY_RINGS_ALL);
	assert_int_equal(latency.proxy.data, 64);
	assert_int_equal(none.proxy.rings, PROXY_RINGS_NONE);
	assert_false(none.proxy.channel);
}

static bool hides_pictures(const char *rings, const char *only, const char *more)
{
	const char *words[6] = {
		"-r", "x", rings ? rings : "-v", only ? only : "-v", more ? more : "-v", NULL
	};

	return command(WORDS(words[0], words[1], words[2], words[3], words[4])).filter.no_pictures;
}

static void pictures_are_hidden_by_names_unless_they_are_asked_for(void **state)
{
	(void)state;
	assert_false(hides_pictures(NULL, NULL, NULL));
	assert_false(hides_pictures(NULL, NULL, "--not=SET_*"));
	assert_true(hides_pictures(NULL, "--only=SET_*", NULL));
	assert_false(hides_pictures("--rings=all", "--only=SET_*", NULL));
	assert_false(hides_pictures("--rings=asked", "--only=SET_*", NULL));
	assert_false(hides_pictures(NULL, "--only=SET_*", "--follow-data"));
	assert_true(hides_pictures("--rings=none", NULL, NULL));
	assert_true(hides_pictures("--rings=none", NULL, "--follow-data"));
}

static void filter_follows_its_options(void **state)
{
	struct trace_command c =
		command(WORDS("-r", "x", "--only", "GET_*", "--not", "GET_CONFIG", "--ring",
			      "0,2-3", "--from", "back-end", "--broken"));

	(void)state;
	assert_true(c.filter.only && c.filter.without);
	assert_true(c.filter.has_rings && c.filter.broken);
	assert_int_equal(c.filter.rings[0], 0xd);
	assert_int_equal(c.filter.from, TRACE_FROM_BACKEND);
	assert_int_equal(command(WORDS("-r", "x", "--from", "front-end")).filter.from,
			 TRACE_FROM_FRONTEND);
	assert_false(command(WORDS("-r", "x")).filter.has_rings);
}

static void names_that_no_message_has_are_refused(void **state)
{
	(void)state;
	assert_mistake(WORDS("-r", "x", "--only", "GET_FEATURES,GET_WRONG"), "'GET_WRONG'");
	assert_mistake(WORDS("-r", "x", "--not", "Q\n*"), "--not");
	assert_mistake(WORDS("-r", "x", "--only", "GET_FEATURES,"), "no name beside it");
	assert_mistake(WORDS("-r", "x", "--only", "GET_CONFIG,NO"), "'NO'");
	assert_mistake(WORDS("-r", "x", "--ring", "3-"), "list of rings");
}

static void device_that_is_in_no_list_is_refused(void **state)
{
	(void)state;
	assert_mistake(WORDS("-r", "x", "--device", "consol"),
		       "'consol' is none of console, block, vsock, fs, net");
	(void)command(WORDS("-r", "x", "--device", "net"));
}

static void colour_is_for_terminals(void **state)
{
	struct trace_command c;

	(void)state;
	assert_int_equal(parse_at(WORDS("-r", "x"), true, &c), 0);
	assert_true(c.view.color);
	trace_command_free(&c);
	assert_int_equal(parse_at(WORDS("-r", "x", "-o", "y"), true, &c), 0);
	assert_false(c.view.color);
	trace_command_free(&c);
	assert_int_equal(parse_at(WORDS("-r", "x", "--color", "never"), true, &c), 0);
	assert_false(c.view.color);
	trace_command_free(&c);
	assert_true(command(WORDS("-r", "x", "--color", "always")).view.color);
}

static void repl_takes_a_socket_and_a_file(void **state)
{
	struct trace_command c = command(WORDS("repl", "/run/s"));

	(void)state;
	assert_int_equal(c.mode, TRACE_MODE_REPL);
	assert_string_equal(c.repl.socket, "/run/s");
	assert_null(c.repl_file);
	assert_int_equal(c.repl.timeout_ms, 2000);
	c = command(WORDS("repl", "/run/s", "script", "-v", "--timeout", "50"));
	assert_string_equal(c.repl_file, "script");
	assert_true(c.repl.fields);
	assert_int_equal(c.repl.timeout_ms, 50);
	c = command(WORDS("repl", "/run/s", "-"));
	assert_null(c.repl_file);
	assert_mistake(WORDS("repl"), "repl SOCKET");
	assert_mistake(WORDS("repl", "/run/s", "-q"), "-q");
	c = command(WORDS("repl", "-x", "/run/s", "--timeout", "50", "script"));
	assert_string_equal(c.repl.socket, "/run/s");
	assert_string_equal(c.repl_file, "script");
	assert_true(c.repl.hex);
	assert_mistake(WORDS("repl", "/run/s", "a", "b"), "repl SOCKET [FILE]");
}

static void help_and_version_need_nothing_else(void **state)
{
	(void)state;
	assert_int_equal(command(WORDS("--help", "--nonsense")).mode, TRACE_MODE_HELP);
	assert_int_equal(command(WORDS("-V")).mode, TRACE_MODE_VERSION);
	assert_int_equal(command(WORDS("repl", "--help")).mode, TRACE_MODE_HELP);
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(line_when_it_names_two_sockets_is_a_proxy),
	UNIT_TEST(line_when_it_names_a_capture_reads_it),
	UNIT_TEST(inherited_socket_stands_in_for_a_path),
	UNIT_TEST(sources_that_do_not_fit_together_are_refused),
	UNIT_TEST(data_and_latency_bring_pictures),
	UNIT_TEST(pictures_are_hidden_by_names_unless_they_are_asked_for),
	UNIT_TEST(filter_follows_its_options),
	UNIT_TEST(names_that_no_message_has_are_refused),
	UNIT_TEST(device_that_is_in_no_list_is_refused),
	UNIT_TEST(colour_is_for_terminals),
	UNIT_TEST(repl_takes_a_socket_and_a_file),
	UNIT_TEST(help_and_version_need_nothing_else),
};

UNIT_MAIN(tests)
