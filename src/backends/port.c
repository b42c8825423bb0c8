/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "backends/port-journal.h"
#include "backends/port-private.h"
#include "clock.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

enum {
	NOW_MIN = 2048, /* bytes; copying fewer costs less than a call of the kernel for them */
};

size_t port_ring_size(size_t n)
{
	size_t size = 1;

	while (size < n)
		size *= 2;
	return size;
}

int port_init(struct port *port, size_t history)
{
	int err;

	*port = (struct port){ .console = true, .overflow = PORT_DROP };
	list_init(&port->clients);
	err = bytering_init(&port->out, port_ring_size(history));
	if (err < 0)
		return err;
	err = bytering_init(&port->in, PORT_INPUT_SIZE);
	if (err < 0)
		bytering_fini(&port->out);
	return err;
}

void port_fini(struct port *port)
{
	assert(list_empty(&port->clients) && !port->walk);
	bytering_fini(&port->out);
	bytering_fini(&port->in);
}

void port_walk_begin(struct port *port, struct port_walk *w)
{
	*w = (struct port_walk){ .outer = port->walk, .next = port->clients.next };
	port->walk = w;
}

/* The next client; NULL when there is no other, and the walk is over. */
struct port_client *port_walk_next(struct port *port, struct port_walk *w)
{
	struct list_node *node = w->next;

	assert(port->walk == w);
	if (node == &port->clients) {
		port->walk = w->outer;
		return NULL;
	}
	w->next = node->next;
	return list_entry(node, struct port_client, link);
}

static void walks_skip(struct port *port, const struct port_client *c)
{
	for (struct port_walk *w = port->walk; w; w = w->outer)
		if (w->next == &c->link)
			w->next = c->link.next;
}

/* Output: one ring, a cursor for each client, and who it waits for. */

/* The oldest byte that some client that holds has still to read, or, kept, to send. */
static bool slowest_at(const struct port *port, bool kept, uint64_t *ret_pos)
{
	const struct list_node *node = port->clients.next;
	uint64_t slowest = port->out.head;
	bool found = false;

	for (; node != &port->clients; node = node->next) {
		const struct port_client *c = list_entry(node, const struct port_client, link);

		if (!c->holds)
			continue;
		found = true;
		slowest = min_u64(slowest, kept && c->keeps ? c->sent : c->pos);
	}
	/* What is gone from the ring, nobody needs to wait for. */
	*ret_pos = slowest < port->out.tail ? port->out.tail : slowest;
	return found;
}

bool port_slowest(const struct port *port, uint64_t *ret_pos)
{
	return slowest_at(port, false, ret_pos);
}

/* Where the output that is waited for begins: false when nobody waits for any. */
static bool held_from(const struct port *port, uint64_t *ret_pos)
{
	bool found = slowest_at(port, true, ret_pos);

	if (!port->owing)
		return found;
	*ret_pos = min_u64(*ret_pos, port->delivered);
	return true;
}

/*
 * The client that can have output without the ring, or NULL: the only one, up
 * to date, and nobody will ask later for what was not kept.
 */
static struct port_client *now_client(const struct port *port)
{
	struct port_client *c;

	if (port->n_clients != 1 || port->overflow != PORT_HOLD || port->n_replayers > 0 ||
	    port->journal || port->frozen)
		return NULL;
	c = list_first(&port->clients, struct port_client, link);
	return c->takes_now && c->holds && c->pos == port->out.head && !c->notice ? c : NULL;
}

uint64_t port_output_room(const struct port *port)
{
	const struct port_client *c = now_client(port);
	uint64_t slowest;

	if (port->overflow == PORT_DROP || port->output_disabled || !held_from(port, &slowest))
		return UINT64_MAX;
	if (c && c->full)
		return 0;
	return port->out.size - (port->out.head - slowest);
}

void port_output_stalled(struct port *port)
{
	if (port->stalled)
		return;
	port->stalled = true;
	port->stalled_since = monotonic_ns();
	port->counters.n_stalls++;
}

static void end_stall(struct port *port)
{
	if (port->stalled)
		port->counters.stalled_ns += monotonic_ns() - port->stalled_since;
	port->stalled = false;
}

uint64_t port_stalled_ns(const struct port *port)
{
	uint64_t now = port->stalled ? monotonic_ns() - port->stalled_since : 0;

	return port->counters.stalled_ns + now;
}

void port_wake_stalled(struct port *port)
{
	if (!port->stalled || port_output_room(port) == 0)
		return;
	end_stall(port);
	if (port->dev_ops)
		port->dev_ops->output_room(port);
}

uint64_t port_output(struct port *port, const void *data, size_t len)
{
	struct iovec iov = { .iov_base = (void *)(uintptr_t)data, .iov_len = len };

	return port_output_v(port, &iov, 1, len);
}

/* Copies len bytes of the vectors, without the first skip of them. */
static void keep_output(struct port *port, const struct iovec *iov, uint64_t skip, uint64_t len)
{
	bytering_skip_over(&port->out, skip);
	for (len -= skip; len > 0; iov++) {
		/* NOLINTNEXTLINE(clang-analyzer-core.CallAndMessage): the vectors hold len bytes */
		size_t from = (size_t)min_u64(skip, iov->iov_len);
		size_t n = (size_t)min_u64(len, iov->iov_len - from);

		bytering_put_over(&port->out, (char *)iov->iov_base + from, n);
		skip -= from;
		len -= n;
	}
}

uint64_t port_output_v(struct port *port, const struct iovec *iov, unsigned int n, uint64_t total)
{
	struct port_client *c = total >= NOW_MIN ? now_client(port) : NULL;

	if (port->output_disabled) {
		port->counters.output += total;
		port->counters.output_discarded += total;
		return total;
	}
	if (c)
		return port_output_now(c, iov, n, total);
	total = min_u64(total, port_output_room(port));
	port->counters.output += total;
	keep_output(port, iov, total > port->out.size ? total - port->out.size : 0, total);
	return total;
}

void port_output_again(struct port_client *client)
{
	client->full = false;
	port_wake_stalled(client->port);
}

void port_output_done(struct port *port)
{
	struct port_client *c;
	struct port_walk w;

	port_walk_begin(port, &w);
	while ((c = port_walk_next(port, &w)))
		if (c->ops->output_ready && port_readable(c))
			c->ops->output_ready(c);
}

/* Input: one queue, one writer. */

size_t port_input_pending(const struct port *port)
{
	return port->input_disabled ? 0 : bytering_used(&port->in);
}

bool port_host_open(const struct port *port)
{
	return port->n_openers > 0 || (port->guest_open && port_input_pending(port) > 0);
}

void port_check_host_open(struct port *port)
{
	bool open = port_host_open(port);

	if (open == port->told_open)
		return;
	port->told_open = open;
	if (port->dev_ops)
		port->dev_ops->host_open_changed(port);
}

bool port_input_flows(const struct port *port)
{
	return port_input_pending(port) > 0 ||
	       (port->writer && port->writer->gives_now && !port->input_disabled);
}

void port_show_input(struct port *port, const void *data, size_t len)
{
	struct port_client *c;
	struct port_walk w;

	port_walk_begin(port, &w);
	while ((c = port_walk_next(port, &w)))
		if (c->ops->input_seen)
			c->ops->input_seen(c, data, len);
}

static size_t take_queued(struct port *port, const struct iovec *iov, unsigned int n)
{
	size_t taken = 0;

	for (unsigned int i = 0; i < n && bytering_used(&port->in) > 0; i++) {
		size_t len =
			bytering_copy_at(&port->in, port->in.tail, iov[i].iov_base, iov[i].iov_len);

		bytering_consume(&port->in, len);
		taken += len;
	}
	if (!port->journal)
		bytering_rewind(&port->in);
	return taken;
}

static void tell_input_room(struct port *port)
{
	if (port->writer && port->writer->ops->input_room)
		port->writer->ops->input_room(port->writer);
}

size_t port_take_input_v(struct port *port, const struct iovec *iov, unsigned int n)
{
	bool queued = bytering_used(&port->in) > 0;
	size_t taken;

	if (port->input_disabled)
		return 0;
	taken = queued ? take_queued(port, iov, n) : port_take_now(port, iov, n);
	if (taken == 0)
		return 0;
	port->counters.input += taken;
	if (queued && !port->journal)
		tell_input_room(port);
	port_check_host_open(port);
	return taken;
}

void port_input_taken(struct port *port, const struct ring_mark *mark)
{
	if (!port->journal)
		return;
	port_journal_guest_took(port->journal, port, mark);
	tell_input_room(port);
}

size_t port_take_input(struct port *port, void *buf, size_t len)
{
	struct iovec iov = { .iov_base = buf, .iov_len = len };

	return port_take_input_v(port, &iov, 1);
}

void port_tell_input(struct port *port)
{
	if (port->dev_ops && port_input_flows(port))
		port->dev_ops->input_ready(port);
}

/* In a journal, what the guest takes stays until that is committed, and so does room for a receive.
 */
static size_t input_room(const struct port *port)
{
	const struct port_journal *j = port->journal;
	size_t used;

	if (!j)
		return PORT_INPUT_SIZE - min_size(PORT_INPUT_SIZE, bytering_used(&port->in));
	used = (size_t)(port->in.head - j->now.in_tail) + PORT_JOURNAL_RECEIVE;
	return used < port->in.size ? port->in.size - used : 0;
}

size_t port_input(struct port *port, const void *data, size_t len)
{
	size_t n =
		port->frozen ? 0 : bytering_put(&port->in, data, min_size(len, input_room(port)));

	if (n == 0)
		return 0;
	if (port->writer)
		port->writer->n_written += n;
	port_show_input(port, data, n);
	port_tell_input(port);
	return n;
}

void port_input_offer(struct port_client *client)
{
	client->gives_now = true;
	if (port_is_writer(client))
		port_tell_input(client->port);
}

/* Who is there. */

static void tell_guest_changed(struct port *port)
{
	struct port_client *c;
	struct port_walk w;

	port_walk_begin(port, &w);
	while ((c = port_walk_next(port, &w)))
		if (c->ops->guest_changed)
			c->ops->guest_changed(c);
}

void port_set_present(struct port *port, bool present)
{
	if (port->present == present)
		return;
	port->present = present;
	if (!present)
		end_stall(port); /* nobody waits; who comes next looks again */
	tell_guest_changed(port);
}

void port_set_guest_open(struct port *port, bool open)
{
	if (port->guest_open == open)
		return;
	port->guest_open = open;
	tell_guest_changed(port);
	port_check_host_open(port);
}

struct port_client *port_find_client(struct port *port, unsigned int id)
{
	struct list_node *node = port->clients.next;

	for (; node != &port->clients; node = node->next) {
		struct port_client *c = list_entry(node, struct port_client, link);

		if (c->id == id)
			return c;
	}
	return NULL;
}

/* The first that may write. */
static struct port_client *next_writer(struct port *port)
{
	struct list_node *node = port->clients.next;

	for (; node != &port->clients; node = node->next) {
		struct port_client *c = list_entry(node, struct port_client, link);

		if (c->writes)
			return c;
	}
	return NULL;
}

static void set_writer(struct port *port, struct port_client *client)
{
	port->writer = client;
	if (client && client->cols > 0)
		port_resize(port, client->cols, client->rows);
}

/* Tells the client with that id of its new role; any callback may make it leave. */
static void tell_role(struct port *port, unsigned int id)
{
	struct port_client *c = port_find_client(port, id);

	if (c && c->notice && c->ops->output_ready)
		c->ops->output_ready(c);
	c = port_find_client(port, id);
	if (c && c->ops->input_room)
		c->ops->input_room(c);
}

static const char *const notices[] = {
	"the keyboard was taken over by another client",
	"the keyboard is yours now",
};

const char *port_notice_named(const char *text)
{
	for (size_t i = 0; i < ARRAY_SIZE(notices); i++)
		if (strcmp(notices[i], text) == 0)
			return notices[i];
	return NULL;
}

static void set_notice(struct port_client *c, const char *notice)
{
	if (c->shows)
		c->notice = notice;
}

/* Makes client the writer; tells the one before, but not client. */
static void take_over(struct port_client *client)
{
	struct port *port = client->port;
	struct port_client *before = port->writer;
	unsigned int before_id = before ? before->id : 0;

	if (before) {
		set_notice(before, notices[0]);
		set_notice(client, notices[1]);
	}
	set_writer(port, client);
	tell_role(port, before_id);
}

void port_steal(struct port_client *client)
{
	struct port *port = client->port;
	unsigned int id = client->id;

	if (port->writer == client || !client->writes)
		return;
	take_over(client);
	tell_role(port, id);
}

/*
 * What is gone is told as lost. Output that came with a move and that nobody
 * here has read is given to the first that comes for it.
 */
static uint64_t replay_start(const struct port *port, const struct port_client_options *options)
{
	uint64_t pos = port->out.head - min_u64(options->replay, port->out.head);

	if (options->holds && !options->passive && port->owing)
		pos = min_u64(pos, port->delivered);
	return pos < port->begin ? port->begin : pos;
}

void port_join(struct port *port, struct port_client *client, const struct port_client_ops *ops,
	       const struct port_client_options *options)
{
	*client = (struct port_client){
		.ops = ops,
		.port = port,
		.id = ++port->last_client_id,
		.writes = options->writes,
		.holds = options->holds,
		.passive = options->passive,
		.shows = options->shows,
		.pos = replay_start(port, options),
		.replay_end = port->out.head,
		.sanitize = { .level = (uint8_t)options->sanitize },
	};
	snprintf(client->what, sizeof(client->what), "%s", options->what ? options->what : "");
	if (client->holds && !client->passive)
		port->owing = false;
	list_append(&port->clients, &client->link);
	port->n_clients++;
	port->n_openers += !client->passive;
	port_check_host_open(port);
	port_wake_stalled(port); /* who had output without the ring is not alone any more */
	if (client->writes && (!port->writer || options->steals))
		take_over(client);
}

void port_end_input(struct port_client *client)
{
	struct port *port = client->port;
	struct port_client *next;

	client->writes = false;
	if (!port_is_writer(client))
		return;
	next = next_writer(port);
	set_writer(port, next);
	if (next && next->ops->input_room)
		next->ops->input_room(next);
}

void port_leave(struct port_client *client)
{
	struct port *port = client->port;

	walks_skip(port, client);
	list_remove(&client->link);
	port->n_clients--;
	port->n_openers -= !client->passive;
	port_end_input(client);
	port_input_stopped(client);
	port_check_host_open(port);
	port_wake_stalled(port);
}
