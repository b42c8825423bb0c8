/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Memory tables that are not in order, and memory that is not what it was said to be. */
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conform/cases/case-list.h"
#include "conform/cases/case-setup.h"

enum { PAGE = 4096, MIB = 1 << 20 };

static const struct vhu_region two[] = {
	{ 0x40000000, 2 * MIB, 0x7f5500000000, 0x100000 },
	{ 0x80000000, 2 * MIB, 0x7f5600000000, 0x400000 },
};
static const struct trial_plan of_two = { .regions = two, .n_regions = ARRAY_SIZE(two) };

static const unsigned int second[] = { 1 };

static int boot(struct trial *t)
{
	int err = trial_boot(t, &of_two);

	return err < 0 || !t->device ? err : trial_exchange(t, 2);
}

/* After a refusal either table may be in force: the good one and a new start make all well. */
static int good_again(struct trial *t)
{
	int err;

	if (t->closed)
		return 0;
	err = trial_send_memory(t);
	if (err < 0 || !t->device)
		return err;
	err = setup_restart_all(t);
	return err < 0 ? err : trial_exchange(t, 2);
}

/* Sends the table with region 1 replaced. */
static int refused_with(struct trial *t, struct vhu_region bad, const char *what)
{
	struct vhu_mem_table table;
	struct vhu_msg msg;
	int err;

	setup_table_msg(t, &msg, &table);
	table.regions[1] = bad;
	memcpy(msg.payload, &table, msg.size);
	err = trial_refused(t, &msg, "SET_MEM_TABLE with %s", what);
	return err < 0 ? err : good_again(t);
}

static int region_refused(struct trial *t, struct vhu_region bad, const char *what)
{
	int err = boot(t);

	return err < 0 ? err : refused_with(t, bad, what);
}

/* The second of two regions, with one member changed. */
#define REGION_REFUSED(name, member, value, what)                                                  \
	int case_mem_##name(struct trial *t)                                                       \
	{                                                                                          \
		struct vhu_region bad = two[1];                                                    \
                                                                                                   \
		bad.member = value;                                                                \
		return region_refused(t, bad, what);                                               \
	}

REGION_REFUSED(empty_region, size, 0, "a region of no bytes")
REGION_REFUSED(guest_wraps, guest_addr, UINT64_MAX - PAGE + 1,
	       "a region that goes past the last guest address")
REGION_REFUSED(user_wraps, user_addr, UINT64_MAX - PAGE + 1,
	       "a region that goes past the last user address")
REGION_REFUSED(offset_wraps, mmap_offset, UINT64_MAX - PAGE + 1,
	       "a region whose offset and size wrap")
REGION_REFUSED(guest_overlap, guest_addr, two[0].guest_addr + MIB,
	       "two regions that share guest addresses")
REGION_REFUSED(user_overlap, user_addr, two[0].user_addr + MIB,
	       "two regions that share user addresses")

/* How many regions. */

int case_mem_no_regions(struct trial *t)
{
	static const struct vhu_mem_table none;
	struct vhu_msg msg;
	bool accepted;
	int err = boot(t);

	if (err < 0)
		return err;
	trial_msg(t, &msg, VHU_FE_SET_MEM_TABLE);
	vhu_msg_put(&msg, &none, offsetof(struct vhu_mem_table, regions));
	err = trial_survives(t, &msg, &accepted, "SET_MEM_TABLE of no regions");
	if (err == 0 && accepted)
		trial_remark(t, "a table of no regions is accepted");
	return err < 0 ? err : good_again(t);
}

static void fill_table(struct trial *t, struct vhu_msg *msg, uint32_t claimed, unsigned int n,
		       unsigned int n_fds)
{
	uint32_t head[2] = { claimed, 0 };

	trial_msg(t, msg, VHU_FE_SET_MEM_TABLE);
	memcpy(msg->payload, head, sizeof(head));
	msg->size = sizeof(head);
	for (unsigned int i = 0; i < n; i++) {
		const struct vhu_region r = { 0x40000000 + i * 0x1000000ULL, PAGE,
					      0x7f5500000000 + i * 0x1000000ULL, i * PAGE };

		memcpy(msg->payload + msg->size, &r, sizeof(r));
		msg->size += (uint32_t)sizeof(r);
	}
	while (msg->fds.n_fds < n_fds)
		msg->fds.fd[msg->fds.n_fds++] = t->fe.mem_fd;
}

int case_mem_nine_regions(struct trial *t)
{
	struct vhu_msg msg;
	int err = boot(t);

	if (err < 0)
		return err;
	fill_table(t, &msg, VHU_MAX_REGIONS + 1, VHU_MAX_REGIONS + 1, VHU_MAX_REGIONS);
	err = trial_refused(t, &msg, "SET_MEM_TABLE of 9 regions with 8 descriptors");
	return err < 0 ? err : good_again(t);
}

int case_mem_count_lies(struct trial *t)
{
	static const uint32_t counts[] = { 3, 0xffff, 0x08000001, UINT32_MAX };
	struct vhu_msg msg;
	int err = boot(t);

	for (size_t i = 0; i < ARRAY_SIZE(counts) && err == 0 && !t->closed; i++) {
		fill_table(t, &msg, counts[i], 2, 2);
		err = trial_refused(t, &msg,
				    "SET_MEM_TABLE that claims %u regions and has two of them",
				    counts[i]);
	}
	return err < 0 ? err : good_again(t);
}

/* Tables that fail half-way, and tables without the rings. */

/* The ring was without memory: it goes on, or at least when it is set up again. */
static int goes_on(struct trial *t, struct trial_request *request, uint16_t used, const char *after)
{
	unsigned int ring = trial_ring(t);
	int err = trial_send_memory(t);

	if (err == 0)
		err = trial_kick(t, ring);
	if (err < 0)
		return err;
	if (setup_used_moves(t, ring, used, trial_ms(t, TRIAL_ANSWER_MS))) {
		err = trial_answered(t, request);
		return err < 0 ? err : trial_exchange(t, 2);
	}
	err = setup_restart_all(t);
	if (err == 0)
		err = trial_exchange(t, 2);
	if (err == 0)
		err = trial_warn(t,
				 "%s, and the good table again: expected the ring to go on, but it "
				 "does so only when it is set up again",
				 after);
	return err;
}

/* Another table, whose second region is a socket. */
static int send_half(struct trial *t)
{
	AUTO_FD int bad = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct vhu_mem_table table;
	struct vhu_msg msg;

	setup_table_msg(t, &msg, &table);
	table.regions[1].guest_addr += 64 * MIB;
	table.regions[1].user_addr += 64 * MIB;
	memcpy(msg.payload, &table, msg.size);
	msg.fds.fd[1] = bad;
	return trial_refused(t, &msg, "SET_MEM_TABLE with a socket for the second region");
}

int case_mem_half(struct trial *t)
{
	unsigned int ring = trial_ring(t);
	struct trial_request request;
	uint16_t used;
	int err = boot(t);

	if (err == 0)
		err = send_half(t);
	if (err < 0 || t->closed)
		return err;
	used = t->fe.rings[ring].q.last_used;
	err = trial_offer(t, NULL, &request);
	if (err == 0)
		err = trial_publish(t);
	if (err < 0)
		return err;
	if (!setup_used_moves(t, ring, used, trial_ms(t, TRIAL_QUIET_MS))) {
		trial_remark(t, "after a table that failed no table is in force");
		return goes_on(t, &request, used, "a table that failed");
	}
	err = trial_answered(t, &request);
	return err < 0 ? err : setup_exchange_in(t, second, 1);
}

static int send_only_second(struct trial *t, bool *ret_accepted)
{
	struct vhu_mem_table table = { .n_regions = 1, .regions = { two[1] } };
	struct vhu_msg msg;
	int err;

	trial_msg(t, &msg, VHU_FE_SET_MEM_TABLE);
	vhu_msg_put(&msg, &table,
		    offsetof(struct vhu_mem_table, regions) + sizeof(table.regions[0]));
	msg.fds.fd[msg.fds.n_fds++] = t->fe.mem_fd;
	if (vhu_frontend_has_protocol(&t->fe, VHU_PF_REPLY_ACK_BIT))
		msg.flags |= VHU_FLAG_NEED_REPLY;
	err = trial_survives(t, &msg, ret_accepted, "SET_MEM_TABLE without the running ring");
	if (!(msg.flags & VHU_FLAG_NEED_REPLY))
		*ret_accepted = !t->closed;
	return err;
}

int case_mem_ring_left_out(struct trial *t)
{
	unsigned int ring = trial_ring(t);
	struct trial_request request;
	bool accepted;
	uint16_t used;
	int err = boot(t);

	if (err == 0)
		err = send_only_second(t, &accepted);
	if (err < 0)
		return err;
	if (t->closed || !accepted) {
		trial_remark(t, "a table without a running ring is refused");
		return good_again(t);
	}
	used = t->fe.rings[ring].q.last_used;
	err = trial_offer(t, NULL, &request);
	setup_publish_unkicked(t);
	if (err == 0)
		err = trial_kick(t, ring);
	if (err == 0 && setup_used_moves(t, ring, used, trial_ms(t, TRIAL_QUIET_MS)))
		err = trial_fail(t, "a table without the ring: expected the ring to rest, but its "
				    "used index moved");
	if (err == 0)
		err = trial_goes_on(t, "a kick of a ring outside the table");
	if (err < 0 || t->closed)
		return err;
	return goes_on(t, &request, used, "a table without the ring");
}

/* Files that are shorter than they should be. */

/* Whatever happens to this session: there is another one afterwards, by the same process. */
static int is_well(struct trial *t)
{
	int err;

	if (!t->closed)
		err = trial_goes_on(t, "memory that is not there");
	else
		err = 0;
	if (err < 0 || !t->target->info.persistent)
		return err;
	err = trial_reconnect(t);
	return err < 0 ? err : trial_handshake(t);
}

/* A ring's messages, for as long as the connection lasts. */
static int start_in_vain(struct trial *t, unsigned int idx)
{
	const struct vhu_frontend_ring *r = &t->fe.rings[idx];
	int err = vhu_frontend_vring(&t->fe, VHU_FE_SET_VRING_NUM, idx, r->size, false);

	if (err == 0)
		err = vhu_frontend_vring(&t->fe, VHU_FE_SET_VRING_BASE, idx, 0, false);
	if (err == 0)
		err = vhu_frontend_vring_addr(&t->fe, idx, 0, 0, false);
	if (err == 0)
		err = vhu_frontend_vring_fd(&t->fe, VHU_FE_SET_VRING_CALL, idx, r->call_peer,
					    false);
	if (err == 0)
		err = vhu_frontend_vring_fd(&t->fe, VHU_FE_SET_VRING_KICK, idx, r->kick_fd, false);
	if (err == 0 && vhu_nego_has_feature(&t->fe.nego, VHU_F_PROTOCOL_FEATURES_BIT))
		err = vhu_frontend_vring(&t->fe, VHU_FE_SET_VRING_ENABLE, idx, 1, false);
	if (err == 0 && vhu_frontend_has_protocol(&t->fe, VHU_PF_STATUS_BIT))
		err = vhu_frontend_set_u64(&t->fe, VHU_FE_SET_STATUS, 0x0f, false);
	if (err == -ECONNRESET)
		t->closed = true;
	return t->closed ? 0 : trial_step(t, err, "setting up a ring in memory that is not there");
}

int case_mem_short_file(struct trial *t)
{
	AUTO_FD int shorter = memfd_create("short", MFD_CLOEXEC);
	unsigned int ring = trial_ring(t);
	struct vhu_mem_table table;
	struct vhu_msg msg;
	int err;

	if (shorter < 0 || ftruncate(shorter, PAGE) < 0)
		return trial_error(t, "a file for memory: %s", strerror(errno));
	err = trial_handshake(t);
	if (err == 0)
		err = trial_make_memory(t, NULL);
	if (err < 0)
		return err;
	setup_table_msg(t, &msg, &table);
	msg.fds.fd[0] = shorter;
	err = trial_survives(t, &msg, NULL, "SET_MEM_TABLE with a file of one page");
	if (err == 0 && !t->closed)
		err = start_in_vain(t, ring);
	if (err == 0 && !t->closed) {
		vring_set_avail_idx(trial_vring(t, ring), 1);
		err = trial_kick(t, ring);
	}
	return err < 0 ? err : is_well(t);
}

/*
 * Our own mapping must not lose its pages: other memory takes its place, whose
 * contents do not matter any more.
 */
static int truncate_memory(struct trial *t)
{
	void *map = mmap(t->fe.mem_map, t->fe.mem_len, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

	if (map == MAP_FAILED || ftruncate(t->fe.mem_fd, 0) < 0)
		return trial_error(t, "memory truncated: %s", strerror(errno));
	return 0;
}

int case_mem_truncated(struct trial *t)
{
	int err;

	t->fe.seal_memory = false;
	err = boot(t);
	if (err == 0)
		err = truncate_memory(t);
	if (err == 0)
		err = trial_kick(t, trial_ring(t));
	if (err == 0)
		err = trial_pass(t, trial_ms(t, 50));
	return err < 0 ? err : is_well(t);
}
