/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * One message at a time to a back-end, typed or from a file: statements of
 * script.h (memory, eventfd, send, kick, ...), and messages by name
 * (compose.h), whose replies are awaited and shown.
 */
#ifndef VHU_TRACE_REPL_H
#define VHU_TRACE_REPL_H

#include <stdbool.h>
#include <stdio.h>

struct repl_options {
	const char *socket;
	FILE *in;	  /* statements */
	FILE *out;	  /* what is sent and comes back, decoded */
	bool interactive; /* a prompt; errors do not end it, nor does ^C */
	bool fields, hex;
	int timeout_ms; /* for a reply */
};

/* An exit status: 0, 1 when something was not as expected, 2 for a wrong statement. */
int repl_run(const struct repl_options *options);

#endif
