/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "daemon/places.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/daemon.h"
#include "daemon/workers.h"

struct place {
	struct places *places;
	struct guest_env env;
	struct task quit, finished, settled;
	unsigned int n_guests;
};

struct places {
	struct daemon *daemon;
	const struct places_events *events;
	struct workers *workers; /* NULL: there is one place, in the main thread */
	const char *journal;	 /* where journals are, outliving the setup; NULL: nowhere */
	char journal_dir[4096];
	unsigned int n;
	struct place place[];
};

static void quit_here(struct task *task)
{
	struct places *ps = container_of(task, struct place, quit)->places;

	ps->events->quit(ps->daemon);
}

static void finished_here(struct task *task)
{
	struct places *ps = container_of(task, struct place, finished)->places;

	ps->events->finished(ps->daemon);
}

static void settled_here(struct task *task)
{
	struct places *ps = container_of(task, struct place, settled)->places;

	ps->events->settled(ps->daemon);
}

static void quit(void *arg)
{
	workers_run_in_main(&((struct place *)arg)->quit);
}

static void finished(void *arg)
{
	workers_run_in_main(&((struct place *)arg)->finished);
}

static void settled(void *arg)
{
	workers_run_in_main(&((struct place *)arg)->settled);
}

static void place_init(struct places *ps, unsigned int idx)
{
	struct daemon *d = ps->daemon;
	struct place *p = &ps->place[idx];

	p->places = ps;
	p->env = (struct guest_env){
		.loop = ps->workers ? workers_loop(ps->workers, idx) : d->loop,
		.loop_idx = idx,
		.max_queue_size = (unsigned int)d->setup->options.max_queue_size,
		.journal = ps->journal,
		.trace = d->trace,
		.quit = quit,
		.finished = finished,
		.settled = settled,
		.arg = p,
	};
	task_init(&p->quit, quit_here);
	task_init(&p->finished, finished_here);
	task_init(&p->settled, settled_here);
}

int places_new(struct daemon *d, const struct places_events *events, unsigned int n_ops,
	       struct places **ret_places, const char **ret_why)
{
	unsigned int n = (unsigned int)d->setup->options.loops;
	uint64_t poll_ns = d->setup->options.poll_us * 1000;
	struct places *ps = calloc(1, sizeof(*ps) + n * sizeof(ps->place[0]));
	int err = 0;

	if (!ps) {
		*ret_why = "out of memory";
		return -ENOMEM;
	}
	ps->daemon = d;
	ps->events = events;
	if (d->setup->options.journal)
		snprintf(ps->journal_dir, sizeof(ps->journal_dir), "%s", d->setup->options.journal);
	ps->journal = d->setup->options.journal ? ps->journal_dir : NULL;
	ps->n = n;
	if (n > 1)
		err = workers_new(n, n_ops / n + 1, poll_ns, d->loop, &d->scope, &ps->workers,
				  ret_why);
	else
		loop_set_poll(d->loop, poll_ns);
	if (err < 0) {
		free(ps);
		return err;
	}
	for (unsigned int i = 0; i < n; i++)
		place_init(ps, i);
	*ret_places = ps;
	return 0;
}

void places_free(struct places *ps)
{
	if (!ps)
		return;
	workers_free(ps->workers);
	free(ps);
}

void places_set_max_queue_size(struct places *ps, unsigned int max_queue_size)
{
	for (unsigned int i = 0; i < ps->n; i++)
		ps->place[i].env.max_queue_size = max_queue_size;
}

void places_set_poll(struct places *ps, uint64_t max_ns)
{
	for (unsigned int i = 0; i < ps->n; i++)
		loop_set_poll(ps->place[i].env.loop, max_ns);
}

const struct guest_env *places_pick(struct places *ps)
{
	struct place *best = &ps->place[0];

	for (unsigned int i = 1; i < ps->n; i++)
		if (ps->place[i].n_guests < best->n_guests)
			best = &ps->place[i];
	return &best->env;
}

static struct place *place_of(const struct guest *g)
{
	return g->env->arg;
}

void places_count(const struct guest *g, int change)
{
	place_of(g)->n_guests += (unsigned int)change;
}

struct daemon *places_daemon(const struct guest *g)
{
	return place_of(g)->places->daemon;
}

void places_tell(struct guest *g, task_fn *run)
{
	task_init(&g->told, run);
	workers_run_in_main(&g->told);
}

int places_in_each_thread(struct places *ps, int (*fn)(void *arg), void *arg)
{
	return ps->workers ? workers_in_each(ps->workers, fn, arg) : 0;
}

int places_park(struct places *ps, uint64_t wait_ns)
{
	return ps->workers ? workers_park(ps->workers, wait_ns) : 0;
}

bool places_at_rest(const struct places *ps)
{
	for (unsigned int i = 0; i < ps->n; i++)
		if (!loop_is_at_rest(ps->place[i].env.loop))
			return false;
	return true;
}

void places_unpark(struct places *ps)
{
	if (ps->workers)
		workers_unpark(ps->workers);
}

void places_begin_parked(struct places *ps)
{
	for (unsigned int i = 0; i < ps->n; i++)
		loop_begin_parked(ps->place[i].env.loop);
}

void places_go_on(struct places *ps)
{
	for (unsigned int i = 0; i < ps->n; i++)
		loop_unpark(ps->place[i].env.loop);
}
