/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* A port stands still while its contents go elsewhere, and goes on afterwards. */
#include "backends/port-private.h"

bool port_is_frozen(const struct port *port)
{
	return port->frozen && port->n_stopping == 0;
}

static void tell_frozen(struct port *port)
{
	if (port_is_frozen(port) && port->dev_ops && port->dev_ops->frozen)
		port->dev_ops->frozen(port);
}

void port_freeze(struct port *port)
{
	struct port_client *c;
	struct port_walk w;

	port->frozen = true;
	port_walk_begin(port, &w);
	while ((c = port_walk_next(port, &w))) {
		if (c->stopping || !c->ops->input_stop || c->ops->input_stop(c))
			continue;
		c->stopping = true;
		port->n_stopping++;
	}
	tell_frozen(port);
}

void port_input_stopped(struct port_client *client)
{
	if (!client->stopping)
		return;
	client->stopping = false;
	client->port->n_stopping--;
	tell_frozen(client->port);
}

void port_wake_all(struct port *port)
{
	struct port_client *c;
	struct port_walk w;

	port_output_done(port);
	port_walk_begin(port, &w);
	while ((c = port_walk_next(port, &w)))
		if (c->ops->input_room)
			c->ops->input_room(c);
	port_wake_stalled(port);
	port_tell_input(port);
	port_check_host_open(port);
}

void port_thaw(struct port *port)
{
	if (!port->frozen)
		return;
	port->frozen = false;
	port_wake_all(port);
}

/* The history went along: who comes later sees what comes later. */
void port_forget(struct port *port)
{
	struct list_node *node = port->clients.next;

	bytering_consume(&port->in, bytering_used(&port->in));
	bytering_consume(&port->out, bytering_used(&port->out));
	port->begin = port->delivered = port->out.head;
	port->owing = false;
	for (; node != &port->clients; node = node->next) {
		struct port_client *c = list_entry(node, struct port_client, link);

		c->pos = c->replay_end = port->out.head;
		c->replay = (struct replay){ 0 };
		sanitize_restart(&c->sanitize);
		if (c->ops->input_forget)
			c->ops->input_forget(c);
	}
	port_thaw(port);
}
