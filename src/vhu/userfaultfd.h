/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* How a userfaultfd is had here: by the call, or by the device. */
#ifndef VHU_USERFAULTFD_H
#define VHU_USERFAULTFD_H

/* One that tells of missing pages of shared memory, also to the kernel; or -errno. */
int vhu_userfaultfd_open(void);

/*
 * /dev/userfaultfd, for a process that opens no files any more: from then on this
 * descriptor (taken; negative: none) is used. And what is to be kept: the one
 * that is, or a new one, the caller's; negative if it is not to be had.
 */
void vhu_userfaultfd_keep_device(int fd);
int vhu_userfaultfd_device(void);

#endif
