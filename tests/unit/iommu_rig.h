/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* A session behind an IOMMU: guest memory is at addresses that its front-end alone translates. */
#ifndef VHU_TESTS_IOMMU_RIG_H
#define VHU_TESTS_IOMMU_RIG_H

#include "session_rig.h"

#include <stdlib.h>
#include <string.h>

#include "vhu/frontend-iotlb.h"
#include "virtio/features.h"

#define SHIFT UINT64_C(0x5500000000)

enum { MIB = 1 << 20, PAGE = 4096, RW = VHU_IOTLB_READ | VHU_IOTLB_WRITE };

/* Packed rings and rings in order are named by those tests that want them. */
static const uint64_t usual_features =
	~(BIT(VIRTIO_F_RING_PACKED_BIT) | BIT(VIRTIO_F_IN_ORDER_BIT));

static const uint64_t ring_kinds[] = {
	0,
	BIT(VIRTIO_F_IN_ORDER_BIT),
	BIT(VIRTIO_F_RING_PACKED_BIT),
	BIT(VIRTIO_F_RING_PACKED_BIT) | BIT(VIRTIO_F_IN_ORDER_BIT),
};
static const uint64_t usual_protocol =
	~(BIT(VHU_PF_CONFIGURE_MEM_SLOTS_BIT) | BIT(VHU_PF_STATUS_BIT));

static struct vhu_frontend_iotlb table;
static struct guest g;
static bool guest_there;

static inline int setup(void **state)
{
	rig_setup(state);
	((struct session_rig *)*state)->iommu = true;
	return 0;
}

static inline int teardown(void **state)
{
	struct session_rig *rig = *state;

	if (guest_there)
		guest_fini(&g);
	guest_there = false;
	vhu_frontend_iotlb_fini(&rig->fe);
	return rig_teardown(state);
}

#define IOMMU_TEST(f) UNIT_TEST_WITH(f, setup, teardown)

/* Negotiated, memory laid out, its translations known to the front-end alone. */
static inline void begin(struct session_rig *rig, enum vhu_frontend_style style, uint64_t features)
{
	if (rig->b)
		rig_disconnect(rig);
	rig_forget_guest(rig);
	rig_connect(rig);
	rig_plan = (struct vhu_frontend_plan){
		.style = style,
		.features = features,
		.protocol = usual_protocol,
		.n_set_up = rig->con.vdev.n_queues,
		.n_rings = rig->con.vdev.n_queues,
	};
	rig->fe.iova_shift = SHIFT;
	assert_fe_ok(rig, vhu_style_begin(&rig->fe, &rig_plan));
	assert_fe_ok(rig, vhu_frontend_make_plain_memory(&rig->fe, MIB, false));
	vhu_frontend_iotlb_init(&rig->fe, &table);
	assert_fe_ok(rig, vhu_frontend_iotlb_map_memory(&rig->fe, RW));
}

static inline void setup_kind(struct session_rig *rig, uint64_t kind)
{
	begin(rig, VHU_STYLE_QEMU, usual_features | kind);
	assert_fe_ok(rig, vhu_style_boot(&rig->fe, &rig_plan, 64));
	assert_true(vhu_nego_has_feature(&rig->fe.nego, VIRTIO_F_ACCESS_PLATFORM_BIT));
	if (!rig->joined)
		rig_join(rig);
}

static inline void setup_iommu(struct session_rig *rig)
{
	setup_kind(rig, 0);
}

/* A guest's driver on it; its console is open. */
static inline void start_guest(struct session_rig *rig)
{
	assert_fe_ok(rig, guest_init(&g, &rig->fe, vhu_style_features(&rig->fe, &rig_plan)));
	guest_there = true;
	assert_fe_ok(rig, guest_start(&g, RIG_TIMEOUT_MS));
}

static inline void send_text(struct session_rig *rig, const char *text)
{
	rig_offer_output(rig, text);
	assert_fe_ok(rig, vhu_frontend_kick(&rig->fe, GUEST_TX));
	rig_settle(rig); /* the front-end serves what is missing */
	rig_expect_output(rig, text, strlen(text));
}

/* IOTLB_MSG as it stands; what is answered, always eight bytes. */
static inline uint64_t tell(struct session_rig *rig, const struct vhu_iotlb *t, bool need_reply)
{
	struct vhu_msg msg, reply;

	vhu_msg_init(&msg, VHU_FE, VHU_FE_IOTLB_MSG);
	if (need_reply)
		msg.flags |= VHU_FLAG_NEED_REPLY;
	vhu_msg_put(&msg, t, sizeof(*t));
	assert_fe_ok(rig, vhu_frontend_send_unchecked(&rig->fe, &msg));
	assert_fe_ok(rig, vhu_frontend_receive(&rig->fe, &reply, RIG_TIMEOUT_MS));
	assert_int_equal(reply.id, VHU_FE_IOTLB_MSG);
	assert_int_equal(reply.flags, VHU_REPLY_FLAGS);
	assert_int_equal(reply.size, sizeof(uint64_t));
	return vhu_msg_u64(&reply);
}

/* All of guest memory, at address iova of the device. */
static inline struct vhu_iotlb whole(const struct session_rig *rig, uint64_t iova)
{
	const struct vhu_region *r = &rig->fe.regions[0].wire;

	return (struct vhu_iotlb){
		.iova = iova,
		.size = r->size,
		.uaddr = r->user_addr,
		.perm = RW,
		.type = VHU_IOTLB_UPDATE,
	};
}

static inline void fill(uint8_t *bytes, size_t len, unsigned int seed)
{
	srand(seed);
	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)rand();
}

#endif
