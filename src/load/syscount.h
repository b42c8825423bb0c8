/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The system calls of another process, all its threads together: counted by
 * the kernel (a perf event on raw_syscalls:sys_enter), or by strace -c.
 */
#ifndef VHU_LOAD_SYSCOUNT_H
#define VHU_LOAD_SYSCOUNT_H

#include "load/load.h"

#include <sys/types.h>

struct syscount {
	int *fds; /* perf: one for each thread that was there at the start */
	unsigned int n_fds;
	pid_t strace; /* 0: none runs */
	int from_strace;
};

/*
 * Counts from its return on; threads that start later count too. Zero, or
 * -errno with a sentence on standard error; the counter counts nothing then.
 */
int syscount_start(struct syscount *ret_count, pid_t pid, enum load_syscalls how);

/* How many there were, -1 when nothing was counted. Ends the counter. */
int64_t syscount_stop(struct syscount *count);

#endif
