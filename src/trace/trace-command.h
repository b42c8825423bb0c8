/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The command line of vhu-trace. */
#ifndef VHU_TRACE_TRACE_COMMAND_H
#define VHU_TRACE_TRACE_COMMAND_H

#include "options.h"
#include "trace/filter.h"
#include "trace/proxy/proxy.h"
#include "trace/repl/repl.h"
#include "trace/views/views.h"

#define HEADING(title)
#define OPT(field, s, l, type, meta, def, limits, text) OPTION_FIELD(field, type);
struct trace_options {
#include "trace/trace-options.def"
};

struct trace_repl_options {
#include "trace/repl/repl-options.def"
};
#undef HEADING
#undef OPT

enum trace_mode {
	TRACE_MODE_PROXY,
	TRACE_MODE_READ,
	TRACE_MODE_REPL,
	TRACE_MODE_HELP,
	TRACE_MODE_VERSION,
};

struct trace_command {
	enum trace_mode mode;
	struct trace_options options;
	/* What becomes of them. */
	struct proxy_options proxy;
	struct trace_filter filter;
	struct view_options view;
	/* TRACE_MODE_REPL */
	struct repl_options repl; /* but for its streams */
	const char *repl_file;	  /* NULL: standard input */
};

/* The rows of trace-options.def and of repl-options.def. */
extern const struct option_row trace_option_rows[];
extern const size_t trace_n_option_rows;
extern const struct option_row trace_repl_option_rows[];
extern const size_t trace_n_repl_option_rows;

/*
 * Zero, or -EINVAL with a sentence. stdout_is_terminal: for --color auto. Strings
 * stay in argv; trace_command_free() frees the rest.
 */
int trace_command_parse(struct trace_command *ret_command, int argc, char **argv,
			bool stdout_is_terminal, char *ret_why, size_t why_cap);
void trace_command_free(struct trace_command *c);
void trace_command_help(FILE *out);

#endif
