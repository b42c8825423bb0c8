/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The other side of a port: a stream socket to where the back-end listens. */
#ifndef VHU_LOAD_LOAD_PEER_H
#define VHU_LOAD_LOAD_PEER_H

#include <sys/socket.h>

#include "base.h"

struct load_peer_address {
	struct sockaddr_storage sa;
	socklen_t len;
	const char *text; /* as it was written; or local, so the address stays where it is */
	char local[24];
};

/* "tcp:HOST:PORT" or "unix:PATH". Zero, or -EINVAL with a sentence on standard error. */
int load_peer_parse(const char *text, struct load_peer_address *ret_address);

/* The same from a port of 127.0.0.1. */
void load_peer_local(uint16_t port, struct load_peer_address *ret_address);

/*
 * A connected, non-blocking socket, which the caller owns, or -errno. Nothing
 * is printed: the caller may try again.
 */
int load_peer_connect(const struct load_peer_address *address);

#endif
