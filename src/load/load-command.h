/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The command line of vhu-load: a mode or limits, and options. */
#ifndef VHU_LOAD_LOAD_COMMAND_H
#define VHU_LOAD_LOAD_COMMAND_H

#include "load/load.h"

struct load_mode_row {
	const char *name, *help;
	uint64_t chunk; /* the default */
	enum load_limit_id limit;
};

extern const struct load_mode_row load_mode_rows[LOAD_N_MODES];

struct load_command {
	enum load_mode_id mode;
	enum load_limit_id limit; /* to measure with the mode */
	uint64_t limits; /* BIT(enum load_limit_id) of those to measure alone; 0: it is a mode */
	struct load_options options;
};

/* The rows of load-options.def. */
extern const struct option_row load_option_rows[];
extern const size_t load_n_option_rows;

/* Zero, and load_command_free() is due; or -EINVAL after a sentence. */
int load_command_parse(struct load_command *ret_command, int argc, char **argv);
void load_command_free(struct load_command *command);
void load_command_help(FILE *out);

#endif
