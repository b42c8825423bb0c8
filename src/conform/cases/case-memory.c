/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Memory tables that are in order: every address is found, whatever the regions look like. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "conform/cases/case-console.h"
#include "conform/cases/case-list.h"
#include "conform/cases/case-setup.h"
#include "conform/target/process.h"

enum { MIB = 1 << 20 };

static const struct vhu_region at_offset[] = {
	{ 0x40000000, 2 * MIB, 0x7f5500000000, 0x101000 },
};

/* What is a guest address in one region is a user address in the other. */
static const struct vhu_region swapped[] = {
	{ 0x40000000, 2 * MIB, 0x80000000, 0x100000 },
	{ 0x80000000, 2 * MIB, 0x40000000, 0x400000 },
};

/* Neighbours for the guest, and nowhere else. */
static const struct vhu_region seam[] = {
	{ 0x40000000, 2 * MIB, 0x7f5500000000, 0x100000 },
	{ 0x40200000, 2 * MIB, 0x7f5600000000, 0x800000 },
};

/* As QEMU's RAM below and above 4 GiB: one block, one file. */
static const struct vhu_region low_and_high[] = {
	{ 0, 2 * MIB, 0x7f5500000000, 0 },
	{ 0x100000000, 2 * MIB, 0x7f5500200000, 2 * MIB },
};

#define EIGHTH(i)                                                                                  \
	{                                                                                          \
		0x40000000 + (i)*0x1000000ULL, MIB, 0x7f5500000000 + (7 - (i)) * 0x100000ULL,      \
			((i) + 1) * 0x100000ULL                                                    \
	}
static const struct vhu_region eight[] = { EIGHTH(0), EIGHTH(1), EIGHTH(2), EIGHTH(3),
					   EIGHTH(4), EIGHTH(5), EIGHTH(6), EIGHTH(7) };

static const unsigned int all_eight[] = { 0, 1, 2, 3, 4, 5, 6, 7 };
static const unsigned int second[] = { 1 };

#define PLAN(r)                                                                                    \
	{                                                                                          \
		.regions = (r), .n_regions = ARRAY_SIZE(r)                                         \
	}

static int boot_and_exchange(struct trial *t, const struct trial_plan *plan)
{
	int err = trial_boot(t, plan);

	return err < 0 ? err : trial_exchange(t, 4);
}

int case_mem_offset(struct trial *t)
{
	static const struct trial_plan plan = PLAN(at_offset);

	return boot_and_exchange(t, &plan);
}

int case_mem_spaces(struct trial *t)
{
	static const struct trial_plan plan = PLAN(swapped);
	int err = boot_and_exchange(t, &plan);

	return err < 0 ? err : setup_exchange_in(t, second, 1);
}

int case_mem_eight(struct trial *t)
{
	static const struct trial_plan plan = PLAN(eight);
	int err = boot_and_exchange(t, &plan);

	/* Each region takes every place in the chain. */
	for (unsigned int first = 0; first < VHU_MAX_REGIONS && err == 0; first++) {
		unsigned int order[VHU_MAX_REGIONS];

		for (unsigned int i = 0; i < VHU_MAX_REGIONS; i++)
			order[i] = (first + i) % VHU_MAX_REGIONS;
		err = setup_exchange_in(t, order, VHU_MAX_REGIONS);
	}
	return err;
}

/* Handshake and memory of ours, for a table that the case sends itself. */
static int prepare_memory(struct trial *t, const struct trial_plan *plan)
{
	int err = trial_handshake(t);

	return err < 0 ? err : trial_make_memory(t, plan);
}

int case_mem_eight_files(struct trial *t)
{
	static const struct trial_plan plan = PLAN(eight);
	struct vhu_mem_table table;
	struct vhu_msg msg;
	struct fdset files;
	int err = prepare_memory(t, &plan);

	fdset_init(&files);
	for (unsigned int i = 0; i < VHU_MAX_REGIONS && err == 0; i++) {
		err = setup_own_file(t, i, i * 0x3000, &files.fd[i]);
		if (err == 0)
			files.n_fds = i + 1;
	}
	if (err == 0) {
		setup_table_msg(t, &msg, &table);
		memcpy(msg.fds.fd, files.fd, sizeof(files.fd));
		err = trial_request(t, &msg, NULL);
	}
	fdset_close(&files);
	if (err == 0)
		err = trial_run(t, NULL);
	if (err == 0)
		err = trial_exchange(t, 2);
	return err < 0 ? err : setup_exchange_in(t, all_eight, VHU_MAX_REGIONS);
}

/* A single buffer whose first half ends one region, and whose second begins the next. */
static void put_on_seam(struct setup_chain *chain)
{
	struct driverq_buf *b = &chain->bufs[0];

	b->addr = seam[1].guest_addr - (b->len + 1) / 2;
}

static int is_whole_or_refused(struct trial *t, struct setup_chain *chain, uint16_t used)
{
	unsigned int ring = trial_ring(t);
	int err;

	if (setup_used_moves(t, ring, used, trial_ms(t, TRIAL_QUIET_MS))) {
		uint32_t id, len;

		trial_used_entry(t, ring, used, &id, &len);
		if (len > 0 || chain->n_in == 0)
			return setup_chain_answered(t, chain);
	}
	err = trial_goes_on(t, "a buffer across two regions");
	if (err < 0 || t->closed)
		return err;
	trial_remark(t, "a buffer across two regions that are neighbours is refused");
	err = trial_restart_ring(t, ring);
	return err < 0 ? err : trial_exchange(t, 1);
}

int case_mem_seam(struct trial *t)
{
	static const struct trial_plan plan = PLAN(seam);
	static const unsigned int first[] = { 0 };
	struct setup_chain chain;
	uint16_t used;
	int err = boot_and_exchange(t, &plan);

	if (err == 0)
		err = setup_scatter(t, first, 1, &chain);
	if (err < 0)
		return err;
	if (chain.bufs[0].len < 2)
		return trial_na(t, "the device's requests are too short to be cut");
	put_on_seam(&chain);
	used = t->fe.rings[trial_ring(t)].q.last_used;
	err = setup_chain_send(t, &chain);
	return err < 0 ? err : is_whole_or_refused(t, &chain, used);
}

/* What a console's host sees is what lies on both sides of the seam. */
int case_mem_seam_bytes(struct trial *t)
{
	static const struct trial_plan plan = PLAN(seam);
	static const unsigned int first[] = { 0 };
	struct setup_chain chain;
	uint16_t used;
	int err = con_start(t, &plan);

	if (err == 0)
		err = con_join_port(t, 0);
	if (err == -ENOENT)
		return trial_na(t, "--peer has no address of port 0");
	if (err == 0)
		err = setup_scatter(t, first, 1, &chain);
	if (err < 0)
		return err;
	put_on_seam(&chain);
	used = t->fe.rings[trial_ring(t)].q.last_used;
	err = setup_chain_send(t, &chain);
	if (err == 0 && setup_used_moves(t, trial_ring(t), used, trial_ms(t, TRIAL_QUIET_MS)))
		return con_peer_expect(t, chain.q.r.out, chain.q.r.out_len,
				       "output across two regions");
	return err < 0 ? err : trial_goes_on(t, "a buffer across two regions");
}

int case_mem_one_file(struct trial *t)
{
	static const struct trial_plan plan = PLAN(low_and_high);
	int err = boot_and_exchange(t, &plan);

	for (unsigned int i = 0; i < 4 && err == 0; i++)
		err = setup_exchange_in(t, second, 1);
	return err;
}

/* A table that may be refused; if it is not, it works. */
static int works_or_refused(struct trial *t, const struct vhu_region *region, const char *what)
{
	const struct trial_plan plan = { .regions = region, .n_regions = 1 };
	struct vhu_mem_table table;
	struct vhu_msg msg;
	bool accepted;
	int err = prepare_memory(t, &plan);

	if (err < 0)
		return err;
	setup_table_msg(t, &msg, &table);
	err = trial_survives(t, &msg, &accepted, "SET_MEM_TABLE with %s", what);
	if (err < 0)
		return err;
	if (t->closed || ((msg.flags & VHU_FLAG_NEED_REPLY) && !accepted))
		return trial_remark(t, "%s is refused", what);
	err = trial_run(t, NULL);
	return err < 0 ? err : trial_exchange(t, 4);
}

int case_mem_odd_size(struct trial *t)
{
	static const struct vhu_region odd = { 0x40000000, 2 * MIB - 0x800, 0x7f5500000000,
					       0x100000 };

	return works_or_refused(t, &odd, "a size that is no multiple of a page");
}

int case_mem_odd_offset(struct trial *t)
{
	static const struct vhu_region odd = { 0x40000800, 2 * MIB - 0x800, 0x7f5500000800,
					       0x100800 };

	return works_or_refused(t, &odd, "an offset that is no multiple of a page");
}

/* Addresses as with GPA_ADDRESSES: there is only the guest's address space. */
int case_mem_guest_addresses(struct trial *t)
{
	static const struct vhu_region flat = { 0x40000000, 2 * MIB, 0x40000000, 0x100000 };
	static const struct trial_plan plan = {
		.regions = &flat,
		.n_regions = 1,
		.with_protocol = BIT(VHU_PF_GPA_ADDRESSES_BIT),
	};

	return boot_and_exchange(t, &plan);
}

/* While rings run. */

int case_mem_again(struct trial *t)
{
	int fd, err = boot_and_exchange(t, NULL);

	for (unsigned int i = 0; i < 8 && err == 0; i++) {
		fd = dup(t->fe.mem_fd);
		if (fd < 0)
			return trial_error(t, "a duplicate of a descriptor");
		fd_close(t->fe.mem_fd);
		t->fe.mem_fd = fd;
		err = trial_send_memory(t);
		if (err == 0)
			err = trial_exchange(t, 2);
	}
	return err;
}

int case_mem_moved(struct trial *t)
{
	int fd, err = boot_and_exchange(t, NULL);

	if (err == 0)
		err = trial_ping(t);
	if (err == 0)
		err = setup_own_file(t, 0, 0x40000, &fd);
	if (err < 0)
		return err;
	fd_close(t->fe.mem_fd);
	t->fe.mem_fd = fd;
	err = trial_send_memory(t);
	return err < 0 ? err : trial_exchange(t, 4);
}

int case_mem_plugged(struct trial *t)
{
	static const struct trial_plan plan = PLAN(swapped);
	int err = prepare_memory(t, &plan);

	if (err < 0)
		return err;
	t->fe.n_regions = 1;
	err = trial_send_memory(t);
	if (err == 0)
		err = trial_run(t, NULL);
	if (err == 0)
		err = trial_exchange(t, 2);
	t->fe.n_regions = ARRAY_SIZE(swapped);
	if (err == 0)
		err = trial_send_memory(t);
	return err < 0 ? err : setup_exchange_in(t, second, 1);
}

/* Process, as /proc shows it. */

/* Unmapping may be put off: it has until the deadline. */
static int await_maps(struct trial *t, int fd, int most, int *ret_n)
{
	for (int ms = 0;; ms += 20) {
		*ret_n = process_n_maps_of(t->target->pid, fd, NULL, 0);
		if (*ret_n < 0)
			return trial_na(t, "the mappings of process %d cannot be seen",
					(int)t->target->pid);
		if (*ret_n <= most || ms >= trial_ms(t, TRIAL_ANSWER_MS))
			return 0;
		if (trial_pass(t, 20) < 0)
			return -EIO;
	}
}

static int mapped_before(struct trial *t, int *ret_n)
{
	*ret_n = process_n_maps_of(t->target->pid, t->fe.mem_fd, NULL, 0);
	if (*ret_n <= 0)
		return trial_na(t, "process %d has no mapping of the memory that can be seen",
				(int)t->target->pid);
	return 0;
}

int case_mem_replaced(struct trial *t)
{
	int before, after, err = boot_and_exchange(t, NULL);

	if (err == 0)
		err = mapped_before(t, &before);
	for (unsigned int i = 0; i < 100 && err == 0; i++)
		err = trial_send_memory(t);
	if (err == 0)
		err = await_maps(t, t->fe.mem_fd, before, &after);
	if (err == 0 && after > before)
		err = trial_fail(t,
				 "after 100 tables: expected %d mappings of the memory as before, "
				 "but there are %d",
				 before, after);
	return err < 0 ? err : trial_exchange(t, 1);
}

int case_mem_old_file(struct trial *t)
{
	int before, after, fd = -1, old, err = boot_and_exchange(t, NULL);

	if (err == 0)
		err = mapped_before(t, &before);
	if (err == 0)
		err = setup_own_file(t, 0, 0x40000, &fd);
	if (err < 0)
		return err;
	old = t->fe.mem_fd;
	t->fe.mem_fd = fd;
	err = trial_send_memory(t);
	if (err == 0)
		err = await_maps(t, old, 0, &after);
	if (err == 0 && after > 0)
		err = trial_fail(t,
				 "after a table with another file: expected the old one to be "
				 "unmapped, but %d mappings are left",
				 after);
	fd_close(old);
	return err < 0 ? err : trial_exchange(t, 1);
}

int case_mem_no_dump(struct trial *t)
{
	char flags[256] = "";
	int n, err = boot_and_exchange(t, NULL);

	if (err == 0)
		err = mapped_before(t, &n);
	if (err < 0)
		return err;
	if (process_n_maps_of(t->target->pid, t->fe.mem_fd, flags, sizeof(flags)) <= 0 || !flags[0])
		return trial_na(t, "the flags of a mapping cannot be seen");
	if (!strstr(flags, " dd"))
		return trial_fail(t,
				  "expected guest memory to be left out of core dumps (dd), but "
				  "the mapping's flags are%s",
				  flags);
	return 0;
}
