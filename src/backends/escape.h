/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Finds the keys by which a user leaves a console among those meant for the
 * guest. Keys that begin with a printable character count after a newline
 * only, as in "~."; keys that begin with a control character count anywhere.
 */
#ifndef VHU_BACKENDS_ESCAPE_H
#define VHU_BACKENDS_ESCAPE_H

#include "base.h"

enum {
	ESCAPE_MAX = 16,
	/*
	 * Nobody types more than this between two reads: a longer piece is a
	 * paste, and its bytes are the guest's whatever they spell.
	 */
	ESCAPE_TYPED_MAX = 16,
};

/* Where we are in what the terminal, not the user, may have sent. */
enum escape_answer {
	ESCAPE_ANSWER_NONE,
	ESCAPE_ANSWER_ESC, /* ESC was seen */
	ESCAPE_ANSWER_CSI, /* ESC [ was seen, its last byte not yet */
};

struct escape {
	uint8_t keys[ESCAPE_MAX];
	size_t n_keys;	  /* 0: there is no way to leave by keys */
	size_t n_matched; /* of them, typed so far and held back */
	bool at_line_start;
	enum escape_answer answer;
};

/*
 * text spells the keys; "^X" stands for a control character, "none" for no
 * keys. Returns 0, or -EINVAL when it is empty or too long.
 */
int escape_init(struct escape *e, const char *text);

/*
 * Takes len bytes as read at once and writes those meant for the guest to out,
 * which has room for len + ESCAPE_MAX. Returns their number; *ret_leave is
 * true when the keys were complete, and what follows them is dropped.
 */
size_t escape_filter(struct escape *e, const void *in, size_t len, void *out, bool *ret_leave);

/* Whether the keys count at the start of a line only. */
bool escape_needs_newline(const struct escape *e);

#endif
