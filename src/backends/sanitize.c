/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "backends/sanitize.h"

#include <string.h>

enum { CAN = 0x18, SUB = 0x1a, ESC = 0x1b, BEL = 0x07, DEL = 0x7f, C2 = 0xc2 };
enum { DIGITS_MAX = 5, PALETTE_DIGITS = 7 };

enum phase {
	GROUND,
	CHARACTER,   /* the first bytes of a character of UTF-8 are held */
	ESCAPE,	     /* ESC and intermediates are held */
	CSI,	     /* all of it is held */
	OSC,	     /* its first byte is next: Linux has two that do not end as others do */
	PALETTE,     /* Linux: digits follow, and nothing ends them */
	STRING,	     /* dropped up to its end */
	STRING_LEAD, /* the same; 0xc2 was the last byte */
	N_PHASES,
};

struct filter {
	struct sanitize *s;
	uint8_t *out;
};

static void put(struct filter *f, uint8_t c)
{
	*f->out++ = c;
}

static void hold(struct filter *f, uint8_t c)
{
	f->s->held[f->s->n_held++] = c;
}

static void begin(struct filter *f, enum phase phase)
{
	f->s->phase = (uint8_t)phase;
	f->s->n_held = 0;
	f->s->dropped = false;
	f->s->n_string = 0;
}

/* The sequence or character that is held is over. */
static void end(struct filter *f, bool passes)
{
	const struct sanitize *s = f->s;

	if (passes) {
		memcpy(f->out, s->held, s->n_held);
		f->out += s->n_held;
	}
	begin(f, GROUND);
}

static bool is_among(uint8_t c, const char *set)
{
	return c != 0 && strchr(set, c) != NULL;
}

/*
 * Those that move the cursor on the screen, ring, or choose between two sets of
 * letters. ENQ makes a terminal answer, DC1 to DC4 stop a line or start a
 * printer, and CAN begins transfers of files with some.
 */
static void control(struct filter *f, uint8_t c)
{
	if (is_among(c, f->s->level == SANITIZE_SAFE ? "\a\b\t\n\v\f\r\x0e\x0f" : "\a\b\t\n\r"))
		put(f, c);
}

/* Sequences that pass. */

/*
 * ESC and one more. Not c, the full reset: it clears what the window has scrolled
 * away, too. Not Z, which is a question, nor what concerns 8-bit controls.
 */
static bool escape_passes(const struct sanitize *s)
{
	uint8_t final = s->held[s->n_held - 1];

	if (s->n_held == 2)
		return is_among(final, "78DEHM=>"); /* cursor, tabs, the keypad's mode */
	/* Letters of four sets, and lines of other sizes. Not '%': that leaves UTF-8. */
	if (s->n_held == 3)
		return is_among(s->held[1], "()*+-./") ||
		       (s->held[1] == '#' && is_among(final, "34568"));
	return false;
}

struct csi {
	char prefix, intermediate; /* 0: none */
	unsigned int n_params;	   /* 0: there are none */
	uint32_t first;
	bool parts; /* of parameters, behind colons */
};

/* False where it has not the form of a control sequence, or absurd numbers. */
static bool parse_csi(const struct sanitize *s, struct csi *ret_csi)
{
	size_t last = s->n_held - 1U, i = 2, n_digits = 0;
	struct csi csi = { .prefix = 0 };

	if (i < last && is_among(s->held[i], "<=>?"))
		csi.prefix = (char)s->held[i++];
	csi.n_params = i < last && s->held[i] >= '0';
	for (; i < last && s->held[i] >= '0'; i++) {
		uint8_t c = s->held[i];

		if (c > ';')
			return false;
		csi.n_params += c == ';';
		csi.parts |= c == ':';
		n_digits = c <= '9' ? n_digits + 1 : 0;
		if (n_digits > DIGITS_MAX)
			return false;
		if (csi.n_params == 1 && c <= '9')
			csi.first = csi.first * 10 + (c - '0');
	}
	if (i < last)
		csi.intermediate = (char)s->held[i++];
	*ret_csi = csi;
	return i == last;
}

/*
 * Modes of the screen: cursor keys, reverse, origin, margins, the cursor's look,
 * wrapping, the other screen, the keypad's, marked pastes, updates at once. What
 * reports the mouse, the focus and the like is not among them, nor what resizes
 * the window (3) or ends ANSI (2).
 */
static bool mode_passes(uint32_t mode)
{
	static const uint32_t modes[] = { 1,  5,  6,	7,    12,   25,	  45,  47,
					  66, 69, 1047, 1048, 1049, 2004, 2026 };

	for (size_t i = 0; i < ARRAY_SIZE(modes); i++)
		if (modes[i] == mode)
			return true;
	return false;
}

/* One mode that must not be set makes it go with all others. */
static bool modes_pass(const struct sanitize *s)
{
	uint32_t mode = 0;

	for (size_t i = 3; i < s->n_held; i++) {
		uint8_t c = s->held[i];

		if (c >= '0' && c <= '9') {
			mode = mode * 10 + (c - '0');
			continue;
		}
		if (!mode_passes(mode))
			return false;
		mode = 0;
	}
	return true;
}

/* Without prefix and intermediate. */
static bool plain_csi_passes(const struct csi *csi, uint8_t final)
{
	switch (final) {
	case 'h':
	case 'l':
		return csi->n_params == 1 && csi->first == 4; /* insert */
	case 'J':
		return csi->n_params <= 1 && csi->first <= 2; /* 3: what has scrolled away */
	case 'T':
		return csi->n_params <= 1; /* with five, it follows the mouse */
	default:
		return is_among(final, "@ABCDEFGHIKLMPSXZ`abdefgmrsu");
	}
}

static bool csi_passes(const struct sanitize *s)
{
	uint8_t final = s->held[s->n_held - 1];
	struct csi csi;

	if (!parse_csi(s, &csi) || (csi.parts && final != 'm'))
		return false;
	if (csi.prefix == '?' && !csi.intermediate)
		return is_among(final, "hl") ? modes_pass(s) : is_among(final, "JK");
	if (csi.prefix)
		return false;
	if (csi.intermediate == ' ')
		return final == 'q'; /* the cursor's shape */
	if (csi.intermediate == '!')
		return final == 'p' && csi.n_params == 0; /* soft reset */
	return !csi.intermediate && plain_csi_passes(&csi, final);
}

/* One byte at a time. */

/* The second of the two bytes of U+0080 to U+009F. They go, with what they introduce. */
static void c1(struct filter *f, uint8_t c)
{
	if (c == 0x9b) {
		begin(f, CSI);
		hold(f, ESC);
		hold(f, '[');
		f->s->dropped = true;
	} else if (c == 0x9d) {
		begin(f, OSC);
	} else if (c == 0x90 || c == 0x98 || c == 0x9e || c == 0x9f) {
		begin(f, STRING);
	} else {
		begin(f, GROUND);
	}
}

static void ground(struct filter *f, uint8_t c)
{
	begin(f, GROUND);
	if (c == ESC || (c >= C2 && c <= 0xf4)) {
		f->s->phase = c == ESC ? ESCAPE : CHARACTER;
		hold(f, c);
	} else if (c < ' ') {
		control(f, c);
	} else if (c < DEL || c >= 0xa0) {
		put(f, c);
	}
}

/* Whether c may follow what is held of a character: no overlong forms, no surrogates. */
static bool continues(const struct sanitize *s, uint8_t c)
{
	static const struct {
		uint8_t lead, min, max;
	} seconds[] = { { C2, 0xa0, 0xbf },
			{ 0xe0, 0xa0, 0xbf },
			{ 0xed, 0x80, 0x9f },
			{ 0xf0, 0x90, 0xbf },
			{ 0xf4, 0x80, 0x8f } };

	for (size_t i = 0; s->n_held == 1 && i < ARRAY_SIZE(seconds); i++)
		if (seconds[i].lead == s->held[0])
			return c >= seconds[i].min && c <= seconds[i].max;
	return c >= 0x80 && c <= 0xbf;
}

static size_t character_len(uint8_t lead)
{
	return lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
}

static void character(struct filter *f, uint8_t c)
{
	struct sanitize *s = f->s;

	if (continues(s, c)) {
		hold(f, c);
		if (s->n_held == character_len(s->held[0]))
			end(f, true);
		return;
	}
	if (s->held[0] == C2 && c >= 0x80 && c <= 0x9f) {
		c1(f, c);
		return;
	}
	/* It was none: its bytes are what they are by themselves. */
	for (size_t i = 0; i < s->n_held; i++)
		if (s->held[i] >= 0xa0)
			put(f, s->held[i]);
	ground(f, c);
}

/*
 * As terminals have it: control characters within a sequence are done at once,
 * CAN and SUB end it, and what is no ASCII, or ESC, begins something else. False
 * for a character of the sequence.
 */
static bool interrupts(struct filter *f, uint8_t c)
{
	if (c == ESC || c >= 0x80)
		ground(f, c);
	else if (c == CAN || c == SUB)
		begin(f, GROUND);
	else if (c < ' ')
		control(f, c);
	else
		return c == DEL;
	return true;
}

static void escape(struct filter *f, uint8_t c)
{
	const struct sanitize *s = f->s;

	if (interrupts(f, c))
		return;
	if (s->n_held == SANITIZE_HELD_MAX) {
		ground(f, c);
		return;
	}
	hold(f, c);
	if (c < '0')
		return;
	if (s->n_held > 2 || !is_among(c, "[]PX^_k"))
		end(f, s->level == SANITIZE_SAFE && escape_passes(s));
	else if (c == '[')
		f->s->phase = CSI;
	else
		begin(f, c == ']' ? OSC : STRING);
}

static void csi(struct filter *f, uint8_t c)
{
	const struct sanitize *s = f->s;

	if (interrupts(f, c))
		return;
	if (s->n_held == SANITIZE_HELD_MAX) {
		ground(f, c);
		return;
	}
	hold(f, c);
	if (c >= '@')
		end(f, s->level == SANITIZE_SAFE && !s->dropped && csi_passes(s));
}

static void string(struct filter *f, uint8_t c)
{
	struct sanitize *s = f->s;

	if (c == ESC) {
		ground(f, c); /* with '\' it ends the string, else it begins something else */
		return;
	}
	if (c == BEL || c == CAN || c == SUB || ++s->n_string == SANITIZE_STRING_MAX) {
		begin(f, GROUND);
		return;
	}
	s->phase = c == C2 ? STRING_LEAD : STRING;
}

static void string_lead(struct filter *f, uint8_t c)
{
	if (c >= 0x80 && c <= 0x9f)
		c1(f, c);
	else
		string(f, c);
}

static void osc(struct filter *f, uint8_t c)
{
	if (c == 'R') {
		begin(f, GROUND);
	} else if (c == 'P') {
		f->s->phase = PALETTE;
	} else {
		string(f, c);
	}
}

static void palette(struct filter *f, uint8_t c)
{
	bool digit = c < 0x80 && is_among(c, "0123456789abcdefABCDEF");

	if (!digit)
		string(f, c);
	else if (++f->s->n_string == PALETTE_DIGITS)
		begin(f, GROUND);
}

static void feed(struct filter *f, uint8_t c)
{
	static void (*const feeders[N_PHASES])(struct filter * f, uint8_t c) = {
		[GROUND] = ground, [CHARACTER] = character,
		[ESCAPE] = escape, [CSI] = csi,
		[OSC] = osc,	   [PALETTE] = palette,
		[STRING] = string, [STRING_LEAD] = string_lead,
	};

	feeders[f->s->phase](f, c);
}

size_t sanitize_filter(struct sanitize *s, const void *in, size_t len, void *out)
{
	struct filter f = { .s = s, .out = out };
	const uint8_t *bytes = in;

	if (s->level == SANITIZE_OFF) {
		memmove(out, in, len);
		return len;
	}
	for (size_t i = 0; i < len; i++)
		feed(&f, bytes[i]);
	return (size_t)(f.out - (uint8_t *)out);
}

void sanitize_restart(struct sanitize *s)
{
	*s = (struct sanitize){ .level = s->level };
}

bool sanitize_is_valid(const struct sanitize *s)
{
	/* Of these, the first byte says how long it becomes. */
	static const uint8_t n_held_min[N_PHASES] = { [CHARACTER] = 1, [ESCAPE] = 1, [CSI] = 2 };

	if (s->level >= SANITIZE_N_LEVELS || s->phase >= N_PHASES || s->dropped > 1)
		return false;
	if (s->n_held < n_held_min[s->phase] || s->n_held > SANITIZE_HELD_MAX)
		return false;
	return s->n_string < SANITIZE_STRING_MAX &&
	       (s->phase != PALETTE || s->n_string < PALETTE_DIGITS) &&
	       (s->phase != CHARACTER ||
		(s->held[0] >= C2 && s->n_held < character_len(s->held[0])));
}
