/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What is wrong with a memory region, as a sentence. */
#include <assert.h>

#include "base.h"
#include "virtio/gmem.h"

static const char *const result_texts[] = {
	[GMEM_OK] = "memory is mapped",
	[GMEM_EMPTY_REGION] = "a memory region must not be empty",
	[GMEM_WRAPS] = "a memory region must end below 2^64 in every address space",
	[GMEM_OVERLAP] = "memory regions must not overlap in guest or user addresses",
	[GMEM_PAST_FILE] = "a memory region must lie inside its file",
	[GMEM_MAP_FAILED] = "a memory region needs a file that can be mapped shared and writable",
	[GMEM_TOO_MANY] = "there may be 256 memory regions at most",
	[GMEM_TOO_LARGE] = "all regions together may have 8 TiB at most",
	[GMEM_NOT_FOUND] = "a region to be removed must match one in addresses and size",
	[GMEM_NO_MEMORY] = "the device needs memory of its own for the table",
};

const char *gmem_result_text(enum gmem_result result)
{
	assert((size_t)result < ARRAY_SIZE(result_texts));
	return result_texts[result];
}
