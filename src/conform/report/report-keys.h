/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Reports in JSON Lines: what their readers need. */
#ifndef VHU_CONFORM_REPORT_KEYS_H
#define VHU_CONFORM_REPORT_KEYS_H

#include <stdio.h>

/* Goes up when a key changes its meaning or goes; new keys leave it as it is. */
enum { REPORT_SCHEMA = 1 };

/* The keys as roff, for the manual. */
void report_man_keys(FILE *out);

#endif
