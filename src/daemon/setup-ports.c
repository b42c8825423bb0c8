/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Numbers and names of the ports of one device. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "daemon/setup-check.h"
#include "virtio/console.h"

static struct port_spec *port_of(struct list_node *node)
{
	return list_entry(node, struct port_spec, link);
}

/* The ports of a device by their numbers. */
struct numbered {
	struct port_spec *ports[CONSOLE_MAX_PORTS];
};

static int take_given_numbers(struct device_spec *device, struct numbered *n, char *ret_why,
			      size_t why_cap)
{
	struct list_node *node, *tmp;

	list_for_each (node, tmp, &device->ports) {
		int number = port_of(node)->number;

		if (number == SPEC_NUMBER_ANY)
			continue;
		if (n->ports[number]) {
			snprintf(ret_why, why_cap, "%s has two ports of number %d",
				 device->options.name, number);
			return -EINVAL;
		}
		n->ports[number] = port_of(node);
	}
	return 0;
}

/* The first console without a number is port 0, where drivers expect one; others come behind. */
static int give_numbers(struct device_spec *device, struct numbered *n, char *ret_why,
			size_t why_cap)
{
	struct list_node *node, *tmp;
	int next = 1;

	list_for_each (node, tmp, &device->ports) {
		struct port_spec *port = port_of(node);

		if (port->number != SPEC_NUMBER_ANY)
			continue;
		while (next < CONSOLE_MAX_PORTS && n->ports[next])
			next++;
		port->number = port->console && !n->ports[0] ? 0 : next;
		if (port->number >= CONSOLE_MAX_PORTS) {
			snprintf(ret_why, why_cap, "%s has no number left below %d for port '%s'",
				 device->options.name, CONSOLE_MAX_PORTS, port->text);
			return -EINVAL;
		}
		n->ports[port->number] = port;
	}
	return 0;
}

/* Returns the highest number. */
static unsigned int sort(struct device_spec *device, const struct numbered *n)
{
	unsigned int highest = 0;

	for (unsigned int i = 0; i < CONSOLE_MAX_PORTS; i++) {
		if (!n->ports[i])
			continue;
		list_remove(&n->ports[i]->link);
		list_append(&device->ports, &n->ports[i]->link);
		highest = i;
	}
	return highest;
}

static int check_names(struct device_spec *device, char *ret_why, size_t why_cap)
{
	struct list_node *head = &device->ports;

	for (struct list_node *a = head->next; a != head; a = a->next) {
		if (!port_of(a)->name[0])
			continue;
		for (struct list_node *b = a->next; b != head; b = b->next) {
			if (strcmp(port_of(a)->name, port_of(b)->name) != 0)
				continue;
			snprintf(ret_why, why_cap, "%s has two ports of the name '%s', %d and %d",
				 device->options.name, port_of(a)->name, port_of(a)->number,
				 port_of(b)->number);
			return -EINVAL;
		}
	}
	return 0;
}

int setup_number_ports(struct device_spec *device, uint64_t fallback, char *ret_why, size_t why_cap)
{
	uint64_t *max = &device->options.max_ports;
	struct numbered n = { { NULL } };
	uint64_t needed;
	int err;

	if (list_empty(&device->ports)) {
		snprintf(ret_why, why_cap, "%s has no ports: add --port after its --device",
			 device->options.name);
		return -EINVAL;
	}
	err = take_given_numbers(device, &n, ret_why, why_cap);
	if (err == 0)
		err = give_numbers(device, &n, ret_why, why_cap);
	if (err < 0)
		return err;
	needed = (uint64_t)sort(device, &n) + 1;
	if (*max == 0)
		*max = fallback ? fallback : needed;
	if (*max < needed) {
		snprintf(ret_why, why_cap,
			 "%s has a port of number %" PRIu64 ", but max-ports is %" PRIu64,
			 device->options.name, needed - 1, *max);
		return -EINVAL;
	}
	return check_names(device, ret_why, why_cap);
}
