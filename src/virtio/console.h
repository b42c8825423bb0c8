/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The virtio console device (id 3): configuration space, data and control queues. */
#ifndef VHU_VIRTIO_CONSOLE_H
#define VHU_VIRTIO_CONSOLE_H

#include "backends/port.h"
#include "virtio/console-ctrl.h"
#include "virtio/device.h"

enum {
	CONSOLE_F_SIZE_BIT = 0,
	CONSOLE_F_MULTIPORT_BIT = 1,
	CONSOLE_F_EMERG_WRITE_BIT = 2,
};

enum {
	CONSOLE_CONFIG_LEN = 12, /* cols u16, rows u16, max_nr_ports u32, emerg_wr u32 */
};

/* Two for port 0, two for control, two for each further port. */
#define CONSOLE_N_QUEUES(n_ports) (2 * ((n_ports) + 1))

struct console_journal;

struct console {
	struct vdev vdev;
	struct console_ctrl ctrl;
	struct vqueue **queues; /* NULL while stopped */
	uint64_t features;	/* what the driver accepted */
	unsigned int n_pauses;	/* how often the control queue has stopped */
	bool single;		/* the driver at work has no control queues: port 0 alone */
	bool present;		/* a front-end is connected */
	uint64_t guest;		/* by its in-flight record; 0: it has none */
	struct console_journal *journal; /* NULL: none (virtio/console-journal.h) */
	bool frozen;			 /* see vdev_ops.freeze() */
	bool freezing;			 /* and not all of it stands still */
	bool ctrl_resumes; /* its state was loaded: a control queue from index 0 is no news */
	struct console_loaded *loaded; /* console-state.c's; NULL: none */
};

/*
 * A console without ports, whose numbers run below max_ports (1 to
 * CONSOLE_MAX_PORTS). rows_first: RESIZE has rows before columns, as Linux
 * before 6.15 read it. Zero or -ENOMEM.
 */
int console_init(struct console *con, unsigned int max_ports, bool rows_first);

/* No queue runs and no port is left. */
void console_fini(struct console *con);

/*
 * The port (lent until console_remove_port()) gets number port_idx, which is
 * free; the driver is told, now or when it is ready. Settings that the driver
 * is told once (name, console) stay as they are until it is removed.
 */
void console_add_port(struct console *con, unsigned int port_idx, struct port *port);

/*
 * The number is free at once, and the port nobody's: what the driver had queued
 * for it is given back unread. The driver is told.
 */
void console_remove_port(struct console *con, unsigned int port_idx);

/* Whether queue idx is one of the two for control. */
bool console_is_ctrl_queue(unsigned int idx);

/* NULL: no port has that number. */
static inline struct port *console_port(const struct console *con, unsigned int port_idx)
{
	return port_idx < con->ctrl.n_ports ? con->ctrl.ports[port_idx].port : NULL;
}

#endif
