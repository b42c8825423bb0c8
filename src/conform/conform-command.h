/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The command line of vhu-conform: a subcommand or none, words, and options. */
#ifndef VHU_CONFORM_CONFORM_COMMAND_H
#define VHU_CONFORM_CONFORM_COMMAND_H

#include "options.h"

#define HEADING(title)
#define OPT(field, s, l, type, ...) OPTION_FIELD(field, type);

struct conform_options {
#include "conform/conform-options.def"
};

struct info_options {
#include "conform/info-options.def"
};

struct replay_options {
#include "conform/evidence/replay-options.def"
	const char *file;
};

struct matrix_command_options {
#include "conform/report/matrix-options.def"
};

#undef HEADING
#undef OPT

enum conform_subcommand {
	CONFORM_TEST,
	CONFORM_INFO,
	CONFORM_REPLAY,
	CONFORM_MATRIX,
	CONFORM_FRONTEND, /* its words are not looked at here */
	CONFORM_N_SUBCOMMANDS,
};

enum conform_color { CONFORM_COLOR_AUTO, CONFORM_COLOR_ALWAYS, CONFORM_COLOR_NEVER };

struct conform_command {
	enum conform_subcommand sub;
	int argc; /* the subcommand and what comes after it */
	char **argv;
	union {
		struct conform_options test;
		struct info_options info;
		struct replay_options replay;
		struct matrix_command_options matrix;
	};
	/* Words that are no options, in order: point into argv. */
	const char **words;
	size_t n_words;
	bool help, version;
};

/* Zero, and conform_command_free() is due; or -EINVAL (-ENOMEM) after a sentence on standard error.
 */
int conform_command_parse(struct conform_command *ret_command, int argc, char **argv);
void conform_command_free(struct conform_command *command);

/* --help of a subcommand. */
void conform_command_help(FILE *out, enum conform_subcommand sub);

/* The rows of a subcommand's options; NULL for one whose options are not looked at here. */
const struct option_row *conform_command_rows(enum conform_subcommand sub, size_t *ret_n);

/* "2.5" as a factor from 0.01 to 1000. */
bool conform_parse_scale(const char *text, double *ret_scale);

#endif
