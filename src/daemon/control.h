/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The control socket: one JSON object a line, from programs that run as root,
 * as the daemon's own user, or as whom the socket's file lets write as its owner
 * or in its group. Each request is answered by one line, in order:
 *
 *	{"command": "set-port", "device": "console0", "port": "1", "output": "off"}
 *	{"ok": true, "result": {}}
 *
 * An "id" of any type comes back with the answer. The commands and their
 * arguments are rows of control-commands.def and control-arguments.def.
 */
#ifndef VHU_DAEMON_CONTROL_H
#define VHU_DAEMON_CONTROL_H

#include <stdio.h>

#include "daemon/guest.h"

enum {
	CONTROL_CLIENTS_MAX = 32,
	CONTROL_LINE_MAX = 64 * 1024,	 /* a request longer than this ends the connection */
	CONTROL_ANSWERS_MAX = 64 * 1024, /* with more than this unread, no request is looked at */
};

struct control;

struct control_args {
	struct loop *loop;
	int fd;		  /* listening; taken */
	const char *path; /* its file, removed at the end; NULL for an inherited socket */
	const struct peer_rules *allow; /* copied; NULL: none. See control-access.h */
	struct list_node *guests;	/* struct guest, lent */
	/* As SIGHUP does. Tells what could not be read; may close the control socket. */
	int (*reload)(void *arg, char *ret_why, size_t why_cap);
	/*
	 * As SIGUSR2 does. -errno and a sentence if it cannot be; else
	 * control_upgrade_failed() follows later, or this process is another one.
	 */
	int (*upgrade)(void *arg, char *ret_why, size_t why_cap);
	void *arg;
};

/* Zero, -ENOMEM, or -EOPNOTSUPP when this build is without json-c; fd is closed then. */
int control_new(const struct control_args *args, struct control **ret_control);

/* closed() is called later, when no operation is left; the memory is gone then. Once. */
void control_close(struct control *c, void (*closed)(void *arg), void *arg);

/* Tells those who asked for it; why is a whole sentence. */
void control_upgrade_failed(struct control *c, const char *why);

/*
 * For a hand-over, as a group, with all connections. In place of control_new();
 * what is wrong is the reader's to say.
 */
void control_save(const struct control *c, struct handover_out *out, unsigned int tag);
void control_load(const struct control_args *args, struct handover_in *in, unsigned int tag,
		  struct control **ret_control);

/*
 * The face of it for people: `vhost-device-console ctl ...`. argv[0] stands for
 * "ctl" and is not looked at. Returns the exit status.
 */
int control_ctl_main(int argc, char **argv);

/* Its --help; and its options, commands and arguments as roff. */
void control_ctl_help(FILE *out);
void control_ctl_man(FILE *out);

#endif
