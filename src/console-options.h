/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The command line of vhost-device-console: options.def as a struct and as rows. */
#ifndef VHU_CONSOLE_OPTIONS_H
#define VHU_CONSOLE_OPTIONS_H

#include "log.h"
#include "options.h"

/* Guests on one daemon: bounds sockets, ports and operations in flight. */
enum { CONSOLE_GUESTS_MAX = 1024 };

/* Order of the words of --backend. */
enum console_backend_kind { CONSOLE_BACKEND_NESTED, CONSOLE_BACKEND_NETWORK };

/*
 * One field per row of options.def. Strings point into the words that were
 * parsed or are constants. backend is an enum console_backend_kind, log_level an
 * enum log_level, resize_order 1 for linux-legacy.
 */
struct console_options {
#define HEADING(title)
#define OPT(field, s, l, type, meta, def, limits, text) OPTION_FIELD(field, type);
#include "options.def"
#undef HEADING
#undef OPT
};

/* Which options were there. One member per row of options.def, and one per heading. */
enum console_option {
#define HEADING(title) CONSOLE_OPTION_CONCAT(CONSOLE_HEADING_, __LINE__),
#define CONSOLE_OPTION_CONCAT(a, b) CONSOLE_OPTION_CONCAT_(a, b)
#define CONSOLE_OPTION_CONCAT_(a, b) a##b
#define OPT(field, s, l, type, meta, def, limits, text) CONSOLE_OPTION_##field,
#include "options.def"
#undef HEADING
#undef OPT
	CONSOLE_N_OPTIONS,
};

/*
 * Parses words; origins as in struct option_line, ret_given (CONSOLE_N_OPTIONS,
 * or NULL) as its given. Zero, and console_options_free() is due; or -errno with
 * one line in ret_error. When print_capabilities, help or version is set, the
 * program does just that. Nothing is cross-checked yet.
 */
int console_options_parse(struct console_options *ret_options, int argc, char **argv,
			  const char *const *origins, bool *ret_given, char *ret_error,
			  size_t error_cap);
void console_options_free(struct console_options *o);

/*
 * Checks what has to do with the sockets of --socket-path and --fd. terminal:
 * something is attached to standard input and output. n_others: devices from
 * elsewhere. Zero, or -EINVAL with one line.
 */
int console_options_check_sockets(const struct console_options *o, unsigned int n_others,
				  char *ret_error, size_t error_cap);
int console_options_check_fds(const struct console_options *o, bool terminal, char *ret_error,
			      size_t error_cap);

/* Checks --backend and --tcp-port for that many devices that follow them. */
int console_options_check_backend(const struct console_options *o, unsigned int n_guests,
				  char *ret_error, size_t error_cap);

/* Devices of --socket-path or of --fd. */
unsigned int console_options_n_guests(const struct console_options *o);

/* The text behind --help: usage, options, a line to paste for QEMU and one for UML. */
void console_options_help(FILE *out);

/* The OPTIONS section of the manual, as roff. */
void console_options_man(FILE *out);

/* The rows, CONSOLE_N_OPTIONS of them: for completions. */
const struct option_row *console_option_rows(void);

#endif
