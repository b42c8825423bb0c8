/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What is set of a port while it is used: sizes, overflow, directions. */
#include "backends/port-private.h"

void port_client_resize(struct port_client *client, uint16_t cols, uint16_t rows)
{
	if (cols == 0 || rows == 0)
		cols = rows = 0;
	if (client->cols == cols && client->rows == rows)
		return;
	client->cols = cols;
	client->rows = rows;
	if (cols > 0 && port_is_writer(client))
		port_resize(client->port, cols, rows);
}

void port_resize(struct port *port, uint16_t cols, uint16_t rows)
{
	if (cols == 0 || rows == 0)
		cols = rows = 0;
	if (port->cols == cols && port->rows == rows)
		return;
	port->cols = cols;
	port->rows = rows;
	if (port->dev_ops)
		port->dev_ops->size_changed(port);
}

void port_set_overflow(struct port *port, enum port_overflow overflow)
{
	port->overflow = overflow;
	port_wake_stalled(port);
}

void port_enable_output(struct port *port, bool on)
{
	port->output_disabled = !on;
	port_wake_stalled(port);
}

void port_enable_input(struct port *port, bool on)
{
	port->input_disabled = !on;
	port_check_host_open(port);
	port_tell_input(port);
}
