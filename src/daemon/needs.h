/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What a set-up may need at most, so that no guest can take what is another's. */
#ifndef VHU_DAEMON_NEEDS_H
#define VHU_DAEMON_NEEDS_H

#include <stdint.h>

#include "daemon/setup.h"

/* Operations armed at once, and descriptors open at once, by all devices together. */
void daemon_count_needs(const struct setup *setup, unsigned int *ret_n_ops, uint64_t *ret_n_fds);

/* Raises this process's limit of descriptors to that. Warns if it may not. */
void daemon_raise_fd_limit(uint64_t n_fds);

#endif
