/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What is written has changed: the least that makes a guest follow it. */
#include "daemon/guest-private.h"

#include <stdlib.h>
#include <string.h>

#include "log.h"

static struct guest_port *port_at(struct list_node *node)
{
	return list_entry(node, struct guest_port, link);
}

static struct port_spec *spec_at(struct list_node *node)
{
	return list_entry(node, struct port_spec, link);
}

static struct attachment_spec *attachment_spec_at(struct list_node *node)
{
	return list_entry(node, struct attachment_spec, link);
}

static void forget_attachments(struct guest_port *p)
{
	struct list_node *node, *tmp;

	list_for_each (node, tmp, &p->wanted)
		attachment_spec_free(attachment_spec_at(node));
}

void guest_forget_wanted(struct guest *g)
{
	struct list_node *node, *tmp;

	list_for_each (node, tmp, &g->wanted)
		port_spec_free(spec_at(node));
	list_for_each (node, tmp, &g->ports)
		forget_attachments(port_at(node));
}

/*
 * Numbers. One that was not written is the lowest that was free, so a line that
 * goes or comes would shift those of all that follow; what is there keeps its own.
 */

static bool has_written_number(const struct port_spec *s)
{
	return s->text[0] >= '0' && s->text[0] <= '9';
}

static struct port_spec *spec_of_number(struct list_node *specs, int number)
{
	struct list_node *node, *tmp;

	list_for_each (node, tmp, specs)
		if (spec_at(node)->number == number)
			return spec_at(node);
	return NULL;
}

/* The port that a spec without a number means: of its name; without one, of its text. */
static struct guest_port *port_meant(struct guest *g, const struct port_spec *s)
{
	struct list_node *node, *tmp;

	if (s->name[0] != '\0')
		return guest_find_name(g, s->name);
	list_for_each (node, tmp, &g->ports)
		if (port_at(node)->port.name[0] == '\0' &&
		    strcmp(port_at(node)->spec->text, s->text) == 0)
			return port_at(node);
	return NULL;
}

static void keep_numbers(struct guest *g, struct list_node *specs)
{
	struct list_node *node, *tmp, moved;

	list_init(&moved);
	list_for_each (node, tmp, specs) {
		if (has_written_number(spec_at(node)))
			continue;
		list_remove(node);
		list_append(&moved, node);
	}
	/* Those that are there first, then the others into what is left. */
	list_for_each (node, tmp, &moved) {
		const struct guest_port *p = port_meant(g, spec_at(node));

		if (!p || spec_of_number(specs, (int)p->number))
			continue;
		spec_at(node)->number = (int)p->number;
		list_remove(node);
		list_append(specs, node);
	}
	list_for_each (node, tmp, &moved) {
		struct port_spec *s = spec_at(node);

		list_remove(node);
		for (int i = s->console ? 0 : 1; spec_of_number(specs, s->number); i++)
			s->number = i;
		list_append(specs, node);
	}
}

/* The difference. */

static struct attachment_spec *find_text(struct list_node *specs, const char *text)
{
	struct list_node *node, *tmp;

	list_for_each (node, tmp, specs)
		if (strcmp(attachment_spec_at(node)->text, text) == 0)
			return attachment_spec_at(node);
	return NULL;
}

/* The attachments that are not written any more go; those that are there are not opened again. */
static void compare_attachments(struct guest_port *p, struct port_spec *s)
{
	struct list_node *node, *tmp;

	list_for_each (node, tmp, &p->attachments) {
		struct guest_attachment *a = list_entry(node, struct guest_attachment, link);
		struct attachment_spec *same = find_text(&s->attachments, a->spec->text);

		if (a->closing)
			continue;
		if (same) {
			attachment_spec_free(same);
			continue;
		}
		log_info(p->who, "detached: %s", a->spec->text);
		guest_detach(a);
	}
	list_splice(&p->wanted, &s->attachments);
}

/* Whether the port of p's number can become what s says without another taking its place. */
static bool can_become(const struct guest_port *p, const struct port_spec *s)
{
	return p->port.console == s->console && p->spec->history == s->history;
}

/* spec is taken, and only its attachments are left to be opened. */
static void become(struct guest_port *p, struct port_spec *s)
{
	if (strcmp(p->port.name, s->name) != 0) {
		log_info(p->who, "port %u is now called %s", p->number,
			 s->name[0] ? s->name : "nothing");
		guest_change_name(p, s->name);
	}
	if (p->port.overflow != s->overflow)
		port_set_overflow(&p->port, s->overflow);
	compare_attachments(p, s);
	list_remove(&s->link);
	port_spec_free(p->spec);
	p->spec = s;
}

void guest_apply(struct guest *g, struct device_spec *spec, const struct spec_defaults *defaults)
{
	struct list_node *node, *tmp;

	guest_forget_wanted(g);
	g->defaults = *defaults;
	g->spec->allow = spec->allow; /* of those who come from now on */
	keep_numbers(g, &spec->ports);
	list_for_each (node, tmp, &g->ports) {
		struct guest_port *p = port_at(node);
		struct port_spec *s = spec_of_number(&spec->ports, (int)p->number);

		if (s && can_become(p, s)) {
			become(p, s);
			continue;
		}
		log_info(g->spec->options.name, "port %u%s%s is removed", p->number,
			 p->port.name[0] ? " " : "", p->port.name);
		guest_remove_port(p);
	}
	list_splice(&g->wanted, &spec->ports);
}

/* The second step: what is new. */

static void attach_wanted(struct guest_port *p)
{
	struct list_node *node, *tmp;
	char why[GUEST_WHY_MAX];

	list_for_each (node, tmp, &p->wanted) {
		struct attachment_spec *s = attachment_spec_at(node);
		struct guest_attachment *a;

		if (guest_attach(p, s, &a, why, sizeof(why)) < 0)
			log_error(p->who, "%s", why);
		else
			log_info(p->who, "attached: %s", a->spec->text);
	}
}

static void add_wanted(struct guest *g, struct port_spec *s)
{
	char text[2 * GUEST_WHY_MAX];
	int number = s->number;
	struct guest_port *p;

	if (guest_add_port(g, s, &p, text, sizeof(text)) < 0) {
		log_error(g->spec->options.name, "port %d is left out: %s", number, text);
		return;
	}
	guest_describe_port(p, text, sizeof(text));
	log_info(g->spec->options.name, "%s", text);
}

void guest_apply_rest(struct guest *g)
{
	struct list_node *node, *tmp;

	list_for_each (node, tmp, &g->ports)
		attach_wanted(port_at(node));
	list_for_each (node, tmp, &g->wanted)
		add_wanted(g, spec_at(node));
}
