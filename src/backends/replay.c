/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "backends/replay.h"

#include <assert.h>
#include <string.h>

enum { BEL = 0x07, ENQ = 0x05, CAN = 0x18, SUB = 0x1a, ESC = 0x1b, DEL = 0x7f, C2 = 0xc2 };

enum phase {
	GROUND,
	LEAD,	     /* 0xc2 is held: a C1 control may follow */
	ESCAPE,	     /* ESC is held */
	DESIGNATION, /* ESC and intermediates are held: never a question */
	CSI,	     /* all of it is held */
	LONG_CSI,    /* too long to be held: passes */
	STRING,	     /* OSC, DCS, APC, PM, SOS: all of it is held */
	LONG_STRING, /* too long to be held, no question: passes */
	LONG_DROP,   /* too long to be held, a question: is dropped */
};

struct filter {
	struct replay *r;
	uint8_t *out;
};

/* What is a question. */

struct question {
	char final, intermediate; /* 0: none */
	const char *prefixes;	  /* "-" for none */
};

/* Of CSI sequences; the names are those of VT and xterm manuals. */
static const struct question questions[] = {
	{ 'n', 0, "-?<=" }, /* DSR; with '>' it sets a key modifier option */
	{ 'c', 0, "->=" },  /* DA1, DA2, DA3; with '?' it is Linux's cursor shape */
	{ 'x', 0, "-" },    /* DECREQTPARM */
	{ 'p', '$', "-?" }, /* DECRQM */
	{ 'q', 0, ">" },    /* XTVERSION */
	{ 'u', 0, "?" },    /* kitty's keyboard flags */
	{ 'u', '$', "-" },  /* DECRQTSR */
	{ 'u', '&', "-" },  /* DECRQUPSS */
	{ 't', 0, "-" },    /* XTWINOPS; see is_window_report() */
	{ 'S', 0, "?" },    /* XTSMGRAPHICS, which answers to whatever it does */
	{ 'S', '#', "-" },  /* XTTITLEPOS */
	{ 'R', '#', "-" },  /* XTREPORTCOLORS */
	{ 'm', 0, "?" },    /* XTQMODKEYS */
	{ 'g', 0, "?" },    /* XTQFMTKEYS */
	{ 'y', '*', "-" },  /* DECRQCRA */
	{ 'w', '$', "-" },  /* DECRQPSR */
	{ 'v', '"', "-" },  /* DECRQDE */
	{ '|', '\'', "-" }, /* DECRQLP */
	{ '|', '#', "-" },  /* XTREPORTSGR */
};

/* A control sequence without the control characters in it. */
struct csi {
	char prefix; /* '-': none */
	char intermediate, final;
	unsigned int first; /* parameter */
};

static bool is_prefix(uint8_t c)
{
	return c >= '<' && c <= '?';
}

/* False when it has not the form of a control sequence: terminals do nothing then. */
static bool parse_csi(const struct replay *r, struct csi *ret_csi)
{
	struct csi csi = { .prefix = '-' };
	bool at_start = true, in_first = true;

	for (size_t i = r->body; i < r->n_held; i++) {
		uint8_t c = r->held[i];

		if (c < ' ' || c == DEL)
			continue; /* done at once, wherever it stands */
		if (c >= '@') {
			csi.final = (char)c;
		} else if (c < '0') {
			if (csi.intermediate)
				return false;
			csi.intermediate = (char)c;
		} else if (csi.intermediate || (is_prefix(c) && !at_start)) {
			return false;
		} else if (is_prefix(c)) {
			csi.prefix = (char)c;
		} else if (c > '9') {
			in_first = false;
		} else if (in_first && csi.first < 1000) {
			csi.first = csi.first * 10 + (c - '0');
		}
		at_start = false;
	}
	*ret_csi = csi;
	return true;
}

/* XTWINOPS: these ask, the others move, resize and keep titles. */
static bool is_window_report(unsigned int op)
{
	return op == 11 || (op >= 13 && op <= 16) || (op >= 18 && op <= 21);
}

static bool csi_asks(const struct replay *r)
{
	struct csi csi;

	if (!parse_csi(r, &csi))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(questions); i++) {
		const struct question *q = &questions[i];

		if (csi.final == q->final && csi.intermediate == q->intermediate &&
		    strchr(q->prefixes, csi.prefix))
			return csi.final != 't' || is_window_report(csi.first);
	}
	return false;
}

/* A piece of a string's text, not terminated. */
struct text {
	const char *at;
	size_t len;
};

/* Takes off what is before the next separator. */
static struct text next_field(struct text *rest, char separator)
{
	const char *end = memchr(rest->at, separator, rest->len);
	struct text field = { rest->at, end ? (size_t)(end - rest->at) : rest->len };
	size_t taken = field.len + (end != NULL);

	rest->at += taken;
	rest->len -= taken;
	return field;
}

static bool begins_with(struct text t, const char *word)
{
	return t.len >= strlen(word) && memcmp(t.at, word, strlen(word)) == 0;
}

/* Titles, folders, links, marks and messages: a "?" in them is text. */
static bool osc_carries_text(unsigned int number)
{
	static const unsigned int numbers[] = {
		0, 1, 2, 3, 7, 8, 9, 30, 31, 66, 133, 633, 777, 3008
	};

	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		if (numbers[i] == number)
			return true;
	return false;
}

/* Asked is by a parameter "?" where a colour, a font, ... would be set; "key=?" in newer ones. */
static bool osc_field_asks(struct text field)
{
	return begins_with(field, "?") || memmem(field.at, field.len, "=?", 2);
}

static bool osc_asks(struct text body)
{
	struct text field = next_field(&body, ';');
	unsigned int number = 0;

	for (size_t i = 0; i < field.len; i++) {
		if (field.at[i] < '0' || field.at[i] > '9' || number > 100000)
			return false;
		number = number * 10 + (unsigned int)(field.at[i] - '0');
	}
	if (field.len == 0 || osc_carries_text(number))
		return false;
	if (number == 60 || number == 61) /* xterm: which features are allowed */
		return true;
	if (number == 1337) /* iTerm2 */
		return begins_with(body, "Report") || begins_with(body, "Capabilities");
	while (body.len > 0)
		if (osc_field_asks(next_field(&body, ';')))
			return true;
	return false;
}

/* DECRQSS and XTGETTCAP */
static bool dcs_asks(struct text body)
{
	while (body.len > 0 && body.at[0] >= '0' && body.at[0] <= '?') {
		body.at++;
		body.len--;
	}
	return begins_with(body, "$q") || begins_with(body, "+q");
}

/* Kitty's graphics: "G", keys, ";", an image. */
static bool apc_asks(struct text body)
{
	struct text keys = next_field(&body, ';');

	if (!begins_with(keys, "G"))
		return false;
	keys.at++;
	keys.len--;
	while (keys.len > 0) {
		struct text key = next_field(&keys, ',');

		if (key.len == 3 && begins_with(key, "a=q"))
			return true;
	}
	return false;
}

static bool string_asks(const struct replay *r)
{
	struct text body = { (const char *)r->held + r->body, r->n_held - r->body };

	switch (r->kind) {
	case ']':
		return osc_asks(body);
	case 'P':
		return dcs_asks(body);
	case '_':
		return apc_asks(body);
	default:
		return false;
	}
}

/* What becomes of what is held. */

static void put(struct filter *f, uint8_t c)
{
	*f->out++ = c;
}

static void hold(struct filter *f, uint8_t c)
{
	assert(f->r->n_held < REPLAY_HELD_MAX);
	f->r->held[f->r->n_held++] = c;
}

/* Passes what is held. cut: it is no whole sequence, and the next byte will end it. */
static void pass(struct filter *f, bool cut)
{
	struct replay *r = f->r;

	memcpy(f->out, r->held, r->n_held);
	f->out += r->n_held;
	r->n_held = 0;
	r->phase = GROUND;
	r->cut = cut;
	r->swallow = false;
}

/*
 * Drops what is held. If it ended a sequence that has passed, ST does so now,
 * which is not longer than any question.
 */
static void drop(struct filter *f)
{
	struct replay *r = f->r;

	if (r->cut) {
		put(f, ESC);
		put(f, '\\');
	}
	r->n_held = 0;
	r->phase = GROUND;
	r->cut = false;
	r->swallow = false;
}

/* The same; a terminal would have done the control characters amid it, so they pass. */
static void drop_but_controls(struct filter *f)
{
	struct replay *r = f->r;
	size_t n = r->n_held;

	drop(f);
	for (size_t i = 0; i < n; i++)
		if (r->held[i] < ' ' && r->held[i] != ESC)
			put(f, r->held[i]);
}

/* One byte at a time. */

static bool is_c1(uint8_t c)
{
	return c >= 0x80 && c <= 0x9f;
}

static void ground(struct filter *f, uint8_t c)
{
	struct replay *r = f->r;

	if (c == ESC || c == C2) {
		r->phase = c == ESC ? ESCAPE : LEAD;
		hold(f, c);
	} else if (c != ENQ) {
		r->cut = false;
		put(f, c);
	}
}

/* The introducer is held, which is ESC with this letter or its C1 form. */
static void introduce(struct filter *f, uint8_t letter)
{
	struct replay *r = f->r;

	r->kind = letter;
	r->body = r->n_held;
	if (letter == '[') {
		r->phase = CSI;
	} else if (letter == ']' || letter == 'P' || letter == '_' || letter == '^' ||
		   letter == 'X') {
		r->phase = STRING;
	} else if (letter == 'Z' || (letter == '\\' && r->swallow)) {
		drop_but_controls(f); /* DECID, or the end of a string that was dropped */
		return;
	} else {
		pass(f, false);
	}
	r->swallow = false;
}

static void lead(struct filter *f, uint8_t c)
{
	if (is_c1(c)) {
		hold(f, c);
		introduce(f, c - 0x40);
	} else {
		pass(f, true);
		/* Were ENQ dropped, what follows might make a C1 control with 0xc2. */
		ground(f, c == ENQ ? 0 : c);
	}
}

/*
 * ESC, CAN, SUB and what is no ASCII end a sequence of ASCII characters; other
 * control characters are done amid it. False for characters of the sequence.
 */
static bool interrupt(struct filter *f, uint8_t c)
{
	if (c == CAN || c == SUB) {
		pass(f, false);
		put(f, c);
	} else if (c == ESC || c >= 0x80) {
		pass(f, true);
		ground(f, c);
	} else if (c >= ' ' && c != DEL) {
		return false;
	} else if (c != ENQ) {
		hold(f, c);
	}
	return true;
}

static void escape(struct filter *f, uint8_t c)
{
	if (interrupt(f, c))
		return;
	hold(f, c);
	if (c < '0')
		f->r->phase = DESIGNATION;
	else if (f->r->phase == DESIGNATION)
		pass(f, false);
	else
		introduce(f, c);
}

static void csi(struct filter *f, uint8_t c)
{
	if (interrupt(f, c))
		return;
	hold(f, c);
	if (c < '@')
		return;
	if (csi_asks(f->r))
		drop_but_controls(f);
	else
		pass(f, false);
}

static void long_csi(struct filter *f, uint8_t c)
{
	if (c == ENQ)
		return;
	if (c == ESC || c >= 0x80) {
		pass(f, true);
		ground(f, c);
		return;
	}
	put(f, c);
	if ((c >= '@' && c != DEL) || c == CAN || c == SUB)
		f->r->phase = GROUND;
}

/* The string ends here, before something that ends it; that is dropped with it if it is ST. */
static void end_string(struct filter *f)
{
	struct replay *r = f->r;
	bool asks = r->phase == LONG_DROP || (r->phase == STRING && string_asks(r));

	if (asks)
		drop(f);
	else
		pass(f, true);
	r->swallow = asks;
}

/* 0xc2 was the last byte of the string, or of what is held of it. */
static bool string_leads(const struct replay *r)
{
	size_t before = r->phase == STRING ? r->body : 0;

	return r->n_held > before && r->held[r->n_held - 1] == C2;
}

/* Whether c ended the string. */
static bool string_ends(struct filter *f, uint8_t c)
{
	struct replay *r = f->r;

	if (c == ESC || c == CAN || c == SUB) {
		end_string(f);
		ground(f, c);
		r->swallow = r->swallow && c == ESC;
		return true;
	}
	if (is_c1(c) && string_leads(r)) {
		r->n_held--;
		end_string(f);
		hold(f, C2);
		lead(f, c);
		return true;
	}
	if (c == BEL && r->kind == ']') {
		end_string(f);
		if (!r->swallow)
			put(f, c);
		r->swallow = false;
		r->cut = false;
		return true;
	}
	return false;
}

static void long_string(struct filter *f, uint8_t c)
{
	struct replay *r = f->r;

	if (string_ends(f, c))
		return;
	/* Only 0xc2 is held, until it is known that it begins no C1 control. */
	if (r->n_held > 0 && r->phase == LONG_STRING)
		put(f, C2);
	r->n_held = 0;
	if (c == C2)
		hold(f, c);
	else if (r->phase == LONG_STRING)
		put(f, c);
}

static void string(struct filter *f, uint8_t c)
{
	if (!string_ends(f, c))
		hold(f, c);
}

/* There is no room for the next byte. */
static void spill(struct filter *f)
{
	struct replay *r = f->r;
	bool leads = r->phase == STRING && string_leads(r);
	enum phase next = LONG_CSI;

	r->n_held -= leads;
	if (r->phase == STRING)
		next = string_asks(r) ? LONG_DROP : LONG_STRING;
	if (next == LONG_DROP)
		drop(f);
	else
		pass(f, false);
	r->phase = next;
	if (leads)
		hold(f, C2);
}

static void feed(struct filter *f, uint8_t c)
{
	static void (*const feeders[])(struct filter * f, uint8_t c) = {
		[GROUND] = ground,
		[LEAD] = lead,
		[ESCAPE] = escape,
		[DESIGNATION] = escape,
		[CSI] = csi,
		[LONG_CSI] = long_csi,
		[STRING] = string,
		[LONG_STRING] = long_string,
		[LONG_DROP] = long_string,
	};

	if (f->r->n_held == REPLAY_HELD_MAX)
		spill(f);
	feeders[f->r->phase](f, c);
}

size_t replay_filter(struct replay *r, const void *in, size_t len, void *out)
{
	const uint8_t *bytes = in;
	struct filter f = { .r = r, .out = out };

	for (size_t i = 0; i < len; i++)
		feed(&f, bytes[i]);
	return (size_t)(f.out - (uint8_t *)out);
}

size_t replay_flush(struct replay *r, void *out)
{
	struct filter f = { .r = r, .out = out };

	/* The rest of a dropped string is still to come: as the rest of another one. */
	if (r->phase == LONG_DROP) {
		put(&f, ESC);
		put(&f, r->kind);
	}
	pass(&f, false);
	*r = (struct replay){ 0 };
	return (size_t)(f.out - (uint8_t *)out);
}
