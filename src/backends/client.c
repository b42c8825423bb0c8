/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "backends/client-private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "backends/port-journal.h"
#include "log.h"

static struct client *from_stream(struct stream *s)
{
	return container_of(s, struct client, stream);
}

static struct client *from_member(struct port_client *m)
{
	return container_of(m, struct client, member);
}

/* The end */

static void timer_idle(struct scope *timer_scope)
{
	struct client *c = container_of(timer_scope, struct client, timer_scope);

	c->gone(c->arg);
	client_unmake(c);
}

static void stream_closed(struct stream *s)
{
	struct client *c = from_stream(s);

	if (c->journal && c->finishing)
		port_journal_part(c->journal);
	else if (c->journal)
		port_journal_leave(c->journal);
	port_leave(&c->member);
	scope_cancel(&c->timer_scope, timer_idle);
}

/* From now on output goes through the ring. */
static void stop_output_now(struct client *c)
{
	c->member.takes_now = false;
	port_output_again(&c->member);
}

void client_drop(struct client *c, const char *why)
{
	if (c->dropped)
		return;
	c->dropped = true;
	if (why)
		attachment_log(c->owner, LOG_LEVEL_INFO, "client %u (%s) left: %s", c->member.id,
			       c->member.what, why);
	c->member.gives_now = false;
	stop_output_now(c);
	wire_farewell(c);
	stream_close(&c->stream, stream_closed);
}

static void finished(struct client *c)
{
	client_drop(c, "its attachment is closed");
}

void client_finish(struct client *c)
{
	if (c->dropped)
		return;
	c->finishing = true;
	c->member.gives_now = false;
	stop_output_now(c);
	stream_pause(&c->stream);
	port_end_input(&c->member);
	if (c->stream.output_over)
		finished(c);
	else
		stream_write(&c->stream);
}

/* Input: from the stream, through telnet, to the port. */

/* Gives the port what waits; false while some has to wait on. */
static bool input_passed(struct client *c)
{
	if (c->passing)
		return false; /* the guest has taken some at once, and we are told of the room */
	c->passing = true;
	while (c->in_len > 0) {
		size_t n;

		if (!port_is_writer(&c->member)) {
			if (c->journal)
				port_journal_input(c->journal, c->member.port, c->in_len);
			c->in_len = 0;
			break;
		}
		n = port_input(c->member.port, c->in + c->in_at, c->in_len);
		if (n == 0)
			break;
		if (c->journal)
			port_journal_input(c->journal, c->member.port, n);
		c->in_at += n;
		c->in_len -= n;
	}
	c->passing = false;
	return c->in_len == 0;
}

/* What it must have moved by the end of the time: see linger_done(). */
static uint64_t progress(const struct client *c)
{
	return c->deaf ? c->member.n_written : client_position(c);
}

void client_linger(struct client *c)
{
	if (c->dropped || op_armed(&c->leave.op))
		return;
	c->progress_at_arm = progress(c);
	timer_arm(&c->leave, CLIENT_LINGER_MS * UINT64_C(1000000));
}

static size_t input_space(struct stream *s, void **ret_buf)
{
	struct client *c = from_stream(s);

	if (c->member.port->frozen)
		return 0;
	do {
		if (!input_passed(c)) {
			if (c->deaf)
				client_linger(c);
			return 0;
		}
	} while (wire_decrypt(c));
	if (c->wire || c->tls)
		return wire_input_space(c, ret_buf);
	*ret_buf = c->in;
	return CLIENT_INPUT_SIZE;
}

static void input(struct stream *s, size_t len)
{
	struct client *c = from_stream(s);

	if (c->tls) {
		tls_came(c->tls, len); /* input_space() is asked next, and decrypts it */
		return;
	}
	c->n_received += len;
	s->bulk = c->socket && len == CLIENT_INPUT_SIZE && port_is_writer(&c->member);
	c->in_at = 0;
	c->in_len = c->wire ? 0 : len;
	if (c->wire)
		wire_input(c, len);
	input_passed(c);
}

/* Without a guest nobody takes anything, and so finds that there is but the end of it. */
/* seccomp: recvfrom */
static bool ends_unseen(const struct client *c)
{
	const struct port *port = c->member.port;
	char byte;

	return !(port->present && port->guest_open) &&
	       recv(c->stream.in_fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

/* In bulk the device takes it from the socket, or as before if it is not the port's. */
static void readable(struct stream *s)
{
	struct client *c = from_stream(s);

	if (port_is_writer(&c->member) && !ends_unseen(c)) {
		port_input_offer(&c->member);
	} else {
		s->bulk = false;
		stream_read(s);
	}
}

static size_t input_now(struct port_client *m, const struct iovec *iov, unsigned int n)
{
	struct client *c = from_member(m);
	size_t len = stream_read_now(&c->stream, iov, n);

	c->n_received += len;
	/* It waits for more by itself, or is at its end. */
	if (op_armed(&c->stream.rd) || op_armed(&c->stream.nap.op) || len == 0)
		m->gives_now = false;
	return len;
}

void client_input_ended(struct client *c, int err)
{
	if (err < 0) {
		client_drop(c, strerror(-err));
	} else if (c->deaf || c->stream.out_fd < 0) {
		client_drop(c, "it closed the connection");
	} else {
		port_end_input(&c->member);
		if (!c->stays)
			client_linger(c);
	}
}

static void input_ended(struct stream *s, int err)
{
	struct client *c = from_stream(s);

	/* With TLS its own end is a message: anybody on the way can make this one. */
	if (c->tls && err == 0)
		client_drop(c, "it closed the connection without a TLS close_notify");
	else
		client_input_ended(c, err);
}

/*
 * A client that has sent its last byte stays as long as there is output for it:
 * should it be gone, writing will tell. A deaf one, which nothing will tell of,
 * stays as long as the guest takes what it left.
 */
static void linger_done(struct op *op, int res)
{
	struct client *c = container_of(op, struct client, leave.op);
	bool moved = progress(c) != c->progress_at_arm;

	if (res != -ETIME || c->dropped || (c->deaf && c->in_len == 0))
		return;
	if (moved || (!c->deaf && stream_writing(&c->stream)) || c->member.port->frozen)
		client_linger(c);
	else
		client_drop(c, "it closed the connection");
}

/* Output: from the port, through telnet, to the stream. */

static size_t output(struct stream *s, void *buf, size_t cap)
{
	struct client *c = from_stream(s);

	return c->wire || c->tls ? wire_output(c, buf, cap) : port_read(&c->member, buf, cap);
}

static void await_room(struct client *c)
{
	if (c->dropped || op_armed(&c->full.op))
		return;
	c->n_full_at_arm = c->n_full;
	timer_arm(&c->full, FULL_MS * UINT64_C(1000000));
}

static size_t output_now(struct port_client *m, const struct iovec *iov, unsigned int n)
{
	struct client *c = from_member(m);
	size_t len = stream_write_now(&c->stream, iov, n);

	m->full = m->takes_now && op_armed(&c->stream.wr);
	m->takes_now &= m->full || len > 0;
	if (m->full) {
		c->n_full++;
		await_room(c);
	}
	return len;
}

/* A peer that reads on makes room soon. For one that does not, there is the ring. */
static void full_done(struct op *op, int res)
{
	struct client *c = container_of(op, struct client, full.op);

	if (res != -ETIME || !c->member.full)
		return;
	if (c->n_full == c->n_full_at_arm)
		stop_output_now(c);
	else
		await_room(c);
}

/*
 * VC-067. A peer that has closed the connection may have typed something
 * before, which is still to be read, or waits for the guest to take it.
 */
static void output_failed(struct stream *s, int err)
{
	struct client *c = from_stream(s);

	stop_output_now(c);
	if (c->finishing || s->in_fd < 0 || s->input_over || !port_is_writer(&c->member)) {
		client_drop(c, strerror(-err));
		return;
	}
	c->deaf = true;
	port_discard(&c->member);
	/* What is read from here on comes before what the socket still has. */
	c->member.gives_now = s->bulk = false;
	stream_read(s);
	if (c->in_len > 0)
		client_linger(c);
}

static void drained(struct stream *s)
{
	struct client *c = from_stream(s);

	if (c->finishing) {
		finished(c);
		return;
	}
	c->member.takes_now = c->socket && !c->member.shows && !c->member.sanitize.level &&
			      !c->deaf && !c->stream.half_closed;
	if (c->member.full)
		port_output_again(&c->member);
}

static void halted(struct stream *s)
{
	port_input_stopped(&from_stream(s)->member);
}

static const struct stream_ops stream_ops = {
	.input_space = input_space,
	.input = input,
	.input_ended = input_ended,
	.output = output,
	.output_failed = output_failed,
	.drained = drained,
	.readable = readable,
	.recorded_read = client_recorded_read,
	.recorded_write = client_recorded_write,
	.halted = halted,
};

/* The port's side */

static void output_ready(struct port_client *m)
{
	struct client *c = from_member(m);

	if (c->deaf)
		port_discard(&c->member);
	else
		stream_write(&c->stream);
}

static void input_room(struct port_client *m)
{
	struct client *c = from_member(m);

	if (m->gives_now && (!port_is_writer(m) || ends_unseen(c))) {
		m->gives_now = false;
		c->stream.bulk = false;
	}
	if (!m->gives_now)
		stream_read(&c->stream);
}

static bool input_stop(struct port_client *m)
{
	return stream_halt(&from_member(m)->stream);
}

static size_t input_held(struct port_client *m, const void **ret_data)
{
	struct client *c = from_member(m);

	*ret_data = c->in + c->in_at;
	return c->in_len;
}

static void input_forget(struct port_client *m)
{
	from_member(m)->in_len = 0;
}

static void disconnect(struct port_client *m, const char *why)
{
	client_drop(from_member(m), why);
}

const struct port_client_ops client_member_ops = {
	.output_ready = output_ready,
	.input_room = input_room,
	.disconnect = disconnect,
	.output_now = output_now,
	.input_now = input_now,
	.input_stop = input_stop,
	.input_held = input_held,
	.input_forget = input_forget,
	.guest_changed = input_room, /* it may have been the one that takes */
};

/* The start */

static void join(struct client *c, const struct client_args *args)
{
	struct port_client_options options = attachment_client_options(args->owner, args->what);

	if (args->in_fd < 0)
		options.writes = false;
	if (args->out_fd < 0)
		options.holds = false;
	if (args->replay)
		options.replay = *args->replay;
	port_join(args->owner->args.port, &c->member, &client_member_ops, &options);
	c->member.tls = c->tls ? tls_facts(c->tls) : NULL;
	attachment_log(args->owner, LOG_LEVEL_INFO, "client %u (%s) joined%s", c->member.id,
		       c->member.what,
		       port_is_writer(&c->member) ? ""
		       : options.writes		  ? " and watches; another has the keyboard"
						  : " and watches");
}

/* Pages that nobody has typed into cost nothing. NULL without memory. */
/* seccomp: mmap munmap */
static char *map_input(void)
{
	void *in = mmap(NULL, CLIENT_INPUT_SIZE, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return in == MAP_FAILED ? NULL : in;
}

void client_unmake(struct client *c)
{
	wire_free(c);
	free(c->stream.out);
	if (!c->journal)
		munmap(c->in, CLIENT_INPUT_SIZE);
	free(c);
}

int client_make(const struct client_args *args, struct client **ret_client)
{
	struct loop *loop = args->owner->args.loop;
	struct client *c = calloc(1, sizeof(*c));
	int err;

	if (!c)
		return -ENOMEM;
	c->in = map_input();
	if (!c->in) {
		free(c);
		return -ENOMEM;
	}
	c->owner = args->owner;
	c->stays = args->stays;
	c->gone = args->gone;
	c->arg = args->arg;
	scope_init(&c->timer_scope, loop);
	timer_init(&c->leave, &c->timer_scope, linger_done);
	timer_init(&c->full, &c->timer_scope, full_done);
	if (args->telnet) {
		err = wire_new(c);
		if (err < 0)
			goto fail;
	}
	err = stream_init(&c->stream, loop, args->in_fd, args->out_fd, &stream_ops);
	if (err < 0)
		goto fail;
	c->tls = args->tls;
	c->socket = !args->telnet && !c->tls && stream_is_socket(&c->stream);
	*ret_client = c;
	return 0;
fail:
	client_unmake(c);
	return err;
}

int client_new(const struct client_args *args, struct client **ret_client)
{
	struct client *c;
	int err;

	if (args->from)
		return client_load(args, ret_client);
	err = client_make(args, &c);
	if (err < 0)
		return err;
	join(c, args);
	client_record(c);
	stream_write(&c->stream);
	stream_read(&c->stream);
	*ret_client = c;
	return 0;
}

void client_resize(struct client *c, uint16_t cols, uint16_t rows)
{
	port_client_resize(&c->member, cols, rows);
}

uint64_t client_n_received(const struct client *c)
{
	return c->n_received;
}

uint64_t client_position(const struct client *c)
{
	uint64_t unwritten = wire_unwritten(c);

	/* How much of the last read it was before something was taken out, nobody knows. */
	if (c->member.sanitize.level && unwritten > 0)
		return c->member.pos_before;
	return c->member.pos - min_u64(unwritten, c->member.pos);
}
