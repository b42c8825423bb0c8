/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* How much of what is limited a set-up takes. */
#include <sys/resource.h>

#include "daemon/daemon.h"

/* Operations armed at once, for the size of the queues, and descriptors: the usual case. */
enum {
	OPS_PER_DEVICE = 40,
	OPS_PER_QUEUE = 4,
	OPS_PER_PORT = 8,
	FDS_PER_DEVICE = 52,
	FDS_PER_QUEUE = 3,
	FDS_PER_PORT = 64,
	QUEUES_WITH_FDS = 256, /* a message with a descriptor names no later one */
};

/* Rings bring descriptors, clients too; the usual soft limit is for small programs. */
/* seccomp(start): prlimit64 */
static void raise_fd_limit(uint64_t n_fds)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= n_fds)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static void count_needs(const struct setup *setup, unsigned int *ret_n_ops, uint64_t *ret_n_fds)
{
	unsigned int n_ops = 0;
	uint64_t n_fds = 0;

	for (const struct list_node *node = setup->devices.next; node != &setup->devices;
	     node = node->next) {
		const struct device_spec *spec = list_entry(node, const struct device_spec, link);
		unsigned int n_ports = (unsigned int)spec->options.max_ports;
		unsigned int n_queues = CONSOLE_N_QUEUES(n_ports);

		n_ops += OPS_PER_DEVICE + OPS_PER_QUEUE * n_queues + OPS_PER_PORT * n_ports;
		n_fds += FDS_PER_DEVICE + FDS_PER_QUEUE * min_u64(n_queues, QUEUES_WITH_FDS) +
			 FDS_PER_PORT * n_ports;
	}
	*ret_n_ops = n_ops;
	*ret_n_fds = n_fds;
}

unsigned int daemon_make_room(const struct setup *setup)
{
	unsigned int n_ops;
	uint64_t n_fds;

	count_needs(setup, &n_ops, &n_fds);
	raise_fd_limit(n_fds);
	return n_ops;
}
