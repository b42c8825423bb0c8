/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "daemon/ctl-options.h"

#include "daemon/control-table.h"
#include "daemon/control.h"

const struct option_row ctl_rows[CTL_N_ROWS] = {
#define HEADING(title) OPTION_ROW_HEADING(title),
#define OPT(field, s, l, t, meta, def, limits, help)                                               \
	OPTION_ROW(struct ctl_options, field, s, l, t, meta, def, help, limits),
#include "daemon/ctl-options.def"
#undef OPT
#undef HEADING
};

void control_ctl_help(FILE *out)
{
	fputs("Usage: vhost-device-console ctl [OPTION]... COMMAND [ARGUMENT]...\n"
	      "Asks a running daemon, or changes what it does, by its control socket.\n\n"
	      "Commands:\n",
	      out);
	control_commands_help(out);
	fputc('\n', out);
	options_help(out, ctl_rows, CTL_N_ROWS);
}

void control_ctl_man(FILE *out)
{
	options_man(out, ctl_rows, CTL_N_ROWS);
	control_commands_man(out);
}
