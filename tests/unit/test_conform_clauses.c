/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "unit.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "conform/clauses/clauses.h"
#include "vhu/proto.h"

/* Sections of the texts that are not the entry of a message. */
static const char *const titles[] = {
	/* vhost-user */
	"A vring address description",
	"A vring descriptor index for split virtqueues",
	"Back-end communication",
	"Backend program conventions",
	"Communication",
	"Device state transfer parameters",
	"Front-end message types",
	"Header",
	"In-band notifications",
	"Inflight I/O tracking",
	"Inflight description",
	"Introduction",
	"IOMMU support",
	"Log description",
	"Memory access",
	"Memory region description",
	"Migrating back-end state",
	"Migration",
	"Multiple Memory regions description",
	"Multiple queue support",
	"Payload",
	"Protocol features",
	"Ring states",
	"Suspended device state",
	"VHOST_USER_PROTOCOL_F_REPLY_ACK",
	"Vring descriptor indices for packed virtqueues",
	/* virtio: virtqueues */
	"Available Buffer Notification Suppression",
	"The Virtqueue Used Ring",
	"Device Configuration Space",
	"Device Reset",
	"Device Status Field",
	"Device Suspend",
	"Driver and Device Event Suppression",
	"Driver and Device Ring Wrap Counters",
	"Event Suppression Structure Format",
	"Feature Bits",
	"In-order use of descriptors",
	"Indirect Descriptors",
	"Indirect Flag: Scatter-Gather Support",
	"Legacy Interface: Reserved Feature Bits",
	"Legacy Interfaces: A Note on Virtqueue Endianness",
	"Message Framing",
	"Multi-buffer requests",
	"Next Flag: Descriptor Chaining",
	"Notifications",
	"Packed Virtqueues",
	"Polling of available and used descriptors",
	"Reserved Feature Bits",
	"Scatter-Gather Support",
	"The Virtqueue Available Ring",
	"The Virtqueue Descriptor Table",
	"Used Buffer Notification Suppression",
	"Virtqueue Re-enable",
	"Virtqueue Reset",
	"Virtqueues",
	"Write Flag",
	/* virtio: console */
	"Device configuration layout",
	"Device ID",
	"Device Initialization",
	"Device Operation",
	"Feature bits",
	"Multiport Device Operation",
};

static bool is_message(const char *name)
{
	for (size_t i = 0; i < vhu_desc_count(); i++)
		if (strcmp(vhu_desc_at(i)->name, name) == 0)
			return true;
	return false;
}

static bool is_title(const char *section)
{
	for (size_t i = 0; i < ARRAY_SIZE(titles); i++)
		if (strcmp(titles[i], section) == 0)
			return true;
	return false;
}

/* Says which clause is wrong before the test fails. */
static void expect(const struct clause *clause, bool holds, const char *what)
{
	char id[16];

	if (!holds)
		print_error("%s: %s\n", clause_id(clause, id), what);
	assert_true(holds);
}

static void number_when_of_one_series_is_above_the_one_before(void **state)
{
	unsigned int last[CLAUSE_VF + 1] = { 0 };

	(void)state;
	for (size_t i = 0; i < n_clauses; i++) {
		const struct clause *c = &clauses[i];

		expect(c, c->number > last[c->series] && c->number < 1000, "out of order");
		expect(c, c->series == CLAUSE_VF || c->number == last[c->series] + 1,
		       "the number before it is missing");
		last[c->series] = c->number;
	}
	assert_true(last[CLAUSE_VU] > 0 && last[CLAUSE_VR] > 0 && last[CLAUSE_VC] > 0);
}

static void text_when_it_is_there_is_a_phrase(void **state)
{
	(void)state;
	for (size_t i = 0; i < n_clauses; i++) {
		const char *text = clauses[i].text;
		size_t len = strlen(text);

		expect(&clauses[i], len > 10, "expected a sentence");
		expect(&clauses[i], text[len - 1] != '.', "expected no stop at the end");
		expect(&clauses[i], !strchr(text, '\n'), "expected one line");
	}
}

static void section_when_it_is_no_message_is_a_title_of_the_text(void **state)
{
	(void)state;
	for (size_t i = 0; i < n_clauses; i++)
		expect(&clauses[i], is_message(clauses[i].section) || is_title(clauses[i].section),
		       clauses[i].section);
}

static void title_when_listed_here_is_of_some_clause(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(titles); i++) {
		size_t at = 0;

		while (at < n_clauses && strcmp(clauses[at].section, titles[i]) != 0)
			at++;
		if (at == n_clauses)
			print_error("no clause is in %s\n", titles[i]);
		assert_true(at < n_clauses);
	}
}

static void area_when_it_is_read_is_a_word(void **state)
{
	(void)state;
	for (size_t i = 0; i < n_clauses; i++) {
		const char *area = clauses[i].area;

		expect(&clauses[i], area[0] != '\0', "expected an area");
		for (; *area; area++)
			expect(&clauses[i], islower((unsigned char)*area),
			       "expected small letters");
	}
}

static void unseen_when_it_is_there_is_a_reason(void **state)
{
	unsigned int n_unseen = 0;

	(void)state;
	for (size_t i = 0; i < n_clauses; i++) {
		if (!clauses[i].unseen)
			continue;
		n_unseen++;
		expect(&clauses[i], strlen(clauses[i].unseen) > 10, "expected a reason");
	}
	/* What nothing can tell is the exception. */
	assert_in_range(n_unseen, 1, n_clauses / 10);
}

static void find_when_given_each_id_gives_its_clause(void **state)
{
	char id[16];

	(void)state;
	for (size_t i = 0; i < n_clauses; i++)
		assert_ptr_equal(clause_find(clause_id(&clauses[i], id)), &clauses[i]);
}

static void find_when_id_is_of_no_clause_gives_null(void **state)
{
	static const char *const ids[] = { "",	   "VU",     "VU-",	"VU-000",  "VU-999",
					   "VU-1", "VX-001", "VU-0011", "VU-001 ", "vu-001" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ids); i++)
		assert_null(clause_find(ids[i]));
}

static void next_when_text_has_two_ids_gives_both_and_ends(void **state)
{
	const char *pos = "VU-105  VR-012";
	const struct clause *clause;

	(void)state;
	assert_true(clause_next(&pos, &clause));
	assert_ptr_equal(clause, clause_find("VU-105"));
	assert_true(clause_next(&pos, &clause));
	assert_ptr_equal(clause, clause_find("VR-012"));
	assert_false(clause_next(&pos, &clause));
}

static void next_when_an_id_is_unknown_gives_null_and_goes_on(void **state)
{
	const char *pos = "VU-999 VU-001";
	const struct clause *clause;

	(void)state;
	assert_true(clause_next(&pos, &clause));
	assert_null(clause);
	assert_true(clause_next(&pos, &clause));
	assert_ptr_equal(clause, clause_find("VU-001"));
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(number_when_of_one_series_is_above_the_one_before),
	UNIT_TEST(text_when_it_is_there_is_a_phrase),
	UNIT_TEST(section_when_it_is_no_message_is_a_title_of_the_text),
	UNIT_TEST(title_when_listed_here_is_of_some_clause),
	UNIT_TEST(area_when_it_is_read_is_a_word),
	UNIT_TEST(unseen_when_it_is_there_is_a_reason),
	UNIT_TEST(find_when_given_each_id_gives_its_clause),
	UNIT_TEST(find_when_id_is_of_no_clause_gives_null),
	UNIT_TEST(next_when_text_has_two_ids_gives_both_and_ends),
	UNIT_TEST(next_when_an_id_is_unknown_gives_null_and_goes_on),
};

UNIT_MAIN(tests)
