/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The filter of guest output for a person's terminal. Input:
 *
 *	byte 0		the level (two bits); 4: the filter comes from elsewhere,
 *			and is next; 8: at the end it is seen to come back to text
 *	byte 1		how many bytes are given at a time, the two nibbles by turns
 *	(struct sanitize	the filter)
 *	the rest	the output
 */
#include "fuzz.h"

#include "../unit/harmless.h"

enum { FROM_ELSEWHERE = 4, COMES_BACK = 8, LEVEL_MASK = 3 };

/* What is under test, and where it begins. */
struct output {
	struct sanitize start;
	uint8_t cuts;
	const uint8_t *in;
	size_t len;
};

static char *alloc_out(size_t len)
{
	char *out = malloc(len + 2UL * SANITIZE_HELD_MAX);

	must(out != NULL);
	return out;
}

static bool is_same(const struct sanitize *a, const struct sanitize *b)
{
	return a->level == b->level && a->phase == b->phase && a->n_held == b->n_held &&
	       a->dropped == b->dropped && a->n_string == b->n_string &&
	       memcmp(a->held, b->held, a->n_held) == 0;
}

/* In one piece. */
static size_t run_whole(struct sanitize *s, const struct output *o, char *out)
{
	size_t n = sanitize_filter(s, o->in, o->len, out);

	must(sanitize_is_valid(s));
	must(n + s->n_held <= o->start.n_held + o->len || s->dropped);
	return n;
}

/* Each piece in memory of its own, so that a checker sees a read past its end. */
static size_t run_pieces(struct sanitize *s, const struct output *o, char *out)
{
	size_t n = 0, at = 0;

	for (bool odd = false; at < o->len; odd = !odd) {
		size_t take = min_size(1 + (odd ? o->cuts >> 4 : o->cuts & 15), o->len - at);
		uint8_t *piece = malloc(take);

		must(piece != NULL);
		memcpy(piece, o->in + at, take);
		n += sanitize_filter(s, piece, take, out + n);
		free(piece);
		at += take;
		must(sanitize_is_valid(s));
		must(n + s->n_held <= o->start.n_held + at || s->dropped);
	}
	return n;
}

/* In the same memory, as a client does it. Returns the end, in room. */
static size_t run_in_place(struct sanitize *s, const struct output *o, char *room)
{
	memcpy(room + SANITIZE_HELD_MAX, o->in, o->len);
	return sanitize_filter(s, room + SANITIZE_HELD_MAX, o->len, room);
}

static void check_cuts(const struct output *o, const struct sanitize *end, const char *out,
		       size_t n)
{
	struct sanitize pieces = o->start, in_place = o->start;
	char *other = alloc_out(o->len);

	must(run_pieces(&pieces, o, other) == n);
	must(memcmp(out, other, n) == 0);
	must(is_same(end, &pieces));
	must(run_in_place(&in_place, o, other) == n);
	must(memcmp(out, other, n) == 0);
	must(is_same(end, &in_place));
	free(other);
}

/* The same when it is filtered again; the first bytes of a character may wait at the end. */
static void check_again(uint8_t level, const char *out, size_t n)
{
	struct sanitize s = { .level = level };
	char *again = alloc_out(n);

	must(sanitize_filter(&s, out, n, again) + s.n_held == n);
	must(memcmp(out, again, n - s.n_held) == 0);
	free(again);
}

/* Bytes are lost in the middle: what follows is as from the start. */
static void check_restart(const struct output *o)
{
	struct sanitize lost = o->start, fresh = { .level = o->start.level };
	size_t half = o->len / 2, n;
	char *out = alloc_out(o->len), *other = alloc_out(o->len);

	sanitize_filter(&lost, o->in, half, out);
	sanitize_restart(&lost);
	n = sanitize_filter(&lost, o->in + half, o->len - half, out);
	must(sanitize_filter(&fresh, o->in + half, o->len - half, other) == n);
	must(memcmp(out, other, n) == 0);
	must(is_same(&lost, &fresh));
	free(out);
	free(other);
}

/* Nothing that has no end takes all that follows: after letters enough, letters pass. */
static void check_comes_back(struct sanitize *s)
{
	enum { ENOUGH = SANITIZE_STRING_MAX + SANITIZE_HELD_MAX };
	static const char word[] = "text";
	char *letters = alloc_out(ENOUGH), *out = alloc_out(ENOUGH);

	memset(letters, 'x', ENOUGH);
	sanitize_filter(s, letters, ENOUGH, out);
	must(s->level == SANITIZE_OFF || s->n_held == 0);
	must(sanitize_filter(s, word, strlen(word), out) == strlen(word));
	must(memcmp(out, word, strlen(word)) == 0);
	free(letters);
	free(out);
}

static void check_output(const struct output *o, const char *out, size_t n)
{
	static regex_t sequence;
	static bool has_sequence;

	if (!has_sequence)
		must(harmless_init(&sequence));
	has_sequence = true;
	if (o->start.level == SANITIZE_OFF) {
		must(n == o->len && memcmp(out, o->in, n) == 0);
		return;
	}
	must(harmless_len(&sequence, o->start.level, out, n) == n);
	check_again(o->start.level, out, n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { .at = data, .left = size };
	uint8_t flags = input_u8(&in);
	struct output o = { .start.level = flags & LEVEL_MASK, .cuts = input_u8(&in) };
	struct sanitize s;
	char *out;
	size_t n;

	if (flags & FROM_ELSEWHERE)
		input_copy(&in, &o.start, sizeof(o.start));
	if (!sanitize_is_valid(&o.start))
		return 0;
	o.in = input_take(&in, in.left, &o.len);
	out = alloc_out(o.len);
	s = o.start;
	n = run_whole(&s, &o, out);
	check_cuts(&o, &s, out, n);
	/* What one from elsewhere holds may be of any kind. */
	if (!(flags & FROM_ELSEWHERE))
		check_output(&o, out, n);
	check_restart(&o);
	if (flags & COMES_BACK)
		check_comes_back(&s);
	free(out);
	return 0;
}
