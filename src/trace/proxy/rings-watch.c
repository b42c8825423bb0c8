/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What wakes us. An eventfd is not ours to read, and one that nobody reads stays
 * readable, so edges are watched, which epoll tells: every write and, because
 * writable is wanted as well, every read, and also a write that was read at once.
 *
 * Nobody says when chains are returned and no call is wanted, or when the call goes
 * straight into a guest. So used indices are looked at by a timer: soon after
 * something happened, and now and then while a ring is in use.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "clock.h"
#include "trace/proxy/rings-private.h"

enum {
	FIRST_NS = 50 * 1000,
	SHORT_NS = 1000 * 1000, /* longest step while something is under way */
	LONG_NS = 20 * 1000 * 1000,
	MAX_EDGES = 64, /* at once */
};

static uint64_t tag_of(const struct trace_ring *ring, enum watched which)
{
	return (uint64_t)ring->idx * N_WATCHED + which;
}

static bool any_started(const struct trace_rings *r)
{
	for (size_t i = 0; i < VHU_MAX_RINGS; i++)
		if (r->ring[i] && r->ring[i]->started)
			return true;
	return false;
}

/* Timer. */

static void arm_timer(struct trace_rings *r)
{
	if (op_armed(&r->timer.op) || scope_cancelling(&r->scope) || !any_started(r))
		return;
	timer_arm(&r->timer, r->delay_ns);
}

void rings_hasten(struct trace_rings *r)
{
	bool slow = r->delay_ns > SHORT_NS;

	if (!r->options.pictures || r->closed)
		return;
	r->woken_ns = monotonic_ns();
	r->delay_ns = FIRST_NS;
	/* It is armed again when it has come to its end. */
	if (slow && op_armed(&r->timer.op))
		op_cancel(&r->timer.op);
	arm_timer(r);
}

static void look_at_returns(struct trace_rings *r)
{
	for (size_t i = 0; i < VHU_MAX_RINGS; i++) {
		struct trace_ring *ring = r->ring[i];

		if (ring && ring_begin(r, ring) && ring_was_used(r, ring))
			ring_look(r, ring, TRACE_USED);
	}
}

static void next_delay(struct trace_rings *r)
{
	if (monotonic_ns() - r->woken_ns >= LONG_NS)
		r->delay_ns = LONG_NS;
	else
		r->delay_ns = min_u64(2 * r->delay_ns, SHORT_NS);
}

static void timer_done(struct op *op, int res)
{
	struct trace_rings *r = container_of(op, struct trace_rings, timer.op);

	if (r->closed)
		return;
	if (res == -ETIME) {
		next_delay(r);
		look_at_returns(r);
	}
	arm_timer(r);
}

/* Edges. */

static void on_edge(struct trace_rings *r, struct trace_ring *ring, enum watched which)
{
	if (!ring_begin(r, ring))
		return;
	if (which == WATCHED_CALL) {
		if (ring_was_used(r, ring))
			ring_look(r, ring, TRACE_CALL);
		return;
	}
	if (ring_was_offered(r, ring))
		ring_look(r, ring, TRACE_KICK);
	else if (ring_was_used(r, ring))
		ring_look(r, ring, TRACE_USED);
	rings_hasten(r);
}

static void edges_done(struct op *op, int res)
{
	struct trace_rings *r = container_of(op, struct trace_rings, edges);
	struct epoll_event events[MAX_EDGES];
	int n;

	if (r->closed || res < 0)
		return;
	/* Taken all at once: a ring that is served here may change what is watched of others. */
	n = epoll_wait(r->epoll_fd, events, MAX_EDGES, 0);
	for (int i = 0; i < n; i++) {
		struct trace_ring *ring = r->ring[events[i].data.u64 / N_WATCHED];

		if (ring)
			on_edge(r, ring, (enum watched)(events[i].data.u64 % N_WATCHED));
	}
	op_poll(&r->edges, r->epoll_fd, POLLIN);
}

/* A copy of any other kind would keep a connection open that one side has closed. */
static bool can_watch(const struct trace_rings *r, const struct trace_ring *ring, int fd)
{
	struct fd_about about;

	if (!fd_describe(fd, &about))
		return false;
	if (about.kind == FD_KIND_EVENTFD)
		return true;
	rings_note(r, "notifications of ring %" PRIu32 " are not followed: a %s, not an eventfd",
		   ring->idx, fd_kind_name(about.kind));
	return false;
}

static int watch(struct trace_rings *r, int fd, uint64_t tag)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLET, .data.u64 = tag };

	if (epoll_ctl(r->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
		return -errno;
	return 0;
}

void ring_watch(struct trace_rings *r, struct trace_ring *ring, enum watched which, int fd)
{
	int copy, err;

	ring_unwatch(r, ring, which);
	if (r->epoll_fd < 0 || !can_watch(r, ring, fd))
		return;
	copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	err = copy < 0 ? -errno : watch(r, copy, tag_of(ring, which));
	if (err == 0) {
		ring->fd[which] = copy;
		return;
	}
	rings_note(r, "notifications of ring %" PRIu32 " are not followed: %s", ring->idx,
		   strerror(-err));
	fd_close(copy);
}

/* The file lives on with its owners, so closing our copy would not be the end of watching it. */
void ring_unwatch(struct trace_rings *r, struct trace_ring *ring, enum watched which)
{
	if (ring->fd[which] < 0)
		return;
	(void)epoll_ctl(r->epoll_fd, EPOLL_CTL_DEL, ring->fd[which], NULL);
	ring->fd[which] = fd_close(ring->fd[which]);
}

void rings_watch_init(struct trace_rings *r)
{
	scope_init(&r->scope, r->loop);
	op_init(&r->edges, &r->scope, edges_done);
	timer_init(&r->timer, &r->scope, timer_done);
	r->delay_ns = LONG_NS;
	r->epoll_fd = r->options.pictures ? epoll_create1(EPOLL_CLOEXEC) : -1;
	if (r->epoll_fd >= 0)
		op_poll(&r->edges, r->epoll_fd, POLLIN);
	else if (r->options.pictures)
		rings_note(r, "kicks and calls are not followed: %s", strerror(errno));
}

void rings_watch_fini(struct trace_rings *r)
{
	scope_fini(&r->scope);
	r->epoll_fd = fd_close(r->epoll_fd);
}
