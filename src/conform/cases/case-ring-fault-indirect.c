/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Indirect tables that break the rules. */
#include "conform/cases/case-list.h"
#include "conform/cases/case-ring-fault.h"
#include "conform/target/process.h"

enum { MOST_MEMORY = 256 << 20 };

/* A request in a table of its own, which a case spoils before descriptor 0 refers to it. */
static int boot_with_table(struct trial *t, uint64_t without, struct hand_indirect *ret_b)
{
	const struct trial_plan plan = { .without_features = without };
	int err = hand_indirect_boot(t, &plan, 3, ret_b);

	if (err == 0)
		hand_table(ret_b->table, &ret_b->pieces, NULL);
	return err;
}

static int refer(struct hand_indirect *b, uint64_t addr, uint32_t len, uint16_t flags,
		 const char *what)
{
	trial_desc(b->h.t, b->h.idx, 0, addr, len, VRING_DESC_F_INDIRECT | flags, 1);
	return fault_show(&b->h, 0, what);
}

static uint32_t table_len(const struct hand_indirect *b)
{
	return b->pieces.n * VRING_DESC_BYTES;
}

int case_fault_indirect_unasked(struct trial *t)
{
	AUTO_INDIRECT b = { .table = NULL };
	int err = boot_with_table(t, RING_INDIRECT, &b);

	if (err < 0)
		return err;
	trial_desc(t, b.h.idx, 0, b.addr, table_len(&b), VRING_DESC_F_INDIRECT, 0);
	err = hand_show(&b.h, 0);
	if (err < 0)
		return err;
	if (!hand_moves(&b.h))
		return fault_stopped(&b.h, "INDIRECT without the feature");
	err = hand_answered(&b.h, 0, 0);
	return err < 0 ? err
		       : trial_warn(t, "INDIRECT without the feature: expected the ring to stop, "
				       "but the request was answered");
}

/* The last entry refers to another table, which holds what the first one held. */
int case_fault_indirect_nested(struct trial *t)
{
	AUTO_INDIRECT b = { .table = NULL };
	int err = boot_with_table(t, 0, &b);

	if (err < 0)
		return err;
	hand_table(b.table + 2 * (size_t)32, &b.pieces, NULL);
	trial_table_desc(b.table, 0, b.addr + 32 * (uint64_t)VRING_DESC_BYTES, table_len(&b),
			 VRING_DESC_F_INDIRECT, 0);
	return refer(&b, b.addr, VRING_DESC_BYTES, 0, "an indirect table in an indirect table");
}

int case_fault_indirect_next(struct trial *t)
{
	AUTO_INDIRECT b = { .table = NULL };
	int err = boot_with_table(t, 0, &b);

	if (err < 0)
		return err;
	trial_desc(t, b.h.idx, 0, b.addr, table_len(&b), VRING_DESC_F_INDIRECT | VRING_DESC_F_NEXT,
		   1);
	trial_desc(t, b.h.idx, 1, b.h.q[0].in_addr, 1, VRING_DESC_F_WRITE, 0);
	err = hand_show(&b.h, 0);
	if (err == 0 && hand_moves(&b.h)) {
		err = hand_answered(&b.h, 0, 0);
		return err < 0 ? err : trial_remark(t, "NEXT beside INDIRECT is ignored");
	}
	return err < 0 ? err : fault_stopped(&b.h, "INDIRECT with NEXT");
}

#define BAD_LENGTH(name, length)                                                                   \
	int case_fault_indirect_len_##name(struct trial *t)                                        \
	{                                                                                          \
		AUTO_INDIRECT b = { .table = NULL };                                               \
		int err = boot_with_table(t, 0, &b);                                               \
                                                                                                   \
		return err < 0 ? err                                                               \
			       : refer(&b, b.addr, length, 0,                                      \
				       "an indirect table of " #length " bytes");                  \
	}

BAD_LENGTH(none, 0)
BAD_LENGTH(half, 8)
BAD_LENGTH(odd, 24)

int case_fault_indirect_count(struct trial *t)
{
	AUTO_INDIRECT b = { .table = NULL };
	int err = boot_with_table(t, 0, &b);

	if (err < 0)
		return err;
	trial_table_desc(b.table, 0, b.pieces.bufs[0].addr, b.pieces.bufs[0].len,
			 (uint16_t)(hand_flags(&b.pieces, 0) | VRING_DESC_F_NEXT),
			 (uint16_t)b.pieces.n);
	return refer(&b, b.addr, table_len(&b), 0,
		     "an entry of an indirect table whose next is behind the table");
}

int case_fault_indirect_loop(struct trial *t)
{
	AUTO_INDIRECT b = { .table = NULL };
	int err = boot_with_table(t, 0, &b);

	if (err < 0)
		return err;
	trial_table_desc(b.table, 0, b.pieces.bufs[0].addr, b.pieces.bufs[0].len,
			 (uint16_t)(hand_flags(&b.pieces, 0) | VRING_DESC_F_NEXT), 0);
	return refer(&b, b.addr, table_len(&b), 0, "an indirect table with a loop");
}

int case_fault_indirect_nowhere(struct trial *t)
{
	AUTO_INDIRECT b = { .table = NULL };
	int err = boot_with_table(t, 0, &b);

	return err < 0 ? err : refer(&b, 0x10, 64, 0, "an indirect table outside guest memory");
}

int case_fault_indirect_end(struct trial *t)
{
	AUTO_INDIRECT b = { .table = NULL };
	const struct vhu_frontend_region *r = &t->fe.regions[0];
	int err = boot_with_table(t, 0, &b);
	size_t at;

	if (err < 0)
		return err;
	at = r->wire.size - VRING_DESC_BYTES;
	trial_table_desc(r->host + at, 0, b.pieces.bufs[0].addr, b.pieces.bufs[0].len,
			 (uint16_t)(hand_flags(&b.pieces, 0) | VRING_DESC_F_NEXT), 1);
	return refer(&b, r->wire.guest_addr + at, 2 * VRING_DESC_BYTES, 0,
		     "an indirect table across the end of guest memory");
}

/* As long a table as a length can say: no memory is to be taken for it. */
int case_fault_indirect_huge(struct trial *t)
{
	AUTO_INDIRECT b = { .table = NULL };
	int64_t before, after;
	int err = boot_with_table(t, 0, &b);

	if (err < 0)
		return err;
	before = process_rss(t->target->pid);
	for (unsigned int i = 0; i < TABLE_MAX; i++)
		trial_table_desc(b.table, i, b.pieces.bufs[0].addr, 1,
				 (uint16_t)((b.pieces.n_out > 0 ? 0 : VRING_DESC_F_WRITE) |
					    VRING_DESC_F_NEXT),
				 (uint16_t)((i + 1) % TABLE_MAX));
	err = refer(&b, b.addr, UINT32_MAX - 15, 0, "an indirect table of 4 GiB with a loop");
	after = process_rss(t->target->pid);
	if (err == 0 && before >= 0 && after - before > MOST_MEMORY)
		err = trial_fail(t,
				 "an indirect table of 4 GiB: expected the back-end's memory to "
				 "stay as it was, but it grew by %lld MiB",
				 (long long)((after - before) >> 20));
	return err;
}
