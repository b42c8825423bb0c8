/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "load/latency.h"

enum {
	SUB = 1 << LATENCY_SUB_BITS,
	LAST = LATENCY_N_BUCKETS - 1,
};

/*
 * Bucket i below SUB counts the value i alone; above, row r = i / SUB (1 or
 * more) covers one power of two in SUB buckets of 2^(r - 1) each.
 */
static unsigned int bucket_of(uint64_t ns)
{
	unsigned int row, i;

	if (ns < SUB)
		return (unsigned int)ns;
	row = 64 - LATENCY_SUB_BITS - (unsigned int)__builtin_clzll(ns);
	i = (row << LATENCY_SUB_BITS) + (unsigned int)((ns >> (row - 1)) - SUB);
	return row < LATENCY_N_BUCKETS >> LATENCY_SUB_BITS ? i : LAST;
}

void latency_bucket(unsigned int i, uint64_t *ret_low, uint64_t *ret_high)
{
	unsigned int row = i >> LATENCY_SUB_BITS;
	uint64_t sub = i & (SUB - 1);

	*ret_low = row == 0 ? sub : (SUB + sub) << (row - 1);
	*ret_high = row == 0 ? sub + 1 : (SUB + sub + 1) << (row - 1);
	if (i == LAST)
		*ret_high = UINT64_MAX;
}

void latency_add(struct latency *l, uint64_t ns)
{
	l->min_ns = l->n == 0 ? ns : min_u64(l->min_ns, ns);
	l->max_ns = ns > l->max_ns ? ns : l->max_ns;
	l->n++;
	l->sum_ns += ns;
	l->bucket[bucket_of(ns)]++;
}

void latency_merge(struct latency *l, const struct latency *other)
{
	if (other->n == 0)
		return;
	l->min_ns = l->n == 0 ? other->min_ns : min_u64(l->min_ns, other->min_ns);
	l->max_ns = other->max_ns > l->max_ns ? other->max_ns : l->max_ns;
	l->n += other->n;
	l->sum_ns += other->sum_ns;
	for (unsigned int i = 0; i < LATENCY_N_BUCKETS; i++)
		l->bucket[i] += other->bucket[i];
}

/* How many values a share of them is, rounded up: 1 to l->n. */
static uint64_t values_in(const struct latency *l, double share)
{
	double exact = share * (double)l->n;
	uint64_t n;

	if (exact >= (double)l->n)
		return l->n;
	if (!(exact > 1))
		return 1;
	n = (uint64_t)exact;
	/* 0.99 of 100 is a little above 99 in binary; it still means 99. */
	return exact - (double)n > 1e-6 ? n + 1 : n;
}

uint64_t latency_at(const struct latency *l, double share)
{
	uint64_t wanted, seen = 0;

	if (l->n == 0)
		return 0;
	wanted = values_in(l, share);
	if (wanted == l->n)
		return l->max_ns;
	for (unsigned int i = 0; i < LATENCY_N_BUCKETS; i++) {
		uint64_t low, high;

		seen += l->bucket[i];
		if (seen < wanted)
			continue;
		latency_bucket(i, &low, &high);
		return high - 1 < l->max_ns ? high - 1 : l->max_ns;
	}
	return l->max_ns;
}
