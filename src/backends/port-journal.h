/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What a port that holds has on the way, in a journal: the daemon may be killed
 * at any moment, and the next one goes on with the same bytes, each once.
 *
 * Three things could fall between two stores of a process that dies, and none
 * does:
 *  - Between the guest and the port: what was taken of a ring and which of its
 *    chains are returned are one commit; the next daemon publishes those.
 *  - From the port to a client: sendmmsg() writes how much it has sent into the
 *    journal before it returns from the kernel, where no signal comes between.
 *  - From a client to the port: recvmmsg() does the same.
 *
 * One client is recorded, a socket whose bytes are the port's, the first that
 * comes. The connection is lost with the daemon: what the client has sent and
 * the daemon not read is the client's to send again.
 */
#ifndef VHU_BACKENDS_PORT_JOURNAL_H
#define VHU_BACKENDS_PORT_JOURNAL_H

#include <sys/types.h>

#include "backends/port.h"
#include "journal.h"
#include "ringmark.h"

enum {
	PORT_JOURNAL_INPUT = 2 * PORT_INPUT_SIZE, /* bytes of the input queue */
	PORT_JOURNAL_RECEIVE = 16 * 1024,	  /* bytes of one receive */
};

/* All that becomes true at once. */
struct port_commit {
	uint64_t out_head;	       /* the guest has given that much */
	uint64_t in_head, in_tail;     /* of the queue: the guest has taken up to tail */
	uint64_t receive, received_to; /* of that receive, so many bytes are in the queue */
	uint64_t guest;		       /* whose rings these are; 0: nobody's */
	struct ring_mark returned[2];  /* of the receive and the transmit ring */
	uint32_t next_out;	       /* of the transmit chain that was taken in part: where, */
	uint64_t out_done;	       /* and how many bytes of it */
};

struct port_transfers; /* the calls to the kernel, in the journal */

struct port_journal {
	struct journal file;
	struct port_commit now; /* the next commit */
	struct port_transfers *transfers;
	uint8_t *received, *in, *out; /* in the file */
	size_t out_size;
	bool client;	    /* one is recorded */
	bool found_ring[2]; /* what was found of it was not asked for yet */
	bool found_out_done;
};

/*
 * Opens the journal at path for a port with that much history (a power of two).
 * 0, or -errno with one sentence. The caller frees it by port_journal_free().
 */
int port_journal_new(const char *path, size_t out_size, struct port_journal **ret_journal,
		     char *ret_why, size_t why_cap);

/* NULL is allowed. The file stays. */
void port_journal_free(struct port_journal *j);

/*
 * The port, fresh and without clients, keeps its bytes there from now on (lent),
 * and has again what it had. Output that was on its way to a client waits for
 * the next one that holds.
 */
void port_journal_begin(struct port_journal *j, struct port *port);

/*
 * For a hand-over, as a group. The loaded one, NULL if something is wrong, keeps the
 * port's bytes (port->in and port->out, positions and all), which stay in the file;
 * neither changes anything there.
 */
void port_journal_save(const struct port_journal *j, const struct port *port,
		       struct handover_out *out, unsigned int tag);
void port_journal_load(struct port *port, size_t out_size, struct handover_in *in,
		       unsigned int tag);

/*
 * A client comes: false, if it is not to be recorded. pos: of the next byte that
 * it is sent, in the stream of output.
 */
bool port_journal_join(struct port_journal *j, uint64_t pos);

/* It leaves by itself: nobody waits for what it has not had. */
void port_journal_leave(struct port_journal *j);

/* We let it go, as at our end: what it has not had waits for who comes to the next process. */
void port_journal_part(struct port_journal *j);

/* Sends, without waiting, what begins at pos. As send(2), with -errno. */
ssize_t port_journal_send(struct port_journal *j, int fd, uint64_t pos, const void *buf,
			  size_t len);

/* Receives into j->received, without waiting. The port has had all of the one before. */
ssize_t port_journal_receive(struct port_journal *j, int fd);

/* The first n bytes of the last receive are in the port's queue. */
void port_journal_input(struct port_journal *j, const struct port *port, size_t n);

/* What chains that are returned have brought the port, or taken; before they are published. */
void port_journal_guest_gave(struct port_journal *j, const struct port *port,
			     const struct ring_mark *mark, uint32_t next_out, uint64_t out_done);
void port_journal_guest_took(struct port_journal *j, const struct port *port,
			     const struct ring_mark *mark);

/*
 * A ring (0: receive, 1: transmit) of this guest starts. True: *ret_mark is what
 * the process before this one returned last. Another guest than before: from here
 * on the journal is about it.
 */
bool port_journal_resume(struct port_journal *j, uint64_t guest, unsigned int ring,
			 struct ring_mark *ret_mark);

/* The port comes to a guest whose rings run already. */
void port_journal_meet(struct port_journal *j, uint64_t guest);

/* What the process before this one took of the transmit chain at index next. */
uint64_t port_journal_out_done(struct port_journal *j, uint64_t guest, uint32_t next);

#endif
