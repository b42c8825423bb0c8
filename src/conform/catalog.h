/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The cases and clauses as text for people. */
#ifndef VHU_CONFORM_CATALOG_H
#define VHU_CONFORM_CATALOG_H

#include "conform/select.h"

/* A line for each case: id, level, title. */
void catalog_list(FILE *out, const struct selection *selection);

/* A case by its id, cases by a glob, or a clause with its cases; false: there is none. */
bool catalog_explain(FILE *out, const char *id);

#endif
