/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Ring sizes and ring addresses. */
#include <string.h>

#include "conform/cases/case-list.h"
#include "conform/cases/case-setup.h"
#include "conform/cases/case-steps.h"
#include "virtio/features.h"

enum { MIB = 1 << 20 };

static int refused_by_index(struct trial *t, enum vhu_fe_id id, uint32_t idx)
{
	struct vhu_vring_addr addr = { .index = idx };
	struct vhu_msg msg;

	trial_msg_vring(t, &msg, id, idx, id == VHU_FE_SET_VRING_NUM ? 64 : 0);
	if (id == VHU_FE_SET_VRING_ADDR) {
		addr.desc = t->fe.regions[0].wire.user_addr;
		addr.avail = addr.desc + 4096;
		addr.used = addr.desc + 8192;
		vhu_msg_put(&msg, &addr, sizeof(addr));
	}
	return step_refused(t, &msg, "%s of ring %u, of %u", vhu_msg_name(VHU_FE, id), idx,
			    t->target->info.n_rings);
}

static int boot_without_rings(struct trial *t)
{
	int err = trial_handshake(t);

	if (err == 0)
		err = trial_make_memory(t, NULL);
	return err < 0 ? err : trial_send_memory(t);
}

/* Every message that names a ring by a number of 32 bits. */
static int all_refused(struct trial *t, uint32_t idx)
{
	static const enum vhu_fe_id ids[] = {
		VHU_FE_SET_VRING_NUM,  VHU_FE_SET_VRING_ADDR,	VHU_FE_SET_VRING_BASE,
		VHU_FE_GET_VRING_BASE, VHU_FE_SET_VRING_ENABLE,
	};
	int err = boot_without_rings(t);

	for (size_t i = 0; i < ARRAY_SIZE(ids) && err == 0; i++) {
		bool closed;

		err = refused_by_index(t, ids[i], idx);
		closed = t->closed;
		if (err < 0 || setup_is_over(t))
			return err;
		err = trial_refresh(t);
		if (err == 0 && closed)
			err = trial_send_memory(t);
	}
	return err;
}

int case_vring_index(struct trial *t)
{
	return all_refused(t, step_first_no_ring(t));
}

int case_vring_index_far(struct trial *t)
{
	static const uint32_t far[] = { 5000, 0x10000, UINT32_MAX };
	int err = 0;

	for (size_t i = 0; i < ARRAY_SIZE(far) && err == 0; i++) {
		if (i > 0 && !t->closed)
			err = trial_reconnect(t);
		if (err == 0)
			err = all_refused(t, far[i]);
		if (setup_is_over(t))
			return err;
	}
	return err;
}

int case_vring_fd_index(struct trial *t)
{
	static const enum vhu_fe_id ids[] = { VHU_FE_SET_VRING_KICK, VHU_FE_SET_VRING_CALL,
					      VHU_FE_SET_VRING_ERR };
	int err = boot_without_rings(t);

	if (err == 0 && step_first_no_ring(t) > VHU_VRING_IDX_MASK)
		err = trial_na(t, "every index of eight bits may be a ring's");
	for (size_t i = 0; i < ARRAY_SIZE(ids) && err == 0; i++) {
		struct vhu_msg msg;

		trial_msg_u64(t, &msg, ids[i], VHU_VRING_IDX_MASK);
		msg.fds.fd[msg.fds.n_fds++] = t->fe.rings[0].err_fd;
		err = trial_refused(t, &msg, "%s of ring 255, of %u", vhu_msg_name(VHU_FE, ids[i]),
				    t->target->info.n_rings);
		if (err < 0 || setup_is_over(t))
			return err;
		err = trial_refresh(t);
	}
	return err;
}

/* Sizes. */

static int num_refused(struct trial *t, const uint32_t *nums, size_t n, uint64_t without)
{
	int err = trial_handshake_with(t, trial_features(t) & ~without, trial_protocol(t));

	for (size_t i = 0; i < n && err == 0; i++) {
		struct vhu_msg msg;

		trial_msg_vring(t, &msg, VHU_FE_SET_VRING_NUM, trial_ring(t), nums[i]);
		err = trial_refused(t, &msg, "SET_VRING_NUM of %u entries", nums[i]);
		if (err < 0 || setup_is_over(t))
			return err;
		err = trial_refresh(t);
	}
	return err;
}

int case_vring_num_zero(struct trial *t)
{
	static const uint32_t zero[] = { 0 };

	return num_refused(t, zero, 1, 0);
}

/* Some of these are good numbers in their lower half. */
int case_vring_num_huge(struct trial *t)
{
	static const uint32_t huge[] = { 32769, 65536, 0x10001, 0x10040, 0x80000040, UINT32_MAX };

	return num_refused(t, huge, ARRAY_SIZE(huge), 0);
}

int case_vring_num_odd(struct trial *t)
{
	static const uint32_t odd[] = { 3, 100, 32767 };

	return num_refused(t, odd, ARRAY_SIZE(odd), BIT(VIRTIO_F_RING_PACKED_BIT));
}

int case_vring_num_packed(struct trial *t)
{
	static const uint32_t odd[] = { 1, 3, 100, 256, 32768 };
	int err = trial_handshake_with(t, trial_features(t) | BIT(VIRTIO_F_RING_PACKED_BIT),
				       trial_protocol(t));

	for (size_t i = 0; i < ARRAY_SIZE(odd) && err == 0; i++) {
		struct vhu_msg msg;
		bool accepted;

		trial_msg_vring(t, &msg, VHU_FE_SET_VRING_NUM, trial_ring(t), odd[i]);
		msg.flags |= VHU_FLAG_NEED_REPLY;
		err = trial_survives(t, &msg, &accepted, "SET_VRING_NUM of %u entries", odd[i]);
		if (err == 0 && !accepted && odd[i] <= 256)
			err = trial_fail(t,
					 "a packed ring of %u entries: expected it to be accepted, "
					 "but it was refused",
					 odd[i]);
		if (err == 0 && t->closed)
			return 0;
	}
	return err;
}

static int judge_largest(struct trial *t, uint32_t largest)
{
	if (largest < 128)
		return trial_fail(t,
				  "expected rings of at least 128 entries, but %u is the largest "
				  "that is accepted",
				  largest);
	if (largest < 256)
		return trial_warn(t, "rings of %u entries are the largest; UML and libkrun use 256",
				  largest);
	return largest == VRING_MAX_SIZE
		       ? 0
		       : trial_remark(t, "rings have at most %u entries", largest);
}

/* A device may have a largest size; below it every power of two is one. */
int case_vring_num_powers(struct trial *t)
{
	uint32_t largest = 0, refused = 0;
	int err = trial_handshake(t);

	for (uint32_t num = 1; num <= VRING_MAX_SIZE && err == 0; num *= 2) {
		struct vhu_msg msg;
		bool accepted;

		trial_msg_vring(t, &msg, VHU_FE_SET_VRING_NUM, trial_ring(t), num);
		msg.flags |= VHU_FLAG_NEED_REPLY;
		err = trial_survives(t, &msg, &accepted, "SET_VRING_NUM of %u entries", num);
		if (err < 0)
			return err;
		if (accepted && refused > 2)
			return trial_fail(t, "a ring of %u entries was refused, one of %u accepted",
					  refused, num);
		if (accepted)
			largest = num;
		else
			refused = num;
		err = trial_refresh(t);
	}
	return err < 0 ? err : judge_largest(t, largest);
}

/* The ring anew, in new memory and with another size. */
static int runs_with_size(struct trial *t, unsigned int size, unsigned int n)
{
	const struct vhu_region region = { 0x40000000, 8 * MIB, 0x7f5500000000, 0x100000 };
	const struct trial_plan plan = { .regions = &region, .n_regions = 1 };
	unsigned int ring = trial_ring(t);
	struct vhu_msg msg;
	bool accepted;
	uint16_t base;
	int err = trial_boot(t, &plan);

	if (err == 0)
		err = trial_stop_ring(t, ring, &base);
	if (err < 0)
		return err;
	trial_msg_vring(t, &msg, VHU_FE_SET_VRING_NUM, ring, size);
	msg.flags |= VHU_FLAG_NEED_REPLY;
	err = trial_survives(t, &msg, &accepted, "SET_VRING_NUM of %u entries", size);
	if (err == 0 && !accepted)
		err = trial_na(t, "a ring of %u entries is refused", size);
	if (err == 0)
		err = trial_step(t, vhu_frontend_make_ring(&t->fe, ring, size, t->fe.nego.features),
				 "a ring of %u entries", size);
	if (err == 0)
		err = setup_resume(t, ring, 0);
	return err < 0 ? err : trial_exchange(t, n);
}

int case_vring_size_small(struct trial *t)
{
	return runs_with_size(t, 4, 64);
}

int case_vring_size_256(struct trial *t)
{
	return runs_with_size(t, 256, 300);
}

int case_vring_size_1024(struct trial *t)
{
	return runs_with_size(t, 1024, 1100);
}

int case_vring_size_32768(struct trial *t)
{
	return runs_with_size(t, VRING_MAX_SIZE, 300);
}
