/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "load/load-peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "fd.h"
#include "load/load.h"

static int parse_unix(const char *path, struct load_peer_address *a)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	size_t len = strlen(path);

	if (len == 0 || len >= sizeof(un.sun_path))
		return load_fail(-EINVAL, "--peer %s: the path of a socket has 1 to %zu bytes",
				 a->text, sizeof(un.sun_path) - 1);
	memcpy(un.sun_path, path, len);
	memcpy(&a->sa, &un, sizeof(un));
	a->len = sizeof(un);
	return 0;
}

static int resolve(const char *host, const char *port, struct load_peer_address *a)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV };
	struct addrinfo *found;
	int err = getaddrinfo(host, port, &hints, &found);

	if (err != 0)
		return load_fail(-EINVAL, "--peer %s: %s", a->text, gai_strerror(err));
	memcpy(&a->sa, found->ai_addr, found->ai_addrlen);
	a->len = found->ai_addrlen;
	freeaddrinfo(found);
	return 0;
}

static int parse_tcp(const char *text, struct load_peer_address *a)
{
	const char *colon = strrchr(text, ':');
	size_t len = colon ? (size_t)(colon - text) : 0;
	char host[256];
	uint64_t number;

	if (len > 1 && text[0] == '[' && text[len - 1] == ']') {
		text++;
		len -= 2;
	}
	if (len == 0 || len >= sizeof(host))
		return load_fail(-EINVAL, "--peer %s: expected tcp:HOST:PORT", a->text);
	if (!option_parse_number(colon + 1, &number) || number < 1 || number > UINT16_MAX)
		return load_fail(-EINVAL, "--peer %s: the port is not a number from 1 to 65535",
				 a->text);
	memcpy(host, text, len);
	host[len] = '\0';
	return resolve(host, colon + 1, a);
}

int load_peer_parse(const char *text, struct load_peer_address *ret_address)
{
	struct load_peer_address a = { .text = text };
	int err;

	if (strncmp(text, "tcp:", 4) == 0)
		err = parse_tcp(text + 4, &a);
	else if (strncmp(text, "unix:", 5) == 0)
		err = parse_unix(text + 5, &a);
	else
		err = load_fail(-EINVAL, "--peer %s: expected tcp:HOST:PORT or unix:PATH", text);
	if (err == 0)
		*ret_address = a;
	return err;
}

void load_peer_local(uint16_t port, struct load_peer_address *ret_address)
{
	struct sockaddr_in in = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};

	*ret_address = (struct load_peer_address){ .len = sizeof(in), .text = ret_address->local };
	memcpy(&ret_address->sa, &in, sizeof(in));
	snprintf(ret_address->local, sizeof(ret_address->local), "tcp:127.0.0.1:%u", port);
}

int load_peer_connect(const struct load_peer_address *address)
{
	static const int one = 1;
	AUTO_FD int fd = -1;

	fd = socket(address->sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&address->sa, address->len) < 0)
		return -errno;
	if (address->sa.ss_family != AF_UNIX &&
	    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) < 0)
		return -errno;
	if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
		return -errno;
	return fd_take(&fd);
}
