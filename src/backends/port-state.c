/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "backends/port-state.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "backends/port-private.h"

enum {
	TAG_NAME = 1,
	TAG_CONSOLE,
	TAG_COLS,
	TAG_ROWS,
	TAG_INPUT,
	TAG_OUTPUT,
	TAG_HISTORY, /* how many bytes of the output, in front, were delivered */
	TAG_HERE,    /* a group */
	TAG_AWAITED, /* output is for a client that is not there yet; absent: it is not */
};

enum {
	TAG_HERE_OUT_HEAD = 1,
	TAG_HERE_IN_HEAD,
	TAG_HERE_DELIVERED,
	TAG_HERE_BEGIN,
	TAG_HERE_OUTPUT,
	TAG_HERE_INPUT,
	TAG_HERE_OUTPUT_LOST,
	TAG_HERE_OUTPUT_DISCARDED,
	TAG_HERE_STALLS,
	TAG_HERE_STALLED_NS,
};

static void put_ring(struct state_writer *w, const struct bytering *r, uint64_t from)
{
	struct iovec iov[2];
	unsigned int n = bytering_data_iov(r, iov);
	uint64_t skip = from - r->tail;

	for (unsigned int i = 0; i < n; i++) {
		size_t before = (size_t)min_u64(skip, iov[i].iov_len);

		state_add_bytes(w, (const uint8_t *)iov[i].iov_base + before,
				iov[i].iov_len - before);
		skip -= before;
	}
}

/* What waits for the guest here comes before what the writer holds. */
static void put_input(struct state_writer *w, struct port *port, enum port_state_how how)
{
	struct port_client *c = port->writer;

	state_begin_bytes(w, TAG_INPUT);
	put_ring(w, &port->in, port->in.tail);
	if (how == PORT_STATE_MOVED && c && c->ops->input_held) {
		const void *held;
		size_t len = c->ops->input_held(c, &held);

		state_add_bytes(w, held, len);
	}
	state_end(w);
}

/* Where the output begins that is still owed to somebody. */
static uint64_t undelivered_from(const struct port *port)
{
	uint64_t pos;

	if (port_slowest(port, &pos))
		return pos;
	pos = port->delivered < port->begin ? port->begin : port->delivered;
	return pos < port->out.tail ? port->out.tail : pos;
}

static void put_output(struct state_writer *w, const struct port *port, enum port_state_how how)
{
	uint64_t undelivered = undelivered_from(port);
	bool all = how == PORT_STATE_HERE || port->overflow == PORT_DROP;
	uint64_t from = all ? port->out.tail : undelivered;

	state_begin_bytes(w, TAG_OUTPUT);
	put_ring(w, &port->out, from);
	state_end(w);
	state_put_number(w, TAG_HISTORY, undelivered - from);
}

/*
 * The client of a port that moves comes later, or never; until then the guest
 * is held up. What it has written to a client may be in its queues still.
 */
static bool awaits_client(const struct port *port, enum port_state_how how)
{
	uint64_t pos;

	if (port->owing || how == PORT_STATE_HERE)
		return port->owing;
	return port_slowest(port, &pos) || undelivered_from(port) < port->out.head;
}

static void put_here(struct state_writer *w, const struct port *port)
{
	const struct port_counters *c = &port->counters;

	state_begin_group(w, TAG_HERE);
	state_put_number(w, TAG_HERE_OUT_HEAD, port->out.head);
	state_put_number(w, TAG_HERE_IN_HEAD, port->in.head);
	state_put_number(w, TAG_HERE_DELIVERED, port->delivered);
	state_put_number(w, TAG_HERE_BEGIN, port->begin);
	state_put_number(w, TAG_HERE_OUTPUT, c->output);
	state_put_number(w, TAG_HERE_INPUT, c->input);
	state_put_number(w, TAG_HERE_OUTPUT_LOST, c->output_lost);
	state_put_number(w, TAG_HERE_OUTPUT_DISCARDED, c->output_discarded);
	state_put_number(w, TAG_HERE_STALLS, c->n_stalls);
	state_put_number(w, TAG_HERE_STALLED_NS, port_stalled_ns(port));
	state_end(w);
}

void port_save(struct port *port, struct state_writer *w, enum port_state_how how)
{
	state_put_bytes(w, TAG_NAME, port->name, strlen(port->name));
	state_put_number(w, TAG_CONSOLE, port->console);
	state_put_number(w, TAG_COLS, port->cols);
	state_put_number(w, TAG_ROWS, port->rows);
	put_input(w, port, how);
	put_output(w, port, how);
	if (how == PORT_STATE_HERE)
		put_here(w, port);
	if (awaits_client(port, how))
		state_put_number(w, TAG_AWAITED, true);
}

/* Reading */

static void read_identity(struct state_reader *r, const struct port *port)
{
	const uint8_t *name;
	size_t len = state_take_bytes(r, TAG_NAME, "name", PORT_NAME_MAX, &name);

	if (!r->failed && (len != strlen(port->name) || memcmp(name, port->name, len) != 0))
		state_fail(r, "the port is named \"%.*s\" there: expected \"%s\" as here", (int)len,
			   (const char *)name, port->name);
	if (state_take_flag(r, TAG_CONSOLE, "console flag") != port->console)
		state_fail(r, "the port is%s a console here: expected the same in the state",
			   port->console ? "" : " not");
}

/* With room for what this port has, or may get until then. */
static int read_input(struct port_state *s, const struct port *port, struct state_reader *r)
{
	const uint8_t *bytes;
	size_t len =
		state_take_bytes(r, TAG_INPUT, "undelivered input", PORT_STATE_INPUT_MAX, &bytes);
	size_t own = bytering_used(&port->in);
	int err;

	if (r->failed || (len == 0 && s->how == PORT_STATE_MOVED))
		return 0;
	if (own < PORT_INPUT_SIZE)
		own = PORT_INPUT_SIZE;
	err = bytering_init(&s->in, port_ring_size(len + own));
	if (err < 0)
		return err;
	bytering_put(&s->in, bytes, len);
	return 0;
}

static void read_output(struct port_state *s, const struct port *port, struct state_reader *r)
{
	uint64_t held, room = port->out.size;

	s->output_len = state_take_bytes(r, TAG_OUTPUT, "output", SIZE_MAX, &s->output);
	s->history_len =
		(size_t)state_take_number(r, TAG_HISTORY, "length of history", s->output_len);
	if (port->overflow == PORT_DROP || r->failed)
		return;
	if (s->how == PORT_STATE_MOVED && port_slowest(port, &held))
		room -= port->out.head - held;
	if (s->output_len - s->history_len > room)
		state_fail(r,
			   "%zu bytes of output are undelivered: expected %llu at most, "
			   "what there is room for here (--history)",
			   s->output_len - s->history_len, (unsigned long long)room);
}

static void read_here(struct port_state *s, struct state_reader *r)
{
	struct port_counters *c = &s->counters;

	if (!state_enter(r, TAG_HERE, "counters"))
		return;
	s->out_head = state_take_number(r, TAG_HERE_OUT_HEAD, "end of output", INT64_MAX);
	s->in_head = state_take_number(r, TAG_HERE_IN_HEAD, "end of input", INT64_MAX);
	s->delivered = state_take_number(r, TAG_HERE_DELIVERED, "delivered", s->out_head);
	s->begin = state_take_number(r, TAG_HERE_BEGIN, "begin", s->out_head);
	c->output = state_take_number(r, TAG_HERE_OUTPUT, "output count", UINT64_MAX);
	c->input = state_take_number(r, TAG_HERE_INPUT, "input count", UINT64_MAX);
	c->output_lost = state_take_number(r, TAG_HERE_OUTPUT_LOST, "lost", UINT64_MAX);
	c->output_discarded =
		state_take_number(r, TAG_HERE_OUTPUT_DISCARDED, "discarded", UINT64_MAX);
	c->n_stalls = state_take_number(r, TAG_HERE_STALLS, "stalls", UINT64_MAX);
	c->stalled_ns = state_take_number(r, TAG_HERE_STALLED_NS, "stalled time", UINT64_MAX);
	if (s->out_head < s->output_len || s->in_head < bytering_used(&s->in))
		state_fail(r, "the positions come before the contents: expected them at the end");
	state_leave(r);
}

int port_state_read(struct port_state *ret_state, const struct port *port, struct state_reader *r,
		    enum port_state_how how)
{
	struct port_state s = { .how = how };
	int err;

	read_identity(r, port);
	s.cols = (uint16_t)state_take_number(r, TAG_COLS, "columns", UINT16_MAX);
	s.rows = (uint16_t)state_take_number(r, TAG_ROWS, "rows", UINT16_MAX);
	err = read_input(&s, port, r);
	read_output(&s, port, r);
	if (how == PORT_STATE_HERE)
		read_here(&s, r);
	s.awaited = state_has(r, TAG_AWAITED) && state_take_flag(r, TAG_AWAITED, "client awaited");
	if (err == 0 && r->failed)
		err = -EINVAL;
	if (err == 0)
		*ret_state = s;
	else
		port_state_fini(&s);
	return err;
}

void port_state_fini(struct port_state *s)
{
	bytering_fini(&s->in);
}

/* Putting in force */

static void begin_at(struct bytering *r, uint64_t pos)
{
	r->base = r->tail = r->head = pos;
}

/* Bytes of the port's own queue go behind those that came. */
static void apply_input(struct port_state *s, struct port *port)
{
	struct bytering own = port->in;
	struct iovec iov[2];
	unsigned int n = bytering_data_iov(&own, iov);

	if (!s->in.buf)
		return;
	for (unsigned int i = 0; i < n; i++)
		bytering_put(&s->in, iov[i].iov_base, iov[i].iov_len);
	port->in = s->in;
	s->in = own; /* port_state_fini() frees it */
}

/* History is for those who come later: who is there and has read all is spared it. */
static void skip_history(struct port *port, uint64_t before, uint64_t history_len)
{
	struct list_node *node = port->clients.next;

	for (; node != &port->clients; node = node->next) {
		struct port_client *c = list_entry(node, struct port_client, link);

		if (c->pos != before)
			continue;
		c->pos = before + history_len;
		if (c->replay_end == before)
			c->replay_end = c->pos;
	}
}

static void apply_moved(struct port_state *s, struct port *port)
{
	uint64_t before = port->out.head, pos;

	bytering_put_over(&port->out, s->output, s->output_len);
	skip_history(port, before, s->history_len);
	port->delivered = before + s->history_len;
	port->owing = s->awaited && !port_slowest(port, &pos);
}

static void apply_here(struct port_state *s, struct port *port)
{
	uint64_t in_tail = s->in_head - bytering_used(&port->in);

	port->in.base += in_tail - port->in.tail;
	port->in.head = s->in_head;
	port->in.tail = in_tail;
	begin_at(&port->out, s->out_head - s->output_len);
	bytering_put_over(&port->out, s->output, s->output_len);
	port->delivered = s->delivered;
	port->begin = s->begin;
	port->owing = s->awaited;
	port->counters = s->counters;
}

void port_state_apply(struct port_state *s, struct port *port)
{
	apply_input(s, port);
	if (s->how == PORT_STATE_MOVED)
		apply_moved(s, port);
	else
		apply_here(s, port);
	if (port->cols == 0)
		port_resize(port, s->cols, s->rows);
}
