/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Most descriptors here are others' too, and O_NONBLOCK belongs to all who have
 * them: it is neither set, as somebody may count on waiting, nor relied on, as
 * somebody may take it away at any moment. Sockets have MSG_DONTWAIT, and most
 * others RWF_NOWAIT. The rest, as an eventfd that is written to, is asked
 * whether it is ready, and the call is guarded.
 */
#include "loop-attempt.h"

#include <errno.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "loop-guard.h"

/* How a descriptor is read and written, tried in this order. A wrong one does no harm. */
enum way {
	WAY_SOCKET,
	WAY_NOWAIT,
	WAY_GUARDED,
};

/* As much as a pipe takes when it says that it is ready. */
enum { GUARDED_MAX = 4096 };

short loop_attempt_events(const struct op_request *r)
{
	switch ((enum op_code)r->code) {
	case OP_READ:
	case OP_RECVMSG:
	case OP_ACCEPT:
		return POLLIN;
	case OP_WRITE:
	case OP_SENDMSG:
		return POLLOUT;
	case OP_POLL:
		return (short)(r->flags | POLLRDHUP); /* io_uring always tells that, too */
	case OP_TIMEOUT:
		break;
	}
	return 0;
}

static int result(ssize_t n)
{
	return n < 0 ? -errno : (int)n;
}

/* Addresses of what is written are stored without const, as in a struct iovec. */
static void *address(const struct op_request *r)
{
	return (void *)(uintptr_t)r->addr;
}

/* seccomp: poll */
static bool is_ready(const struct op_request *r)
{
	struct pollfd fd = { .fd = r->fd, .events = loop_attempt_events(r) };

	return poll(&fd, 1, 0) > 0;
}

/* A file is always ready, and its reader waits for the disk at most. */
/* seccomp: fstat newfstatat */
static bool is_file(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode));
}

/* Its code in the kernel is interrupted at any time, others' only where they wait. */
static bool is_terminal(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISCHR(st.st_mode);
}

/* seccomp: read write accept4 */
static int guarded_call(const struct op_request *r)
{
	size_t len = r->len <= GUARDED_MAX || is_file(r->fd) ? r->len : GUARDED_MAX;

	switch ((enum op_code)r->code) {
	case OP_READ:
		return result(read(r->fd, address(r), len));
	case OP_WRITE:
		return result(write(r->fd, r->addr, len));
	case OP_ACCEPT:
		return result(accept4(r->fd, NULL, NULL, (int)r->flags));
	default:
		return -EINVAL;
	}
}

static int guarded(const struct op_request *r, bool ready)
{
	int res;

	if (!ready && !is_ready(r))
		return -EAGAIN;
	loop_guard_enter();
	res = guarded_call(r);
	loop_guard_leave();
	if (res != -EINTR)
		return res;
	return is_terminal(r->fd) ? -EAGAIN : -EDEADLK;
}

/* seccomp: recvfrom sendto */
static int by_socket(const struct op_request *r)
{
	if (r->code == OP_READ)
		return result(recv(r->fd, address(r), r->len, MSG_DONTWAIT));
	return result(send(r->fd, r->addr, r->len, MSG_DONTWAIT | MSG_NOSIGNAL));
}

/* seccomp: preadv2 pwritev2 */
static int by_nowait(const struct op_request *r)
{
	struct iovec iov = { .iov_base = address(r), .iov_len = r->len };

	if (r->code == OP_READ)
		return result(preadv2(r->fd, &iov, 1, -1, RWF_NOWAIT));
	return result(pwritev2(r->fd, &iov, 1, -1, RWF_NOWAIT));
}

/* Reads or writes, and remembers how that goes with what the operation is for. */
static int transfer(struct op *op, bool ready)
{
	const struct op_request *r = &op->request;
	int res;

	if (op->wait.way == WAY_SOCKET) {
		res = by_socket(r);
		if (res != -ENOTSOCK)
			return res;
		op->wait.way = WAY_NOWAIT;
	}
	if (op->wait.way == WAY_NOWAIT) {
		res = by_nowait(r);
		if (res != -EOPNOTSUPP && (res != -EAGAIN || !ready || !is_file(r->fd)))
			return res;
		op->wait.way = WAY_GUARDED;
	}
	return guarded(r, ready);
}

/* seccomp: recvmsg sendmsg */
int loop_attempt(struct op *op, bool ready)
{
	const struct op_request *r = &op->request;

	switch ((enum op_code)r->code) {
	case OP_READ:
	case OP_WRITE:
		return transfer(op, ready);
	case OP_RECVMSG:
		return result(recvmsg(r->fd, address(r), (int)r->flags | MSG_DONTWAIT));
	case OP_SENDMSG:
		return result(sendmsg(r->fd, r->addr, (int)r->flags | MSG_DONTWAIT));
	case OP_ACCEPT:
		return guarded(r, ready);
	case OP_POLL:
	case OP_TIMEOUT:
		break;
	}
	return -EINVAL;
}

int loop_attempt_apart(struct op *op, bool ready)
{
	int res = loop_attempt(op, ready || is_file(op->request.fd));

	return res == -EDEADLK ? -EAGAIN : res;
}
