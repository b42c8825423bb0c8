/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A case again, without its code: a script (script.h) of what was sent, what
 * was in memory and what came back, which evidence_write_replay() writes.
 */
#ifndef VHU_CONFORM_REPLAY_H
#define VHU_CONFORM_REPLAY_H

#include <stdio.h>

#include "conform/target/target.h"

/*
 * The file at path against target, told of on out: an exit status, 0 when all is
 * as recorded, 1 if not.
 */
int replay_run(const char *path, struct target *target, FILE *out);

#endif
