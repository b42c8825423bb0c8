/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "listener.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fd.h"
#include "log.h"
#include "systemd.h"

enum {
	BACKLOG = 128, /* one that does not wait is turned away beyond it */
	PAUSE_NS = 1000 * 1000 * 1000,
	UNIX_MODE = 0660, /* who is neither owner nor in the group has to be let in by name */
	BIND_TRIES = 15,
	BIND_PAUSE_US = 20 * 1000,
};

static int fail(char *ret_why, size_t cap, const char *what, const char *where, int err)
{
	snprintf(ret_why, cap, "%s %s: %s", what, where, strerror(-err));
	return err;
}

/*
 * Whether the process that listens behind a connected socket has ended. The
 * kernel lets go of a killed process's io_uring, and so of the sockets in its
 * use, a moment after the process is gone: until then they still answer.
 */
/* seccomp(listen_unix): getsockopt openat read kill:0 */
static bool peer_has_ended(int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);
	char path[32], text[256] = "";
	const char *state;
	ssize_t n;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 || peer.pid <= 0)
		return false; /* out of our sight: in another pid namespace */
	snprintf(path, sizeof(path), "/proc/%d/stat", peer.pid);
	AUTO_FD int proc = open(path, O_RDONLY | O_CLOEXEC);

	if (proc < 0)
		return kill(peer.pid, 0) < 0 && errno == ESRCH;
	n = read(proc, text, sizeof(text) - 1);
	state = n > 0 ? strrchr(text, ')') : NULL; /* the name before it may hold anything */
	return state && (state[2] == 'Z' || state[2] == 'X');
}

/* Whether a server answers at addr: 0 no, 1 yes or it may, -errno when it cannot be told. */
/* seccomp(listen_unix): socket:AF_UNIX connect */
static int server_lives(const struct sockaddr_un *addr)
{
	AUTO_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) == 0)
		return !peer_has_ended(fd);
	if (errno == EAGAIN)
		return 1;
	return errno == ECONNREFUSED || errno == ENOENT ? 0 : -errno;
}

/* seccomp(listen_unix): lstat stat newfstatat unlink unlinkat */
static int make_way(const struct sockaddr_un *addr, char *ret_why, size_t cap)
{
	const char *path = addr->sun_path;
	struct stat st;
	int lives;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : fail(ret_why, cap, "cannot look at", path, -errno);
	if (!S_ISSOCK(st.st_mode)) {
		snprintf(ret_why, cap, "%s exists and is not a socket; it is left alone", path);
		return -EEXIST;
	}
	lives = server_lives(addr);
	if (lives > 0) {
		snprintf(ret_why, cap, "%s is in use: a server is listening there", path);
		return -EADDRINUSE;
	}
	if (lives < 0)
		return fail(ret_why, cap, "cannot tell whether a server listens on", path, lives);
	if (unlink(path) < 0 && errno != ENOENT)
		return fail(ret_why, cap, "cannot replace the stale socket", path, -errno);
	return 0;
}

/* seccomp(listen_unix,listen_tcp): listen */
int listener_listen(int fd, const char *where, char *ret_why, size_t why_cap)
{
	if (listen(fd, BACKLOG) < 0)
		return fail(ret_why, why_cap, "cannot listen on", where, -errno);
	return 0;
}

/* seccomp(listen_unix): socket:AF_UNIX bind */
/* seccomp(listen_unix): fchmod */
int listener_unix_bind(const char *path, char *ret_why, size_t why_cap)
{
	AUTO_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int err, stored;

	if (fd < 0)
		return fail(ret_why, why_cap, "no socket for", path, -errno);
	if (strlen(path) >= sizeof(addr.sun_path)) {
		snprintf(ret_why, why_cap, "%s: a socket path has at most %zu bytes", path,
			 sizeof(addr.sun_path) - 1);
		return -ENAMETOOLONG;
	}
	memcpy(addr.sun_path, path, strlen(path) + 1);
	stored = systemd_take_stored((const struct sockaddr *)&addr, sizeof(addr));
	if (stored >= 0)
		return stored;
	err = make_way(&addr, ret_why, why_cap);
	if (err < 0)
		return err;
	/* The mode that the file gets, less the umask. */
	if (fchmod(fd, UNIX_MODE) < 0 || bind(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0)
		return fail(ret_why, why_cap, "cannot listen on", path, -errno);
	return fd_take(&fd);
}

int listener_unix_socket(const char *path, char *ret_why, size_t why_cap)
{
	AUTO_FD int fd = listener_unix_bind(path, ret_why, why_cap);
	int err = fd < 0 ? fd : listener_listen(fd, path, ret_why, why_cap);

	return err < 0 ? err : fd_take(&fd);
}

/* A socket of a process that was killed a moment ago may still have its address: wait it out. */
/* seccomp(listen_unix,listen_tcp): bind clock_nanosleep nanosleep */
static int bind_patiently(int fd, const struct sockaddr *addr, socklen_t len, unsigned int n_tries)
{
	for (unsigned int i = 0;; i++) {
		if (bind(fd, addr, len) == 0)
			return 0;
		if (errno != EADDRINUSE || i == n_tries)
			return -errno;
		usleep(BIND_PAUSE_US);
	}
}

/* seccomp(listen_unix): socket:AF_UNIX */
int listener_abstract_socket(const char *name, char *ret_why, size_t why_cap)
{
	AUTO_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	size_t len = strlen(name);
	char where[sizeof(addr.sun_path) + 1];
	int err, stored;

	if (len == 0 || len >= sizeof(addr.sun_path)) {
		snprintf(ret_why, why_cap, "@%s: an abstract name has 1 to %zu bytes", name,
			 sizeof(addr.sun_path) - 1);
		return -EINVAL;
	}
	snprintf(where, sizeof(where), "@%s", name);
	if (fd < 0)
		return fail(ret_why, why_cap, "no socket for", where, -errno);
	memcpy(addr.sun_path + 1, name, len); /* after a NUL, and ended by the length alone */
	len += offsetof(struct sockaddr_un, sun_path) + 1;
	stored = systemd_take_stored((const struct sockaddr *)&addr, (socklen_t)len);
	if (stored >= 0)
		return stored;
	err = bind_patiently(fd, (const struct sockaddr *)&addr, (socklen_t)len, BIND_TRIES);
	if (err < 0)
		return fail(ret_why, why_cap, "cannot listen on", where, err);
	err = listener_listen(fd, where, ret_why, why_cap);
	return err < 0 ? err : fd_take(&fd);
}

/* seccomp(listen_tcp): socket:AF_INET socket:AF_INET6 setsockopt */
int listener_tcp_socket(const struct sockaddr *addr, socklen_t addr_len, bool may_wait,
			const char *where, char *ret_why, size_t why_cap)
{
	AUTO_FD int fd = socket(addr->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int stored = systemd_take_stored(addr, addr_len), err;
	const int on = 1;

	if (stored >= 0)
		return stored;
	if (fd < 0)
		return fail(ret_why, why_cap, "no socket for", where, -errno);
	/* The port of a daemon that ended a moment ago is free. */
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	err = bind_patiently(fd, addr, addr_len, may_wait ? BIND_TRIES : 0);
	if (err < 0)
		return fail(ret_why, why_cap, "cannot listen on", where, err);
	err = listener_listen(fd, where, ret_why, why_cap);
	return err < 0 ? err : fd_take(&fd);
}

/* Accepts the next one, now or after a rest. */
static void accept_next(struct listener *l)
{
	if (l->rest_ns > 0)
		timer_arm(&l->pause, l->rest_ns);
	else if (!l->held && !op_armed(&l->accept) && !scope_cancelling(&l->scope))
		op_accept(&l->accept, l->fd);
	l->rest_ns = 0;
}

void listener_hold(struct listener *l, bool hold)
{
	l->held = hold;
	if (!op_armed(&l->accept) && !op_armed(&l->pause.op))
		accept_next(l);
}

static void accept_done(struct op *op, int res)
{
	struct listener *l = container_of(op, struct listener, accept);

	if (scope_cancelling(&l->scope)) {
		fd_close(res);
		return;
	}
	if (res >= 0) {
		l->failing = false;
		accept_next(l);
		l->accepted(l, res);
		return;
	}
	if (res == -ECONNABORTED || res == -EINTR || (res == -ECANCELED && l->rest_ns > 0)) {
		accept_next(l);
		return;
	}
	if (!l->failing)
		log_errno(LOG_LEVEL_WARNING, l->who, res, "cannot accept connections for now");
	l->failing = true;
	timer_arm(&l->pause, PAUSE_NS);
}

static void pause_done(struct op *op, int res)
{
	struct listener *l = container_of(op, struct listener, pause.op);

	(void)res;
	accept_next(l);
}

/* seccomp: stat newfstatat */
void listener_start(struct listener *l, struct loop *loop, int fd, const char *path,
		    const char *who, listener_accept_fn *accepted)
{
	struct stat st;

	*l = (struct listener){ .fd = fd, .accepted = accepted, .who = who };
	if (path && stat(path, &st) == 0) {
		snprintf(l->path, sizeof(l->path), "%s", path);
		l->dev = st.st_dev;
		l->ino = st.st_ino;
	}
	scope_init(&l->scope, loop);
	op_init(&l->accept, &l->scope, accept_done);
	timer_init(&l->pause, &l->scope, pause_done);
	op_accept(&l->accept, fd);
	systemd_store_socket(fd);
}

/* seccomp: stat newfstatat unlink unlinkat */
static void scope_is_idle(struct scope *scope)
{
	struct listener *l = container_of(scope, struct listener, scope);
	struct stat st;

	/* Unlinked before it is closed: nobody can have put another in its place by then. */
	if (l->path[0] != '\0' && stat(l->path, &st) == 0 && st.st_dev == l->dev &&
	    st.st_ino == l->ino)
		unlink(l->path);
	systemd_forget_socket(l->fd);
	l->fd = fd_close(l->fd);
	l->closed(l);
}

void listener_rest(struct listener *l, uint64_t ns)
{
	if (!op_armed(&l->accept))
		return; /* it rests, or is at its end */
	l->rest_ns = ns;
	op_cancel(&l->accept);
}

void listener_close(struct listener *l, void (*closed)(struct listener *l))
{
	l->closed = closed;
	scope_cancel(&l->scope, scope_is_idle);
}
