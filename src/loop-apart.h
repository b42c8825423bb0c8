/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Threads for operations that may make whoever does them wait: as on a pipe whose lock somebody
 * holds, by writing into it from memory that does not come. No signal ends such a wait. There are
 * as many threads as there are such operations at once, and then one that is idle.
 */
#ifndef VHU_LOOP_APART_H
#define VHU_LOOP_APART_H

#include "loop.h"

struct loop_apart;

/* For the operations of one loop, without a thread so far. 0 or -errno. */
int loop_apart_new(struct loop_apart **ret_apart);

/*
 * Waits for nobody: a thread that is in a call goes on with the buffer that it was given, and
 * ends after that. NULL is allowed.
 */
void loop_apart_free(struct loop_apart *a);

/* An eventfd that can be read when operations have ended; lent. */
int loop_apart_fd(const struct loop_apart *a);

/*
 * Lets a thread make one attempt, which may take any time; op stays until loop_apart_take().
 * ready: as with loop_attempt(). 0, or -errno and nothing has begun.
 */
int loop_apart_begin(struct loop_apart *a, struct op *op, bool ready);

/*
 * Interrupts the attempt, or all of them, where signals can. One that is about to begin misses
 * it: to be repeated until the op has ended.
 */
void loop_apart_interrupt(struct loop_apart *a, const struct op *op);
void loop_apart_interrupt_all(struct loop_apart *a);

/* An op whose attempt is over, with what came of it in wait.at; NULL: there is none. */
struct op *loop_apart_take(struct loop_apart *a);

#endif
