/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "conform/runner.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "config.h"
#include "conform/bench.h"
#include "conform/coverage.h"
#include "conform/expect.h"
#include "conform/interrupt.h"
#include "conform/needs.h"
#include "conform/report/outputs.h"
#include "conform/select.h"

struct run {
	const struct conform_options *o;
	struct target target;
	struct bench bench;
	const struct device *device;
	struct selection selection;
	struct expect expect;
	struct outputs outputs;
	struct summary summary;
	enum coverage_outcome *outcomes; /* of all cases */
	FILE *baseline;			 /* --write-expect */
	char error[512];		 /* why it could not begin */
};

static int say(int status, const char *what, const char *why)
{
	fprintf(stderr, "vhu-conform: %s%s\n", what, why);
	return status;
}

/* The same of a run that cannot begin; its reports tell, too. */
static int give_up(struct run *run, int status, const char *what, const char *why)
{
	snprintf(run->error, sizeof(run->error), "%s%s", what, why);
	return say(status, what, why);
}

/* Getting ready: an exit status, CONFORM_HELD when all is. */

static int find_device(struct run *run)
{
	if (!run->o->device)
		return CONFORM_HELD;
	run->device = device_find(run->o->device);
	if (run->device)
		return CONFORM_HELD;
	fprintf(stderr, "vhu-conform: --device: '%s' is not one of", run->o->device);
	for (size_t i = 0; i < n_devices; i++)
		fprintf(stderr, "%s %s", i > 0 ? "," : "", devices[i].name);
	fputc('\n', stderr);
	return CONFORM_USAGE;
}

static int read_lists(struct run *run)
{
	char error[256];
	int err = selection_make(&run->selection, run->o, error);

	if (err == 0 && run->o->expect)
		err = expect_read(&run->expect, run->o->expect, error);
	if (err == 0)
		return CONFORM_HELD;
	return say(err == -ENOMEM ? CONFORM_ERROR : CONFORM_USAGE, "", error);
}

static int open_files(struct run *run)
{
	const struct conform_options *o = run->o;

	if (outputs_open(&run->outputs, o) < 0)
		return give_up(run, CONFORM_USAGE, "", run->outputs.error);
	if (!o->write_expect)
		return CONFORM_HELD;
	run->baseline = fopen(o->write_expect, "we");
	if (!run->baseline)
		return give_up(run, CONFORM_USAGE, "--write-expect: ", strerror(errno));
	fputs("# What is known of this back-end; see --expect.\n", run->baseline);
	return CONFORM_HELD;
}

/* A command that nothing tells where to listen. */
static bool lacks_place(const struct target *target)
{
	return target->exec && !target->socket && !strstr(target->exec, "{socket}") &&
	       !strstr(target->exec, "{dir}");
}

int runner_not_reached(struct target *target, int err)
{
	bool absent = err == -ENOENT || err == -ECONNREFUSED;
	char why[sizeof(target->error)];

	if (absent && target->exec && target->end == TARGET_RUNS && !target->interrupted)
		target_fail(target, err, "it did not listen at %s within %.3g s", target->path,
			    target_ms(target, TARGET_START_MS) / 1e3);
	if (absent && lacks_place(target)) {
		memcpy(why, target->error, sizeof(why));
		target_fail(target, err, "%.300s; {socket} is not in the command of --exec", why);
	}
	return say(CONFORM_NOT_REACHED, "the back-end: ", target->error);
}

static int probe(struct run *run)
{
	const struct conform_options *o = run->o;
	struct target *target = &run->target;
	int err;

	*target = (struct target){
		.socket = o->socket,
		.exec = o->exec,
		.connect_fd = o->connect_fd.n_fds > 0 ? o->connect_fd.fd[0] : -1,
		.peer = o->peer,
		.actions = o->actions,
	};
	conform_parse_scale(o->timeout_scale, &target->timeout_scale);
	if (target_init(target) < 0)
		return give_up(run, CONFORM_ERROR, "", target->error);
	interrupt_catch(target);
	err = target_probe(target, run->device ? run->device->min_rings : 1);
	if (err < 0) {
		runner_not_reached(target, err);
		snprintf(run->error, sizeof(run->error), "the back-end: %s", target->error);
		return CONFORM_NOT_REACHED;
	}
	if (target->path && !target->exec && !target->info.persistent && !target->info.parallel)
		return give_up(run, CONFORM_NOT_REACHED, "the back-end: ",
			       "it served one connection and no other; start it with --exec");
	bench_init(&run->bench, target, run->device, o->keep);
	run->bench.strict = o->strict;
	run->bench.save = o->save;
	return CONFORM_HELD;
}

/* reports: the run makes some, so that a mistake in their names comes first. */
static int open_run(struct run *run, const struct conform_options *o, bool reports)
{
	size_t n_rows;
	int status;

	*run = (struct run){
		.o = o, .target.connect_fd = -1, .target.pidfd = -1, .target.server_fd = -1
	};
	cases_all(&n_rows);
	run->outcomes = calloc(n_rows + 1, sizeof(*run->outcomes));
	if (!run->outcomes)
		return say(CONFORM_ERROR, "", "no memory");
	status = find_device(run);
	if (status == CONFORM_HELD)
		status = read_lists(run);
	if (status == CONFORM_HELD && reports)
		status = open_files(run);
	return status == CONFORM_HELD ? probe(run) : status;
}

static void close_run(struct run *run)
{
	if (run->baseline && fclose(run->baseline) != 0)
		say(0, "--write-expect: ", strerror(errno));
	outputs_close(&run->outputs);
	expect_free(&run->expect);
	selection_free(&run->selection);
	free(run->outcomes);
	target_fini(&run->target);
	interrupt_release();
}

/* What cannot be seen is said once. */
static void say_limits(const struct run *run)
{
	const struct target *target = &run->target;

	if (!target->visible)
		say(0,
		    "note: its process cannot be looked at: crashes show as lost connections, "
		    "leaks not at all",
		    "");
	else if (!target->info.persistent)
		say(0, "note: it serves one front-end and ends: leaks cannot be seen", "");
	if (run->o->keep && !run->bench.keep)
		say(0, "note: --keep has no effect, as it serves one front-end and ends", "");
}

/* Cases. */

static bool is_bad(const struct result *res)
{
	return res->verdict == VERDICT_FAIL || res->verdict == VERDICT_CRASH ||
	       res->verdict == VERDICT_HANG || res->verdict == VERDICT_ERROR;
}

static void tally(struct run *run, const struct result *res)
{
	struct summary *s = &run->summary;
	size_t n;

	run->outcomes[res->row - cases_all(&n)] = coverage_outcome(res->verdict);
	s->n_results++;
	s->n_verdicts[res->verdict]++;
	s->n_expected += res->expected && res->verdict != VERDICT_SKIP;
	s->crashed = s->crashed || (res->verdict == VERDICT_CRASH && !res->expected);
	s->hung = s->hung || (res->verdict == VERDICT_HANG && !res->expected);
	s->n_bad += is_bad(res) && !res->expected;
	s->n_errors += res->verdict == VERDICT_ERROR && !res->expected;
}

static void run_case(struct run *run, const struct case_row *row)
{
	const struct expect_line *known = expect_find(&run->expect, row->id);
	struct result res = { .row = row, .verdict = VERDICT_SKIP };

	if (known && known->verdict == VERDICT_SKIP)
		snprintf(res.reason, sizeof(res.reason), "--expect: %.480s",
			 known->why ? known->why : "skip");
	else
		bench_run(&run->bench, row, &res);
	if (!interrupt_seen()) {
		res.expected = expect_judge(&run->expect, &res);
		tally(run, &res);
		outputs_result(&run->outputs, &res);
		if (run->baseline)
			expect_write_line(run->baseline, &res);
	}
	bench_release(&res);
}

static void run_cases(struct run *run)
{
	const struct selection *s = &run->selection;

	for (size_t i = 0; i < s->n_rows && !interrupt_seen(); i++) {
		run_case(run, s->rows[i]);
		if (run->o->fail_fast && run->summary.n_bad > 0)
			break;
	}
}

/* The end. */

/* Cases that were not asked for may apply, too. */
static void fill_outcomes(struct run *run)
{
	size_t n;
	const struct case_row *rows = cases_all(&n);
	char reason[256];

	for (size_t i = 0; i < n; i++) {
		enum verdict verdict;

		if (run->outcomes[i] != COVERAGE_NONE)
			continue;
		verdict = needs_check(&rows[i], &run->target, run->device, reason, sizeof(reason));
		if (verdict == VERDICT_PASS)
			verdict = VERDICT_SKIP;
		run->outcomes[i] = coverage_outcome(verdict);
	}
}

static int exit_status(const struct summary *s)
{
	if (s->crashed || s->hung)
		return CONFORM_CRASHED;
	if (s->n_bad > s->n_errors)
		return CONFORM_FAILED;
	if (s->n_errors > 0)
		return CONFORM_ERROR;
	if (s->n_verdicts[VERDICT_NA] + s->n_verdicts[VERDICT_SKIP] == s->n_results)
		return CONFORM_NOTHING;
	return CONFORM_HELD;
}

static void tell_improvements(struct run *run)
{
	for (size_t i = 0; i < run->expect.n_lines; i++) {
		const struct expect_line *line = &run->expect.lines[i];

		if (line->n_hits > 0 || line->n_good == 0 || line->verdict == VERDICT_SKIP)
			continue;
		run->summary.n_now_good++;
		fprintf(stderr, "vhu-conform: %s:%u: %s of %s was expected, and now it passes\n",
			run->o->expect, line->number, verdict_name(line->verdict), line->glob);
	}
}

static int finish(struct run *run, uint64_t began)
{
	struct summary *s = &run->summary;

	fill_outcomes(run);
	if (coverage_count(run->outcomes, &s->coverage) < 0)
		say(0, "no memory to count clauses", "");
	tell_improvements(run);
	s->n_hostile = run->selection.n_hostile;
	s->n_selected_not = run->selection.n_others;
	s->interrupted = interrupt_seen();
	s->ns = monotonic_ns() - began;
	s->exit_status = exit_status(s);
	if (outputs_end(&run->outputs, s) < 0 && s->exit_status == CONFORM_HELD)
		s->exit_status = say(CONFORM_ERROR, "", run->outputs.error);
	return s->exit_status;
}

/* A report that was asked for is never an empty file. */
static void tell_reports_why(struct run *run, const struct report_run *about, int status)
{
	struct summary s = {
		.error = run->error,
		.interrupted = interrupt_seen(),
		.exit_status = status,
	};

	(void)coverage_count(run->outcomes, &s.coverage);
	outputs_give_up(&run->outputs, run->o, about, &s);
}

int runner_run(const struct conform_options *o)
{
	uint64_t began = monotonic_ns();
	struct run run;
	int status = open_run(&run, o, true);
	struct report_run about = {
		.name = o->name,
		.device = o->device,
		.n_cases = run.selection.n_rows,
		.seed = run.selection.seed,
		.shuffled = o->shuffle || o->seed != 0,
		.verbose = o->verbose,
		.version = PACKAGE_VERSION,
	};

	if (status == CONFORM_HELD) {
		about.info = &run.target.info;
		say_limits(&run);
		outputs_begin(&run.outputs, o, &about);
		run_cases(&run);
		status = finish(&run, began);
	} else if (run.error[0]) {
		tell_reports_why(&run, &about, status);
	}
	close_run(&run);
	return status;
}

int runner_dry_run(const struct conform_options *o)
{
	char reason[512];
	struct run run;
	int status = open_run(&run, o, false);
	size_t n = 0;

	for (size_t i = 0; status == CONFORM_HELD && i < run.selection.n_rows; i++) {
		const struct case_row *row = run.selection.rows[i];
		enum verdict verdict =
			needs_check(row, &run.target, run.device, reason, sizeof(reason));

		n += verdict == VERDICT_PASS;
		printf("%-5s %-40s %s\n", verdict == VERDICT_PASS ? "run" : verdict_name(verdict),
		       row->id, verdict == VERDICT_PASS ? row->title : reason);
	}
	if (status == CONFORM_HELD)
		printf("%zu of %zu case%s would run.\n", n, run.selection.n_rows,
		       run.selection.n_rows == 1 ? "" : "s");
	close_run(&run);
	return status;
}
