/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Where processes run. Whether one that is woken runs on the waker's core or on
 * another decides a wake-up's time by a factor of ten, so --pin decides it.
 */
#ifndef VHU_LOAD_LIMIT_CORES_H
#define VHU_LOAD_LIMIT_CORES_H

#include <sys/types.h>

#include "base.h"

/*
 * Keeps this process on the first core that it might use when it asked first,
 * and all threads of the other process off that core. Zero, or -errno after a
 * sentence.
 */
int limit_cores_pin(pid_t other);

/* Gives this process all its cores back. */
void limit_cores_unpin(void);

#endif
