/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Memory regions that come and go one by one (CONFIGURE_MEM_SLOTS). */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "conform/cases/case-list.h"
#include "conform/cases/case-setup.h"

enum { PAGE = 4096, MIB = 1 << 20, MANY_SLOTS = 1024 };

static const struct vhu_region three[] = {
	{ 0x40000000, 2 * MIB, 0x7f5500000000, 0x100000 },
	{ 0x80000000, MIB, 0x7f5600000000, 0x400000 },
	{ 0xc0000000, MIB, 0x7f5700000000, 0x600000 },
};
static const struct trial_plan of_three = { .regions = three, .n_regions = ARRAY_SIZE(three) };

static const unsigned int second[] = { 1 };
static const unsigned int last_first[] = { 2, 1, 0 };

static int ask_slots(struct trial *t, uint64_t *ret_n)
{
	return trial_step(t, vhu_frontend_get_u64(&t->fe, VHU_FE_GET_MAX_MEM_SLOTS, ret_n),
			  "GET_MAX_MEM_SLOTS");
}

int case_slots_number(struct trial *t)
{
	uint64_t first = 0, n;
	int err = 0;

	for (unsigned int i = 0; i < 3 && err == 0; i++) {
		if (i > 0)
			err = trial_reconnect(t);
		if (err == 0)
			err = trial_handshake(t);
		if (err == 0)
			err = ask_slots(t, &n);
		if (err < 0)
			return err;
		if (n == 0)
			return trial_fail(t,
					  "expected at least one memory slot, but there is none");
		if (i > 0 && n < first)
			return trial_fail(t,
					  "expected as many slots as on the connection before, "
					  "%" PRIu64 ", but there are %" PRIu64,
					  first, n);
		first = n;
		if (!t->target->info.persistent)
			break;
	}
	if (first < VHU_MAX_REGIONS)
		trial_remark(t, "only %" PRIu64 " memory slots", first);
	return 0;
}

static int add(struct trial *t, unsigned int i)
{
	return trial_step(t, vhu_frontend_add_region(&t->fe, i, true), "ADD_MEM_REG of region %u",
			  i);
}

static int remove_region(struct trial *t, unsigned int i)
{
	return trial_step(t, vhu_frontend_remove_region(&t->fe, i, false, true),
			  "REM_MEM_REG of region %u", i);
}

/* A session whose memory is n regions, each of them added, and rings that run. */
static int boot_added(struct trial *t, unsigned int n)
{
	uint64_t n_slots;
	int err = trial_handshake(t);

	if (err == 0)
		err = ask_slots(t, &n_slots);
	if (err < 0)
		return err;
	if (n_slots < ARRAY_SIZE(three))
		return trial_na(t, "there are only %" PRIu64 " memory slots", n_slots);
	err = trial_make_memory(t, &of_three);
	for (unsigned int i = 0; i < n && err == 0; i++)
		err = add(t, i);
	if (err == 0)
		err = trial_run(t, NULL);
	return err < 0 || !t->device ? err : trial_exchange(t, 2);
}

int case_slots_add(struct trial *t)
{
	int err = boot_added(t, ARRAY_SIZE(three));

	return err < 0 ? err : setup_exchange_in(t, last_first, ARRAY_SIZE(last_first));
}

int case_slots_add_running(struct trial *t)
{
	int err = boot_added(t, 1);

	for (unsigned int i = 1; i < ARRAY_SIZE(three) && err == 0; i++) {
		err = add(t, i);
		if (err == 0)
			err = setup_exchange_in(t, &i, 1);
	}
	return err;
}

int case_slots_and_table(struct trial *t)
{
	int err = trial_handshake(t);

	if (err == 0)
		err = trial_make_memory(t, &of_three);
	if (err < 0)
		return err;
	t->fe.n_regions = 1;
	err = trial_send_memory(t);
	t->fe.n_regions = ARRAY_SIZE(three);
	if (err == 0)
		err = trial_run(t, NULL);
	if (err == 0)
		err = add(t, 1);
	if (err == 0)
		err = setup_exchange_in(t, second, 1);
	if (err == 0)
		err = trial_send_memory(t);
	return err < 0 ? err : setup_exchange_in(t, last_first, ARRAY_SIZE(last_first));
}

/* What is to be refused. */

static int still_works(struct trial *t)
{
	return t->closed || !t->device ? 0 : trial_exchange(t, 2);
}

static int add_refused(struct trial *t, const struct vhu_region *region, unsigned int n_fds,
		       const char *what)
{
	struct vhu_msg msg;
	int err = boot_added(t, 2);

	if (err < 0)
		return err;
	setup_region_msg(t, &msg, VHU_FE_ADD_MEM_REG, region);
	for (msg.fds.n_fds = 0; msg.fds.n_fds < n_fds;)
		msg.fds.fd[msg.fds.n_fds++] = t->fe.mem_fd;
	err = trial_refused(t, &msg, "ADD_MEM_REG %s", what);
	return err < 0 ? err : still_works(t);
}

int case_slots_guest_overlap(struct trial *t)
{
	struct vhu_region bad = three[2];

	bad.guest_addr = three[1].guest_addr + MIB / 2;
	return add_refused(t, &bad, 1, "of a region that shares guest addresses");
}

int case_slots_user_overlap(struct trial *t)
{
	struct vhu_region bad = three[2];

	bad.user_addr = three[1].user_addr + MIB / 2;
	return add_refused(t, &bad, 1, "of a region that shares user addresses");
}

int case_slots_empty(struct trial *t)
{
	struct vhu_region bad = three[2];

	bad.size = 0;
	return add_refused(t, &bad, 1, "of a region of no bytes");
}

int case_slots_add_no_fd(struct trial *t)
{
	return add_refused(t, &three[2], 0, "without a descriptor");
}

int case_slots_add_two_fds(struct trial *t)
{
	return add_refused(t, &three[2], 2, "with two descriptors");
}

/* One page after the other; -EDOM (no verdict) when the back-end takes no more. */
static int add_page(struct trial *t, uint64_t i)
{
	const struct vhu_region page = { 0x40000000 + i * 0x10000, PAGE,
					 0x7f5500000000 + i * 0x10000, i * PAGE };
	struct vhu_msg msg;

	setup_region_msg(t, &msg, VHU_FE_ADD_MEM_REG, &page);
	msg.flags |= VHU_FLAG_NEED_REPLY;
	return vhu_frontend_request(&t->fe, &msg, NULL, t->fe.timeout_ms);
}

int case_slots_limit(struct trial *t)
{
	static const struct trial_plan small = { .ring_size = 2, .only_ring = true };
	uint64_t n_slots, i;
	struct vhu_region more = { 0x20000000, PAGE, 0x7f5400000000, 0 };
	struct vhu_msg msg;
	int err = trial_handshake(t);

	if (err == 0)
		err = ask_slots(t, &n_slots);
	if (err < 0)
		return err;
	if (n_slots > MANY_SLOTS)
		return trial_na(t, "%" PRIu64 " slots are too many to fill", n_slots);
	err = trial_make_memory(t, &small);
	if (err == 0 && ftruncate(t->fe.mem_fd, MANY_SLOTS * PAGE) < 0)
		err = trial_error(t, "a file of %d pages: %s", MANY_SLOTS, strerror(errno));
	for (i = 0; i < n_slots && err == 0; i++)
		err = trial_step(t, add_page(t, i),
				 "ADD_MEM_REG of region %" PRIu64 " where there are %" PRIu64
				 " slots",
				 i + 1, n_slots);
	if (err < 0)
		return err;
	setup_region_msg(t, &msg, VHU_FE_ADD_MEM_REG, &more);
	return trial_refused(t, &msg, "ADD_MEM_REG with all %" PRIu64 " slots taken", n_slots);
}

static int remove_refused(struct trial *t, struct vhu_region bad, const char *what)
{
	struct vhu_msg msg;
	int err = boot_added(t, 2);

	if (err < 0)
		return err;
	setup_region_msg(t, &msg, VHU_FE_REM_MEM_REG, &bad);
	err = trial_refused(t, &msg, "REM_MEM_REG %s", what);
	if (err < 0 || t->closed || !t->device)
		return err;
	return setup_exchange_in(t, second, 1);
}

int case_slots_other_size(struct trial *t)
{
	struct vhu_region bad = three[1];

	bad.size /= 2;
	return remove_refused(t, bad, "of a region with another size");
}

int case_slots_other_guest(struct trial *t)
{
	struct vhu_region bad = three[1];

	bad.guest_addr += PAGE;
	return remove_refused(t, bad, "of a region at another guest address");
}

int case_slots_other_user(struct trial *t)
{
	struct vhu_region bad = three[1];

	bad.user_addr += PAGE;
	return remove_refused(t, bad, "of a region at another user address");
}

/* Removal. */

int case_slots_remove(struct trial *t)
{
	int err = boot_added(t, ARRAY_SIZE(three));

	if (err == 0)
		err = remove_region(t, 1); /* with offset 0, which is not its own */
	if (err == 0)
		err = trial_exchange(t, 2);
	if (err == 0)
		err = add(t, 1);
	return err < 0 ? err : setup_exchange_in(t, second, 1);
}

int case_slots_remove_fd(struct trial *t)
{
	struct vhu_msg msg;
	bool accepted;
	int err = boot_added(t, 2);

	if (err < 0)
		return err;
	setup_region_msg(t, &msg, VHU_FE_REM_MEM_REG, &three[1]);
	msg.fds.fd[msg.fds.n_fds++] = t->fe.mem_fd;
	err = trial_survives(t, &msg, &accepted, "REM_MEM_REG with a descriptor");
	if (err == 0 && (t->closed || ((msg.flags & VHU_FLAG_NEED_REPLY) && !accepted)))
		trial_remark(t, "REM_MEM_REG with a descriptor is refused; libblkio sends it");
	return err < 0 ? err : still_works(t);
}

int case_slots_remove_two_fds(struct trial *t)
{
	struct vhu_msg msg;
	int err = boot_added(t, 2);

	if (err < 0)
		return err;
	setup_region_msg(t, &msg, VHU_FE_REM_MEM_REG, &three[1]);
	msg.fds.fd[msg.fds.n_fds++] = t->fe.mem_fd;
	msg.fds.fd[msg.fds.n_fds++] = t->fe.mem_fd;
	err = trial_refused(t, &msg, "REM_MEM_REG with two descriptors");
	return err < 0 ? err : still_works(t);
}

/* REM_MEM_REG that a back-end may refuse: *ret_gone when it did not. */
static int take_away(struct trial *t, unsigned int i, bool *ret_gone)
{
	bool acked = vhu_frontend_has_protocol(&t->fe, VHU_PF_REPLY_ACK_BIT);
	struct vhu_region region = three[i];
	struct vhu_msg msg;
	bool accepted;
	int err;

	region.mmap_offset = 0;
	setup_region_msg(t, &msg, VHU_FE_REM_MEM_REG, &region);
	if (acked)
		msg.flags |= VHU_FLAG_NEED_REPLY;
	err = trial_survives(t, &msg, &accepted, "REM_MEM_REG of region %u", i);
	*ret_gone = err == 0 && !t->closed && (accepted || !acked);
	return err;
}

/* The region of the running ring is taken away; kicked: while it is away, too. */
static int ring_removed(struct trial *t, bool kicked)
{
	unsigned int ring = trial_ring(t);
	struct trial_request request;
	uint16_t used;
	bool gone;
	int err = boot_added(t, ARRAY_SIZE(three));

	if (err == 0)
		err = take_away(t, 0, &gone);
	if (err < 0)
		return err;
	if (!gone)
		return trial_remark(t, "the region of a running ring cannot be removed");
	used = t->fe.rings[ring].q.last_used;
	err = trial_offer(t, NULL, &request);
	setup_publish_unkicked(t);
	if (err == 0 && kicked)
		err = trial_kick(t, ring);
	if (err == 0 && setup_used_moves(t, ring, used, trial_ms(t, TRIAL_QUIET_MS)))
		err = trial_fail(t, "the ring's region is removed: expected the ring to rest, but "
				    "its used index moved");
	if (err == 0 && kicked)
		err = trial_goes_on(t, "a kick of a ring in memory that was removed");
	if (err < 0 || t->closed)
		return err;
	err = add(t, 0);
	if (err == 0)
		err = trial_kick(t, ring);
	if (err == 0)
		err = trial_answered(t, &request);
	return err < 0 ? err : trial_exchange(t, 2);
}

int case_slots_ring_removed(struct trial *t)
{
	return ring_removed(t, false);
}

int case_slots_ring_kicked(struct trial *t)
{
	return ring_removed(t, true);
}

/* A chain whose buffers are in a region that is not there any more. */
int case_slots_buffers_removed(struct trial *t)
{
	struct setup_chain chain;
	bool gone;
	int err = boot_added(t, ARRAY_SIZE(three));

	if (err == 0)
		err = setup_scatter(t, second, 1, &chain);
	if (err == 0)
		err = take_away(t, 1, &gone);
	if (err < 0)
		return err;
	if (!gone)
		return trial_na(t, "the region cannot be removed");
	err = setup_chain_send(t, &chain);
	if (err == 0)
		err = trial_pass(t, trial_ms(t, 50));
	if (err == 0)
		err = trial_goes_on(t, "a chain in memory that was removed");
	return err;
}
