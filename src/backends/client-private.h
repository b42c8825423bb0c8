/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What the files of a client share. */
#ifndef VHU_BACKENDS_CLIENT_PRIVATE_H
#define VHU_BACKENDS_CLIENT_PRIVATE_H

#include "backends/client.h"

enum {
	/*
	 * Telnet's side of a connection. Output is taken from the port when all
	 * before it is on its way; answers to a peer that does not read them may
	 * fill the other half, and then it is not read from.
	 */
	WIRE_SIZE = 32 * 1024,
	PLAIN_SIZE = WIRE_SIZE / 4, /* at most doubled on the wire */
	RAW_SIZE = 1024,
	FULL_MS = 10, /* that the guest waits for a peer before the ring takes its output */
};

_Static_assert(RAW_SIZE + TELNET_ANSWER_MAX <= WIRE_SIZE / 2, "room for answers");

struct wire {
	struct telnet *telnet;
	char raw[RAW_SIZE]; /* as received */
	char plain[PLAIN_SIZE];
	char out[WIRE_SIZE]; /* to be sent */
	size_t out_at, out_len;
};

/*
 * Records that were encrypted together, after all before had gone out: where each
 * ends in their ciphertext, and how many bytes of the port it has.
 */
enum { SEALED_MAX = 4 };

struct sealed {
	struct {
		size_t end, plain;
	} item[SEALED_MAX];
	unsigned int n;
	size_t given; /* ciphertext that the stream was given since */
};

struct client {
	struct attachment *owner;
	struct stream stream;
	struct port_client member;
	struct scope timer_scope;
	struct timer leave;
	struct timer full;   /* runs once it was full, and now and then for nothing */
	unsigned int n_full; /* times it was full */
	unsigned int n_full_at_arm;
	struct wire *wire; /* telnet's; NULL: none */
	struct tls *tls;   /* NULL: in the clear */
	struct sealed sealed;
	char *in;	      /* CLIENT_INPUT_SIZE bytes, of which few clients ever touch many */
	size_t in_at, in_len; /* input that the port has had no room for yet */
	bool passing;	      /* the port is being given some of it */
	bool stays, dropped;
	bool socket;		      /* whose bytes are the port's: they can go past our buffers */
	bool finishing;		      /* nothing more is read; it ends once all is written */
	bool deaf;		      /* it takes no output, but what it said before counts */
	struct port_journal *journal; /* that has its transfers, or NULL; its memory is `in` */
	uint64_t progress_at_arm;
	uint64_t n_received;
	void (*gone)(void *arg);
	void *arg;
};

extern const struct port_client_ops client_member_ops;

/* A client that has not joined the port yet. Errors as client_new(). */
int client_make(const struct client_args *args, struct client **ret_client);

/* Frees one that never joined. */
void client_unmake(struct client *c);

/* It has sent its last byte: see linger_done(). */
void client_linger(struct client *c);

/* Its last byte has come (err 0), or none can. */
void client_input_ended(struct client *c, int err);

/*
 * client-wire.c. Telnet and TLS on it: bytes of the connection become bytes of
 * the port and back. wire_new(): -ENOMEM, -EOPNOTSUPP.
 */
int wire_new(struct client *c);
void wire_free(struct client *c);

/* Where the next bytes of the connection go; 0: nowhere now. wire_input(): telnet's are there. */
size_t wire_input_space(struct client *c, void **ret_buf);
void wire_input(struct client *c, size_t len);

/* Of what came encrypted, makes more input while the port takes it; false: there is none. */
bool wire_decrypt(struct client *c);

size_t wire_output(struct client *c, void *buf, size_t cap);

/* Bytes of the port that it has read and that have not reached the connection in full. */
uint64_t wire_unwritten(const struct client *c);

/* Tells a peer of TLS that nothing more comes, if that goes without waiting. */
void wire_farewell(struct client *c);

/*
 * client-record.c. A port with a journal has the transfers of its first client of
 * that kind there; client_recorded(): as one that has had them there before.
 */
void client_record(struct client *c);
void client_recorded(struct client *c);
ssize_t client_recorded_read(struct stream *s);
ssize_t client_recorded_write(struct stream *s, const void *buf, size_t len);

#endif
