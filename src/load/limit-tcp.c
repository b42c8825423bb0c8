/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "load/limit-tcp.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "clock.h"
#include "fd.h"
#include "load/limit-side.h"
#include "load/limit.h"
#include "load/load-pattern.h"

enum {
	BEST_WRITE = 64 * 1024, /* bytes */
	BEST_PIECES = 16,	/* of a writev */
};

static int no_delay(int fd)
{
	const int one = 1;

	return setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

int limit_tcp_pair(int *ret_fd, int *ret_other_fd)
{
	struct sockaddr_in addr = { .sin_family = AF_INET };
	socklen_t len = sizeof(addr);
	AUTO_FD int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	AUTO_FD int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	AUTO_FD int other = -1;

	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (listener < 0 || fd < 0 || bind(listener, (struct sockaddr *)&addr, len) < 0 ||
	    getsockname(listener, (struct sockaddr *)&addr, &len) < 0 || listen(listener, 1) < 0 ||
	    connect(fd, (struct sockaddr *)&addr, len) < 0)
		return limit_error(-errno, "a TCP connection to 127.0.0.1");
	other = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	if (other < 0 || no_delay(fd) < 0 || no_delay(other) < 0)
		return limit_error(-errno, "a TCP connection from 127.0.0.1");
	*ret_fd = fd_take(&fd);
	*ret_other_fd = fd_take(&other);
	return 0;
}

struct stream {
	struct load_pattern pattern;
	unsigned char *buf; /* LIMIT_TCP_READ bytes */
	int fd, other_fd;   /* ours, and the reader's */
	size_t piece;
	int n_pieces; /* of each write */
	struct limit_side side;
};

static void stream_cleanup(struct stream *s)
{
	limit_side_stop(&s->side);
	load_pattern_fini(&s->pattern);
	free(s->buf);
	fd_cleanup(&s->fd);
	fd_cleanup(&s->other_fd);
}

/* Reads and verifies until the end of the stream, and answers that with a byte. */
static void serve_stream(void *arg, int ready_fd)
{
	struct stream *s = arg;
	uint64_t pos = 0;
	ssize_t n;

	fd_cleanup(&s->fd);
	limit_side_ready(ready_fd);
	while ((n = recv(s->other_fd, s->buf, LIMIT_TCP_READ, 0)) > 0) {
		if (limit_check(&s->pattern, "the TCP stream", pos, s->buf, (size_t)n) < 0)
			return;
		pos += (uint64_t)n;
	}
	if (n < 0) {
		limit_error(-errno, "reading a TCP stream");
		return;
	}
	send(s->other_fd, "", 1, MSG_NOSIGNAL);
	for (;;)
		pause();
}

static ssize_t write_once(const struct stream *s, uint64_t pos)
{
	struct iovec iov[BEST_PIECES];
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = (size_t)s->n_pieces };

	if (s->n_pieces == 1)
		return send(s->fd, load_pattern_at(&s->pattern, pos), s->piece, MSG_NOSIGNAL);
	for (size_t i = 0; i < msg.msg_iovlen; i++) {
		const uint8_t *from = load_pattern_at(&s->pattern, pos + i * s->piece);

		iov[i].iov_base = (void *)(uintptr_t)from;
		iov[i].iov_len = s->piece;
	}
	return sendmsg(s->fd, &msg, MSG_NOSIGNAL);
}

/* Time counts until all bytes are known to have been read and verified. */
static int write_all(struct stream *s, const struct load_options *o,
		     struct load_figures *ret_figures)
{
	struct load_figures f = { 0 };
	uint64_t cpu_ns = limit_side_cpu_ns(&s->side);
	struct limit_run run = limit_run_start(o);
	uint64_t now_ns = run.start_ns;
	char byte;

	while (!limit_run_over(&run, now_ns, f.n_messages)) {
		ssize_t n = write_once(s, f.n_bytes);

		if (n <= 0)
			return limit_error(-errno, "writing a TCP stream");
		f.n_bytes += (uint64_t)n;
		f.n_messages++;
		now_ns = monotonic_ns();
	}
	shutdown(s->fd, SHUT_WR);
	if (recv(s->fd, &byte, 1, 0) != 1)
		return limit_error(-EPIPE, "the reader of a TCP stream");
	f.ns = monotonic_ns() - run.start_ns;
	f.cpu_ns = limit_side_cpu_ns(&s->side) - cpu_ns;
	*ret_figures = f;
	return 0;
}

static int measure_stream(const struct load_options *o, size_t piece, int n_pieces,
			  struct load_figures *ret_figures)
{
	AUTO(stream_cleanup)
	struct stream s = {
		.fd = -1,
		.other_fd = -1,
		.piece = piece,
		.n_pieces = n_pieces,
		.side = LIMIT_SIDE_NONE,
	};
	int err;

	s.buf = malloc(LIMIT_TCP_READ);
	if (!s.buf || load_pattern_init(&s.pattern, piece) < 0)
		return limit_error(-ENOMEM, "a stream of chunks of %zu bytes", piece);
	err = limit_tcp_pair(&s.fd, &s.other_fd);
	if (err == 0)
		err = limit_side_start(serve_stream, &s, o->pin, &s.side);
	if (err < 0)
		return err;
	fd_cleanup(&s.other_fd);
	return write_all(&s, o, ret_figures);
}

int limit_measure_tcp_stream(const struct load_options *o, struct load_figures *ret_figures)
{
	return measure_stream(o, limit_chunk(o, 4096), 1, ret_figures);
}

/* Half of the time each. */
int limit_measure_tcp_best(const struct load_options *o, struct load_figures *ret_figures)
{
	struct load_figures writes, writevs;
	struct load_options half = *o;
	int err;

	half.ns = (o->ns > 0 ? o->ns : o->seconds * UINT64_C(1000000000)) / 2;
	half.messages = (o->messages + 1) / 2;
	err = measure_stream(&half, BEST_WRITE, 1, &writes);
	if (err == 0)
		err = measure_stream(&half, limit_chunk(o, 4096), BEST_PIECES, &writevs);
	if (err < 0)
		return err;
	*ret_figures = load_mb_per_s(&writes) > load_mb_per_s(&writevs) ? writes : writevs;
	return 0;
}
