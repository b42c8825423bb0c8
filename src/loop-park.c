/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* A loop that holds still, so that another process can go on in its place. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "clock.h"
#include "loop-private.h"

enum {
	LOOK_NS = 20 * 1000 * 1000, /* between two cancels of what is left */
	KEPT_MIN = 64,
};

bool loop_keep(struct loop *loop, struct op *op)
{
	size_t cap = loop->cap_kept > 0 ? 2 * loop->cap_kept : KEPT_MIN;
	struct op **kept = loop->kept;

	if (loop->n_kept == loop->cap_kept) {
		kept = reallocarray(kept, cap, sizeof(struct op *));
		if (!kept)
			return false; /* the engine has it: loop_park() will see */
		loop->kept = kept;
		loop->cap_kept = cap;
	}
	kept[loop->n_kept++] = op;
	op->state = OP_KEPT;
	return true;
}

/* Ends what was cancelled while it was kept. Whether there was such a thing. */
static bool end_cancelled(struct loop *loop)
{
	bool any = false;

	for (size_t i = 0; i < loop->n_kept;) {
		struct op *op = loop->kept[i];

		if (op->state != OP_CANCELLING) {
			i++;
			continue;
		}
		loop->kept[i] = loop->kept[--loop->n_kept];
		any = true;
		op->state = OP_IDLE;
		list_remove(&op->link);
		if (op->scope->on_idle && scope_idle(op->scope))
			loop_defer(loop, &op->scope->idle_task);
		op->done(op, -ECANCELED);
	}
	return any;
}

static bool at_rest(const struct loop *loop)
{
	return loop->n_in_flight == 0 && list_empty(&loop->tasks);
}

/* One look at what has come, and all that follows from it here. */
/* seccomp: io_uring_enter */
static int settle(struct loop *loop)
{
	int err;

	if (loop->n_in_flight > 0)
		loop->engine->cancel_all(loop);
	if (loop->n_in_flight > 0 && list_empty(&loop->tasks))
		err = loop->engine->wait(loop, LOOK_NS);
	else
		err = loop->engine->enter(loop);
	if (err < 0 && err != -EINTR && err != -ETIME && err != -EAGAIN && err != -EBUSY)
		return err;
	loop->engine->reap(loop);
	do {
		loop_run_tasks(loop);
	} while (end_cancelled(loop));
	return 0;
}

int loop_park(struct loop *loop, uint64_t wait_ns)
{
	uint64_t start = monotonic_ns();
	int err = 0;

	assert(!loop->parked && !loop->borrowed);
	loop->parked = true;
	do {
		err = settle(loop);
		if (err == 0 && !at_rest(loop) && monotonic_ns() - start >= wait_ns)
			err = -ETIMEDOUT;
	} while (err == 0 && !at_rest(loop));
	if (err < 0)
		loop_unpark(loop);
	return err;
}

void loop_begin_parked(struct loop *loop)
{
	loop->parked = true;
}

void loop_unpark(struct loop *loop)
{
	loop->parked = false;
	for (size_t i = 0; i < loop->n_kept; i++) {
		struct op *op = loop->kept[i];
		bool cancelled = op->state == OP_CANCELLING;

		op->state = OP_ARMED;
		loop_hand_over(op);
		if (cancelled)
			op_cancel(op);
	}
	loop->n_kept = 0;
	list_splice(&loop->tasks, &loop->postponed);
}

bool loop_is_parked(const struct loop *loop)
{
	return loop->parked;
}

bool loop_is_at_rest(const struct loop *loop)
{
	return loop->parked && at_rest(loop);
}

void loop_defer_parked(struct loop *loop, struct task *task)
{
	assert(loop->parked);
	if (task->queued)
		return;
	task->queued = true;
	list_append(&loop->postponed, &task->link);
}
