/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Random steps beside a model: a seed and the steps that a failure needs are
 * printed. Without options, a short run with a fixed seed, as TAP.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/random.h>

#include "clock.h"
#include "options.h"
#include "run.h"

enum { STEPS_DEFAULT = 200000 };

struct model_options {
#define OPT(field, s, l, t, meta, def, limits, text) OPTION_FIELD(field, t);
#include "model-options.def"
#undef OPT
};

static const struct option_row option_rows[] = {
#define OPT(field, s, l, t, meta, def, limits, text)                                               \
	OPTION_ROW(struct model_options, field, s, l, t, meta, def, text, limits),
#include "model-options.def"
#undef OPT
};

static void print_counts(const struct model_report *report, int64_t ms)
{
	printf("# %" PRIu64 " steps in %" PRId64 " ms; %" PRIu64 " chains, %" PRIu64
	       " bytes of output seen by clients, %" PRIu64 " of input by the driver\n",
	       report->n_all, ms, report->n_chains, report->bytes_out, report->bytes_in);
	for (unsigned int i = 0; i < N_STEP_KINDS; i++)
		printf("%s %s %" PRIu64 "%s", i % 8 == 0 ? "#" : "",
		       model_step_name((enum model_step_kind)i), report->counts[i],
		       i % 8 == 7 || i + 1 == N_STEP_KINDS ? "\n" : ",");
}

static int write_output(const char *path, const struct run_list *list)
{
	FILE *f = fopen(path, "w");

	if (!f) {
		fprintf(stderr, "%s cannot be written\n", path);
		return -errno;
	}
	record_write(f, list);
	return fclose(f) == 0 ? 0 : -EIO;
}

static void print_last(const struct run_list *list)
{
	enum { N_LAST = 20 };
	size_t n = min_size(list->n_steps, N_LAST);
	struct run_list last = {
		.episode = list->episode,
		.steps = list->steps + (list->n_steps - n),
		.n_steps = n,
	};

	record_write(stdout, &last);
}

/* Prints the fewest steps that fail as the run did. */
static void explain(struct model_report *report, const struct run_end *failure,
		    const struct model_options *o)
{
	uint64_t n_steps = report->n_steps;
	struct run_list list = {
		.episode = report->episode,
		.steps = model_make_steps(report->episode, (size_t)n_steps),
		.n_steps = (size_t)n_steps,
	};
	struct run_end end;
	unsigned int n_runs;

	printf("# seed %" PRIu64 ": failed in step %" PRIu64 " of episode %" PRIu64
	       ", after %" PRIu64 " steps in all\n",
	       o->seed, n_steps, report->episode, report->n_all + n_steps);
	run_describe(stdout, report, failure);
	end = run_list(report, &list, false);
	if (!end.failed) {
		puts("# these steps alone do not fail; the last of them were");
		print_last(&list);
		free(list.steps);
		return;
	}
	n_runs = shrink(report, &list, &end, (unsigned int)o->shrink);
	printf("# %zu of %" PRIu64 " steps are needed (%u runs to find that):\n", list.n_steps,
	       n_steps, n_runs);
	end = run_list(report, &list, true);
	run_describe(stdout, report, &end);
	puts("# for --replay:");
	record_write(stdout, &list);
	if (o->output)
		write_output(o->output, &list);
	free(list.steps);
}

static int run_random(struct model_report *report, const struct model_options *o)
{
	struct run_limits limits = {
		.seed = o->seed,
		.max_steps = o->steps || o->seconds ? o->steps : STEPS_DEFAULT,
		.max_seconds = (unsigned int)o->seconds,
		.episode_steps = (size_t)o->episode,
	};
	int64_t start = monotonic_ms();
	struct run_end end;

	printf("1..1\n# seed %" PRIu64 "\n", o->seed);
	end = run_many(report, &limits);
	if (end.failed)
		explain(report, &end, o);
	else
		print_counts(report, monotonic_ms() - start);
	printf("%s 1 - random steps beside a model, seed %" PRIu64 "\n",
	       end.failed ? "not ok" : "ok", o->seed);
	return end.failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int run_replay(struct model_report *report, const char *path)
{
	struct run_list list;
	struct run_end end;

	if (record_read(path, &list) < 0)
		return EXIT_FAILURE;
	printf("1..1\n");
	end = run_list(report, &list, true);
	if (end.failed)
		run_describe(stdout, report, &end);
	printf("%s 1 - %zu steps from %s\n", end.failed ? "not ok" : "ok", list.n_steps, path);
	free(list.steps);
	return end.failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	struct option_line line = { .argc = argc, .argv = argv };
	struct model_report *report = run_report_new();
	struct model_options o;
	char error[256];

	if (options_parse(option_rows, ARRAY_SIZE(option_rows), &o, &line, error, sizeof(error)) <
	    0) {
		fprintf(stderr, "model: %s\n", error);
		return EXIT_FAILURE;
	}
	if (o.help) {
		options_help(stdout, option_rows, ARRAY_SIZE(option_rows));
		return EXIT_SUCCESS;
	}
	if (!report || (o.seed == 0 && getrandom(&o.seed, sizeof(o.seed), 0) < 0)) {
		fprintf(stderr, "model: no memory, or no random number\n");
		return EXIT_FAILURE;
	}
	return o.replay ? run_replay(report, o.replay) : run_random(report, &o);
}
