/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Takes out of a guest's output what can do more to a person's terminal than
 * write on its screen. What may pass is listed; all else goes, known or not.
 * What comes out does not depend on how the input was cut, and comes out the same
 * when it is filtered again.
 *
 * The terminal is one of UTF-8. Bare bytes 0x80 to 0x9f are taken out, as they
 * are controls to a terminal of another kind; so are U+0080 to U+009F. Other
 * bytes that are no UTF-8 pass: they can be no more than letters.
 */
#ifndef VHU_BACKENDS_SANITIZE_H
#define VHU_BACKENDS_SANITIZE_H

#include "base.h"

/* In the order of the words of sanitize=. */
enum sanitize_level {
	SANITIZE_OFF,	/* nothing is taken out */
	SANITIZE_SAFE,	/* colours, cursor, erasing, other screen pass: see sanitize.c */
	SANITIZE_PLAIN, /* text, tab, CR, LF, backspace and bell pass */
	SANITIZE_N_LEVELS,
};

enum {
	SANITIZE_HELD_MAX = 80, /* a sequence longer than this is taken for text from there on */
	/* A string (title, image, ...) without an end is taken for text from there on. */
	SANITIZE_STRING_MAX = 16 * 1024,
};

/* All zero: off. For another level, set that alone; the rest is sanitize.c's. */
struct sanitize {
	uint8_t level;
	uint8_t phase;
	uint8_t n_held;
	uint8_t dropped; /* the sequence under way goes whatever it is */
	uint32_t n_string;
	uint8_t held[SANITIZE_HELD_MAX]; /* a sequence or character that has not ended yet */
};

/*
 * Passes len bytes of in to out. In all never more comes out than came in, so out
 * has room for len and what was held; it may begin SANITIZE_HELD_MAX bytes or more
 * before in, in the same memory. Returns the bytes written.
 */
size_t sanitize_filter(struct sanitize *s, const void *in, size_t len, void *out);

/* What comes next does not follow what came before: bytes were lost. */
void sanitize_restart(struct sanitize *s);

/* Whether one that comes from elsewhere makes sense. */
bool sanitize_is_valid(const struct sanitize *s);

#endif
