/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "loop-timers.h"

#include <errno.h>
#include <stdlib.h>

enum { TIMERS_MIN = 32 };

void loop_timers_free(struct loop_timers *t)
{
	free(t->heap);
	*t = (struct loop_timers){ .heap = NULL };
}

static void put(struct loop_timers *t, size_t idx, struct loop_timer timer)
{
	t->heap[idx] = timer;
	timer.op->wait.at = (int32_t)idx;
}

/* Puts a timer to a free place or above. */
static void sift_up(struct loop_timers *t, size_t idx, struct loop_timer timer)
{
	while (idx > 0 && t->heap[(idx - 1) / 2].when > timer.when) {
		put(t, idx, t->heap[(idx - 1) / 2]);
		idx = (idx - 1) / 2;
	}
	put(t, idx, timer);
}

/* Puts a timer to a free place or below. */
static void sift_down(struct loop_timers *t, size_t idx, struct loop_timer timer)
{
	for (;;) {
		size_t child = 2 * idx + 1;

		if (child + 1 < t->n && t->heap[child + 1].when < t->heap[child].when)
			child++;
		if (child >= t->n || t->heap[child].when >= timer.when)
			break;
		put(t, idx, t->heap[child]);
		idx = child;
	}
	put(t, idx, timer);
}

int loop_timers_add(struct loop_timers *t, struct op *op, uint64_t when)
{
	size_t cap = t->cap > 0 ? 2 * t->cap : TIMERS_MIN;
	struct loop_timer *heap;

	if (t->n == t->cap) {
		heap = cap <= INT32_MAX ? reallocarray(t->heap, cap, sizeof(*heap)) : NULL;
		if (!heap)
			return -ENOMEM;
		t->heap = heap;
		t->cap = cap;
	}
	sift_up(t, t->n++, (struct loop_timer){ .when = when, .op = op });
	return 0;
}

void loop_timers_remove(struct loop_timers *t, const struct op *op)
{
	size_t idx = (size_t)op->wait.at;
	struct loop_timer last = t->heap[--t->n];

	if (idx == t->n)
		return;
	if (idx > 0 && last.when < t->heap[(idx - 1) / 2].when)
		sift_up(t, idx, last);
	else
		sift_down(t, idx, last);
}

uint64_t loop_timers_next(const struct loop_timers *t)
{
	return t->n > 0 ? t->heap[0].when : UINT64_MAX;
}

struct op *loop_timers_take(struct loop_timers *t)
{
	struct op *op = t->n > 0 ? t->heap[0].op : NULL;

	if (op)
		loop_timers_remove(t, op);
	return op;
}

struct op *loop_timers_take_due(struct loop_timers *t, uint64_t now)
{
	return loop_timers_next(t) <= now ? loop_timers_take(t) : NULL;
}
