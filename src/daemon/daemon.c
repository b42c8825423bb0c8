/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "daemon/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/terminal-modes.h"
#include "daemon/last-resort.h"
#include "daemon/needs.h"
#include "daemon/sandbox.h"
#include "fd.h"
#include "log.h"
#include "systemd.h"
#include "virtio/gmem.h"

/* The end: front-ends, then what clients still have to read, then all. */

static void everything_closed(struct scope *scope)
{
	struct daemon *d = container_of(scope, struct daemon, scope);

	d->over = true;
	loop_stop(d->loop);
}

static void watchdog_stopped(void *arg)
{
	struct daemon *d = arg;

	scope_cancel(&d->scope, everything_closed);
}

/* One of those that n_open counts has closed. */
static void part_closed(struct daemon *d)
{
	if (--d->n_open == 0 && list_empty(&d->leaving))
		systemd_watchdog_stop(watchdog_stopped, d);
}

static void guest_closed_here(struct task *task)
{
	part_closed(places_daemon(container_of(task, struct guest, told)));
}

static void guest_closed(struct guest *g)
{
	places_tell(g, guest_closed_here);
}

static void close_guests(struct daemon *d)
{
	struct list_node *node, *tmp;

	d->n_open = 1;
	list_for_each (node, tmp, &d->guests) {
		d->n_open++;
		guest_close(list_entry(node, struct guest, link), false, guest_closed);
	}
	part_closed(d);
}

static void front_end_gone(struct daemon *d)
{
	if (--d->n_open == 0)
		close_guests(d);
}

static void guest_disconnected_here(struct task *task)
{
	front_end_gone(places_daemon(container_of(task, struct guest, told)));
}

static void guest_disconnected(struct guest *g)
{
	places_tell(g, guest_disconnected_here);
}

static void control_closed(void *arg)
{
	struct daemon *d = arg;

	d->control = NULL;
	front_end_gone(d);
}

void daemon_end(struct daemon *d)
{
	struct list_node *node, *tmp;

	if (d->ending)
		return;
	d->ending = true;
	daemon_end_in_time(d);
	systemd_notify("STOPPING=1");
	d->n_open = 1;
	if (d->control) {
		d->n_open++;
		control_close(d->control, control_closed, d);
	}
	list_for_each (node, tmp, &d->guests) {
		d->n_open++;
		guest_disconnect(list_entry(node, struct guest, link), guest_disconnected);
	}
	front_end_gone(d);
}

/* A guest that goes while others stay. */

static void retired_here(struct task *task)
{
	struct guest *g = container_of(task, struct guest, told);
	struct daemon *d = places_daemon(g);

	list_remove(&g->link);
	places_count(g, -1);
	guest_free(g);
	if (d->ending) {
		/* The end may have waited for this one alone. */
		if (d->n_open == 0 && list_empty(&d->leaving))
			systemd_watchdog_stop(watchdog_stopped, d);
		return;
	}
	daemon_reload_rest(d);
}

static void retired(struct guest *g)
{
	places_tell(g, retired_here);
}

static void retiring_here(struct task *task)
{
	guest_close(container_of(task, struct guest, told), true, retired);
}

static void retiring(struct guest *g)
{
	places_tell(g, retiring_here);
}

void daemon_retire(struct daemon *d, struct guest *g)
{
	list_remove(&g->link);
	list_append(&d->leaving, &g->link);
	guest_disconnect(g, retiring);
}

/* Devices. */

/* Served from a connected descriptor: with the last such guest the daemon ends. */
static void finished(struct daemon *d)
{
	struct list_node *node, *tmp;

	list_for_each (node, tmp, &d->guests)
		if (list_entry(node, struct guest, link)->serving)
			return;
	daemon_end(d);
}

static const struct places_events events = {
	.quit = daemon_end,
	.finished = finished,
	.settled = daemon_reload_rest,
};

void daemon_number_devices(struct daemon *d)
{
	struct list_node *node, *tmp;
	unsigned int i = 0;

	list_for_each (node, tmp, &d->setup->devices)
		list_entry(node, struct device_spec, link)->idx = i++;
}

struct spec_defaults daemon_defaults(const struct daemon *d, const struct device_spec *spec)
{
	return (struct spec_defaults){
		.device_idx = spec->idx,
		.history = d->setup->options.history,
		.escape = d->setup->options.escape,
	};
}

/* A socket that listens stays ours, so that a device can come back to it. */
/* seccomp: getsockopt fcntl:F_DUPFD_CLOEXEC */
static int inherited_socket(const char *text, char *ret_why, size_t why_cap)
{
	int fd = systemd_find_fd(text, 0), listens = 0;
	socklen_t len = sizeof(listens);

	if (fd < 0 || fd_set_cloexec(fd) < 0) {
		snprintf(ret_why, why_cap, "--fd %s: no such descriptor was inherited", text);
		return -EBADF;
	}
	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) < 0 || !listens)
		return fd;
	fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (fd < 0)
		snprintf(ret_why, why_cap, "--fd %s: %s", text, strerror(errno));
	return fd < 0 ? -errno : fd;
}

static int start_device(struct daemon *d, struct device_spec *spec, struct guest **ret_guest,
			char *ret_why, size_t why_cap)
{
	struct spec_defaults defaults = daemon_defaults(d, spec);
	int fd = -1;

	*ret_guest = NULL;
	if (spec->options.fd) {
		fd = inherited_socket(spec->options.fd, ret_why, why_cap);
		if (fd < 0) {
			device_spec_free(spec);
			return fd;
		}
	}
	return guest_new(places_pick(d->places), spec, &defaults, fd, ret_guest, ret_why, why_cap);
}

int daemon_start_device(struct daemon *d, struct device_spec *spec, struct guest **ret_guest)
{
	char why[GUEST_WHY_MAX] = "";
	struct guest *g;
	int err = start_device(d, spec, &g, why, sizeof(why));

	if (g) {
		list_append(&d->guests, &g->link);
		places_count(g, 1);
	}
	if (err == 0) {
		*ret_guest = g;
		return 0;
	}
	log_error(g ? g->spec->options.name : NULL, "%s", why[0] ? why : strerror(-err));
	if (g)
		daemon_retire(d, g);
	return err;
}

void daemon_notify_ready(const struct daemon *d)
{
	unsigned int n_devices = 0, n_ports = 0;
	struct list_node *node, *tmp;

	list_for_each (node, tmp, &d->guests) {
		n_devices++;
		n_ports += guest_n_ports(list_entry(node, struct guest, link));
	}
	systemd_notify("READY=1\nSTATUS=%u devices with %u ports", n_devices, n_ports);
}

/* Signals. */

/* Whether somebody uses this terminal, and it has hung up. */
/* seccomp: poll ppoll fstat newfstatat */
static bool terminal_hung_up(const struct daemon *d)
{
	struct pollfd ends[] = { { .fd = STDIN_FILENO }, { .fd = STDOUT_FILENO } };
	struct list_node *node, *tmp;
	bool used = false;

	list_for_each (node, tmp, &d->guests)
		used |= guest_has_kind(list_entry(node, struct guest, link), ATTACHMENT_terminal);
	if (!used)
		return false;
	if (d->siginfo.ssi_code == SI_KERNEL)
		return true;
	/* Sent on by a shell that has lost it. */
	poll(ends, ARRAY_SIZE(ends), 0);
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		struct stat st;

		if ((ends[i].revents & POLLHUP) && fstat(ends[i].fd, &st) == 0 &&
		    S_ISCHR(st.st_mode))
			return true;
	}
	return false;
}

/*
 * Reload what can be read again, reopen what can be reopened. With nothing of
 * the kind, and nobody who could attach it, it means what it always has.
 */
static void hang_up(struct daemon *d)
{
	bool reloads = d->setup->has_files;
	bool reopens = false;
	struct list_node *node, *tmp;
	char why[GUEST_WHY_MAX];

	list_for_each (node, tmp, &d->guests)
		reopens |= guest_has_files(list_entry(node, struct guest, link));
	if (terminal_hung_up(d) || (!reloads && !reopens && !d->control)) {
		daemon_end(d);
		return;
	}
	list_for_each (node, tmp, &d->guests)
		guest_reopen_logs(list_entry(node, struct guest, link));
	if (reloads)
		daemon_reload(d, why, sizeof(why));
}

static void tell_terminals(struct daemon *d)
{
	struct list_node *node, *tmp;

	list_for_each (node, tmp, &d->guests)
		guest_terminal_changed(list_entry(node, struct guest, link));
}

static void signal_done(struct op *op, int res)
{
	struct daemon *d = container_of(op, struct daemon, signal);
	uint32_t signo = res == sizeof(d->siginfo) ? d->siginfo.ssi_signo : SIGTERM;

	if (scope_cancelling(&d->scope))
		return;
	if (d->ending)
		; /* it has been told already */
	else if (signo == SIGWINCH || signo == SIGCONT)
		tell_terminals(d);
	else if (signo == SIGHUP)
		hang_up(d);
	else if (signo == SIGUSR2)
		upgrade_ask(d);
	else
		daemon_end(d);
	/* With nothing to wait for, the end has come in the meantime. */
	if (!scope_cancelling(&d->scope))
		op_read(&d->signal, d->signal_fd, &d->siginfo, sizeof(d->siginfo));
}

/* seccomp(start): rt_sigprocmask rt_sigaction signalfd4 */
static int open_signals(struct daemon *d)
{
	static const int signals[] = {
		SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGWINCH, SIGCONT, SIGUSR2
	};
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		sigaddset(&set, signals[i]);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return log_errno(LOG_LEVEL_ERROR, NULL, -errno, "cannot block signals");
	signal(SIGPIPE, SIG_IGN); /* a peer that is gone is an error of the write (VU-021) */
	signal(SIGXFSZ, SIG_IGN); /* so is a file that may not grow */
	d->signal_fd = signalfd(-1, &set, SFD_CLOEXEC);
	if (d->signal_fd < 0)
		return log_errno(LOG_LEVEL_ERROR, NULL, -errno, "cannot receive signals");
	return 0;
}

/* The beginning. */

static int open_all(struct daemon *d)
{
	struct list_node *node, *tmp;
	struct guest *g;
	int err = 0;

	daemon_number_devices(d);
	list_for_each (node, tmp, &d->setup->devices) {
		list_remove(node);
		err = daemon_start_device(d, list_entry(node, struct device_spec, link), &g);
		if (err < 0)
			return err;
	}
	err = daemon_open_control(d);
	systemd_drop_stored();
	return err;
}

/*
 * The handlers of a terminal take what is not for the guard, also of one that is
 * attached later.
 */
static int guard_memory(void)
{
	int err;

	terminal_modes_guard();
	err = gmem_fault_guard_install();

	return err < 0 ? log_errno(LOG_LEVEL_ERROR, NULL, err, "cannot guard shared memory") : 0;
}

static void free_all(struct daemon *d)
{
	struct list_node *node, *tmp;

	list_for_each (node, tmp, &d->guests) {
		list_remove(node);
		guest_free(list_entry(node, struct guest, link));
	}
	list_for_each (node, tmp, &d->wanted)
		device_spec_free(list_entry(node, struct device_spec, link));
	places_free(d->places);
	daemon_trace_close(d->trace);
	loop_free(d->loop);
	fd_close(d->signal_fd);
	setup_free(d->setup);
}

static int begin(struct daemon *d, struct upgrade_from *from)
{
	int err;

	upgrade_init(d);
	op_init(&d->signal, &d->scope, signal_done);
	op_read(&d->signal, d->signal_fd, &d->siginfo, sizeof(d->siginfo));
	systemd_watchdog_start(d->loop);
	err = from ? upgrade_load(d, from) : open_all(d);
	if (err == 0)
		err = guard_memory();
	if (err == 0)
		err = sandbox_close(d->places, d->loop);
	if (err == 0 && from)
		upgrade_go_on(d, from);
	return err;
}

/* The loop stops for an upgrade as well; it goes on when there was none. */
static int serve(struct daemon *d)
{
	int err;

	do {
		err = loop_run(d->loop);
		if (err == 0 && !d->over)
			upgrade_now(d);
	} while (err == 0 && !d->over);
	return err;
}

static int run(struct daemon *d, struct upgrade_from *from)
{
	int err;

	if (from) {
		loop_begin_parked(d->loop);
		places_begin_parked(d->places);
	}
	err = begin(d, from);
	if (err < 0 && from)
		_exit(EXIT_FAILURE); /* half of it is there; nobody can be told */
	if (err < 0)
		daemon_end(d);
	else
		daemon_notify_ready(d);
	return serve(d) < 0 || err < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int open_loops(struct daemon *d, unsigned int n_ops, const char **ret_why)
{
	int err = loop_new(n_ops, &d->loop, ret_why);

	if (err < 0)
		return err;
	scope_init(&d->scope, d->loop);
	return places_new(d, &events, n_ops, &d->places, ret_why);
}

int daemon_run(int argc, char **argv, struct setup *setup, struct upgrade_from *from)
{
	struct daemon d = { .argc = argc, .argv = argv, .setup = setup, .signal_fd = -1 };
	int ret = EXIT_FAILURE, err;
	unsigned int n_ops;
	uint64_t n_fds;
	const char *why;

	list_init(&d.guests);
	list_init(&d.leaving);
	list_init(&d.wanted);
	daemon_count_needs(setup, &n_ops, &n_fds);
	daemon_raise_fd_limit(n_fds);
	if (sandbox_begin(setup) == 0 && open_signals(&d) == 0 &&
	    daemon_trace_open(setup->options.trace, &d.trace) == 0) {
		err = open_loops(&d, n_ops, &why);
		if (err == 0)
			ret = run(&d, from);
		else
			log_error(NULL, "%s", why);
		if (loop_engine_lacks(err) && setup->options.engine == LOOP_URING)
			ret = DAEMON_EXIT_NO_ENGINE;
	}
	if (from)
		upgrade_drop(from);
	free_all(&d);
	return ret;
}
