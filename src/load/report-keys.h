/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The values of a report by key: report-keys.def. */
#ifndef VHU_LOAD_REPORT_KEYS_H
#define VHU_LOAD_REPORT_KEYS_H

#include "load/report.h"

/* The title of a group is a row before its keys. */
enum report_key {
#define GROUP(ident, ...) REPORT_GROUP_##ident,
#define NUMBER(key, ...) REPORT_##key,
#define TEXT(key, ...) REPORT_##key,
#define FLAG(key, ...) REPORT_##key,
#include "load/report-keys.def"
#undef GROUP
#undef NUMBER
#undef TEXT
#undef FLAG
	REPORT_N_KEYS
};

/* Exactly one of the three gives the value; a title has none. */
struct report_row {
	const char *name, *help;
	double (*number)(const struct load_report *r); /* NAN: means nothing */
	const char *(*text)(const struct load_report *r);
	bool (*flag)(const struct load_report *r);
};

extern const struct report_row report_rows[REPORT_N_KEYS];

static inline double report_number(const struct load_report *r, enum report_key key)
{
	return report_rows[key].number(r);
}

#endif
