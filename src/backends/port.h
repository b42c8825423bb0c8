/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A port: all that a console device and its backends share. Guest output goes
 * once into a ring and every client reads it at a cursor of its own; input is
 * one bounded queue with one writer.
 */
#ifndef VHU_BACKENDS_PORT_H
#define VHU_BACKENDS_PORT_H

#include "base.h"
#include "bytering.h"
#include "list.h"

struct port;
struct port_client;

enum {
	PORT_INPUT_SIZE = 64 * 1024, /* bytes typed or pasted ahead of the guest */
	PORT_MARKER_MAX = 80,	     /* longest line that port_read() inserts */
};

/* What the device wants to hear; every member is set. */
struct port_device_ops {
	void (*input_ready)(void *dev);	      /* bytes wait in port->in */
	void (*host_open_changed)(void *dev); /* the first client came or the last one went */
	void (*size_changed)(void *dev);      /* cols, rows have a new value */
};

/* What a client of the port wants to hear; a member may be NULL. */
struct port_client_ops {
	void (*output_ready)(struct port_client *c);	/* port_read() has something */
	void (*input_room)(struct port_client *c);	/* the writer may add again */
	void (*present_changed)(struct port_client *c); /* a guest has come or gone */
};

/* One reader of the output, perhaps the writer of the input. Embedded in its owner. */
struct port_client {
	struct list_node link;
	const struct port_client_ops *ops;
	struct port *port;
	uint64_t pos;	/* next byte to read, as a position in the whole stream */
	bool read_only; /* never the writer */
};

struct port {
	struct bytering out; /* guest -> host; the oldest bytes go first */
	struct bytering in;  /* host -> guest; never overwritten */
	struct list_node clients;
	struct port_client *writer; /* the one whose input counts, or NULL */
	unsigned int n_clients;
	bool present;	     /* a front-end is connected */
	bool has_size;	     /* somebody here knows the terminal's size */
	uint16_t cols, rows; /* 0: unknown */
	const struct port_device_ops *dev_ops;
	void *dev;
};

/* history: bytes of output kept, rounded up to a power of two. Returns 0 or -ENOMEM. */
int port_init(struct port *port, size_t history);
void port_fini(struct port *port);

/* Device side. */

/* Adds guest output; never fails and never waits. Call port_output_done() after a batch. */
void port_output(struct port *port, const void *data, size_t len);
void port_output_done(struct port *port);

/*
 * The same for total bytes in n vectors. Of more than the ring holds, only the
 * last are copied: a driver can offer far more than anybody could keep.
 */
void port_output_v(struct port *port, const struct iovec *iov, unsigned int n, uint64_t total);

/* Takes up to len bytes of input; tells the writer when there is room again. */
size_t port_take_input(struct port *port, void *buf, size_t len);
size_t port_input_pending(const struct port *port);
void port_set_present(struct port *port, bool present);

static inline bool port_host_open(const struct port *port)
{
	return port->n_clients > 0;
}

/* Backend side. */

/*
 * Joins: the client first reads the kept output, oldest first. It becomes the
 * writer if there is none. Leaving hands the role to the client that came next.
 */
void port_join(struct port *port, struct port_client *client, const struct port_client_ops *ops);
void port_leave(struct port_client *client);

/* The client goes on reading, but has no input to give any more. */
void port_end_input(struct port_client *client);

static inline bool port_is_writer(const struct port_client *client)
{
	return client->port->writer == client;
}

/*
 * Copies up to cap bytes of output (cap > PORT_MARKER_MAX) and moves the
 * cursor; 0 when there is nothing new. When bytes were lost since the last
 * read, the copy begins with one line that says how many.
 */
size_t port_read(struct port_client *client, void *buf, size_t cap);

/* True when port_read() would return something. */
bool port_readable(const struct port_client *client);

/* Free contiguous input space; it stays put until committed. Only for the writer. */
size_t port_input_space(struct port *port, void **ret_buf);

/* Adds len bytes that lie in that space, or elsewhere by port_input(). */
void port_input_commit(struct port *port, size_t len);
size_t port_input(struct port *port, const void *data, size_t len);

/* The terminal's size; 0 x 0 is unknown and is never told to the guest. */
void port_resize(struct port *port, uint16_t cols, uint16_t rows);

#endif
