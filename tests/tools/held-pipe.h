/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A pipe that is being written to from a page that does not come: until then whoever touches it
 * waits, and no signal ends that.
 */
#ifndef VHU_TESTS_HELD_PIPE_H
#define VHU_TESTS_HELD_PIPE_H

#include <pthread.h>
#include <stdbool.h>
#include <sys/types.h>

struct held_pipe {
	int fds[2];
	int uffd; /* -1: it cannot be held here, and is a plain one */
	void *page;
	pthread_t writer;
};

/* The descriptors are the caller's to use, and close-on-exec. Ends the process on failure. */
void held_pipe_make(struct held_pipe *h);

/* Brings the page, which is all zeroes; the pipe stays. */
void held_pipe_let_go(struct held_pipe *h);

/* Lets go if that has not been done, and closes the pipe's ends that are open. */
void held_pipe_unmake(struct held_pipe *h);

/* Whether a thread of that process, the kernel's included, sleeps and cannot be woken. */
bool held_pipe_is_met(pid_t pid);

#endif
