/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "front.h"
#include "virtio/features.h"

enum { TAIL = 4 * PATTERN_LOCATE };

static struct front_port *port_of(struct side *s)
{
	return container_of(s, struct front_port, side);
}

static struct soak_stream *stream_of(const struct front_port *p)
{
	return &front.g->streams[p->stream];
}

/* Input */

/*
 * What a guest that was killed had in its buffers is gone with it, and nobody has
 * counted it.
 */
static void begin_input(struct front_port *p)
{
	struct soak_input *in = &stream_of(p)->in;
	uint64_t slack = in->slack;

	check_init(&p->in, CHECK_EXACT, soak_pattern(front.g, p->stream, p->generation, true),
		   &in->gaps);
	check_begin(&p->in, in->got, in->got + slack);
	p->in_generation = p->generation;
}

/* How far from the beginning the next byte may be, which grows while nothing comes. */
static void widen(struct front_port *p)
{
	struct soak_input *in = &stream_of(p)->in;

	if (!p->in.placed)
		p->in.to = p->in.from + in->slack + check_gap_sum(&in->gaps, p->in.from);
}

static void take(struct side *s, const uint8_t *bytes, size_t len)
{
	struct front_port *p = port_of(s);
	struct soak_input *in = &stream_of(p)->in;

	if (!soak_lossless(p->stream))
		return; /* anybody may type there */
	widen(p);
	if (!check_feed(&p->in, bytes, len))
		die("port %u (%u), input, %zu bytes by %s of a %s ring%s of %u: %s", s->id,
		    p->generation, len, vhu_style_name(front.plan.style),
		    s->fe->rings[0].q.packed ? "packed" : "split",
		    s->fe->rings[0].q.features & BIT(VIRTIO_F_IN_ORDER_BIT) ? ", in order," : "",
		    s->fe->rings[0].size, p->in.error);
	in->got = check_position(&p->in);
	if (p->in.placed)
		in->slack = 0;
}

/* Opening */

static void equip(struct front_port *p, unsigned int id)
{
	side_init(&p->side, front_fe(), id);
	p->side.take = take;
	side_open(&p->side, &front.guest);
	p->equipped = true;
}

static void open_port(unsigned int id, unsigned int stream, unsigned int generation)
{
	struct front_port *p = &front.ports[id];
	bool first = p->in_generation != generation || p->stream != stream || !p->in.gaps;

	p->stream = stream;
	p->generation = generation;
	if (first)
		begin_input(p);
	if (p->equipped)
		must(front_fe(), guest_open_port(&front.guest, id, true), "opening a port");
	else
		equip(p, id);
	p->side.out.pattern = soak_pattern(front.g, stream, generation, false);
	p->side.out.sent = stream_of(p)->out.offered;
	p->open = true;
}

void front_ports_begin(void)
{
	for (unsigned int id = 0; id < SOAK_PORTS; id++) {
		front.ports[id].open = false;
		front.ports[id].equipped = false;
	}
	for (unsigned int id = 0; id < SOAK_FIXED; id++) {
		must(front_fe(), guest_await_port(&front.guest, id, FRONT_WAIT_MS), "a port");
		open_port(id, id, 0);
	}
}

/* Output that has come back, at least: the rest may or may not have gone out. */
static void note_returned(struct front_port *p)
{
	uint64_t back = p->side.out.sent;

	for (unsigned int i = 0; i < SIDE_PAGES; i++)
		if (p->side.tx[i].out)
			back -= min_u64(back, p->side.tx[i].buf.len);
	if (back > stream_of(p)->out.returned)
		stream_of(p)->out.returned = back;
}

void front_ports_drain(void)
{
	for (unsigned int id = 0; id < SOAK_PORTS; id++) {
		struct front_port *p = &front.ports[id];
		struct soak_output *out = &stream_of(p)->out;

		if (!p->equipped)
			continue;
		side_collect(&p->side);
		side_drain(&p->side);
		if (!p->open)
			continue;
		note_returned(p);
		check_gap_note(&out->gaps, out->returned, out->offered);
	}
}

/* Those that come and go: the name says which one it is. */

static void close_hot(struct front_port *p)
{
	side_collect(&p->side);
	side_receive(&p->side, UINT_MAX);
	p->open = false;
	p->in.gaps = NULL;
}

static unsigned int named_generation(unsigned int id)
{
	const struct guest_port *gp = &front.guest.ports[id];
	unsigned int hot, generation;

	if (!gp->added || sscanf(gp->name, "hot%u-%u", &hot, &generation) != 2)
		return 0;
	return generation;
}

static void poll_hot(unsigned int hot)
{
	unsigned int id = SOAK_FIXED + hot;
	unsigned int generation = named_generation(id);
	struct front_port *p = &front.ports[id];

	if (p->open && p->generation != generation)
		close_hot(p);
	if (!p->open && generation > 0)
		open_port(id, soak_hot_stream(hot, generation), generation);
	front.g->opened[hot] = p->open ? p->generation : 0;
}

void front_ports_poll(void)
{
	must(front_fe(), guest_poll_control(&front.guest), "the control queue");
	front.guest.n_events = front.guest.n_heard = 0;
	for (unsigned int hot = 0; hot < SOAK_HOT; hot++)
		poll_hot(hot);
}

/* Traffic */

static void send_on(struct front_port *p)
{
	struct soak_output *out = &stream_of(p)->out;

	out->offered = p->side.out.sent + SIDE_PAGES * GUEST_PAGE;
	side_send(&p->side);
	out->offered = p->side.out.sent;
}

void front_ports_send(bool all)
{
	unsigned int one = (unsigned int)(run_random() % SOAK_PORTS);

	for (unsigned int id = 0; id < SOAK_PORTS; id++) {
		struct front_port *p = &front.ports[id];

		if (!p->open)
			continue;
		if (all || id == one)
			send_on(p);
		else
			side_collect(&p->side);
		note_returned(p);
	}
}

void front_ports_receive(void)
{
	for (unsigned int id = 0; id < SOAK_PORTS; id++) {
		struct front_port *p = &front.ports[id];

		if (!p->open)
			continue;
		side_collect(&p->side);
		side_receive(&p->side, UINT_MAX);
		note_returned(p);
	}
}

void front_ports_begin_tail(void)
{
	for (unsigned int id = 0; id < SOAK_PORTS; id++)
		front.ports[id].tail_from = front.ports[id].side.out.sent;
}

bool front_ports_have_sent_tail(void)
{
	bool all = true;

	for (unsigned int id = 0; id < SOAK_PORTS; id++) {
		struct front_port *p = &front.ports[id];

		if (!p->open || p->side.out.sent - p->tail_from >= TAIL)
			continue;
		send_on(p);
		all = false;
	}
	return all;
}
