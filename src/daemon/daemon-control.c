/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The daemon's control socket, and what it may ask of the daemon as a whole. */
#include <errno.h>
#include <unistd.h>

#include "daemon/daemon.h"
#include "daemon/sandbox.h"
#include "log.h"
#include "systemd.h"

static int reload_asked(void *arg, char *ret_why, size_t why_cap)
{
	struct daemon *d = arg;
	struct list_node *node, *tmp;

	list_for_each (node, tmp, &d->guests)
		guest_reopen_logs(list_entry(node, struct guest, link));
	return daemon_reload(d, ret_why, why_cap);
}

/* The answer is held back from here on, so what is refused at once is said here. */
static int upgrade_asked(void *arg, char *ret_why, size_t why_cap)
{
	int err = sandbox_permits_upgrade(ret_why, why_cap);

	if (err == 0)
		upgrade_ask(arg);
	return err;
}

/* -1: there is none, and nobody asked for one. */
static int control_socket(const struct attachment_spec *spec, const char **ret_path, char *ret_why,
			  size_t why_cap)
{
	const char *path = spec ? spec->options.address : NULL;
	int fd = systemd_find_fd("control", 0);

	*ret_path = NULL;
	if (fd >= 0 || !path)
		return fd;
	fd = attachment_unix_socket(&spec->options, path, ret_why, why_cap);
	if (fd >= 0 && path[0] != '@')
		*ret_path = path;
	return fd;
}

static struct control_args control_args(struct daemon *d)
{
	return (struct control_args){
		.loop = d->loop,
		.fd = -1,
		.allow = d->setup->control ? &d->setup->control->options.allow : NULL,
		.guests = &d->guests,
		.reload = reload_asked,
		.upgrade = upgrade_asked,
		.arg = d,
	};
}

/* seccomp: unlink unlinkat */
int daemon_open_control(struct daemon *d)
{
	char why[GUEST_WHY_MAX] = "";
	struct control_args args = control_args(d);
	int err;

	args.fd = control_socket(d->setup->control, &args.path, why, sizeof(why));
	if (args.fd < 0 && why[0] == '\0')
		return 0;
	if (args.fd < 0) {
		log_error(NULL, "--control: %s", why);
		return args.fd;
	}
	err = control_new(&args, &d->control);
	if (err == -EOPNOTSUPP)
		log_error(NULL, "--control: this program was built without json-c, which it needs");
	else if (err < 0)
		log_errno(LOG_LEVEL_ERROR, NULL, err, "--control");
	else if (args.path)
		log_info(NULL, "control socket %s", args.path);
	if (err < 0 && args.path)
		unlink(args.path);
	return err;
}

void daemon_load_control(struct daemon *d, struct handover_in *in, unsigned int tag)
{
	struct control_args args = control_args(d);

	control_load(&args, in, tag, &d->control);
}
