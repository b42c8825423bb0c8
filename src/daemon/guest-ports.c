/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Ports and attachments of a guest: how they come, and how they go. */
#include "backends/port-journal.h"
#include "clock.h"
#include "daemon/guest-private.h"
#include "daemon/sandbox.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"

static struct guest_port *port_at(const struct list_node *node)
{
	return list_entry((struct list_node *)(uintptr_t)node, struct guest_port, link);
}

static struct guest_attachment *attachment_at(struct list_node *node)
{
	return list_entry(node, struct guest_attachment, link);
}

/* Looking for things. */

struct guest_port *guest_find_number(const struct guest *g, unsigned int number)
{
	for (const struct list_node *node = g->ports.next; node != &g->ports; node = node->next)
		if (port_at(node)->number == number)
			return port_at(node);
	return NULL;
}

struct guest_port *guest_find_name(const struct guest *g, const char *name)
{
	if (name[0] == '\0')
		return NULL;
	for (const struct list_node *node = g->ports.next; node != &g->ports; node = node->next)
		if (strcmp(port_at(node)->port.name, name) == 0)
			return port_at(node);
	return NULL;
}

struct guest_port *guest_find_port(struct guest *g, const char *number_or_name)
{
	struct guest_port *p = NULL;
	unsigned long number;
	char *end;

	number = strtoul(number_or_name, &end, 10);
	if (number_or_name[0] >= '0' && number_or_name[0] <= '9' && *end == '\0' &&
	    number < CONSOLE_MAX_PORTS)
		p = guest_find_number(g, (unsigned int)number);
	return p ? p : guest_find_name(g, number_or_name);
}

struct guest_attachment *guest_find_attachment(struct guest_port *p, unsigned int id)
{
	struct list_node *node, *tmp;

	list_for_each (node, tmp, &p->attachments)
		if (attachment_at(node)->id == id && !attachment_at(node)->closing)
			return attachment_at(node);
	return NULL;
}

bool guest_is_plain(const struct guest *g)
{
	const struct guest_port *p = port_at(g->ports.next);

	return g->spec->options.max_ports == 1 && !list_empty(&g->ports) && p->port.console &&
	       p->port.name[0] == '\0' && !list_empty(&p->attachments) &&
	       p->attachments.next == p->attachments.prev;
}

/* In words. */

void guest_describe_attachments(const struct guest_port *p, char *buf, size_t cap)
{
	const struct list_node *head = &p->attachments;
	size_t len = 0;

	snprintf(buf, cap, "nothing attached");
	for (struct list_node *node = head->next; node != head && len < cap; node = node->next) {
		const struct guest_attachment *a = attachment_at(node);
		char text[GUEST_WHY_MAX];

		a->attachment->ops->describe(a->attachment, text, sizeof(text));
		len += (size_t)snprintf(buf + len, cap - len, "%s%s", len > 0 ? ", " : "", text);
	}
}

void guest_describe_port(const struct guest_port *p, char *buf, size_t cap)
{
	char where[GUEST_WHY_MAX];

	guest_describe_attachments(p, where, sizeof(where));
	snprintf(buf, cap, "port %u%s%s (%s%s): %s", p->number, p->port.name[0] ? " " : "",
		 p->port.name, p->port.console ? "console, " : "",
		 p->port.overflow == PORT_DROP ? "drop" : "hold", where);
}

/* How they go. */

static void free_port(struct guest_port *p)
{
	struct list_node *node, *tmp;
	struct port_journal *journal;

	list_remove(&p->link);
	list_for_each (node, tmp, &p->wanted)
		attachment_spec_free(list_entry(node, struct attachment_spec, link));
	journal = p->port.journal;
	port_fini(&p->port);
	port_journal_free(journal);
	port_spec_free(p->spec);
	free(p);
}

static void attachment_gone(void *arg)
{
	struct guest_attachment *a = arg;
	struct guest_port *p = a->port;
	struct guest *g = p->guest;

	list_remove(&a->link);
	attachment_spec_free(a->spec);
	free(a);
	if (p->leaving && list_empty(&p->attachments))
		free_port(p);
	g->n_closing--;
	guest_part_closed(g);
}

/* The time when the next of a port's closing attachments is hurried, if before next. */
static uint64_t hurry_port(struct guest_port *p, uint64_t now, uint64_t next)
{
	struct list_node *node, *tmp;

	list_for_each (node, tmp, &p->attachments) {
		struct guest_attachment *a = attachment_at(node);

		if (!a->closing || a->close_by == UINT64_MAX)
			continue;
		if (a->close_by > now) {
			next = min_u64(next, a->close_by);
			continue;
		}
		a->close_by = UINT64_MAX;
		a->attachment->ops->hurry(a->attachment);
	}
	return next;
}

void guest_hurry(struct guest *g)
{
	uint64_t now = monotonic_ns(), next = UINT64_MAX;
	struct list_node *node, *tmp;

	list_for_each (node, tmp, &g->ports)
		next = hurry_port(port_at(node), now, next);
	list_for_each (node, tmp, &g->leaving)
		next = hurry_port(port_at(node), now, next);
	if (next != UINT64_MAX)
		timer_arm(&g->flush, next - now);
}

static void close_attachment(struct guest_attachment *a)
{
	struct guest *g = a->port->guest;
	const uint64_t patience = GUEST_FLUSH_MS * UINT64_C(1000000);

	if (a->closing)
		return;
	a->closing = true;
	a->close_by = monotonic_ns() + patience;
	g->n_closing++;
	if (!op_armed(&g->flush.op))
		timer_arm(&g->flush, patience);
	a->attachment->ops->close(a->attachment);
}

/* It is the device's no more; its attachments have gone or go now. */
static void let_port_go(struct guest_port *p)
{
	struct list_node *node, *tmp;

	p->leaving = true;
	list_remove(&p->link);
	list_append(&p->guest->leaving, &p->link);
	list_for_each (node, tmp, &p->attachments)
		close_attachment(attachment_at(node));
	if (list_empty(&p->attachments))
		free_port(p);
}

void guest_close_port(struct guest_port *p)
{
	console_remove_port(&p->guest->console, p->number);
	let_port_go(p);
}

void guest_remove_port(struct guest_port *p)
{
	guest_remove_port_journal(p);
	guest_close_port(p);
}

void guest_detach(struct guest_attachment *a)
{
	close_attachment(a);
}

/* How they come. */

int guest_attach_from(struct guest_port *p, struct attachment_spec *spec, struct handover_in *from,
		      unsigned int tag, struct guest_attachment **ret_attachment, char *ret_why,
		      size_t why_cap)
{
	struct guest *g = p->guest;
	struct guest_attachment *a = calloc(1, sizeof(*a));
	const struct attachment_args args = {
		.loop = g->env->loop,
		.port = &p->port,
		.options = &spec->options,
		.who = p->who,
		.quit = g->env->quit,
		.quit_arg = g->env->arg,
		.from = from,
	};
	int err = -ENOMEM;

	list_remove(&spec->link);
	if (a && from)
		err = attachment_load(&args, tag, &a->attachment, ret_why, why_cap);
	else if (a)
		err = attachment_open(&args, &a->attachment, ret_why, why_cap);
	else
		snprintf(ret_why, why_cap, "no memory for %s", spec->text);
	if (err < 0) {
		attachment_spec_free(spec);
		free(a);
		return err;
	}
	a->attachment->closed = attachment_gone;
	a->attachment->closed_arg = a;
	a->port = p;
	a->spec = spec;
	a->id = ++g->last_attachment_id;
	list_append(&p->attachments, &a->link);
	*ret_attachment = a;
	return 0;
}

int guest_attach(struct guest_port *p, struct attachment_spec *spec,
		 struct guest_attachment **ret_attachment, char *ret_why, size_t why_cap)
{
	int err = sandbox_permits(&spec->options, ret_why, why_cap);

	if (err == 0)
		return guest_attach_from(p, spec, NULL, 0, ret_attachment, ret_why, why_cap);
	list_remove(&spec->link);
	attachment_spec_free(spec);
	return err;
}

/* The lowest free number: a console takes 0 if it can, others leave it to consoles. */
static int pick_number(const struct guest *g, bool console)
{
	const unsigned int end = (unsigned int)g->spec->options.max_ports;

	for (unsigned int i = console ? 0 : 1; i < end; i++)
		if (!guest_find_number(g, i))
			return (int)i;
	return -1;
}

static int check_place(const struct guest *g, struct port_spec *spec, char *ret_why, size_t why_cap)
{
	const char *who = g->spec->options.name;
	const uint64_t max_ports = g->spec->options.max_ports;

	if (spec->number == SPEC_NUMBER_ANY)
		spec->number = pick_number(g, spec->console);
	if (spec->number < 0) {
		snprintf(ret_why, why_cap,
			 "%s has no free number for a port below %" PRIu64 " (max-ports)", who,
			 max_ports);
		return -ERANGE;
	}
	if ((uint64_t)spec->number >= max_ports) {
		snprintf(ret_why, why_cap,
			 "port %d: the numbers of %s are below %" PRIu64 " (max-ports)",
			 spec->number, who, max_ports);
		return -ERANGE;
	}
	if (guest_find_number(g, (unsigned int)spec->number)) {
		snprintf(ret_why, why_cap, "%s has a port %d already", who, spec->number);
		return -EEXIST;
	}
	if (guest_find_name(g, spec->name)) {
		snprintf(ret_why, why_cap, "%s has a port with the name %s already: number %u", who,
			 spec->name, guest_find_name(g, spec->name)->number);
		return -EEXIST;
	}
	return 0;
}

int guest_make_port(struct guest *g, struct port_spec *spec, struct guest_port **ret_port)
{
	struct guest_port *p = calloc(1, sizeof(*p));
	int err = p ? port_init(&p->port, (size_t)spec->history) : -ENOMEM;

	if (err < 0) {
		port_spec_free(spec);
		free(p);
		return err;
	}
	p->guest = g;
	p->spec = spec;
	p->number = (unsigned int)spec->number;
	p->port.console = spec->console;
	p->port.overflow = spec->overflow;
	snprintf(p->port.name, sizeof(p->port.name), "%s", spec->name);
	/* Where there can be only one, the device's name says it all. */
	if (g->spec->options.max_ports == 1)
		snprintf(p->who, sizeof(p->who), "%s", g->spec->options.name);
	else
		snprintf(p->who, sizeof(p->who), "%s/p%u", g->spec->options.name, p->number);
	list_init(&p->link);
	list_init(&p->attachments);
	list_init(&p->wanted);
	*ret_port = p;
	return 0;
}

static int attach_all(struct guest_port *p, char *ret_why, size_t why_cap)
{
	struct list_node *node, *tmp;
	struct guest_attachment *a;

	list_for_each (node, tmp, &p->spec->attachments) {
		int err = guest_attach(p, list_entry(node, struct attachment_spec, link), &a,
				       ret_why, why_cap);

		if (err < 0)
			return err;
	}
	return 0;
}

void guest_insert_port(struct guest *g, struct guest_port *p)
{
	struct list_node *node = g->ports.next;

	while (node != &g->ports && port_at(node)->number < p->number)
		node = node->next;
	list_append(node, &p->link); /* before it */
}

int guest_add_port(struct guest *g, struct port_spec *spec, struct guest_port **ret_port,
		   char *ret_why, size_t why_cap)
{
	struct guest_port *p;
	int err;

	list_remove(&spec->link);
	err = check_place(g, spec, ret_why, why_cap);
	if (err < 0) {
		port_spec_free(spec);
		return err;
	}
	err = guest_make_port(g, spec, &p);
	if (err < 0) {
		snprintf(ret_why, why_cap, "no memory for a port of %s", g->spec->options.name);
		return err;
	}
	err = guest_open_port_journal(p, ret_why, why_cap);
	if (err == 0)
		err = attach_all(p, ret_why, why_cap);
	if (err < 0) {
		let_port_go(p);
		return err;
	}
	guest_insert_port(g, p);
	console_add_port(&g->console, p->number, &p->port);
	*ret_port = p;
	return 0;
}

void guest_change_name(struct guest_port *p, const char *name)
{
	struct console *console = &p->guest->console;

	console_remove_port(console, p->number);
	snprintf(p->port.name, sizeof(p->port.name), "%s", name);
	console_add_port(console, p->number, &p->port);
}

int guest_rename_port(struct guest_port *p, const char *name, char *ret_why, size_t why_cap)
{
	const struct guest_port *other = guest_find_name(p->guest, name);

	if (name[0] != '\0' && !port_name_valid(name)) {
		snprintf(ret_why, why_cap,
			 "a port's name has up to %d bytes of UTF-8 without a slash and without "
			 "control characters",
			 PORT_NAME_MAX);
		return -EINVAL;
	}
	if (other && other != p) {
		snprintf(ret_why, why_cap, "%s has a port with the name %s already: number %u",
			 p->guest->spec->options.name, name, other->number);
		return -EEXIST;
	}
	if (other != p && strcmp(p->port.name, name) != 0)
		guest_change_name(p, name);
	return 0;
}
