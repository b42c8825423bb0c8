/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Memory that outlives a process that is killed, and what it looks like for each
 * moment at which the process may be: a child runs a script and is stopped
 * after every instruction, and what has changed in the memory since is kept.
 */
#ifndef VHU_TESTS_INFLIGHT_RIG_H
#define VHU_TESTS_INFLIGHT_RIG_H

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include "unit.h"

#include "virtio/inflight.h"

enum { MOMENTS_MAX = 4096 };

struct moments {
	unsigned int n;
	uint8_t *at[MOMENTS_MAX]; /* copies of the memory, the oldest first */
};

/* A record of one ring, its file, and memory of len bytes after it for the ring itself. */
struct inflight_rig {
	uint8_t *mem;
	size_t len;
	size_t ring_off;
	int fd;
	struct inflight *record;
	struct moments moments;
};

static inline void inflight_rig_open(struct inflight_rig *rig, uint32_t size, bool packed,
				     size_t ring_len)
{
	uint64_t bytes = inflight_bytes(1, size, packed);

	memset(rig, 0, sizeof(*rig));
	rig->ring_off = bytes;
	rig->len = bytes + ring_len;
	rig->fd = memfd_create("record", MFD_CLOEXEC);
	assert_true(rig->fd >= 0);
	assert_int_equal(ftruncate(rig->fd, (off_t)rig->len), 0);
	rig->mem = mmap(NULL, rig->len, PROT_READ | PROT_WRITE, MAP_SHARED, rig->fd, 0);
	assert_ptr_not_equal(rig->mem, MAP_FAILED);
	assert_int_equal(inflight_map(bytes, 0, rig->fd, 1, size, packed, &rig->record), GMEM_OK);
}

static inline void moments_free(struct moments *m)
{
	while (m->n > 0)
		free(m->at[--m->n]);
}

static inline void inflight_rig_close(struct inflight_rig *rig)
{
	moments_free(&rig->moments);
	inflight_unref(rig->record);
	munmap(rig->mem, rig->len);
	close(rig->fd);
}

static inline void moments_add(struct moments *m, const struct inflight_rig *rig)
{
	assert_true(m->n < MOMENTS_MAX);
	m->at[m->n] = malloc(rig->len);
	assert_non_null(m->at[m->n]);
	memcpy(m->at[m->n++], rig->mem, rig->len);
}

static inline void moments_restore(const struct moments *m, unsigned int i,
				   const struct inflight_rig *rig)
{
	memcpy(rig->mem, m->at[i], rig->len);
}

/* A step of the child. False: it has ended. */
static inline bool moments_step(pid_t pid)
{
	int status;

	assert_int_equal(ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFSTOPPED(status))
		return true;
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	return false;
}

/* All that the memory goes through while script runs, from before its first store on. */
static inline void moments_collect(struct moments *m, const struct inflight_rig *rig,
				   void (*script)(void *arg), void *arg)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
			_exit(1);
		raise(SIGSTOP);
		script(arg);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSTOPPED(status));
	moments_add(m, rig);
	while (moments_step(pid))
		if (memcmp(m->at[m->n - 1], rig->mem, rig->len) != 0)
			moments_add(m, rig);
}

#endif
