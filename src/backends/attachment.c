/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "backends/attachment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fd.h"
#include "listener.h"

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
		.sanitize = o->sanitize,
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

/* Sockets and files of the right mode and owner */

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
		err = peer_find_id(false, o->owner, &uid, ret_why, why_cap);
	if (err == 0 && o->group)
		err = peer_find_id(true, o->group, &gid, ret_why, why_cap);
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

/* Whoever may take the file away may listen in its place. */
/* seccomp: stat newfstatat */
static void warn_of_folder(const char *path)
{
	const char *slash = strrchr(path, '/');
	char folder[sizeof(((struct sockaddr_un *)0)->sun_path) + 1] = ".";
	struct stat st;

	if (slash)
		snprintf(folder, sizeof(folder), "%.*s", (int)(slash - path) + 1, path);
	if (stat(folder, &st) == 0 && (st.st_mode & S_IWOTH) && !(st.st_mode & S_ISVTX))
		log_warning(NULL,
			    "%s: every user may write to this folder, and so put another socket in "
			    "its place; a folder of mode 0755 or 1777 would not let them",
			    path);
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
	warn_of_folder(path);
	err = attachment_set_owner(o, path, -1, ret_why, why_cap);
	if (err == 0)
		err = listener_listen(fd, path, ret_why, why_cap);
	if (err < 0) {
		unlink(path);
		return err;
	}
	return fd_take(&fd);
}
