/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What a descriptor is, in the words of /proc: for testers and tracers. */
#ifndef VHU_FDKIND_H
#define VHU_FDKIND_H

#include "base.h"

enum fd_kind {
	FD_KIND_MEMORY, /* a file without a name that can be mapped: memfd and the like */
	FD_KIND_EVENTFD,
	FD_KIND_SOCKET,
	FD_KIND_PIPE_READ,
	FD_KIND_PIPE_WRITE,
	FD_KIND_FILE,  /* a regular file with a path */
	FD_KIND_OTHER, /* whatever else: its path says */
	FD_N_KINDS,
};

struct fd_about {
	enum fd_kind kind;
	uint64_t device, inode;
	uint64_t eventfd_id; /* eventfds share one inode; 0: the kernel does not tell */
	uint64_t size;	     /* in bytes, of memory and files */
	bool nonblock, readonly;
	unsigned int seals;
	char path[96]; /* as /proc/self/fd shows it, cut */
};

/* False: there is no such descriptor. */
bool fd_describe(int fd, struct fd_about *ret_about);

/* "memfd", "eventfd", "socket", "pipe, read end", ... */
const char *fd_kind_name(enum fd_kind kind);

/*
 * In a few words: "memfd:ram, 256 MiB", "eventfd", "pipe, read end", "file
 * /dev/shm/x, 4 KiB, read-only". Without controls, as names are others' choice.
 * As snprintf().
 */
size_t fd_about_text(char *buf, size_t cap, const struct fd_about *about);

#endif
