/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "daemon/sandbox-descriptors.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "systemd.h"

/* Numbers to be kept. */
struct kept {
	int *fds;
	size_t n;
	bool no_memory;
};

static void keep(struct kept *k, int fd)
{
	int *fds;

	if (fd < 0)
		return;
	fds = reallocarray(k->fds, k->n + 1, sizeof(*fds));
	if (!fds) {
		k->no_memory = true;
		return;
	}
	k->fds = fds;
	k->fds[k->n++] = fd;
}

/* A number, a name, or two of them with a slash in between. */
static void keep_text(struct kept *k, const char *text)
{
	char copy[256];
	char *slash;

	keep(k, systemd_find_fd(text, 0));
	if (strlen(text) >= sizeof(copy))
		return;
	snprintf(copy, sizeof(copy), "%s", text);
	slash = strchr(copy, '/');
	if (!slash)
		return;
	*slash = '\0';
	keep(k, systemd_find_fd(copy, 0));
	keep(k, systemd_find_fd(slash + 1, 0));
}

static void keep_of_device(struct kept *k, const struct device_spec *d)
{
	const struct list_node *ports = &d->ports;

	if (d->options.fd)
		keep_text(k, d->options.fd);
	for (const struct list_node *p = ports->next; p != ports; p = p->next) {
		const struct list_node *head =
			&list_entry(p, const struct port_spec, link)->attachments;

		for (const struct list_node *a = head->next; a != head; a = a->next) {
			const struct attachment_options *o =
				&list_entry(a, const struct attachment_spec, link)->options;

			if (o->kind == ATTACHMENT_descriptor)
				keep_text(k, o->address);
		}
	}
}

static int compare(const void *a, const void *b)
{
	const int *left = a, *right = b;

	return *left < *right ? -1 : *left > *right;
}

static int close_between(unsigned int first, unsigned int last)
{
	return first > last || close_range(first, last, 0) == 0 ? 0 : -errno;
}

static int close_others(struct kept *k)
{
	unsigned int next = STDERR_FILENO + 1;
	int err = 0;

	if (k->n > 0)
		qsort(k->fds, k->n, sizeof(*k->fds), compare);
	for (size_t i = 0; i < k->n && err == 0; i++) {
		unsigned int fd = (unsigned int)k->fds[i];

		if (fd < next)
			continue;
		err = close_between(next, fd - 1);
		next = fd + 1;
	}
	return err < 0 ? err : close_between(next, UINT_MAX);
}

int sandbox_descriptors_close(const struct setup *setup)
{
	const struct list_node *head = &setup->devices;
	struct kept k = { .n = 0 };
	int err;

	for (unsigned int i = 0; i < systemd_n_sockets(); i++)
		keep(&k, systemd_socket_fd(i));
	for (const struct list_node *node = head->next; node != head; node = node->next)
		keep_of_device(&k, list_entry(node, const struct device_spec, link));
	err = k.no_memory ? -ENOMEM : close_others(&k);
	free(k.fds);
	return err;
}
