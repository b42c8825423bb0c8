/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "backends/port.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

static size_t round_up_power_of_two(size_t n)
{
	size_t size = 1;

	while (size < n)
		size *= 2;
	return size;
}

int port_init(struct port *port, size_t history)
{
	int err;

	*port = (struct port){ 0 };
	list_init(&port->clients);
	err = bytering_init(&port->out, round_up_power_of_two(history));
	if (err < 0)
		return err;
	err = bytering_init(&port->in, PORT_INPUT_SIZE);
	if (err < 0)
		bytering_fini(&port->out);
	return err;
}

void port_fini(struct port *port)
{
	assert(list_empty(&port->clients));
	bytering_fini(&port->out);
	bytering_fini(&port->in);
}

void port_output(struct port *port, const void *data, size_t len)
{
	bytering_put_over(&port->out, data, len);
}

void port_output_v(struct port *port, const struct iovec *iov, unsigned int n, uint64_t total)
{
	uint64_t skip = total > port->out.size ? total - port->out.size : 0;

	bytering_skip_over(&port->out, skip);
	for (unsigned int i = 0; i < n; i++) {
		size_t from = (size_t)min_u64(skip, iov[i].iov_len);

		skip -= from;
		bytering_put_over(&port->out, (char *)iov[i].iov_base + from,
				  iov[i].iov_len - from);
	}
}

void port_output_done(struct port *port)
{
	struct list_node *node, *tmp;

	list_for_each (node, tmp, &port->clients) {
		struct port_client *c = list_entry(node, struct port_client, link);

		if (c->ops->output_ready && port_readable(c))
			c->ops->output_ready(c);
	}
}

size_t port_take_input(struct port *port, void *buf, size_t len)
{
	size_t n = bytering_copy_at(&port->in, port->in.tail, buf, len);

	bytering_consume(&port->in, n);
	if (n > 0 && port->writer && port->writer->ops->input_room)
		port->writer->ops->input_room(port->writer);
	return n;
}

size_t port_input_pending(const struct port *port)
{
	return bytering_used(&port->in);
}

void port_set_present(struct port *port, bool present)
{
	struct list_node *node, *tmp;

	if (port->present == present)
		return;
	port->present = present;
	list_for_each (node, tmp, &port->clients) {
		struct port_client *c = list_entry(node, struct port_client, link);

		if (c->ops->present_changed)
			c->ops->present_changed(c);
	}
}

static void tell_host_open(struct port *port)
{
	if (port->dev_ops)
		port->dev_ops->host_open_changed(port->dev);
}

void port_join(struct port *port, struct port_client *client, const struct port_client_ops *ops)
{
	client->ops = ops;
	client->port = port;
	client->pos = 0;
	client->read_only = false;
	list_append(&port->clients, &client->link);
	if (!port->writer)
		port->writer = client;
	if (port->n_clients++ == 0)
		tell_host_open(port);
}

static struct port_client *next_writer(struct port *port)
{
	struct list_node *node, *tmp;

	list_for_each (node, tmp, &port->clients) {
		struct port_client *c = list_entry(node, struct port_client, link);

		if (!c->read_only)
			return c;
	}
	return NULL;
}

static void hand_over(struct port *port)
{
	port->writer = next_writer(port);
	if (port->writer && port->writer->ops->input_room)
		port->writer->ops->input_room(port->writer);
}

void port_end_input(struct port_client *client)
{
	client->read_only = true;
	if (port_is_writer(client))
		hand_over(client->port);
}

void port_leave(struct port_client *client)
{
	struct port *port = client->port;

	list_remove(&client->link);
	if (port_is_writer(client))
		hand_over(port);
	if (--port->n_clients == 0)
		tell_host_open(port);
}

bool port_readable(const struct port_client *client)
{
	return client->pos < client->port->out.head;
}

size_t port_read(struct port_client *client, void *buf, size_t cap)
{
	const struct bytering *out = &client->port->out;
	size_t marker = 0, n;

	assert(cap > PORT_MARKER_MAX);
	if (client->pos < out->tail) {
		marker = (size_t)snprintf(buf, PORT_MARKER_MAX,
					  "\r\n[%" PRIu64 " bytes of output lost here]\r\n",
					  out->tail - client->pos);
		client->pos = out->tail;
	}
	n = bytering_copy_at(out, client->pos, (char *)buf + marker, cap - marker);
	client->pos += n;
	return marker + n;
}

size_t port_input_space(struct port *port, void **ret_buf)
{
	return bytering_free_segment(&port->in, ret_buf);
}

static void tell_input(struct port *port)
{
	if (port->dev_ops)
		port->dev_ops->input_ready(port->dev);
}

void port_input_commit(struct port *port, size_t len)
{
	bytering_commit(&port->in, len);
	tell_input(port);
}

size_t port_input(struct port *port, const void *data, size_t len)
{
	size_t n = bytering_put(&port->in, data, len);

	if (n > 0)
		tell_input(port);
	return n;
}

void port_resize(struct port *port, uint16_t cols, uint16_t rows)
{
	if (port->cols == cols && port->rows == rows)
		return;
	port->cols = cols;
	port->rows = rows;
	if (port->dev_ops)
		port->dev_ops->size_changed(port->dev);
}
