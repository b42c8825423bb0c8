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
#include "backends/greeting.h"
#include "backends/reach.h"
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
	bool hurried;		       /* nobody is waited for any more */
	bool parting;		       /* see attachment_ops */
	struct tls_credentials *creds; /* NULL: in the clear */
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
	struct greeting *greeting; /* NULL: over, or none with this server */
	struct client *client;	   /* NULL: not yet */
	int fd;
	char what[PORT_WHAT_MAX];
};

/*
 * A handshake costs more than a connection: as many begin in a second as take
 * little of a processor, and others wait with the kernel. Whoever holds its own
 * up takes no place from those who have proved who they are, and has some time
 * before it makes room.
 */
enum {
	GREETINGS_MAX = 32,
	GREETING_PAUSE_MS = 20,
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
	tls_credentials_drop(s->creds);
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
/* seccomp: getpeername getsockopt getsockname */
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

/* from: NULL, or where the client is in a hand-over. tls is taken on success. */
static int begin_client(struct connection *conn, struct tls *tls, struct handover_in *from)
{
	const struct client_args args = {
		.owner = &conn->server->base,
		.in_fd = conn->fd,
		.out_fd = conn->fd,
		.telnet = conn->server->telnet,
		.tls = tls,
		.what = conn->what,
		.from = from,
		.from_tag = CLIENT_STATE,
		.gone = client_gone,
		.arg = conn,
	};

	return client_new(&args, &conn->client);
}

/* Why a client of TLS that has been let in so far may not join. NULL: it may. */
static const char *unwanted(const struct server *s)
{
	return s->closing || s->hurried ? "its attachment is closed"
	       : s->parting		? "another program goes on here, and TLS begins anew there"
					: NULL;
}

static void greeted(void *arg, struct tls *tls, const char *why)
{
	struct connection *conn = arg;
	struct server *s = conn->server;
	int err;

	conn->greeting = NULL;
	if (tls)
		why = unwanted(s);
	if (!why) {
		err = begin_client(conn, tls, NULL);
		if (err == 0)
			return;
		why = strerror(-err);
	}
	tls_free(tls);
	attachment_log(&s->base, LOG_LEVEL_INFO, "%s: no TLS: %s", conn->what, why);
	client_gone(conn);
}

static int begin_greeting(struct connection *conn)
{
	const struct greeting_args args = {
		.loop = conn->server->base.args.loop,
		.fd = conn->fd,
		.creds = conn->server->creds,
		.timeout_ms = conn->server->base.args.options->tls_timeout,
		.done = greeted,
		.arg = conn,
	};

	return greeting_new(&args, &conn->greeting);
}

static int serve(struct server *s, int fd, struct handover_in *from)
{
	struct connection *conn = calloc(1, sizeof(*conn));
	int err;

	if (!conn)
		return -ENOMEM;
	describe_peer(s, fd, conn->what, sizeof(conn->what));
	address_tune(fd);
	conn->server = s;
	conn->fd = fd;
	err = s->creds ? begin_greeting(conn) : begin_client(conn, NULL, from);
	if (err < 0) {
		free(conn);
		return err;
	}
	list_append(&s->clients, &conn->link);
	s->n_clients++;
	return 0;
}

/* The one that has been in its handshake for longest; NULL: nobody is. */
static struct greeting *oldest_greeting(struct server *s, unsigned int *ret_n)
{
	struct greeting *oldest = NULL;
	struct list_node *node, *tmp;

	*ret_n = 0;
	list_for_each (node, tmp, &s->clients) {
		struct greeting *g = list_entry(node, struct connection, link)->greeting;

		if (!g)
			continue;
		++*ret_n;
		if (!oldest && !greeting_failed(g))
			oldest = g;
	}
	return oldest;
}

/* Whether one more client may come; one who has proved nothing makes room for it. */
static bool has_room(struct server *s)
{
	const uint64_t most = s->base.args.options->clients;
	struct greeting *oldest;
	unsigned int n;

	if (!s->creds)
		return s->n_clients < most;
	oldest = oldest_greeting(s, &n);
	if (s->n_clients < most && n < GREETINGS_MAX)
		return true;
	/* Those that are on their way out count, too: there is an end to it. */
	if (!oldest || n >= 2 * GREETINGS_MAX)
		return false;
	greeting_drop(oldest, "others came while it was in its handshake, and it was first");
	return true;
}

/* One that may not is told nothing. */
static bool may_attach(struct server *s, int fd)
{
	char why[PEER_WHY_MAX];
	bool may = peer_admitted(&s->base.args.options->allow, fd, why, sizeof(why));

	if (!may)
		attachment_log(&s->base, LOG_LEVEL_WARNING, "a client of %s was turned away: %s",
			       s->where, why);
	return may;
}

static void take_client(struct server *s, int fd)
{
	bool may = may_attach(s, fd), full = may && !has_room(s);
	int err = !may ? -EACCES : full ? -EUSERS : s->hurried ? -ESHUTDOWN : serve(s, fd, NULL);

	if (err == 0)
		return;
	if (may && !s->hurried)
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
	if (s->creds)
		listener_rest(l, GREETING_PAUSE_MS * UINT64_C(1000000));
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
	list_for_each (node, tmp, &s->clients) {
		struct connection *conn = list_entry(node, struct connection, link);

		if (conn->client)
			client_drop(conn->client, "it did not take the rest in time");
	}
}

static void server_close(struct attachment *a)
{
	struct server *s = to_server(a);
	struct list_node *node, *tmp;

	s->closing = true;
	share_fini(&s->share);
	list_for_each (node, tmp, &s->clients) {
		struct connection *conn = list_entry(node, struct connection, link);

		if (conn->client)
			client_finish(conn->client);
		else
			greeting_drop(conn->greeting, "its attachment is closed");
	}
	listener_close(&s->listener, listener_closed);
}

/* The files of TLS are read again; who is connected keeps what there was. */
static void server_reopen(struct attachment *a)
{
	struct server *s = to_server(a);
	struct tls_credentials *creds;
	char why[TLS_WHY_MAX];

	if (tls_credentials_read(a->args.options, &creds, why, sizeof(why)) < 0) {
		log_error(a->args.who, "%s: %s; TLS goes on as before", s->where, why);
		return;
	}
	tls_credentials_drop(s->creds);
	s->creds = creds;
}

/* Another process. */

static void server_part(struct attachment *a, bool parting)
{
	struct server *s = to_server(a);
	struct list_node *node, *tmp;

	s->parting = parting;
	if (!parting)
		return;
	list_for_each (node, tmp, &s->clients) {
		struct connection *conn = list_entry(node, struct connection, link);

		if (conn->client)
			client_drop(conn->client, CLIENT_PARTS);
	}
}

/* The keys of a TLS session are GnuTLS's own: it ends here, at the latest when we part. */
static void save_no_clients(const struct server *s, struct handover_out *out)
{
	for (const struct list_node *node = s->clients.next; node != &s->clients; node = node->next)
		if (s->parting && list_entry(node, const struct connection, link)->client)
			handover_busy(out, "a client of %s is leaving", s->where);
}

static void server_save(const struct attachment *a, struct handover_out *out)
{
	const struct server *s = container_of(a, const struct server, base);
	const struct list_node *node = s->clients.next;

	if (s->closing)
		handover_busy(out, "%s is being closed", s->where);
	handover_put_text(out, TAG_WHERE, s->where);
	handover_put_fd(out, TAG_LISTENER, s->listener.fd);
	state_put_number(&out->state, TAG_HAS_PATH, s->listener.path[0] != '\0');
	if (s->creds) {
		save_no_clients(s, out);
		return;
	}
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

/* SIGHUP is nothing to be done about for any other. */
static const struct attachment_ops tls_server_ops = {
	.describe = server_describe,
	.close = server_close,
	.hurry = server_hurry,
	.save = server_save,
	.part = server_part,
	.reopen = server_reopen,
};

int server_read_tls(const struct attachment_args *args, struct server_args *server, char *ret_why,
		    size_t why_cap)
{
	const struct attachment_options *o = args->options;

	return tls_wanted(o) ? tls_credentials_read(o, &server->creds, ret_why, why_cap) : 0;
}

int server_new(const struct attachment_args *args, const struct server_args *server,
	       struct attachment **ret_attachment, char *ret_why, size_t why_cap)
{
	struct server *s = calloc(1, sizeof(*s));

	if (!s) {
		tls_credentials_drop(server->creds);
		fd_close(server->fd);
		snprintf(ret_why, why_cap, "out of memory");
		return -ENOMEM;
	}
	s->base.ops = server->creds ? &tls_server_ops : &server_ops;
	s->base.args = *args;
	s->creds = server->creds;
	snprintf(s->where, sizeof(s->where), "%s", server->where);
	s->telnet = server->telnet;
	s->ended = server->ended;
	s->ended_arg = server->ended_arg;
	list_init(&s->clients);
	share_init(&s->share, args->loop, rested);
	s->listening = true;
	fd_refuse_rights(server->fd);
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

int server_load(const struct attachment_args *args, const struct server_args *server,
		struct attachment **ret_attachment, char *ret_why, size_t why_cap)
{
	struct handover_in *in = args->from;
	char where[SERVER_WHERE_MAX];
	struct server_args own = *server;
	bool has_path;
	int err = server_read_tls(args, &own, ret_why, why_cap);

	if (err < 0) {
		state_fail(&in->state, "%.100s", ret_why);
		return err;
	}
	handover_take_text(in, TAG_WHERE, "where", where, sizeof(where));
	own.where = where;
	own.fd = handover_take_fd(in, TAG_LISTENER, "listener", true);
	has_path = state_take_flag(&in->state, TAG_HAS_PATH, "has a path");
	if (own.fd < 0) {
		tls_credentials_drop(own.creds);
		return -EINVAL;
	}
	if (!has_path)
		own.path = NULL;
	err = server_new(args, &own, ret_attachment, ret_why, why_cap);
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
	err = reach_check(args->options, args->options->address, a, 1, ret_why, why_cap);
	if (err == 0)
		err = server_read_tls(args, &server, ret_why, why_cap);
	if (err < 0)
		return err;
	address_format(a, text, sizeof(text));
	server.fd = listener_tcp_socket((struct sockaddr *)&a->sa, a->len, may_wait, text, ret_why,
					why_cap);
	if (server.fd < 0) {
		tls_credentials_drop(server.creds);
		return server.fd;
	}
	if (address_port(a) == 0) {
		/* The kernel chose one. */
		getsockname(server.fd, (struct sockaddr *)&a->sa, &a->len);
		address_format(a, text, sizeof(text));
	}
	if (!address_is_local(a) && !tls_knows_peers(args->options))
		log_warning(args->who,
			    "%s %s: everybody who can reach it may read%s; with tls-ca or tls-psk "
			    "they have to prove who they are",
			    kind, text, args->options->ro ? "" : " and type");
	snprintf(where, sizeof(where), "%s %s%s", kind, text, server.creds ? ", TLS" : "");
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
	int err;

	if (args->from)
		return server_load(args, &server, ret_attachment, ret_why, why_cap);
	err = server_read_tls(args, &server, ret_why, why_cap);
	if (err < 0)
		return err;
	server.fd = attachment_unix_socket(args->options, path, ret_why, why_cap);
	if (server.fd < 0) {
		tls_credentials_drop(server.creds);
		return server.fd;
	}
	snprintf(where, sizeof(where), "Unix %s%s", path, server.creds ? ", TLS" : "");
	return server_new(args, &server, ret_attachment, ret_why, why_cap);
}

const struct attachment_ops attachment_unix_server = {
	.open = unix_open,
	.describe = server_describe,
	.close = server_close,
	.hurry = server_hurry,
	.save = server_save,
};
