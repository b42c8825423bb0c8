/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What poll(2) is given: one entry per descriptor, however many operations wait
 * for it, kept from one call to the next. More entries than there are
 * descriptors would be refused by the kernel (RLIMIT_NOFILE).
 */
#ifndef VHU_LOOP_POLLSET_H
#define VHU_LOOP_POLLSET_H

#include <poll.h>

#include "loop.h"

struct loop_pollset {
	struct pollfd *fds;  /* n of cap */
	struct op **waiting; /* beside each of fds: its operations, the first to come first */
	size_t n, cap;
	int32_t *place; /* by descriptor: where it is in fds, or -1 */
	size_t n_places;
};

/* All zero is empty. Frees the memory; whatever was in it is forgotten. */
void loop_pollset_free(struct loop_pollset *s);

/* 0, -EBADF for a negative descriptor, or -ENOMEM. The op stays until it is taken out. */
int loop_pollset_add(struct loop_pollset *s, struct op *op);

/* By this the last entry may come to the place of the op's, with what was found of it. */
void loop_pollset_remove(struct loop_pollset *s, struct op *op);

#endif
