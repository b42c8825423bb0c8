/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <string.h>

#include "encode.h"
#include "trace/views/views-private.h"

enum { COLUMNS = 100 };

void view_paint(FILE *out, const struct view_options *options, const char *code)
{
	if (options->color)
		fprintf(out, "\033[%sm", code);
}

void view_put_ns(FILE *out, uint64_t ns)
{
	static const char *const units[] = { "ns", "us", "ms", "s" };
	double value = (double)ns;
	size_t i = 0;

	for (; value >= 999.5 && i + 1 < ARRAY_SIZE(units); i++)
		value /= 1000;
	fprintf(out, "%.*f %s",
		i == 0 || value >= 99.95 ? 0
		: value >= 9.995	 ? 1
					 : 2,
		value, units[i]);
}

static void put_escaped(FILE *out, uint8_t c)
{
	static const char named[] = "\a\b\t\n\v\f\r";
	const char *which = c != '\0' ? memchr(named, c, sizeof(named) - 1) : NULL;

	if (which)
		fprintf(out, "\\%c", "abtnvfr"[which - named]);
	else if (c == '"' || c == '\\')
		fprintf(out, "\\%c", c);
	else if (c >= 0x20 && c < 0x7f)
		fputc(c, out);
	else
		fprintf(out, "\\x%02x", c);
}

void view_put_excerpt(FILE *out, const uint8_t *bytes, size_t len, size_t most)
{
	fputc('"', out);
	for (size_t i = 0; i < min_size(len, most); i++)
		put_escaped(out, bytes[i]);
	fputs(len > most ? "\"..." : "\"", out);
}

static void put_row(FILE *out, const struct view_dump *dump, const uint8_t *row, size_t n)
{
	for (size_t i = 0; i < n; i++)
		fprintf(out, " %02x", row[i]);
	if (dump->ascii || dump->label)
		fprintf(out, "%*s  ", (int)(dump->width - n) * 3, "");
	if (!dump->ascii)
		return;
	fputc('|', out);
	encode_ascii(out, row, n);
	fputc('|', out);
}

void view_put_dump(FILE *out, const struct view_dump *dump, const uint8_t *bytes, size_t len,
		   int indent)
{
	bool starred = false;

	for (size_t at = 0; at < len; at += dump->width) {
		size_t n = min_size(len - at, dump->width);
		bool again = at > 0 && n == dump->width && at + n < len &&
			     memcmp(bytes + at, bytes + at - n, n) == 0;

		if (again && !starred)
			fprintf(out, "%*s*\n", indent, "");
		starred = again;
		if (again)
			continue;
		fprintf(out, "%*s%04zx ", indent, "", dump->at + at);
		put_row(out, dump, bytes + at, n);
		if (at == 0 && dump->label)
			fprintf(out, "%s%s", dump->ascii ? "  " : "", dump->label);
		fputc('\n', out);
	}
}

/* Groups in braces stay whole, and so does what is in brackets at the end. */
static bool keeps_together(const char *text, size_t end)
{
	const char *tail = strrchr(text, '(');
	int depth = 0;

	if (tail && text + end > tail && text[strlen(text) - 1] == ')')
		return true;
	for (size_t i = 0; i < end; i++)
		depth += text[i] == '{' ? 1 : text[i] == '}' ? -1 : 0;
	return depth > 0;
}

/* The last blank up to end where a line may break; 0: there is none. */
static size_t break_before(const char *text, size_t end, bool anywhere)
{
	for (; end > 0; end--)
		if (text[end] == ' ' && text[end - 1] != ' ' &&
		    (anywhere || !keeps_together(text, end)))
			return end;
	return 0;
}

/* How much of text goes into a line of room columns. */
static size_t piece(const char *text, size_t room)
{
	size_t len = strlen(text);
	size_t end;

	if (len <= room)
		return len;
	end = break_before(text, room, false);
	if (end == 0)
		end = break_before(text, room, true);
	return end > 0 ? end : strcspn(text, " ");
}

void view_put_wrapped(FILE *out, const char *text, size_t at, size_t indent)
{
	for (;;) {
		size_t n = piece(text, at < COLUMNS ? COLUMNS - at : 1);

		fprintf(out, "%.*s\n", (int)n, text);
		text += n;
		while (*text == ' ')
			text++;
		if (*text == '\0')
			return;
		fprintf(out, "%*s", (int)indent, "");
		at = indent;
	}
}
