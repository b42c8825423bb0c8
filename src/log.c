/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"

#define NSEC_PER_SEC UINT64_C(1000000000)

/* Nobody's line comes between another's question whether there is room, and its write. */
static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;

/*
 * How the program talks to its operator. The level is read and written without
 * the lock.
 */
static struct {
	enum log_level level;
	const char *program;
	bool crlf;
	unsigned int n_lost; /* lines that nobody took, not told of yet */
} log_state = { .level = LOG_LEVEL_INFO };

static const char *const level_names[] = {
	[LOG_LEVEL_ERROR] = "error", [LOG_LEVEL_WARNING] = "warning", [LOG_LEVEL_INFO] = "info",
	[LOG_LEVEL_DEBUG] = "debug", [LOG_LEVEL_TRACE] = "trace",
};

/* A line in the making. Room for the end ("...\r\n") is kept free until line_write(). */
struct line {
	char text[LOG_LINE_MAX];
	size_t len;
	bool cut;
};

enum { LINE_END_MAX = 5 };

void log_set_level(enum log_level level)
{
	__atomic_store_n(&log_state.level, level, __ATOMIC_RELAXED);
}

bool log_enabled(enum log_level level)
{
	return level <= __atomic_load_n(&log_state.level, __ATOMIC_RELAXED);
}

int log_level_parse(const char *name, enum log_level *ret_level)
{
	for (size_t i = 0; i < ARRAY_SIZE(level_names); i++) {
		if (strcmp(name, level_names[i]) == 0) {
			*ret_level = (enum log_level)i;
			return 0;
		}
	}
	return -EINVAL;
}

void log_set_program(const char *name)
{
	log_state.program = name;
}

void log_set_crlf(bool crlf)
{
	pthread_mutex_lock(&log_lock);
	log_state.crlf = crlf;
	pthread_mutex_unlock(&log_lock);
}

static void line_add_byte(struct line *line, unsigned char c)
{
	static const char hex[] = "0123456789abcdef";
	bool printable = c >= 0x20 && c <= 0x7e;
	size_t need = printable ? 1 : 4;

	if (line->cut || need > sizeof(line->text) - LINE_END_MAX - line->len) {
		line->cut = true;
		return;
	}
	if (printable) {
		line->text[line->len++] = (char)c;
		return;
	}
	line->text[line->len++] = '\\';
	line->text[line->len++] = 'x';
	line->text[line->len++] = hex[c >> 4];
	line->text[line->len++] = hex[c & 15];
}

static void line_add(struct line *line, const char *text)
{
	for (; *text; text++)
		line_add_byte(line, (unsigned char)*text);
}

PRINTF_LIKE(2, 0)
static void line_add_format(struct line *line, const char *fmt, va_list args)
{
	/* As long as a whole line: what vsnprintf() cuts would not have fitted either. */
	char text[LOG_LINE_MAX];

	if (vsnprintf(text, sizeof(text), fmt, args) >= 0)
		line_add(line, text);
}

static void line_start(struct line *line, const char *who)
{
	line->len = 0;
	line->cut = false;
	if (log_state.program) {
		line_add(line, log_state.program);
		line_add(line, ": ");
	}
	if (who) {
		line_add(line, who);
		line_add(line, ": ");
	}
}

/* seccomp: write */
static void write_all(const char *text, size_t len)
{
	while (len > 0) {
		ssize_t n = write(STDERR_FILENO, text, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;
		text += n;
		len -= (size_t)n;
	}
}

static void tell_lost(void)
{
	char text[64];
	int len = snprintf(text, sizeof(text), "(%u log lines were lost: nobody read them)%s",
			   log_state.n_lost, log_state.crlf ? "\r\n" : "\n");

	log_state.n_lost = 0;
	write_all(text, (size_t)len);
}

/*
 * Whoever reads our lines may have stopped: a full pipe, a terminal held by
 * ^S. What is ready takes at least a line, so the write that follows does not
 * wait.
 */
/* seccomp: poll ppoll */
static bool may_write(void)
{
	struct pollfd p = { .fd = STDERR_FILENO, .events = POLLOUT };

	return poll(&p, 1, 0) == 1 && (p.revents & POLLOUT);
}

static void line_write_locked(struct line *line)
{
	const char *end = line->cut ? (log_state.crlf ? "...\r\n" : "...\n")
				    : (log_state.crlf ? "\r\n" : "\n");

	memcpy(line->text + line->len, end, strlen(end));
	line->len += strlen(end);
	if (!may_write()) {
		log_state.n_lost++;
		return;
	}
	if (log_state.n_lost > 0)
		tell_lost();
	write_all(line->text, line->len);
}

static void line_write(struct line *line)
{
	pthread_mutex_lock(&log_lock);
	line_write_locked(line);
	pthread_mutex_unlock(&log_lock);
}

void log_line(enum log_level level, const char *who, const char *fmt, ...)
{
	int saved = errno;
	struct line line;
	va_list args;

	if (!log_enabled(level))
		return;
	line_start(&line, who);
	va_start(args, fmt);
	line_add_format(&line, fmt, args);
	va_end(args);
	line_write(&line);
	errno = saved;
}

int log_errno(enum log_level level, const char *who, int err, const char *fmt, ...)
{
	int saved = errno;
	struct line line;
	va_list args;

	if (!log_enabled(level))
		return err;
	line_start(&line, who);
	va_start(args, fmt);
	line_add_format(&line, fmt, args);
	va_end(args);
	line_add(&line, ": ");
	line_add(&line, strerror(-err));
	line_write(&line);
	errno = saved;
	return err;
}

bool log_limit_pass_at(struct log_limit *limit, uint64_t now_ns, unsigned int *ret_n_suppressed)
{
	uint64_t n_earned = (now_ns - limit->since_ns) / NSEC_PER_SEC;

	if (n_earned >= limit->n_spent) {
		/* All paid back; the next second counts from now. */
		limit->n_spent = 0;
		limit->since_ns = now_ns;
	} else {
		limit->n_spent -= (unsigned int)n_earned;
		limit->since_ns += n_earned * NSEC_PER_SEC;
	}
	if (limit->n_spent >= LOG_LIMIT_BURST) {
		limit->n_suppressed++;
		return false;
	}
	limit->n_spent++;
	*ret_n_suppressed = limit->n_suppressed;
	limit->n_suppressed = 0;
	return true;
}

bool log_limit_pass(struct log_limit *limit, unsigned int *ret_n_suppressed)
{
	return log_limit_pass_at(limit, monotonic_ns(), ret_n_suppressed);
}
