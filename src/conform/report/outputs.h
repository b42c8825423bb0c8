/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The reports of a run: one on standard output, any number into files. */
#ifndef VHU_CONFORM_OUTPUTS_H
#define VHU_CONFORM_OUTPUTS_H

#include "conform/conform-command.h"
#include "conform/report/report.h"

struct output {
	FILE *file;
	const char *name;
	struct report *report;
};

struct outputs {
	struct output *items;
	size_t n_items;
	char *target; /* the words that name it; borrowed by the reports */
	char error[256];
};

/* Zero, and outputs_close() is due; or a negative errno with a sentence in error. */
int outputs_open(struct outputs *outputs, const struct conform_options *o);

/* about->target is filled in. */
void outputs_begin(struct outputs *outputs, const struct conform_options *o,
		   const struct report_run *about);
void outputs_result(struct outputs *outputs, const struct result *res);

/* The end of all reports: zero, or -errno and a sentence when one could not be written. */
int outputs_end(struct outputs *outputs, const struct summary *summary);

/* Instead of begin and end when nothing can be run: summary->error, into the files. */
void outputs_give_up(struct outputs *outputs, const struct conform_options *o,
		     const struct report_run *about, const struct summary *summary);
void outputs_close(struct outputs *outputs);

/* The options that name the target but --device, quoted for a shell: a new string, or NULL. */
char *outputs_describe_target(const struct conform_options *o);

#endif
