/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What a test's subject says on standard error, for tests of sentences. */
#ifndef VHU_TESTS_SAID_RIG_H
#define VHU_TESTS_SAID_RIG_H

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#include "unit.h"

struct said {
	int saved; /* the real standard error */
	int file;
	char text[4096];
};

/* From here on, until said_end(). */
static inline int said_begin(struct said *s)
{
	s->saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
	s->file = memfd_create("said", MFD_CLOEXEC);
	return s->saved < 0 || s->file < 0 || dup2(s->file, STDERR_FILENO) < 0 ? -1 : 0;
}

static inline void said_end(struct said *s)
{
	dup2(s->saved, STDERR_FILENO);
	s->saved = fd_close(s->saved);
	s->file = fd_close(s->file);
}

/* Whether some of it is text. */
static inline bool said(struct said *s, const char *text)
{
	ssize_t n = pread(s->file, s->text, sizeof(s->text) - 1, 0);

	s->text[n > 0 ? n : 0] = '\0';
	return strstr(s->text, text) != NULL;
}

#endif
