/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "backends/peer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* The list is the peer's at the time of connect(), so its length stays. */
/* seccomp: getsockopt geteuid getegid */
static int read_groups(int fd, struct peer *peer)
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

int peer_ask(int fd, struct peer *ret_peer)
{
	struct peer peer = { .pid = 0 };
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
		peer_free(&peer);
		return err;
	}
	*ret_peer = peer;
	return 0;
}

void peer_free(struct peer *peer)
{
	free(peer->groups);
	peer->groups = NULL;
	peer->n_groups = 0;
}

bool peer_in_group(const struct peer *peer, gid_t gid)
{
	if (peer->gid == gid)
		return true;
	for (size_t i = 0; i < peer->n_groups; i++)
		if (peer->groups[i] == gid)
			return true;
	return false;
}

bool peer_is_allowed(const struct peer_rules *rules, const struct peer *peer)
{
	if (!peer_rules_exist(rules))
		return true;
	for (unsigned int i = 0; i < rules->uids.n; i++)
		if (peer->uid == rules->uids.id[i])
			return true;
	for (unsigned int i = 0; i < rules->gids.n; i++)
		if (peer_in_group(peer, rules->gids.id[i]))
			return true;
	return false;
}

static const char *words_of(const struct peer_rules *rules)
{
	if (rules->gids.n == 0)
		return "allow-uid does not name";
	return rules->uids.n == 0 ? "allow-gid does not name"
				  : "neither allow-uid nor allow-gid names";
}

bool peer_admitted(const struct peer_rules *rules, int fd, char *ret_why, size_t why_cap)
{
	struct peer peer = { .pid = 0 };
	bool allowed;
	int err;

	if (!peer_rules_exist(rules))
		return true;
	err = peer_ask(fd, &peer);
	if (err < 0) {
		snprintf(ret_why, why_cap, "who it is cannot be told: %s", strerror(-err));
		return false;
	}
	allowed = peer_is_allowed(rules, &peer);
	if (!allowed)
		snprintf(ret_why, why_cap, "%s user %u in group %u (pid %d)", words_of(rules),
			 peer.uid, peer.gid, (int)peer.pid);
	peer_free(&peer);
	return allowed;
}

bool peer_can_be_asked(int fd)
{
	socklen_t len = sizeof(int);
	int domain = -1, listens = 0;

	return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 && domain == AF_UNIX &&
	       getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) == 0 && listens;
}
