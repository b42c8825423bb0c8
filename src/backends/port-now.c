/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Bytes that go past a port's buffers: straight from and to where the guest has them. */
#include "backends/port-private.h"

enum {
	NOW_MAX = 384 * 1024, /* bytes of a call: a peer that keeps up would not let it end */
};

/* The first vectors, with NOW_MAX bytes at most; part: room for one that is cut off there. */
static const struct iovec *limit(const struct iovec *iov, unsigned int *n, struct iovec *part)
{
	size_t left = NOW_MAX;
	unsigned int i = 0;

	for (; i < *n && iov[i].iov_len <= left; i++)
		left -= iov[i].iov_len;
	if (i > 0 || *n == 0) {
		*n = i;
		return iov;
	}
	*part = (struct iovec){ .iov_base = iov->iov_base, .iov_len = NOW_MAX };
	*n = 1;
	return part;
}

uint64_t port_output_now(struct port_client *c, const struct iovec *iov, unsigned int n,
			 uint64_t total)
{
	struct port *port = c->port;
	struct iovec part;
	size_t len;

	if (c->full)
		return 0;
	if (total > NOW_MAX)
		iov = limit(iov, &n, &part);
	len = c->ops->output_now(c, iov, n);
	bytering_skip_over(&port->out, len);
	c->pos += len;
	c->n_read += len;
	port->delivered = port->out.head;
	port->counters.output += len;
	return len;
}

size_t port_take_now(struct port *port, const struct iovec *iov, unsigned int n)
{
	struct port_client *c = port->writer;
	struct iovec part;
	size_t taken, left;

	if (!c || !c->gives_now || port->frozen)
		return 0;
	iov = limit(iov, &n, &part);
	taken = c->ops->input_now(c, iov, n);
	c->n_written += taken;
	for (left = taken; left > 0; iov++) {
		size_t len = min_size(left, iov->iov_len);

		left -= len;
		if (port->n_clients > 1)
			port_show_input(port, iov->iov_base, len);
	}
	return taken;
}
