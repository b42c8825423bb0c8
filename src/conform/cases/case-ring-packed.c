/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Packed rings: descriptors, lists and positions. */
#include <stdlib.h>
#include <string.h>

#include "conform/cases/case-list.h"
#include "conform/cases/case-ring-packed.h"

enum { STALE_LEN = 64 };

static const struct packed_position origin = { .offset = 0, .wrap = true };

static int run(struct trial *t, const struct packed_plan *plan, unsigned int total,
	       unsigned int batch)
{
	AUTO(packed_fini) struct packed p = { .t = t };
	int err = packed_boot(t, plan, &p);

	for (unsigned int done = 0; done < total && err == 0; done += batch)
		err = packed_burst(&p, total - done < batch ? total - done : batch, 2, false);
	return err;
}

int case_packed_start(struct trial *t)
{
	return run(t, NULL, 5, 1);
}

int case_packed_start_middle(struct trial *t)
{
	const struct packed_plan plan = {
		.size = 16,
		.elsewhere = true,
		.from = { .offset = 5, .wrap = false },
	};

	return run(t, &plan, 40, 1);
}

/* Descriptors that the device has no business with are as they were written. */
static int left_alone(struct trial *t, const struct packed_ring *ring, uint16_t flags)
{
	for (unsigned int i = 0; i < TRIAL_RING; i++) {
		struct packed_desc desc = packed_desc_load(ring, i);

		if (desc.flags != flags || desc.id != i || desc.len != STALE_LEN)
			return trial_fail(t,
					  "descriptors with flags %#x, which are not available: "
					  "expected them to be left alone, but number %u has flags "
					  "%#x, id %u and length %u",
					  flags, i, desc.flags, desc.id, desc.len);
	}
	return 0;
}

/* Good descriptors everywhere, whose flags do not make them available. */
static int stale(struct trial *t, uint16_t flags)
{
	AUTO(packed_fini) struct packed p = { .t = t };
	struct hand_cut cut;
	int err = packed_boot(t, NULL, &p);

	if (err == 0)
		err = hand_make(&p.h, 0, 2, &cut);
	if (err < 0)
		return err;
	ring_settle(t);
	for (unsigned int i = 0; i < TRIAL_RING; i++)
		packed_desc_store_flags(&p.q->ring, i, flags);
	for (unsigned int i = 0; i < TRIAL_RING; i++)
		packed_desc_store_body(&p.q->ring, i,
				       (struct packed_desc){ .addr = p.h.q[0].out_addr,
							     .len = STALE_LEN,
							     .id = (uint16_t)i });
	err = trial_kick(t, p.idx);
	if (err == 0)
		err = trial_quiet(t, p.idx);
	return err == 0 ? left_alone(t, &p.q->ring, flags) : err;
}

int case_packed_stale_zero(struct trial *t)
{
	return stale(t, 0);
}

int case_packed_stale_used(struct trial *t)
{
	return stale(t, PACKED_DESC_F_AVAIL | PACKED_DESC_F_USED);
}

int case_packed_stale_lap(struct trial *t)
{
	return stale(t, PACKED_DESC_F_USED);
}

/* One list at a time, looked at as soon as its flags say used. */
int case_packed_complete(struct trial *t)
{
	AUTO(packed_fini) struct packed p = { .t = t };
	struct packed_position at = origin;
	int err = packed_boot(t, NULL, &p);

	if (err == 0)
		driverq_packed_calls_off(p.q);
	for (unsigned int i = 0; i < 5000 && err == 0; i++) {
		/* The first descriptor has another id until it is used. */
		const uint16_t ids[] = { (uint16_t)((i + 7) % 64), (uint16_t)(i % 64) };
		struct packed_desc desc = { .id = 0 };
		unsigned int n = 0;

		err = packed_write(&p, at, 0, 2, ids, &n);
		if (err == 0)
			err = trial_kick(t, p.idx);
		if (err == 0)
			err = packed_await(&p, at, &desc);
		if (err == 0)
			err = packed_judge(&p, &desc, 0, ids[n - 1]);
		at = packed_advance(&p.q->ring, at, n);
	}
	return err;
}

/* Many under way, each shown by itself. */
int case_packed_stream(struct trial *t)
{
	AUTO(packed_fini) struct packed p = { .t = t };
	unsigned int which = 0;
	int err = packed_boot(t, NULL, &p);

	for (unsigned int i = 0; i < 20000 && err == 0; i++) {
		if (i >= 16)
			err = packed_collect(&p, &which);
		if (err == 0)
			err = packed_offer(&p, i < 16 ? i : which, 2, false);
		if (err == 0)
			err = packed_publish(&p);
	}
	for (unsigned int i = 0; i < 16 && err == 0; i++)
		err = packed_collect(&p, &which);
	return err;
}

int case_packed_together(struct trial *t)
{
	AUTO(packed_fini) struct packed p = { .t = t };
	bool seen[HAND_REQUESTS] = { false };
	bool ordered = true;
	int err = packed_boot(t, NULL, &p);

	for (unsigned int i = 0; i < HAND_REQUESTS && err == 0; i++)
		err = packed_offer(&p, i, 2, false);
	if (err == 0)
		err = packed_publish(&p);
	for (unsigned int i = 0; i < HAND_REQUESTS && err == 0; i++) {
		unsigned int which = 0;

		err = packed_collect(&p, &which);
		ordered = ordered && which == i;
		seen[which] = true;
	}
	for (unsigned int i = 0; i < HAND_REQUESTS && err == 0; i++)
		if (!seen[i])
			return trial_fail(t, "request %u did not come back", i);
	return err < 0 || ordered ? err : trial_remark(t, "lists come back in another order");
}

int case_packed_list(struct trial *t)
{
	AUTO(packed_fini) struct packed p = { .t = t };
	int err = packed_boot(t, NULL, &p);

	for (unsigned int i = 0; i < 40 && err == 0; i++)
		err = packed_burst(&p, 1 + i % 3, 5, false);
	return err;
}

/* A list of three whose other ids are wrong, then one request behind it. */
int case_packed_list_id(struct trial *t)
{
	static const uint16_t ids[] = { 7, 60000, 42 }, next_ids[] = { 5, 5 };
	AUTO(packed_fini) struct packed p = { .t = t };
	struct packed_position second;
	struct packed_desc desc = { .id = 0 };
	unsigned int n = 0;
	int err = packed_boot(t, NULL, &p);

	if (err == 0)
		err = packed_write(&p, origin, 0, 3, ids, &n);
	if (err == 0)
		err = trial_kick(t, p.idx);
	if (err == 0)
		err = packed_await(&p, origin, &desc);
	if (err == 0)
		err = packed_judge(&p, &desc, 0, ids[n - 1]);
	if (err < 0)
		return err;
	second = packed_advance(&p.q->ring, origin, n);
	err = packed_write(&p, second, 1, 2, next_ids, &n);
	if (err == 0)
		err = trial_kick(t, p.idx);
	if (err == 0)
		err = packed_await(&p, second, &desc);
	return err < 0 ? err : packed_judge(&p, &desc, 1, 5);
}

/* Used descriptors stay as they were until the ring comes round to them. */
int case_packed_kept(struct trial *t)
{
	AUTO(packed_fini) struct packed p = { .t = t };
	struct packed_desc before[TRIAL_RING];
	int err = packed_boot(t, NULL, &p);

	for (unsigned int n = 1; n <= TRIAL_RING / 2 && err == 0; n++) {
		uint16_t done = p.q->used.offset;

		for (uint16_t i = 0; i < done; i++)
			before[i] = packed_desc_load(&p.q->ring, i);
		err = packed_exchange(&p, 1);
		for (uint16_t i = 0; i < done && err == 0; i++) {
			struct packed_desc now = packed_desc_load(&p.q->ring, i);

			if (now.addr != before[i].addr || now.len != before[i].len ||
			    now.id != before[i].id || now.flags != before[i].flags)
				err = trial_fail(t,
						 "expected descriptor %u to stay as it was after "
						 "it was used, but it has changed",
						 i);
		}
	}
	return err;
}

int case_packed_out_kept(struct trial *t)
{
	AUTO(packed_fini) struct packed p = { .t = t };
	int err = packed_boot(t, NULL, &p);

	for (unsigned int i = 0; i < 16 && err == 0; i++) {
		err = packed_exchange(&p, 1);
		if (err == 0 && memcmp(p.h.q[0].out_host, p.h.q[0].r.out, p.h.q[0].r.out_len) != 0)
			err = trial_fail(t,
					 "request %u: expected its device-readable bytes to stay "
					 "as they were, but they have changed",
					 i);
	}
	return err;
}

int case_packed_wrap_5(struct trial *t)
{
	const struct packed_plan plan = { .size = 5 };

	return run(t, &plan, 20000, 2);
}

int case_packed_wrap_large(struct trial *t)
{
	const struct packed_plan plan = { .size = 1000 };

	return run(t, &plan, 70000, HAND_REQUESTS);
}

/* A request in a table whose entries have ids and these flags besides their own. */
static int indirect(struct trial *t, uint16_t in_table, uint16_t in_ring)
{
	AUTO(packed_fini) struct packed p = { .t = t };
	struct packed_desc desc = { .id = 33 };
	struct hand_cut cut;
	int err = packed_boot(t, NULL, &p);

	if (err == 0)
		err = hand_make(&p.h, 0, 4, &cut);
	if (err < 0)
		return err;
	for (unsigned int i = 0; i < cut.n; i++) {
		uint16_t write = i >= cut.n_out ? PACKED_DESC_F_WRITE : 0;

		packed_table_store(p.tables, i,
				   (struct packed_desc){
					   .addr = cut.bufs[i].addr,
					   .len = cut.bufs[i].len,
					   .id = (uint16_t)(0x1234 + i),
					   .flags = in_table | write,
				   });
	}
	desc.addr = p.tables_addr;
	desc.len = cut.n * PACKED_DESC_BYTES;
	packed_desc_store_body(&p.q->ring, 0, desc);
	packed_desc_store_flags(&p.q->ring, 0,
				PACKED_DESC_F_INDIRECT | PACKED_DESC_F_AVAIL | in_ring);
	err = trial_kick(t, p.idx);
	if (err == 0)
		err = packed_await(&p, origin, &desc);
	return err < 0 ? err : packed_judge(&p, &desc, 0, 33);
}

int case_packed_indirect(struct trial *t)
{
	return indirect(t, 0, PACKED_DESC_F_WRITE);
}

int case_packed_indirect_flags(struct trial *t)
{
	return indirect(t, PACKED_DESC_F_NEXT | PACKED_DESC_F_AVAIL, 0);
}

/* In a ring of 3, a stop and a start at each of its six positions. asked: the answer is judged. */
static int stop_and_go(struct trial *t, bool asked)
{
	const struct packed_plan plan = { .size = 3 };
	AUTO(packed_fini) struct packed p = { .t = t };
	int err = packed_boot(t, &plan, &p);

	for (unsigned int i = 0; i < 12 && err == 0; i++) {
		uint32_t base = 0, expected;

		err = packed_exchange(&p, 1);
		expected = driverq_packed_base(p.q);
		if (err == 0)
			err = packed_stop(&p, &base);
		if (err == 0 && asked && base != expected)
			err = trial_fail(t,
					 "GET_VRING_BASE of a packed ring after %u requests: "
					 "expected %#x, but it is %#x",
					 i + 1, expected, base);
		if (err == 0)
			err = packed_start(&p, expected);
	}
	return err < 0 ? err : packed_exchange(&p, 3);
}

int case_packed_base(struct trial *t)
{
	return stop_and_go(t, true);
}

int case_packed_restart(struct trial *t)
{
	return stop_and_go(t, false);
}

/* Combinations. */

static int combine(struct trial *t, uint64_t features)
{
	const uint64_t both = RING_EVENT | RING_INDIRECT;
	const struct packed_plan plan = { .without_features = both & ~features };
	AUTO(packed_fini) struct packed p = { .t = t };
	uint64_t state = 5;
	int err = packed_boot(t, &plan, &p);

	for (unsigned int done = 0; done < 800 && err == 0;) {
		unsigned int n = 1 + ring_random(&state) % 4;
		bool indirect = (features & RING_INDIRECT) && ring_random(&state) % 2;

		err = packed_burst(&p, n, 1 + ring_random(&state) % 5, indirect);
		done += n;
	}
	return err;
}

RING_COMBINATIONS(packed)
