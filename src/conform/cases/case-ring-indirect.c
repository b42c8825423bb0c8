/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Indirect tables as a driver may use them. */
#include <string.h>

#include "conform/cases/case-list.h"
#include "conform/cases/case-ring-steps.h"

/* Refers to n entries of the table from descriptor head, and expects the answer. */
static int refer(struct hand_indirect *x, uint16_t head, unsigned int n, uint16_t flags)
{
	trial_desc(x->h.t, x->h.idx, head, x->addr, n * VRING_DESC_BYTES,
		   VRING_DESC_F_INDIRECT | flags, 0);
	return hand_finish(&x->h, head);
}

int case_ring_indirect_plain(struct trial *t)
{
	AUTO_INDIRECT x = { .table = NULL };
	int err = hand_indirect_boot(t, NULL, 4, &x);

	for (uint16_t head = 0; head < TRIAL_RING && err == 0; head += 21) {
		hand_table(x.table, &x.pieces, NULL);
		err = refer(&x, head, x.pieces.n, 0);
		if (err == 0)
			err = hand_make(&x.h, 0, 4, &x.pieces);
	}
	return err;
}

int case_ring_indirect_write(struct trial *t)
{
	AUTO_INDIRECT x = { .table = NULL };
	int err = hand_indirect_boot(t, NULL, 4, &x);

	if (err < 0)
		return err;
	hand_table(x.table, &x.pieces, NULL);
	return refer(&x, 0, x.pieces.n, VRING_DESC_F_WRITE);
}

/* The first pieces in the ring, the others in the table behind them. */
int case_ring_indirect_mixed(struct trial *t)
{
	AUTO_INDIRECT x = { .table = NULL };
	struct hand_cut rest;
	int err = hand_indirect_boot(t, NULL, 7, &x);

	if (err < 0)
		return err;
	if (x.pieces.n != 7)
		return trial_na(t, "a request of this device cannot be cut into 7");
	rest = x.pieces;
	rest.n -= 3;
	rest.n_out = rest.n_out > 3 ? rest.n_out - 3 : 0;
	memmove(rest.bufs, rest.bufs + 3, rest.n * sizeof(rest.bufs[0]));
	hand_table(x.table, &rest, NULL);
	hand_link(&x.h, &x.pieces, 0, 3, 10);
	trial_desc(t, x.h.idx, 13, x.addr, rest.n * VRING_DESC_BYTES, VRING_DESC_F_INDIRECT, 0);
	return hand_finish(&x.h, 10);
}

/* Many entries, few of them in the chain; the others are not to be looked at. */
int case_ring_indirect_large(struct trial *t)
{
	const struct trial_plan plan = { .ring_size = 8 };
	AUTO_INDIRECT x = { .table = NULL };
	int err = hand_indirect_boot(t, &plan, 3, &x);

	if (err < 0)
		return err;
	for (unsigned int i = 0; i < 32; i++)
		trial_table_desc(x.table, i, UINT64_MAX - 7, UINT32_MAX, 0xffff, 0xffff);
	hand_table(x.table, &x.pieces, NULL);
	return refer(&x, 5, 32, 0);
}

int case_ring_indirect_order(struct trial *t)
{
	static const uint16_t order[] = { 0, 5, 2 };
	AUTO_INDIRECT x = { .table = NULL };
	int err = hand_indirect_boot(t, NULL, 3, &x);

	if (err < 0)
		return err;
	for (unsigned int i = 0; i < 6; i++)
		trial_table_desc(x.table, i, UINT64_MAX - 7, UINT32_MAX, 0xffff, 0xffff);
	hand_table(x.table, &x.pieces, order);
	return refer(&x, 3, 6, 0);
}

int case_ring_indirect_kept(struct trial *t)
{
	uint64_t before[2 * TABLE_MAX];
	AUTO_INDIRECT x = { .table = NULL };
	int err = hand_indirect_boot(t, NULL, 6, &x);

	if (err < 0)
		return err;
	for (unsigned int i = 0; i < TABLE_MAX; i++)
		trial_table_desc(x.table, i, 0x1111u * i, i, VRING_DESC_F_WRITE, 9);
	hand_table(x.table, &x.pieces, NULL);
	memcpy(before, x.table, sizeof(before));
	err = refer(&x, 0, x.pieces.n, 0);
	if (err == 0 && memcmp(before, x.table, sizeof(before)) != 0)
		err = trial_fail(t, "expected the indirect table to stay as the driver wrote it, "
				    "but it has changed");
	return err;
}

/* The table in the last bytes of a region. */
int case_ring_indirect_end(struct trial *t)
{
	AUTO_INDIRECT x = { .table = NULL };
	const struct vhu_frontend_region *r = &t->fe.regions[0];
	int err = hand_indirect_boot(t, NULL, 4, &x);
	size_t at;

	if (err < 0)
		return err;
	at = r->wire.size - x.pieces.n * VRING_DESC_BYTES;
	if (at < r->n_taken)
		return trial_error(t, "the end of guest memory is in use");
	x.addr = r->wire.guest_addr + at;
	hand_table(r->host + at, &x.pieces, NULL);
	return refer(&x, 0, x.pieces.n, 0);
}

/* Two regions that are neighbours for the guest, and the table across their border. */
int case_ring_indirect_across(struct trial *t)
{
	static const struct vhu_region regions[] = {
		{ .guest_addr = 0x40000000,
		  .size = 2 << 20,
		  .user_addr = 0x7f5500000000,
		  .mmap_offset = 0 },
		{ .guest_addr = 0x40200000,
		  .size = 2 << 20,
		  .user_addr = 0x7f6600000000,
		  .mmap_offset = 4 << 20 },
	};
	const struct trial_plan plan = {
		.regions = regions,
		.n_regions = ARRAY_SIZE(regions),
	};
	AUTO_INDIRECT x = { .table = NULL };
	const struct vhu_frontend_region *r = t->fe.regions;
	uint64_t halves[2 * 4];
	int err = hand_indirect_boot(t, &plan, 4, &x);
	size_t first = 2 * (size_t)VRING_DESC_BYTES;

	if (err < 0)
		return err;
	if (r[0].n_taken > r[0].wire.size - first || r[1].n_taken > 0)
		return trial_error(t, "guest memory around the border is in use");
	hand_table(halves, &x.pieces, NULL);
	memcpy(r[0].host + r[0].wire.size - first, halves, first);
	memcpy(r[1].host, halves + 4, sizeof(halves) - first);
	x.addr = r[1].wire.guest_addr - first;
	return refer(&x, 0, x.pieces.n, 0);
}
