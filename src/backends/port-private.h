/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What the files of a port share. */
#ifndef VHU_BACKENDS_PORT_PRIVATE_H
#define VHU_BACKENDS_PORT_PRIVATE_H

#include "backends/port.h"

/*
 * A walk over the clients, any of which may leave during it, and be freed then:
 * port_leave() moves the walks under way on.
 */
struct port_walk {
	struct port_walk *outer;
	struct list_node *next;
};

void port_walk_begin(struct port *port, struct port_walk *w);

/* The next client; NULL when there is no other, and the walk is over. */
struct port_client *port_walk_next(struct port *port, struct port_walk *w);

/* Tells the device of input and of whether the host side is open, if it has to know. */
void port_tell_input(struct port *port);
void port_check_host_open(struct port *port);

/* The output that is still to be read by a client that holds begins here; false: none holds. */
bool port_slowest(const struct port *port, uint64_t *ret_pos);

/* Past the port's buffers: to a client that takes it, total bytes; from the writer. */
uint64_t port_output_now(struct port_client *c, const struct iovec *iov, unsigned int n,
			 uint64_t total);
size_t port_take_now(struct port *port, const struct iovec *iov, unsigned int n);

/* Input, to those who want to know: a log of what was typed. */
void port_show_input(struct port *port, const void *data, size_t len);

/* A power of two, n at least. */
size_t port_ring_size(size_t n);

/* Tells a device that waits for room, if there is some. */
void port_wake_stalled(struct port *port);

/* The notice that says this; NULL: none of ours does. */
const char *port_notice_named(const char *text);

#endif
