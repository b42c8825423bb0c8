/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Address translation. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "conform/cases/case-list.h"
#include "conform/cases/case-steps.h"
#include "conform/cases/dirty-log.h"
#include "conform/trial/trial-ring.h"
#include "vhu/frontend-iotlb.h"
#include "virtio/features.h"

enum {
	STATUS_BEGUN = 0x0b, /* ACKNOWLEDGE, DRIVER, FEATURES_OK */
	READ_WRITE = VHU_IOTLB_READ | VHU_IOTLB_WRITE,
};

static uint64_t iommu_features(const struct trial *t)
{
	return trial_features(t) | BIT(VIRTIO_F_ACCESS_PLATFORM_BIT);
}

static void iotlb_message(struct vhu_msg *ret_msg, const struct vhu_iotlb *payload)
{
	vhu_msg_init(ret_msg, VHU_FE, VHU_FE_IOTLB_MSG);
	ret_msg->flags |= VHU_FLAG_NEED_REPLY; /* as QEMU */
	vhu_msg_put(ret_msg, payload, sizeof(*payload));
}

/* All of the first region, at its guest addresses. */
static struct vhu_iotlb whole_memory(const struct trial *t)
{
	const struct vhu_region *r = &t->fe.regions[0].wire;

	return (struct vhu_iotlb){
		.iova = r->guest_addr,
		.size = r->size,
		.uaddr = r->user_addr,
		.perm = READ_WRITE,
		.type = VHU_IOTLB_UPDATE,
	};
}

static int iommu_begin_with(struct trial *t, uint64_t protocol)
{
	struct vhu_msg msg;
	int err = trial_handshake_with(t, iommu_features(t), trial_protocol(t) | protocol);

	if (err == 0 && vhu_frontend_has_protocol(&t->fe, VHU_PF_STATUS_BIT)) {
		trial_msg_u64(t, &msg, VHU_FE_SET_STATUS, STATUS_BEGUN);
		err = trial_request(t, &msg, NULL);
	}
	if (err == 0)
		err = trial_make_memory(t, NULL);
	return err < 0 ? err : trial_send_memory(t);
}

static int iommu_begin(struct trial *t)
{
	return iommu_begin_with(t, 0);
}

static int update(struct trial *t, const struct vhu_iotlb *payload, uint64_t *ret_value,
		  bool *ret_closed)
{
	struct vhu_msg msg, reply;
	int err;

	iotlb_message(&msg, payload);
	err = trial_step(t, vhu_frontend_send_unchecked(&t->fe, &msg), "IOTLB_MSG");
	if (err == 0)
		err = trial_receive(t, &reply, ret_closed);
	if (err < 0 || *ret_closed)
		return err;
	*ret_value = vhu_msg_u64(&reply);
	fdset_close(&reply.fds);
	if (reply.id == msg.id && reply.flags == VHU_REPLY_FLAGS && reply.size == sizeof(uint64_t))
		return 0;
	return trial_fail(t, "IOTLB_MSG: expected 8 bytes in reply, but %s of %u bytes came",
			  vhu_msg_name(VHU_FE, reply.id), reply.size);
}

int case_iommu_update(struct trial *t)
{
	uint64_t value = 0;
	bool closed = false;
	struct vhu_iotlb all;
	int err = iommu_begin(t);

	if (err < 0)
		return err;
	all = whole_memory(t);
	err = update(t, &all, &value, &closed);
	if (err < 0 || (!closed && value == 0))
		return err;
	return trial_fail(t,
			  "ACCESS_PLATFORM is offered and accepted: expected an update within "
			  "guest memory to succeed, but %s",
			  closed ? "the connection was closed" : "it failed");
}

int case_iommu_outside(struct trial *t)
{
	uint64_t value = 0;
	bool closed = false;
	struct vhu_iotlb beyond;
	int err = iommu_begin(t);

	if (err < 0)
		return err;
	beyond = whole_memory(t);
	beyond.uaddr += beyond.size + (UINT64_C(1) << 40);
	err = update(t, &beyond, &value, &closed);
	if (err == 0 && !closed && value == 0)
		err = trial_fail(t, "an update with a user address outside the memory table: "
				    "expected a failure, but it succeeded");
	if (err < 0 || t->closed)
		return err;
	return trial_ping(t);
}

/* A ring whose addresses are the guest's own, for nobody has mapped them yet. */
static int start_unmapped(struct trial *t, unsigned int idx)
{
	const struct vhu_frontend_ring *r = &t->fe.rings[idx];
	const struct vhu_vring_addr addr = {
		.index = idx,
		.desc = r->q.desc_addr,
		.used = r->q.used_addr,
		.avail = r->q.avail_addr,
	};
	struct vhu_frontend *fe = &t->fe;
	struct vhu_msg msg;
	int err = vhu_frontend_vring(fe, VHU_FE_SET_VRING_NUM, idx, r->size, false);

	vhu_msg_init(&msg, VHU_FE, VHU_FE_SET_VRING_ADDR);
	vhu_msg_put(&msg, &addr, sizeof(addr));
	if (err == 0)
		err = vhu_frontend_vring(fe, VHU_FE_SET_VRING_BASE, idx, 0, false);
	if (err == 0)
		err = vhu_frontend_request(fe, &msg, NULL, fe->timeout_ms);
	if (err == 0)
		err = vhu_frontend_vring_fd(fe, VHU_FE_SET_VRING_CALL, idx, r->call_peer, false);
	if (err == 0)
		err = vhu_frontend_vring_fd(fe, VHU_FE_SET_VRING_KICK, idx, r->kick_fd, false);
	if (err == 0)
		err = vhu_frontend_vring(fe, VHU_FE_SET_VRING_ENABLE, idx, 1, false);
	return trial_step(t, err, "a ring whose addresses are not mapped");
}

/* What the back-end misses, on a channel of the case's own. */
static int await_miss(struct trial *t, int channel, struct vhu_iotlb *ret_miss)
{
	struct pollfd p = { .fd = channel, .events = POLLIN };
	uint8_t bytes[VHU_HDR_LEN + sizeof(*ret_miss)];
	struct vhu_msg msg;
	ssize_t n;

	if (poll(&p, 1, trial_ms(t, TRIAL_ANSWER_MS)) <= 0)
		return trial_fail(t, "a ring at addresses that are not mapped: expected "
				     "IOTLB_MSG on the back-end channel, but nothing came");
	n = recv(channel, bytes, sizeof(bytes), MSG_WAITALL);
	vhu_msg_init(&msg, VHU_BE, 0);
	if (n != (ssize_t)sizeof(bytes) || vhu_header_parse(bytes, &msg) < 0 ||
	    msg.id != VHU_BE_IOTLB_MSG)
		return trial_fail(t,
				  "a ring at addresses that are not mapped: expected IOTLB_MSG "
				  "on the back-end channel, but %s came",
				  n > 0 ? vhu_msg_name(VHU_BE, msg.id) : "its end");
	memcpy(ret_miss, bytes + VHU_HDR_LEN, sizeof(*ret_miss));
	return 0;
}

static int judge_miss(struct trial *t, const struct vhu_iotlb *miss)
{
	const struct vhu_region *r = &t->fe.regions[0].wire;

	if (miss->type == VHU_IOTLB_MISS && range_within(miss->iova, 1, r->guest_addr, r->size))
		return 0;
	return trial_fail(t,
			  "IOTLB_MSG: expected a miss (type 1) at an address of the ring, but it "
			  "has type %u and address %#llx",
			  miss->type, (unsigned long long)miss->iova);
}

int case_iommu_miss(struct trial *t)
{
	AUTO_FD int ours = -1;
	AUTO_FD int theirs = -1;
	struct vhu_iotlb miss, all;
	struct vhu_msg msg;
	uint64_t value = 0;
	bool closed = false;
	int fds[2], err = iommu_begin(t);

	if (err < 0)
		return err;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return trial_error(t, "a channel: %s", strerror(errno));
	ours = fds[0];
	theirs = fds[1];
	vhu_msg_init(&msg, VHU_FE, VHU_FE_SET_BACKEND_REQ_FD);
	msg.fds.fd[msg.fds.n_fds++] = theirs;
	err = trial_request(t, &msg, NULL);
	if (err == 0)
		err = start_unmapped(t, trial_ring(t));
	if (err == 0)
		err = await_miss(t, ours, &miss);
	if (err == 0)
		err = judge_miss(t, &miss);
	if (err < 0)
		return err;
	all = whole_memory(t);
	err = update(t, &all, &value, &closed);
	if (err == 0 && (closed || value))
		err = trial_fail(t, "the missing translation: expected it to be taken, but it was "
				    "refused");
	return err < 0 ? err : trial_ping(t);
}

/* Rings and requests at addresses that nobody but the tester can translate. */

static const uint64_t far_away = UINT64_C(0x5500000000);

static int boot_translated(struct trial *t, struct vhu_frontend_iotlb *tlb, uint64_t protocol)
{
	int err;

	t->fe.iova_shift = far_away;
	vhu_frontend_iotlb_init(&t->fe, tlb);
	err = iommu_begin_with(t, protocol);
	if (err == 0)
		err = trial_step(t, vhu_frontend_iotlb_map_memory(&t->fe, READ_WRITE),
				 "translations");
	return err < 0 ? err : trial_run(t, NULL);
}

int case_iommu_traffic(struct trial *t)
{
	struct vhu_frontend_iotlb tlb;
	int err = boot_translated(t, &tlb, 0);

	if (err == 0)
		err = trial_exchange(t, 16);
	vhu_frontend_iotlb_fini(&t->fe);
	return err;
}

/* What was forgotten is not used: the request stays, until its place is known again. */
static int exchange_around_a_gap(struct trial *t, struct vhu_frontend_iotlb *tlb)
{
	const struct vhu_region *r = &t->fe.regions[0].wire;
	struct trial_request request;
	void *token;
	uint32_t len;
	/* All at once, so that no page of the next request has to be asked for. */
	int err = trial_step(t, vhu_frontend_iotlb_update(&t->fe, &tlb->entries[0]),
			     "an update with all of guest memory");

	if (err == 0)
		err = trial_exchange(t, 2);
	if (err == 0)
		err = trial_step(
			t, vhu_frontend_iotlb_invalidate(&t->fe, r->guest_addr + far_away, r->size),
			"an invalidation of all guest memory");
	if (err == 0)
		err = trial_offer(t, NULL, &request);
	if (err == 0)
		err = trial_publish(t);
	if (err == 0)
		err = trial_ping(t); /* by then it has looked */
	if (err == 0)
		err = trial_step(t, vhu_frontend_pass_time(&t->fe, trial_ms(t, TRIAL_QUIET_MS)),
				 "a pause");
	if (err == 0 && driverq_get(&t->fe.rings[trial_ring(t)].q, &token, &len) == DRIVERQ_USED)
		err = trial_fail(t, "all translations were taken away: expected the ring to wait, "
				    "but a request was carried out");
	if (err == 0)
		err = trial_step(t, vhu_frontend_iotlb_map_memory(&t->fe, READ_WRITE),
				 "translations");
	if (err == 0)
		err = trial_step(t, vhu_frontend_iotlb_update(&t->fe, &tlb->entries[0]),
				 "an update with all of guest memory");
	return err < 0 ? err : trial_answered(t, &request);
}

int case_iommu_invalidate(struct trial *t)
{
	struct vhu_frontend_iotlb tlb;
	int err = boot_translated(t, &tlb, 0);

	if (err == 0)
		err = exchange_around_a_gap(t, &tlb);
	vhu_frontend_iotlb_fini(&t->fe);
	return err;
}

/* The log is of guest memory: a ring's place in it is not its I/O address. */
static int log_translated(struct trial *t, struct dirty_log *log)
{
	uint64_t iova = dirty_log_used_addr(t), addr = iova - far_away;
	int err = dirty_log_make(t, log, dirty_log_size(t), 0);

	if (err == 0)
		err = dirty_log_give(t, log, NULL);
	if (err == 0)
		err = dirty_log_used(t, true, iova);
	if (err == 0)
		err = dirty_log_switch(t, true);
	if (err == 0)
		err = trial_exchange(t, 1);
	if (err < 0 || dirty_log_has(log, addr))
		return err;
	return trial_warn(t,
			  "behind an IOMMU, after a request: expected the bit of the page that the "
			  "used ring is in (guest address %#llx), but it is clear",
			  (unsigned long long)addr);
}

int case_log_used_translated(struct trial *t)
{
	AUTO_DIRTY_LOG log = DIRTY_LOG_NONE;
	struct vhu_frontend_iotlb tlb;
	int err = boot_translated(t, &tlb, BIT(VHU_PF_LOG_SHMFD_BIT));

	if (err == 0)
		err = log_translated(t, &log);
	vhu_frontend_iotlb_fini(&t->fe);
	return err;
}
