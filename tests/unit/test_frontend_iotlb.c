/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Translations that a back-end misses, against a back-end that is played. */
#include "peer_rig.h"

#include <poll.h>

#include "vhu/frontend-iotlb.h"

enum { PAGE = 4096, RW = VHU_IOTLB_READ | VHU_IOTLB_WRITE };

#define SHIFT UINT64_C(0x100000000)

/* What the played back-end does and has seen. */
struct mmu {
	struct vhu_iotlb told[8];
	unsigned int n_told;
	unsigned int n_answers; /* on the channel, and the latest of them */
	uint64_t answer;
	unsigned int told_at_answer; /* updates that had come before that */
	uint64_t refusal;	     /* of IOTLB_MSG */
	/* GET_FEATURES is answered when it was looked at so often, with a miss before. */
	unsigned int delay;
	struct vhu_msg delayed;
};

static void miss(struct peer_rig *rig, uint64_t iova, uint8_t perm, uint8_t type)
{
	const struct vhu_iotlb payload = { .iova = iova, .perm = perm, .type = type };
	uint8_t bytes[VHU_HDR_LEN + VHU_MAX_PAYLOAD];
	struct vhu_msg msg;
	size_t len;

	vhu_msg_init(&msg, VHU_BE, VHU_BE_IOTLB_MSG);
	msg.flags |= VHU_FLAG_NEED_REPLY;
	vhu_msg_put(&msg, &payload, sizeof(payload));
	len = vhu_msg_pack(&msg, bytes);
	assert_int_equal(write(rig->channel, bytes, len), len);
}

static bool handle(struct peer_rig *rig, struct vhu_msg *msg)
{
	struct mmu *mmu = rig->arg;

	if (msg->id == VHU_FE_IOTLB_MSG) {
		assert_true(mmu->n_told < ARRAY_SIZE(mmu->told));
		vhu_msg_get(msg, &mmu->told[mmu->n_told++], sizeof(mmu->told[0]));
		peer_reply_u64(rig, msg, mmu->refusal);
		return true;
	}
	if (msg->id == VHU_FE_GET_FEATURES && mmu->delay > 0) {
		miss(rig, SHIFT + 0x40000000, VHU_IOTLB_READ, VHU_IOTLB_MISS);
		mmu->delayed = *msg;
		return true;
	}
	return false;
}

static void idle(struct peer_rig *rig)
{
	struct pollfd p = { .fd = rig->channel, .events = POLLIN };
	struct mmu *mmu = rig->arg;
	uint8_t bytes[VHU_HDR_LEN + 8];

	if (mmu->delay > 0 && mmu->delayed.id != 0 && --mmu->delay == 0) {
		assert_int_equal(mmu->n_told, 0); /* nothing comes between */
		peer_reply_u64(rig, &mmu->delayed, rig->features);
	}
	if (rig->channel < 0 || poll(&p, 1, 0) <= 0)
		return;
	assert_int_equal(read(rig->channel, bytes, sizeof(bytes)), sizeof(bytes));
	memcpy(&mmu->answer, bytes + VHU_HDR_LEN, sizeof(mmu->answer));
	mmu->n_answers++;
	mmu->told_at_answer = mmu->n_told;
}

static void open_mmu(struct peer_rig *rig, struct mmu *mmu, struct vhu_frontend_iotlb *tlb)
{
	memset(mmu, 0, sizeof(*mmu));
	peer_open(rig, BIT(VIRTIO_F_ACCESS_PLATFORM_BIT), BIT(VHU_PF_BACKEND_REQ_BIT));
	rig->fe.iova_shift = SHIFT;
	peer_make_guest(rig, 1);
	rig->arg = mmu;
	rig->handle = handle;
	rig->idle = idle;
	vhu_frontend_iotlb_init(&rig->fe, tlb);
	assert_said(rig, vhu_frontend_open_channel(&rig->fe, true));
	assert_said(rig, vhu_frontend_iotlb_map_memory(&rig->fe, RW));
}

static void close_mmu(struct peer_rig *rig)
{
	vhu_frontend_iotlb_fini(&rig->fe);
	peer_close(rig);
}

/* Until the miss that was sent has its answer. */
static void await_answer(struct peer_rig *rig)
{
	struct mmu *mmu = rig->arg;
	unsigned int n = mmu->n_answers;

	for (unsigned int i = 0; i < 1000 && mmu->n_answers == n; i++) {
		assert_said(rig, vhu_frontend_pass_time(&rig->fe, 0));
		peer_pump(rig);
	}
	assert_int_equal(mmu->n_answers, n + 1);
}

/* VU-212: rings and buffers are at addresses of the device's, which the table translates. */
static void addresses_when_shifted_are_the_devices(void **state)
{
	struct vhu_frontend_iotlb tlb;
	struct vhu_vring_addr addr;
	struct peer_rig rig;
	struct mmu mmu;

	(void)state;
	open_mmu(&rig, &mmu, &tlb);
	assert_said(&rig, vhu_frontend_vring_addr(&rig.fe, 0, 0, 0, true));
	vhu_msg_get(&rig.last, &addr, sizeof(addr));
	assert_int_equal(addr.desc, rig.fe.rings[0].q.desc_addr);
	assert_true(addr.desc >= SHIFT);
	assert_ptr_equal(vhu_frontend_host(&rig.fe, addr.desc), rig.fe.rings[0].block);
	close_mmu(&rig);
}

/* VU-211, VU-212: the update has come when the miss is acknowledged. */
static void miss_when_known_is_updated_before_it_is_acknowledged(void **state)
{
	static const struct {
		uint64_t granule, offset, size;
	} rows[] = { { PAGE, 3 * PAGE, PAGE }, { 0, 0, PEER_MEM }, { PEER_MEM * 16, 0, PEER_MEM } };
	struct vhu_frontend_iotlb tlb;
	struct peer_rig rig;
	struct mmu mmu;

	(void)state;
	open_mmu(&rig, &mmu, &tlb);
	for (unsigned int i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct vhu_region *r = &rig.fe.regions[0].wire;

		tlb.granule = rows[i].granule;
		miss(&rig, SHIFT + r->guest_addr + 3 * PAGE + 5, VHU_IOTLB_WRITE, VHU_IOTLB_MISS);
		await_answer(&rig);
		assert_int_equal(mmu.answer, 0);
		assert_int_equal(mmu.told_at_answer, i + 1);
		assert_int_equal(mmu.told[i].type, VHU_IOTLB_UPDATE);
		assert_int_equal(mmu.told[i].perm, RW);
		assert_int_equal(mmu.told[i].iova, SHIFT + r->guest_addr + rows[i].offset);
		assert_int_equal(mmu.told[i].uaddr, r->user_addr + rows[i].offset);
		assert_int_equal(mmu.told[i].size, rows[i].size);
	}
	assert_int_equal(tlb.n_misses, 3);
	assert_int_equal(tlb.n_updates, 3);
	close_mmu(&rig);
}

static void miss_when_a_reply_is_awaited_waits_for_it(void **state)
{
	struct vhu_frontend_iotlb tlb;
	struct peer_rig rig;
	struct mmu mmu;

	(void)state;
	open_mmu(&rig, &mmu, &tlb);
	mmu.delay = 50;
	assert_said(&rig, vhu_frontend_ping(&rig.fe));
	assert_int_equal(mmu.delay, 0);
	assert_int_equal(mmu.n_told, 1); /* as soon as the reply was there */
	close_mmu(&rig);
}

static void miss_when_unknown_or_not_allowed_is_refused(void **state)
{
	struct vhu_frontend_translation entry = { SHIFT * 2, PAGE, 0x1000, VHU_IOTLB_READ };
	struct vhu_frontend_iotlb tlb;
	struct peer_rig rig;
	struct mmu mmu;

	(void)state;
	open_mmu(&rig, &mmu, &tlb);
	assert_said(&rig, vhu_frontend_iotlb_map(&rig.fe, &entry));
	miss(&rig, 5, VHU_IOTLB_READ, VHU_IOTLB_MISS);
	await_answer(&rig);
	assert_int_equal(mmu.answer, 1);
	miss(&rig, entry.iova, VHU_IOTLB_WRITE, VHU_IOTLB_MISS);
	await_answer(&rig);
	assert_int_equal(mmu.answer, 1);
	miss(&rig, entry.iova + PAGE - 1, VHU_IOTLB_READ, VHU_IOTLB_MISS);
	await_answer(&rig);
	assert_int_equal(mmu.answer, 0);
	miss(&rig, 5, VHU_IOTLB_READ, VHU_IOTLB_ACCESS_FAIL);
	await_answer(&rig);
	assert_int_equal(tlb.n_unknown, 2);
	assert_int_equal(tlb.n_fails, 1);
	assert_int_equal(mmu.n_told, 1);
	close_mmu(&rig);
}

static void map_when_it_overlaps_or_is_empty_is_refused(void **state)
{
	const struct vhu_frontend_translation rows[] = {
		{ SHIFT * 2, PAGE, 0, RW },  { SHIFT * 2 + PAGE - 1, PAGE, 0, RW },
		{ SHIFT * 2 - 1, 2, 0, RW }, { SHIFT * 3, 0, 0, RW },
		{ UINT64_MAX, 2, 0, RW },
	};
	struct vhu_frontend_iotlb tlb;
	struct peer_rig rig;
	struct mmu mmu;

	(void)state;
	open_mmu(&rig, &mmu, &tlb);
	assert_int_equal(vhu_frontend_iotlb_map(&rig.fe, &rows[0]), 0);
	for (unsigned int i = 1; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(vhu_frontend_iotlb_map(&rig.fe, &rows[i]),
				 i < 3 ? -EEXIST : -EINVAL);
	close_mmu(&rig);
}

static unsigned int n_answered(struct peer_rig *rig, uint64_t iova)
{
	struct mmu *mmu = rig->arg;

	miss(rig, iova, VHU_IOTLB_READ, VHU_IOTLB_MISS);
	await_answer(rig);
	return mmu->answer == 0;
}

/* What lies beside the range stays, with addresses that fit. */
static void invalidate_when_inside_an_entry_leaves_the_rest(void **state)
{
	const uint64_t at = SHIFT + UINT64_C(0x40000000);
	struct vhu_frontend_iotlb tlb;
	struct peer_rig rig;
	struct mmu mmu;

	(void)state;
	open_mmu(&rig, &mmu, &tlb);
	assert_said(&rig, vhu_frontend_iotlb_invalidate(&rig.fe, at + 2 * PAGE, PAGE));
	assert_int_equal(mmu.told[0].type, VHU_IOTLB_INVALIDATE);
	assert_int_equal(mmu.told[0].iova, at + 2 * PAGE);
	assert_int_equal(mmu.told[0].size, PAGE);
	assert_int_equal(tlb.n_entries, 2);
	assert_int_equal(n_answered(&rig, at + 2 * PAGE), 0);
	assert_int_equal(n_answered(&rig, at + 3 * PAGE - 1), 0);
	assert_int_equal(n_answered(&rig, at + 2 * PAGE - 1), 1);
	assert_int_equal(n_answered(&rig, at + 3 * PAGE), 1);
	assert_int_equal(mmu.told[2].uaddr, rig.fe.regions[0].wire.user_addr + 3 * PAGE);
	assert_said(&rig, vhu_frontend_iotlb_invalidate(&rig.fe, 0, UINT64_MAX));
	assert_int_equal(tlb.n_entries, 0);
	assert_int_equal(n_answered(&rig, at), 0);
	assert_int_equal(vhu_frontend_iotlb_invalidate(&rig.fe, 1, UINT64_MAX), 0);
	assert_int_equal(vhu_frontend_iotlb_invalidate(&rig.fe, 2, UINT64_MAX), -EINVAL);
	close_mmu(&rig);
}

static void update_when_refused_says_so(void **state)
{
	const struct vhu_frontend_translation entry = { 0, PAGE, 0x1000, RW };
	struct vhu_frontend_iotlb tlb;
	struct peer_rig rig;
	struct mmu mmu;

	(void)state;
	open_mmu(&rig, &mmu, &tlb);
	assert_said(&rig, vhu_frontend_iotlb_update(&rig.fe, &entry));
	mmu.refusal = 1;
	assert_int_equal(vhu_frontend_iotlb_update(&rig.fe, &entry), -EREMOTEIO);
	close_mmu(&rig);
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(addresses_when_shifted_are_the_devices),
	UNIT_TEST(miss_when_known_is_updated_before_it_is_acknowledged),
	UNIT_TEST(miss_when_a_reply_is_awaited_waits_for_it),
	UNIT_TEST(miss_when_unknown_or_not_allowed_is_refused),
	UNIT_TEST(map_when_it_overlaps_or_is_empty_is_refused),
	UNIT_TEST(invalidate_when_inside_an_entry_leaves_the_rest),
	UNIT_TEST(update_when_refused_says_so),
};

UNIT_MAIN(tests)
