/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Ports and their clients, who judge what they are given byte by byte. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"

static uint64_t taken(const struct model_port *p)
{
	return p->port.counters.output;
}

static uint64_t discarded(const struct model_port *p)
{
	return p->discarded + (p->port.output_disabled ? taken(p) - p->disabled_at : 0);
}

/* Where the ring's next byte goes. */
static uint64_t ring_head(const struct model_port *p)
{
	return taken(p) - discarded(p);
}

/* The oldest byte that the ring still has. */
static uint64_t ring_tail(const struct model_port *p)
{
	uint64_t head = ring_head(p), size = p->port.out.size;
	uint64_t tail = head > size ? head - size : 0;

	return tail > p->now_end ? tail : p->now_end;
}

/* The stretches that no client can be given any more go. */
static void drop_stretches(struct model_port *p)
{
	uint64_t tail = ring_tail(p);
	unsigned int n = 0;

	while (n + 1 < p->n_stretches && p->stretches[n + 1].ring <= tail)
		n++;
	if (n == 0)
		return;
	p->n_stretches -= n;
	memmove(p->stretches, p->stretches + n, p->n_stretches * sizeof(*p->stretches));
}

static void add_stretch(struct model_port *p)
{
	drop_stretches(p);
	if (p->n_stretches == p->cap_stretches) {
		p->cap_stretches = 2 * p->cap_stretches + 8;
		p->stretches = realloc(p->stretches, p->cap_stretches * sizeof(*p->stretches));
		if (!p->stretches)
			abort();
	}
	p->stretches[p->n_stretches++] = (struct model_stretch){
		.ring = ring_head(p),
		.total = taken(p),
		.key = p->key,
	};
}

void host_forget_output(struct model_port *p)
{
	p->key++;
	p->offered = taken(p);
	add_stretch(p);
}

static void verify_output(struct model_client *mc, const uint8_t *bytes, size_t len)
{
	struct model_port *p = mc->port;
	uint64_t pos = mc->pos;

	while (len > 0) {
		const struct model_stretch *s;
		unsigned int i = p->n_stretches;
		size_t n = min_size(len, PATTERN_RUN);
		uint64_t total;

		while (i > 0 && p->stretches[i - 1].ring > pos)
			i--;
		model_expect(mc->m, i > 0, "port %u: output at %llu that nobody remembers", p->idx,
			     (unsigned long long)pos);
		s = &p->stretches[i - 1];
		if (i < p->n_stretches)
			n = (size_t)min_u64(n, s[1].ring - pos);
		total = s->total + (pos - s->ring);
		if (memcmp(bytes, pattern_at(s->key, total), n) != 0)
			model_fail(mc->m,
				   "port %u, client %u: the %zu bytes at %llu to be what the guest "
				   "wrote",
				   p->idx, mc->c.id, n, (unsigned long long)pos);
		bytes += n;
		pos += n;
		len -= n;
	}
	mc->m->report->bytes_out += pos - mc->pos;
	mc->pos = pos;
}

/* How many bytes a client has lost by now, if it may. */
static uint64_t expect_loss(struct model_client *mc)
{
	uint64_t tail = ring_tail(mc->port);

	if (tail <= mc->pos)
		return 0;
	model_expect(mc->m, mc->may_lose,
		     "port %u, client %u: nothing to be lost on a port that holds", mc->port->idx,
		     mc->c.id);
	return tail - mc->pos;
}

void host_read(struct model_client *mc, size_t n_max)
{
	static uint8_t buf[PATTERN_RUN];
	struct model_port *p = mc->port;

	while (n_max >= PORT_READ_MIN && port_readable(&mc->c)) {
		size_t cap = PORT_READ_MIN + rng_below(&mc->chunks, sizeof(buf) - PORT_READ_MIN);
		uint64_t lost = expect_loss(mc), before = mc->c.n_lost;
		size_t n;

		cap = min_size(cap, n_max);
		n = port_read(&mc->c, buf, cap);
		model_expect(mc->m, mc->c.n_lost - before == lost,
			     "port %u, client %u: %llu bytes to be lost, not %llu", p->idx,
			     mc->c.id, (unsigned long long)lost,
			     (unsigned long long)(mc->c.n_lost - before));
		mc->pos += lost;
		p->lost += lost;
		verify_output(mc, buf, n);
		model_expect(mc->m, mc->pos == mc->c.pos,
			     "port %u, client %u: position %llu, not %llu", p->idx, mc->c.id,
			     (unsigned long long)mc->pos, (unsigned long long)mc->c.pos);
		n_max -= n;
	}
	/* Up to date on a port that holds: nothing can go past it any more. */
	if (mc->c.holds && p->port.overflow == PORT_HOLD && mc->pos == ring_head(p))
		mc->may_lose = false;
}

static struct model_client *to_client(struct port_client *c)
{
	return container_of(c, struct model_client, c);
}

static void output_ready(struct port_client *c)
{
	struct model_client *mc = to_client(c);

	if (mc->reading)
		host_read(mc, SIZE_MAX);
}

static void input_room(struct port_client *c)
{
	struct model_client *mc = to_client(c);

	if (mc->gives > 0 && port_is_writer(c))
		port_input_offer(c);
}

/* Takes a part, and then no more until it is told to go on. */
static size_t output_now(struct port_client *c, const struct iovec *iov, unsigned int n)
{
	struct model_client *mc = to_client(c);
	size_t want = mc->reading ? rng_below(&mc->chunks, 40000) : 0, got = 0;
	bool all = true;

	model_expect(mc->m, mc->pos == ring_head(mc->port),
		     "port %u, client %u: output out of turn", mc->port->idx, mc->c.id);
	for (unsigned int i = 0; i < n && all; i++) {
		size_t len = min_size(iov[i].iov_len, want - got);

		verify_output(mc, iov[i].iov_base, len);
		got += len;
		all = len == iov[i].iov_len;
	}
	if (got > 0)
		mc->port->now_end = mc->pos;
	if (!all) {
		c->full = true;
		mc->reading = false;
	}
	return got;
}

static size_t input_now(struct port_client *c, const struct iovec *iov, unsigned int n)
{
	struct model_client *mc = to_client(c);
	struct model_port *p = mc->port;
	size_t given = 0;

	for (unsigned int i = 0; i < n && mc->gives > 0; i++) {
		size_t len = (size_t)min_u64(iov[i].iov_len, mc->gives);

		len = min_size(len, PATTERN_RUN);
		memcpy(iov[i].iov_base, pattern_at(p->in_key, p->in_accepted), len);
		p->in_accepted += len;
		mc->gives -= len;
		given += len;
		if (len < iov[i].iov_len)
			break;
	}
	if (mc->gives == 0)
		c->gives_now = false;
	return given;
}

static const struct port_client_ops client_ops = {
	.output_ready = output_ready,
	.input_room = input_room,
	.output_now = output_now,
	.input_now = input_now,
};

/* Who is the writer: the first that may, until somebody steals. */
static void elect_writer(struct model_port *p)
{
	p->writer = NULL;
	for (unsigned int i = 0; i < MODEL_CLIENTS; i++) {
		struct model_client *mc = &p->clients[i];

		if (mc->joined && mc->c.writes && (!p->writer || mc->order < p->writer->order))
			p->writer = mc;
	}
}

bool host_join(struct model_port *p, struct model_client *mc, struct rng *r)
{
	struct model *m = mc->m;
	struct port_client_options options = {
		.writes = !rng_one_in(r, 4),
		.steals = rng_one_in(r, 4),
		.holds = !rng_one_in(r, 3),
		.replay = rng_one_in(r, 3) ? rng_below(r, 200000) : 0,
		.what = "model",
	};
	uint64_t head = ring_head(p);

	if (mc->joined)
		return false;
	options.passive = !options.writes && rng_one_in(r, 2); /* as a log */
	mc->joined = true;
	mc->reading = rng_one_in(r, 2);
	mc->chunks = rng_make(rng_next(r));
	mc->pos = head - min_u64(options.replay, head);
	mc->may_lose = options.replay > 0 || !options.holds || p->port.overflow == PORT_DROP;
	mc->gives = 0;
	mc->order = ++p->n_joined;
	port_join(&p->port, &mc->c, &client_ops, &options);
	if (rng_one_in(r, 3) && options.replay == 0)
		mc->c.takes_now = true;
	if (options.writes && (!p->writer || options.steals))
		p->writer = mc;
	model_say(m, "port %u: client %u joins%s%s%s%s, replay %u", p->idx, mc->c.id,
		  options.writes ? " writes" : "", options.steals ? " steals" : "",
		  options.holds ? " holds" : "", mc->c.takes_now ? " takes now" : "",
		  (unsigned int)options.replay);
	if (mc->reading)
		host_read(mc, SIZE_MAX);
	return true;
}

void host_leave(struct model_client *mc)
{
	struct model_port *p = mc->port;

	model_say(mc->m, "port %u: client %u leaves", p->idx, mc->c.id);
	mc->joined = false;
	mc->gives = 0;
	if (p->writer == mc)
		elect_writer(p);
	port_leave(&mc->c);
}

void host_steal(struct model_client *mc)
{
	if (mc->c.writes)
		mc->port->writer = mc;
	model_say(mc->m, "port %u: client %u steals", mc->port->idx, mc->c.id);
	port_steal(&mc->c);
}

void host_set_reading(struct model_client *mc, bool reading)
{
	model_say(mc->m, "port %u: client %u %s", mc->port->idx, mc->c.id,
		  reading ? "reads" : "reads no more");
	mc->reading = reading;
	if (!reading)
		return;
	host_read(mc, SIZE_MAX);
	if (mc->c.full)
		port_output_again(&mc->c);
}

static uint64_t pending_input(const struct model_port *p)
{
	return p->in_accepted - p->port.counters.input;
}

void host_write(struct model_port *p, size_t len)
{
	struct model *m = p->clients[0].m;
	uint64_t room = PORT_INPUT_SIZE - pending_input(p);
	size_t n;

	len = min_size(len, PATTERN_RUN);
	/* Counted before it is asked for: the device may take it at once. */
	n = (size_t)min_u64(len, room);
	p->in_accepted += n;
	model_say(m, "port %u: %zu bytes of input, %zu fit", p->idx, len, n);
	model_expect(m, port_input(&p->port, pattern_at(p->in_key, p->in_accepted - n), len) == n,
		     "port %u: %zu bytes of input to fit", p->idx, n);
}

void host_give(struct model_port *p, size_t len)
{
	model_say(p->writer->m, "port %u: client %u would give %zu bytes", p->idx, p->writer->c.id,
		  len);
	p->writer->gives += len;
	port_input_offer(&p->writer->c);
}

void host_enable_output(struct model_port *p, bool on)
{
	if (p->port.output_disabled == !on)
		return;
	if (on) {
		p->discarded += taken(p) - p->disabled_at;
		port_enable_output(&p->port, on);
		add_stretch(p);
	} else {
		p->disabled_at = taken(p);
		port_enable_output(&p->port, on);
	}
}

void host_set_overflow(struct model_port *p, enum port_overflow overflow)
{
	for (unsigned int i = 0; i < MODEL_CLIENTS; i++)
		if (overflow == PORT_DROP)
			p->clients[i].may_lose = true;
	port_set_overflow(&p->port, overflow);
}

/* The only client may be given output past the ring, and then says how much. */
static const struct model_client *now_client(const struct model_port *p)
{
	const struct model_client *only = NULL;

	for (unsigned int i = 0; i < MODEL_CLIENTS; i++) {
		if (!p->clients[i].joined)
			continue;
		if (only)
			return NULL;
		only = &p->clients[i];
	}
	return only && only->c.takes_now && only->c.holds && only->pos == ring_head(p) ? only
										       : NULL;
}

uint64_t host_room(const struct model_port *p)
{
	const struct model_client *now = now_client(p);
	uint64_t head = ring_head(p), tail = ring_tail(p);
	uint64_t slowest = head;
	bool held = false;

	if (p->port.overflow == PORT_DROP || p->port.output_disabled)
		return UINT64_MAX;
	for (unsigned int i = 0; i < MODEL_CLIENTS; i++) {
		const struct model_client *mc = &p->clients[i];

		if (!mc->joined || !mc->c.holds)
			continue;
		held = true;
		slowest = min_u64(slowest, mc->pos > tail ? mc->pos : tail);
	}
	if (!held)
		return UINT64_MAX;
	return now && now->c.full ? 0 : p->port.out.size - (head - slowest);
}

bool host_has_input(const struct model_port *p)
{
	return !p->port.input_disabled &&
	       (pending_input(p) > 0 || (p->writer && p->writer->gives > 0));
}

bool host_is_open(const struct model_port *p)
{
	for (unsigned int i = 0; i < MODEL_CLIENTS; i++)
		if (p->clients[i].joined && !p->clients[i].c.passive)
			return true;
	return p->port.guest_open && !p->port.input_disabled && pending_input(p) > 0;
}

/* Everything is at rest. */
void host_check(struct model_port *p)
{
	struct model *m = p->clients[0].m;
	const struct port *port = &p->port;

	model_expect(m, port->counters.output_discarded == discarded(p),
		     "port %u: %llu bytes of output to be discarded, not %llu", p->idx,
		     (unsigned long long)discarded(p),
		     (unsigned long long)port->counters.output_discarded);
	model_expect(m, port->counters.output_lost == p->lost,
		     "port %u: %llu bytes to be lost, not %llu", p->idx,
		     (unsigned long long)p->lost, (unsigned long long)port->counters.output_lost);
	model_expect(m, port->counters.input == p->in_received,
		     "port %u: %llu bytes of input taken, and %llu with the driver", p->idx,
		     (unsigned long long)port->counters.input, (unsigned long long)p->in_received);
	model_expect(m, bytering_used(&port->in) == pending_input(p),
		     "port %u: %llu bytes of input to wait, not %zu", p->idx,
		     (unsigned long long)pending_input(p), bytering_used(&port->in));
	model_expect(m, port->writer == (p->writer ? &p->writer->c : NULL),
		     "port %u: client %u to be the writer", p->idx,
		     p->writer ? p->writer->c.id : 0);
	model_expect(m, port_host_open(port) == host_is_open(p), "port %u: its host side to be %s",
		     p->idx, host_is_open(p) ? "open" : "closed");
	for (unsigned int i = 0; i < MODEL_CLIENTS; i++) {
		struct model_client *mc = &p->clients[i];

		if (mc->joined && mc->reading)
			model_expect(m, mc->pos == ring_head(p),
				     "port %u: client %u to have read up to %llu, not %llu", p->idx,
				     mc->c.id, (unsigned long long)ring_head(p),
				     (unsigned long long)mc->pos);
	}
}

struct model_port *host_pick(struct model *m, struct rng *r)
{
	return &m->ports[rng_below(r, m->n_ports)];
}

void host_init(struct model *m, struct rng *r)
{
	for (unsigned int i = 0; i < m->n_ports; i++) {
		struct model_port *p = &m->ports[i];

		*p = (struct model_port){ .idx = i, .number = -1, .key = i, .in_key = 1000 + i };
		if (port_init(&p->port, (size_t)512 << rng_below(r, 8)) < 0)
			abort();
		p->port.console = i == 0 || rng_one_in(r, 3);
		p->port.overflow = rng_one_in(r, 3) ? PORT_DROP : PORT_HOLD;
		if (!rng_one_in(r, 3))
			snprintf(p->port.name, sizeof(p->port.name), "port-%u", i);
		add_stretch(p);
		for (unsigned int c = 0; c < MODEL_CLIENTS; c++) {
			p->clients[c].m = m;
			p->clients[c].port = p;
		}
	}
}

void host_fini(struct model *m)
{
	for (unsigned int i = 0; i < m->n_ports; i++) {
		struct model_port *p = &m->ports[i];

		for (unsigned int c = 0; c < MODEL_CLIENTS; c++)
			if (p->clients[c].joined)
				host_leave(&p->clients[c]);
		if (p->number >= 0)
			console_remove_port(&m->con, (unsigned int)p->number);
		port_fini(&p->port);
		free(p->stretches);
	}
}
