/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What known front-ends say about packed rings, and which features they take. */
#include "peer_rig.h"

#include "vhu/frontend-style.h"
#include "virtio/packed.h"

enum { N_RINGS = 2, SIZE = 61 };

#define PACKED BIT(VIRTIO_F_RING_PACKED_BIT)
#define IN_ORDER BIT(VIRTIO_F_IN_ORDER_BIT)

/* What the back-end was told of each ring. */
struct told {
	uint32_t num[N_RINGS], base[N_RINGS];
	struct vhu_vring_addr addr[N_RINGS];
	uint32_t stopped_at; /* what GET_VRING_BASE says */
};

static bool handle(struct peer_rig *rig, struct vhu_msg *msg)
{
	struct told *told = rig->arg;
	struct vhu_vring_state state;
	struct vhu_vring_addr addr;

	vhu_msg_get(msg, &state, sizeof(state));
	switch (msg->id) {
	case VHU_FE_SET_VRING_NUM:
		told->num[state.index] = state.num;
		return false;
	case VHU_FE_SET_VRING_BASE:
		told->base[state.index] = state.num;
		return false;
	case VHU_FE_SET_VRING_ADDR:
		vhu_msg_get(msg, &addr, sizeof(addr));
		told->addr[addr.index] = addr;
		return false;
	case VHU_FE_GET_VRING_BASE:
		state.num = told->stopped_at;
		peer_reply(rig, msg, &state, sizeof(state), -1);
		return true;
	default:
		return false;
	}
}

static void style_open(struct peer_rig *rig, struct told *told)
{
	peer_open(rig, PACKED | IN_ORDER, BIT(VHU_PF_INFLIGHT_SHMFD_BIT));
	peer_connect(rig);
	memset(told, 0, sizeof(*told));
	rig->arg = told;
	rig->handle = handle;
}

static const enum vhu_frontend_style styles[] = { VHU_STYLE_UML, VHU_STYLE_QEMU,
						  VHU_STYLE_CLOUD_HYPERVISOR, VHU_STYLE_DPDK };

/* VR-082, VR-091, VU-097: wrap counters that are 1, sizes that are no powers of two. */
static void styles_when_packed_begin_with_both_wrap_counters_set(void **state)
{
	struct peer_rig rig;
	struct told told;

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(styles); i++) {
		const struct vhu_frontend_plan plan = {
			.style = styles[i],
			.features = PACKED | BIT(VIRTIO_F_VERSION_1_BIT),
			.n_set_up = N_RINGS,
		};

		style_open(&rig, &told);
		assert_said(&rig, vhu_style_setup(&rig.fe, &plan, SIZE));
		assert_said(&rig, vhu_frontend_ping(&rig.fe));
		for (unsigned int r = 0; r < N_RINGS; r++) {
			const struct driverq *q = &rig.fe.rings[r].q;

			assert_non_null(q->packed);
			assert_false(q->in_order);
			assert_int_equal(told.num[r], SIZE);
			assert_int_equal(told.base[r], 0x80008000);
			assert_int_equal(told.addr[r].desc,
					 vhu_frontend_user_addr(&rig.fe, q->desc_addr));
			assert_int_equal(told.addr[r].avail,
					 vhu_frontend_user_addr(&rig.fe, q->avail_addr));
			assert_int_equal(told.addr[r].used,
					 vhu_frontend_user_addr(&rig.fe, q->used_addr));
		}
		peer_close(&rig);
	}
}

/* VR-100: a ring goes on where it was stopped, or from the beginning if it was reset. */
static void base_when_stopped_comes_back_with_both_halves(void **state)
{
	const struct vhu_frontend_plan plan = {
		.style = VHU_STYLE_QEMU,
		.features = PACKED | BIT(VIRTIO_F_VERSION_1_BIT),
		.n_set_up = N_RINGS,
	};
	struct peer_rig rig;
	struct told told;

	(void)state;
	style_open(&rig, &told);
	told.stopped_at = 0x00058007;
	assert_said(&rig, vhu_style_setup(&rig.fe, &plan, SIZE));
	rig.n_kept = 0;
	assert_said(&rig, vhu_style_stop(&rig.fe, &plan));
	assert_said(&rig, vhu_style_start(&rig.fe, &plan));
	assert_int_equal(told.base[0], 0x00058007);
	vhu_frontend_reset_ring(&rig.fe, 0);
	rig.n_kept = 0;
	assert_said(&rig, vhu_style_start(&rig.fe, &plan));
	assert_int_equal(told.base[0], 0x80008000);
	assert_int_equal(told.base[1], 0x00058007);
	peer_close(&rig);
}

/* What changes the meaning of rings is taken by name alone. */
static void features_when_not_named_leave_rings_as_they_are(void **state)
{
	struct vhu_frontend_plan plan = { .style = VHU_STYLE_QEMU, .n_set_up = 1 };
	struct peer_rig rig;
	struct told told;

	(void)state;
	style_open(&rig, &told);
	assert_said(&rig, vhu_style_begin(&rig.fe, &plan));
	assert_false(vhu_style_features(&rig.fe, &plan) & (PACKED | IN_ORDER));
	assert_false(vhu_frontend_has_protocol(&rig.fe, VHU_PF_INFLIGHT_SHMFD_BIT));
	plan.features = IN_ORDER | BIT(VIRTIO_F_RING_RESET_BIT);
	assert_int_equal(vhu_style_features(&rig.fe, &plan),
			 IN_ORDER | BIT(VHU_F_PROTOCOL_FEATURES_BIT)); /* RING_RESET: not offered */
	peer_connect(&rig);
	plan.extra_protocol = BIT(VHU_PF_INFLIGHT_SHMFD_BIT) | BIT(VHU_PF_MTU_BIT);
	assert_said(&rig, vhu_style_begin(&rig.fe, &plan));
	assert_true(vhu_frontend_has_protocol(&rig.fe, VHU_PF_INFLIGHT_SHMFD_BIT));
	assert_false(vhu_frontend_has_protocol(&rig.fe, VHU_PF_MTU_BIT)); /* not offered */
	peer_close(&rig);
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(styles_when_packed_begin_with_both_wrap_counters_set),
	UNIT_TEST(base_when_stopped_comes_back_with_both_halves),
	UNIT_TEST(features_when_not_named_leave_rings_as_they_are),
};

UNIT_MAIN(tests)
