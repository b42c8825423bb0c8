/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "backends/outfile.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fd.h"

static void write_on(struct outfile *f)
{
	op_write(&f->wr, f->fd, f->buf + f->done, f->len - f->done);
}

static void write_done(struct op *op, int res)
{
	struct outfile *f = container_of(op, struct outfile, wr);
	bool polled = f->polling;

	f->polling = false;
	if (res > 0 && !polled) {
		f->done += (size_t)res;
		f->size += (uint64_t)res;
	}
	if (scope_cancelling(&f->scope))
		return;
	if (f->done == f->len) {
		f->written(f, 0);
	} else if (res > 0 || res == -EINTR) {
		write_on(f);
	} else if (res == -EAGAIN) {
		f->polling = true;
		op_poll(&f->wr, f->fd, POLLOUT);
	} else {
		f->written(f, res < 0 ? res : -EIO);
	}
}

void outfile_init(struct outfile *f, struct loop *loop, void (*written)(struct outfile *f, int err))
{
	*f = (struct outfile){ .fd = -1, .written = written };
	scope_init(&f->scope, loop);
	op_init(&f->wr, &f->scope, write_done);
}

void outfile_write(struct outfile *f, const void *buf, size_t len)
{
	assert(f->fd >= 0 && len > 0);
	f->buf = buf;
	f->len = len;
	f->done = 0;
	write_on(f);
}

void outfile_interrupt(struct outfile *f)
{
	if (f->polling)
		op_cancel(&f->wr);
}

static int fail(const char *path, const char *what, int err, char *ret_why, size_t why_cap)
{
	snprintf(ret_why, why_cap, "cannot %s %s: %s", what, path, strerror(-err));
	return err;
}

/* What is at the path decides how it is opened. */
/* seccomp(open): stat newfstatat */
static int open_flags(const struct outfile_target *t, char *ret_why, size_t why_cap)
{
	int flags = O_CREAT | O_APPEND | O_NOCTTY | O_NONBLOCK | O_CLOEXEC;
	struct stat st;

	if (t->is_new)
		return flags | O_WRONLY | O_EXCL;
	if (stat(t->path, &st) == 0) {
		flags &= ~O_CREAT; /* which is refused for another user's file in /tmp */
		if (S_ISSOCK(st.st_mode)) {
			snprintf(ret_why, why_cap, "%s is a socket, not a file", t->path);
			return -ENXIO;
		}
		if (S_ISFIFO(st.st_mode) && t->regular_only) {
			snprintf(ret_why, why_cap, "%s is a named pipe, not a file", t->path);
			return -EINVAL;
		}
		if (S_ISFIFO(st.st_mode))
			return flags | O_RDWR;
	}
	return flags | O_WRONLY | (t->truncate ? O_TRUNC : 0);
}

/* seccomp(open): openat */
static int open_at(const struct outfile_target *t, char *ret_why, size_t why_cap)
{
	const struct attachment_options *o = t->options;
	mode_t mode = o->mode.set ? (mode_t)o->mode.value & 0777 : 0666;
	int flags = open_flags(t, ret_why, why_cap);
	AUTO_FD int fd = -1;
	int err;

	if (flags < 0)
		return flags;
	/* Emptied only when it is known that nobody else writes it. */
	fd = open(t->path, flags & ~O_TRUNC, mode);
	if (fd < 0)
		return fail(t->path, "open", -errno, ret_why, why_cap);
	if (o->mode.set || o->owner || o->group) {
		err = attachment_set_owner(o, t->path, fd, ret_why, why_cap);
		/* The privilege may be gone since the first one: a log goes on without. */
		if (err < 0 && !(t->is_new && err == -EPERM))
			return err;
	}
	return fd_take(&fd);
}

/* seccomp(open): fstat newfstatat flock ftruncate rt_sigaction */
int outfile_open(struct outfile *f, const struct outfile_target *target, char *ret_why,
		 size_t why_cap)
{
	AUTO_FD int fd = open_at(target, ret_why, why_cap);
	struct stat st;

	assert(f->fd < 0);
	if (fd < 0)
		return fd;
	/* A limit of file sizes is an error like any other, not the end. */
	signal(SIGXFSZ, SIG_IGN);
	if (fstat(fd, &st) < 0)
		return fail(target->path, "look at", -errno, ret_why, why_cap);
	if (S_ISREG(st.st_mode)) {
		if (flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK) {
			snprintf(ret_why, why_cap, "%s is being written by another attachment",
				 target->path);
			return -EBUSY;
		}
		/* A file system without locks does without. */
		if (target->truncate && ftruncate(fd, 0) < 0)
			return fail(target->path, "empty", -errno, ret_why, why_cap);
	}
	f->regular = S_ISREG(st.st_mode);
	f->size = target->truncate ? 0 : (uint64_t)st.st_size;
	f->fd = fd_take(&fd);
	return 0;
}

void outfile_take(struct outfile *f, struct outfile *other)
{
	assert(!outfile_busy(f) && !outfile_busy(other));
	outfile_close(f);
	f->fd = fd_take(&other->fd);
	f->regular = other->regular;
	f->size = other->size;
}

void outfile_close(struct outfile *f)
{
	assert(!outfile_busy(f));
	f->fd = fd_close(f->fd);
}

bool outfile_is_at(const struct outfile *f, const char *path)
{
	struct stat ours, there;

	return f->fd >= 0 && fstat(f->fd, &ours) == 0 && stat(path, &there) == 0 &&
	       ours.st_dev == there.st_dev && ours.st_ino == there.st_ino;
}

enum { TAG_FD = 1, TAG_REGULAR, TAG_SIZE };

void outfile_save(const struct outfile *f, struct handover_out *out, unsigned int tag)
{
	state_begin_group(&out->state, tag);
	handover_put_fd(out, TAG_FD, f->fd);
	state_put_number(&out->state, TAG_REGULAR, f->regular);
	state_put_number(&out->state, TAG_SIZE, f->size);
	state_end(&out->state);
}

/* The lock is the open file's, and so it stays. */
void outfile_load(struct outfile *f, struct handover_in *in, unsigned int tag)
{
	assert(f->fd < 0);
	signal(SIGXFSZ, SIG_IGN);
	if (!state_enter(&in->state, tag, "file"))
		return;
	f->fd = handover_take_fd(in, TAG_FD, "descriptor", false);
	f->regular = state_take_flag(&in->state, TAG_REGULAR, "regular");
	f->size = state_take_number(&in->state, TAG_SIZE, "size", UINT64_MAX);
	state_leave(&in->state);
}
