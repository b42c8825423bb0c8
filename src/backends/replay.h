/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Takes questions to the terminal out of old output: cursor position, device
 * attributes, colours and the like. A guest's program asked them once and has
 * had its answer; a client that comes later must not have its terminal answer
 * again, into whatever reads the console by then. All other bytes pass, in
 * order; what comes out does not depend on how the input was cut.
 *
 * Introducers are ESC with a letter, or U+0080 to U+009F in UTF-8: the bare
 * bytes 0x80 to 0x9f are parts of characters for a terminal of today.
 */
#ifndef VHU_BACKENDS_REPLAY_H
#define VHU_BACKENDS_REPLAY_H

#include "base.h"

enum { REPLAY_HELD_MAX = 256 }; /* a CSI sequence longer than this is no question */

/* All zero at the start; replay.c's. */
struct replay {
	uint8_t held[REPLAY_HELD_MAX]; /* the sequence under way, not passed yet */
	size_t n_held;
	size_t body;	    /* in held: where what follows the introducer begins */
	unsigned int phase; /* of the sequence under way */
	uint8_t kind;	    /* its introducer, as the letter after ESC */
	bool cut;	    /* what was passed ends amid a sequence, which the one held would end */
	bool swallow;	    /* the string before was dropped: its terminator goes, too */
};

/*
 * Passes len bytes of in to out, which has room for len + REPLAY_HELD_MAX, less
 * the questions. Returns the bytes written, all in all never more than came in;
 * up to REPLAY_HELD_MAX of them may stay held for the next call.
 */
size_t replay_filter(struct replay *r, const void *in, size_t len, void *out);

/* The old output has ended: what is held goes to out (REPLAY_HELD_MAX bytes), as it is. */
size_t replay_flush(struct replay *r, void *out);

#endif
