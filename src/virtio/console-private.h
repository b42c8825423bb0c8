/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What console.c and console-ports.c know of each other: which queue is whose. */
#ifndef VHU_VIRTIO_CONSOLE_PRIVATE_H
#define VHU_VIRTIO_CONSOLE_PRIVATE_H

#include "virtio/console.h"

/* Queue numbers (virtio 1.x, "Console Device", "Virtqueues"). */
enum {
	CONSOLE_CTRL_RX = 2, /* device to driver */
	CONSOLE_CTRL_TX = 3,
};

static inline bool console_is_multiport(const struct console *con)
{
	return con->features & BIT(CONSOLE_F_MULTIPORT_BIT);
}

static inline unsigned int console_port_number(const struct console_port *p)
{
	return (unsigned int)(p - p->con->ctrl.ports);
}

static inline struct vqueue *console_port_rx(const struct console_port *p)
{
	unsigned int idx = console_port_number(p);

	return p->con->queues[idx == 0 ? 0 : 2 * idx + 2];
}

static inline struct vqueue *console_port_tx(const struct console_port *p)
{
	unsigned int idx = console_port_number(p);

	return p->con->queues[idx == 0 ? 1 : 2 * idx + 3];
}

static inline void console_wake_ctrl(struct console *con)
{
	vqueue_wake(con->queues[CONSOLE_CTRL_RX]);
}

/* A driver without control queues has port 0 open as soon as it uses it (VC-004). */
void console_open_single(struct console *con);

#endif
