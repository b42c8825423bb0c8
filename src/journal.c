/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "journal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base.h"
#include "fd.h"
#include "log.h"

enum {
	JOURNAL_VERSION = 1,
	JOURNAL_PAGE = 4096,
	LOCK_TRIES = 50, /* one each LOCK_MS */
	LOCK_MS = 10,
};

static const char journal_magic[8] = "vhujrnl";

/* Two places for commits follow, which take turns: number n is in place n % 2. */
struct journal_header {
	char magic[8];
	uint32_t version, kind;
	uint64_t commit_len, area_len;
	uint64_t n_commits;
};

static size_t round_up(size_t n, size_t to)
{
	return (n + to - 1) / to * to;
}

static size_t place_len(size_t commit_len)
{
	return round_up(commit_len, 64);
}

static size_t head_len(size_t commit_len)
{
	return round_up(round_up(sizeof(struct journal_header), 64) + 2 * place_len(commit_len),
			JOURNAL_PAGE);
}

static void *place(const struct journal *j, uint64_t n)
{
	return (uint8_t *)j->header + round_up(sizeof(*j->header), 64) +
	       (n % 2) * place_len(j->commit_len);
}

static int fail(int err, const char *path, const char *what, char *ret_why, size_t why_cap)
{
	snprintf(ret_why, why_cap, "%s: %s (%s)", path, what, strerror(-err));
	return err;
}

/*
 * Who had it may be amid its end, killed while another program was asked whether
 * it can take its place: that one has the lock a moment longer.
 */
/* seccomp(open): flock poll ppoll */
static bool lock(int fd)
{
	for (unsigned int i = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; i++) {
		if (i == LOCK_TRIES)
			return false;
		poll(NULL, 0, LOCK_MS);
	}
	return true;
}

/* Ours alone: a file that others can write could not be believed. */
/* seccomp(open): openat fstat newfstatat ftruncate fallocate fstatfs pread64 pwrite64 geteuid */
static int open_file(const char *path, char *ret_why, size_t why_cap)
{
	AUTO_FD int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	struct stat st;

	if (fd < 0)
		return fail(-errno, path, "cannot open the journal", ret_why, why_cap);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_uid != geteuid() ||
	    (st.st_mode & 077) != 0)
		return fail(-EPERM, path,
			    "expected a regular file of ours that nobody else can open", ret_why,
			    why_cap);
	if (!lock(fd))
		return fail(-EBUSY, path,
			    "another process has the journal; each daemon needs a folder, or names "
			    "of devices, of its own",
			    ret_why, why_cap);
	return fd_take(&fd);
}

static bool header_fits(const struct journal_header *h, uint32_t kind, size_t commit_len,
			size_t area_len)
{
	return memcmp(h->magic, journal_magic, sizeof(h->magic)) == 0 &&
	       h->version == JOURNAL_VERSION && h->kind == kind && h->commit_len == commit_len &&
	       h->area_len == area_len;
}

/* Room for all of it, so that writing there cannot fail; empty unless it was so before. */
static int size_file(int fd, const char *path, size_t len)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_size != 0 && (uint64_t)st.st_size != len)
		log_warning(path, "the journal is begun anew: it was made for another history or "
				  "version");
	if ((uint64_t)st.st_size != len && ftruncate(fd, 0) < 0)
		return -errno;
	return -posix_fallocate(fd, 0, (off_t)len);
}

static struct journal make(int fd, struct journal_header *h, size_t commit_len, size_t area_len)
{
	return (struct journal){
		.fd = fd,
		.header = h,
		.map_len = head_len(commit_len) + area_len,
		.commit_len = commit_len,
		.area = (uint8_t *)h + head_len(commit_len),
	};
}

/* seccomp: mmap munmap madvise */
int journal_open(struct journal *j, const char *path, uint32_t kind, size_t commit_len,
		 size_t area_len, bool *ret_found, char *ret_why, size_t why_cap)
{
	const size_t len = head_len(commit_len) + area_len;
	AUTO_FD int fd = open_file(path, ret_why, why_cap);
	struct journal_header *h;
	int err;

	if (fd < 0)
		return fd;
	err = size_file(fd, path, len);
	if (err < 0)
		return fail(err, path, "no room for the journal", ret_why, why_cap);
	h = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (h == MAP_FAILED)
		return fail(-errno, path, "cannot map the journal", ret_why, why_cap);
	madvise(h, len, MADV_DONTDUMP);
	if (!header_fits(h, kind, commit_len, area_len)) {
		memset(h, 0, len);
		h->version = JOURNAL_VERSION;
		h->kind = kind;
		h->commit_len = commit_len;
		h->area_len = area_len;
		memcpy(h->magic, journal_magic, sizeof(h->magic));
	}
	*j = make(fd_take(&fd), h, commit_len, area_len);
	*ret_found = h->n_commits > 0;
	return 0;
}

void journal_close(struct journal *j)
{
	if (!j->header)
		return;
	munmap(j->header, j->map_len);
	fd_close(j->fd);
	*j = (struct journal){ .fd = -1 };
}

void journal_commit(struct journal *j, const void *bytes)
{
	const uint64_t n = j->header->n_commits + 1;

	memcpy(place(j, n), bytes, j->commit_len);
	/* A killed process has done its stores in this order, and no others look on. */
	__atomic_store_n(&j->header->n_commits, n, __ATOMIC_RELEASE);
}

const void *journal_last(const struct journal *j)
{
	return j->header->n_commits > 0 ? place(j, j->header->n_commits) : NULL;
}

/* Another process. */

enum { TAG_FD = 1 };

void journal_save(const struct journal *j, struct handover_out *out, unsigned int tag)
{
	state_begin_group(&out->state, tag);
	handover_put_fd(out, TAG_FD, j->fd);
	state_end(&out->state);
}

/* The file as it is; NULL, and fd is closed, when it is not what it should be. */
static struct journal_header *map_again(int *fd, uint32_t kind, size_t commit_len, size_t area_len)
{
	const size_t len = head_len(commit_len) + area_len;
	struct journal_header *h = MAP_FAILED;
	struct stat st;

	if (fstat(*fd, &st) == 0 && (uint64_t)st.st_size == len)
		h = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
	if (h != MAP_FAILED && header_fits(h, kind, commit_len, area_len)) {
		madvise(h, len, MADV_DONTDUMP);
		return h;
	}
	if (h != MAP_FAILED)
		munmap(h, len);
	*fd = fd_close(*fd);
	return NULL;
}

void journal_load(struct journal *j, struct handover_in *in, unsigned int tag, uint32_t kind,
		  size_t commit_len, size_t area_len)
{
	struct journal_header *h;
	int fd;

	if (!state_enter(&in->state, tag, "journal"))
		return;
	fd = handover_take_fd(in, TAG_FD, "file", true);
	h = fd >= 0 ? map_again(&fd, kind, commit_len, area_len) : NULL;
	if (h)
		*j = make(fd, h, commit_len, area_len);
	else
		state_fail(&in->state, "the file is not laid out as expected");
	state_leave(&in->state);
}
