/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The control socket in a build without json-c: there is none. */
#include <errno.h>
#include <stdio.h>

#include "daemon/control.h"
#include "fd.h"

int control_new(const struct control_args *args, struct control **ret_control)
{
	(void)ret_control;
	fd_close(args->fd);
	return -EOPNOTSUPP;
}

void control_close(struct control *c, void (*closed)(void *arg), void *arg)
{
	(void)c;
	closed(arg);
}

void control_upgrade_failed(struct control *c, const char *why)
{
	(void)c;
	(void)why;
}

void control_save(const struct control *c, struct handover_out *out, unsigned int tag)
{
	(void)c;
	(void)out;
	(void)tag;
}

void control_load(const struct control_args *args, struct handover_in *in, unsigned int tag,
		  struct control **ret_control)
{
	(void)args;
	(void)tag;
	(void)ret_control;
	state_fail(&in->state, "this program was built without json-c: no control socket");
}

int control_ctl_main(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	fputs("vhost-device-console ctl: this build is without the control socket (json-c)\n",
	      stderr);
	return 2;
}
