/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Numbers of users and groups by name, which are looked up while that is allowed. */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/peer.h"

enum {
	LOOKUP_SIZE = 1024, /* for an entry of the user or group database, at first */
	LOOKUP_SIZE_MAX = 1024 * 1024,
};

/* True when text is a number, which is written then; -1 is nobody's. */
static bool parse_id(const char *text, unsigned int *ret_id)
{
	uint64_t id = 0;
	const char *p = text;

	for (; *p >= '0' && *p <= '9' && id < UINT32_MAX; p++)
		id = id * 10 + (uint64_t)(*p - '0');
	if (p == text || *p != '\0' || id >= UINT32_MAX)
		return false;
	*ret_id = (unsigned int)id;
	return true;
}

/* One try with that much memory: 0, or an errno; *ret_found: there is such a name. */
/* seccomp(once): openat fstat newfstatat read lseek socket:AF_UNIX connect */
static int look_up(bool group, const char *name, size_t size, unsigned int *ret_id, bool *ret_found)
{
	struct passwd pw, *pw_found = NULL;
	struct group gr, *gr_found = NULL;
	char *buf = malloc(size);
	int err;

	if (!buf)
		return ENOMEM;
	if (group)
		err = getgrnam_r(name, &gr, buf, size, &gr_found);
	else
		err = getpwnam_r(name, &pw, buf, size, &pw_found);
	free(buf);
	*ret_found = pw_found || gr_found;
	if (*ret_found)
		*ret_id = group ? gr.gr_gid : pw.pw_uid;
	return err;
}

/* Names that have been looked up: a log gives each of its files to the same group. */
static struct {
	struct known {
		bool group;
		char *name; /* owned */
		unsigned int id;
	} * items;
	size_t n;
	bool ended; /* no others are looked up any more */
} lookups;

static bool find_known(bool group, const char *name, unsigned int *ret_id)
{
	for (size_t i = 0; i < lookups.n; i++) {
		const struct known *k = &lookups.items[i];

		if (k->group != group || strcmp(k->name, name) != 0)
			continue;
		*ret_id = k->id;
		return true;
	}
	return false;
}

/* Without memory it is not known later. */
static void remember(bool group, const char *name, unsigned int id)
{
	struct known *items;
	unsigned int before;
	char *copy;

	if (find_known(group, name, &before) && before == id)
		return;
	copy = strdup(name);
	items = reallocarray(lookups.items, lookups.n + 1, sizeof(*items));
	if (items)
		lookups.items = items;
	if (items && copy)
		items[lookups.n++] = (struct known){ .group = group, .name = copy, .id = id };
	else
		free(copy);
}

enum { TAG_NAME = 1, TAG_GROUP, TAG_ID };

void peer_save_lookups(struct handover_out *out, unsigned int tag)
{
	for (size_t i = 0; i < lookups.n; i++) {
		const struct known *k = &lookups.items[i];

		state_begin_group(&out->state, tag);
		handover_put_text(out, TAG_NAME, k->name);
		state_put_number(&out->state, TAG_GROUP, k->group);
		state_put_number(&out->state, TAG_ID, k->id);
		state_end(&out->state);
	}
}

void peer_load_lookups(struct handover_in *in, unsigned int tag)
{
	char name[LOOKUP_SIZE];
	uint64_t group, id;

	while (state_has(&in->state, tag) && state_enter(&in->state, tag, "names")) {
		handover_take_text(in, TAG_NAME, "name", name, sizeof(name));
		group = state_take_number(&in->state, TAG_GROUP, "group", 1);
		id = state_take_number(&in->state, TAG_ID, "number", UINT32_MAX);
		state_leave(&in->state);
		if (!in->state.failed)
			remember(group, name, (unsigned int)id);
	}
}

void peer_end_lookups(void)
{
	lookups.ended = true;
}

int peer_find_id(bool group, const char *name, unsigned int *ret_id, char *ret_why, size_t why_cap)
{
	const char *what = group ? "group" : "user";
	bool found = false;
	int err = ERANGE;

	if (parse_id(name, ret_id))
		return 0;
	if (lookups.ended) {
		if (find_known(group, name, ret_id))
			return 0;
		snprintf(ret_why, why_cap,
			 "%s \"%s\": names are looked up at the start only: give its number", what,
			 name);
		return -EINVAL;
	}
	for (size_t size = LOOKUP_SIZE; err == ERANGE && size <= LOOKUP_SIZE_MAX; size *= 4)
		err = look_up(group, name, size, ret_id, &found);
	if (found) {
		remember(group, name, *ret_id);
		return 0;
	}
	if (err == 0 || err == ENOENT || err == ESRCH)
		snprintf(ret_why, why_cap, "there is no %s \"%s\" here", what, name);
	else
		snprintf(ret_why, why_cap, "cannot look up %s \"%s\": %s", what, name,
			 strerror(err));
	return -EINVAL;
}
