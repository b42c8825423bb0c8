/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "backends/log-files.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "fd.h"
#include "histogram.h"

enum {
	SUFFIX_MAX = 8,
	NAME_MAX_LEN = PATH_MAX + SUFFIX_MAX,
	RETRY_NS = 1000 * 1000 * 1000,
};

/* Whether the file there ends without a newline. */
/* seccomp(open): openat fstat newfstatat pread64 */
static bool ends_inside_line(const char *path)
{
	AUTO_FD int fd = open(path, O_RDONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	struct stat st;
	char last = '\n';

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size == 0)
		return false;
	return pread(fd, &last, 1, st.st_size - 1) == 1 && last != '\n';
}

void log_files_adopt(struct log_files *f, const struct attachment_options *options)
{
	f->path = options->address;
	f->options = options;
	f->max_size = options->max_size;
	f->keep = (unsigned int)options->keep;
}

int log_files_open(struct log_files *f, const struct attachment_options *options, char *ret_why,
		   size_t why_cap)
{
	const struct outfile_target target = {
		.path = options->address,
		.options = options,
		.regular_only = true,
	};
	int err = outfile_open(&f->file, &target, ret_why, why_cap);

	if (err < 0)
		return err;
	log_files_adopt(f, options);
	f->inside_line = f->file.regular && ends_inside_line(f->path);
	return 0;
}

void log_files_close(struct log_files *f)
{
	outfile_close(&f->file);
}

int log_files_reopen(struct log_files *f, char *ret_why, size_t why_cap)
{
	const struct outfile_target target = {
		.path = f->path,
		.options = f->options,
		.regular_only = true,
	};
	struct outfile fresh;
	int err;

	if (outfile_is_at(&f->file, f->path))
		return 0;
	outfile_init(&fresh, f->file.scope.loop, NULL);
	err = outfile_open(&fresh, &target, ret_why, why_cap);
	if (err == 0)
		outfile_take(&f->file, &fresh);
	return err;
}

static void name_of(const struct log_files *f, unsigned int number, char name[NAME_MAX_LEN])
{
	snprintf(name, NAME_MAX_LEN, "%s.%u", f->path, number);
}

/* Makes PATH.1 free: each file up to the first number not in use moves up by one. */
/* seccomp(open): access faccessat faccessat2 rename renameat renameat2 */
static int shift(const struct log_files *f)
{
	char from[NAME_MAX_LEN], to[NAME_MAX_LEN];
	unsigned int n = 1;

	for (; n < f->keep; n++) {
		name_of(f, n, to);
		if (access(to, F_OK) < 0 && errno == ENOENT)
			break;
	}
	for (; n > 1; n--) {
		name_of(f, n - 1, from);
		name_of(f, n, to);
		if (rename(from, to) < 0)
			return -errno;
	}
	return 0;
}

/* The next file is there, and ours, before the old ones are touched. */
/* seccomp(open): lstat newfstatat unlink unlinkat */
static int open_next(struct log_files *f, const char *name, struct outfile *next)
{
	const struct outfile_target target = {
		.path = name,
		.options = f->options,
		.is_new = true,
	};
	struct stat st;
	char why[256];

	/* One that a crash left behind. */
	if (lstat(name, &st) == 0 && S_ISREG(st.st_mode) && st.st_size == 0)
		unlink(name);
	outfile_init(next, f->file.scope.loop, NULL);
	return outfile_open(next, &target, why, sizeof(why));
}

static int put_aside(struct log_files *f)
{
	char fresh[NAME_MAX_LEN], first[NAME_MAX_LEN];
	struct outfile next;
	int err;

	snprintf(fresh, sizeof(fresh), "%s.new", f->path);
	name_of(f, 1, first);
	err = open_next(f, fresh, &next);
	if (err < 0)
		return err;
	err = shift(f);
	if (err == 0 && rename(f->path, first) < 0)
		err = -errno;
	if (err == 0 && rename(fresh, f->path) < 0)
		err = -errno;
	if (err < 0) {
		outfile_close(&next);
		unlink(fresh);
		return err;
	}
	outfile_take(&f->file, &next);
	return 0;
}

/* seccomp: ftruncate */
static int empty(struct log_files *f)
{
	if (ftruncate(f->file.fd, 0) < 0)
		return -errno;
	f->file.size = 0;
	return 0;
}

/* seccomp: fstat newfstatat */
static int rotate(struct log_files *f)
{
	struct stat st;
	char why[256];

	if (fstat(f->file.fd, &st) < 0)
		return -errno;
	if ((uint64_t)st.st_size < f->file.size) {
		f->file.size = (uint64_t)st.st_size; /* somebody has emptied it */
		return 0;
	}
	/* Moved away by somebody else: what is at PATH, if anything, is not ours to move. */
	if (!outfile_is_at(&f->file, f->path))
		return log_files_reopen(f, why, sizeof(why));
	return f->keep == 0 ? empty(f) : put_aside(f);
}

/* Up to room bytes, but whole lines if there is the end of one. */
static size_t whole_lines(const char *text, size_t len, uint64_t room)
{
	const char *newline;

	if (len <= room)
		return len;
	newline = room > 0 ? memrchr(text, '\n', (size_t)room) : NULL;
	return newline ? (size_t)(newline + 1 - text) : 0;
}

static uint64_t room_left(const struct log_files *f)
{
	return f->file.size < f->max_size ? f->max_size - f->file.size : 0;
}

/* What goes into the file as it is; 0 when it is full. */
static size_t fits(const struct log_files *f, const char *text, size_t len, bool inside)
{
	size_t n = f->file.regular ? whole_lines(text, len, room_left(f)) : len;

	/* A line that does not fit is split when it has begun in this file, or would in any. */
	if (n == 0 && (inside || f->file.size == 0))
		n = (size_t)min_u64(len, room_left(f));
	return n;
}

int log_files_make_room(struct log_files *f, const char *text, size_t len, bool inside,
			size_t *ret_len)
{
	size_t n = fits(f, text, len, inside);
	int err;

	if (n == 0) {
		if (monotonic_ns() < f->retry_ns)
			return f->retry_err;
		err = rotate(f);
		if (err < 0) {
			f->retry_ns = monotonic_ns() + RETRY_NS;
			f->retry_err = err;
			return err;
		}
		n = fits(f, text, len, false);
	}
	/* A file that somebody else put here can be full as well: that one is next. */
	if (n == 0)
		return -EFBIG;
	*ret_len = n;
	return 0;
}
