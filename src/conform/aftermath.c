/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "conform/aftermath.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "conform/target/process.h"

enum {
	END_MS = 1000,	 /* a process that crashes closes its sockets before it can be waited for */
	LEAVE_MS = 300,	 /* one that serves one front-end ends soon after it */
	CLOSE_MS = 1000, /* sessions are cleaned up some time after their connections */
	TICK_MS = 2,
};

PRINTF_LIKE(3, 4)
static void find(struct aftermath *after, enum verdict verdict, const char *fmt, ...)
{
	va_list args;

	if (after->verdict != VERDICT_PASS)
		return;
	after->verdict = verdict;
	va_start(args, fmt);
	vsnprintf(after->reason, sizeof(after->reason), fmt, args);
	va_end(args);
}

static void look_at_connection(struct trial *t, struct aftermath *after)
{
	int err = vhu_frontend_ping(&t->fe);

	if (err == -ETIMEDOUT)
		after->silent = true;
	else if (err == -ECONNRESET)
		snprintf(after->remark, sizeof(after->remark),
			 "it closed the connection afterwards");
	else if (err < 0)
		find(after, VERDICT_FAIL, "afterwards: expected %s", t->fe.error);
}

void aftermath_look(struct bench *bench, struct trial *t, struct aftermath *ret_after)
{
	(void)bench;
	*ret_after = (struct aftermath){ .n_fds = -1, .n_maps = -1 };
	if (t->fe.fd < 0 || t->closed)
		return;
	look_at_connection(t, ret_after);
	/* What failed may have left the connection in the middle of something. */
	if (t->verdict == VERDICT_FAIL && ret_after->verdict == VERDICT_FAIL)
		ret_after->verdict = VERDICT_PASS;
}

/* The process. */

/* A case may end it, or may say that it has reason to end. */
static bool may_have_ended(const struct target *target, const struct trial *t)
{
	if (target->end == TARGET_EXITED)
		return target->stopped || t->ended_allowed || !target->info.persistent;
	return (target->stopped || t->ended_allowed) &&
	       (target->end_status == SIGTERM || target->end_status == SIGKILL);
}

static void look_at_end(const struct target *target, const struct trial *t, struct aftermath *after)
{
	char end[64], line[160];

	target_describe_end(target, end);
	if (!may_have_ended(target, t))
		find(after, VERDICT_CRASH, "the process ended with %s%s", end,
		     target->end == TARGET_EXITED ? ", though it serves further front-ends" : "");
	else if (target->exec && target_output_tells_crash(target, line))
		find(after, VERDICT_CRASH, "a run-time check of its own failed: %s", line);
}

static void find_silence(struct aftermath *after)
{
	if (after->silent)
		find(after, VERDICT_HANG, "afterwards GET_FEATURES is not answered");
}

/* 0 when a new front-end is served. */
static int shake_hands(struct target *target)
{
	struct vhu_frontend fe;
	int fd, err = target_connect(target, &fd);

	if (err < 0)
		return err;
	vhu_frontend_init(&fe, fd);
	fe.timeout_ms = target_ms(target, TRIAL_ANSWER_MS);
	err = vhu_frontend_simple(&fe, VHU_FE_SET_OWNER, false);
	if (err == 0)
		err = vhu_frontend_ping(&fe);
	if (err < 0)
		target_fail(target, err, "expected %s", fe.error);
	vhu_frontend_fini(&fe);
	return err;
}

/* What comes while a session is being ended may be closed; what comes then may not. */
static int shake_hands_in_time(struct target *target)
{
	int err = shake_hands(target);

	if (err != -ECONNRESET || target->info.closes_early || target_ended(target, 0))
		return err;
	target_closes_early(target);
	err = shake_hands(target);
	target->info.closes_early = err == 0;
	return err;
}

static void look_at_service(struct target *target, const struct trial *t, struct aftermath *after)
{
	int err = shake_hands_in_time(target);

	if (err == 0)
		return;
	after->unserved = !target_ended(target, target_ms(target, END_MS));
	if (!after->unserved)
		look_at_end(target, t, after);
	else if (err == -ETIMEDOUT)
		find(after, VERDICT_HANG, "afterwards a new front-end gets no answer");
	else
		find(after, VERDICT_FAIL, "afterwards a new front-end is not served: %s",
		     target->error);
}

/* What it holds. */

static int excess(int n, int idle)
{
	return n >= 0 && idle >= 0 && n > idle ? n - idle : 0;
}

static void measure(const struct bench *bench, struct aftermath *after)
{
	const struct target *target = bench->target;

	after->n_fds = target_n_fds(target);
	after->n_maps = process_n_memory_maps(target->pid);
	after->more_fds = excess(after->n_fds, target->idle_fds);
	after->more_maps = excess(after->n_maps, bench->idle_maps);
}

static void look_at_holdings(struct bench *bench, const struct trial *t, struct aftermath *after)
{
	struct target *target = bench->target;
	int64_t deadline = monotonic_ms() + target_ms(target, CLOSE_MS);

	/* What has failed needs no second reason, unless others will share the process. */
	if (target->idle_fds < 0 || (t->verdict == VERDICT_FAIL && target->exec && !bench->keep))
		return;
	measure(bench, after);
	while (aftermath_grown(after) && monotonic_ms() < deadline) {
		(void)target_wait_fd(target->pidfd, TICK_MS);
		measure(bench, after);
	}
	/* The next case that shares the process is not to blame. */
	if ((!target->exec || bench->keep) && after->n_fds >= 0) {
		target->idle_fds = after->n_fds;
		bench->idle_maps = after->n_maps;
	}
}

void aftermath_finish(struct bench *bench, const struct trial *t, struct aftermath *after)
{
	struct target *target = bench->target;
	bool serves = target->info.persistent && target->path;
	char line[160];

	if (!serves) {
		/* While nobody else is connected it may go on or end. */
		if (target_ended(target, target_ms(target, LEAVE_MS)))
			look_at_end(target, t, after);
		if (t->verdict != VERDICT_FAIL)
			find_silence(after);
		return;
	}
	if (target_ended(target, 0)) {
		look_at_end(target, t, after);
		return;
	}
	if (!target->started && target->exec)
		return; /* the case has ended it */
	look_at_service(target, t, after);
	if (t->verdict != VERDICT_FAIL)
		find_silence(after);
	if (target->exec && target_output_tells_crash(target, line))
		find(after, VERDICT_CRASH, "a run-time check of its own failed: %s", line);
	if (after->verdict == VERDICT_PASS)
		look_at_holdings(bench, t, after);
}

bool aftermath_grown(const struct aftermath *after)
{
	return after->more_fds > 0 || after->more_maps > 0;
}

void aftermath_compare(struct aftermath *after, const struct aftermath *again)
{
	if (again->n_fds > after->n_fds && after->n_fds >= 0)
		find(after, VERDICT_FAIL,
		     "descriptors leaked: %d more than before, and %d more "
		     "after a second run of the case",
		     after->more_fds, again->n_fds - after->n_fds);
	else if (again->n_maps > after->n_maps && after->n_maps >= 0)
		find(after, VERDICT_FAIL,
		     "memory files stay mapped: %d more than before, and %d "
		     "more after a second run of the case",
		     after->more_maps, again->n_maps - after->n_maps);
}

void aftermath_judge(const struct aftermath *after, struct result *res)
{
	char before[sizeof(res->reason)];
	size_t len = strlen(res->remark);

	if (after->remark[0])
		snprintf(res->remark + len, sizeof(res->remark) - len, "%s%s", len > 0 ? "; " : "",
			 after->remark);
	if (after->verdict == VERDICT_PASS)
		return;
	if (after->verdict == VERDICT_FAIL && res->verdict == VERDICT_FAIL)
		return;
	snprintf(before, sizeof(before), "%s", res->reason);
	snprintf(res->reason, sizeof(res->reason), "%s%s%.180s", after->reason,
		 before[0] ? "; " : "", before);
	res->verdict = after->verdict;
}
