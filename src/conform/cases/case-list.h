/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Every case's function, declared from the lists. */
#ifndef VHU_CONFORM_CASE_LIST_H
#define VHU_CONFORM_CASE_LIST_H

#include "conform/trial/trial.h"

#define CASE(ident, ...) int case_##ident(struct trial *t);
#include "conform/cases/cases.def"
#undef CASE

#endif
