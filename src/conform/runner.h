/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A run: which cases, against which back-end, with which verdicts, told to
 * which reports.
 */
#ifndef VHU_CONFORM_RUNNER_H
#define VHU_CONFORM_RUNNER_H

#include "conform/conform-command.h"
#include "conform/target/target.h"
#include "conform/verdict.h"

enum conform_exit {
	CONFORM_HELD = 0,   /* all that must hold and applies does */
	CONFORM_FAILED = 1, /* some does not */
	CONFORM_USAGE = 2,
	CONFORM_NOT_REACHED = 3, /* the back-end could not be started or connected to */
	CONFORM_CRASHED = 4,	 /* it crashed, or hangs */
	CONFORM_NOTHING = 77,	 /* no case applies */
	CONFORM_ERROR = 99,	 /* the tester itself failed */
};

/* The clauses, by what became of their cases. */
struct coverage {
	unsigned int n_total;
	unsigned int n_unseen;	   /* nothing outside can tell */
	unsigned int n_applicable; /* of the others: some case applies to this back-end */
	unsigned int n_exercised;  /* some case of them gave pass, warn, fail, crash or hang */
	unsigned int n_failed;	   /* of those: the main clause of a case that failed */
};

/* What a run came to. */
struct summary {
	unsigned int n_results;		    /* told of */
	unsigned int n_verdicts[VERDICT_N]; /* expected ones among them */
	unsigned int n_bad;		    /* fail, crash, hang, error: not expected */
	unsigned int n_errors;		    /* of those: error */
	unsigned int n_expected;	    /* failures that --expect lists: they do not count */
	unsigned int n_now_good;	    /* --expect lists a failure, and it passed */
	unsigned int n_hostile;		    /* left out for want of --hostile */
	unsigned int n_selected_not; /* left out by --select, --skip, --level, --tag, --section */
	struct coverage coverage;
	uint64_t ns;
	bool crashed, hung; /* not expected */
	bool interrupted;   /* by a signal: cases are missing */
	int exit_status;    /* enum conform_exit */
	const char *error;  /* why nothing could be run; NULL: it was */
};

/* Tests a back-end as the command line says: an exit status. */
int runner_run(const struct conform_options *o);

/* Says why a back-end was not reached, after target_probe() gave err: an exit status. The sentence
 * is in target->error, too. */
int runner_not_reached(struct target *target, int err);

/* Says which cases would run and which do not apply: an exit status. */
int runner_dry_run(const struct conform_options *o);

#endif
