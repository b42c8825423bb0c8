/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* An io_uring as the loop wants it, or a sentence on why there is none. */
#ifndef VHU_LOOP_SETUP_H
#define VHU_LOOP_SETUP_H

#include <liburing.h>

#include "base.h"

/*
 * The best flags that the kernel has; refuses a kernel without an operation
 * that the loop may be asked for. What it is never asked for is forbidden
 * (*ret_restricted), if the kernel can do that. By the thread that will use
 * it. 0, or -errno with one sentence in *ret_why.
 */
int loop_setup_ring(struct io_uring *ring, unsigned int cq_entries, bool *ret_restricted,
		    const char **ret_why);

#endif
