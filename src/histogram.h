/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Durations counted by powers of two: small, never full, good for percentiles. */
#ifndef VHU_HISTOGRAM_H
#define VHU_HISTOGRAM_H

#include "base.h"

enum { HISTOGRAM_N_BUCKETS = 40 }; /* the last one begins at nine minutes */

/* bucket[i] counts durations in [2^i, 2^(i+1)) ns; the first also 0, the last all above. */
struct histogram {
	uint64_t n;
	uint64_t sum_ns, max_ns;
	uint64_t bucket[HISTOGRAM_N_BUCKETS];
};

void histogram_add(struct histogram *h, uint64_t ns);

/*
 * The duration in ns that percent of 100 durations do not exceed, as the upper
 * end of its bucket but never above the longest one seen; 0 when there are none.
 */
uint64_t histogram_percentile(const struct histogram *h, unsigned int percent);

#endif
