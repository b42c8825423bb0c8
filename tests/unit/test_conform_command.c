/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "said_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "conform/conform-command.h"

#define PROGRAM "vhu-conform"

/* Words of a command line, whose strings nobody writes to. */
#define WORDS(...) ((const char *const[]){ PROGRAM, __VA_ARGS__, NULL })

static int parse(const char *const *words, struct conform_command *ret_command)
{
	static char texts[16][64], *argv[ARRAY_SIZE(texts) + 1];
	int argc = 0;

	for (; words[argc]; argc++) {
		assert_true((size_t)argc < ARRAY_SIZE(texts));
		snprintf(texts[argc], sizeof(texts[argc]), "%s", words[argc]);
		argv[argc] = texts[argc];
	}
	argv[argc] = NULL;
	return conform_command_parse(ret_command, argc, argv);
}

/* Of a line that is right; conform_command_free() is due. */
static struct conform_command command(const char *const *words)
{
	struct conform_command c;

	assert_int_equal(parse(words, &c), 0);
	return c;
}

static void assert_mistake(const char *const *words, const char *sentence)
{
	struct conform_command c;
	struct said s;
	bool told;
	int err;

	assert_int_equal(said_begin(&s), 0);
	err = parse(words, &c);
	told = said(&s, sentence);
	said_end(&s);
	if (!told)
		print_error("not '%s' but '%s'\n", sentence, s.text);
	assert_int_equal(err, -EINVAL);
	assert_true(told);
	assert_int_equal(strncmp(s.text, PROGRAM ": ", strlen(PROGRAM) + 2), 0);
	assert_ptr_equal(strchr(s.text, '\n'), s.text + strlen(s.text) - 1);
}

static void line_when_it_names_a_socket_is_a_test(void **state)
{
	struct conform_command c = command(WORDS("--socket", "/run/s"));

	(void)state;
	assert_int_equal(c.sub, CONFORM_TEST);
	assert_string_equal(c.test.socket, "/run/s");
	assert_null(c.test.exec);
	assert_int_equal(c.test.connect_fd.n_fds, 0);
	assert_string_equal(c.test.timeout_scale, "1");
	assert_false(c.test.hostile || c.test.strict || c.test.keep || c.test.shuffle);
	conform_command_free(&c);
}

static void option_when_repeated_adds_up(void **state)
{
	struct conform_command c =
		command(WORDS("--exec=be {socket}", "-S", "vu/*", "--select=vr/*", "--do",
			      "resize=stty {cols}", "-Hk", "--skip", "VU-105"));

	(void)state;
	assert_string_equal(c.test.exec, "be {socket}");
	assert_int_equal(c.test.select.n_items, 2);
	assert_string_equal(c.test.select.items[0].text, "vu/*");
	assert_string_equal(c.test.select.items[1].text, "vr/*");
	assert_int_equal(c.test.skip.n_items, 1);
	assert_string_equal(c.test.actions.items[0].text, "resize=stty {cols}");
	assert_true(c.test.hostile && c.test.keep);
	conform_command_free(&c);
}

static void where_when_not_told_or_told_twice_is_a_mistake(void **state)
{
	(void)state;
	assert_mistake(WORDS("--hostile"), "expected --socket, --exec or --connect-fd");
	assert_mistake(WORDS("--socket", "s", "--connect-fd", "3"),
		       "expected either --connect-fd, or --socket or --exec");
	assert_mistake(WORDS("--connect-fd", "3", "--connect-fd", "4"), "expected one descriptor");
	assert_mistake(WORDS("--socket", "s", "--keep"), "--keep goes with --exec");
	assert_mistake(WORDS("replay", "f"), "expected --socket, --exec or --connect-fd");
	assert_mistake(WORDS("info"), "info: expected the path of a socket, or --exec");
	assert_mistake(WORDS("info", "s", "--socket", "t"), "either SOCKET or --socket");
}

static void descriptor_when_it_is_no_socket_is_a_mistake(void **state)
{
	char number[16];
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	(void)state;
	assert_true(fd >= 0);
	snprintf(number, sizeof(number), "%d", fd);
	assert_mistake(WORDS("--connect-fd", number), "is no open socket");
	fd_close(fd);
	assert_mistake(WORDS("replay", "f", "--connect-fd", number), "is no open socket");
}

static void socket_when_it_is_an_option_of_info_is_taken(void **state)
{
	struct conform_command c = command(WORDS("info", "-s", "/run/s"));

	(void)state;
	assert_string_equal(c.info.socket, "/run/s");
	conform_command_free(&c);
}

static void socket_when_exec_is_there_says_where_it_will_be(void **state)
{
	struct conform_command c = command(WORDS("--exec", "be", "--socket", "{dir}/s"));

	(void)state;
	assert_string_equal(c.test.socket, "{dir}/s");
	conform_command_free(&c);
}

static void list_or_explain_when_wanted_need_no_back_end(void **state)
{
	struct conform_command list = command(WORDS("--list"));
	struct conform_command explain = command(WORDS("--explain", "VU-105"));

	(void)state;
	assert_true(list.test.list);
	assert_string_equal(explain.test.explain, "VU-105");
	conform_command_free(&list);
	conform_command_free(&explain);
}

static void mistake_when_made_is_one_line(void **state)
{
	(void)state;
	assert_mistake(WORDS("--nonsense"), "nonsense");
	assert_mistake(WORDS("--socket"), "--socket");
	assert_mistake(WORDS("--socket", "s", "--format", "xml"), "human|tap|junit|jsonl");
	assert_mistake(WORDS("--socket", "s", "--do", "resize"), "'resize' is not NAME=COMMAND");
	assert_mistake(WORDS("--socket", "s", "--do", "resize="), "is not NAME=COMMAND");
	assert_mistake(WORDS("--socket", "s", "--do", "=true"), "is not NAME=COMMAND");
	assert_mistake(WORDS("--socket", "s", "word"), "unexpected argument 'word'");
	assert_mistake(WORDS("infos", "s"), "unexpected argument 'infos'");
	assert_mistake(WORDS("--socket", "s", "--timeout-scale", "0"), "--timeout-scale: '0'");
}

static void words_when_wrong_in_number_are_a_mistake(void **state)
{
	(void)state;
	assert_mistake(WORDS("replay", "--socket", "s"), "replay: expected FILE");
	assert_mistake(WORDS("replay", "a", "b", "--socket", "s"), "unexpected argument 'b'");
	assert_mistake(WORDS("matrix", "--html"), "matrix: expected FILE");
	assert_mistake(WORDS("info", "s", "t"), "unexpected argument 't'");
}

static void word_when_between_options_is_taken(void **state)
{
	struct conform_command c =
		command(WORDS("info", "--has", "CONFIG", "/run/s", "-d", "block", "--json"));

	(void)state;
	assert_int_equal(c.sub, CONFORM_INFO);
	assert_string_equal(c.info.socket, "/run/s");
	assert_string_equal(c.info.has, "CONFIG");
	assert_string_equal(c.info.device, "block");
	assert_true(c.info.json);
	conform_command_free(&c);
}

static void words_when_of_a_matrix_stay_in_order(void **state)
{
	struct conform_command c =
		command(WORDS("matrix", "one=a", "--notes", "n", "b", "--html", "-a", "c"));

	(void)state;
	assert_int_equal(c.sub, CONFORM_MATRIX);
	assert_int_equal(c.n_words, 3);
	assert_string_equal(c.words[0], "one=a");
	assert_string_equal(c.words[1], "b");
	assert_string_equal(c.words[2], "c");
	assert_string_equal(c.matrix.notes, "n");
	assert_true(c.matrix.html && c.matrix.all);
	conform_command_free(&c);
}

static void words_when_of_a_front_end_are_left_alone(void **state)
{
	struct conform_command c = command(WORDS("frontend", "--nonsense", "x"));

	(void)state;
	assert_int_equal(c.sub, CONFORM_FRONTEND);
	assert_int_equal(c.argc, 3);
	assert_string_equal(c.argv[0], "frontend");
	assert_string_equal(c.argv[2], "x");
	conform_command_free(&c);
}

static void help_when_wanted_forgives_what_else_is_wrong(void **state)
{
	struct conform_command help = command(WORDS("replay", "--help"));
	struct conform_command version = command(WORDS("--version"));

	(void)state;
	assert_true(help.help);
	assert_true(version.version);
	conform_command_free(&help);
	conform_command_free(&version);
}

static void help_when_printed_has_every_option_of_the_subcommand(void **state)
{
	static char text[16384];

	(void)state;
	for (unsigned int sub = 0; sub < CONFORM_FRONTEND; sub++) {
		size_t n;
		const struct option_row *rows =
			conform_command_rows((enum conform_subcommand)sub, &n);
		FILE *out = fmemopen(text, sizeof(text), "w");

		assert_non_null(out);
		conform_command_help(out, (enum conform_subcommand)sub);
		fclose(out);
		assert_int_equal(strncmp(text, "Usage: " PROGRAM, strlen("Usage: " PROGRAM)), 0);
		for (size_t i = 0; i < n; i++)
			assert_non_null(strstr(text, rows[i].long_name));
	}
}

static void scale_when_a_number_in_range_is_taken(void **state)
{
	static const char *const wrong[] = { "",   "0",	  "0.001", "1001", "-1",  "+1",
					     " 1", "1 ",  "1x",	   "nan",  "inf", "0x",
					     ".5", "1e9", "1,5",   "1.5s" };
	double scale = 0;

	(void)state;
	assert_true(conform_parse_scale("2.5", &scale));
	assert_true(scale > 2.49 && scale < 2.51);
	assert_true(conform_parse_scale("0.01", &scale));
	assert_true(conform_parse_scale("1000", &scale));
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_false(conform_parse_scale(wrong[i], &scale));
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(line_when_it_names_a_socket_is_a_test),
	UNIT_TEST(option_when_repeated_adds_up),
	UNIT_TEST(where_when_not_told_or_told_twice_is_a_mistake),
	UNIT_TEST(descriptor_when_it_is_no_socket_is_a_mistake),
	UNIT_TEST(socket_when_it_is_an_option_of_info_is_taken),
	UNIT_TEST(socket_when_exec_is_there_says_where_it_will_be),
	UNIT_TEST(list_or_explain_when_wanted_need_no_back_end),
	UNIT_TEST(mistake_when_made_is_one_line),
	UNIT_TEST(words_when_wrong_in_number_are_a_mistake),
	UNIT_TEST(word_when_between_options_is_taken),
	UNIT_TEST(words_when_of_a_matrix_stay_in_order),
	UNIT_TEST(words_when_of_a_front_end_are_left_alone),
	UNIT_TEST(help_when_wanted_forgives_what_else_is_wrong),
	UNIT_TEST(help_when_printed_has_every_option_of_the_subcommand),
	UNIT_TEST(scale_when_a_number_in_range_is_taken),
};

UNIT_MAIN(tests)
