/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "conform/cases/cases.h"

#include <stdlib.h>
#include <string.h>

#include "conform/cases/case-list.h"

static const struct case_row written[] = {
#define CASE(ident, id, clauses, needs, flags, title, why, bug)                                    \
	{ id, clauses, needs, flags, title, why, bug, case_##ident, 0 },
#include "conform/cases/cases.def"
#undef CASE
};

const struct case_row *cases_all(size_t *ret_n)
{
	static struct case_row *all;
	static size_t n_all;
	struct case_row *generated;
	size_t n;

	if (!all && cases_generate(&generated, &n) == 0) {
		all = calloc(ARRAY_SIZE(written) + n, sizeof(*all));
		if (all) {
			memcpy(all, written, sizeof(written));
			memcpy(all + ARRAY_SIZE(written), generated, n * sizeof(*all));
			n_all = ARRAY_SIZE(written) + n;
		}
		free(generated);
	}
	*ret_n = n_all;
	return all;
}

const struct clause *case_clause(const struct case_row *row)
{
	const char *pos = row->clauses;
	const struct clause *clause;

	return clause_next(&pos, &clause) ? clause : NULL;
}
