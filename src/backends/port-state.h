/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The contents of a port as state: for another process that goes on with its
 * guest (it was moved), or for this one's successor (it stays where it is).
 */
#ifndef VHU_BACKENDS_PORT_STATE_H
#define VHU_BACKENDS_PORT_STATE_H

#include "backends/port.h"
#include "state.h"

enum {
	/* Of one port: what waits here, and what a client and earlier moves may add. */
	PORT_STATE_INPUT_MAX = 16 * PORT_INPUT_SIZE,
};

enum port_state_how {
	/*
	 * Clients stay behind: input that they hold is part of it, and output that
	 * some client of those that hold has not read; without any, what none has
	 * read. A port that drops takes its history along.
	 */
	PORT_STATE_MOVED,
	/* Clients come along and know positions: both rings as they are, and counters. */
	PORT_STATE_HERE,
};

/* A port's state, read and ready to be put in force without any way to fail. */
struct port_state {
	enum port_state_how how;
	struct bytering in;    /* what the port's own will be */
	const uint8_t *output; /* in the reader's bytes */
	size_t output_len;     /* all of it */
	size_t history_len;    /* the part in front that was delivered */
	uint16_t cols, rows;
	uint64_t out_head, in_head; /* PORT_STATE_HERE: positions */
	uint64_t delivered;
	struct port_counters counters;
};

/* Writes the fields of the port into the open group. It is frozen. */
void port_save(struct port *port, struct state_writer *w, enum port_state_how how);

/*
 * Reads them; port is the one that will have them: name, kind and room are
 * compared. What is wrong is the reader's to say, or -ENOMEM. On failure
 * nothing is left in *ret_state, and the port is untouched either way.
 */
int port_state_read(struct port_state *ret_state, const struct port *port, struct state_reader *r,
		    enum port_state_how how);
void port_state_fini(struct port_state *s);

/*
 * Puts it in force; the reader's bytes are still there. Contents of the port go
 * behind those of the state. port_state_fini() comes after. Tell clients and
 * device with port_thaw() later.
 */
void port_state_apply(struct port_state *s, struct port *port);

#endif
