/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "backends/pty-device.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "fd.h"

#define TICK_NS (UINT64_C(250) * 1000000)

/*
 * One inotify descriptor for all, as a user may have 128 of them only. Each
 * device waits for it by itself; whichever is first takes the events and tells
 * the others.
 */
static struct {
	int fd; /* valid while users is not empty */
	struct list_node users;
} watcher = { .fd = -1, .users = { &watcher.users, &watcher.users } };

static void watch_on(struct pty_device *d)
{
	if (d->watched >= 0 && !op_armed(&d->watch))
		op_poll(&d->watch, watcher.fd, POLLIN);
	else if (d->watched < 0 && !op_armed(&d->tick.op))
		timer_arm(&d->tick, TICK_NS);
}

static void tell(int watched, enum pty_event event)
{
	struct list_node *node, *tmp;

	list_for_each (node, tmp, &watcher.users) {
		struct pty_device *d = list_entry(node, struct pty_device, link_in_watcher);

		if (d->watched == watched && !scope_cancelling(&d->scope))
			d->touched(d, event);
	}
}

/* Events were lost, or there are none to be had. One who has left may have typed before. */
/* seccomp: poll ppoll */
static void look(struct pty_device *d)
{
	struct pollfd p = { .fd = d->master, .events = POLLIN };

	if (scope_cancelling(&d->scope) || poll(&p, 1, 0) < 0)
		return;
	if ((p.revents & POLLIN) || !(p.revents & POLLHUP))
		d->touched(d, PTY_OPENED);
}

static void again_run(struct task *task)
{
	look(container_of(task, struct pty_device, again));
}

static void look_at_all(void)
{
	struct list_node *node, *tmp;

	list_for_each (node, tmp, &watcher.users)
		look(list_entry(node, struct pty_device, link_in_watcher));
}

/* seccomp: read */
static void take_events(void)
{
	union {
		struct inotify_event event;
		char bytes[4096];
	} buf;
	ssize_t len;

	while ((len = read(watcher.fd, &buf, sizeof(buf))) > 0) {
		for (size_t at = 0; at < (size_t)len;) {
			struct inotify_event e;

			memcpy(&e, buf.bytes + at, sizeof(e));
			at += sizeof(e) + e.len;
			if (e.mask & IN_Q_OVERFLOW)
				look_at_all();
			else if (e.mask & (IN_OPEN | IN_CLOSE))
				tell(e.wd, e.mask & IN_OPEN ? PTY_OPENED : PTY_CLOSED);
		}
	}
}

static void watch_done(struct op *op, int res)
{
	struct pty_device *d = container_of(op, struct pty_device, watch);

	(void)res;
	if (scope_cancelling(&d->scope))
		return;
	take_events();
	watch_on(d);
}

static void tick_done(struct op *op, int res)
{
	struct pty_device *d = container_of(op, struct pty_device, tick.op);

	(void)res;
	if (scope_cancelling(&d->scope))
		return;
	look(d);
	watch_on(d);
}

/* seccomp(terminals): inotify_add_watch */
static void add_watch(struct pty_device *d)
{
	if (watcher.fd >= 0)
		d->watched = inotify_add_watch(watcher.fd, d->name, IN_OPEN | IN_CLOSE);
}

/* seccomp(terminals): inotify_rm_watch */
static void remove_watch(struct pty_device *d)
{
	if (d->watched >= 0)
		inotify_rm_watch(watcher.fd, d->watched);
	d->watched = -1;
}

/* Without inotify, or beyond its limits, the slave is looked at four times a second. */
/* seccomp(terminals): inotify_init1 */
static void start_watching(struct pty_device *d)
{
	if (watcher.fd < 0)
		watcher.fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	add_watch(d);
	list_append(&watcher.users, &d->link_in_watcher);
	watch_on(d);
}

static void stop_watching(struct pty_device *d)
{
	list_remove(&d->link_in_watcher);
	remove_watch(d);
	task_cancel(&d->again);
	if (list_empty(&watcher.users))
		watcher.fd = fd_close(watcher.fd);
}

/* The link */

static int refuse(const struct pty_device *d, const char *what, int err, char *ret_why,
		  size_t why_cap)
{
	snprintf(ret_why, why_cap, "cannot make the link %s: %s", d->link,
		 what ? what : strerror(-err));
	return err;
}

/* seccomp(terminals): readlink readlinkat */
static bool link_target(const char *link, char target[PATH_MAX])
{
	ssize_t len = readlink(link, target, PATH_MAX - 1);

	if (len < 0)
		return false;
	target[len] = '\0';
	return true;
}

/* Zero when what is at the link's place may be replaced: it leads to no terminal any more. */
/* seccomp(terminals): stat newfstatat */
static int may_replace(const struct pty_device *d, char *ret_why, size_t why_cap)
{
	static const char devpts[] = "/dev/pts/";
	char target[PATH_MAX];
	struct stat st;

	if (!link_target(d->link, target) || strncmp(target, devpts, sizeof(devpts) - 1) != 0)
		return refuse(d, "there is something else by that name", -EEXIST, ret_why, why_cap);
	if (strcmp(target, d->name) != 0 && stat(target, &st) == 0)
		return refuse(d, "it is there and leads to a terminal that is in use", -EEXIST,
			      ret_why, why_cap);
	return 0;
}

/* A link by another name, moved over the old one: there is one at every moment. */
/* seccomp(terminals): getpid symlink symlinkat rename renameat renameat2 unlink unlinkat */
static int replace_link(const struct pty_device *d)
{
	char temporary[PATH_MAX + 32];
	int err = 0;

	snprintf(temporary, sizeof(temporary), "%s.%ld.new", d->link, (long)getpid());
	if (symlink(d->name, temporary) < 0)
		return -errno;
	if (rename(temporary, d->link) < 0) {
		err = -errno;
		unlink(temporary);
	}
	return err;
}

static int make_link(const struct pty_device *d, char *ret_why, size_t why_cap)
{
	int err;

	if (!d->link || symlink(d->name, d->link) == 0)
		return 0;
	if (errno != EEXIST)
		return refuse(d, NULL, -errno, ret_why, why_cap);
	err = may_replace(d, ret_why, why_cap);
	if (err < 0)
		return err;
	err = replace_link(d);
	return err < 0 ? refuse(d, NULL, err, ret_why, why_cap) : 0;
}

/* seccomp(terminals): unlink unlinkat */
static void remove_link(const struct pty_device *d)
{
	char target[PATH_MAX];

	if (d->link && link_target(d->link, target) && strcmp(target, d->name) == 0)
		unlink(d->link);
}

/* The terminal */

/* seccomp(terminals): ioctl:TIOCGPTPEER */
static int open_slave(const struct pty_device *d)
{
	int fd = ioctl(d->master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/*
 * tcsetattr(TCSAFLUSH) by way of the master would do as well, but it waits for
 * one who is waiting to write to the slave, and that one waits for us.
 */
/* seccomp(terminals): ioctl:TCFLSH */
void pty_device_flush(struct pty_device *d)
{
	int slave;

	remove_watch(d);	      /* it is not to tell of ourselves */
	tcflush(d->master, TCOFLUSH); /* what is on its way to the slave */
	slave = open_slave(d);
	if (slave >= 0)
		tcflush(slave, TCIFLUSH); /* what is there already */
	fd_close(slave);
	add_watch(d);
	watch_on(d);
	loop_defer(d->scope.loop, &d->again);
}

/* seccomp(terminals): ioctl:TCGETS ioctl:TCSETS */
void pty_device_reset_modes(struct pty_device *d)
{
	struct termios modes;

	/* By way of the master they are the slave's. */
	if (tcgetattr(d->master, &modes) < 0)
		return;
	cfmakeraw(&modes);
	tcsetattr(d->master, TCSANOW, &modes);
}

/* seccomp(terminals): openat ioctl:TIOCGPTN ioctl:TIOCSPTLCK ioctl:TCGETS stat newfstatat statfs */
static int open_master(struct pty_device *d)
{
	d->master = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (d->master < 0 || grantpt(d->master) < 0 || unlockpt(d->master) < 0)
		return -errno;
	return -ptsname_r(d->master, d->name, sizeof(d->name));
}

/* From here on the master is told whenever no slave is open, as one was. */
static int prepare_slave(struct pty_device *d, const struct attachment_options *options,
			 char *ret_why, size_t why_cap)
{
	AUTO_FD int slave = open_slave(d);

	if (slave < 0) {
		snprintf(ret_why, why_cap, "cannot open %s: %s", d->name, strerror(-slave));
		return slave;
	}
	pty_device_reset_modes(d);
	return attachment_set_owner(options, d->name, slave, ret_why, why_cap);
}

static void init(struct pty_device *d, struct loop *loop, const struct attachment_options *options,
		 void (*touched)(struct pty_device *d, enum pty_event event))
{
	*d = (struct pty_device){
		.master = -1, .link = options->address, .watched = -1, .touched = touched
	};
	list_init(&d->link_in_watcher);
	scope_init(&d->scope, loop);
	op_init(&d->watch, &d->scope, watch_done);
	timer_init(&d->tick, &d->scope, tick_done);
	task_init(&d->again, again_run);
}

int pty_device_open(struct pty_device *d, struct loop *loop,
		    const struct attachment_options *options,
		    void (*touched)(struct pty_device *d, enum pty_event event), char *ret_why,
		    size_t why_cap)
{
	int err;

	init(d, loop, options, touched);
	err = open_master(d);
	if (err < 0)
		snprintf(ret_why, why_cap, "cannot make a pseudo-terminal: %s", strerror(-err));
	if (err == 0)
		err = prepare_slave(d, options, ret_why, why_cap);
	if (err == 0)
		err = make_link(d, ret_why, why_cap);
	if (err < 0) {
		d->master = fd_close(d->master);
		return err;
	}
	start_watching(d);
	return 0;
}

void pty_device_stop(struct pty_device *d, scope_idle_fn *idle)
{
	scope_cancel(&d->scope, idle);
}

void pty_device_close(struct pty_device *d)
{
	if (d->master < 0)
		return;
	stop_watching(d);
	remove_link(d);
	d->master = fd_close(d->master);
}

bool pty_device_in_use(const struct pty_device *d)
{
	struct pollfd p = { .fd = d->master };

	return poll(&p, 1, 0) >= 0 && !(p.revents & POLLHUP);
}

bool pty_device_drained(const struct pty_device *d)
{
	AUTO_FD int slave = open_slave(d);
	struct pollfd p = { .fd = slave, .events = POLLIN };

	/* poll() waits for the kernel's own queue to the slave. */
	return slave < 0 || poll(&p, 1, 0) == 0;
}

enum { TAG_MASTER = 1, TAG_NAME };

void pty_device_save(const struct pty_device *d, struct handover_out *out, unsigned int tag)
{
	state_begin_group(&out->state, tag);
	handover_put_fd(out, TAG_MASTER, d->master);
	handover_put_text(out, TAG_NAME, d->name);
	state_end(&out->state);
}

void pty_device_load(struct pty_device *d, struct loop *loop,
		     const struct attachment_options *options,
		     void (*touched)(struct pty_device *d, enum pty_event event),
		     struct handover_in *in, unsigned int tag)
{
	init(d, loop, options, touched);
	if (!state_enter(&in->state, tag, "terminal"))
		return;
	d->master = handover_take_fd(in, TAG_MASTER, "master", false);
	handover_take_text(in, TAG_NAME, "name", d->name, sizeof(d->name));
	state_leave(&in->state);
	if (d->master < 0)
		return;
	start_watching(d);
	loop_defer_parked(loop, &d->again); /* nobody watched in between */
}
