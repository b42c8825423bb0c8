/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Silence: before a message that ends a promise about memory or rings is
 * acted on and answered, no operation of the rings it names is under way. The
 * front-end may reuse that memory, or close that descriptor, the moment it
 * sees the reply.
 */
#include "clock.h"
#include "vhu/backend.h"

enum { OVERDUE_NS = 1000 * 1000 };

static void all_idle(struct scope *timer_scope)
{
	struct vhu_backend *b = container_of(timer_scope, struct vhu_backend, timer_scope);

	if (b->closing)
		return;
	b->began_ns = b->share ? monotonic_ns() : 0;
	vhu_backend_act(b);
	b->began_ns = 0;
}

static void ring_idle(struct scope *scope)
{
	struct vhu_backend *b = container_of(scope, struct vqio, scope)->b;

	if (--b->n_busy == 0)
		scope_cancel(&b->timer_scope, all_idle); /* the deadline is off */
}

/*
 * It may be us who are late: a process that was given no time finds the deadline
 * together with the ends that came long before it. A second timer completes after all
 * of them, as completions come in their order.
 */
static void deadline_passed(struct op *op, int res)
{
	struct vhu_backend *b = container_of(op, struct vhu_backend, deadline.op);

	(void)res;
	if (b->n_busy == 0 || b->closing)
		return;
	if (!b->overdue) {
		b->overdue = true;
		timer_arm(&b->deadline, OVERDUE_NS);
		return;
	}
	vhu_backend_close(b, LOG_LEVEL_ERROR,
			  "an operation on a ring could not be ended in time; closed without an "
			  "answer");
}

void vhu_quiesce_init(struct vhu_backend *b)
{
	scope_init(&b->timer_scope, b->loop);
	timer_init(&b->deadline, &b->timer_scope, deadline_passed);
}

void vhu_quiesce_start(struct vhu_backend *b, unsigned int first, unsigned int n)
{
	b->first_quiet = first;
	b->n_quiet = n;
	b->n_busy = 0;
	b->overdue = false;
	for (unsigned int i = first; i < first + n; i++) {
		struct vqio *v = &b->vqs[i];

		vqio_silence(v);
		if (scope_idle(&v->scope))
			continue;
		b->n_busy++;
		scope_cancel(&v->scope, ring_idle);
	}
	if (b->n_busy == 0)
		vhu_backend_act(b);
	else
		timer_arm(&b->deadline, VHU_QUIESCE_DEADLINE_MS * UINT64_C(1000000));
}

void vhu_quiesce_resume(struct vhu_backend *b)
{
	unsigned int end = b->first_quiet + b->n_quiet;

	for (unsigned int i = b->first_quiet; i < end; i++)
		vqio_resume(&b->vqs[i]);
	b->n_quiet = 0;
}
