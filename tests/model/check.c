/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Rest, and what must hold then. */
#include "model.h"

#include "vhu/backend-channel.h"

/* Until the back-end has nothing left to do. */
static void rest_backend(struct model *m)
{
	unsigned int n_quiet = 0;

	for (unsigned int i = 0; n_quiet < 2; i++) {
		uint64_t before = loop_counters(m->loop).n_completions;

		model_expect(m, i < 10000, "the back-end to come to rest");
		session_pump(m, 1);
		if (loop_pending(m->loop) || loop_counters(m->loop).n_completions != before)
			n_quiet = 0;
		else
			n_quiet++;
	}
}

/* Answers are read by a thread of the kernel's, which takes its time. */
static bool await_answer(struct model *m)
{
	if (!m->b || vhu_channel_n_unacked(m->b) == 0)
		return false;
	model_expect(m, loop_step(m->loop, true) >= 0, "the loop to go on");
	return true;
}

void model_settle(struct model *m)
{
	bool any = true;

	for (unsigned int i = 0; any; i++) {
		model_expect(m, i < 10000, "everybody to come to rest");
		rest_backend(m);
		if (m->fe.channel_fd >= 0)
			session_must(m, vhu_frontend_serve_channel(&m->fe));
		any = await_answer(m);
		if (any)
			continue;
		for (unsigned int ring = 0; m->booted && ring < m->n_set_up; ring++)
			if (!model_is_ctrl(ring))
				driver_check_calls(m, ring);
		any = m->booted && driver_collect_all(m) > 0;
		any |= control_poll(m);
	}
}

/* What has been taken ends within the oldest chain that has not come back. */
static void check_oldest(struct model *m, const struct model_chain *oldest)
{
	const struct model_port *p = oldest->port;
	uint64_t taken = p->port.counters.output;

	model_expect(m, taken >= oldest->start && taken <= oldest->start + oldest->len,
		     "port %u: output to have been taken up to the oldest chain at %llu, not %llu",
		     p->idx, (unsigned long long)oldest->start, (unsigned long long)taken);
}

/* A ring that runs holds back only what it has a reason to. */
static void check_output_ring(struct model *m, unsigned int number)
{
	unsigned int ring = model_rx(number) + 1;
	const struct model_ring *d = &m->rings[ring];
	const struct model_chain *oldest = &d->chains[d->first];
	const struct model_port *p = m->numbers[number].port;

	if (d->n == 0) {
		model_expect(m, !p || p->offered == p->port.counters.output,
			     "port %u: all %llu bytes of output to be taken, not %llu", p->idx,
			     (unsigned long long)p->offered,
			     (unsigned long long)p->port.counters.output);
		return;
	}
	if (!oldest->doomed)
		check_oldest(m, oldest);
	if (d->n_shown == 0 || !driver_ring_runs(m, ring))
		return;
	/* What is for nobody goes back at once (VC-082). */
	model_expect(m, !oldest->doomed, "ring %u: output for a port that is gone to come back",
		     ring);
	model_expect(m, host_room(p) == 0,
		     "ring %u: %u chains of output to be taken, as port %u has room for %llu bytes",
		     ring, d->n_shown, p->idx, (unsigned long long)host_room(p));
}

/* The device knows that the guest has the port open, and that the driver is the same. */
static bool hears_of_open(const struct model *m, const struct model_number *num)
{
	return num->bound && num->open && m->n_tells == 0 && m->rings[MODEL_CTRL_RX].started &&
	       m->rings[MODEL_CTRL_TX].started;
}

static void check_input_ring(struct model *m, unsigned int number)
{
	unsigned int ring = model_rx(number);
	const struct model_number *num = &m->numbers[number];
	bool open = !model_multiport(m) || hears_of_open(m, num);

	if (m->rings[ring].n_shown == 0 || !driver_ring_runs(m, ring) || !num->port || !open)
		return;
	model_expect(m, !host_has_input(num->port),
		     "ring %u: input of port %u to be taken, as there are %u buffers", ring,
		     num->port->idx, m->rings[ring].n_shown);
}

void model_check(struct model *m)
{
	for (unsigned int i = 0; i < m->n_ports; i++)
		host_check(&m->ports[i]);
	memory_check(m);
	if (!m->booted)
		return;
	control_check(m);
	for (unsigned int i = 0; i < m->n_numbers; i++) {
		if (model_rx(i) >= m->n_set_up)
			continue;
		check_output_ring(m, i);
		check_input_ring(m, i);
	}
}
