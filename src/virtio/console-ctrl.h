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
	CONSOLE_MSG_LEN = 8,		     /* id u32, event u16, value u16 */
	CONSOLE_MSG_MAX = 8 + PORT_NAME_MAX, /* with the data of PORT_NAME */
	CONSOLE_MAX_PORTS = 511,	     /* 1024 queues */
};

/* One port number as the driver and we see it. */
struct console_port {
	struct port *port;   /* NULL: there is no port of this number now */
	bool known;	     /* the driver was told PORT_ADD, and not PORT_REMOVE since */
	bool ready;	     /* the driver said PORT_READY 1 */
	bool guest_open;     /* the driver said PORT_OPEN 1 */
	bool told_open;	     /* the host state that the driver knows */
	bool draining;	     /* the driver may still use and mean a port that was removed */
	bool remove_waits;   /* for console_ctrl_drained() */
	uint64_t todo;	     /* BIT(event) still to be sent */
	struct console *con; /* from here on console.c's */
	uint64_t out_done;   /* bytes of the oldest transmit chain that are in the port already */
	uint32_t out_base;   /* at this position of the ring */
	unsigned int out_pauses; /* n_pauses of the console then */
	bool resumes; /* they came with a state: a start from index 0 is no new driver's */
};

struct console_ctrl {
	struct console_port *ports;
	unsigned int n_ports; /* numbers run below it */
	unsigned int limit;   /* max_nr_ports as the driver read it: from there on none is told */
	bool driver_ready;    /* the driver said DEVICE_READY 1: ports may be added and removed */
	bool size;	      /* F_SIZE was accepted: RESIZE may be sent */
	bool rows_first;      /* RESIZE as Linux read it until 2025 */
	unsigned int next;    /* where the search for something to tell begins */
	uint64_t pending[(CONSOLE_MAX_PORTS + 63) / 64]; /* ports with something to tell now */
};

/* A new driver: it knows nothing, and nothing is known of it. */
void console_ctrl_reset(struct console_ctrl *ctrl);

/*
 * What an earlier process knew of a port of a driver that goes on: it is told
 * whatever it may have missed, as one that comes back from hibernation.
 */
void console_ctrl_recall(struct console_ctrl *ctrl, unsigned int port_idx, bool known, bool ready,
			 bool guest_open);

/* Whether F_SIZE was accepted. Sizes that changed meanwhile are told then. */
void console_ctrl_set_size(struct console_ctrl *ctrl, bool accepted);

/*
 * Takes one message of the driver. Short, unknown, device-only and misaddressed
 * messages are ignored. len counts the bytes given; those past 8 are ignored.
 * Returns the port whose state it may have changed, or NULL.
 */
struct console_port *console_ctrl_receive(struct console_ctrl *ctrl, const void *msg, size_t len);

/* The guest has opened or closed a port, by a message or without; the port is told. */
void console_ctrl_set_guest_open(struct console_port *p, bool open);

/*
 * A port has come (ports[port_idx].port is set) or is going (still set; NULL
 * after this). Adding where one was just removed tells the driver of both. If
 * it waits, PORT_REMOVE is told after console_ctrl_drained().
 */
void console_ctrl_port_added(struct console_ctrl *ctrl, unsigned int port_idx);
void console_ctrl_port_removed(struct console_ctrl *ctrl, unsigned int port_idx, bool waits);
void console_ctrl_drained(struct console_ctrl *ctrl, unsigned int port_idx);

/* A port number as it was where its driver comes from; only what is console-ctrl's. */
void console_ctrl_restore_port(struct console_ctrl *ctrl, unsigned int port_idx,
			       const struct console_port *seen);

/* The host side of a port was opened or closed, or its size changed. */
void console_ctrl_host_open_changed(struct console_ctrl *ctrl, unsigned int port_idx);
void console_ctrl_size_changed(struct console_ctrl *ctrl, unsigned int port_idx);

/*
 * Writes the next message for the driver into buf (CONSOLE_MSG_MAX bytes) and
 * returns its length, or 0 when there is none. It stays the next one until it
 * was sent, or has to wait for a larger buffer: then another port's turn comes.
 */
size_t console_ctrl_peek(const struct console_ctrl *ctrl, void *buf);
void console_ctrl_sent(struct console_ctrl *ctrl);
void console_ctrl_postpone(struct console_ctrl *ctrl);

/*
 * How much of a message a buffer of room bytes is given: all, or 0 when it is
 * too small. A name is cut, or a driver with small buffers would never hear more.
 */
size_t console_ctrl_fit(const void *msg, size_t len, uint64_t room);

#endif
