/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A descriptor that the daemon was started with: a listening socket, which
 * serves clients; a connected one, a pipe, a file or a terminal, which is one
 * client; or two of them, "IN/OUT".
 *
 * A listening socket stays open when its attachment ends, and can be attached
 * again. Any other is taken: it is closed with its client, so that the other
 * end notices.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "backends/address.h"
#include "backends/client.h"
#include "backends/nature.h"
#include "backends/reach.h"
#include "backends/server.h"
#include "fd.h"
#include "systemd.h"

enum {
	NUMBER_MAX = 1023,
	WHERE_MAX = 64,
};

/*
 * What became of the numbers. A closed one may be given to a descriptor of our
 * own, which must never be attached; see inherited().
 */
static struct {
	bool attached, closed;
} numbers[NUMBER_MAX + 1];

/* Of a hand-over of one client; a server has a first tag below these. */
enum {
	TAG_WHERE = 100,
	TAG_IN, /* number, then terminal */
	TAG_OUT,
	TAG_RAW,
	TAG_MODES,
	TAG_READS,
	TAG_WRITES,
	TAG_STAYS,
	TAG_CLIENT,
};

/* A number that was taken, and our own description of it if it is a terminal's. */
struct taken {
	int number, tty; /* -1: none */
};

struct descriptor {
	struct attachment base;
	char where[WHERE_MAX];
	struct taken in, out; /* out.number is -1 when in is for both */
	int raw_tty;	      /* -1: none was made raw */
	struct termios modes; /* of it, before */
	int size_tty;	      /* whose window counts; -1: none */
	struct client *client;
	struct task end;
	bool closing;
};

static struct descriptor *to_descriptor(struct attachment *a)
{
	return container_of(a, struct descriptor, base);
}

/* Numbers */

/* Ours are close-on-exec from birth; what was passed by systemd is listed. */
static bool inherited(int number, int flags)
{
	if (!(flags & FD_CLOEXEC))
		return true;
	for (unsigned int i = 0; i < systemd_n_sockets(); i++)
		if (systemd_socket_fd(i) == number)
			return !numbers[number].closed;
	return false;
}

static int check_number(int number, char *ret_why, size_t why_cap)
{
	int flags;

	if (number > NUMBER_MAX) {
		snprintf(ret_why, why_cap, "descriptor %d: numbers up to %d can be attached",
			 number, NUMBER_MAX);
		return -EBADF;
	}
	flags = fcntl(number, F_GETFD);
	if (flags < 0) {
		snprintf(ret_why, why_cap, "descriptor %d is not open", number);
		return -EBADF;
	}
	if (numbers[number].attached) {
		snprintf(ret_why, why_cap, "descriptor %d is attached already", number);
		return -EBUSY;
	}
	if (!inherited(number, flags)) {
		snprintf(ret_why, why_cap,
			 "descriptor %d is not one that was passed to this daemon", number);
		return -EBADF;
	}
	return 0;
}

/* A standard stream's number must stay in use: a log line could go to anything. */
/* seccomp(open): openat dup2 dup3 */
static void close_number(int number)
{
	AUTO_FD int null = -1;

	numbers[number].attached = false;
	numbers[number].closed = true;
	if (number <= STDERR_FILENO) {
		null = open("/dev/null", O_RDWR | O_CLOEXEC);
		if (null >= 0 && dup2(null, number) >= 0)
			return;
	}
	fd_close(number);
}

static void forget_number(int number)
{
	numbers[number].attached = false;
}

/* The terminal */

/* Not while a shell has it for another job: we would be stopped. */
/* seccomp(terminals): getpgrp getpgid ioctl:TIOCGPGRP ioctl:TCGETS ioctl:TCSETS ioctl:TIOCGWINSZ */
static bool in_foreground(int tty)
{
	pid_t foreground = tcgetpgrp(tty); /* -1: no terminal that jobs share */

	return foreground < 0 || foreground == getpgrp();
}

static void make_raw(struct descriptor *d, int tty)
{
	struct termios modes;

	if (!in_foreground(tty) || tcgetattr(tty, &modes) < 0)
		return;
	if (d->raw_tty < 0)
		d->modes = modes;
	cfmakeraw(&modes);
	if (tcsetattr(tty, TCSANOW, &modes) == 0)
		d->raw_tty = tty;
}

static void read_size(struct descriptor *d)
{
	struct winsize size;

	if (d->client && d->size_tty >= 0 && ioctl(d->size_tty, TIOCGWINSZ, &size) == 0)
		client_resize(d->client, size.ws_col, size.ws_row);
}

static void descriptor_terminal_changed(struct attachment *a)
{
	struct descriptor *d = to_descriptor(a);

	read_size(d);
	if (d->raw_tty >= 0)
		make_raw(d, d->raw_tty);
}

/* One client */

static void drop_taken(struct taken *t)
{
	t->tty = fd_close(t->tty);
	if (t->number >= 0)
		close_number(t->number);
	t->number = -1;
}

static void drop_all_taken(struct descriptor *d)
{
	if (d->raw_tty >= 0 && in_foreground(d->raw_tty))
		tcsetattr(d->raw_tty, TCSANOW, &d->modes);
	d->raw_tty = -1;
	d->size_tty = -1;
	drop_taken(&d->in);
	drop_taken(&d->out);
}

static void descriptor_ended(struct task *task)
{
	attachment_end(&container_of(task, struct descriptor, end)->base);
}

static void client_gone(void *arg)
{
	struct descriptor *d = arg;

	d->client = NULL;
	drop_all_taken(d);
	if (d->closing)
		loop_defer(d->base.args.loop, &d->end);
}

static void descriptor_describe(const struct attachment *a, char *buf, size_t cap)
{
	const struct descriptor *d = container_of(a, const struct descriptor, base);

	snprintf(buf, cap, "descriptor %s%s", d->where, d->client ? "" : ", closed");
}

static void descriptor_close(struct attachment *a)
{
	struct descriptor *d = to_descriptor(a);

	d->closing = true;
	if (d->client)
		client_finish(d->client);
	else
		loop_defer(d->base.args.loop, &d->end);
}

static void descriptor_hurry(struct attachment *a)
{
	struct descriptor *d = to_descriptor(a);

	if (d->client)
		client_drop(d->client, "it did not take the rest in time");
}

/* Another process. */

static void put_taken(struct handover_out *out, unsigned int tag, const struct taken *t)
{
	handover_put_fd(out, tag, t->number);
	handover_put_fd(out, tag, t->tty);
}

static void descriptor_save(const struct attachment *a, struct handover_out *out)
{
	const struct descriptor *d = container_of(a, const struct descriptor, base);

	if (d->closing)
		handover_busy(out, "descriptor %s is being closed", d->where);
	handover_put_text(out, TAG_WHERE, d->where);
	put_taken(out, TAG_IN, &d->in);
	put_taken(out, TAG_OUT, &d->out);
	state_put_number(&out->state, TAG_RAW, d->raw_tty >= 0);
	state_put_bytes(&out->state, TAG_MODES, &d->modes, sizeof(d->modes));
	state_put_number(&out->state, TAG_READS, d->client && client_reads(d->client));
	state_put_number(&out->state, TAG_WRITES, d->client && client_writes(d->client));
	state_put_number(&out->state, TAG_STAYS, d->client && client_stays(d->client));
	if (d->client)
		client_save(d->client, out, TAG_CLIENT);
}

static const struct attachment_ops one_client_ops = {
	.describe = descriptor_describe,
	.close = descriptor_close,
	.hurry = descriptor_hurry,
	.terminal_changed = descriptor_terminal_changed,
	.save = descriptor_save,
};

/* Takes the number; what is to be used for it is returned, or -errno. */
static int take(struct taken *t, int number, const struct nature *n)
{
	t->number = number;
	numbers[number].attached = true;
	fd_set_cloexec(number);
	if (n->file && n->writes)
		lseek(number, 0, SEEK_END);
	if (!n->tty)
		return number;
	t->tty = fd_reopen_tty(number);
	return t->tty;
}

static struct descriptor *new_descriptor(const struct attachment_args *args)
{
	struct descriptor *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->base.ops = &one_client_ops;
	d->base.args = *args;
	d->in = d->out = (struct taken){ .number = -1, .tty = -1 };
	d->raw_tty = d->size_tty = -1;
	task_init(&d->end, descriptor_ended);
	return d;
}

/* out is -1, or a number of its own; natures were found fit. */
static int serve_one(const struct attachment_args *args, int in, const struct nature *in_nature,
		     int out, const struct nature *out_nature, struct attachment **ret_attachment)
{
	char what[WHERE_MAX + 8];
	struct descriptor *d = new_descriptor(args);
	struct client_args client = {
		.in_fd = -1, .out_fd = -1, .what = what, .gone = client_gone, .arg = d
	};
	int fd, err = 0;

	if (!d)
		return -ENOMEM;
	fd = take(&d->in, in, in_nature);
	if (in_nature->reads)
		client.in_fd = fd;
	if (out < 0 && in_nature->writes)
		client.out_fd = fd;
	if (fd >= 0 && out >= 0)
		fd = client.out_fd = take(&d->out, out, out_nature);
	if (fd < 0)
		err = fd;
	client.owner = &d->base;
	client.stays = !in_nature->socket && !in_nature->tty;
	d->size_tty = d->out.tty >= 0 ? d->out.tty : d->in.tty;
	if (d->in.tty >= 0)
		make_raw(d, d->in.tty);
	snprintf(d->where, sizeof(d->where), out < 0 ? "%d" : "%d/%d", in, out);
	snprintf(what, sizeof(what), "fd %s", d->where);
	if (err == 0)
		err = client_new(&client, &d->client);
	if (err < 0) {
		drop_all_taken(d);
		free(d);
		return err;
	}
	read_size(d);
	*ret_attachment = &d->base;
	return 0;
}

static void take_taken(struct handover_in *in, unsigned int tag, struct taken *t)
{
	t->number = handover_take_fd(in, tag, "number", false);
	t->tty = handover_take_fd(in, tag, "terminal", false);
	if (t->number > NUMBER_MAX)
		state_fail(&in->state, "numbers up to %d are expected", NUMBER_MAX);
	else if (t->number >= 0)
		numbers[t->number].attached = true;
}

/* What is read from and written to: the terminal, where the number is one's. */
static int usable(const struct taken *t)
{
	return t->tty >= 0 ? t->tty : t->number;
}

static void load_client(struct descriptor *d, struct handover_in *in)
{
	bool reads = state_take_flag(&in->state, TAG_READS, "reads");
	bool writes = state_take_flag(&in->state, TAG_WRITES, "writes");
	struct client_args client = {
		.owner = &d->base,
		.in_fd = reads ? usable(&d->in) : -1,
		.out_fd = !writes	       ? -1
			  : d->out.number >= 0 ? usable(&d->out)
					       : usable(&d->in),
		.stays = state_take_flag(&in->state, TAG_STAYS, "stays"),
		.from = in,
		.from_tag = TAG_CLIENT,
		.gone = client_gone,
		.arg = d,
	};

	if (state_has(&in->state, TAG_CLIENT))
		client_load(&client, &d->client);
}

static int load_one(const struct attachment_args *args, struct attachment **ret_attachment)
{
	struct descriptor *d = new_descriptor(args);
	struct handover_in *in = args->from;

	if (!d)
		return -ENOMEM;
	*ret_attachment = &d->base;
	handover_take_text(in, TAG_WHERE, "where", d->where, sizeof(d->where));
	take_taken(in, TAG_IN, &d->in);
	take_taken(in, TAG_OUT, &d->out);
	if (state_take_flag(&in->state, TAG_RAW, "raw"))
		d->raw_tty = d->in.tty;
	handover_take_exact(in, TAG_MODES, "modes", &d->modes, sizeof(d->modes));
	d->size_tty = d->out.tty >= 0 ? d->out.tty : d->in.tty;
	load_client(d, in);
	return 0;
}

static int load_many(const struct attachment_args *args, int number,
		     struct attachment **ret_attachment, char *ret_why, size_t why_cap)
{
	struct server_args server = { .ended = forget_number, .ended_arg = number };

	if (number < 0 || number > NUMBER_MAX) {
		state_fail(&args->from->state, "fd:%s is not here", args->options->address);
		return -EINVAL;
	}
	numbers[number].attached = true;
	return server_load(args, &server, ret_attachment, ret_why, why_cap);
}

/* seccomp: fcntl:F_DUPFD_CLOEXEC fcntl:F_GETFD lseek getsockname */
static int serve_many(const struct attachment_args *args, int number,
		      struct attachment **ret_attachment, char *ret_why, size_t why_cap)
{
	struct address own = { .len = sizeof(own.sa) };
	char text[ADDRESS_TEXT_MAX] = "", where[ADDRESS_TEXT_MAX + 32];
	struct server_args server = {
		.where = where,
		.ended = forget_number,
		.ended_arg = number,
	};
	int err = 0;

	if (getsockname(number, (struct sockaddr *)&own.sa, &own.len) == 0) {
		address_format(&own, text, sizeof(text));
		snprintf(where, sizeof(where), "%d, %s,", number, text);
		err = reach_check(args->options, where, &own, 1, ret_why, why_cap);
	}
	if (err == 0)
		err = server_read_tls(args, &server, ret_why, why_cap);
	if (err < 0)
		return err;
	server.fd = fcntl(number, F_DUPFD_CLOEXEC, 0);
	if (server.fd < 0) {
		snprintf(ret_why, why_cap, "cannot use descriptor %d: %s", number, strerror(errno));
		tls_credentials_drop(server.creds);
		return -EMFILE;
	}
	snprintf(where, sizeof(where), "descriptor %d, %s%s", number, text,
		 server.creds ? ", TLS" : "");
	err = server_new(args, &server, ret_attachment, ret_why, why_cap);
	numbers[number].attached = err == 0;
	return err;
}

/* What is connected already has no one to begin TLS with. */
/* seccomp: getpeername */
static int check_connected(const struct attachment_args *args, int number, char *ret_why,
			   size_t why_cap)
{
	struct address peer = { .len = sizeof(peer.sa) };
	const bool remote = getpeername(number, (struct sockaddr *)&peer.sa, &peer.len) == 0 &&
			    !address_is_local(&peer);

	if (!remote && !tls_wanted(args->options))
		return 0;
	snprintf(ret_why, why_cap,
		 "descriptor %d%s is no listening socket, and TLS is spoken with those who connect "
		 "to one",
		 number, remote ? " leads to another machine, which needs TLS; but it" : "");
	return -EPERM;
}

/* Words */

/* "7/8": two numbers. */
static bool parse_pair(const char *text, int *ret_in, int *ret_out)
{
	int pair[2] = { 0, 0 };

	for (unsigned int i = 0; i < 2; i++) {
		const char *begin = text;

		for (; *text >= '0' && *text <= '9' && pair[i] <= NUMBER_MAX; text++)
			pair[i] = pair[i] * 10 + (*text - '0');
		if (text == begin || *text != (i == 0 ? '/' : '\0'))
			return false;
		text++;
	}
	*ret_in = pair[0];
	*ret_out = pair[1];
	return true;
}

static int fault(char *ret_why, size_t why_cap, int number, const char *text, int err)
{
	snprintf(ret_why, why_cap, "descriptor %d %s", number, text);
	return err;
}

/* It was somebody else who let this one in. */
static int check_rules(const struct attachment_args *args, int number, char *ret_why,
		       size_t why_cap)
{
	if (!peer_rules_exist(&args->options->allow) || peer_can_be_asked(number))
		return 0;
	return fault(ret_why, why_cap, number,
		     "is no Unix socket that listens, so there is nobody to allow: leave out "
		     "allow-uid and allow-gid",
		     -EINVAL);
}

static int open_pair(const struct attachment_args *args, int in, int out,
		     struct attachment **ret_attachment, char *ret_why, size_t why_cap)
{
	struct nature in_nature, out_nature;
	const char *text;
	int err;

	err = check_number(in, ret_why, why_cap);
	if (err == 0)
		err = check_rules(args, in, ret_why, why_cap);
	if (err == 0)
		err = check_number(out, ret_why, why_cap);
	if (err == 0)
		err = check_connected(args, in, ret_why, why_cap);
	if (err == 0)
		err = check_connected(args, out, ret_why, why_cap);
	if (err < 0)
		return err;
	err = nature_find(in, &in_nature, &text);
	if (err < 0)
		return fault(ret_why, why_cap, in, text, err);
	err = nature_find(out, &out_nature, &text);
	if (err < 0)
		return fault(ret_why, why_cap, out, text, err);
	if (!in_nature.reads || in_nature.listens)
		return fault(ret_why, why_cap, in, "cannot be read from", -EINVAL);
	if (!out_nature.writes || out_nature.listens)
		return fault(ret_why, why_cap, out, "cannot be written to", -EINVAL);
	err = serve_one(args, in, &in_nature, out, &out_nature, ret_attachment);
	if (err < 0)
		snprintf(ret_why, why_cap, "cannot use descriptors %d and %d: %s", in, out,
			 strerror(-err));
	return err;
}

static int open_single(const struct attachment_args *args, int number,
		       struct attachment **ret_attachment, char *ret_why, size_t why_cap)
{
	struct nature n;
	const char *text;
	int err = check_number(number, ret_why, why_cap);

	if (err == 0)
		err = check_rules(args, number, ret_why, why_cap);
	if (err < 0)
		return err;
	err = nature_find(number, &n, &text);
	if (err < 0)
		return fault(ret_why, why_cap, number, text, err);
	if (n.listens)
		return serve_many(args, number, ret_attachment, ret_why, why_cap);
	err = check_connected(args, number, ret_why, why_cap);
	if (err < 0)
		return err;
	err = serve_one(args, number, &n, -1, NULL, ret_attachment);
	if (err < 0)
		snprintf(ret_why, why_cap, "cannot use descriptor %d: %s", number, strerror(-err));
	return err;
}

static int descriptor_open(const struct attachment_args *args, struct attachment **ret_attachment,
			   char *ret_why, size_t why_cap)
{
	const char *text = args->options->address;
	int number, out;

	if (args->from && state_has(&args->from->state, SERVER_TAG_FIRST))
		return load_many(args, systemd_find_fd(text, 0), ret_attachment, ret_why, why_cap);
	if (args->from)
		return load_one(args, ret_attachment);
	if (!parse_pair(text, &number, &out))
		number = systemd_find_fd(text, 0);
	else if (number != out)
		return open_pair(args, number, out, ret_attachment, ret_why, why_cap);
	if (number < 0) {
		snprintf(ret_why, why_cap,
			 "fd:%s: there is no descriptor of that number or name; a number, "
			 "IN/OUT or a name in LISTEN_FDNAMES is expected",
			 text);
		return -EBADF;
	}
	return open_single(args, number, ret_attachment, ret_why, why_cap);
}

const struct attachment_ops attachment_descriptor = {
	.open = descriptor_open,
	.describe = descriptor_describe,
	.close = descriptor_close,
	.hurry = descriptor_hurry,
	.terminal_changed = descriptor_terminal_changed,
};
