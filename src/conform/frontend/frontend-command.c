/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The command line of vhu-conform frontend. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "conform/frontend/frontend-cases.h"
#include "conform/frontend/frontend-run.h"
#include "conform/runner.h"

static const struct option_row rows[] = {
#define HEADING(title) OPTION_ROW_HEADING(title),
#define OPT(field, s, l, t, meta, def, limits, text)                                               \
	OPTION_ROW(struct frontend_options, field, s, l, t, meta, def, text, limits),
#include "conform/frontend/frontend-options.def"
#undef HEADING
#undef OPT
};

const struct option_row *frontend_option_rows(size_t *ret_n)
{
	*ret_n = ARRAY_SIZE(rows);
	return rows;
}

static void help(FILE *out)
{
	fputs("Usage: vhu-conform frontend --socket PATH [OPTION]...\n"
	      "       vhu-conform frontend --exec 'CMD ... {socket} ...' [OPTION]...\n"
	      "\nPlays a back-end, good or faulty, and judges the front-ends that connect.\n"
	      "Without --exec each connection is the next session.\n",
	      out);
	options_help(out, rows, ARRAY_SIZE(rows));
}

static int usage(const char *error)
{
	fprintf(stderr, "vhu-conform frontend: %s\nTry 'vhu-conform frontend --help'.\n", error);
	return CONFORM_USAGE;
}

static int list(void)
{
	size_t n;
	const struct frontend_case *cases = frontend_cases(&n);

	for (size_t i = 0; cases && i < n; i++)
		printf("%-36s %-16s %s%s\n", cases[i].row.id, cases[i].row.clauses,
		       cases[i].row.title, cases[i].row.flags & CASE_HOSTILE ? " (--hostile)" : "");
	return cases ? CONFORM_HELD : CONFORM_ERROR;
}

static int run(const struct frontend_options *o)
{
	FILE *out = o->output ? fopen(o->output, "we") : stdout;
	struct report *report;
	int status, err;

	if (!out) {
		fprintf(stderr, "vhu-conform: %s: %s\n", o->output, strerror(errno));
		return CONFORM_USAGE;
	}
	report = report_open((enum report_format)o->format, out,
			     !o->output && isatty(STDOUT_FILENO));
	status = report ? frontend_run(o, report) : CONFORM_ERROR;
	err = report_close(report);
	if (o->output && fclose(out) != 0 && err == 0)
		err = -errno;
	if (err < 0)
		fprintf(stderr, "vhu-conform: the report could not be written: %s\n",
			strerror(-err));
	return err < 0 ? CONFORM_ERROR : status;
}

int frontend_command(int argc, char **argv)
{
	const struct option_line line = { .argc = argc, .argv = argv };
	struct frontend_options o;
	char error[256];
	int status;

	memset(&o, 0, sizeof(o));
	if (options_parse(rows, ARRAY_SIZE(rows), &o, &line, error, sizeof(error)) < 0)
		return usage(error);
	if (o.help) {
		help(stdout);
		status = CONFORM_HELD;
	} else if (o.list) {
		status = list();
	} else if (!o.socket && !o.exec) {
		status = usage("expected --socket or --exec");
	} else {
		status = run(&o);
	}
	options_free(rows, ARRAY_SIZE(rows), &o);
	return status;
}
