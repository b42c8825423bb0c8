/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "conform/bench.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "clock.h"
#include "conform/aftermath.h"
#include "conform/needs.h"
#include "conform/target/process.h"
#include "conform/trial/trial.h"

/* Bytes of what the back-end has printed. */
enum { OUTPUT_SHOWN = 6000 };

/* One run of a case's function, and what came of it. */
struct attempt {
	struct trial *trial;
	struct evidence *evidence;
	struct aftermath after;
};

void bench_init(struct bench *bench, struct target *target, const struct device *device, bool keep)
{
	*bench = (struct bench){
		.target = target,
		.device = device,
		.keep = keep && target->info.persistent,
		.idle_maps = target->idle_fds >= 0 ? process_n_memory_maps(target->pid) : -1,
	};
	/* Every case has a process of its own, the first one, too. */
	if (target->exec && !bench->keep)
		target_stop(target);
}

enum verdict bench_weigh(const struct case_row *row, bool strict)
{
	const struct clause *clause = case_clause(row);

	if (!clause || clause->level == CLAUSE_MAY)
		return VERDICT_WARN;
	if (clause->level == CLAUSE_SHOULD || clause->differs)
		return strict ? VERDICT_FAIL : VERDICT_WARN;
	return VERDICT_FAIL;
}

static void say(struct result *res, enum verdict verdict, const char *fmt, const char *what)
{
	res->verdict = verdict;
	snprintf(res->reason, sizeof(res->reason), "%s%s", fmt, what);
}

/* Running. */

static int run_row(struct trial *t)
{
	int err = 0;

	if (!(t->row->flags & CASE_UNCONNECTED))
		err = trial_reconnect(t);
	if (err == 0)
		err = t->row->run(t);
	if (err < 0 && t->verdict == VERDICT_PASS)
		trial_error(t, "the case gave up with error %d and without a verdict", -err);
	return err;
}

static void attempt_free(struct attempt *a)
{
	evidence_free(a->evidence);
	free(a->trial);
	*a = (struct attempt){ 0 };
}

static int attempt_run(struct bench *bench, const struct case_row *row, bool ack,
		       struct attempt *ret_attempt)
{
	struct attempt a = {
		.trial = calloc(1, sizeof(*a.trial)),
		.evidence = evidence_new(bench->save != NULL),
	};

	if (!a.trial || !a.evidence ||
	    trial_init(a.trial, row, bench->target, bench->device, a.evidence, ack) < 0) {
		attempt_free(&a);
		return -ENOMEM;
	}
	run_row(a.trial);
	aftermath_look(bench, a.trial, &a.after);
	trial_fini(a.trial);
	aftermath_finish(bench, a.trial, &a.after);
	*ret_attempt = a;
	return 0;
}

/* A thing that was made once, and is kept, is no leak: only what grows again is. */
static void confirm_growth(struct bench *bench, const struct case_row *row, struct attempt *a)
{
	struct attempt again;

	if (!aftermath_grown(&a->after) || a->trial->verdict == VERDICT_FAIL ||
	    attempt_run(bench, row, a->trial->ack, &again) < 0)
		return;
	aftermath_compare(&a->after, &again.after);
	attempt_free(&again);
}

/* What goes into the report. */

static char *make_details(const struct bench *bench, const struct attempt *a)
{
	char *messages = evidence_text(a->evidence), *text = NULL;
	char *output = bench->target->exec ? target_output(bench->target, OUTPUT_SHOWN) : NULL;

	if (asprintf(&text, "%s%s%s", messages ? messages : "",
		     output ? "the back-end printed last:\n" : "", output ? output : "") < 0)
		text = NULL;
	free(messages);
	free(output);
	return text;
}

/* DIR/vu-ring-enable-01.replay */
static char *save_replay(const struct bench *bench, const struct attempt *a, const char *reason)
{
	char *path;

	if (mkdir(bench->save, 0777) < 0 && errno != EEXIST)
		return NULL;
	if (asprintf(&path, "%s/%s%s.replay", bench->save, a->trial->row->id,
		     a->trial->ack ? "" : "-unacknowledged") < 0)
		return NULL;
	for (char *c = path + strlen(bench->save) + 1; *c; c++)
		if (*c == '/')
			*c = '-';
	if (evidence_write_replay(a->evidence, path, a->trial->row, reason) == 0)
		return path;
	free(path);
	return NULL;
}

static bool wants_details(enum verdict verdict)
{
	return verdict != VERDICT_PASS && verdict != VERDICT_NA && verdict != VERDICT_SKIP;
}

static void take_result(const struct bench *bench, const struct attempt *a, struct result *res)
{
	const struct trial *t = a->trial;

	res->verdict = t->verdict;
	snprintf(res->reason, sizeof(res->reason), "%s", t->reason);
	snprintf(res->remark, sizeof(res->remark), "%s", t->remark);
	if (res->verdict == VERDICT_FAIL)
		res->verdict = bench_weigh(t->row, bench->strict);
	aftermath_judge(&a->after, res);
	if (!wants_details(res->verdict))
		return;
	res->details = make_details(bench, a);
	if (bench->save)
		res->replay_file = save_replay(bench, a, res->reason);
}

/* Starting. */

/* A process that is new in the place of one that has ended holds other things. */
static void rest_if_new(struct bench *bench, bool was_there)
{
	if (!bench->keep || was_there || !bench->target->exec)
		return;
	target_rest(bench->target);
	bench->idle_maps = process_n_memory_maps(bench->target->pid);
}

/* One that could be started before, and now is not there. */
static enum verdict weigh_absence(const struct target *target)
{
	if (!target->exec || target->interrupted)
		return VERDICT_ERROR;
	if (target->end != TARGET_RUNS)
		return VERDICT_CRASH;
	return target->started ? VERDICT_HANG : VERDICT_ERROR;
}

static bool bring_up(struct bench *bench, struct result *res)
{
	struct target *target = bench->target;
	bool was_there = target->started && !target_ended(target, 0);

	target_forget_output(target);
	if (bench->gone)
		say(res, VERDICT_SKIP, "the back-end is gone", "");
	else if (bench->used_up)
		say(res, VERDICT_SKIP, "the one connection of --connect-fd has been used up", "");
	else if (target_start(target) == 0) {
		rest_if_new(bench, was_there);
		return true;
	} else {
		say(res, weigh_absence(target), "the back-end is not there: ", target->error);
		bench->gone = !target->exec;
		if (target->exec)
			res->details = target_output(target, OUTPUT_SHOWN);
	}
	return false;
}

static void find_crash(struct result *res, const struct target *target, const char *what)
{
	char before[sizeof(res->reason)];

	snprintf(before, sizeof(before), "%s", res->reason);
	snprintf(res->reason, sizeof(res->reason), "%s%s%.300s", what, before[0] ? "; " : "",
		 before);
	res->verdict = VERDICT_CRASH;
	if (!res->details)
		res->details = target_output(target, OUTPUT_SHOWN);
}

/* One that took part in a case is used up; how it ends may still tell something. */
static void bring_down(struct bench *bench, bool keep, struct result *res)
{
	struct target *target = bench->target;
	char what[256], end[64], line[160];

	bench->used_up = !target->path;
	target_drop_spare(target);
	if (!target->exec || keep || !target->started)
		return;
	target_stop(target);
	if (target->end == TARGET_SIGNALED && target->end_status != SIGTERM &&
	    target->end_status != SIGKILL) {
		snprintf(what, sizeof(what), "told to end, it ended with %s",
			 target_describe_end(target, end));
		find_crash(res, target, what);
	} else if (target_output_tells_crash(target, line)) {
		snprintf(what, sizeof(what), "a run-time check of its own failed: %s", line);
		find_crash(res, target, what);
	}
}

static void run_variant(struct bench *bench, const struct case_row *row, bool ack,
			struct result *res)
{
	struct attempt a;
	bool keep;

	*res = (struct result){ .row = row };
	if (!bring_up(bench, res))
		return;
	if (attempt_run(bench, row, ack, &a) < 0) {
		say(res, VERDICT_ERROR, "no memory", "");
		return;
	}
	confirm_growth(bench, row, &a);
	take_result(bench, &a, res);
	/* One that hangs is of no use to the next case. */
	keep = bench->keep && !a.after.silent && !a.after.unserved;
	attempt_free(&a);
	if (res->verdict != VERDICT_CRASH)
		bring_down(bench, keep, res);
	else
		target_stop(bench->target);
}

/* Variants. */

static unsigned int gravity(enum verdict verdict)
{
	static const unsigned int gravities[VERDICT_N] = {
		[VERDICT_NA] = 0,   [VERDICT_SKIP] = 1,	 [VERDICT_PASS] = 2, [VERDICT_WARN] = 3,
		[VERDICT_FAIL] = 4, [VERDICT_ERROR] = 5, [VERDICT_HANG] = 6, [VERDICT_CRASH] = 7,
	};

	return gravities[verdict];
}

static void run_both(struct bench *bench, const struct case_row *row, struct result *res)
{
	struct result other;
	bool graver;

	run_variant(bench, row, true, res);
	res->variant = "acknowledged";
	run_variant(bench, row, false, &other);
	other.variant = "unacknowledged";
	graver = gravity(other.verdict) > gravity(res->verdict);
	if (other.verdict == res->verdict)
		res->variant = NULL;
	if (!res->remark[0])
		snprintf(res->remark, sizeof(res->remark), "%s", other.remark);
	else if (!other.remark[0])
		snprintf(other.remark, sizeof(other.remark), "%s", res->remark);
	bench_release(graver ? res : &other);
	if (graver)
		*res = other;
}

void bench_run(struct bench *bench, const struct case_row *row, struct result *ret_res)
{
	const struct target_info *info = &bench->target->info;
	bool can_ack = (info->features & BIT(VHU_F_PROTOCOL_FEATURES_BIT)) &&
		       (info->protocol & BIT(VHU_PF_REPLY_ACK_BIT));
	uint64_t began = monotonic_ns();

	*ret_res = (struct result){ .row = row };
	ret_res->verdict = needs_check(row, bench->target, bench->device, ret_res->reason,
				       sizeof(ret_res->reason));
	if (ret_res->verdict == VERDICT_PASS && (row->flags & CASE_BOTH) && can_ack)
		run_both(bench, row, ret_res);
	else if (ret_res->verdict == VERDICT_PASS)
		run_variant(bench, row, can_ack, ret_res);
	ret_res->ns = monotonic_ns() - began;
}

void bench_release(struct result *res)
{
	free(res->details);
	free(res->replay_file);
	res->details = res->replay_file = NULL;
}
