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

/* Of all signals the one that means nothing when it strays, and that nobody else here uses. */
enum { LOOP_GUARD_SIGNAL = SIGURG };

struct loop_guard {
	timer_t timer;
};

/*
 * For calls of this thread, which closes it in the end. Takes SIGURG for the
 * process. 0 or -errno.
 */
int loop_guard_open(struct loop_guard *g);
void loop_guard_close(struct loop_guard *g);

/*
 * Around a call, which ends with EINTR if it has to wait for long, or in another thread when that
 * is sent the signal. errno stays.
 */
void loop_guard_enter(void);
void loop_guard_leave(void);

#endif
