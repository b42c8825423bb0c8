/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "loop-apart.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "fd.h"
#include "loop-attempt.h"
#include "loop-guard.h"
#include "thread.h"

enum { HELPERS_MIN = 8 };

struct helper {
	struct loop_apart *apart;
	pthread_t thread;
	pthread_cond_t wanted; /* there is an op, or the end has come */
	struct op *op;	       /* what it is doing, or has to do next */
	size_t idx;	       /* among all helpers */
	bool ready;
};

/* Belongs to the loop, and to its helpers: the last of all frees it. */
struct loop_apart {
	pthread_mutex_t lock;	 /* of all that follows, and of the helpers */
	struct helper **helpers; /* n of cap; the wait.at of the op that one does is its index */
	size_t n, cap;
	struct helper *idle;	 /* one at most */
	struct op *first, *last; /* that have ended; linked by wait.next */
	int fd;			 /* -1: the loop is gone */
	size_t n_begun;		 /* and not taken back yet: the loop's alone */
};

static void destroy(struct loop_apart *a)
{
	pthread_mutex_destroy(&a->lock);
	free(a->helpers);
	free(a);
}

/* The helper's side. */

/* seccomp: write */
static void append(struct loop_apart *a, struct op *op)
{
	const uint64_t one = 1;
	ssize_t n;

	op->wait.next = NULL;
	if (a->first) {
		a->last->wait.next = op;
		a->last = op;
		return;
	}
	a->first = a->last = op;
	n = write(a->fd, &one, sizeof(one)); /* it never gets full */
	assert(n == sizeof(one));
	(void)n;
}

/* With the lock, which is released meanwhile. */
static void help(struct helper *h)
{
	struct loop_apart *a = h->apart;
	int res;

	pthread_mutex_unlock(&a->lock);
	res = loop_attempt_apart(h->op, h->ready);
	pthread_mutex_lock(&a->lock);
	if (a->fd < 0)
		return;
	h->op->wait.at = res;
	append(a, h->op);
	h->op = NULL;
}

/* Waits for the next op. False: the helper is not needed. */
static bool rest(struct helper *h)
{
	struct loop_apart *a = h->apart;

	if (a->idle || a->fd < 0)
		return false;
	a->idle = h;
	while (!h->op && a->fd >= 0)
		pthread_cond_wait(&h->wanted, &a->lock);
	return h->op && a->fd >= 0;
}

/* With the lock, which is released. */
static void leave(struct helper *h)
{
	struct loop_apart *a = h->apart;
	struct helper *last = a->helpers[--a->n];
	bool is_last;

	a->helpers[h->idx] = last;
	last->idx = h->idx;
	if (last->op && a->fd >= 0)
		last->op->wait.at = (int32_t)last->idx;
	is_last = a->n == 0 && a->fd < 0;
	pthread_mutex_unlock(&a->lock);
	pthread_cond_destroy(&h->wanted);
	free(h);
	if (is_last)
		destroy(a);
}

/* seccomp: prctl:PR_SET_NAME */
static void *run(void *arg)
{
	struct helper *h = arg;

	pthread_setname_np(pthread_self(), "apart"); /* for people */
	pthread_mutex_lock(&h->apart->lock);
	do {
		help(h);
	} while (rest(h));
	leave(h);
	return NULL;
}

/* The loop's side. */

/* seccomp(start): eventfd2 */
int loop_apart_new(struct loop_apart **ret_apart)
{
	struct loop_apart *a = calloc(1, sizeof(*a));
	int err;

	if (!a)
		return -ENOMEM;
	a->fd = eventfd(0, EFD_CLOEXEC);
	if (a->fd < 0) {
		err = -errno;
		free(a);
		return err;
	}
	pthread_mutex_init(&a->lock, NULL);
	*ret_apart = a;
	return 0;
}

void loop_apart_free(struct loop_apart *a)
{
	bool is_last;

	if (!a)
		return;
	pthread_mutex_lock(&a->lock);
	a->fd = fd_close(a->fd);
	if (a->idle)
		pthread_cond_signal(&a->idle->wanted);
	is_last = a->n == 0;
	pthread_mutex_unlock(&a->lock);
	if (is_last)
		destroy(a);
}

int loop_apart_fd(const struct loop_apart *a)
{
	return a->fd;
}

static int make_room(struct loop_apart *a)
{
	size_t cap = a->cap > 0 ? 2 * a->cap : HELPERS_MIN;
	struct helper **helpers;

	if (a->n < a->cap)
		return 0;
	helpers = cap <= INT32_MAX ? reallocarray(a->helpers, cap, sizeof(struct helper *)) : NULL;
	if (!helpers)
		return -ENOMEM;
	a->helpers = helpers;
	a->cap = cap;
	return 0;
}

static void give(struct helper *h, struct op *op, bool ready)
{
	h->ready = ready;
	h->op = op;
	op->wait.at = (int32_t)h->idx;
}

/* It waits for the lock first. */
static int start(struct loop_apart *a, struct op *op, bool ready)
{
	struct helper *h = make_room(a) == 0 ? calloc(1, sizeof(*h)) : NULL;

	if (!h)
		return -ENOMEM;
	h->apart = a;
	h->idx = a->n;
	give(h, op, ready);
	pthread_cond_init(&h->wanted, NULL);
	if (thread_start(&h->thread, run, h) < 0) {
		pthread_cond_destroy(&h->wanted);
		free(h);
		return -ENOMEM; /* EAGAIN, which it is, means to wait for the descriptor */
	}
	pthread_detach(h->thread);
	a->helpers[a->n++] = h;
	return 0;
}

int loop_apart_begin(struct loop_apart *a, struct op *op, bool ready)
{
	struct helper *idle;
	int err = 0;

	pthread_mutex_lock(&a->lock);
	idle = a->idle;
	if (idle) {
		a->idle = NULL;
		give(idle, op, ready);
		pthread_cond_signal(&idle->wanted);
	} else {
		err = start(a, op, ready);
	}
	pthread_mutex_unlock(&a->lock);
	a->n_begun += err == 0;
	return err;
}

/* It cannot end without the lock. */
/* seccomp: tgkill */
static void interrupt(const struct helper *h)
{
	pthread_kill(h->thread, LOOP_GUARD_SIGNAL);
}

/* One that has ended has its result in the place of the index. */
void loop_apart_interrupt(struct loop_apart *a, const struct op *op)
{
	size_t idx;

	pthread_mutex_lock(&a->lock);
	idx = (size_t)op->wait.at;
	if (idx < a->n && a->helpers[idx]->op == op)
		interrupt(a->helpers[idx]);
	pthread_mutex_unlock(&a->lock);
}

void loop_apart_interrupt_all(struct loop_apart *a)
{
	pthread_mutex_lock(&a->lock);
	for (size_t i = 0; i < a->n; i++)
		if (a->helpers[i]->op)
			interrupt(a->helpers[i]);
	pthread_mutex_unlock(&a->lock);
}

struct op *loop_apart_take(struct loop_apart *a)
{
	struct op *op;

	if (a->n_begun == 0)
		return NULL;
	pthread_mutex_lock(&a->lock);
	op = a->first;
	if (op)
		a->first = op->wait.next;
	pthread_mutex_unlock(&a->lock);
	a->n_begun -= op != NULL;
	return op;
}
