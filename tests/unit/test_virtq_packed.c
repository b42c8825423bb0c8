/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What the device side takes from a packed ring and writes into it. */
#include "packed_rig.h"

#define FRESH RIG_FRESH_PACKED
#define PACKED (RIG_V1 | RIG_PACKED)

static void pop_says(struct rig *rig, enum pop_result expected)
{
	struct chain chain;

	assert_int_equal(virtq_pop(&rig->device, &chain), expected);
}

static void breaks_as(struct rig *rig, enum virtq_fault fault)
{
	pop_says(rig, POP_BROKEN);
	assert_int_equal(virtq_broken(&rig->device), fault);
	assert_false(virtq_has_avail(&rig->device));
	rig_close(rig);
}

static void used_is(const struct rig *rig, uint32_t offset, bool wrap, uint16_t id, uint32_t len)
{
	struct packed_desc desc = rig_packed_at(rig, offset);

	assert_true(packed_is_used(desc.flags, wrap));
	assert_int_equal(desc.id, id);
	assert_int_equal(desc.len, len);
	assert_int_equal((desc.flags & PWRITE) != 0, len > 0);
}

/* Takes the next chain and returns it, shown at once. */
static void serve_one(struct rig *rig, uint16_t id, uint32_t len)
{
	struct chain chain = rig_pop(rig);

	assert_int_equal(chain.head, id);
	virtq_push(&rig->device, id, len);
	virtq_publish(&rig->device);
}

/* VR-082, VR-083: zeroes, what is used, and what belongs to another lap. */
static void pop_when_flags_say_otherwise_takes_nothing(void **state)
{
	static const uint16_t flags[] = { 0, PACKED_DESC_F_AVAIL | PACKED_DESC_F_USED,
					  PACKED_DESC_F_USED };
	struct rig rig;

	(void)state;
	rig_open(&rig, 4, PACKED);
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		rig_pdesc(&rig, 0, true, rig.data, 4, 0, 0);
		packed_desc_store_flags(rig_packed(&rig), 0, flags[i]);
		pop_says(&rig, POP_EMPTY);
		assert_false(virtq_has_avail(&rig.device));
	}
	packed_desc_store_flags(rig_packed(&rig), 0, PACKED_DESC_F_AVAIL);
	assert_true(virtq_has_avail(&rig.device));
	rig_pop(&rig);
	rig_close(&rig);
}

/* VR-013, VR-086, VR-087, VR-088, VR-102: a list of four, then one, both ids the last ones'. */
static void list_when_returned_takes_one_used_descriptor_and_its_places(void **state)
{
	struct chain chain;
	struct rig rig;

	(void)state;
	rig_open(&rig, 8, PACKED);
	rig_pdesc(&rig, 1, true, rig.data + 1, 3, 11, PNEXT);
	rig_pdesc(&rig, 2, true, rig.data + 8, 0, 12, PNEXT | PWRITE);
	rig_pdesc(&rig, 3, true, rig.data + 16, 16, 5, PWRITE);
	rig_pdesc(&rig, 0, true, rig.data, 1, 10, PNEXT);
	rig_pdesc(&rig, 4, true, rig.data + 64, 4, 2, 0);
	chain = rig_pop(&rig);
	assert_int_equal(chain.head, 5);
	assert_int_equal(chain.n_out, 2);
	assert_int_equal(chain.n_in, 1);
	assert_int_equal(chain.n_links, 4);
	assert_ptr_equal(chain.iov[1].iov_base, rig_at(&rig, rig.data + 1));
	assert_ptr_equal(chain.iov[2].iov_base, rig_at(&rig, rig.data + 16));
	virtq_push(&rig.device, 5, 9);
	assert_false(rig_packed_used(&rig, 0, true)); /* not shown yet */
	virtq_publish(&rig.device);
	used_is(&rig, 0, true, 5, 9);
	for (uint32_t i = 1; i < 4; i++)
		assert_int_equal(rig_packed_at(&rig, i).flags & PACKED_DESC_F_USED, 0);
	serve_one(&rig, 2, 0);
	used_is(&rig, 4, true, 2, 0);
	assert_int_equal(virtq_base(&rig.device), 0x80058005);
	rig_close(&rig);
}

/* VR-089: what was pushed together is shown together, the first one last. */
static void publish_when_many_were_pushed_shows_the_first_last(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig, 8, PACKED);
	for (uint16_t i = 0; i < 4; i++)
		rig_pdesc(&rig, i, true, rig.data + i, 1, i, 0);
	for (uint16_t i = 0; i < 4; i++)
		rig_pop(&rig);
	for (uint16_t i = 0; i < 4; i++)
		virtq_push(&rig.device, i, 0);
	assert_int_equal(rig_packed_at(&rig, 0).flags, PACKED_DESC_F_AVAIL);
	assert_true(virtq_publish(&rig.device));
	for (uint16_t i = 0; i < 4; i++)
		used_is(&rig, i, true, i, 0);
	assert_false(virtq_publish(&rig.device));
	rig_close(&rig);
}

/* VR-092: lists of three and of one that come back the other way round. */
static void push_when_out_of_order_goes_by_each_list_s_length(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig, 5, PACKED);
	rig_pdesc(&rig, 0, true, rig.data, 1, 4, PNEXT);
	rig_pdesc(&rig, 1, true, rig.data, 1, 4, PNEXT);
	rig_pdesc(&rig, 2, true, rig.data, 1, 4, 0);
	rig_pdesc(&rig, 3, true, rig.data, 1, 1, 0);
	assert_int_equal(rig_pop(&rig).head, 4);
	assert_int_equal(rig_pop(&rig).head, 1);
	virtq_push(&rig.device, 1, 0);
	virtq_push(&rig.device, 4, 0);
	virtq_publish(&rig.device);
	used_is(&rig, 0, true, 1, 0);
	used_is(&rig, 1, true, 4, 0);
	assert_int_equal(virtq_base(&rig.device), 0x80048004);
	rig_close(&rig);
}

/* VR-090, VR-091: laps of a ring whose size is no power of two. */
static void positions_when_the_ring_ends_go_round_with_the_other_wrap(void **state)
{
	struct rig rig;
	bool wrap = true;
	uint32_t at = 0;

	(void)state;
	rig_open(&rig, 5, PACKED);
	for (unsigned int i = 0; i < 1000; i++) {
		uint16_t id = (uint16_t)(i * 3 % 5);
		uint32_t next = at == 4 ? 0 : at + 1;

		rig_pdesc(&rig, next, next ? wrap : !wrap, rig.data, 1, id, PWRITE);
		rig_pdesc(&rig, at, wrap, rig.data, 1, 77, PNEXT);
		serve_one(&rig, id, 1);
		used_is(&rig, at, wrap, id, 1);
		assert_true(packed_is_avail(rig_packed_at(&rig, next).flags, next ? wrap : !wrap));
		at += 2;
		if (at >= 5) {
			at -= 5;
			wrap = !wrap;
		}
	}
	rig_close(&rig);
}

/* VR-100, VU-097: stopped and started at every offset and either wrap. */
static void base_when_the_ring_is_restarted_is_where_it_goes_on(void **state)
{
	struct rig rig;
	bool wrap = true;

	(void)state;
	rig_open(&rig, 3, PACKED);
	for (uint32_t i = 0; i < 12; i++) {
		uint32_t base;
		uint32_t at = i % 3;

		rig_pdesc(&rig, at, wrap, rig.data, 1, 0, 0);
		serve_one(&rig, 0, 0);
		if (at == 2)
			wrap = !wrap;
		virtq_stop(&rig.device);
		base = virtq_base(&rig.device);
		assert_int_equal(base, ((i + 1) % 3 | (uint32_t)wrap << 15) * 0x10001u);
		rig_start(&rig, base);
	}
	rig_close(&rig);
}

/* Offered, taken, and returned together: the first place of the ring is among them. */
static void serve_over_the_end(struct rig *rig)
{
	for (uint16_t i = 0; i < 4; i++)
		rig_pdesc(rig, (3u + i) % 4, i > 0, rig->data, 1, i, 0);
	for (uint16_t i = 0; i < 4; i++)
		rig_pop(rig);
	for (uint16_t i = 0; i < 4; i++)
		virtq_push(&rig->device, i, 0);
	virtq_publish(&rig->device);
	rig_pdesc(rig, 3, true, rig->data, 1, 0, 0);
	serve_one(rig, 0, 0);
}

/* VU-097: UML says 0 for a new ring. Another one is there after a round, even in order. */
static void base_when_zero_is_that_of_a_new_ring_or_of_one_that_went_round(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig, 4, PACKED);
	rig_start(&rig, 0);
	assert_int_equal(virtq_base(&rig.device), FRESH);
	assert_true(virtq_is_fresh(&rig.device));
	rig_pdesc(&rig, 0, true, rig.data, 4, 0, 0);
	rig_start(&rig, 0);
	assert_int_equal(virtq_base(&rig.device), FRESH);
	serve_one(&rig, 0, 0);
	rig_close(&rig);
	rig_open(&rig, 4, PACKED | RIG_ORDER);
	rig_start(&rig, 0x00030003);
	serve_over_the_end(&rig);
	assert_int_equal(virtq_base(&rig.device), 0);
	rig_start(&rig, virtq_base(&rig.device));
	assert_int_equal(virtq_base(&rig.device), 0);
	rig_close(&rig);
	/* The first place is in the middle of a chain from the lap before. */
	rig_open(&rig, 4, PACKED);
	rig_start(&rig, 0x00030003);
	rig_pdesc(&rig, 0, true, rig.data, 1, 0, 0);
	rig_pdesc(&rig, 3, false, rig.data, 1, 0, PNEXT);
	serve_one(&rig, 0, 0);
	for (uint32_t i = 1; i < 4; i++) {
		rig_pdesc(&rig, i, true, rig.data, 1, 0, 0);
		serve_one(&rig, 0, 0);
	}
	assert_int_equal(virtq_base(&rig.device), 0);
	rig_start(&rig, 0);
	assert_int_equal(virtq_base(&rig.device), 0);
	rig_close(&rig);
}

/* VU-097: DPDK leaves out the used position; what no ring has breaks it. */
static void base_when_it_lacks_the_used_half_means_both(void **state)
{
	static const uint32_t wrong[] = { 0x80008004, 0x80048000, 0xffffffff, 0x80018000 };
	struct rig rig;

	(void)state;
	assert_true(virtq_base_is_fresh(PACKED, 0x80008000));
	assert_true(virtq_base_is_fresh(PACKED, 0x8000));
	assert_false(virtq_base_is_fresh(PACKED, 0));
	assert_true(virtq_base_is_fresh(RIG_V1, 0));
	assert_false(virtq_base_is_fresh(RIG_V1, 0x8000));
	rig_open(&rig, 4, PACKED);
	rig_start(&rig, 0x8000);
	assert_int_equal(virtq_base(&rig.device), FRESH);
	rig_start(&rig, 0x0002);
	assert_int_equal(virtq_base(&rig.device), 0x00020002);
	rig_start(&rig, 0x00010003); /* two descriptors are out, and nobody knows of them */
	assert_int_equal(virtq_base(&rig.device), 0x00010003);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		rig_start(&rig, wrong[i]);
		assert_int_equal(virtq_broken(&rig.device), VIRTQ_FAULT_BASE);
		pop_says(&rig, POP_BROKEN);
	}
	rig_start(&rig, FRESH);
	assert_int_equal(virtq_broken(&rig.device), VIRTQ_FAULT_NONE);
	rig_close(&rig);
}

/* VR-093, VR-101 */
static void list_when_longer_than_the_ring_breaks_it(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig, 4, PACKED);
	for (uint16_t i = 0; i < 4; i++)
		rig_pdesc(&rig, i, true, rig.data, 1, i, PNEXT);
	breaks_as(&rig, VIRTQ_FAULT_CHAIN_LONG);
}

/* VR-015, VR-101 */
static void list_when_as_long_as_the_ring_is_served(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig, 7, PACKED);
	for (uint16_t i = 0; i < 7; i++)
		rig_pdesc(&rig, i, true, rig.data + i, 1, i, i < 6 ? PNEXT : 0);
	serve_one(&rig, 6, 0);
	assert_int_equal(virtq_base(&rig.device), 0);
	rig_close(&rig);
}

/* VR-083 */
static void list_when_it_goes_on_with_nothing_available_breaks_the_ring(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig, 4, PACKED);
	rig_pdesc(&rig, 0, true, rig.data, 1, 0, PNEXT);
	breaks_as(&rig, VIRTQ_FAULT_LIST_NOT_AVAIL);
}

/* A driver that goes round before it has anything back gets nothing more. */
static void pop_when_all_is_out_takes_no_descriptor_twice(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig, 2, PACKED);
	rig_pdesc(&rig, 0, true, rig.data, 1, 0, PNEXT);
	rig_pdesc(&rig, 1, true, rig.data, 1, 0, 0);
	rig_pop(&rig);
	rig_pdesc(&rig, 0, false, rig.data, 1, 1, 0);
	assert_false(virtq_has_avail(&rig.device));
	pop_says(&rig, POP_EMPTY);
	rig_close(&rig);
}

static void ids_when_impossible_break_the_ring(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig, 4, PACKED);
	rig_pdesc(&rig, 0, true, rig.data, 1, 4, 0);
	breaks_as(&rig, VIRTQ_FAULT_ID_RANGE);
	rig_open(&rig, 4, PACKED); /* VR-040 */
	rig_pdesc(&rig, 0, true, rig.data, 1, 3, 0);
	rig_pdesc(&rig, 1, true, rig.data, 1, 3, 0);
	rig_pop(&rig);
	breaks_as(&rig, VIRTQ_FAULT_HEAD_IN_USE);
}

/* VR-025, VR-034, VR-094: one after the other, whatever flags and ids say. */
static void table_when_its_entries_have_other_flags_is_read_in_sequence(void **state)
{
	struct chain chain;
	struct rig rig;

	(void)state;
	rig_open(&rig, 4, PACKED | RIG_INDIRECT);
	rig_packed_table(&rig, rig.tables, 0, rig.data, 4, PNEXT | PINDIRECT);
	rig_packed_table(&rig, rig.tables, 1, rig.data + 8, 5, 0x8080);
	rig_packed_table(&rig, rig.tables, 2, rig.data + 16, 6, PWRITE | PNEXT);
	rig_pdesc(&rig, 0, true, rig.tables, 48, 2, PINDIRECT | PWRITE);
	chain = rig_pop(&rig);
	assert_int_equal(chain.out_len, 9);
	assert_int_equal(chain.in_len, 6);
	virtq_push(&rig.device, chain.head, 6);
	virtq_publish(&rig.device);
	used_is(&rig, 0, true, 2, 6);
	assert_int_equal(virtq_base(&rig.device), 0x80018001);
	rig_close(&rig);
}

/* VR-027, VR-030, VR-032, VR-095, VR-116 */
static void tables_when_malformed_break_the_ring(void **state)
{
	static const struct {
		uint64_t features;
		uint64_t addr; /* 0: the rig's tables */
		uint32_t len;
		unsigned int flags;
		enum virtq_fault fault;
	} rows[] = {
		{ 0, 0, 16, PINDIRECT, VIRTQ_FAULT_INDIRECT_FEATURE },
		{ RIG_INDIRECT, 0, 0, PINDIRECT, VIRTQ_FAULT_INDIRECT_SIZE },
		{ RIG_INDIRECT, 0, 24, PINDIRECT, VIRTQ_FAULT_INDIRECT_SIZE },
		{ RIG_INDIRECT, RIG_NOWHERE, 16, PINDIRECT, VIRTQ_FAULT_INDIRECT_UNMAPPED },
		{ RIG_INDIRECT, 0, 0xfffffff0, PINDIRECT, VIRTQ_FAULT_INDIRECT_UNMAPPED },
		{ RIG_INDIRECT, 0, 1025 * 16, PINDIRECT, VIRTQ_FAULT_CHAIN_LONG },
		{ RIG_INDIRECT, 0, 16, PINDIRECT | PNEXT, VIRTQ_FAULT_INDIRECT_IN_LIST },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct rig rig;

		rig_open(&rig, 4, PACKED | rows[i].features);
		rig_packed_table(&rig, rig.tables, 0, rig.data, 4, 0);
		rig_pdesc(&rig, 0, true, rows[i].addr ? rows[i].addr : rig.tables, rows[i].len, 0,
			  rows[i].flags);
		rig_pdesc(&rig, 1, true, rig.data, 4, 0, 0);
		breaks_as(&rig, rows[i].fault);
	}
}

/* VR-017, VR-022 */
static void buffers_when_wrong_break_the_ring(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig, 4, PACKED);
	rig_pdesc(&rig, 0, true, rig.data, 4, 0, PNEXT | PWRITE);
	rig_pdesc(&rig, 1, true, rig.data, 4, 0, 0);
	breaks_as(&rig, VIRTQ_FAULT_ORDER);
	rig_open(&rig, 4, PACKED);
	rig_pdesc(&rig, 0, true, RIG_NOWHERE, 4, 0, 0);
	breaks_as(&rig, VIRTQ_FAULT_UNMAPPED);
	rig_open(&rig, 4, PACKED);
	rig_pdesc(&rig, 0, true, UINT64_MAX - 2, 8, 0, 0);
	breaks_as(&rig, VIRTQ_FAULT_UNMAPPED);
}

/* What was taken back is taken again, the same, also over the end of the ring. */
static void unpop_when_the_newest_are_given_back_yields_them_again(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig, 5, PACKED);
	rig_start(&rig, 0x80038003);
	rig_pdesc(&rig, 3, true, rig.data, 1, 0, PNEXT);
	rig_pdesc(&rig, 4, true, rig.data, 1, 0, 0);
	rig_pdesc(&rig, 0, false, rig.data, 1, 1, PNEXT);
	rig_pdesc(&rig, 1, false, rig.data, 1, 1, PNEXT);
	rig_pdesc(&rig, 2, false, rig.data, 1, 1, 0);
	assert_int_equal(virtq_position(&rig.device), 0x8003);
	assert_int_equal(rig_pop(&rig).head, 0);
	assert_int_equal(rig_pop(&rig).head, 1);
	virtq_unpop(&rig.device, 1);
	assert_int_equal(virtq_base(&rig.device), 0x80030000);
	assert_int_equal(rig_pop(&rig).head, 1);
	virtq_unpop(&rig.device, 2);
	assert_int_equal(virtq_base(&rig.device), 0x80038003);
	serve_one(&rig, 0, 0);
	serve_one(&rig, 1, 0);
	used_is(&rig, 3, true, 0, 0);
	used_is(&rig, 0, false, 1, 0);
	rig_close(&rig);
}

/* Offers and serves one descriptor; whether the driver is called. */
static bool one_calls(struct rig *rig, uint32_t offset, bool wrap)
{
	rig_pdesc(rig, offset, wrap, rig->data, 1, 0, 0);
	virtq_push(&rig->device, rig_pop(rig).head, 0);
	return virtq_publish(&rig->device);
}

/* VR-096, VR-097: always, never, and what is reserved or not negotiated. */
static void calls_when_flags_say_so_come_or_not(void **state)
{
	static const struct {
		unsigned int flags;
		bool call;
	} rows[] = { { PACKED_EVENT_ENABLE, true },
		     { PACKED_EVENT_DISABLE, false },
		     { PACKED_EVENT_DESC, true },
		     { PACKED_EVENT_RESERVED, true },
		     { 0x10 | PACKED_EVENT_DISABLE, false } };
	struct rig rig;

	(void)state;
	rig_open(&rig, 8, PACKED);
	for (uint32_t i = 0; i < ARRAY_SIZE(rows); i++) {
		rig_packed_calls(&rig, rows[i].flags, 7, true);
		assert_int_equal(one_calls(&rig, i, true), rows[i].call);
	}
	rig_close(&rig);
}

/* VR-096: at the position, as soon as it is passed, by one or in a batch, over the end. */
static void calls_when_a_position_is_asked_for_come_there(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig, 3, PACKED | RIG_EVENT);
	rig_packed_calls(&rig, PACKED_EVENT_DESC, 2, true);
	assert_true(one_calls(&rig, 0, true)); /* VR-065: the first is free */
	assert_false(one_calls(&rig, 1, true));
	assert_true(one_calls(&rig, 2, true));
	assert_false(one_calls(&rig, 0, false));
	rig_packed_calls(&rig, PACKED_EVENT_DESC, 0, true);
	for (uint16_t i = 1; i < 3; i++)
		rig_pdesc(&rig, i, false, rig.data, 1, i, 0);
	rig_pdesc(&rig, 0, true, rig.data, 1, 0, 0);
	for (unsigned int i = 0; i < 3; i++)
		virtq_push(&rig.device, rig_pop(&rig).head, 0);
	assert_true(virtq_publish(&rig.device));
	rig_packed_calls(&rig, PACKED_EVENT_DESC, 3, true); /* no such position */
	assert_false(one_calls(&rig, 1, true));
	rig_packed_calls(&rig, PACKED_EVENT_RESERVED, 0, false);
	assert_true(one_calls(&rig, 2, true));
	rig_close(&rig);
}

/* VR-099: the words that the device may write, and that it looks again. */
static void kicks_when_wanted_or_not_are_asked_for_in_the_device_area(void **state)
{
	struct packed_event event;
	struct rig rig;

	(void)state;
	rig_open(&rig, 4, PACKED);
	assert_int_equal(rig_packed_kicks(&rig).flags, PACKED_EVENT_ENABLE);
	virtq_kicks_off(&rig.device);
	assert_int_equal(rig_packed_kicks(&rig).flags, PACKED_EVENT_DISABLE);
	assert_false(virtq_kicks_on(&rig.device));
	event = rig_packed_kicks(&rig);
	assert_int_equal(event.flags, PACKED_EVENT_ENABLE);
	assert_true(event.offset == 0 && !event.wrap);
	rig_pdesc(&rig, 0, true, rig.data, 1, 0, 0);
	assert_true(virtq_kicks_on(&rig.device));
	rig_close(&rig);
	rig_open(&rig, 4, PACKED | RIG_EVENT);
	one_calls(&rig, 0, true);
	virtq_kicks_off(&rig.device);
	assert_int_equal(rig_packed_kicks(&rig).flags, PACKED_EVENT_DISABLE);
	assert_false(virtq_kicks_on(&rig.device));
	event = rig_packed_kicks(&rig);
	assert_int_equal(event.flags, PACKED_EVENT_DESC);
	assert_true(event.offset == 1 && event.wrap);
	rig_close(&rig);
}

/* VU-066, VU-067, VU-078: parked with chains out, and gone on with in other memory. */
static void memory_when_exchanged_keeps_positions_and_held_lists(void **state)
{
	struct gmem_region *region;
	struct virtq_ring ring;
	struct gmem *other;
	struct rig rig;

	(void)state;
	rig_open(&rig, 4, PACKED);
	rig_pdesc(&rig, 0, true, rig.data, 1, 0, 0);
	rig_pdesc(&rig, 1, true, rig.data, 1, 1, 0);
	rig_pop(&rig);
	region = rig_region(RIG_GUEST, RIG_USER, rig.len);
	other = rig_gmem(&region, 1);
	virtq_set_memory(&rig.device, NULL, NULL);
	assert_false(virtq_publish(&rig.device));
	pop_says(&rig, POP_EMPTY);
	memcpy(gmem_host_from_guest(other, RIG_GUEST, rig.len), rig.host, rig.len);
	ring = driver_ring(&rig.driver, other);
	virtq_set_memory(&rig.device, &ring, other);
	gmem_unref(other);
	serve_one(&rig, 1, 0); /* the second, though the first is out */
	assert_true(packed_is_used(packed_desc_load(&ring.pack, 0).flags, true));
	assert_false(rig_packed_used(&rig, 0, true));
	rig_close(&rig);
}

/* VU-084: any size for a packed ring; a split one of such a size is no ring. */
static void ring_when_mapped_has_the_sizes_of_its_layout(void **state)
{
	static const struct {
		uint32_t size;
		bool split, packed;
	} rows[] = { { 0, false, false },    { 1, true, true },	    { 3, false, true },
		     { 32767, false, true }, { 32768, true, true }, { 32769, false, false } };
	uint64_t area[2] = { 0, 0 };
	struct virtq_ring ring = { .size = 99 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(virtq_size_valid(RIG_V1, rows[i].size), rows[i].split);
		assert_int_equal(virtq_size_valid(PACKED, rows[i].size), rows[i].packed);
	}
	assert_false(virtq_ring_map(&ring, RIG_V1, area, area, area, 3));
	assert_false(virtq_ring_map(&ring, PACKED, area, NULL, area, 3));
	assert_int_equal(ring.size, 99);
	assert_int_equal(virtq_area_bytes(PACKED, 5).desc, 80);
	assert_int_equal(virtq_area_bytes(PACKED, 5).driver, 4);
	assert_int_equal(virtq_area_bytes(PACKED, 5).device, 4);
	assert_int_equal(virtq_area_bytes(RIG_V1, 4).driver, 14);
	assert_int_equal(virtq_area_bytes(RIG_V1, 4).device, 38);
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(pop_when_flags_say_otherwise_takes_nothing),
	UNIT_TEST(list_when_returned_takes_one_used_descriptor_and_its_places),
	UNIT_TEST(publish_when_many_were_pushed_shows_the_first_last),
	UNIT_TEST(push_when_out_of_order_goes_by_each_list_s_length),
	UNIT_TEST(positions_when_the_ring_ends_go_round_with_the_other_wrap),
	UNIT_TEST(base_when_the_ring_is_restarted_is_where_it_goes_on),
	UNIT_TEST(base_when_zero_is_that_of_a_new_ring_or_of_one_that_went_round),
	UNIT_TEST(base_when_it_lacks_the_used_half_means_both),
	UNIT_TEST(list_when_longer_than_the_ring_breaks_it),
	UNIT_TEST(list_when_as_long_as_the_ring_is_served),
	UNIT_TEST(list_when_it_goes_on_with_nothing_available_breaks_the_ring),
	UNIT_TEST(pop_when_all_is_out_takes_no_descriptor_twice),
	UNIT_TEST(ids_when_impossible_break_the_ring),
	UNIT_TEST(table_when_its_entries_have_other_flags_is_read_in_sequence),
	UNIT_TEST(tables_when_malformed_break_the_ring),
	UNIT_TEST(buffers_when_wrong_break_the_ring),
	UNIT_TEST(unpop_when_the_newest_are_given_back_yields_them_again),
	UNIT_TEST(calls_when_flags_say_so_come_or_not),
	UNIT_TEST(calls_when_a_position_is_asked_for_come_there),
	UNIT_TEST(kicks_when_wanted_or_not_are_asked_for_in_the_device_area),
	UNIT_TEST(memory_when_exchanged_keeps_positions_and_held_lists),
	UNIT_TEST(ring_when_mapped_has_the_sizes_of_its_layout),
};

UNIT_MAIN(tests)
