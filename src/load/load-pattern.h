/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What flows through a port under load: bytes of all values that look random
 * and come again after a period of some 64 KiB. Position n of a stream holds byte
 * n modulo the period, so a byte that was lost, doubled or swapped shows. The
 * period is an odd number of chunks: what a buffer held before is not what is
 * due in it now.
 */
#ifndef VHU_LOAD_LOAD_PATTERN_H
#define VHU_LOAD_LOAD_PATTERN_H

#include "base.h"

struct load_pattern {
	uint8_t *bytes; /* two periods */
	size_t period;
};

/* Zero or -ENOMEM; load_pattern_fini() is allowed either way. */
int load_pattern_init(struct load_pattern *p, size_t chunk);
void load_pattern_fini(struct load_pattern *p);

/* Bytes from position pos on; there is at least a period of them in one piece. */
static inline const uint8_t *load_pattern_at(const struct load_pattern *p, uint64_t pos)
{
	return p->bytes + pos % p->period;
}

/* How many of the len bytes are what is due from position pos on: len, if all are. */
size_t load_pattern_match(const struct load_pattern *p, uint64_t pos, const void *bytes,
			  size_t len);

/* Fills len bytes as from position 0 on. */
void load_pattern_fill(const struct load_pattern *p, void *bytes, size_t len);

#endif
