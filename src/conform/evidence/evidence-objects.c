/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What descriptors are, and which of them are the same thing. */
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conform/evidence/evidence-events.h"

/* By enum object_kind; the letter begins the name. */
static const struct {
	char letter;
	const char *name;
} kinds[OBJECT_N_KINDS] = {
	[OBJECT_MEMORY] = { 'm', "memfd" },
	[OBJECT_EVENTFD] = { 'e', "eventfd" },
	[OBJECT_SOCKET] = { 's', "socket" },
	[OBJECT_PIPE_READ] = { 'p', "pipe, read end" },
	[OBJECT_PIPE_WRITE] = { 'w', "pipe, write end" },
	[OBJECT_FILE] = { 'f', "file" },
};

const char *object_name(const struct object *o, char buf[16])
{
	snprintf(buf, 16, "%c%u", kinds[o->kind].letter, o->number);
	return buf;
}

const char *object_kind_name(enum object_kind kind)
{
	return kinds[kind].name;
}

/* A number after a word in /proc/self/fdinfo; 0 when there is none. */
static uint64_t fdinfo_number(int fd, const char *word)
{
	char path[64], line[128];
	uint64_t value = 0;
	FILE *in;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	in = fopen(path, "re");
	if (!in)
		return 0;
	while (fgets(line, sizeof(line), in))
		if (strncmp(line, word, strlen(word)) == 0)
			value = strtoull(line + strlen(word), NULL, 10);
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

/* Memory: a file without a name that can be grown and mapped. */
static bool is_memory(const struct stat *st, const char *path)
{
	static const char deleted[] = " (deleted)";
	size_t len = strlen(path);

	return S_ISREG(st->st_mode) &&
	       (strncmp(path, "/memfd:", 7) == 0 ||
		(len >= sizeof(deleted) && strcmp(path + len + 1 - sizeof(deleted), deleted) == 0));
}

static enum object_kind kind_of(const struct stat *st, const struct object *o)
{
	if (strcmp(o->path, "anon_inode:[eventfd]") == 0)
		return OBJECT_EVENTFD;
	if (S_ISSOCK(st->st_mode))
		return OBJECT_SOCKET;
	if (S_ISFIFO(st->st_mode))
		return o->readonly ? OBJECT_PIPE_READ : OBJECT_PIPE_WRITE;
	return is_memory(st, o->path) ? OBJECT_MEMORY : OBJECT_FILE;
}

static bool describe(int fd, struct object *ret_object)
{
	struct object o = { .fd = -1, .same_as = -1 };
	int flags = fcntl(fd, F_GETFL);
	struct stat st;
	int seals;

	if (fd < 0 || flags < 0 || fstat(fd, &st) < 0)
		return false;
	read_path(fd, o.path, sizeof(o.path));
	o.device = st.st_dev;
	o.inode = st.st_ino;
	o.nonblock = flags & O_NONBLOCK;
	o.readonly = (flags & O_ACCMODE) == O_RDONLY;
	o.kind = kind_of(&st, &o);
	if (o.kind == OBJECT_EVENTFD)
		o.eventfd_id = fdinfo_number(fd, "eventfd-id:");
	if (o.kind == OBJECT_MEMORY) {
		seals = fcntl(fd, F_GET_SEALS);
		o.seals = seals > 0 ? (unsigned int)seals & ~(unsigned int)F_SEAL_SEAL : 0;
		o.size = (uint64_t)st.st_size;
	}
	*ret_object = o;
	return true;
}

static bool same_file(const struct object *a, const struct object *b)
{
	return a->kind == b->kind && a->device == b->device && a->inode == b->inode &&
	       a->eventfd_id == b->eventfd_id;
}

/* Memory is kept at hand, to see what changes in it. */
static void follow(struct evidence *e, struct object *o, int fd)
{
	if (!e->recording || o->kind != OBJECT_MEMORY || o->received || o->same_as >= 0)
		return;
	o->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (o->fd < 0)
		e->lost = true;
}

static struct object *add_object(struct evidence *e)
{
	unsigned int cap = e->cap_objects > 0 ? 2 * e->cap_objects : 32;
	struct object *objects;

	if (e->n_objects == e->cap_objects) {
		objects = reallocarray(e->objects, cap, sizeof(*objects));
		if (!objects) {
			e->lost = true;
			return NULL;
		}
		e->objects = objects;
		e->cap_objects = cap;
	}
	return &e->objects[e->n_objects++];
}

/* Numbers it, and finds what it is another opening of. Returns the index if it is known already. */
static int place(const struct evidence *e, struct object *o)
{
	o->number = 1;
	for (unsigned int i = 0; i < e->n_objects; i++) {
		const struct object *known = &e->objects[i];

		if (same_file(known, o) && known->readonly == o->readonly)
			return (int)i;
		if (same_file(known, o) && o->same_as < 0)
			o->same_as = (int)i;
		if (known->kind == o->kind)
			o->number++;
	}
	return -1;
}

unsigned int evidence_object(struct evidence *e, int fd, bool received)
{
	struct object o, *added;
	struct event *event;
	int known;

	if (!describe(fd, &o))
		return UINT_MAX;
	o.received = received;
	known = place(e, &o);
	if (known >= 0)
		return (unsigned int)known;
	added = add_object(e);
	if (!added)
		return UINT_MAX;
	*added = o;
	if (e->recording && !received) {
		event = evidence_add(e, EVENT_OBJECT);
		if (event) {
			event->object = e->n_objects - 1;
			event->value = o.size;
		}
	}
	follow(e, added, fd);
	return e->n_objects - 1;
}

void evidence_object_fini(struct object *o)
{
	o->fd = fd_close(o->fd);
	if (o->shadow)
		munmap(o->shadow, o->shadow_len);
	o->shadow = NULL;
}

bool object_peek16(const struct object *o, uint64_t at, uint16_t *ret_value)
{
	uint16_t value;

	if (o->fd < 0 || pread(o->fd, &value, sizeof(value), (off_t)at) != sizeof(value))
		return false;
	*ret_value = le16toh(value);
	return true;
}
