/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Who is at the other end of a Unix socket, and whether that may attach:
 * allow-uid= and allow-gid= of attachments, devices and the control socket.
 */
#ifndef VHU_BACKENDS_PEER_H
#define VHU_BACKENDS_PEER_H

#include <sys/types.h>

#include "base.h"
#include "handover.h"

enum {
	PEER_IDS_MAX = 16,
	PEER_IDS_TEXT_MAX = 11 * PEER_IDS_MAX + 1,
	PEER_WHY_MAX = 160,
};

/*
 * The process at the other end: for one that has connected as it was then, for
 * one that listens as it was when it began to. People of another user namespace
 * are nobody (65534).
 */
struct peer {
	pid_t pid;
	uid_t uid;
	gid_t gid;
	gid_t *groups; /* supplementary; owned */
	size_t n_groups;
};

struct peer_ids {
	uint32_t id[PEER_IDS_MAX];
	unsigned int n;
};

/* Who may attach: anybody of these users, or in one of these groups. All zero: everybody. */
struct peer_rules {
	struct peer_ids uids, gids;
};

/* Zero or -errno; peer_free() is due. */
int peer_ask(int fd, struct peer *ret_peer);
void peer_free(struct peer *peer);

bool peer_in_group(const struct peer *peer, gid_t gid);
bool peer_is_allowed(const struct peer_rules *rules, const struct peer *peer);

/*
 * Whether the process at the other end of fd may attach. If not, ret_why is what
 * it is and what it is not, for the end of a sentence.
 */
bool peer_admitted(const struct peer_rules *rules, int fd, char *ret_why, size_t why_cap);

static inline bool peer_rules_exist(const struct peer_rules *rules)
{
	return rules->uids.n > 0 || rules->gids.n > 0;
}

/* Whether there is something to ask on fd: a Unix socket that listens. */
bool peer_can_be_asked(int fd);

/*
 * Rules from "NAME+1000+..." each, NULL for none; names are looked up now, which may
 * block. -EINVAL with one sentence.
 */
int peer_rules_parse(const char *uids, const char *gids, struct peer_rules *ret_rules,
		     char *ret_why, size_t why_cap);

/* The same text again, in numbers; "" for none. */
void peer_ids_format(const struct peer_ids *ids, char buf[PEER_IDS_TEXT_MAX]);

/*
 * The id of a user or group by name or number; may block. -EINVAL with one sentence.
 * After peer_end_lookups(), names are known only if they were looked up before;
 * those are handed over.
 */
int peer_find_id(bool group, const char *name, unsigned int *ret_id, char *ret_why, size_t why_cap);
void peer_end_lookups(void);
void peer_save_lookups(struct handover_out *out, unsigned int tag);
void peer_load_lookups(struct handover_in *in, unsigned int tag);

#endif
