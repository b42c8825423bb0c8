/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "systemd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "fd.h"

enum {
	FIRST_FD = 3, /* SD_LISTEN_FDS_START */
	MESSAGE_MAX = 1024,
};

static unsigned int n_sockets;
static char *names; /* LISTEN_FDNAMES, its colons made NULs */
static size_t names_len;

/* What keeps the manager from thinking that we hang. */
static struct {
	struct scope scope;
	struct timer timer;
	uint64_t interval_ns; /* 0: nobody waits for us */
	void (*stopped)(void *arg);
	void *stopped_arg;
} watchdog;

/* A decimal number from first to last and nothing else. */
static bool parse_number(const char *text, uint64_t last, uint64_t *ret_number)
{
	unsigned long long number;
	char *end;

	if (text[0] < '0' || text[0] > '9')
		return false;
	errno = 0;
	number = strtoull(text, &end, 10);
	if (errno != 0 || *end != '\0' || number > last)
		return false;
	*ret_number = number;
	return true;
}

/* Whether the variable has our process number, or is not there and need not be. */
/* seccomp(start): getpid */
static bool means_us(const char *variable, bool needed)
{
	const char *text = getenv(variable);
	uint64_t pid;

	if (!text)
		return !needed;
	return parse_number(text, INT32_MAX, &pid) && pid == (uint64_t)getpid();
}

static int keep_names(const char *text)
{
	free(names);
	names_len = 0;
	names = strdup(text ? text : "");
	if (!names)
		return -ENOMEM;
	names_len = text ? strlen(text) + 1 : 0;
	for (size_t i = 0; i < names_len; i++)
		if (names[i] == ':')
			names[i] = '\0';
	return 0;
}

static int take_sockets(char *ret_why, size_t why_cap)
{
	const char *text = getenv("LISTEN_FDS");
	uint64_t n;
	int err;

	n_sockets = 0;
	if (!text || !means_us("LISTEN_PID", true))
		return 0;
	if (!parse_number(text, SYSTEMD_SOCKETS_MAX, &n)) {
		snprintf(ret_why, why_cap,
			 "LISTEN_FDS: a number of sockets up to %d is expected, not \"%s\"",
			 SYSTEMD_SOCKETS_MAX, text);
		return -EINVAL;
	}
	err = keep_names(getenv("LISTEN_FDNAMES"));
	if (err < 0) {
		snprintf(ret_why, why_cap, "no memory for the names of passed sockets");
		return err;
	}
	for (unsigned int i = 0; i < n; i++) {
		if (fd_set_cloexec(FIRST_FD + (int)i) == 0)
			continue;
		snprintf(ret_why, why_cap, "LISTEN_FDS is %s, but descriptor %u is not open", text,
			 FIRST_FD + i);
		return -EBADF;
	}
	n_sockets = (unsigned int)n;
	return (int)n;
}

int systemd_take_sockets(char *ret_why, size_t why_cap)
{
	int n = take_sockets(ret_why, why_cap);

	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	return n;
}

unsigned int systemd_n_sockets(void)
{
	return n_sockets;
}

const char *systemd_socket_name(unsigned int idx)
{
	size_t at = 0;

	while (idx > 0 && at < names_len) {
		at += strlen(names + at) + 1;
		idx--;
	}
	return at < names_len && names[at] != '\0' ? names + at : "unknown";
}

int systemd_socket_fd(unsigned int idx)
{
	return FIRST_FD + (int)idx;
}

/* seccomp: fcntl:F_GETFD */
int systemd_find_fd(const char *text, unsigned int nth)
{
	uint64_t number;

	if (parse_number(text, INT32_MAX, &number))
		return fcntl((int)number, F_GETFD) < 0 ? -1 : (int)number;
	for (unsigned int i = 0; i < n_sockets; i++)
		if (strcmp(systemd_socket_name(i), text) == 0 && nth-- == 0)
			return systemd_socket_fd(i);
	return -1;
}

/* The manager's socket is a path, or begins with an @ that stands for a NUL. */
static bool manager_address(struct sockaddr_un *ret_addr, socklen_t *ret_len)
{
	const char *path = getenv("NOTIFY_SOCKET");
	size_t len = path ? strlen(path) : 0;

	return len >= 2 && (path[0] == '/' || path[0] == '@') &&
	       fd_unix_address(path, ret_addr, ret_len);
}

/* seccomp(notify): socket:AF_UNIX sendmsg */
void systemd_send(const char *text, int fd)
{
	_Alignas(struct cmsghdr) char space[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec iov = { .iov_base = (char *)(uintptr_t)text, .iov_len = strlen(text) };
	struct sockaddr_un addr;
	struct msghdr msg = { .msg_name = &addr, .msg_iov = &iov, .msg_iovlen = 1 };

	if (!manager_address(&addr, &msg.msg_namelen))
		return;
	if (fd >= 0)
		fd_attach(&msg, space, &fd, 1);
	AUTO_FD int sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (sock >= 0)
		sendmsg(sock, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
}

void systemd_notify(const char *fmt, ...)
{
	char text[MESSAGE_MAX];
	va_list args;
	int len;

	va_start(args, fmt);
	len = vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (len > 0)
		systemd_send(text, -1);
}

static void pat(struct op *op, int res)
{
	(void)op;
	if (scope_cancelling(&watchdog.scope) || res != -ETIME)
		return;
	systemd_notify("WATCHDOG=1");
	timer_arm(&watchdog.timer, watchdog.interval_ns);
}

void systemd_watchdog_start(struct loop *loop)
{
	const char *text = getenv("WATCHDOG_USEC");
	uint64_t usec;

	watchdog.interval_ns = 0;
	if (!text || !means_us("WATCHDOG_PID", false) ||
	    !parse_number(text, UINT64_MAX / 1000, &usec) || usec < 2)
		return;
	watchdog.interval_ns = usec * 1000 / 2; /* half of what is allowed */
	scope_init(&watchdog.scope, loop);
	timer_init(&watchdog.timer, &watchdog.scope, pat);
	systemd_notify("WATCHDOG=1");
	timer_arm(&watchdog.timer, watchdog.interval_ns);
}

static void watchdog_idle(struct scope *scope)
{
	(void)scope;
	watchdog.stopped(watchdog.stopped_arg);
}

void systemd_watchdog_stop(void (*stopped)(void *arg), void *arg)
{
	if (watchdog.interval_ns == 0) {
		stopped(arg);
		return;
	}
	watchdog.interval_ns = 0;
	watchdog.stopped = stopped;
	watchdog.stopped_arg = arg;
	scope_cancel(&watchdog.scope, watchdog_idle);
}

enum { TAG_N = 1, TAG_NAMES };

void systemd_save(struct handover_out *out, unsigned int tag)
{
	state_begin_group(&out->state, tag);
	state_put_number(&out->state, TAG_N, n_sockets);
	state_put_bytes(&out->state, TAG_NAMES, names, names_len);
	for (unsigned int i = 0; i < n_sockets; i++)
		handover_keep_fd(out, systemd_socket_fd(i));
	state_end(&out->state);
}

void systemd_load(struct handover_in *in, unsigned int tag)
{
	const uint8_t *bytes;

	if (!state_enter(&in->state, tag, "passed sockets"))
		return;
	n_sockets =
		(unsigned int)state_take_number(&in->state, TAG_N, "number", SYSTEMD_SOCKETS_MAX);
	names_len = state_take_bytes(&in->state, TAG_NAMES, "names", HANDOVER_BYTES_MAX, &bytes);
	free(names);
	names = malloc(names_len + 1);
	if (!names)
		state_fail(&in->state, "no memory");
	else if (names_len > 0)
		memcpy(names, bytes, names_len);
	for (unsigned int i = 0; i < n_sockets; i++)
		handover_kept_fd(in, systemd_socket_fd(i));
	state_leave(&in->state);
}
