/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* A front-end that the tester starts: in a session of its own, all of which ends with it. */
#ifndef VHU_CONFORM_FRONTEND_PROCESS_H
#define VHU_CONFORM_FRONTEND_PROCESS_H

#include <sys/types.h>

#include "base.h"

struct frontend_process {
	pid_t pid;     /* 0: none */
	int pidfd;     /* readable once it has ended; -1: none */
	int log_fd;    /* a file with all that it says */
	bool ended;    /* and waited for */
	int status;    /* as of wait(2) */
	bool stopping; /* we have asked it to end */
};

/* 0 or a negative errno; frontend_process_stop() is due either way. */
int frontend_process_start(struct frontend_process *f, const char *command);

/* Looks whether it has ended. */
bool frontend_process_ended(struct frontend_process *f);

/* The signal that ended it, though we sent none; 0: none did. */
int frontend_process_crash(const struct frontend_process *f);

/* Whether its first thread has a processor now, or waits for nothing but one. */
bool frontend_process_is_busy(const struct frontend_process *f);

/* Asks it to end. */
void frontend_process_ask(struct frontend_process *f);

/* Ends all that is left of it, and waits for it. */
void frontend_process_stop(struct frontend_process *f);

/* The end of what it said, without control characters. */
void frontend_process_said(const struct frontend_process *f, char *buf, size_t size);

#endif
