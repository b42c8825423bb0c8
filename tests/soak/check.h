/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What arrives of a stream, against what a port promises. A stream goes on over guests and
 * clients that come and go: its positions only grow. Where one of them ended abruptly a gap
 * is noted, as nobody knows how far it came; within it, and nowhere else, bytes may be missing.
 */
#ifndef VHU_TESTS_SOAK_CHECK_H
#define VHU_TESTS_SOAK_CHECK_H

#include "../restart/pattern.h"

enum {
	CHECK_GAPS = 64,  /* that are remembered: the latest */
	CHECK_HELD = 512, /* bytes whose place is being looked for, at most */
	CHECK_LINE = 96,
	CHECK_ERROR = 256,
};

/* From anywhere between these positions (or at them) the stream may go on at hi. */
struct check_gap {
	uint64_t lo, hi;
};

/* In memory that processes share; one of them writes at a time. */
struct check_gaps {
	uint64_t n; /* ever noted */
	struct check_gap ring[CHECK_GAPS];
};

enum check_kind {
	CHECK_EXACT,  /* every byte but those of gaps */
	CHECK_MARKED, /* the same, or a line in between says how many are missing */
	CHECK_FREE,   /* any may be missing; none comes twice, or before its turn */
};

struct check {
	struct pattern pattern;
	enum check_kind kind;
	const struct check_gaps *gaps;
	bool placed;	   /* pos is known */
	uint64_t pos;	   /* that comes next; with held bytes, the first of them */
	uint64_t run_from; /* since there the bytes are in order */
	uint64_t from, to; /* not placed: the next byte is of these */
	uint8_t held[CHECK_HELD];
	size_t n_held;
	char line[CHECK_LINE]; /* of the daemon's own */
	size_t n_line;
	uint64_t n_bytes;    /* that were found in place */
	uint64_t n_unplaced; /* of stretches too short to tell where they are from */
	uint64_t n_told;     /* bytes that were said to be lost */
	uint64_t n_jumps;
	char error[CHECK_ERROR];
};

void check_gap_note(struct check_gaps *gaps, uint64_t lo, uint64_t hi);

/* All that may be missing behind pos by the gaps, bytes. */
uint64_t check_gap_sum(const struct check_gaps *gaps, uint64_t pos);

void check_init(struct check *c, enum check_kind kind, struct pattern pattern,
		const struct check_gaps *gaps);

/* A stretch begins, with a byte between from and to; equal: with that one. */
void check_begin(struct check *c, uint64_t from, uint64_t to);

/* Bytes as they come. False: c->error says what is wrong. */
bool check_feed(struct check *c, const uint8_t *bytes, size_t len);

/* No more of this stretch comes: what is held is judged. */
bool check_end(struct check *c);

/* What comes next, or is the least that can; all before has come or is excused. */
uint64_t check_position(const struct check *c);

#endif
