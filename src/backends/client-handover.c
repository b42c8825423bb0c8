/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* A client that goes on in another process. */
#include <errno.h>
#include <string.h>

#include "backends/client-private.h"
#include "backends/port-handover.h"

enum client_tag {
	TAG_FLAGS = 1, /* BIT(enum client_flag) */
	TAG_RECEIVED,
	TAG_INPUT, /* that the port had no room for */
	TAG_MEMBER,
	TAG_TELNET,
	TAG_WIRE_OUT,
	TAG_INPUT_AT, /* of one that is recorded: where that is */
	TAG_STREAM,
};

enum client_flag {
	FLAG_DEAF,
	FLAG_LINGERS,
	FLAG_TELNET,
	FLAG_RECORDED,
	N_FLAGS,
};

void client_save(const struct client *c, struct handover_out *out, unsigned int tag)
{
	struct state_writer *w = &out->state;

	if (c->dropped || c->finishing)
		handover_busy(out, "client %u (%s) is leaving", c->member.id, c->member.what);
	state_begin_group(w, tag);
	state_put_number(w, TAG_FLAGS,
			 (uint64_t)c->deaf << FLAG_DEAF |
				 (uint64_t)op_armed(&c->leave.op) << FLAG_LINGERS |
				 (uint64_t)(c->wire != NULL) << FLAG_TELNET |
				 (uint64_t)(c->journal != NULL) << FLAG_RECORDED);
	state_put_number(w, TAG_RECEIVED, c->n_received);
	state_put_bytes(w, TAG_INPUT, c->in + c->in_at, c->in_len);
	port_client_save(&c->member, out, TAG_MEMBER);
	if (c->wire) {
		telnet_save(c->wire->telnet, out, TAG_TELNET);
		state_put_bytes(w, TAG_WIRE_OUT, c->wire->out + c->wire->out_at, c->wire->out_len);
	}
	if (c->journal)
		state_put_number(w, TAG_INPUT_AT, c->in_at);
	stream_save(&c->stream, out, TAG_STREAM);
	state_end(w);
}

static void load_wire(struct wire *w, struct handover_in *in)
{
	const uint8_t *bytes;

	telnet_load(w->telnet, in, TAG_TELNET);
	w->out_at = 0;
	w->out_len = state_take_bytes(&in->state, TAG_WIRE_OUT, "answers", sizeof(w->out), &bytes);
	if (w->out_len > 0)
		memcpy(w->out, bytes, w->out_len);
}

/* Its input is in the journal, as it was. */
static void load_recorded(struct client *c, struct state_reader *r)
{
	const size_t at = state_take_number(r, TAG_INPUT_AT, "input at", CLIENT_INPUT_SIZE);

	if (r->failed)
		return;
	if (!c->member.port->journal || at > CLIENT_INPUT_SIZE - c->in_len) {
		state_fail(r, "it is recorded, and its port has no such journal");
		return;
	}
	client_recorded(c);
	c->in_at = at;
}

/* Everything but the flags, which are returned. It has joined if nothing was wrong. */
static uint64_t load(struct client *c, const struct client_args *args)
{
	struct handover_in *in = args->from;
	struct state_reader *r = &in->state;
	const uint8_t *bytes;
	uint64_t flags;

	flags = state_take_number(r, TAG_FLAGS, "flags", BIT(N_FLAGS) - 1);
	if (!(flags & BIT(FLAG_TELNET)) != !c->wire)
		state_fail(r, "telnet is expected on one side alone");
	c->n_received = state_take_number(r, TAG_RECEIVED, "received", UINT64_MAX);
	c->in_len = state_take_bytes(r, TAG_INPUT, "input", CLIENT_INPUT_SIZE, &bytes);
	if (c->in_len > 0)
		memcpy(c->in, bytes, c->in_len);
	port_client_load(args->owner->args.port, &c->member, &client_member_ops, in, TAG_MEMBER);
	if (c->wire)
		load_wire(c->wire, in);
	if (flags & BIT(FLAG_RECORDED))
		load_recorded(c, r);
	stream_load(&c->stream, in, TAG_STREAM);
	return flags;
}

int client_load(const struct client_args *args, struct client **ret_client)
{
	struct state_reader *r = &args->from->state;
	struct client *c;
	uint64_t flags;
	int err;

	err = client_make(args, &c);
	if (err < 0) {
		state_fail(r, "a client: %s", strerror(-err));
		return err;
	}
	*ret_client = c;
	if (!state_enter(r, args->from_tag, "client"))
		return 0;
	flags = load(c, args);
	state_leave(r);
	/* The rest is never undone: whoever finds the state wrong ends the process. */
	if (r->failed)
		return 0;
	c->deaf = flags & BIT(FLAG_DEAF);
	if (flags & BIT(FLAG_LINGERS))
		client_linger(c);
	stream_write(&c->stream);
	stream_read(&c->stream);
	return 0;
}

bool client_reads(const struct client *c)
{
	return c->stream.in_fd >= 0;
}

bool client_writes(const struct client *c)
{
	return c->stream.out_fd >= 0;
}

bool client_stays(const struct client *c)
{
	return c->stays;
}
