/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "backends/log-text.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

size_t log_text_time(uint64_t ms, char buf[LOG_TEXT_TIME_MAX])
{
	time_t seconds = (time_t)(ms / 1000);
	struct tm tm;
	size_t len;

	gmtime_r(&seconds, &tm);
	len = strftime(buf, LOG_TEXT_TIME_MAX, "%Y-%m-%dT%H:%M:%S", &tm);
	return len + (size_t)snprintf(buf + len, LOG_TEXT_TIME_MAX - len, ".%03uZ",
				      (unsigned int)(ms % 1000));
}

/* With a NUL, which does not count. */
static size_t put(char *out, const char *text)
{
	return (size_t)(stpcpy(out, text) - out);
}

/* What stands at the start of a line; at most LOG_TEXT_TIME_MAX + 2 bytes. */
static size_t begin_line(const struct log_text *t, uint64_t ms, const char *mark, char *out)
{
	char when[LOG_TEXT_TIME_MAX];
	size_t len = 0;

	if (t->timestamps) {
		log_text_time(ms, when);
		len += put(out, when);
		len += put(out + len, " ");
	}
	return len + put(out + len, mark);
}

size_t log_text_output(struct log_text *t, uint64_t ms, const void *in, size_t len, char *out,
		       size_t cap, size_t *ret_len)
{
	const char *from = in;
	size_t used = 0, n = 0;

	while (used < len && cap - n >= LOG_TEXT_OUTPUT_MIN) {
		const char *newline = memchr(from + used, '\n', len - used);
		size_t line = newline ? (size_t)(newline + 1 - (from + used)) : len - used;

		if (!t->inside_line)
			n += begin_line(t, ms, t->marks ? "< " : "", out + n);
		if (line > cap - n) {
			line = cap - n;
			newline = NULL;
		}
		memcpy(out + n, from + used, line);
		n += line;
		used += line;
		t->inside_line = !newline;
	}
	*ret_len = n;
	return used;
}

/* Ends what is under way, so that a line of its own can begin. */
static size_t begin_own_line(struct log_text *t, uint64_t ms, const char *mark, char *out)
{
	size_t n = t->inside_line ? put(out, "\n") : 0;

	t->inside_line = false;
	return n + begin_line(t, ms, mark, out + n);
}

size_t log_text_line(struct log_text *t, uint64_t ms, const char *text, char out[LOG_TEXT_LINE_MAX])
{
	size_t n = begin_own_line(t, ms, "", out);

	n += put(out + n, text);
	return n + put(out + n, "\n");
}

size_t log_text_input(struct log_text *t, uint64_t ms, const void *typed, size_t len,
		      char out[LOG_TEXT_LINE_MAX])
{
	const uint8_t *key = typed;
	size_t n = begin_own_line(t, ms, "> ", out);

	for (size_t i = 0; i < len; i++) {
		if (key[i] >= 0x20 && key[i] <= 0x7e && key[i] != '\\')
			out[n++] = (char)key[i];
		else
			n += (size_t)snprintf(out + n, 5, "\\x%02x", key[i]);
	}
	return n + put(out + n, "\n");
}
