/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A ring whose memory the input fills. Input: bytes 0 to 3 as ring-side.h has
 * them, the number of operations, the operations, the memory.
 */
#include "ring-side.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct ring_side f;
	size_t n_ops, at = RING_SIDE_HEAD + 1;

	if (size < at)
		return 0;
	if (!f.mem)
		ring_side_map(&f);
	n_ops = min_size(data[RING_SIDE_HEAD], size - at);
	ring_side_fill(&f, data + at + n_ops, size - at - n_ops);
	ring_side_start(&f, data);
	for (size_t i = 0; i < n_ops; i++)
		ring_side_do(&f, data[at + i]);
	while (ring_side_pop(&f) == POP_CHAIN)
		continue;
	virtq_stop(&f.q);
	return 0;
}
