/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What descriptors are, and which of them are the same thing. */
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "conform/evidence/evidence-events.h"

/* By enum object_kind: what names of objects begin with. */
static const char letters[OBJECT_N_KINDS] = {
	[OBJECT_MEMORY] = 'm',	  [OBJECT_EVENTFD] = 'e',    [OBJECT_SOCKET] = 's',
	[OBJECT_PIPE_READ] = 'p', [OBJECT_PIPE_WRITE] = 'w', [OBJECT_FILE] = 'f',
};

const char *object_name(const struct object *o, char buf[16])
{
	snprintf(buf, 16, "%c%u", letters[o->kind], o->number);
	return buf;
}

const char *object_kind_name(enum object_kind kind)
{
	return fd_kind_name((enum fd_kind)kind);
}

static bool describe(int fd, struct object *ret_object)
{
	struct object o = { .fd = -1, .same_as = -1 };
	struct fd_about about;

	_Static_assert(sizeof(o.path) == sizeof(about.path), "paths are cut alike");
	if (!fd_describe(fd, &about))
		return false;
	o.kind = about.kind == FD_KIND_OTHER ? OBJECT_FILE : (enum object_kind)about.kind;
	o.device = about.device;
	o.inode = about.inode;
	o.eventfd_id = about.eventfd_id;
	o.nonblock = about.nonblock;
	o.readonly = about.readonly;
	memcpy(o.path, about.path, sizeof(o.path));
	if (o.kind == OBJECT_MEMORY) {
		o.seals = about.seals & ~(unsigned int)F_SEAL_SEAL;
		o.size = about.size;
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
