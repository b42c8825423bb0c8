/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fd.h"

/*
 * The last close of a socket that somebody else has made may wait for its data to be taken,
 * for as long as they like. If ours is the last, nobody can ask for that any more.
 */
/* seccomp: getsockopt setsockopt */
static void linger_not(int fd)
{
	struct linger linger;
	socklen_t len = sizeof(linger);

	if (getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, &len) < 0 || !linger.l_onoff)
		return;
	if (linger.l_linger > 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){ 0 }, sizeof(linger));
}

/* seccomp: close */
int fd_close(int fd)
{
	int saved = errno;

	if (fd >= 0) {
		linger_not(fd);
		/* Never retried: Linux has let go of the number even when close fails. */
		(void)close(fd);
	}
	errno = saved;
	return -1;
}

/* seccomp: setsockopt */
void fd_refuse_rights(int fd)
{
	const int none = 0;
	int saved = errno;

	(void)setsockopt(fd, SOL_SOCKET, SO_PASSRIGHTS, &none, sizeof(none));
	errno = saved;
}

int fd_take(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

void fdset_init(struct fdset *set)
{
	for (size_t i = 0; i < ARRAY_SIZE(set->fd); i++)
		set->fd[i] = -1;
	set->n_fds = 0;
}

int fdset_take(struct fdset *set, unsigned int idx)
{
	if (idx >= set->n_fds)
		return -1;
	return fd_take(&set->fd[idx]);
}

void fdset_close(struct fdset *set)
{
	assert(set->n_fds <= FDSET_MAX);
	for (unsigned int i = 0; i < set->n_fds; i++)
		fd_close(set->fd[i]);
	fdset_init(set);
}

unsigned int fdset_receive(struct fdset *set, struct msghdr *hdr)
{
	unsigned int n = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(hdr); c; c = CMSG_NXTHDR(hdr, c)) {
		size_t len = c->cmsg_len - CMSG_LEN(0);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t at = 0; at + sizeof(int) <= len; at += sizeof(int), n++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + at, sizeof(fd));
			if (set->n_fds < FDSET_MAX)
				set->fd[set->n_fds++] = fd;
			else
				fd_close(fd);
		}
	}
	return n;
}

void fd_attach(struct msghdr *hdr, void *space, const int *fds, size_t n_fds)
{
	struct cmsghdr *cmsg;

	hdr->msg_control = space;
	hdr->msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
	cmsg = CMSG_FIRSTHDR(hdr);
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
	if (n_fds > 0)
		memcpy(CMSG_DATA(cmsg), fds, n_fds * sizeof(int));
}

void fdset_move(struct fdset *dst, struct fdset *src)
{
	if (dst == src)
		return;
	fdset_close(dst);
	*dst = *src;
	fdset_init(src);
}

/* seccomp(open): openat */
static int tty_open(const char *path)
{
	int fd = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* seccomp: ioctl:TCGETS readlink readlinkat stat newfstatat fstat */
int fd_reopen_tty(int fd)
{
	char path[PATH_MAX];
	int r;

	if (!isatty(fd))
		return errno == EBADF ? -EBADF : -ENOTTY;
	/* The link in /proc leads to the device even where its name is not visible here. */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	r = tty_open(path);
	if (r >= 0)
		return r;
	if (ttyname_r(fd, path, sizeof(path)) != 0)
		return r;
	return tty_open(path);
}

bool fd_unix_address(const char *name, struct sockaddr_un *ret_addr, socklen_t *ret_len)
{
	size_t len = strlen(name);

	if (len == 0 || len >= sizeof(ret_addr->sun_path))
		return false;
	*ret_addr = (struct sockaddr_un){ .sun_family = AF_UNIX };
	memcpy(ret_addr->sun_path, name, len);
	/* A path ends with its NUL, an abstract name begins with one. */
	if (name[0] == '@')
		ret_addr->sun_path[0] = '\0';
	else
		len++;
	*ret_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
	return true;
}

/* seccomp: getsockopt */
bool fd_is_unix_socket(int fd)
{
	socklen_t len = sizeof(int);
	int domain;

	return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 && domain == AF_UNIX;
}

/* seccomp: getpeername getsockname */
bool fd_leads_to(int fd, int conn_fd)
{
	struct sockaddr_un peer = { 0 }, own = { 0 };
	socklen_t peer_len = sizeof(peer), own_len = sizeof(own);

	/* A TCP socket's owner could have us wait for its lock in getpeername(). */
	if (!fd_is_unix_socket(fd))
		return false;
	return getpeername(fd, (struct sockaddr *)&peer, &peer_len) == 0 &&
	       getsockname(conn_fd, (struct sockaddr *)&own, &own_len) == 0 &&
	       own.sun_family == AF_UNIX && own_len > offsetof(struct sockaddr_un, sun_path) &&
	       own_len == peer_len && memcmp(&own, &peer, own_len) == 0;
}

/* seccomp: fcntl:F_GETFD fcntl:F_SETFD */
int fd_set_cloexec(int fd)
{
	int flags = fcntl(fd, F_GETFD);

	if (flags < 0 || fcntl(fd, F_SETFD, flags | FD_CLOEXEC) < 0)
		return -errno;
	return 0;
}

/* seccomp(start): openat getdents64 fstat newfstatat */
unsigned int fd_count_open(void)
{
	unsigned int n_open = 0;
	const struct dirent *entry;
	DIR *dir;

	dir = opendir("/proc/self/fd");
	if (!dir)
		return 0;
	while ((entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] != '.')
			n_open++;
	}
	closedir(dir);
	/* One of those was the directory itself. */
	return n_open - 1;
}
