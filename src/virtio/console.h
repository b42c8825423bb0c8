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
	CONSOLE_N_PORTS = 1,
	CONSOLE_N_QUEUES = 2 * (CONSOLE_N_PORTS + 1),
};

struct console {
	struct vdev vdev;
	struct console_ctrl ctrl;
	struct console_port ports[CONSOLE_N_PORTS];
	struct vqueue *queues[CONSOLE_N_QUEUES]; /* NULL while stopped */
	uint64_t features;			 /* what the driver accepted */
};

/* Port 0 becomes a console port; the console hears of its changes from now on. */
void console_init(struct console *con, struct port *port);

#endif
