/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Whether a case applies to a back-end, and can be run with what was given. */
#ifndef VHU_CONFORM_NEEDS_H
#define VHU_CONFORM_NEEDS_H

#include "conform/devices/device.h"
#include "conform/target/target.h"
#include "conform/verdict.h"

/*
 * VERDICT_PASS when all needs of the row hold. Else what is missing, in one
 * sentence: VERDICT_NA when it is the back-end's, VERDICT_SKIP when it is the
 * tester's, VERDICT_ERROR for a word that means nothing. device: NULL when it
 * was not told.
 */
enum verdict needs_check(const struct case_row *row, const struct target *target,
			 const struct device *device, char *ret_reason, size_t size);

/* One word at a time, into word: false at the end. *pos starts at row->needs. */
bool needs_next(const char **pos, char word[64]);

/* "CONFIG" or "9"; false when it is no name of a protocol feature, or of a feature. */
bool needs_find_protocol(const char *name, unsigned int *ret_bit);
bool needs_find_feature(const char *name, unsigned int *ret_bit);

#endif
