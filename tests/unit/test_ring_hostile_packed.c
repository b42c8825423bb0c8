/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A driver that breaks the rules of packed rings: random rings, then a thread
 * that rewrites the ring while it is read.
 */
#include <pthread.h>
#include <sched.h>

#include "packed_rig.h"
#include "wild_rig.h"

#define FEATURES (RIG_V1 | RIG_PACKED | RIG_INDIRECT | RIG_EVENT)

enum {
	WILD_RINGS = 30000,
	RACE_ROUNDS = 50000,
	RACE_REWRITES = 1000,
};

/* New descriptors and tables where they may point; most are available in one lap or the other. */
static void write_ring(struct wild *w, uint64_t *rng)
{
	bool wrap = rig_below(rng, 2);

	for (uint32_t i = 0; i < WILD_SIZE; i++) {
		uint64_t table = RIG_GUEST + 0x1000 + (uint64_t)rig_below(rng, 200) * 16;
		struct vring_desc desc = wild_desc(rng, WILD_SIZE);
		uint16_t lap = packed_avail_flags(rig_below(rng, 16) ? wrap : !wrap);

		rig_packed_table(&w->rig, table, 0, desc.addr, desc.len, desc.flags);
		desc = wild_desc(rng, WILD_SIZE);
		packed_desc_store_body(rig_packed(&w->rig), i,
				       (struct packed_desc){ desc.addr, desc.len, desc.next, 0 });
		packed_desc_store_flags(rig_packed(&w->rig), i, (desc.flags & 7) | lap);
	}
	rig_packed_calls(&w->rig, rig_below(rng, 4), (uint16_t)rig_below(rng, WILD_SIZE + 2),
			 rig_below(rng, 2));
}

static void random_rings(uint64_t features)
{
	struct wild w = { .stop = false };

	w.rng = wild_seed();
	wild_open(&w, features);
	for (unsigned int i = 0; i < WILD_RINGS; i++) {
		write_ring(&w, &w.rng);
		wild_serve(&w);
	}
	assert_true(w.n_chains > WILD_RINGS / 100);
	assert_true(w.n_faults > WILD_RINGS / 100);
	rig_close(&w.rig);
}

/* VR-093, VR-114, VR-115, VR-117 */
static void rings_when_random_never_yield_a_chain_outside_memory(void **state)
{
	(void)state;
	random_rings(FEATURES);
	random_rings(FEATURES | RIG_ORDER);
}

/* Until told to stop. */
static void *race_writer(void *arg)
{
	struct wild *w = arg;
	uint64_t rng = 0x1234567;

	while (!__atomic_load_n(&w->stop, __ATOMIC_ACQUIRE)) {
		write_ring(w, &rng);
		__atomic_fetch_add(&w->n_rewrites, 1, __ATOMIC_RELEASE);
	}
	return NULL;
}

/* VR-024, VR-084, VU-220 */
static void rings_when_rewritten_while_read_never_yield_a_chain_outside_memory(void **state)
{
	struct wild w = { .stop = false };
	pthread_t thread;

	(void)state;
	w.rng = wild_seed();
	wild_open(&w, FEATURES);
	assert_int_equal(pthread_create(&thread, NULL, race_writer, &w), 0);
	/* A count of rewrites, too: neither side is done before the other was at work. */
	for (unsigned int i = 0; i < RACE_ROUNDS || w.n_chains < RACE_ROUNDS / 10 ||
				 __atomic_load_n(&w.n_rewrites, __ATOMIC_ACQUIRE) < RACE_REWRITES;
	     i++) {
		wild_serve(&w);
		if (i % 64 == 0)
			sched_yield();
	}
	__atomic_store_n(&w.stop, true, __ATOMIC_RELEASE);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_true(w.n_faults > 0);
	rig_close(&w.rig);
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(rings_when_random_never_yield_a_chain_outside_memory),
	UNIT_TEST(rings_when_rewritten_while_read_never_yield_a_chain_outside_memory),
};

UNIT_MAIN(tests)
