/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Connects to somebody else's socket, and again whenever that ends or fails:
 * after a pause that doubles up to a limit, and is short again once a
 * connection has proved good. Output waits in the port's ring meanwhile, and
 * goes on where the last connection stopped. A name is resolved once, when the
 * attachment is opened: a resolver may block, and the loop must not.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/address.h"
#include "backends/client.h"
#include "backends/greeting.h"
#include "backends/reach.h"
#include "clock.h"
#include "fd.h"
#include "histogram.h"

#define NS_PER_MS UINT64_C(1000000)

enum {
	JITTER_PART = 8, /* a pause is longer by up to that part: many do not come at once */
	WHERE_MAX = 160,
};

/* Of a hand-over. */
enum {
	TAG_PEERS = 1, /* as struct addresses is */
	TAG_PEER,
	TAG_FD,
	TAG_PAUSE,
	TAG_PAUSE_END,
	TAG_SINCE,
	TAG_POS,
	TAG_FLAGS,
	TAG_CLIENT, /* if it is connected */
};
enum { FLAG_WAS_CONNECTED, FLAG_FAILING, N_FLAGS };

struct connector {
	struct attachment base;
	const char *kind; /* "TCP", "Unix" */
	struct addresses peers;
	unsigned int peer_idx; /* the one to try next */
	struct scope scope;
	struct op connecting;
	struct timer pause;
	int fd;			       /* of the connection, made or in the making */
	struct tls_credentials *creds; /* NULL: in the clear */
	struct greeting *greeting;     /* NULL: not in the handshake of TLS */
	struct client *client;	       /* NULL: not connected */
	uint64_t pause_ms;	       /* the next one */
	uint64_t pause_end;	       /* of the one under way, monotonic ns */
	uint64_t since;		       /* when the connection was made */
	uint64_t pos;		       /* output up to here has been sent */
	bool was_connected;
	bool failing;	/* it was said that connecting fails */
	bool estranged; /* it was said that somebody else listens there */
	bool closing, hurried;
	bool parting; /* see attachment_ops */
};

/* seccomp(connect_tcp): socket:AF_INET socket:AF_INET6 connect */
/* seccomp(connect_unix): socket:AF_UNIX connect */
static void try_peers(struct connector *c);
static void scope_is_idle(struct scope *scope);

static struct connector *to_connector(struct attachment *a)
{
	return container_of(a, struct connector, base);
}

static void describe(const struct connector *c, char *buf, size_t cap)
{
	snprintf(buf, cap, "%s %s%s", c->kind, c->base.args.options->address,
		 c->creds ? ", TLS" : "");
}

static void begin_pause(struct connector *c)
{
	uint64_t max = c->base.args.options->reconnect_max;
	uint64_t now = monotonic_ns();
	uint64_t ms = min_u64(c->pause_ms, max);

	ms += (now / 1000) % (ms / JITTER_PART + 1);
	c->pause_ms = min_u64(2 * c->pause_ms, max);
	c->pause_end = now + ms * NS_PER_MS;
	timer_arm(&c->pause, ms * NS_PER_MS);
}

static void reset_pause(struct connector *c)
{
	c->pause_ms = c->base.args.options->reconnect;
}

/* Nobody is reached at this address; only the first time is worth a line. */
static void attempt_failed_for(struct connector *c, const char *why)
{
	char where[WHERE_MAX];

	c->fd = fd_close(c->fd);
	c->peer_idx = (c->peer_idx + 1) % c->peers.n;
	if (c->peer_idx != 0) {
		try_peers(c);
		return;
	}
	describe(c, where, sizeof(where));
	if (!c->failing)
		attachment_log(&c->base, LOG_LEVEL_WARNING,
			       "cannot connect to %s: %s; it is tried again and again", where, why);
	c->failing = true;
	begin_pause(c);
}

static void attempt_failed(struct connector *c, int err)
{
	attempt_failed_for(c, strerror(-err));
}

/* The connection */

static void settle(struct scope *scope)
{
	struct connector *c = container_of(scope, struct connector, scope);

	tls_credentials_drop(c->creds);
	attachment_end(&c->base);
}

static void client_gone(void *arg)
{
	struct connector *c = arg;
	uint64_t lasted = monotonic_ns() - c->since;

	if (client_n_received(c->client) > 0 ||
	    lasted >= c->base.args.options->reconnect_max * NS_PER_MS)
		reset_pause(c);
	c->pos = client_position(c->client);
	c->client = NULL;
	c->fd = fd_close(c->fd);
	if (c->closing)
		scope_cancel(&c->scope, settle);
	else if (!c->hurried)
		begin_pause(c);
}

/*
 * What a client is given of the past: the first as any other that joins; later
 * ones what the one before has missed, but never more than was asked for.
 */
static uint64_t replay_of(const struct connector *c)
{
	const struct attachment_options *o = c->base.args.options;
	uint64_t missed = c->base.args.port->out.head - c->pos;

	if (!c->was_connected)
		return attachment_client_options(&c->base, NULL).replay;
	return o->replay.set ? min_u64(missed, o->replay.value) : missed;
}

/* There is a connection, and a session on it if there is to be one. */
/* seccomp: fcntl:F_GETFL fcntl:F_SETFL */
static void begin_client(struct connector *c, struct tls *tls)
{
	uint64_t replay = replay_of(c);
	char where[WHERE_MAX];
	const struct client_args args = {
		.owner = &c->base,
		.in_fd = c->fd,
		.out_fd = c->fd,
		.tls = tls,
		.what = where,
		.replay = &replay,
		.gone = client_gone,
		.arg = c,
	};
	int err;

	describe(c, where, sizeof(where));
	c->since = monotonic_ns();
	c->peer_idx = 0;
	err = client_new(&args, &c->client);
	if (err < 0) {
		tls_free(tls);
		attempt_failed(c, err);
		return;
	}
	c->failing = c->estranged = false;
	c->was_connected = true;
}

static void greeted(void *arg, struct tls *tls, const char *why)
{
	struct connector *c = arg;

	c->greeting = NULL;
	if (tls && !c->closing && !c->hurried && !c->parting) {
		begin_client(c, tls);
		return;
	}
	tls_free(tls);
	if (c->closing)
		scope_cancel(&c->scope, scope_is_idle);
	else if (!c->hurried)
		attempt_failed_for(c, tls ? "another program goes on here" : why);
}

static void begin_greeting(struct connector *c)
{
	const struct greeting_args args = {
		.loop = c->base.args.loop,
		.fd = c->fd,
		.creds = c->creds,
		.timeout_ms = c->base.args.options->tls_timeout,
		.done = greeted,
		.arg = c,
	};
	int err = greeting_new(&args, &c->greeting);

	if (err < 0)
		attempt_failed(c, err);
}

static void connected(struct connector *c)
{
	/* A socket that blocks saves a poll per read: the loop itself never waits for it. */
	fcntl(c->fd, F_SETFL, fcntl(c->fd, F_GETFL) & ~O_NONBLOCK);
	address_tune(c->fd);
	if (c->creds)
		begin_greeting(c);
	else
		begin_client(c, NULL);
}

/*
 * On a port of this machine that nobody listens on, a socket's own port may be
 * the very one it connects to: TCP then connects it to itself.
 */
/* seccomp: getsockname getpeername */
static bool met_itself(int fd)
{
	struct address own = { .len = sizeof(own.sa) }, peer = { .len = sizeof(peer.sa) };

	if (getsockname(fd, (struct sockaddr *)&own.sa, &own.len) < 0 ||
	    getpeername(fd, (struct sockaddr *)&peer.sa, &peer.len) < 0)
		return false;
	return address_port(&own) != 0 && own.len == peer.len &&
	       memcmp(&own.sa, &peer.sa, own.len) == 0;
}

/* Somebody else may have bound the path: nothing is read from, or sent to, a stranger. */
static bool met_stranger(struct connector *c)
{
	char why[PEER_WHY_MAX], where[WHERE_MAX];

	if (peer_admitted(&c->base.args.options->allow, c->fd, why, sizeof(why)))
		return false;
	describe(c, where, sizeof(where));
	if (!c->estranged)
		attachment_log(&c->base, LOG_LEVEL_WARNING,
			       "who listens on %s is not let in: %s; it is tried again and again",
			       where, why);
	c->failing = c->estranged = true;
	return true;
}

/* seccomp: getsockopt */
static void connect_done(struct op *op, int res)
{
	struct connector *c = container_of(op, struct connector, connecting);
	socklen_t len = sizeof(int);
	int err = 0;

	if (scope_cancelling(&c->scope) || c->hurried)
		return;
	if (res < 0)
		err = -res;
	else if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0)
		err = errno;
	else if (err == 0 && met_itself(c->fd))
		err = ECONNREFUSED;
	else if (err == 0 && met_stranger(c))
		err = EACCES;
	if (err == 0)
		connected(c);
	else
		attempt_failed(c, -err);
}

static void try_peers(struct connector *c)
{
	const struct address *peer = &c->peers.item[c->peer_idx];

	c->fd = socket(peer->sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	fd_refuse_rights(c->fd);
	if (c->fd < 0 || (connect(c->fd, (const struct sockaddr *)&peer->sa, peer->len) < 0 &&
			  errno != EINPROGRESS))
		attempt_failed(c, -errno);
	else
		op_poll(&c->connecting, c->fd, POLLOUT);
}

static void pause_done(struct op *op, int res)
{
	struct connector *c = container_of(op, struct connector, pause.op);

	if (res == -ETIME && !scope_cancelling(&c->scope) && !c->hurried)
		try_peers(c);
}

/* The attachment */

static void connector_describe(const struct attachment *a, char *buf, size_t cap)
{
	const struct connector *c = container_of(a, const struct connector, base);
	uint64_t now = monotonic_ns();
	char where[WHERE_MAX];

	describe(c, where, sizeof(where));
	if (c->client)
		snprintf(buf, cap, "%s, connected", where);
	else if (op_armed(&c->connecting) || c->greeting)
		snprintf(buf, cap, "%s, connecting", where);
	else
		snprintf(buf, cap, "%s, next try in %" PRIu64 " ms", where,
			 c->pause_end > now ? (c->pause_end - now) / NS_PER_MS : 0);
}

static void scope_is_idle(struct scope *scope)
{
	struct connector *c = container_of(scope, struct connector, scope);

	c->fd = fd_close(c->fd);
	settle(scope);
}

static void connector_close(struct attachment *a)
{
	struct connector *c = to_connector(a);

	c->closing = true;
	if (c->client)
		client_finish(c->client);
	else if (c->greeting)
		greeting_drop(c->greeting, "its attachment is closed");
	else
		scope_cancel(&c->scope, scope_is_idle);
}

static void connector_hurry(struct attachment *a)
{
	struct connector *c = to_connector(a);

	c->hurried = true;
	if (c->client)
		client_drop(c->client, "it did not take the rest in time");
}

static void connector_reopen(struct attachment *a)
{
	struct connector *c = to_connector(a);
	struct tls_credentials *creds;
	char where[WHERE_MAX], why[TLS_WHY_MAX];

	if (tls_credentials_read(a->args.options, &creds, why, sizeof(why)) < 0) {
		describe(c, where, sizeof(where));
		log_error(a->args.who, "%s: %s; it goes on as before", where, why);
		return;
	}
	tls_credentials_drop(c->creds);
	c->creds = creds;
}

/* Another process. */

static void connector_part(struct attachment *a, bool parting)
{
	struct connector *c = to_connector(a);

	c->parting = parting;
	if (parting && c->client)
		client_drop(c->client, CLIENT_PARTS);
}

static void connector_save(const struct attachment *a, struct handover_out *out)
{
	const struct connector *c = container_of(a, const struct connector, base);
	struct state_writer *w = &out->state;
	/* A session of TLS cannot go along: another is made at once. */
	const bool anew = c->creds != NULL;

	if (c->parting && c->client)
		handover_busy(out, "the client of %s is leaving", a->args.options->address);
	if (c->closing || c->hurried)
		handover_busy(out, "%s %s is being closed", c->kind, a->args.options->address);
	state_put_bytes(w, TAG_PEERS, &c->peers, sizeof(c->peers));
	state_put_number(w, TAG_PEER, c->peer_idx);
	handover_put_fd(out, TAG_FD, anew ? -1 : c->fd);
	state_put_number(w, TAG_PAUSE, c->pause_ms);
	state_put_number(w, TAG_PAUSE_END, anew ? 0 : c->pause_end);
	state_put_number(w, TAG_SINCE, c->since);
	state_put_number(w, TAG_POS, c->pos);
	state_put_number(w, TAG_FLAGS,
			 (uint64_t)c->was_connected << FLAG_WAS_CONNECTED |
				 (uint64_t)c->failing << FLAG_FAILING);
	if (c->client && !anew)
		client_save(c->client, out, TAG_CLIENT);
}

static void load_client(struct connector *c, struct handover_in *in)
{
	const struct client_args args = {
		.owner = &c->base,
		.in_fd = c->fd,
		.out_fd = c->fd,
		.from = in,
		.from_tag = TAG_CLIENT,
		.gone = client_gone,
		.arg = c,
	};

	client_load(&args, &c->client);
}

/* Connected, on the way to that, or pausing: as it was. */
static void load(struct connector *c, struct handover_in *in)
{
	struct state_reader *r = &in->state;
	uint64_t flags, now = monotonic_ns();

	handover_take_exact(in, TAG_PEERS, "addresses", &c->peers, sizeof(c->peers));
	if (c->peers.n == 0 || c->peers.n > ADDRESSES_MAX)
		state_fail(r, "%u addresses, expected are 1 to %d", c->peers.n, ADDRESSES_MAX);
	c->peer_idx = (unsigned int)state_take_number(r, TAG_PEER, "address", ADDRESSES_MAX - 1);
	c->fd = handover_take_fd(in, TAG_FD, "connection", false);
	c->pause_ms = state_take_number(r, TAG_PAUSE, "pause", UINT64_MAX);
	c->pause_end = state_take_number(r, TAG_PAUSE_END, "end of the pause", UINT64_MAX);
	c->since = state_take_number(r, TAG_SINCE, "since", UINT64_MAX);
	c->pos = state_take_number(r, TAG_POS, "position", UINT64_MAX);
	flags = state_take_number(r, TAG_FLAGS, "flags", BIT(N_FLAGS) - 1);
	c->was_connected = flags & BIT(FLAG_WAS_CONNECTED);
	c->failing = flags & BIT(FLAG_FAILING);
	if (r->failed)
		return;
	if (state_has(r, TAG_CLIENT))
		load_client(c, in);
	else if (c->fd >= 0)
		op_poll(&c->connecting, c->fd, POLLOUT);
	else
		timer_arm(&c->pause, c->pause_end > now ? c->pause_end - now : 0);
}

/* What is wrong with a hand-over is the reader's to say. */
static int fail_open(const struct attachment_args *args, int err, const char *why)
{
	if (args->from)
		state_fail(&args->from->state, "%.100s", why);
	return err;
}

static const struct attachment_ops tls_connector_ops = {
	.describe = connector_describe,
	.close = connector_close,
	.hurry = connector_hurry,
	.save = connector_save,
	.part = connector_part,
	.reopen = connector_reopen,
};

static int connector_new(const struct attachment_args *args, const char *kind,
			 const struct attachment_ops *ops, const struct addresses *peers,
			 struct attachment **ret_attachment, char *ret_why, size_t why_cap)
{
	struct connector *c = calloc(1, sizeof(*c));
	int err;

	if (!c) {
		snprintf(ret_why, why_cap, "out of memory");
		return -ENOMEM;
	}
	if (tls_wanted(args->options)) {
		err = tls_credentials_read(args->options, &c->creds, ret_why, why_cap);
		if (err < 0) {
			free(c);
			return fail_open(args, err, ret_why);
		}
	}
	c->base.ops = c->creds ? &tls_connector_ops : ops;
	c->base.args = *args;
	c->kind = kind;
	c->fd = -1;
	reset_pause(c);
	scope_init(&c->scope, args->loop);
	op_init(&c->connecting, &c->scope, connect_done);
	timer_init(&c->pause, &c->scope, pause_done);
	*ret_attachment = &c->base;
	if (args->from) {
		load(c, args->from);
		return 0;
	}
	c->peers = *peers;
	try_peers(c);
	return 0;
}

static int tcp_open(const struct attachment_args *args, struct attachment **ret_attachment,
		    char *ret_why, size_t why_cap)
{
	const char *text = args->options->address;
	struct addresses peers;
	int err;

	if (args->from)
		return connector_new(args, "TCP", &attachment_tcp_connect, NULL, ret_attachment,
				     ret_why, why_cap);
	err = address_parse_tcp(text, NULL, !loop_running(args->loop), &peers, ret_why, why_cap);

	if (err < 0)
		return err;
	err = reach_check(args->options, text, peers.item, peers.n, ret_why, why_cap);
	if (err < 0)
		return err;
	if (address_port(&peers.item[0]) == 0) {
		snprintf(ret_why, why_cap, "%s: port 0 cannot be connected to", text);
		return -EINVAL;
	}
	return connector_new(args, "TCP", &attachment_tcp_connect, &peers, ret_attachment, ret_why,
			     why_cap);
}

static int unix_open(const struct attachment_args *args, struct attachment **ret_attachment,
		     char *ret_why, size_t why_cap)
{
	struct addresses peers = { .n = 1 };
	int err;

	if (args->from)
		return connector_new(args, "Unix", &attachment_unix_connect, NULL, ret_attachment,
				     ret_why, why_cap);
	err = address_parse_unix(args->options->address, &peers.item[0], ret_why, why_cap);

	if (err < 0)
		return err;
	return connector_new(args, "Unix", &attachment_unix_connect, &peers, ret_attachment,
			     ret_why, why_cap);
}

const struct attachment_ops attachment_tcp_connect = {
	.open = tcp_open,
	.describe = connector_describe,
	.close = connector_close,
	.hurry = connector_hurry,
	.save = connector_save,
};

const struct attachment_ops attachment_unix_connect = {
	.open = unix_open,
	.describe = connector_describe,
	.close = connector_close,
	.hurry = connector_hurry,
	.save = connector_save,
};
