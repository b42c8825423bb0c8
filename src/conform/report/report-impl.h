/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What the formats of reports share. */
#ifndef VHU_CONFORM_REPORT_IMPL_H
#define VHU_CONFORM_REPORT_IMPL_H

#include "conform/report/report.h"
#include "conform/runner.h"
#include "encode.h"

/* One for each format; any member may be NULL. */
struct report_ops {
	void (*begin)(struct report *r);
	void (*result)(struct report *r, const struct result *res);
	void (*end)(struct report *r, const struct summary *summary);
	void (*release)(struct report *r); /* of own */
};

struct report {
	const struct report_ops *ops;
	FILE *out;
	bool color, no_memory;
	struct report_run run;
	size_t n_results;
	void *own; /* the format's */
};

extern const struct report_ops report_human, report_tap, report_junit, report_jsonl;

/* "vu/ring" of "vu/ring/enable/01" into buf: cases of one area are told of together. */
const char *report_area(const struct case_row *row, char *buf, size_t size);

/* Whether the verdict says that the back-end, or the tester, did wrong. */
bool report_is_bad(enum verdict verdict);

/* "VU-105 (MUST, Ring states); VU-102 (...)", a new string; NULL: no memory. */
char *report_clauses(const struct case_row *row);

#endif
