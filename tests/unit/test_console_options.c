/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "unit.h"

#include "console-options.h"

enum { WORDS_MAX = 16 };

static char error[200];
static bool given[CONSOLE_N_OPTIONS];

/* Without --port, --device and --config, the options own nothing. */
static int parse(struct console_options *ret_options, const char *line)
{
	static char copy[512];
	char *argv[WORDS_MAX] = { copy };
	unsigned int n;
	int argc = 1;
	int err;

	error[0] = '\0';
	snprintf(copy, sizeof(copy), "%s", line);
	for (char *word = strtok(copy, " "); word && argc < WORDS_MAX; word = strtok(NULL, " "))
		argv[argc++] = word;
	err = console_options_parse(ret_options, argc, argv, NULL, given, error, sizeof(error));
	if (err < 0 || ret_options->help || ret_options->version || ret_options->print_capabilities)
		return err;
	n = console_options_n_guests(ret_options);
	err = console_options_check_sockets(ret_options, 0, error, sizeof(error));
	if (err == 0)
		err = console_options_check_backend(ret_options, n, error, sizeof(error));
	return err < 0 ? err
		       : console_options_check_fds(ret_options,
						   ret_options->backend == CONSOLE_BACKEND_NESTED,
						   error, sizeof(error));
}

static void assert_refused(const char *line, const char *message)
{
	struct console_options o;

	assert_int_equal(parse(&o, line), -EINVAL);
	assert_string_equal(error, message);
}

static void parse_when_only_the_path_is_given_has_the_documented_defaults(void **state)
{
	struct console_options o;

	(void)state;
	assert_int_equal(parse(&o, "-s /tmp/con"), 0);
	assert_string_equal(o.socket_path, "/tmp/con");
	assert_int_equal(o.socket_count, 1);
	assert_int_equal(o.backend, CONSOLE_BACKEND_NESTED);
	assert_int_equal(o.tcp_port, 12345);
	assert_int_equal(o.max_queue_size, 1024);
	assert_string_equal(o.escape, "~.");
	assert_int_equal(o.history, 1 << 20);
	assert_int_equal(o.log_level, LOG_LEVEL_INFO);
	assert_int_equal(o.max_ports, 0);
	assert_int_equal(o.resize_order, 0);
	assert_int_equal(o.ports.n_items + o.devices.n_items + o.configs.n_items, 0);
	assert_null(o.control);
	assert_int_equal(console_options_n_guests(&o), 1);
}

static void parse_when_all_is_given_stores_it(void **state)
{
	struct console_options o;

	(void)state;
	assert_int_equal(parse(&o, "-s p -c 4 -b network -p 80 -q 256 --log-level trace"), 0);
	assert_int_equal(console_options_n_guests(&o), 4);
	assert_int_equal(o.backend, CONSOLE_BACKEND_NETWORK);
	assert_int_equal(o.tcp_port, 80);
	assert_int_equal(o.max_queue_size, 256);
	assert_int_equal(o.log_level, LOG_LEVEL_TRACE);
}

static void parse_when_nothing_is_served_is_refused(void **state)
{
	(void)state;
	assert_refused("", "no socket to serve: give --socket-path PATH, --device SPEC or --fd N");
}

/* Clause VU-222: a path and a descriptor exclude each other. */
static void parse_when_path_and_fd_are_given_is_refused(void **state)
{
	(void)state;
	assert_refused("-s p --fd 3", "--fd does not go together with --socket-path");
	assert_refused("-c 2 --fd 3",
		       "--fd does not go together with --socket-count: each --fd is a guest");
}

static void parse_when_nested_has_two_guests_is_refused(void **state)
{
	struct console_options o;

	(void)state;
	assert_refused("-s p -c 2",
		       "--backend nested serves one guest, not 2: use --backend network");
	assert_refused("--fd 3 --fd 4",
		       "--backend nested serves one guest, not 2: use --backend network");
	assert_int_equal(parse(&o, "--fd 3 --fd 4 -b network"), 0);
	assert_int_equal(console_options_n_guests(&o), 2);
}

static void parse_when_ports_run_out_is_refused(void **state)
{
	struct console_options o;

	(void)state;
	assert_int_equal(parse(&o, "-s p -b network -c 2 -p 65534"), 0);
	assert_refused("-s p -b network -c 3 -p 65534",
		       "--tcp-port: 3 guests need ports up to 65536, the highest is 65535");
}

static void parse_when_path_with_number_is_too_long_is_refused(void **state)
{
	char line[160], path[107];
	struct console_options o;

	(void)state;
	memset(path, 'p', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	snprintf(line, sizeof(line), "-b network -c 10 -s %s", path);
	assert_int_equal(parse(&o, line), 0);
	snprintf(line, sizeof(line), "-b network -c 11 -s %s", path);
	assert_refused(line, "--socket-path: 108 bytes with the number, allowed are 107");
}

static void fd_when_the_terminal_has_it_is_refused(void **state)
{
	struct console_options o;

	(void)state;
	assert_refused("--fd 0",
		       "--fd 0 is the console's own; pass the socket as another descriptor");
	assert_refused("--fd 2 -b network",
		       "--fd 2 is for messages; pass the socket as another descriptor");
	assert_int_equal(parse(&o, "--fd 0 -b network"), 0);
}

static void options_that_were_given_are_known_by_their_names(void **state)
{
	struct console_options o;

	(void)state;
	assert_int_equal(parse(&o, "-s p --backend nested"), 0);
	assert_true(given[CONSOLE_OPTION_socket_path]);
	assert_true(given[CONSOLE_OPTION_backend]);
	assert_false(given[CONSOLE_OPTION_tcp_port]);
	assert_false(given[CONSOLE_OPTION_ports]);
	assert_string_equal(console_option_rows()[CONSOLE_OPTION_backend].long_name, "backend");
}

/* Clause VU-224. */
static void print_capabilities_when_all_else_is_wrong_is_accepted(void **state)
{
	struct console_options o;

	(void)state;
	assert_int_equal(parse(&o, "--junk -p x --print-capabilities operand"), 0);
	assert_true(o.print_capabilities);
}

static void help_and_version_need_no_socket(void **state)
{
	struct console_options o;

	(void)state;
	assert_int_equal(parse(&o, "-h"), 0);
	assert_true(o.help);
	assert_int_equal(parse(&o, "--version"), 0);
	assert_true(o.version);
}

static void backend_words_are_in_the_order_of_their_enum(void **state)
{
	struct console_options o;
	enum log_level level;
	static const char *const levels[] = { "error", "warning", "info", "debug", "trace" };
	char line[64];

	(void)state;
	assert_int_equal(parse(&o, "-s p -b nested"), 0);
	assert_int_equal(o.backend, CONSOLE_BACKEND_NESTED);
	for (size_t i = 0; i < ARRAY_SIZE(levels); i++) {
		snprintf(line, sizeof(line), "-s p --log-level %s", levels[i]);
		assert_int_equal(parse(&o, line), 0);
		assert_int_equal(log_level_parse(levels[i], &level), 0);
		assert_int_equal(o.log_level, level);
	}
}

static void help_is_short_and_ends_with_lines_to_paste(void **state)
{
	unsigned int n_lines = 0;
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	assert_non_null(out);
	console_options_help(out);
	fclose(out);
	assert_non_null(strstr(text, "vhost-user-test-device-pci,"));
	assert_non_null(strstr(text, "virtio_uml.device="));
	for (const char *line = text; *line; line += len + 1, n_lines++) {
		len = strcspn(line, "\n");
		assert_true(len <= 80);
	}
	assert_true(n_lines <= 44);
	free(text);
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(parse_when_only_the_path_is_given_has_the_documented_defaults),
	UNIT_TEST(parse_when_all_is_given_stores_it),
	UNIT_TEST(parse_when_nothing_is_served_is_refused),
	UNIT_TEST(parse_when_path_and_fd_are_given_is_refused),
	UNIT_TEST(parse_when_nested_has_two_guests_is_refused),
	UNIT_TEST(parse_when_ports_run_out_is_refused),
	UNIT_TEST(parse_when_path_with_number_is_too_long_is_refused),
	UNIT_TEST(fd_when_the_terminal_has_it_is_refused),
	UNIT_TEST(options_that_were_given_are_known_by_their_names),
	UNIT_TEST(print_capabilities_when_all_else_is_wrong_is_accepted),
	UNIT_TEST(help_and_version_need_no_socket),
	UNIT_TEST(backend_words_are_in_the_order_of_their_enum),
	UNIT_TEST(help_is_short_and_ends_with_lines_to_paste),
};

UNIT_MAIN(tests)
