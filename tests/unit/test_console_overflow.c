/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Output that is dropped, or held until it was read: VC-037, VC-061 to VC-065. */
#include "console_rig.h"

#include "virtio/iotlb.h"

enum { P = 1, RING = 4096, STREAM = 1 << 20 };

static void join_holding(unsigned int port, struct port_client *c,
			 const struct port_client_ops *ops)
{
	static const struct port_client_options options = { .writes = true, .holds = true };

	port_join(&rig.ports[port], c, ops, &options);
	run();
}

/* Ports 0 (a console), 1 and 2 with small rings, all ready; 1 and 2 hold. */
static void begin_holding(void)
{
	begin_ready(64, 3);
	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(port_init(&rig.ports[i], RING), 0);
		rig.ports[i].console = i == 0;
		rig.ports[i].overflow = i == 0 ? PORT_DROP : PORT_HOLD;
		console_add_port(&rig.con, i, &rig.ports[i]);
		run();
		shake_hands(i, 1);
	}
}

/* Bytes as the stream of a test has them at a position. */
static uint8_t byte_at(uint64_t pos)
{
	return (uint8_t)(pos * 7 + pos / 251);
}

/* A chain of len bytes of the stream from pos on, in buffers of up to step bytes. */
static void offer_stream(unsigned int queue, uint64_t pos, uint32_t len, uint32_t step)
{
	struct driverq_buf bufs[64];
	unsigned int n = 0;
	void *host;
	uint64_t at = take(len, &host);

	for (uint32_t i = 0; i < len; i++)
		((uint8_t *)host)[i] = byte_at(pos + i);
	for (uint32_t off = 0; off < len; off += step, n++) {
		assert_true(n < ARRAY_SIZE(bufs));
		bufs[n].addr = at + off;
		bufs[n].len = (uint32_t)min_size(step, len - off);
	}
	assert_int_equal(driverq_add(&rig.d[queue], bufs, n, 0, false, &rig), 0);
	kick(queue);
}

/* Reads up to len bytes, which continue the stream at pos; returns how many came. */
static size_t read_stream(struct port_client *c, uint64_t pos, size_t len)
{
	uint8_t buf[2 * RING];
	size_t n = port_read(c, buf, len);

	for (size_t i = 0; i < n; i++)
		assert_int_equal(buf[i], byte_at(pos + i));
	run();
	return n;
}

/* VC-062: the chain that fits in part goes in part, and is the driver's only when all is in. */
static void output_waits_for_the_slowest_holder_and_goes_on_exactly_there(void **state)
{
	struct port *port = &rig.ports[P];

	(void)state;
	begin_holding();
	join_holding(P, &rig.client, &deaf);
	expect_told(P, CONSOLE_PORT_OPEN, 1);
	offer_stream(tx_of(P), 0, 3000, 3000);
	expect_used(tx_of(P), &rig, 0);
	offer_stream(tx_of(P), 3000, 3000, 700);
	expect_unused(tx_of(P));
	assert_int_equal(port->counters.output, RING);
	assert_true(port->stalled);
	assert_int_equal(read_stream(&rig.client, 0, 600), 600);
	expect_unused(tx_of(P));
	assert_int_equal(port->counters.output, RING + 600);
	assert_int_equal(read_stream(&rig.client, 600, 2000), 2000);
	expect_used(tx_of(P), &rig, 0);
	assert_false(port->stalled);
	assert_int_equal(port->counters.output, 6000);
	assert_int_equal(read_stream(&rig.client, 2600, RING), 3400);
	assert_int_equal(rig.client.n_lost, 0);
	assert_int_equal(port->counters.n_stalls, 2);
	leave(&rig.client);
	end();
}

static uint32_t below(uint64_t *state, uint32_t n)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return (uint32_t)(*state >> 16) % n;
}

/* VC-054, VC-062, VC-068: a long stream, with pauses of the ring among the rest. */
static void long_stream_passes_without_loss_or_repetition(void **state)
{
	uint64_t seed = 88172645463325252, sent = 0, seen = 0;
	unsigned int n_offered = 0, n_back = 0;
	uint32_t len;
	void *token;

	(void)state;
	begin_holding();
	join_holding(P, &rig.client, &deaf);
	while (seen < STREAM || seen < sent) {
		uint32_t want = 1 + below(&seed, below(&seed, 8) ? 600 : 20000);

		if (sent < STREAM && n_offered - n_back < 8 && rig.d[tx_of(P)].n_free >= 8) {
			offer_stream(tx_of(P), sent, want, want / (1 + below(&seed, 7)) + 1);
			sent += want;
			n_offered++;
		}
		if (below(&seed, 10) == 0) {
			stop(tx_of(P));
			start(tx_of(P), 0);
			run();
		}
		seen += read_stream(&rig.client, seen, PORT_READ_MIN + below(&seed, RING));
		while (driverq_get(&rig.d[tx_of(P)], &token, &len) == DRIVERQ_USED)
			n_back++;
		if (n_offered == n_back)
			rig.n_taken = MEM_LEN / 2; /* no buffer is in use */
	}
	assert_int_equal(seen, sent);
	assert_int_equal(n_back, n_offered);
	assert_int_equal(rig.client.n_lost, 0);
	assert_true(rig.ports[P].counters.n_stalls > 10);
	leave(&rig.client);
	end();
}

/* VC-063 */
static void output_that_nobody_holds_is_taken_at_once(void **state)
{
	struct port_client watcher;

	(void)state;
	begin_holding();
	for (unsigned int i = 0; i < 4; i++) {
		if (i == 2)
			join(P, &watcher); /* reads along, and holds nothing */
		offer_stream(tx_of(P), 0, 3000, 3000);
		expect_used(tx_of(P), &rig, 0);
	}
	leave(&watcher);
	assert_int_equal(rig.ports[P].counters.output, 12000);
	assert_int_equal(rig.ports[P].counters.n_stalls, 0);
	end();
}

/* VC-061: whoever reads slowly, a console does not wait. */
static void port_that_drops_takes_output_at_once(void **state)
{
	(void)state;
	begin_holding();
	join_holding(0, &rig.client, &deaf);
	for (unsigned int i = 0; i < 4; i++) {
		offer_stream(TX, 0, 3000, 3000);
		expect_used(TX, &rig, 0);
	}
	leave(&rig.client);
	end();
}

/* Port 1 holds 904 bytes of its second chain back. */
static void begin_stalled(void)
{
	begin_holding();
	join_holding(P, &rig.client, &deaf);
	expect_told(P, CONSOLE_PORT_OPEN, 1);
	offer_stream(tx_of(P), 0, 2500, 2500);
	expect_used(tx_of(P), &rig, 0);
	offer_stream(tx_of(P), 2500, 2500, 1000);
	expect_unused(tx_of(P));
	assert_true(rig.ports[P].stalled);
}

/* VC-064 */
static void output_that_was_held_goes_when_the_holder_leaves(void **state)
{
	(void)state;
	begin_stalled();
	leave(&rig.client);
	expect_used(tx_of(P), &rig, 0);
	assert_int_equal(rig.ports[P].counters.output, 5000);
	expect_told(P, CONSOLE_PORT_OPEN, 0);
	end();
}

static void output_that_was_held_goes_when_the_port_drops(void **state)
{
	(void)state;
	begin_stalled();
	port_set_overflow(&rig.ports[P], PORT_DROP);
	run();
	expect_used(tx_of(P), &rig, 0);
	assert_int_equal(rig.ports[P].counters.output, 5000);
	leave(&rig.client);
	end();
}

static void output_that_was_held_is_discarded_when_output_is_disabled(void **state)
{
	(void)state;
	begin_stalled();
	port_enable_output(&rig.ports[P], false);
	run();
	expect_used(tx_of(P), &rig, 0);
	assert_int_equal(rig.ports[P].counters.output_discarded, 904);
	assert_int_equal(read_stream(&rig.client, 0, 2 * RING), RING);
	leave(&rig.client);
	end();
}

/* VC-082 */
static void chain_that_was_held_comes_back_when_the_port_goes(void **state)
{
	(void)state;
	begin_stalled();
	unplug(P);
	expect_used(tx_of(P), &rig, 0);
	expect_told(P, CONSOLE_PORT_REMOVE, 1);
	assert_int_equal(read_stream(&rig.client, 0, 2 * RING), RING);
	/* The next chain is not the rest of that one. */
	console_add_port(&rig.con, P, &rig.ports[P]);
	expect_told(P, CONSOLE_PORT_ADD, 1);
	tell(P, CONSOLE_PORT_READY, 1);
	offer_stream(tx_of(P), RING, 2000, 500);
	assert_int_equal(read_stream(&rig.client, RING, RING), 2000);
	leave(&rig.client);
	end();
}

/* VC-037, VC-065 */
static void held_port_keeps_nobody_else_waiting(void **state)
{
	struct port_client other, console;
	uint8_t *page;

	(void)state;
	begin_stalled();
	join_holding(2, &other, &deaf);
	join(0, &console);
	expect_told(2, CONSOLE_PORT_OPEN, 1);
	expect_told(0, CONSOLE_PORT_OPEN, 1);
	send_on(2, "generic");
	send_on(0, "console");
	expect_read(&other, "generic");
	expect_read(&console, "console");
	page = post_page(rx_of(P));
	type_on(P, "input of the held port");
	expect_used(rx_of(P), page, 22);
	tell(P, CONSOLE_PORT_OPEN, 0); /* its buffer is back at once */
	expect_unused(tx_of(P));
	leave(&other);
	leave(&console);
	leave(&rig.client);
	end();
}

/* VC-089: what is left of a chain belongs to the ring that goes on where it was. */
static void paused_ring_goes_on_in_the_middle_of_a_chain(void **state)
{
	(void)state;
	begin_stalled();
	stop_all();
	set_features(0);
	assert_int_equal(read_stream(&rig.client, 0, RING), RING);
	set_features(rig.features);
	start_all(0);
	expect_used(tx_of(P), &rig, 0);
	assert_int_equal(read_stream(&rig.client, RING, RING), 904);
	leave(&rig.client);
	end();
}

/* VU-212: memory that comes late belongs to the rest of the chain, too. */
static void chain_whose_rest_is_not_here_yet_goes_on_in_the_middle(void **state)
{
	struct virtq *vq = &rig.q[tx_of(P)].vq;
	struct iotlb *tlb = iotlb_new(); /* nothing is where the driver says */

	(void)state;
	assert_non_null(tlb);
	begin_stalled();
	virtq_set_iotlb(vq, tlb);
	assert_int_equal(read_stream(&rig.client, 0, RING), RING);
	expect_unused(tx_of(P));
	virtq_set_iotlb(vq, NULL);
	kick(tx_of(P));
	expect_used(tx_of(P), &rig, 0);
	assert_int_equal(read_stream(&rig.client, RING, RING), 904);
	leave(&rig.client);
	end();
	iotlb_free(tlb);
}

/* Port 0 alone, of 0 or MULTIPORT, has taken RING of the RING + 904 bytes of its first chain. */
static void begin_with_first_chain(uint64_t features)
{
	begin_stopped(features, 1);
	assert_int_equal(port_init(&rig.ports[0], RING), 0);
	rig.ports[0].overflow = PORT_HOLD;
	console_add_port(&rig.con, 0, &rig.ports[0]);
	start_all(64);
	if (features & MULTIPORT) {
		tell(UINT32_MAX, CONSOLE_DEVICE_READY, 1);
		shake_hands(0, 1);
	}
	join_holding(0, &rig.client, &deaf);
	offer_stream(tx_of(0), 0, RING + 904, RING);
	expect_unused(tx_of(0));
	stop_all();
	assert_int_equal(read_stream(&rig.client, 0, RING), RING);
}

/* VC-089: index 0 is no sign of another driver where its chain is there already. */
static void paused_ring_goes_on_in_its_first_chain(void **state)
{
	static const uint64_t features[] = { 0, MULTIPORT };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(features); i++) {
		begin_with_first_chain(features[i]);
		start_all(0);
		expect_used(tx_of(0), &rig, 0);
		assert_int_equal(read_stream(&rig.client, RING, RING), 904);
		leave(&rig.client);
		end();
	}
}

/* VC-088: a driver without control queues after one with them, and the same again. */
static void fresh_ring_of_a_single_console_begins_with_its_own_chains(void **state)
{
	static const uint64_t features[] = { 0, MULTIPORT };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(features); i++) {
		begin_with_first_chain(features[i]);
		set_features(0);
		start_all(64);
		offer_stream(tx_of(0), RING, 2000, 500);
		expect_used(tx_of(0), &rig, 0);
		assert_int_equal(read_stream(&rig.client, RING, RING), 2000);
		leave(&rig.client);
		end();
	}
}

/* VC-088 */
static void fresh_ring_begins_with_its_own_chains(void **state)
{
	(void)state;
	begin_stalled();
	stop_all();
	assert_int_equal(read_stream(&rig.client, 0, RING), RING);
	start_all(64);
	offer_stream(tx_of(P), RING, 2000, 500);
	expect_used(tx_of(P), &rig, 0);
	assert_int_equal(read_stream(&rig.client, RING, RING), 2000);
	leave(&rig.client);
	end();
}

/* VC-088: also where both begin at the same index. */
static void fresh_ring_forgets_what_was_held_of_the_first_chain(void **state)
{
	(void)state;
	begin_holding();
	join_holding(P, &rig.client, &deaf);
	offer_stream(tx_of(P), 0, RING + 1, RING);
	expect_unused(tx_of(P));
	stop_all();
	assert_int_equal(read_stream(&rig.client, 0, RING), RING);
	start_all(64);
	offer_stream(tx_of(P), RING, 2000, 500);
	assert_int_equal(read_stream(&rig.client, RING, RING), 2000);
	leave(&rig.client);
	end();
}

/* VC-088 */
static void reset_forgets_what_was_held(void **state)
{
	(void)state;
	begin_stalled();
	stop_all();
	rig.con.vdev.ops->reset(&rig.con.vdev);
	assert_int_equal(read_stream(&rig.client, 0, RING), RING);
	set_features(rig.features);
	start_all(0);
	assert_int_equal(read_stream(&rig.client, 2500, RING), 2500); /* all of it, again */
	leave(&rig.client);
	end();
}

/* A front-end that restores another index has another chain there. */
static void ring_that_goes_on_elsewhere_begins_a_chain_anew(void **state)
{
	unsigned int tx = tx_of(P);
	struct virtq_ring ring;

	(void)state;
	begin_stalled();
	stop(tx);
	assert_int_equal(read_stream(&rig.client, 0, RING), RING);
	driverq_reset(&rig.d[tx]);
	driverq_set_base(&rig.d[tx], 40);
	ring = driver_ring(&rig.d[tx], rig.mem);
	virtq_start(&rig.q[tx].vq, &ring, rig.mem, 40, rig.features);
	rig.con.vdev.ops->queue_start(&rig.con.vdev, &rig.q[tx], false);
	rig.q[tx].running = true;
	offer_stream(tx, RING, 2000, 500);
	assert_int_equal(read_stream(&rig.client, RING, RING), 2000);
	leave(&rig.client);
	end();
}

/* The driver may change a chain while it is held: less is there than went already. */
static void chain_that_shrank_while_it_was_held_is_done_with(void **state)
{
	struct vring *ring = &rig.d[tx_of(P)].ring;
	uint16_t head;
	struct vring_desc desc;

	(void)state;
	begin_stalled();
	head = vring_avail_entry(ring, 1);
	desc = vring_desc_load(ring, head);
	desc.len = 10;
	desc.flags = 0;
	vring_desc_store(ring, head, desc);
	assert_int_equal(read_stream(&rig.client, 0, RING), RING);
	assert_int_equal(rig.ports[P].counters.output, RING);
	assert_int_equal(rig.con.ctrl.ports[P].out_done, 0);
	assert_int_equal(virtq_base(&rig.q[tx_of(P)].vq), 2);
	leave(&rig.client);
	end();
}

/* A chain without bytes needs no room. */
static void chain_without_output_is_never_held(void **state)
{
	uint8_t *page;

	(void)state;
	begin_holding();
	join_holding(P, &rig.client, &deaf);
	offer_stream(tx_of(P), 0, RING, RING);
	expect_used(tx_of(P), &rig, 0);
	assert_int_equal(port_output_room(&rig.ports[P]), 0);
	page = post_page(tx_of(P));
	expect_used(tx_of(P), page, 0);
	assert_false(rig.ports[P].stalled);
	leave(&rig.client);
	end();
}

static uint64_t eager_pos;

static void read_at_once(struct port_client *c)
{
	uint8_t buf[RING];
	size_t n = port_read(c, buf, sizeof(buf));

	for (size_t i = 0; i < n; i++)
		assert_int_equal(buf[i], byte_at(eager_pos + i));
	eager_pos += n;
}

/* A client that reads as soon as it is told makes room before the port is known to wait. */
static void client_that_reads_at_once_gets_all_of_a_large_chain(void **state)
{
	static const struct port_client_ops eager = { .output_ready = read_at_once };

	(void)state;
	begin_holding();
	eager_pos = 0;
	join_holding(P, &rig.client, &eager);
	offer_stream(tx_of(P), 0, 10 * RING + 1, RING);
	expect_used(tx_of(P), &rig, 0);
	assert_int_equal(eager_pos, 10 * RING + 1);
	assert_int_equal(rig.ports[P].counters.n_stalls, 0);
	leave(&rig.client);
	end();
}

static size_t now_room; /* that the client below takes at once */

/* Takes output from the guest's memory: what it is given is the stream's next. */
static size_t take_now(struct port_client *c, const struct iovec *iov, unsigned int n)
{
	size_t done = 0;

	for (unsigned int i = 0; i < n && !c->full; i++) {
		size_t len = min_size(iov[i].iov_len, now_room - done);

		for (size_t k = 0; k < len; k++)
			assert_int_equal(((uint8_t *)iov[i].iov_base)[k], byte_at(eager_pos++));
		done += len;
		c->full = len < iov[i].iov_len;
	}
	c->takes_now = !c->full || done % 3 > 0; /* or not: the ring has the rest */
	c->full &= c->takes_now;
	return done;
}

/* VC-062: chains that go in part, straight and through the ring, and pauses of the queue. */
static void long_stream_past_the_ring_is_given_once_and_in_order(void **state)
{
	static const struct port_client_ops ops = {
		.output_ready = read_at_once,
		.output_now = take_now,
	};
	uint64_t seed = 88172645463325252, sent = 0;
	unsigned int n_straight = 0;
	uint32_t len;
	void *token;

	(void)state;
	begin_holding();
	eager_pos = 0;
	join_holding(P, &rig.client, &ops);
	while (eager_pos < STREAM || eager_pos < sent) {
		uint64_t before = eager_pos;
		uint32_t want = 1 + below(&seed, 9000);

		now_room = below(&seed, 12000);
		rig.client.takes_now = true;
		if (sent < STREAM && rig.d[tx_of(P)].n_free >= 8) {
			offer_stream(tx_of(P), sent, want, want / (1 + below(&seed, 7)) + 1);
			sent += want;
		}
		n_straight += eager_pos > before && rig.ports[P].out.tail == eager_pos;
		if (below(&seed, 10) == 0) {
			stop(tx_of(P));
			start(tx_of(P), 0);
		}
		if (rig.client.full)
			port_output_again(&rig.client);
		run();
		while (driverq_get(&rig.d[tx_of(P)], &token, &len) == DRIVERQ_USED)
			assert_int_equal(len, 0);
		if (rig.d[tx_of(P)].n_held == 0)
			rig.n_taken = MEM_LEN / 2;
	}
	assert_true(eager_pos == sent && rig.ports[P].counters.output == sent);
	assert_true(n_straight > 0 && rig.ports[P].counters.n_stalls > 10);
	leave(&rig.client);
	end();
}

/* VC-018: emergency output cannot wait, and takes nothing from whoever is to get all. */
static void emergency_output_spares_what_is_held(void **state)
{
	static const uint8_t x = 'x';

	(void)state;
	begin_stalled();
	unplug(0);
	assert_int_equal(rig.con.vdev.ops->config_write(&rig.con.vdev, 8, &x, 1), 0);
	assert_int_equal(read_stream(&rig.client, 0, RING), RING);
	assert_int_equal(read_stream(&rig.client, RING, RING), 904);
	assert_int_equal(rig.client.n_lost, 0);
	leave(&rig.client);
	end();
}

/* One turn is bounded, whatever the port does with the bytes. */
static void one_turn_takes_a_budget_and_asks_for_another(void **state)
{
	unsigned int tx = tx_of(P);

	(void)state;
	begin_holding();
	rig.q[tx].running = false; /* nothing is served by kicks */
	for (unsigned int i = 0; i < 8; i++)
		offer_stream(tx, 0, 1, 1);
	assert_int_equal(rig.con.vdev.ops->queue_service(&rig.con.vdev, &rig.q[tx], 3), VQ_MORE);
	assert_int_equal(virtq_base(&rig.q[tx].vq), 3);
	assert_int_equal(rig.con.vdev.ops->queue_service(&rig.con.vdev, &rig.q[tx], 100),
			 VQ_DRAINED);
	assert_int_equal(virtq_base(&rig.q[tx].vq), 8);
	console_remove_port(&rig.con, P);
	for (unsigned int i = 0; i < 8; i++)
		offer_stream(tx, 0, 1, 1);
	assert_int_equal(rig.con.vdev.ops->queue_service(&rig.con.vdev, &rig.q[tx], 3), VQ_MORE);
	assert_int_equal(virtq_base(&rig.q[tx].vq), 11);
	end();
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(output_waits_for_the_slowest_holder_and_goes_on_exactly_there),
	UNIT_TEST(long_stream_passes_without_loss_or_repetition),
	UNIT_TEST(output_that_nobody_holds_is_taken_at_once),
	UNIT_TEST(port_that_drops_takes_output_at_once),
	UNIT_TEST(output_that_was_held_goes_when_the_holder_leaves),
	UNIT_TEST(output_that_was_held_goes_when_the_port_drops),
	UNIT_TEST(output_that_was_held_is_discarded_when_output_is_disabled),
	UNIT_TEST(chain_that_was_held_comes_back_when_the_port_goes),
	UNIT_TEST(held_port_keeps_nobody_else_waiting),
	UNIT_TEST(paused_ring_goes_on_in_the_middle_of_a_chain),
	UNIT_TEST(chain_whose_rest_is_not_here_yet_goes_on_in_the_middle),
	UNIT_TEST(paused_ring_goes_on_in_its_first_chain),
	UNIT_TEST(fresh_ring_of_a_single_console_begins_with_its_own_chains),
	UNIT_TEST(fresh_ring_begins_with_its_own_chains),
	UNIT_TEST(fresh_ring_forgets_what_was_held_of_the_first_chain),
	UNIT_TEST(reset_forgets_what_was_held),
	UNIT_TEST(ring_that_goes_on_elsewhere_begins_a_chain_anew),
	UNIT_TEST(chain_that_shrank_while_it_was_held_is_done_with),
	UNIT_TEST(chain_without_output_is_never_held),
	UNIT_TEST(client_that_reads_at_once_gets_all_of_a_large_chain),
	UNIT_TEST(long_stream_past_the_ring_is_given_once_and_in_order),
	UNIT_TEST(emergency_output_spares_what_is_held),
	UNIT_TEST(one_turn_takes_a_budget_and_asks_for_another),
};
UNIT_MAIN(tests)
