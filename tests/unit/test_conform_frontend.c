/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The cases for front-ends, and from what was seen to verdicts. */
#include "unit.h"

#include <poll.h>
#include <signal.h>
#include <string.h>

#include "conform/frontend/frontend-judge.h"
#include "conform/target/folder.h"

static const struct frontend_case *find(const char *id)
{
	size_t n;
	const struct frontend_case *cases = frontend_cases(&n);

	for (size_t i = 0; i < n; i++)
		if (strcmp(cases[i].row.id, id) == 0)
			return &cases[i];
	fail_msg("there is no case %s", id);
	return NULL;
}

static void cases_when_listed_have_ids_of_their_own_and_clauses(void **state)
{
	size_t n;
	const struct frontend_case *cases = frontend_cases(&n);

	(void)state;
	assert_non_null(cases);
	assert_true(n > 250);
	for (size_t i = 0; i < n; i++) {
		const char *pos = cases[i].row.clauses;
		const struct clause *clause;
		unsigned int n_cited = 0;

		assert_ptr_equal(find(cases[i].row.id), &cases[i]);
		for (; clause_next(&pos, &clause); n_cited++)
			if (!clause)
				fail_msg("%s cites what there is not: %s", cases[i].row.id,
					 cases[i].row.clauses);
		assert_true(n_cited > 0);
	}
}

/* Replies that only back-ends send, and payloads that only they do. */
static bool is_back_ends(enum vhu_rule rule)
{
	switch (rule) {
	case VHU_OK:
	case VHU_RULE_AREA_RANGE:
	case VHU_RULE_MMAP_VALUE:
	case VHU_RULE_REPLY_RING:
	case VHU_RULE_REPLY_BASE_UPPER:
	case VHU_RULE_REPLY_CONFIG:
	case VHU_RULE_REPLY_INFLIGHT:
	case VHU_RULE_REPLY_STATE:
	case VHU_RULE_REPLY_STATUS:
	case VHU_RULE_REPLY_LOG_SIZE:
	case VHU_RULE_REPLY_CONFIG_ERROR:
		return true;
	default:
		return false;
	}
}

static void rules_when_a_front_end_can_break_them_are_cases(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < VHU_N_RULES; i++)
		if (played_rule_concerns(i) == is_back_ends(i))
			fail_msg("%s", vhu_rule_name(i));
}

static void point_when_broken_fails_or_warns_by_its_row(void **state)
{
	struct played *good = calloc(1, sizeof(*good));
	struct result r = { .verdict = VERDICT_ERROR };

	(void)state;
	assert_non_null(good);
	frontend_judge_point(find("fe/rule/version"), good, &r);
	assert_int_equal(r.verdict, VERDICT_NA);
	played_judge_rule(good, VHU_RULE_VERSION, true, &(struct vhu_msg){ 0 });
	frontend_judge_point(find("fe/rule/version"), good, &r);
	assert_int_equal(r.verdict, VERDICT_PASS);
	played_judge_rule(good, VHU_RULE_VERSION, false, &(struct vhu_msg){ 0 });
	frontend_judge_point(find("fe/rule/version"), good, &r);
	assert_int_equal(r.verdict, VERDICT_FAIL);
	played_judge_rule(good, VHU_RULE_OWNER_AGAIN, false, &(struct vhu_msg){ 0 });
	frontend_judge_point(find("fe/rule/owner-again"), good, &r);
	assert_int_equal(r.verdict, VERDICT_WARN);
	played_judge(good, DUTY_START_NEEDS, false, "ring %u", 7u);
	frontend_judge_point(find("fe/ring/order/02"), good, &r);
	assert_int_equal(r.verdict, VERDICT_FAIL);
	assert_string_equal(r.reason, "ring 7");
	free(good);
}

static void fault_when_its_message_never_came_does_not_apply(void **state)
{
	struct played *good = calloc(1, sizeof(*good));
	struct result r = { .verdict = VERDICT_ERROR };

	(void)state;
	assert_non_null(good);
	assert_false(frontend_case_applies(find("fe/fault/die/send-rarp"), good, &r));
	assert_int_equal(r.verdict, VERDICT_NA);
	good->seen[VHU_FE_SET_OWNER] = 1;
	assert_false(frontend_case_applies(find("fe/fault/nack/set-owner"), good, &r));
	assert_true(frontend_case_applies(find("fe/fault/die/set-owner"), good, &r));
	good->asked[VHU_FE_SET_OWNER] = 1;
	assert_true(frontend_case_applies(find("fe/fault/nack/set-owner"), good, &r));
	free(good);
}

static void fault_when_there_is_no_channel_for_it_does_not_apply(void **state)
{
	struct played *good = calloc(1, sizeof(*good));
	struct result r = { .verdict = VERDICT_ERROR };

	(void)state;
	assert_non_null(good);
	assert_false(frontend_case_applies(find("fe/fault/channel/closed"), good, &r));
	assert_int_equal(r.verdict, VERDICT_NA);
	assert_false(frontend_case_applies(find("fe/fault/channel/flood"), good, &r));
	assert_true(frontend_case_applies(find("fe/fault/err/01"), good, &r));
	good->seen[VHU_FE_SET_BACKEND_REQ_FD] = 1;
	assert_true(frontend_case_applies(find("fe/fault/channel/closed"), good, &r));
	free(good);
}

/* A session of a process that ended with status, after the fault of a case. */
static enum verdict verdict_of(const char *id, int status, bool stopping, bool spins,
			       int good_status)
{
	struct played *p = calloc(1, sizeof(*p));
	const struct frontend_case *c = find(id);
	struct frontend_session good = { .p = p, .watched = true }, s = good;
	struct result r = { .verdict = VERDICT_ERROR };

	assert_non_null(p);
	p->script = c->script;
	p->fault_done = true;
	good.process.ended = good.process.stopping = true;
	good.process.status = good_status;
	s.process.ended = !spins;
	s.process.stopping = stopping;
	s.process.status = status;
	s.spins = spins;
	frontend_judge_session(c, &good, &s, &r);
	free(p);
	return r.verdict;
}

static void process_when_it_crashes_or_spins_gives_the_verdict(void **state)
{
	const char *id = "fe/fault/die/running";

	(void)state;
	assert_int_equal(verdict_of(id, 0, false, false, 0), VERDICT_PASS);
	assert_int_equal(verdict_of(id, 1 << 8, false, false, 0), VERDICT_PASS);
	assert_int_equal(verdict_of(id, SIGSEGV, false, false, 0), VERDICT_CRASH);
	assert_int_equal(verdict_of(id, (128 + SIGSEGV) << 8, false, false, 0), VERDICT_CRASH);
	assert_int_equal(verdict_of(id, 0, false, true, 0), VERDICT_HANG);
	assert_int_equal(verdict_of(id, SIGTERM, true, false, 0), VERDICT_PASS);
	assert_int_equal(verdict_of(id, SIGABRT, true, false, 0), VERDICT_CRASH);
	/* It does so even after a good session. */
	assert_int_equal(verdict_of(id, SIGABRT, true, false, SIGABRT), VERDICT_PASS);
}

static void answer_when_right_and_not_taken_is_no_pass(void **state)
{
	(void)state;
	assert_int_equal(verdict_of("fe/fault/slow/300", 0, false, false, 0), VERDICT_FAIL);
	assert_int_equal(verdict_of("fe/fault/slow/3000", 0, false, false, 0), VERDICT_WARN);
	assert_int_equal(verdict_of("fe/fault/reply-pieces/get-config", 0, false, false, 0),
			 VERDICT_WARN);
}

static void harm_when_only_the_end_of_the_connection_did_it_is_excused(void **state)
{
	struct played *p = calloc(1, sizeof(*p));
	const struct frontend_case *c = find("fe/fault/used/len");
	const struct frontend_session good = { .p = p, .watched = true };
	struct frontend_session s = good;
	struct result r = { .verdict = VERDICT_ERROR };

	(void)state;
	assert_non_null(p);
	p->script = c->script;
	p->fault_done = true;
	s.process.ended = true;
	s.process.status = SIGABRT;
	assert_false(frontend_harmed_by_close(&s));
	s.after_close = true;
	assert_true(frontend_harmed_by_close(&s));
	frontend_judge_session(c, &good, &s, &r);
	assert_int_equal(r.verdict, VERDICT_CRASH);
	s.excused = true;
	r = (struct result){ .verdict = VERDICT_ERROR };
	frontend_judge_session(c, &good, &s, &r);
	assert_int_equal(r.verdict, VERDICT_PASS);
	assert_true(r.remark[0] != '\0');
	free(p);
}

static void offer_when_meaningless_bits_are_accepted_fails(void **state)
{
	struct played *p = calloc(1, sizeof(*p));
	const struct frontend_case *c = find("fe/offer/unknown-features");
	const struct frontend_session good = { .p = p };
	struct result r = { .verdict = VERDICT_ERROR };

	(void)state;
	assert_non_null(p);
	p->script = c->script;
	frontend_judge_session(c, &good, &good, &r);
	assert_int_equal(r.verdict, VERDICT_PASS);
	p->nego.features = BIT(50);
	frontend_judge_session(c, &good, &good, &r);
	assert_int_equal(r.verdict, VERDICT_FAIL);
	free(p);
}

static void crash_when_a_rule_was_broken_before_tells_of_both(void **state)
{
	struct played *well = calloc(1, sizeof(*well)), *p = calloc(1, sizeof(*p));
	const struct frontend_case *c = find("fe/offer/no-event-idx");
	const struct frontend_session good = { .p = well };
	struct frontend_session s = { .p = p, .watched = true };
	struct result r = { .verdict = VERDICT_ERROR };

	(void)state;
	assert_non_null(well);
	assert_non_null(p);
	p->script = c->script;
	p->rules[VHU_RULE_FEATURES_OFFERED] = (struct played_point){ 1, 1, "EVENT_IDX" };
	s.process.ended = true;
	s.process.status = SIGSEGV;
	frontend_judge_session(c, &good, &s, &r);
	assert_int_equal(r.verdict, VERDICT_CRASH);
	assert_non_null(strstr(r.remark, "EVENT_IDX"));
	free(p);
	free(well);
}

static void words_when_expanded_are_replaced(void **state)
{
	char *text = folder_expand("a {socket},{dir}/{x} {socket}", "/d", "/s", NULL);

	(void)state;
	assert_string_equal(text, "a /s,/d/{x} /s");
	free(text);
}

static void await_end(struct frontend_process *f)
{
	struct pollfd pfd = { .fd = f->pidfd, .events = POLLIN };

	assert_int_equal(poll(&pfd, 1, 10000), 1);
	assert_true(frontend_process_ended(f));
}

static void process_when_killed_has_crashed(void **state)
{
	struct frontend_process f;
	char said[64];

	(void)state;
	assert_int_equal(frontend_process_start(&f, "sh -c 'echo hello; kill -SEGV $$'"), 0);
	await_end(&f);
	assert_int_equal(frontend_process_crash(&f), SIGSEGV);
	frontend_process_said(&f, said, sizeof(said));
	assert_string_equal(said, "hello\n");
	frontend_process_stop(&f);
}

static void process_when_stopped_has_not_crashed(void **state)
{
	struct frontend_process f;

	(void)state;
	assert_int_equal(frontend_process_start(&f, "sleep 100"), 0);
	assert_false(frontend_process_ended(&f));
	frontend_process_ask(&f);
	await_end(&f);
	assert_int_equal(frontend_process_crash(&f), 0);
	frontend_process_stop(&f);
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(cases_when_listed_have_ids_of_their_own_and_clauses),
	UNIT_TEST(rules_when_a_front_end_can_break_them_are_cases),
	UNIT_TEST(point_when_broken_fails_or_warns_by_its_row),
	UNIT_TEST(fault_when_its_message_never_came_does_not_apply),
	UNIT_TEST(fault_when_there_is_no_channel_for_it_does_not_apply),
	UNIT_TEST(process_when_it_crashes_or_spins_gives_the_verdict),
	UNIT_TEST(answer_when_right_and_not_taken_is_no_pass),
	UNIT_TEST(harm_when_only_the_end_of_the_connection_did_it_is_excused),
	UNIT_TEST(offer_when_meaningless_bits_are_accepted_fails),
	UNIT_TEST(crash_when_a_rule_was_broken_before_tells_of_both),
	UNIT_TEST(words_when_expanded_are_replaced),
	UNIT_TEST(process_when_killed_has_crashed),
	UNIT_TEST(process_when_stopped_has_not_crashed),
};

UNIT_MAIN(tests)
