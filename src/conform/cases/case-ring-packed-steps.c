/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "clock.h"
#include "conform/cases/case-ring-packed.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

enum {
	STATUS_BEGUN = 0x0b, /* ACKNOWLEDGE, DRIVER, FEATURES_OK */
	LOOKS = 500,
	TABLE_LEN = HAND_PIECES * PACKED_DESC_BYTES,
};

void packed_fini(struct packed *p)
{
	for (unsigned int i = 0; i < PACKED_RINGS; i++)
		driverq_packed_fini(&p->rings[i]);
	hand_fini(&p->h);
}

static int send_addr(struct trial *t, unsigned int idx, const struct driverq_packed *q)
{
	const struct vhu_vring_addr addr = {
		.index = idx,
		.desc = vhu_frontend_user_addr(&t->fe, q->desc_addr),
		.avail = vhu_frontend_user_addr(&t->fe, q->driver_addr),
		.used = vhu_frontend_user_addr(&t->fe, q->device_addr),
	};
	struct vhu_msg msg;

	vhu_msg_init(&msg, VHU_FE, VHU_FE_SET_VRING_ADDR);
	if (vhu_frontend_has_protocol(&t->fe, VHU_PF_REPLY_ACK_BIT))
		msg.flags |= VHU_FLAG_NEED_REPLY;
	vhu_msg_put(&msg, &addr, sizeof(addr));
	return vhu_frontend_request(&t->fe, &msg, NULL, t->fe.timeout_ms);
}

static int start(struct trial *t, unsigned int idx, const struct driverq_packed *q, uint32_t base)
{
	struct vhu_frontend *fe = &t->fe;
	const struct vhu_frontend_ring *r = &fe->rings[idx];
	bool enable = vhu_nego_has_feature(&fe->nego, VHU_F_PROTOCOL_FEATURES_BIT);
	int err = vhu_frontend_vring(fe, VHU_FE_SET_VRING_NUM, idx, q->ring.size, true);

	if (err == 0)
		err = vhu_frontend_vring(fe, VHU_FE_SET_VRING_BASE, idx, base, true);
	if (err == 0)
		err = send_addr(t, idx, q);
	if (err == 0)
		err = vhu_frontend_vring_fd(fe, VHU_FE_SET_VRING_CALL, idx, r->call_peer, true);
	if (err == 0)
		err = vhu_frontend_vring_fd(fe, VHU_FE_SET_VRING_ERR, idx, r->err_fd, true);
	if (err == 0)
		err = vhu_frontend_vring_fd(fe, VHU_FE_SET_VRING_KICK, idx, r->kick_fd, true);
	if (err == 0 && enable)
		err = vhu_frontend_vring(fe, VHU_FE_SET_VRING_ENABLE, idx, 1, true);
	return trial_step(t, err, "setting up packed ring %u", idx);
}

int packed_start(struct packed *p, uint32_t base)
{
	return start(p->t, p->idx, p->q, base);
}

static int make_ring(struct packed *p, unsigned int i, const struct packed_plan *plan)
{
	unsigned int size = plan->size > 0 ? plan->size : TRIAL_RING;
	uint64_t addr;
	void *host;
	int err = trial_alloc(p->t, driverq_packed_bytes(size), 4096, &host, &addr);

	if (err == 0 &&
	    driverq_packed_init(&p->rings[i], host, addr, size, p->t->fe.nego.features) < 0)
		return trial_error(p->t, "a packed ring of %u entries", size);
	if (err == 0 && plan->elsewhere)
		driverq_packed_set_position(&p->rings[i], plan->from);
	if (err == 0)
		err = start(p->t, i, &p->rings[i], driverq_packed_base(&p->rings[i]));
	return err;
}

static int shake_hands(struct trial *t, uint64_t without_features, bool inflight)
{
	uint64_t features = trial_features(t) | BIT(VIRTIO_F_RING_PACKED_BIT);
	int err = trial_handshake_with(t, features & ~without_features,
				       inflight ? trial_inflight_protocol(t) : trial_protocol(t));

	if (err < 0 || !vhu_frontend_has_protocol(&t->fe, VHU_PF_STATUS_BIT))
		return err;
	return trial_step(t, vhu_frontend_set_u64(&t->fe, VHU_FE_SET_STATUS, STATUS_BEGUN, true),
			  "SET_STATUS of %#x", STATUS_BEGUN);
}

int packed_greet(struct trial *t, bool inflight)
{
	return shake_hands(t, 0, inflight);
}

static int make_record(struct trial *t, struct trial_inflight *r)
{
	int err = trial_inflight_get(t, r);

	if (err == 0)
		err = trial_inflight_map(t, r);
	return err < 0 ? err : trial_inflight_set(t, r);
}

int packed_boot(struct trial *t, const struct packed_plan *plan, struct packed *ret_p)
{
	static const struct trial_plan ready = { .no_prepare = true };
	static const struct packed_plan usual;
	struct packed *p = ret_p;
	int err;

	plan = plan ? plan : &usual;
	*p = (struct packed){ .t = t, .idx = trial_ring(t), .n_rings = trial_ring(t) + 1 };
	p->q = &p->rings[p->idx];
	p->h = (struct hand){ .t = t, .q = calloc(HAND_REQUESTS, sizeof(*p->h.q)) };
	if (!p->h.q)
		return trial_error(t, "memory for requests");
	if (t->device && t->device->min_rings > p->n_rings)
		p->n_rings = t->device->min_rings;
	err = shake_hands(t, plan->without_features, plan->record != NULL);
	if (err == 0)
		err = trial_make_memory(t, NULL);
	if (err == 0)
		err = trial_send_memory(t);
	if (err == 0 && plan->record)
		err = make_record(t, plan->record);
	for (unsigned int i = 0; i < p->n_rings && err == 0; i++)
		err = make_ring(p, i, plan);
	if (err == 0)
		err = trial_alloc(t, HAND_REQUESTS * (size_t)TABLE_LEN, 16, &p->tables,
				  &p->tables_addr);
	return err < 0 ? err : trial_driver_ready(t, &ready);
}

int packed_stop(struct packed *p, uint32_t *ret_base)
{
	struct vhu_vring_state state = { .index = p->idx };
	struct vhu_msg msg, reply;
	int err;

	vhu_msg_init(&msg, VHU_FE, VHU_FE_GET_VRING_BASE);
	vhu_msg_put(&msg, &state, sizeof(state));
	err = trial_request(p->t, &msg, &reply);
	if (err < 0)
		return err;
	memcpy(&state, reply.payload, sizeof(state));
	fdset_close(&reply.fds);
	*ret_base = state.num;
	return 0;
}

int packed_offer(struct packed *p, unsigned int n, unsigned int pieces, bool indirect)
{
	struct hand_cut cut;
	int err = hand_make(&p->h, n, pieces, &cut);
	unsigned int n_in;

	if (err < 0)
		return err;
	n_in = cut.n - cut.n_out;
	if (indirect)
		err = driverq_packed_add_indirect(p->q, (uint8_t *)p->tables + n * TABLE_LEN,
						  p->tables_addr + n * (uint64_t)TABLE_LEN,
						  cut.bufs, cut.n_out, n_in, &p->h.q[n]);
	else
		err = driverq_packed_add(p->q, cut.bufs, cut.n_out, n_in, &p->h.q[n]);
	return err == 0 ? 0
			: trial_error(p->t, "a list of %u descriptors: %s", cut.n, strerror(-err));
}

int packed_publish(struct packed *p)
{
	return driverq_packed_publish(p->q) ? trial_kick(p->t, p->idx) : 0;
}

static int await_list(struct packed *p, void **ret_token, uint32_t *ret_len)
{
	int64_t deadline = monotonic_ms() + trial_ms(p->t, TRIAL_ANSWER_MS);

	for (;;) {
		enum driverq_result result = driverq_packed_get(p->q, ret_token, ret_len);
		int64_t left = deadline - monotonic_ms();

		if (result == DRIVERQ_USED)
			return 0;
		if (result != DRIVERQ_EMPTY)
			return trial_fail(p->t,
					  "packed ring %u: expected a list that the device has, "
					  "but: %s (id %u, length %u)",
					  p->idx, driverq_result_text(result), p->q->last.id,
					  p->q->last.len);
		if (driverq_packed_calls_on(p->q))
			continue;
		if (left <= 0 || vhu_frontend_await_call(&p->t->fe, p->idx, (int)left) < 0)
			return trial_fail(p->t,
					  "packed ring %u: expected a list to come back, but none "
					  "did in time",
					  p->idx);
		driverq_packed_calls_off(p->q);
	}
}

int packed_collect(struct packed *p, unsigned int *ret_n)
{
	struct trial_request *back;
	void *token = NULL;
	uint32_t len = 0;
	int err = await_list(p, &token, &len);

	if (err < 0)
		return err;
	back = token;
	back->r.used_len = len;
	memcpy(back->r.in, back->in_host, back->r.in_len);
	*ret_n = (unsigned int)(back - p->h.q);
	return p->t->device->answered(p->t, &back->r);
}

int packed_burst(struct packed *p, unsigned int n, unsigned int pieces, bool indirect)
{
	unsigned int which;
	int err = 0;

	for (unsigned int i = 0; i < n && err == 0; i++)
		err = packed_offer(p, i, pieces, indirect);
	if (err == 0)
		err = packed_publish(p);
	for (unsigned int i = 0; i < n && err == 0; i++)
		err = packed_collect(p, &which);
	return err;
}

int packed_exchange(struct packed *p, unsigned int n)
{
	int err = 0;

	while (n-- > 0 && err == 0)
		err = packed_burst(p, 1, 2, false);
	return err;
}

int packed_write(struct packed *p, struct packed_position at, unsigned int n, unsigned int pieces,
		 const uint16_t *ids, unsigned int *ret_n_desc)
{
	struct packed_position first = at;
	struct hand_cut cut;
	int err = hand_make(&p->h, n, pieces, &cut);

	if (err < 0)
		return err;
	for (unsigned int i = 0; i < cut.n; i++) {
		const struct packed_desc desc = {
			.addr = cut.bufs[i].addr,
			.len = cut.bufs[i].len,
			.id = ids[i],
		};

		packed_desc_store_body(&p->q->ring, at.offset, desc);
		if (i > 0)
			packed_desc_store_flags(
				&p->q->ring, at.offset,
				(uint16_t)(hand_flags(&cut, i) | packed_avail_flags(at.wrap)));
		at = packed_advance(&p->q->ring, at, 1);
	}
	packed_desc_store_flags(&p->q->ring, first.offset,
				(uint16_t)(hand_flags(&cut, 0) | packed_avail_flags(first.wrap)));
	*ret_n_desc = cut.n;
	return 0;
}

int packed_await(struct packed *p, struct packed_position at, struct packed_desc *ret_desc)
{
	int64_t deadline = monotonic_ms() + trial_ms(p->t, TRIAL_ANSWER_MS);

	for (unsigned int i = 0;; i++) {
		struct packed_desc desc = packed_desc_load(&p->q->ring, at.offset);

		if (packed_is_used(desc.flags, at.wrap)) {
			*ret_desc = desc;
			return 0;
		}
		if (i < LOOKS)
			sched_yield();
		else if (monotonic_ms() > deadline)
			return trial_fail(p->t,
					  "packed ring %u: expected the descriptor at %u to be "
					  "used, but its flags are %#x",
					  p->idx, at.offset, desc.flags);
		else if (vhu_frontend_pass_time(&p->t->fe, 1) < 0)
			return trial_step(p->t, -ECONNRESET, "a used descriptor");
	}
}

int packed_judge(struct packed *p, const struct packed_desc *desc, unsigned int n, uint16_t id)
{
	struct trial_request *q = &p->h.q[n];
	bool wrote = (desc->flags & PACKED_DESC_F_WRITE) != 0;

	if (desc->id != id)
		return trial_fail(p->t,
				  "a used descriptor: expected buffer id %u, but it has id %u", id,
				  desc->id);
	if (wrote && desc->len > q->r.in_len)
		return trial_fail(p->t,
				  "a used descriptor with WRITE: expected a length of at most %zu, "
				  "but it is %u",
				  q->r.in_len, desc->len);
	q->r.used_len = wrote ? desc->len : 0;
	memcpy(q->r.in, q->in_host, q->r.in_len);
	return p->t->device->answered(p->t, &q->r);
}
