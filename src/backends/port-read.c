/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Output as a client reads it: old without its questions, and what was lost in words. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#include "backends/port-private.h"

enum {
	LINE_MAX_LEN = 80, /* of the lines that port_read() puts in, two at most */
	DISCARD_SIZE = 4096,
};

_Static_assert(PORT_READ_MIN >= 2 * LINE_MAX_LEN + SANITIZE_HELD_MAX + REPLAY_HELD_MAX + 2,
	       "a read has room for lines, held bytes, and new ones");

bool port_readable(const struct port_client *client)
{
	return !client->port->frozen && (client->pos < client->port->out.head || client->notice);
}

/* A line for people: what they missed, or what their keyboard does. Returns its length. */
static size_t put_line(struct port_client *c, char *buf, uint64_t n_lost)
{
	size_t len = 0;

	if (!c->shows) {
		c->notice = NULL;
		return 0;
	}
	if (n_lost > 0)
		len = (size_t)snprintf(buf, LINE_MAX_LEN,
				       "\r\n[%" PRIu64 " bytes of output lost here]\r\n", n_lost);
	if (c->notice)
		len += (size_t)snprintf(buf + len, LINE_MAX_LEN, "\r\n[%s]\r\n", c->notice);
	c->notice = NULL;
	return len;
}

/* Output from before the client came, less what its terminal would answer to. */
static size_t read_old(struct port_client *c, char *buf, size_t cap)
{
	const struct bytering *out = &c->port->out;
	uint64_t left = c->replay_end - c->pos;
	/* At one end of buf what is read, at the other what the filter makes of it. */
	size_t n = (size_t)min_u64(left, (cap - REPLAY_HELD_MAX) / 2);
	char *raw = buf + cap - n;
	size_t len;

	bytering_copy_at(out, c->pos, raw, n);
	c->pos += n;
	len = replay_filter(&c->replay, raw, n, buf);
	if (c->pos == c->replay_end)
		len += replay_flush(&c->replay, buf + len);
	return len;
}

/* Each message goes through here, so it stands in both places that call it (tests/budget). */
static inline __attribute__((always_inline)) size_t read_on(struct port_client *c, char *buf,
							    size_t cap)
{
	const struct bytering *out = &c->port->out;
	size_t len = 0, n;

	while (c->shows && c->pos < c->replay_end && len == 0)
		len = read_old(c, buf, cap); /* 0 when all of it was questions */
	if (len > 0)
		return len;
	n = bytering_copy_at(out, c->pos, buf, cap);
	c->pos += n;
	return n;
}

/* The same without what the client is not to be given; 0 when there is no more. */
static __attribute__((noinline)) size_t read_sane(struct port_client *c, char *buf, size_t cap)
{
	char *raw = buf + SANITIZE_HELD_MAX; /* so that nothing is written over before it is read */
	size_t len = 0, n;

	c->pos_before = c->pos;
	do {
		n = read_on(c, raw, cap - SANITIZE_HELD_MAX);
		len = sanitize_filter(&c->sanitize, raw, n, buf);
		c->n_read += n;
	} while (len == 0 && n > 0);
	return len;
}

/* Moves a client on to the oldest byte there is. Returns how many it will never see. */
static uint64_t skip_lost(struct port_client *c)
{
	struct port *port = c->port;
	uint64_t lost;

	if (c->pos >= port->out.tail)
		return 0;
	/* A sequence that was held has no end any more. */
	lost = port->out.tail - c->pos + c->replay.n_held;
	c->replay = (struct replay){ 0 };
	sanitize_restart(&c->sanitize);
	c->pos = port->out.tail;
	c->n_lost += lost;
	port->counters.output_lost += lost;
	return lost;
}

size_t port_read(struct port_client *client, void *buf, size_t cap)
{
	size_t line, n;

	assert(cap >= PORT_READ_MIN);
	if (client->port->frozen)
		return 0;
	line = put_line(client, buf, skip_lost(client));
	if (client->sanitize.level != SANITIZE_OFF) {
		n = read_sane(client, (char *)buf + line, cap - line);
	} else {
		n = read_on(client, (char *)buf + line, cap - line);
		client->n_read += n;
	}
	if (client->port->delivered < client->pos)
		client->port->delivered = client->pos;
	port_wake_stalled(client->port);
	return line + n;
}

void port_discard(struct port_client *client)
{
	char scratch[DISCARD_SIZE];

	while (port_readable(client) && port_read(client, scratch, sizeof(scratch)) > 0)
		;
}
