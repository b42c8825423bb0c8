/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "daemon/control-text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ESCAPE_MAX = 10 }; /* "\u{10ffff}" */

static size_t length_of(uint8_t first)
{
	if (first < 0x80)
		return 1;
	if (first < 0xc2)
		return 0; /* the middle of one, or a longer form than needed */
	if (first < 0xe0)
		return 2;
	if (first < 0xf0)
		return 3;
	return first < 0xf5 ? 4 : 0;
}

size_t utf8_char(const char *text, size_t len, uint32_t *ret_char)
{
	static const uint32_t lowest[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t n = len > 0 ? length_of((uint8_t)text[0]) : 0;
	uint32_t c;

	if (n == 0 || n > len)
		return 0;
	c = (uint8_t)text[0] & (n == 1 ? 0x7f : 0xffu >> (n + 1));
	for (size_t i = 1; i < n; i++) {
		if (((uint8_t)text[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | ((uint8_t)text[i] & 0x3f);
	}
	if (c < lowest[n] || (c >= 0xd800 && c < 0xe000) || c > 0x10ffff)
		return 0;
	*ret_char = c;
	return n;
}

bool utf8_valid(const char *text, size_t len)
{
	size_t n;
	uint32_t c;

	for (; len > 0; text += n, len -= n) {
		n = utf8_char(text, len, &c);
		if (n == 0)
			return false;
	}
	return true;
}

bool utf8_is_control(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x61c || c == 0x200e || c == 0x200f ||
	       (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

size_t utf8_width(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += ((uint8_t)*text & 0xc0) != 0x80;
	return n;
}

/* What one character becomes: n bytes of text, or one that is no UTF-8 when n is 0. */
typedef size_t put_fn(char *out, const char *text, size_t n, uint32_t c);

static char *convert(const char *text, put_fn *put)
{
	size_t len = strlen(text), done = 0, out_len = 0;
	char *out = malloc(len * ESCAPE_MAX + ESCAPE_MAX + 1);

	if (!out)
		return NULL;
	while (done < len) {
		uint32_t c = 0;
		size_t n = utf8_char(text + done, len - done, &c);

		out_len += put(out + out_len, text + done, n, c);
		done += n > 0 ? n : 1;
	}
	out[out_len] = '\0';
	return out;
}

static size_t put_as_is(char *out, const char *text, size_t n)
{
	memcpy(out, text, n);
	return n;
}

static size_t put_repaired(char *out, const char *text, size_t n, uint32_t c)
{
	(void)c;
	return n > 0 ? put_as_is(out, text, n) : put_as_is(out, "\xef\xbf\xbd", 3);
}

char *utf8_repair(const char *text)
{
	return convert(text, put_repaired);
}

static size_t put_for_terminal(char *out, const char *text, size_t n, uint32_t c)
{
	if (n == 0 || (n == 1 && utf8_is_control(c)))
		return (size_t)sprintf(out, "\\x%02x", (uint8_t)text[0]);
	if (utf8_is_control(c))
		return (size_t)sprintf(out, "\\u{%" PRIx32 "}", c);
	return put_as_is(out, text, n);
}

char *text_for_terminal(const char *text)
{
	return convert(text, put_for_terminal);
}

/* Blanks and line ends between the parts of JSON stay. */
static size_t put_json(char *out, const char *text, size_t n, uint32_t c)
{
	if (n > 0 && utf8_is_control(c) && c != '\n')
		return (size_t)sprintf(out, "\\u%04" PRIx32, c);
	return put_repaired(out, text, n, c);
}

char *json_for_terminal(const char *json)
{
	return convert(json, put_json);
}
