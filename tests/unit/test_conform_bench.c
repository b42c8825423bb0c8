/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "unit.h"

#include <stdio.h>
#include <string.h>

#include "conform/aftermath.h"
#include "conform/bench.h"

/* A case whose first clause is such. */
static struct case_row row_of(enum clause_level level, bool differs, char id[16])
{
	size_t i = 0;

	while (i < n_clauses && (clauses[i].level != level || clauses[i].differs != differs))
		i++;
	assert_true(i < n_clauses);
	return (struct case_row){ .id = "vu/test/01", .clauses = clause_id(&clauses[i], id) };
}

static enum verdict weigh(enum clause_level level, bool differs, bool strict)
{
	char id[16];
	const struct case_row row = row_of(level, differs, id);

	return bench_weigh(&row, strict);
}

static void failure_when_the_text_demands_it_fails(void **state)
{
	static const enum clause_level levels[] = { CLAUSE_MUST, CLAUSE_IMPLIED, CLAUSE_SAFETY };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(levels); i++) {
		assert_int_equal(weigh(levels[i], false, false), VERDICT_FAIL);
		assert_int_equal(weigh(levels[i], false, true), VERDICT_FAIL);
	}
}

static void failure_when_recommended_only_warns_unless_strict(void **state)
{
	(void)state;
	assert_int_equal(weigh(CLAUSE_SHOULD, false, false), VERDICT_WARN);
	assert_int_equal(weigh(CLAUSE_SHOULD, false, true), VERDICT_FAIL);
}

static void failure_when_implementations_differ_warns_unless_strict(void **state)
{
	(void)state;
	assert_int_equal(weigh(CLAUSE_IMPLIED, true, false), VERDICT_WARN);
	assert_int_equal(weigh(CLAUSE_IMPLIED, true, true), VERDICT_FAIL);
}

static void failure_when_optional_warns_always(void **state)
{
	(void)state;
	assert_int_equal(weigh(CLAUSE_MAY, false, false), VERDICT_WARN);
	assert_int_equal(weigh(CLAUSE_MAY, false, true), VERDICT_WARN);
}

static void failure_when_first_clause_is_weaker_counts_by_the_first(void **state)
{
	char id[16], both[40];
	struct case_row row = row_of(CLAUSE_SHOULD, false, id);

	(void)state;
	snprintf(both, sizeof(both), "%s VU-001", id);
	row.clauses = both;
	assert_int_equal(bench_weigh(&row, false), VERDICT_WARN);
}

static void verdicts_when_named_are_found_again(void **state)
{
	enum verdict verdict;

	(void)state;
	for (unsigned int i = 0; i < VERDICT_N; i++) {
		assert_true(verdict_find(verdict_name((enum verdict)i), &verdict));
		assert_int_equal(verdict, i);
	}
	assert_false(verdict_find("passed", &verdict));
	assert_false(verdict_find("", &verdict));
}

/* No process and no connection is needed to say so. */
static void case_when_it_does_not_apply_is_not_run(void **state)
{
	const struct case_row row = { .id = "vu/test/01",
				      .clauses = "VU-001",
				      .needs = "pf:CONFIG" };
	struct target target = { .connect_fd = -1, .pidfd = -1, .server_fd = -1, .output_fd = -1 };
	struct bench bench = { .target = &target };
	struct result res;

	(void)state;
	bench_run(&bench, &row, &res);
	assert_ptr_equal(res.row, &row);
	assert_int_equal(res.verdict, VERDICT_NA);
	assert_string_equal(res.reason, "VHOST_USER_PROTOCOL_F_CONFIG is not offered");
	assert_null(res.details);
	assert_null(res.replay_file);
	bench_release(&res);
}

/* How a result ends after a verdict, and what was found afterwards. */
static struct result judged(enum verdict verdict, enum verdict after_verdict)
{
	struct aftermath after = { .verdict = after_verdict, .n_fds = -1, .n_maps = -1 };
	struct result res = { .verdict = verdict };

	snprintf(res.reason, sizeof(res.reason), "%s", verdict == VERDICT_PASS ? "" : "first");
	snprintf(after.reason, sizeof(after.reason), "%s",
		 after_verdict == VERDICT_PASS ? "" : "then");
	aftermath_judge(&after, &res);
	return res;
}

static void verdict_when_all_is_well_afterwards_stays(void **state)
{
	struct result res = judged(VERDICT_FAIL, VERDICT_PASS);

	(void)state;
	assert_int_equal(res.verdict, VERDICT_FAIL);
	assert_string_equal(res.reason, "first");
	assert_int_equal(judged(VERDICT_PASS, VERDICT_PASS).verdict, VERDICT_PASS);
}

static void verdict_when_it_crashed_afterwards_is_crash_with_both_reasons(void **state)
{
	struct result res = judged(VERDICT_FAIL, VERDICT_CRASH);

	(void)state;
	assert_int_equal(res.verdict, VERDICT_CRASH);
	assert_string_equal(res.reason, "then; first");
	assert_int_equal(judged(VERDICT_PASS, VERDICT_HANG).verdict, VERDICT_HANG);
	assert_string_equal(judged(VERDICT_PASS, VERDICT_HANG).reason, "then");
}

static void verdict_when_both_failed_keeps_the_first_reason(void **state)
{
	struct result res = judged(VERDICT_FAIL, VERDICT_FAIL);

	(void)state;
	assert_int_equal(res.verdict, VERDICT_FAIL);
	assert_string_equal(res.reason, "first");
}

static void growth_when_it_does_not_repeat_is_let_pass(void **state)
{
	struct aftermath once = { .n_fds = 9, .more_fds = 2, .n_maps = 1, .more_maps = 1 };
	const struct aftermath again = { .n_fds = 9, .more_fds = 2, .n_maps = 1, .more_maps = 1 };

	(void)state;
	assert_true(aftermath_grown(&once));
	aftermath_compare(&once, &again);
	assert_int_equal(once.verdict, VERDICT_PASS);
}

static void growth_when_it_repeats_is_a_leak(void **state)
{
	struct aftermath fds = { .n_fds = 9, .more_fds = 2 };
	struct aftermath maps = { .n_maps = 3, .more_maps = 3 };

	(void)state;
	aftermath_compare(&fds, &(struct aftermath){ .n_fds = 11 });
	assert_int_equal(fds.verdict, VERDICT_FAIL);
	assert_string_equal(fds.reason, "descriptors leaked: 2 more than before, and 2 more "
					"after a second run of the case");
	aftermath_compare(&maps, &(struct aftermath){ .n_maps = 6 });
	assert_int_equal(maps.verdict, VERDICT_FAIL);
	assert_string_equal(maps.reason, "memory files stay mapped: 3 more than before, and 3 "
					 "more after a second run of the case");
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(failure_when_the_text_demands_it_fails),
	UNIT_TEST(failure_when_recommended_only_warns_unless_strict),
	UNIT_TEST(failure_when_implementations_differ_warns_unless_strict),
	UNIT_TEST(failure_when_optional_warns_always),
	UNIT_TEST(failure_when_first_clause_is_weaker_counts_by_the_first),
	UNIT_TEST(verdicts_when_named_are_found_again),
	UNIT_TEST(case_when_it_does_not_apply_is_not_run),
	UNIT_TEST(verdict_when_all_is_well_afterwards_stays),
	UNIT_TEST(verdict_when_it_crashed_afterwards_is_crash_with_both_reasons),
	UNIT_TEST(verdict_when_both_failed_keeps_the_first_reason),
	UNIT_TEST(growth_when_it_does_not_repeat_is_let_pass),
	UNIT_TEST(growth_when_it_repeats_is_a_leak),
};

UNIT_MAIN(tests)
