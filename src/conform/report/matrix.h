/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Several targets beside each other, from reports in JSON Lines. */
#ifndef VHU_CONFORM_MATRIX_H
#define VHU_CONFORM_MATRIX_H

#include <stdio.h>

#include "base.h"

struct matrix_options {
	const char *const *files; /* "FILE", or "NAME=FILE" for another name of the column */
	size_t n_files;
	/*
	 * File of lines "target-glob id-glob text", or NULL: the first that fits
	 * becomes the footnote of a verdict. Globs may stand in double quotes;
	 * the text is Markdown.
	 */
	const char *notes;
	bool html; /* else Markdown */
	bool all;  /* rows that all targets pass, or that apply to none, too */
};

/* Prints it: an exit status, 0, or 2 after a sentence on standard error. */
int matrix_run(const struct matrix_options *o, FILE *out);

#endif
