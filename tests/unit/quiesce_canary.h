/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Memory that is the front-end's again is filled with a canary: whoever writes
 * to it is seen here, whoever reads it gives the peer bytes that are none of the
 * stream's.
 */
#ifndef VHU_TESTS_QUIESCE_CANARY_H
#define VHU_TESTS_QUIESCE_CANARY_H

#include "quiesce_rig.h"

enum { CANARY = 0xa5, CANARY_ALL = (1 << Q_N_REGIONS) - 1 };

static uint8_t *canary_kept[Q_N_REGIONS]; /* what was in a region */
static struct span canary_freed[SPANS_MAX];
static unsigned int canary_n_freed, canary_n_gone; /* those there was a place for; all */

/* The regions of a mask: in the guest's memory itself. */
static inline void canary_fill(unsigned int regions)
{
	for (unsigned int i = 0; i < Q_N_REGIONS; i++) {
		if (!(regions & (1u << i)))
			continue;
		canary_kept[i] = malloc(Q_REGION_LEN);
		assert_non_null(canary_kept[i]);
		memcpy(canary_kept[i], rig->fe.regions[i].host, Q_REGION_LEN);
		memset(rig->fe.regions[i].host, CANARY, Q_REGION_LEN);
	}
}

/* Of these mappings of the daemon's, the places of those that are gone. */
static inline void canary_fill_freed(const struct span *before, unsigned int n_before)
{
	struct span after[SPANS_MAX];
	unsigned int n_after = q_find_mappings(after);

	canary_n_freed = canary_n_gone = 0;
	for (unsigned int i = 0; i < n_before; i++) {
		size_t len = before[i].end - before[i].start;
		void *at = (void *)before[i].start;
		bool there = false;

		for (unsigned int k = 0; k < n_after; k++)
			there |= after[k].start < before[i].end && before[i].start < after[k].end;
		if (there)
			continue;
		canary_n_gone++;
		if (mmap(at, len, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) != at)
			continue; /* the allocator was faster */
		memset(at, CANARY, len);
		canary_freed[canary_n_freed++] = before[i];
	}
}

static inline void canary_check_bytes(const char *what, const uint8_t *at, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (at[i] != CANARY)
			q_fail("%s was written to at byte 0x%zx after the answer", what, i);
}

/* All of it is as it was filled; then the guest's memory gets its contents back. */
static inline void canary_check(void)
{
	for (unsigned int i = 0; i < canary_n_freed; i++) {
		size_t len = canary_freed[i].end - canary_freed[i].start;
		void *at = (void *)canary_freed[i].start;

		canary_check_bytes("what was mapped", at, len);
		munmap(at, len);
	}
	canary_n_freed = 0;
	for (unsigned int i = 0; i < Q_N_REGIONS; i++) {
		if (!canary_kept[i])
			continue;
		canary_check_bytes("guest memory", rig->fe.regions[i].host, Q_REGION_LEN);
		memcpy(rig->fe.regions[i].host, canary_kept[i], Q_REGION_LEN);
		free(canary_kept[i]);
		canary_kept[i] = NULL;
	}
}

#endif
