/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* vhu-conform frontend: the played back-end is the tester, front-ends are tested. */
#ifndef VHU_CONFORM_FRONTEND_RUN_H
#define VHU_CONFORM_FRONTEND_RUN_H

#include <stdio.h>

#include "conform/report/report.h"
#include "options.h"

#define HEADING(title)
#define OPT(field, s, l, type, ...) OPTION_FIELD(field, type);

struct frontend_options {
#include "conform/frontend/frontend-options.def"
};

#undef HEADING
#undef OPT

/* The rows, for manuals and completions. */
const struct option_row *frontend_option_rows(size_t *ret_n);

/* The words from "frontend" on: an exit status (enum conform_exit). */
int frontend_command(int argc, char **argv);

/* Runs the selected cases and tells report: an exit status. */
int frontend_run(const struct frontend_options *options, struct report *report);

#endif
