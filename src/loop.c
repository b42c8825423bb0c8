/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "loop.h"

#include <assert.h>
#include <errno.h>
#include <liburing.h>
#include <stdlib.h>

/*
 * user_data is the address of the op. A cancel request completes to the same
 * address with this bit set; all it means then is one cancel less to expect.
 */
#define CANCEL_TAG UINT64_C(1)

enum {
	SQ_ENTRIES = 256,
	CQ_MIN_ENTRIES = 1024,
	CQ_MAX_ENTRIES = 32768,
};

struct loop {
	struct io_uring ring;
	struct list_node tasks;
	struct loop_counters counters;
	bool running, stopping;
};

/* Every operation the loop can be asked for; a kernel without one is refused at start. */
static const struct {
	int opcode;
	const char *missing;
} needed_ops[] = {
	{ IORING_OP_READ, "io_uring of this kernel lacks READ (Linux 5.19 or newer is needed)" },
	{ IORING_OP_WRITE, "io_uring of this kernel lacks WRITE (Linux 5.19 or newer is needed)" },
	{ IORING_OP_RECVMSG,
	  "io_uring of this kernel lacks RECVMSG (Linux 5.19 or newer is needed)" },
	{ IORING_OP_SENDMSG,
	  "io_uring of this kernel lacks SENDMSG (Linux 5.19 or newer is needed)" },
	{ IORING_OP_ACCEPT,
	  "io_uring of this kernel lacks ACCEPT (Linux 5.19 or newer is needed)" },
	{ IORING_OP_POLL_ADD,
	  "io_uring of this kernel lacks POLL_ADD (Linux 5.19 or newer is needed)" },
	{ IORING_OP_TIMEOUT,
	  "io_uring of this kernel lacks TIMEOUT (Linux 5.19 or newer is needed)" },
	{ IORING_OP_ASYNC_CANCEL,
	  "io_uring of this kernel lacks ASYNC_CANCEL (Linux 5.19 or newer is needed)" },
};

static const char *setup_failure(int err)
{
	switch (-err) {
	case EPERM:
	case EACCES:
		return "io_uring is forbidden here (sysctl kernel.io_uring_disabled, or a seccomp "
		       "profile as containers use): allow io_uring_setup, io_uring_enter and "
		       "io_uring_register";
	case ENOSYS:
		return "this kernel has no io_uring, or a seccomp profile hides it: Linux 5.19 or "
		       "newer is needed, with io_uring allowed";
	case ENOMEM:
		return "no memory for the io_uring rings (check RLIMIT_MEMLOCK)";
	case EMFILE:
	case ENFILE:
		return "no file descriptor left for io_uring (check RLIMIT_NOFILE)";
	default:
		return "io_uring could not be set up";
	}
}

/* Best flags first: deferred task work (6.1), cooperative (5.19), then plain. */
static int setup_ring(struct io_uring *ring, unsigned int cq_entries)
{
	static const unsigned int flags[] = {
		IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
		IORING_SETUP_COOP_TASKRUN,
		0,
	};
	int err = -EINVAL;

	for (size_t i = 0; i < ARRAY_SIZE(flags) && err == -EINVAL; i++) {
		struct io_uring_params params = {
			.flags = flags[i] | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP,
			.cq_entries = cq_entries,
		};

		err = io_uring_queue_init_params(SQ_ENTRIES, ring, &params);
	}
	return err;
}

static const char *missing_op(struct io_uring *ring)
{
	struct io_uring_probe *probe = io_uring_get_probe_ring(ring);
	const char *missing = NULL;

	if (!probe)
		return "io_uring of this kernel cannot be probed (Linux 5.19 or newer is needed)";
	for (size_t i = 0; i < ARRAY_SIZE(needed_ops) && !missing; i++)
		if (!io_uring_opcode_supported(probe, needed_ops[i].opcode))
			missing = needed_ops[i].missing;
	io_uring_free_probe(probe);
	return missing;
}

int loop_new(unsigned int n_ops, struct loop **ret_loop, const char **ret_why)
{
	unsigned int cq_entries = CQ_MIN_ENTRIES;
	struct loop *loop = calloc(1, sizeof(*loop));
	int err;

	if (!loop) {
		*ret_why = "out of memory";
		return -ENOMEM;
	}
	while (cq_entries < 2 * n_ops && cq_entries < CQ_MAX_ENTRIES)
		cq_entries *= 2;
	list_init(&loop->tasks);
	err = setup_ring(&loop->ring, cq_entries);
	if (err < 0) {
		*ret_why = setup_failure(err);
		free(loop);
		return err;
	}
	*ret_why = missing_op(&loop->ring);
	if (*ret_why) {
		loop_free(loop);
		return -EOPNOTSUPP;
	}
	io_uring_register_ring_fd(&loop->ring); /* saves a look-up per call; optional */
	*ret_loop = loop;
	return 0;
}

void loop_free(struct loop *loop)
{
	if (!loop)
		return;
	io_uring_queue_exit(&loop->ring);
	free(loop);
}

void loop_stop(struct loop *loop)
{
	loop->stopping = true;
}

struct loop_counters loop_counters(const struct loop *loop)
{
	return loop->counters;
}

/* An empty submission entry; a full queue is handed to the kernel first. */
static struct io_uring_sqe *get_sqe(struct loop *loop)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&loop->ring);

	while (!sqe) {
		int n = io_uring_submit(&loop->ring);

		assert(n >= 0 || n == -EINTR || n == -EAGAIN || n == -EBUSY);
		if (n > 0)
			loop->counters.n_submitted += (uint64_t)n;
		sqe = io_uring_get_sqe(&loop->ring);
	}
	return sqe;
}

static void complete(struct loop *loop, struct io_uring_cqe *cqe)
{
	uint64_t data = io_uring_cqe_get_data64(cqe);
	int res = cqe->res;
	struct op *op = (struct op *)(uintptr_t)(data & ~CANCEL_TAG);
	struct scope *scope;

	io_uring_cqe_seen(&loop->ring, cqe);
	loop->counters.n_completions++;
	if (data & CANCEL_TAG)
		return; /* the op itself may be long gone */
	scope = op->scope;
	assert(op->state != OP_IDLE);
	op->state = OP_IDLE;
	list_remove(&op->link);
	if (scope->on_idle && scope_idle(scope))
		loop_defer(loop, &scope->idle_task);
	op->done(op, res);
}

static void run_tasks(struct loop *loop)
{
	struct list_node batch;

	/* What a task defers runs in the next iteration, so nobody can starve completions. */
	list_init(&batch);
	list_splice(&batch, &loop->tasks);
	while (!list_empty(&batch)) {
		struct task *task = list_first(&batch, struct task, link);

		list_remove(&task->link);
		task->queued = false;
		task->run(task);
	}
}

int loop_step(struct loop *loop, bool wait)
{
	struct io_uring_cqe *cqe;
	int n;

	if (wait && list_empty(&loop->tasks))
		n = io_uring_submit_and_wait(&loop->ring, 1);
	else
		n = io_uring_submit_and_get_events(&loop->ring);
	if (n < 0 && n != -EINTR && n != -EAGAIN && n != -EBUSY && n != -ETIME)
		return n;
	loop->counters.n_iterations++;
	if (n > 0)
		loop->counters.n_submitted += (uint64_t)n;
	while (io_uring_peek_cqe(&loop->ring, &cqe) == 0)
		complete(loop, cqe);
	run_tasks(loop);
	return 0;
}

int loop_run(struct loop *loop)
{
	int err = 0;

	loop->stopping = false;
	loop->running = true;
	while (!loop->stopping && err == 0)
		err = loop_step(loop, true);
	loop->running = false;
	return err;
}

bool loop_running(const struct loop *loop)
{
	return loop->running;
}

void task_init(struct task *task, task_fn *run)
{
	task->run = run;
	task->queued = false;
	list_init(&task->link);
}

void loop_defer(struct loop *loop, struct task *task)
{
	if (task->queued)
		return;
	task->queued = true;
	list_append(&loop->tasks, &task->link);
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

bool scope_idle(const struct scope *scope)
{
	return list_empty(&scope->armed);
}

bool scope_cancelling(const struct scope *scope)
{
	return scope->on_idle != NULL;
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
	list_init(&op->link);
}

void op_cancel(struct op *op)
{
	struct io_uring_sqe *sqe;

	if (op->state != OP_ARMED)
		return;
	op->state = OP_CANCELLING;
	sqe = get_sqe(op->scope->loop);
	io_uring_prep_cancel(sqe, op, 0);
	io_uring_sqe_set_data64(sqe, (uint64_t)(uintptr_t)op | CANCEL_TAG);
}

/* An entry for the op. The caller prepares it, then calls arm_sqe(). */
static struct io_uring_sqe *arm(struct op *op)
{
	assert(op->state == OP_IDLE && !scope_cancelling(op->scope));
	op->state = OP_ARMED;
	list_append(&op->scope->armed, &op->link);
	return get_sqe(op->scope->loop);
}

static void arm_sqe(struct io_uring_sqe *sqe, struct op *op)
{
	io_uring_sqe_set_data64(sqe, (uint64_t)(uintptr_t)op);
}

static unsigned int clamp_len(size_t len)
{
	return (unsigned int)min_size(len, 1U << 30);
}

void op_read(struct op *op, int fd, void *buf, size_t len)
{
	struct io_uring_sqe *sqe = arm(op);

	io_uring_prep_read(sqe, fd, buf, clamp_len(len), (uint64_t)-1);
	arm_sqe(sqe, op);
}

void op_write(struct op *op, int fd, const void *buf, size_t len)
{
	struct io_uring_sqe *sqe = arm(op);

	io_uring_prep_write(sqe, fd, buf, clamp_len(len), (uint64_t)-1);
	arm_sqe(sqe, op);
}

void op_recvmsg(struct op *op, int fd, struct msghdr *msg, int flags)
{
	struct io_uring_sqe *sqe = arm(op);

	io_uring_prep_recvmsg(sqe, fd, msg, (unsigned int)flags);
	arm_sqe(sqe, op);
}

void op_sendmsg(struct op *op, int fd, const struct msghdr *msg, int flags)
{
	struct io_uring_sqe *sqe = arm(op);

	io_uring_prep_sendmsg(sqe, fd, msg, (unsigned int)flags);
	arm_sqe(sqe, op);
}

void op_accept(struct op *op, int fd)
{
	struct io_uring_sqe *sqe = arm(op);

	io_uring_prep_accept(sqe, fd, NULL, NULL, SOCK_CLOEXEC);
	arm_sqe(sqe, op);
}

void op_poll(struct op *op, int fd, short events)
{
	struct io_uring_sqe *sqe = arm(op);

	io_uring_prep_poll_add(sqe, fd, (unsigned int)(unsigned short)events);
	arm_sqe(sqe, op);
}

void timer_init(struct timer *timer, struct scope *scope, op_done_fn *done)
{
	op_init(&timer->op, scope, done);
}

void timer_arm(struct timer *timer, uint64_t ns)
{
	struct io_uring_sqe *sqe = arm(&timer->op);

	_Static_assert(sizeof(timer->ts) == sizeof(struct __kernel_timespec), "kernel layout");
	timer->ts[0] = (int64_t)(ns / UINT64_C(1000000000));
	timer->ts[1] = (int64_t)(ns % UINT64_C(1000000000));
	io_uring_prep_timeout(sqe, (struct __kernel_timespec *)(void *)timer->ts, 0, 0);
	arm_sqe(sqe, &timer->op);
}
