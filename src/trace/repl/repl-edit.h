/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Lines from somebody who types: with editing and history, if it was built in. */
#ifndef VHU_TRACE_REPL_EDIT_H
#define VHU_TRACE_REPL_EDIT_H

#include <signal.h>
#include <stdio.h>

struct edit_user {
	FILE *in, *out;
	const char *prompt;
	/* The i-th way to end the last word of line, a new string, or NULL. */
	char *(*complete)(void *arg, const char *line, unsigned int i);
	/* Descriptors that may speak while nothing is typed, or -1; heard() lets them. */
	void (*sockets)(void *arg, int fds[2]);
	void (*heard)(void *arg);
	/* Signals blocked while nothing is typed. Another one empties the line; NULL: none does. */
	const sigset_t *waiting;
	void *arg;
};

struct edit;

/* user is lent. NULL: no memory. */
struct edit *edit_new(const struct edit_user *user);

/* The next line, good until the next call and to be written to; NULL at the end. */
char *edit_line(struct edit *e);
void edit_free(struct edit *e);

#endif
