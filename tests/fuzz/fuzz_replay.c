/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The filter of old output. Input:
 *
 *	byte 0		how many bytes are given at a time, at least 1
 *	the rest	the output
 */

#include "fuzz.h"

#include "backends/replay.h"

/* Room for a whole call of the filter and one of the flush. */
static uint8_t *alloc_out(size_t size)
{
	uint8_t *out = malloc(size + REPLAY_HELD_MAX);

	must(out != NULL);
	return out;
}

/* The size of what comes out at out, when len bytes are given piece by piece. */
static size_t run(const uint8_t *in, size_t len, size_t piece, uint8_t *out)
{
	struct replay r = { 0 };
	size_t n = 0, at = 0;

	while (at < len) {
		size_t take = min_size(piece, len - at);

		n += replay_filter(&r, in + at, take, out + n);
		at += take;
		must(n + r.n_held <= at && r.n_held <= REPLAY_HELD_MAX);
	}
	n += replay_flush(&r, out + n);
	must(n <= len);
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *whole, *pieces, *again;
	size_t len, n;

	if (size == 0)
		return 0;
	len = size - 1;
	whole = alloc_out(len);
	pieces = alloc_out(len);
	again = alloc_out(len);
	n = run(data + 1, len, len + 1, whole);
	must(run(data + 1, len, data[0] ? data[0] : 1, pieces) == n);
	must(memcmp(whole, pieces, n) == 0);
	/* No question is left, and none has come about by taking another out. */
	must(run(whole, n, n + 1, again) == n);
	must(memcmp(whole, again, n) == 0);
	free(whole);
	free(pieces);
	free(again);
	return 0;
}
