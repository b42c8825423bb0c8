/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The control queues of a console with F_MULTIPORT, as a state machine without
 * queues: messages from the driver go in, messages to the driver come out.
 *
 * What is still to be told is kept as flags per port rather than as a list of
 * messages. So memory is bounded whatever the driver and the host side do, and
 * a state that was superseded before the driver had a buffer is told once.
 * (virtio 1.x, "Console Device", "Multiport Device Operation")
 */
#ifndef VHU_VIRTIO_CONSOLE_CTRL_H
#define VHU_VIRTIO_CONSOLE_CTRL_H

#include "backends/port.h"
#include "base.h"

enum console_event {
	CONSOLE_DEVICE_READY = 0,
	CONSOLE_PORT_ADD = 1,
	CONSOLE_PORT_REMOVE = 2,
	CONSOLE_PORT_READY = 3,
	CONSOLE_CONSOLE_PORT = 4,
	CONSOLE_RESIZE = 5,
	CONSOLE_PORT_OPEN = 6,
	CONSOLE_PORT_NAME = 7,
};

enum {
	CONSOLE_MSG_LEN = 8,	 /* id u32, event u16, value u16 */
	CONSOLE_MSG_MAX = 8 + 4, /* with the data of RESIZE */
};

/* One port as the driver and we see it. */
struct console_port {
	struct port *port;
	bool ready;	 /* the driver said PORT_READY 1 */
	bool guest_open; /* the driver said PORT_OPEN 1 */
	bool told_open;	 /* the host state that the driver knows */
	uint64_t todo;	 /* BIT(event) still to be sent, lowest event first */
};

struct console_ctrl {
	struct console_port *ports;
	unsigned int n_ports;
	bool size; /* F_SIZE was accepted: RESIZE may be sent */
};

/* A new driver: it knows nothing, and nothing is known of it. */
void console_ctrl_reset(struct console_ctrl *ctrl);

/*
 * Takes one message of the driver. Short, unknown, device-only and misaddressed
 * messages are ignored. len counts the bytes given; those past 8 are ignored.
 */
void console_ctrl_receive(struct console_ctrl *ctrl, const void *msg, size_t len);

/* The host side of a port was opened or closed, or its size changed. */
void console_ctrl_host_open_changed(struct console_ctrl *ctrl, unsigned int port_idx);
void console_ctrl_size_changed(struct console_ctrl *ctrl, unsigned int port_idx);

/*
 * Writes the next message for the driver into buf (CONSOLE_MSG_MAX bytes) and
 * returns its length, or 0 when there is none. It stays the next one until
 * console_ctrl_sent().
 */
size_t console_ctrl_peek(struct console_ctrl *ctrl, void *buf);
void console_ctrl_sent(struct console_ctrl *ctrl);

#endif
