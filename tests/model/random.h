/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Random numbers that follow from a seed, and bytes that follow from their position. */
#ifndef VHU_TESTS_MODEL_RANDOM_H
#define VHU_TESTS_MODEL_RANDOM_H

#include "base.h"

enum { PATTERN_RUN = 64 * 1024 }; /* bytes that pattern_at() may be read for */

struct rng {
	uint64_t state; /* not 0 */
};

/* Steps of splitmix64 and xorshift64*. */
static inline struct rng rng_make(uint64_t seed)
{
	uint64_t z = seed + UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	z ^= z >> 31;
	return (struct rng){ .state = z ? z : 1 };
}

static inline uint64_t rng_next(struct rng *r)
{
	uint64_t x = r->state;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	r->state = x;
	return x * UINT64_C(0x2545f4914f6cdd1d);
}

/* Below n, which is not 0. */
static inline uint32_t rng_below(struct rng *r, uint32_t n)
{
	return (uint32_t)(((rng_next(r) >> 32) * n) >> 32);
}

static inline bool rng_one_in(struct rng *r, uint32_t n)
{
	return rng_below(r, n) == 0;
}

/* A length up to max: mostly short ones, some of all kinds. */
uint32_t rng_len(struct rng *r, uint32_t max);

/* PATTERN_RUN bytes of a stream from pos on; another key, another stream. */
const uint8_t *pattern_at(uint32_t key, uint64_t pos);

#endif
