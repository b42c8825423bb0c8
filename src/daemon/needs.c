/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "daemon/needs.h"

#include <sys/resource.h>

#include "fd.h"
#include "log.h"
#include "virtio/console.h"
#include "virtio/gmem.h"

/* Operations: the usual case, for the size of the queues. Descriptors: all that there can be. */
enum {
	OPS_PER_DEVICE = 40,
	OPS_PER_QUEUE = 4,
	OPS_PER_PORT = 8,
	FDS_OF_PROCESS = 64, /* standard ones, loops, signals, the control socket and its clients */
	FDS_PER_DEVICE =
		GMEM_MAX_REGIONS /* each region keeps its file's */
		+ 8		 /* the next table, while the last one is in force */
		+ 2 * FDSET_MAX	 /* a message that is being read, and one that is dealt with */
		+ 24,		 /* sockets, log, record, state, postcopy */
	FDS_PER_QUEUE = 3,
	FDS_PER_ATTACHMENT = 4, /* besides clients */
	CLIENTS_PER_PORT = 64,	/* of a port that is added while the daemon runs */
	QUEUES_WITH_FDS = 256,	/* a message with a descriptor names no later one */
};

static uint64_t port_fds(const struct port_spec *port)
{
	uint64_t n = 0;

	for (const struct list_node *node = port->attachments.next; node != &port->attachments;
	     node = node->next)
		n += FDS_PER_ATTACHMENT +
		     list_entry(node, const struct attachment_spec, link)->options.clients;
	return n;
}

static uint64_t device_fds(const struct device_spec *spec)
{
	unsigned int n_ports = (unsigned int)spec->options.max_ports, n_there = 0;
	uint64_t n = FDS_PER_DEVICE +
		     FDS_PER_QUEUE * min_u64(CONSOLE_N_QUEUES(n_ports), QUEUES_WITH_FDS);

	for (const struct list_node *node = spec->ports.next; node != &spec->ports;
	     node = node->next, n_there++)
		n += port_fds(list_entry(node, const struct port_spec, link));
	return n + (uint64_t)(n_ports - n_there) * (CLIENTS_PER_PORT + FDS_PER_ATTACHMENT);
}

void daemon_count_needs(const struct setup *setup, unsigned int *ret_n_ops, uint64_t *ret_n_fds)
{
	uint64_t n_fds = FDS_OF_PROCESS;
	unsigned int n_ops = 0;

	for (const struct list_node *node = setup->devices.next; node != &setup->devices;
	     node = node->next) {
		const struct device_spec *spec = list_entry(node, const struct device_spec, link);
		unsigned int n_ports = (unsigned int)spec->options.max_ports;

		n_ops += OPS_PER_DEVICE + OPS_PER_QUEUE * CONSOLE_N_QUEUES(n_ports) +
			 OPS_PER_PORT * n_ports;
		n_fds += device_fds(spec);
	}
	*ret_n_ops = n_ops;
	*ret_n_fds = n_fds;
}

/* seccomp(start): prlimit64 */
void daemon_raise_fd_limit(uint64_t n_fds)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= n_fds)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_max < n_fds)
		log_info(NULL,
			 "%llu descriptors may be needed at once, and there can be %llu: then one "
			 "guest may leave too few for others (LimitNOFILE=)",
			 (unsigned long long)n_fds, (unsigned long long)limit.rlim_max);
}
