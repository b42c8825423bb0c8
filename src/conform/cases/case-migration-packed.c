/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The record of requests in flight, of packed rings. */
#include "conform/cases/case-list.h"
#include "conform/cases/case-ring-packed.h"
#include "conform/cases/inflight.h"

enum {
	N_TRACKED = 3,
	GONE_ID = 7, /* of the request in flight, and of the one that overtook it */
	DONE_ID = 9,
	ENTRY_IDS = 2, /* a request has as many descriptors at most here */
};

static const struct packed_position origin = { .offset = 0, .wrap = true };

/* As "Inflight I/O tracking" lays them out for packed virtqueues. */
struct packed_entry {
	uint8_t inflight;
	uint8_t padding;
	uint16_t next, last, num;
	uint64_t counter;
	uint16_t id, flags;
	uint32_t len;
	uint64_t addr;
};

struct packed_record {
	uint64_t features;
	uint16_t version, desc_num;
	uint16_t free_head, old_free_head;
	uint16_t used_idx, old_used_idx;
	uint8_t used_wrap, old_used_wrap;
	uint8_t padding[10];
	struct packed_entry desc[];
};

static int boot(struct trial *t, struct trial_inflight *r, struct packed *ret_p)
{
	const struct packed_plan plan = { .record = r };

	return packed_boot(t, &plan, ret_p);
}

static struct packed_record *part_of(const struct packed *p, const struct trial_inflight *r)
{
	void *at = trial_inflight_of(p->t, r, p->idx);

	return at;
}

int case_inflight_packed_fresh(struct trial *t)
{
	const size_t need = sizeof(struct packed_record) + TRIAL_RING * sizeof(struct packed_entry);
	AUTO_INFLIGHT r = INFLIGHT_NONE;
	int err = packed_greet(t, true);

	if (err == 0)
		err = trial_make_memory(t, NULL);
	if (err == 0)
		err = trial_inflight_get(t, &r);
	if (err == 0)
		err = trial_inflight_map(t, &r);
	if (err < 0 || r.wire.mmap_size / t->fe.n_rings >= need)
		return err;
	return trial_fail(t,
			  "%u packed rings of %d entries: expected at least %zu bytes each, but "
			  "there are %llu in all",
			  t->fe.n_rings, TRIAL_RING, need, (unsigned long long)r.wire.mmap_size);
}

static int judge(struct packed *p, const struct packed_record *part)
{
	struct packed_position used = p->q->used;
	unsigned int n_recorded = 0;

	if (part->version != 1 || part->desc_num != TRIAL_RING)
		return trial_fail(p->t,
				  "the record of a packed ring in use: expected version 1 and %d "
				  "entries, but it says %u and %u",
				  TRIAL_RING, part->version, part->desc_num);
	if (part->used_idx != used.offset || part->old_used_idx != used.offset ||
	    (part->used_wrap & 1) != used.wrap || (part->old_used_wrap & 1) != used.wrap)
		return trial_fail(p->t,
				  "after %d requests: expected used position %u twice in the "
				  "record, but it has %u and %u",
				  N_TRACKED, used.offset, part->used_idx, part->old_used_idx);
	for (unsigned int i = 0; i < TRIAL_RING; i++) {
		n_recorded += part->desc[i].num > 0;
		if (part->desc[i].inflight)
			return trial_fail(p->t,
					  "all requests are done: expected none in flight, but "
					  "entry %u is",
					  i);
	}
	if (n_recorded > 0)
		return 0;
	return trial_fail(p->t,
			  "after %d requests: expected an entry of the record to tell of "
			  "one, but none does",
			  N_TRACKED);
}

int case_inflight_packed_tracked(struct trial *t)
{
	AUTO_INFLIGHT r = INFLIGHT_NONE;
	AUTO(packed_fini) struct packed p = { .t = t };
	int err = boot(t, &r, &p);

	if (err == 0)
		err = packed_exchange(&p, N_TRACKED);
	if (err == 0)
		err = trial_ping(t);
	return err < 0 ? err : judge(&p, part_of(&p, &r));
}

/* Request 0 is in flight: its n descriptors are in the first n entries, all others are free. */
static void forge(struct packed *p, struct packed_record *part, unsigned int n,
		  struct packed_position used)
{
	part->version = 1;
	part->desc_num = TRIAL_RING;
	part->free_head = part->old_free_head = (uint16_t)n;
	part->used_idx = part->old_used_idx = used.offset;
	part->used_wrap = part->old_used_wrap = used.wrap;
	for (uint16_t i = 0; i < TRIAL_RING; i++) {
		struct packed_desc d = packed_desc_load(&p->q->ring, i);

		part->desc[i] = (struct packed_entry){ .next = (uint16_t)(i + 1) };
		if (i >= n)
			continue;
		part->desc[i].id = d.id;
		part->desc[i].flags = d.flags;
		part->desc[i].len = d.len;
		part->desc[i].addr = d.addr;
	}
	part->desc[0].inflight = 1;
	part->desc[0].counter = 1;
	part->desc[0].num = (uint16_t)n;
	part->desc[0].last = (uint16_t)(n - 1);
}

/* Request 1 has been used in the place of request 0, which nothing but the record tells of. */
static int overtake(struct packed *p, struct packed_record *part, uint32_t *ret_base,
		    struct packed_position *ret_used)
{
	static const uint16_t gone[ENTRY_IDS] = { GONE_ID, GONE_ID };
	static const uint16_t done[ENTRY_IDS] = { DONE_ID, DONE_ID };
	const struct packed_ring *ring = &p->q->ring;
	unsigned int n_gone = 0, n_done = 0;
	struct packed_position used;
	int err = packed_write(p, origin, 0, ENTRY_IDS, gone, &n_gone);

	if (err == 0)
		err = packed_write(p, packed_advance(ring, origin, n_gone), 1, ENTRY_IDS, done,
				   &n_done);
	if (err < 0)
		return err;
	used = packed_advance(ring, origin, n_done);
	forge(p, part, n_gone, used);
	packed_used_store(ring, 0, DONE_ID, 0);
	packed_desc_store_flags(ring, 0, packed_used_flags(origin.wrap));
	*ret_base = packed_base(packed_advance(ring, used, n_gone), used);
	*ret_used = used;
	return 0;
}

int case_inflight_packed_overtaken(struct trial *t)
{
	AUTO_INFLIGHT r = INFLIGHT_NONE;
	AUTO(packed_fini) struct packed p = { .t = t };
	struct packed_position used = origin;
	struct packed_desc desc = { .id = 0 };
	uint32_t base = 0;
	int err = boot(t, &r, &p);

	if (err == 0)
		err = packed_stop(&p, &base);
	if (err == 0)
		err = overtake(&p, part_of(&p, &r), &base, &used);
	if (err == 0)
		err = trial_inflight_set(t, &r);
	if (err == 0)
		err = packed_start(&p, base);
	if (err == 0)
		err = trial_kick(t, p.idx);
	if (err == 0)
		err = packed_await(&p, used, &desc);
	return err < 0 ? err : packed_judge(&p, &desc, 0, GONE_ID);
}
