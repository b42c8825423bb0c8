/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Who may use the control socket. */
#ifndef VHU_DAEMON_CONTROL_ACCESS_H
#define VHU_DAEMON_CONTROL_ACCESS_H

#include <sys/stat.h>

#include "backends/peer.h"

/*
 * Root and the daemon's own user self always: they could end it and start another.
 * Else whom the rules name; without rules, whom the socket's file lets write as
 * its owner or its group. What it grants to all others does not count. file is
 * NULL when the socket has none.
 */
bool control_peer_allowed(const struct peer *peer, const struct peer_rules *rules, uid_t self,
			  const struct stat *file);

#endif
