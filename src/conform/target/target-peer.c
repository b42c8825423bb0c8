/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The other side of a console: where the back-end's port ends. */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "conform/target/target.h"
#include "fd.h"

enum { TICK_MS = 2 };

/* host and port in text, which is changed: "HOST:PORT", "[::1]:PORT". */
static bool split_address(char *text, const char **ret_host, const char **ret_port)
{
	char *colon = strrchr(text, ':');
	size_t len;

	if (!colon || colon == text || !colon[1])
		return false;
	*colon = '\0';
	len = strlen(text);
	if (len > 2 && text[0] == '[' && text[len - 1] == ']') {
		text[len - 1] = '\0';
		text++;
	}
	*ret_host = text;
	*ret_port = colon + 1;
	return true;
}

static int dial_tcp(char *text)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV };
	static const int one = 1;
	AUTO_FD int fd = -1;
	const char *host, *port;
	struct addrinfo *found;
	int err;

	if (!split_address(text, &host, &port) || getaddrinfo(host, port, &hints, &found) != 0)
		return -EINVAL;
	fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	err = fd < 0 || connect(fd, found->ai_addr, found->ai_addrlen) < 0 ? -errno : 0;
	freeaddrinfo(found);
	if (err == 0)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return err < 0 ? err : fd_take(&fd);
}

static int dial(const char *address, int ms)
{
	char *text;
	int fd;

	if (strncmp(address, "unix:", 5) == 0)
		return target_dial(address + 5, ms);
	if (strncmp(address, "tcp:", 4) != 0)
		return -EINVAL;
	text = strdup(address + 4);
	if (!text)
		return -ENOMEM;
	fd = dial_tcp(text);
	free(text);
	return fd;
}

/* A port may begin to listen a moment later than the device. */
static int dial_patiently(const struct target *target, const char *address)
{
	int ms = target_ms(target, TARGET_REACH_MS);
	int64_t deadline = monotonic_ms() + ms;
	int fd = dial(address, ms);

	while ((fd == -ENOENT || fd == -ECONNREFUSED) && monotonic_ms() < deadline) {
		(void)poll(NULL, 0, TICK_MS);
		fd = dial(address, ms);
	}
	return fd;
}

int target_connect_peer(struct target *target, int *ret_fd)
{
	const char *first[] = { "port=0", NULL };
	char *address = target->peer ? target_expand(target, target->peer, first) : NULL;
	AUTO_FD int fd = -1;

	if (!address)
		return target_fail(target, -EINVAL, "--peer was not given");
	fd = dial_patiently(target, address);
	if (fd >= 0 && fcntl(fd, F_SETFL, O_NONBLOCK) < 0) {
		fd_close(fd);
		fd = -errno;
	}
	if (fd == -EINVAL)
		target_fail(target, fd,
			    "the peer at %s: expected unix:PATH or tcp:HOST:PORT of a known host",
			    address);
	else if (fd < 0)
		target_fail(target, fd, "connecting to the peer at %s: %s", address, strerror(-fd));
	free(address);
	if (fd < 0)
		return fd;
	*ret_fd = fd_take(&fd);
	return 0;
}
