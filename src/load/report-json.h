/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The same as report.h, as one JSON object. */
#ifndef VHU_LOAD_REPORT_JSON_H
#define VHU_LOAD_REPORT_JSON_H

#include "load/report-keys.h"

/* Goes up when a key changes its meaning or goes; new keys leave it as it is. */
enum { REPORT_SCHEMA = 1 };

void report_print_json(FILE *out, const struct load_report *r);

void report_print_limits_json(FILE *out, const struct load_options *o,
			      const struct load_limit_report *limits, unsigned int n_limits);

#endif
