/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "load/limit-shared.h"

#include <errno.h>
#include <sys/mman.h>

#include "load/limit.h"

int limit_shared_new(size_t len, void **ret_memory)
{
	void *memory = mmap(NULL, len, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (memory == MAP_FAILED)
		return limit_error(-errno, "%zu bytes of shared memory", len);
	*ret_memory = memory;
	return 0;
}

void limit_shared_free(void *memory, size_t len)
{
	if (memory)
		munmap(memory, len);
}
