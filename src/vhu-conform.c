/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The program: its command line, and which part of it is meant. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "conform/catalog.h"
#include "conform/evidence/replay.h"
#include "conform/frontend/frontend-run.h"
#include "conform/info.h"
#include "conform/interrupt.h"
#include "conform/report/matrix.h"
#include "conform/runner.h"

static int print_list(const struct conform_options *o)
{
	struct conform_options all = *o;
	struct selection selection;
	char error[256];

	all.hostile = true;
	if (selection_make(&selection, &all, error) < 0) {
		fprintf(stderr, "vhu-conform: %s\n", error);
		return CONFORM_USAGE;
	}
	catalog_list(stdout, &selection);
	selection_free(&selection);
	return EXIT_SUCCESS;
}

static int explain(const char *id)
{
	if (catalog_explain(stdout, id))
		return EXIT_SUCCESS;
	fprintf(stderr,
		"vhu-conform: --explain: no case or clause has the id '%s'; --list prints "
		"them\n",
		id);
	return CONFORM_USAGE;
}

static int run_test(const struct conform_options *o)
{
	if (o->list)
		return print_list(o);
	if (o->explain)
		return explain(o->explain);
	return o->dry_run ? runner_dry_run(o) : runner_run(o);
}

static int run_replay(const struct replay_options *o)
{
	struct target target = {
		.socket = o->socket,
		.exec = o->exec,
		.connect_fd = o->connect_fd.n_fds > 0 ? o->connect_fd.fd[0] : -1,
	};
	int status;

	conform_parse_scale(o->timeout_scale, &target.timeout_scale);
	if (target_init(&target) < 0) {
		fprintf(stderr, "vhu-conform: %s\n", target.error);
		return CONFORM_ERROR;
	}
	interrupt_catch(&target);
	status = replay_run(o->file, &target, stdout);
	target_fini(&target);
	interrupt_release();
	return status;
}

static int run_matrix(const struct conform_command *c)
{
	const struct matrix_options o = {
		.files = c->words,
		.n_files = c->n_words,
		.notes = c->matrix.notes,
		.html = c->matrix.html,
		.all = c->matrix.all,
	};

	return matrix_run(&o, stdout);
}

static int run(const struct conform_command *c)
{
	switch (c->sub) {
	case CONFORM_TEST:
		return run_test(&c->test);
	case CONFORM_INFO:
		return info_run(&c->info);
	case CONFORM_REPLAY:
		return run_replay(&c->replay);
	case CONFORM_MATRIX:
		return run_matrix(c);
	case CONFORM_FRONTEND:
		return frontend_command(c->argc, c->argv);
	case CONFORM_N_SUBCOMMANDS:
		break;
	}
	return CONFORM_ERROR;
}

int main(int argc, char **argv)
{
	struct conform_command command;
	int status = EXIT_SUCCESS;

	signal(SIGPIPE, SIG_IGN);
	setvbuf(stdout, NULL, _IOLBF, 0); /* whoever reads along has each case as it comes */
	if (conform_command_parse(&command, argc, argv) < 0)
		return CONFORM_USAGE;
	if (command.help)
		conform_command_help(stdout, command.sub);
	else if (command.version)
		puts("vhu-conform (" PACKAGE_STRING ")");
	else
		status = run(&command);
	conform_command_free(&command);
	return fflush(stdout) == 0 ? status : CONFORM_ERROR;
}
