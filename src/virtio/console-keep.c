/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "virtio/console-keep.h"

/* The first byte is the driver's, one for each port follows. */
enum { KEPT_DRIVER = 0, KEPT_PORTS = 1 };

enum {
	DRIVER_READY = 0x01,
	PORT_KNOWN = 0x01,
	PORT_READY = 0x02,
	PORT_GUEST_OPEN = 0x04,
};

static uint8_t port_byte(const struct console_port *p)
{
	return (uint8_t)((p->known ? PORT_KNOWN : 0) | (p->ready ? PORT_READY : 0) |
			 (p->guest_open ? PORT_GUEST_OPEN : 0));
}

static void keep_byte(struct inflight *record, unsigned int idx, uint8_t value)
{
	if (inflight_kept(record, idx) != value)
		inflight_keep(record, idx, value);
}

void console_keep(struct console *con)
{
	struct inflight *record = con->vdev.record;

	if (!record)
		return;
	for (unsigned int i = 0; i < con->ctrl.n_ports; i++)
		keep_byte(record, KEPT_PORTS + i, port_byte(&con->ctrl.ports[i]));
	keep_byte(record, KEPT_DRIVER, con->ctrl.driver_ready ? DRIVER_READY : 0);
}

bool console_recall(struct console *con)
{
	struct inflight *record = con->vdev.record;

	if (con->ctrl.driver_ready || inflight_kept(record, KEPT_DRIVER) != DRIVER_READY)
		return false;
	con->ctrl.driver_ready = true;
	for (unsigned int i = 0; i < con->ctrl.n_ports; i++) {
		uint8_t kept = inflight_kept(record, KEPT_PORTS + i);

		console_ctrl_recall(&con->ctrl, i, kept & PORT_KNOWN, kept & PORT_READY,
				    kept & PORT_GUEST_OPEN);
	}
	return true;
}
