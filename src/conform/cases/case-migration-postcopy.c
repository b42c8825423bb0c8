/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Memory that comes late (vhost-user "Postcopy support"). */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "conform/cases/case-list.h"
#include "conform/cases/case-migration.h"
#include "conform/trial/trial-ring.h"

enum { PAGE = 4096 };

static uint64_t protocol(const struct trial *t)
{
	/* Regions one by one and postcopy exclude each other. */
	return (trial_protocol(t) | BIT(VHU_PF_PAGEFAULT_BIT)) &
	       ~BIT(VHU_PF_CONFIGURE_MEM_SLOTS_BIT);
}

/* POSTCOPY_ADVISE; the descriptor is the caller's. */
static int advise(struct trial *t, int *ret_fd)
{
	struct vhu_msg msg, reply;
	bool closed;
	int err;

	vhu_msg_init(&msg, VHU_FE, VHU_FE_POSTCOPY_ADVISE);
	err = migration_ask(t, &msg, &reply, &closed);
	if (err < 0)
		return err;
	if (closed)
		return trial_fail(t, "POSTCOPY_ADVISE: expected a descriptor, but the connection "
				     "was closed");
	if (reply.size == 0 && reply.fds.n_fds == 1) {
		*ret_fd = fdset_take(&reply.fds, 0);
		return 0;
	}
	fdset_close(&reply.fds);
	return trial_fail(t,
			  "POSTCOPY_ADVISE: expected no bytes and one descriptor, but %u bytes and "
			  "%u came",
			  reply.size, reply.fds.n_fds);
}

/* A request that is answered by a number, whether that was asked for or not. */
static int ask_number(struct trial *t, enum vhu_fe_id id, uint64_t *ret_value, bool *ret_closed)
{
	struct vhu_msg msg, reply;
	int err;

	vhu_msg_init(&msg, VHU_FE, id);
	msg.flags |= VHU_FLAG_NEED_REPLY; /* as QEMU, whatever was agreed on */
	err = migration_ask(t, &msg, &reply, ret_closed);
	if (err < 0 || *ret_closed)
		return err;
	*ret_value = vhu_msg_u64(&reply);
	fdset_close(&reply.fds);
	if (reply.size == sizeof(*ret_value))
		return 0;
	return trial_fail(t, "%s: expected 8 bytes, but %u came", vhu_msg_name(VHU_FE, id),
			  reply.size);
}

static int expect_zero(struct trial *t, enum vhu_fe_id id)
{
	uint64_t value = 0;
	bool closed = false;
	int err = ask_number(t, id, &value, &closed);

	if (err < 0 || (!closed && value == 0))
		return err;
	return trial_fail(t, "%s: expected success, but %s", vhu_msg_name(VHU_FE, id),
			  closed ? "the connection was closed" : "it failed");
}

int case_postcopy_advised(struct trial *t)
{
	char link[64] = "", path[32];
	AUTO_FD int fd = -1;
	int err = trial_handshake_with(t, trial_features(t), protocol(t));

	if (err == 0)
		err = advise(t, &fd);
	if (err < 0)
		return err;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (readlink(path, link, sizeof(link) - 1) < 0)
		return trial_error(t, "what the descriptor is: %s", strerror(errno));
	if (strcmp(link, "anon_inode:[userfaultfd]") == 0)
		return 0;
	return trial_fail(t, "POSTCOPY_ADVISE: expected a userfaultfd, but it is %s", link);
}

/* The table of fe's regions, and the back-end's of the same: its addresses are in place of ours. */
static int judge_table(struct trial *t, const struct vhu_msg *msg, const struct vhu_msg *reply)
{
	struct vhu_mem_table ours, theirs;

	vhu_msg_get(msg, &ours, sizeof(ours));
	vhu_msg_get(reply, &theirs, sizeof(theirs));
	if (reply->size != msg->size || theirs.n_regions != ours.n_regions)
		return trial_fail(t,
				  "SET_MEM_TABLE after LISTEN: expected a table of the same %u "
				  "bytes, but %u came",
				  msg->size, reply->size);
	for (unsigned int i = 0; i < ours.n_regions; i++) {
		const struct vhu_region *a = &ours.regions[i], *b = &theirs.regions[i];

		if (a->guest_addr != b->guest_addr || a->size != b->size)
			return trial_fail(t,
					  "SET_MEM_TABLE after LISTEN: expected region %u to be "
					  "repeated, but it is another",
					  i);
		if (b->user_addr == 0 || b->user_addr % 4096)
			return trial_fail(t,
					  "SET_MEM_TABLE after LISTEN: expected the address where "
					  "region %u is mapped, but it is %#llx",
					  i, (unsigned long long)b->user_addr);
	}
	return 0;
}

static void table_message(const struct trial *t, struct vhu_msg *ret_msg)
{
	struct vhu_mem_table table = { .n_regions = t->fe.n_regions };

	vhu_msg_init(ret_msg, VHU_FE, VHU_FE_SET_MEM_TABLE);
	for (unsigned int i = 0; i < t->fe.n_regions; i++) {
		table.regions[i] = t->fe.regions[i].wire;
		ret_msg->fds.fd[ret_msg->fds.n_fds++] = t->fe.mem_fd;
	}
	vhu_msg_put(ret_msg, &table,
		    offsetof(struct vhu_mem_table, regions) +
			    t->fe.n_regions * sizeof(table.regions[0]));
}

/* The acknowledgement by which the front-end lets the back-end go on: as QEMU sends it. */
static int let_go_on(struct trial *t)
{
	struct vhu_msg msg;

	vhu_msg_init(&msg, VHU_FE, VHU_FE_SET_MEM_TABLE);
	vhu_msg_put_u64(&msg, 0);
	return trial_step(t, vhu_frontend_send_unchecked(&t->fe, &msg),
			  "the acknowledgement of the table");
}

static int listening(struct trial *t, int *ret_fd)
{
	struct vhu_msg msg, reply;
	bool closed = false;
	int err = migration_begin(t, trial_features(t), protocol(t));

	if (err == 0)
		err = advise(t, ret_fd);
	if (err == 0)
		err = expect_zero(t, VHU_FE_POSTCOPY_LISTEN);
	if (err < 0)
		return err;
	table_message(t, &msg);
	err = migration_ask(t, &msg, &reply, &closed);
	if (err < 0)
		return err;
	if (closed)
		return trial_fail(t, "SET_MEM_TABLE after LISTEN: expected a table, but the "
				     "connection was closed");
	err = judge_table(t, &msg, &reply);
	fdset_close(&reply.fds);
	return err;
}

int case_postcopy_table(struct trial *t)
{
	AUTO_FD int fd = -1;
	int err = listening(t, &fd);

	if (err == 0)
		err = let_go_on(t);
	return err < 0 ? err : trial_ping(t);
}

/* A request in a page of which the file has nothing: whoever is still told of faults would wait. */
static int answered_from_a_hole(struct trial *t)
{
	const struct vhu_region *r = &t->fe.regions[0].wire;
	uint16_t used = trial_used_idx(t, trial_ring(t));
	struct trial_request request;
	uint64_t addr;
	int err = trial_offer(t, NULL, &request);

	if (err < 0)
		return err;
	addr = (request.r.out_len > 0 ? request.out_addr : request.in_addr) - r->guest_addr;
	if (fallocate(t->fe.mem_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		      (off_t)((r->mmap_offset + addr) / PAGE * PAGE), PAGE) < 0)
		return trial_error(t, "a hole in guest memory: %s", strerror(errno));
	err = trial_publish(t);
	return err < 0 ? err : trial_await_used_idx(t, trial_ring(t), (uint16_t)(used + 1));
}

int case_postcopy_ended(struct trial *t)
{
	AUTO_FD int fd = -1;
	int err = listening(t, &fd);

	if (err == 0)
		err = let_go_on(t);
	if (err == 0)
		err = expect_zero(t, VHU_FE_POSTCOPY_END);
	/* Nobody answers faults from here on: memory is there, or the back-end would hang. */
	fd = fd_close(fd);
	if (err == 0)
		err = trial_run(t, NULL);
	if (err == 0 && t->device)
		err = trial_exchange(t, 1);
	return err < 0 || !t->device ? err : answered_from_a_hole(t);
}

int case_postcopy_unadvised(struct trial *t)
{
	uint64_t value = 0;
	bool closed = false;
	int err = trial_handshake_with(t, trial_features(t), protocol(t));

	if (err == 0)
		err = ask_number(t, VHU_FE_POSTCOPY_LISTEN, &value, &closed);
	if (err < 0)
		return err;
	if (!closed && value == 0)
		return trial_fail(t, "POSTCOPY_LISTEN without ADVISE: expected a refusal, but it "
				     "succeeded");
	return trial_refresh(t);
}
