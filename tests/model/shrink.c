/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Delta debugging: chunks of the list are left out, large ones first; what
 * fails in the same way without one goes on without it.
 */
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "run.h"

struct shrinker {
	struct model_report *report;
	struct run_list *list;
	const struct run_end *end;
	int64_t deadline;
	unsigned int n_runs;
	struct model_step *spare;
};

/* Whether it still fails without n steps from at on, which then are gone. */
static bool leave_out(struct shrinker *s, size_t at, size_t n)
{
	struct run_list shorter = { .episode = s->list->episode, .steps = s->spare };
	struct run_end end;

	n = min_size(n, s->list->n_steps - at);
	shorter.n_steps = s->list->n_steps - n;
	memcpy(s->spare, s->list->steps, at * sizeof(*s->spare));
	memcpy(s->spare + at, s->list->steps + at + n, (shorter.n_steps - at) * sizeof(*s->spare));
	end = run_list(s->report, &shorter, false);
	s->n_runs++;
	if (!run_same(&end, s->end))
		return false;
	s->spare = s->list->steps;
	s->list->steps = shorter.steps;
	s->list->n_steps = shorter.n_steps;
	return true;
}

static bool time_is_over(const struct shrinker *s)
{
	return monotonic_ms() >= s->deadline;
}

/* From the end: what comes last is seldom needed, and what it needs comes before it. */
static bool leave_out_chunks(struct shrinker *s, size_t n)
{
	size_t at = s->list->n_steps;
	bool any = false;

	while (at > 0 && !time_is_over(s)) {
		at = at > n ? at - n : 0;
		any |= leave_out(s, at, n);
		at = min_size(at, s->list->n_steps);
	}
	return any;
}

unsigned int shrink(struct model_report *report, struct run_list *list, const struct run_end *end,
		    unsigned int max_seconds)
{
	struct shrinker s = {
		.report = report,
		.list = list,
		.end = end,
		.deadline = monotonic_ms() + (int64_t)max_seconds * 1000,
		.spare = calloc(list->n_steps ? list->n_steps : 1, sizeof(*s.spare)),
	};
	size_t n = (list->n_steps + 1) / 2;

	while (s.spare && n > 0 && list->n_steps > 0 && !time_is_over(&s)) {
		bool any = leave_out_chunks(&s, n);

		/* What goes may let others go: single steps until none does. */
		if (n > 1 || !any)
			n /= 2;
	}
	free(s.spare);
	return s.n_runs;
}
