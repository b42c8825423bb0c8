/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Prints the generated part of the manual of vhu-load. Not installed. */
#include <stdlib.h>

#include "load/load-command.h"
#include "load/report.h"

static void man_item(const char *name, const char *help)
{
	fputs(".TP\n.B ", stdout);
	options_man_text(stdout, name);
	fputc('\n', stdout);
	options_man_text(stdout, help);
	fputs(".\n", stdout);
}

static void man_modes(void)
{
	fputs(".SH MODES\n", stdout);
	for (unsigned int i = 0; i < LOAD_N_MODES; i++) {
		const struct load_mode_row *mode = &load_mode_rows[i];

		man_item(mode->name, mode->help);
		if (mode->limit == LOAD_LIMIT_none)
			continue;
		printf("A chunk is %llu byte%s unless \\-\\-chunk says otherwise; the limit "
		       "is\n.BR ",
		       (unsigned long long)mode->chunk, mode->chunk == 1 ? "" : "s");
		options_man_text(stdout, load_limit_rows[mode->limit].name);
		fputs(" .\n", stdout);
	}
}

static void man_limits(void)
{
	fputs(".SH LIMITS\n", stdout);
	for (unsigned int i = 0; i < LOAD_N_LIMITS; i++)
		if (i != LOAD_LIMIT_none)
			man_item(load_limit_rows[i].name, load_limit_rows[i].help);
}

int main(void)
{
	man_modes();
	man_limits();
	fputs(".SH OPTIONS\n", stdout);
	options_man(stdout, load_option_rows, load_n_option_rows);
	fputs(".SH KEYS OF JSON\n", stdout);
	report_man(stdout);
	return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
