/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* A loopback TCP connection between the two processes of a limit. */
#ifndef VHU_LOAD_LIMIT_TCP_H
#define VHU_LOAD_LIMIT_TCP_H

#include "base.h"

/* What the peer of a stream reads at once. */
enum { LIMIT_TCP_READ = 128 * 1024 };

/* Two connected, blocking sockets without delay, the caller's. Zero, or -errno after a sentence. */
int limit_tcp_pair(int *ret_fd, int *ret_other_fd);

#endif
