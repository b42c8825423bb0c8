/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The completion loop: asynchronous operations embedded in the objects they
 * serve, scopes that group them, deferred tasks and timers. Below it is an
 * engine: an io_uring, or poll(2) and calls that do not wait. No other file
 * names a liburing type.
 *
 * Contract of an operation (struct op):
 *  - it is armed only when idle, and completes exactly once;
 *  - until then its owner, its fd and its buffer stay where they are;
 *  - closing an fd cancels nothing: cancel, wait until idle, then close.
 */
#ifndef VHU_LOOP_H
#define VHU_LOOP_H

#include <signal.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "base.h"
#include "list.h"

struct loop;
struct op;
struct scope;
struct task;

typedef void op_done_fn(struct op *op, int res);
typedef void scope_idle_fn(struct scope *scope);
typedef void task_fn(struct task *task);

enum op_state {
	OP_IDLE,       /* not known to the engine; may be armed, may go away */
	OP_ARMED,      /* handed over to the engine; one completion will come */
	OP_CANCELLING, /* as ARMED, and a cancel request is under way */
	OP_KEPT,       /* as ARMED, and not known to the engine: the loop is parked */
};

enum op_code {
	OP_READ,
	OP_WRITE,
	OP_RECVMSG, /* addr: a struct msghdr; flags: of recvmsg(2) */
	OP_SENDMSG,
	OP_ACCEPT,  /* flags: of accept4(2) */
	OP_POLL,    /* flags: events of poll(2) */
	OP_TIMEOUT, /* addr: seconds and nanoseconds, each 64 bits */
};

/* What is asked of the engine, so that it can be asked again: loop.c's. */
struct op_request {
	uint8_t code; /* enum op_code */
	int fd;
	uint32_t len, flags;
	const void *addr;
};

/* Where an armed operation is in the poll engine: loop-poll.c's. */
struct op_wait {
	struct op *next;	   /* in the list that it is in */
	struct op *next_cancelled; /* in the list of those to be ended, meanwhile */
	int32_t at;		   /* its place among the timers or among threads, or its result */
	uint8_t phase : 7;
	bool to_end : 1; /* it is in that list */
	uint8_t way;	 /* how its descriptor is read and written: loop-attempt.c's */
	int16_t found;	 /* what made a thread attempt it: events of poll(2), or 0 */
};

struct op {
	op_done_fn *done; /* called once per arming, with the result or -errno */
	struct scope *scope;
	struct list_node link; /* in scope->armed unless idle */
	enum op_state state;
	bool apart; /* its file may make whoever touches it wait: another thread does it */
	struct list_node insist; /* among those that are told again that they are cancelled */
	struct op_request request;
	struct op_wait wait;
};

/* Work to do later in this iteration, after the completions at hand. */
struct task {
	task_fn *run;
	struct list_node link;
	bool queued;
};

/*
 * The operations of one object. scope_cancel() ends them all and says when the
 * last one is idle; nothing they can touch may go before that.
 */
struct scope {
	struct loop *loop;
	struct list_node armed;
	scope_idle_fn *on_idle; /* set while a cancel is under way */
	struct task idle_task;
};

struct loop_counters {
	uint64_t n_iterations; /* returns from the kernel's wait */
	uint64_t n_completions;
	uint64_t n_submitted;
	uint64_t n_sleeps; /* waits that found nothing at once, with polling allowed */
	uint64_t n_polled; /* sleeps that polling has saved */
};

/*
 * Something in memory that others change, as the available index of a ring: it
 * is looked at while the loop polls, and need not notify us meanwhile.
 */
struct loop_watch {
	/*
	 * Whether something has come; what there is to do is deferred then. last:
	 * the loop goes to sleep and the watch is over, so ask for notifications.
	 */
	bool (*look)(struct loop_watch *w, bool last);
	struct list_node link;
	unsigned int n_misses; /* looks in a row that found nothing */
};

/*
 * For a loop whose objects several threads take turns with: leave() comes
 * before the loop's thread sleeps and enter() after it, and both in between
 * when wanted() says that another one waits.
 */
struct loop_turns {
	void (*leave)(void *arg);
	void (*enter)(void *arg);
	bool (*wanted)(void *arg);
	/* For whoever has borrowed the loop: makes its thread call loop_submit(). */
	void (*submit)(void *arg);
};

/* What is below loops, in the order of the words of --engine. */
enum loop_choice {
	LOOP_AUTO,  /* an io_uring; where there is none to be had, poll(2), and a line says why */
	LOOP_URING, /* an io_uring, or no loop */
	LOOP_POLL,
};

/* For all loops of this process that are made from now on; LOOP_AUTO at first. */
void loop_choose_engine(enum loop_choice choice);

/*
 * Makes a loop for about n_ops operations armed at once: a completion queue
 * has room for them and a cancel for each. Completions beyond that are kept by
 * the kernel until there is room. On failure returns -errno and sets *ret_why
 * to one sentence for the operator.
 */
int loop_new(unsigned int n_ops, struct loop **ret_loop, const char **ret_why);

/*
 * Of a failure of loop_new(): whether the engine is not to be had on this
 * system, whatever else is closed or freed.
 */
bool loop_engine_lacks(int err);

/* "uring" or "poll". */
const char *loop_engine_name(const struct loop *loop);

/*
 * Whether the kernel holds the loop to the operations that it needs: always
 * with poll(2), which has no others; with io_uring, if the kernel could.
 */
bool loop_restricted(const struct loop *loop);

/* From the next wait on. turns stays; only the thread that made the loop may run it. */
void loop_set_turns(struct loop *loop, const struct loop_turns *turns, void *arg);

/*
 * Between the turns of its thread another one may borrow the loop: prepare
 * operations, cancel them, defer tasks. All of it is taken up by the loop's
 * thread, which must be woken if loop_pending() is true at the end.
 */
void loop_borrow(struct loop *loop);
void loop_give_back(struct loop *loop);
bool loop_pending(const struct loop *loop);

/* Hands what is prepared to the kernel. For the loop's own thread. */
void loop_submit(struct loop *loop);

/* Frees the loop; no operation may be armed. NULL is allowed. */
void loop_free(struct loop *loop);

/* Runs until loop_stop(). Returns 0, or -errno if the engine itself failed. */
int loop_run(struct loop *loop);

/* One iteration; waits for a completion when wait is true and no task is queued. */
int loop_step(struct loop *loop, bool wait);

void loop_stop(struct loop *loop);

/* Whether loop_run() is under way: nothing may block the thread then. */
bool loop_running(const struct loop *loop);
struct loop_counters loop_counters(const struct loop *loop);

/*
 * Lets the loop poll for up to max_ns, instead of sleeping at once, while what
 * it waits for uses to come that soon. 0, as at first: it never polls.
 */
void loop_set_poll(struct loop *loop, uint64_t max_ns);

/*
 * Watches until the loop sleeps; true if w is watched by now, false when the
 * loop does not poll at present, or watches enough.
 */
bool loop_watch(struct loop *loop, struct loop_watch *w);
void loop_unwatch(struct loop *loop, struct loop_watch *w);
/*
 * Between these two somebody waits for work to gather, and would rather have
 * the loop asleep; it polls for what is watched alone.
 */
void loop_nap(struct loop *loop);
void loop_nap_over(struct loop *loop);
void loop_watch_init(struct loop_watch *w, bool (*look)(struct loop_watch *w, bool last));

/*
 * Parks the loop: operations under way are taken back from the kernel, each
 * with what it has done so far, and those that are armed from now on are kept;
 * to their owners they are armed as ever. Tasks and what completed meanwhile
 * run to their end. Nothing is in the kernel's hands then, so that the state of
 * all objects can be written down. By the loop's own thread, not from within an
 * iteration. -errno, and the loop goes on, when that takes longer than wait_ns.
 */
int loop_park(struct loop *loop, uint64_t wait_ns);

/* Keeps what is armed from now on, on a loop that has not run yet; for any thread that may use it.
 */
void loop_begin_parked(struct loop *loop);

/* What was kept goes to the kernel, as loop_park() found it or as it was armed since. */
void loop_unpark(struct loop *loop);

/* Parked, or on the way there; and nothing is left to be done before that ends. */
bool loop_is_parked(const struct loop *loop);
bool loop_is_at_rest(const struct loop *loop);

void task_init(struct task *task, task_fn *run);

/* Queues the task unless it is queued already. It runs after the completions at hand. */
void loop_defer(struct loop *loop, struct task *task);

/* The same, but not before loop_unpark(): for work of a parked loop that has no end. */
void loop_defer_parked(struct loop *loop, struct task *task);

/* Takes the task back if it is queued. */
void task_cancel(struct task *task);

void scope_init(struct scope *scope, struct loop *loop);

/* True when no operation of the scope is armed. */
static inline bool scope_idle(const struct scope *scope)
{
	return list_empty(&scope->armed);
}

/* True between scope_cancel() and its callback: nothing may be armed. */
static inline bool scope_cancelling(const struct scope *scope)
{
	return scope->on_idle != NULL;
}

/*
 * Cancels every armed operation; on_idle runs from a task, always later than
 * this call, once the scope is idle. Calling it again replaces on_idle.
 */
void scope_cancel(struct scope *scope, scope_idle_fn *on_idle);

/* Forgets the callback of a cancel under way (its owner is going away idle). */
void scope_fini(struct scope *scope);

void op_init(struct op *op, struct scope *scope, op_done_fn *done);

static inline bool op_armed(const struct op *op)
{
	return op->state != OP_IDLE;
}

/* Asks for an early end. The completion still comes, and may report progress. */
void op_cancel(struct op *op);

/* The operations. Buffers belong to the caller and stay until completion. */
void op_read(struct op *op, int fd, void *buf, size_t len);
void op_write(struct op *op, int fd, const void *buf, size_t len);
void op_recvmsg(struct op *op, int fd, struct msghdr *msg, int flags);
void op_sendmsg(struct op *op, int fd, const struct msghdr *msg, int flags);
void op_accept(struct op *op, int fd);		   /* result: a close-on-exec fd */
void op_poll(struct op *op, int fd, short events); /* result: revents; POLLRDHUP is always told */

/*
 * At once, without an op: what a socket takes or gives without waiting, or
 * -errno; -EAGAIN when that is nothing. Buffers are the caller's again on
 * return. What was prepared before goes to the kernel, too.
 */
int loop_sendmsg_now(struct loop *loop, int fd, const struct msghdr *msg);
int loop_recvmsg_now(struct loop *loop, int fd, struct msghdr *msg);

/* A relative timer: op completes with -ETIME when it expires. */
struct timer {
	struct op op;
	int64_t ts[2]; /* seconds, nanoseconds: read when it is handed over */
};

void timer_init(struct timer *timer, struct scope *scope, op_done_fn *done);
void timer_arm(struct timer *timer, uint64_t ns);

#endif
