/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The time between a connection and its client when there is TLS: the handshake,
 * which has an end. Whoever is in it has joined nothing yet: no port waits for
 * it, no keyboard is its own, and all that it holds is bounded.
 */
#ifndef VHU_BACKENDS_GREETING_H
#define VHU_BACKENDS_GREETING_H

#include "backends/tls.h"

struct greeting;

struct greeting_args {
	struct loop *loop;
	int fd; /* a connected stream socket, lent until done() */
	struct tls_credentials *creds;
	uint64_t timeout_ms;
	/*
	 * It is over and freed. tls: the session, which is the callee's now; nothing of
	 * it is unsent. NULL: why says so in one sentence, lent.
	 */
	void (*done)(void *arg, struct tls *tls, const char *why);
	void *arg;
};

/* Begins. Zero or -ENOMEM; done() comes later than this call. */
int greeting_new(const struct greeting_args *args, struct greeting **ret_greeting);

/* Ends it now for this reason, which is copied: done() comes later. Repeatable. */
void greeting_drop(struct greeting *g, const char *why);

/* Whether it is ending without a session. */
bool greeting_failed(const struct greeting *g);

#endif
