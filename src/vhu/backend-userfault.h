/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What there is of userfaultfd(2). */
#ifndef VHU_VHU_BACKEND_USERFAULT_H
#define VHU_VHU_BACKEND_USERFAULT_H

#include <stdbool.h>

/* A userfaultfd for shared memory, the caller's, or -errno. */
int vhu_userfault_open(void);

/*
 * Whether this process may have faults of shared memory served, its own and
 * those that the kernel makes for it (VU-178). The kernel is asked once.
 */
bool vhu_postcopy_works(const char *who);

#endif
