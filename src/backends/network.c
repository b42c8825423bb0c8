/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * TCP on the loopback address: any number of clients see the output; the one
 * that came first has the keyboard, and when it goes the next one has.
 */
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/backend.h"
#include "backends/stream.h"
#include "fd.h"
#include "listener.h"
#include "log.h"

enum {
	CLIENTS_MAX = 64,
	ASIDE_SIZE = 512, /* for input of a watcher, which is read to be thrown away */
	/*
	 * A client that has sent its last byte may still want the answer; but
	 * one that is gone looks the same, and must not keep the guest waiting.
	 */
	LINGER_NS = 500 * 1000 * 1000,
};

struct network {
	struct console_backend base;
	struct loop *loop;
	struct port *port;
	const char *who;
	uint16_t tcp_port;
	struct listener listener;
	struct list_node clients;
	unsigned int n_clients;
	bool closing, listening;
	void (*closed)(void *arg);
	void *closed_arg;
};

struct client {
	struct list_node link;
	struct network *net;
	struct stream stream;
	struct port_client reader;
	struct scope timer_scope;
	struct timer linger;
	int fd;
	bool dropped;	  /* on its way out; its memory goes when all is idle */
	bool going;	  /* nothing more is read or, once drained, written */
	bool reads_aside; /* the read under way goes to aside, not to the port */
	char aside[ASIDE_SIZE];
	size_t aside_at, aside_len; /* bytes there that the port has no room for yet */
};

static struct network *to_network(struct console_backend *b)
{
	return container_of(b, struct network, base);
}

static struct client *from_stream(struct stream *s)
{
	return container_of(s, struct client, stream);
}

static struct client *from_reader(struct port_client *r)
{
	return container_of(r, struct client, reader);
}

static void settle(struct network *net)
{
	void (*closed)(void *arg) = net->closed;
	void *arg = net->closed_arg;

	if (!net->closing || net->listening || net->n_clients > 0)
		return;
	free(net);
	closed(arg);
}

static void client_closed(struct scope *timer_scope)
{
	struct client *c = container_of(timer_scope, struct client, timer_scope);
	struct network *net = c->net;

	fd_close(c->fd);
	free(c);
	net->n_clients--;
	settle(net);
}

/*
 * Only now, with no read under way, may another client write: it is given the
 * same space in the port's input.
 */
static void stream_closed(struct stream *s)
{
	struct client *c = from_stream(s);

	port_leave(&c->reader);
	scope_cancel(&c->timer_scope, client_closed);
}

static void drop_client(struct client *c, const char *why)
{
	if (c->dropped)
		return;
	c->dropped = true;
	log_info(c->net->who, "a client left: %s", why);
	list_remove(&c->link);
	stream_close(&c->stream, stream_closed);
}

/* What a watcher had sent when it became the writer; false while it waits for room. */
static bool aside_empty(struct client *c)
{
	size_t n = port_input(c->net->port, c->aside + c->aside_at, c->aside_len);

	c->aside_at += n;
	c->aside_len -= n;
	return c->aside_len == 0;
}

/* The writer's bytes go straight to the guest's input; a watcher's nowhere. */
static size_t input_space(struct stream *s, void **ret_buf)
{
	struct client *c = from_stream(s);

	c->reads_aside = !port_is_writer(&c->reader);
	if (c->reads_aside) {
		*ret_buf = c->aside;
		return sizeof(c->aside);
	}
	return aside_empty(c) ? port_input_space(c->net->port, ret_buf) : 0;
}

static void input(struct stream *s, size_t len)
{
	struct client *c = from_stream(s);

	if (!c->reads_aside) {
		port_input_commit(c->net->port, len);
	} else if (port_is_writer(&c->reader)) {
		/* It became the writer while this read was under way. */
		c->aside_at = 0;
		c->aside_len = len;
	}
}

static void input_ended(struct stream *s, int err)
{
	struct client *c = from_stream(s);

	if (err < 0) {
		drop_client(c, strerror(-err));
		return;
	}
	port_end_input(&c->reader);
	timer_arm(&c->linger, LINGER_NS);
}

static void linger_done(struct op *op, int res)
{
	struct client *c = container_of(op, struct client, linger.op);

	/* It may have expired just before the client, gone for another reason, cancelled it. */
	if (res == -ETIME && !scope_cancelling(&c->timer_scope))
		drop_client(c, "it closed the connection");
}

static size_t output(struct stream *s, void *buf, size_t cap)
{
	return port_read(&from_stream(s)->reader, buf, cap);
}

static void output_failed(struct stream *s, int err)
{
	drop_client(from_stream(s), strerror(-err));
}

static void drained(struct stream *s)
{
	struct client *c = from_stream(s);

	if (c->going)
		drop_client(c, "the console is closing");
}

static const struct stream_ops stream_ops = {
	.input_space = input_space,
	.input = input,
	.input_ended = input_ended,
	.output = output,
	.output_failed = output_failed,
	.drained = drained,
};

static void output_ready(struct port_client *r)
{
	stream_write(&from_reader(r)->stream);
}

static void input_room(struct port_client *r)
{
	stream_read(&from_reader(r)->stream);
}

static const struct port_client_ops reader_ops = {
	.output_ready = output_ready,
	.input_room = input_room,
};

static void set_options(int fd)
{
	const int on = 1;

	/* A key is a packet; a peer that vanished is noticed one day. Failing costs neither. */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
}

static void accepted(struct listener *l, int fd)
{
	struct network *net = container_of(l, struct network, listener);
	struct client *c = NULL;

	if (net->n_clients < CLIENTS_MAX)
		c = calloc(1, sizeof(*c));
	if (!c || stream_init(&c->stream, net->loop, fd, fd, &stream_ops) < 0) {
		log_warning(net->who, "a client was turned away: %s",
			    c ? "out of memory" : "there are as many as can be served");
		free(c);
		fd_close(fd);
		return;
	}
	set_options(fd);
	c->net = net;
	c->fd = fd;
	scope_init(&c->timer_scope, net->loop);
	timer_init(&c->linger, &c->timer_scope, linger_done);
	list_append(&net->clients, &c->link);
	net->n_clients++;
	port_join(net->port, &c->reader, &reader_ops);
	log_info(net->who, "a client joined%s",
		 port_is_writer(&c->reader) ? "" : " and watches; another has the keyboard");
	stream_write(&c->stream);
	stream_read(&c->stream);
}

static int network_open(struct loop *loop, struct port *port,
			const struct console_backend_options *options,
			struct console_backend **ret_backend, char *ret_why, size_t why_cap)
{
	AUTO_FD int fd = listener_tcp_socket(options->tcp_port, ret_why, why_cap);
	struct network *net;

	if (fd < 0)
		return fd;
	net = calloc(1, sizeof(*net));
	if (!net) {
		snprintf(ret_why, why_cap, "out of memory");
		return -ENOMEM;
	}
	net->base.ops = &console_backend_network;
	net->loop = loop;
	net->port = port;
	net->who = options->who;
	net->tcp_port = options->tcp_port;
	list_init(&net->clients);
	net->listening = true;
	listener_start(&net->listener, loop, fd_take(&fd), NULL, net->who, accepted);
	*ret_backend = &net->base;
	return 0;
}

static void network_describe(const struct console_backend *b, char *buf, size_t cap)
{
	const struct network *net = container_of(b, const struct network, base);

	snprintf(buf, cap, "TCP 127.0.0.1:%" PRIu16, net->tcp_port);
}

static void listener_closed(struct listener *l)
{
	struct network *net = container_of(l, struct network, listener);

	net->listening = false;
	settle(net);
}

static void network_close(struct console_backend *b, void (*closed)(void *arg), void *arg)
{
	struct network *net = to_network(b);
	struct list_node *node, *tmp;

	net->closing = true;
	net->closed = closed;
	net->closed_arg = arg;
	list_for_each (node, tmp, &net->clients) {
		struct client *c = list_entry(node, struct client, link);

		c->going = true;
		stream_pause(&c->stream);
		stream_write(&c->stream);
	}
	listener_close(&net->listener, listener_closed);
}

static void network_hurry(struct console_backend *b)
{
	struct network *net = to_network(b);
	struct list_node *node, *tmp;

	list_for_each (node, tmp, &net->clients)
		drop_client(list_entry(node, struct client, link),
			    "it did not take the rest in time");
}

const struct console_backend_ops console_backend_network = {
	.open = network_open,
	.describe = network_describe,
	.close = network_close,
	.hurry = network_hurry,
};
