/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Prints the generated part of the manual of vhu-conform. Not installed. */
#include <stdlib.h>

#include "conform/conform-command.h"
#include "conform/devices/device.h"
#include "conform/frontend/frontend-run.h"
#include "conform/report/report-keys.h"

static void section(const char *title, const struct option_row *rows, size_t n)
{
	printf(".SH ");
	options_man_text(stdout, title);
	fputc('\n', stdout);
	options_man(stdout, rows, n);
}

static void subcommand(const char *title, enum conform_subcommand sub)
{
	size_t n;
	const struct option_row *rows = conform_command_rows(sub, &n);

	section(title, rows, n);
}

static void devices_man(void)
{
	fputs(".SH DEVICES\nWhat\n.B \\-\\-device\ncan be told, with the virtio device number:\n",
	      stdout);
	for (size_t i = 0; i < n_devices; i++) {
		fputs(".TP\n.B ", stdout);
		options_man_text(stdout, devices[i].name);
		printf("\n%u; requests go through ring %u.\n", devices[i].virtio_id,
		       devices[i].ring);
	}
}

int main(void)
{
	size_t n;
	const struct option_row *rows = frontend_option_rows(&n);

	subcommand("OPTIONS", CONFORM_TEST);
	section("OPTIONS OF FRONTEND", rows, n);
	subcommand("OPTIONS OF INFO", CONFORM_INFO);
	subcommand("OPTIONS OF REPLAY", CONFORM_REPLAY);
	subcommand("OPTIONS OF MATRIX", CONFORM_MATRIX);
	devices_man();
	fputs(".SH KEYS OF JSON\n", stdout);
	report_man_keys(stdout);
	return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
