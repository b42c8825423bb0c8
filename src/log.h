/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Log lines on stderr: "program: who: sentence". One write(2) per line. Bytes
 * outside printable ASCII are shown as \xNN, since parts of a line may come
 * from a guest or a peer and must not act on the terminal.
 */
#ifndef VHU_LOG_H
#define VHU_LOG_H

#include "base.h"

enum log_level {
	LOG_LEVEL_ERROR,   /* the operator must act */
	LOG_LEVEL_WARNING, /* a peer or a guest misbehaves; callers limit the rate */
	LOG_LEVEL_INFO,	   /* life of sessions */
	LOG_LEVEL_DEBUG,   /* every message */
	LOG_LEVEL_TRACE,   /* every kick */
};

/* A line longer than this is cut, and ends in "..." to say so. */
enum { LOG_LINE_MAX = 1024 };

/* Lines above this level are dropped. LOG_LEVEL_INFO at start. */
void log_set_level(enum log_level level);

/* Whether a line of this level would be written. */
bool log_enabled(enum log_level level);

/* Level from its name, "error" to "trace". Zero or -EINVAL. */
int log_level_parse(const char *name, enum log_level *ret_level);

/* First word of every line; the string is kept by reference. NULL for none. */
void log_set_program(const char *name);

/* Whether lines end in \r\n, as a terminal in raw mode needs. */
void log_set_crlf(bool crlf);

/*
 * Writes one line if the level is enabled. who names the object the line is
 * about ("console0/q1") and may be NULL. The text has no newline of its own.
 * errno stays as it was; a line that cannot be written is lost.
 */
PRINTF_LIKE(3, 4)
void log_line(enum log_level level, const char *who, const char *fmt, ...);

/* As log_line(), followed by ": " and the text of the negative errno err. Returns err. */
PRINTF_LIKE(4, 5)
int log_errno(enum log_level level, const char *who, int err, const char *fmt, ...);

/* The arguments are evaluated only if the line will be written. */
#define log_at(level, who, ...)                                                                    \
	do {                                                                                       \
		if (log_enabled(level))                                                            \
			log_line(level, who, __VA_ARGS__);                                         \
	} while (0)

#define log_error(who, ...) log_at(LOG_LEVEL_ERROR, who, __VA_ARGS__)
#define log_warning(who, ...) log_at(LOG_LEVEL_WARNING, who, __VA_ARGS__)
#define log_info(who, ...) log_at(LOG_LEVEL_INFO, who, __VA_ARGS__)
#define log_debug(who, ...) log_at(LOG_LEVEL_DEBUG, who, __VA_ARGS__)
#define log_trace(who, ...) log_at(LOG_LEVEL_TRACE, who, __VA_ARGS__)

/* Ten lines at once, then one a second. */
enum { LOG_LIMIT_BURST = 10 };

/* Keeps a peer from filling the log. All zero is the start. */
struct log_limit {
	uint64_t since_ns;	   /* monotonic time up to which n_spent is settled */
	unsigned int n_spent;	   /* lines written and not earned back yet */
	unsigned int n_suppressed; /* lines withheld since the last one that passed */
};

/*
 * Whether one more line may be written now. When it may, *ret_n_suppressed is
 * the number of lines withheld before it, for the line to mention.
 */
bool log_limit_pass(struct log_limit *limit, unsigned int *ret_n_suppressed);

/* The same at a given monotonic time in nanoseconds, which never goes back. */
bool log_limit_pass_at(struct log_limit *limit, uint64_t now_ns, unsigned int *ret_n_suppressed);

#endif
