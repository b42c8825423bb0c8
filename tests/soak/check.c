/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "check.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base.h"

enum {
	CHANCE = 6,			/* bytes that may be right by chance before one is wrong */
	CERTAIN = 12,			/* and these cannot */
	DEPTH = 16,			/* gaps within what is held */
	STEP = PATTERN_LOCATE + CHANCE, /* enough to say where they are from */
	PLACE_MAX = 3 * PATTERN_LOCATE, /* bytes of which PATTERN_LOCATE must be of one place */
};

void check_gap_note(struct check_gaps *gaps, uint64_t lo, uint64_t hi)
{
	gaps->ring[gaps->n % CHECK_GAPS] = (struct check_gap){ lo, hi };
	__atomic_store_n(&gaps->n, gaps->n + 1, __ATOMIC_RELEASE);
}

static unsigned int copy_gaps(const struct check_gaps *gaps, struct check_gap *ret_gaps)
{
	uint64_t n = __atomic_load_n(&gaps->n, __ATOMIC_ACQUIRE);
	unsigned int n_there = (unsigned int)min_u64(n, CHECK_GAPS);

	for (unsigned int i = 0; i < n_there; i++)
		ret_gaps[i] = gaps->ring[i];
	return n_there;
}

uint64_t check_gap_sum(const struct check_gaps *gaps, uint64_t pos)
{
	struct check_gap ring[CHECK_GAPS];
	unsigned int n = copy_gaps(gaps, ring);
	uint64_t sum = 0;

	for (unsigned int i = 0; i < n; i++)
		if (ring[i].hi > pos)
			sum += ring[i].hi - (ring[i].lo > pos ? ring[i].lo : pos);
	return sum;
}

void check_init(struct check *c, enum check_kind kind, struct pattern pattern,
		const struct check_gaps *gaps)
{
	*c = (struct check){ .kind = kind, .pattern = pattern, .gaps = gaps };
	check_begin(c, 0, 0);
}

void check_begin(struct check *c, uint64_t from, uint64_t to)
{
	c->n_held = 0;
	c->n_line = 0;
	c->placed = from == to;
	c->pos = c->run_from = c->from = from;
	c->to = to;
}

uint64_t check_position(const struct check *c)
{
	return c->placed ? c->pos : c->from;
}

static bool wrong(struct check *c, const uint8_t *bytes, size_t len)
{
	uint64_t from = 0;
	bool known = pattern_locate(&c->pattern, bytes, min_size(len, PATTERN_LOCATE), &from);
	int n = snprintf(c->error, sizeof(c->error), "byte %" PRIu64 " is 0x%02x, expected 0x%02x",
			 c->pos, bytes[0], pattern_byte(&c->pattern, c->pos));

	if (known)
		snprintf(c->error + n, sizeof(c->error) - (size_t)n,
			 "; what came is from byte %" PRIu64 " on", from);
	return false;
}

/* Placed, and something does not match: through which gaps? */

struct fit {
	struct check_gap gaps[CHECK_GAPS];
	unsigned int n_gaps;
	uint64_t end; /* behind the last byte */
	size_t tail;  /* bytes since the last gap */
};

static bool fits(const struct check *c, struct fit *f, uint64_t pos, const uint8_t *bytes,
		 size_t len, unsigned int depth)
{
	size_t n = pattern_match(&c->pattern, pos, bytes, len);

	if (n == len) {
		f->end = pos + len;
		f->tail = len;
		return true;
	}
	if (depth == DEPTH)
		return false;
	for (size_t back = 0; back <= min_size(n, CHANCE); back++) {
		size_t at = n - back;

		for (unsigned int i = 0; i < f->n_gaps; i++) {
			const struct check_gap *g = &f->gaps[i];

			if (g->lo <= pos + at && pos + at < g->hi &&
			    fits(c, f, g->hi, bytes + at, len - at, depth + 1))
				return true;
		}
	}
	return false;
}

/* The first that do not match go to those held, with some that did by chance. */
static void begin_holding(struct check *c)
{
	size_t back = (size_t)min_u64(c->pos - c->run_from, CHANCE);

	c->pos -= back;
	c->n_bytes -= back;
	pattern_fill(&c->pattern, c->pos, c->held, back);
	c->n_held = back;
}

/* Bytes of anywhere, as any may be missing. */
static void lose_place(struct check *c)
{
	size_t n = pattern_match(&c->pattern, c->pos, c->held, c->n_held);

	c->n_bytes += n;
	c->n_held -= n;
	memmove(c->held, c->held + n, c->n_held);
	c->from = c->pos + n;
	c->to = UINT64_MAX;
	c->placed = false;
}

static bool judge_held(struct check *c, bool last)
{
	struct fit f;
	size_t n;

	f.n_gaps = copy_gaps(c->gaps, f.gaps);
	if (!fits(c, &f, c->pos, c->held, c->n_held, 0)) {
		if (c->kind == CHECK_FREE) {
			lose_place(c);
			return true;
		}
		n = pattern_match(&c->pattern, c->pos, c->held, c->n_held);
		c->pos += n;
		return wrong(c, c->held + n, c->n_held - n);
	}
	if (f.tail < CERTAIN && !last) {
		if (c->n_held < CHECK_HELD)
			return true;
		snprintf(c->error, sizeof(c->error), "no place for what follows byte %" PRIu64,
			 c->pos);
		return false;
	}
	c->n_bytes += c->n_held;
	c->n_jumps++;
	c->pos = f.end;
	c->run_from = f.end - f.tail;
	c->n_held = 0;
	return true;
}

/* Not placed: where is it from? */

static bool place_from(struct check *c, size_t skipped)
{
	uint64_t pos;

	if (!pattern_locate(&c->pattern, c->held + skipped, PATTERN_LOCATE, &pos))
		return false;
	if (pos < c->from || pos - c->from > c->to - c->from)
		return false;
	c->placed = true;
	c->pos = c->run_from = pos;
	c->n_unplaced += skipped;
	c->n_jumps++;
	return true;
}

static bool place(struct check *c)
{
	uint8_t rest[CHECK_HELD];

	for (size_t at = 0; at + PATTERN_LOCATE <= c->n_held; at++) {
		size_t n = c->n_held - at;

		if (!place_from(c, at))
			continue;
		memcpy(rest, c->held + at, n);
		c->n_held = 0;
		return check_feed(c, rest, n);
	}
	if (c->n_held < PLACE_MAX)
		return true;
	c->pos = c->from;
	snprintf(c->error, sizeof(c->error),
		 "what comes is from nowhere between byte %" PRIu64 " and byte %" PRIu64, c->from,
		 c->to);
	return false;
}

static bool judge(struct check *c, bool last)
{
	if (c->placed)
		return judge_held(c, last);
	if (!last)
		return place(c);
	c->n_unplaced += c->n_held;
	c->n_held = 0;
	return true;
}

bool check_end(struct check *c)
{
	c->n_line = 0;
	return c->n_held == 0 || judge(c, true);
}

static bool feed_stream(struct check *c, const uint8_t *bytes, size_t len)
{
	while (len > 0) {
		size_t n = 0;

		if (c->placed && c->n_held == 0) {
			n = pattern_match(&c->pattern, c->pos, bytes, len);
			c->pos += n;
			c->n_bytes += n;
			if (n < len)
				begin_holding(c);
		}
		bytes += n;
		len -= n;
		n = min_size(len, min_size(STEP, CHECK_HELD - c->n_held));
		if (n == 0)
			continue;
		memcpy(c->held + c->n_held, bytes, n);
		c->n_held += n;
		bytes += n;
		len -= n;
		if (!judge(c, false))
			return false;
	}
	return true;
}

/* Lines of the daemon's own, between two line ends. */

static bool take_line(struct check *c)
{
	static const char words[] = " bytes of output lost here]\r\n";
	char *end;
	uint64_t n;

	c->line[c->n_line] = '\0';
	c->n_line = 0;
	if (strncmp(c->line, "\r\n[", 3) != 0) {
		snprintf(c->error, sizeof(c->error), "a line after byte %" PRIu64 " has no bracket",
			 c->pos);
		return false;
	}
	n = strtoull(c->line + 3, &end, 10);
	if (strcmp(end, words) != 0)
		return true; /* of the keyboard */
	c->n_told += n;
	if (c->placed)
		check_begin(c, c->pos + n, c->pos + n + check_gap_sum(c->gaps, c->pos));
	return true;
}

static bool line_is_over(const struct check *c)
{
	return c->n_line > 2 && c->line[c->n_line - 1] == '\n';
}

static size_t feed_line(struct check *c, const uint8_t *bytes, size_t len, bool *ret_ok)
{
	size_t n = 0;

	while (n < len && c->n_line < CHECK_LINE - 1) {
		c->line[c->n_line++] = (char)bytes[n++];
		if (line_is_over(c)) {
			*ret_ok = take_line(c);
			return n;
		}
	}
	*ret_ok = c->n_line < CHECK_LINE - 1;
	if (!*ret_ok)
		snprintf(c->error, sizeof(c->error), "a line after byte %" PRIu64 " has no end",
			 c->pos);
	return n;
}

bool check_feed(struct check *c, const uint8_t *bytes, size_t len)
{
	bool ok = true;

	if (c->kind != CHECK_MARKED)
		return feed_stream(c, bytes, len);
	while (len > 0 && ok) {
		const uint8_t *line = memchr(bytes, '\r', len);
		size_t n = line ? (size_t)(line - bytes) : len;

		if (c->n_line > 0) {
			n = feed_line(c, bytes, len, &ok);
		} else if (n > 0) {
			ok = feed_stream(c, bytes, n);
		} else {
			ok = check_end(c);
			c->line[c->n_line++] = '\r';
			n = 1;
		}
		bytes += n;
		len -= n;
	}
	return ok;
}
