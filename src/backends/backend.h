/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A backend: where a port's bytes go to and come from outside. It owns
 * descriptors and operations and knows nothing of queues. Rows: backends.def.
 */
#ifndef VHU_BACKENDS_BACKEND_H
#define VHU_BACKENDS_BACKEND_H

#include "backends/port.h"
#include "loop.h"

struct console_backend;

struct console_backend_options {
	const char *who;	 /* prefix of log lines; lent */
	uint16_t tcp_port;	 /* network: this guest's port */
	const char *escape;	 /* nested: keys that leave, see escape.h; lent */
	void (*quit)(void *arg); /* nested: the user has asked to leave */
	void *quit_arg;
};

struct console_backend_ops {
	/*
	 * Joins the port (lent; it outlives the backend). On failure returns
	 * -errno with one sentence in ret_why.
	 */
	int (*open)(struct loop *loop, struct port *port,
		    const struct console_backend_options *options,
		    struct console_backend **ret_backend, char *ret_why, size_t why_cap);

	/* One line for the start-up message: where the console is. */
	void (*describe)(const struct console_backend *b, char *buf, size_t cap);

	/*
	 * Stops input, writes what output is left, then lets go of everything,
	 * frees b and calls closed. hurry() ends the writing at once.
	 */
	void (*close)(struct console_backend *b, void (*closed)(void *arg), void *arg);
	void (*hurry)(struct console_backend *b);

	/* The terminal's size or modes may have changed (SIGWINCH, SIGCONT). May be NULL. */
	void (*terminal_changed)(struct console_backend *b);
};

/* The first member of every backend. */
struct console_backend {
	const struct console_backend_ops *ops;
};

/* console_backend_<name>: in the file of that name. */
#define BACKEND(name) extern const struct console_backend_ops console_backend_##name;
#include "backends/backends.def"
#undef BACKEND

#endif
