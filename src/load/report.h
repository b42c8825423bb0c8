/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What vhu-load prints: a table for people, a JSON object, a plot of latencies. */
#ifndef VHU_LOAD_REPORT_H
#define VHU_LOAD_REPORT_H

#include "load/load.h"

struct load_report {
	const char *mode;
	const struct load_options *o; /* with the chunk that was used */
	unsigned int n_guests;
	const struct load_figures *f;
	const struct load_usage *u; /* NULL: no process was measured */
	/* What the mode is a ratio to, and what it measured; NULL: nothing. */
	const struct load_limit_row *limit;
	const struct load_figures *limit_figures;
};

struct load_limit_report {
	const struct load_limit_row *limit;
	struct load_figures figures;
};

void report_print(FILE *out, const struct load_report *r, bool json);

/* What vhu-load limit has measured, all with the options o. */
void report_print_limits(FILE *out, const struct load_options *o,
			 const struct load_limit_report *limits, unsigned int n_limits, bool json);

/*
 * Draws the latencies into path, by gnuplot; those of the limit as a line. Zero,
 * or -errno with a sentence on standard error; -EINVAL when there are none.
 */
int report_plot(const struct load_report *r, const char *path);

/* Whether report_plot() takes a file of this name; says which names it takes if not. */
bool report_plot_takes(const char *path);

/* The keys of JSON as roff, for the manual. */
void report_man(FILE *out);

#endif
