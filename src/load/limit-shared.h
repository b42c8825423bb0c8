/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Memory that the two processes of a limit share. */
#ifndef VHU_LOAD_LIMIT_SHARED_H
#define VHU_LOAD_LIMIT_SHARED_H

#include "base.h"

/* Zeroed memory that a forked process shares. Zero, or -errno after a sentence. */
int limit_shared_new(size_t len, void **ret_memory);

/* Allowed on NULL. */
void limit_shared_free(void *memory, size_t len);

#endif
