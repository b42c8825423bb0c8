/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Operations as system calls that do not wait, whatever the descriptor's flags say. */
#ifndef VHU_LOOP_ATTEMPT_H
#define VHU_LOOP_ATTEMPT_H

#include "loop.h"

/* The events of poll(2) that say that an operation is worth an attempt. */
short loop_attempt_events(const struct op_request *r);

/*
 * Does what is asked for, as far as that needs no waiting; neither OP_POLL nor
 * OP_TIMEOUT. The thread has a loop_guard. ready: poll(2) has just reported its events, or the end
 * of the descriptor. -EAGAIN: nothing was possible. -EDEADLK: it had to wait although it was ready,
 * so somebody plays with the descriptor.
 */
int loop_attempt(struct op *op, bool ready);

/*
 * The same by a thread that may wait, and has no guard: LOOP_GUARD_SIGNAL ends its wait, if any
 * does, with -EAGAIN.
 */
int loop_attempt_apart(struct op *op, bool ready);

#endif
