/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "conform/frontend/frontend-run.h"

#include <errno.h>
#include <fnmatch.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "config.h"
#include "conform/frontend/frontend-judge.h"
#include "conform/runner.h"

enum {
	MS = 1000,
	GOOD_FACTOR = 3, /* the good session settles so much later: everything is judged by it */
};

struct run {
	const struct frontend_options *o;
	struct report *report;
	struct frontend_setup setup;
	struct frontend_session good; /* of the judged session */
	struct summary summary;
	bool close_known, close_harms; /* what the plain end of a connection does to it */
	bool none_comes;	       /* no further front-end connects */
	const struct frontend_case *cases;
	size_t n_cases;
	char *typed;	 /* the options that name the front-end */
	uint8_t *n_told; /* per clause: 1 cited, 2 applicable, 3 exercised, 4 failed */
};

static volatile sig_atomic_t interrupted;

static void interrupt(int sig)
{
	(void)sig;
	interrupted = 1;
}

static bool in_list(const struct option_texts *globs, const char *id)
{
	for (unsigned int i = 0; i < globs->n_items; i++)
		if (fnmatch(globs->items[i].text, id, 0) == 0)
			return true;
	return false;
}

static bool is_selected(const struct frontend_options *o, const struct frontend_case *c)
{
	if (o->select.n_items > 0 && !in_list(&o->select, c->row.id))
		return false;
	return !in_list(&o->skip, c->row.id);
}

static bool is_run(const struct frontend_options *o, const struct frontend_case *c)
{
	return is_selected(o, c) && (o->hostile || !(c->row.flags & CASE_HOSTILE));
}

/* Coverage. */

static void count_clauses(struct run *run, const struct case_row *row, uint8_t rank, bool main_only)
{
	const char *pos = row->clauses;
	const struct clause *clause;

	while (clause_next(&pos, &clause)) {
		if (clause && run->n_told[clause - clauses] < rank)
			run->n_told[clause - clauses] = rank;
		if (main_only)
			return;
	}
}

static void count_result(struct run *run, const struct result *r)
{
	bool bad = r->verdict == VERDICT_FAIL || r->verdict == VERDICT_CRASH ||
		   r->verdict == VERDICT_HANG;

	run->summary.n_results++;
	run->summary.n_verdicts[r->verdict]++;
	if (r->verdict == VERDICT_PASS || r->verdict == VERDICT_WARN || bad)
		count_clauses(run, r->row, 3, false);
	else if (r->verdict != VERDICT_NA)
		count_clauses(run, r->row, 2, false);
	if (bad)
		count_clauses(run, r->row, 4, true);
	run->summary.crashed |= r->verdict == VERDICT_CRASH;
	run->summary.hung |= r->verdict == VERDICT_HANG;
}

static void sum_coverage(struct run *run)
{
	struct coverage *cov = &run->summary.coverage;

	for (size_t i = 0; i < n_clauses; i++) {
		cov->n_total += run->n_told[i] >= 1;
		cov->n_applicable += run->n_told[i] >= 2;
		cov->n_exercised += run->n_told[i] >= 3;
		cov->n_failed += run->n_told[i] >= 4;
	}
}

/* Results. */

/* What passed, oldest first, and the end of what the front-end said. */
static char *details_of(const struct frontend_session *s)
{
	const struct played *p = s->p;
	char *text = NULL;
	size_t len;
	FILE *out = p ? open_memstream(&text, &len) : NULL;
	uint64_t from;

	if (!out)
		return NULL;
	from = p->n_lines > PLAYED_LINES ? p->n_lines - PLAYED_LINES : 0;
	for (uint64_t i = from; i < p->n_lines; i++)
		fprintf(out, "%s\n", p->lines[i % PLAYED_LINES]);
	if (s->said[0])
		fprintf(out, "the front-end said:\n%s\n", s->said);
	if (fclose(out) == 0)
		return text;
	free(text);
	return NULL;
}

static void tell(struct run *run, struct result *r, const struct frontend_session *s)
{
	if (r->verdict != VERDICT_PASS && r->verdict != VERDICT_NA && r->verdict != VERDICT_SKIP)
		r->details = details_of(s);
	count_result(run, r);
	report_result(run->report, r);
	free(r->details);
	r->details = NULL;
}

static void tell_error(struct run *run, struct result *r)
{
	r->verdict = VERDICT_ERROR;
	snprintf(r->reason, sizeof(r->reason), "%s", run->setup.error);
	count_result(run, r);
	report_result(run->report, r);
}

static void invite(const struct run *run, const char *id)
{
	if (!run->o->exec)
		fprintf(stderr, "vhu-conform: %s: waiting %llu s for a front-end at %s\n", id,
			(unsigned long long)run->o->wait, run->o->socket);
}

/*
 * A fault that was lived through does not answer for the end of the connection
 * after it, if every such end does the same.
 */
static void excuse(struct run *run, const struct frontend_case *c, struct frontend_session *s)
{
	const struct played_script script = { .fault = FAULT_DIE_RUNNING };
	struct frontend_session plain;

	if (!frontend_harmed_by_close(s) || c->script.fault == FAULT_DIE_RUNNING)
		return;
	if (!run->close_known && frontend_session_run(&run->setup, &script, &plain) == 0) {
		run->close_known = true;
		plain.after_close = true;
		run->close_harms = frontend_harmed_by_close(&plain);
		frontend_session_end(&plain);
	}
	s->excused = run->close_harms;
}

/* A session of the case's own. */
static void run_session(struct run *run, const struct frontend_case *c, struct result *r)
{
	struct frontend_session s;
	int err;

	if (run->none_comes) {
		r->verdict = VERDICT_SKIP;
		snprintf(r->reason, sizeof(r->reason), "no further front-end connected");
		count_result(run, r);
		report_result(run->report, r);
		return;
	}
	invite(run, c->row.id);
	err = frontend_session_run(&run->setup, &c->script, &s);
	if (err < 0) {
		tell_error(run, r);
		return;
	}
	run->none_comes = !s.p && !run->o->exec;
	excuse(run, c, &s);
	frontend_judge_session(c, &run->good, &s, r);
	r->ns = s.p ? monotonic_ns() - s.p->began_ns : 0;
	tell(run, r, &s);
	frontend_session_end(&s);
}

static void run_case(struct run *run, const struct frontend_case *c)
{
	struct result r = { .row = &c->row };

	if (c->kind == FRONTEND_GOOD)
		frontend_judge_good(&run->good, &r);
	else if (c->kind == FRONTEND_RULE || c->kind == FRONTEND_DUTY)
		frontend_judge_point(c, run->good.p, &r);
	else if (frontend_case_applies(c, run->good.p, &r)) {
		run_session(run, c, &r);
		return;
	}
	tell(run, &r, &run->good);
}

/* The run. */

static int exit_status(const struct run *run)
{
	const unsigned int *n = run->summary.n_verdicts;

	if (n[VERDICT_ERROR] > 0)
		return CONFORM_ERROR;
	if (run->summary.crashed || run->summary.hung)
		return CONFORM_CRASHED;
	if (n[VERDICT_FAIL] > 0 || (run->o->strict && n[VERDICT_WARN] > 0))
		return CONFORM_FAILED;
	return n[VERDICT_PASS] + n[VERDICT_WARN] > 0 ? CONFORM_HELD : CONFORM_NOTHING;
}

/* As it would be typed again, in a shell. */
static char *typed_again(const struct frontend_options *o)
{
	const char *value = o->exec ? o->exec : o->socket;
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return NULL;
	fprintf(out, "frontend %s '", o->exec ? "--exec" : "--socket");
	for (; *value; value++)
		fputs(*value == '\'' ? "'\\''" : (char[]){ *value, '\0' }, out);
	fputc('\'', out);
	if (fclose(out) == 0)
		return text;
	free(text);
	return NULL;
}

static void begin_report(struct run *run)
{
	const struct frontend_options *o = run->o;
	struct report_run about = {
		.target = run->typed ? run->typed : "frontend",
		.name = o->name,
		.device = run->setup.device->name,
		.verbose = o->verbose,
		.version = PACKAGE_VERSION,
	};

	for (size_t i = 0; i < run->n_cases; i++) {
		const struct frontend_case *c = &run->cases[i];

		count_clauses(run, &c->row, 1, false);
		about.n_cases += is_run(o, c);
		run->summary.n_selected_not += !is_selected(o, c);
		run->summary.n_hostile += is_selected(o, c) && !is_run(o, c);
	}
	report_begin(run->report, &about);
}

/* The session that all is judged by; what cannot be reached cannot be tested. */
static int run_good(struct run *run)
{
	const struct played_script good = { .fault = FAULT_NONE };
	int err;

	invite(run, "good session");
	run->setup.settle_ms *= GOOD_FACTOR;
	err = frontend_session_run(&run->setup, &good, &run->good);
	run->setup.settle_ms /= GOOD_FACTOR;
	if (err < 0) {
		fprintf(stderr, "vhu-conform: %s\n", run->setup.error);
		return CONFORM_ERROR;
	}
	if (run->good.p && run->good.p->ran_ns)
		run->setup.run_ms = (run->good.p->ran_ns - run->good.p->began_ns) / 1000000;
	if (run->good.p)
		return 0;
	fprintf(stderr, "vhu-conform: no front-end connected within %llu s%s\n%s",
		(unsigned long long)run->o->wait,
		run->good.ended_early ? "; what --exec started has ended" : "", run->good.said);
	return CONFORM_NOT_REACHED;
}

static int run_cases(struct run *run)
{
	uint64_t began = monotonic_ns();
	int err = run_good(run);

	if (err != 0)
		return err;
	begin_report(run);
	for (size_t i = 0; i < run->n_cases && !interrupted; i++)
		if (is_run(run->o, &run->cases[i]))
			run_case(run, &run->cases[i]);
	run->summary.ns = monotonic_ns() - began;
	run->summary.interrupted = interrupted;
	run->summary.exit_status = exit_status(run);
	sum_coverage(run);
	report_end(run->report, &run->summary);
	return run->summary.exit_status;
}

int frontend_run(const struct frontend_options *o, struct report *report)
{
	const struct sigaction on_interrupt = { .sa_handler = interrupt };
	const struct sigaction ignore = { .sa_handler = SIG_IGN };
	struct run run = { .o = o, .report = report };
	int status = CONFORM_ERROR;

	run.cases = frontend_cases(&run.n_cases);
	run.n_told = calloc(n_clauses, 1);
	run.typed = typed_again(o);
	run.good.process.pidfd = run.good.process.log_fd = -1;
	run.setup = (struct frontend_setup){
		.socket = o->socket,
		.exec = o->exec,
		.device = &played_devices[o->device],
		.n_rings = (unsigned int)o->rings,
		.wait_ms = (int)o->wait * MS,
		.settle_ms = (int)o->settle * MS,
		.after_ms = (int)o->after * MS,
		.trace = o->trace ? stderr : NULL,
		.listen_fd = -1,
	};
	sigaction(SIGINT, &on_interrupt, NULL);
	sigaction(SIGTERM, &on_interrupt, NULL);
	sigaction(SIGPIPE, &ignore, NULL);
	gmem_fault_guard_install();
	if (!run.cases || !run.n_told)
		fprintf(stderr, "vhu-conform: out of memory\n");
	else if (frontend_setup_open(&run.setup) < 0)
		fprintf(stderr, "vhu-conform: %s\n", run.setup.error);
	else
		status = run_cases(&run);
	frontend_session_end(&run.good);
	frontend_setup_close(&run.setup);
	free(run.typed);
	free(run.n_told);
	return status;
}
