/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "encode.h"

#include <math.h>
#include <string.h>

#define REPLACEMENT UINT32_C(0xfffd)

/* How many bytes follow a first byte, and the bits that it has; -1 for none. */
static int begin_char(unsigned char c, uint32_t *ret_bits)
{
	static const struct {
		unsigned char mask, is;
	} forms[] = { { 0x80, 0x00 }, { 0xe0, 0xc0 }, { 0xf0, 0xe0 }, { 0xf8, 0xf0 } };

	for (size_t i = 0; i < ARRAY_SIZE(forms); i++)
		if ((c & forms[i].mask) == forms[i].is) {
			*ret_bits = c & (unsigned char)~forms[i].mask;
			return (int)i;
		}
	return -1;
}

/* Neither longer than it needs to be, nor half of a pair, nor beyond the last. */
static bool well_formed(uint32_t c, int n_more)
{
	static const uint32_t least[] = { 0, 0x80, 0x800, 0x10000 };

	return c >= least[n_more] && c <= 0x10ffff && (c < 0xd800 || c > 0xdfff) &&
	       (c & 0xfffe) != 0xfffe;
}

uint32_t encode_next_char(const char **text)
{
	const char *p = *text;
	uint32_t c = 0;
	int n_more = begin_char((unsigned char)*p, &c);

	if (*p == '\0')
		return 0;
	*text = p + 1;
	if (n_more < 0)
		return REPLACEMENT;
	for (int i = 1; i <= n_more; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return REPLACEMENT;
		c = c << 6 | (p[i] & 0x3f);
	}
	if (!well_formed(c, n_more))
		return REPLACEMENT;
	*text = p + 1 + n_more;
	return c;
}

static void put_char(FILE *out, uint32_t c)
{
	if (c < 0x80) {
		fputc((int)c, out);
	} else if (c < 0x800) {
		fprintf(out, "%c%c", (int)(0xc0 | c >> 6), (int)(0x80 | (c & 0x3f)));
	} else if (c < 0x10000) {
		fprintf(out, "%c%c%c", (int)(0xe0 | c >> 12), (int)(0x80 | (c >> 6 & 0x3f)),
			(int)(0x80 | (c & 0x3f)));
	} else {
		fprintf(out, "%c%c%c%c", (int)(0xf0 | c >> 18), (int)(0x80 | (c >> 12 & 0x3f)),
			(int)(0x80 | (c >> 6 & 0x3f)), (int)(0x80 | (c & 0x3f)));
	}
}

/* What turns the direction of text, so that a line can be made to read as another. */
static bool is_turn(uint32_t c)
{
	return c == 0x61c || c == 0x200e || c == 0x200f || (c >= 0x202a && c <= 0x202e) ||
	       (c >= 0x2066 && c <= 0x2069);
}

/* Neither tab nor newline, and with C1: terminals act on those, too. */
static bool is_control(uint32_t c)
{
	return (c < 0x20 && c != '\t' && c != '\n') || (c >= 0x7f && c < 0xa0) || is_turn(c);
}

void encode_json_text(FILE *out, const char *text)
{
	uint32_t c;

	if (!text) {
		fputs("null", out);
		return;
	}
	fputc('"', out);
	while ((c = encode_next_char(&text)) != 0) {
		if (c == '"' || c == '\\')
			fprintf(out, "\\%c", (int)c);
		else if (c == '\n')
			fputs("\\n", out);
		else if (c == '\t')
			fputs("\\t", out);
		else if (is_control(c))
			fprintf(out, "\\u%04x", (unsigned int)c);
		else
			put_char(out, c);
	}
	fputc('"', out);
}

void encode_json_number(FILE *out, double value)
{
	if (!isfinite(value))
		fputs("null", out);
	else if (value == floor(value))
		fprintf(out, "%.0f", value);
	else
		fprintf(out, "%.9g", value);
}

void encode_hex(FILE *out, const uint8_t *bytes, size_t n)
{
	for (size_t i = 0; i < ENCODE_ROW; i++) {
		fputs(i == ENCODE_ROW / 2 ? "  " : " ", out);
		if (i < n)
			fprintf(out, "%02x", bytes[i]);
		else
			fputs("  ", out);
	}
}

void encode_ascii(FILE *out, const uint8_t *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		fputc(bytes[i] >= 0x20 && bytes[i] < 0x7f ? bytes[i] : '.', out);
}

void encode_xml(FILE *out, const char *text)
{
	uint32_t c;

	while ((c = encode_next_char(&text)) != 0) {
		switch (c) {
		case '&':
			fputs("&amp;", out);
			break;
		case '<':
			fputs("&lt;", out);
			break;
		case '>':
			fputs("&gt;", out);
			break;
		case '"':
			fputs("&quot;", out);
			break;
		default:
			put_char(out, is_control(c) ? REPLACEMENT : c);
			break;
		}
	}
}

void encode_lines(FILE *out, const char *text, int indent)
{
	bool begun = false;
	uint32_t c;

	while ((c = encode_next_char(&text)) != 0) {
		if (c == '\n') {
			fputc('\n', out);
			begun = false;
			continue;
		}
		if (!begun)
			fprintf(out, "%*s", indent, "");
		begun = true;
		put_char(out, is_control(c) ? REPLACEMENT : c);
	}
	if (begun)
		fputc('\n', out);
}

void encode_line(FILE *out, const char *text, const char *escape)
{
	uint32_t c;

	while ((c = encode_next_char(&text)) != 0) {
		if (c < 0x80 && strchr(escape, (int)c))
			fputc('\\', out);
		if (c == '\n' || c == '\t')
			fputc(' ', out);
		else
			put_char(out, is_control(c) ? REPLACEMENT : c);
	}
}
