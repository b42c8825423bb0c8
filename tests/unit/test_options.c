/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "unit.h"

#include "options.h"

enum { WORDS_MAX = 80 };

struct sample {
	bool all;
	bool stop;
	bool win;
	const char *name;
	uint64_t count;
	uint64_t ring;
	uint64_t bytes;
	unsigned int kind;
	uint64_t exact;
	struct option_maybe amount;
	struct option_maybe mode;
	struct option_fds fds;
	struct option_texts texts;
};

#define ROW(field, s, l, type, meta, def, limits, text)                                            \
	OPTION_ROW(struct sample, field, s, l, type, meta, def, text, limits)

static const struct option_row rows[] = {
	OPTION_ROW_HEADING("First"),
	ROW(name, 'n', "name", STRING, "NAME", NULL, OPTION_RANGE(1, 4), "a short name"),
	ROW(count, 'c', "count", U64, "N", "3", OPTION_RANGE(2, 9), "how many"),
	ROW(ring, 'r', "ring", POW2, "N", "16", OPTION_RANGE(4, 64), "size of the ring"),
	OPTION_ROW_HEADING("Second"),
	ROW(bytes, 0, "bytes", SIZE, "SIZE", "1M", OPTION_RANGE(4096, 1 << 30), "bytes to keep"),
	ROW(kind, 'k', "kind", CHOICE, "KIND", "blue", OPTION_WORDS("red|green|blue"), "~colour"),
	ROW(fds, 0, "fd", FDS, "N", NULL, OPTION_ANY,
	    "a descriptor, described here by so many words that they do not fit one line"),
	ROW(exact, 0, "exact", BYTES, "SIZE", "3K", OPTION_RANGE(100, 1 << 20), "not rounded"),
	ROW(amount, 0, "limit", AMOUNT, "SIZE", NULL, OPTION_ANY, "how much"),
	ROW(mode, 0, "mode", MODE, "MODE", NULL, OPTION_RANGE(0, 0777), "permissions"),
	ROW(texts, 't', "text", TEXTS, "TEXT", NULL, OPTION_RANGE(1, 4), "any number of texts"),
	ROW(all, 'a', "all", FLAG, NULL, NULL, OPTION_ANY, ".everything"),
	ROW(stop, 's', "stop", FLAG_STOP, NULL, NULL, OPTION_ANY, "look no further"),
	ROW(win, 0, "win", FLAG_WINS, NULL, NULL, OPTION_ANY, "nothing else counts"),
};

static char error[200];
static bool given[ARRAY_SIZE(rows)];

/*
 * Parses words separated by spaces; error holds what it said. from, which may
 * be NULL, has the origin of each word. What is allocated is freed.
 */
static int parse_from(struct sample *ret_sample, const char *line, const char *const *from)
{
	static char copy[1024];
	char *argv[WORDS_MAX] = { copy };
	struct option_line words = { .argc = 1, .argv = argv, .origins = from, .given = given };

	error[0] = '\0';
	snprintf(copy, sizeof(copy), "%s", line);
	for (char *word = strtok(copy, " "); word && words.argc < WORDS_MAX;
	     word = strtok(NULL, " "))
		argv[words.argc++] = word;
	return options_parse(rows, ARRAY_SIZE(rows), ret_sample, &words, error, sizeof(error));
}

/* For lines without --text, which own nothing. */
static int parse(struct sample *ret_sample, const char *line)
{
	return parse_from(ret_sample, line, NULL);
}

static void assert_refused(const char *line, const char *message)
{
	struct sample s;

	assert_int_equal(parse(&s, line), -EINVAL);
	assert_string_equal(error, message);
}

static void parse_when_no_words_gives_defaults(void **state)
{
	struct sample s;

	(void)state;
	memset(&s, 0xff, sizeof(s));
	assert_int_equal(parse(&s, ""), 0);
	assert_null(s.name);
	assert_int_equal(s.count, 3);
	assert_int_equal(s.ring, 16);
	assert_int_equal(s.bytes, 1 << 20);
	assert_int_equal(s.kind, 2);
	assert_int_equal(s.fds.n_fds, 0);
	assert_false(s.all || s.stop || s.win);
}

static void value_in_each_of_four_spellings_is_taken(void **state)
{
	static const char *const lines[] = { "--count=5", "--count 5", "-c 5", "-c5", "-ac5" };
	struct sample s;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		assert_int_equal(parse(&s, lines[i]), 0);
		assert_int_equal(s.count, 5);
	}
	assert_true(s.all);
}

static void value_when_given_twice_is_the_later_one(void **state)
{
	struct sample s;

	(void)state;
	assert_int_equal(parse(&s, "-c 5 --name=ab -n -x --count 6"), 0);
	assert_int_equal(s.count, 6);
	assert_string_equal(s.name, "-x");
}

static void value_when_empty_is_a_value(void **state)
{
	(void)state;
	assert_refused("--count=", "--count: '' is not a number from 2 to 9");
	assert_refused("--name=", "--name: the value has 0 bytes, allowed is a length from 1 to 4");
}

static void number_when_not_in_range_is_refused(void **state)
{
	(void)state;
	assert_refused("-c 1", "--count: '1' is not a number from 2 to 9");
	assert_refused("-c 10", "--count: '10' is not a number from 2 to 9");
	assert_refused("-c 18446744073709551620",
		       "--count: '18446744073709551620' is not a number from 2 to 9");
}

static void number_when_not_decimal_is_refused(void **state)
{
	static const char *const words[] = { "-5", "+5", "5x", "0x5", "x", "5K" };
	char line[32], message[64];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		snprintf(line, sizeof(line), "-c %s", words[i]);
		snprintf(message, sizeof(message), "--count: '%s' is not a number from 2 to 9",
			 words[i]);
		assert_refused(line, message);
	}
}

static void pow2_when_not_a_power_is_refused(void **state)
{
	struct sample s;

	(void)state;
	assert_int_equal(parse(&s, "-r 64"), 0);
	assert_int_equal(s.ring, 64);
	assert_refused("-r 24", "--ring: '24' is not a power of two from 4 to 64");
	assert_refused("-r 128", "--ring: '128' is not a power of two from 4 to 64");
	assert_refused("-r 0", "--ring: '0' is not a power of two from 4 to 64");
}

static void size_when_not_a_power_is_rounded_up(void **state)
{
	struct sample s;

	(void)state;
	assert_int_equal(parse(&s, "--bytes 4097"), 0);
	assert_int_equal(s.bytes, 8192);
	assert_int_equal(parse(&s, "--bytes 4K"), 0);
	assert_int_equal(s.bytes, 4096);
	assert_int_equal(parse(&s, "--bytes 3M"), 0);
	assert_int_equal(s.bytes, 4 << 20);
	assert_int_equal(parse(&s, "--bytes 1G"), 0);
	assert_int_equal(s.bytes, 1 << 30);
}

static void size_when_wrong_is_refused_with_the_range(void **state)
{
	static const char *const words[] = { "0", "3K", "2G", "5T", "4KB", "K", "99999999999G" };
	char line[64], message[96];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		snprintf(line, sizeof(line), "--bytes=%s", words[i]);
		snprintf(message, sizeof(message), "--bytes: '%s' is not a size from 4K to 1G",
			 words[i]);
		assert_refused(line, message);
	}
}

static void choice_when_known_is_its_index(void **state)
{
	struct sample s;

	(void)state;
	assert_int_equal(parse(&s, "-k red"), 0);
	assert_int_equal(s.kind, 0);
	assert_int_equal(parse(&s, "-kgreen"), 0);
	assert_int_equal(s.kind, 1);
}

static void choice_when_unknown_is_refused_with_the_list(void **state)
{
	(void)state;
	assert_refused("-k gre", "--kind: 'gre' is not one of red|green|blue");
	assert_refused("-k greens", "--kind: 'greens' is not one of red|green|blue");
	assert_refused("-k red|green", "--kind: 'red|green' is not one of red|green|blue");
}

static void fds_when_repeated_add_up(void **state)
{
	struct sample s;

	(void)state;
	assert_int_equal(parse(&s, "--fd 5 --fd=0 --fd 2147483647"), 0);
	assert_int_equal(s.fds.n_fds, 3);
	assert_int_equal(s.fds.fd[0], 5);
	assert_int_equal(s.fds.fd[1], 0);
	assert_int_equal(s.fds.fd[2], INT32_MAX);
	assert_refused("--fd 5 --fd 5", "--fd: 5 is given twice");
	assert_refused("--fd -1", "--fd: '-1' is not the number of a file descriptor");
	assert_refused("--fd 2147483648",
		       "--fd: '2147483648' is not the number of a file descriptor");
}

static void fds_when_more_than_allowed_are_refused(void **state)
{
	char line[1024] = "";
	struct sample s;

	(void)state;
	for (int i = 0; i < OPTION_FDS_MAX; i++)
		snprintf(line + strlen(line), sizeof(line) - strlen(line), "--fd=%d ", i);
	assert_int_equal(parse(&s, line), 0);
	assert_int_equal(s.fds.n_fds, OPTION_FDS_MAX);
	snprintf(line + strlen(line), sizeof(line) - strlen(line), "--fd=99");
	assert_refused(line, "--fd: more than 64 are given, which is the most allowed");
}

static void bytes_are_not_rounded(void **state)
{
	struct sample s;

	(void)state;
	assert_int_equal(parse(&s, ""), 0);
	assert_int_equal(s.exact, 3072);
	assert_int_equal(parse(&s, "--exact 1000"), 0);
	assert_int_equal(s.exact, 1000);
	assert_refused("--exact 2M", "--exact: '2M' is not a size from 100 to 1M");
	assert_refused("--exact 99", "--exact: '99' is not a size from 100 to 1M");
}

static void amount_is_all_none_or_a_size(void **state)
{
	static const struct {
		const char *line;
		bool set;
		uint64_t value;
	} cases[] = {
		{ "", false, 0 },
		{ "--limit=all", true, UINT64_MAX },
		{ "--limit=none", true, 0 },
		{ "--limit=0", true, 0 },
		{ "--limit=64K", true, 65536 },
	};
	struct sample s;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(parse(&s, cases[i].line), 0);
		assert_int_equal(s.amount.set, cases[i].set);
		assert_int_equal(s.amount.value, cases[i].value);
	}
	assert_refused("--limit most", "--limit: 'most' is not all, none, or a size as 64K");
	assert_refused("--limit=", "--limit: '' is not all, none, or a size as 64K");
}

static void mode_is_octal(void **state)
{
	static const char *const wrong[] = { "8", "0x1", "-1", "1777", "rw", "" };
	char line[32], message[96];
	struct sample s;

	(void)state;
	assert_int_equal(parse(&s, ""), 0);
	assert_false(s.mode.set);
	assert_int_equal(parse(&s, "--mode 0660"), 0);
	assert_true(s.mode.set);
	assert_int_equal(s.mode.value, 0660);
	assert_int_equal(parse(&s, "--mode 0"), 0);
	assert_true(s.mode.set);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		snprintf(line, sizeof(line), "--mode=%s", wrong[i]);
		snprintf(message, sizeof(message),
			 "--mode: '%s' is not an octal number from 0 to 0777", wrong[i]);
		assert_refused(line, message);
	}
}

static void texts_add_up_with_their_places(void **state)
{
	struct sample s;

	(void)state;
	assert_int_equal(parse(&s, "--text=one -a -t two -ttre"), 0);
	assert_int_equal(s.texts.n_items, 3);
	assert_string_equal(s.texts.items[0].text, "one");
	assert_int_equal(s.texts.items[0].order, 1);
	assert_string_equal(s.texts.items[1].text, "two");
	assert_int_equal(s.texts.items[1].order, 3);
	assert_string_equal(s.texts.items[2].text, "tre");
	assert_int_equal(s.texts.items[2].order, 5);
	options_free(rows, ARRAY_SIZE(rows), &s);
	assert_int_equal(s.texts.n_items, 0);
	assert_null(s.texts.items);
}

/* A leak would be seen by the sanitizer. */
static void texts_when_a_later_word_is_wrong_are_freed(void **state)
{
	(void)state;
	assert_refused("-t one --junk", "unknown option --junk; --help lists the options");
}

static void rows_that_were_given_are_marked(void **state)
{
	struct sample s;

	(void)state;
	assert_int_equal(parse(&s, "-c 3 --limit none"), 0);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		bool want = strcmp(rows[i].long_name, "count") == 0 ||
			    strcmp(rows[i].long_name, "limit") == 0;

		assert_int_equal(given[i], want);
	}
}

static void message_names_the_place_of_the_word(void **state)
{
	static const char *const from[WORDS_MAX] = { NULL, NULL, "f:1", "f:2", NULL };
	struct sample s;

	(void)state;
	assert_int_equal(parse_from(&s, "-a --count=1 -a", from), -EINVAL);
	assert_string_equal(error, "f:1: --count: '1' is not a number from 2 to 9");
	assert_int_equal(parse_from(&s, "-a -a --junk", from), -EINVAL);
	assert_string_equal(error, "f:2: unknown option --junk; --help lists the options");
	assert_int_equal(parse_from(&s, "-x -a -a", from), -EINVAL);
	assert_string_equal(error, "unknown option -x; --help lists the options");
}

/* The next line of a file, and what follows the file, are no values. */
static void value_is_not_taken_from_another_place(void **state)
{
	static const char *const from[WORDS_MAX] = { NULL, "f:1", "f:2", NULL, NULL };
	struct sample s;

	(void)state;
	assert_int_equal(parse_from(&s, "--count --name=x", from), -EINVAL);
	assert_string_equal(error, "f:1: --count needs a value: --count N");
	assert_int_equal(parse_from(&s, "-a --count 5", from), -EINVAL);
	assert_string_equal(error, "f:2: --count needs a value: --count N");
	assert_int_equal(parse_from(&s, "-a -a --count 5", from), 0);
	assert_int_equal(s.count, 5);
}

static int store_word(struct sample *s, const char *name, const char *text)
{
	const struct option_value value = {
		.row = options_find(rows, ARRAY_SIZE(rows), name, strlen(name)),
		.dest = s,
		.text = text,
		.dashes = "",
	};

	assert_non_null(value.row);
	return option_store(&value, error, sizeof(error));
}

static void word_of_a_list_has_no_dashes(void **state)
{
	struct sample s;

	(void)state;
	options_set_defaults(rows, ARRAY_SIZE(rows), &s);
	assert_int_equal(store_word(&s, "all", NULL), 0);
	assert_true(s.all);
	assert_int_equal(store_word(&s, "mode", "0600"), 0);
	assert_int_equal(s.mode.value, 0600);
	assert_int_equal(store_word(&s, "all", "yes"), -EINVAL);
	assert_string_equal(error, "all takes no value");
	assert_int_equal(store_word(&s, "mode", NULL), -EINVAL);
	assert_string_equal(error, "mode needs a value: mode=MODE");
	assert_int_equal(store_word(&s, "count", "\n"), -EINVAL);
	assert_string_equal(error, "count: '?' is not a number from 2 to 9");
	assert_null(options_find(rows, ARRAY_SIZE(rows), "First", 5));
	assert_null(options_find(rows, ARRAY_SIZE(rows), "counter", 3));
}

static void option_when_unknown_is_refused(void **state)
{
	(void)state;
	assert_refused("--colour=x", "unknown option --colour; --help lists the options");
	assert_refused("-x", "unknown option -x; --help lists the options");
	assert_refused("-ax", "unknown option -x; --help lists the options");
	assert_refused("--First", "unknown option --First; --help lists the options");
}

static void option_when_abbreviated_is_refused(void **state)
{
	(void)state;
	assert_refused("--coun=5", "unknown option --coun; --help lists the options");
	assert_refused("--wi", "unknown option --wi; --help lists the options");
}

static void option_when_value_is_missing_is_refused(void **state)
{
	(void)state;
	assert_refused("-a --count", "--count needs a value: --count N");
	assert_refused("-c", "--count needs a value: --count N");
}

static void flag_when_value_is_given_is_refused(void **state)
{
	(void)state;
	assert_refused("--all=yes", "--all takes no value");
}

static void operand_is_refused(void **state)
{
	(void)state;
	assert_refused("-a file", "unexpected argument 'file': only options are allowed");
	assert_refused("-", "unexpected argument '-': only options are allowed");
	assert_refused("-- -a", "unexpected argument '-a': only options are allowed");
}

static void double_dash_alone_is_accepted(void **state)
{
	struct sample s;

	(void)state;
	assert_int_equal(parse(&s, "-a --"), 0);
	assert_true(s.all);
}

static void message_when_word_has_newlines_is_one_line(void **state)
{
	(void)state;
	assert_refused("--a\nb\x1b", "unknown option --a?b?; --help lists the options");
}

static void stop_flag_ends_the_reading(void **state)
{
	struct sample s;

	(void)state;
	assert_int_equal(parse(&s, "-c 5 --stop --junk"), 0);
	assert_true(s.stop);
	assert_int_equal(s.count, 5);
	assert_int_equal(parse(&s, "-sx"), 0);
	assert_refused("--junk --stop", "unknown option --junk; --help lists the options");
}

/* Clause VU-224: other options are ignored, right or wrong. */
static void winning_flag_beats_everything(void **state)
{
	struct sample s;

	(void)state;
	assert_int_equal(parse(&s, "--junk -c 99 x --stop --win"), 0);
	assert_true(s.win);
	assert_false(s.stop);
	assert_int_equal(s.count, 3);
	assert_int_equal(parse(&s, "--win --junk"), 0);
	assert_true(s.win);
}

/* What print says, in memory of the caller's. */
static char *text_of(void (*print)(FILE *, const struct option_row *, size_t))
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	assert_non_null(out);
	print(out, rows, ARRAY_SIZE(rows));
	fclose(out);
	return text;
}

static void help_lists_every_option_within_80_columns(void **state)
{
	char *text = text_of(options_help);
	size_t len;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_non_null(strstr(text, rows[i].long_name));
	assert_non_null(strstr(text, "First:\n  -n, --name NAME"));
	assert_non_null(strstr(text, "  -c, --count N     how many (default 3)\n"));
	assert_non_null(strstr(text, "\n      --bytes SIZE "));
	for (const char *line = text; *line; line += len + 1) {
		len = strcspn(line, "\n");
		assert_true(len <= 80);
	}
	free(text);
}

static void man_lists_every_option_and_protects_its_text(void **state)
{
	char *text = text_of(options_man);

	(void)state;
	assert_non_null(strstr(text, ".SS First\n.TP\n\\fB\\-n\\fR, \\fB\\-\\-name\\fR"));
	assert_non_null(strstr(text, "\\fIN\\fR\nhow many (default 3).\n"));
	assert_non_null(strstr(text, "\n\\&.everything.\n"));
	assert_non_null(strstr(text, "\n\\(ticolour (default blue).\n"));
	assert_non_null(strstr(text, "\\fB\\-\\-win\\fR\n"));
	free(text);
}

static void add_index(FILE *out, size_t row_idx)
{
	fprintf(out, "%zu.\n", row_idx);
}

static void man_words_have_their_values_behind_them(void **state)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	assert_non_null(out);
	options_man_words(out, rows + 1, 2, add_index);
	fclose(out);
	assert_string_equal(text, ".TP\n\\fBname=\\fR\\fINAME\\fR\na short name.\n0.\n"
				  ".TP\n\\fBcount=\\fR\\fIN\\fR\nhow many (default 3).\n1.\n");
	free(text);
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(parse_when_no_words_gives_defaults),
	UNIT_TEST(value_in_each_of_four_spellings_is_taken),
	UNIT_TEST(value_when_given_twice_is_the_later_one),
	UNIT_TEST(value_when_empty_is_a_value),
	UNIT_TEST(number_when_not_in_range_is_refused),
	UNIT_TEST(number_when_not_decimal_is_refused),
	UNIT_TEST(pow2_when_not_a_power_is_refused),
	UNIT_TEST(size_when_not_a_power_is_rounded_up),
	UNIT_TEST(size_when_wrong_is_refused_with_the_range),
	UNIT_TEST(choice_when_known_is_its_index),
	UNIT_TEST(choice_when_unknown_is_refused_with_the_list),
	UNIT_TEST(fds_when_repeated_add_up),
	UNIT_TEST(fds_when_more_than_allowed_are_refused),
	UNIT_TEST(bytes_are_not_rounded),
	UNIT_TEST(amount_is_all_none_or_a_size),
	UNIT_TEST(mode_is_octal),
	UNIT_TEST(texts_add_up_with_their_places),
	UNIT_TEST(texts_when_a_later_word_is_wrong_are_freed),
	UNIT_TEST(rows_that_were_given_are_marked),
	UNIT_TEST(message_names_the_place_of_the_word),
	UNIT_TEST(value_is_not_taken_from_another_place),
	UNIT_TEST(word_of_a_list_has_no_dashes),
	UNIT_TEST(option_when_unknown_is_refused),
	UNIT_TEST(option_when_abbreviated_is_refused),
	UNIT_TEST(option_when_value_is_missing_is_refused),
	UNIT_TEST(flag_when_value_is_given_is_refused),
	UNIT_TEST(operand_is_refused),
	UNIT_TEST(double_dash_alone_is_accepted),
	UNIT_TEST(message_when_word_has_newlines_is_one_line),
	UNIT_TEST(stop_flag_ends_the_reading),
	UNIT_TEST(winning_flag_beats_everything),
	UNIT_TEST(help_lists_every_option_within_80_columns),
	UNIT_TEST(man_lists_every_option_and_protects_its_text),
	UNIT_TEST(man_words_have_their_values_behind_them),
};

UNIT_MAIN(tests)
