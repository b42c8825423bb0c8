/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What another process uses, all its threads together, read from /proc. */
#ifndef VHU_LOAD_USAGE_H
#define VHU_LOAD_USAGE_H

#include "load/syscount.h"

#include <time.h>

struct usage_tally {
	uint64_t cpu_ns;
	uint64_t n_voluntary, n_involuntary; /* context switches */
};

struct load_meter {
	pid_t pid; /* 0: measures nothing */
	clockid_t clock;
	struct usage_tally before;
	struct syscount syscalls;
};

/*
 * Measures process pid from its return on. System calls that cannot be counted
 * are no failure: a sentence says why, and n_syscalls will be -1. Zero, or
 * -errno with a sentence on standard error.
 */
int load_meter_start(struct load_meter *ret_meter, pid_t pid, enum load_syscalls how);

/*
 * What was used since load_meter_start(). Zero, or -errno with a sentence on
 * standard error. Either way the meter has ended.
 */
int load_meter_stop(struct load_meter *meter, struct load_usage *ret_usage);

/* Ends a meter whose figures nobody wants. One that has ended, or was never started, is left. */
void load_meter_end(struct load_meter *meter);

#endif
