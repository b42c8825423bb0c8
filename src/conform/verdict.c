/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "conform/verdict.h"

#include <string.h>

static const char *const names[VERDICT_N] = {
	[VERDICT_PASS] = "pass",   [VERDICT_FAIL] = "fail", [VERDICT_WARN] = "warn",
	[VERDICT_NA] = "n/a",	   [VERDICT_SKIP] = "skip", [VERDICT_ERROR] = "error",
	[VERDICT_CRASH] = "crash", [VERDICT_HANG] = "hang",
};

const char *verdict_name(enum verdict verdict)
{
	return (unsigned int)verdict < VERDICT_N ? names[verdict] : "unknown";
}

bool verdict_find(const char *name, enum verdict *ret_verdict)
{
	for (unsigned int i = 0; i < VERDICT_N; i++)
		if (strcmp(names[i], name) == 0) {
			*ret_verdict = (enum verdict)i;
			return true;
		}
	return false;
}
