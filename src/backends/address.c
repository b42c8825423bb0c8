/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "backends/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

enum {
	HOST_MAX = 256,
	PORT_MAX = 65535,
	/* A peer that says nothing is asked after a minute, and given up after another. */
	KEEPALIVE_IDLE_S = 60,
	KEEPALIVE_PAUSE_S = 15,
	KEEPALIVE_TRIES = 4,
};

/* "4000" or a sum, "4000+3". */
static bool parse_port(const char *text, uint16_t *ret_port)
{
	unsigned int sum = 0;

	for (;;) {
		unsigned int n = 0, n_digits = 0;

		for (; *text >= '0' && *text <= '9' && n <= PORT_MAX; text++, n_digits++)
			n = n * 10 + (unsigned int)(*text - '0');
		sum += n;
		if (n_digits == 0 || sum > PORT_MAX)
			return false;
		if (*text == '\0')
			break;
		if (*text++ != '+')
			return false;
	}
	*ret_port = (uint16_t)sum;
	return true;
}

/* Takes the host apart from the port: where the port begins, or NULL. */
static const char *split(const char *text, const char *default_host, char host[HOST_MAX])
{
	const char *colon = strrchr(text, ':');
	const char *begin = text;
	size_t len;

	if (!colon) {
		if (!default_host)
			return NULL;
		snprintf(host, HOST_MAX, "%s", default_host);
		return text;
	}
	len = (size_t)(colon - text);
	if (len >= 2 && text[0] == '[' && colon[-1] == ']') {
		begin++;
		len -= 2;
	} else if (memchr(text, ':', len)) {
		return NULL; /* an IPv6 address without brackets */
	}
	if (len == 0 || len >= HOST_MAX)
		return NULL;
	memcpy(host, begin, len);
	host[len] = '\0';
	return colon + 1;
}

bool address_host(const char *text, char *ret_host, size_t cap)
{
	char host[HOST_MAX];

	return split(text, NULL, host) && (size_t)snprintf(ret_host, cap, "%s", host) < cap;
}

bool address_port_of_text(const char *text, uint16_t *ret_port)
{
	char host[HOST_MAX];
	const char *port = split(text, "", host);

	return port && parse_port(port, ret_port);
}

/* seccomp(once): openat fstat newfstatat read lseek socket:AF_INET socket:AF_INET6 connect getsockname */
static int resolve(const char *host, const char *service, bool may_wait, struct addrinfo **ret_list)
{
	struct addrinfo hints = {
		.ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
	};
	int err = getaddrinfo(host, service, &hints, ret_list);

	if (err != EAI_NONAME || !may_wait)
		return err;
	hints.ai_flags = AI_NUMERICSERV;
	return getaddrinfo(host, service, &hints, ret_list);
}

int address_parse_tcp(const char *text, const char *default_host, bool may_wait,
		      struct addresses *ret_addresses, char *ret_why, size_t why_cap)
{
	struct addrinfo *list, *ai;
	char host[HOST_MAX], service[16];
	const char *port_text = split(text, default_host, host);
	struct addresses found = { .n = 0 };
	uint16_t port;
	int err;

	if (!port_text || !parse_port(port_text, &port)) {
		snprintf(ret_why, why_cap,
			 "%s is no TCP address: %s is expected, with a port up to %d and an IPv6 "
			 "address in brackets",
			 text, default_host ? "[HOST:]PORT" : "HOST:PORT", PORT_MAX);
		return -EINVAL;
	}
	snprintf(service, sizeof(service), "%u", port);
	err = resolve(host, service, may_wait, &list);
	if (err == EAI_NONAME && !may_wait) {
		snprintf(ret_why, why_cap,
			 "%s: names are looked up at the start only: give the address of %s in "
			 "numbers",
			 text, host);
		return -EINVAL;
	}
	if (err != 0) {
		snprintf(ret_why, why_cap, "%s: host %s cannot be resolved: %s", text, host,
			 err == EAI_SYSTEM ? strerror(errno) : gai_strerror(err));
		return -EHOSTUNREACH;
	}
	for (ai = list; ai && found.n < ADDRESSES_MAX; ai = ai->ai_next) {
		struct address *a = &found.item[found.n++];

		memcpy(&a->sa, ai->ai_addr, ai->ai_addrlen);
		a->len = ai->ai_addrlen;
	}
	freeaddrinfo(list);
	*ret_addresses = found;
	return 0;
}

int address_parse_unix(const char *text, struct address *ret_address, char *ret_why, size_t why_cap)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	bool abstract = text[0] == '@';
	size_t len = strlen(text);

	/* A path ends with a NUL; of an abstract name, the "@" becomes one. */
	if (len <= abstract || len >= sizeof(un.sun_path)) {
		snprintf(ret_why, why_cap, "%s: a socket's path or @NAME has 1 to %zu bytes", text,
			 sizeof(un.sun_path) - 1);
		return -EINVAL;
	}
	memcpy(un.sun_path, text, len);
	if (abstract)
		un.sun_path[0] = '\0';
	memset(ret_address, 0, sizeof(*ret_address));
	memcpy(&ret_address->sa, &un, sizeof(un));
	ret_address->len = abstract ? (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)
				    : (socklen_t)sizeof(un);
	return 0;
}

/* The parts of an IP address, copied out: the storage is of no type but its own. */
static const void *ip_of(const struct address *a, struct sockaddr_in *in, struct sockaddr_in6 *in6)
{
	if (a->sa.ss_family == AF_INET) {
		memcpy(in, &a->sa, sizeof(*in));
		return &in->sin_addr;
	}
	if (a->sa.ss_family == AF_INET6) {
		memcpy(in6, &a->sa, sizeof(*in6));
		return &in6->sin6_addr;
	}
	return NULL;
}

uint16_t address_port(const struct address *a)
{
	struct sockaddr_in6 in6;
	struct sockaddr_in in;

	if (!ip_of(a, &in, &in6))
		return 0;
	return ntohs(a->sa.ss_family == AF_INET ? in.sin_port : in6.sin6_port);
}

void address_format(const struct address *a, char *buf, size_t cap)
{
	struct sockaddr_in6 in6;
	struct sockaddr_in in;
	const void *ip = ip_of(a, &in, &in6);
	char text[INET6_ADDRSTRLEN] = "";

	if (!ip)
		snprintf(buf, cap, "%s", a->sa.ss_family == AF_UNIX ? "unix" : "other");
	else if (inet_ntop(a->sa.ss_family, ip, text, sizeof(text)))
		snprintf(buf, cap, a->sa.ss_family == AF_INET ? "%s:%u" : "[%s]:%u", text,
			 address_port(a));
}

bool address_is_local(const struct address *a)
{
	struct sockaddr_in6 in6;
	struct sockaddr_in in;

	if (!ip_of(a, &in, &in6))
		return true;
	if (a->sa.ss_family == AF_INET)
		return ntohl(in.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
	return IN6_IS_ADDR_LOOPBACK(&in6.sin6_addr) ||
	       (IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr) && in6.sin6_addr.s6_addr[12] == 127);
}

/* seccomp: setsockopt */
void address_tune(int fd)
{
	static const struct {
		int level, name, value;
	} wanted[] = {
		{ IPPROTO_TCP, TCP_NODELAY, 1 },
		{ SOL_SOCKET, SO_KEEPALIVE, 1 },
		{ SOL_SOCKET, SO_OOBINLINE, 1 }, /* telnet's Synch: a command ends with it */
		{ IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S },
		{ IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_PAUSE_S },
		{ IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_TRIES },
	};

	/* Failing, as on a Unix socket, costs nothing. */
	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++)
		setsockopt(fd, wanted[i].level, wanted[i].name, &wanted[i].value,
			   sizeof(wanted[i].value));
}
