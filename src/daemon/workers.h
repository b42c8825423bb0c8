/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Threads that run guests, each with a loop of its own, beside the main thread,
 * which has everything else.
 *
 * What belongs to a guest is touched in turns: by its worker while that handles
 * completions and tasks, or by the main thread, which holds all workers back
 * while it handles its own. So guests are plain single-threaded objects, and
 * the main thread may do anything with any of them. While workers are at work
 * they share nothing.
 */
#ifndef VHU_DAEMON_WORKERS_H
#define VHU_DAEMON_WORKERS_H

#include "loop.h"

struct workers;

/*
 * n threads, with loops for about n_ops operations each. They are held back
 * until the main loop, which the caller's thread runs, waits for the first
 * time. scope: of the main loop; idle again some time after it is cancelled.
 * -errno, and *ret_why is one sentence, on failure.
 */
int workers_new(unsigned int n, unsigned int n_ops, uint64_t poll_ns, struct loop *main_loop,
		struct scope *scope, struct workers **ret_workers, const char **ret_why);

/*
 * Ends and joins the threads. No operation may be armed on their loops, and the
 * main loop is not run any more. NULL is allowed.
 */
void workers_free(struct workers *ws);

struct loop *workers_loop(const struct workers *ws, unsigned int idx);

/*
 * Runs the task in the main thread: at once when that calls, else soon. One
 * that is on its way already is not sent again.
 */
void workers_run_in_main(struct task *task);

/* Calls fn(arg) once in each worker's thread; by the main thread, in its turn. The first -errno. */
int workers_in_each(struct workers *ws, int (*fn)(void *arg), void *arg);

/*
 * By the main thread, while its own loop does not run: parks the loops of all
 * workers (loop_park()), whose objects are the main thread's until they are
 * unparked. What they had to say is the main loop's tasks then. -errno, and all
 * go on.
 */
int workers_park(struct workers *ws, uint64_t wait_ns);
void workers_unpark(struct workers *ws);

#endif
