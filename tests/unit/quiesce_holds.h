/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Every kind of operation that can be under way when a message comes: begun, and let go. */
#ifndef VHU_TESTS_QUIESCE_HOLDS_H
#define VHU_TESTS_QUIESCE_HOLDS_H

#include "quiesce_rig.h"

#include "backends/client.h"

struct hold {
	const char *name;
	struct flow *flow; /* whose ring the message names */
	bool pty;	   /* the host's side, else a socket */
	bool timer;	   /* let go, it goes on by a timer of 10 ms */
	uint64_t protocol; /* besides the usual */
	void (*begin)(void);
};

static int held_call = -1, held_other = -1; /* a call descriptor that is full; its other end */

/* The ring waits for a kick, the client for what its peer has to say. */
static inline void hold_idle(void)
{
	flow_show(&flow_rx, 2);
	rig_settle(rig);
	q_check(q_inband() || op_armed(&rig->b->vqs[Q_TX].kick));
	q_check(q_inband() || op_armed(&rig->b->vqs[Q_RX].kick));
}

/* A kick, or bytes, that the loop has not seen yet. */
static inline void hold_kicked(void)
{
	flow_show(&flow_tx, 3);
}

static inline void hold_arrived(void)
{
	flow_show(&flow_rx, 3);
	peer_write(10000);
}

static inline void hold_full_output(bool now)
{
	uint64_t before;
	unsigned int n_quiet = 0;

	/* The straight way is open once all that came before is written. */
	q_until(q_client()->takes_now || !now);
	for (unsigned int i = 0; n_quiet < 3 || !flow_has_slot(&flow_tx); i++) {
		before = flow_tx.n_back;
		flow_show(&flow_tx, Q_N_SLOTS);
		if (now && q_client()->full)
			return;
		q_step();
		flow_collect(&flow_tx);
		n_quiet = flow_tx.n_back == before ? n_quiet + 1 : 0;
		if (!flow_has_slot(&flow_tx) && n_quiet >= 3 && q_host->port.stalled &&
		    !q_client()->takes_now)
			return;
		q_check(i < Q_PUMP_MAX);
	}
}

/* Output that the socket took past the port's ring, until it was full. */
static inline void hold_output_now(void)
{
	hold_full_output(true);
	q_check(q_client()->full);
}

/* The ring is full, too, and a write is under way. */
static inline void hold_send(void)
{
	hold_full_output(false);
	q_check(q_host->port.stalled);
}

/* Until the device has no chain for input any more. */
static inline void starve_input(void)
{
	while (flow_rx.n_back < flow_rx.n_offered) {
		q_check(peer_write(10) == 10);
		q_until(flow_rx.n_out == flow_rx.n_in || (flow_collect(&flow_rx), false));
	}
}

static inline void hold_typed(void)
{
	enum { TYPED = 300 };

	starve_input();
	q_check(peer_write(TYPED) == TYPED);
	q_until(port_input_pending(&q_host->port) == TYPED);
}

/* More input than there is room for. */
static inline void hold_full_input(void)
{
	starve_input();
	for (unsigned int n_quiet = 0; n_quiet < 3;) {
		n_quiet = peer_write(Q_SLOT_LEN) > 0 ? 0 : n_quiet + 1;
		q_step();
	}
	q_check(port_input_pending(&q_host->port) > 0);
}

/* The device takes input from the socket itself, and has no chains for more. */
static inline void hold_input_now(void)
{
	starve_input();
	for (unsigned int i = 0; !q_client()->gives_now; i++) {
		peer_write(CLIENT_INPUT_SIZE);
		q_step();
		q_check(i < Q_PUMP_MAX);
	}
}

/* A call descriptor that takes no more. */
static inline void make_full_call(bool pipe)
{
	const uint64_t most = UINT64_MAX - 1, one = 1;
	int fds[2];

	if (!pipe) {
		held_call = eventfd(0, EFD_CLOEXEC);
		q_check(write(held_call, &most, sizeof(most)) == sizeof(most));
		return;
	}
	q_ok(pipe2(fds, O_CLOEXEC));
	held_other = fds[0];
	held_call = fds[1];
	fcntl(held_call, F_SETPIPE_SZ, 4096);
	fcntl(held_call, F_SETFL, O_NONBLOCK);
	while (write(held_call, &one, sizeof(one)) > 0)
		;
	fcntl(held_call, F_SETFL, 0);
}

static inline void stick_call(struct flow *f, bool pipe)
{
	struct vqio *v = &rig->b->vqs[f->idx];

	make_full_call(pipe);
	q_ok(vhu_frontend_vring_fd(&rig->fe, VHU_FE_SET_VRING_CALL, f->idx, held_call, true));
	flow_show(f, 1);
	if (f == &flow_rx)
		q_check(peer_write(10) == 10);
	q_until(flow_collect(f));
	q_until(op_armed(&v->call));
	rig_settle(rig);
	q_check(op_armed(&v->call));
}

static inline void hold_call_eventfd(void)
{
	stick_call(&flow_tx, false);
}

static inline void hold_call_pipe(void)
{
	stick_call(&flow_tx, true);
}

static inline void hold_call_rx(void)
{
	stick_call(&flow_rx, false);
}

/* An in-band call that is not acknowledged, and one due after it. */
static inline void hold_inband(void)
{
	rig->fe.channel_silent = true;
	for (unsigned int i = 0; i < 2; i++) {
		flow_show(&flow_tx, 1);
		q_until(flow_collect(&flow_tx));
	}
	q_until((vhu_frontend_serve_channel(&rig->fe), rig->fe.heard.n_unanswered > 0));
}

/* A ring that nobody kicks is looked at by a timer. */
static inline void hold_polled(void)
{
	q_ok(vhu_frontend_vring_fd(&rig->fe, VHU_FE_SET_VRING_KICK, Q_TX, -1, true));
	q_check(op_armed(&rig->b->vqs[Q_TX].poll.op));
}

static const struct hold holds[] = {
	{ "kick and receive armed, of the output ring", &flow_tx, .begin = hold_idle },
	{ "kick and receive armed, of the input ring", &flow_rx, .begin = hold_idle },
	{ "a kick not seen yet", &flow_tx, .begin = hold_kicked },
	{ "bytes that have just arrived", &flow_rx, .begin = hold_arrived },
	{ "a socket's send pending", &flow_tx, .begin = hold_send },
	{ "a terminal's write pending", &flow_tx, .pty = true, .begin = hold_send },
	{ "output straight to a full socket", &flow_tx, .timer = true, .begin = hold_output_now },
	{ "input that waits in the port", &flow_rx, .begin = hold_typed },
	{ "more input than the port holds", &flow_rx, .pty = true, .begin = hold_full_input },
	{ "input straight from a socket", &flow_rx, .begin = hold_input_now },
	{ "a call stuck in an eventfd", &flow_tx, .begin = hold_call_eventfd },
	{ "a call stuck in a pipe", &flow_tx, .begin = hold_call_pipe },
	{ "a call of the input ring stuck", &flow_rx, .begin = hold_call_rx },
	{ "an in-band call not acknowledged", &flow_tx,
	  .protocol = BIT(VHU_PF_INBAND_NOTIFICATIONS_BIT), .begin = hold_inband },
	{ "a ring polled by a timer", &flow_tx, .timer = true, .begin = hold_polled },
};

static inline void drain_fd(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint64_t values[512];

	while (fd >= 0 && poll(&p, 1, 0) > 0 && (p.revents & POLLIN))
		if (read(fd, values, sizeof(values)) <= 0)
			break;
}

static inline void raw_kick(unsigned int idx)
{
	const uint64_t one = 1;

	if (!q_inband())
		q_check(write(rig->fe.rings[idx].kick_fd, &one, sizeof(one)) == sizeof(one));
}

/*
 * What was held goes on as far as it can: the peer reads and writes, the guest
 * kicks, full descriptors are read, calls acknowledged. Until nothing happens.
 */
static inline void let_go(void)
{
	enum { INJECTED = 3000 };
	size_t left = INJECTED;

	drain_fd(held_other >= 0 ? held_other : held_call);
	if (rig->fe.channel_silent)
		q_ok(vhu_frontend_speak(&rig->fe));
	raw_kick(Q_RX);
	raw_kick(Q_TX);
	/* A tick ends a step in which nothing else came. */
	for (unsigned int n_ticks = 0; n_ticks < 2;) {
		size_t n = peer_write(left);
		bool ticked = q_step();

		left -= n;
		n_ticks = other_end_read() || n > 0 ? 0 : n_ticks + ticked;
	}
}

static inline void forget_held(void)
{
	held_call = fd_close(held_call);
	held_other = fd_close(held_other);
}

#endif
