/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "fdkind.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "encode.h"
#include "proc.h"

static const char deleted[] = " (deleted)";
static const char memfd[] = "/memfd:";

const char *fd_kind_name(enum fd_kind kind)
{
	static const char *const names[FD_N_KINDS] = {
		[FD_KIND_MEMORY] = "memfd",
		[FD_KIND_EVENTFD] = "eventfd",
		[FD_KIND_SOCKET] = "socket",
		[FD_KIND_PIPE_READ] = "pipe, read end",
		[FD_KIND_PIPE_WRITE] = "pipe, write end",
		[FD_KIND_FILE] = "file",
		[FD_KIND_OTHER] = "other",
	};

	return (size_t)kind < FD_N_KINDS ? names[kind] : "unknown";
}

/* A number after a word in fdinfo; 0 when there is none. */
static uint64_t fdinfo_number(int fd, const char *word)
{
	char name[32], line[128];
	uint64_t value = 0;
	FILE *in;

	snprintf(name, sizeof(name), "fdinfo/%d", fd);
	in = proc_open(getpid(), name);
	if (!in)
		return 0;
	while (fgets(line, sizeof(line), in) && !proc_line_value(line, word, 10, &value))
		;
	fclose(in);
	return value;
}

static void read_path(int fd, char *ret_path, size_t size)
{
	char link[64];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, ret_path, size - 1);
	ret_path[n > 0 ? n : 0] = '\0';
}

static bool begins(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

/* How much of a path remains without the kernel's remark that its file has no name. */
static size_t named_len(const char *path)
{
	size_t len = strlen(path), tail = sizeof(deleted) - 1;

	return len >= tail && strcmp(path + len - tail, deleted) == 0 ? len - tail : len;
}

/* Memory: a file without a name that can be grown and mapped. */
static bool is_memory(const char *path)
{
	return begins(path, memfd) || path[named_len(path)] != '\0';
}

static enum fd_kind kind_of(const struct stat *st, const struct fd_about *a)
{
	if (strcmp(a->path, "anon_inode:[eventfd]") == 0)
		return FD_KIND_EVENTFD;
	if (S_ISSOCK(st->st_mode))
		return FD_KIND_SOCKET;
	if (S_ISFIFO(st->st_mode))
		return a->readonly ? FD_KIND_PIPE_READ : FD_KIND_PIPE_WRITE;
	if (!S_ISREG(st->st_mode))
		return FD_KIND_OTHER;
	return is_memory(a->path) ? FD_KIND_MEMORY : FD_KIND_FILE;
}

/* seccomp: fcntl:F_GETFL fcntl:F_GET_SEALS fstat newfstatat readlink readlinkat */
bool fd_describe(int fd, struct fd_about *ret_about)
{
	struct fd_about a = { .kind = FD_KIND_OTHER };
	int flags = fcntl(fd, F_GETFL);
	struct stat st;
	int seals;

	if (fd < 0 || flags < 0 || fstat(fd, &st) < 0)
		return false;
	read_path(fd, a.path, sizeof(a.path));
	a.device = st.st_dev;
	a.inode = st.st_ino;
	a.nonblock = flags & O_NONBLOCK;
	a.readonly = (flags & O_ACCMODE) == O_RDONLY;
	a.kind = kind_of(&st, &a);
	if (a.kind == FD_KIND_EVENTFD)
		a.eventfd_id = fdinfo_number(fd, "eventfd-id");
	if (a.kind == FD_KIND_MEMORY || a.kind == FD_KIND_FILE) {
		a.size = (uint64_t)st.st_size;
		seals = fcntl(fd, F_GET_SEALS);
		a.seals = seals > 0 ? (unsigned int)seals : 0;
	}
	*ret_about = a;
	return true;
}

/* In the largest unit that is whole. */
static void put_size(FILE *out, uint64_t size)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB" };
	size_t i = 0;

	for (; size != 0 && size % 1024 == 0 && i + 1 < ARRAY_SIZE(units); i++)
		size /= 1024;
	fprintf(out, "%" PRIu64 " %s", size, units[i]);
}

static void put_path(FILE *out, const char *path)
{
	char name[sizeof(((struct fd_about *)NULL)->path)];

	snprintf(name, sizeof(name), "%.*s", (int)named_len(path), path);
	encode_line(out, name, "");
}

static void put_about(FILE *out, const struct fd_about *a)
{
	switch (a->kind) {
	case FD_KIND_MEMORY:
		if (begins(a->path, memfd)) {
			fputs("memfd:", out);
			put_path(out, a->path + strlen(memfd));
		} else {
			fputs("deleted file ", out);
			put_path(out, a->path);
		}
		break;
	case FD_KIND_FILE:
		fputs("file ", out);
		put_path(out, a->path);
		break;
	case FD_KIND_OTHER:
		encode_line(out, a->path[0] != '\0' ? a->path : fd_kind_name(a->kind), "");
		return;
	default:
		fputs(fd_kind_name(a->kind), out);
		return;
	}
	fputs(", ", out);
	put_size(out, a->size);
	if (a->readonly)
		fputs(", read-only", out);
}

size_t fd_about_text(char *buf, size_t cap, const struct fd_about *about)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	if (out) {
		put_about(out, about);
		if (fclose(out) != 0)
			len = 0;
	}
	snprintf(buf, cap, "%s", len > 0 ? text : "");
	free(text);
	return len;
}
