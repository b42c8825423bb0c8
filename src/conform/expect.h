/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What is known of a back-end: a file of lines
 *
 *	VERDICT ID-GLOB [# why]
 *
 * with fail, warn, crash, hang, error or skip. An expected verdict does not
 * count; skip is not run at all. The first line that matches a case counts.
 */
#ifndef VHU_CONFORM_EXPECT_H
#define VHU_CONFORM_EXPECT_H

#include <stdio.h>

#include "conform/verdict.h"

struct expect_line {
	enum verdict verdict;
	char *glob;
	char *why;	     /* or NULL */
	unsigned int number; /* of the line in its file */
	unsigned int n_hits; /* cases that came to this verdict */
	unsigned int n_good; /* cases that passed */
};

struct expect {
	struct expect_line *lines;
	size_t n_lines;
};

/* Reads a file: zero, and expect_free() is due; or a negative errno with a sentence in error. */
int expect_read(struct expect *ret_expect, const char *path, char error[256]);

/* The same of a file that is open; name is for messages. */
int expect_parse(struct expect *ret_expect, FILE *file, const char *name, char error[256]);
void expect_free(struct expect *expect);

/* The first line for a case, or NULL. */
struct expect_line *expect_find(const struct expect *expect, const char *id);

/* Takes note of what a case came to. Whether that was expected. */
bool expect_judge(const struct expect *expect, const struct result *res);

/* Such a line for a result that needs one; false: it needs none. */
bool expect_write_line(FILE *out, const struct result *res);

#endif
