/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "backends/attachment.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fd.h"
#include "listener.h"

enum {
	LOOKUP_SIZE = 1024, /* for an entry of the user or group database, at first */
	LOOKUP_SIZE_MAX = 1024 * 1024,
};

const struct attachment_row attachment_rows[ATTACHMENT_N_KINDS] = {
#define ATTACHMENT(ident, word, addr, meta, text)                                                  \
	[ATTACHMENT_##ident] = {                                                                   \
		.name = (word),                                                                    \
		.address = ATTACHMENT_ADDRESS_##addr,                                              \
		.metavar = (meta),                                                                 \
		.help = (text),                                                                    \
		.ops = &attachment_##ident,                                                        \
	},
#include "backends/attachments.def"
#undef ATTACHMENT
};

int attachment_open(const struct attachment_args *args, struct attachment **ret_attachment,
		    char *ret_why, size_t why_cap)
{
	struct attachment *a;
	int err;

	err = attachment_rows[args->options->kind].ops->open(args, &a, ret_why, why_cap);
	if (err < 0)
		return err;
	a->args.from = NULL;
	a->replays = attachment_client_options(a, NULL).replay > 0;
	a->args.port->n_replayers += a->replays;
	*ret_attachment = a;
	return 0;
}

void attachment_save(const struct attachment *a, struct handover_out *out, unsigned int tag)
{
	state_begin_group(&out->state, tag);
	if (a->ops->save)
		a->ops->save(a, out);
	else
		handover_busy(out, "%s: %s", a->args.who, "it cannot be handed over");
	state_end(&out->state);
}

int attachment_load(const struct attachment_args *args, unsigned int tag,
		    struct attachment **ret_attachment, char *ret_why, size_t why_cap)
{
	int err;

	if (!state_enter(&args->from->state, tag, args->who))
		return -EINVAL;
	err = attachment_open(args, ret_attachment, ret_why, why_cap);
	if (err == 0)
		state_leave(&args->from->state);
	return err;
}

void attachment_end(struct attachment *a)
{
	void (*closed)(void *arg) = a->closed;
	void *arg = a->closed_arg;

	a->args.port->n_replayers -= a->replays;
	free(a);
	closed(arg);
}

struct port_client_options attachment_client_options(const struct attachment *a, const char *what)
{
	const struct attachment_options *o = a->args.options;
	const struct port *port = a->args.port;

	return (struct port_client_options){
		.writes = !o->ro,
		.steals = o->steal,
		.holds = !o->ro,
		.shows = port->console,
		.replay = o->replay.set	  ? o->replay.value
			  : port->console ? PORT_REPLAY_ALL
					  : 0,
		.what = what,
	};
}

void attachment_log(struct attachment *a, enum log_level level, const char *fmt, ...)
{
	unsigned int n_suppressed;
	char text[256];
	va_list args;

	if (!log_limit_pass(&a->limit, &n_suppressed))
		return;
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (n_suppressed > 0)
		log_line(level, a->args.who, "%s (%u more lines were not shown)", text,
			 n_suppressed);
	else
		log_line(level, a->args.who, "%s", text);
}

/* Users and groups */

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

void attachment_save_lookups(struct handover_out *out, unsigned int tag)
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

void attachment_load_lookups(struct handover_in *in, unsigned int tag)
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

void attachment_end_lookups(void)
{
	lookups.ended = true;
}

int attachment_find_id(bool group, const char *name, unsigned int *ret_id, char *ret_why,
		       size_t why_cap)
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

/* fd may be a mere O_PATH descriptor, which chmod() reaches through /proc only. */
/* seccomp(owners): fchownat chmod fchmodat */
static int change_file(const struct attachment_options *o, int fd, unsigned int uid,
		       unsigned int gid)
{
	char link[40];

	if ((o->owner || o->group) && fchownat(fd, "", uid, gid, AT_EMPTY_PATH) < 0)
		return -errno;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	/* Last, as a change of owner may take bits away. */
	if (o->mode.set && chmod(link, (mode_t)o->mode.value) < 0)
		return -errno;
	return 0;
}

/* seccomp(owners): openat */
int attachment_set_owner(const struct attachment_options *o, const char *path, int fd,
			 char *ret_why, size_t why_cap)
{
	unsigned int uid = (unsigned int)-1, gid = (unsigned int)-1;
	AUTO_FD int opened = -1;
	int err = 0;

	if (!o->mode.set && !o->owner && !o->group)
		return 0;
	if (o->owner)
		err = attachment_find_id(false, o->owner, &uid, ret_why, why_cap);
	if (err == 0 && o->group)
		err = attachment_find_id(true, o->group, &gid, ret_why, why_cap);
	if (err < 0)
		return err;
	if (fd < 0) {
		/* Whatever the name leads to later, this is the one file that is changed. */
		opened = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
		err = opened < 0 ? -errno : 0;
		fd = opened;
	}
	if (err == 0)
		err = change_file(o, fd, uid, gid);
	if (err < 0)
		snprintf(ret_why, why_cap, "cannot set mode or owner of %s: %s%s", path,
			 strerror(-err),
			 err == -EPERM ? " (it takes a privilege that this process does not have, "
					 "or has given up)"
				       : "");
	return err;
}

/* seccomp: unlink unlinkat */
int attachment_unix_socket(const struct attachment_options *o, const char *path, char *ret_why,
			   size_t why_cap)
{
	AUTO_FD int fd = -1;
	int err;

	if (path[0] == '@') {
		if (!o->mode.set && !o->owner && !o->group)
			return listener_abstract_socket(path + 1, ret_why, why_cap);
		snprintf(ret_why, why_cap, "%s is no file: it takes no mode, owner or group", path);
		return -EINVAL;
	}
	fd = listener_unix_bind(path, ret_why, why_cap);
	if (fd < 0)
		return fd;
	err = attachment_set_owner(o, path, -1, ret_why, why_cap);
	if (err == 0)
		err = listener_listen(fd, path, ret_why, why_cap);
	if (err < 0) {
		unlink(path);
		return err;
	}
	return fd_take(&fd);
}
