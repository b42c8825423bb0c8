/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "load/limit-relay.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "load/limit-shared.h"
#include "load/limit-side.h"
#include "load/limit.h"

enum {
	PAGE = 4096,
	CONSUMED_AT = 128, /* bytes behind the other index: no shared cache line */
	LENS_AT = PAGE,
};

int relay_queue_init(struct relay_queue *q, uint32_t n_slots, size_t chunk)
{
	size_t lens_len = (n_slots * sizeof(*q->len) + PAGE - 1) / PAGE * PAGE;
	size_t len = LENS_AT + lens_len + n_slots * chunk;
	void *memory;
	unsigned char *base;
	int err = limit_shared_new(len, &memory);

	if (err < 0)
		return err;
	base = memory;
	*q = (struct relay_queue){
		.produced = memory,
		.consumed = (void *)(base + CONSUMED_AT),
		.len = (void *)(base + LENS_AT),
		.bytes = base + LENS_AT + lens_len,
		.memory = memory,
		.memory_len = len,
		.n_slots = n_slots,
		.chunk = (uint32_t)chunk,
	};
	return 0;
}

void relay_queue_free(struct relay_queue *q)
{
	limit_shared_free(q->memory, q->memory_len);
	q->memory = NULL;
}

static int tell(int fd)
{
	const uint64_t one = 1;

	if (write(fd, &one, sizeof(one)) != sizeof(one))
		return limit_error(-errno, "the relay's eventfd");
	return 0;
}

static int take_eventfd(int fd)
{
	uint64_t n;

	if (read(fd, &n, sizeof(n)) != sizeof(n))
		return limit_error(-errno, "the relay's eventfd");
	return 0;
}

/* One slot of the driver's to the peer. */
static int forward(struct relay *r)
{
	uint32_t slot = *r->tx.consumed % r->tx.n_slots;
	const unsigned char *bytes = r->tx.bytes + (size_t)slot * r->tx.chunk;
	size_t len = r->tx.len[slot];
	size_t done = 0;

	while (done < len) {
		ssize_t n = send(r->tcp_fd, bytes + done, len - done, MSG_NOSIGNAL);

		if (n < 0)
			return limit_error(-errno, "the relay's peer");
		done += (size_t)n;
	}
	relay_queue_advance(r->tx.consumed);
	return r->calls ? tell(r->call_fd) : 0;
}

/* What the peer has sent, up to a slot. */
static int receive(struct relay *r)
{
	uint32_t slot = *r->rx.produced % r->rx.n_slots;
	ssize_t n = recv(r->tcp_fd, r->rx.bytes + (size_t)slot * r->rx.chunk, r->rx.chunk, 0);

	if (n <= 0)
		return limit_error(n < 0 ? -errno : -EPIPE, "the relay's peer");
	r->rx.len[slot] = (uint32_t)n;
	relay_queue_advance(r->rx.produced);
	return r->calls ? tell(r->call_fd) : 0;
}

static int relay_once(struct relay *r)
{
	bool room = relay_queue_room(&r->rx) > 0;
	struct pollfd fds[2] = {
		{ .fd = r->kick_fd, .events = POLLIN },
		{ .fd = room ? r->tcp_fd : r->room_fd, .events = POLLIN },
	};
	int err = 0;

	if (poll(fds, 2, -1) < 0)
		return limit_error(-errno, "the relay's poll");
	if (fds[0].revents) {
		err = take_eventfd(r->kick_fd);
		if (err == 0)
			err = forward(r);
	} else if (fds[1].revents) {
		err = room ? receive(r) : take_eventfd(r->room_fd);
	}
	return err;
}

void relay_serve(void *arg, int ready_fd)
{
	struct relay *r = arg;

	limit_side_ready(ready_fd);
	while (relay_once(r) == 0)
		;
}
