/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The back-end under load as a process: one that we start, and what any is doing. */
#ifndef VHU_LOAD_LOAD_EXEC_H
#define VHU_LOAD_LOAD_EXEC_H

#include <sys/types.h>

#include "base.h"

enum { LOAD_MAX_THREADS = 64 };

struct load_exec {
	pid_t pid; /* 0: none, or it has ended and was waited for */
	uint64_t began_ns;
};

/*
 * Starts a shell's command line in a process group of its own; its standard
 * output is our standard error. Zero, or -errno with a sentence.
 */
int load_exec_start(struct load_exec *e, const char *command);

/* Whether it still runs; if not, a sentence has said how it ended. */
bool load_exec_runs(struct load_exec *e);

/* After a connection was lost: if that is because it has ended, a sentence says how. */
void load_exec_explain(struct load_exec *e);

/* Ends it: SIGTERM, and SIGKILL after two seconds. */
void load_exec_end(struct load_exec *e);

/* The threads of a process, to see whether they sleep. */
struct load_threads {
	int fd[LOAD_MAX_THREADS]; /* of their stat files */
	unsigned int n;
};

int load_threads_open(struct load_threads *t, pid_t pid);
void load_threads_close(struct load_threads *t);

/* Whether all of them wait for something, or have ended. */
bool load_threads_sleep(const struct load_threads *t);

#endif
