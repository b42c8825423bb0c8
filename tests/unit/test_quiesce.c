/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Silence before an answer: for every message that ends a promise about memory,
 * rings or descriptors, and every kind of operation that can be under way when
 * it comes. After the answer what the message gave back is filled with a canary,
 * everything held is let go, and nothing may touch it; no byte is lost or doubled.
 * VU-065 to VU-068, VU-079, VU-109 to VU-111, VU-118, VU-134, VR-104, VR-108
 */
#include "quiesce_canary.h"
#include "quiesce_messages.h"

/* Memory that was given back, and descriptors. */

static unsigned int given_back(const struct quiet_case *c, unsigned int idx)
{
	switch (c->ends) {
	case ENDS_RING_MEMORY:
		return 1u << region_of_ring(idx);
	case ENDS_DATA_MEMORY:
		return CANARY_ALL & ~1u;
	case ENDS_ALL_MEMORY:
		return CANARY_ALL;
	default:
		return 0;
	}
}

static bool is_readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return fd >= 0 && poll(&p, 1, 0) > 0;
}

static bool is_stopped(const struct quiet_case *c, unsigned int idx, unsigned int ring)
{
	return c->stops && (ring == idx || c->ends == ENDS_ALL_MEMORY);
}

static void drain_calls(const struct quiet_case *c, unsigned int idx)
{
	drain_fd(held_other >= 0 ? held_other : held_call);
	for (unsigned int i = 0; i < Q_N_RINGS; i++)
		if (is_stopped(c, idx, i))
			drain_fd(rig->fe.rings[i].call_fd);
	if (watched_fd >= 0)
		drain_fd(watched_fd);
	if (c->id == VHU_FE_SET_VRING_KICK) /* which is for nobody */
		q_check(write(old_fd, &(uint64_t){ 1 }, 8) == 8);
}

/* VU-111, VU-118, VU-122, VU-134 */
static void check_calls(const struct quiet_case *c, unsigned int idx)
{
	for (unsigned int i = 0; i < Q_N_RINGS; i++)
		if (is_stopped(c, idx, i) && is_readable(rig->fe.rings[i].call_fd))
			q_fail("ring %u called its driver after the answer", i);
	if (c->stops && is_readable(held_other >= 0 ? held_other : held_call))
		q_fail("the call that was held was made after the answer");
	if (c->id == VHU_FE_SET_VRING_KICK) {
		uint64_t value = 0;

		q_check(is_readable(old_fd) && read(old_fd, &value, 8) == 8 && value == 1);
	} else if (is_readable(watched_fd)) {
		q_fail("the old descriptor was written to after the answer");
	}
	if (c->id == VHU_FE_SET_VRING_CALL) /* what the old one may have missed */
		q_until(is_readable(rig->fe.rings[idx].call_fd));
}

static unsigned int heard_of(const struct quiet_case *c, unsigned int idx)
{
	const struct vhu_frontend_heard *h = &rig->fe.heard;

	vhu_frontend_serve_channel(&rig->fe);
	if (c->ends == ENDS_ALL_MEMORY)
		return h->n_messages;
	return c->stops ? h->n_calls[idx] : 0;
}

/* One case. */

static void let_go_and_look(const struct quiet_case *c, const struct hold *h, unsigned int idx)
{
	unsigned int heard = heard_of(c, idx);

	canary_fill(given_back(c, idx));
	drain_calls(c, idx);
	let_go();
	if (h->timer)
		rig_settle(rig);
	if (c->ends == ENDS_ALL_MEMORY)
		port_resize(&q_host->port, 80, (uint16_t)(q_host->port.rows + 1));
	q_step();
	canary_check();
	flow_collect(&flow_tx);
	flow_collect(&flow_rx);
	check_calls(c, idx);
	if (heard_of(c, idx) != heard)
		q_fail("the channel was used after the answer");
}

static void try_case(const struct quiet_case *c, const struct hold *h, uint64_t protocol)
{
	struct span before[SPANS_MAX];
	unsigned int idx = h->flow->idx, n_before;

	q_begin_host(h->pty);
	q_begin_session(protocol | h->protocol, q_features);
	q_finish(Q_SLOT_LEN);
	h->begin();
	n_before = q_find_mappings(before);
	q_check(n_before > 0);
	q_ok(c->send(idx));
	canary_fill_freed(before, n_before);
	q_check(!c->unmaps || canary_n_gone > 0);
	let_go_and_look(c, h, idx);
	c->resume(idx);
	q_finish(6000);
	rig_disconnect(rig);
	if (old_memory)
		canary_check_bytes("the file of before", old_memory, rig->fe.mem_len);
	forget_old();
	q_check(q_find_mappings(before) == 0);
	rig_forget_guest(rig);
	q_end_host();
}

static unsigned int try_row(const struct vhu_desc *desc, uint64_t protocol)
{
	unsigned int n = 0, n_fds = fd_count_open();

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct quiet_case *c = &cases[i];

		if (c->id != desc->id)
			continue;
		for (size_t k = 0; k < ARRAY_SIZE(holds); k++, n++) {
			label_case(c, holds[k].name);
			if (getenv("UNIT_LOG"))
				print_message("%s\n", q_label);
			try_case(c, &holds[k], protocol);
			q_check(fd_count_open() == n_fds);
		}
	}
	if (n == 0)
		fail_msg("no case for row %s", desc->name);
	return n;
}

static void try_rows(uint64_t offered)
{
	unsigned int n_rows = 0, n_tried = 0;
	uint64_t protocol;

	for (size_t i = 0; i < vhu_desc_count(); i++) {
		const struct vhu_desc *desc = vhu_desc_at(i);
		unsigned int n;

		if (desc->dir != VHU_FE || desc->quiesce == VHU_QUIESCE_NONE)
			continue;
		if (!find_gate(desc, offered, &protocol)) {
			print_message("%s: not offered\n", desc->name);
			continue;
		}
		n = try_row(desc, protocol);
		print_message("%s: %u\n", desc->name, n);
		n_rows++;
		n_tried += n;
	}
	print_message("%u rows, %zu operations under way, %u tried\n", n_rows, ARRAY_SIZE(holds),
		      n_tried);
}

static void nothing_is_touched_after_the_answer_and_no_byte_is_lost(void **state)
{
	(void)state;
	try_rows(offered_protocol());
}

static const uint64_t packed = BIT(VIRTIO_F_RING_PACKED_BIT) | BIT(VIRTIO_F_IN_ORDER_BIT);

/* VR-100, VU-097: the same where both positions are part of what a ring goes on from. */
static void packed_rings_in_order_are_not_touched_either(void **state)
{
	uint64_t offered = offered_protocol(), lacking;

	(void)state;
	rig_connect(rig);
	q_ok(vhu_frontend_ping(&rig->fe));
	lacking = packed & ~rig->fe.nego.offered_features;
	rig_disconnect(rig);
	if (lacking) {
		print_message("not offered\n");
		return;
	}
	q_features |= packed;
	try_rows(offered);
}

/* A chain that lies nowhere breaks the ring, of which a full descriptor cannot be told. */
static void stick_error(void)
{
	const struct driverq_buf bad = { .addr = 0x10, .len = 1 };

	make_full_call(false);
	q_ok(vhu_frontend_vring_fd(&rig->fe, VHU_FE_SET_VRING_ERR, Q_TX, held_call, true));
	q_ok(driverq_add(&rig->fe.rings[Q_TX].q, &bad, 1, 0, false, &rig->fe));
	q_ok(vhu_frontend_publish(&rig->fe, Q_TX));
	q_until(op_armed(&rig->b->vqs[Q_TX].err));
}

static void try_with_error(const struct quiet_case *c, uint64_t protocol)
{
	struct span before[SPANS_MAX];
	unsigned int n_before;

	label_case(c, "an error that cannot be told");
	q_begin_host(false);
	q_begin_session(protocol, q_features);
	q_finish(Q_SLOT_LEN);
	stick_error();
	n_before = q_find_mappings(before);
	q_ok(c->send(Q_TX));
	q_check(scope_idle(&rig->b->vqs[Q_TX].scope) || !op_armed(&rig->b->vqs[Q_TX].err));
	canary_fill_freed(before, n_before);
	canary_fill(given_back(c, Q_TX));
	drain_fd(held_call);
	let_go();
	canary_check();
	q_check(!is_readable(held_call));
	rig_disconnect(rig);
	forget_old();
	q_end_guest();
	q_end_host();
}

/* VU-136: the ring is over, and so is what was to be said of it. */
static void error_that_cannot_be_told_is_taken_back_before_an_answer(void **state)
{
	uint64_t offered = offered_protocol(), protocol;
	unsigned int n_fds = fd_count_open();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		if (!find_gate(vhu_desc_find(VHU_FE, cases[i].id), offered, &protocol))
			continue;
		try_with_error(&cases[i], protocol);
		q_check(fd_count_open() == n_fds);
	}
}

/* A test that failed has left things behind. */
static int teardown(void **state)
{
	forget_old();
	q_features &= ~packed;
	return q_teardown(state);
}

#define QUIET_TEST(f) UNIT_TEST_WITH(f, q_setup, teardown)

static const struct CMUnitTest tests[] = {
	QUIET_TEST(error_that_cannot_be_told_is_taken_back_before_an_answer),
	QUIET_TEST(nothing_is_touched_after_the_answer_and_no_byte_is_lost),
	QUIET_TEST(packed_rings_in_order_are_not_touched_either),
};
UNIT_MAIN(tests)
