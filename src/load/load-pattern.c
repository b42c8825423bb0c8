/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "load/load-pattern.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { PERIOD_MIN = 65536 };

/* A xorshift generator: the same bytes in every run. */
static uint8_t next_byte(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return (uint8_t)(*state >> 32);
}

int load_pattern_init(struct load_pattern *p, size_t chunk)
{
	size_t n_chunks = (PERIOD_MIN / chunk + 3) | 1;
	uint64_t state = UINT64_C(0x9e3779b97f4a7c15);

	p->period = n_chunks * chunk;
	p->bytes = malloc(2 * p->period);
	if (!p->bytes)
		return -ENOMEM;
	for (size_t i = 0; i < p->period; i++)
		p->bytes[i] = next_byte(&state);
	memcpy(p->bytes + p->period, p->bytes, p->period);
	return 0;
}

void load_pattern_fini(struct load_pattern *p)
{
	free(p->bytes);
	p->bytes = NULL;
}

/* The first difference in n bytes that are known to differ. */
static size_t first_difference(const uint8_t *a, const uint8_t *b, size_t n)
{
	size_t i = 0;

	while (i < n && a[i] == b[i])
		i++;
	return i;
}

size_t load_pattern_match(const struct load_pattern *p, uint64_t pos, const void *bytes, size_t len)
{
	const uint8_t *at = bytes;
	size_t done = 0;

	while (done < len) {
		const uint8_t *due = load_pattern_at(p, pos + done);
		size_t n = min_size(len - done, p->period);

		if (memcmp(at + done, due, n) != 0)
			return done + first_difference(at + done, due, n);
		done += n;
	}
	return done;
}

void load_pattern_fill(const struct load_pattern *p, void *bytes, size_t len)
{
	uint8_t *at = bytes;

	for (size_t done = 0; done < len; done += p->period)
		memcpy(at + done, p->bytes, min_size(len - done, p->period));
}
