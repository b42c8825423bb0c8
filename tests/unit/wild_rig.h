/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Random rings, and a device that serves what it gets out of them. RING_SEED=n repeats a run. */
#ifndef VHU_TESTS_WILD_RIG_H
#define VHU_TESTS_WILD_RIG_H

#include <stdlib.h>
#include <sys/random.h>

#include "ring_rig.h"

enum { WILD_SIZE = 8 };

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

static inline uint64_t wild_seed(void)
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

static inline void wild_open(struct wild *w, uint64_t features)
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
	w->rig.features = features;
	assert_int_equal(driverq_init(&w->rig.driver, w->rig.host, RIG_GUEST, WILD_SIZE, features),
			 0);
	assert_int_equal(virtq_init(&w->rig.device, WILD_SIZE, features), 0);
	rig_start(&w->rig, 0);
}

/* A descriptor that is wrong in some way about as often as not. */
static inline struct vring_desc wild_desc(uint64_t *rng, uint32_t size)
{
	static const uint64_t places[] = { RIG_GUEST,	       RIG_GUEST + 0x1000,
					   RIG_GUEST + 0x1800, WILD_SEAM - 100,
					   WILD_SEAM + 0xf00,  WILD_APART,
					   WILD_APART + 0xa00, RIG_GUEST - 50 };
	static const uint32_t lens[] = { 0, 1, 16, 32, 64, 200, 0x1100, UINT32_MAX };
	static const uint16_t flags[] = { 0, 0, 1, 1, 3, 2, 4, 6, 5, 0xfff8 };
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

/* Whatever was offered: what comes out may be used as it is. Reads every byte. */
static inline void wild_check_chain(struct wild *w, const struct chain *chain)
{
	uint64_t sums[2] = { 0, 0 };
	unsigned char sink = 0;

	assert_true(chain->head < w->rig.driver.size);
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

/* Where the ring goes on after it broke: anywhere in a packed one. */
static inline uint32_t wild_base(struct wild *w)
{
	uint32_t at = rig_below(&w->rng, WILD_SIZE);

	if (!(w->rig.features & RIG_PACKED))
		return vring_avail_idx(&w->rig.driver.ring);
	return (at | (rig_below(&w->rng, 2) << 15)) * 0x10001;
}

/* Serves what is there with random use of the interface, then starts afresh if broken. */
static inline void wild_serve(struct wild *w)
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
		unsigned int i = w->rig.features & RIG_ORDER ? 0 : rig_below(&w->rng, n_held);

		virtq_push(q, held[i], 0);
		memmove(&held[i], &held[i + 1], (--n_held - i) * sizeof(held[0]));
	}
	virtq_publish(q);
	if (rig_below(&w->rng, 4) == 0) {
		struct virtq_ring ring = driver_ring(&w->rig.driver, w->rig.mem);

		virtq_set_memory(q, &ring, w->rig.mem);
	}
	virtq_kicks_on(q);
	if (virtq_broken(q) != VIRTQ_FAULT_NONE) {
		w->n_faults++;
		rig_start(&w->rig, wild_base(w));
	}
}

#endif
