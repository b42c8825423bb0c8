/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What this process may have of userfaultfd(2), by the call or by the device. */
#ifndef VHU_VHU_BACKEND_USERFAULT_H
#define VHU_VHU_BACKEND_USERFAULT_H

#include <stdbool.h>

/* A userfaultfd for shared memory, the caller's, or -errno. */
int vhu_userfault_open(void);

/*
 * /dev/userfaultfd, for a process that opens no files any more: from then on this
 * descriptor (taken; negative: none) is used. And what is to be kept: the one
 * that is, or a new one, the caller's; negative if it is not to be had.
 */
void vhu_userfault_keep_device(int fd);
int vhu_userfault_device(void);

/*
 * Whether this process may have faults of shared memory served, its own and
 * those that the kernel makes for it (VU-178). The kernel is asked once.
 */
bool vhu_postcopy_works(const char *who);

#endif
