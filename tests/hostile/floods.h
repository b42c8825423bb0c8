/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What one guest without manners costs the others. The daemon has a core of its own;
 * guests, clients and the flood have the other. The same flood goes in turns to that
 * daemon and to one that has nothing else to do, so that only what the daemon itself
 * spends on it makes the difference. The innocents have work for it at all times, and
 * their throughput is per second of its CPU: what else runs on the machine does not count.
 */
#ifndef VHU_TESTS_FLOODS_H
#define VHU_TESTS_FLOODS_H

#include "intruder.h"

struct floods_plan {
	const char *program;
	const char *only; /* floods with this in their description; NULL: all */
	unsigned int n_innocents;
	unsigned int n_rounds;
	unsigned int window_ms;
};

/* Measures each of them and prints a table. */
void floods_measure(const struct floods_plan *plan);

#endif
