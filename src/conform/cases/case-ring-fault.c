/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Chains that break the rules of a ring: they end in a stopped ring, and in nothing else. */
#include "conform/cases/case-ring-fault.h"

#include <errno.h>

#include "conform/cases/case-list.h"

/* Until ring idx signals an error or uses something, or silence has lasted: whether it used. */
static bool reacts(struct hand *h)
{
	const struct vhu_frontend_ring *r = &h->t->fe.rings[h->idx];
	int ms = trial_ms(h->t, TRIAL_QUIET_MS);
	int err = -ETIMEDOUT;

	for (; ms > 0 && err == -ETIMEDOUT && trial_used_idx(h->t, h->idx) == h->used; ms -= 10)
		err = vhu_frontend_await_readable(&h->t->fe, &r->err_fd, 1, 10);
	return trial_used_idx(h->t, h->idx) != h->used;
}

static int start_over(struct hand *h)
{
	int err = trial_ping(h->t);

	if (err == 0)
		err = trial_restart_ring(h->t, h->idx);
	return err < 0 ? err : trial_exchange(h->t, 1);
}

int fault_stopped(struct hand *h, const char *what)
{
	struct trial *t = h->t;

	if (vhu_frontend_ping(&t->fe) == -ECONNRESET) {
		t->closed = true;
		t->ended_allowed = true;
		return trial_warn(t, "%s: expected the ring to stop, but the whole session ended",
				  what);
	}
	t->fe.rings[h->idx].q.last_used = h->used;
	return trial_ring_fault(t, h->idx, false, "%s", what);
}

/*
 * A chain that came back may do so with length 0. Where that is what a good one
 * has, and where the device has an answer of its own for what it cannot carry
 * out, nobody can tell: a warning.
 */
static int came_back(struct hand *h, uint16_t head, const char *what)
{
	const struct device_request *r = &h->q[0].r;
	uint32_t id, len;
	int err;

	trial_used_entry(h->t, h->idx, h->used, &id, &len);
	if (id != head || (uint16_t)(trial_used_idx(h->t, h->idx) - h->used) != 1)
		return trial_fail(h->t,
				  "%s: expected the ring to stop, but its used index went from %u "
				  "to %u, the first entry with id %#x and length %u",
				  what, h->used, trial_used_idx(h->t, h->idx), id, len);
	if (len > r->in_len || (len > 0 && r->out_len == 0))
		return trial_fail(h->t,
				  "%s: expected the ring to stop, but the chain came back with "
				  "length %u",
				  what, len);
	err = start_over(h);
	if (err < 0)
		return err;
	if (len == 0 && r->in_len > 0)
		return trial_remark(h->t, "%s: the chain comes back with length 0", what);
	return trial_warn(h->t,
			  "%s: expected the ring to stop, but the chain came back with length %u",
			  what, len);
}

int fault_show(struct hand *h, uint16_t head, const char *what)
{
	int err = hand_show(h, head);

	if (err < 0)
		return err;
	return reacts(h) ? came_back(h, head, what) : fault_stopped(h, what);
}

/* Kicks; what is available is such that nothing can come back. */
static int fault_kick(struct hand *h, const char *what)
{
	int err = trial_kick(h->t, h->idx);

	if (err < 0)
		return err;
	reacts(h);
	return fault_stopped(h, what);
}

/* A request in three pieces (or as many as it gives), one of which is spoilt. */
struct spoil {
	const char *what;
	bool first;  /* which piece: the first one, else the last one */
	bool at_end; /* its address is the last byte of guest memory */
	bool has_addr, has_next;
	uint64_t addr;
	uint32_t len;	/* 0: as it is */
	uint16_t flags; /* besides its own */
	uint16_t next;
};

static int spoilt(struct trial *t, const struct spoil *s)
{
	AUTO(hand_fini) struct hand h = { .t = t };
	struct hand_cut pieces;
	unsigned int at;
	const struct vhu_region *r;
	uint64_t addr;
	int err = hand_boot(t, NULL, &h);

	if (err == 0)
		err = hand_make(&h, 0, 3, &pieces);
	if (err < 0)
		return err;
	hand_link(&h, &pieces, 0, pieces.n, 0);
	at = s->first ? 0 : pieces.n - 1;
	r = &t->fe.regions[0].wire;
	addr = s->at_end     ? r->guest_addr + r->size - 1
	       : s->has_addr ? s->addr
			     : pieces.bufs[at].addr;
	trial_desc(t, h.idx, (uint16_t)at, addr, s->len ? s->len : pieces.bufs[at].len,
		   (uint16_t)(hand_flags(&pieces, at) | s->flags),
		   (uint16_t)(s->has_next ? s->next : at + 1));
	return fault_show(&h, 0, s->what);
}

#define SPOILT(name, ...)                                                                          \
	int case_fault_##name(struct trial *t)                                                     \
	{                                                                                          \
		static const struct spoil s = { __VA_ARGS__ };                                     \
		return spoilt(t, &s);                                                              \
	}

SPOILT(loop_self, .what = "a descriptor that is its own next", .first = true,
       .flags = VRING_DESC_F_NEXT, .has_next = true, .next = 0)
SPOILT(loop, .what = "a chain whose last descriptor leads to the first", .flags = VRING_DESC_F_NEXT,
       .has_next = true, .next = 0)
SPOILT(next_size, .what = "a next field of 64 in a ring of 64", .flags = VRING_DESC_F_NEXT,
       .has_next = true, .next = TRIAL_RING)
SPOILT(next_max, .what = "a next field of 65535", .flags = VRING_DESC_F_NEXT, .has_next = true,
       .next = 65535)
SPOILT(addr_overflow, .what = "a buffer that wraps at 2^64", .has_addr = true,
       .addr = UINT64_MAX - 15, .len = 4096)
SPOILT(addr_nowhere, .what = "a buffer outside guest memory", .has_addr = true, .addr = 0x10)
SPOILT(addr_nowhere_first, .what = "a chain whose first buffer is outside guest memory",
       .first = true, .has_addr = true, .addr = 0x10)
SPOILT(len_max, .what = "a buffer of 4 GiB less one byte", .len = UINT32_MAX)
SPOILT(addr_end, .what = "a buffer across the end of guest memory", .at_end = true, .len = 2)

/* Request 0 lies in the descriptors from head on, and is not shown. */
static int boot_with_request(struct hand *h, uint16_t head, struct trial_request **ret_q)
{
	int err = hand_boot(h->t, NULL, h);

	if (err == 0)
		err = hand_put(h, 0, head);
	*ret_q = h->q;
	return err;
}

/* The same request with its writable part first, or with such a part before what it reads. */
int case_fault_write_read(struct trial *t)
{
	AUTO(hand_fini) struct hand h = { .t = t };
	struct trial_request *q;
	int err = boot_with_request(&h, 2, &q);

	if (err < 0)
		return err;
	trial_desc(t, h.idx, 0, q->in_addr, (uint32_t)(q->r.in_len > 0 ? q->r.in_len : 64),
		   VRING_DESC_F_WRITE | VRING_DESC_F_NEXT, 1);
	trial_desc(t, h.idx, 1, q->out_addr, (uint32_t)(q->r.out_len > 0 ? q->r.out_len : 64), 0,
		   0);
	return fault_show(&h, 0, "a readable descriptor after a writable one");
}

/* Only the direction that the device has no use for. */
int case_fault_one_way(struct trial *t)
{
	AUTO(hand_fini) struct hand h = { .t = t };
	struct trial_request *q;
	const char *what;
	bool writes;
	int err = boot_with_request(&h, 2, &q);

	if (err < 0)
		return err;
	writes = q->r.in_len > 0;
	what = writes ? "a chain with device-readable descriptors only"
		      : "a chain with device-writable descriptors only";
	trial_desc(t, h.idx, 0, q->out_addr, 64, writes ? 0 : VRING_DESC_F_WRITE, 0);
	err = hand_show(&h, 0);
	if (err < 0)
		return err;
	if (!reacts(&h))
		return fault_stopped(&h, what);
	h.t->fe.rings[h.idx].q.last_used = h.used;
	return trial_ring_fault(t, h.idx, true, "%s", what);
}

/* The available ring. */

static int jumped(struct trial *t, uint16_t by, const char *what)
{
	AUTO(hand_fini) struct hand h = { .t = t };
	int err = hand_boot(t, NULL, &h);

	for (unsigned int i = 0; i < 3 && err == 0; i++)
		err = hand_round(&h, 0);
	if (err == 0)
		err = hand_put(&h, 0, 0);
	if (err < 0)
		return err;
	vring_set_avail_idx(h.ring, (uint16_t)(vring_avail_idx(h.ring) + by));
	return fault_kick(&h, what);
}

int case_fault_idx_ahead(struct trial *t)
{
	return jumped(t, TRIAL_RING + 1, "an available index 65 ahead in a ring of 64");
}

int case_fault_idx_far(struct trial *t)
{
	return jumped(t, 0x8000, "an available index 32768 ahead in a ring of 64");
}

int case_fault_idx_back(struct trial *t)
{
	return jumped(t, UINT16_MAX, "an available index that goes back by 1");
}

static int wrong_head(struct trial *t, uint16_t head, const char *what)
{
	AUTO(hand_fini) struct hand h = { .t = t };
	struct trial_request *q;
	int err = boot_with_request(&h, 0, &q);

	if (err < 0)
		return err;
	trial_avail(t, h.idx, head);
	return fault_kick(&h, what);
}

int case_fault_head_size(struct trial *t)
{
	return wrong_head(t, TRIAL_RING, "head 64 in a ring of 64");
}

int case_fault_head_max(struct trial *t)
{
	return wrong_head(t, UINT16_MAX, "head 65535");
}

/* One chain, twice available: served twice, once, or refused. */
int case_fault_head_twice(struct trial *t)
{
	AUTO(hand_fini) struct hand h = { .t = t };
	struct trial_request *q;
	uint16_t n;
	int err = boot_with_request(&h, 0, &q);

	if (err < 0)
		return err;
	trial_avail(t, h.idx, 0);
	err = hand_show(&h, 0);
	if (err == 0 && hand_moves(&h))
		err = trial_pass(t, trial_ms(t, 20));
	n = (uint16_t)(trial_used_idx(t, h.idx) - h.used);
	if (err == 0 && n > 2)
		err = trial_fail(t,
				 "a chain that was made available twice: expected at most 2 "
				 "used entries, but there are %u",
				 n);
	if (err == 0)
		trial_remark(t, "a chain that is available twice at once is used %u times", n);
	return err < 0 ? err : start_over(&h);
}

/* Device status and error descriptor. */

int case_fault_needs_reset(struct trial *t)
{
	AUTO(hand_fini) struct hand h = { .t = t };
	unsigned int heard;
	uint64_t status = 0;
	int err = hand_boot(t, NULL, &h);

	if (err < 0)
		return err;
	heard = t->fe.heard.n_config_changes;
	err = hand_show(&h, TRIAL_RING);
	for (unsigned int i = 0; i < 20 && err == 0 && !(status & 0x40); i++) {
		err = trial_pass(t, trial_ms(t, 10));
		if (err == 0)
			err = trial_step(t,
					 vhu_frontend_get_u64(&t->fe, VHU_FE_GET_STATUS, &status),
					 "GET_STATUS");
	}
	if (err < 0)
		return err;
	if (!(status & 0x40))
		return trial_fail(t,
				  "a ring error: expected the status to have DEVICE_NEEDS_RESET, "
				  "but it is %#llx",
				  (unsigned long long)status);
	if (t->fe.heard.n_config_changes == heard && t->fe.channel_fd >= 0)
		return trial_fail(t, "DEVICE_NEEDS_RESET: expected a configuration change to be "
				     "notified, but none came");
	return 0;
}

int case_fault_err(struct trial *t)
{
	const struct trial_plan plan = { .without_protocol = BIT(VHU_PF_STATUS_BIT) };
	AUTO(hand_fini) struct hand h = { .t = t };
	uint16_t base;
	int err = hand_boot(t, &plan, &h);

	if (err < 0)
		return err;
	err = hand_show(&h, TRIAL_RING);
	t->fe.rings[h.idx].q.last_used = h.used;
	if (err == 0)
		err = trial_ring_fault(t, h.idx, false, "head 64 in a ring of 64");
	for (unsigned int i = 0; i < t->fe.n_rings && err == 0; i++)
		if (i != h.idx)
			err = trial_stop_ring(t, i, &base);
	return err;
}
