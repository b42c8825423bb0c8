/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The daemon: options, wiring, signals, exit. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "backends/backend.h"
#include "config.h"
#include "console-options.h"
#include "fd.h"
#include "listener.h"
#include "log.h"
#include "loop.h"
#include "vhu/server.h"
#include "virtio/console.h"

enum {
	EXIT_USAGE = 2,
	FLUSH_MS = 500,	    /* for clients to take what is left at the end */
	OPS_PER_GUEST = 64, /* operations armed at once, for the size of the queues */
	FDS_PER_GUEST = 128,
};

struct daemon;

/* One guest: its device, its port, its front-end's socket, its backend. */
struct guest {
	struct daemon *daemon;
	char who[24];
	struct port port;
	struct console console;
	struct vhu_server server;
	struct console_backend *backend; /* NULL once closed */
	bool serving;
};

struct daemon {
	struct console_options options;
	struct loop *loop;
	struct guest *guests;
	unsigned int n_guests;
	unsigned int n_open; /* servers, then backends, that are not closed yet */
	bool ending;
	struct scope scope;
	struct op signal;
	struct timer flush;
	int signal_fd;
	struct signalfd_siginfo siginfo;
};

static const struct console_backend_ops *const backends[] = {
#define BACKEND(name) &console_backend_##name,
#include "backends/backends.def"
#undef BACKEND
};

/* The end, in three steps: front-ends, then what clients still have to read, then all. */

static void everything_closed(struct scope *scope)
{
	struct daemon *d = container_of(scope, struct daemon, scope);

	loop_stop(d->loop);
}

static void backend_closed(void *arg)
{
	struct guest *g = arg;

	g->backend = NULL;
	if (--g->daemon->n_open == 0)
		scope_cancel(&g->daemon->scope, everything_closed);
}

static void flush_late(struct op *op, int res)
{
	struct daemon *d = container_of(op, struct daemon, flush.op);

	if (res != -ETIME)
		return;
	for (unsigned int i = 0; i < d->n_guests; i++)
		if (d->guests[i].backend)
			d->guests[i].backend->ops->hurry(d->guests[i].backend);
}

static void close_backends(struct daemon *d)
{
	d->n_open = 1;
	for (unsigned int i = 0; i < d->n_guests; i++) {
		struct guest *g = &d->guests[i];

		if (!g->backend)
			continue;
		d->n_open++;
		g->backend->ops->close(g->backend, backend_closed, g);
	}
	timer_arm(&d->flush, FLUSH_MS * UINT64_C(1000000));
	if (--d->n_open == 0)
		scope_cancel(&d->scope, everything_closed);
}

static void server_closed(struct vhu_server *s)
{
	struct guest *g = container_of(s, struct guest, server);

	g->serving = false;
	if (--g->daemon->n_open == 0)
		close_backends(g->daemon);
}

static void end(struct daemon *d)
{
	if (d->ending)
		return;
	d->ending = true;
	d->n_open = 1;
	for (unsigned int i = 0; i < d->n_guests; i++) {
		struct guest *g = &d->guests[i];

		if (!g->serving)
			continue;
		d->n_open++;
		vhu_server_close(&g->server, server_closed);
	}
	if (--d->n_open == 0)
		close_backends(d);
}

static void quit(void *arg)
{
	end(arg);
}

/* Served from a connected descriptor: with the last such guest the daemon ends. */
static void server_finished(struct vhu_server *s)
{
	struct guest *g = container_of(s, struct guest, server);
	struct daemon *d = g->daemon;

	g->serving = false;
	for (unsigned int i = 0; i < d->n_guests; i++)
		if (d->guests[i].serving)
			return;
	end(d);
}

static void signal_done(struct op *op, int res)
{
	struct daemon *d = container_of(op, struct daemon, signal);
	bool terminal = res == sizeof(d->siginfo) &&
			(d->siginfo.ssi_signo == SIGWINCH || d->siginfo.ssi_signo == SIGCONT);

	if (scope_cancelling(&d->scope))
		return;
	op_read(&d->signal, d->signal_fd, &d->siginfo, sizeof(d->siginfo));
	if (!terminal) {
		end(d);
		return;
	}
	for (unsigned int i = 0; i < d->n_guests; i++) {
		struct console_backend *b = d->guests[i].backend;

		if (b && b->ops->terminal_changed)
			b->ops->terminal_changed(b);
	}
}

static int open_signals(struct daemon *d)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGQUIT);
	sigaddset(&set, SIGWINCH);
	sigaddset(&set, SIGCONT);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return log_errno(LOG_LEVEL_ERROR, NULL, -errno, "cannot block signals");
	signal(SIGPIPE, SIG_IGN); /* a peer that is gone is an error of the write (VU-021) */
	d->signal_fd = signalfd(-1, &set, SFD_CLOEXEC);
	if (d->signal_fd < 0)
		return log_errno(LOG_LEVEL_ERROR, NULL, -errno, "cannot receive signals");
	return 0;
}

/* Rings bring up to three descriptors each; the usual soft limit is for small programs. */
static void raise_fd_limit(unsigned int n_guests)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= n_guests * FDS_PER_GUEST)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

/* The socket of guest i: a new one at PATHi, or an inherited descriptor. */
static int open_socket(const struct daemon *d, unsigned int i, char *path, size_t path_cap,
		       char *why, size_t why_cap)
{
	if (d->options.fds.n_fds > 0) {
		int fd = d->options.fds.fd[i];

		path[0] = '\0';
		if (fd_set_cloexec(fd) < 0) {
			snprintf(why, why_cap, "--fd %d: no such descriptor was inherited", fd);
			return -EBADF;
		}
		return fd;
	}
	snprintf(path, path_cap, "%s%u", d->options.socket_path, i);
	return listener_unix_socket(path, why, why_cap);
}

static int open_backend(struct daemon *d, struct guest *g, unsigned int i, char *why, size_t cap)
{
	const struct console_backend_options options = {
		.who = g->who,
		.tcp_port = (uint16_t)(d->options.tcp_port + i),
		.escape = d->options.escape,
		.quit = quit,
		.quit_arg = d,
	};

	return backends[d->options.backend]->open(d->loop, &g->port, &options, &g->backend, why,
						  cap);
}

static int open_server(struct daemon *d, struct guest *g, int fd, const char *path, char *why,
		       size_t cap)
{
	const struct vhu_backend_options options = {
		.who = g->who,
		.max_queue_size = (unsigned int)d->options.max_queue_size,
	};
	int err = vhu_server_start(&g->server, d->loop, &g->console.vdev, fd, path[0] ? path : NULL,
				   &options, server_finished);

	if (err < 0)
		snprintf(why, cap, "--fd %d: expected a Unix stream socket, listening or connected",
			 fd);
	return err;
}

static int open_guest(struct daemon *d, unsigned int i, char *why, size_t why_cap)
{
	char path[128], where[96];
	struct guest *g = &d->guests[i];
	int fd, err;

	g->daemon = d;
	snprintf(g->who, sizeof(g->who), "console%u", i);
	err = port_init(&g->port, (size_t)d->options.history);
	if (err < 0) {
		snprintf(why, why_cap, "no memory for %" PRIu64 " bytes of history",
			 d->options.history);
		return err;
	}
	console_init(&g->console, &g->port);
	fd = open_socket(d, i, path, sizeof(path), why, why_cap);
	if (fd < 0)
		return fd;
	err = open_backend(d, g, i, why, why_cap);
	if (err < 0) {
		if (path[0])
			unlink(path);
		fd_close(fd);
		return err;
	}
	g->backend->ops->describe(g->backend, where, sizeof(where));
	if (path[0])
		log_info(g->who, "front-end socket %s, console on %s", path, where);
	else
		log_info(g->who, "front-end on descriptor %d, console on %s", fd, where);
	err = open_server(d, g, fd, path, why, why_cap);
	g->serving = err == 0;
	return err;
}

static int run(struct daemon *d)
{
	char why[256] = "";
	int err = 0;

	scope_init(&d->scope, d->loop);
	op_init(&d->signal, &d->scope, signal_done);
	timer_init(&d->flush, &d->scope, flush_late);
	op_read(&d->signal, d->signal_fd, &d->siginfo, sizeof(d->siginfo));
	while (d->n_guests < console_options_n_guests(&d->options) && err == 0)
		err = open_guest(d, d->n_guests++, why, sizeof(why));
	/* After the backends, whose handlers take what is not for the guard. */
	if (err == 0)
		err = gmem_fault_guard_install();
	if (err < 0) {
		log_error(NULL, "%s", why[0] ? why : strerror(-err));
		end(d);
	}
	return loop_run(d->loop) < 0 || err < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int serve(struct daemon *d)
{
	unsigned int n = console_options_n_guests(&d->options);
	const char *why;
	int ret = EXIT_FAILURE;

	raise_fd_limit(n);
	d->guests = calloc(n, sizeof(*d->guests));
	if (!d->guests) {
		log_error(NULL, "no memory for %u guests", n);
		return EXIT_FAILURE;
	}
	if (open_signals(d) == 0) {
		if (loop_new(n * OPS_PER_GUEST, &d->loop, &why) == 0)
			ret = run(d);
		else
			log_error(NULL, "%s", why);
	}
	for (unsigned int i = 0; i < d->n_guests; i++)
		port_fini(&d->guests[i].port);
	loop_free(d->loop);
	fd_close(d->signal_fd);
	free(d->guests);
	return ret;
}

/* A closed standard stream's number would go to the first descriptor we open. */
static void open_standard_streams(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
			(void)!open("/dev/null", O_RDWR);
}

int main(int argc, char **argv)
{
	struct daemon d = { .signal_fd = -1 };
	char error[256];

	open_standard_streams();
	log_set_program("vhost-device-console");
	if (console_options_parse(&d.options, argc, argv, error, sizeof(error)) < 0) {
		log_error(NULL, "%s", error);
		return EXIT_USAGE;
	}
	if (d.options.print_capabilities) {
		puts("{\n  \"type\": \"console\"\n}");
		return EXIT_SUCCESS;
	}
	if (d.options.help) {
		console_options_help(stdout);
		return EXIT_SUCCESS;
	}
	if (d.options.version) {
		puts(PACKAGE_STRING);
		return EXIT_SUCCESS;
	}
	log_set_level(d.options.log_level);
	return serve(&d);
}
