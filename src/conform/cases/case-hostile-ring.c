/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Faults of the guest in its rings, as the session feels them. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "conform/cases/case-list.h"
#include "conform/cases/case-setup.h"
#include "conform/cases/case-steps.h"
#include "conform/target/process.h"
#include "conform/trial/trial-ring.h"

enum {
	LEN = 64,
	TABLE = 8,
	N_HAMMERED = 300,
	HAMMER_US = 500,
	BUSY = 80, /* percent of a processor: it spins, */
	CALM = 20, /* unless it used more than that before, */
	CALM_MS = 30,
};

/* A ring of requests that runs, and a stretch of guest memory. */
struct rig {
	unsigned int ring;
	uint8_t *host;
	uint64_t addr; /* of a page */
	uint16_t used; /* index before the fault */
	bool polls;    /* busy with nothing to do: its load tells nothing */
};

static int see_whether_it_polls(struct trial *t, struct rig *r)
{
	unsigned int percent;
	int err = 0;

	if (!process_visible(t->target->pid))
		return 0;
	err = setup_cpu_percent(t, trial_ms(t, CALM_MS), &percent);
	if (err == 0)
		r->polls = percent > CALM;
	return err;
}

static int rig_up(struct trial *t, struct rig *r, bool indirect)
{
	void *host;
	int err;

	if (indirect && !trial_offers(t, VIRTIO_F_INDIRECT_DESC_BIT))
		return trial_na(t, "INDIRECT_DESC is not offered");
	err = trial_boot(t, NULL);
	if (err == 0)
		err = trial_exchange(t, 1);
	if (err == 0)
		err = trial_alloc(t, 4096, 4096, &host, &r->addr);
	if (err < 0)
		return err;
	r->host = host;
	r->ring = trial_ring(t);
	r->used = trial_used_idx(t, r->ring);
	r->polls = false;
	return see_whether_it_polls(t, r);
}

/* Nothing came back, or, where that is as good, the chain with length 0. */
static int check_used(struct trial *t, const struct rig *r, bool lenient, const char *what)
{
	uint16_t now = trial_used_idx(t, r->ring);
	uint32_t id, len;

	if (now == r->used)
		return 0;
	trial_used_entry(t, r->ring, r->used, &id, &len);
	if (lenient && (uint16_t)(now - r->used) == 1 && len == 0)
		return trial_remark(t, "%s: the chain comes back with length 0", what);
	return trial_fail(t,
			  "%s: expected nothing to come back, but the used index went from %u to "
			  "%u, the first entry with length %u",
			  what, r->used, now, len);
}

/*
 * The ring stops, or the session ends, or the chain comes back undone: whether
 * that can be mended is for VU-219 to judge. The process lives, does not spin,
 * and has done nothing for the fault.
 */
PRINTF_LIKE(4, 5)
static int contained(struct trial *t, const struct rig *r, bool lenient, const char *fmt, ...)
{
	unsigned int percent = 0;
	char what[128];
	int err;

	FORMAT_SENTENCE(what, fmt);
	if (process_visible(t->target->pid))
		err = setup_cpu_percent(t, trial_ms(t, TRIAL_QUIET_MS), &percent);
	else
		err = trial_pass(t, trial_ms(t, TRIAL_QUIET_MS));
	if (err == 0 && percent > BUSY && !r->polls)
		err = trial_fail(t, "%s: expected it to be idle, but it uses %u %% of a processor",
				 what, percent);
	if (err == 0)
		err = trial_goes_on(t, what);
	if (err < 0)
		return err;
	if (t->closed)
		trial_remark(t, "%s ends the session", what);
	return check_used(t, r, lenient, what);
}

static int show(struct trial *t, const struct rig *r, uint16_t head)
{
	trial_avail(t, r->ring, head);
	return trial_kick(t, r->ring);
}

/* Head 0 is shown, and contained. */
static int shown(struct trial *t, const struct rig *r, bool lenient, const char *what)
{
	int err = show(t, r, 0);

	return err < 0 ? err : contained(t, r, lenient, "%s", what);
}

/* The available ring. */

/* A rig whose available index has jumped. */
static int rig_jump(struct trial *t, struct rig *r)
{
	int err = rig_up(t, r, false);

	if (err < 0)
		return err;
	trial_jump(t, r->ring);
	return trial_kick(t, r->ring);
}

int case_hostile_avail_jump(struct trial *t)
{
	struct rig r;
	int err = rig_jump(t, &r);

	return err < 0 ? err
		       : contained(t, &r, false, "an available index %d ahead in a ring of %d",
				   TRIAL_RING + 1, TRIAL_RING);
}

int case_hostile_avail_entry(struct trial *t)
{
	struct rig r;
	int err = rig_up(t, &r, false);

	if (err == 0)
		err = show(t, &r, UINT16_MAX);
	return err < 0 ? err : contained(t, &r, false, "an available entry of 65535");
}

/* Chains. */

/* One descriptor at head 0, to read LEN bytes. */
static int one_desc(struct trial *t, uint64_t addr, uint32_t len, uint16_t flags, uint16_t next,
		    bool lenient, const char *what)
{
	struct rig r;
	int err = rig_up(t, &r, (flags & VRING_DESC_F_INDIRECT) != 0);

	if (err < 0)
		return err;
	trial_desc(t, r.ring, 0, addr ? addr : r.addr, len, flags, next);
	return shown(t, &r, lenient, what);
}

int case_hostile_next(struct trial *t)
{
	return one_desc(t, 0, LEN, VRING_DESC_F_NEXT, UINT16_MAX, true,
			"a descriptor whose next is 65535");
}

int case_hostile_loop_one(struct trial *t)
{
	return one_desc(t, 0, LEN, VRING_DESC_F_NEXT, 0, true, "a descriptor whose next is itself");
}

int case_hostile_loop_two(struct trial *t)
{
	struct rig r;
	int err = rig_up(t, &r, false);

	if (err < 0)
		return err;
	trial_desc(t, r.ring, 0, r.addr, LEN, VRING_DESC_F_NEXT, 1);
	trial_desc(t, r.ring, 1, r.addr, LEN, VRING_DESC_F_NEXT, 0);
	return shown(t, &r, true, "two descriptors in a circle");
}

int case_hostile_outside(struct trial *t)
{
	return one_desc(t, UINT64_C(0x7000000000000000), LEN, 0, 0, true,
			"a descriptor outside guest memory");
}

int case_hostile_wrapping(struct trial *t)
{
	return one_desc(t, UINT64_MAX, 2, 0, 0, true, "a descriptor that wraps around");
}

int case_hostile_longest(struct trial *t)
{
	return one_desc(t, 0, UINT32_MAX, 0, 0, true, "a descriptor of 4294967295 bytes");
}

int case_hostile_straddling(struct trial *t)
{
	const struct vhu_region *region = &t->fe.regions[0].wire;
	struct rig r;
	int err = rig_up(t, &r, false);

	if (err < 0)
		return err;
	trial_desc(t, r.ring, 0, region->guest_addr + region->size - LEN / 2, LEN, 0, 0);
	return shown(t, &r, true, "a descriptor that ends behind guest memory");
}

int case_hostile_order(struct trial *t)
{
	struct rig r;
	int err = rig_up(t, &r, false);

	if (err < 0)
		return err;
	trial_desc(t, r.ring, 0, r.addr, LEN, VRING_DESC_F_WRITE | VRING_DESC_F_NEXT, 1);
	trial_desc(t, r.ring, 1, r.addr + LEN, LEN, 0, 0);
	return shown(t, &r, true, "a descriptor to read after one to write");
}

/* Tables elsewhere. */

int case_hostile_table_empty(struct trial *t)
{
	return one_desc(t, 0, 0, VRING_DESC_F_INDIRECT, 0, true, "an indirect table of no bytes");
}

int case_hostile_table_odd(struct trial *t)
{
	return one_desc(t, 0, VRING_DESC_BYTES + 1, VRING_DESC_F_INDIRECT, 0, true,
			"an indirect table of 17 bytes");
}

int case_hostile_table_outside(struct trial *t)
{
	return one_desc(t, UINT64_C(0x7000000000000000), VRING_DESC_BYTES, VRING_DESC_F_INDIRECT, 0,
			true, "an indirect table outside guest memory");
}

int case_hostile_table_next(struct trial *t)
{
	return one_desc(t, 0, VRING_DESC_BYTES, VRING_DESC_F_INDIRECT | VRING_DESC_F_NEXT, 1, true,
			"a descriptor that is indirect and has a next");
}

int case_hostile_table_nested(struct trial *t)
{
	struct rig r;
	int err = rig_up(t, &r, true);

	if (err < 0)
		return err;
	trial_table_desc(r.host, 0, r.addr, VRING_DESC_BYTES, VRING_DESC_F_INDIRECT, 0);
	trial_desc(t, r.ring, 0, r.addr, VRING_DESC_BYTES, VRING_DESC_F_INDIRECT, 0);
	return shown(t, &r, true, "an indirect table within itself");
}

int case_hostile_table_loop(struct trial *t)
{
	struct rig r;
	int err = rig_up(t, &r, true);

	if (err < 0)
		return err;
	for (uint16_t i = 0; i < TABLE; i++)
		trial_table_desc(r.host, i, r.addr, LEN, VRING_DESC_F_NEXT,
				 (uint16_t)((i + 1) % TABLE));
	trial_desc(t, r.ring, 0, r.addr, TABLE * VRING_DESC_BYTES, VRING_DESC_F_INDIRECT, 0);
	return shown(t, &r, true, "an indirect table that is a circle");
}

/* Other rings. */

int case_hostile_other_ring(struct trial *t)
{
	unsigned int good = trial_ring(t), bad = good == 0 ? 1 : 0;
	int err = trial_boot(t, NULL);

	if (err < 0)
		return err;
	if (t->fe.n_rings < 2 || t->fe.rings[bad].size == 0)
		return trial_na(t, "it has one ring only");
	trial_jump(t, bad);
	err = trial_kick(t, bad);
	if (err == 0)
		err = trial_exchange(t, 2);
	if (err == 0)
		err = trial_ping(t);
	if (err == 0)
		err = trial_restart_ring(t, bad);
	return err < 0 ? err : trial_exchange(t, 2);
}

int case_hostile_ring_mended(struct trial *t)
{
	struct rig r;
	int err = rig_jump(t, &r);

	return err < 0 ? err
		       : trial_ring_fault(t, r.ring, false,
					  "an available index %d ahead in a ring of %d",
					  TRIAL_RING + 1, TRIAL_RING);
}

/* While it looks. */

/* The chain of one request says one thing and then another, until the device has used it or given
 * up. */
static void hammer(struct trial *t, const struct rig *r, uint16_t used)
{
	const uint64_t end = monotonic_ns() + HAMMER_US * UINT64_C(1000);

	while (trial_used_idx(t, r->ring) == used && monotonic_ns() < end) {
		trial_desc(t, r->ring, 0, r->addr, LEN, VRING_DESC_F_NEXT, UINT16_MAX);
		trial_desc(t, r->ring, 0, UINT64_MAX - LEN, UINT32_MAX, VRING_DESC_F_WRITE, 0);
		trial_desc(t, r->ring, 0, r->addr, LEN, VRING_DESC_F_INDIRECT, 0);
		trial_desc(t, r->ring, 0, r->addr, LEN, 0, 0);
	}
}

int case_hostile_rewritten(struct trial *t)
{
	struct rig r;
	int err = rig_up(t, &r, false);

	for (unsigned int i = 0; i < N_HAMMERED && err == 0; i++) {
		uint16_t used = trial_used_idx(t, r.ring);

		trial_desc(t, r.ring, 0, r.addr, LEN, 0, 0);
		err = show(t, &r, 0);
		if (err < 0)
			break;
		hammer(t, &r, used);
		if (trial_used_idx(t, r.ring) != used)
			continue;
		/* It has given up the ring, or the session, or is slow. */
		err = trial_goes_on(t, "a chain that changes while it is read");
		if (err == 0 && t->closed)
			return trial_remark(t, "a chain that changes while it is read ends the "
					       "session");
		if (err == 0)
			err = trial_restart_ring(t, r.ring);
	}
	if (err == 0)
		err = trial_goes_on(t, "chains that change while they are read");
	if (err < 0 || t->closed)
		return err;
	err = trial_restart_ring(t, r.ring);
	t->slots = (struct trial_slots){ 0 };
	return err < 0 ? err : trial_exchange(t, 1);
}
