/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What the fuzz targets share: a condition that has to hold, the input as
 * something to take from, and the descriptors that are open.
 */
#ifndef VHU_TESTS_FUZZ_H
#define VHU_TESTS_FUZZ_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base.h"

/* Returns 0, always: what the input is like is not for the return value to say. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Ends the program, unless the condition holds: that is a finding. */
#define must(condition)                                                                            \
	do {                                                                                       \
		if (!(condition))                                                                  \
			fuzz_fail(__FILE__, __LINE__, #condition);                                 \
	} while (0)

static inline _Noreturn void fuzz_fail(const char *file, int line, const char *condition)
{
	fprintf(stderr, "%s:%d: expected: %s\n", file, line, condition);
	abort();
}

/* The rest of the input. Past its end are zeroes, so a short input is a whole one, too. */
struct input {
	const uint8_t *at;
	size_t left;
};

static inline void input_copy(struct input *in, void *buf, size_t len)
{
	size_t n = min_size(len, in->left);

	memset(buf, 0, len);
	if (n > 0)
		memcpy(buf, in->at, n);
	in->at += n;
	in->left -= n;
}

static inline uint8_t input_u8(struct input *in)
{
	uint8_t value;

	input_copy(in, &value, sizeof(value));
	return value;
}

static inline uint16_t input_u16(struct input *in)
{
	uint16_t value;

	input_copy(in, &value, sizeof(value));
	return le16toh(value);
}

static inline uint32_t input_u32(struct input *in)
{
	uint32_t value;

	input_copy(in, &value, sizeof(value));
	return le32toh(value);
}

static inline uint64_t input_u64(struct input *in)
{
	uint64_t value;

	input_copy(in, &value, sizeof(value));
	return le64toh(value);
}

/* Up to len bytes of the input itself; *ret_len: how many there are. */
static inline const uint8_t *input_take(struct input *in, size_t len, size_t *ret_len)
{
	const uint8_t *at = in->at;

	*ret_len = min_size(len, in->left);
	in->at += *ret_len;
	in->left -= *ret_len;
	return at;
}

/* The rest as text, for the caller to free. */
static inline char *input_text(struct input *in)
{
	size_t len = in->left;
	char *text = malloc(len + 1);

	must(text != NULL);
	input_copy(in, text, len);
	text[len] = '\0';
	return text;
}

enum { FUZZ_FDS = 256 }; /* below it are all that a target may have open */

/* What is open under each number, by the file's own; 0: nothing. */
static inline void fuzz_look_at_fds(ino_t files[FUZZ_FDS])
{
	struct stat st;

	for (int fd = 0; fd < FUZZ_FDS; fd++)
		files[fd] = fstat(fd, &st) == 0 ? st.st_ino + 1 : 0;
}

/*
 * Around an input: what is open before it is open after it, and no more. The
 * first input may make what stays.
 */
struct fuzz_fds {
	ino_t before[FUZZ_FDS];
	bool warm;
};

static inline void fuzz_fds_begin(struct fuzz_fds *f)
{
	fuzz_look_at_fds(f->before);
}

static inline void fuzz_fds_end(struct fuzz_fds *f)
{
	ino_t now[FUZZ_FDS];

	fuzz_look_at_fds(now);
	for (int fd = 0; f->warm && fd < FUZZ_FDS; fd++) {
		if (now[fd] != f->before[fd])
			fprintf(stderr, "descriptor %d: file %ju, before the input %ju\n", fd,
				(uintmax_t)now[fd], (uintmax_t)f->before[fd]);
		must(now[fd] == f->before[fd]);
	}
	f->warm = true;
}

/* A file of that size, all zero. */
static inline int fuzz_file(size_t size)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	must(fd >= 0 && ftruncate(fd, (off_t)size) == 0);
	return fd;
}

/* Whether a sentence is one: not empty, and one line without control characters. */
static inline bool fuzz_is_sentence(const char *why)
{
	if (why[0] == '\0')
		return false;
	for (const char *c = why; *c; c++)
		if ((uint8_t)*c < 0x20 || *c == 0x7f)
			return false;
	return true;
}

#endif
