/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "daemon/workers.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "fd.h"
#include "log.h"

/*
 * Whose turn it is: the worker's while it is inside, the main thread's when
 * held is set and the worker is not inside. Everything in the lower half, and
 * every guest on the loop, belongs to whoever has the turn.
 */
struct worker {
	struct workers *workers;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool started;	 /* loop or err is set */
	bool inside;	 /* the worker has its turn */
	bool held;	 /* the main thread wants its turn, or has it; read without the lock too */
	bool waiting;	 /* the worker wants its turn; read without the lock too */
	bool submitting; /* the main thread needs room in the loop's queue */
	int (*errand)(void *arg); /* what the main thread wants done here; NULL: nothing */
	void *errand_arg;
	int errand_err;
	int nudge_fd; /* wakes the loop */

	struct loop *loop;
	struct scope scope;
	struct op nudged;
	uint64_t n_nudges;
	struct list_node outbox; /* tasks for the main thread */
	bool stop;
	bool park;	  /* the main thread wants the loop parked */
	bool parked;	  /* it is, or park_err says why not */
	uint64_t park_ns; /* how long that may take */
	int park_err;
	int err; /* why there is no loop */
	const char *why;
};

struct workers {
	struct loop *main_loop;
	struct op woken; /* in a scope of the main loop */
	uint64_t n_wakes;
	int wake_fd; /* wakes the main loop */
	bool held;   /* by the main thread, all of them */
	unsigned int n_ops;
	uint64_t poll_ns;
	unsigned int n; /* threads */
	struct worker worker[];
};

/* The worker that this thread is; NULL: the main thread, or there are none. */
static _Thread_local struct worker *self;

/* A counter that cannot get full: nobody adds more than 1 at a time. */
/* seccomp: write */
static void ring(int fd)
{
	const uint64_t one = 1;
	ssize_t n = write(fd, &one, sizeof(one));

	assert(n == sizeof(one));
	(void)n;
}

/* The worker's side. */

static void worker_enter(void *arg)
{
	struct worker *w = arg;

	pthread_mutex_lock(&w->lock);
	__atomic_store_n(&w->waiting, true, __ATOMIC_RELAXED);
	while (w->held) {
		if (w->submitting) {
			loop_submit(w->loop);
			w->submitting = false;
			pthread_cond_broadcast(&w->changed);
		}
		if (w->errand) {
			w->errand_err = w->errand(w->errand_arg);
			w->errand = NULL;
			pthread_cond_broadcast(&w->changed);
		}
		pthread_cond_wait(&w->changed, &w->lock);
	}
	__atomic_store_n(&w->waiting, false, __ATOMIC_RELAXED);
	w->inside = true;
	pthread_cond_broadcast(&w->changed);
	pthread_mutex_unlock(&w->lock);
}

static void worker_leave(void *arg)
{
	struct worker *w = arg;
	bool letters = !list_empty(&w->outbox);

	pthread_mutex_lock(&w->lock);
	w->inside = false;
	pthread_cond_broadcast(&w->changed);
	pthread_mutex_unlock(&w->lock);
	if (letters)
		ring(w->workers->wake_fd);
}

static bool worker_is_wanted(void *arg)
{
	const struct worker *w = arg;

	return __atomic_load_n(&w->held, __ATOMIC_RELAXED);
}

/* Called by the main thread, while it has the turn. */
static void submit_by_worker(void *arg)
{
	struct worker *w = arg;

	pthread_mutex_lock(&w->lock);
	w->submitting = true;
	pthread_cond_broadcast(&w->changed);
	ring(w->nudge_fd); /* it may be asleep in the kernel */
	while (w->submitting)
		pthread_cond_wait(&w->changed, &w->lock);
	pthread_mutex_unlock(&w->lock);
}

static const struct loop_turns worker_turns = {
	.leave = worker_leave,
	.enter = worker_enter,
	.wanted = worker_is_wanted,
	.submit = submit_by_worker,
};

static void nudged(struct op *op, int res)
{
	struct worker *w = container_of(op, struct worker, nudged);

	(void)res;
	if (w->stop || __atomic_load_n(&w->park, __ATOMIC_ACQUIRE))
		loop_stop(w->loop);
	if (!w->stop)
		op_read(&w->nudged, w->nudge_fd, &w->n_nudges, sizeof(w->n_nudges));
}

/* Parks the loop until the main thread wants it to go on. */
static void hold_still(struct worker *w)
{
	int err = loop_park(w->loop, w->park_ns);

	pthread_mutex_lock(&w->lock);
	w->park_err = err;
	w->parked = true;
	pthread_cond_broadcast(&w->changed);
	while (w->park)
		pthread_cond_wait(&w->changed, &w->lock);
	w->parked = false;
	pthread_cond_broadcast(&w->changed);
	pthread_mutex_unlock(&w->lock);
	if (err == 0)
		loop_unpark(w->loop);
}

/* Only the thread that makes a ring may enter it. */
static void make_loop(struct worker *w)
{
	const struct workers *ws = w->workers;
	int err = loop_new(ws->n_ops, &w->loop, &w->why);

	if (err == 0) {
		loop_set_poll(w->loop, ws->poll_ns);
		loop_set_turns(w->loop, &worker_turns, w);
		scope_init(&w->scope, w->loop);
		op_init(&w->nudged, &w->scope, nudged);
		op_read(&w->nudged, w->nudge_fd, &w->n_nudges, sizeof(w->n_nudges));
		loop_borrow(w->loop); /* the main thread begins */
	}
	pthread_mutex_lock(&w->lock);
	w->err = err;
	w->started = true;
	pthread_cond_broadcast(&w->changed);
	pthread_mutex_unlock(&w->lock);
}

/* seccomp(start): prctl:PR_SET_NAME */
static void *work(void *arg)
{
	struct worker *w = arg;
	char name[16];
	int err;

	self = w;
	snprintf(name, sizeof(name), "loop %u", (unsigned int)(w - w->workers->worker));
	pthread_setname_np(pthread_self(), name); /* for people */
	make_loop(w);
	if (w->err < 0)
		return NULL;
	do {
		err = loop_run(w->loop);
		if (err == 0 && __atomic_load_n(&w->park, __ATOMIC_ACQUIRE))
			hold_still(w);
	} while (err == 0 && !w->stop);
	if (err < 0) {
		/* Its guests cannot even be closed. */
		log_errno(LOG_LEVEL_ERROR, NULL, err, "a loop of guests has failed");
		abort();
	}
	loop_free(w->loop);
	return NULL;
}

/* The main thread's side. */

static void take_letters(struct worker *w)
{
	struct list_node *node, *tmp;

	list_for_each (node, tmp, &w->outbox) {
		struct task *task = list_entry(node, struct task, link);

		task_cancel(task);
		loop_defer(w->workers->main_loop, task);
	}
}

/* A worker that waits has its turn first, so that none is held back for ever. */
static void want(struct worker *w)
{
	pthread_mutex_lock(&w->lock);
	while (w->waiting)
		pthread_cond_wait(&w->changed, &w->lock);
	__atomic_store_n(&w->held, true, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&w->lock);
}

static void await_turn(struct worker *w)
{
	pthread_mutex_lock(&w->lock);
	while (w->inside)
		pthread_cond_wait(&w->changed, &w->lock);
	pthread_mutex_unlock(&w->lock);
	loop_borrow(w->loop);
	take_letters(w);
}

static void hold_all(void *arg)
{
	struct workers *ws = arg;

	if (ws->held)
		return;
	for (unsigned int i = 0; i < ws->n; i++)
		want(&ws->worker[i]);
	for (unsigned int i = 0; i < ws->n; i++)
		await_turn(&ws->worker[i]);
	ws->held = true;
}

static void let_go(struct worker *w)
{
	bool pending = loop_pending(w->loop) || w->stop;

	loop_give_back(w->loop);
	pthread_mutex_lock(&w->lock);
	__atomic_store_n(&w->held, false, __ATOMIC_RELAXED);
	pthread_cond_broadcast(&w->changed);
	pthread_mutex_unlock(&w->lock);
	if (pending)
		ring(w->nudge_fd);
}

static void let_all_go(void *arg)
{
	struct workers *ws = arg;

	for (unsigned int i = 0; i < ws->n; i++)
		let_go(&ws->worker[i]);
	ws->held = false;
}

static bool any_waits(void *arg)
{
	const struct workers *ws = arg;

	for (unsigned int i = 0; i < ws->n; i++)
		if (__atomic_load_n(&ws->worker[i].waiting, __ATOMIC_RELAXED))
			return true;
	return false;
}

static const struct loop_turns main_turns = {
	.leave = let_all_go,
	.enter = hold_all,
	.wanted = any_waits,
};

static void woken(struct op *op, int res)
{
	struct workers *ws = container_of(op, struct workers, woken);

	/* The letters have been taken when this turn began. */
	if (res >= 0 && !scope_cancelling(op->scope))
		op_read(op, ws->wake_fd, &ws->n_wakes, sizeof(ws->n_wakes));
}

/* seccomp(start): eventfd2 clone:CLONE_THREAD */
static int start_worker(struct workers *ws, struct worker *w, const char **ret_why)
{
	int err;

	*ret_why = "no thread can be started for another loop (check RLIMIT_NPROC)";
	w->workers = ws;
	w->held = true;
	list_init(&w->outbox);
	w->nudge_fd = eventfd(0, EFD_CLOEXEC);
	if (w->nudge_fd < 0)
		return -errno;
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->changed, NULL);
	err = pthread_create(&w->thread, NULL, work, w);
	if (err == 0) {
		pthread_mutex_lock(&w->lock);
		while (!w->started)
			pthread_cond_wait(&w->changed, &w->lock);
		pthread_mutex_unlock(&w->lock);
		if (w->err == 0)
			return 0;
		pthread_join(w->thread, NULL);
		*ret_why = w->why;
		err = -w->err;
	}
	pthread_cond_destroy(&w->changed);
	pthread_mutex_destroy(&w->lock);
	fd_close(w->nudge_fd);
	return -err;
}

int workers_new(unsigned int n, unsigned int n_ops, uint64_t poll_ns, struct loop *main_loop,
		struct scope *scope, struct workers **ret_workers, const char **ret_why)
{
	struct workers *ws = calloc(1, sizeof(*ws) + n * sizeof(ws->worker[0]));
	int err = 0;

	*ret_why = "out of memory";
	if (!ws)
		return -ENOMEM;
	ws->main_loop = main_loop;
	ws->n_ops = n_ops;
	ws->poll_ns = poll_ns;
	ws->held = true;
	ws->wake_fd = eventfd(0, EFD_CLOEXEC);
	if (ws->wake_fd < 0) {
		*ret_why = "no descriptor left for another loop (check RLIMIT_NOFILE)";
		err = -errno;
	}
	while (err == 0 && ws->n < n) {
		err = start_worker(ws, &ws->worker[ws->n], ret_why);
		ws->n += err == 0;
	}
	if (err < 0) {
		workers_free(ws);
		return err;
	}
	op_init(&ws->woken, scope, woken);
	op_read(&ws->woken, ws->wake_fd, &ws->n_wakes, sizeof(ws->n_wakes));
	loop_set_turns(main_loop, &main_turns, ws);
	*ret_workers = ws;
	return 0;
}

/* While the main thread has the turn. */
static int run_errand(struct worker *w, int (*fn)(void *arg), void *arg)
{
	int err;

	pthread_mutex_lock(&w->lock);
	w->errand = fn;
	w->errand_arg = arg;
	pthread_cond_broadcast(&w->changed);
	ring(w->nudge_fd); /* it may be asleep in the kernel */
	while (w->errand)
		pthread_cond_wait(&w->changed, &w->lock);
	err = w->errand_err;
	pthread_mutex_unlock(&w->lock);
	return err;
}

int workers_in_each(struct workers *ws, int (*fn)(void *arg), void *arg)
{
	int err = 0;

	for (unsigned int i = 0; i < ws->n && err == 0; i++)
		err = run_errand(&ws->worker[i], fn, arg);
	return err;
}

static void set_park(struct worker *w, bool park, uint64_t wait_ns)
{
	pthread_mutex_lock(&w->lock);
	w->park_ns = wait_ns;
	__atomic_store_n(&w->park, park, __ATOMIC_RELEASE);
	pthread_cond_broadcast(&w->changed);
	pthread_mutex_unlock(&w->lock);
	if (park)
		ring(w->nudge_fd);
}

static int await_parked(struct worker *w)
{
	int err;

	pthread_mutex_lock(&w->lock);
	while (!w->parked)
		pthread_cond_wait(&w->changed, &w->lock);
	err = w->park_err;
	pthread_mutex_unlock(&w->lock);
	take_letters(w);
	return err;
}

int workers_park(struct workers *ws, uint64_t wait_ns)
{
	int ret = 0;

	if (ws->held)
		let_all_go(ws);
	for (unsigned int i = 0; i < ws->n; i++)
		set_park(&ws->worker[i], true, wait_ns);
	for (unsigned int i = 0; i < ws->n; i++) {
		int err = await_parked(&ws->worker[i]);

		ret = ret < 0 ? ret : err;
	}
	if (ret < 0)
		workers_unpark(ws);
	return ret;
}

static void await_unparked(struct worker *w)
{
	pthread_mutex_lock(&w->lock);
	while (w->parked)
		pthread_cond_wait(&w->changed, &w->lock);
	pthread_mutex_unlock(&w->lock);
}

void workers_unpark(struct workers *ws)
{
	for (unsigned int i = 0; i < ws->n; i++)
		set_park(&ws->worker[i], false, 0);
	for (unsigned int i = 0; i < ws->n; i++)
		await_unparked(&ws->worker[i]);
}

void workers_free(struct workers *ws)
{
	if (!ws)
		return;
	hold_all(ws);
	for (unsigned int i = 0; i < ws->n; i++)
		ws->worker[i].stop = true;
	let_all_go(ws);
	for (unsigned int i = 0; i < ws->n; i++) {
		struct worker *w = &ws->worker[i];

		pthread_join(w->thread, NULL);
		pthread_cond_destroy(&w->changed);
		pthread_mutex_destroy(&w->lock);
		fd_close(w->nudge_fd);
	}
	fd_close(ws->wake_fd);
	free(ws);
}

struct loop *workers_loop(const struct workers *ws, unsigned int idx)
{
	assert(idx < ws->n);
	return ws->worker[idx].loop;
}

void workers_run_in_main(struct task *task)
{
	if (!self) {
		task->run(task);
		return;
	}
	if (task->queued)
		return;
	task->queued = true;
	list_append(&self->outbox, &task->link);
}
