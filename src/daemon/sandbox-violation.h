/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* A system call that the sandbox does not allow: its name in one line, and the end. */
#ifndef VHU_DAEMON_SANDBOX_VIOLATION_H
#define VHU_DAEMON_SANDBOX_VIOLATION_H

/* Handles SIGSYS. 0 or -errno. */
int sandbox_violation_handle(void);

#endif
