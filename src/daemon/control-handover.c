/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The control socket and another program in the daemon's place. */
#include <stdlib.h>
#include <string.h>

#include "daemon/control-commands.h"
#include "daemon/control-private.h"
#include "fd.h"

enum control_tag { TAG_LISTENER = 1, TAG_PATH, TAG_HAS_PATH, TAG_CLIENT };
enum client_tag {
	CLIENT_FD = 1,
	CLIENT_BY,
	CLIENT_IN,
	CLIENT_OUT,
	CLIENT_INPUT_OVER,
	CLIENT_OVER,
	CLIENT_STREAM,
};

enum { OUT_MAX = 1 << 28 }; /* bytes of answers that are not read yet */

void control_upgrade_failed(struct control *c, const char *why)
{
	struct list_node *node, *tmp;

	list_for_each (node, tmp, &c->clients) {
		struct control_client *client = list_entry(node, struct control_client, link);
		struct json_object *answer, *id;

		if (!client->held)
			continue;
		answer = control_refusal(why);
		if (json_object_object_get_ex(client->held, "id", &id))
			json_object_object_add(answer, "id", json_object_get(id));
		json_object_put(client->held);
		client->held = NULL;
		control_put_answer(client, answer);
		stream_write(&client->stream);
	}
}

/* An answer that waits for this to end well is written now: nobody reads it otherwise. */
static void save_answers(const struct control_client *client, struct state_writer *w)
{
	const int flags = JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE;

	state_begin_bytes(w, CLIENT_OUT);
	if (client->out)
		state_add_bytes(w, client->out + client->out_done,
				client->out_len - client->out_done);
	if (client->held) {
		const char *text = json_object_to_json_string_ext(client->held, flags);

		state_add_bytes(w, text, strlen(text));
		state_add_bytes(w, "\n", 1);
	}
	state_end(w);
}

static void save_client(const struct control_client *client, struct handover_out *out)
{
	struct state_writer *w = &out->state;

	if (client->closing)
		handover_busy(out, "control: %s is leaving", client->by);
	state_begin_group(w, TAG_CLIENT);
	handover_put_fd(out, CLIENT_FD, client->fd);
	handover_put_text(out, CLIENT_BY, client->by);
	state_put_bytes(w, CLIENT_IN, client->in + client->in_done,
			client->in_len - client->in_done);
	save_answers(client, w);
	state_put_number(w, CLIENT_INPUT_OVER, client->input_over);
	state_put_number(w, CLIENT_OVER, client->over);
	stream_save(&client->stream, out, CLIENT_STREAM);
	state_end(w);
}

void control_save(const struct control *c, struct handover_out *out, unsigned int tag)
{
	const struct list_node *node;

	if (c->closing)
		handover_busy(out, "the control socket is being closed");
	state_begin_group(&out->state, tag);
	handover_put_fd(out, TAG_LISTENER, c->listener.fd);
	handover_put_text(out, TAG_PATH, c->path);
	state_put_number(&out->state, TAG_HAS_PATH, c->listener.path[0] != '\0');
	for (node = c->clients.next; node != &c->clients; node = node->next)
		save_client(list_entry(node, const struct control_client, link), out);
	state_end(&out->state);
}

static void load_bytes(struct control_client *client, struct state_reader *r)
{
	const uint8_t *bytes;

	client->in_len = state_take_bytes(r, CLIENT_IN, "requests", sizeof(client->in), &bytes);
	if (client->in_len > 0)
		memcpy(client->in, bytes, client->in_len);
	client->out_len = state_take_bytes(r, CLIENT_OUT, "answers", OUT_MAX, &bytes);
	if (client->out_len == 0)
		return;
	client->out_cap = client->out_len;
	client->out = malloc(client->out_cap);
	if (client->out)
		memcpy(client->out, bytes, client->out_len);
	else
		state_fail(r, "no memory");
}

static void load_client(struct control *c, struct handover_in *in)
{
	struct control_client *client = calloc(1, sizeof(*client));
	struct state_reader *r = &in->state;

	if (!client || !state_enter(r, TAG_CLIENT, "client")) {
		state_fail(r, "no memory");
		free(client);
		return;
	}
	client->control = c;
	client->fd = handover_take_fd(in, CLIENT_FD, "connection", true);
	handover_take_text(in, CLIENT_BY, "by", client->by, sizeof(client->by));
	load_bytes(client, r);
	client->input_over = state_take_flag(r, CLIENT_INPUT_OVER, "input is over");
	client->over = state_take_flag(r, CLIENT_OVER, "over");
	if (stream_init(&client->stream, c->args.loop, client->fd, client->fd,
			&control_stream_ops) < 0)
		state_fail(r, "no memory");
	else
		stream_load(&client->stream, in, CLIENT_STREAM);
	list_append(&c->clients, &client->link);
	c->n_clients++;
	state_leave(r);
	if (r->failed)
		return;
	stream_write(&client->stream);
	stream_read(&client->stream);
}

void control_load(const struct control_args *args, struct handover_in *in, unsigned int tag,
		  struct control **ret_control)
{
	struct control *c = calloc(1, sizeof(*c));
	struct state_reader *r = &in->state;
	int fd;

	if (!c || !state_enter(r, tag, "control socket")) {
		state_fail(r, "no memory");
		free(c);
		return;
	}
	*ret_control = c;
	c->args = *args;
	if (args->allow)
		c->allow = *args->allow;
	list_init(&c->clients);
	fd = handover_take_fd(in, TAG_LISTENER, "listener", true);
	handover_take_text(in, TAG_PATH, "path", c->path, sizeof(c->path));
	c->listening = true;
	fd_refuse_rights(fd);
	listener_start(&c->listener, args->loop, fd,
		       state_take_flag(r, TAG_HAS_PATH, "has a path") ? c->path : NULL, "control",
		       control_accepted);
	while (state_has(r, TAG_CLIENT))
		load_client(c, in);
	state_leave(r);
}
