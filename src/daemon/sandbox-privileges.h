/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Who the daemon is, and what the kernel lets it do because of that. */
#ifndef VHU_DAEMON_SANDBOX_PRIVILEGES_H
#define VHU_DAEMON_SANDBOX_PRIVILEGES_H

#include "base.h"

/*
 * Takes the place of a user and a group (names or numbers; NULL: as it is), and
 * of no other group but those of groups, so that files can be given to them
 * later. What opening sockets and files takes is kept until
 * sandbox_privileges_drop(). 0, or -errno with one sentence.
 */
int sandbox_privileges_change(const char *user, const char *group, const char *const *groups,
			      size_t n_groups, char *ret_why, size_t why_cap);

/* NULL, or a phrase that says why capabilities cannot be given up. */
const char *sandbox_privileges_missing(void);

/* Gives up every capability, of the calling thread. 0 or -errno. */
int sandbox_privileges_drop(void);

/* No program that is started has more than this one has: of the calling thread. 0 or -errno. */
int sandbox_privileges_freeze(void);

#endif
