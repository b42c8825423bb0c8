/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* A stream over a TCP or a Unix socket, and its peer, for the tests of both directions. */
#ifndef VHU_TESTS_STREAM_RIG_H
#define VHU_TESTS_STREAM_RIG_H

#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "backends/stream.h"

enum { INPUT = 16 * 1024, TOTAL = 8 * 1024 * 1024, BULK_MIN = 4096 };

struct rig {
	struct loop *loop;
	struct stream stream;
	int fds[2];		/* the stream's; the peer's, which does not block */
	const uint8_t *pending; /* of output() */
	size_t n_pending, n_asked, biggest_ask;
	size_t n_input;
	unsigned int n_ended, n_failed, n_drained, n_readable, n_closed;
	int ended, failed;
	bool write_in_output; /* output() tries to write past itself */
};

static struct rig rig;
static uint8_t bytes[TOTAL], got[TOTAL], input_buf[INPUT];

static inline size_t write_now(const uint8_t *data, size_t len)
{
	const struct iovec iov[2] = { { (void *)(uintptr_t)data, len / 2 },
				      { (void *)(uintptr_t)(data + len / 2), len - len / 2 } };

	return stream_write_now(&rig.stream, iov, 2);
}

static inline size_t read_now(uint8_t *data, size_t len)
{
	const struct iovec iov[2] = { { data, len / 2 }, { data + len / 2, len - len / 2 } };

	return stream_read_now(&rig.stream, iov, 2);
}

static inline size_t input_space(struct stream *s, void **ret_buf)
{
	(void)s;
	*ret_buf = input_buf;
	return INPUT;
}

static inline void input(struct stream *s, size_t len)
{
	(void)s;
	memcpy(got + rig.n_input, input_buf, len);
	rig.n_input += len;
}

static inline void input_ended(struct stream *s, int err)
{
	(void)s;
	rig.n_ended++;
	rig.ended = err;
}

static inline size_t output(struct stream *s, void *buf, size_t cap)
{
	size_t n = min_size(cap, rig.n_pending);

	(void)s;
	assert_true(cap >= STREAM_OUT_MIN);
	if (rig.write_in_output)
		assert_int_equal(write_now((const uint8_t *)"never", 5), 0);
	rig.n_asked++;
	rig.biggest_ask = cap > rig.biggest_ask ? cap : rig.biggest_ask;
	memcpy(buf, rig.pending, n);
	rig.pending += n;
	rig.n_pending -= n;
	return n;
}

static inline void output_failed(struct stream *s, int err)
{
	(void)s;
	rig.n_failed++;
	rig.failed = err;
}

static inline void drained(struct stream *s)
{
	(void)s;
	rig.n_drained++;
}

static inline void readable(struct stream *s)
{
	(void)s;
	rig.n_readable++;
}

static inline void closed(struct stream *s)
{
	(void)s;
	rig.n_closed++;
}

static const struct stream_ops ops = {
	.input_space = input_space,
	.input = input,
	.input_ended = input_ended,
	.output = output,
	.output_failed = output_failed,
	.drained = drained,
	.readable = readable,
};

static inline void step(void)
{
	assert_int_equal(loop_step(rig.loop, false), 0);
	sched_yield();
}

#define STEP_UNTIL(condition)                                                                      \
	for (unsigned int i_ = 0; !(condition); i_++) {                                            \
		assert_true(i_ < 1000 * 1000);                                                     \
		step();                                                                            \
	}

static inline void settle(void)
{
	for (unsigned int i = 0; i < 200; i++)
		step();
}

static inline void connect_tcp(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t len = sizeof(address);
	AUTO_FD int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(listener, (struct sockaddr *)&address, len), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &len), 0);
	rig.fds[1] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(rig.fds[1], (struct sockaddr *)&address, len), 0);
	rig.fds[0] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(rig.fds[0] >= 0);
}

static inline void begin(bool tcp)
{
	const char *why = NULL;

	signal(SIGPIPE, SIG_IGN);
	rig = (struct rig){ .pending = bytes };
	if (loop_new(16, &rig.loop, &why) < 0)
		fail_msg("%s", why);
	if (tcp)
		connect_tcp();
	else
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, rig.fds), 0);
	fcntl(rig.fds[1], F_SETFL, O_NONBLOCK);
	for (size_t i = 0; i < TOTAL; i++)
		bytes[i] = (uint8_t)(i * 7 + i / 251);
	memset(got, 0, sizeof(got));
	assert_int_equal(stream_init(&rig.stream, rig.loop, rig.fds[0], rig.fds[0], &ops), 0);
}

static inline void end(void)
{
	if (rig.n_closed == 0)
		stream_close(&rig.stream, closed);
	STEP_UNTIL(rig.n_closed > 0);
	assert_int_equal(rig.n_closed, 1);
	scope_fini(&rig.stream.scope);
	loop_free(rig.loop);
	fd_close(rig.fds[0]);
	fd_close(rig.fds[1]);
}

/* Every test for each kind of socket. */
#define EACH_SOCKET for (unsigned int tcp_ = 0; tcp_ < 2; tcp_++)
#define BEGIN() begin(tcp_ == 1)

/* Until the stream's bytes from done to n have come at the peer, and no others. */
static inline void peer_gets_from(size_t done, size_t n)
{
	for (unsigned int i = 0; done < n; i++) {
		ssize_t r = read(rig.fds[1], got + done, n - done);

		assert_true(i < 1000 * 1000);
		done += r > 0 ? (size_t)r : 0;
		step();
	}
	assert_memory_equal(got, bytes, n);
	assert_int_equal(read(rig.fds[1], input_buf, 1), -1);
}

static inline void peer_gets(size_t n)
{
	peer_gets_from(0, n);
}

static inline size_t peer_sends(size_t n)
{
	size_t done = 0;

	while (done < n) {
		ssize_t r = write(rig.fds[1], bytes + done, n - done);

		if (r < 0)
			break;
		done += (size_t)r;
	}
	return done;
}

#endif
