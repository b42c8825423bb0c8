/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Ctrl-C and the like: the back-end that we started ends first, and its folder goes. */
#ifndef VHU_CONFORM_INTERRUPT_H
#define VHU_CONFORM_INTERRUPT_H

#include "conform/target/target.h"

/*
 * From now on SIGINT, SIGTERM and SIGHUP end target's process and mark it as
 * interrupted, so that what waits for it comes to an end. A second signal acts
 * as it always does.
 */
void interrupt_catch(struct target *target);

/* Whether one has come. */
bool interrupt_seen(void);

/* After target_fini(). If a signal has come, this program now ends by it. */
void interrupt_release(void);

#endif
