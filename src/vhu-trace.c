/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The program: its command line, and where its records come from. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "config.h"
#include "fd.h"
#include "log.h"
#include "loop.h"
#include "trace/capture/capture.h"
#include "trace/hub.h"
#include "trace/proxy/proxy.h"
#include "trace/trace-command.h"
#include "virtio/gmem.h"

enum {
	EXIT_BROKEN = 1,
	EXIT_USAGE = 2,
	EXIT_NO_ENGINE = 3,
	N_OPS = 512,
	WHY_MAX = 512,
};

/* Outputs. */

static int add_outputs(struct trace_hub *hub, const struct trace_command *c, char why[WHY_MAX])
{
	const struct trace_options *o = &c->options;
	enum hub_form form = o->json ? HUB_JSON : HUB_TEXT;
	int err = o->output ? hub_add_file(hub, form, o->output, why, WHY_MAX)
			    : hub_add_stream(hub, form, stdout, "standard output", c->view.color,
					     why, WHY_MAX);

	if (err == 0 && o->write)
		err = hub_add_file(hub, HUB_CAPTURE, o->write, why, WHY_MAX);
	if (err == 0 && o->html)
		err = hub_add_file(hub, HUB_PAGE, o->html, why, WHY_MAX);
	return err;
}

static struct trace_hub *open_hub(const struct trace_command *c, const struct view_options *view)
{
	struct trace_hub *hub = hub_new(&c->filter, view);
	char why[WHY_MAX] = "";

	if (hub && add_outputs(hub, c, why) == 0)
		return hub;
	log_error(NULL, "%s", hub ? why : strerror(ENOMEM));
	hub_finish(hub);
	return NULL;
}

/* The exit status, given how the run itself went. */
static int close_hub(struct trace_hub *hub, const struct trace_command *c, int err)
{
	bool broken = c->options.broken && hub_n_broken(hub) > 0;

	if (hub_finish(hub) < 0 || err < 0)
		return EXIT_FAILURE;
	return broken ? EXIT_BROKEN : EXIT_SUCCESS;
}

/* A capture. */

struct reading {
	struct trace_sink sink;
	const struct trace_command *command;
	struct capture_about about;
	struct trace_hub *hub;
	bool opened; /* or tried to */
};

/* With what the capture says of the device, unless the command line says something else. */
static void open_late(struct reading *r)
{
	struct view_options view = r->command->view;

	if (!view.device && r->about.device[0] != '\0')
		view.device = r->about.device;
	r->hub = open_hub(r->command, &view);
	r->opened = true;
}

/* What a capture is of is known when the first record comes. */
static void take_read(struct trace_sink *sink, const struct trace_record *record)
{
	struct reading *r = container_of(sink, struct reading, sink);

	if (!r->opened)
		open_late(r);
	if (r->hub)
		hub_sink(r->hub)->take(hub_sink(r->hub), record);
}

static int read_all(FILE *in, const char *path, const struct trace_command *c)
{
	struct reading r = { .sink = { .take = take_read }, .command = c };
	char error[256];
	int err = capture_read(in, &r.sink, &r.about, error);

	if (!r.opened)
		open_late(&r);
	if (!r.hub)
		return EXIT_FAILURE;
	if (err < 0)
		log_error(NULL, "%s: %s", path, error);
	if (r.about.n_foreign > 0)
		log_warning(NULL, "%s: passed over, as not of vhu-trace: %u packet%s", path,
			    r.about.n_foreign, r.about.n_foreign == 1 ? "" : "s");
	return close_hub(r.hub, c, err);
}

static int read_capture(const struct trace_command *c)
{
	const char *path = c->options.read;
	bool from_stdin = strcmp(path, "-") == 0;
	FILE *in = from_stdin ? stdin : fopen(path, "re");
	int status;

	if (!in) {
		log_errno(LOG_LEVEL_ERROR, NULL, -errno, "cannot read %s", path);
		return EXIT_FAILURE;
	}
	status = read_all(in, path, c);
	if (!from_stdin)
		fclose(in);
	return status;
}

/* The proxy. */

struct watch {
	struct loop *loop;
	struct proxy *proxy;
	struct scope scope;
	struct op signal;
	int fd;
	struct signalfd_siginfo info;
};

static void signal_done(struct op *op, int res)
{
	struct watch *w = container_of(op, struct watch, signal);

	if (scope_cancelling(&w->scope))
		return;
	if (res == (int)sizeof(w->info) && w->info.ssi_signo == SIGUSR1)
		proxy_look(w->proxy);
	else if (res == (int)sizeof(w->info))
		proxy_close(w->proxy);
	op_read(&w->signal, w->fd, &w->info, sizeof(w->info));
}

static void all_idle(struct scope *scope)
{
	loop_stop(container_of(scope, struct watch, scope)->loop);
}

static void proxy_ended(void *arg)
{
	struct watch *w = arg;

	scope_cancel(&w->scope, all_idle);
}

/* Blocked before there are descriptors for them to find. -errno, or a descriptor. */
static int catch_signals(void)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGUSR1);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is an error of the write */
	fd = signalfd(-1, &set, SFD_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int run_loop(struct watch *w, const struct trace_command *c, struct trace_hub *hub)
{
	char why[WHY_MAX];
	int err = proxy_new(w->loop, &c->proxy, hub_sink(hub), &w->proxy, why, sizeof(why));

	if (err < 0) {
		log_error(NULL, "%s", why);
		return err;
	}
	scope_init(&w->scope, w->loop);
	op_init(&w->signal, &w->scope, signal_done);
	op_read(&w->signal, w->fd, &w->info, sizeof(w->info));
	proxy_on_end(w->proxy, proxy_ended, w);
	log_info(NULL, "front-ends that connect to %s are passed on to %s",
		 c->proxy.listen ? c->proxy.listen : "the inherited socket", c->proxy.connect);
	err = loop_run(w->loop);
	if (err < 0)
		log_errno(LOG_LEVEL_ERROR, NULL, err, "the loop failed");
	proxy_free(w->proxy);
	return err;
}

/* A session with many rings and regions has many descriptors. */
static void raise_fd_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static int run_proxy(const struct trace_command *c)
{
	struct watch w = { .fd = catch_signals() };
	const char *why = "cannot receive signals";
	struct trace_hub *hub;
	int err;

	loop_choose_engine((enum loop_choice)c->options.engine);
	err = w.fd < 0 ? w.fd : loop_new(N_OPS, &w.loop, &why);
	if (err < 0) {
		log_error(NULL, "%s", why);
		fd_close(w.fd);
		return c->options.engine == LOOP_URING && w.fd >= 0 && loop_engine_lacks(err)
			       ? EXIT_NO_ENGINE
			       : EXIT_FAILURE;
	}
	raise_fd_limit();
	gmem_fault_guard_install();
	hub = open_hub(c, &c->view);
	err = hub ? run_loop(&w, c, hub) : -EIO;
	loop_free(w.loop);
	fd_close(w.fd);
	return hub ? close_hub(hub, c, err) : EXIT_FAILURE;
}

/* Statements. */

static int run_repl(struct trace_command *c)
{
	FILE *in = c->repl_file ? fopen(c->repl_file, "re") : stdin;
	int status;

	if (!in) {
		log_errno(LOG_LEVEL_ERROR, NULL, -errno, "cannot read %s", c->repl_file);
		return EXIT_FAILURE;
	}
	c->repl.in = in;
	c->repl.out = stdout;
	c->repl.interactive = !c->repl_file && isatty(STDIN_FILENO);
	status = repl_run(&c->repl);
	if (c->repl_file)
		fclose(in);
	return status;
}

static int run(struct trace_command *c)
{
	switch (c->mode) {
	case TRACE_MODE_PROXY:
		return run_proxy(c);
	case TRACE_MODE_READ:
		return read_capture(c);
	case TRACE_MODE_REPL:
		return run_repl(c);
	case TRACE_MODE_HELP:
		trace_command_help(stdout);
		break;
	case TRACE_MODE_VERSION:
		puts(PACKAGE_STRING);
		break;
	}
	return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
	struct trace_command c;
	char why[WHY_MAX];
	int status;

	log_set_program("vhu-trace");
	if (trace_command_parse(&c, argc, argv, isatty(STDOUT_FILENO), why, sizeof(why)) < 0) {
		log_error(NULL, "%s; see vhu-trace --help", why);
		return EXIT_USAGE;
	}
	/* A reader of a capture that is shown alone ends like any filter, others have more to do.
	 */
	if (c.mode != TRACE_MODE_READ || c.options.write || c.options.html)
		signal(SIGPIPE, SIG_IGN);
	status = run(&c);
	trace_command_free(&c);
	return status;
}
