/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A pseudo-terminal for programs that want a serial line. Whoever opens it
 * becomes a client of the port and the last one to close it leaves the port, so
 * the host side is open exactly then and no output goes where nobody reads.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "backends/port-handover.h"
#include "backends/pty-device.h"
#include "fd.h"
#include "log.h"

enum {
	OUT_SIZE = 16 * 1024,
	IN_SIZE = 4096,
	DRAIN_NS = 10 * 1000 * 1000,
};

enum { TAG_DEVICE = 1, TAG_DEAF, TAG_IN, TAG_OUT, TAG_CLIENT }; /* of a hand-over */

struct pty {
	struct attachment base;
	struct pty_device device;
	struct port_client client;
	bool joined; /* somebody has it open */
	struct scope scope;
	struct op rd, wr;
	bool rd_polling, wr_polling;

	char in[IN_SIZE]; /* input that the port has had no room for yet */
	size_t in_at, in_len;
	bool passing; /* the port is being given some of it */

	char out[OUT_SIZE];
	size_t out_len, out_done;
	bool deaf;	     /* nobody has it open, but the last input is not taken yet */
	bool stale;	     /* the write under way is not out's any more */
	bool reading, again; /* port_read() may come back to us, for a guest that was waiting */

	struct timer drain; /* while the last output is being read, at the end */
	bool closing, hurried;
	bool down; /* operations end, then the device goes, to be made anew unless gone */
	bool gone;
};

static struct pty *from_client(struct port_client *c)
{
	return container_of(c, struct pty, client);
}

static struct pty *from_device(struct pty_device *d)
{
	return container_of(d, struct pty, device);
}

static bool open_device(struct pty *p);

/* The end, or a new beginning */

static void leave(struct pty *p)
{
	if (!p->joined)
		return;
	p->joined = false;
	p->deaf = false;
	p->in_len = 0;
	p->out_len = 0;
	p->out_done = 0;
	p->stale = op_armed(&p->wr);
	op_cancel(&p->wr);
	port_leave(&p->client);
	if (p->down)
		return; /* so does the terminal */
	/* The next one begins with what the port replays, not with a remainder. */
	pty_device_reset_modes(&p->device);
	pty_device_flush(&p->device);
}

static void device_idle(struct scope *scope)
{
	struct pty *p = container_of(scope, struct pty, device.scope);

	leave(p);
	pty_device_close(&p->device);
	p->down = false;
	if (p->gone)
		attachment_end(&p->base);
	else
		open_device(p);
}

static void operations_idle(struct scope *scope)
{
	struct pty *p = container_of(scope, struct pty, scope);

	pty_device_stop(&p->device, device_idle);
}

static void take_down(struct pty *p)
{
	if (p->down)
		return;
	p->down = true;
	scope_cancel(&p->scope, operations_idle);
}

static void let_go(struct pty *p)
{
	p->gone = true;
	take_down(p);
}

/* Input */

/* seccomp(terminals): ioctl:TIOCGWINSZ */
static void read_size(struct pty *p)
{
	struct winsize size;

	/* 0 x 0 as long as nobody has set it. */
	if (ioctl(p->device.master, TIOCGWINSZ, &size) == 0 && size.ws_col && size.ws_row)
		port_client_resize(&p->client, size.ws_col, size.ws_row);
}

static void read_on(struct pty *p)
{
	if (!p->joined || p->in_len > 0 || op_armed(&p->rd) || p->down || p->closing ||
	    p->client.port->frozen)
		return;
	op_read(&p->rd, p->device.master, p->in, sizeof(p->in));
}

/* Gives the port what was typed; what one that only watches types goes nowhere. */
static void pass_input(struct pty *p)
{
	if (p->passing)
		return; /* the guest has taken some at once, and we are told of the room */
	p->passing = true;
	while (p->in_len > 0) {
		size_t n;

		if (!port_is_writer(&p->client)) {
			p->in_len = 0;
			break;
		}
		n = port_input(p->base.args.port, p->in + p->in_at, p->in_len);
		if (n == 0)
			break;
		p->in_at += n;
		p->in_len -= n;
	}
	p->passing = false;
	read_on(p);
}

/* The last one has closed it: the master is told by an error, after all that was typed. */
static void hung_up(struct pty *p)
{
	if (pty_device_in_use(&p->device)) {
		read_on(p); /* and another one has opened it */
		return;
	}
	attachment_log(&p->base, LOG_LEVEL_INFO, "client %u (%s) left: it closed the terminal",
		       p->client.id, p->client.what);
	leave(p);
}

static void take_read(struct pty *p, int res)
{
	bool polled = p->rd_polling;

	p->rd_polling = false;
	if (p->down || p->closing || !p->joined)
		return;
	if (res > 0 && !polled) {
		p->in_at = 0;
		p->in_len = (size_t)res;
		read_size(p);
		pass_input(p);
	} else if (polled || res == -EINTR || res == -ECANCELED) {
		read_on(p);
	} else if (res == -EAGAIN) {
		p->rd_polling = true;
		op_poll(&p->rd, p->device.master, POLLIN);
	} else {
		hung_up(p);
	}
}

static void read_done(struct op *op, int res)
{
	struct pty *p = container_of(op, struct pty, rd);

	take_read(p, res);
	if (p->joined && !op_armed(op))
		port_input_stopped(&p->client);
}

/* Output */

/* The last output is written; closing the master would take it from whoever reads. */
static void drained(struct pty *p)
{
	if (!p->closing || op_armed(&p->drain.op))
		return;
	if (pty_device_drained(&p->device) || !pty_device_in_use(&p->device))
		let_go(p);
	else
		timer_arm(&p->drain, DRAIN_NS);
}

static void drain_done(struct op *op, int res)
{
	struct pty *p = container_of(op, struct pty, drain.op);

	(void)res;
	if (!p->down)
		drained(p);
}

static void write_chunk(struct pty *p)
{
	op_write(&p->wr, p->device.master, p->out + p->out_done, p->out_len - p->out_done);
}

static size_t read_port(struct pty *p)
{
	size_t n = 0;

	p->reading = true;
	do {
		p->again = false;
		n = port_read(&p->client, p->out, sizeof(p->out));
	} while (n == 0 && p->again && p->joined);
	p->reading = false;
	return n;
}

static void discard_output(struct pty *p)
{
	while (p->joined && port_readable(&p->client) && read_port(p) > 0)
		;
}

/*
 * When nobody has it open any more, nothing is written: the end is about to be
 * noticed. Unless a guest that is slow to take the last input delays that: then
 * it must not wait for us in turn.
 */
static void write_more(struct pty *p)
{
	p->again = true;
	if (!p->joined || p->reading || p->down || op_armed(&p->wr))
		return;
	if (!pty_device_in_use(&p->device)) {
		p->deaf = p->in_len > 0;
		if (p->deaf)
			discard_output(p);
		if (p->closing)
			let_go(p);
		return;
	}
	p->out_done = 0;
	p->out_len = read_port(p);
	if (p->out_len > 0)
		write_chunk(p);
	else
		drained(p);
}

static void write_done(struct op *op, int res)
{
	struct pty *p = container_of(op, struct pty, wr);
	bool polled = p->wr_polling, stale = p->stale;

	p->wr_polling = false;
	p->stale = false;
	if (p->down)
		return;
	if (stale) {
		/* It may have got bytes through at the last moment. */
		pty_device_flush(&p->device);
		write_more(p);
		return;
	}
	if (res > 0 && !polled)
		p->out_done += (size_t)res;
	if (res == -EAGAIN) {
		p->wr_polling = true;
		op_poll(&p->wr, p->device.master, POLLOUT);
		return;
	}
	/* It goes with the one who left. */
	if (polled ? res < 0 || (res & POLLHUP) : res < 0 && res != -EINTR && res != -ECANCELED)
		p->out_done = p->out_len;
	if (p->out_done < p->out_len)
		write_chunk(p);
	else
		write_more(p);
}

/* The port's side */

static void output_ready(struct port_client *c)
{
	write_more(from_client(c));
}

static void input_room(struct port_client *c)
{
	struct pty *p = from_client(c);

	if (!p->closing && !p->down)
		pass_input(p);
}

/* Nothing is read while the port is frozen; a read under way is told of when it ends. */
static bool input_stop(struct port_client *c)
{
	struct pty *p = from_client(c);

	op_cancel(&p->rd);
	return !op_armed(&p->rd);
}

static size_t input_held(struct port_client *c, const void **ret_data)
{
	struct pty *p = from_client(c);

	*ret_data = p->in + p->in_at;
	return p->in_len;
}

static void input_forget(struct port_client *c)
{
	from_client(c)->in_len = 0;
}

/* Nobody can be made to close it, but the terminal can be taken from under them. */
static void disconnect(struct port_client *c, const char *why)
{
	struct pty *p = from_client(c);

	if (p->down)
		return;
	attachment_log(&p->base, LOG_LEVEL_INFO, "client %u (%s) left: %s", c->id, c->what, why);
	p->gone = p->closing;
	take_down(p);
}

static const struct port_client_ops client_ops = {
	.output_ready = output_ready,
	.input_room = input_room,
	.input_stop = input_stop,
	.input_held = input_held,
	.input_forget = input_forget,
	.disconnect = disconnect,
};

static void join(struct pty *p)
{
	char what[PTY_NAME_MAX + 8];
	struct port_client_options options;

	snprintf(what, sizeof(what), "pty %s", p->device.name);
	options = attachment_client_options(&p->base, what);
	p->joined = true;
	port_join(p->base.args.port, &p->client, &client_ops, &options);
	attachment_log(&p->base, LOG_LEVEL_INFO, "client %u (%s) joined", p->client.id, what);
	read_size(p);
	write_more(p);
	read_on(p);
}

/* The one before has left, but for input that the guest takes with what comes now. */
static void join_after_deaf(struct pty *p)
{
	size_t n_left = p->in_len;

	leave(p);
	p->in_len = n_left;
	join(p);
}

static void touched(struct pty_device *d, enum pty_event event)
{
	struct pty *p = from_device(d);

	if (p->closing || p->down)
		return;
	/* It may be closed by now, but what was typed is there. */
	if (event == PTY_OPENED && !p->joined)
		join(p);
	else if (event == PTY_OPENED && p->deaf)
		join_after_deaf(p);
	if (!p->joined)
		return;
	read_size(p);  /* stty has been here, perhaps */
	write_more(p); /* the last one left and another came before we saw */
}

/* Opening */

static bool open_device(struct pty *p)
{
	char why[256];

	if (pty_device_open(&p->device, p->base.args.loop, p->base.args.options, touched, why,
			    sizeof(why)) == 0)
		return true;
	attachment_log(&p->base, LOG_LEVEL_WARNING, "%s; there is none until it is opened anew",
		       why);
	return false;
}

/* Another process. */

static void pty_save(const struct attachment *a, struct handover_out *out)
{
	const struct pty *p = container_of(a, const struct pty, base);
	struct state_writer *w = &out->state;
	size_t unwritten = p->joined ? p->out_len - p->out_done : 0;

	if (p->closing || p->down || p->stale)
		handover_busy(out, "pty %s is being closed", p->device.name);
	pty_device_save(&p->device, out, TAG_DEVICE);
	state_put_number(w, TAG_DEAF, p->deaf);
	state_put_bytes(w, TAG_IN, p->in + p->in_at, p->in_len);
	state_put_bytes(w, TAG_OUT, p->out + p->out_done, unwritten);
	if (p->joined)
		port_client_save(&p->client, out, TAG_CLIENT);
}

static void pty_load(struct pty *p, struct handover_in *in)
{
	struct state_reader *r = &in->state;
	const uint8_t *bytes;

	pty_device_load(&p->device, p->base.args.loop, p->base.args.options, touched, in,
			TAG_DEVICE);
	p->deaf = state_take_flag(r, TAG_DEAF, "deaf");
	p->in_len = state_take_bytes(r, TAG_IN, "input", sizeof(p->in), &bytes);
	if (p->in_len > 0)
		memcpy(p->in, bytes, p->in_len);
	p->out_len = state_take_bytes(r, TAG_OUT, "output", sizeof(p->out), &bytes);
	if (p->out_len > 0)
		memcpy(p->out, bytes, p->out_len);
	if (!state_has(r, TAG_CLIENT))
		return;
	p->joined = port_client_load(p->base.args.port, &p->client, &client_ops, in, TAG_CLIENT);
	if (!p->joined)
		return;
	if (p->out_len > 0)
		write_chunk(p);
	else
		write_more(p);
	pass_input(p);
}

static int pty_open(const struct attachment_args *args, struct attachment **ret_attachment,
		    char *ret_why, size_t why_cap)
{
	struct pty *p = calloc(1, sizeof(*p));
	int err;

	if (!p) {
		snprintf(ret_why, why_cap, "out of memory");
		return -ENOMEM;
	}
	p->base.ops = &attachment_pty;
	p->base.args = *args;
	scope_init(&p->scope, args->loop);
	op_init(&p->rd, &p->scope, read_done);
	op_init(&p->wr, &p->scope, write_done);
	timer_init(&p->drain, &p->scope, drain_done);
	*ret_attachment = &p->base;
	if (args->from) {
		pty_load(p, args->from);
		return 0;
	}
	err = pty_device_open(&p->device, args->loop, args->options, touched, ret_why, why_cap);
	if (err < 0) {
		free(p);
		return err;
	}
	return 0;
}

static void pty_describe(const struct attachment *a, char *buf, size_t cap)
{
	const struct pty *p = container_of(a, const struct pty, base);
	const char *link = a->args.options->address;
	const char *state = p->device.master < 0 ? ", failed" : p->joined ? ", open" : "";

	if (link)
		snprintf(buf, cap, "pty %s (%s)%s", link, p->device.name, state);
	else
		snprintf(buf, cap, "pty %s%s", p->device.name, state);
}

static void pty_close(struct attachment *a)
{
	struct pty *p = container_of(a, struct pty, base);

	p->closing = true;
	p->in_len = 0;
	op_cancel(&p->rd);
	if (p->joined)
		port_end_input(&p->client);
	if (p->hurried || p->down || !p->joined)
		let_go(p);
	else
		write_more(p);
}

static void pty_hurry(struct attachment *a)
{
	struct pty *p = container_of(a, struct pty, base);

	p->hurried = true;
	if (p->closing)
		let_go(p);
}

/* Only one that could not be made again is. */
static void pty_reopen(struct attachment *a)
{
	struct pty *p = container_of(a, struct pty, base);

	if (p->device.master < 0 && !p->closing && !p->down)
		open_device(p);
}

const struct attachment_ops attachment_pty = {
	.open = pty_open,
	.describe = pty_describe,
	.close = pty_close,
	.hurry = pty_hurry,
	.save = pty_save,
	.reopen = pty_reopen,
};
