/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * One ring is reset while the device goes on: VR-104 to VR-108. Over vhost-user
 * that is GET_VRING_BASE of the ring, then a set-up with another size and place.
 */
#include "ports_rig.h"

#include "virtio/features.h"

enum { PAGE = 4096, PORT = 5 };

static struct host *held; /* port 5, whose client pauses */

static int setup(void **state)
{
	return ports_setup(state, 8);
}

#define RESET_TEST(f) UNIT_TEST_WITH(f, setup, ports_teardown)

static unsigned int tx(void)
{
	return GUEST_PORT_TX(PORT);
}

static void boot_packed_or_split(bool packed)
{
	uint64_t features = packed ? ~UINT64_C(0) : ~BIT(VIRTIO_F_RING_PACKED_BIT);

	held = host_new(PORT, "held");
	host_plug(held);
	host_join(held);
	rig_setup_style(rig, VHU_STYLE_QEMU, 64, features & ~BIT(VIRTIO_F_IN_ORDER_BIT),
			~(BIT(VHU_PF_CONFIGURE_MEM_SLOTS_BIT) | BIT(VHU_PF_STATUS_BIT)));
	assert_true(vhu_nego_has_feature(&rig->fe.nego, VIRTIO_F_RING_RESET_BIT));
	boot_guest();
	open_port(held);
	/* The console: what is not disturbed. */
	rig_join(rig);
	assert_fe_ok(rig, guest_await_port(&guest, 0, RIG_TIMEOUT_MS));
	assert_fe_ok(rig, guest_await_host_open(&guest, true, RIG_TIMEOUT_MS));
	rig->output_len = 0;
}

/* Offers len bytes of the pattern on port 5's transmit ring; where they are. */
static uint8_t *offer(size_t len, unsigned int seed)
{
	struct driverq_buf buf = { .len = (uint32_t)len };
	uint8_t *host = vhu_frontend_alloc(&rig->fe, len, 16, &buf.addr);

	assert_non_null(host);
	fill_pattern(host, len, seed);
	assert_int_equal(driverq_add(&rig->fe.rings[tx()].q, &buf, 1, 0, false, host), 0);
	driverq_publish(&rig->fe.rings[tx()].q);
	assert_fe_ok(rig, vhu_frontend_kick(&rig->fe, tx()));
	return host;
}

static void stop_ring(unsigned int idx)
{
	assert_fe_ok(rig, vhu_frontend_vring_base(&rig->fe, idx, &rig->fe.rings[idx].base));
}

/* The ring in new memory, of another size, from the first position. */
static void start_ring(unsigned int idx, unsigned int size)
{
	struct vhu_frontend *fe = &rig->fe;
	struct vhu_frontend_ring *r = &fe->rings[idx];

	assert_fe_ok(rig, vhu_frontend_make_ring(fe, idx, size, fe->nego.features));
	r->base = driverq_base(&r->q);
	assert_fe_ok(rig, vhu_frontend_vring(fe, VHU_FE_SET_VRING_NUM, idx, size, true));
	assert_fe_ok(rig, vhu_frontend_vring(fe, VHU_FE_SET_VRING_BASE, idx, r->base, true));
	assert_fe_ok(rig, vhu_frontend_vring_addr(fe, idx, 0, 0, true));
	assert_fe_ok(rig, vhu_frontend_vring_fd(fe, VHU_FE_SET_VRING_KICK, idx, r->kick_fd, true));
	assert_fe_ok(rig,
		     vhu_frontend_vring_fd(fe, VHU_FE_SET_VRING_CALL, idx, r->call_peer, true));
}

static void expect_console_works(const char *text)
{
	char got = 0;

	assert_fe_ok(rig, guest_write(&guest, text, strlen(text), RIG_TIMEOUT_MS));
	rig_expect_output(rig, text, strlen(text));
	assert_int_equal(port_input(&rig->port, "i", 1), 1);
	assert_fe_ok(rig, guest_read(&guest, &got, 1, RIG_TIMEOUT_MS));
	assert_int_equal(got, 'i');
}

/*
 * A chain is in the port in part, more wait behind it. Afterwards the old ring
 * and its buffers are the driver's, who uses the memory for other things, and
 * the new ring's first chain goes out from its first byte.
 */
static void reset_with_a_chain_taken_in_part(bool packed, unsigned int new_size)
{
	struct vhu_frontend_ring *r;
	uint8_t *old_ring, *buffer[3];
	uint8_t canary[PAGE], expected[PAGE];
	size_t ring_len = driverq_bytes(64);
	unsigned int n_events;

	boot_packed_or_split(packed);
	r = &rig->fe.rings[tx()];
	old_ring = r->block;
	held->pausing = true;
	for (unsigned int i = 0; i < 3; i++)
		buffer[i] = offer(PAGE, i);
	rig_settle(rig);
	assert_true(rig->con.ctrl.ports[PORT].out_done > 0);
	n_events = guest.n_events;

	stop_ring(tx());
	memset(canary, 0xa5, sizeof(canary));
	memset(old_ring, 0xa5, ring_len);
	for (unsigned int i = 0; i < 3; i++)
		memcpy(buffer[i], canary, PAGE);
	vhu_frontend_take_calls(&rig->fe, tx());
	host_resume(held);
	rig_settle(rig);
	/* VR-104, VR-108: what the port had, it has; nothing else happens. */
	assert_true(held->len > 0 && held->len < PAGE);
	fill_pattern(expected, PAGE, 0);
	assert_memory_equal(held->output, expected, held->len);
	held->len = 0;
	for (size_t i = 0; i < ring_len; i++)
		assert_int_equal(old_ring[i], 0xa5);
	for (unsigned int i = 0; i < 3; i++)
		assert_memory_equal(buffer[i], canary, PAGE);
	assert_false(vhu_frontend_take_calls(&rig->fe, tx()));
	expect_console_works("meanwhile"); /* VR-107 */

	/* VR-105, VR-106 */
	start_ring(tx(), new_size);
	for (unsigned int i = 0; i < 3; i++) {
		offer(1000, 7 + i);
		fill_pattern(expected, 1000, 7 + i);
		host_expect(held, expected, 1000);
	}
	expect_console_works("afterwards");
	guest_poll_control(&guest);
	assert_int_equal(guest.n_events, n_events); /* nobody was told anything anew */
	assert_true(rig->con.ctrl.ports[PORT].guest_open);
	for (size_t i = 0; i < ring_len; i++)
		assert_int_equal(old_ring[i], 0xa5);
}

static void split_ring_when_reset_with_held_chains_forgets_them(void **state)
{
	(void)state;
	reset_with_a_chain_taken_in_part(false, 16);
}

static void split_ring_when_reset_to_a_larger_size_has_it(void **state)
{
	(void)state;
	reset_with_a_chain_taken_in_part(false, 256);
}

static void packed_ring_when_reset_with_held_chains_forgets_them(void **state)
{
	(void)state;
	reset_with_a_chain_taken_in_part(true, 13);
}

/* VR-108: buffers for input, which is what a device holds longest. */
static void receive_ring_when_reset_takes_new_buffers(void **state)
{
	struct vhu_frontend_ring *r;
	struct driverq_buf buf = { .len = PAGE };
	void *host, *token;
	uint32_t len;
	uint8_t *old_ring;

	(void)state;
	boot_packed_or_split(false);
	r = &rig->fe.rings[GUEST_PORT_RX(PORT)];
	old_ring = r->block;
	stop_ring(GUEST_PORT_RX(PORT));
	memset(old_ring, 0xa5, driverq_bytes(64));
	assert_int_equal(port_input(&held->port, "input", 5), 5);
	rig_settle(rig);
	for (size_t i = 0; i < driverq_bytes(64); i++)
		assert_int_equal(old_ring[i], 0xa5);
	start_ring(GUEST_PORT_RX(PORT), 32);
	host = vhu_frontend_alloc(&rig->fe, PAGE, PAGE, &buf.addr);
	assert_non_null(host);
	assert_int_equal(driverq_add(&r->q, &buf, 0, 1, false, host), 0);
	assert_fe_ok(rig, vhu_frontend_publish(&rig->fe, GUEST_PORT_RX(PORT)));
	assert_fe_ok(rig, vhu_frontend_await_used(&rig->fe, GUEST_PORT_RX(PORT), &token, &len,
						  RIG_TIMEOUT_MS));
	assert_ptr_equal(token, host);
	assert_int_equal(len, 5);
	assert_memory_equal(host, "input", 5);
	expect_console_works("on");
}

/* A pause stops all rings: the same chain goes on where it was, also at index 0. */
static void chain_taken_in_part_when_all_rings_paused_goes_on(void **state)
{
	uint8_t expected[PAGE];

	(void)state;
	boot_packed_or_split(false);
	held->pausing = true;
	offer(PAGE, 3);
	rig_settle(rig);
	assert_true(rig->con.ctrl.ports[PORT].out_done > 0);
	for (unsigned int i = 0; i < rig->con.vdev.n_queues; i++)
		stop_ring(i);
	assert_int_equal(rig->fe.rings[tx()].base, 0);
	assert_fe_ok(rig, vhu_style_start(&rig->fe, &rig_plan));
	host_resume(held);
	fill_pattern(expected, PAGE, 3);
	host_expect(held, expected, PAGE);
}

static const struct CMUnitTest tests[] = {
	RESET_TEST(split_ring_when_reset_with_held_chains_forgets_them),
	RESET_TEST(split_ring_when_reset_to_a_larger_size_has_it),
	RESET_TEST(packed_ring_when_reset_with_held_chains_forgets_them),
	RESET_TEST(receive_ring_when_reset_takes_new_buffers),
	RESET_TEST(chain_taken_in_part_when_all_rings_paused_goes_on),
};

UNIT_MAIN(tests)
