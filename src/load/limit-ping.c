/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Limits of latency: how soon another process notices, and answers. */
#include <errno.h>
#include <liburing.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "fd.h"
#include "load/limit-cores.h"
#include "load/limit-shared.h"
#include "load/limit-side.h"
#include "load/limit-tcp.h"
#include "load/limit.h"

/* How often a process that spins looks whether the other one lives. */
enum { SPINS_BETWEEN_LOOKS = 1 << 24 };

/* A word for each direction, on a cache line of its own. */
struct words {
	_Alignas(128) uint64_t ping;
	_Alignas(128) uint64_t pong;
};

struct ping {
	struct words *words; /* shared */
	int ping_fd, pong_fd;
	struct limit_side side;
};

#define PING_NONE                                                                                  \
	{                                                                                          \
		.ping_fd = -1, .pong_fd = -1, .side = LIMIT_SIDE_NONE                              \
	}

static void ping_cleanup(struct ping *p)
{
	limit_side_stop(&p->side);
	limit_shared_free(p->words, sizeof(*p->words));
	fd_cleanup(&p->ping_fd);
	fd_cleanup(&p->pong_fd);
}

static int await_word(const struct ping *p, const uint64_t *word, uint64_t value)
{
	for (unsigned int n = 1; __atomic_load_n(word, __ATOMIC_ACQUIRE) != value; n++)
		if (n % SPINS_BETWEEN_LOOKS == 0 && limit_side_check(&p->side) < 0)
			return -ESRCH;
	return 0;
}

/* Sends message n and waits for its answer; zero or -errno after a sentence. */
typedef int round_fn(struct ping *p, uint64_t n);

static int measure_rounds(struct ping *p, round_fn *round, const struct load_options *o,
			  struct load_figures *ret_figures)
{
	struct load_figures f = { 0 };
	uint64_t cpu_ns = limit_side_cpu_ns(&p->side);
	struct limit_run run = limit_run_start(o);
	uint64_t now_ns = run.start_ns;
	int err = 0;

	while (err == 0 && !limit_run_over(&run, now_ns, f.n_messages)) {
		uint64_t before_ns = now_ns;

		if (o->asleep) {
			err = limit_side_await_sleep(&p->side);
			before_ns = monotonic_ns();
		}
		if (err == 0)
			err = round(p, ++f.n_messages);
		now_ns = monotonic_ns();
		latency_add(&f.latency, now_ns - before_ns);
	}
	if (err < 0)
		return err;
	f.ns = now_ns - run.start_ns;
	f.cpu_ns = limit_side_cpu_ns(&p->side) - cpu_ns;
	*ret_figures = f;
	return 0;
}

static int write_eventfd(int fd)
{
	const uint64_t one = 1;

	if (write(fd, &one, sizeof(one)) != sizeof(one))
		return limit_error(-errno, "writing an eventfd");
	return 0;
}

static int read_eventfd(int fd)
{
	uint64_t n;

	if (read(fd, &n, sizeof(n)) != sizeof(n))
		return limit_error(-errno, "reading an eventfd");
	return 0;
}

static int open_eventfd(int *fd)
{
	*fd = eventfd(0, EFD_CLOEXEC);
	return *fd < 0 ? limit_error(-errno, "an eventfd") : 0;
}

static int share_words(struct ping *p)
{
	void *words;
	int err = limit_shared_new(sizeof(*p->words), &words);

	if (err == 0)
		p->words = words;
	return err;
}

static void serve_cacheline(void *arg, int ready_fd)
{
	struct ping *p = arg;
	uint64_t n = 0;

	limit_side_ready(ready_fd);
	for (;;) {
		uint64_t now = __atomic_load_n(&p->words->ping, __ATOMIC_ACQUIRE);

		if (now != n)
			__atomic_store_n(&p->words->pong, now, __ATOMIC_RELEASE);
		n = now;
	}
}

static int round_cacheline(struct ping *p, uint64_t n)
{
	__atomic_store_n(&p->words->ping, n, __ATOMIC_RELEASE);
	return await_word(p, &p->words->pong, n);
}

/* On two cores, or it would mean nothing. */
int limit_measure_cacheline(const struct load_options *o, struct load_figures *ret_figures)
{
	struct load_options never_asleep = *o;
	AUTO(ping_cleanup) struct ping p = PING_NONE;
	int err = share_words(&p);

	never_asleep.asleep = false;
	if (err == 0)
		err = limit_side_start(serve_cacheline, &p, true, &p.side);
	if (err == 0)
		err = measure_rounds(&p, round_cacheline, &never_asleep, ret_figures);
	if (!o->pin)
		limit_cores_unpin();
	return err;
}

static void serve_eventfd(void *arg, int ready_fd)
{
	struct ping *p = arg;

	limit_side_ready(ready_fd);
	while (read_eventfd(p->ping_fd) == 0 && write_eventfd(p->pong_fd) == 0)
		;
}

static int round_eventfd(struct ping *p, uint64_t n)
{
	int err = write_eventfd(p->ping_fd);

	(void)n;
	return err < 0 ? err : read_eventfd(p->pong_fd);
}

int limit_measure_eventfd(const struct load_options *o, struct load_figures *ret_figures)
{
	AUTO(ping_cleanup) struct ping p = PING_NONE;
	int err = open_eventfd(&p.ping_fd);

	if (err == 0)
		err = open_eventfd(&p.pong_fd);
	if (err == 0)
		err = limit_side_start(serve_eventfd, &p, o->pin, &p.side);
	if (err == 0)
		err = measure_rounds(&p, round_eventfd, o, ret_figures);
	return err;
}

/* The flags of the daemon's own loop, oldest kernels last. */
static int open_uring(struct io_uring *ring)
{
	static const unsigned int flags[] = {
		IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
		IORING_SETUP_COOP_TASKRUN,
		0,
	};
	int err = -EINVAL;

	for (size_t i = 0; i < ARRAY_SIZE(flags) && err == -EINVAL; i++)
		err = io_uring_queue_init(64, ring, flags[i]);
	if (err == 0)
		io_uring_register_ring_fd(ring); /* optional */
	return err;
}

static void arm_read(struct io_uring *ring, int fd, uint64_t *value)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	io_uring_prep_read(sqe, fd, value, sizeof(*value), 0);
}

/* Where io_uring is forbidden nothing wakes quicker than this. */
static void serve_wake_by_read(struct ping *p, int ready_fd)
{
	uint64_t n = 0;

	limit_side_ready(ready_fd);
	while (read_eventfd(p->ping_fd) == 0)
		__atomic_store_n(&p->words->pong, ++n, __ATOMIC_RELEASE);
}

/* The process ends by a signal, and the ring with it. */
static void serve_wake(void *arg, int ready_fd)
{
	struct ping *p = arg;
	struct io_uring_cqe *cqe;
	struct io_uring ring;
	uint64_t value, n = 0;

	if (open_uring(&ring) < 0) {
		serve_wake_by_read(p, ready_fd);
		return;
	}
	arm_read(&ring, p->ping_fd, &value);
	io_uring_submit(&ring);
	limit_side_ready(ready_fd);
	for (;;) {
		int res = io_uring_submit_and_wait(&ring, 1);

		if (res >= 0 && io_uring_peek_cqe(&ring, &cqe) == 0) {
			res = cqe->res;
			io_uring_cqe_seen(&ring, cqe);
			__atomic_store_n(&p->words->pong, ++n, __ATOMIC_RELEASE);
			arm_read(&ring, p->ping_fd, &value);
		}
		if (res < 0 && res != -EINTR) {
			limit_error(res, "reading an eventfd by io_uring");
			return;
		}
	}
}

static int round_wake(struct ping *p, uint64_t n)
{
	int err = write_eventfd(p->ping_fd);

	return err < 0 ? err : await_word(p, &p->words->pong, n);
}

/* Of a loop that is not asleep yet there is nothing to wake. */
int limit_measure_wake(const struct load_options *o, struct load_figures *ret_figures)
{
	AUTO(ping_cleanup) struct ping p = PING_NONE;
	struct load_options asleep = *o;
	int err = open_eventfd(&p.ping_fd);

	asleep.asleep = true;
	if (err == 0)
		err = share_words(&p);
	if (err == 0)
		err = limit_side_start(serve_wake, &p, o->pin, &p.side);
	if (err == 0)
		err = measure_rounds(&p, round_wake, &asleep, ret_figures);
	return err;
}

static int exchange_byte(int fd, bool first, unsigned char value)
{
	unsigned char got = value;
	ssize_t n = 1;

	if (first)
		n = send(fd, &value, 1, MSG_NOSIGNAL);
	if (n == 1)
		n = recv(fd, &got, 1, 0);
	if (n == 1 && !first)
		n = send(fd, &got, 1, MSG_NOSIGNAL);
	if (n != 1)
		return limit_error(n < 0 ? -errno : -EPIPE, "a byte by TCP");
	if (got != value && first)
		return limit_error(-EBADMSG, "a byte by TCP is 0x%02x, expected 0x%02x", got,
				   value);
	return 0;
}

static void serve_tcp_ping(void *arg, int ready_fd)
{
	struct ping *p = arg;

	fd_cleanup(&p->ping_fd);
	limit_side_ready(ready_fd);
	while (exchange_byte(p->pong_fd, false, 0) == 0)
		;
}

static int round_tcp_ping(struct ping *p, uint64_t n)
{
	return exchange_byte(p->ping_fd, true, (unsigned char)n);
}

int limit_measure_tcp_ping(const struct load_options *o, struct load_figures *ret_figures)
{
	AUTO(ping_cleanup) struct ping p = PING_NONE;
	int err = limit_tcp_pair(&p.ping_fd, &p.pong_fd);

	if (err == 0)
		err = limit_side_start(serve_tcp_ping, &p, o->pin, &p.side);
	if (err < 0)
		return err;
	fd_cleanup(&p.pong_fd);
	return measure_rounds(&p, round_tcp_ping, o, ret_figures);
}
