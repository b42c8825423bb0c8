/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Output into a file or named pipe, byte for byte, and input from another.
 * Input is never thrown away: it waits while another client has the keyboard.
 * A named pipe is held open at both ends, so it neither ends nor fails when
 * there is nobody at the other end; it is the port's policy that says what
 * happens to output that does not fit. When writing fails the host side is
 * closed until the file is opened anew, and output then goes on where it ended
 * (VC-067).
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/outfile.h"
#include "backends/port-handover.h"
#include "fd.h"
#include "log.h"

enum {
	OUT_SIZE = 64 * 1024,
	IN_SIZE = 4096,
	PATH_SHOWN_MAX = 100,
};

/* Of a hand-over. */
enum { TAG_FILE = 1, TAG_READ_POS, TAG_ERROR, TAG_OUT, TAG_IN_FD, TAG_IN, TAG_CLIENT };

struct file {
	struct attachment base;
	struct port_client client;
	bool joined;
	uint64_t read_pos; /* while not joined: client.pos as it was */
	struct outfile out;
	uint8_t buf[OUT_SIZE];
	bool reading, again; /* port_read() may come back to us, for a guest that was waiting */
	bool wants_reopen;
	int err; /* why output was given up; 0: it was not */

	struct op rd; /* in out.scope */
	int in_fd;
	bool in_polling, in_passing;
	char in[IN_SIZE];
	size_t in_at, in_len;

	bool closing, hurried, gone;
};

static struct file *to_file(struct attachment *a)
{
	return container_of(a, struct file, base);
}

static struct file *from_client(struct port_client *c)
{
	return container_of(c, struct file, client);
}

static struct file *from_outfile(struct outfile *out)
{
	return container_of(out, struct file, out);
}

static void leave(struct file *f)
{
	if (!f->joined)
		return;
	f->joined = false;
	f->read_pos = f->client.pos;
	port_leave(&f->client);
}

static void scope_is_idle(struct scope *scope)
{
	struct file *f = container_of(scope, struct file, out.scope);

	leave(f);
	outfile_close(&f->out);
	fd_close(f->in_fd);
	attachment_end(&f->base);
}

static void let_go(struct file *f)
{
	if (f->gone)
		return;
	f->gone = true;
	scope_cancel(&f->out.scope, scope_is_idle);
}

/* Output */

static void write_more(struct file *f)
{
	size_t n;

	f->again = true;
	if (!f->joined || f->reading || f->gone || outfile_busy(&f->out))
		return;
	f->reading = true;
	do {
		f->again = false;
		n = port_read(&f->client, f->buf, sizeof(f->buf));
	} while (n == 0 && f->again && f->joined);
	f->reading = false;
	if (n > 0)
		outfile_write(&f->out, f->buf, n);
	else if (f->closing)
		let_go(f);
}

static void give_up(struct file *f, int err)
{
	attachment_log(&f->base, LOG_LEVEL_WARNING,
		       "cannot write %s: %s; output to it is given up until it is opened anew",
		       f->base.args.options->address, strerror(-err));
	f->err = err;
	leave(f);
	outfile_close(&f->out);
	if (f->closing) {
		f->wants_reopen = false;
		let_go(f);
	}
}

static void open_anew(struct file *f);

static void written(struct outfile *out, int err)
{
	struct file *f = from_outfile(out);

	if (err < 0 && err != -ECANCELED) {
		give_up(f, err);
		if (f->wants_reopen)
			open_anew(f);
	} else if (f->closing && !f->joined) {
		let_go(f);
	} else if (f->wants_reopen) {
		open_anew(f);
	} else if (!f->joined) {
		outfile_close(out);
	} else if (out->done < out->len) {
		/* A wait that was ended for nothing: the buffer's rest is still to be written. */
		outfile_write(out, out->buf + out->done, out->len - out->done);
	} else {
		write_more(f);
	}
}

static void output_ready(struct port_client *c)
{
	write_more(from_client(c));
}

/* Input */

static void read_on(struct file *f)
{
	if (f->in_fd < 0 || !f->joined || f->in_len > 0 || op_armed(&f->rd) || f->closing)
		return;
	if (!port_is_writer(&f->client) || f->client.port->frozen)
		return;
	op_read(&f->rd, f->in_fd, f->in, sizeof(f->in));
}

/* Gives the port what was read, and reads on when it has taken all. */
static void pass_input(struct file *f)
{
	if (f->in_passing)
		return; /* the guest has taken some at once, and we are told of the room */
	f->in_passing = true;
	while (f->in_len > 0 && f->joined && port_is_writer(&f->client)) {
		size_t n = port_input(f->base.args.port, f->in + f->in_at, f->in_len);

		if (n == 0)
			break;
		f->in_at += n;
		f->in_len -= n;
	}
	f->in_passing = false;
	read_on(f);
}

static void input_over(struct file *f, int err)
{
	const char *path = f->base.args.options->input;

	if (err < 0)
		attachment_log(&f->base, LOG_LEVEL_WARNING, "cannot read %s: %s", path,
			       strerror(-err));
	else
		attachment_log(&f->base, LOG_LEVEL_INFO, "%s has been read to its end", path);
	f->in_fd = fd_close(f->in_fd);
	if (f->joined)
		port_end_input(&f->client);
}

static void take_read(struct file *f, int res)
{
	bool polled = f->in_polling;

	f->in_polling = false;
	if (f->gone)
		return;
	if (res > 0 && !polled) {
		f->in_at = 0;
		f->in_len = (size_t)res;
		pass_input(f);
	} else if (polled || res == -EINTR || res == -ECANCELED) {
		read_on(f);
	} else if (res == -EAGAIN) {
		f->in_polling = true;
		op_poll(&f->rd, f->in_fd, POLLIN);
	} else {
		input_over(f, res);
	}
}

static void read_done(struct op *op, int res)
{
	struct file *f = container_of(op, struct file, rd);

	take_read(f, res);
	if (f->joined && !op_armed(op))
		port_input_stopped(&f->client);
}

static void input_room(struct port_client *c)
{
	pass_input(from_client(c));
}

/* Nothing is read while the port is frozen; a read under way is told of when it ends. */
static bool input_stop(struct port_client *c)
{
	struct file *f = from_client(c);

	op_cancel(&f->rd);
	return !op_armed(&f->rd);
}

static size_t input_held(struct port_client *c, const void **ret_data)
{
	struct file *f = from_client(c);

	*ret_data = f->in + f->in_at;
	return f->in_len;
}

static void input_forget(struct port_client *c)
{
	from_client(c)->in_len = 0;
}

static void disconnect(struct port_client *c, const char *why)
{
	struct file *f = from_client(c);

	if (f->closing)
		return;
	attachment_log(&f->base, LOG_LEVEL_INFO, "%s is left until it is opened anew: %s",
		       f->base.args.options->address, why);
	f->err = -ENOTCONN;
	if (outfile_busy(&f->out))
		outfile_interrupt(&f->out); /* and written() closes it */
	leave(f);
	if (!outfile_busy(&f->out))
		outfile_close(&f->out);
}

static const struct port_client_ops client_ops = {
	.output_ready = output_ready,
	.input_room = input_room,
	.input_stop = input_stop,
	.input_held = input_held,
	.input_forget = input_forget,
	.disconnect = disconnect,
};

/* Opening */

static void join(struct file *f, uint64_t replay)
{
	char what[PATH_SHOWN_MAX + 8];
	struct port_client_options options;

	snprintf(what, sizeof(what), "file %.*s", PATH_SHOWN_MAX, f->base.args.options->address);
	options = attachment_client_options(&f->base, what);
	options.writes = f->in_fd >= 0;
	options.steals = false;
	options.shows = false; /* the guest's bytes and no others */
	options.holds = true;
	options.replay = replay;
	f->joined = true;
	f->err = 0;
	port_join(f->base.args.port, &f->client, &client_ops, &options);
	write_more(f);
	pass_input(f);
}

/* Where writing ended: what the buffer still held is read again, as far as the port has it. */
static void join_again(struct file *f)
{
	uint64_t unwritten = f->out.len - f->out.done;

	f->out.len = 0;
	f->out.done = 0;
	join(f, f->base.args.port->out.head - f->read_pos + unwritten);
}

static void go_on(struct file *f)
{
	struct outfile *out = &f->out;

	if (!f->joined)
		join_again(f);
	else if (out->done < out->len)
		outfile_write(out, out->buf + out->done, out->len - out->done);
	else
		write_more(f);
}

static void open_anew(struct file *f)
{
	const struct attachment_options *o = f->base.args.options;
	const struct outfile_target target = { .path = o->address, .options = o };
	struct outfile fresh;
	char why[256];

	f->wants_reopen = false;
	if (!outfile_is_at(&f->out, o->address)) {
		outfile_init(&fresh, f->base.args.loop, NULL);
		if (outfile_open(&fresh, &target, why, sizeof(why)) == 0)
			outfile_take(&f->out, &fresh);
		else
			attachment_log(&f->base, LOG_LEVEL_WARNING, "%s", why);
	}
	if (f->out.fd >= 0)
		go_on(f);
}

/* seccomp(open): openat stat fstat newfstatat */
static int open_input(struct file *f, char *ret_why, size_t why_cap)
{
	const char *path = f->base.args.options->input;
	int flags = O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
	struct stat st;

	if (!path)
		return 0;
	if (outfile_is_at(&f->out, path)) {
		snprintf(ret_why, why_cap, "%s cannot be both output and input", path);
		return -EINVAL;
	}
	/* A pipe that we could write to ourselves never ends. */
	flags |= stat(path, &st) == 0 && S_ISFIFO(st.st_mode) ? O_RDWR : O_RDONLY;
	f->in_fd = open(path, flags);
	if (f->in_fd < 0 || fstat(f->in_fd, &st) < 0) {
		int err = -errno;

		snprintf(ret_why, why_cap, "cannot open %s for input: %s", path, strerror(-err));
		return err;
	}
	if (S_ISDIR(st.st_mode)) {
		snprintf(ret_why, why_cap, "cannot read input from %s: it is a directory", path);
		return -EISDIR;
	}
	return 0;
}

/* Another process. */

static size_t unwritten(const struct file *f)
{
	return f->out.len - f->out.done;
}

static void file_save(const struct attachment *a, struct handover_out *out)
{
	const struct file *f = container_of(a, const struct file, base);
	struct state_writer *w = &out->state;

	if (f->closing || f->wants_reopen)
		handover_busy(out, "file %s is being closed", a->args.options->address);
	outfile_save(&f->out, out, TAG_FILE);
	state_put_number(w, TAG_READ_POS, f->read_pos);
	state_put_number(w, TAG_ERROR, (uint64_t)-f->err);
	state_put_bytes(w, TAG_OUT, f->out.buf + f->out.done, unwritten(f));
	handover_put_fd(out, TAG_IN_FD, f->in_fd);
	state_put_bytes(w, TAG_IN, f->in + f->in_at, f->in_len);
	if (f->joined)
		port_client_save(&f->client, out, TAG_CLIENT);
}

static void file_load(struct file *f, struct handover_in *in)
{
	struct state_reader *r = &in->state;
	const uint8_t *bytes;
	size_t len;

	outfile_load(&f->out, in, TAG_FILE);
	f->read_pos = state_take_number(r, TAG_READ_POS, "position", UINT64_MAX);
	f->err = -(int)state_take_number(r, TAG_ERROR, "error", INT16_MAX);
	len = state_take_bytes(r, TAG_OUT, "output", sizeof(f->buf), &bytes);
	f->out.buf = f->buf;
	f->out.len = len;
	if (len > 0)
		memcpy(f->buf, bytes, len);
	f->in_fd = handover_take_fd(in, TAG_IN_FD, "input", false);
	f->in_len = state_take_bytes(r, TAG_IN, "input", sizeof(f->in), &bytes);
	if (f->in_len > 0)
		memcpy(f->in, bytes, f->in_len);
	if (!state_has(r, TAG_CLIENT))
		return;
	f->joined = port_client_load(f->base.args.port, &f->client, &client_ops, in, TAG_CLIENT);
	if (!f->joined)
		return;
	if (len > 0)
		outfile_write(&f->out, f->buf, len);
	else
		write_more(f);
	pass_input(f);
}

static int file_open(const struct attachment_args *args, struct attachment **ret_attachment,
		     char *ret_why, size_t why_cap)
{
	const struct attachment_options *o = args->options;
	const struct outfile_target target = { .path = o->address,
					       .options = o,
					       .truncate = o->truncate };
	struct file *f = calloc(1, sizeof(*f));
	int err;

	if (!f) {
		snprintf(ret_why, why_cap, "out of memory");
		return -ENOMEM;
	}
	f->base.ops = &attachment_file;
	f->base.args = *args;
	f->in_fd = -1;
	outfile_init(&f->out, args->loop, written);
	op_init(&f->rd, &f->out.scope, read_done);
	*ret_attachment = &f->base;
	if (args->from) {
		file_load(f, args->from);
		return 0;
	}
	err = outfile_open(&f->out, &target, ret_why, why_cap);
	if (err == 0)
		err = open_input(f, ret_why, why_cap);
	if (err < 0) {
		outfile_close(&f->out);
		fd_close(f->in_fd);
		free(f);
		return err;
	}
	join(f, attachment_client_options(&f->base, NULL).replay);
	return 0;
}

static void file_describe(const struct attachment *a, char *buf, size_t cap)
{
	const struct file *f = container_of(a, const struct file, base);
	const struct attachment_options *o = a->args.options;

	snprintf(buf, cap, "file %s%s%s%s%s", o->address, o->input ? ", input from " : "",
		 o->input ? o->input : "", f->err ? ", given up: " : "",
		 f->err ? strerror(-f->err) : "");
}

static void file_close(struct attachment *a)
{
	struct file *f = to_file(a);

	f->closing = true;
	f->wants_reopen = false;
	if (f->joined)
		port_end_input(&f->client);
	if (f->hurried || !f->joined)
		let_go(f);
	else
		write_more(f);
}

static void file_hurry(struct attachment *a)
{
	struct file *f = to_file(a);

	f->hurried = true;
	if (f->closing)
		let_go(f);
}

static void file_reopen(struct attachment *a)
{
	struct file *f = to_file(a);

	if (f->closing)
		return;
	if (outfile_busy(&f->out)) {
		f->wants_reopen = true;
		outfile_interrupt(&f->out);
	} else {
		open_anew(f);
	}
}

const struct attachment_ops attachment_file = {
	.open = file_open,
	.describe = file_describe,
	.close = file_close,
	.hurry = file_hurry,
	.save = file_save,
	.reopen = file_reopen,
};
