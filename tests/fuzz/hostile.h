/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Included before everything else in the sources of the ring engine that
 * fuzz_chain is built of: each access to memory that is shared lets the driver
 * act first. So what it does between two loads is part of the input, and the same
 * each time. In every other build these are the compiler's own.
 */
#ifndef VHU_TESTS_FUZZ_HOSTILE_H
#define VHU_TESTS_FUZZ_HOSTILE_H

/* Before the word at p is accessed. */
void hostile_driver_acts(const void *p);

#define __atomic_load_n(p, order) (hostile_driver_acts(p), __atomic_load_n(p, order))
#define __atomic_store_n(p, v, order) (hostile_driver_acts(p), __atomic_store_n(p, v, order))

#endif
