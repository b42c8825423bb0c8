/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What a front-end does, as a text: what it sends, what is in its memory and
 * what comes back. Testers write cases down this way and play them again; a
 * person types the same statements one by one.
 *
 * One statement a line; # begins a comment; a line that ends in \ goes on.
 * Numbers are decimal or 0x hexadecimal, bytes are hexadecimal digits.
 *
 *	vhu-replay 1               first: the version
 *	memory m1 SIZE [seals=N] [readonly]   a memory file
 *	reopen m2 m1 [readonly]    the same file, opened again
 *	eventfd e1 [nonblock] [semaphore]
 *	socket s1                  one end of a stream socket pair
 *	pipe-read p1, pipe-write p1
 *	file f1 PATH [write]       what was there
 *	resize m1 SIZE
 *	write m1 AT BYTES          into the file, not past its end
 *	connect C                  connection number C
 *	close C
 *	shutdown C                 for sending
 *	send C [fds=NAME,NAME...] BYTES...
 *	send-channel C BYTES...    on the back-end's channel
 *	kick NAME                  adds 1 to an eventfd
 *	pause MS                   nothing comes for so long
 *	wait MS                    so long, whatever comes is left for later
 *	recv C [fds=NAME...] BYTES...      this comes; names for what came with it
 *	recv-channel C [fds=NAME...] BYTES...
 *	closed C                   the back-end closes the connection
 *	await16 m1 AT VALUE        the back-end counts this 16-bit index up to there
 *	check16 m1 AT VALUE        and no further
 */
#ifndef VHU_SCRIPT_SCRIPT_H
#define VHU_SCRIPT_SCRIPT_H

#include <signal.h>
#include <stdio.h>

#include "base.h"

/* A new connection to the back-end: 0 or a negative errno. */
typedef int script_connect_fn(void *arg, int *ret_fd);

struct script_plan {
	script_connect_fn *connect;
	void *arg;
	const char *backend; /* its address, for complaints, or NULL */
	int timeout_ms;	     /* for what should come */
	/* Signals blocked while something is awaited, or NULL: as ever. Another one ends it. */
	const sigset_t *waiting;
	FILE *out;	   /* every message, decoded; and what is different */
	const char *known; /* how what should come is known: "recorded", "expected" */
};

/*
 * Does what the text says. *ret_n_different: how many answers are not as the
 * text has them. 0, or a negative errno with a sentence in error: -EINVAL for a
 * text that is wrong, -EINTR when a signal ended a wait, others when it could
 * not be done.
 */
int script_play(FILE *text, const struct script_plan *plan, unsigned int *ret_n_different,
		char error[256]);

/* Lines of a text, each with those that it goes on in. Begins as { .text = ... }. */
struct script_reader {
	FILE *text; /* lent */
	char *line, *more;
	size_t cap, more_cap;
	unsigned int number; /* of the last line read */
};

/* The next one is in r->line; false at the end. */
bool script_read_line(struct script_reader *r);
void script_reader_fini(struct script_reader *r);

/* "123" or "0x7b", no sign; false for anything else. */
bool script_number(const char *text, uint64_t *ret_value);

/*
 * Pairs of hexadecimal digits, at most max of them, to bytes: how many there
 * were. False: an odd end, other characters, or too many.
 */
bool script_bytes(const char *digits, uint8_t *bytes, size_t max, size_t *ret_n);

/* What is said of the i-th statement, for those who type: false from the last one on. */
bool script_statement_at(size_t i, const char **ret_verb, const char **ret_words,
			 const char **ret_text);

#endif
