/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Resources that run out: one call for memory, a mapping or a descriptor fails,
 * the n-th from now. Programs that include this are linked with $(fail_flags) of
 * tests/unit/local.mk, and only their own calls and those of our archives count, in
 * the thread that begins.
 */
#ifndef VHU_TESTS_FAIL_RIG_H
#define VHU_TESTS_FAIL_RIG_H

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/types.h>

static _Thread_local unsigned int fail_in; /* which call fails; 0: none does */
static unsigned int n_failed;		   /* since fail_begin() */

static inline void fail_begin(unsigned int nth)
{
	fail_in = nth;
	n_failed = 0;
}

/* How many calls there were if none was to fail: of fail_begin(UINT_MAX). */
static inline unsigned int fail_end(void)
{
	unsigned int n = (unsigned int)-1 - fail_in;

	fail_in = 0;
	return n;
}

static inline bool fails_now(int err)
{
	if (fail_in == 0 || --fail_in > 0)
		return false;
	n_failed++;
	errno = err;
	return true;
}

#define FAIL_POINTER(name, none, err, params, args)                                                \
	void *__real_##name params;                                                                \
	void *__wrap_##name params;                                                                \
	void *__wrap_##name params                                                                 \
	{                                                                                          \
		return fails_now(err) ? none : __real_##name args;                                 \
	}

#define FAIL_NUMBER(name, err, params, args)                                                       \
	int __real_##name params;                                                                  \
	int __wrap_##name params;                                                                  \
	int __wrap_##name params                                                                   \
	{                                                                                          \
		return fails_now(err) ? -1 : __real_##name args;                                   \
	}

#define NO_MAPPING ((void *)-1)

FAIL_POINTER(malloc, NULL, ENOMEM, (size_t size), (size))
FAIL_POINTER(calloc, NULL, ENOMEM, (size_t n, size_t size), (n, size))
FAIL_POINTER(realloc, NULL, ENOMEM, (void *old, size_t size), (old, size))
FAIL_POINTER(reallocarray, NULL, ENOMEM, (void *old, size_t n, size_t size), (old, n, size))
FAIL_POINTER(mmap, NO_MAPPING, ENOMEM,
	     (void *addr, size_t len, int prot, int flags, int fd, off_t offset),
	     (addr, len, prot, flags, fd, offset))
FAIL_NUMBER(eventfd, EMFILE, (unsigned int count, int flags), (count, flags))
FAIL_NUMBER(memfd_create, EMFILE, (const char *name, unsigned int flags), (name, flags))
FAIL_NUMBER(ftruncate, ENOSPC, (int fd, off_t len), (fd, len))
FAIL_NUMBER(pipe2, EMFILE, (int fds[2], int flags), (fds, flags))
FAIL_NUMBER(socketpair, EMFILE, (int family, int type, int protocol, int fds[2]),
	    (family, type, protocol, fds))

#endif
