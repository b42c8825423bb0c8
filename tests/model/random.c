/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "random.h"

/* A prime, so that no power of two of bytes too many or too few goes unnoticed. */
enum { PERIOD = 65521, KEY_STRIDE = 7919 };

uint32_t rng_len(struct rng *r, uint32_t max)
{
	uint32_t n;

	switch (rng_below(r, 8)) {
	case 0:
		n = rng_below(r, 4);
		break;
	case 1:
	case 2:
	case 3:
		n = 1 + rng_below(r, 64);
		break;
	case 4:
	case 5:
	case 6:
		n = 1 + rng_below(r, 4096);
		break;
	default:
		n = rng_below(r, max + 1);
		break;
	}
	return n < max ? n : max;
}

const uint8_t *pattern_at(uint32_t key, uint64_t pos)
{
	static uint8_t bytes[PERIOD + PATTERN_RUN];
	static bool made;

	if (!made) {
		struct rng r = rng_make(1);

		for (uint32_t i = 0; i < PERIOD; i++)
			bytes[i] = (uint8_t)rng_next(&r);
		for (uint32_t i = PERIOD; i < sizeof(bytes); i++)
			bytes[i] = bytes[i - PERIOD];
		made = true;
	}
	return &bytes[(pos % PERIOD + (uint64_t)key * KEY_STRIDE) % PERIOD];
}
