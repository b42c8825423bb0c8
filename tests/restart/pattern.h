/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Bytes that follow from their position in a stream, and tell it: of any few of them
 * one can say where they come from, so what is lost, doubled or moved is seen at once.
 */
#ifndef VHU_TESTS_PATTERN_H
#define VHU_TESTS_PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	PATTERN_LOCATE = 24, /* bytes that tell their position */
};

struct pattern {
	uint32_t salt; /* of the stream: bytes of another one are never in place */
	bool text;     /* letters, digits, - and _ alone; else all values */
};

uint8_t pattern_byte(const struct pattern *p, uint64_t pos);
void pattern_fill(const struct pattern *p, uint64_t pos, uint8_t *bytes, size_t len);

/* How many of the bytes, from the first on, are those from pos on. */
size_t pattern_match(const struct pattern *p, uint64_t pos, const uint8_t *bytes, size_t len);

/*
 * Where in the stream len bytes (at least PATTERN_LOCATE) come from. False: from nowhere, or
 * not all from one place.
 */
bool pattern_locate(const struct pattern *p, const uint8_t *bytes, size_t len, uint64_t *ret_pos);

#endif
