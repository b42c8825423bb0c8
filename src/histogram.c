/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "histogram.h"

static unsigned int bucket_of(uint64_t ns)
{
	unsigned int log2 = ns == 0 ? 0 : 63 - (unsigned int)__builtin_clzll(ns);

	return log2 < HISTOGRAM_N_BUCKETS ? log2 : HISTOGRAM_N_BUCKETS - 1;
}

void histogram_add(struct histogram *h, uint64_t ns)
{
	h->n++;
	h->sum_ns += ns;
	h->max_ns = ns > h->max_ns ? ns : h->max_ns;
	h->bucket[bucket_of(ns)]++;
}

uint64_t histogram_percentile(const struct histogram *h, unsigned int percent)
{
	uint64_t wanted = h->n / 100 * percent + (h->n % 100 * percent + 99) / 100;
	uint64_t seen = 0;

	if (h->n == 0)
		return 0;
	for (unsigned int i = 0; i < HISTOGRAM_N_BUCKETS - 1; i++) {
		seen += h->bucket[i];
		if (seen >= wanted)
			return min_u64((UINT64_C(2) << i) - 1, h->max_ns);
	}
	return h->max_ns;
}
