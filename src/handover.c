/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "handover.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fd.h"

enum { FD_TAKEN, FD_KEPT };

void handover_out_init(struct handover_out *out)
{
	*out = (struct handover_out){ .n_fds = 0 };
	state_writer_init(&out->state, HANDOVER_KIND, HANDOVER_VERSION);
}

void handover_out_fini(struct handover_out *out)
{
	state_writer_fini(&out->state);
	free(out->fds);
	out->fds = NULL;
}

static void list_fd(struct handover_out *out, int fd)
{
	if (out->n_fds == out->cap_fds) {
		size_t cap = out->cap_fds > 0 ? 2 * out->cap_fds : 64;
		int *fds = reallocarray(out->fds, cap, sizeof(*fds));

		if (!fds) {
			out->failed = true;
			return;
		}
		out->fds = fds;
		out->cap_fds = cap;
	}
	out->fds[out->n_fds++] = fd;
}

/* One more than the number: 0 is none. */
void handover_put_fd(struct handover_out *out, unsigned int tag, int fd)
{
	state_put_number(&out->state, tag, fd < 0 ? 0 : (uint64_t)fd + 1);
	if (fd >= 0)
		list_fd(out, fd);
}

/* Whether it is a thing that is passed around; what we make ourselves has no file type. */
/* seccomp: fstat newfstatat fcntl:F_GETFD fcntl:F_SETFD */
static bool may_be_passed(int fd)
{
	struct stat st;

	return fd >= 0 && fstat(fd, &st) == 0 && (st.st_mode & S_IFMT) != 0;
}

void handover_keep_fd(struct handover_out *out, int fd)
{
	if (may_be_passed(fd))
		list_fd(out, fd);
}

void handover_kept_fd(struct handover_in *in, int fd)
{
	if (fd < in->n_taken && may_be_passed(fd) && fd_set_cloexec(fd) == 0)
		in->taken[fd] |= BIT(FD_KEPT);
}

void handover_busy(struct handover_out *out, const char *fmt, ...)
{
	va_list args;

	if (out->why[0])
		return;
	va_start(args, fmt);
	vsnprintf(out->why, sizeof(out->why), fmt, args);
	va_end(args);
}

int handover_in_init(struct handover_in *in, const void *buf, size_t len)
{
	*in = (struct handover_in){ .n_taken = 0 };
	in->taken = calloc(HANDOVER_FD_MAX, sizeof(*in->taken));
	if (!in->taken)
		return -ENOMEM;
	in->n_taken = HANDOVER_FD_MAX;
	state_reader_init(&in->state, buf, len, HANDOVER_KIND, HANDOVER_VERSION);
	return 0;
}

void handover_in_fini(struct handover_in *in)
{
	free(in->taken);
	in->taken = NULL;
	in->n_taken = 0;
}

bool handover_taken(const struct handover_in *in, int fd)
{
	return fd >= 0 && fd < in->n_taken && in->taken[fd] != 0;
}

int handover_take_fd(struct handover_in *in, unsigned int tag, const char *name, bool needed)
{
	int fd = (int)state_take_number(&in->state, tag, name, HANDOVER_FD_MAX) - 1;

	if (fd < 0) {
		if (needed)
			state_fail(&in->state, "%s: a descriptor is expected", name);
		return -1;
	}
	if ((in->taken[fd] & BIT(FD_TAKEN)) || fd_set_cloexec(fd) < 0) {
		state_fail(&in->state, "%s: descriptor %d is %s", name, fd,
			   in->taken[fd] & BIT(FD_TAKEN) ? "somebody else's" : "not open");
		return -1;
	}
	in->taken[fd] |= BIT(FD_TAKEN);
	return fd;
}

void handover_take_exact(struct handover_in *in, unsigned int tag, const char *name, void *buf,
			 size_t len)
{
	const uint8_t *bytes;
	size_t n = state_take_bytes(&in->state, tag, name, len, &bytes);

	if (n != len)
		state_fail(&in->state, "%s: %zu bytes, expected are %zu", name, n, len);
	else if (len > 0)
		memcpy(buf, bytes, len);
}

void handover_take_text(struct handover_in *in, unsigned int tag, const char *name, char *buf,
			size_t cap)
{
	const uint8_t *bytes;
	size_t n = state_take_bytes(&in->state, tag, name, cap - 1, &bytes);

	if (n > 0)
		memcpy(buf, bytes, n);
	buf[n] = '\0';
}

char *handover_dup_text(struct handover_in *in, unsigned int tag, const char *name)
{
	const uint8_t *bytes;
	size_t n = state_take_bytes(&in->state, tag, name, HANDOVER_BYTES_MAX, &bytes);
	char *text = in->state.failed ? NULL : malloc(n + 1);

	if (!text) {
		state_fail(&in->state, "%s: no memory", name);
		return NULL;
	}
	if (n > 0)
		memcpy(text, bytes, n);
	text[n] = '\0';
	return text;
}
