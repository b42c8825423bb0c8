/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* A client whose transfers are in the journal of its port. */
#include <sys/mman.h>

#include "backends/client-private.h"
#include "backends/port-journal.h"

_Static_assert(CLIENT_INPUT_SIZE == (int)PORT_JOURNAL_RECEIVE, "one receive is one input");

ssize_t client_recorded_read(struct stream *s)
{
	return port_journal_receive(container_of(s, struct client, stream)->journal, s->in_fd);
}

ssize_t client_recorded_write(struct stream *s, const void *buf, size_t len)
{
	struct client *c = container_of(s, struct client, stream);
	ssize_t n = port_journal_send(c->journal, s->out_fd, client_position(c), buf, len);

	if (n > 0) {
		c->member.sent = client_position(c) + (uint64_t)n;
		port_output_again(&c->member);
	}
	return n;
}

void client_recorded(struct client *c)
{
	munmap(c->in, CLIENT_INPUT_SIZE);
	c->journal = c->member.port->journal;
	c->in = (char *)c->journal->received;
	c->socket = false;
	c->stream.recorded = true;
	c->member.keeps = true;
}

void client_record(struct client *c)
{
	struct port_journal *j = c->member.port->journal;

	if (!j || !c->socket || c->member.sanitize.level || !c->member.holds ||
	    !port_journal_join(j, c->member.pos))
		return;
	client_recorded(c);
	c->member.sent = c->member.pos;
}
