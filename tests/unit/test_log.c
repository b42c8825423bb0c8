/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "unit.h"

#include "log.h"

#define SECOND UINT64_C(1000000000)

/*
 * stderr of the process while a test looks at it: a socket that keeps one
 * message per write, so that a line in two writes would show.
 */
struct capture {
	int saved;
	int reader;
	char text[LOG_LINE_MAX * 2];
};

static int capture_setup(void **state)
{
	static struct capture capture;
	int pair[2];

	unit_setup(state);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -1;
	capture.saved = dup(STDERR_FILENO);
	capture.reader = pair[0];
	dup2(pair[1], STDERR_FILENO);
	fd_close(pair[1]);
	*state = &capture;
	log_set_level(LOG_LEVEL_INFO);
	log_set_program(NULL);
	log_set_crlf(false);
	return 0;
}

static int capture_teardown(void **state)
{
	struct capture *c = *state;

	dup2(c->saved, STDERR_FILENO);
	fd_close(c->saved);
	fd_close(c->reader);
	return unit_teardown(state);
}

/* What the next write to stderr said; "" when there was none. */
static const char *capture_read(struct capture *c)
{
	ssize_t n = recv(c->reader, c->text, sizeof(c->text) - 1, MSG_DONTWAIT);

	c->text[n > 0 ? n : 0] = '\0';
	return c->text;
}

static void line_has_program_object_and_text_in_one_write(void **state)
{
	(void)state;
	log_set_program("prog");
	log_line(LOG_LEVEL_INFO, "console0/q1", "stopped at %d", 7);
	assert_string_equal(capture_read(*state), "prog: console0/q1: stopped at 7\n");
	assert_string_equal(capture_read(*state), "");
}

static void line_when_no_program_and_no_object_is_the_text(void **state)
{
	log_line(LOG_LEVEL_INFO, NULL, "text");
	assert_string_equal(capture_read(*state), "text\n");
}

static void line_when_crlf_is_set_ends_in_crlf(void **state)
{
	log_set_crlf(true);
	log_line(LOG_LEVEL_INFO, NULL, "text");
	assert_string_equal(capture_read(*state), "text\r\n");
}

static void line_when_above_level_is_dropped(void **state)
{
	log_line(LOG_LEVEL_DEBUG, NULL, "text");
	assert_string_equal(capture_read(*state), "");
	log_set_level(LOG_LEVEL_DEBUG);
	log_line(LOG_LEVEL_DEBUG, NULL, "text");
	assert_string_equal(capture_read(*state), "text\n");
}

static void line_when_text_has_control_bytes_escapes_them(void **state)
{
	log_line(LOG_LEVEL_ERROR, "a\nb", "%s", "\x1b[2J\r\n\x7f\x9b\tz");
	assert_string_equal(capture_read(*state), "a\\x0ab: \\x1b[2J\\x0d\\x0a\\x7f\\x9b\\x09z\n");
}

static void line_when_too_long_is_cut_and_says_so(void **state)
{
	char text[2 * LOG_LINE_MAX];
	size_t len;

	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	log_set_crlf(true);
	log_line(LOG_LEVEL_ERROR, NULL, "%s", text);
	len = strlen(capture_read(*state));
	assert_true(len <= LOG_LINE_MAX);
	assert_string_equal(((struct capture *)*state)->text + len - 6, "a...\r\n");
	memset(text, '\n', sizeof(text) - 1);
	log_line(LOG_LEVEL_ERROR, NULL, "%s", text);
	len = strlen(capture_read(*state));
	assert_true(len <= LOG_LINE_MAX);
	assert_string_equal(((struct capture *)*state)->text + len - 9, "\\x0a...\r\n");
}

static void line_when_written_keeps_errno(void **state)
{
	errno = EXDEV;
	log_line(LOG_LEVEL_ERROR, NULL, "text");
	assert_int_equal(errno, EXDEV);
	assert_string_equal(capture_read(*state), "text\n");
}

static void errno_line_ends_in_the_error_and_returns_it(void **state)
{
	assert_int_equal(log_errno(LOG_LEVEL_ERROR, "tcp", -ENOENT, "port %d", 5), -ENOENT);
	assert_string_equal(capture_read(*state), "tcp: port 5: No such file or directory\n");
	assert_int_equal(log_errno(LOG_LEVEL_TRACE, "tcp", -ENOENT, "port %d", 5), -ENOENT);
	assert_string_equal(capture_read(*state), "");
}

static int count_call(int *n_calls)
{
	return ++*n_calls;
}

static void macros_when_level_is_off_do_not_evaluate(void **state)
{
	int n_calls = 0;

	log_debug(NULL, "%d", count_call(&n_calls));
	log_trace(NULL, "%d", count_call(&n_calls));
	assert_int_equal(n_calls, 0);
	log_info(NULL, "%d", count_call(&n_calls));
	assert_string_equal(capture_read(*state), "1\n");
	log_warning(NULL, "%d", count_call(&n_calls));
	assert_string_equal(capture_read(*state), "2\n");
	log_error(NULL, "%d", count_call(&n_calls));
	assert_string_equal(capture_read(*state), "3\n");
}

static void level_parse_knows_the_five_names(void **state)
{
	enum log_level level = LOG_LEVEL_INFO;

	(void)state;
	assert_int_equal(log_level_parse("error", &level), 0);
	assert_int_equal(level, LOG_LEVEL_ERROR);
	assert_int_equal(log_level_parse("trace", &level), 0);
	assert_int_equal(level, LOG_LEVEL_TRACE);
	assert_int_equal(log_level_parse("loud", &level), -EINVAL);
	assert_int_equal(level, LOG_LEVEL_TRACE);
}

/* How many of n lines pass at a given time. */
static unsigned int limit_passes(struct log_limit *limit, uint64_t now, unsigned int n)
{
	unsigned int n_passed = 0, n_suppressed;

	for (unsigned int i = 0; i < n; i++)
		n_passed += log_limit_pass_at(limit, now, &n_suppressed);
	return n_passed;
}

static void limit_when_burst_is_spent_passes_one_a_second(void **state)
{
	struct log_limit limit = { 0 };

	(void)state;
	assert_int_equal(limit_passes(&limit, 500 * SECOND, 100), LOG_LIMIT_BURST);
	assert_int_equal(limit_passes(&limit, 501 * SECOND - 1, 100), 0);
	assert_int_equal(limit_passes(&limit, 501 * SECOND, 100), 1);
	assert_int_equal(limit_passes(&limit, 502 * SECOND + 1, 100), 1);
	assert_int_equal(limit_passes(&limit, 503 * SECOND, 100), 1);
	assert_int_equal(limit_passes(&limit, 506 * SECOND, 100), 3);
}

static void limit_when_quiet_for_long_allows_one_burst_again(void **state)
{
	struct log_limit limit = { 0 };

	(void)state;
	assert_int_equal(limit_passes(&limit, SECOND, 100), LOG_LIMIT_BURST);
	assert_int_equal(limit_passes(&limit, 1000 * SECOND, 100), LOG_LIMIT_BURST);
}

static void limit_when_passing_again_says_how_many_were_withheld(void **state)
{
	struct log_limit limit = { 0 };
	unsigned int n_suppressed = 99;

	(void)state;
	assert_true(log_limit_pass_at(&limit, SECOND, &n_suppressed));
	assert_int_equal(n_suppressed, 0);
	limit_passes(&limit, SECOND, LOG_LIMIT_BURST - 1 + 7);
	assert_true(log_limit_pass_at(&limit, 2 * SECOND, &n_suppressed));
	assert_int_equal(n_suppressed, 7);
	assert_true(log_limit_pass_at(&limit, 3 * SECOND, &n_suppressed));
	assert_int_equal(n_suppressed, 0);
}

static void limit_by_the_clock_passes_the_first_burst(void **state)
{
	struct log_limit limit = { 0 };
	unsigned int n_suppressed;

	(void)state;
	for (unsigned int i = 0; i < LOG_LIMIT_BURST; i++)
		assert_true(log_limit_pass(&limit, &n_suppressed));
}

#define CAPTURE_TEST(f) UNIT_TEST_WITH(f, capture_setup, capture_teardown)

static const struct CMUnitTest tests[] = {
	CAPTURE_TEST(line_has_program_object_and_text_in_one_write),
	CAPTURE_TEST(line_when_no_program_and_no_object_is_the_text),
	CAPTURE_TEST(line_when_crlf_is_set_ends_in_crlf),
	CAPTURE_TEST(line_when_above_level_is_dropped),
	CAPTURE_TEST(line_when_text_has_control_bytes_escapes_them),
	CAPTURE_TEST(line_when_too_long_is_cut_and_says_so),
	CAPTURE_TEST(line_when_written_keeps_errno),
	CAPTURE_TEST(errno_line_ends_in_the_error_and_returns_it),
	CAPTURE_TEST(macros_when_level_is_off_do_not_evaluate),
	UNIT_TEST(level_parse_knows_the_five_names),
	UNIT_TEST(limit_when_burst_is_spent_passes_one_a_second),
	UNIT_TEST(limit_when_quiet_for_long_allows_one_burst_again),
	UNIT_TEST(limit_when_passing_again_says_how_many_were_withheld),
	UNIT_TEST(limit_by_the_clock_passes_the_first_burst),
};

UNIT_MAIN(tests)
