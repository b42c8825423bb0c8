/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Ends a system call that waits although it was not expected to: a timer's
 * signal interrupts it. At any other time that signal is blocked, so no other
 * call is disturbed, and as long as it is pending the timer stands still: whoever
 * makes no such calls does not notice it.
 */
#ifndef VHU_LOOP_GUARD_H
#define VHU_LOOP_GUARD_H

#include <signal.h>
#include <time.h>

#include "base.h"

struct loop_guard {
	timer_t timer;
	volatile sig_atomic_t inside; /* a call is under way */
	volatile sig_atomic_t struck; /* the signal came meanwhile */
};

/*
 * For calls of this thread. The guard stays where it is until it is closed, by
 * the same thread. Takes SIGURG for the process. 0 or -errno.
 */
int loop_guard_open(struct loop_guard *g);
void loop_guard_close(struct loop_guard *g);

/* Around a call. What the second returns: whether the signal may have ended it. errno stays. */
void loop_guard_enter(struct loop_guard *g);
bool loop_guard_leave(struct loop_guard *g);

#endif
