/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What the files of a port share. */
#ifndef VHU_BACKENDS_PORT_PRIVATE_H
#define VHU_BACKENDS_PORT_PRIVATE_H

#include "backends/port.h"

/* Tells a device that waits for room, if there is some. */
void port_wake_stalled(struct port *port);

/* The notice that says this; NULL: none of ours does. */
const char *port_notice_named(const char *text);

#endif
