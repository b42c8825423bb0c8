/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* From the handshake to rings that run, and requests through them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conform/trial/trial-ring.h"
#include "virtio/features.h"

enum {
	MAX_RINGS = 32, /* set up at most; devices with more are set up in part */
	MEM_GRAIN = 2 << 20,
	MEM_SPARE = 1 << 20, /* beside rings: requests and what cases take */
	N_SLOTS = 64,
	SLOT_LEN = 2 * DEVICE_REQUEST_MAX,
	TABLE_LEN = 64, /* descriptors of an indirect table */

	STATUS_BEGUN = 0x0b, /* ACKNOWLEDGE, DRIVER, FEATURES_OK */
	STATUS_READY = 0x0f, /* and DRIVER_OK */
};

static const struct trial_plan usual;

unsigned int trial_ring(const struct trial *t)
{
	return t->device ? t->device->ring : 0;
}

static unsigned int n_rings(const struct trial *t)
{
	unsigned int n = t->target->info.n_rings;

	if (n <= trial_ring(t))
		n = trial_ring(t) + 1;
	return n < MAX_RINGS ? n : MAX_RINGS;
}

/* Cases of packed rings have drivers of their own (case-ring-packed.h). */
#define PACKED BIT(VIRTIO_F_RING_PACKED_BIT)

static unsigned int ring_size(const struct trial_plan *plan)
{
	return plan->ring_size > 0 ? plan->ring_size : TRIAL_RING;
}

/* Whether the plan sets this ring up. */
static bool is_planned(const struct trial *t, const struct trial_plan *plan, unsigned int idx)
{
	return !plan->only_ring || idx == trial_ring(t);
}

static int make_plain_memory(struct trial *t, const struct trial_plan *plan)
{
	uint64_t rings = (uint64_t)n_rings(t) * (driverq_bytes(ring_size(plan)) + 4096);
	uint64_t need = rings + MEM_SPARE;
	uint64_t len = (need + MEM_GRAIN - 1) / MEM_GRAIN * MEM_GRAIN;

	return vhu_frontend_make_plain_memory(&t->fe, len, false);
}

int trial_make_memory(struct trial *t, const struct trial_plan *plan)
{
	struct vhu_frontend *fe = &t->fe;
	int err = 0;

	plan = plan ? plan : &usual;
	if (fe->mem_fd < 0)
		err = plan->n_regions > 0
			      ? vhu_frontend_make_memory(fe, plan->regions, plan->n_regions)
			      : make_plain_memory(t, plan);
	if (err == 0 && fe->n_rings == 0)
		err = vhu_frontend_make_rings(fe, n_rings(t), plan->call);
	for (unsigned int i = 0; i < fe->n_rings && err == 0; i++)
		if (is_planned(t, plan, i))
			err = vhu_frontend_make_ring(fe, i, ring_size(plan),
						     fe->nego.features & ~PACKED);
	t->slots.tables = false; /* rings made anew have none */
	if (err == 0 && plan->base > 0) {
		driverq_set_base(&fe->rings[trial_ring(t)].q, plan->base);
		fe->rings[trial_ring(t)].base = plan->base;
	}
	return trial_step(t, err, "guest memory and rings");
}

int trial_send_memory(struct trial *t)
{
	return trial_step(t, vhu_frontend_set_mem_table(&t->fe, 0, true), "SET_MEM_TABLE");
}

static int give_fds(struct vhu_frontend *fe, unsigned int idx, const struct trial_plan *plan)
{
	const struct vhu_frontend_ring *r = &fe->rings[idx];
	int err = vhu_frontend_vring_fd(fe, VHU_FE_SET_VRING_CALL, idx, r->call_peer, true);

	if (err == 0)
		err = vhu_frontend_vring_fd(fe, VHU_FE_SET_VRING_ERR, idx, r->err_fd, true);
	if (err == 0 && !plan->no_kick)
		err = vhu_frontend_vring_fd(fe, VHU_FE_SET_VRING_KICK, idx, r->kick_fd, true);
	return err;
}

int trial_start_ring(struct trial *t, unsigned int idx, const struct trial_plan *plan)
{
	struct vhu_frontend *fe = &t->fe;
	const struct vhu_frontend_ring *r = &fe->rings[idx];
	bool enable = vhu_nego_has_feature(&fe->nego, VHU_F_PROTOCOL_FEATURES_BIT);
	int err = vhu_frontend_vring(fe, VHU_FE_SET_VRING_NUM, idx, r->size, true);

	plan = plan ? plan : &usual;
	if (err == 0)
		err = vhu_frontend_vring(fe, VHU_FE_SET_VRING_BASE, idx, r->base, true);
	if (err == 0)
		err = vhu_frontend_vring_addr(fe, idx, 0, 0, true);
	if (err == 0)
		err = give_fds(fe, idx, plan);
	if (err == 0 && enable && !plan->no_enable)
		err = vhu_frontend_vring(fe, VHU_FE_SET_VRING_ENABLE, idx, 1, true);
	return trial_step(t, err, "setting up ring %u", idx);
}

int trial_start_rings(struct trial *t, const struct trial_plan *plan)
{
	int err = 0;

	plan = plan ? plan : &usual;
	for (unsigned int i = 0; i < t->fe.n_rings && err == 0; i++)
		if (is_planned(t, plan, i) && t->fe.rings[i].size > 0)
			err = trial_start_ring(t, i, plan);
	return err;
}

static int set_status(struct trial *t, uint64_t status)
{
	if (!vhu_frontend_has_protocol(&t->fe, VHU_PF_STATUS_BIT))
		return 0;
	return trial_step(t, vhu_frontend_set_u64(&t->fe, VHU_FE_SET_STATUS, status, true),
			  "SET_STATUS of %#llx", (unsigned long long)status);
}

/* Whether the device may use its rings after all of the plan. */
static bool runs(const struct trial_plan *plan)
{
	return !plan->not_ready && !plan->no_kick && !plan->no_enable;
}

int trial_prepare(struct trial *t)
{
	return t->device && t->device->prepare ? t->device->prepare(t) : 0;
}

int trial_driver_ready(struct trial *t, const struct trial_plan *plan)
{
	int err = 0;

	plan = plan ? plan : &usual;
	if (!plan->not_ready)
		err = set_status(t, STATUS_READY);
	if (err == 0)
		err = trial_ping(t);
	if (err == 0 && runs(plan) && !plan->no_prepare)
		err = trial_prepare(t);
	return err;
}

int trial_run(struct trial *t, const struct trial_plan *plan)
{
	int err = trial_start_rings(t, plan);

	return err < 0 ? err : trial_driver_ready(t, plan);
}

int trial_boot(struct trial *t, const struct trial_plan *plan)
{
	int err;

	plan = plan ? plan : &usual;
	err = trial_handshake_with(
		t, (trial_features(t) | plan->with_features) & ~plan->without_features,
		(trial_protocol(t) | plan->with_protocol) & ~plan->without_protocol);
	if (err == 0)
		err = set_status(t, STATUS_BEGUN);
	if (err == 0)
		err = trial_make_memory(t, plan);
	if (err == 0)
		err = trial_send_memory(t);
	return err < 0 ? err : trial_run(t, plan);
}

/* Requests. */

static int make_slots(struct trial *t)
{
	struct trial_slots *s = &t->slots;

	if (s->host)
		return 0;
	s->n = N_SLOTS;
	s->host = vhu_frontend_alloc(&t->fe, (size_t)s->n * SLOT_LEN, 4096, &s->addr);
	while (!s->host && s->n > 1) {
		s->n /= 2;
		s->host = vhu_frontend_alloc(&t->fe, (size_t)s->n * SLOT_LEN, 16, &s->addr);
	}
	return s->host ? 0 : trial_error(t, "room for requests: %s", t->fe.error);
}

static int make_tables(struct trial *t, struct driverq *q)
{
	uint64_t addr;
	void *host;

	if (t->slots.tables)
		return 0;
	host = vhu_frontend_alloc(&t->fe, driverq_table_bytes(q->size, TABLE_LEN), 16, &addr);
	if (!host)
		return trial_error(t, "room for indirect tables: %s", t->fe.error);
	driverq_set_tables(q, host, addr, TABLE_LEN);
	t->slots.tables = true;
	return 0;
}

/* The request and the place of its bytes. */
int trial_make_request(struct trial *t, struct trial_request *ret_request)
{
	struct trial_request *q = ret_request;
	size_t at;
	int err;

	if (!t->device)
		return trial_na(t, "the tester was not told what device it is");
	err = make_slots(t);
	if (err < 0)
		return err;
	memset(&q->r, 0, sizeof(q->r));
	q->r.number = t->number++;
	err = t->device->request(t, &q->r);
	if (err < 0)
		return err;
	at = (size_t)(q->r.number % t->slots.n) * SLOT_LEN;
	q->out_addr = t->slots.addr + at;
	q->in_addr = q->out_addr + DEVICE_REQUEST_MAX;
	q->out_host = t->slots.host + at;
	q->in_host = q->out_host + DEVICE_REQUEST_MAX;
	memcpy(q->out_host, q->r.out, q->r.out_len);
	memset(q->in_host, 0, q->r.in_len);
	return 0;
}

/* Descriptors of one direction; the last takes the rest. Returns how many. */
static unsigned int cut(struct driverq_buf *bufs, uint64_t addr, size_t len, const uint32_t *lens,
			unsigned int n)
{
	unsigned int made = 0;

	for (unsigned int i = 0; i + 1 < n && len > 0; i++) {
		uint32_t part = lens[i] < len ? lens[i] : (uint32_t)len;

		bufs[made++] = (struct driverq_buf){ addr, part };
		addr += part;
		len -= part;
	}
	if (len > 0)
		bufs[made++] = (struct driverq_buf){ addr, (uint32_t)len };
	return made;
}

int trial_offer(struct trial *t, const struct trial_layout *layout,
		struct trial_request *ret_request)
{
	static const struct trial_layout plain;
	struct driverq *q = &t->fe.rings[trial_ring(t)].q;
	struct driverq_buf bufs[2 * TABLE_LEN];
	unsigned int n_out, n_in;
	int err = trial_make_request(t, ret_request);

	if (err < 0)
		return err;
	layout = layout ? layout : &plain;
	if (layout->n_out > TABLE_LEN || layout->n_in > TABLE_LEN)
		return trial_error(t, "a layout has at most %d descriptors each way", TABLE_LEN);
	if (layout->indirect)
		err = make_tables(t, q);
	if (err < 0)
		return err;
	n_out = cut(bufs, ret_request->out_addr, ret_request->r.out_len, layout->out,
		    layout->n_out);
	n_in = cut(bufs + n_out, ret_request->in_addr, ret_request->r.in_len, layout->in,
		   layout->n_in);
	err = driverq_add(q, bufs, n_out, n_in, layout->indirect, ret_request);
	if (err < 0)
		return trial_error(t, "a chain of %u descriptors: %s", n_out + n_in,
				   strerror(-err));
	return 0;
}

int trial_publish(struct trial *t)
{
	return trial_step(t, vhu_frontend_publish(&t->fe, trial_ring(t)), "a kick");
}

/*
 * Until the next chain is back. Some devices count what they have read as
 * written, which drivers of such requests ignore: it is recorded, and judged by
 * the cases of VR-048 alone.
 */
static int await_used(struct trial *t, struct trial_request *request, void **ret_token,
		      uint32_t *ret_len)
{
	unsigned int ring = trial_ring(t);
	const struct driverq *q = &t->fe.rings[ring].q;
	unsigned int n_held = q->n_held;
	int err = vhu_frontend_await_used(&t->fe, ring, ret_token, ret_len,
					  trial_ms(t, TRIAL_ANSWER_MS));

	if (err != -EPROTO || q->n_held == n_held || request->r.in_len > 0 ||
	    q->last_len > request->r.out_len)
		return err;
	if (t->remark[0] == '\0')
		trial_remark(t, "a request without room comes back with length %u", q->last_len);
	*ret_token = request;
	*ret_len = q->last_len;
	return 0;
}

int trial_answered(struct trial *t, struct trial_request *request)
{
	unsigned int ring = trial_ring(t);
	void *token;
	uint32_t len;
	int err = await_used(t, request, &token, &len);

	if (err < 0)
		return trial_step(t, err, "request %llu on ring %u",
				  (unsigned long long)request->r.number, ring);
	if (token != request)
		return trial_fail(t,
				  "request %llu on ring %u: expected it to come back next, but "
				  "another one did",
				  (unsigned long long)request->r.number, ring);
	request->head = (uint16_t)t->fe.rings[ring].q.last_id;
	request->r.used_len = len;
	memcpy(request->r.in, request->in_host, request->r.in_len);
	return t->device->answered(t, &request->r);
}

int trial_exchange_as(struct trial *t, const struct trial_layout *layout, unsigned int n)
{
	struct trial_request *request = malloc(sizeof(*request));
	int err = request ? 0 : trial_error(t, "memory for a request");

	while (n-- > 0 && err == 0) {
		err = trial_offer(t, layout, request);
		if (err == 0)
			err = trial_publish(t);
		if (err == 0)
			err = trial_answered(t, request);
	}
	free(request);
	return err;
}

int trial_exchange(struct trial *t, unsigned int n)
{
	return trial_exchange_as(t, NULL, n);
}

/* Silence and ends. */

int trial_quiet(struct trial *t, unsigned int idx)
{
	struct vhu_frontend *fe = &t->fe;
	const struct vhu_frontend_ring *r = &fe->rings[idx];
	const int fds[] = { fe->fd, r->call_fd, r->err_fd };
	/* A chain that is out may have come back before we look. */
	uint16_t used = r->q.n_held > 0 ? r->q.last_used : vring_used_idx(&r->q.ring);
	unsigned int n_heard = fe->heard.n_messages;
	int err;

	vhu_frontend_take_calls(fe, idx);
	err = vhu_frontend_await_readable(fe, fds, ARRAY_SIZE(fds), trial_ms(t, TRIAL_QUIET_MS));
	if (err < 0 && err != -ETIMEDOUT)
		return trial_step(t, err, "silence of ring %u", idx);
	if (vring_used_idx(&r->q.ring) != used)
		return trial_fail(t,
				  "expected ring %u to stay as it is, but its used index went from "
				  "%u to %u",
				  idx, used, vring_used_idx(&r->q.ring));
	if (fe->heard.n_messages != n_heard)
		return trial_fail(t,
				  "expected silence, but a message came on the back-end channel");
	if (err == 0)
		return trial_fail(t,
				  "expected silence of ring %u, but a call, an error or a "
				  "message came, or the connection ended",
				  idx);
	return 0;
}

int trial_stop_ring(struct trial *t, unsigned int idx, uint16_t *ret_base)
{
	uint32_t base;
	int err = trial_step(t, vhu_frontend_vring_base(&t->fe, idx, &base),
			     "GET_VRING_BASE of ring %u", idx);

	if (err == 0)
		*ret_base = (uint16_t)base;
	return err;
}

int trial_stop_rings(struct trial *t)
{
	int err = 0;

	for (unsigned int i = 0; i < t->fe.n_rings && err == 0; i++) {
		if (t->fe.rings[i].size == 0)
			continue;
		err = trial_step(t, vhu_frontend_vring_base(&t->fe, i, &t->fe.rings[i].base),
				 "GET_VRING_BASE of ring %u", i);
		vhu_frontend_take_calls(&t->fe, i);
	}
	return err;
}
