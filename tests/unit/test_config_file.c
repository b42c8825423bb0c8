/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "unit.h"

#include "daemon/config-file.h"

static struct config_words words;
static char why[300];
static char path[64];

/* Reads a file of len bytes; path is its name until the next call. */
static int read_bytes(const void *text, size_t len)
{
	FILE *file;
	int err;

	snprintf(path, sizeof(path), "/tmp/vhu-config.%d", getpid());
	file = fopen(path, "w");
	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, len, file), len);
	assert_int_equal(fclose(file), 0);
	config_words_free(&words);
	why[0] = '\0';
	err = config_file_read(&words, path, why, sizeof(why));
	unlink(path);
	return err;
}

static int read_text(const char *text)
{
	return read_bytes(text, strlen(text));
}

static void assert_word(int idx, const char *word, unsigned int line)
{
	char origin[96];

	assert_true(idx < words.n_words);
	assert_string_equal(words.words[idx], word);
	snprintf(origin, sizeof(origin), "%s:%u", path, line);
	assert_string_equal(words.origins[idx], origin);
}

static void assert_refused(const char *text, unsigned int line, const char *message)
{
	char full[400];

	assert_int_equal(read_text(text), -EINVAL);
	snprintf(full, sizeof(full), "%s:%u: %s", path, line, message);
	assert_string_equal(why, full);
	config_words_free(&words);
}

static void line_in_each_spelling_is_one_word(void **state)
{
	static const char *const lines[] = { "port a=b",
					     "port = a=b",
					     "port=a=b",
					     "  port\ta=b ",
					     "port =a=b\r",
					     "port= a=b\n",
					     "\tport   =   a=b\t \r\n" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		assert_int_equal(read_text(lines[i]), 0);
		assert_int_equal(words.n_words, 1);
		assert_word(0, "--port=a=b", 1);
	}
	config_words_free(&words);
}

static void comments_and_blank_lines_count_as_lines_only(void **state)
{
	(void)state;
	assert_int_equal(read_text("# first\n\n  # port x\nsocket-path /run/a#b\n \t\nflag\n"), 0);
	assert_int_equal(words.n_words, 2);
	assert_word(0, "--socket-path=/run/a#b", 4);
	assert_word(1, "--flag", 6);
	assert_null(words.words[2]);
	config_words_free(&words);
}

static void value_when_empty_is_a_value(void **state)
{
	(void)state;
	assert_int_equal(read_text("name =\nname="), 0);
	assert_word(0, "--name=", 1);
	assert_word(1, "--name=", 2);
	config_words_free(&words);
}

static void file_when_empty_is_no_words(void **state)
{
	(void)state;
	assert_int_equal(read_text(""), 0);
	assert_int_equal(words.n_words, 0);
	config_words_free(&words);
}

static void many_lines_keep_their_order(void **state)
{
	char text[4096] = "", word[32];

	(void)state;
	for (int i = 0; i < 200; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "n %d\n", i);
	assert_int_equal(read_text(text), 0);
	assert_int_equal(words.n_words, 200);
	for (int i = 0; i < 200; i++) {
		snprintf(word, sizeof(word), "--n=%d", i);
		assert_word(i, word, (unsigned int)i + 1);
	}
	config_words_free(&words);
}

static void line_that_is_no_option_is_refused(void **state)
{
#define EXPECTED "expected the long name of an option without its dashes, and its value, not "
	(void)state;
	assert_refused("a\n--port x\n", 2, EXPECTED "'--port x'");
	assert_refused("-s x", 1, EXPECTED "'-s x'");
	assert_refused("= x", 1, EXPECTED "'= x'");
	assert_refused("Port x", 1, EXPECTED "'Port x'");
	assert_refused("[section]", 1, EXPECTED "'[section]'");
	assert_refused("\n\nport:x", 3, EXPECTED "'port:x'");
	assert_refused("Port 6789012345678901234567890123456789012345678901234567890123", 1,
		       EXPECTED
		       "'Port 6789012345678901234567890123456789012345678901234567890...'");
#undef EXPECTED
}

static void option_of_the_command_line_is_refused(void **state)
{
	(void)state;
	assert_refused("config /etc/x", 1, "config belongs on the command line, not in a file");
	assert_refused("a\nhelp", 2, "help belongs on the command line, not in a file");
	assert_refused("version", 1, "version belongs on the command line, not in a file");
	assert_refused("print-capabilities=", 1,
		       "print-capabilities belongs on the command line, not in a file");
}

static void zero_byte_is_refused(void **state)
{
	(void)state;
	assert_int_equal(read_bytes("port a\0b\n", 9), -EINVAL);
	assert_non_null(strstr(why, ": this is not a text: it has zero bytes"));
}

static void file_that_is_too_large_is_refused(void **state)
{
	char *text = malloc(CONFIG_FILE_MAX + 1);

	(void)state;
	assert_non_null(text);
	memset(text, '\n', CONFIG_FILE_MAX + 1);
	assert_int_equal(read_bytes(text, CONFIG_FILE_MAX), 0);
	assert_int_equal(read_bytes(text, CONFIG_FILE_MAX + 1), -EFBIG);
	assert_non_null(strstr(why, "larger than 1M"));
	free(text);
}

/* Reading it could wait for ever, and a reload must not. */
static void file_that_is_a_pipe_is_refused_at_once(void **state)
{
	(void)state;
	snprintf(path, sizeof(path), "/tmp/vhu-config.%d", getpid());
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(config_file_read(&words, path, why, sizeof(why)), -EINVAL);
	assert_non_null(strstr(why, ": this is not a regular file"));
	unlink(path);
}

static void file_that_is_not_there_is_refused_by_name(void **state)
{
	(void)state;
	assert_int_equal(config_file_read(&words, "/nowhere/x.conf", why, sizeof(why)), -ENOENT);
	assert_string_equal(why, "/nowhere/x.conf: No such file or directory");
}

static void words_without_an_origin_have_none(void **state)
{
	(void)state;
	assert_int_equal(config_words_add(&words, "--all", NULL), 0);
	assert_string_equal(words.words[0], "--all");
	assert_null(words.origins[0]);
	config_words_free(&words);
	assert_int_equal(words.n_words, 0);
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(line_in_each_spelling_is_one_word),
	UNIT_TEST(comments_and_blank_lines_count_as_lines_only),
	UNIT_TEST(value_when_empty_is_a_value),
	UNIT_TEST(file_when_empty_is_no_words),
	UNIT_TEST(many_lines_keep_their_order),
	UNIT_TEST(line_that_is_no_option_is_refused),
	UNIT_TEST(option_of_the_command_line_is_refused),
	UNIT_TEST(zero_byte_is_refused),
	UNIT_TEST(file_that_is_too_large_is_refused),
	UNIT_TEST(file_that_is_a_pipe_is_refused_at_once),
	UNIT_TEST(file_that_is_not_there_is_refused_by_name),
	UNIT_TEST(words_without_an_origin_have_none),
};

UNIT_MAIN(tests)
