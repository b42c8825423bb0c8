/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "daemon/control-private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backends/stream.h"
#include "daemon/control-access.h"
#include "daemon/control-commands.h"
#include "fd.h"
#include "listener.h"
#include "log.h"

static void free_when_over(struct control *c)
{
	void (*closed)(void *arg) = c->closed;
	void *arg = c->closed_arg;

	if (!c->closing || c->listening || c->n_clients > 0)
		return;
	free(c);
	closed(arg);
}

static struct control_client *client_of(struct stream *s)
{
	return container_of(s, struct control_client, stream);
}

static void client_closed(struct stream *s)
{
	struct control_client *client = client_of(s);
	struct control *c = client->control;

	list_remove(&client->link);
	c->n_clients--;
	fd_close(client->fd);
	json_object_put(client->held);
	free(client->out);
	free(client);
	free_when_over(c);
}

static void client_close(struct control_client *client)
{
	if (client->closing)
		return;
	client->closing = true;
	stream_close(&client->stream, client_closed);
}

/* Answers. */

static size_t unread(const struct control_client *client)
{
	return client->out_len - client->out_done;
}

/* Makes room for len more bytes; what was written already goes. */
static bool make_room(struct control_client *client, size_t len)
{
	size_t left = unread(client), cap = client->out_cap;
	char *out;

	if (left > 0)
		memmove(client->out, client->out + client->out_done, left);
	client->out_done = 0;
	client->out_len = left;
	while (cap < left + len)
		cap = cap > 0 ? cap * 2 : 4096;
	if (cap == client->out_cap)
		return true;
	out = realloc(client->out, cap);
	if (!out)
		return false;
	client->out = out;
	client->out_cap = cap;
	return true;
}

/* Takes the answer over. Without memory for it, there is no way to go on in order. */
void control_put_answer(struct control_client *client, struct json_object *answer)
{
	const int flags = JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE;
	size_t len = 0;
	const char *text = answer ? json_object_to_json_string_length(answer, flags, &len) : NULL;

	if (text && make_room(client, len + 1)) {
		memcpy(client->out + client->out_len, text, len);
		client->out[client->out_len + len] = '\n';
		client->out_len += len + 1;
	} else {
		log_error("control", "no memory for an answer to %s", client->by);
		client->over = true;
	}
	json_object_put(answer);
}

/* Requests. */

/* The next line, without its end; false when there is none yet. */
static bool next_line(struct control_client *client, const char **ret_line, size_t *ret_len)
{
	const char *line = client->in + client->in_done;
	size_t left = client->in_len - client->in_done;
	const char *end = memchr(line + client->in_scanned, '\n', left - client->in_scanned);

	client->in_scanned = left;
	if (!end && !(client->input_over && left > 0))
		return false;
	*ret_line = line;
	*ret_len = end ? (size_t)(end - line) : left;
	client->in_done += *ret_len + (end ? 1 : 0);
	client->in_scanned = 0;
	return true;
}

/* Only while nothing is being read: a read under way fills what is behind in_len. */
static void move_up(struct control_client *client)
{
	client->in_len -= client->in_done;
	memmove(client->in, client->in + client->in_done, client->in_len);
	client->in_done = 0;
}

static bool may_answer(const struct control_client *client)
{
	return !client->over && !client->closing && !client->held &&
	       unread(client) < CONTROL_ANSWERS_MAX;
}

/* An empty line is no request: it is what people type to see whether anybody is there. */
static bool blank(const char *line, size_t len)
{
	return len == 0 || (len == 1 && line[0] == '\r');
}

/* Where the next request begins cannot be told any more. */
static void refuse_line(struct control_client *client)
{
	char why[64];

	snprintf(why, sizeof(why), "a request is longer than %d bytes", CONTROL_LINE_MAX);
	control_put_answer(client, control_refusal(why));
	client->over = true;
}

static void answer_line(struct control_client *client, const char *line, size_t len)
{
	bool later = false;
	struct json_object *answer =
		control_answer(&client->control->args, client->by, line, len, &later);

	if (later)
		client->held = answer;
	else
		control_put_answer(client, answer);
}

static void answer_lines(struct control_client *client)
{
	const char *line;
	size_t len;

	while (may_answer(client) && next_line(client, &line, &len))
		if (!blank(line, len))
			answer_line(client, line, len);
	if (may_answer(client) && client->in_len - client->in_done == sizeof(client->in))
		refuse_line(client);
}

static size_t input_space(struct stream *s, void **ret_buf)
{
	struct control_client *client = client_of(s);

	if (!may_answer(client))
		return 0;
	move_up(client);
	*ret_buf = client->in + client->in_len;
	return sizeof(client->in) - client->in_len;
}

static void input(struct stream *s, size_t len)
{
	struct control_client *client = client_of(s);

	client->in_len += len;
	answer_lines(client);
	if (unread(client) > 0 || client->over)
		stream_write(s);
}

/* Its last line may be without an end; what it asked is still answered. */
static void input_ended(struct stream *s, int err)
{
	struct control_client *client = client_of(s);

	(void)err;
	client->input_over = true;
	stream_write(s);
}

static size_t output(struct stream *s, void *buf, size_t cap)
{
	struct control_client *client = client_of(s);
	size_t len;

	answer_lines(client);
	stream_read(s);
	len = min_size(unread(client), cap);
	if (len > 0)
		memcpy(buf, client->out + client->out_done, len);
	client->out_done += len;
	return len;
}

static void output_failed(struct stream *s, int err)
{
	(void)err;
	client_close(client_of(s));
}

/* Everything that was asked is answered, and the answers are written. */
static void drained(struct stream *s)
{
	struct control_client *client = client_of(s);

	free(client->out);
	client->out = NULL;
	client->out_len = client->out_done = client->out_cap = 0;
	if (client->over || (client->input_over && !client->held))
		client_close(client);
}

const struct stream_ops control_stream_ops = {
	.input_space = input_space,
	.input = input,
	.input_ended = input_ended,
	.output = output,
	.output_failed = output_failed,
	.drained = drained,
};

/* Connections. */

/* seccomp: stat newfstatat unlink unlinkat getsockname */
static bool peer_may(const struct control *c, const struct peer *peer)
{
	struct stat file;
	bool has_file = c->path[0] && stat(c->path, &file) == 0;

	return control_peer_allowed(peer, &c->allow, geteuid(), has_file ? &file : NULL);
}

static void log_refused(struct control *c, const struct peer *peer, const char *why)
{
	unsigned int n_suppressed;

	if (log_limit_pass(&c->limit, &n_suppressed))
		log_warning("control", "user %u, pid %d was turned away: %s%s", peer->uid,
			    (int)peer->pid, why, n_suppressed > 0 ? " (and others before)" : "");
}

/* The socket is new and its buffer empty, so this neither waits nor comes short. */
/* seccomp: sendto */
static void refuse(int fd, const char *why)
{
	struct json_object *answer = control_refusal(why);
	char line[256];
	int len = snprintf(line, sizeof(line), "%s\n",
			   json_object_to_json_string_ext(answer, JSON_C_TO_STRING_PLAIN));

	(void)!send(fd, line, (size_t)len, MSG_DONTWAIT | MSG_NOSIGNAL);
	json_object_put(answer);
}

static const char *reason_to_refuse(const struct control *c, const struct peer *peer)
{
	if (!peer_may(c, peer) && peer_rules_exist(&c->allow))
		return "only root, the daemon's user, and those whom allow-uid and allow-gid name "
		       "may control it";
	if (!peer_may(c, peer))
		return "only root, the daemon's user, and owner and group of the socket may "
		       "control it";
	return c->n_clients >= CONTROL_CLIENTS_MAX ? "too many connections are open already" : NULL;
}

static int client_new(struct control *c, int fd, const struct peer *peer)
{
	struct control_client *client = calloc(1, sizeof(*client));
	int err;

	if (!client)
		return -ENOMEM;
	client->control = c;
	client->fd = fd;
	snprintf(client->by, sizeof(client->by), "user %u, pid %d", peer->uid, (int)peer->pid);
	err = stream_init(&client->stream, c->args.loop, fd, fd, &control_stream_ops);
	if (err < 0) {
		free(client);
		return err;
	}
	list_append(&c->clients, &client->link);
	c->n_clients++;
	stream_read(&client->stream);
	return 0;
}

void control_accepted(struct listener *l, int fd)
{
	struct control *c = container_of(l, struct control, listener);
	struct peer peer;
	const char *why;
	int err = peer_ask(fd, &peer);

	if (err < 0) {
		log_errno(LOG_LEVEL_WARNING, "control", err, "cannot tell who has connected");
		fd_close(fd);
		return;
	}
	why = reason_to_refuse(c, &peer);
	if (!why && client_new(c, fd, &peer) < 0)
		why = "no memory";
	if (why) {
		log_refused(c, &peer, why);
		refuse(fd, why);
		fd_close(fd);
	}
	peer_free(&peer);
}

/* An inherited socket has a file as well, unless its name is abstract. */
static void find_path(struct control *c)
{
	struct sockaddr_un addr = { .sun_family = AF_UNSPEC };
	socklen_t len = sizeof(addr);

	if (c->args.path)
		snprintf(c->path, sizeof(c->path), "%s", c->args.path);
	else if (getsockname(c->args.fd, (struct sockaddr *)&addr, &len) == 0 &&
		 addr.sun_family == AF_UNIX && len > offsetof(struct sockaddr_un, sun_path))
		snprintf(c->path, sizeof(c->path), "%.*s", (int)sizeof(addr.sun_path) - 1,
			 addr.sun_path);
}

int control_new(const struct control_args *args, struct control **ret_control)
{
	struct control *c = calloc(1, sizeof(*c));

	if (!c) {
		fd_close(args->fd);
		return -ENOMEM;
	}
	c->args = *args;
	if (args->allow)
		c->allow = *args->allow;
	list_init(&c->clients);
	find_path(c);
	c->listening = true;
	fd_refuse_rights(args->fd);
	listener_start(&c->listener, args->loop, args->fd, args->path, "control", control_accepted);
	c->args.path = NULL; /* was lent */
	*ret_control = c;
	return 0;
}

static void listener_closed(struct listener *l)
{
	struct control *c = container_of(l, struct control, listener);

	c->listening = false;
	free_when_over(c);
}

void control_close(struct control *c, void (*closed)(void *arg), void *arg)
{
	struct list_node *node, *tmp;

	c->closing = true;
	c->closed = closed;
	c->closed_arg = arg;
	list_for_each (node, tmp, &c->clients)
		client_close(list_entry(node, struct control_client, link));
	listener_close(&c->listener, listener_closed);
}
