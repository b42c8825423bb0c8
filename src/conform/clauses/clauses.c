/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "conform/clauses/clauses.h"

#include <stdio.h>
#include <string.h>

enum { AGREED = false, DIFFERS = true };

/* clang-format off */
const struct clause clauses[] = {
#define CLAUSE(series, number, area, level, agreement, section, text, unseen)                      \
	{ CLAUSE_##series, number, #area, CLAUSE_##level, agreement, section, text, unseen },
#include "conform/clauses/clauses-vu.def"
#include "conform/clauses/clauses-vu-more.def"
#include "conform/clauses/clauses-vr.def"
#include "conform/clauses/clauses-vc.def"
#include "conform/clauses/clauses-vf.def"
#undef CLAUSE
};
/* clang-format on */

const size_t n_clauses = ARRAY_SIZE(clauses);

static const char *series_name(enum clause_series series)
{
	static const char *const names[] = { "VU", "VR", "VC", "VF" };

	return names[series];
}

const char *clause_level_name(enum clause_level level)
{
	static const char *const names[] = {
		"MUST", "SHOULD", "MAY", "implied", "safety", "driver",
	};

	return names[level];
}

const char *clause_id(const struct clause *clause, char buf[16])
{
	snprintf(buf, 16, "%s-%03u", series_name(clause->series), clause->number);
	return buf;
}

/* An id and nothing after it but the end or a space. */
static const struct clause *find(const char *id, size_t len)
{
	unsigned int number = 0;

	if (len != 6 || id[2] != '-' || strspn(id + 3, "0123456789") != 3)
		return NULL;
	for (size_t i = 3; i < len; i++)
		number = number * 10 + (unsigned int)(id[i] - '0');
	for (size_t i = 0; i < n_clauses; i++)
		if (clauses[i].number == number &&
		    strncmp(series_name(clauses[i].series), id, 2) == 0)
			return &clauses[i];
	return NULL;
}

const struct clause *clause_find(const char *id)
{
	return find(id, strlen(id));
}

bool clause_next(const char **pos, const struct clause **ret_clause)
{
	const char *id = *pos + strspn(*pos, " ");
	size_t len = strcspn(id, " ");

	if (len == 0)
		return false;
	*ret_clause = find(id, len);
	*pos = id + len;
	return true;
}
