/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Kicks: which ones the device asks for, and that it asks for enough. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conform/cases/case-list.h"
#include "conform/cases/case-ring-steps.h"
#include "conform/cases/case-setup.h"

enum { BURST_MAX = 8 };

int case_ring_kick_spurious(struct trial *t)
{
	unsigned int idx = trial_ring(t);
	uint16_t used;
	int err = trial_boot(t, NULL);

	if (err < 0)
		return err;
	used = trial_used_idx(t, idx);
	for (unsigned int i = 0; i < 1000 && err == 0; i++)
		err = trial_kick(t, idx);
	if (err == 0)
		err = trial_ping(t);
	if (err == 0 && trial_used_idx(t, idx) != used)
		err = trial_fail(t,
				 "1000 kicks with nothing available: expected the used index to "
				 "stay %u, but it is %u",
				 used, trial_used_idx(t, idx));
	return err < 0 ? err : trial_exchange(t, 3);
}

/* The flags of the used ring, before, while and after requests are under way. */
static int sample_flags(struct trial *t, bool events)
{
	const struct trial_plan plan = { .without_features = events ? 0 : RING_EVENT };
	const uint16_t allowed = events ? 0 : VRING_USED_F_NO_NOTIFY;
	AUTO(hand_fini) struct hand h = { .t = t };
	int err = hand_boot(t, &plan, &h);

	for (unsigned int i = 0; i < 500 && err == 0; i++) {
		uint16_t seen = 0;

		err = hand_put(&h, 0, 0);
		if (err == 0)
			err = hand_show(&h, 0);
		for (unsigned int n = 0; n < 200; n++)
			seen |= vring_used_flags(h.ring);
		if (err == 0)
			err = hand_await(&h, 1);
		if (err == 0)
			err = hand_answered(&h, 0, 0);
		seen |= vring_used_flags(h.ring);
		if (err == 0 && (seen & ~allowed) != 0)
			err = trial_fail(t,
					 "requests %s EVENT_IDX: expected the flags of the used "
					 "ring to be %s, but %#x was seen",
					 events ? "with" : "without", events ? "0" : "0 or 1",
					 seen);
	}
	return err;
}

int case_ring_kick_flags(struct trial *t)
{
	return sample_flags(t, false);
}

int case_ring_kick_flags_event(struct trial *t)
{
	return sample_flags(t, true);
}

/* Bursts of 1 to 8 requests; the driver kicks only when it must. */
static int obey(struct trial *t, bool events, unsigned int total)
{
	const struct trial_plan plan = { .without_features = events ? 0 : RING_EVENT };
	struct trial_request *q = calloc(BURST_MAX, sizeof(*q));
	uint64_t state = 7;
	int err = q ? trial_boot(t, &plan) : trial_error(t, "memory for requests");

	for (unsigned int done = 0; done < total && err == 0;) {
		unsigned int n = 1 + ring_random(&state) % BURST_MAX;

		err = ring_burst(t, q, n, NULL);
		done += n;
	}
	free(q);
	return err;
}

int case_ring_kick_obeyed(struct trial *t)
{
	return obey(t, false, 20000);
}

int case_ring_kick_obeyed_event(struct trial *t)
{
	return obey(t, true, 20000);
}

/* The next request is shown in the moment in which the last one is seen used. */
static int in_the_window(struct trial *t, bool events, unsigned int total)
{
	const struct trial_plan plan = { .without_features = events ? 0 : RING_EVENT };
	struct trial_request *q = calloc(1, sizeof(*q));
	struct driverq *ring;
	int err = q ? trial_boot(t, &plan) : trial_error(t, "memory for requests");

	if (err == 0)
		driverq_calls_off(&t->fe.rings[trial_ring(t)].q);
	for (unsigned int i = 0; i < total && err == 0; i++) {
		struct trial_request *back;

		err = trial_offer(t, NULL, q);
		if (err == 0)
			err = trial_publish(t);
		ring = &t->fe.rings[trial_ring(t)].q;
		for (unsigned int n = 0; n < 20000; n++) {
			if (vring_used_idx(&ring->ring) != ring->last_used)
				break;
			cpu_relax();
		}
		if (err == 0)
			err = ring_collect(t, q, 1, &back);
	}
	free(q);
	return err;
}

int case_ring_kick_window(struct trial *t)
{
	return in_the_window(t, false, 10000);
}

int case_ring_kick_window_event(struct trial *t)
{
	return in_the_window(t, true, 10000);
}

/* Once idle, the device names the next index, or serves what it did not ask a kick for. */
int case_ring_kick_idle(struct trial *t)
{
	unsigned int idx = trial_ring(t);
	struct vring *ring;
	int err = trial_boot(t, NULL);

	if (err == 0)
		err = trial_exchange(t, 10);
	if (err < 0)
		return err;
	ring = trial_vring(t, idx);
	for (unsigned int i = 0; i < 20 && err == 0; i++) {
		if (vring_avail_event(ring) == vring_avail_idx(ring))
			return trial_exchange(t, 1);
		err = trial_pass(t, trial_ms(t, 10));
	}
	trial_remark(t, "an idle device has avail_event at another index than the next one");
	return err < 0 ? err : trial_exchange(t, 1);
}

/* A stopped ring is given a request; when it starts, nobody kicks. */
int case_ring_kick_start(struct trial *t)
{
	unsigned int idx = trial_ring(t);
	struct trial_request request;
	uint16_t base;
	int err = setup_offer_stopped(t, &request, &base);

	if (err < 0)
		return err;
	driverq_publish(&t->fe.rings[idx].q);
	t->fe.rings[idx].base = base;
	err = trial_start_ring(t, idx, NULL);
	return err < 0 ? err : trial_answered(t, &request);
}

/* The eventfd's value says that there was a kick, nothing else. */
int case_ring_kick_value(struct trial *t)
{
	static const uint64_t values[] = { 1, 2, 0x10000, 0xffffffff,
					   UINT64_C(0x8000000000000001) };
	const struct trial_plan plan = {
		.with_features = BIT(VIRTIO_F_NOTIFICATION_DATA_BIT),
	};
	AUTO(hand_fini) struct hand h = { .t = t };
	int err = hand_boot(t, &plan, &h);

	for (unsigned int i = 0; i < ARRAY_SIZE(values) && err == 0; i++) {
		err = hand_put(&h, 0, 0);
		if (err < 0)
			return err;
		trial_avail(t, h.idx, 0);
		if (write(t->fe.rings[h.idx].kick_fd, &values[i], sizeof(values[i])) < 0)
			return trial_error(t, "a kick cannot be written");
		err = hand_await(&h, 1);
		if (err == 0)
			err = hand_answered(&h, 0, 0);
	}
	return err;
}

/* Receive buffers of a console. */

enum { RX = 0, RX_LEN = 16, RX_BUFFERS = 4 };

struct rx {
	uint64_t addr;
	uint8_t *host;
};

static int rx_open(struct trial *t, const struct trial_plan *plan, struct rx *ret_rx)
{
	void *host = NULL;
	int err = trial_boot(t, plan);

	if (err == 0 && target_connect_peer(t->target, &t->peer_fd) < 0)
		err = trial_fail(t, "the console's other side: expected a connection, but: %s",
				 t->target->error);
	if (err == 0)
		err = trial_alloc(t, RX_BUFFERS * (size_t)RX_LEN, 16, &host, &ret_rx->addr);
	ret_rx->host = host;
	return err;
}

/* Offers all buffers, kicking only if the device wants it. */
static int rx_fill(struct trial *t, const struct rx *rx)
{
	for (unsigned int i = 0; i < RX_BUFFERS; i++) {
		struct driverq_buf buf = { rx->addr + (uint64_t)i * RX_LEN, RX_LEN };

		if (driverq_add(&t->fe.rings[RX].q, &buf, 0, 1, false, t) < 0)
			return trial_error(t, "no room in the receive ring");
	}
	return trial_step(t, vhu_frontend_publish(&t->fe, RX), "a kick of ring %d", RX);
}

static int rx_take(struct trial *t)
{
	for (unsigned int i = 0; i < RX_BUFFERS; i++) {
		void *token;
		uint32_t len;
		int err = vhu_frontend_await_used(&t->fe, RX, &token, &len,
						  trial_ms(t, TRIAL_ANSWER_MS));

		if (err < 0)
			return trial_step(t, err, "input for receive buffer %u", i);
	}
	return 0;
}

int case_ring_kick_dry(struct trial *t)
{
	char input[8 * RX_LEN * RX_BUFFERS];
	struct rx rx;
	int err = rx_open(t, NULL, &rx);

	memset(input, 'x', sizeof(input));
	if (err == 0 && write(t->peer_fd, input, sizeof(input)) != (ssize_t)sizeof(input))
		return trial_error(t, "the console's other side takes no input");
	for (unsigned int i = 0; i < 4 && err == 0; i++) {
		err = rx_fill(t, &rx);
		if (err == 0)
			err = rx_take(t);
		if (err == 0)
			err = trial_ping(t);
	}
	return err;
}

/* Buffers that were held when their ring stopped are not written any more. */
int case_ring_held_forgotten(struct trial *t)
{
	struct rx rx;
	uint16_t base;
	int err = rx_open(t, NULL, &rx);

	if (err == 0)
		err = rx_fill(t, &rx);
	if (err == 0)
		err = trial_kick(t, RX);
	if (err == 0)
		err = trial_ping(t);
	if (err == 0)
		err = trial_stop_ring(t, RX, &base);
	if (err < 0)
		return err;
	memset(rx.host, RING_GUARD, RX_BUFFERS * (size_t)RX_LEN);
	if (write(t->peer_fd, "input", 5) != 5)
		return trial_error(t, "the console's other side takes no input");
	err = trial_quiet(t, RX);
	for (unsigned int i = 0; i < RX_BUFFERS * RX_LEN && err == 0; i++)
		if (rx.host[i] != RING_GUARD)
			err = trial_fail(t, "input while the receive ring is stopped: expected "
					    "its buffers to be left alone, but one was written");
	return err;
}

/* Each buffer tells its own length: one that is skipped would count as full. */
int case_ring_in_order_input(struct trial *t)
{
	static const struct trial_plan plan = { .with_features = BIT(VIRTIO_F_IN_ORDER_BIT) };
	const char input[RX_LEN + 4] = "input in order";
	size_t done = 0;
	struct rx rx;
	int err = rx_open(t, &plan, &rx);

	if (err == 0)
		err = rx_fill(t, &rx);
	if (err == 0 && write(t->peer_fd, input, sizeof(input)) != (ssize_t)sizeof(input))
		return trial_error(t, "the console's other side takes no input");
	for (unsigned int i = 0; i < RX_BUFFERS && done < sizeof(input) && err == 0; i++) {
		void *token;
		uint32_t len = 0;

		err = trial_step(t,
				 vhu_frontend_await_used(&t->fe, RX, &token, &len,
							 trial_ms(t, TRIAL_ANSWER_MS)),
				 "input with IN_ORDER, after %zu of %zu bytes", done,
				 sizeof(input));
		done += len;
	}
	if (err < 0 || done == sizeof(input))
		return err;
	return trial_fail(t,
			  "input of %zu bytes with IN_ORDER: expected as many in the buffers that "
			  "came back, but they tell of %zu",
			  sizeof(input), done);
}
