/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "backends/port-handover.h"

#include <string.h>

#include "backends/port-journal.h"
#include "backends/port-private.h"

enum port_tag {
	TAG_OVERFLOW = 1,
	TAG_SWITCHES, /* BIT(enum port_switch) */
	TAG_COLS,
	TAG_ROWS,
	TAG_LAST_CLIENT,
	TAG_COUNTERS, /* numbers, one after the other */
	TAG_LATENCY,
	TAG_OUT_BEGIN, /* position of the oldest byte */
	TAG_OUT,
	TAG_IN,
	TAG_SIZE,    /* of the output ring */
	TAG_JOURNAL, /* that has the contents instead */
	TAG_DELIVERED,
	TAG_BEGIN,
	TAG_OWING,
};

enum port_switch {
	SWITCH_OUTPUT_DISABLED,
	SWITCH_INPUT_DISABLED,
	SWITCH_TOLD_OPEN,
	SWITCH_PRESENT,
	SWITCH_GUEST_OPEN,
	N_SWITCHES,
};

enum client_tag {
	CLIENT_ID = 1,
	CLIENT_FLAGS, /* BIT(enum client_flag) */
	CLIENT_WHAT,
	CLIENT_POS,
	CLIENT_REPLAY_END,
	CLIENT_REPLAY, /* as struct replay is */
	CLIENT_NOTICE,
	CLIENT_COLS,
	CLIENT_ROWS,
	CLIENT_READ,
	CLIENT_WRITTEN,
	CLIENT_LOST,
	CLIENT_SENT,
	CLIENT_SANITIZE, /* as struct sanitize is, if it is on; then these */
	CLIENT_POS_BEFORE,
};

enum client_flag {
	FLAG_WRITES,
	FLAG_HOLDS,
	FLAG_PASSIVE,
	FLAG_SHOWS,
	FLAG_WRITER,
	N_FLAGS,
};

static void put_ring(struct state_writer *w, unsigned int tag, const struct bytering *r)
{
	struct iovec iov[2];
	unsigned int n = bytering_data_iov(r, iov);

	state_begin_bytes(w, tag);
	for (unsigned int i = 0; i < n; i++)
		state_add_bytes(w, iov[i].iov_base, iov[i].iov_len);
	state_end(w);
}

static uint64_t switches_of(const struct port *p)
{
	return (uint64_t)p->output_disabled << SWITCH_OUTPUT_DISABLED |
	       (uint64_t)p->input_disabled << SWITCH_INPUT_DISABLED |
	       (uint64_t)p->told_open << SWITCH_TOLD_OPEN | (uint64_t)p->present << SWITCH_PRESENT |
	       (uint64_t)p->guest_open << SWITCH_GUEST_OPEN;
}

/* A stall ends here: whoever goes on looks again at once. */
void port_handover_save(const struct port *port, struct handover_out *out, unsigned int tag)
{
	struct state_writer *w = &out->state;
	struct port_counters counters = port->counters;

	counters.stalled_ns = port_stalled_ns(port);
	state_begin_group(w, tag);
	state_put_number(w, TAG_OVERFLOW, port->overflow);
	state_put_number(w, TAG_SWITCHES, switches_of(port));
	state_put_number(w, TAG_COLS, port->cols);
	state_put_number(w, TAG_ROWS, port->rows);
	state_put_number(w, TAG_LAST_CLIENT, port->last_client_id);
	state_put_bytes(w, TAG_COUNTERS, &counters, sizeof(counters));
	state_put_bytes(w, TAG_LATENCY, &port->latency, sizeof(port->latency));
	if (!port->journal) {
		state_put_number(w, TAG_OUT_BEGIN, port->out.tail);
		put_ring(w, TAG_OUT, &port->out);
		put_ring(w, TAG_IN, &port->in);
	}
	state_put_number(w, TAG_SIZE, port->out.size);
	if (port->journal)
		port_journal_save(port->journal, port, out, TAG_JOURNAL);
	state_put_number(w, TAG_DELIVERED, port->delivered);
	state_put_number(w, TAG_BEGIN, port->begin);
	state_put_number(w, TAG_OWING, port->owing);
	state_end(w);
}

static void set_switches(struct port *p, uint64_t bits)
{
	p->output_disabled = bits & BIT(SWITCH_OUTPUT_DISABLED);
	p->input_disabled = bits & BIT(SWITCH_INPUT_DISABLED);
	p->told_open = bits & BIT(SWITCH_TOLD_OPEN);
	p->present = bits & BIT(SWITCH_PRESENT);
	p->guest_open = bits & BIT(SWITCH_GUEST_OPEN);
}

/* An empty ring goes on at this position. */
static void begin_ring_at(struct bytering *r, uint64_t pos)
{
	r->base = r->head = r->tail = pos;
}

static void load_rings(struct port *port, struct state_reader *r)
{
	const uint8_t *bytes;
	size_t len;

	begin_ring_at(&port->out, state_take_number(r, TAG_OUT_BEGIN, "output begins", UINT64_MAX));
	len = state_take_bytes(r, TAG_OUT, "output", port->out.size, &bytes);
	bytering_put(&port->out, bytes, len);
	len = state_take_bytes(r, TAG_IN, "input", port->in.size, &bytes);
	bytering_put(&port->in, bytes, len);
}

static void load_contents(struct port *port, struct handover_in *in)
{
	struct state_reader *r = &in->state;

	if (state_has(r, TAG_OUT_BEGIN))
		load_rings(port, r);
	if (state_take_number(r, TAG_SIZE, "ring", UINT64_MAX) != port->out.size)
		state_fail(r, "its ring has %zu bytes here", port->out.size);
	if (state_has(r, TAG_JOURNAL))
		port_journal_load(port, port->out.size, in, TAG_JOURNAL);
	port->delivered = state_take_number(r, TAG_DELIVERED, "delivered", UINT64_MAX);
	port->begin = state_take_number(r, TAG_BEGIN, "begin", UINT64_MAX);
	port->owing = state_take_flag(r, TAG_OWING, "owing");
}

void port_handover_load(struct port *port, struct handover_in *in, unsigned int tag)
{
	struct state_reader *r = &in->state;

	if (!state_enter(r, tag, "port"))
		return;
	port->overflow =
		(enum port_overflow)state_take_number(r, TAG_OVERFLOW, "overflow", PORT_HOLD);
	set_switches(port, state_take_number(r, TAG_SWITCHES, "switches", BIT(N_SWITCHES) - 1));
	port->cols = (uint16_t)state_take_number(r, TAG_COLS, "columns", UINT16_MAX);
	port->rows = (uint16_t)state_take_number(r, TAG_ROWS, "rows", UINT16_MAX);
	port->last_client_id =
		(unsigned int)state_take_number(r, TAG_LAST_CLIENT, "last client", UINT32_MAX);
	handover_take_exact(in, TAG_COUNTERS, "counters", &port->counters, sizeof(port->counters));
	handover_take_exact(in, TAG_LATENCY, "latency", &port->latency, sizeof(port->latency));
	load_contents(port, in);
	state_leave(r);
}

void port_client_save(const struct port_client *c, struct handover_out *out, unsigned int tag)
{
	struct state_writer *w = &out->state;

	state_begin_group(w, tag);
	state_put_number(w, CLIENT_ID, c->id);
	state_put_number(w, CLIENT_FLAGS,
			 (uint64_t)c->writes << FLAG_WRITES | (uint64_t)c->holds << FLAG_HOLDS |
				 (uint64_t)c->passive << FLAG_PASSIVE |
				 (uint64_t)c->shows << FLAG_SHOWS |
				 (uint64_t)port_is_writer(c) << FLAG_WRITER);
	handover_put_text(out, CLIENT_WHAT, c->what);
	state_put_number(w, CLIENT_POS, c->pos);
	state_put_number(w, CLIENT_REPLAY_END, c->replay_end);
	state_put_bytes(w, CLIENT_REPLAY, &c->replay, sizeof(c->replay));
	handover_put_text(out, CLIENT_NOTICE, c->notice ? c->notice : "");
	state_put_number(w, CLIENT_COLS, c->cols);
	state_put_number(w, CLIENT_ROWS, c->rows);
	state_put_number(w, CLIENT_READ, c->n_read);
	state_put_number(w, CLIENT_WRITTEN, c->n_written);
	state_put_number(w, CLIENT_LOST, c->n_lost);
	state_put_number(w, CLIENT_SENT, c->sent);
	if (c->sanitize.level) {
		state_put_bytes(w, CLIENT_SANITIZE, &c->sanitize, sizeof(c->sanitize));
		state_put_number(w, CLIENT_POS_BEFORE, c->pos_before);
	}
	state_end(w);
}

/* In the order of joining, whatever order they come back in. */
static void insert(struct port *port, struct port_client *c)
{
	struct list_node *node = port->clients.next;

	while (node != &port->clients && list_entry(node, struct port_client, link)->id < c->id)
		node = node->next;
	list_append(node, &c->link); /* before it */
	port->n_clients++;
	port->n_openers += !c->passive;
}

static void load_sanitize(struct port_client *c, struct handover_in *in)
{
	struct state_reader *r = &in->state;

	handover_take_exact(in, CLIENT_SANITIZE, "sanitize", &c->sanitize, sizeof(c->sanitize));
	if (!sanitize_is_valid(&c->sanitize))
		state_fail(r, "the filter is in no state that it has");
	c->pos_before = state_take_number(r, CLIENT_POS_BEFORE, "position before", c->pos);
}

static void load_client(struct port_client *c, struct handover_in *in)
{
	struct state_reader *r = &in->state;
	char notice[128];

	handover_take_text(in, CLIENT_WHAT, "what", c->what, sizeof(c->what));
	c->pos = state_take_number(r, CLIENT_POS, "position", c->port->out.head);
	c->replay_end = state_take_number(r, CLIENT_REPLAY_END, "replay", c->port->out.head);
	handover_take_exact(in, CLIENT_REPLAY, "replay", &c->replay, sizeof(c->replay));
	if (c->replay.n_held > REPLAY_HELD_MAX || c->replay.body > REPLAY_HELD_MAX)
		state_fail(r, "more bytes are held than can be");
	handover_take_text(in, CLIENT_NOTICE, "notice", notice, sizeof(notice));
	c->notice = port_notice_named(notice);
	c->cols = (uint16_t)state_take_number(r, CLIENT_COLS, "columns", UINT16_MAX);
	c->rows = (uint16_t)state_take_number(r, CLIENT_ROWS, "rows", UINT16_MAX);
	c->n_read = state_take_number(r, CLIENT_READ, "read", UINT64_MAX);
	c->n_written = state_take_number(r, CLIENT_WRITTEN, "written", UINT64_MAX);
	c->n_lost = state_take_number(r, CLIENT_LOST, "lost", UINT64_MAX);
	c->sent = state_take_number(r, CLIENT_SENT, "sent", c->port->out.head);
	if (state_has(r, CLIENT_SANITIZE))
		load_sanitize(c, in);
}

bool port_client_load(struct port *port, struct port_client *c, const struct port_client_ops *ops,
		      struct handover_in *in, unsigned int tag)
{
	struct state_reader *r = &in->state;
	uint64_t flags;

	*c = (struct port_client){ .ops = ops, .port = port };
	if (!state_enter(r, tag, "client"))
		return false;
	c->id = (unsigned int)state_take_number(r, CLIENT_ID, "id", UINT32_MAX);
	flags = state_take_number(r, CLIENT_FLAGS, "flags", BIT(N_FLAGS) - 1);
	c->writes = flags & BIT(FLAG_WRITES);
	c->holds = flags & BIT(FLAG_HOLDS);
	c->passive = flags & BIT(FLAG_PASSIVE);
	c->shows = flags & BIT(FLAG_SHOWS);
	load_client(c, in);
	state_leave(r);
	if (r->failed)
		return false;
	insert(port, c);
	if (flags & BIT(FLAG_WRITER))
		port->writer = c;
	return true;
}

void port_handover_put_bytes(struct handover_out *out, unsigned int tag, const void *buf, size_t at,
			     size_t len)
{
	state_put_bytes(&out->state, tag, (const char *)buf + at, len);
}
