/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Clients that connect, by TCP, telnet or a Unix socket: any number see the
 * output; the one that came first has the keyboard, and when it goes the next
 * one has.
 */
#include "backends/server.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/address.h"
#include "backends/client.h"
#include "clock.h"
#include "fd.h"
#include "listener.h"
#include "log.h"
#include "loop-share.h"

/* Of a hand-over, and of each client in it. */
enum { TAG_WHERE = SERVER_TAG_FIRST, TAG_LISTENER, TAG_HAS_PATH, TAG_CLIENT };
enum { CLIENT_FD = 1, CLIENT_STATE };

struct server {
	struct attachment base;
	char where[SERVER_WHERE_MAX];
	bool telnet;
	bool closing, listening;
	bool hurried; /* nobody is waited for any more */
	struct listener listener;
	struct list_node clients;
	unsigned int n_clients;
	struct share share; /* what clients cost that come and go */
	void (*ended)(int arg);
	int ended_arg;
};

/* One client, and the descriptor that is lent to it. */
struct connection {
	struct list_node link;
	struct server *server;
	struct client *client;
	int fd;
};

static struct server *to_server(struct attachment *a)
{
	return container_of(a, struct server, base);
}

static void settle(struct server *s)
{
	if (!s->closing || s->listening || s->n_clients > 0)
		return;
	if (s->ended)
		s->ended(s->ended_arg);
	attachment_end(&s->base);
}

static void client_gone(void *arg)
{
	struct connection *conn = arg;
	struct server *s = conn->server;

	list_remove(&conn->link);
	fd_close(conn->fd);
	free(conn);
	s->n_clients--;
	settle(s);
}

/* Who is at the other end. */
static void describe_peer(const struct server *s, int fd, char *buf, size_t cap)
{
	struct address peer = { .len = sizeof(peer.sa) };
	struct ucred cred;
	socklen_t len = sizeof(cred);
	char text[ADDRESS_TEXT_MAX] = "";

	if (getpeername(fd, (struct sockaddr *)&peer.sa, &peer.len) < 0)
		snprintf(text, sizeof(text), "%s", "peer gone");
	else
		address_format(&peer, text, sizeof(text));
	if (peer.sa.ss_family != AF_UNIX)
		snprintf(buf, cap, "%s %.100s", s->telnet ? "telnet" : "tcp", text);
	else if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		snprintf(buf, cap, "unix");
	else
		snprintf(buf, cap, "unix pid %d uid %u", cred.pid, cred.uid);
}

/* from: NULL, or where the client is in a hand-over. */
static int serve(struct server *s, int fd, struct handover_in *from)
{
	char what[PORT_WHAT_MAX];
	struct connection *conn = calloc(1, sizeof(*conn));
	const struct client_args args = {
		.owner = &s->base,
		.in_fd = fd,
		.out_fd = fd,
		.telnet = s->telnet,
		.what = what,
		.from = from,
		.from_tag = CLIENT_STATE,
		.gone = client_gone,
		.arg = conn,
	};
	int err;

	if (!conn)
		return -ENOMEM;
	describe_peer(s, fd, what, sizeof(what));
	address_tune(fd);
	conn->server = s;
	conn->fd = fd;
	err = client_new(&args, &conn->client);
	if (err < 0) {
		free(conn);
		return err;
	}
	list_append(&s->clients, &conn->link);
	s->n_clients++;
	return 0;
}

static void take_client(struct server *s, int fd)
{
	bool full = s->n_clients >= s->base.args.options->clients;
	int err = full ? -EUSERS : s->hurried ? -ESHUTDOWN : serve(s, fd, NULL);

	if (err == 0)
		return;
	if (!s->hurried)
		attachment_log(&s->base, LOG_LEVEL_WARNING, "a client of %s was turned away: %s",
			       s->where,
			       full ? "there are as many as can be served" : strerror(-err));
	fd_close(fd);
}

static void accepted(struct listener *l, int fd)
{
	struct server *s = container_of(l, struct server, listener);
	uint64_t begin = monotonic_ns();

	take_client(s, fd);
	share_charge_since(&s->share, begin, SHARE_CONNECT_NS);
	listener_hold(l, share_rests(&s->share));
}

static void rested(struct share *share)
{
	listener_hold(&container_of(share, struct server, share)->listener, false);
}

static void listener_closed(struct listener *l)
{
	struct server *s = container_of(l, struct server, listener);

	s->listening = false;
	settle(s);
}

static void server_describe(const struct attachment *a, char *buf, size_t cap)
{
	const struct server *s = container_of(a, const struct server, base);

	if (s->n_clients == 0)
		snprintf(buf, cap, "%s", s->where);
	else
		snprintf(buf, cap, "%s, %u client%s", s->where, s->n_clients,
			 s->n_clients == 1 ? "" : "s");
}

static void server_hurry(struct attachment *a)
{
	struct server *s = to_server(a);
	struct list_node *node, *tmp;

	s->hurried = true;
	list_for_each (node, tmp, &s->clients)
		client_drop(list_entry(node, struct connection, link)->client,
			    "it did not take the rest in time");
}

static void server_close(struct attachment *a)
{
	struct server *s = to_server(a);
	struct list_node *node, *tmp;

	s->closing = true;
	share_fini(&s->share);
	list_for_each (node, tmp, &s->clients)
		client_finish(list_entry(node, struct connection, link)->client);
	listener_close(&s->listener, listener_closed);
}

/* Another process. */

static void server_save(const struct attachment *a, struct handover_out *out)
{
	const struct server *s = container_of(a, const struct server, base);
	const struct list_node *node = s->clients.next;

	if (s->closing)
		handover_busy(out, "%s is being closed", s->where);
	handover_put_text(out, TAG_WHERE, s->where);
	handover_put_fd(out, TAG_LISTENER, s->listener.fd);
	state_put_number(&out->state, TAG_HAS_PATH, s->listener.path[0] != '\0');
	for (; node != &s->clients; node = node->next) {
		const struct connection *conn = list_entry(node, const struct connection, link);

		state_begin_group(&out->state, TAG_CLIENT);
		handover_put_fd(out, CLIENT_FD, conn->fd);
		client_save(conn->client, out, CLIENT_STATE);
		state_end(&out->state);
	}
}

static const struct attachment_ops server_ops = {
	.describe = server_describe,
	.close = server_close,
	.hurry = server_hurry,
	.save = server_save,
};

int server_new(const struct attachment_args *args, const struct server_args *server,
	       struct attachment **ret_attachment, char *ret_why, size_t why_cap)
{
	struct server *s = calloc(1, sizeof(*s));

	if (!s) {
		fd_close(server->fd);
		snprintf(ret_why, why_cap, "out of memory");
		return -ENOMEM;
	}
	s->base.ops = &server_ops;
	s->base.args = *args;
	snprintf(s->where, sizeof(s->where), "%s", server->where);
	s->telnet = server->telnet;
	s->ended = server->ended;
	s->ended_arg = server->ended_arg;
	list_init(&s->clients);
	share_init(&s->share, args->loop, rested);
	s->listening = true;
	listener_start(&s->listener, args->loop, server->fd, server->path, args->who, accepted);
	*ret_attachment = &s->base;
	return 0;
}

static void load_client(struct server *s, struct handover_in *in)
{
	int fd;

	if (!state_enter(&in->state, TAG_CLIENT, "client"))
		return;
	fd = handover_take_fd(in, CLIENT_FD, "connection", true);
	if (fd >= 0 && serve(s, fd, in) < 0)
		state_fail(&in->state, "no memory");
	state_leave(&in->state);
}

int server_load(const struct attachment_args *args, struct server_args *server,
		struct attachment **ret_attachment, char *ret_why, size_t why_cap)
{
	struct handover_in *in = args->from;
	char where[SERVER_WHERE_MAX];
	bool has_path;
	int err;

	handover_take_text(in, TAG_WHERE, "where", where, sizeof(where));
	server->where = where;
	server->fd = handover_take_fd(in, TAG_LISTENER, "listener", true);
	has_path = state_take_flag(&in->state, TAG_HAS_PATH, "has a path");
	if (server->fd < 0)
		return -EINVAL;
	if (!has_path)
		server->path = NULL;
	err = server_new(args, server, ret_attachment, ret_why, why_cap);
	while (err == 0 && state_has(&in->state, TAG_CLIENT))
		load_client(container_of(*ret_attachment, struct server, base), in);
	return err;
}

/* TCP and telnet */

static int open_tcp(const struct attachment_args *args, bool telnet,
		    struct attachment **ret_attachment, char *ret_why, size_t why_cap)
{
	const char *kind = telnet ? "Telnet" : "TCP";
	struct server_args server = { .telnet = telnet };
	char text[ADDRESS_TEXT_MAX] = "", where[SERVER_WHERE_MAX];
	struct addresses found;
	struct address *a = &found.item[0];
	bool may_wait = !loop_running(args->loop);
	int err;

	if (args->from)
		return server_load(args, &server, ret_attachment, ret_why, why_cap);
	err = address_parse_tcp(args->options->address, "127.0.0.1", may_wait, &found, ret_why,
				why_cap);
	if (err < 0)
		return err;
	address_format(a, text, sizeof(text));
	server.fd = listener_tcp_socket((struct sockaddr *)&a->sa, a->len, may_wait, text, ret_why,
					why_cap);
	if (server.fd < 0)
		return server.fd;
	if (address_port(a) == 0) {
		/* The kernel chose one. */
		getsockname(server.fd, (struct sockaddr *)&a->sa, &a->len);
		address_format(a, text, sizeof(text));
	}
	if (!address_is_local(a))
		log_warning(args->who, "%s %s: everybody who can reach it may read%s", kind, text,
			    args->options->ro ? "" : " and type");
	snprintf(where, sizeof(where), "%s %s", kind, text);
	server.where = where;
	return server_new(args, &server, ret_attachment, ret_why, why_cap);
}

static int tcp_open(const struct attachment_args *args, struct attachment **ret_attachment,
		    char *ret_why, size_t why_cap)
{
	return open_tcp(args, false, ret_attachment, ret_why, why_cap);
}

static int telnet_open(const struct attachment_args *args, struct attachment **ret_attachment,
		       char *ret_why, size_t why_cap)
{
	if (!telnet_available()) {
		snprintf(ret_why, why_cap, "telnet:%s cannot be served: built without libtelnet",
			 args->options->address);
		return -EOPNOTSUPP;
	}
	return open_tcp(args, true, ret_attachment, ret_why, why_cap);
}

const struct attachment_ops attachment_tcp_server = {
	.open = tcp_open,
	.describe = server_describe,
	.close = server_close,
	.hurry = server_hurry,
	.save = server_save,
};

const struct attachment_ops attachment_telnet_server = {
	.open = telnet_open,
	.describe = server_describe,
	.close = server_close,
	.hurry = server_hurry,
	.save = server_save,
};

/* Unix */

static int unix_open(const struct attachment_args *args, struct attachment **ret_attachment,
		     char *ret_why, size_t why_cap)
{
	const char *path = args->options->address;
	char where[SERVER_WHERE_MAX];
	struct server_args server = {
		.path = path[0] == '@' ? NULL : path,
		.where = where,
	};

	if (args->from)
		return server_load(args, &server, ret_attachment, ret_why, why_cap);
	server.fd = attachment_unix_socket(args->options, path, ret_why, why_cap);
	if (server.fd < 0)
		return server.fd;
	snprintf(where, sizeof(where), "Unix %s", path);
	return server_new(args, &server, ret_attachment, ret_why, why_cap);
}

const struct attachment_ops attachment_unix_server = {
	.open = unix_open,
	.describe = server_describe,
	.close = server_close,
	.hurry = server_hurry,
	.save = server_save,
};
