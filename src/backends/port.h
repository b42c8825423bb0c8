/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A port: all that a console device and the attachments of one of its ports
 * share. Guest output goes once into a ring and every client reads it at a
 * cursor of its own; input is one bounded queue with one writer.
 */
#ifndef VHU_BACKENDS_PORT_H
#define VHU_BACKENDS_PORT_H

#include "backends/replay.h"
#include "backends/sanitize.h"
#include "base.h"
#include "bytering.h"
#include "histogram.h"
#include "list.h"

struct port;
struct port_client;
struct port_journal;
struct ring_mark;
struct port_walk;

enum {
	PORT_INPUT_SIZE = 64 * 1024, /* bytes typed or pasted ahead of the guest */
	PORT_READ_MIN = 512,	     /* room that port_read() needs: held bytes and a line */
	PORT_NAME_MAX = 128,	     /* bytes of a name, without a NUL */
	PORT_WHAT_MAX = 128,	     /* of a client's description, with its NUL */
};

#define PORT_REPLAY_ALL UINT64_MAX

/* What happens to output that a client has not read when the ring is full. */
enum port_overflow {
	PORT_DROP, /* the oldest goes; the guest never waits */
	PORT_HOLD, /* the guest waits for the slowest client that holds */
};

/* What the device wants to hear; every member but the last is set. */
struct port_device_ops {
	void (*input_ready)(struct port *port);	      /* port_input_pending() is not 0 */
	void (*output_room)(struct port *port);	      /* after port_output_stalled(): room again */
	void (*host_open_changed)(struct port *port); /* port_host_open() has another value */
	void (*size_changed)(struct port *port);      /* cols, rows have another value */
	void (*frozen)(struct port *port); /* after port_freeze(): nothing is under way */
};

/*
 * What a client of the port wants to hear; a member may be NULL. In any of them
 * the client, or another one, may leave the port, and be freed then.
 */
struct port_client_ops {
	void (*output_ready)(struct port_client *c); /* port_read() has something */
	/*
	 * What input waits for has come: there is room, or the client is the
	 * writer now, or it was and is not any more (port_is_writer()).
	 */
	void (*input_room)(struct port_client *c);
	/* port->present or port->guest_open has another value. */
	void (*guest_changed)(struct port_client *c);
	/* The writer's input, as the port takes it: for a log of what was typed. */
	void (*input_seen)(struct port_client *c, const void *data, size_t len);
	/* It is asked to leave, for this reason. It does so now or later. */
	void (*disconnect)(struct port_client *c, const char *why);
	/*
	 * Takes output straight from where it is: as much of n vectors as goes
	 * without waiting. If that is not all, it sets its `full` and calls
	 * port_output_again() later. Called while `takes_now` is set; all output
	 * before has been read.
	 */
	size_t (*output_now)(struct port_client *c, const struct iovec *iov, unsigned int n);
	/*
	 * Gives input straight to where it goes, while `gives_now` is set, and
	 * clears that when there is no more without waiting.
	 */
	size_t (*input_now)(struct port_client *c, const struct iovec *iov, unsigned int n);
	/*
	 * The port was frozen: ends what is being read of input. True when nothing
	 * is being read; else it calls port_input_stopped() once that is so.
	 */
	bool (*input_stop)(struct port_client *c);
	/*
	 * Input that it has read and the port has had no room for: where, and how
	 * much. It stays the client's, until it is told to forget it.
	 */
	size_t (*input_held)(struct port_client *c, const void **ret_data);
	void (*input_forget)(struct port_client *c);
};

/* How a client takes part; all zero is a watcher that is given nothing old. */
struct port_client_options {
	bool writes;	 /* it may be the writer; without this it is read-only */
	bool steals;	 /* it takes the keyboard over when it joins */
	bool holds;	 /* on a PORT_HOLD port, output waits for it */
	bool passive;	 /* it does not make the host side open: a log */
	bool shows;	 /* to people: it is told in words what was lost, and of its role */
	uint64_t replay; /* bytes of old output it is given, or PORT_REPLAY_ALL */
	enum sanitize_level sanitize; /* what of the output it is not given */
	/* What is shown in lists and logs, as "tcp 127.0.0.1:4711"; copied. */
	const char *what;
};

/* How a client's connection is protected. */
struct port_client_tls {
	const char *version, *cipher; /* "TLS1.3", "AES-256-GCM" */
	char peer[PORT_WHAT_MAX];     /* who it has proved to be; "": anybody */
};

/* One reader of the output, perhaps the writer of the input. Embedded in its owner. */
struct port_client {
	struct list_node link; /* in port->clients, in the order of joining */
	const struct port_client_ops *ops;
	struct port *port;
	unsigned int id; /* unique in the port, from 1 */
	bool writes, holds, passive, shows;
	bool takes_now, full;		   /* see output_now() */
	bool gives_now;			   /* see input_now(); set it with port_input_offer() */
	bool keeps;			   /* output is kept for it until it was sent: see `sent` */
	bool stopping;			   /* see input_stop() */
	const struct port_client_tls *tls; /* its owner's; NULL: not at all */
	char what[PORT_WHAT_MAX];
	uint64_t pos;	     /* next byte to read, as a position in the whole stream */
	uint64_t sent;	     /* of a client that keeps: next byte to send; it sets it */
	uint64_t replay_end; /* what is before it was there when the client joined */
	struct replay replay;
	struct sanitize sanitize; /* with a level, it never takes_now */
	uint64_t pos_before;	  /* pos before the last read */
	const char *notice;	  /* a line to be told with the next read, or NULL; static */
	uint16_t cols, rows;	  /* of its terminal; 0: unknown */
	uint64_t n_read, n_written, n_lost; /* bytes */
};

/* Bytes and events since the port was made. */
struct port_counters {
	uint64_t output;	   /* bytes that the guest has written, all of them */
	uint64_t input;		   /* bytes that the guest has taken */
	uint64_t output_lost;	   /* bytes that a client came too late for, all clients */
	uint64_t output_discarded; /* of output: what came while it was disabled */
	uint64_t n_stalls;	   /* times the guest's output had to wait */
	uint64_t stalled_ns;	   /* for how long, when it went on; see port_stalled_ns() */
};

struct port {
	struct bytering out; /* guest -> host; the oldest bytes go first */
	struct bytering in;  /* host -> guest; never overwritten */
	struct list_node clients;
	struct port_walk *walk;		   /* over clients, the latest begun; port.c's */
	struct port_client *writer;	   /* the one whose input counts, or NULL */
	struct port_journal *journal;	   /* NULL: what is here is lost with the process */
	unsigned int n_clients, n_openers; /* all; those that are not passive */
	unsigned int last_client_id;
	unsigned int n_replayers;     /* attachments that give old output to whoever joins */
	char name[PORT_NAME_MAX + 1]; /* as the guest is told; "": none */
	bool console;
	enum port_overflow overflow;
	bool output_disabled;	 /* what comes from the guest is discarded */
	bool input_disabled;	 /* what is there for the guest is withheld */
	bool told_open;		 /* port_host_open() as the device was last told */
	bool present;		 /* a front-end is connected */
	bool guest_open;	 /* the guest has opened the port */
	bool stalled;		 /* the device waits for room */
	bool frozen;		 /* see port_freeze() */
	unsigned int n_stopping; /* clients that still read */
	uint64_t
		delivered; /* output before this was read by a client, here or where it came from */
	uint64_t begin;	   /* output before this was another's, or went elsewhere */
	bool owing;	   /* the first client that holds is given all from `delivered` on */
	uint64_t stalled_since;
	uint16_t cols, rows; /* 0: unknown */
	struct port_counters counters;
	struct histogram latency;	       /* from the guest's kick to its buffers' return */
	const struct port_device_ops *dev_ops; /* NULL: no device */
	void *dev;
};

/*
 * A console port that drops, without a name and a device. history: bytes of
 * output kept, rounded up to a power of two. Returns 0 or -ENOMEM.
 */
int port_init(struct port *port, size_t history);
void port_fini(struct port *port);

/* Device side. */

/*
 * How much output can be added: UINT64_MAX for a port that never waits. When
 * it is too little, the device says so and hears of room by output_room().
 */
uint64_t port_output_room(const struct port *port);
void port_output_stalled(struct port *port);

/* For how long output has waited, all in all and up to now. */
uint64_t port_stalled_ns(const struct port *port);

/*
 * Adds guest output and never waits. Returns how many bytes were taken: all of
 * them on a port that drops, else what there was room for, or a part of that: then
 * there is room still, and the rest is for another turn. Of more than the ring
 * holds only the last are copied, as a driver can offer far more than anybody
 * could keep. Call port_output_done() after a batch.
 */
uint64_t port_output(struct port *port, const void *data, size_t len);
uint64_t port_output_v(struct port *port, const struct iovec *iov, unsigned int n, uint64_t total);
void port_output_done(struct port *port);

/* Takes input into n vectors; tells the writer when there is room again. */
size_t port_take_input(struct port *port, void *buf, size_t len);
size_t port_take_input_v(struct port *port, const struct iovec *iov, unsigned int n);

/*
 * The chains of what was taken were returned: for a journal, at the end of a
 * turn and before they are published.
 */
void port_input_taken(struct port *port, const struct ring_mark *mark);

/*
 * Bytes for the guest; 0 while input is disabled. More may come with the same
 * call of port_take_input_v() if port_input_flows().
 */
size_t port_input_pending(const struct port *port);
bool port_input_flows(const struct port *port);
void port_set_present(struct port *port, bool present);
void port_set_guest_open(struct port *port, bool open);

/*
 * The host side is open while a client that is not passive is there, and
 * after that until the guest has taken the last input: its end comes last.
 */
bool port_host_open(const struct port *port);

/* Client side. */

/*
 * Joins. It becomes the writer if it may and there is none, or if it steals.
 * Leaving hands the role to the client that came next and may write. Joining
 * calls none of the client's own ops: then it looks by itself whether there is
 * something to read, and whether it is the writer.
 */
void port_join(struct port *port, struct port_client *client, const struct port_client_ops *ops,
	       const struct port_client_options *options);
void port_leave(struct port_client *client);

/* The client goes on reading, but has no input to give any more. */
void port_end_input(struct port_client *client);

/* Makes a client that may write the writer. The one before becomes a watcher and is told. */
void port_steal(struct port_client *client);

static inline bool port_is_writer(const struct port_client *client)
{
	return client->port->writer == client;
}

/*
 * Copies output to buf (cap of at least PORT_READ_MIN) and moves the cursor; 0
 * when there is nothing new. Old output comes without its questions to the
 * terminal if the client shows it to people. When bytes were lost since the
 * last read, such a client's copy begins with one line that says how many.
 */
size_t port_read(struct port_client *client, void *buf, size_t cap);

/* Reads all there is for nobody, so that a client that takes no more holds nothing up (VC-067). */
void port_discard(struct port_client *client);

/*
 * True when there is something to read; port_read() may still return 0, when
 * all of it was questions.
 */
bool port_readable(const struct port_client *client);

/*
 * Adds input; only the writer's. Returns how many bytes there was room for; the
 * rest waits with the caller for input_room().
 */
size_t port_input(struct port *port, const void *data, size_t len);

/* Sets gives_now: the writer has input that input_now() would give. */
void port_input_offer(struct port_client *client);

/* Clears full: output_now() may take more, or the ring has to. */
void port_output_again(struct port_client *client);

/*
 * The size of a client's terminal; unknown if one is 0. The writer's is the
 * port's, as soon as it is known.
 */
void port_client_resize(struct port_client *client, uint16_t cols, uint16_t rows);

/* Administration. */

/*
 * The size by itself, until the writer's changes. Unknown, which is never told
 * to the guest, if one is 0; both are then.
 */
void port_resize(struct port *port, uint16_t cols, uint16_t rows);
void port_set_overflow(struct port *port, enum port_overflow overflow);
void port_enable_output(struct port *port, bool on);
void port_enable_input(struct port *port, bool on);

/*
 * A move to another process. From here on clients read no output and give no
 * input; what they have read is theirs and goes out. dev_ops->frozen() says when
 * no input is being read any more, perhaps at once. Repeatable.
 */
void port_freeze(struct port *port);
bool port_is_frozen(const struct port *port); /* and nothing is being read */
void port_input_stopped(struct port_client *client);

/* Clients and device look what there is for them: contents came by themselves. */
void port_wake_all(struct port *port);

/* Everything goes on. port_forget(): without the contents, which are elsewhere now. */
void port_thaw(struct port *port);
void port_forget(struct port *port);

/* NULL when there is no client with that id. */
struct port_client *port_find_client(struct port *port, unsigned int id);

#endif
