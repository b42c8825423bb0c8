/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A case again, without its code: a text of what was sent, what was in memory
 * and what came back, which evidence_write_replay() writes.
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
 *	write m1 AT BYTES          into the file
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
#ifndef VHU_CONFORM_REPLAY_H
#define VHU_CONFORM_REPLAY_H

#include <stdio.h>

#include "conform/target/target.h"

/* A new connection to the back-end: 0 or a negative errno. */
typedef int replay_connect_fn(void *arg, int *ret_fd);

struct replay_plan {
	replay_connect_fn *connect;
	void *arg;
	int timeout_ms; /* for what should come */
	FILE *out;	/* every message, decoded; and what is different */
};

/*
 * Does what the text says. *ret_n_different: how many answers are not as
 * recorded. 0, or a negative errno with a sentence in error: -EINVAL for a
 * text that is wrong, others when it could not be done.
 */
int replay_play(FILE *text, const struct replay_plan *plan, unsigned int *ret_n_different,
		char error[256]);

/* The file at path against target, told of on out: an exit status, 0 when all is as recorded, 1 if
 * not. */
int replay_run(const char *path, struct target *target, FILE *out);

#endif
