/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The record of requests in flight, which outlives a back-end (vhost-user "Inflight I/O tracking").
 */
#include <errno.h>
#include <string.h>

#include "conform/cases/case-life.h"
#include "conform/cases/case-list.h"
#include "conform/cases/case-migration.h"
#include "conform/cases/inflight.h"
#include "conform/trial/trial-ring.h"

enum {
	N_TRACKED = 3,
	N_ASKED = 100,
	N_WATCHED = 1000,
};

int case_inflight_get(struct trial *t)
{
	AUTO_INFLIGHT r = INFLIGHT_NONE;

	return trial_inflight_begin(t, &r);
}

int case_inflight_fresh(struct trial *t)
{
	AUTO_INFLIGHT r = INFLIGHT_NONE;
	size_t need = trial_inflight_bytes(TRIAL_RING);
	int err = trial_inflight_begin(t, &r);

	if (err < 0)
		return err;
	if (r.wire.mmap_size / t->fe.n_rings < need)
		return trial_fail(t,
				  "%u rings of %d entries: expected at least %zu bytes each, but "
				  "there are %llu in all",
				  t->fe.n_rings, TRIAL_RING, need,
				  (unsigned long long)r.wire.mmap_size);
	for (unsigned int i = 0; i < t->fe.n_rings; i++)
		for (unsigned int j = 0; j < TRIAL_RING; j++)
			if (trial_inflight_of(t, &r, i)->desc[j].inflight)
				return trial_fail(t,
						  "a new record: expected nothing in flight, but "
						  "request %u of ring %u is",
						  j, i);
	for (uint64_t i = 0; i < r.wire.mmap_size; i++)
		if (r.map[i])
			return trial_remark(t, "byte %llu of a new record is %#x, not 0",
					    (unsigned long long)i, r.map[i]);
	return 0;
}

/* Tracking. */

static int judge_tracking(struct trial *t, const struct split_record *r,
			  const struct trial_request *requests)
{
	uint16_t used = trial_used_idx(t, trial_ring(t));
	uint64_t before = 0;

	if (r->version != 1 || r->desc_num != TRIAL_RING)
		return trial_fail(t,
				  "the record of a ring in use: expected version 1 and %d entries, "
				  "but it says %u and %u",
				  TRIAL_RING, r->version, r->desc_num);
	if (r->used_idx != used)
		return trial_fail(t,
				  "after %d requests: expected used index %u in the record, but it "
				  "is %u",
				  N_TRACKED, used, r->used_idx);
	for (unsigned int i = 0; i < N_TRACKED; i++) {
		uint16_t head = requests[i].head;

		if (r->desc[head].inflight)
			return trial_fail(t,
					  "a request that is done (head %u): expected it not to "
					  "be in flight, but it is",
					  head);
		if (i > 0 && r->desc[head].counter <= before)
			return trial_fail(t,
					  "requests in a row: expected rising counters, but %llu "
					  "follows %llu",
					  (unsigned long long)r->desc[head].counter,
					  (unsigned long long)before);
		before = r->desc[head].counter;
	}
	return 0;
}

/* Rings that run, with a record. */
static int tracked(struct trial *t, struct trial_inflight *r)
{
	int err = migration_begin(t, trial_features(t), trial_inflight_protocol(t));

	if (err == 0)
		err = trial_inflight_get(t, r);
	if (err == 0)
		err = trial_inflight_map(t, r);
	if (err == 0)
		err = trial_inflight_set(t, r);
	return err < 0 ? err : migration_run(t, NULL);
}

int case_inflight_tracked(struct trial *t)
{
	AUTO_INFLIGHT r = INFLIGHT_NONE;
	struct trial_request requests[N_TRACKED];
	int err = tracked(t, &r);

	for (unsigned int i = 0; i < N_TRACKED && err == 0; i++)
		err = trial_offer(t, NULL, &requests[i]);
	if (err == 0)
		err = trial_publish(t);
	for (unsigned int i = 0; i < N_TRACKED && err == 0; i++)
		err = trial_answered(t, &requests[i]);
	if (err == 0)
		err = trial_ping(t);
	return err < 0 ? err : judge_tracking(t, trial_inflight_of(t, &r, trial_ring(t)), requests);
}

/* Whether a request was seen in flight before it came back. */
static int watch_one(struct trial *t, const struct split_record *r, bool *ret_seen)
{
	unsigned int ring = trial_ring(t);
	uint16_t used = trial_used_idx(t, ring);
	struct trial_request request;
	int err = trial_offer(t, NULL, &request);
	uint16_t head;

	if (err == 0)
		err = trial_publish(t);
	if (err < 0)
		return err;
	head = vring_avail_entry(trial_vring(t, ring), used);
	/* As far as it comes soon; trial_answered() waits for the rest. */
	for (unsigned int i = 0; i < 1000000 && trial_used_idx(t, ring) == used; i++)
		if (__atomic_load_n(&r->desc[head].inflight, __ATOMIC_RELAXED) == 1)
			*ret_seen = true;
	return trial_answered(t, &request);
}

int case_inflight_watched(struct trial *t)
{
	AUTO_INFLIGHT r = INFLIGHT_NONE;
	bool seen = false;
	int err = tracked(t, &r);

	for (unsigned int i = 0; i < N_WATCHED && err == 0 && !seen; i++)
		err = watch_one(t, trial_inflight_of(t, &r, trial_ring(t)), &seen);
	if (err < 0 || seen)
		return err;
	return trial_na(t, "none of %d requests was seen on its way: it may be too fast for that",
			N_WATCHED);
}

/* Resubmission. */

static int run_forged(struct trial *t, const struct trial_inflight *r)
{
	static const struct trial_plan plan = { .no_prepare = true };
	int err = trial_inflight_set(t, r);

	if (err == 0)
		err = migration_run(t, &plan);
	return err < 0 ? err : trial_kick(t, trial_ring(t));
}

static int expect_entry(struct trial *t, uint16_t at, uint32_t head, bool ordered)
{
	uint32_t id, len;

	trial_used_entry(t, trial_ring(t), at, &id, &len);
	if (id == head)
		return 0;
	if (!ordered)
		return trial_remark(t, "requests come back in another order than they were made");
	return trial_fail(t, "used entry %u: expected request %u, but it is %u", at, head, id);
}

/* Whatever the order of completion, both are there from `at` on, and nothing more comes. */
static int expect_both(struct trial *t, uint16_t at)
{
	unsigned int ring = trial_ring(t);
	uint32_t a, b, len;
	int err = trial_await_used_idx(t, ring, (uint16_t)(at + 2));

	if (err < 0)
		return err;
	trial_used_entry(t, ring, at, &a, &len);
	trial_used_entry(t, ring, (uint16_t)(at + 1), &b, &len);
	if (!((a == INFLIGHT_FIRST && b == INFLIGHT_SECOND) ||
	      (a == INFLIGHT_SECOND && b == INFLIGHT_FIRST)))
		return trial_fail(t,
				  "requests %d and %d were in flight: expected both to come back, "
				  "but %u and %u did",
				  INFLIGHT_FIRST, INFLIGHT_SECOND, a, b);
	err = expect_entry(t, at, INFLIGHT_FIRST, false);
	vhu_frontend_take_calls(&t->fe, ring);
	return err < 0 ? err : trial_quiet(t, ring);
}

int case_inflight_resubmitted(struct trial *t)
{
	AUTO_INFLIGHT r = INFLIGHT_NONE;
	int err = trial_inflight_forge(t, &r);

	if (err == 0)
		err = run_forged(t, &r);
	return err < 0 ? err : expect_both(t, 0);
}

/* A third one was made after them, and is done: the available ring does not say who is left. */
int case_inflight_overtaken(struct trial *t)
{
	unsigned int ring = trial_ring(t);
	AUTO_INFLIGHT r = INFLIGHT_NONE;
	struct split_record *part;
	int err = trial_inflight_forge(t, &r);

	if (err == 0)
		err = trial_inflight_make_request(t, INFLIGHT_THIRD);
	if (err < 0)
		return err;
	part = trial_inflight_of(t, &r, ring);
	part->last_batch_head = INFLIGHT_THIRD;
	part->used_idx = 1;
	vring_set_used_entry(trial_vring(t, ring), 0, INFLIGHT_THIRD, 0);
	vring_set_used_idx(trial_vring(t, ring), 1);
	t->fe.rings[ring].base = 3;
	err = run_forged(t, &r);
	return err < 0 ? err : expect_both(t, 1);
}

/* The first one had been put into the used ring; the record had not heard of it. */
int case_inflight_repaired(struct trial *t)
{
	unsigned int ring = trial_ring(t);
	AUTO_INFLIGHT r = INFLIGHT_NONE;
	int err = trial_inflight_forge(t, &r);

	if (err < 0)
		return err;
	trial_inflight_of(t, &r, ring)->last_batch_head = INFLIGHT_FIRST;
	vring_set_used_entry(trial_vring(t, ring), 0, INFLIGHT_FIRST, 0);
	vring_set_used_idx(trial_vring(t, ring), 1);
	err = run_forged(t, &r);
	if (err == 0)
		err = trial_await_used_idx(t, ring, 2);
	if (err == 0)
		err = expect_entry(t, 1, INFLIGHT_SECOND, true);
	if (err < 0)
		return err;
	vhu_frontend_take_calls(&t->fe, ring);
	return trial_quiet(t, ring);
}

int case_inflight_again(struct trial *t)
{
	int before = 0;
	int err = migration_begin(t, trial_inflight_features(t), trial_inflight_protocol(t));

	for (unsigned int i = 0; i <= N_ASKED && err == 0; i++) {
		AUTO_INFLIGHT r = INFLIGHT_NONE;

		err = trial_inflight_get(t, &r);
		if (err == 0)
			err = trial_inflight_set(t, &r);
		if (i == 0 && err == 0)
			err = trial_n_fds(t, &before);
	}
	return err < 0 ? err
		       : life_expect_fds(t, before, "more GET_INFLIGHT_FD and SET_INFLIGHT_FD");
}
