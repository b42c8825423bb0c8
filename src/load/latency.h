/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Latencies counted in buckets whose width grows with the value (log-linear):
 * 64 to each power of two, so a percentile is exact to 1.6 %.
 */
#ifndef VHU_LOAD_LATENCY_H
#define VHU_LOAD_LATENCY_H

#include "base.h"

enum {
	LATENCY_SUB_BITS = 6,
	LATENCY_N_BUCKETS = (41 - LATENCY_SUB_BITS) << LATENCY_SUB_BITS, /* up to 18 minutes */
};

struct latency {
	uint64_t n, sum_ns, min_ns, max_ns;
	uint64_t bucket[LATENCY_N_BUCKETS];
};

void latency_add(struct latency *l, uint64_t ns);
void latency_merge(struct latency *l, const struct latency *other);

/* The value that a share of all values does not exceed: 0.5, 0.99, 0.999. 0 when there are none. */
uint64_t latency_at(const struct latency *l, double share);

/* The range of values that bucket i counts: from *ret_low, ret_high excluded. */
void latency_bucket(unsigned int i, uint64_t *ret_low, uint64_t *ret_high);

#endif
