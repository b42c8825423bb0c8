/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The driver's data rings. It keeps its own list of what the device has, in
 * order, and judges what comes back by that.
 */
#include <string.h>

#include "model.h"

enum { CANARY = 0xa5 };

bool driver_ring_runs(const struct model *m, unsigned int ring)
{
	return m->b && m->rings[ring].started && m->rings[ring].enabled;
}

void driver_reset_ring(struct model *m, unsigned int ring)
{
	struct model_ring *d = &m->rings[ring];

	d->first = d->n = d->n_shown = 0;
	d->armed = false;
	for (unsigned int i = 0; i < MODEL_ARENAS; i++)
		d->arenas[i].head = d->arenas[i].tail = 0;
}

/* len bytes in one piece, or NULL. */
static uint8_t *arena_take(struct model_arena *a, uint32_t len, uint64_t *ret_addr)
{
	uint64_t head = a->head;
	uint32_t at = (uint32_t)(head % MODEL_ARENA_LEN);

	if (len > MODEL_ARENA_LEN - at)
		head += MODEL_ARENA_LEN - at;
	if (head + len - a->tail > MODEL_ARENA_LEN)
		return NULL;
	a->head = head + len;
	at = (uint32_t)(head % MODEL_ARENA_LEN);
	*ret_addr = a->addr + at;
	return a->host + at;
}

static struct model_chain *chain_at(struct model_ring *d, unsigned int i)
{
	return &d->chains[(d->first + i) % MODEL_RING_MAX];
}

/* Splits len bytes into pieces here and there. False: there is no room. */
static bool lay_out(struct model *m, struct model_ring *d, struct model_chain *chain, uint32_t len,
		    struct driverq_buf *bufs, struct rng *r)
{
	unsigned int n = rng_one_in(r, 2) ? 1 : 1 + rng_below(r, MODEL_PIECES);

	chain->len = len;
	chain->n_pieces = 0;
	do {
		struct model_piece *piece = &chain->pieces[chain->n_pieces];
		bool last = chain->n_pieces + 1 == n;

		piece->len = last ? len : rng_below(r, len + 1);
		piece->host = arena_take(&d->arenas[m->plugged && rng_one_in(r, 3)], piece->len,
					 &bufs[chain->n_pieces].addr);
		if (!piece->host)
			return false;
		bufs[chain->n_pieces].len = piece->len;
		len -= piece->len;
		chain->n_pieces++;
	} while (chain->n_pieces < n);
	return true;
}

/* Adds a chain of len bytes to a ring; NULL when there is no room. */
static struct model_chain *add_chain(struct model *m, unsigned int ring, uint32_t len, bool out,
				     struct rng *r)
{
	struct model_ring *d = &m->rings[ring];
	struct model_chain *chain = chain_at(d, d->n);
	struct driverq_buf bufs[MODEL_PIECES];
	uint64_t before[MODEL_ARENAS];
	bool fits;

	if (d->n == MODEL_RING_MAX)
		return NULL;
	for (unsigned int i = 0; i < MODEL_ARENAS; i++)
		before[i] = d->arenas[i].head;
	fits = lay_out(m, d, chain, len, bufs, r) &&
	       driverq_add(model_q(m, ring), bufs, out ? chain->n_pieces : 0,
			   out ? 0 : chain->n_pieces,
			   (m->features & BIT(VIRTIO_F_INDIRECT_DESC_BIT)) && rng_one_in(r, 2),
			   chain) == 0;
	for (unsigned int i = 0; i < MODEL_ARENAS; i++) {
		if (!fits)
			d->arenas[i].head = before[i];
		chain->arena_end[i] = d->arenas[i].head;
	}
	if (!fits)
		return NULL;
	d->n++;
	m->report->n_chains++;
	return chain;
}

static void fill(struct model_chain *chain)
{
	uint64_t pos = chain->start;

	for (unsigned int i = 0; i < chain->n_pieces; i++) {
		memcpy(chain->pieces[i].host, pattern_at(chain->key, pos), chain->pieces[i].len);
		pos += chain->pieces[i].len;
	}
}

bool driver_offer(struct model *m, unsigned int number, struct rng *r)
{
	struct model_number *num = &m->numbers[number];
	unsigned int ring = model_rx(number) + 1;
	struct model_port *p = num->bound ? num->port : NULL;
	struct model_chain *chain;

	/* Without control queues the driver knows of no port that comes or goes. */
	if (ring >= m->n_set_up || (model_multiport(m) ? !num->ready : !p))
		return false;
	if (model_multiport(m) && num->port && !num->bound)
		return false; /* it waits until it has heard of the port before it writes to it */
	chain = add_chain(m, ring, rng_len(r, 20000), true, r);
	if (!chain)
		return false;
	chain->port = p;
	chain->doomed = !p;
	chain->start = p ? p->offered : 0;
	chain->key = p ? p->key : UINT16_MAX;
	if (p)
		p->offered += chain->len;
	fill(chain);
	model_say(m, "ring %u: %u bytes in %u pieces%s", ring, chain->len, chain->n_pieces,
		  p ? "" : " for nobody");
	if (!rng_one_in(r, 4))
		driver_publish(m, ring);
	return true;
}

bool driver_post(struct model *m, unsigned int number, struct rng *r)
{
	unsigned int ring = model_rx(number), n = 1 + rng_below(r, 4), done = 0;

	if (ring >= m->n_set_up)
		return false;
	for (; done < n; done++) {
		uint32_t len = rng_len(r, 6000);
		struct model_chain *chain = add_chain(m, ring, len ? len : 1, false, r);

		if (!chain)
			break;
		for (unsigned int i = 0; i < chain->n_pieces; i++)
			memset(chain->pieces[i].host, CANARY, chain->pieces[i].len);
	}
	model_say(m, "ring %u: %u buffers posted", ring, done);
	if (!rng_one_in(r, 4))
		driver_publish(m, ring);
	return done > 0;
}

void driver_kick(struct model *m, unsigned int ring)
{
	/* A kick by message would start a ring that is stopped. */
	if (m->b && m->rings[ring].started)
		session_must(m, vhu_frontend_kick(&m->fe, ring));
}

void driver_publish(struct model *m, unsigned int ring)
{
	m->rings[ring].n_shown = m->rings[ring].n;
	if (driverq_publish(model_q(m, ring)))
		driver_kick(m, ring);
}

/* What the device has done with the oldest chain of output. */
static void judge_output(struct model *m, unsigned int ring, const struct model_chain *chain,
			 uint32_t len)
{
	model_expect(m, len == 0, "ring %u: output to be used with length 0, not %u", ring, len);
	if (chain->doomed)
		return;
	model_expect(m, chain->start + chain->len <= chain->port->port.counters.output,
		     "ring %u: %u bytes from %llu on to be with the port before they come back; "
		     "it has %llu",
		     ring, chain->len, (unsigned long long)chain->start,
		     (unsigned long long)chain->port->port.counters.output);
}

static bool only_canaries(const uint8_t *at, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (at[i] != CANARY)
			return false;
	return true;
}

static void judge_input(struct model *m, unsigned int ring, const struct model_chain *chain,
			uint32_t len)
{
	const struct model_number *num = &m->numbers[model_number_of(ring)];
	struct model_port *p = num->port;

	model_expect(m, len > 0, "ring %u: no empty piece of input", ring);
	model_expect(m, p && (num->maybe_open || !model_multiport(m)),
		     "ring %u: no input (%u bytes) for a port that is %s", ring, len,
		     p ? "closed" : "gone");
	for (unsigned int i = 0; i < chain->n_pieces; i++) {
		const struct model_piece *piece = &chain->pieces[i];
		uint32_t n = len < piece->len ? len : piece->len;

		model_expect(m, memcmp(piece->host, pattern_at(p->in_key, p->in_received), n) == 0,
			     "ring %u: the %u bytes at %llu of the input of port %u", ring, n,
			     (unsigned long long)p->in_received, p->idx);
		model_expect(m, only_canaries(piece->host + n, piece->len - n),
			     "ring %u: nothing to be written past the %u bytes reported", ring, n);
		p->in_received += n;
		len -= n;
		m->report->bytes_in += n;
	}
}

unsigned int driver_collect(struct model *m, unsigned int ring)
{
	struct model_ring *d = &m->rings[ring];
	enum driverq_result result;
	unsigned int n = 0;
	uint32_t len;
	void *token;

	while ((result = driverq_get(model_q(m, ring), &token, &len)) == DRIVERQ_USED) {
		struct model_chain *chain = chain_at(d, 0);

		model_expect(m, d->n_shown > 0 && token == chain,
			     "ring %u: chains to come back in order", ring);
		if (ring % 2 == 1)
			judge_output(m, ring, chain, len);
		else
			judge_input(m, ring, chain, len);
		for (unsigned int i = 0; i < MODEL_ARENAS; i++)
			d->arenas[i].tail = chain->arena_end[i];
		d->first = (d->first + 1) % MODEL_RING_MAX;
		d->n--;
		d->n_shown--;
		n++;
	}
	model_expect(m, result == DRIVERQ_EMPTY, "ring %u to be kept: %s", ring,
		     driverq_result_text(result));
	if (n > 0)
		d->armed = false;
	return n;
}

unsigned int driver_collect_all(struct model *m)
{
	unsigned int n = 0;

	for (unsigned int ring = 0; ring < m->n_set_up; ring++)
		if (!model_is_ctrl(ring))
			n += driver_collect(m, ring);
	return n;
}

void driver_ask_for_calls(struct model *m, unsigned int ring, bool on)
{
	struct model_ring *d = &m->rings[ring];

	d->armed = false;
	if (!on) {
		driverq_calls_off(model_q(m, ring));
		return;
	}
	vhu_frontend_take_calls(&m->fe, ring);
	d->armed = !driverq_calls_on(model_q(m, ring));
}

/* At rest: what came back since a call was asked for has been told. */
void driver_check_calls(struct model *m, unsigned int ring)
{
	struct model_ring *d = &m->rings[ring];

	if (!d->armed || !driver_ring_runs(m, ring) || !driverq_calls_on(model_q(m, ring)))
		return;
	model_expect(m, vhu_frontend_take_calls(&m->fe, ring), "ring %u: a call", ring);
	d->armed = false;
}

uint32_t driver_base(struct model *m, unsigned int ring)
{
	return driverq_base(model_q(m, ring));
}

void driver_set_base(struct model *m, unsigned int ring, uint32_t base)
{
	driverq_set_base(model_q(m, ring), base);
	m->fe.rings[ring].base = base;
}

bool driver_uses_plugged(const struct model *m, unsigned int ring)
{
	return m->rings[ring].arenas[1].head != m->rings[ring].arenas[1].tail;
}

void driver_doom(struct model *m, unsigned int number)
{
	unsigned int ring = model_rx(number) + 1;
	struct model_ring *d = &m->rings[ring];

	for (unsigned int i = 0; ring < m->n_set_up && i < d->n; i++)
		chain_at(d, i)->doomed = true;
}
