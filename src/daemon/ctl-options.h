/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The options of ctl. */
#ifndef VHU_DAEMON_CTL_OPTIONS_H
#define VHU_DAEMON_CTL_OPTIONS_H

#include "options.h"

#define CTL_DEFAULT_PATH "/run/vhost-device-console/control.sock"

struct ctl_options {
#define HEADING(title)
#define OPT(field, s, l, type, ...) OPTION_FIELD(field, type);
#include "daemon/ctl-options.def"
#undef OPT
#undef HEADING
};

enum {
#define HEADING(title) CTL_ROW_HEADING,
#define OPT(field, ...) CTL_ROW_##field,
#include "daemon/ctl-options.def"
#undef OPT
#undef HEADING
	CTL_N_ROWS,
};

extern const struct option_row ctl_rows[CTL_N_ROWS];

#endif
