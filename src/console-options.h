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
 * One field per row of options.def. Strings point into argv or are constants.
 * backend is an enum console_backend_kind, log_level an enum log_level;
 * socket_path is NULL when descriptors were given instead.
 */
struct console_options {
#define HEADING(title)
#define OPT(field, s, l, type, meta, def, limits, text) OPTION_FIELD(field, type);
#include "options.def"
#undef HEADING
#undef OPT
};

/*
 * Parses and cross-checks. Zero, or -EINVAL with one line in ret_error. When
 * print_capabilities, help or version is set, the program does just that, and
 * no other field has been checked.
 */
int console_options_parse(struct console_options *ret_options, int argc, char **argv,
			  char *ret_error, size_t error_cap);

/* How many guests are served: one per socket path or per descriptor. */
unsigned int console_options_n_guests(const struct console_options *o);

/* The text behind --help: usage, options, a line to paste for QEMU and one for UML. */
void console_options_help(FILE *out);

/* The OPTIONS section of the manual, as roff. */
void console_options_man(FILE *out);

#endif
