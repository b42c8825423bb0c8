/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Tables for people: columns as wide as what is in them, no control characters. */
#ifndef VHU_DAEMON_CTL_TABLE_H
#define VHU_DAEMON_CTL_TABLE_H

#include "base.h"

#include <stdio.h>

enum { TABLE_COLUMNS_MAX = 12 };

struct table_column {
	const char *title;
	bool right; /* numbers */
};

struct table {
	const struct table_column *columns;
	unsigned int n_columns;
	char **cells; /* row by row; owned */
	size_t n_cells, cap;
};

/* columns are lent. */
void table_init(struct table *t, const struct table_column *columns, unsigned int n_columns);
void table_fini(struct table *t);

/* The next cell, copied and made fit for a terminal; "" and NULL are shown as "-". */
void table_cell(struct table *t, const char *text);

PRINTF_LIKE(2, 3)
void table_cell_f(struct table *t, const char *fmt, ...);

/* Prints nothing when there are no rows; an empty line comes first. */
void table_print(const struct table *t, FILE *out);

#endif
