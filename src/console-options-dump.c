/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Prints the generated parts of manuals and completions. Not installed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "console-completion.h"
#include "console-options.h"
#include "daemon/control.h"
#include "daemon/spec-words.h"

/* Which attachments take a word: "For unix, pty." */
static void man_takers(FILE *out, size_t row_idx)
{
	const char *before = "For \\fB";

	for (unsigned int i = 0; i < ATTACHMENT_N_KINDS; i++) {
		if (!spec_kind_takes(i, row_idx))
			continue;
		fputs(before, out);
		options_man_text(out, spec_kinds[i].name);
		before = "\\fR, \\fB";
	}
	fputs("\\fR.\n", out);
}

static void man_kinds(FILE *out)
{
	for (unsigned int i = 0; i < ATTACHMENT_N_KINDS; i++) {
		const struct spec_kind *kind = &spec_kinds[i];
		bool maybe = kind->address == ATTACHMENT_ADDRESS_MAYBE;

		fputs(".TP\n\\fB", out);
		options_man_text(out, kind->name);
		fputs("\\fR", out);
		if (kind->metavar) {
			fputs(maybe ? "[\\fB:\\fR\\fI" : "\\fB:\\fR\\fI", out);
			options_man_text(out, kind->metavar);
			fputs(maybe ? "\\fR]" : "\\fR", out);
		}
		fputc('\n', out);
		options_man_text(out, kind->help);
		fputs(".\n", out);
	}
}

static void man_ports(FILE *out)
{
	fputs(".SS Words of a port\n", out);
	options_man_words(out, spec_port_rows, spec_n_port_rows, NULL);
	fputs(".SS Attachments\n", out);
	man_kinds(out);
	fputs(".SS Words of an attachment\n", out);
	options_man_words(out, spec_attachment_rows, spec_n_attachment_rows, man_takers);
	fputs(".SS Words of a device\n", out);
	options_man_words(out, spec_device_rows, spec_n_device_rows, NULL);
}

static const struct {
	const char *name;
	void (*print)(FILE *out);
} parts[] = {
	{ "options", console_options_man }, { "ports", man_ports },
	{ "ctl", control_ctl_man },	    { "bash", console_completion_bash },
	{ "zsh", console_completion_zsh },  { "fish", console_completion_fish },
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc == 2 && i < ARRAY_SIZE(parts); i++) {
		if (strcmp(argv[1], parts[i].name) != 0)
			continue;
		parts[i].print(stdout);
		return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
	}
	fputs("Usage: console-options-dump options|ports|ctl|bash|zsh|fish\n", stderr);
	return EXIT_FAILURE;
}
