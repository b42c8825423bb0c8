/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/setup-check.h"
#include "daemon/spec-words.h"
#include "systemd.h"

/* A thing that only one can have, and who has it. */
struct claim {
	char *thing; /* as a message names it */
	char *who;
};

struct claims {
	struct claim *items;
	size_t n_items, cap;
	const struct attachment_options *terminal; /* the one that has it */
	char *why;
	size_t why_cap;
};

/* Whom a claim is for. */
struct claimant {
	struct claims *claims;
	const struct device_spec *device;
	const struct port_spec *port; /* NULL: the device itself */
};

static int fail_memory(struct claims *c)
{
	snprintf(c->why, c->why_cap, "no memory");
	return -ENOMEM;
}

static char *claimant_name(const struct claimant *who)
{
	char *name = NULL;
	int n;

	if (!who->device)
		return strdup("--control");
	if (who->port)
		n = asprintf(&name, "%s port %d", who->device->options.name, who->port->number);
	else
		n = asprintf(&name, "device %s", who->device->options.name);
	return n < 0 ? NULL : name;
}

PRINTF_LIKE(2, 3)
static int claim(const struct claimant *who, const char *fmt, ...)
{
	struct claims *c = who->claims;
	struct claim item = { NULL, NULL };
	struct claim *items;
	va_list args;
	int n;

	if (c->n_items == c->cap) {
		items = realloc(c->items, (c->cap + 64) * 2 * sizeof(*items));
		if (!items)
			return fail_memory(c);
		c->items = items;
		c->cap = (c->cap + 64) * 2;
	}
	va_start(args, fmt);
	n = vasprintf(&item.thing, fmt, args);
	va_end(args);
	item.who = n < 0 ? NULL : claimant_name(who);
	if (!item.who) {
		if (n >= 0)
			free(item.thing);
		return fail_memory(c);
	}
	c->items[c->n_items++] = item;
	return 0;
}

static void claims_free(struct claims *c)
{
	for (size_t i = 0; i < c->n_items; i++) {
		free(c->items[i].thing);
		free(c->items[i].who);
	}
	free(c->items);
}

static int claim_number(const struct claimant *who, int fd)
{
	if (fd != 2)
		return claim(who, "descriptor %d", fd);
	snprintf(who->claims->why, who->claims->why_cap,
		 "fd 2 is for messages; pass another descriptor");
	return -EINVAL;
}

static int claim_descriptor(const struct claimant *who, const char *text)
{
	struct claims *c = who->claims;
	const char *slash = strchr(text, '/');
	int fd, err;

	if (text[0] < '0' || text[0] > '9') {
		fd = systemd_find_fd(text, 0);
		if (fd >= 0)
			return claim_number(who, fd);
		snprintf(c->why, c->why_cap, "no socket of the name '%s' was inherited", text);
		return -EINVAL;
	}
	err = claim_number(who, atoi(text));
	if (err == 0 && slash && atoi(slash + 1) != atoi(text))
		err = claim_number(who, atoi(slash + 1));
	return err;
}

static int claim_tcp(const struct claimant *who, const char *address)
{
	char host[SPEC_HOST_MAX];
	unsigned int port;
	int err;

	err = spec_parse_tcp(address, host, &port, who->claims->why, who->claims->why_cap);
	if (err < 0 || port == 0) /* 0: whichever is free */
		return err;
	return claim(who, "TCP port %u of %s", port, host[0] ? host : "127.0.0.1");
}

static int claim_terminal(const struct claimant *who, const struct attachment_options *o)
{
	struct claims *c = who->claims;
	int err;

	if (c->terminal) {
		snprintf(c->why, c->why_cap, "a second terminal, on %s port %d: there is one only",
			 who->device->options.name, who->port->number);
		return -EINVAL;
	}
	c->terminal = o;
	err = claim(who, "descriptor 0");
	return err < 0 ? err : claim(who, "descriptor 1");
}

static int claim_attachment(const struct claimant *who, const struct attachment_options *o)
{
	switch (o->kind) {
	case ATTACHMENT_terminal:
		return claim_terminal(who, o);
	case ATTACHMENT_tcp_server:
	case ATTACHMENT_telnet_server:
		return claim_tcp(who, o->address);
	case ATTACHMENT_descriptor:
		return claim_descriptor(who, o->address);
	case ATTACHMENT_unix_server:
	case ATTACHMENT_pty:
	case ATTACHMENT_log_file:
		return o->address ? claim(who, "path %s", o->address) : 0;
	default:
		return 0;
	}
}

static int claim_port(struct claimant *who)
{
	const struct list_node *head = &who->port->attachments;
	int err = 0;

	for (struct list_node *node = head->next; node != head && err == 0; node = node->next)
		err = claim_attachment(who,
				       &list_entry(node, struct attachment_spec, link)->options);
	return err;
}

static int claim_device(struct claims *c, const struct device_spec *device)
{
	struct claimant who = { .claims = c, .device = device };
	const struct list_node *head = &device->ports;
	int err;

	err = claim(&who, "the name %s", device->options.name);
	if (err == 0 && device->options.socket)
		err = claim(&who, "path %s", device->options.socket);
	if (err == 0 && device->options.fd)
		err = claim_descriptor(&who, device->options.fd);
	for (struct list_node *node = head->next; node != head && err == 0; node = node->next) {
		who.port = list_entry(node, struct port_spec, link);
		err = claim_port(&who);
	}
	return err;
}

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct claim *)a)->thing, ((const struct claim *)b)->thing);
}

static int find_twins(struct claims *c)
{
	if (c->n_items == 0)
		return 0;
	qsort(c->items, c->n_items, sizeof(*c->items), compare);
	for (size_t i = 1; i < c->n_items; i++) {
		if (compare(&c->items[i - 1], &c->items[i]) != 0)
			continue;
		snprintf(c->why, c->why_cap, "%s is used twice, by %s and %s", c->items[i].thing,
			 c->items[i - 1].who, c->items[i].who);
		return -EINVAL;
	}
	return 0;
}

int setup_check(const struct setup *setup, char *ret_why, size_t why_cap)
{
	struct claims c = { .why = ret_why, .why_cap = why_cap };
	struct claimant control = { .claims = &c };
	const struct list_node *head = &setup->devices;
	int err = 0;

	if (setup->control)
		err = claim(&control, "path %s", setup->control->options.address);
	for (struct list_node *node = head->next; node != head && err == 0; node = node->next)
		err = claim_device(&c, list_entry(node, struct device_spec, link));
	if (err == 0)
		err = console_options_check_fds(&setup->options, c.terminal, ret_why, why_cap);
	if (err == 0)
		err = find_twins(&c);
	claims_free(&c);
	return err;
}
