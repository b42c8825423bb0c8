/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The limits that a relay sets: this process plays its driver and its peer. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "fd.h"
#include "load/limit-relay.h"
#include "load/limit-side.h"
#include "load/limit-tcp.h"
#include "load/limit.h"
#include "load/load-pattern.h"

enum {
	PEER_WRITE = 64 * 1024, /* bytes that the peer sends at once */
	IDLE_LOOKS = 1 << 12,	/* between two looks at the clock */
	IDLE_MS = 500,		/* between two looks whether the relay lives */
};

struct drive {
	const struct load_options *o;
	struct relay relay;
	struct limit_side side;
	struct load_pattern pattern; /* the same bytes both ways */
	int peer_fd;
	unsigned char *buf; /* LIMIT_TCP_READ bytes */
	uint64_t *sent_ns;  /* echo: when each message under way was sent */
	uint64_t n_filled;  /* slots given to the relay */
	uint64_t peer_in;   /* bytes that the peer has read and verified */
	uint64_t peer_out;  /* bytes that the peer has sent */
	uint64_t taken;	    /* bytes that the driver has taken and verified */
	uint64_t n_echoed;  /* messages that are back */
	bool peer_full;	    /* the peer's socket takes no more for now */
	struct load_figures f;
};

#define DRIVE_NONE                                                                                 \
	{                                                                                          \
		.relay = { .kick_fd = -1, .room_fd = -1, .call_fd = -1, .tcp_fd = -1 },            \
		.side = LIMIT_SIDE_NONE, .peer_fd = -1                                             \
	}

static void drive_cleanup(struct drive *d)
{
	limit_side_stop(&d->side);
	relay_queue_free(&d->relay.tx);
	relay_queue_free(&d->relay.rx);
	load_pattern_fini(&d->pattern);
	free(d->buf);
	free(d->sent_ns);
	fd_cleanup(&d->relay.kick_fd);
	fd_cleanup(&d->relay.room_fd);
	fd_cleanup(&d->relay.call_fd);
	fd_cleanup(&d->relay.tcp_fd);
	fd_cleanup(&d->peer_fd);
}

static int open_fds(struct drive *d)
{
	d->relay.kick_fd = eventfd(0, EFD_CLOEXEC | EFD_SEMAPHORE);
	d->relay.room_fd = eventfd(0, EFD_CLOEXEC);
	d->relay.call_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (d->relay.kick_fd < 0 || d->relay.room_fd < 0 || d->relay.call_fd < 0)
		return limit_error(-errno, "an eventfd");
	return limit_tcp_pair(&d->peer_fd, &d->relay.tcp_fd);
}

/*
 * There are as many slots as make whole periods of the stream, so that each slot
 * to the peer holds its bytes from the start, and for good.
 */
static int set_up(struct drive *d, const struct load_options *o, size_t chunk)
{
	uint32_t n_slots;
	int err;

	d->o = o;
	d->relay.calls = o->wait == LOAD_WAIT_CALL;
	if (load_pattern_init(&d->pattern, chunk) < 0)
		return limit_error(-ENOMEM, "a stream of chunks of %zu bytes", chunk);
	n_slots = limit_n_slots(o, chunk, d->pattern.period / chunk);
	d->buf = malloc(LIMIT_TCP_READ);
	d->sent_ns = calloc(n_slots, sizeof(*d->sent_ns));
	if (!d->buf || !d->sent_ns)
		return limit_error(-ENOMEM, "a ring of %u chunks of %zu bytes", n_slots, chunk);
	err = relay_queue_init(&d->relay.tx, n_slots, chunk);
	if (err == 0)
		err = relay_queue_init(&d->relay.rx, n_slots, chunk);
	if (err == 0)
		err = open_fds(d);
	if (err < 0)
		return err;
	load_pattern_fill(&d->pattern, d->relay.tx.bytes, n_slots * chunk);
	err = limit_side_start(relay_serve, &d->relay, o->pin, &d->side);
	fd_cleanup(&d->relay.tcp_fd);
	return err;
}

static int add_one(int fd)
{
	const uint64_t one = 1;

	if (write(fd, &one, sizeof(one)) != sizeof(one))
		return limit_error(-errno, "an eventfd");
	return 0;
}

/* One message to the relay. */
static int fill_slot(struct drive *d)
{
	struct relay_queue *tx = &d->relay.tx;

	tx->len[*tx->produced % tx->n_slots] = tx->chunk;
	relay_queue_advance(tx->produced);
	d->n_filled++;
	d->f.n_kicks++;
	return add_one(d->relay.kick_fd);
}

/* What the relay has sent; sets *moved when that is anything. */
static int peer_read(struct drive *d, bool *moved)
{
	ssize_t n = recv(d->peer_fd, d->buf, LIMIT_TCP_READ, MSG_DONTWAIT);
	int err;

	if (n < 0 && errno == EAGAIN)
		return 0;
	if (n <= 0)
		return limit_error(n < 0 ? -errno : -EPIPE, "reading from the relay");
	err = limit_check(&d->pattern, "the relay's output", d->peer_in, d->buf, (size_t)n);
	d->peer_in += (uint64_t)n;
	*moved = true;
	return err;
}

/* The peer's stream, up to its byte end. */
static int peer_write(struct drive *d, uint64_t end, bool *moved)
{
	ssize_t n;

	d->peer_full = false;
	if (d->peer_out == end)
		return 0;
	n = send(d->peer_fd, load_pattern_at(&d->pattern, d->peer_out),
		 min_u64(end - d->peer_out, min_size(PEER_WRITE, d->pattern.period)),
		 MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0 && errno == EAGAIN) {
		d->peer_full = true;
		return 0;
	}
	if (n <= 0)
		return limit_error(-errno, "writing to the relay");
	d->peer_out += (uint64_t)n;
	*moved = true;
	return 0;
}

/* Takes and gives back what the relay has filled. */
static int take_slots(struct drive *d, bool *moved)
{
	struct relay_queue *rx = &d->relay.rx;
	int err = 0;

	for (uint32_t n = relay_queue_filled(rx); n > 0 && err == 0; n--) {
		uint32_t slot = *rx->consumed % rx->n_slots;
		uint32_t len = rx->len[slot];

		err = limit_check(&d->pattern, "the relay's input", d->taken,
				  rx->bytes + (size_t)slot * rx->chunk, len);
		d->taken += len;
		relay_queue_advance(rx->consumed);
		if (err == 0)
			err = add_one(d->relay.room_fd);
		d->f.n_kicks++;
		*moved = true;
	}
	return err;
}

/* Nothing to do: sleeps until the relay has done something, when calls are wanted. */
static int rest(struct drive *d)
{
	struct pollfd fds[2] = {
		{ .fd = d->peer_fd, .events = (short)(POLLIN | (d->peer_full ? POLLOUT : 0)) },
		{ .fd = d->relay.call_fd, .events = POLLIN },
	};
	uint64_t n;
	int n_ready = poll(fds, 2, IDLE_MS);

	if (n_ready < 0)
		return limit_error(-errno, "poll");
	if (n_ready == 0)
		return limit_side_check(&d->side);
	if (fds[1].revents && read(d->relay.call_fd, &n, sizeof(n)) == sizeof(n))
		d->f.n_calls++;
	return 0;
}

/* One look at everything. Sets *moved when there was something to do. */
typedef int step_fn(struct drive *d, const struct limit_run *run, bool *moved);

static int drive_on(struct drive *d, step_fn *step)
{
	uint64_t cpu_ns = limit_side_cpu_ns(&d->side);
	struct limit_run run = limit_run_start(d->o);
	uint64_t now_ns = run.start_ns;
	unsigned int n_idle = 0;
	int err = 0;

	while (err == 0 && !limit_run_over(&run, now_ns, d->f.n_messages)) {
		bool moved = false;

		err = step(d, &run, &moved);
		if (err == 0 && !moved && d->relay.calls)
			err = rest(d);
		n_idle = moved ? 0 : n_idle + 1;
		if (moved || d->relay.calls || n_idle % IDLE_LOOKS == 0)
			now_ns = monotonic_ns();
	}
	if (err < 0)
		return err;
	d->f.ns = monotonic_ns() - run.start_ns;
	d->f.cpu_ns = limit_side_cpu_ns(&d->side) - cpu_ns;
	return 0;
}

static bool may_start(const struct limit_run *run, uint64_t n_started)
{
	return run->n_messages == 0 || n_started < run->n_messages;
}

static int step_tx(struct drive *d, const struct limit_run *run, bool *moved)
{
	int err = 0;

	while (err == 0 && relay_queue_room(&d->relay.tx) > 0 && may_start(run, d->n_filled)) {
		err = fill_slot(d);
		*moved = true;
	}
	if (err == 0)
		err = peer_read(d, moved);
	d->f.n_messages = d->peer_in / d->relay.tx.chunk;
	return err;
}

static int step_rx(struct drive *d, const struct limit_run *run, bool *moved)
{
	uint64_t end = run->n_messages > 0 ? run->n_messages * d->relay.rx.chunk : UINT64_MAX;
	int err = take_slots(d, moved);

	if (err == 0)
		err = peer_write(d, end, moved);
	d->f.n_messages = d->taken / d->relay.rx.chunk;
	return err;
}

/* Messages on the way out, each stamped; with --asleep only when the relay sleeps. */
static int echo_send(struct drive *d, const struct limit_run *run, bool *moved)
{
	uint64_t depth = min_u64(d->o->depth > 0 ? d->o->depth : 1, d->relay.tx.n_slots);
	int err = 0;

	while (err == 0 && d->n_filled - d->n_echoed < depth && may_start(run, d->n_filled)) {
		if (d->o->asleep)
			err = limit_side_await_sleep(&d->side);
		d->sent_ns[d->n_filled % d->relay.tx.n_slots] = monotonic_ns();
		if (err == 0)
			err = fill_slot(d);
		*moved = true;
	}
	return err;
}

static int step_echo(struct drive *d, const struct limit_run *run, bool *moved)
{
	bool took = false;
	int err = echo_send(d, run, moved);

	if (err == 0)
		err = peer_read(d, moved);
	if (err == 0)
		err = peer_write(d, d->peer_in, moved);
	if (err == 0)
		err = take_slots(d, &took);
	if (took) {
		uint64_t now_ns = monotonic_ns();

		for (*moved = true; d->n_echoed < d->taken / d->relay.tx.chunk; d->n_echoed++)
			latency_add(&d->f.latency,
				    now_ns - d->sent_ns[d->n_echoed % d->relay.tx.n_slots]);
	}
	d->f.n_messages = d->n_echoed;
	return err;
}

static int measure_relay(const struct load_options *o, size_t chunk, step_fn *step,
			 struct load_figures *ret_figures)
{
	AUTO(drive_cleanup) struct drive d = DRIVE_NONE;
	int err = set_up(&d, o, chunk);

	if (err == 0)
		err = drive_on(&d, step);
	if (err < 0)
		return err; /* NOLINT(clang-analyzer-unix.Malloc): d has a cleanup attribute */
	d.f.n_bytes = step == step_tx ? d.peer_in : d.taken;
	*ret_figures = d.f;
	return 0;
}

int limit_measure_relay_tx(const struct load_options *o, struct load_figures *ret_figures)
{
	return measure_relay(o, limit_chunk(o, 4096), step_tx, ret_figures);
}

int limit_measure_relay_rx(const struct load_options *o, struct load_figures *ret_figures)
{
	return measure_relay(o, limit_chunk(o, 4096), step_rx, ret_figures);
}

int limit_measure_relay_echo(const struct load_options *o, struct load_figures *ret_figures)
{
	return measure_relay(o, limit_chunk(o, 1), step_echo, ret_figures);
}
