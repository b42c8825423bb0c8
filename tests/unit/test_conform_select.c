/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "conform/select.h"

static const struct case_row hostile_row = {
	.id = "vu/ring/enable/01",
	.clauses = "VU-105 VR-008",
	.needs = "traffic device:console process",
	.flags = CASE_HOSTILE,
};

/* A selection that must be possible; selection_free() is due. */
static struct selection make(const struct conform_options *o)
{
	struct selection s;
	char error[256] = "";
	int err = selection_make(&s, o, error);

	if (err < 0)
		print_error("%s\n", error);
	assert_int_equal(err, 0);
	return s;
}

/* A list of one glob. */
static struct option_texts texts(struct option_text *item, const char *text)
{
	*item = (struct option_text){ .text = text };
	return (struct option_texts){ item, 1 };
}

static size_t n_all(void)
{
	size_t n;

	(void)cases_all(&n);
	return n;
}

static void all_when_nothing_is_asked_for_run_in_order_of_the_lists(void **state)
{
	const struct conform_options o = { .hostile = true };
	struct selection s = make(&o);
	size_t n;
	const struct case_row *rows = cases_all(&n);

	(void)state;
	assert_int_equal(s.n_rows, n);
	for (size_t i = 0; i < n; i++)
		assert_ptr_equal(s.rows[i], &rows[i]);
	assert_int_equal(s.n_hostile, 0);
	assert_int_equal(s.n_others, 0);
	selection_free(&s);
}

static void hostile_when_not_wanted_are_counted_and_left_out(void **state)
{
	const struct conform_options o = { 0 };
	struct selection s = make(&o);

	(void)state;
	assert_true(s.n_hostile > 0);
	assert_int_equal(s.n_rows + s.n_hostile, n_all());
	for (size_t i = 0; i < s.n_rows; i++)
		assert_false(s.rows[i]->flags & CASE_HOSTILE);
	selection_free(&s);
}

static void select_when_glob_is_of_ids_takes_only_these(void **state)
{
	struct option_text item;
	const struct conform_options o = { .select = texts(&item, "vu/framing/*"),
					   .hostile = true };
	struct selection s = make(&o);

	(void)state;
	assert_true(s.n_rows > 1);
	assert_int_equal(s.n_rows + s.n_others, n_all());
	for (size_t i = 0; i < s.n_rows; i++)
		assert_int_equal(strncmp(s.rows[i]->id, "vu/framing/", 11), 0);
	selection_free(&s);
}

static void select_when_there_are_two_globs_takes_both(void **state)
{
	struct option_text items[] = { { .text = "vu/framing/header/01" },
				       { .text = "vu/framing/order/01" } };
	const struct conform_options o = { .select = { items, 2 } };
	struct selection s = make(&o);

	(void)state;
	assert_int_equal(s.n_rows, 2);
	selection_free(&s);
}

static void select_when_it_is_a_clause_takes_the_cases_that_cite_it(void **state)
{
	struct option_text item;
	const struct conform_options o = { .select = texts(&item, "vu-105"), .hostile = true };
	struct selection s = make(&o);

	(void)state;
	assert_true(s.n_rows > 0);
	for (size_t i = 0; i < s.n_rows; i++)
		assert_non_null(strstr(s.rows[i]->clauses, "VU-105"));
	selection_free(&s);
}

static void skip_when_given_leaves_out_what_was_selected(void **state)
{
	struct option_text item, not_item;
	const struct conform_options o = { .select = texts(&item, "vu/framing/*"),
					   .skip = texts(&not_item, "vu/framing/unknown/*"),
					   .hostile = true };
	struct selection s = make(&o);

	(void)state;
	assert_true(s.n_rows > 0);
	for (size_t i = 0; i < s.n_rows; i++)
		assert_null(strstr(s.rows[i]->id, "unknown"));
	selection_free(&s);
}

static void level_when_given_is_that_of_the_first_clause(void **state)
{
	const struct conform_options o = { .level = "must,Should", .hostile = true };
	struct selection s = make(&o);
	unsigned int n_must = 0, n_should = 0;

	(void)state;
	for (size_t i = 0; i < s.n_rows; i++) {
		n_must += case_clause(s.rows[i])->level == CLAUSE_MUST;
		n_should += case_clause(s.rows[i])->level == CLAUSE_SHOULD;
	}
	assert_true(n_must > 0 && n_should > 0);
	assert_int_equal(n_must + n_should, s.n_rows);
	selection_free(&s);
}

static void section_when_given_is_a_part_of_the_name(void **state)
{
	const struct conform_options o = { .section = "ring STATES", .hostile = true };
	struct selection s = make(&o);

	(void)state;
	assert_in_range(s.n_rows, 1, n_all() - 1);
	for (size_t i = 0; i < s.n_rows; i++) {
		const char *pos = s.rows[i]->clauses;
		const struct clause *clause;
		bool found = false;

		while (clause_next(&pos, &clause))
			found = found || strcmp(clause->section, "Ring states") == 0;
		assert_true(found);
	}
	selection_free(&s);
}

static void several_when_given_must_all_hold(void **state)
{
	struct option_text item;
	const struct conform_options o = { .select = texts(&item, "vu/framing/*"),
					   .level = "safety",
					   .hostile = true };
	struct selection s = make(&o);

	(void)state;
	assert_true(s.n_rows > 0);
	for (size_t i = 0; i < s.n_rows; i++) {
		assert_int_equal(strncmp(s.rows[i]->id, "vu/framing/", 11), 0);
		assert_int_equal(case_clause(s.rows[i])->level, CLAUSE_SAFETY);
	}
	selection_free(&s);
}

static bool has_tag(const char *tag)
{
	return select_has_tag(&hostile_row, tag, strlen(tag));
}

static void tag_when_it_is_area_word_device_or_flag_is_found(void **state)
{
	static const char *const tags[] = { "vu",      "ring",	  "enable", "console", "traffic",
					    "process", "hostile", "life",   "state",   "RING" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(tags); i++) {
		if (!has_tag(tags[i]))
			print_error("%s\n", tags[i]);
		assert_true(has_tag(tags[i]));
	}
}

static void tag_when_it_is_none_is_not_found(void **state)
{
	static const char *const tags[] = { "01", "slow", "rin", "rings", "device:console", "" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(tags); i++)
		assert_false(has_tag(tags[i]));
}

static void tags_when_listed_take_the_cases_of_each(void **state)
{
	const struct conform_options both = { .tag = "slow, hostile", .hostile = true };
	struct selection s = make(&both);

	(void)state;
	assert_in_range(s.n_rows, 1, n_all() - 1);
	for (size_t i = 0; i < s.n_rows; i++)
		assert_true(s.rows[i]->flags & (CASE_SLOW | CASE_HOSTILE));
	selection_free(&s);
}

static void match_when_glob_is_of_the_id_or_a_clause_holds(void **state)
{
	(void)state;
	assert_true(select_matches(&hostile_row, "vu/ring/*"));
	assert_true(select_matches(&hostile_row, "VU-105"));
	assert_true(select_matches(&hostile_row, "vr-*"));
	assert_false(select_matches(&hostile_row, "VU-10"));
	assert_false(select_matches(&hostile_row, "vu/ring/enable"));
	assert_false(select_matches(&hostile_row, "VC-*"));
}

static void mistake_when_made_is_named(void **state)
{
	struct option_text item;
	const struct {
		struct conform_options o;
		const char *sentence;
	} mistakes[] = {
		{ { .level = "must,nonsense" }, "--level: 'nonsense'" },
		{ { .tag = "framing,nonsense" }, "--tag: no case has the tag 'nonsense'" },
		{ { .section = "nonsense" }, "--section: no section has 'nonsense'" },
		{ { .select = texts(&item, "nonsense") }, "--select: no case" },
		{ { .skip = texts(&item, "nonsense") }, "--skip: no case" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(mistakes); i++) {
		struct selection s;
		char error[256] = "";

		assert_int_equal(selection_make(&s, &mistakes[i].o, error), -EINVAL);
		assert_non_null(strstr(error, mistakes[i].sentence));
		assert_non_null(strstr(error, "nonsense"));
	}
}

static bool same_order(const struct selection *a, const struct selection *b)
{
	assert_int_equal(a->n_rows, b->n_rows);
	return memcmp(a->rows, b->rows, a->n_rows * sizeof(a->rows[0])) == 0;
}

static void order_when_seed_is_the_same_is_the_same(void **state)
{
	const struct conform_options o = { .shuffle = true, .seed = 7 };
	struct selection first = make(&o), second = make(&o);

	(void)state;
	assert_int_equal(first.seed, 7);
	assert_true(same_order(&first, &second));
	selection_free(&first);
	selection_free(&second);
}

static void order_when_seed_is_another_is_another(void **state)
{
	const struct conform_options plain = { 0 }, seven = { .seed = 7 }, eight = { .seed = 8 };
	struct selection a = make(&plain), b = make(&seven), c = make(&eight);

	(void)state;
	assert_false(same_order(&a, &b));
	assert_false(same_order(&a, &c));
	assert_false(same_order(&b, &c));
	selection_free(&a);
	selection_free(&b);
	selection_free(&c);
}

static void order_when_shuffled_has_each_case_once(void **state)
{
	const struct conform_options plain = { 0 }, shuffled = { .seed = 7 };
	struct selection a = make(&plain), b = make(&shuffled);

	(void)state;
	assert_int_equal(a.n_rows, b.n_rows);
	for (size_t i = 0; i < a.n_rows; i++) {
		unsigned int n = 0;

		for (size_t j = 0; j < b.n_rows; j++)
			n += b.rows[j] == a.rows[i];
		assert_int_equal(n, 1);
	}
	selection_free(&a);
	selection_free(&b);
}

static void seed_when_not_given_is_told_and_gives_the_order_again(void **state)
{
	struct conform_options o = { .shuffle = true };
	struct selection first = make(&o), second;

	(void)state;
	o.seed = first.seed;
	assert_true(o.seed != 0 && o.seed <= UINT32_MAX);
	second = make(&o);
	assert_true(same_order(&first, &second));
	selection_free(&first);
	selection_free(&second);
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(all_when_nothing_is_asked_for_run_in_order_of_the_lists),
	UNIT_TEST(hostile_when_not_wanted_are_counted_and_left_out),
	UNIT_TEST(select_when_glob_is_of_ids_takes_only_these),
	UNIT_TEST(select_when_there_are_two_globs_takes_both),
	UNIT_TEST(select_when_it_is_a_clause_takes_the_cases_that_cite_it),
	UNIT_TEST(skip_when_given_leaves_out_what_was_selected),
	UNIT_TEST(level_when_given_is_that_of_the_first_clause),
	UNIT_TEST(section_when_given_is_a_part_of_the_name),
	UNIT_TEST(several_when_given_must_all_hold),
	UNIT_TEST(tag_when_it_is_area_word_device_or_flag_is_found),
	UNIT_TEST(tag_when_it_is_none_is_not_found),
	UNIT_TEST(tags_when_listed_take_the_cases_of_each),
	UNIT_TEST(match_when_glob_is_of_the_id_or_a_clause_holds),
	UNIT_TEST(mistake_when_made_is_named),
	UNIT_TEST(order_when_seed_is_the_same_is_the_same),
	UNIT_TEST(order_when_seed_is_another_is_another),
	UNIT_TEST(order_when_shuffled_has_each_case_once),
	UNIT_TEST(seed_when_not_given_is_told_and_gives_the_order_again),
};

UNIT_MAIN(tests)
