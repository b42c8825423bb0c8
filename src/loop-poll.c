/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The engine of a loop without an io_uring. What writes is attempted when it is
 * taken up, as there is room as a rule; what reads waits for poll(2) first, as
 * there is nothing as a rule. Results are kept until the loop reaps them.
 *
 * Whoever borrows the loop adds to the lists fresh and cancelled, no more: the
 * loop's thread may be asleep in poll(2) with the rest.
 */
#include <errno.h>
#include <stdlib.h>

#include "clock.h"
#include "loop-apart.h"
#include "loop-attempt.h"
#include "loop-guard.h"
#include "loop-pollset.h"
#include "loop-private.h"
#include "loop-timers.h"

enum phase {
	FRESH,	 /* in the list of that name */
	WAITING, /* in the set, for its descriptor */
	TIMED,	 /* among the timers */
	APART,	 /* attempted by a thread, or that is over and not known here yet */
	ENDED,	 /* in the list of that name; wait.at is its result */
};

/* Operations in order; linked by wait.next, or by wait.next_cancelled. */
struct op_list {
	struct op *first, *last;
};

struct loop_poller {
	struct op_list fresh;	  /* taken over */
	struct op_list cancelled; /* WAITING, TIMED or APART, and to be ended */
	struct op_list ended;
	struct loop_pollset set;
	struct loop_timers timers;
	struct loop_guard guard;
	struct loop_apart *apart;
	struct op woken; /* by it; in the loop's own scope, armed once it is used */
	uint64_t n_wakes;
	int n_found;  /* entries of the set that the last look has found something of */
	bool skipped; /* the last look, as there were results without it */
};

static void push(struct op_list *list, struct op *op)
{
	op->wait.next = NULL;
	if (list->first)
		list->last->wait.next = op;
	else
		list->first = op;
	list->last = op;
}

static struct op *pop(struct op_list *list)
{
	struct op *op = list->first;

	if (op)
		list->first = op->wait.next;
	return op;
}

/* What is over apart is looked at whenever something is reaped: that is all there is to do. */
static void woken(struct op *op, int res)
{
	struct loop_poller *p = container_of(op, struct loop_poller, woken);

	if (res >= 0)
		op_read(op, loop_apart_fd(p->apart), &p->n_wakes, sizeof(p->n_wakes));
}

static int open_parts(struct loop_poller *p, const char **ret_why)
{
	int err = loop_apart_new(&p->apart);

	*ret_why = "a loop with poll(2) needs a descriptor (check RLIMIT_NOFILE)";
	if (err < 0)
		return err;
	*ret_why = "a loop with poll(2) needs a timer (check RLIMIT_SIGPENDING)";
	err = loop_guard_open(&p->guard);
	if (err < 0)
		loop_apart_free(p->apart);
	return err;
}

static int poll_open(struct loop *loop, unsigned int n_ops, const char **ret_why)
{
	struct loop_poller *p = calloc(1, sizeof(*p));
	int err;

	(void)n_ops;
	*ret_why = "out of memory";
	if (!p)
		return -ENOMEM;
	err = open_parts(p, ret_why);
	if (err < 0) {
		free(p);
		return err;
	}
	op_init(&p->woken, &loop->own, woken);
	loop->poller = p;
	loop->restricted = true;
	return 0;
}

static void poll_close(struct loop *loop)
{
	struct loop_poller *p = loop->poller;

	loop_apart_free(p->apart);
	loop_guard_close(&p->guard);
	loop_pollset_free(&p->set);
	loop_timers_free(&p->timers);
	free(p);
}

/* Taking over: all that whoever has borrowed the loop may do. */

static void poll_begin(struct loop *loop, struct op *op)
{
	op->wait.phase = FRESH;
	push(&loop->poller->fresh, op);
}

/* One that is fresh is seen to be cancelled when it is taken up; a result stays one. */
static void poll_cancel(struct loop *loop, struct op *op)
{
	struct op_list *list = &loop->poller->cancelled;

	if (op->wait.phase == FRESH || op->wait.phase == ENDED || op->wait.to_end)
		return;
	op->wait.to_end = true;
	op->wait.next_cancelled = NULL;
	if (list->first)
		list->last->wait.next_cancelled = op;
	else
		list->first = op;
	list->last = op;
}

static bool poll_prepared(const struct loop *loop)
{
	return loop->poller->fresh.first || loop->poller->cancelled.first;
}

/* Taking up */

static void end(struct loop_poller *p, struct op *op, int res)
{
	op->wait.phase = ENDED;
	op->wait.at = res;
	push(&p->ended, op);
}

static void take_out(struct loop_poller *p, struct op *op)
{
	if (op->wait.phase == WAITING)
		loop_pollset_remove(&p->set, op);
	else
		loop_timers_remove(&p->timers, op);
}

static uint64_t due(const struct op_request *timeout)
{
	const int64_t *ts = timeout->addr;

	return monotonic_ns() + (uint64_t)ts[0] * UINT64_C(1000000000) + (uint64_t)ts[1];
}

static void wait_for_descriptor(struct loop_poller *p, struct op *op)
{
	int res;

	op->wait.phase = WAITING;
	res = loop_pollset_add(&p->set, op);
	if (res < 0)
		end(p, op, res);
}

/* Waiting for a descriptor makes nobody wait: no lock is needed for that. */
static bool is_attempted_apart(const struct op *op)
{
	return op->apart && op->request.code != OP_POLL && op->request.code != OP_TIMEOUT;
}

/* found: what poll(2) says of its descriptor; 0: it has not been asked. */
static void attempt_apart(struct loop *loop, struct op *op, short found)
{
	struct loop_poller *p = loop->poller;
	int err;

	op->wait.phase = APART;
	op->wait.found = found;
	err = loop_apart_begin(p->apart, op, found != 0);
	if (err < 0)
		end(p, op, err);
	else if (!op_armed(&p->woken))
		woken(&p->woken, 0);
}

static void start(struct loop *loop, struct op *op)
{
	struct loop_poller *p = loop->poller;
	uint8_t code = op->request.code;
	int res = -EAGAIN;

	if (is_attempted_apart(op) && op->state != OP_CANCELLING) {
		attempt_apart(loop, op, 0);
		return;
	}
	if (!op->apart && (code == OP_WRITE || code == OP_SENDMSG))
		res = loop_attempt(op, false);
	if (res == -EAGAIN && op->state == OP_CANCELLING)
		res = -ECANCELED;
	if (res != -EAGAIN) {
		end(p, op, res);
	} else if (code == OP_TIMEOUT) {
		op->wait.phase = TIMED;
		res = loop_timers_add(&p->timers, op, due(&op->request));
		if (res < 0)
			end(p, op, res);
	} else {
		wait_for_descriptor(p, op);
	}
}

/* What a thread does ends when that does. */
static int end_cancelled(struct loop_poller *p)
{
	struct op *op;
	int n = 0;

	for (; (op = p->cancelled.first); n++) {
		p->cancelled.first = op->wait.next_cancelled;
		op->wait.to_end = false;
		if (op->wait.phase == APART) {
			loop_apart_interrupt(p->apart, op);
			continue;
		}
		take_out(p, op);
		end(p, op, -ECANCELED);
	}
	return n;
}

static int take_up(struct loop *loop)
{
	struct loop_poller *p = loop->poller;
	int n = end_cancelled(p);
	struct op *op;

	for (; (op = pop(&p->fresh)); n++)
		start(loop, op);
	return n;
}

static void poll_cancel_all(struct loop *loop)
{
	struct loop_poller *p = loop->poller;
	struct op *op;

	take_up(loop);
	while (p->set.n > 0) {
		op = p->set.waiting[p->set.n - 1];
		take_out(p, op);
		end(p, op, -ECANCELED);
	}
	while ((op = loop_timers_take(&p->timers)))
		end(p, op, -ECANCELED);
	loop_apart_interrupt_all(p->apart);
}

/* Waiting */

/* seccomp: ppoll */
static int look_for(struct loop_poller *p, uint64_t wait_ns)
{
	struct timespec wait = {
		.tv_sec = (time_t)(wait_ns / UINT64_C(1000000000)),
		.tv_nsec = (long)(wait_ns % UINT64_C(1000000000)),
	};
	int n = ppoll(p->set.fds, p->set.n, wait_ns == UINT64_MAX ? NULL : &wait, NULL);

	p->n_found = n > 0 ? n : 0;
	return n < 0 ? -errno : 0;
}

/* Until the next timer, and not longer than wait_ns. */
static int wait_for(struct loop_poller *p, uint64_t wait_ns)
{
	uint64_t next = loop_timers_next(&p->timers), now;

	if (next != UINT64_MAX) {
		now = monotonic_ns();
		wait_ns = min_u64(wait_ns, next > now ? next - now : 0);
	}
	return look_for(p, wait_ns);
}

/* With results at hand it looks every other time: they may always be there. */
static int look_unless_skipped(struct loop_poller *p)
{
	p->skipped = p->ended.first && !p->skipped;
	return p->skipped ? 0 : look_for(p, 0);
}

static int poll_submit(struct loop *loop)
{
	(void)loop;
	return 0; /* there is always room */
}

static int poll_enter(struct loop *loop)
{
	int n = take_up(loop);
	int err = look_unless_skipped(loop->poller);

	return err < 0 && err != -EINTR ? err : n;
}

static int poll_wait(struct loop *loop, uint64_t wait_ns)
{
	struct loop_poller *p = loop->poller;
	int n = take_up(loop);
	int err = p->ended.first ? look_unless_skipped(p) : wait_for(p, wait_ns);

	return err < 0 && err != -EINTR ? err : n;
}

static int poll_sleep(struct loop *loop)
{
	return wait_for(loop->poller, UINT64_MAX);
}

static bool poll_ready(const struct loop *loop)
{
	return loop->poller->ended.first || loop->poller->n_found > 0;
}

static bool poll_look(struct loop *loop)
{
	struct loop_poller *p = loop->poller;

	if (poll_ready(loop))
		return true;
	look_for(p, 0);
	return p->n_found > 0 ||
	       (p->timers.n > 0 && loop_timers_next(&p->timers) <= monotonic_ns());
}

/* Reaping */

static bool concerns(const struct op *op, short found)
{
	return found & (loop_attempt_events(&op->request) | POLLERR | POLLHUP | POLLNVAL);
}

/* What came of what an operation waited for; -EAGAIN: it waits on. */
static int outcome(struct op *op, short found)
{
	short wanted = loop_attempt_events(&op->request);
	int res;

	if (!concerns(op, found))
		return -EAGAIN;
	if (op->request.code != OP_POLL)
		res = loop_attempt(op, true);
	else if (found & POLLNVAL)
		res = -EBADF;
	else
		res = found & (wanted | POLLERR | POLLHUP);
	return res;
}

/*
 * An end or an error is reported for ever: if nothing comes of it, that is for
 * the owner to know. If somebody else was faster, one waits on.
 */
static bool is_over(const struct op *op, short found, int res)
{
	return res != -EAGAIN || (!(found & loop_attempt_events(&op->request)) &&
				  (found & (POLLERR | POLLHUP | POLLNVAL)));
}

static void serve(struct loop *loop, struct op *first, short found)
{
	struct loop_poller *p = loop->poller;
	struct op *op, *next;

	for (op = first; op; op = next) {
		int res;

		next = op->wait.next;
		if (is_attempted_apart(op) && concerns(op, found)) {
			loop_pollset_remove(&p->set, op);
			attempt_apart(loop, op, found);
			continue;
		}
		res = outcome(op, found);
		if (!is_over(op, found, res))
			continue;
		loop_pollset_remove(&p->set, op);
		end(p, op, res);
	}
}

/* An entry may go, and the last one come to its place. */
static void serve_found(struct loop *loop)
{
	struct loop_poller *p = loop->poller;
	size_t i = 0;

	while (i < p->set.n && p->n_found > 0) {
		struct pollfd *fd = &p->set.fds[i];
		short found = fd->revents;
		int number = fd->fd;

		fd->revents = 0;
		if (found) {
			p->n_found--;
			serve(loop, p->set.waiting[i], found);
		}
		if (i < p->set.n && p->set.fds[i].fd == number)
			i++;
	}
	p->n_found = 0;
}

static void serve_timers(struct loop_poller *p)
{
	uint64_t now = p->timers.n > 0 ? monotonic_ns() : 0;
	struct op *op;

	while ((op = loop_timers_take_due(&p->timers, now)))
		end(p, op, -ETIME);
}

/* What threads have attempted: it is over, or waits for its descriptor. */
static void serve_apart(struct loop_poller *p)
{
	struct op *op;

	while ((op = loop_apart_take(p->apart))) {
		if (is_over(op, op->wait.found, op->wait.at))
			end(p, op, op->wait.at);
		else if (op->state == OP_CANCELLING)
			end(p, op, -ECANCELED);
		else
			wait_for_descriptor(p, op);
	}
}

static void poll_reap(struct loop *loop)
{
	struct loop_poller *p = loop->poller;
	struct op *op;

	end_cancelled(p); /* while it slept */
	serve_found(loop);
	serve_apart(p);
	serve_timers(p);
	while ((op = pop(&p->ended))) {
		loop->counters.n_completions++;
		loop_complete(loop, op, op->wait.at);
	}
}

/* seccomp: recvmsg sendmsg */
static int poll_message_now(struct loop *loop, enum op_code code, int fd, const struct msghdr *msg)
{
	ssize_t n;

	(void)loop;
	if (code == OP_SENDMSG)
		n = sendmsg(fd, msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	else
		n = recvmsg(fd, (struct msghdr *)(uintptr_t)msg, MSG_DONTWAIT);
	return n < 0 ? -errno : (int)n;
}

const struct loop_engine loop_poll = {
	.name = "poll",
	.open = poll_open,
	.close = poll_close,
	.begin = poll_begin,
	.cancel = poll_cancel,
	.cancel_all = poll_cancel_all,
	.prepared = poll_prepared,
	.submit = poll_submit,
	.enter = poll_enter,
	.wait = poll_wait,
	.sleep = poll_sleep,
	.ready = poll_ready,
	.look = poll_look,
	.reap = poll_reap,
	.message_now = poll_message_now,
};
