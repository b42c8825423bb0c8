/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The guest on this terminal, or on standard input and output whatever they
 * are. A terminal is opened anew, so that our flags are not the shell's, and
 * is raw only while a guest is there: before and after, ^C ends the daemon.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "backends/attachment.h"
#include "backends/escape.h"
#include "backends/port-handover.h"
#include "backends/stream.h"
#include "backends/terminal-modes.h"
#include "fd.h"
#include "log.h"

enum {
	READ_SIZE = 4096,
};

/* Of a hand-over. */
enum {
	TAG_LEFT = 1,
	TAG_IN_TTY,
	TAG_OUT_TTY,
	TAG_RAW,
	TAG_MODES,  /* as the kernel has them */
	TAG_ESCAPE, /* as struct escape is */
	TAG_KEYS,
	TAG_CLIENT,
	TAG_STREAM,
};

struct terminal {
	struct attachment base;
	struct stream stream;
	struct port_client client;
	int in_tty, out_tty; /* our own descriptions; -1 where there is no terminal */
	bool raw;
	struct escape escape;
	const char *escape_text;
	char typed[READ_SIZE];
	char keys[READ_SIZE + ESCAPE_MAX]; /* for the guest; a tail may wait for room */
	size_t keys_at, keys_len;
	bool passing;	    /* the port is being given some of them */
	bool closing;	    /* nothing more is read; it ends once all is written */
	bool hurried;	    /* nothing more is written */
	bool leaving, left; /* it leaves the port; its stream is closed */
	struct task end;    /* runs when close() finds it gone already */
};

/* A process has one standard input, and one set of modes to put back. */
static bool in_use;

static struct terminal *to_terminal(struct attachment *a)
{
	return container_of(a, struct terminal, base);
}

static struct terminal *from_stream(struct stream *s)
{
	return container_of(s, struct terminal, stream);
}

static struct terminal *from_client(struct port_client *c)
{
	return container_of(c, struct terminal, client);
}

/* Not while the shell has the terminal for another job: its modes are not ours then. */
/* seccomp(terminals): getpgrp getpgid ioctl:TIOCGPGRP ioctl:TCGETS ioctl:TCSETS ioctl:TIOCGWINSZ write */
static bool in_foreground(int tty)
{
	pid_t foreground = tcgetpgrp(tty); /* -1: no terminal that jobs share */

	return foreground < 0 || foreground == getpgrp();
}

static void set_raw(struct terminal *t, bool raw)
{
	static const char newline[] = "\r\n";
	struct termios modes;
	ssize_t ignored;

	if (t->in_tty < 0 || t->raw == raw || !in_foreground(t->in_tty))
		return;
	t->raw = raw;
	if (raw) {
		modes = *terminal_modes_cooked();
		cfmakeraw(&modes);
		terminal_modes_raw(t->in_tty);
		tcsetattr(t->in_tty, TCSANOW, &modes);
	} else {
		/* Off the guest's last line; never waits, since the description does not. */
		ignored = write(t->in_tty, newline, sizeof(newline) - 1);
		(void)ignored;
		tcsetattr(t->in_tty, TCSANOW, terminal_modes_cooked());
		terminal_modes_raw(-1);
	}
	log_set_crlf(raw);
}

/* The end */

static void finish(struct terminal *t)
{
	in_use = false;
	attachment_end(&t->base);
}

static void end_run(struct task *task)
{
	finish(container_of(task, struct terminal, end));
}

static void stream_closed(struct stream *s)
{
	struct terminal *t = from_stream(s);

	port_leave(&t->client);
	set_raw(t, false);
	if (t->raw) {
		/* Another job has the terminal: its modes are left alone, and our own messages are
		 * plain. */
		t->raw = false;
		terminal_modes_raw(-1);
		log_set_crlf(false);
	}
	t->in_tty = fd_close(t->in_tty);
	t->out_tty = fd_close(t->out_tty);
	t->left = true;
	if (t->closing)
		finish(t);
}

static void leave(struct terminal *t)
{
	if (t->leaving)
		return;
	t->leaving = true;
	stream_close(&t->stream, stream_closed);
}

/* Keys */

/* Gives the guest what was typed; keys of one that only watches go nowhere. False: some wait. */
static bool pass_keys(struct terminal *t)
{
	if (t->passing)
		return false; /* the guest has taken some at once, and we are told of the room */
	t->passing = true;
	while (t->keys_len > 0) {
		size_t n;

		if (!port_is_writer(&t->client)) {
			t->keys_len = 0;
			break;
		}
		n = port_input(t->base.args.port, t->keys + t->keys_at, t->keys_len);
		if (n == 0)
			break;
		t->keys_at += n;
		t->keys_len -= n;
	}
	t->passing = false;
	return t->keys_len == 0;
}

static size_t input_space(struct stream *s, void **ret_buf)
{
	struct terminal *t = from_stream(s);

	if (t->client.port->frozen || !pass_keys(t))
		return 0; /* the guest is slow: stop reading the terminal */
	*ret_buf = t->typed;
	return sizeof(t->typed);
}

static void input(struct stream *s, size_t len)
{
	struct terminal *t = from_stream(s);
	bool leaves = false;

	t->keys_at = 0;
	if (t->raw) {
		t->keys_len = escape_filter(&t->escape, t->typed, len, t->keys, &leaves);
	} else {
		memcpy(t->keys, t->typed, len);
		t->keys_len = len;
	}
	pass_keys(t);
	if (leaves) {
		stream_pause(s);
		t->base.args.quit(t->base.args.quit_arg);
	}
}

static void input_ended(struct stream *s, int err)
{
	struct terminal *t = from_stream(s);

	if (err == -EIO && t->in_tty >= 0) {
		/* In the background nobody may read the terminal; terminal_changed() goes on. */
		stream_pause(s);
		return;
	}
	if (err < 0)
		log_errno(LOG_LEVEL_WARNING, t->base.args.who, err, "cannot read standard input");
	else
		log_info(t->base.args.who, "standard input has ended; output goes on");
	port_end_input(&t->client);
}

/* Output */

static size_t output(struct stream *s, void *buf, size_t cap)
{
	return port_read(&from_stream(s)->client, buf, cap);
}

static void drained(struct stream *s)
{
	struct terminal *t = from_stream(s);

	if (t->closing)
		leave(t);
}

static void output_failed(struct stream *s, int err)
{
	struct terminal *t = from_stream(s);

	log_errno(LOG_LEVEL_WARNING, t->base.args.who, err,
		  "cannot write standard output; it is given up");
	if (t->closing)
		leave(t);
	else
		port_discard(&t->client);
}

static void halted(struct stream *s)
{
	port_input_stopped(&from_stream(s)->client);
}

static const struct stream_ops stream_ops = {
	.input_space = input_space,
	.input = input,
	.input_ended = input_ended,
	.output = output,
	.output_failed = output_failed,
	.halted = halted,
	.drained = drained,
};

/* The port's side */

static void output_ready(struct port_client *c)
{
	struct terminal *t = from_client(c);

	if (t->stream.output_over)
		port_discard(&t->client);
	else
		stream_write(&t->stream);
}

static void input_room(struct port_client *c)
{
	stream_read(&from_client(c)->stream);
}

static bool input_stop(struct port_client *c)
{
	return stream_halt(&from_client(c)->stream);
}

static size_t input_held(struct port_client *c, const void **ret_data)
{
	struct terminal *t = from_client(c);

	*ret_data = t->keys + t->keys_at;
	return t->keys_len;
}

static void input_forget(struct port_client *c)
{
	from_client(c)->keys_len = 0;
}

/* With no guest there, keys stay with the terminal, where they can be edited and ^C works. */
static void guest_changed(struct port_client *c)
{
	struct terminal *t = from_client(c);
	bool present = c->port->present;

	if (t->in_tty < 0 || t->closing || t->leaving)
		return;
	set_raw(t, present);
	if (present)
		stream_resume(&t->stream);
	else
		stream_pause(&t->stream);
}

static void disconnect(struct port_client *c, const char *why)
{
	struct terminal *t = from_client(c);

	if (t->leaving)
		return;
	log_info(t->base.args.who, "the terminal has left: %s", why);
	leave(t);
}

static const struct port_client_ops client_ops = {
	.output_ready = output_ready,
	.input_room = input_room,
	.input_stop = input_stop,
	.input_held = input_held,
	.input_forget = input_forget,
	.guest_changed = guest_changed,
	.disconnect = disconnect,
};

static void read_size(struct terminal *t)
{
	int tty = t->out_tty >= 0 ? t->out_tty : t->in_tty;
	struct winsize size;

	if (tty >= 0 && ioctl(tty, TIOCGWINSZ, &size) == 0)
		port_client_resize(&t->client, size.ws_col, size.ws_row);
}

/*
 * After SIGWINCH; and after SIGCONT, when a shell has put its own modes in
 * place while we were stopped or in the background.
 */
static void terminal_terminal_changed(struct attachment *a)
{
	struct terminal *t = to_terminal(a);

	if (t->leaving)
		return;
	read_size(t);
	if (t->in_tty < 0 || !a->args.port->present || t->closing)
		return;
	t->raw = false;
	set_raw(t, true);
	if (in_foreground(t->in_tty))
		stream_resume(&t->stream);
}

/* Opening */

static int open_input(struct terminal *t, char *ret_why, size_t why_cap)
{
	int err = 0;

	if (!isatty(STDIN_FILENO))
		return 0;
	if (!in_foreground(STDIN_FILENO)) {
		snprintf(ret_why, why_cap,
			 "this terminal belongs to another foreground job: run in the "
			 "foreground, or use --backend network");
		return -EIO;
	}
	t->in_tty = fd_reopen_tty(STDIN_FILENO);
	if (t->in_tty < 0)
		err = t->in_tty;
	else if (tcgetattr(t->in_tty, terminal_modes_cooked()) < 0)
		err = -errno;
	if (err < 0)
		snprintf(ret_why, why_cap, "cannot open this terminal: %s", strerror(-err));
	return err;
}

static int open_output(struct terminal *t, char *ret_why, size_t why_cap)
{
	if (!isatty(STDOUT_FILENO))
		return 0;
	t->out_tty = fd_reopen_tty(STDOUT_FILENO);
	if (t->out_tty >= 0)
		return 0;
	snprintf(ret_why, why_cap, "cannot open the terminal of standard output: %s",
		 strerror(-t->out_tty));
	return t->out_tty;
}

/* Opens what standard input and output are, and finds out which keys leave. */
static int prepare(struct terminal *t, char *ret_why, size_t why_cap)
{
	int err;

	if (in_use) {
		snprintf(ret_why, why_cap, "there is one terminal, and a port has it already");
		return -EBUSY;
	}
	if (escape_init(&t->escape, t->escape_text) < 0) {
		snprintf(ret_why, why_cap, "--escape takes 1 to %d keys, or none", ESCAPE_MAX);
		return -EINVAL;
	}
	err = open_input(t, ret_why, why_cap);
	if (err == 0)
		err = open_output(t, ret_why, why_cap);
	if (err < 0)
		return err;
	err = stream_init(&t->stream, t->base.args.loop, t->in_tty >= 0 ? t->in_tty : STDIN_FILENO,
			  t->out_tty >= 0 ? t->out_tty : STDOUT_FILENO, &stream_ops);
	if (err < 0)
		snprintf(ret_why, why_cap, "out of memory");
	return err;
}

static void guard_terminal(void)
{
	terminal_modes_guard();
	/* In the background we are told by an error instead of being stopped. */
	signal(SIGTTOU, SIG_IGN);
	signal(SIGTTIN, SIG_IGN);
}

static void start(struct terminal *t)
{
	struct port *port = t->base.args.port;
	const struct port_client_options options = attachment_client_options(&t->base, "terminal");
	bool tty = t->in_tty >= 0;

	in_use = true;
	if (tty) {
		guard_terminal();
		stream_pause(&t->stream);
	}
	port_join(port, &t->client, &client_ops, &options);
	read_size(t);
	if (port->present)
		guest_changed(&t->client); /* added at run time */
	stream_write(&t->stream);
	stream_read(&t->stream);
}

/* Another process: the terminal stays as it is, raw or not. */

static void terminal_save(const struct attachment *a, struct handover_out *out)
{
	const struct terminal *t = container_of(a, const struct terminal, base);
	struct state_writer *w = &out->state;

	if (t->closing || t->leaving != t->left)
		handover_busy(out, "the terminal is leaving");
	state_put_number(w, TAG_LEFT, t->left);
	handover_put_fd(out, TAG_IN_TTY, t->in_tty);
	handover_put_fd(out, TAG_OUT_TTY, t->out_tty);
	state_put_number(w, TAG_RAW, t->raw);
	state_put_bytes(w, TAG_MODES, terminal_modes_cooked(), sizeof(struct termios));
	state_put_bytes(w, TAG_ESCAPE, &t->escape, sizeof(t->escape));
	state_put_bytes(w, TAG_KEYS, t->keys + t->keys_at, t->keys_len);
	if (t->left)
		return;
	port_client_save(&t->client, out, TAG_CLIENT);
	stream_save(&t->stream, out, TAG_STREAM);
}

static int load_stream(struct terminal *t, struct handover_in *in)
{
	int err = stream_init(&t->stream, t->base.args.loop,
			      t->in_tty >= 0 ? t->in_tty : STDIN_FILENO,
			      t->out_tty >= 0 ? t->out_tty : STDOUT_FILENO, &stream_ops);

	if (err < 0 || t->left)
		return err;
	if (!port_client_load(t->base.args.port, &t->client, &client_ops, in, TAG_CLIENT))
		return 0;
	stream_load(&t->stream, in, TAG_STREAM);
	stream_write(&t->stream);
	stream_read(&t->stream);
	return 0;
}

static int load(struct terminal *t, struct handover_in *in)
{
	struct state_reader *r = &in->state;
	const uint8_t *bytes;

	in_use = true;
	t->left = t->leaving = state_take_flag(r, TAG_LEFT, "left");
	t->in_tty = handover_take_fd(in, TAG_IN_TTY, "input", false);
	t->out_tty = handover_take_fd(in, TAG_OUT_TTY, "output", false);
	t->raw = state_take_flag(r, TAG_RAW, "raw");
	handover_take_exact(in, TAG_MODES, "modes", terminal_modes_cooked(),
			    sizeof(struct termios));
	handover_take_exact(in, TAG_ESCAPE, "keys that leave", &t->escape, sizeof(t->escape));
	t->keys_len = state_take_bytes(r, TAG_KEYS, "keys", sizeof(t->keys), &bytes);
	if (t->keys_len > 0)
		memcpy(t->keys, bytes, t->keys_len);
	if (t->in_tty >= 0)
		guard_terminal();
	if (t->raw)
		terminal_modes_raw(t->in_tty);
	log_set_crlf(t->raw);
	return load_stream(t, in);
}

static int terminal_open(const struct attachment_args *args, struct attachment **ret_attachment,
			 char *ret_why, size_t why_cap)
{
	struct terminal *t = calloc(1, sizeof(*t));
	int err;

	if (!t) {
		snprintf(ret_why, why_cap, "out of memory");
		return -ENOMEM;
	}
	t->base.ops = &attachment_terminal;
	t->base.args = *args;
	t->in_tty = -1;
	t->out_tty = -1;
	t->escape_text = args->options->escape ? args->options->escape : "~.";
	task_init(&t->end, end_run);
	*ret_attachment = &t->base;
	if (args->from)
		return load(t, args->from);
	err = prepare(t, ret_why, why_cap);
	if (err < 0) {
		fd_close(t->in_tty);
		fd_close(t->out_tty);
		free(t);
		return err;
	}
	start(t);
	return 0;
}

static void terminal_describe(const struct attachment *a, char *buf, size_t cap)
{
	const struct terminal *t = container_of(a, const struct terminal, base);

	if (t->leaving)
		snprintf(buf, cap, "this terminal, disconnected");
	else if (t->in_tty < 0)
		snprintf(buf, cap, "standard input and output");
	else if (t->escape.n_keys == 0)
		snprintf(buf, cap, "this terminal");
	else
		snprintf(buf, cap, "this terminal (%s%s leaves)",
			 escape_needs_newline(&t->escape) ? "newline, then " : "", t->escape_text);
}

static void terminal_close(struct attachment *a)
{
	struct terminal *t = to_terminal(a);

	t->closing = true;
	if (t->left) {
		loop_defer(a->args.loop, &t->end);
		return;
	}
	stream_pause(&t->stream);
	if (t->hurried || t->stream.output_over)
		leave(t);
	else
		stream_write(&t->stream);
}

static void terminal_hurry(struct attachment *a)
{
	struct terminal *t = to_terminal(a);

	t->hurried = true;
	if (t->closing && !t->left)
		leave(t);
}

const struct attachment_ops attachment_terminal = {
	.open = terminal_open,
	.describe = terminal_describe,
	.close = terminal_close,
	.hurry = terminal_hurry,
	.save = terminal_save,
	.terminal_changed = terminal_terminal_changed,
};
