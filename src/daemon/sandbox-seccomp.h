/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Which system calls may be made, by seccomp(2), and what becomes of others. */
#ifndef VHU_DAEMON_SANDBOX_SECCOMP_H
#define VHU_DAEMON_SANDBOX_SECCOMP_H

#include "daemon/sandbox-needs.h"

/* NULL, or a phrase that says why this kernel or this build cannot do it. */
const char *sandbox_seccomp_missing(void);

/*
 * For all threads: a call that no group of needs has in its list ends the
 * process with SIGSYS and one line that names the call. 0 or -errno.
 */
int sandbox_seccomp_enter(const struct sandbox_needs *needs);

/*
 * For a test: the names of the list that this machine's libseccomp does not
 * know; each is told to unknown(). Returns how many calls the list has.
 */
size_t sandbox_seccomp_check(void (*unknown)(const char *name));

#endif
