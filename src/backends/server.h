/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* An attachment whose clients connect to a listening socket of any family. */
#ifndef VHU_BACKENDS_SERVER_H
#define VHU_BACKENDS_SERVER_H

#include "backends/attachment.h"
#include "backends/tls.h"

enum { SERVER_WHERE_MAX = 160 };

struct server_args {
	int fd;		   /* listens; taken, also on failure */
	const char *path;  /* of the socket file, removed at the end; NULL: none of ours */
	const char *where; /* for describe; copied */
	bool telnet;
	struct tls_credentials *creds; /* NULL: no TLS; taken, also on failure */
	void (*ended)(int arg);	       /* told just before attachment_end(); may be NULL */
	int ended_arg;
};

/*
 * creds from the files that the options name, if they ask for TLS. Zero, or
 * -errno with one sentence. Before anything is opened, so that nothing is left.
 */
int server_read_tls(const struct attachment_args *args, struct server_args *server, char *ret_why,
		    size_t why_cap);

/* Serves at once. Zero, or -errno with one sentence; the address is the caller's to name. */
int server_new(const struct attachment_args *args, const struct server_args *server,
	       struct attachment **ret_attachment, char *ret_why, size_t why_cap);

/* By which a hand-over's group is known to be a server's. */
enum { SERVER_TAG_FIRST = 1 };

/*
 * The same from a hand-over (args->from): server has path, telnet and ended as
 * they would be for one that is opened.
 */
int server_load(const struct attachment_args *args, const struct server_args *server,
		struct attachment **ret_attachment, char *ret_why, size_t why_cap);

#endif
