/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fd.h"
#include "log.h"

enum {
	BACKLOG = 16,
	PAUSE_NS = 1000 * 1000 * 1000,
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

int listener_unix_socket(const char *path, char *ret_why, size_t why_cap)
{
	AUTO_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int err;

	if (fd < 0)
		return fail(ret_why, why_cap, "no socket for", path, -errno);
	if (strlen(path) >= sizeof(addr.sun_path)) {
		snprintf(ret_why, why_cap, "%s: a socket path has at most %zu bytes", path,
			 sizeof(addr.sun_path) - 1);
		return -ENAMETOOLONG;
	}
	memcpy(addr.sun_path, path, strlen(path) + 1);
	err = make_way(&addr, ret_why, why_cap);
	if (err < 0)
		return err;
	if (bind(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0 || listen(fd, BACKLOG) < 0)
		return fail(ret_why, why_cap, "cannot listen on", path, -errno);
	return fd_take(&fd);
}

/* The same moment for a port, which does not tell who holds it: wait it out. */
static int bind_tcp(int fd, const struct sockaddr_in *addr)
{
	for (unsigned int i = 0;; i++) {
		if (bind(fd, (const struct sockaddr *)addr, sizeof(*addr)) == 0)
			return 0;
		if (errno != EADDRINUSE || i == BIND_TRIES)
			return -errno;
		usleep(BIND_PAUSE_US);
	}
}

int listener_tcp_socket(uint16_t port, char *ret_why, size_t why_cap)
{
	AUTO_FD int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in addr = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr = { htonl(INADDR_LOOPBACK) },
	};
	const int on = 1;
	char where[32];
	int err;

	snprintf(where, sizeof(where), "127.0.0.1:%u", port);
	if (fd < 0)
		return fail(ret_why, why_cap, "no socket for", where, -errno);
	/* The port of a daemon that ended a moment ago is free. */
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	err = bind_tcp(fd, &addr);
	if (err == 0 && listen(fd, BACKLOG) < 0)
		err = -errno;
	if (err < 0)
		return fail(ret_why, why_cap, "cannot listen on", where, err);
	return fd_take(&fd);
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
		op_accept(&l->accept, l->fd);
		l->accepted(l, res);
		return;
	}
	if (res == -ECONNABORTED || res == -EINTR) {
		op_accept(&l->accept, l->fd);
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
	if (!scope_cancelling(&l->scope))
		op_accept(&l->accept, l->fd);
}

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
}

static void scope_is_idle(struct scope *scope)
{
	struct listener *l = container_of(scope, struct listener, scope);
	struct stat st;

	/* Unlinked before it is closed: nobody can have put another in its place by then. */
	if (l->path[0] != '\0' && stat(l->path, &st) == 0 && st.st_dev == l->dev &&
	    st.st_ino == l->ino)
		unlink(l->path);
	l->fd = fd_close(l->fd);
	l->closed(l);
}

void listener_close(struct listener *l, void (*closed)(struct listener *l))
{
	l->closed = closed;
	scope_cancel(&l->scope, scope_is_idle);
}
