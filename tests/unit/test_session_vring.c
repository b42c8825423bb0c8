/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Configuration and states of rings: VU-081 to VU-122, and VU-213 to VU-219 in a session. */
#include "session_rig.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>

#include "virtio/features.h"

#define VRING(what, message, ...)                                                                  \
	{                                                                                          \
		.clause = (what), .id = VHU_FE_##message, .size = 8, .words = { __VA_ARGS__ }      \
	}
#define ADDR(what, index, flags, desc, used, avail)                                                \
	{                                                                                          \
		.clause = (what), .id = VHU_FE_SET_VRING_ADDR, .size = 40, .words = {              \
			index,                                                                     \
			flags,                                                                     \
			RIG_U64(desc),                                                             \
			RIG_U64(used),                                                             \
			RIG_U64(avail),                                                            \
			0,                                                                         \
			0                                                                          \
		}                                                                                  \
	}

static const struct rig_refusal bad_settings[] = {
	VRING("VU-081", SET_VRING_NUM, 4, 64),
	VRING("VU-081", SET_VRING_NUM, 0xffffffff, 64),
	VRING("VU-081", SET_VRING_BASE, 0x100, 0),
	VRING("VU-081", SET_VRING_ENABLE, 255, 1),
	VRING("VU-081", SET_VRING_KICK, 0x104, 0),
	VRING("VU-081", SET_VRING_CALL, 0x1ff, 0),
	VRING("VU-081", SET_VRING_ERR, 0x104, 0),
	ADDR("VU-081", 64, 0, 0x1000, 0x2000, 0x3000),
	{ .clause = "VU-081",
	  .id = VHU_FE_GET_VRING_BASE,
	  .size = 8,
	  .words = { 4 },
	  .closes = true },
	{ .clause = "VU-018", .id = VHU_FE_VRING_KICK, .size = 8, .words = { 0 } },
	VRING("VU-082", SET_VRING_NUM, 0, 0),
	VRING("VU-083", SET_VRING_NUM, 0, 32769),
	VRING("VU-083", SET_VRING_NUM, 0, 65536),
	VRING("VU-083", SET_VRING_NUM, 0, 0x10001),
	VRING("VU-083", SET_VRING_NUM, 0, 0xffffffff),
	VRING("VU-083", SET_VRING_NUM, 0, 2 * RIG_QUEUE_MAX),
	VRING("VU-084", SET_VRING_NUM, 0, 3),
	VRING("VU-084", SET_VRING_NUM, 0, 100),
	ADDR("VU-085", 0, 0x80000000, 0x1000, 0x2000, 0x3000),
	ADDR("VU-087", 0, 0, 0x1008, 0x2000, 0x3000),
	ADDR("VU-087", 0, 0, 0x1000, 0x2002, 0x3000),
	ADDR("VU-087", 0, 0, 0x1000, 0x2000, 0x3001),
	VRING("VU-092", SET_VRING_BASE, 0, 0x10005),
	VRING("VU-107", SET_VRING_ENABLE, 0, 2),
	VRING("VU-107", SET_VRING_ENABLE, 0, 0xffffffff),
	VRING("VU-124", SET_VRING_KICK, 0, 0),
	VRING("VU-124", SET_VRING_CALL, 1, 0),
	VRING("VU-124", SET_VRING_ERR, 1, 0),
	{ .clause = "VU-124",
	  .id = VHU_FE_SET_VRING_KICK,
	  .size = 8,
	  .words = { 0x100 },
	  .n_fds = 1 },
	{ .clause = "VU-124",
	  .id = VHU_FE_SET_VRING_CALL,
	  .size = 8,
	  .words = { 0x100 },
	  .n_fds = 1 },
	{ .clause = "VU-124", .id = VHU_FE_SET_VRING_CALL, .size = 8, .words = { 0 }, .n_fds = 2 },
};

static void bad_settings_are_refused(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(bad_settings); i++)
		rig_expect_refusal(*state, &bad_settings[i], rig_setup_usual);
	rig_expect_service(*state);
}

static void send_text(struct session_rig *rig, const char *text)
{
	rig_offer_output(rig, text);
	assert_fe_ok(rig, vhu_frontend_kick(&rig->fe, GUEST_TX));
	rig_expect_output(rig, text, strlen(text));
}

static uint16_t used_idx(const struct session_rig *rig, unsigned int ring)
{
	return vring_used_idx(&rig->fe.rings[ring].q.ring);
}

/* VU-083: every size up to the one that was announced. */
static void rings_of_every_size_work(void **state)
{
	struct session_rig *rig = *state;

	rig_join(rig);
	for (unsigned int size = 1; size <= RIG_QUEUE_MAX; size *= 2) {
		rig_setup_style(rig, VHU_STYLE_CROSVM, size, 0, 0);
		send_text(rig, "one");
		send_text(rig, "two");
	}
}

/* VU-121: six messages of a ring in every order; KICK after NUM and ADDR must do. */
enum { NUM, BASE, ADDRS, CALL, KICK, ENABLE, N_MESSAGES };

static int one_message(struct session_rig *rig, unsigned int which)
{
	struct vhu_frontend *fe = &rig->fe;
	struct vhu_frontend_ring *r = &fe->rings[GUEST_TX];

	switch (which) {
	case NUM:
		return vhu_frontend_vring(fe, VHU_FE_SET_VRING_NUM, GUEST_TX, r->size, true);
	case BASE:
		return vhu_frontend_vring(fe, VHU_FE_SET_VRING_BASE, GUEST_TX, 0, true);
	case ADDRS:
		return vhu_frontend_vring_addr(fe, GUEST_TX, 0, 0, true);
	case CALL:
		return vhu_frontend_vring_fd(fe, VHU_FE_SET_VRING_CALL, GUEST_TX, r->call_peer,
					     true);
	case KICK:
		return vhu_frontend_vring_fd(fe, VHU_FE_SET_VRING_KICK, GUEST_TX, r->kick_fd, true);
	default:
		return vhu_frontend_vring(fe, VHU_FE_SET_VRING_ENABLE, GUEST_TX, 1, true);
	}
}

/* A session in which ring GUEST_TX is as new. */
static void setup_but_for_ring(struct session_rig *rig)
{
	uint32_t base;

	rig_setup_usual(rig);
	assert_fe_ok(rig, vhu_frontend_vring_base(&rig->fe, GUEST_TX, &base));
	assert_fe_ok(rig, vhu_frontend_vring(&rig->fe, VHU_FE_SET_VRING_ENABLE, GUEST_TX, 0, true));
}

static bool next_permutation(unsigned int *p, unsigned int n)
{
	unsigned int i = n - 1, j = n - 1, swap;

	while (i > 0 && p[i - 1] >= p[i])
		i--;
	if (i == 0)
		return false;
	while (p[j] <= p[i - 1])
		j--;
	swap = p[i - 1], p[i - 1] = p[j], p[j] = swap;
	for (j = n - 1; i < j; i++, j--)
		swap = p[i], p[i] = p[j], p[j] = swap;
	return true;
}

static void ring_messages_in_every_order_start_it(void **state)
{
	struct session_rig *rig = *state;
	unsigned int order[N_MESSAGES] = { 0, 1, 2, 3, 4, 5 };

	rig_join(rig);
	setup_but_for_ring(rig);
	do {
		unsigned int at[N_MESSAGES];
		uint32_t base;

		vhu_frontend_reset_ring(&rig->fe, GUEST_TX);
		for (unsigned int i = 0; i < N_MESSAGES; i++) {
			assert_fe_ok(rig, one_message(rig, order[i]));
			at[order[i]] = i;
		}
		if (at[KICK] > at[NUM] && at[KICK] > at[BASE] && at[KICK] > at[ADDRS])
			send_text(rig, "started");
		assert_fe_ok(rig, vhu_frontend_vring_base(&rig->fe, GUEST_TX, &base));
		assert_fe_ok(rig, vhu_frontend_vring(&rig->fe, VHU_FE_SET_VRING_ENABLE, GUEST_TX, 0,
						     true));
	} while (next_permutation(order, N_MESSAGES));
}

/* VU-121: a new ring that was kicked too early starts when the rest is there. */
static void ring_kicked_before_it_was_set_up_starts_later(void **state)
{
	static const unsigned int order[] = { KICK, ENABLE, NUM, ADDRS, CALL };
	struct session_rig *rig = *state;
	struct vhu_frontend_plan plan = { .style = VHU_STYLE_CROSVM, .n_set_up = 1, .n_rings = 4 };

	rig_join(rig);
	rig_connect(rig);
	assert_fe_ok(rig, vhu_style_setup(&rig->fe, &plan, 64));
	assert_fe_ok(rig, vhu_frontend_make_ring(&rig->fe, GUEST_TX, 64,
						 vhu_style_features(&rig->fe, &plan)));
	for (unsigned int i = 0; i < ARRAY_SIZE(order); i++)
		assert_fe_ok(rig, one_message(rig, order[i]));
	send_text(rig, "late");
}

/* VU-088, VU-089: each area inside one region, or the ring does not run. */
static void ring_outside_memory_does_not_run(void **state)
{
	struct session_rig *rig = *state;
	uint64_t end;
	struct driverq *q, good;

	rig_join(rig);
	for (unsigned int which = 0; which < 4; which++) {
		setup_but_for_ring(rig);
		q = &rig->fe.rings[GUEST_TX].q;
		good = *q;
		end = rig->fe.regions[0].wire.guest_addr + rig->fe.regions[0].wire.size;
		if (which == 0)
			q->desc_addr = end / 16 * 16 - 32;
		else if (which == 1)
			q->avail_addr = end / 16 * 16 - 32;
		else if (which == 2)
			q->used_addr = end / 16 * 16 - 32;
		else
			q->desc_addr = 0; /* nowhere */
		for (unsigned int i = 0; i < N_MESSAGES; i++)
			(void)one_message(rig, i);
		q->desc_addr = good.desc_addr;
		q->avail_addr = good.avail_addr;
		q->used_addr = good.used_addr;
		rig_offer_output(rig, "never");
		assert_fe_ok(rig, vhu_frontend_kick(&rig->fe, GUEST_TX));
		rig_expect_no_output(rig);
		assert_fe_ok(rig, vhu_frontend_ping(&rig->fe));
	}
	rig_expect_service(rig);
}

/* VU-089: before there is any memory. */
static void addresses_before_memory_work_once_it_is_there(void **state)
{
	struct session_rig *rig = *state;
	struct vhu_frontend_plan plan = { .style = VHU_STYLE_CROSVM, .n_set_up = 2, .n_rings = 4 };

	rig_join(rig);
	rig_connect(rig);
	assert_fe_ok(rig, vhu_frontend_make_rings(&rig->fe, 4, VHU_CALL_EVENTFD));
	assert_fe_ok(rig, vhu_style_negotiate(&rig->fe, &plan));
	assert_fe_ok(rig, vhu_frontend_set_u64(&rig->fe, VHU_FE_SET_FEATURES,
					       vhu_style_features(&rig->fe, &plan), true));
	assert_fe_ok(rig, vhu_frontend_make_plain_memory(&rig->fe, 1 << 20, false));
	assert_fe_ok(rig, vhu_frontend_make_ring(&rig->fe, GUEST_TX, 64,
						 vhu_style_features(&rig->fe, &plan)));
	for (unsigned int i = 0; i < N_MESSAGES; i++)
		assert_fe_ok(rig, one_message(rig, i));
	rig_offer_output(rig, "patience");
	assert_fe_ok(rig, vhu_frontend_kick(&rig->fe, GUEST_TX));
	rig_expect_no_output(rig);
	assert_fe_ok(rig, vhu_frontend_set_mem_table(&rig->fe, 0, true));
	rig_expect_output(rig, "patience", 8);
}

/* VU-091, VR-043, VR-052: from where both sides were, through the wrap. */
static void ring_from_a_base_goes_on_from_there(void **state)
{
	static const uint16_t bases[] = { 5, 65535 };
	struct session_rig *rig = *state;

	rig_join(rig);
	for (size_t i = 0; i < ARRAY_SIZE(bases); i++) {
		setup_but_for_ring(rig);
		driverq_set_base(&rig->fe.rings[GUEST_TX].q, bases[i]);
		assert_fe_ok(rig, one_message(rig, NUM));
		assert_fe_ok(rig, vhu_frontend_vring(&rig->fe, VHU_FE_SET_VRING_BASE, GUEST_TX,
						     bases[i], true));
		for (unsigned int m = ADDRS; m < N_MESSAGES; m++)
			assert_fe_ok(rig, one_message(rig, m));
		send_text(rig, "from the middle");
		assert_int_equal(used_idx(rig, GUEST_TX), (uint16_t)(bases[i] + 1));
		send_text(rig, "and on");
		assert_int_equal(used_idx(rig, GUEST_TX), (uint16_t)(bases[i] + 2));
	}
}

/* VU-093, VU-094 */
static void log_flag_of_a_running_ring_changes_nothing(void **state)
{
	struct session_rig *rig = *state;

	rig_setup_usual(rig);
	rig_join(rig);
	for (uint32_t i = 0; i < 4; i++) {
		assert_fe_ok(rig, vhu_frontend_vring_addr(&rig->fe, GUEST_TX, i % 2,
							  i % 2 ? 0x40000000 : UINT64_MAX, true));
		send_text(rig, "same place");
		assert_int_equal(used_idx(rig, GUEST_TX), i + 1);
	}
}

/* VU-095, VU-096: as UML's and libkrun's guests restart, no GET_VRING_BASE. */
static void ring_when_set_up_anew_starts_from_the_beginning(void **state)
{
	static const unsigned int uml[] = { CALL, NUM, BASE, ADDRS, KICK, ENABLE };
	static const unsigned int libkrun[] = { NUM, BASE, ADDRS, KICK, CALL, ENABLE };
	struct session_rig *rig = *state;

	rig_setup_usual(rig);
	rig_join(rig);
	for (unsigned int round = 0; round < 6; round++) {
		for (unsigned int i = 0; i < 3; i++)
			send_text(rig, "round");
		assert_int_equal(used_idx(rig, GUEST_TX), 3);
		/* The driver has reset its ring before a word of it is said. */
		vhu_frontend_reset_ring(&rig->fe, GUEST_TX);
		vhu_frontend_take_calls(&rig->fe, GUEST_TX);
		for (unsigned int i = 0; i < N_MESSAGES; i++)
			assert_fe_ok(rig, one_message(rig, round % 2 ? uml[i] : libkrun[i]));
		assert_int_equal(used_idx(rig, GUEST_TX), 0);
	}
	/* The first completion of a new ring calls, whatever was asked of the old one. */
	rig_settle(rig);
	vhu_frontend_take_calls(&rig->fe, GUEST_TX);
	send_text(rig, "call me");
	assert_fe_ok(rig, vhu_frontend_await_call(&rig->fe, GUEST_TX, RIG_TIMEOUT_MS));
}

/* VU-098, VU-101: without SET_VRING_KICK nothing is looked at. */
static void ring_without_kick_descriptor_is_left_alone(void **state)
{
	struct session_rig *rig = *state;

	setup_but_for_ring(rig);
	rig_join(rig);
	for (unsigned int i = 0; i < N_MESSAGES; i++)
		if (i != KICK)
			assert_fe_ok(rig, one_message(rig, i));
	rig_offer_output(rig, "x");
	assert_fe_ok(rig, vhu_frontend_kick(&rig->fe, GUEST_TX)); /* a stale one */
	rig_expect_no_output(rig);
	assert_int_equal(used_idx(rig, GUEST_TX), 0);
	assert_fe_ok(rig, one_message(rig, KICK));
	rig_expect_output(rig, "x", 1);
}

/* VU-099, VU-100, VU-102: it starts by SET_VRING_KICK itself, no kick is needed. */
static void ring_with_buffers_is_served_when_it_starts(void **state)
{
	struct session_rig *rig = *state;

	setup_but_for_ring(rig);
	rig_join(rig);
	vhu_frontend_reset_ring(&rig->fe, GUEST_TX);
	rig_offer_output(rig, "waiting");
	assert_fe_ok(rig, one_message(rig, ENABLE));
	for (unsigned int i = 0; i < ENABLE; i++)
		assert_fe_ok(rig, one_message(rig, i));
	rig_expect_output(rig, "waiting", 7);
	assert_fe_ok(rig, one_message(rig, KICK));
	rig_expect_no_output(rig);
	assert_fe_ok(rig, vhu_frontend_ping(&rig->fe));
}

/* VU-102 to VU-104: what a disabled ring holds is held, both ways. */
static void disabled_ring_holds_until_it_is_enabled(void **state)
{
	struct session_rig *rig = *state;
	struct guest g;
	char got;

	rig_setup_usual(rig);
	rig_join(rig);
	assert_fe_ok(rig, guest_init(&g, &rig->fe, vhu_style_features(&rig->fe, &rig_plan)));
	assert_fe_ok(rig, guest_start(&g, RIG_TIMEOUT_MS));
	for (unsigned int ring = 0; ring < 2; ring++)
		assert_fe_ok(rig,
			     vhu_frontend_vring(&rig->fe, VHU_FE_SET_VRING_ENABLE, ring, 0, true));
	rig_offer_output(rig, "held");
	assert_fe_ok(rig, vhu_frontend_kick(&rig->fe, GUEST_TX));
	assert_int_equal(port_input(&rig->port, "i", 1), 1);
	rig_expect_no_output(rig);
	assert_int_equal(used_idx(rig, GUEST_RX), 0);
	for (unsigned int ring = 0; ring < 2; ring++)
		assert_fe_ok(rig,
			     vhu_frontend_vring(&rig->fe, VHU_FE_SET_VRING_ENABLE, ring, 1, true));
	rig_expect_output(rig, "held", 4);
	assert_fe_ok(rig, guest_read(&g, &got, 1, RIG_TIMEOUT_MS));
	assert_int_equal(got, 'i');
	guest_fini(&g);
}

/* VU-105, VU-112: QEMU enables what its guest never set up, and crosvm stops it. */
static void ring_never_set_up_can_be_enabled_and_stopped(void **state)
{
	struct session_rig *rig = *state;
	uint32_t base = 1;

	rig_connect(rig);
	assert_fe_ok(rig, vhu_frontend_ping(&rig->fe));
	assert_fe_ok(rig, vhu_frontend_set_u64(&rig->fe, VHU_FE_SET_FEATURES,
					       BIT(VIRTIO_F_VERSION_1_BIT) |
						       BIT(VHU_F_PROTOCOL_FEATURES_BIT),
					       false));
	assert_fe_ok(rig, vhu_frontend_vring(&rig->fe, VHU_FE_SET_VRING_ENABLE, 3, 1, false));
	assert_fe_ok(rig, vhu_frontend_vring_base(&rig->fe, 3, &base));
	assert_int_equal(base, 0);
	assert_fe_ok(rig, vhu_frontend_vring(&rig->fe, VHU_FE_SET_VRING_BASE, 3, 77, false));
	assert_fe_ok(rig, vhu_frontend_vring_base(&rig->fe, 3, &base));
	assert_int_equal(base, 77);
}

/* VU-035, VU-036, VU-106: no bit 30, so no ENABLE, and rings run at once. */
static void session_without_protocol_features_runs_enabled_rings(void **state)
{
	struct session_rig *rig = *state;
	struct vhu_frontend_ring *r;
	struct vhu_msg msg;
	struct vhu_vring_state off = { .index = GUEST_TX };

	rig_connect(rig);
	rig_join(rig);
	assert_fe_ok(rig, vhu_frontend_ping(&rig->fe));
	assert_fe_ok(rig, vhu_frontend_make_rings(&rig->fe, 2, VHU_CALL_EVENTFD));
	assert_fe_ok(rig, vhu_frontend_make_plain_memory(&rig->fe, 1 << 20, false));
	assert_fe_ok(rig,
		     vhu_frontend_make_ring(&rig->fe, GUEST_TX, 64, BIT(VIRTIO_F_VERSION_1_BIT)));
	r = &rig->fe.rings[GUEST_TX];
	assert_fe_ok(rig, vhu_frontend_set_u64(&rig->fe, VHU_FE_SET_FEATURES,
					       BIT(VIRTIO_F_VERSION_1_BIT), false));
	assert_fe_ok(rig, vhu_frontend_set_mem_table(&rig->fe, 0, false));
	for (unsigned int i = 0; i < ENABLE; i++)
		assert_fe_ok(rig, one_message(rig, i));
	assert_int_equal(r->size, 64);
	send_text(rig, "plain");
	vhu_msg_init(&msg, VHU_FE, VHU_FE_SET_VRING_ENABLE);
	vhu_msg_put(&msg, &off, sizeof(off));
	assert_fe_ok(rig, vhu_frontend_send_unchecked(&rig->fe, &msg));
	assert_fe_ok(rig, vhu_frontend_await_close(&rig->fe, RIG_TIMEOUT_MS));
}

/* VU-037, VU-038 */
static void features_when_set_again_leave_running_rings_alone(void **state)
{
	struct session_rig *rig = *state;
	uint64_t features;

	rig_setup_usual(rig);
	rig_join(rig);
	features = vhu_style_features(&rig->fe, &rig_plan);
	for (uint32_t i = 1; i <= 3; i++) {
		send_text(rig, "on");
		assert_fe_ok(rig,
			     vhu_frontend_set_u64(&rig->fe, VHU_FE_SET_FEATURES, features, true));
		assert_int_equal(used_idx(rig, GUEST_TX), i);
	}
}

/* VU-108, VU-110, VU-115 to VU-117 */
static void stopped_ring_tells_its_base_and_goes_on_from_it(void **state)
{
	struct session_rig *rig = *state;
	struct guest g;
	uint32_t base;
	char got[2];

	rig_setup_usual(rig);
	rig_join(rig);
	assert_fe_ok(rig, guest_init(&g, &rig->fe, vhu_style_features(&rig->fe, &rig_plan)));
	assert_fe_ok(rig, guest_start(&g, RIG_TIMEOUT_MS));
	for (unsigned int i = 0; i < 3; i++)
		send_text(rig, "x");
	/* Receive buffers that nothing was put in are not consumed. */
	for (unsigned int i = 0; i < 2; i++) {
		assert_int_equal(port_input(&rig->port, "i", 1), 1);
		assert_fe_ok(rig, guest_read(&g, got, 1, RIG_TIMEOUT_MS));
	}
	assert_fe_ok(rig, vhu_frontend_vring_base(&rig->fe, GUEST_RX, &base));
	assert_int_equal(base, 2);
	assert_fe_ok(rig, vhu_frontend_vring_base(&rig->fe, GUEST_TX, &base));
	assert_int_equal(base, 3);
	rig_offer_output(rig, "offered while stopped");
	rig_expect_no_output(rig);
	assert_fe_ok(rig,
		     vhu_frontend_vring(&rig->fe, VHU_FE_SET_VRING_BASE, GUEST_TX, base, true));
	assert_fe_ok(rig, one_message(rig, ADDRS));
	assert_fe_ok(rig, one_message(rig, CALL));
	assert_fe_ok(rig, one_message(rig, KICK)); /* VU-114: still enabled */
	rig_expect_output(rig, "offered while stopped", 21);
	guest_fini(&g);
}

/* VU-111, VU-113, VU-118 to VU-120 */
static void stopped_rings_are_silent_and_catch_up(void **state)
{
	struct session_rig *rig = *state;
	struct guest g;
	unsigned int n_fds = 0, n_messages;
	uint32_t base[4];
	char got;

	rig_setup_usual(rig);
	assert_fe_ok(rig, guest_init(&g, &rig->fe, vhu_style_features(&rig->fe, &rig_plan)));
	assert_fe_ok(rig, guest_start(&g, RIG_TIMEOUT_MS));
	rig_settle(rig);
	for (unsigned int i = 0; i < 4; i++) {
		assert_fe_ok(rig, vhu_frontend_vring_base(&rig->fe, i, &base[i]));
		rig->fe.rings[i].base = base[i];
		vhu_frontend_take_calls(&rig->fe, i);
		assert_int_equal(rig->b->vqs[i].kick_fd, -1);
		assert_int_equal(rig->b->vqs[i].call_fd, -1);
		if (i == 0) /* the others go on */
			assert_fe_ok(rig, guest_write(&g, "x", 1, RIG_TIMEOUT_MS));
	}
	n_fds = fd_count_open();
	n_messages = rig->fe.heard.n_messages;
	/* Everything that can happen on the host's side. */
	port_resize(&rig->port, 80, 25);
	rig_join(rig);
	assert_int_equal(port_input(&rig->port, "i", 1), 1);
	rig->output_len = 0;
	rig_expect_no_output(rig);
	for (unsigned int i = 0; i < 4; i++) {
		assert_false(vhu_frontend_take_calls(&rig->fe, i));
		assert_int_equal(used_idx(rig, i), base[i]);
	}
	assert_int_equal(rig->fe.heard.n_messages, n_messages);
	assert_int_equal(fd_count_open(), n_fds);
	assert_fe_ok(rig, vhu_frontend_ping(&rig->fe));
	assert_fe_ok(rig, vhu_style_start(&rig->fe, &rig_plan));
	assert_fe_ok(rig, guest_read(&g, &got, 1, RIG_TIMEOUT_MS));
	assert_int_equal(got, 'i');
	assert_fe_ok(rig, guest_await_host_open(&g, true, RIG_TIMEOUT_MS));
	guest_fini(&g);
}

/* VU-136, VU-213 to VU-219, VR-008: the ring is over, the rest lives, a restart mends it. */
static void malformed_chain_stops_its_ring_alone(void **state)
{
	static const struct vring_desc bad[] = {
		{ .addr = 0x40000000, .len = 1, .flags = VRING_DESC_F_NEXT, .next = 64 },
		{ .addr = 0x40000000, .len = 1, .flags = VRING_DESC_F_NEXT, .next = 0 },
		{ .addr = 0x10, .len = 1 },
		{ .addr = UINT64_MAX, .len = UINT32_MAX },
		{ .addr = 0x40000000, .len = 0, .flags = VRING_DESC_F_INDIRECT },
		{ .addr = 0x40000000, .len = 24, .flags = VRING_DESC_F_INDIRECT },
	};
	struct session_rig *rig = *state;
	struct guest g;
	uint32_t base;

	rig_join(rig);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct vring *ring;

		rig_setup_usual(rig);
		assert_fe_ok(rig,
			     guest_init(&g, &rig->fe, vhu_style_features(&rig->fe, &rig_plan)));
		assert_fe_ok(rig, guest_start(&g, RIG_TIMEOUT_MS));
		ring = &rig->fe.rings[GUEST_TX].q.ring;
		vring_desc_store(ring, 0, bad[i]);
		vring_set_avail_entry(ring, 0, 0);
		vring_set_avail_idx(ring, 1);
		assert_fe_ok(rig, vhu_frontend_kick(&rig->fe, GUEST_TX));
		assert_fe_ok(rig,
			     vhu_frontend_await_readable(&rig->fe, &rig->fe.rings[GUEST_TX].err_fd,
							 1, RIG_TIMEOUT_MS));
		assert_int_equal(used_idx(rig, GUEST_TX), 0);
		/* The control queue and input go on. */
		assert_fe_ok(rig, guest_tell(&g, 0, CONSOLE_PORT_READY, 1));
		assert_fe_ok(rig, vhu_frontend_ping(&rig->fe));
		assert_fe_ok(rig, vhu_frontend_vring_base(&rig->fe, GUEST_TX, &base));
		vhu_frontend_reset_ring(&rig->fe, GUEST_TX);
		for (unsigned int m = 0; m < N_MESSAGES; m++)
			assert_fe_ok(rig, one_message(rig, m));
		send_text(rig, "mended");
		guest_fini(&g);
	}
}

static const struct CMUnitTest tests[] = {
	RIG_TEST(bad_settings_are_refused),
	RIG_TEST(rings_of_every_size_work),
	RIG_TEST(ring_messages_in_every_order_start_it),
	RIG_TEST(ring_kicked_before_it_was_set_up_starts_later),
	RIG_TEST(ring_outside_memory_does_not_run),
	RIG_TEST(addresses_before_memory_work_once_it_is_there),
	RIG_TEST(ring_from_a_base_goes_on_from_there),
	RIG_TEST(log_flag_of_a_running_ring_changes_nothing),
	RIG_TEST(ring_when_set_up_anew_starts_from_the_beginning),
	RIG_TEST(ring_without_kick_descriptor_is_left_alone),
	RIG_TEST(ring_with_buffers_is_served_when_it_starts),
	RIG_TEST(disabled_ring_holds_until_it_is_enabled),
	RIG_TEST(ring_never_set_up_can_be_enabled_and_stopped),
	RIG_TEST(session_without_protocol_features_runs_enabled_rings),
	RIG_TEST(features_when_set_again_leave_running_rings_alone),
	RIG_TEST(stopped_ring_tells_its_base_and_goes_on_from_it),
	RIG_TEST(stopped_rings_are_silent_and_catch_up),
	RIG_TEST(malformed_chain_stops_its_ring_alone),
};
UNIT_MAIN(tests)
