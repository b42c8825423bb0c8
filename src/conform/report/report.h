/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What is told of a run, in one of several formats; any number at once, each to a file of its own.
 */
#ifndef VHU_CONFORM_REPORT_H
#define VHU_CONFORM_REPORT_H

#include <stdio.h>

#include "conform/target/target.h"
#include "conform/verdict.h"

struct summary;

enum report_format {
	REPORT_HUMAN,
	REPORT_TAP,   /* TAP 14 */
	REPORT_JUNIT, /* XML, written at the end */
	REPORT_JSONL, /* a JSON object on each line: report-keys.def */
	REPORT_N_FORMATS,
};

/* The run, as it begins. Strings are borrowed until report_close(). */
struct report_run {
	const char *target; /* the options that name it, as they would be typed again */
	const char *name;   /* of the target, for people: "virtiofsd 1.13"; NULL: not told */
	const char *device; /* NULL: not told */
	const struct target_info *info; /* NULL: it could not be asked */
	size_t n_cases;			/* that will be told of */
	uint64_t seed;			/* of the order */
	bool shuffled;
	bool verbose;	     /* human: cases that passed or do not apply are told of, too */
	const char *version; /* of the tester */
};

struct report;

/* "human" and the like. */
const char *report_format_name(enum report_format format);

/* out stays the caller's and is open until report_close(). NULL: no memory. */
struct report *report_open(enum report_format format, FILE *out, bool color);

/* In this order: once, for each result, once. */
void report_begin(struct report *r, const struct report_run *run);
void report_result(struct report *r, const struct result *res);
void report_end(struct report *r, const struct summary *summary);

/* 0, -ENOMEM, or -EIO and the like when it could not all be written. NULL is fine. */
int report_close(struct report *r);

#endif
