/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What a log file says: output as it comes, or with the time and a mark at each
 * start of a line, and lines of our own between. With marks, "< " begins
 * output, "> " begins input, and neither begins a line of ours.
 */
#ifndef VHU_BACKENDS_LOG_TEXT_H
#define VHU_BACKENDS_LOG_TEXT_H

#include "base.h"

enum {
	LOG_TEXT_TIME_MAX = 32,	  /* bytes of a time with a space and a NUL */
	LOG_TEXT_TYPED_MAX = 256, /* bytes of input that make a line even without Enter */
	/* Room for any one line of ours: \xNN for each byte typed, time, mark, newlines. */
	LOG_TEXT_LINE_MAX = 4 * LOG_TEXT_TYPED_MAX + LOG_TEXT_TIME_MAX + 128,
	LOG_TEXT_OUTPUT_MIN = LOG_TEXT_TIME_MAX + 8, /* room for one byte of output */
};

struct log_text {
	bool timestamps, marks;
	bool inside_line; /* what was written last did not end its line */
};

/* RFC 3339 in UTC with milliseconds, from ms since 1970. Returns the length, 24. */
size_t log_text_time(uint64_t ms, char buf[LOG_TEXT_TIME_MAX]);

/*
 * Output that comes at that time: to out, of cap bytes, goes as much of in as
 * fits. Returns the bytes of in that were used; *ret_len those written.
 */
size_t log_text_output(struct log_text *t, uint64_t ms, const void *in, size_t len, char *out,
		       size_t cap, size_t *ret_len);

/* A line of its own, of at most LOG_TEXT_LINE_MAX - 64 bytes. Returns the bytes written. */
size_t log_text_line(struct log_text *t, uint64_t ms, const char *text,
		     char out[LOG_TEXT_LINE_MAX]);

/*
 * Input as a line: "> " and what was typed, where all but printable ASCII, and
 * the backslash, is \xNN. len is at most LOG_TEXT_TYPED_MAX.
 */
size_t log_text_input(struct log_text *t, uint64_t ms, const void *typed, size_t len,
		      char out[LOG_TEXT_LINE_MAX]);

#endif
