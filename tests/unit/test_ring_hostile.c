/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A driver that breaks the rules: each fault alone, then random rings, then a
 * thread that rewrites the ring while it is read. RING_SEED=n repeats a run.
 */
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "unit.h"

#include "base.h"
#include "virtio/virtq.h"

#include "ring_rig.h"

enum {
	N = VRING_DESC_F_NEXT,
	W = VRING_DESC_F_WRITE,
	I = VRING_DESC_F_INDIRECT,
	SIZE = 4,
	WILD_SIZE = 8,
	WILD_RINGS = 30000,
	RACE_ROUNDS = 50000,
	RACE_REWRITES = 1000,
};

/* Where rig_open() puts things for a ring of 4. */
#define TABLE (RIG_GUEST + 0x1000)
#define DATA (RIG_GUEST + 0x2000)
#define END (DATA + RIG_DATA_BYTES)
#define FAR RIG_NOWHERE

struct hostile_row {
	const char *what;
	enum virtq_fault fault;
	bool no_indirect;
	uint16_t head;
	struct vring_desc desc[SIZE];
	struct vring_desc table[SIZE];
};

/* VR-016 to VR-018, VR-022, VR-027 to VR-032, VR-039, VU-213 to VU-218 */
static const struct hostile_row rows[] = {
	{ "head is the ring size", VIRTQ_FAULT_HEAD_RANGE, .head = 4 },
	{ "head is 65535", VIRTQ_FAULT_HEAD_RANGE, .head = 65535 },
	{ "next is the ring size", VIRTQ_FAULT_NEXT_RANGE, .desc = { { DATA, 1, N, 4 } } },
	{ "next is 65535", VIRTQ_FAULT_NEXT_RANGE, .desc = { { DATA, 1, N, 65535 } } },
	{ "a link to itself", VIRTQ_FAULT_CHAIN_LONG, .desc = { { DATA, 1, N, 0 } } },
	{ "a loop of two", VIRTQ_FAULT_CHAIN_LONG,
	  .desc = { { DATA, 1, N, 1 }, { DATA, 1, N, 0 } } },
	{ "a loop of empty buffers", VIRTQ_FAULT_CHAIN_LONG,
	  .desc = { { DATA, 0, N, 1 }, { DATA, 0, N, 0 } } },
	{ "readable after writable", VIRTQ_FAULT_ORDER,
	  .desc = { { DATA, 1, N | W, 1 }, { DATA, 1, 0, 0 } } },
	{ "a buffer below memory", VIRTQ_FAULT_UNMAPPED, .desc = { { RIG_GUEST - 1, 2, 0, 0 } } },
	{ "a buffer over the end", VIRTQ_FAULT_UNMAPPED, .desc = { { END - 1, 2, W, 0 } } },
	{ "a buffer at the end", VIRTQ_FAULT_UNMAPPED, .desc = { { END, 1, 0, 0 } } },
	{ "a buffer over 2^64", VIRTQ_FAULT_UNMAPPED, .desc = { { UINT64_MAX - 15, 32, 0, 0 } } },
	{ "the largest address and length", VIRTQ_FAULT_UNMAPPED,
	  .desc = { { UINT64_MAX, UINT32_MAX, W, 0 } } },
	{ "the largest length", VIRTQ_FAULT_UNMAPPED, .desc = { { DATA, UINT32_MAX, 0, 0 } } },
	{ "a user address", VIRTQ_FAULT_UNMAPPED, .desc = { { RIG_USER, 1, 0, 0 } } },
	{ "bad second buffer", VIRTQ_FAULT_UNMAPPED,
	  .desc = { { DATA, 1, N, 1 }, { FAR, 1, W, 0 } } },
	{ "indirect without the feature", VIRTQ_FAULT_INDIRECT_FEATURE, .no_indirect = true,
	  .desc = { { TABLE, 16, I, 0 } }, .table = { { DATA, 1, 0, 0 } } },
	{ "indirect and next", VIRTQ_FAULT_INDIRECT_NEXT,
	  .desc = { { TABLE, 16, I | N, 1 }, { DATA, 1, 0, 0 } }, .table = { { DATA, 1, 0, 0 } } },
	{ "table of 0 bytes", VIRTQ_FAULT_INDIRECT_SIZE, .desc = { { TABLE, 0, I, 0 } } },
	{ "table of 8 bytes", VIRTQ_FAULT_INDIRECT_SIZE, .desc = { { TABLE, 8, I, 0 } } },
	{ "table of 24 bytes", VIRTQ_FAULT_INDIRECT_SIZE, .desc = { { TABLE, 24, I, 0 } } },
	{ "table of 4 GiB", VIRTQ_FAULT_INDIRECT_UNMAPPED,
	  .desc = { { TABLE, UINT32_MAX - 15, I, 0 } }, .table = { { DATA, 1, 0, 0 } } },
	{ "table nowhere", VIRTQ_FAULT_INDIRECT_UNMAPPED, .desc = { { FAR, 16, I, 0 } } },
	{ "table over the end", VIRTQ_FAULT_INDIRECT_UNMAPPED, .desc = { { END - 16, 32, I, 0 } } },
	{ "table over 2^64", VIRTQ_FAULT_INDIRECT_UNMAPPED,
	  .desc = { { UINT64_MAX - 7, 16, I, 0 } } },
	{ "table in a table", VIRTQ_FAULT_INDIRECT_NESTED, .desc = { { TABLE, 64, I, 0 } },
	  .table = { { DATA, 1, N, 1 }, { TABLE, 64, I, 0 } } },
	{ "next is the table's size", VIRTQ_FAULT_NEXT_RANGE, .desc = { { TABLE, 32, I, 0 } },
	  .table = { { DATA, 1, N, 2 }, { DATA, 1, 0, 0 }, { DATA, 1, 0, 0 } } },
	{ "a loop in a table", VIRTQ_FAULT_CHAIN_LONG, .desc = { { TABLE, 32, I, 0 } },
	  .table = { { DATA, 1, N, 1 }, { DATA, 1, N, 0 } } },
	{ "a bad buffer in a table", VIRTQ_FAULT_UNMAPPED, .desc = { { TABLE, 32, I, 0 } },
	  .table = { { DATA, 1, N, 1 }, { END - 1, 2, 0, 0 } } },
	{ "readable after writable in a table", VIRTQ_FAULT_ORDER, .desc = { { TABLE, 32, I, 0 } },
	  .table = { { DATA, 1, N | W, 1 }, { DATA, 1, 0, 0 } } },
	{ "a readable table after a writable buffer", VIRTQ_FAULT_ORDER,
	  .desc = { { DATA, 1, N | W, 1 }, { TABLE, 16, I, 0 } }, .table = { { DATA, 1, 0, 0 } } },
};

/* A good chain must come through; on to a fresh ring. */
static void works_after_restart(struct rig *rig)
{
	struct driverq_buf buf = { rig->data, 64 };
	struct chain chain;

	driverq_reset(&rig->driver);
	rig_start(rig, 0);
	assert_int_equal(driverq_add(&rig->driver, &buf, 1, 0, false, rig), 0);
	driverq_publish(&rig->driver);
	chain = rig_pop(rig);
	assert_int_equal(chain.out_len, 64);
	virtq_push(&rig->device, chain.head, 0);
	assert_true(virtq_publish(&rig->device));
}

/* The next pop must break the ring for this reason, with nothing touched or moved. */
static void pop_breaks(struct rig *rig, enum virtq_fault fault, const char *what)
{
	unsigned char *before = malloc(rig->len);
	uint32_t base = virtq_base(&rig->device);
	struct chain chain = { .head = 0x1234 };

	assert_non_null(before);
	memcpy(before, rig->host, rig->len);
	if (virtq_pop(&rig->device, &chain) != POP_BROKEN)
		fail_msg("%s: taken", what);
	if (virtq_broken(&rig->device) != fault)
		fail_msg("%s: %s", what, virtq_fault_text(virtq_broken(&rig->device)));
	assert_int_equal(chain.head, 0x1234);
	assert_int_equal(virtq_base(&rig->device), base);
	assert_false(virtq_publish(&rig->device));
	assert_memory_equal(rig->host, before, rig->len);
	free(before);
}

/* VR-114, VR-115 */
static void ring_when_a_rule_is_broken_stops_for_that_reason(void **state)
{
	struct rig rig;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct hostile_row *row = &rows[i];

		rig_open(&rig, SIZE, RIG_V1 | (row->no_indirect ? 0 : RIG_INDIRECT));
		assert_true(rig.tables == TABLE && rig.data == DATA);
		for (uint32_t k = 0; k < SIZE; k++) {
			vring_desc_store(&rig.driver.ring, k, row->desc[k]);
			rig_table_desc(&rig, TABLE, k, row->table[k].addr, row->table[k].len,
				       row->table[k].flags, row->table[k].next);
		}
		rig_offer(&rig, row->head);
		pop_breaks(&rig, row->fault, row->what);
		works_after_restart(&rig);
		rig_close(&rig);
	}
}

/* VR-037, VU-213 */
static void ring_when_available_index_jumps_stops(void **state)
{
	static const uint16_t jumps[] = { SIZE + 1, 65535, 32768 };
	struct rig rig;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(jumps); i++) {
		rig_open(&rig, SIZE, RIG_V1);
		works_after_restart(&rig);
		vring_set_avail_idx(&rig.driver.ring, (uint16_t)(1 + jumps[i]));
		assert_true(virtq_has_avail(&rig.device));
		pop_breaks(&rig, VIRTQ_FAULT_AVAIL_JUMP, "index jump");
		works_after_restart(&rig);
		rig_close(&rig);
	}
}

/* VR-040 */
static void ring_when_a_head_is_offered_twice_stops_at_the_second(void **state)
{
	struct chain chain;
	struct rig rig;

	(void)state;
	rig_open(&rig, SIZE, RIG_V1);
	rig_desc(&rig, 2, DATA, 1, 0, 0);
	rig_offer(&rig, 2);
	rig_offer(&rig, 2);
	chain = rig_pop(&rig);
	pop_breaks(&rig, VIRTQ_FAULT_HEAD_IN_USE, "duplicate");
	virtq_push(&rig.device, chain.head, 0);
	virtq_publish(&rig.device);
	works_after_restart(&rig);
	rig_close(&rig);
}

/* VR-016: 2^32 - 1 bytes are the most, in each direction. */
static void ring_when_a_chain_has_too_many_bytes_stops(void **state)
{
	const uint32_t half = UINT32_C(1) << 31;
	struct chain chain;
	struct rig rig;

	(void)state;
	rig_open_data(&rig, SIZE, RIG_V1, half);
	for (unsigned int flags = 0; flags <= W; flags += W) {
		works_after_restart(&rig);
		rig_desc(&rig, 1, rig.data, half, N | flags, 2);
		rig_desc(&rig, 2, rig.data, half - 1, flags, 0);
		rig_offer(&rig, 1);
		chain = rig_pop(&rig);
		assert_int_equal(chain.out_len + chain.in_len, UINT32_MAX);
		virtq_push(&rig.device, chain.head, 0);
		rig_desc(&rig, 2, rig.data, half, flags, 0);
		rig_offer(&rig, 1);
		assert_int_equal(virtq_pop(&rig.device, &chain), POP_BROKEN);
		assert_int_equal(virtq_broken(&rig.device), VIRTQ_FAULT_TOO_LARGE);
	}
	rig_close(&rig);
}

/* VR-014, VR-116: one link more than a chain may have, though the table is longer. */
static void ring_when_a_table_chain_is_too_long_stops(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig, SIZE, RIG_V1 | RIG_INDIRECT);
	for (uint32_t i = 0; i <= VIRTQ_MIN_CHAIN_LIMIT; i++)
		rig_table_desc(&rig, DATA, i, DATA, 1, i < VIRTQ_MIN_CHAIN_LIMIT ? N : 0, i + 1);
	rig_desc(&rig, 0, DATA, (VIRTQ_MIN_CHAIN_LIMIT + 1) * 16, I, 0);
	rig_offer(&rig, 0);
	pop_breaks(&rig, VIRTQ_FAULT_CHAIN_LONG, "long table");
	rig_close(&rig);
}

/* VR-116: pieces of buffers are bounded too, not only descriptors. */
static void ring_when_buffers_lie_across_all_regions_stays_bounded(void **state)
{
	struct gmem_region *regions[GMEM_MAX_REGIONS];
	const uint32_t n = 10;
	struct chain chain;
	struct rig rig;

	(void)state;
	memset(&rig, 0, sizeof(rig));
	rig.features = RIG_V1 | RIG_INDIRECT;
	for (uint64_t i = 0; i < GMEM_MAX_REGIONS; i++)
		regions[i] = rig_region(RIG_GUEST + i * 4096, RIG_USER + i * 4096, 4096);
	rig.mem = rig_gmem(regions, GMEM_MAX_REGIONS);
	rig.host = gmem_host_from_guest(rig.mem, RIG_GUEST, 4096);
	assert_int_equal(driverq_init(&rig.driver, rig.host, RIG_GUEST, SIZE, rig.features), 0);
	assert_int_equal(virtq_init(&rig.device, SIZE, rig.features), 0);
	rig_start(&rig, 0);
	for (uint32_t i = 0; i < n; i++)
		rig_table_desc(&rig, RIG_GUEST + 1024, i, RIG_GUEST, GMEM_MAX_REGIONS * 4096,
			       i + 1 < n ? N : 0, i + 1);
	rig_desc(&rig, 0, RIG_GUEST + 1024, n * 16, I, 0);
	rig_desc(&rig, 1, RIG_GUEST, GMEM_MAX_REGIONS * 4096, 0, 0);
	rig_offer(&rig, 1);
	chain = rig_pop(&rig);
	assert_int_equal(chain.n_out, GMEM_MAX_REGIONS);
	rig_offer(&rig, 0);
	assert_int_equal(virtq_pop(&rig.device, &chain), POP_BROKEN);
	assert_int_equal(virtq_broken(&rig.device), VIRTQ_FAULT_TOO_SCATTERED);
	rig_close(&rig);
}

/* Memory for random rings: two regions that adjoin and one apart, of odd size. */
struct wild {
	struct rig rig;
	struct {
		unsigned char *host;
		size_t len;
	} parts[3];
	uint64_t rng;
	unsigned int n_chains;
	unsigned int n_faults;
	unsigned int n_rewrites;
	unsigned char sink; /* of all bytes read: so that they are */
	bool stop;
};

#define WILD_SEAM (RIG_GUEST + 0x2000)
#define WILD_APART (RIG_GUEST + 0x100000)

static uint64_t wild_seed(void)
{
	const char *wanted = getenv("RING_SEED");
	uint64_t seed = 0;

	if (wanted)
		seed = strtoull(wanted, NULL, 0);
	else if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		fail_msg("no random seed");
	print_message("# RING_SEED=%#llx\n", (unsigned long long)seed);
	return seed ? seed : 1;
}

static void wild_open(struct wild *w, unsigned int size)
{
	static const uint64_t places[] = { RIG_GUEST, WILD_SEAM, WILD_APART };
	static const size_t sizes[] = { 0x2000, 0x1000, 0xabc };
	struct gmem_region *regions[3];

	for (size_t i = 0; i < 3; i++)
		regions[i] = rig_region(places[i], RIG_USER + (i << 20), sizes[i]);
	w->rig.mem = rig_gmem(regions, 3);
	for (size_t i = 0; i < 3; i++) {
		w->parts[i].host = gmem_host_from_guest(w->rig.mem, places[i], sizes[i]);
		w->parts[i].len = sizes[i];
	}
	w->rig.host = w->parts[0].host;
	w->rig.features = RIG_V1 | RIG_INDIRECT | RIG_EVENT;
	assert_int_equal(
		driverq_init(&w->rig.driver, w->rig.host, RIG_GUEST, size, w->rig.features), 0);
	assert_int_equal(virtq_init(&w->rig.device, size, w->rig.features), 0);
	rig_start(&w->rig, 0);
}

/* A descriptor that is wrong in some way about as often as not. */
static struct vring_desc wild_desc(uint64_t *rng, uint32_t size)
{
	static const uint64_t places[] = { RIG_GUEST,	       RIG_GUEST + 0x1000,
					   RIG_GUEST + 0x1800, WILD_SEAM - 100,
					   WILD_SEAM + 0xf00,  WILD_APART,
					   WILD_APART + 0xa00, RIG_GUEST - 50 };
	static const uint32_t lens[] = { 0, 1, 16, 32, 64, 200, 0x1100, UINT32_MAX };
	static const uint16_t flags[] = { 0, 0, N, N, N | W, W, I, I | W, I | N, 0xfff8 };
	struct vring_desc desc = {
		.addr = places[rig_below(rng, ARRAY_SIZE(places))] + rig_below(rng, 64),
		.len = lens[rig_below(rng, rig_below(rng, 8) ? 6 : 8)],
		.flags = flags[rig_below(rng, ARRAY_SIZE(flags))],
		.next = (uint16_t)rig_below(rng, rig_below(rng, 8) ? size : size + 2),
	};

	if (rig_below(rng, 100) == 0)
		desc.addr = UINT64_MAX - rig_below(rng, 40);
	return desc;
}

/* New descriptors, tables where descriptors may point, and entries. */
static void wild_write_ring(struct wild *w, uint64_t *rng)
{
	const struct vring *ring = &w->rig.driver.ring;

	for (uint32_t i = 0; i < ring->size; i++) {
		uint64_t table = RIG_GUEST + 0x1000 + (uint64_t)rig_below(rng, 200) * 16;

		vring_desc_store(ring, i, wild_desc(rng, ring->size));
		vring_desc_write((void *)rig_at(&w->rig, table), wild_desc(rng, 4));
		vring_set_avail_entry(
			ring, (uint16_t)i,
			(uint16_t)rig_below(rng, rig_below(rng, 8) ? ring->size : 70000));
	}
}

/* Whatever was offered: what comes out may be used as it is. Reads every byte. */
static void wild_check_chain(struct wild *w, const struct chain *chain)
{
	uint64_t sums[2] = { 0, 0 };
	unsigned char sink = 0;

	assert_true(chain->head < w->rig.driver.ring.size);
	for (unsigned int i = 0; i < chain->n_out + chain->n_in; i++) {
		const unsigned char *base = chain->iov[i].iov_base;
		size_t len = chain->iov[i].iov_len;
		size_t part = 0;

		while (part < 3 && (size_t)(base - w->parts[part].host) >= w->parts[part].len)
			part++;
		assert_true(part < 3 && len > 0);
		assert_true(len <= w->parts[part].len - (size_t)(base - w->parts[part].host));
		sums[i >= chain->n_out] += len;
		for (size_t k = 0; k < len; k++)
			sink ^= __atomic_load_n(base + k, __ATOMIC_RELAXED);
	}
	assert_true(sums[0] == chain->out_len && sums[1] == chain->in_len);
	assert_true(sums[0] <= UINT32_MAX && sums[1] <= UINT32_MAX);
	w->sink ^= sink;
	w->n_chains++;
}

/* Serves what is there with random use of the interface, then starts afresh if broken. */
static void wild_serve(struct wild *w)
{
	struct virtq *q = &w->rig.device;
	uint16_t held[WILD_SIZE];
	unsigned int n_held = 0;
	struct chain chain;

	while (n_held < q->size && virtq_pop(q, &chain) == POP_CHAIN) {
		wild_check_chain(w, &chain);
		held[n_held++] = chain.head;
		if (rig_below(&w->rng, 8) == 0) {
			unsigned int n = 1 + rig_below(&w->rng, n_held);

			virtq_unpop(q, n);
			n_held -= n;
			break;
		}
	}
	while (n_held > 0) {
		unsigned int i = rig_below(&w->rng, n_held);

		virtq_push(q, held[i], 0);
		held[i] = held[--n_held];
	}
	virtq_publish(q);
	if (rig_below(&w->rng, 4) == 0) {
		struct virtq_ring ring = driver_ring(&w->rig.driver, w->rig.mem);

		virtq_set_memory(q, &ring, w->rig.mem);
	}
	virtq_kicks_on(q);
	if (virtq_broken(q) != VIRTQ_FAULT_NONE) {
		w->n_faults++;
		rig_start(&w->rig, vring_avail_idx(&w->rig.driver.ring));
	}
}

/* VR-117 */
static void rings_when_random_never_yield_a_chain_outside_memory(void **state)
{
	struct wild w = { .stop = false };

	(void)state;
	w.rng = wild_seed();
	wild_open(&w, WILD_SIZE);
	for (unsigned int i = 0; i < WILD_RINGS; i++) {
		const struct vring *ring = &w.rig.driver.ring;
		uint16_t idx = vring_avail_idx(ring);

		wild_write_ring(&w, &w.rng);
		idx = (uint16_t)(idx + rig_below(&w.rng, rig_below(&w.rng, 16) ? 3 : 100));
		vring_set_avail_idx(ring, idx);
		wild_serve(&w);
	}
	assert_true(w.n_chains > WILD_RINGS / 100);
	assert_true(w.n_faults > WILD_RINGS / 100);
	rig_close(&w.rig);
}

/* Until told to stop: everything that a device reads but the index. */
static void *race_writer(void *arg)
{
	struct wild *w = arg;
	uint64_t rng = 0x1234567;

	while (!__atomic_load_n(&w->stop, __ATOMIC_ACQUIRE)) {
		wild_write_ring(w, &rng);
		__atomic_fetch_add(&w->n_rewrites, 1, __ATOMIC_RELEASE);
	}
	return NULL;
}

/* VR-024, VU-220 */
static void rings_when_rewritten_while_read_never_yield_a_chain_outside_memory(void **state)
{
	struct wild w = { .stop = false };
	const struct vring *ring = &w.rig.driver.ring;
	pthread_t thread;

	(void)state;
	w.rng = wild_seed();
	wild_open(&w, WILD_SIZE);
	assert_int_equal(pthread_create(&thread, NULL, race_writer, &w), 0);
	/* A count of rewrites, too: neither side is done before the other was at work. */
	for (unsigned int i = 0; i < RACE_ROUNDS || w.n_chains < RACE_ROUNDS / 10 ||
				 __atomic_load_n(&w.n_rewrites, __ATOMIC_ACQUIRE) < RACE_REWRITES;
	     i++) {
		vring_set_avail_idx(ring, (uint16_t)(vring_avail_idx(ring) + rig_below(&w.rng, 3)));
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
	UNIT_TEST(ring_when_a_rule_is_broken_stops_for_that_reason),
	UNIT_TEST(ring_when_available_index_jumps_stops),
	UNIT_TEST(ring_when_a_head_is_offered_twice_stops_at_the_second),
	UNIT_TEST(ring_when_a_chain_has_too_many_bytes_stops),
	UNIT_TEST(ring_when_a_table_chain_is_too_long_stops),
	UNIT_TEST(ring_when_buffers_lie_across_all_regions_stays_bounded),
	UNIT_TEST(rings_when_random_never_yield_a_chain_outside_memory),
	UNIT_TEST(rings_when_rewritten_while_read_never_yield_a_chain_outside_memory),
};

UNIT_MAIN(tests)
