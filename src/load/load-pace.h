/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The course of a measurement: when the next message is due, when it is over,
 * and when nothing has moved for so long that it has failed.
 */
#ifndef VHU_LOAD_LOAD_PACE_H
#define VHU_LOAD_LOAD_PACE_H

#include "load/load-guests.h"

struct load_pace {
	struct load_run *run;
	uint64_t start_ns, end_ns; /* end: UINT64_MAX with --messages */
	uint64_t n_left;	   /* messages that may still be begun */
	uint64_t interval_ns;	   /* open loop: between two of them; else 0 */
	uint64_t due_ns;	   /* of the next one */
	uint64_t moved_ns, looked_ns;
};

/* Begins now. */
void load_pace_begin(struct load_pace *p, struct load_run *run);

/* Whether there are more messages to begin, now or later. */
static inline bool load_pace_more(const struct load_pace *p, uint64_t now_ns)
{
	return p->n_left > 0 && now_ns < p->end_ns;
}

/* Whether one may begin now. */
static inline bool load_pace_due(const struct load_pace *p, uint64_t now_ns)
{
	return now_ns >= p->due_ns;
}

/* One has begun. Returns from when its latency counts: when it was due, in an open loop. */
static inline uint64_t load_pace_take(struct load_pace *p, uint64_t now_ns)
{
	uint64_t due_ns = p->due_ns;

	p->n_left--;
	if (p->interval_ns == 0)
		return now_ns;
	p->due_ns += p->interval_ns;
	return due_ns;
}

/* Something has moved, or not: zero, or -errno with a sentence when the back-end is stuck. */
int load_pace_watch_idle(struct load_pace *p, uint64_t now_ns);

static inline int load_pace_watch(struct load_pace *p, uint64_t now_ns, bool moved)
{
	if (!moved)
		return load_pace_watch_idle(p, now_ns);
	p->moved_ns = now_ns;
	return 0;
}

/*
 * Sleeps until the line's back-end calls, its peer is ready for what is waited
 * for, or at_ns comes. A back-end that says nothing wakes it now and then.
 */
struct load_wish {
	bool out, in;		 /* calls of which ring */
	bool readable, writable; /* the peer */
};
int load_pace_sleep(struct load_line *l, const struct load_wish *wish, uint64_t now_ns,
		    uint64_t at_ns);

/* Until all threads of the back-end sleep. */
int load_pace_await_asleep(struct load_pace *p, struct load_threads *threads);

/* Kicks, calls and violations of all lines between the two, and the time. */
void load_figures_begin(struct load_run *run);
void load_figures_end(struct load_run *run, const struct load_pace *p, struct load_figures *f);

#endif
