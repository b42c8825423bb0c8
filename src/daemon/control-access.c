/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "daemon/control-access.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

/* The list is the peer's at the time of connect(), so its length stays. */
/* seccomp: getsockopt geteuid getegid */
static int read_groups(int fd, struct control_peer *peer)
{
	socklen_t len = 0;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, NULL, &len) == 0 || len == 0)
		return 0;
	if (errno != ERANGE)
		return -errno;
	peer->groups = malloc(len);
	if (!peer->groups)
		return -ENOMEM;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, peer->groups, &len) < 0)
		return -errno;
	peer->n_groups = len / sizeof(*peer->groups);
	return 0;
}

int control_peer_read(int fd, struct control_peer *ret_peer)
{
	struct control_peer peer = { .pid = 0 };
	struct ucred cred;
	socklen_t len = sizeof(cred);
	int err;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return -errno;
	peer.pid = cred.pid;
	peer.uid = cred.uid;
	peer.gid = cred.gid;
	err = read_groups(fd, &peer);
	if (err < 0) {
		control_peer_free(&peer);
		return err;
	}
	*ret_peer = peer;
	return 0;
}

void control_peer_free(struct control_peer *peer)
{
	free(peer->groups);
	peer->groups = NULL;
	peer->n_groups = 0;
}

static bool in_group(const struct control_peer *peer, gid_t gid)
{
	if (peer->gid == gid)
		return true;
	for (size_t i = 0; i < peer->n_groups; i++)
		if (peer->groups[i] == gid)
			return true;
	return false;
}

bool control_peer_allowed(const struct control_peer *peer, uid_t self, const struct stat *file)
{
	if (peer->uid == 0 || peer->uid == self)
		return true;
	if (!file)
		return false;
	if (peer->uid == file->st_uid)
		return file->st_mode & S_IWUSR;
	return (file->st_mode & S_IWGRP) && in_group(peer, file->st_gid);
}
