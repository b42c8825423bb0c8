/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* How a back-end is after a case: whether it answers, lives, and holds on to something. */
#ifndef VHU_CONFORM_AFTERMATH_H
#define VHU_CONFORM_AFTERMATH_H

#include "conform/bench.h"
#include "conform/trial/trial.h"

struct aftermath {
	enum verdict verdict; /* PASS: nothing is wrong */
	char reason[320];
	char remark[256];
	bool silent;		 /* the case's connection was open and gave no answer */
	bool unserved;		 /* it lives, and no new front-end is served */
	int n_fds, n_maps;	 /* when it was idle again; -1: not known */
	int more_fds, more_maps; /* than when it was idle before */
};

/* While the connection of the case is still there. */
void aftermath_look(struct bench *bench, struct trial *t, struct aftermath *ret_after);

/* After trial_fini(), whose verdict is still read. */
void aftermath_finish(struct bench *bench, const struct trial *t, struct aftermath *after);

/* Whether it holds on to more than before. */
bool aftermath_grown(const struct aftermath *after);

/* again: after a second run in the same process. What did not grow again is let pass. */
void aftermath_compare(struct aftermath *after, const struct aftermath *again);

/* Makes the verdict worse if something is wrong. */
void aftermath_judge(const struct aftermath *after, struct result *res);

#endif
