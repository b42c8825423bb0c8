/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The ports of a console: how they come and go, and what they tell it. */
#include <assert.h>

#include "backends/port-journal.h"
#include "virtio/console-private.h"
#include "virtio/console-state.h"

static void port_input_ready(struct port *port)
{
	vqueue_wake(console_port_rx(port->dev));
}

static void port_output_room_again(struct port *port)
{
	vqueue_wake(console_port_tx(port->dev));
}

static void port_host_open_changed(struct port *port)
{
	struct console_port *p = port->dev;

	console_ctrl_host_open_changed(&p->con->ctrl, console_port_number(p));
	console_wake_ctrl(p->con);
}

/* Config space is watched only by a driver that gets no messages (VC-015). */
static void config_size_changed(struct console *con)
{
	if (con->ctrl.size && !console_is_multiport(con))
		vdev_config_changed(&con->vdev);
}

static void port_size_changed(struct port *port)
{
	struct console_port *p = port->dev;

	console_ctrl_size_changed(&p->con->ctrl, console_port_number(p));
	console_wake_ctrl(p->con);
	if (console_port_number(p) == 0)
		config_size_changed(p->con);
}

static const struct port_device_ops console_port_ops = {
	.input_ready = port_input_ready,
	.output_room = port_output_room_again,
	.host_open_changed = port_host_open_changed,
	.size_changed = port_size_changed,
	.frozen = console_port_frozen,
};

void console_add_port(struct console *con, unsigned int port_idx, struct port *port)
{
	struct console_port *p = &con->ctrl.ports[port_idx];

	assert(port_idx < con->ctrl.n_ports && !p->port);
	p->port = port;
	port->dev = p;
	port->dev_ops = &console_port_ops;
	if (console_port_tx(p))
		console_port_tx(p)->latency = &port->latency;
	if (port->journal && (console_port_rx(p) || console_port_tx(p)))
		port_journal_meet(port->journal, con->guest);
	console_ctrl_port_added(&con->ctrl, port_idx);
	if (port_idx == 0 && (con->queues[0] || con->queues[1]))
		console_open_single(con);
	if (port_idx == 0 && (port->cols || port->rows))
		config_size_changed(con);
	port_set_present(port, con->present);
	if (con->frozen)
		port_freeze(port);
	vqueue_wake(console_port_rx(p));
	vqueue_wake(console_port_tx(p));
	console_wake_ctrl(con);
}

void console_remove_port(struct console *con, unsigned int port_idx)
{
	struct console_port *p = &con->ctrl.ports[port_idx];
	struct port *port = console_port(con, port_idx);
	struct vqueue *tx = console_port_tx(p);

	assert(port);
	port->dev_ops = NULL;
	port->dev = NULL;
	if (tx)
		tx->latency = NULL;
	p->out_done = 0;
	/* A queue that does not run is given back when it does. */
	console_ctrl_port_removed(&con->ctrl, port_idx,
				  tx && tx->running && virtq_has_avail(&tx->vq));
	if (port_idx == 0 && (port->cols || port->rows))
		config_size_changed(con);
	vqueue_wake(tx);
	console_wake_ctrl(con);
	if (con->frozen) {
		port_thaw(port);
		console_freeze(&con->vdev); /* it may have been the one to be waited for */
	}
}
