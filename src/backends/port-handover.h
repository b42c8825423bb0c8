/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A port and its clients as part of a hand-over (handover.h): they stay as they
 * are, positions, numbers and all. Nobody is told anything on the way.
 */
#ifndef VHU_BACKENDS_PORT_HANDOVER_H
#define VHU_BACKENDS_PORT_HANDOVER_H

#include "backends/port.h"
#include "handover.h"

/* The port without its clients, as a group of this tag. */
void port_handover_save(const struct port *port, struct handover_out *out, unsigned int tag);

/*
 * The port has the size, name and device that it is to have. Before its
 * clients come back, and after the device has.
 */
void port_handover_load(struct port *port, struct handover_in *in, unsigned int tag);

/* One client, as a group. */
void port_client_save(const struct port_client *c, struct handover_out *out, unsigned int tag);

/* In place of port_join(). False: something is wrong with it, and it has not joined. */
bool port_client_load(struct port *port, struct port_client *c, const struct port_client_ops *ops,
		      struct handover_in *in, unsigned int tag);

/* Input that waits for the port, in an owner's buffer. */
void port_handover_put_bytes(struct handover_out *out, unsigned int tag, const void *buf, size_t at,
			     size_t len);

#endif
