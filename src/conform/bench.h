/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* One case after the other on a back-end: run, looked after, judged. */
#ifndef VHU_CONFORM_BENCH_H
#define VHU_CONFORM_BENCH_H

#include "conform/devices/device.h"
#include "conform/target/target.h"
#include "conform/verdict.h"

struct bench {
	struct target *target;
	const struct device *device; /* NULL: not told */
	bool keep;		     /* the process serves more than one case */
	bool strict;
	const char *save; /* folder for replay files, or NULL */
	bool used_up;	  /* the connection of --connect-fd was */
	bool gone;	  /* the back-end cannot be reached any more */
	int idle_maps;	  /* mappings of memory files when nobody is connected; -1: not known */
};

/* After target_probe(). keep: the process serves all cases, if it can. */
void bench_init(struct bench *bench, struct target *target, const struct device *device, bool keep);

/* Runs a case, if it applies. Everything of *ret_res is set; bench_release() is due. */
void bench_run(struct bench *bench, const struct case_row *row, struct result *ret_res);
void bench_release(struct result *res);

/*
 * The verdict on a broken clause: a warning where the text only recommends or
 * implementations differ, unless strict makes it count.
 */
enum verdict bench_weigh(const struct case_row *row, bool strict);

#endif
