/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "daemon/guest.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/guest-private.h"
#include "daemon/sandbox.h"
#include "fd.h"
#include "log.h"
#include "virtio/console-journal.h"

/* The end. */

static void scope_is_idle(struct scope *scope)
{
	struct guest *g = container_of(scope, struct guest, scope);

	g->closed(g);
}

/* Something has closed: was it the last? */
void guest_part_closed(struct guest *g)
{
	if (!guest_settled(g))
		return;
	if (g->closed)
		scope_cancel(&g->scope, scope_is_idle);
	else if (g->env->settled)
		g->env->settled(g->env->arg);
}

bool guest_settled(const struct guest *g)
{
	return g->n_closing == 0;
}

static void server_closed(struct vhu_server *s)
{
	struct guest *g = container_of(s, struct guest, server);

	g->serving = false;
	g->disconnected(g);
}

void guest_disconnect(struct guest *g, void (*disconnected)(struct guest *g))
{
	g->disconnected = disconnected;
	if (g->serving)
		vhu_server_close(&g->server, server_closed);
	else
		disconnected(g);
}

void guest_close(struct guest *g, bool for_good, void (*closed)(struct guest *g))
{
	struct list_node *node, *tmp;

	g->closed = closed;
	list_for_each (node, tmp, &g->ports) {
		struct guest_port *p = list_entry(node, struct guest_port, link);

		if (for_good)
			guest_remove_port(p);
		else
			guest_close_port(p);
	}
	guest_part_closed(g);
}

void guest_free(struct guest *g)
{
	if (!g)
		return;
	assert(list_empty(&g->ports) && list_empty(&g->leaving) && !g->serving);
	guest_forget_wanted(g);
	console_journal_free(&g->console);
	console_fini(&g->console);
	device_spec_free(g->spec);
	free(g);
}

/* The beginning. */

void guest_server_finished(struct vhu_server *s)
{
	struct guest *g = container_of(s, struct guest, server);

	g->serving = false;
	g->env->finished(g->env->arg);
}

/* Mode, owner and group of its socket are given in the words of an attachment. */
static int open_socket(const struct device_words *o, char *ret_why, size_t why_cap)
{
	const struct attachment_options options = {
		.mode = o->mode,
		.owner = o->owner,
		.group = o->group,
	};

	int err = sandbox_permits_socket(o->socket, ret_why, why_cap);

	return err < 0 ? err : attachment_unix_socket(&options, o->socket, ret_why, why_cap);
}

/* The file of a socket that nobody has begun to serve; the name of an abstract one is no file. */
/* seccomp: unlink unlinkat */
static void remove_socket(const char *path)
{
	if (path && path[0] != '@')
		unlink(path);
}

static int open_ports(struct guest *g, char *ret_why, size_t why_cap)
{
	struct list_node *node, *tmp;
	char why[GUEST_WHY_MAX] = "";
	struct guest_port *p;

	list_for_each (node, tmp, &g->spec->ports) {
		struct port_spec *spec = list_entry(node, struct port_spec, link);
		int number = spec->number;
		int err = guest_add_port(g, spec, &p, why, sizeof(why));

		if (err < 0) {
			snprintf(ret_why, why_cap, "port %d: %s", number, why);
			return err;
		}
	}
	return 0;
}

/* A front-end that may not be one is told nothing. */
static bool admits(void *arg, int fd)
{
	struct guest *g = arg;
	char why[PEER_WHY_MAX];
	bool may = peer_admitted(&g->spec->allow, fd, why, sizeof(why));

	if (!may)
		vhu_log_limited(&g->server.limits.warnings, LOG_LEVEL_WARNING,
				g->spec->options.name, "a front-end was turned away: %s", why);
	return may;
}

struct vhu_backend_options guest_server_options(struct guest *g)
{
	return (struct vhu_backend_options){
		.who = g->spec->options.name,
		.max_queue_size = g->env->max_queue_size,
		.iommu = g->spec->options.iommu == SPEC_IOMMU_ON,
		.ear = g->env->trace ? &g->ear.ear : NULL,
		.admits = admits,
		.admits_arg = g,
	};
}

/* A front-end that came with the descriptor was let in by somebody else. */
static int check_rules(const struct guest *g, int fd, char *ret_why, size_t why_cap)
{
	if (!peer_rules_exist(&g->spec->allow) || peer_can_be_asked(fd))
		return 0;
	snprintf(ret_why, why_cap,
		 "fd=%s is no Unix socket that listens, so there is nobody to allow: leave out "
		 "allow-uid and allow-gid",
		 g->spec->options.fd);
	return -EINVAL;
}

static int start_server(struct guest *g, int fd, const char *path, char *ret_why, size_t why_cap)
{
	const struct vhu_backend_options options = guest_server_options(g);
	int err = vhu_server_start(&g->server, g->env->loop, &g->console.vdev, fd, path, &options,
				   guest_server_finished);

	if (err < 0)
		snprintf(ret_why, why_cap,
			 "--fd %s: expected a Unix stream socket, listening or connected",
			 g->spec->options.fd ? g->spec->options.fd : path);
	g->serving = err == 0;
	return err;
}

static void describe_socket(const struct device_words *o, char *buf, size_t cap)
{
	if (!o->fd)
		snprintf(buf, cap, "socket %s", o->socket);
	else if (o->fd[0] >= '0' && o->fd[0] <= '9')
		snprintf(buf, cap, "on descriptor %s", o->fd);
	else
		snprintf(buf, cap, "on passed socket %s", o->fd);
}

/* One line for a device that is a console and no more, else one for each port too. */
static void log_start(struct guest *g)
{
	const char *who = g->spec->options.name;
	char socket[300], where[2 * GUEST_WHY_MAX];
	struct list_node *node, *tmp;

	describe_socket(&g->spec->options, socket, sizeof(socket));
	if (guest_is_plain(g)) {
		guest_describe_attachments(list_first(&g->ports, struct guest_port, link), where,
					   sizeof(where));
		log_info(who, "front-end %s, console on %s", socket, where);
		return;
	}
	if (list_empty(&g->ports)) /* they come one by one, and are told of then */
		log_info(who, "front-end %s", socket);
	else
		log_info(who, "front-end %s, %u of %" PRIu64 " ports", socket, guest_n_ports(g),
			 g->spec->options.max_ports);
	list_for_each (node, tmp, &g->ports) {
		guest_describe_port(list_entry(node, struct guest_port, link), where,
				    sizeof(where));
		log_info(who, "%s", where);
	}
}

static void flush_late(struct op *op, int res)
{
	struct guest *g = container_of(op, struct guest, flush.op);

	if (res == -ETIME && !scope_cancelling(&g->scope))
		guest_hurry(g);
}

int guest_make(const struct guest_env *env, struct device_spec *spec,
	       const struct spec_defaults *defaults, struct guest **ret_guest)
{
	struct guest *g = calloc(1, sizeof(*g));
	int err = g ? console_init(&g->console, (unsigned int)spec->options.max_ports,
				   spec->rows_first)
		    : -ENOMEM;

	if (err < 0) {
		free(g);
		return err;
	}
	g->env = env;
	g->spec = spec;
	g->defaults = *defaults;
	list_init(&g->link);
	list_init(&g->ports);
	list_init(&g->leaving);
	list_init(&g->wanted);
	daemon_ear_init(&g->ear, env->trace, spec->options.name);
	scope_init(&g->scope, env->loop);
	timer_init(&g->flush, &g->scope, flush_late);
	*ret_guest = g;
	return 0;
}

int guest_new(const struct guest_env *env, struct device_spec *spec,
	      const struct spec_defaults *defaults, int fd, struct guest **ret_guest, char *ret_why,
	      size_t why_cap)
{
	const char *path = fd < 0 ? spec->options.socket : NULL;
	struct guest *g;
	int err;

	*ret_guest = NULL;
	err = guest_make(env, spec, defaults, &g);
	if (err < 0) {
		snprintf(ret_why, why_cap, "no memory for a device of %" PRIu64 " ports",
			 spec->options.max_ports);
		device_spec_free(spec);
		fd_close(fd);
		return err;
	}
	*ret_guest = g;
	/* The address is ours before anything else happens; nobody is let in until the end. */
	if (path)
		fd = open_socket(&spec->options, ret_why, why_cap);
	if (fd < 0)
		return fd;
	err = path ? 0 : check_rules(g, fd, ret_why, why_cap);
	if (err == 0)
		err = guest_open_journal(g, ret_why, why_cap);
	if (err == 0)
		err = open_ports(g, ret_why, why_cap);
	if (err < 0) {
		remove_socket(path);
		fd_close(fd);
		return err;
	}
	log_start(g);
	return start_server(g, fd, path, ret_why, why_cap);
}

/* For main. */

unsigned int guest_n_ports(const struct guest *g)
{
	unsigned int n = 0;

	for (const struct list_node *node = g->ports.next; node != &g->ports; node = node->next)
		n++;
	return n;
}

/* Calls each() for every attachment that is not closing, until it returns true. */
static bool any_attachment(const struct guest *g,
			   bool (*each)(struct guest_attachment *a, const void *arg),
			   const void *arg)
{
	for (const struct list_node *i = g->ports.next; i != &g->ports; i = i->next) {
		struct guest_port *p =
			list_entry((struct list_node *)(uintptr_t)i, struct guest_port, link);
		struct list_node *node, *tmp;

		list_for_each (node, tmp, &p->attachments) {
			struct guest_attachment *a =
				list_entry(node, struct guest_attachment, link);

			if (!a->closing && each(a, arg))
				return true;
		}
	}
	return false;
}

static bool is_of_kind(struct guest_attachment *a, const void *arg)
{
	return a->spec->options.kind == *(const enum attachment_kind *)arg;
}

static bool has_file(struct guest_attachment *a, const void *arg)
{
	(void)arg;
	return a->attachment->ops->reopen != NULL;
}

static bool tell_terminal(struct guest_attachment *a, const void *arg)
{
	(void)arg;
	if (a->attachment->ops->terminal_changed)
		a->attachment->ops->terminal_changed(a->attachment);
	return false;
}

static bool reopen(struct guest_attachment *a, const void *arg)
{
	(void)arg;
	if (a->attachment->ops->reopen)
		a->attachment->ops->reopen(a->attachment);
	return false;
}

static bool part(struct guest_attachment *a, const void *arg)
{
	if (a->attachment->ops->part)
		a->attachment->ops->part(a->attachment, *(const bool *)arg);
	return false;
}

bool guest_has_kind(const struct guest *g, enum attachment_kind kind)
{
	return any_attachment(g, is_of_kind, &kind);
}

bool guest_has_files(const struct guest *g)
{
	return any_attachment(g, has_file, NULL);
}

void guest_terminal_changed(struct guest *g)
{
	any_attachment(g, tell_terminal, NULL);
}

void guest_reopen_logs(struct guest *g)
{
	any_attachment(g, reopen, NULL);
}

void guest_part(struct guest *g, bool parting)
{
	any_attachment(g, part, &parting);
}
