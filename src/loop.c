/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "loop.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "clock.h"
#include "log.h"
#include "loop-private.h"
#include "loop-share.h"

enum {
	MAX_WATCHES = 1024, /* each costs a look at a cache line, every time */
	MAX_MISSES = 512,   /* looks for nothing that a watch lasts while others are found */
	SHORT_SLEEPS = 4,   /* that start polling */
	LOOKS_PER_CLOCK = 8,
	ASK_AGAIN_NS = 20 * 1000 * 1000,
};

/* Set before there are loops, and threads. */
static enum loop_choice chosen = LOOP_AUTO;

void loop_choose_engine(enum loop_choice choice)
{
	chosen = choice;
}

bool loop_engine_lacks(int err)
{
	return err < 0 && err != -EMFILE && err != -ENFILE && err != -ENOMEM && err != -EAGAIN;
}

static void say_once(const char *why)
{
	static bool said;

	if (!__atomic_exchange_n(&said, true, __ATOMIC_RELAXED))
		log_info(NULL, "%s; poll(2) takes its place, which costs more", why);
}

static int open_engine(struct loop *loop, unsigned int n_ops, const char **ret_why)
{
	int err;

	if (chosen != LOOP_POLL) {
		loop->engine = &loop_uring;
		err = loop->engine->open(loop, n_ops, ret_why);
		if (chosen == LOOP_URING || !loop_engine_lacks(err))
			return err;
		say_once(*ret_why);
	}
	loop->engine = &loop_poll;
	return loop->engine->open(loop, n_ops, ret_why);
}

int loop_new(unsigned int n_ops, struct loop **ret_loop, const char **ret_why)
{
	struct loop *loop = calloc(1, sizeof(*loop));
	int err;

	if (!loop) {
		*ret_why = "out of memory";
		return -ENOMEM;
	}
	list_init(&loop->tasks);
	list_init(&loop->round);
	list_init(&loop->watches);
	list_init(&loop->postponed);
	list_init(&loop->resting);
	list_init(&loop->insisting);
	scope_init(&loop->own, loop);
	err = open_engine(loop, n_ops, ret_why);
	if (err < 0) {
		free(loop);
		return err;
	}
	*ret_loop = loop;
	return 0;
}

/* seccomp: io_uring_register:21 munmap */
/* seccomp(start): io_uring_register */
void loop_free(struct loop *loop)
{
	if (!loop)
		return;
	loop->engine->close(loop);
	free(loop->kept);
	free(loop);
}

const char *loop_engine_name(const struct loop *loop)
{
	return loop->engine->name;
}

bool loop_restricted(const struct loop *loop)
{
	return loop->restricted;
}

void loop_stop(struct loop *loop)
{
	loop->stopping = true;
}

struct loop_counters loop_counters(const struct loop *loop)
{
	return loop->counters;
}

/* seccomp: io_uring_enter */
void loop_submit(struct loop *loop)
{
	int n = loop->engine->submit(loop);

	assert(n >= 0 || n == -EINTR || n == -EAGAIN || n == -EBUSY);
	if (n > 0)
		loop->counters.n_submitted += (uint64_t)n;
}

/* Turns. */

void loop_set_turns(struct loop *loop, const struct loop_turns *turns, void *arg)
{
	loop->turns = turns;
	loop->turns_arg = arg;
}

void loop_borrow(struct loop *loop)
{
	loop->borrowed = true;
}

void loop_give_back(struct loop *loop)
{
	loop->borrowed = false;
}

bool loop_pending(const struct loop *loop)
{
	return loop->stopping || !list_empty(&loop->tasks) || loop->engine->prepared(loop);
}

static bool others_wait(const struct loop *loop)
{
	return loop->turns && loop->turns->wanted(loop->turns_arg);
}

static void let_others(struct loop *loop)
{
	loop->turns->leave(loop->turns_arg);
	loop->turns->enter(loop->turns_arg);
}

void loop_complete(struct loop *loop, struct op *op, int res)
{
	struct scope *scope = op->scope;

	assert(op->state != OP_IDLE);
	loop->n_in_flight--;
	list_remove(&op->insist);
	if (loop->parked && op->state == OP_ARMED && (res == -ECANCELED || res == -EINTR) &&
	    loop_keep(loop, op))
		return; /* it has done nothing, and is done later */
	op->state = OP_IDLE;
	list_remove(&op->link);
	if (scope->on_idle && scope_idle(scope))
		loop_defer(loop, &scope->idle_task);
	op->done(op, res);
}

void loop_run_tasks(struct loop *loop)
{
	loop->n_rounds++;
	/* What a task defers runs in the next iteration, so nobody can starve completions. */
	list_splice(&loop->round, &loop->tasks);
	while (!list_empty(&loop->round)) {
		struct task *task = list_first(&loop->round, struct task, link);

		list_remove(&task->link);
		task->queued = false;
		task->run(task);
	}
	if (loop->paid_round == loop->n_rounds)
		loop_end_turns(loop);
}

/* Polling. */

/*
 * Polling begins after some sleeps in a row that it would have spared us, and
 * ends with the first time that nothing came: so it is tried in vain once for
 * each stretch of work, and hardly ever by a loop that has none.
 */
static void note_sleep(struct loop *loop, uint64_t slept_ns)
{
	loop->n_short = slept_ns < loop->poll_max_ns ? loop->n_short + 1 : 0;
	loop->polling = loop->n_short >= SHORT_SLEEPS;
}

static void note_vain_poll(struct loop *loop)
{
	loop->polling = false;
	loop->n_short = 0;
}

void loop_set_poll(struct loop *loop, uint64_t max_ns)
{
	loop->poll_max_ns = max_ns;
	note_vain_poll(loop);
}

void loop_watch_init(struct loop_watch *w, bool (*look)(struct loop_watch *w, bool last))
{
	w->look = look;
	list_init(&w->link);
}

bool loop_watch(struct loop *loop, struct loop_watch *w)
{
	if (!list_empty(&w->link))
		return true;
	if (!loop->polling || loop->borrowed || loop->n_watches == MAX_WATCHES)
		return false;
	w->n_misses = 0;
	list_append(&loop->watches, &w->link);
	loop->n_watches++;
	return true;
}

void loop_unwatch(struct loop *loop, struct loop_watch *w)
{
	if (list_empty(&w->link))
		return;
	list_remove(&w->link);
	loop->n_watches--;
}

void loop_nap(struct loop *loop)
{
	loop->n_naps++;
}

void loop_nap_over(struct loop *loop)
{
	assert(loop->n_naps > 0);
	loop->n_naps--;
}

/* Ends a watch. True: something has come that no notification will tell of. */
static bool watch_end(struct loop *loop, struct loop_watch *w)
{
	loop_unwatch(loop, w);
	return w->look(w, true);
}

/* Looks at all of them, so that what has come is served together, and in turn. */
static bool watches_found(struct loop *loop)
{
	struct list_node *node, *tmp;
	bool found = false;

	list_for_each (node, tmp, &loop->watches) {
		struct loop_watch *w = list_entry(node, struct loop_watch, link);

		if (w->look(w, false)) {
			found = true;
			w->n_misses = 0;
		} else if (++w->n_misses > MAX_MISSES) {
			found |= watch_end(loop, w);
		}
	}
	return found;
}

/* The loop is about to sleep. True if that turns out to be too early. */
static bool watches_end(struct loop *loop)
{
	bool found = false;

	while (!list_empty(&loop->watches))
		found |= watch_end(loop, list_first(&loop->watches, struct loop_watch, link));
	return found;
}

/* Whether something has come before the time was over. */
static bool polled(struct loop *loop)
{
	uint64_t start = monotonic_ns();

	do {
		for (int i = 0; i < LOOKS_PER_CLOCK; i++) {
			if (loop->engine->look(loop) || watches_found(loop) || others_wait(loop)) {
				loop->counters.n_polled++;
				return true;
			}
			cpu_relax();
		}
	} while (monotonic_ns() - start < loop->poll_max_ns);
	return false;
}

/*
 * Whoever borrows the loop prepares operations, so nothing may be left to
 * submit while it is not our turn.
 */
static int submit_and_wait(struct loop *loop)
{
	int n = 0, err;

	if (!loop->turns)
		return loop->engine->wait(loop, UINT64_MAX);
	if (loop->engine->prepared(loop)) {
		n = loop->engine->enter(loop);
		if (n < 0 || loop->engine->prepared(loop))
			return n;
	}
	if (loop->engine->look(loop))
		return n;
	loop->turns->leave(loop->turns_arg);
	err = loop->engine->sleep(loop);
	loop->turns->enter(loop->turns_arg);
	return err < 0 ? err : n;
}

/*
 * As submit_and_wait(), but looks for a while before it sleeps. What is written
 * completes at once as a rule: that is not a sleep that was short.
 */
static int poll_and_wait(struct loop *loop)
{
	uint64_t start;
	int n = 0, n_more;

	if (loop->engine->ready(loop))
		return loop->engine->enter(loop); /* what was done at once */
	if ((loop->sending || loop->polling) && loop->engine->prepared(loop)) {
		n = loop->engine->enter(loop);
		if (n < 0 || loop->engine->look(loop))
			return n;
	}
	if (loop->polling && (loop->n_naps == 0 || loop->n_watches > 0)) {
		if (polled(loop))
			return n;
		note_vain_poll(loop);
	}
	if (watches_end(loop))
		return n;
	start = monotonic_ns();
	n_more = submit_and_wait(loop);
	loop->counters.n_sleeps++;
	if (loop->n_naps == 0)
		note_sleep(loop, monotonic_ns() - start);
	return n_more < 0 ? n_more : n + n_more;
}

/* Who rests goes on when nothing else is to be done: while there is one, nobody sleeps. */
static bool someone_rests(struct loop *loop)
{
	if (list_empty(&loop->resting))
		return false;
	loop_end_rests(loop, list_empty(&loop->tasks) && !loop->engine->prepared(loop) &&
				     !loop->engine->look(loop));
	return true;
}

int loop_step(struct loop *loop, bool wait)
{
	int n;

	if (someone_rests(loop) || !wait || !list_empty(&loop->tasks))
		n = loop->engine->enter(loop);
	else if (loop->poll_max_ns > 0 || loop->n_watches > 0)
		n = poll_and_wait(loop);
	else
		n = submit_and_wait(loop);
	loop->sending = false;
	if (n < 0 && n != -EINTR && n != -EAGAIN && n != -EBUSY && n != -ETIME)
		return n;
	loop->counters.n_iterations++;
	if (n > 0)
		loop->counters.n_submitted += (uint64_t)n;
	loop->engine->reap(loop);
	watches_found(loop); /* whoever keeps us busy must not hide what waits there */
	loop_run_tasks(loop);
	if (others_wait(loop))
		let_others(loop);
	return 0;
}

int loop_run(struct loop *loop)
{
	int err = 0;

	if (loop->turns)
		loop->turns->enter(loop->turns_arg);
	loop->stopping = false;
	loop->running = true;
	while (!loop->stopping && err == 0)
		err = loop_step(loop, true);
	loop->running = false;
	if (loop->turns)
		loop->turns->leave(loop->turns_arg);
	return err;
}

bool loop_running(const struct loop *loop)
{
	return loop->running;
}

void loop_defer(struct loop *loop, struct task *task)
{
	if (task->queued)
		return;
	task->queued = true;
	list_append(&loop->tasks, &task->link);
}

static void ask_again(struct op *timer, int res)
{
	struct loop *loop = container_of(timer, struct loop, again.op);
	struct list_node *node, *tmp;

	(void)res;
	list_for_each (node, tmp, &loop->insisting)
		loop->engine->cancel(loop, list_entry(node, struct op, insist));
	if (!list_empty(&loop->insisting))
		timer_arm(&loop->again, ASK_AGAIN_NS);
}

/*
 * A thread that is between taking up an operation and waiting in it does not hear of a
 * cancel: it is told until it has ended.
 */
static void insist(struct loop *loop, struct op *op)
{
	list_append(&loop->insisting, &op->insist);
	if (op_armed(&loop->again.op))
		return;
	timer_init(&loop->again, &loop->own, ask_again);
	timer_arm(&loop->again, ASK_AGAIN_NS);
}

void op_cancel(struct op *op)
{
	struct loop *loop = op->scope->loop;

	if (op->state == OP_KEPT)
		op->state = OP_CANCELLING; /* ends with the next look at what is kept */
	if (op->state != OP_ARMED)
		return;
	op->state = OP_CANCELLING;
	loop->engine->cancel(loop, op);
	if (op->apart)
		insist(loop, op);
}

void loop_hand_over(struct op *op)
{
	struct loop *loop = op->scope->loop;

	loop->n_in_flight++;
	loop->engine->begin(loop, op);
}

static void arm(struct op *op, struct op_request request)
{
	assert(op->state == OP_IDLE && !scope_cancelling(op->scope));
	op->state = OP_ARMED;
	op->request = request;
	list_append(&op->scope->armed, &op->link);
	if (op->scope->loop->parked && loop_keep(op->scope->loop, op))
		return;
	loop_hand_over(op);
}

static unsigned int clamp_len(size_t len)
{
	return (unsigned int)min_size(len, 1U << 30);
}

void op_read(struct op *op, int fd, void *buf, size_t len)
{
	arm(op, (struct op_request){ OP_READ, fd, clamp_len(len), 0, buf });
}

void op_write(struct op *op, int fd, const void *buf, size_t len)
{
	op->scope->loop->sending = true;
	arm(op, (struct op_request){ OP_WRITE, fd, clamp_len(len), 0, buf });
}

void op_recvmsg(struct op *op, int fd, struct msghdr *msg, int flags)
{
	arm(op, (struct op_request){ OP_RECVMSG, fd, 1, (uint32_t)flags, msg });
}

void op_sendmsg(struct op *op, int fd, const struct msghdr *msg, int flags)
{
	op->scope->loop->sending = true;
	arm(op, (struct op_request){ OP_SENDMSG, fd, 1, (uint32_t)flags, msg });
}

void op_accept(struct op *op, int fd)
{
	arm(op, (struct op_request){ OP_ACCEPT, fd, 0, SOCK_CLOEXEC, NULL });
}

void op_poll(struct op *op, int fd, short events)
{
	arm(op, (struct op_request){ OP_POLL, fd, 0, (unsigned short)events, NULL });
}

static int message_now(struct loop *loop, enum op_code code, int fd, const struct msghdr *msg)
{
	if (loop->borrowed || loop->parked)
		return -EAGAIN;
	return loop->engine->message_now(loop, code, fd, msg);
}

int loop_sendmsg_now(struct loop *loop, int fd, const struct msghdr *msg)
{
	return message_now(loop, OP_SENDMSG, fd, msg);
}

int loop_recvmsg_now(struct loop *loop, int fd, struct msghdr *msg)
{
	return message_now(loop, OP_RECVMSG, fd, msg);
}

void timer_init(struct timer *timer, struct scope *scope, op_done_fn *done)
{
	op_init(&timer->op, scope, done);
}

void timer_arm(struct timer *timer, uint64_t ns)
{
	timer->ts[0] = (int64_t)(ns / UINT64_C(1000000000));
	timer->ts[1] = (int64_t)(ns % UINT64_C(1000000000));
	arm(&timer->op, (struct op_request){ OP_TIMEOUT, -1, 1, 0, timer->ts });
}
