/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Users and groups as they are written: by name or number, in lists. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "backends/peer.h"

enum { NAME_MAX_LEN = 255 };

/* One of the list; its name may be of any length that there is. */
static int add_id(bool group, const char *text, size_t len, struct peer_ids *ids, char *ret_why,
		  size_t why_cap)
{
	const char *word = group ? "allow-gid" : "allow-uid";
	char name[NAME_MAX_LEN + 1], why[NAME_MAX_LEN + 80];
	unsigned int id;

	if (len == 0 || len > NAME_MAX_LEN) {
		snprintf(ret_why, why_cap,
			 "%s: names or numbers with one + between them are expected", word);
		return -EINVAL;
	}
	if (ids->n == PEER_IDS_MAX) {
		snprintf(ret_why, why_cap, "%s: more than %d are given, which is the most allowed",
			 word, PEER_IDS_MAX);
		return -EINVAL;
	}
	snprintf(name, sizeof(name), "%.*s", (int)len, text);
	if (peer_find_id(group, name, &id, why, sizeof(why)) < 0) {
		snprintf(ret_why, why_cap, "%s: %s", word, why);
		return -EINVAL;
	}
	ids->id[ids->n++] = id;
	return 0;
}

static int parse_ids(bool group, const char *text, struct peer_ids *ret_ids, char *ret_why,
		     size_t why_cap)
{
	struct peer_ids ids = { .n = 0 };

	for (;;) {
		size_t len = strcspn(text, "+");
		int err = add_id(group, text, len, &ids, ret_why, why_cap);

		if (err < 0)
			return err;
		if (!text[len])
			break;
		text += len + 1;
	}
	*ret_ids = ids;
	return 0;
}

int peer_rules_parse(const char *uids, const char *gids, struct peer_rules *ret_rules,
		     char *ret_why, size_t why_cap)
{
	struct peer_rules rules = { .uids.n = 0 };
	int err = 0;

	if (uids)
		err = parse_ids(false, uids, &rules.uids, ret_why, why_cap);
	if (err == 0 && gids)
		err = parse_ids(true, gids, &rules.gids, ret_why, why_cap);
	if (err == 0)
		*ret_rules = rules;
	return err;
}

void peer_ids_format(const struct peer_ids *ids, char buf[PEER_IDS_TEXT_MAX])
{
	size_t len = 0;

	buf[0] = '\0';
	for (unsigned int i = 0; i < ids->n; i++)
		len += (size_t)snprintf(buf + len, PEER_IDS_TEXT_MAX - len, "%s%u",
					i > 0 ? "+" : "", ids->id[i]);
}
