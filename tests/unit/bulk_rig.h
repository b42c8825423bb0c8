/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* A server of either kind of stream socket, for tests of large amounts. */
#ifndef VHU_TESTS_BULK_RIG_H
#define VHU_TESTS_BULK_RIG_H

#include "socket_rig.h"

#define EACH_SOCKET for (unsigned int tcp = 0; tcp < 2; tcp++)

static inline void rig_own_name(char name[64])
{
	snprintf(name, 64, "@vhu-test-%d", getpid());
}

static inline void serve_kind(enum attachment_kind kind)
{
	char name[64];

	if (kind != ATTACHMENT_unix_server) {
		serve_tcp(kind);
		return;
	}
	rig_own_name(name);
	assert_int_equal(rig_open(kind, name), 0);
}

/* A client has joined by the Unix socket. */
static inline int join_unix(void)
{
	unsigned int n = rig.port.n_clients;
	char name[64];
	int fd;

	rig_own_name(name);
	fd = dial_unix(name);
	PUMP_UNTIL(rig.port.n_clients == n + 1);
	return fd;
}

static inline void end_at_once(int fd)
{
	rig_close();
	rig.attachment->ops->hurry(rig.attachment);
	rig_end();
	fd_close(fd);
}

#endif
