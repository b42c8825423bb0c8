/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The other side of a limit: a forked process that is measured, and killed at the end. */
#ifndef VHU_LOAD_LIMIT_SIDE_H
#define VHU_LOAD_LIMIT_SIDE_H

#include <sys/types.h>
#include <time.h>

#include "base.h"

struct limit_side {
	pid_t pid; /* 0: none */
	clockid_t clock;
	int stat_fd;
};

/* For locals: AUTO(limit_side_stop) struct limit_side side = LIMIT_SIDE_NONE; */
#define LIMIT_SIDE_NONE                                                                            \
	{                                                                                          \
		.stat_fd = -1                                                                      \
	}

/*
 * What the process does. It calls limit_side_ready() once it can be measured,
 * and serves until it is killed; when it returns, having said why, it ends.
 */
typedef void limit_side_fn(void *arg, int ready_fd);

void limit_side_ready(int ready_fd);

/*
 * Starts one and waits until it is ready. Pinned, it runs on other cores than
 * this process, which stays on one. Zero, or -errno after a sentence.
 */
int limit_side_start(limit_side_fn *serve, void *arg, bool pin, struct limit_side *ret_side);

/* Kills and reaps it. Allowed on none. */
void limit_side_stop(struct limit_side *side);

/* Zero while it lives; -ESRCH after a sentence when it has ended. */
int limit_side_check(const struct limit_side *side);

/* CPU time that it has used so far. */
uint64_t limit_side_cpu_ns(const struct limit_side *side);

/* Spins until it sleeps. Zero, or -ETIMEDOUT or -ESRCH after a sentence. */
int limit_side_await_sleep(const struct limit_side *side);

#endif
