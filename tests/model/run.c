/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "run.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"

enum { EPISODE_ALARM_SECONDS = 60 };

struct model_report *run_report_new(void)
{
	struct model_report *report = mmap(NULL, sizeof(*report), PROT_READ | PROT_WRITE,
					   MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return report == MAP_FAILED ? NULL : report;
}

static void prepare_child(bool trace)
{
	signal(SIGPIPE, SIG_IGN); /* as the daemon does */
	/* Rings that wait for memory are no news here. */
	log_set_level(trace && getenv("MODEL_LOG") ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR);
}

static struct run_end await(struct model_report *report, pid_t pid)
{
	struct run_end end = { .failed = true };

	if (pid > 0 && waitpid(pid, &end.status, 0) == pid)
		end.failed = end.status != 0;
	end.kind = report->kind;
	return end;
}

struct run_end run_list(struct model_report *report, const struct run_list *list, bool trace)
{
	pid_t pid;

	report->kind = NULL;
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		/* Whatever a shorter list fails with is told once, by the last one. */
		if (!trace && !freopen("/dev/null", "w", stderr))
			_exit(EXIT_FAILURE);
		prepare_child(trace);
		alarm(EPISODE_ALARM_SECONDS);
		model_run(report, list->episode, list->steps, list->n_steps, trace);
		exit(EXIT_SUCCESS);
	}
	return await(report, pid);
}

static void run_episodes(struct model_report *report, const struct run_limits *limits)
{
	int64_t end = monotonic_ms() + (int64_t)limits->max_seconds * 1000;
	struct rng seeds = rng_make(limits->seed);

	while ((limits->max_steps == 0 || report->n_all < limits->max_steps) &&
	       (limits->max_seconds == 0 || monotonic_ms() < end)) {
		uint64_t episode = rng_next(&seeds);
		size_t n = limits->episode_steps;
		struct model_step *steps;

		if (limits->max_steps > 0)
			n = (size_t)min_u64(n, limits->max_steps - report->n_all);
		steps = model_make_steps(episode, n);
		if (!steps)
			abort();
		alarm(EPISODE_ALARM_SECONDS);
		model_run(report, episode, steps, n, false);
		free(steps);
	}
}

struct run_end run_many(struct model_report *report, const struct run_limits *limits)
{
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		prepare_child(false);
		run_episodes(report, limits);
		exit(EXIT_SUCCESS);
	}
	return await(report, pid);
}

bool run_same(const struct run_end *a, const struct run_end *b)
{
	return a->failed == b->failed && a->kind == b->kind && a->status == b->status;
}

void run_describe(FILE *f, const struct model_report *report, const struct run_end *end)
{
	if (end->kind)
		fprintf(f, "# expected: %s\n", report->text);
	else if (WIFSIGNALED(end->status))
		fprintf(f, "# it died of signal %d (%s)\n", WTERMSIG(end->status),
			strsignal(WTERMSIG(end->status)));
	else
		fprintf(f, "# it ended with status %d\n", WEXITSTATUS(end->status));
}
