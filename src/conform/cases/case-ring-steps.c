/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "conform/cases/case-ring-steps.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"

enum {
	LOOKS = 500,	/* at the used index before time is given to others */
	SETTLE_MS = 30, /* a call comes this late at most */
};

int hand_boot(struct trial *t, const struct trial_plan *plan, struct hand *ret_hand)
{
	struct hand *h = ret_hand;
	int err = trial_boot(t, plan);

	h->q = NULL;
	if (err < 0)
		return err;
	h->t = t;
	h->idx = trial_ring(t);
	h->ring = trial_vring(t, h->idx);
	h->used = trial_used_idx(t, h->idx);
	h->q = calloc(HAND_REQUESTS, sizeof(*h->q));
	return h->q ? 0 : trial_error(t, "memory for requests");
}

void hand_fini(struct hand *h)
{
	free(h->q);
	h->q = NULL;
}

/* First bytes, one-byte pieces, and then the rest. Returns how many. */
static unsigned int cut(struct driverq_buf *bufs, uint64_t addr, size_t len, unsigned int pieces,
			size_t first)
{
	unsigned int n = 0;

	while (len > 0) {
		size_t want = n + 1 >= pieces ? len : n == 0 ? first : 1;
		uint32_t part = (uint32_t)min_size(want, len);

		bufs[n++] = (struct driverq_buf){ addr, part };
		addr += part;
		len -= part;
	}
	return n;
}

int hand_make(struct hand *h, unsigned int n, unsigned int pieces, struct hand_cut *ret_cut)
{
	struct trial_request *q = &h->q[n];
	unsigned int out;
	/* More pieces are about the layout. */
	size_t first = pieces <= 2 && h->t->device->header_len > 0 ? h->t->device->header_len : 1;
	int err = trial_make_request(h->t, q);

	if (err < 0)
		return err;
	out = q->r.in_len == 0 ? pieces : (pieces + 1) / 2;
	ret_cut->n_out = cut(ret_cut->bufs, q->out_addr, q->r.out_len, out, first);
	ret_cut->n = ret_cut->n_out + cut(ret_cut->bufs + ret_cut->n_out, q->in_addr, q->r.in_len,
					  pieces > ret_cut->n_out ? pieces - ret_cut->n_out : 1, 1);
	return 0;
}

uint16_t hand_flags(const struct hand_cut *cut, unsigned int i)
{
	return (uint16_t)((i + 1 < cut->n ? VRING_DESC_F_NEXT : 0) |
			  (i >= cut->n_out ? VRING_DESC_F_WRITE : 0));
}

void hand_link(struct hand *h, const struct hand_cut *cut, unsigned int from, unsigned int to,
	       uint16_t first)
{
	for (unsigned int i = from; i < to; i++) {
		uint16_t at = (uint16_t)vring_slot(h->ring, (uint16_t)(first + i - from));

		trial_desc(h->t, h->idx, at, cut->bufs[i].addr, cut->bufs[i].len,
			   hand_flags(cut, i), (uint16_t)vring_slot(h->ring, (uint16_t)(at + 1)));
	}
}

void hand_table(void *table, const struct hand_cut *cut, const uint16_t *order)
{
	for (unsigned int i = 0; i < cut->n; i++) {
		uint16_t next = (uint16_t)(i + 1);

		if (order && i + 1 < cut->n)
			next = order[i + 1];
		trial_table_desc(table, order ? order[i] : i, cut->bufs[i].addr, cut->bufs[i].len,
				 hand_flags(cut, i), next);
	}
}

int hand_indirect_boot(struct trial *t, const struct trial_plan *plan, unsigned int pieces,
		       struct hand_indirect *ret_x)
{
	void *host = NULL;
	int err = hand_boot(t, plan, &ret_x->h);

	if (err == 0)
		err = trial_alloc(t, TABLE_MAX * (size_t)VRING_DESC_BYTES, 16, &host, &ret_x->addr);
	ret_x->table = host;
	return err < 0 ? err : hand_make(&ret_x->h, 0, pieces, &ret_x->pieces);
}

void hand_indirect_fini(struct hand_indirect *x)
{
	hand_fini(&x->h);
}

int hand_put(struct hand *h, unsigned int n, uint16_t head)
{
	struct hand_cut pieces;
	int err = hand_make(h, n, 2, &pieces);

	if (err == 0)
		hand_link(h, &pieces, 0, pieces.n, head);
	return err;
}

int hand_batch(struct hand *h, unsigned int n)
{
	int err = 0;

	for (unsigned int i = 0; i < n && err == 0; i++) {
		err = hand_put(h, i, (uint16_t)(2 * i));
		if (err == 0)
			trial_avail(h->t, h->idx, (uint16_t)(2 * i));
	}
	if (err == 0)
		err = trial_kick(h->t, h->idx);
	return err < 0 ? err : hand_await(h, n);
}

int hand_show(struct hand *h, uint16_t head)
{
	trial_avail(h->t, h->idx, head);
	return trial_kick(h->t, h->idx);
}

static uint16_t n_used(const struct hand *h)
{
	return (uint16_t)(trial_used_idx(h->t, h->idx) - h->used);
}

/* Until n entries are used, or ms have passed: whether they are. */
static bool look(struct hand *h, unsigned int n, int ms)
{
	int64_t deadline = monotonic_ms() + ms;

	for (unsigned int i = 0; n_used(h) < n; i++) {
		if (i < LOOKS)
			sched_yield();
		else if (monotonic_ms() > deadline)
			return false;
		else if (vhu_frontend_pass_time(&h->t->fe, 1) < 0)
			return n_used(h) >= n;
	}
	return true;
}

int hand_await(struct hand *h, unsigned int n)
{
	look(h, n, trial_ms(h->t, TRIAL_ANSWER_MS));
	if (n_used(h) == n)
		return 0;
	return trial_fail(h->t, "ring %u: expected the used index to become %u, but it is %u",
			  h->idx, (uint16_t)(h->used + n), trial_used_idx(h->t, h->idx));
}

bool hand_moves(struct hand *h)
{
	return look(h, 1, trial_ms(h->t, TRIAL_QUIET_MS));
}

int hand_answered(struct hand *h, unsigned int n, uint16_t head)
{
	struct trial_request *q = &h->q[n];
	uint16_t at = h->used++;
	uint32_t id, len;

	trial_used_entry(h->t, h->idx, at, &id, &len);
	if (id != head)
		return trial_fail(h->t,
				  "used entry %u of ring %u: expected the id to be head %u, but "
				  "it is %#x",
				  at, h->idx, head, id);
	if (len > q->r.in_len)
		return trial_fail(h->t,
				  "used entry %u of ring %u: expected a length of at most the %zu "
				  "bytes that may be written, but it is %u",
				  at, h->idx, q->r.in_len, len);
	q->r.used_len = len;
	memcpy(q->r.in, q->in_host, q->r.in_len);
	return h->t->device->answered(h->t, &q->r);
}

int hand_finish(struct hand *h, uint16_t head)
{
	int err = hand_show(h, head);

	if (err == 0)
		err = hand_await(h, 1);
	return err < 0 ? err : hand_answered(h, 0, head);
}

int hand_round(struct hand *h, uint16_t head)
{
	int err = hand_put(h, 0, head);

	return err < 0 ? err : hand_finish(h, head);
}

int ring_collect(struct trial *t, struct trial_request *q, unsigned int n,
		 struct trial_request **ret_request)
{
	unsigned int ring = trial_ring(t);
	struct trial_request *back;
	void *token;
	uint32_t len;
	int err = vhu_frontend_await_used(&t->fe, ring, &token, &len, trial_ms(t, TRIAL_ANSWER_MS));

	if (err < 0)
		return trial_step(t, err, "requests on ring %u", ring);
	back = token;
	if (back < q || back >= q + n)
		return trial_error(t, "a chain that is not of these requests came back");
	back->r.used_len = len;
	memcpy(back->r.in, back->in_host, back->r.in_len);
	*ret_request = back;
	return t->device->answered(t, &back->r);
}

int ring_burst(struct trial *t, struct trial_request *q, unsigned int n,
	       const struct trial_layout *layout)
{
	struct trial_request *back;
	int err = 0;

	for (unsigned int i = 0; i < n && err == 0; i++)
		err = trial_offer(t, layout, &q[i]);
	if (err == 0)
		err = trial_publish(t);
	for (unsigned int i = 0; i < n && err == 0; i++)
		err = ring_collect(t, q, n, &back);
	return err;
}

int ring_rounds(struct trial *t, unsigned int total, unsigned int batch)
{
	struct trial_request *q = calloc(batch, sizeof(*q));
	int err = q ? 0 : trial_error(t, "memory for requests");

	for (unsigned int done = 0; done < total && err == 0; done += batch)
		err = ring_burst(t, q, total - done < batch ? total - done : batch, NULL);
	free(q);
	return err;
}

/* Guest memory is given out from its beginning again: the rings are made anew, too. */
int ring_reboot(struct trial *t, const struct trial_plan *plan)
{
	int err = trial_reconnect(t);

	if (err < 0)
		return err;
	for (unsigned int i = 0; i < t->fe.n_regions; i++)
		t->fe.regions[i].n_taken = 0;
	for (unsigned int i = 0; i < t->fe.n_rings; i++)
		vhu_frontend_take_calls(&t->fe, i);
	free(t->device_state);
	t->device_state = NULL;
	return trial_boot(t, plan);
}

int ring_called(struct trial *t, const char *after)
{
	int err = vhu_frontend_await_call(&t->fe, trial_ring(t), trial_ms(t, TRIAL_ANSWER_MS));

	return trial_step(t, err, "%s", after);
}

int ring_not_called(struct trial *t, const char *after)
{
	int err = vhu_frontend_await_call(&t->fe, trial_ring(t), trial_ms(t, TRIAL_QUIET_MS));

	if (err == 0)
		return trial_fail(t, "%s: expected no call, but one came", after);
	return err == -ETIMEDOUT ? 0 : trial_step(t, err, "%s", after);
}

void ring_settle(struct trial *t)
{
	for (unsigned int i = 0; i < 8; i++)
		if (vhu_frontend_await_call(&t->fe, trial_ring(t), trial_ms(t, SETTLE_MS)) < 0)
			return;
}

uint32_t ring_random(uint64_t *state)
{
	*state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(*state >> 33);
}
