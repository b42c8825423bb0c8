/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Ring addresses, good and bad. */
#include <string.h>

#include "conform/cases/case-list.h"
#include "conform/cases/case-setup.h"

enum { MIB = 1 << 20 };

/* All rings but the one for requests run, whose size is told and whose address is to be spoilt. */
static int boot_to_addr(struct trial *t, struct vhu_msg *ret_msg, struct vhu_vring_addr *ret_addr)
{
	int err = setup_all_but_ring(t, NULL);

	if (err == 0)
		err = setup_num(t, trial_ring(t), TRIAL_RING);
	if (err == 0)
		setup_addr_msg(t, ret_msg, trial_ring(t), ret_addr);
	return err;
}

int case_vring_addr_flags(struct trial *t)
{
	unsigned int ring = trial_ring(t);
	struct vhu_vring_addr addr;
	struct vhu_msg msg;
	int err = boot_to_addr(t, &msg, &addr);

	if (err < 0)
		return err;
	addr.flags = 0x80000000;
	vhu_msg_put(&msg, &addr, sizeof(addr));
	err = trial_survives(t, &msg, NULL, "SET_VRING_ADDR with bit 31 of the flags");
	if (err < 0 || t->closed)
		return err;
	err = setup_resume(t, ring, 0);
	if (err == 0)
		err = trial_prepare(t);
	return err < 0 || !t->device ? err : trial_exchange(t, 2);
}

/* The three parts in an order of their own, each in a region of its own. */
static int scatter_ring(struct trial *t, unsigned int idx)
{
	static const unsigned int region[] = { 1, 2, 0 }; /* of descriptors, avail, used */
	struct driverq *q = &t->fe.rings[idx].q;
	const size_t lens[] = { vring_desc_bytes(q->ring.size), vring_avail_bytes(q->ring.size),
				vring_used_bytes(q->ring.size) };
	uint64_t *const addrs[] = { &q->desc_addr, &q->avail_addr, &q->used_addr };
	void *hosts[3];

	for (size_t i = 0; i < ARRAY_SIZE(region); i++) {
		int err = setup_alloc_in(t, region[i], lens[i], 16, addrs[i]);

		if (err < 0)
			return err;
		hosts[i] = vhu_frontend_host(&t->fe, *addrs[i]);
		memset(hosts[i], 0, lens[i]);
	}
	if (!vring_map(&q->ring, hosts[0], hosts[1], hosts[2], q->ring.size))
		return trial_error(t, "a ring in three places");
	return 0;
}

int case_vring_addr_order(struct trial *t)
{
	static const struct vhu_region apart[] = {
		{ 0x40000000, 2 * MIB, 0x7f5500000000, 0x100000 },
		{ 0x80000000, MIB, 0x7f5400000000, 0x400000 },
		{ 0xc0000000, MIB, 0x7f5300000000, 0x600000 },
	};
	static const struct trial_plan plan = { .regions = apart, .n_regions = ARRAY_SIZE(apart) };
	unsigned int ring = trial_ring(t);
	int err = setup_all_but_ring(t, &plan);

	if (err == 0)
		err = scatter_ring(t, ring);
	if (err == 0)
		err = setup_resume(t, ring, 0);
	if (err == 0)
		err = trial_prepare(t);
	return err < 0 ? err : trial_exchange(t, 8);
}

static int misaligned(struct trial *t, unsigned int desc, unsigned int avail, unsigned int used)
{
	struct vhu_vring_addr addr;
	struct vhu_msg msg;
	int err = boot_to_addr(t, &msg, &addr);

	if (err < 0)
		return err;
	addr.desc += desc;
	addr.avail += avail;
	addr.used += used;
	vhu_msg_put(&msg, &addr, sizeof(addr));
	return trial_refused(t, &msg,
			     "SET_VRING_ADDR with descriptors at %#llx, available ring at %#llx, "
			     "used ring at %#llx",
			     (unsigned long long)addr.desc, (unsigned long long)addr.avail,
			     (unsigned long long)addr.used);
}

int case_vring_desc_align(struct trial *t)
{
	return misaligned(t, 8, 0, 0);
}

int case_vring_avail_align(struct trial *t)
{
	return misaligned(t, 0, 1, 0);
}

int case_vring_used_align(struct trial *t)
{
	return misaligned(t, 0, 0, 2);
}

/*
 * Addresses that cannot be a ring's may be refused at once or when the ring
 * starts; never is anything there touched.
 */
static int starts_in_vain(struct trial *t, unsigned int ring, const struct vhu_vring_addr *addr)
{
	const struct vhu_frontend_ring *r = &t->fe.rings[ring];
	struct vhu_msg msgs[4];
	int err = 0;

	trial_msg(t, &msgs[0], VHU_FE_SET_VRING_ADDR);
	vhu_msg_put(&msgs[0], addr, sizeof(*addr));
	trial_msg_u64(t, &msgs[1], VHU_FE_SET_VRING_CALL, ring);
	msgs[1].fds.fd[msgs[1].fds.n_fds++] = r->call_peer;
	trial_msg_u64(t, &msgs[2], VHU_FE_SET_VRING_KICK, ring);
	msgs[2].fds.fd[msgs[2].fds.n_fds++] = r->kick_fd;
	trial_msg_vring(t, &msgs[3], VHU_FE_SET_VRING_ENABLE, ring, 1);
	for (size_t i = 0; i < ARRAY_SIZE(msgs) && err == 0 && !t->closed; i++)
		err = trial_survives(t, &msgs[i], NULL, "%s of a ring that is outside of memory",
				     vhu_msg_name(VHU_FE, msgs[i].id));
	if (err == 0 && !t->closed)
		err = trial_kick(t, ring);
	if (err == 0 && !t->closed)
		err = trial_pass(t, trial_ms(t, 50));
	return err < 0 || t->closed ? err : trial_goes_on(t, "a ring outside of memory");
}

/* Whether the ring was left alone. */
static int untouched(struct trial *t, const struct vring *ring, uint16_t before)
{
	uint16_t now = vring_used_idx(ring);

	if (now == before)
		return 0;
	return trial_fail(t,
			  "a ring that is partly outside of memory: expected it not to run, but "
			  "its used index went from %u to %u",
			  before, now);
}

static int nowhere(struct trial *t, uint64_t desc, uint64_t avail, uint64_t used)
{
	unsigned int ring = trial_ring(t);
	struct vhu_vring_addr addr;
	struct vhu_msg msg;
	int err = boot_to_addr(t, &msg, &addr);

	if (err == 0)
		err = setup_base(t, ring, 0);
	if (err < 0)
		return err;
	addr.desc = desc;
	addr.avail = avail > 0 ? avail : addr.avail;
	addr.used = used > 0 ? used : addr.used;
	vring_set_avail_idx(trial_vring(t, ring), 1);
	err = starts_in_vain(t, ring, &addr);
	return err < 0 ? err : untouched(t, trial_vring(t, ring), 0);
}

int case_vring_nowhere(struct trial *t)
{
	return nowhere(t, 0x1000, 0x2000, 0x3000);
}

int case_vring_wraps(struct trial *t)
{
	return nowhere(t, UINT64_MAX - 15, 0, 0);
}

/*
 * A ring of 256 entries of which one part begins so near the end of memory that
 * its entry 200 is outside, and a chain that is reached through that entry.
 */
enum part { PART_DESC, PART_AVAIL, PART_USED };

static int offer_at_200(struct trial *t, struct trial_request *request)
{
	static const struct trial_plan plan = { .ring_size = 256 };
	unsigned int ring = trial_ring(t);
	int err = setup_all_but_ring(t, &plan);

	if (err == 0)
		err = setup_num(t, ring, 256);
	if (err == 0)
		err = setup_base(t, ring, 200);
	if (err < 0)
		return err;
	driverq_set_base(&t->fe.rings[ring].q, 200);
	err = trial_offer(t, NULL, request);
	setup_publish_unkicked(t);
	return err;
}

static int past_end(struct trial *t, enum part part)
{
	unsigned int ring = trial_ring(t);
	struct trial_request request;
	struct vhu_vring_addr addr;
	const struct vhu_frontend_region *r;
	struct vring there;
	struct vhu_msg msg;
	int err = offer_at_200(t, &request);
	uint64_t end;
	uint8_t *host;

	if (err < 0)
		return err;
	setup_addr_msg(t, &msg, ring, &addr);
	r = &t->fe.regions[0];
	end = r->wire.user_addr + r->wire.size;
	host = r->host + r->wire.size;
	there = *trial_vring(t, ring);
	switch (part) {
	case PART_DESC:
		addr.desc = end - 2048;
		vring_set_avail_entry(trial_vring(t, ring), 200, 200);
		break;
	case PART_AVAIL:
		addr.avail = end - 256;
		there.avail = (uint16_t *)(void *)(host - 256);
		vring_set_avail_idx(&there, 201);
		break;
	case PART_USED:
		addr.used = end - 1024;
		there.used = (uint16_t *)(void *)(host - 1024);
		vring_set_used_idx(&there, 200);
		break;
	}
	err = starts_in_vain(t, ring, &addr);
	return err < 0 ? err : untouched(t, &there, 200);
}

int case_vring_desc_past_end(struct trial *t)
{
	return past_end(t, PART_DESC);
}

int case_vring_avail_past_end(struct trial *t)
{
	return past_end(t, PART_AVAIL);
}

int case_vring_used_past_end(struct trial *t)
{
	return past_end(t, PART_USED);
}
