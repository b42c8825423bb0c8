/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Users and groups as they are written: by name or number, in lists. */
#include <errno.h>
#include <grp.h>
#include <pthread.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/peer.h"

enum {
	LOOKUP_SIZE = 1024, /* for an entry of the user or group database, at first */
	LOOKUP_SIZE_MAX = 1024 * 1024,
	ENTRY_SIZE = 64 * 1024, /* of a line of the files; a longer one is an error */
	NAME_MAX_LEN = 255,
};

#define USERS "/etc/passwd"
#define GROUPS "/etc/group"

struct known {
	struct known *next;
	bool group;
	unsigned int id;
	char name[];
};

/* Of the process: a name has one meaning in it. Never freed. */
static struct {
	pthread_mutex_t lock;
	struct known *first;
	bool local; /* the files alone are asked */
} names = { .lock = PTHREAD_MUTEX_INITIALIZER };

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

/* By whatever this machine is set up to ask, which may be far away. */
static int ask_all(bool group, const char *name, unsigned int *ret_id, bool *ret_found)
{
	int err = ERANGE;

	for (size_t size = LOOKUP_SIZE; err == ERANGE && size <= LOOKUP_SIZE_MAX; size *= 4)
		err = look_up(group, name, size, ret_id, ret_found);
	return err == ENOENT || err == ESRCH ? 0 : err;
}

/* The next entry of a file: 0 and what it is called, or an errno. */
static int next_entry(FILE *file, bool group, char *buf, const char **ret_name,
		      unsigned int *ret_id)
{
	struct passwd pw, *pw_found;
	struct group gr, *gr_found;
	int err = group ? fgetgrent_r(file, &gr, buf, ENTRY_SIZE, &gr_found)
			: fgetpwent_r(file, &pw, buf, ENTRY_SIZE, &pw_found);

	if (err != 0)
		return err;
	*ret_name = group ? gr.gr_name : pw.pw_name;
	*ret_id = group ? gr.gr_gid : pw.pw_uid;
	return 0;
}

static int ask_file(bool group, const char *name, unsigned int *ret_id, bool *ret_found)
{
	FILE *file = fopen(group ? GROUPS : USERS, "re");
	const char *found = "";
	unsigned int id = 0;
	char *buf;
	int err;

	if (!file)
		return errno == ENOENT ? 0 : errno;
	buf = malloc(ENTRY_SIZE);
	err = buf ? 0 : ENOMEM;
	while (err == 0 && !*ret_found) {
		err = next_entry(file, group, buf, &found, &id);
		*ret_found = err == 0 && strcmp(found, name) == 0;
	}
	if (*ret_found)
		*ret_id = id;
	free(buf);
	fclose(file);
	return err == ENOENT ? 0 : err; /* the end of the file */
}

/* What was found before. */

static bool recall(bool group, const char *name, unsigned int *ret_id)
{
	for (const struct known *k = names.first; k; k = k->next) {
		if (k->group != group || strcmp(k->name, name) != 0)
			continue;
		*ret_id = k->id;
		return true;
	}
	return false;
}

/* Without memory it is asked for again. */
static void remember(bool group, const char *name, unsigned int id)
{
	size_t len = strlen(name);
	struct known *k = malloc(sizeof(*k) + len + 1);

	if (!k)
		return;
	*k = (struct known){ .next = names.first, .group = group, .id = id };
	memcpy(k->name, name, len + 1);
	names.first = k;
}

static int find_name(bool group, const char *name, unsigned int *ret_id, bool *ret_found)
{
	int err;

	if (recall(group, name, ret_id)) {
		*ret_found = true;
		return 0;
	}
	err = names.local ? ask_file(group, name, ret_id, ret_found)
			  : ask_all(group, name, ret_id, ret_found);
	if (*ret_found)
		remember(group, name, *ret_id);
	return err;
}

int peer_find_id(bool group, const char *name, unsigned int *ret_id, char *ret_why, size_t why_cap)
{
	const char *kind = group ? "group" : "user";
	bool found = false, local;
	int err;

	if (parse_id(name, ret_id))
		return 0;
	pthread_mutex_lock(&names.lock);
	err = find_name(group, name, ret_id, &found);
	local = names.local;
	pthread_mutex_unlock(&names.lock);
	if (found)
		return 0;
	if (err != 0)
		snprintf(ret_why, why_cap, "cannot look up %s \"%s\": %s", kind, name,
			 strerror(err));
	else if (local)
		snprintf(ret_why, why_cap,
			 "there is no %s \"%s\" in %s, which alone is asked while the daemon "
			 "serves; its number does as well",
			 kind, name, group ? GROUPS : USERS);
	else
		snprintf(ret_why, why_cap, "there is no %s \"%s\" here", kind, name);
	return -EINVAL;
}

void peer_names_stay_local(void)
{
	pthread_mutex_lock(&names.lock);
	names.local = true;
	pthread_mutex_unlock(&names.lock);
}

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
