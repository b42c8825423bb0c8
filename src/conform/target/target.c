/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Folder, placeholders, connections and actions of a back-end. */
#include "conform/target/target.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "conform/target/folder.h"
#include "fd.h"

/* Between two looks at something that makes no event. */
enum { TICK_MS = 2 };

int target_fail(struct target *target, int err, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(target->error, sizeof(target->error), fmt, args);
	va_end(args);
	return err;
}

bool target_wait_fd(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int64_t deadline = monotonic_ms() + ms, left;
	int n;

	do {
		left = deadline - monotonic_ms();
		n = poll(&p, 1, left > 0 ? (int)left : 0);
	} while (n < 0 && errno == EINTR);
	return n > 0;
}

int target_ms(const struct target *target, int ms)
{
	double scaled = ms * (target->timeout_scale > 0 ? target->timeout_scale : 1);

	return scaled < 1 ? 1 : scaled > INT_MAX ? INT_MAX : (int)scaled;
}

/* The folder. */

/* Kept open, as the process can put something else in its place. */
static int open_output(struct target *target)
{
	char *path;

	if (asprintf(&path, "%s/output", target->dir) < 0)
		return target_fail(target, -ENOMEM, "no memory");
	target->output_fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600);
	free(path);
	if (target->output_fd < 0)
		return target_fail(target, -errno, "a file in %s: %s", target->dir,
				   strerror(errno));
	return 0;
}

static int make_dir(struct target *target)
{
	int err = folder_make(&target->dir);

	if (err < 0)
		return target_fail(target, err, "a temporary folder: %s", strerror(-err));
	return open_output(target);
}

int target_init(struct target *target)
{
	int err = 0;

	target->dir = target->path = NULL;
	target->pid = target->child = 0;
	target->pidfd = target->server_fd = target->output_fd = -1;
	target->started = target->stopped = target->stubborn = target->interrupted =
		target->visible = false;
	target->n_sessions = 0;
	target->idle_fds = -1;
	target->end = TARGET_RUNS;
	target->info = (struct target_info){ 0 };
	target->error[0] = '\0';
	if (target->exec)
		err = make_dir(target);
	if (err < 0) {
		target_fini(target);
		return err;
	}
	if (target->socket)
		target->path = target_expand(target, target->socket, NULL);
	else if (target->exec && asprintf(&target->path, "%s/vhu.sock", target->dir) < 0)
		target->path = NULL;
	if (!target->path && target->connect_fd < 0) {
		target_fini(target);
		return target_fail(target, -ENOMEM, "no memory");
	}
	if (target->connect_fd >= 0 && fd_set_cloexec(target->connect_fd) < 0) {
		target_fini(target);
		return target_fail(target, -EBADF, "--connect-fd: expected an open descriptor");
	}
	return 0;
}

void target_fini(struct target *target)
{
	target_stop(target);
	target->connect_fd = fd_close(target->connect_fd);
	target->pidfd = fd_close(target->pidfd);
	target->server_fd = fd_close(target->server_fd);
	target->output_fd = fd_close(target->output_fd);
	folder_remove(target->dir);
	free(target->path);
	target->dir = target->path = NULL;
}

/* Placeholders. */

char *target_expand(const struct target *target, const char *text, const char *const *words)
{
	return folder_expand(text, target->dir, target->path, words);
}

/* Connections. */

static bool is_absent(int err)
{
	return err == -ENOENT || err == -ECONNREFUSED;
}

int target_dial(const char *path, int ms)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int64_t deadline = monotonic_ms() + ms;
	AUTO_FD int fd = -1;

	if (strlen(path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	memcpy(addr.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	while (connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0) {
		/* A full backlog makes no event. */
		if ((errno != EAGAIN && errno != EINTR) || monotonic_ms() >= deadline)
			return -errno;
		(void)poll(NULL, 0, TICK_MS);
	}
	if (fcntl(fd, F_SETFL, 0) < 0)
		return -errno;
	return fd_take(&fd);
}

/* Until the socket takes a connection, the process ends or the deadline passes. */
static int dial_patiently(struct target *target, int ms)
{
	int64_t deadline = monotonic_ms() + ms;
	int fd;

	for (;;) {
		fd = target_dial(target->path, ms);
		if (fd >= 0)
			return fd;
		if (!is_absent(fd) || target->interrupted || monotonic_ms() >= deadline)
			return target_fail(target, fd, "connecting to %s: %s", target->path,
					   strerror(-fd));
		if (target->pidfd < 0)
			(void)poll(NULL, 0, TICK_MS);
		else if (target_ended(target, TICK_MS))
			return target_fail(target, fd, "connecting to %s: the process has ended",
					   target->path);
	}
}

/* Where a new connection may be closed unanswered there is a next one that is not. */
static int connect_served(struct target *target)
{
	int ms = target_ms(target, TARGET_REACH_MS), fd, err;
	int64_t deadline = monotonic_ms() + ms;

	do {
		fd = dial_patiently(target, ms);
		if (fd < 0)
			return fd;
		err = target_ask(target, fd, TARGET_SERVE_MS);
		if (err == 0)
			return fd;
		fd_close(fd);
	} while (err == -ECONNRESET && monotonic_ms() < deadline);
	if (err == -ECONNRESET)
		return target_fail(target, err, "connecting to %s: every connection is closed",
				   target->path);
	/* It waits for another one to end. */
	return dial_patiently(target, ms);
}

int target_connect(struct target *target, int *ret_fd)
{
	int fd = fd_take(&target->connect_fd);

	if (fd < 0 && !target->path)
		return target_fail(target, -ENOTCONN,
				   "the one connection of --connect-fd has been used up");
	if (fd < 0) {
		fd = target->info.closes_early
			     ? connect_served(target)
			     : dial_patiently(target, target_ms(target, TARGET_REACH_MS));
		target->n_sessions++;
	}
	if (fd < 0)
		return fd;
	*ret_fd = fd;
	return 0;
}

void target_drop_spare(struct target *target)
{
	if (target->path)
		target->connect_fd = fd_close(target->connect_fd);
}

/* Who listens, as the kernel has noted it. */
static pid_t peer_pid(int fd)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return 0;
	/* A socket handed over by a service manager tells nothing of the back-end. */
	return cred.pid > 1 && cred.pid != getpid() ? cred.pid : 0;
}

int target_reach(struct target *target, int ms)
{
	int fd = dial_patiently(target, ms);

	if (fd < 0)
		return fd;
	target->connect_fd = fd;
	target->n_sessions++;
	target_watch(target, peer_pid(fd));
	return 0;
}

/* Actions. */

static const char *find_action(const struct target *target, const char *name)
{
	size_t len = strlen(name);

	for (unsigned int i = 0; i < target->actions.n_items; i++) {
		const char *text = target->actions.items[i].text;

		if (strncmp(text, name, len) == 0 && text[len] == '=')
			return text + len + 1;
	}
	return NULL;
}

bool target_has_action(const struct target *target, const char *name)
{
	return find_action(target, name) != NULL;
}

int target_act(struct target *target, const char *name, const char *const *words)
{
	const char *command = find_action(target, name);
	char *script;
	int err;

	if (!command)
		return target_fail(target, -ENOENT, "no command was given by --do %s=", name);
	script = target_expand(target, command, words);
	if (!script)
		return target_fail(target, -ENOMEM, "no memory");
	err = target_run(target, script);
	free(script);
	return err;
}
