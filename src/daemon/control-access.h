/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Who may use the control socket. */
#ifndef VHU_DAEMON_CONTROL_ACCESS_H
#define VHU_DAEMON_CONTROL_ACCESS_H

#include <sys/stat.h>
#include <sys/types.h>

#include "base.h"

/* The process that has connected, as it was then. */
struct control_peer {
	pid_t pid;
	uid_t uid;
	gid_t gid;
	gid_t *groups; /* supplementary; owned */
	size_t n_groups;
};

/* Zero or -errno. */
int control_peer_read(int fd, struct control_peer *ret_peer);
void control_peer_free(struct control_peer *peer);

/*
 * Root and the daemon's own user self always; else whom the socket's file lets
 * write as its owner or its group. What it grants to all others does not count.
 * file is NULL when the socket has none.
 */
bool control_peer_allowed(const struct control_peer *peer, uid_t self, const struct stat *file);

#endif
