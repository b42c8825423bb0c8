/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Tasks and scopes: the bookkeeping of a loop that needs nothing of its ring. */
#include <assert.h>

#include "loop.h"

void task_init(struct task *task, task_fn *run)
{
	task->run = run;
	task->queued = false;
	list_init(&task->link);
}

void task_cancel(struct task *task)
{
	if (!task->queued)
		return;
	task->queued = false;
	list_remove(&task->link);
}

static void scope_idle_run(struct task *task)
{
	struct scope *scope = container_of(task, struct scope, idle_task);
	scope_idle_fn *on_idle = scope->on_idle;

	assert(scope_idle(scope));
	scope->on_idle = NULL;
	if (on_idle)
		on_idle(scope);
}

void scope_init(struct scope *scope, struct loop *loop)
{
	scope->loop = loop;
	list_init(&scope->armed);
	scope->on_idle = NULL;
	task_init(&scope->idle_task, scope_idle_run);
}

void scope_cancel(struct scope *scope, scope_idle_fn *on_idle)
{
	struct list_node *node, *tmp;

	scope->on_idle = on_idle;
	list_for_each (node, tmp, &scope->armed)
		op_cancel(list_entry(node, struct op, link));
	if (scope_idle(scope))
		loop_defer(scope->loop, &scope->idle_task);
}

void scope_fini(struct scope *scope)
{
	assert(scope_idle(scope));
	scope->on_idle = NULL;
	task_cancel(&scope->idle_task);
}

void op_init(struct op *op, struct scope *scope, op_done_fn *done)
{
	op->done = done;
	op->scope = scope;
	op->state = OP_IDLE;
	op->wait = (struct op_wait){ .next = NULL };
	op->apart = false;
	list_init(&op->insist);
	list_init(&op->link);
}
