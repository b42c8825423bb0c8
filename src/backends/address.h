/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Addresses of sockets: from words, and back. */
#ifndef VHU_BACKENDS_ADDRESS_H
#define VHU_BACKENDS_ADDRESS_H

#include <sys/socket.h>

#include "base.h"

enum {
	ADDRESSES_MAX = 8, /* of one name; more are not tried */
	ADDRESS_TEXT_MAX = 128,
};

struct address {
	struct sockaddr_storage sa;
	socklen_t len;
};

struct addresses {
	struct address item[ADDRESSES_MAX];
	unsigned int n; /* at least 1 */
};

/*
 * "[HOST:]PORT" where HOST is a numeric address (IPv6 in brackets) or a name,
 * and PORT a number or a sum of numbers. default_host stands in for a missing
 * HOST; NULL: it must be there. A resolver is asked for a name, which may block;
 * without may_wait, a name is refused. Port 0 is allowed. Zero, or -errno with one sentence in
 * ret_why.
 */
int address_parse_tcp(const char *text, const char *default_host, bool may_wait,
		      struct addresses *ret_addresses, char *ret_why, size_t why_cap);

/* The HOST of "HOST:PORT", without brackets; false: there is none, or no room for it. */
bool address_host(const char *text, char *ret_host, size_t cap);

/* The port of such a text, without a look at the host. False: it is none. */
bool address_port_of_text(const char *text, uint16_t *ret_port);

/* A path, or "@NAME" in the abstract namespace. */
int address_parse_unix(const char *text, struct address *ret_address, char *ret_why,
		       size_t why_cap);

/* The port of an IP address; 0 for any other. */
uint16_t address_port(const struct address *a);

/* "127.0.0.1:4000", "[::1]:4000"; for anything else its family. */
void address_format(const struct address *a, char *buf, size_t cap);

/* Whether only this machine can reach it. */
bool address_is_local(const struct address *a);

/* Keys at once, and a peer that has vanished noticed; of a connected socket of any family. */
void address_tune(int fd);

#endif
