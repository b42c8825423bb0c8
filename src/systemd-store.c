/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Sockets that the service manager keeps over a crash (sd_notify(3), FDSTORE=1). */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fd.h"
#include "systemd.h"

enum {
	NAME_MAX_LEN = 255, /* of FDNAME */
	MESSAGE_MAX = 512,
};

static bool taken[SYSTEMD_SOCKETS_MAX]; /* by index, of those that were stored */

static bool is_plain(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '/' || c == '.' || c == '-' || c == '_';
}

/* The address, family first; what a name may not have is two digits after a percent sign. */
static bool make_name(const struct sockaddr *addr, socklen_t len, char name[NAME_MAX_LEN + 1])
{
	const unsigned char *bytes = (const unsigned char *)addr->sa_data;
	size_t n = len > sizeof(addr->sa_family) ? len - sizeof(addr->sa_family) : 0;
	size_t at = (size_t)snprintf(name, NAME_MAX_LEN + 1, SYSTEMD_STORED "%u-", addr->sa_family);

	while (n > 0 && bytes[n - 1] == 0)
		n--; /* a path may come with its NUL or without */
	for (size_t i = 0; i < n; i++) {
		if (at + 3 > NAME_MAX_LEN)
			return false;
		at += (size_t)snprintf(name + at, NAME_MAX_LEN + 1 - at,
				       is_plain(bytes[i]) ? "%c" : "%%%02x", bytes[i]);
	}
	return true;
}

/* seccomp: getsockname */
static bool name_of(int fd, char name[NAME_MAX_LEN + 1])
{
	struct sockaddr_storage addr;
	socklen_t len = sizeof(addr);

	return getenv("FDSTORE") && getsockname(fd, (struct sockaddr *)&addr, &len) == 0 &&
	       len <= sizeof(addr) && make_name((struct sockaddr *)&addr, len, name);
}

void systemd_store_socket(int fd)
{
	char name[NAME_MAX_LEN + 1], text[MESSAGE_MAX];

	if (!name_of(fd, name))
		return;
	snprintf(text, sizeof(text), "FDSTORE=1\nFDNAME=%s\nFDPOLL=0", name);
	systemd_send(text, fd);
}

static void forget(const char *name)
{
	char text[MESSAGE_MAX];

	snprintf(text, sizeof(text), "FDSTOREREMOVE=1\nFDNAME=%s", name);
	systemd_send(text, -1);
}

void systemd_forget_socket(int fd)
{
	char name[NAME_MAX_LEN + 1];

	if (name_of(fd, name))
		forget(name);
}

/* seccomp: fcntl:F_DUPFD_CLOEXEC */
int systemd_take_stored(const struct sockaddr *addr, socklen_t len)
{
	char name[NAME_MAX_LEN + 1];

	if (systemd_n_sockets() == 0 || !make_name(addr, len, name))
		return -1;
	for (unsigned int i = 0; i < systemd_n_sockets(); i++) {
		if (taken[i] || strcmp(systemd_socket_name(i), name) != 0)
			continue;
		taken[i] = true;
		/* Its number stays one that was passed to us. */
		return fcntl(systemd_socket_fd(i), F_DUPFD_CLOEXEC, 3);
	}
	return -1;
}

void systemd_drop_stored(void)
{
	for (unsigned int i = 0; i < systemd_n_sockets(); i++) {
		if (!systemd_is_stored(i))
			continue;
		if (!taken[i])
			forget(systemd_socket_name(i));
		fd_close(systemd_socket_fd(i)); /* who took it has another number */
	}
}
