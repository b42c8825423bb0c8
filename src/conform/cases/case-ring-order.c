/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* IN_ORDER, and the features of rings in every combination. */
#include <string.h>

#include "conform/cases/case-list.h"
#include "conform/cases/case-ring-steps.h"

enum { GROUP = 8 /* requests at once */ };

/* Requests in the order of the ring, as a driver with IN_ORDER lays them out. */
struct ordered {
	struct hand h;
	uint16_t next; /* descriptor */
	uint16_t heads[GROUP];
};

static void ordered_fini(struct ordered *o)
{
	hand_fini(&o->h);
}

static int ordered_boot(struct trial *t, struct ordered *ret_o)
{
	const struct trial_plan plan = {
		.with_features = BIT(VIRTIO_F_IN_ORDER_BIT),
		.no_prepare = true, /* it would not lay out its requests like that */
	};

	return hand_boot(t, &plan, &ret_o->h);
}

static int ordered_show(struct ordered *o)
{
	struct hand *h = &o->h;
	int err = 0;

	for (unsigned int i = 0; i < GROUP && err == 0; i++) {
		struct hand_cut pieces;

		err = hand_make(h, i, 2, &pieces);
		if (err < 0)
			return err;
		o->heads[i] = o->next;
		hand_link(h, &pieces, 0, pieces.n, o->next);
		o->next = (uint16_t)vring_slot(h->ring, (uint16_t)(o->next + pieces.n));
		trial_avail(h->t, h->idx, o->heads[i]);
	}
	err = trial_kick(h->t, h->idx);
	return err < 0 ? err : hand_await(h, GROUP);
}

/* Which of the requests from `from` on a used entry names; GROUP: none of them. */
static unsigned int find(const struct ordered *o, unsigned int from, uint32_t id)
{
	while (from < GROUP && o->heads[from] != id)
		from++;
	return from;
}

static int answered(struct ordered *o, unsigned int i, uint32_t len)
{
	struct trial_request *q = &o->h.q[i];

	q->r.used_len = len;
	memcpy(q->r.in, q->in_host, q->r.in_len);
	return o->h.t->device->answered(o->h.t, &q->r);
}

/* An entry stands for all requests up to its own; those before count as written completely. */
static int ordered_check(struct ordered *o, bool *ret_batched)
{
	struct hand *h = &o->h;
	int err = 0;

	for (unsigned int i = 0; i < GROUP && err == 0; i++) {
		uint32_t id, len;
		unsigned int last;

		trial_used_entry(h->t, h->idx, (uint16_t)(h->used + i), &id, &len);
		last = find(o, i, id);
		if (last == GROUP)
			return trial_fail(h->t,
					  "request %u of %d with IN_ORDER: expected it, or one "
					  "after it, to be used next, but head %#x was",
					  i, GROUP, id);
		if (last > i)
			*ret_batched = true;
		for (; i < last && err == 0; i++)
			err = answered(o, i, (uint32_t)h->q[i].r.in_len);
		if (err == 0)
			err = answered(o, last, len);
	}
	h->used = (uint16_t)(h->used + GROUP);
	return err;
}

int case_ring_in_order(struct trial *t)
{
	AUTO(ordered_fini) struct ordered o = { .next = 0 };
	bool batched = false;
	int err = ordered_boot(t, &o);

	for (unsigned int i = 0; i < 50 && err == 0; i++) {
		err = ordered_show(&o);
		if (err == 0)
			err = ordered_check(&o, &batched);
	}
	return err < 0 || !batched ? err : trial_remark(t, "used entries stand for batches");
}

/* Requests that are answered with fewer bytes than they have room for tell it in their own entry.
 */
int case_ring_in_order_written(struct trial *t)
{
	AUTO(ordered_fini) struct ordered o = { .next = 0 };
	bool batched = false;
	int err = ordered_boot(t, &o);

	if (err == 0)
		err = ordered_show(&o);
	if (err == 0 && o.h.q[0].r.in_len == 0)
		return trial_na(t, "requests of this device have nothing to write");
	return err < 0 ? err : ordered_check(&o, &batched);
}

/* Combinations. */

static int mixed_bursts(struct trial *t, struct trial_request *q, bool indirect)
{
	static const uint32_t lens[] = { 5, 1, 4096 };
	uint64_t state = 3;
	int err = 0;

	for (unsigned int done = 0; done < 400 && err == 0;) {
		unsigned int n = 1 + ring_random(&state) % 4;
		unsigned int pieces = 1 + ring_random(&state) % 3;
		const struct trial_layout layout = {
			.out = lens,
			.in = lens,
			.n_out = pieces,
			.n_in = pieces,
			.indirect = indirect && ring_random(&state) % 2,
		};

		err = ring_burst(t, q, n, &layout);
		done += n;
	}
	return err;
}

static int combine(struct trial *t, uint64_t features)
{
	const uint64_t both = RING_EVENT | RING_INDIRECT;
	const struct trial_plan plan = { .without_features = both & ~features, .base = 65400 };
	AUTO(hand_fini) struct hand h = { .t = t };
	int err = hand_boot(t, &plan, &h);

	if (err == 0)
		err = mixed_bursts(t, h.q, features & RING_INDIRECT);
	if (err == 0)
		err = trial_restart_ring(t, h.idx);
	return err < 0 ? err : mixed_bursts(t, h.q, features & RING_INDIRECT);
}

RING_COMBINATIONS(ring)
