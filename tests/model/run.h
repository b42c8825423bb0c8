/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Runs of the model in a process of their own, and what is made of a failure. */
#ifndef VHU_TESTS_MODEL_RUN_H
#define VHU_TESTS_MODEL_RUN_H

#include <stdio.h>

#include "model.h"

/* An episode that can be run again. */
struct run_list {
	uint64_t episode;
	struct model_step *steps;
	size_t n_steps;
};

struct run_limits {
	uint64_t seed;
	uint64_t max_steps; /* in all; 0: no limit */
	unsigned int max_seconds;
	size_t episode_steps;
};

/* What became of a process. */
struct run_end {
	bool failed;
	const void *kind; /* of failure, if the model found it */
	int status;	  /* as wait() has it */
};

/* run.c: memory that a child writes and we read. NULL: there is none. */
struct model_report *run_report_new(void);

/* Episodes until a limit or a failure. */
struct run_end run_many(struct model_report *report, const struct run_limits *limits);

/* One episode; trace: its steps in words on standard output. */
struct run_end run_list(struct model_report *report, const struct run_list *list, bool trace);

/* Whether two ends are the same failure. */
bool run_same(const struct run_end *a, const struct run_end *b);
void run_describe(FILE *f, const struct model_report *report, const struct run_end *end);

/*
 * shrink.c: takes away what the failure does not need, until no step can go or
 * the time is over. Returns how many runs that took.
 */
unsigned int shrink(struct model_report *report, struct run_list *list, const struct run_end *end,
		    unsigned int max_seconds);

/* record.c: lists as text. Zero or a negative errno, and a sentence on stderr. */
void record_write(FILE *f, const struct run_list *list);
int record_read(const char *path, struct run_list *ret_list);

#endif
