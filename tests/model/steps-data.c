/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Steps that move bytes, and steps of those who are there. */
#include <stdio.h>

#include "model.h"

static unsigned int pick_number(const struct model *m, struct rng *r)
{
	return rng_below(r, m->n_numbers);
}

/* One that the driver has rings for. */
static unsigned int pick_served(const struct model *m, struct rng *r)
{
	return rng_below(r, m->n_set_up > 2 ? m->n_numbers : 1);
}

/* Any data ring that is set up. */
static unsigned int pick_data_ring(const struct model *m, struct rng *r)
{
	unsigned int ring = rng_below(r, m->n_set_up);

	return model_is_ctrl(ring) ? ring - 2 : ring;
}

/* The first client from a random one on that has joined, or NULL. */
static struct model_client *pick_client(struct model *m, struct rng *r)
{
	struct model_port *p = host_pick(m, r);
	unsigned int first = rng_below(r, MODEL_CLIENTS);

	for (unsigned int i = 0; i < MODEL_CLIENTS; i++) {
		struct model_client *mc = &p->clients[(first + i) % MODEL_CLIENTS];

		if (mc->joined)
			return mc;
	}
	return NULL;
}

bool step_offer(struct model *m, struct rng *r)
{
	unsigned int number = pick_served(m, r), n = 1 + rng_below(r, 4);
	bool any = false;

	while (n-- > 0 && m->booted)
		any |= driver_offer(m, number, r);
	return any;
}

bool step_post(struct model *m, struct rng *r)
{
	return m->booted && driver_post(m, pick_served(m, r), r);
}

bool step_write(struct model *m, struct rng *r)
{
	struct model_port *p = host_pick(m, r);

	if (!p->writer)
		return false;
	host_write(p, rng_len(r, PATTERN_RUN));
	return true;
}

bool step_give(struct model *m, struct rng *r)
{
	struct model_port *p = host_pick(m, r);

	if (!p->writer)
		return false;
	host_give(p, 1 + rng_len(r, 100000));
	return true;
}

bool step_read(struct model *m, struct rng *r)
{
	struct model_client *mc = pick_client(m, r);

	if (!mc || mc->reading)
		return false;
	host_read(mc, PORT_READ_MIN + rng_len(r, PATTERN_RUN));
	return true;
}

bool step_collect(struct model *m, struct rng *r)
{
	unsigned int ring;

	if (!m->booted)
		return false;
	if (rng_one_in(r, 3))
		return control_poll(m);
	ring = pick_data_ring(m, r);
	if (m->rings[ring].n_shown < m->rings[ring].n)
		driver_publish(m, ring);
	return driver_collect(m, ring) > 0;
}

bool step_calls(struct model *m, struct rng *r)
{
	if (!m->booted)
		return false;
	driver_ask_for_calls(m, pick_data_ring(m, r), !rng_one_in(r, 4));
	return true;
}

bool step_kick(struct model *m, struct rng *r)
{
	if (!m->booted)
		return false;
	driver_kick(m, rng_below(r, m->n_set_up));
	return true;
}

bool step_pump(struct model *m, struct rng *r)
{
	session_pump(m, 1 + rng_below(r, 3));
	return true;
}

bool step_settle(struct model *m, struct rng *r)
{
	(void)r;
	model_settle(m);
	model_check(m);
	return true;
}

bool step_join(struct model *m, struct rng *r)
{
	struct model_port *p = host_pick(m, r);

	return host_join(p, &p->clients[rng_below(r, MODEL_CLIENTS)], r);
}

bool step_leave(struct model *m, struct rng *r)
{
	struct model_client *mc = pick_client(m, r);

	if (mc)
		host_leave(mc);
	return mc;
}

bool step_steal(struct model *m, struct rng *r)
{
	struct model_client *mc = pick_client(m, r);

	if (mc)
		host_steal(mc);
	return mc;
}

bool step_reading(struct model *m, struct rng *r)
{
	struct model_client *mc = pick_client(m, r);

	if (mc)
		host_set_reading(mc, !mc->reading);
	return mc;
}

bool step_resize(struct model *m, struct rng *r)
{
	uint16_t cols = (uint16_t)rng_below(r, 300), rows = (uint16_t)rng_below(r, 100);
	struct model_client *mc = rng_one_in(r, 2) ? pick_client(m, r) : NULL;
	struct model_port *p = mc ? mc->port : host_pick(m, r);

	model_say(m, "port %u: %s has size %ux%u", p->idx, mc ? "a client" : "it", cols, rows);
	if (mc)
		port_client_resize(&mc->c, cols, rows);
	else
		port_resize(&p->port, cols, rows);
	return true;
}

bool step_overflow(struct model *m, struct rng *r)
{
	struct model_port *p = host_pick(m, r);
	bool hold = rng_one_in(r, 2);

	model_say(m, "port %u: it %s", p->idx, hold ? "holds" : "drops");
	host_set_overflow(p, hold ? PORT_HOLD : PORT_DROP);
	return true;
}

bool step_output_on(struct model *m, struct rng *r)
{
	struct model_port *p = host_pick(m, r);

	model_say(m, "port %u: output %s", p->idx, p->port.output_disabled ? "on" : "off");
	host_enable_output(p, p->port.output_disabled);
	return true;
}

bool step_input_on(struct model *m, struct rng *r)
{
	struct model_port *p = host_pick(m, r);

	model_say(m, "port %u: input %s", p->idx, p->port.input_disabled ? "on" : "off");
	port_enable_input(&p->port, p->port.input_disabled);
	return true;
}

bool step_open(struct model *m, struct rng *r)
{
	unsigned int number = pick_number(m, r);
	struct model_number *num = &m->numbers[number];

	if (!m->booted || !model_multiport(m) || !num->ready)
		return false;
	return control_tell(m, number, CONSOLE_PORT_OPEN, !num->open);
}

bool step_withhold(struct model *m, struct rng *r)
{
	(void)r;
	m->ctrl_withheld = !m->ctrl_withheld;
	return true;
}

/* Without control queues nobody tells the driver: all is at rest then. */
static bool may_replug(struct model *m, unsigned int number)
{
	if (!m->booted || model_multiport(m) || number > 0)
		return true;
	if (!driver_ring_runs(m, 1))
		return false;
	if (m->rings[1].n_shown < m->rings[1].n)
		driver_publish(m, 1);
	model_settle(m);
	return true;
}

static bool plug(struct model *m, unsigned int number, struct model_port *p)
{
	struct model_number *num = &m->numbers[number];

	if (num->port || p->number >= 0 || !may_replug(m, number))
		return false;
	model_say(m, "port %u comes as number %u", p->idx, number);
	p->number = (int)number;
	num->port = p;
	num->bound = m->booted && !model_multiport(m) && number == 0;
	console_add_port(&m->con, number, &p->port);
	return true;
}

static bool unplug(struct model *m, unsigned int number)
{
	struct model_number *num = &m->numbers[number];
	struct model_port *p = num->port;
	unsigned int tx = model_rx(number) + 1;

	if (!p || !may_replug(m, number))
		return false;
	model_say(m, "port %u goes, number %u", p->idx, number);
	if (m->booted && tx < m->n_set_up) {
		/* What comes later is another port's. */
		driver_publish(m, tx);
		driver_collect(m, tx);
		driver_collect(m, tx - 1);
		driver_doom(m, number);
	}
	console_remove_port(&m->con, number);
	host_forget_output(p);
	p->number = -1;
	num->port = NULL;
	num->bound = false;
	num->maybe_open = false;
	num->owed_remove |= num->added;
	if (m->booted && !model_multiport(m) && number == 0)
		model_settle(m);
	return true;
}

bool step_plug(struct model *m, struct rng *r)
{
	return plug(m, pick_number(m, r), host_pick(m, r));
}

bool step_unplug(struct model *m, struct rng *r)
{
	return unplug(m, pick_number(m, r));
}

bool step_rename(struct model *m, struct rng *r)
{
	unsigned int number = pick_number(m, r);
	struct model_port *p = m->numbers[number].port;

	if (!unplug(m, number))
		return false;
	snprintf(p->port.name, sizeof(p->port.name), "name-%u", rng_below(r, 1000));
	p->port.console = rng_one_in(r, 2);
	return plug(m, number, p);
}
