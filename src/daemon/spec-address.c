/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Addresses of attachments: what can be checked without opening anything. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "daemon/spec-words.h"

enum { TCP_PORT_MAX = 65535 };

/* A number or a sum of numbers. */
static bool parse_sum(const char *text, uint64_t *ret_sum)
{
	uint64_t sum = 0, number;
	char digits[24];
	size_t len;

	for (;;) {
		len = strcspn(text, "+");
		if (len >= sizeof(digits))
			return false;
		memcpy(digits, text, len);
		digits[len] = '\0';
		if (!option_parse_number(digits, &number) || !add_u64(sum, number, &sum))
			return false;
		if (!text[len])
			break;
		text += len + 1;
	}
	*ret_sum = sum;
	return true;
}

static int parse_port(const char *text, unsigned int *ret_port, char *ret_why, size_t why_cap)
{
	uint64_t port;

	if (!parse_sum(text, &port) || port > TCP_PORT_MAX) {
		snprintf(ret_why, why_cap, "'%s' is not a TCP port, a number from 0 to %d", text,
			 TCP_PORT_MAX);
		return -EINVAL;
	}
	*ret_port = (unsigned int)port;
	return 0;
}

int spec_parse_tcp(const char *address, char *ret_host, unsigned int *ret_port, char *ret_why,
		   size_t why_cap)
{
	const char *colon = strrchr(address, ':');
	const char *host = address;
	size_t len = colon ? (size_t)(colon - address) : 0;

	if (!colon) {
		ret_host[0] = '\0';
		return parse_port(address, ret_port, ret_why, why_cap);
	}
	if (len >= 2 && host[0] == '[' && host[len - 1] == ']') {
		host++;
		len -= 2;
	} else if (memchr(host, ':', len)) {
		snprintf(ret_why, why_cap,
			 "'%s' has several colons; an IPv6 address stands in brackets, as "
			 "[::1]:4000",
			 address);
		return -EINVAL;
	}
	if (len == 0 || len >= SPEC_HOST_MAX) {
		snprintf(ret_why, why_cap, "'%s' has %s host before its port", address,
			 len == 0 ? "no" : "too long a");
		return -EINVAL;
	}
	memcpy(ret_host, host, len);
	ret_host[len] = '\0';
	return parse_port(colon + 1, ret_port, ret_why, why_cap);
}

static int check_tcp(const char *address, char *ret_why, size_t why_cap)
{
	char host[SPEC_HOST_MAX];
	unsigned int port;

	return spec_parse_tcp(address, host, &port, ret_why, why_cap);
}

static int check_tcp_connect(const char *address, char *ret_why, size_t why_cap)
{
	char host[SPEC_HOST_MAX];
	unsigned int port;
	int err = spec_parse_tcp(address, host, &port, ret_why, why_cap);

	if (err == 0 && port == 0) {
		snprintf(ret_why, why_cap, "'%s' has port 0, to which nobody can connect", address);
		return -EINVAL;
	}
	if (err == 0 && !host[0]) {
		snprintf(ret_why, why_cap, "'%s' has no host; write tcp-connect:HOST:PORT",
			 address);
		return -EINVAL;
	}
	return err;
}

static int check_length(const char *address, size_t max, char *ret_why, size_t why_cap)
{
	if (strlen(address) <= max)
		return 0;
	snprintf(ret_why, why_cap, "the path '%.40s...' has %zu bytes, allowed are %zu", address,
		 strlen(address), max);
	return -EINVAL;
}

static int check_unix(const char *address, char *ret_why, size_t why_cap)
{
	return check_length(address, sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1, ret_why,
			    why_cap);
}

static int check_path(const char *address, char *ret_why, size_t why_cap)
{
	return check_length(address, PATH_MAX - 1, ret_why, why_cap);
}

/* N, N/N or a name, which does not begin with a digit. */
static int check_descriptor(const char *address, char *ret_why, size_t why_cap)
{
	const char *rest = address;
	size_t len = strspn(rest, "0123456789");
	bool good = len > 0 && len < 10;

	if (len == 0)
		return 0;
	if (good && rest[len] == '/') {
		rest += len + 1;
		len = strspn(rest, "0123456789");
		good = len > 0 && len < 10;
	}
	if (good && !rest[len])
		return 0;
	snprintf(ret_why, why_cap,
		 "fd:%s is not a descriptor: its number, IN/OUT, or a name that begins with no "
		 "digit",
		 address);
	return -EINVAL;
}

typedef int check_fn(const char *address, char *ret_why, size_t why_cap);

/* NULL: the kind has no address. */
static check_fn *const checks[ATTACHMENT_N_KINDS] = {
	[ATTACHMENT_tcp_server] = check_tcp,
	[ATTACHMENT_telnet_server] = check_tcp,
	[ATTACHMENT_unix_server] = check_unix,
	[ATTACHMENT_tcp_connect] = check_tcp_connect,
	[ATTACHMENT_unix_connect] = check_unix,
	[ATTACHMENT_pty] = check_path,
	[ATTACHMENT_file] = check_path,
	[ATTACHMENT_log_file] = check_path,
	[ATTACHMENT_descriptor] = check_descriptor,
};

int spec_check_address(enum attachment_kind kind, const char *address, char *ret_why,
		       size_t why_cap)
{
	const struct spec_kind *row = &spec_kinds[kind];

	if (address && row->address == ATTACHMENT_ADDRESS_NONE) {
		snprintf(ret_why, why_cap, "%s takes no address, but ':%s' follows it", row->name,
			 address);
		return -EINVAL;
	}
	if (row->address == ATTACHMENT_ADDRESS_NEEDED && !address) {
		snprintf(ret_why, why_cap, "%s needs an address: %s:%s", row->name, row->name,
			 row->metavar);
		return -EINVAL;
	}
	if (!address)
		return 0;
	if (!address[0]) {
		snprintf(ret_why, why_cap, "%s has an empty address; write %s:%s", row->name,
			 row->name, row->metavar);
		return -EINVAL;
	}
	return checks[kind](address, ret_why, why_cap);
}
