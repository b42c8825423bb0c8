/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "pattern.h"

#include <string.h>

/* A cell of eight bytes is its number, mixed so that it can be told from them. */
enum { CELL = 8 };

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* Bytes of another stream are somewhere beyond. */
#define CELLS_MAX (UINT64_C(1) << 42)

#define FIRST UINT64_C(0x9e3779b97f4a7c15)
#define SECOND UINT64_C(0xbf58476d1ce4e5b9)
#define STREAM UINT64_C(0xd6e8feb86659fd93)

static unsigned int bits_of(const struct pattern *p)
{
	return p->text ? 6 * CELL : 8 * CELL;
}

static uint64_t mask_of(const struct pattern *p)
{
	return UINT64_MAX >> (64 - bits_of(p));
}

static uint64_t mix(const struct pattern *p, uint64_t n)
{
	unsigned int half = bits_of(p) / 2;
	uint64_t x = (n + p->salt * STREAM) & mask_of(p);

	x = (x ^ x >> half) * FIRST & mask_of(p);
	x = (x ^ x >> half) * SECOND & mask_of(p);
	return x ^ x >> half;
}

/* What times an odd number is 1, modulo 2 to the 64: each round doubles the bits that are right. */
static uint64_t inverse(uint64_t odd)
{
	uint64_t x = odd;

	for (int i = 0; i < 5; i++)
		x *= 2 - odd * x;
	return x;
}

static uint64_t unmix(const struct pattern *p, uint64_t x)
{
	unsigned int half = bits_of(p) / 2;

	x = (x ^ x >> half) * inverse(SECOND) & mask_of(p);
	x = (x ^ x >> half) * inverse(FIRST) & mask_of(p);
	x = x ^ x >> half;
	return (x - p->salt * STREAM) & mask_of(p);
}

static void make_cell(const struct pattern *p, uint64_t n, uint8_t *bytes)
{
	uint64_t x = mix(p, n);

	for (unsigned int i = 0; i < CELL; i++, x >>= bits_of(p) / CELL)
		bytes[i] = (uint8_t)(p->text ? (uint64_t)alphabet[x & 63] : x);
}

static bool read_cell(const struct pattern *p, const uint8_t *bytes, uint64_t *ret_n)
{
	unsigned int width = bits_of(p) / CELL;
	uint64_t x = 0;

	for (unsigned int i = 0; i < CELL; i++) {
		const char *at = bytes[i] ? strchr(alphabet, bytes[i]) : NULL;

		if (p->text && !at)
			return false;
		x |= (p->text ? (uint64_t)(at - alphabet) : bytes[i]) << (width * i);
	}
	*ret_n = unmix(p, x);
	return true;
}

void pattern_fill(const struct pattern *p, uint64_t pos, uint8_t *bytes, size_t len)
{
	uint8_t cell[CELL];

	while (len > 0) {
		size_t at = pos % CELL;
		size_t n = len < CELL - at ? len : CELL - at;

		make_cell(p, pos / CELL, cell);
		memcpy(bytes, cell + at, n);
		pos += n;
		bytes += n;
		len -= n;
	}
}

uint8_t pattern_byte(const struct pattern *p, uint64_t pos)
{
	uint8_t byte;

	pattern_fill(p, pos, &byte, 1);
	return byte;
}

size_t pattern_match(const struct pattern *p, uint64_t pos, const uint8_t *bytes, size_t len)
{
	uint8_t due[512];
	size_t done = 0;

	while (done < len) {
		size_t n = len - done < sizeof(due) ? len - done : sizeof(due);
		size_t i = 0;

		pattern_fill(p, pos + done, due, n);
		if (memcmp(due, bytes + done, n) != 0) {
			while (due[i] == bytes[done + i])
				i++;
			return done + i;
		}
		done += n;
	}
	return len;
}

bool pattern_locate(const struct pattern *p, const uint8_t *bytes, size_t len, uint64_t *ret_pos)
{
	if (len < PATTERN_LOCATE)
		return false;
	for (unsigned int first = 0; first < CELL; first++) {
		uint64_t n;

		if (!read_cell(p, bytes + first, &n) || n >= CELLS_MAX || n * CELL < first)
			continue;
		if (pattern_match(p, n * CELL - first, bytes, len) == len) {
			*ret_pos = n * CELL - first;
			return true;
		}
	}
	return false;
}
