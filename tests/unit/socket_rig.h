/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Peers of an attachment that is a socket, for the rig of backend_rig.h. */
#ifndef VHU_TESTS_SOCKET_RIG_H
#define VHU_TESTS_SOCKET_RIG_H

#include "backend_rig.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <sys/un.h>

enum {
	FLOOD = 4 * 1024 * 1024, /* more than sockets keep for one who does not read */
	FLOOD_PIECE = 16 * 1024,
	FLOOD_OUT = 16 * 1024 * 1024, /* more than a socket's send buffer grows to */
	SMALL = 4096,		      /* receive buffer of a slow peer */
	LOST_LINE_MAX = 80,
};

static struct sockaddr_in address;

/* A server of that kind on a port of the kernel's choice, which is then in address. */
static inline void serve_tcp(enum attachment_kind kind)
{
	char text[128];
	unsigned int port;

	if (rig_open(kind, "0") < 0)
		fail_msg("%s", rig.why);
	rig_describe(text, sizeof(text));
	assert_int_equal(sscanf(strchr(text, ':'), ":%u", &port), 1);
	address = (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr = { htonl(INADDR_LOOPBACK) },
	};
}

/* A client that need not be served yet; rcvbuf: bytes it can hold, 0 for as usual. */
static inline int dial(int rcvbuf)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (rcvbuf > 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &rcvbuf, sizeof(rcvbuf));
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

static inline int join_with(int rcvbuf)
{
	unsigned int n = rig.port.n_clients;
	int fd = dial(rcvbuf);

	PUMP_UNTIL(rig.port.n_clients == n + 1);
	return fd;
}

static inline int join(void)
{
	return join_with(0);
}

/* -1 while nobody listens there. */
static inline int dial_unix(const char *path)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	size_t len = strlen(path);

	memcpy(un.sun_path, path, len);
	if (path[0] == '@')
		un.sun_path[0] = '\0';
	if (connect(fd, (struct sockaddr *)&un,
		    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) < 0)
		return fd_close(fd);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

static inline void send_all(int fd, const void *data, size_t len)
{
	time_t deadline = rig_seconds() + DEADLINE_SECONDS;
	const uint8_t *bytes = data;

	for (size_t done = 0; done < len;) {
		ssize_t n = write(fd, bytes + done, len - done);

		if (n < 0)
			assert_int_equal(errno, EAGAIN);
		done += n > 0 ? (size_t)n : 0;
		rig_step_before(deadline);
	}
}

static inline bool at_end(int fd)
{
	char byte;

	return read(fd, &byte, 1) == 0;
}

static inline void reset_connection(int fd)
{
	const struct linger none = { .l_onoff = 1 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
	close(fd);
}

/* The guest takes these bytes, and no others. */
static inline void take_exactly(const uint8_t *expected, size_t len)
{
	time_t deadline = rig_seconds() + DEADLINE_SECONDS;
	uint8_t *got = calloc(1, len); /* the kernel may fill it, unseen by checkers */

	assert_non_null(got);
	for (size_t done = 0; done < len;) {
		done += rig_take(got + done, len - done);
		rig_step_before(deadline);
	}
	assert_memory_equal(got, expected, len);
	free(got);
}

/* The byte of the stream at a position: a letter, so that an inserted line stands out. */
static inline uint8_t letter(uint64_t pos)
{
	return (uint8_t)('a' + (pos * 2654435761U >> 7) % 26);
}

/*
 * Reads to the stream's end and follows it: letters move by one, a line of loss
 * by what it says. Returns the position reached; counts such lines.
 */
static inline uint64_t follow(int fd, uint64_t total, unsigned int *ret_n_lines)
{
	time_t deadline = rig_seconds() + DEADLINE_SECONDS;
	char line[LOST_LINE_MAX + 1], again[LOST_LINE_MAX + 1];
	size_t line_len = 0;
	uint64_t pos = 0;

	*ret_n_lines = 0;
	while (pos < total) {
		uint8_t buf[4096];
		ssize_t n = read(fd, buf, sizeof(buf));

		assert_true(n > 0 || (n < 0 && errno == EAGAIN));
		for (ssize_t i = 0; i < n; i++) {
			unsigned long lost;

			if (line_len == 0 && buf[i] != '\r') {
				assert_int_equal(buf[i], letter(pos++));
				continue;
			}
			assert_true(line_len < LOST_LINE_MAX);
			line[line_len++] = (char)buf[i];
			if (buf[i] != '\n' || line_len == 2)
				continue;
			line[line_len] = '\0';
			assert_int_equal(sscanf(line, "\r\n[%lu", &lost), 1);
			snprintf(again, sizeof(again), "\r\n[%lu bytes of output lost here]\r\n",
				 lost);
			assert_string_equal(line, again);
			pos += lost;
			line_len = 0;
			++*ret_n_lines;
		}
		rig_step_before(deadline);
	}
	return pos;
}

/* Output until nothing moves: no socket buffer takes more, and the ring holds some. */
static inline void flood_until_stuck(void)
{
	static uint8_t bytes[FLOOD_PIECE];

	for (size_t n = 0; n < FLOOD_OUT; n += sizeof(bytes)) {
		rig_output(bytes, sizeof(bytes));
		for (unsigned int i = 0; i < 4; i++)
			rig_step();
	}
}

/* What a device does with a port that holds: as much as there is room for, at most n. */
static inline size_t rig_offer(const uint8_t *data, size_t n)
{
	n = (size_t)min_u64(n, port_output_room(&rig.port));
	if (n > 0)
		n = rig_output(data, n);
	else
		port_output_stalled(&rig.port);
	return n;
}

#endif
