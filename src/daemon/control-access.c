/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "daemon/control-access.h"

bool control_peer_allowed(const struct peer *peer, const struct peer_rules *rules, uid_t self,
			  const struct stat *file)
{
	if (peer->uid == 0 || peer->uid == self)
		return true;
	if (peer_rules_exist(rules))
		return peer_is_allowed(rules, peer);
	if (!file)
		return false;
	if (peer->uid == file->st_uid)
		return file->st_mode & S_IWUSR;
	return (file->st_mode & S_IWGRP) && peer_in_group(peer, file->st_gid);
}
