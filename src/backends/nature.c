/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "backends/nature.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/address.h"

/* seccomp: getsockopt getpeername */
static int socket_nature(int fd, struct nature *ret_nature, const char **ret_fault)
{
	struct address peer = { .len = sizeof(peer.sa) };
	socklen_t len = sizeof(int);
	int type = 0, listens = 0;

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0 || type != SOCK_STREAM) {
		*ret_fault = "is no stream socket";
		return -EPROTOTYPE;
	}
	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) < 0)
		listens = 0;
	if (!listens && getpeername(fd, (struct sockaddr *)&peer.sa, &peer.len) < 0) {
		*ret_fault = "is a socket that neither listens nor is connected";
		return -ENOTCONN;
	}
	*ret_nature = (struct nature){
		.socket = true,
		.reads = true,
		.writes = true,
		.listens = listens != 0,
	};
	return 0;
}

/* seccomp: fcntl:F_GETFL fstat newfstatat ioctl:TCGETS ioctl:TIOCGPTN */
int nature_find(int fd, struct nature *ret_nature, const char **ret_fault)
{
	struct nature n = { .tty = isatty(fd) == 1 };
	int flags = fcntl(fd, F_GETFL);
	unsigned int number;
	struct stat st;

	if (flags < 0 || fstat(fd, &st) < 0 || (flags & O_PATH)) {
		*ret_fault = "cannot be read or written";
		return -EBADF;
	}
	if (S_ISSOCK(st.st_mode))
		return socket_nature(fd, ret_nature, ret_fault);
	if (n.tty && ioctl(fd, TIOCGPTN, &number) == 0) {
		/* It cannot be opened anew: that makes another terminal. */
		*ret_fault = "is the master of a pseudo-terminal: pass its other end";
		return -EINVAL;
	}
	n.reads = (flags & O_ACCMODE) != O_WRONLY;
	n.writes = (flags & O_ACCMODE) != O_RDONLY;
	n.file = S_ISREG(st.st_mode);
	if (S_ISFIFO(st.st_mode) && n.reads && n.writes) {
		*ret_fault = "is a pipe open for both, which would echo: open it for one";
		return -EINVAL;
	}
	if (!n.file && !S_ISFIFO(st.st_mode) && !S_ISCHR(st.st_mode)) {
		*ret_fault = "is no socket, pipe, file or terminal";
		return -EINVAL;
	}
	/* One offset for both ways makes no sense: output it is, at the end. */
	if (n.file && n.writes)
		n.reads = false;
	*ret_nature = n;
	return 0;
}
