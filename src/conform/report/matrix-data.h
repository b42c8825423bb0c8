/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What a matrix is made of. Rows are sorted by id; every text is owned here. */
#ifndef VHU_CONFORM_MATRIX_DATA_H
#define VHU_CONFORM_MATRIX_DATA_H

#include "conform/report/matrix.h"
#include "conform/verdict.h"

/* A column. */
struct matrix_target {
	char *name, *device, *tester; /* device: NULL: not told; tester: version of vhu-conform */
	bool finished;		      /* its summary is there */
	unsigned int n[VERDICT_N];
	unsigned int n_applicable, n_exercised; /* clauses */
};

struct matrix_cell {
	bool there;
	enum verdict verdict;
	char *reason;	   /* NULL: none */
	unsigned int note; /* number of its footnote; 0: none */
};

struct matrix_row {
	char *id, *title, *level, *clauses; /* level of the first clause */
	struct matrix_cell *cells;	    /* one for each target */
};

struct matrix_note {
	char *target, *id, *text; /* globs, and what they explain */
	unsigned int number;	  /* 0: nothing it explains is shown */
};

struct matrix {
	bool all;
	struct matrix_target *targets;
	size_t n_targets; /* known before the first row: each has a cell for every one */
	struct matrix_row *rows;
	size_t n_rows, cap_rows;
	struct matrix_note *notes;
	size_t n_notes;
};

/* Zero, or a negative errno after a sentence on standard error; what was read stays in m. */
int matrix_read(struct matrix *m, const struct matrix_options *o);

/* Whether a verdict is worth a look. */
bool matrix_cell_matters(const struct matrix_cell *cell);

/* "fail", or "-" for what was not run. */
const char *matrix_cell_text(const struct matrix_cell *cell);

/* Going through the rows that are shown; zeroed to begin with. */
struct matrix_walk {
	size_t next;
	char area[64]; /* "vu/ring" of the row */
	bool begins;   /* the row is the first of its area */
};

/* NULL: there are no more. */
const struct matrix_row *matrix_next_row(const struct matrix *m, struct matrix_walk *walk);

void matrix_print_markdown(const struct matrix *m, FILE *out);
void matrix_print_html(const struct matrix *m, FILE *out);

#endif
