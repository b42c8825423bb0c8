/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Another process, as /proc shows it. */
#ifndef VHU_CONFORM_PROCESS_H
#define VHU_CONFORM_PROCESS_H

#include <sys/types.h>

#include "base.h"

/* Whether it can be looked at: it exists, and its descriptors may be listed. */
bool process_visible(pid_t pid);

/* All return a negative errno when it cannot be seen (any more). */
int process_n_fds(pid_t pid);
int process_n_threads(pid_t pid);
int process_n_maps(pid_t pid);	    /* lines of maps */
int64_t process_rss(pid_t pid);	    /* bytes */
int64_t process_cpu_ns(pid_t pid);  /* user and system time of all threads */
int64_t process_wait_ns(pid_t pid); /* time for which its threads wanted a core and had none */

/* Mappings of memory files, whoever made them: guest memory and the like. */
int process_n_memory_maps(pid_t pid);

/* Mappings of the file that fd is, by device and inode. ret_vmflags: NULL or its flags line, of the
 * first. */
int process_n_maps_of(pid_t pid, int fd, char *ret_vmflags, size_t size);

/* Descriptors that are the same open file as fd (kcmp), or the same inode where kcmp is not
 * allowed. */
int process_n_fds_of(pid_t pid, int fd);

/* Flags (octal, as fdinfo says) of the first such descriptor, e.g. 02000000 for close-on-exec. */
int process_fd_flags_of(pid_t pid, int fd, unsigned int *ret_flags);

#endif
