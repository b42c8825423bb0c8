/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "loop-pollset.h"

#include <errno.h>
#include <stdlib.h>

#include "loop-attempt.h"

enum { ENTRIES_MIN = 64 };

void loop_pollset_free(struct loop_pollset *s)
{
	free(s->fds);
	free(s->waiting);
	free(s->place);
	*s = (struct loop_pollset){ .fds = NULL };
}

/* A place for each descriptor up to fd. */
static int make_places(struct loop_pollset *s, size_t fd)
{
	size_t n = s->n_places > 0 ? s->n_places : ENTRIES_MIN;
	int32_t *place;

	while (n <= fd)
		n *= 2;
	if (n == s->n_places)
		return 0;
	place = reallocarray(s->place, n, sizeof(*place));
	if (!place)
		return -ENOMEM;
	s->place = place;
	while (s->n_places < n)
		s->place[s->n_places++] = -1;
	return 0;
}

static int make_room(struct loop_pollset *s)
{
	size_t cap = s->cap > 0 ? 2 * s->cap : ENTRIES_MIN;
	struct pollfd *fds;
	struct op **waiting;

	if (s->n < s->cap)
		return 0;
	fds = reallocarray(s->fds, cap, sizeof(*fds));
	if (!fds)
		return -ENOMEM;
	s->fds = fds;
	waiting = reallocarray(s->waiting, cap, sizeof(struct op *));
	if (!waiting)
		return -ENOMEM;
	s->waiting = waiting;
	s->cap = cap;
	return 0;
}

static short both(short a, short b)
{
	return (short)(a | b);
}

static void append(struct op **list, struct op *op)
{
	while (*list)
		list = &(*list)->wait.next;
	op->wait.next = NULL;
	*list = op;
}

int loop_pollset_add(struct loop_pollset *s, struct op *op)
{
	int fd = op->request.fd, err;
	size_t idx;

	if (fd < 0)
		return -EBADF;
	err = make_places(s, (size_t)fd);
	if (err == 0)
		err = make_room(s);
	if (err < 0)
		return err;
	if (s->place[fd] < 0) {
		s->fds[s->n] = (struct pollfd){ .fd = fd };
		s->waiting[s->n] = NULL;
		s->place[fd] = (int32_t)s->n++;
	}
	idx = (size_t)s->place[fd];
	s->fds[idx].events = both(s->fds[idx].events, loop_attempt_events(&op->request));
	append(&s->waiting[idx], op);
	return 0;
}

static void remove_entry(struct loop_pollset *s, size_t idx)
{
	s->place[s->fds[idx].fd] = -1;
	if (idx == --s->n)
		return;
	s->fds[idx] = s->fds[s->n];
	s->waiting[idx] = s->waiting[s->n];
	s->place[s->fds[idx].fd] = (int32_t)idx;
}

void loop_pollset_remove(struct loop_pollset *s, struct op *op)
{
	size_t idx = (size_t)s->place[op->request.fd];
	struct op **link = &s->waiting[idx];
	short events = 0;

	while (*link != op)
		link = &(*link)->wait.next;
	*link = op->wait.next;
	for (const struct op *other = s->waiting[idx]; other; other = other->wait.next)
		events = both(events, loop_attempt_events(&other->request));
	s->fds[idx].events = events;
	if (!s->waiting[idx])
		remove_entry(s, idx);
}
