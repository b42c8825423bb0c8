/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A connection as a client of a port: one read and one write in flight, input
 * in a buffer of its own until the port takes it, telnet and TLS if asked for.
 * Servers, connectors, pseudo-terminals and inherited descriptors are made of it.
 */
#ifndef VHU_BACKENDS_CLIENT_H
#define VHU_BACKENDS_CLIENT_H

#include "backends/attachment.h"
#include "backends/stream.h"
#include "backends/telnet.h"
#include "backends/tls.h"
#include "handover.h"

enum {
	CLIENT_INPUT_SIZE = 16 * 1024,
	/*
	 * A client that has sent its last byte may still want the answer; but
	 * one that is gone looks the same, and must not keep the host side open
	 * when for this long there was nothing to write to it.
	 */
	CLIENT_LINGER_MS = 500,
};

/* Why a client of TLS leaves before another program goes on in our place. */
#define CLIENT_PARTS "the daemon is upgraded, and a TLS session cannot go along"

struct client;

struct client_args {
	struct attachment *owner;
	int in_fd, out_fd; /* lent until gone() was called; may be the same; -1: none */
	bool telnet;
	struct tls *tls;  /* NULL, or a session whose handshake is over; taken on success */
	bool stays;	  /* the end of input is not the end of the client (a pipe, a file) */
	const char *what; /* see port_client_options; copied */
	/* Bytes of old output it is given; NULL: as the attachment's options say. Read at once. */
	const uint64_t *replay;
	struct handover_in *from; /* NULL, or where it is a group of tag from_tag: it goes on */
	unsigned int from_tag;
	/* It has left the port and its operations are over. The client is freed on return. */
	void (*gone)(void *arg);
	void *arg;
};

/* Joins the port and starts. Zero, -ENOMEM, or -EOPNOTSUPP (no telnet here). */
int client_new(const struct client_args *args, struct client **ret_client);

/* What client_new() makes it from in another process; busy while it is about to end. */
void client_save(const struct client *c, struct handover_out *out, unsigned int tag);
int client_load(const struct client_args *args, struct client **ret_client);

/* As it was made: whether it has something to read from, to write to, and stays. */
bool client_reads(const struct client *c);
bool client_writes(const struct client *c);
bool client_stays(const struct client *c);

/* Ends it now; why, one sentence, is logged unless NULL. gone() comes later. Repeatable. */
void client_drop(struct client *c, const char *why);

/* Ends it when it has been given all output there is; reads nothing more. */
void client_finish(struct client *c);

/* The size of its terminal, where telnet does not tell it. */
void client_resize(struct client *c, uint16_t cols, uint16_t rows);

/* Bytes received from it, whatever became of them. */
uint64_t client_n_received(const struct client *c);

/*
 * How much of the port's output, as a position in the whole stream, was written
 * to it: at most that much, where lines of our own came between.
 */
uint64_t client_position(const struct client *c);

#endif
