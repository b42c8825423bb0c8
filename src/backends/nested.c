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

#include "backends/backend.h"
#include "backends/escape.h"
#include "backends/stream.h"
#include "fd.h"
#include "log.h"

enum {
	READ_SIZE = 4096,
};

struct nested {
	struct console_backend base;
	struct port *port;
	const char *who;
	struct stream stream;
	struct port_client client;
	int in_tty, out_tty; /* our own descriptions; -1 where there is no terminal */
	bool raw;
	struct escape escape;
	const char *escape_text;
	char typed[READ_SIZE];
	char keys[READ_SIZE + ESCAPE_MAX]; /* for the guest; a tail may wait for room */
	size_t keys_at, keys_len;
	bool going, gone;
	void (*quit)(void *arg);
	void *quit_arg;
	void (*closed)(void *arg);
	void *closed_arg;
};

/*
 * What a dying process must put back; signal handlers have no argument. Set
 * while the terminal is raw.
 */
static struct termios cooked_modes;
static volatile sig_atomic_t raw_tty = -1;

static const int fatal_signals[] = { SIGSEGV, SIGABRT, SIGILL,	SIGFPE,	 SIGBUS,    SIGSYS,
				     SIGTRAP, SIGXCPU, SIGXFSZ, SIGALRM, SIGVTALRM, SIGPROF,
				     SIGUSR1, SIGUSR2, SIGPWR,	SIGIO };

/* A crash: the terminal first, then whatever the signal does by itself. */
static void restore_and_die(int signo)
{
	if (raw_tty >= 0)
		tcsetattr(raw_tty, TCSANOW, &cooked_modes);
	raise(signo); /* the handler is reset already; this is delivered on return */
}

static void guard_against_crashes(void)
{
	struct sigaction sa = {
		.sa_handler = restore_and_die,
		.sa_flags = (int)SA_RESETHAND,
	};

	sigemptyset(&sa.sa_mask);
	for (size_t i = 0; i < ARRAY_SIZE(fatal_signals); i++) {
		struct sigaction old;

		/* Whoever handles one knows what to do with it. */
		if (sigaction(fatal_signals[i], NULL, &old) == 0 && old.sa_handler == SIG_DFL)
			sigaction(fatal_signals[i], &sa, NULL);
	}
}

static struct nested *from_stream(struct stream *s)
{
	return container_of(s, struct nested, stream);
}

static struct nested *from_client(struct port_client *c)
{
	return container_of(c, struct nested, client);
}

/* Not while the shell has the terminal for another job: its modes are not ours then. */
static bool in_foreground(int tty)
{
	pid_t foreground = tcgetpgrp(tty); /* -1: no terminal that jobs share */

	return foreground < 0 || foreground == getpgrp();
}

static void set_raw(struct nested *n, bool raw)
{
	static const char newline[] = "\r\n";
	struct termios modes;
	ssize_t ignored;

	if (n->in_tty < 0 || n->raw == raw || !in_foreground(n->in_tty))
		return;
	n->raw = raw;
	if (raw) {
		modes = cooked_modes;
		cfmakeraw(&modes);
		raw_tty = n->in_tty;
		tcsetattr(n->in_tty, TCSANOW, &modes);
	} else {
		/* Off the guest's last line; never waits, since the description does not. */
		ignored = write(n->in_tty, newline, sizeof(newline) - 1);
		(void)ignored;
		tcsetattr(n->in_tty, TCSANOW, &cooked_modes);
		raw_tty = -1;
	}
	log_set_crlf(raw);
}

static size_t feed_keys(struct nested *n)
{
	size_t len = port_input(n->port, n->keys + n->keys_at, n->keys_len);

	n->keys_at += len;
	n->keys_len -= len;
	return n->keys_len;
}

static size_t input_space(struct stream *s, void **ret_buf)
{
	struct nested *n = from_stream(s);

	if (feed_keys(n) > 0)
		return 0; /* the guest is slow: stop reading the terminal */
	*ret_buf = n->typed;
	return sizeof(n->typed);
}

static void input(struct stream *s, size_t len)
{
	struct nested *n = from_stream(s);
	bool leave = false;

	n->keys_at = 0;
	if (n->raw) {
		n->keys_len = escape_filter(&n->escape, n->typed, len, n->keys, &leave);
	} else {
		memcpy(n->keys, n->typed, len);
		n->keys_len = len;
	}
	feed_keys(n);
	if (leave) {
		stream_pause(s);
		n->quit(n->quit_arg);
	}
}

static void input_ended(struct stream *s, int err)
{
	struct nested *n = from_stream(s);

	if (err == -EIO && n->in_tty >= 0) {
		/* In the background nobody may read the terminal; terminal_changed() goes on. */
		stream_pause(s);
		return;
	}
	if (err < 0)
		log_errno(LOG_LEVEL_WARNING, n->who, err, "cannot read standard input");
	else
		log_info(n->who, "standard input has ended; output goes on");
	port_end_input(&n->client);
}

static size_t output(struct stream *s, void *buf, size_t cap)
{
	return port_read(&from_stream(s)->client, buf, cap);
}

static void stream_closed(struct stream *s)
{
	struct nested *n = from_stream(s);
	void (*closed)(void *arg) = n->closed;
	void *arg = n->closed_arg;

	port_leave(&n->client);
	set_raw(n, false);
	fd_close(n->in_tty);
	fd_close(n->out_tty);
	free(n);
	closed(arg);
}

static void let_go(struct nested *n)
{
	if (n->gone)
		return;
	n->gone = true;
	stream_close(&n->stream, stream_closed);
}

static void drained(struct stream *s)
{
	struct nested *n = from_stream(s);

	if (n->going)
		let_go(n);
}

static void output_failed(struct stream *s, int err)
{
	struct nested *n = from_stream(s);

	log_errno(LOG_LEVEL_WARNING, n->who, err, "cannot write standard output; it is given up");
	if (n->going)
		let_go(n);
}

static const struct stream_ops stream_ops = {
	.input_space = input_space,
	.input = input,
	.input_ended = input_ended,
	.output = output,
	.output_failed = output_failed,
	.drained = drained,
};

static void output_ready(struct port_client *c)
{
	stream_write(&from_client(c)->stream);
}

static void input_room(struct port_client *c)
{
	stream_read(&from_client(c)->stream);
}

/* With no guest there, keys stay with the terminal, where they can be edited and ^C works. */
static void present_changed(struct port_client *c)
{
	struct nested *n = from_client(c);
	bool present = n->port->present;

	if (n->in_tty < 0 || n->going)
		return;
	set_raw(n, present);
	if (present)
		stream_resume(&n->stream);
	else
		stream_pause(&n->stream);
}

static const struct port_client_ops client_ops = {
	.output_ready = output_ready,
	.input_room = input_room,
	.present_changed = present_changed,
};

static void read_size(struct nested *n)
{
	int tty = n->out_tty >= 0 ? n->out_tty : n->in_tty;
	struct winsize size;

	if (tty >= 0 && ioctl(tty, TIOCGWINSZ, &size) == 0)
		port_resize(n->port, size.ws_col, size.ws_row);
}

/*
 * After SIGWINCH; and after SIGCONT, when a shell has put its own modes in
 * place while we were stopped or in the background.
 */
static void nested_terminal_changed(struct console_backend *b)
{
	struct nested *n = container_of(b, struct nested, base);

	read_size(n);
	if (n->in_tty < 0 || !n->port->present || n->going)
		return;
	n->raw = false;
	set_raw(n, true);
	if (in_foreground(n->in_tty))
		stream_resume(&n->stream);
}

/* Opens the terminals that standard input and output are, if they are. */
static int open_terminals(struct nested *n, char *ret_why, size_t why_cap)
{
	if (isatty(STDIN_FILENO)) {
		if (!in_foreground(STDIN_FILENO)) {
			snprintf(ret_why, why_cap,
				 "this terminal belongs to another foreground job: run in the "
				 "foreground, or use --backend network");
			return -EIO;
		}
		n->in_tty = fd_reopen_tty(STDIN_FILENO);
		if (n->in_tty < 0 || tcgetattr(n->in_tty, &cooked_modes) < 0) {
			snprintf(ret_why, why_cap, "cannot open this terminal: %s",
				 strerror(n->in_tty < 0 ? -n->in_tty : errno));
			return n->in_tty < 0 ? n->in_tty : -errno;
		}
	}
	if (isatty(STDOUT_FILENO)) {
		n->out_tty = fd_reopen_tty(STDOUT_FILENO);
		if (n->out_tty < 0) {
			snprintf(ret_why, why_cap,
				 "cannot open the terminal of standard output: %s",
				 strerror(-n->out_tty));
			return n->out_tty;
		}
	}
	return 0;
}

static void start(struct nested *n)
{
	n->port->has_size = n->in_tty >= 0 || n->out_tty >= 0;
	read_size(n);
	if (n->in_tty >= 0) {
		guard_against_crashes();
		/* In the background we are told by an error instead of being stopped. */
		signal(SIGTTOU, SIG_IGN);
		signal(SIGTTIN, SIG_IGN);
		stream_pause(&n->stream);
	}
	port_join(n->port, &n->client, &client_ops);
	stream_read(&n->stream);
}

static int nested_open(struct loop *loop, struct port *port,
		       const struct console_backend_options *options,
		       struct console_backend **ret_backend, char *ret_why, size_t why_cap)
{
	struct nested *n = calloc(1, sizeof(*n));
	int err;

	if (!n) {
		snprintf(ret_why, why_cap, "out of memory");
		return -ENOMEM;
	}
	n->base.ops = &console_backend_nested;
	n->in_tty = -1;
	n->out_tty = -1;
	n->port = port;
	n->who = options->who;
	n->quit = options->quit;
	n->quit_arg = options->quit_arg;
	n->escape_text = options->escape;
	err = escape_init(&n->escape, options->escape);
	if (err < 0)
		snprintf(ret_why, why_cap, "--escape takes 1 to %d keys, or none", ESCAPE_MAX);
	else
		err = open_terminals(n, ret_why, why_cap);
	if (err == 0) {
		err = stream_init(&n->stream, loop, n->in_tty >= 0 ? n->in_tty : STDIN_FILENO,
				  n->out_tty >= 0 ? n->out_tty : STDOUT_FILENO, &stream_ops);
		if (err < 0)
			snprintf(ret_why, why_cap, "out of memory");
	}
	if (err < 0) {
		fd_close(n->in_tty);
		fd_close(n->out_tty);
		free(n);
		return err;
	}
	start(n);
	*ret_backend = &n->base;
	return 0;
}

static void nested_describe(const struct console_backend *b, char *buf, size_t cap)
{
	const struct nested *n = container_of(b, const struct nested, base);

	if (n->in_tty < 0)
		snprintf(buf, cap, "standard input and output");
	else if (n->escape.n_keys == 0)
		snprintf(buf, cap, "this terminal");
	else
		snprintf(buf, cap, "this terminal (%s%s leaves)",
			 escape_needs_newline(&n->escape) ? "newline, then " : "", n->escape_text);
}

static void nested_close(struct console_backend *b, void (*closed)(void *arg), void *arg)
{
	struct nested *n = container_of(b, struct nested, base);

	n->going = true;
	n->closed = closed;
	n->closed_arg = arg;
	stream_pause(&n->stream);
	if (n->stream.output_over)
		let_go(n);
	else
		stream_write(&n->stream);
}

static void nested_hurry(struct console_backend *b)
{
	let_go(container_of(b, struct nested, base));
}

const struct console_backend_ops console_backend_nested = {
	.open = nested_open,
	.describe = nested_describe,
	.close = nested_close,
	.hurry = nested_hurry,
	.terminal_changed = nested_terminal_changed,
};
