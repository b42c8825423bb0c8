/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The driver side over both kinds of ring, and in order; the test plays the device. */
#include <errno.h>
#include <string.h>

#include "unit.h"

#include "base.h"
#include "virtio/driverq-packed.h"
#include "virtio/driverq.h"
#include "virtio/features.h"

#define GUEST UINT64_C(0x40000000)
#define TABLES UINT64_C(0x50000000)
#define PACKED BIT(VIRTIO_F_RING_PACKED_BIT)
#define IN_ORDER BIT(VIRTIO_F_IN_ORDER_BIT)
#define EVENT BIT(VIRTIO_F_EVENT_IDX_BIT)

enum { MAX = 16, TABLE = 4, PIECE = 100 };

struct rig {
	_Alignas(16) unsigned char block[1024];
	_Alignas(16) unsigned char tables[MAX * TABLE * 16];
	struct driverq q;
	/* The device's places: split in the index alone. */
	struct packed_position avail, used;
	uint16_t avail_idx;
	int tokens[MAX];
};

/* A chain as the device took it. */
struct taken {
	uint16_t id;
	uint16_t n_desc; /* of the ring */
	uint64_t addr;	 /* of the first descriptor */
	uint16_t flags;
};

static void device_start(struct rig *rig, uint32_t base)
{
	rig->avail_idx = (uint16_t)base;
	rig->avail = packed_base_avail(base);
	rig->used = packed_base_avail(base >> 16);
}

static void rig_open(struct rig *rig, unsigned int size, uint64_t features)
{
	memset(rig, 0xee, sizeof(*rig));
	assert_true(size <= MAX && driverq_bytes(size) <= sizeof(rig->block));
	assert_int_equal(driverq_init(&rig->q, rig->block, GUEST, size, features), 0);
	driverq_set_tables(&rig->q, rig->tables, TABLES, TABLE);
	device_start(rig, driverq_base(&rig->q));
}

static void rig_close(struct rig *rig)
{
	driverq_fini(&rig->q);
}

static bool take_split(struct rig *rig, struct taken *ret_taken)
{
	const struct vring *ring = &rig->q.ring;
	struct vring_desc desc;

	if (vring_avail_idx(ring) == rig->avail_idx)
		return false;
	ret_taken->id = vring_avail_entry(ring, rig->avail_idx++);
	desc = vring_desc_load(ring, ret_taken->id);
	*ret_taken = (struct taken){ ret_taken->id, 1, desc.addr, desc.flags };
	for (; desc.flags & VRING_DESC_F_NEXT; ret_taken->n_desc++)
		desc = vring_desc_load(ring, desc.next);
	return true;
}

static bool take_packed(struct rig *rig, struct taken *ret_taken)
{
	const struct packed_ring *ring = &rig->q.packed->ring;
	struct packed_desc desc;

	if (!packed_is_avail(packed_desc_flags(ring, rig->avail.offset), rig->avail.wrap))
		return false;
	*ret_taken = (struct taken){ .n_desc = 0 };
	do {
		desc = packed_desc_load(ring, rig->avail.offset);
		if (ret_taken->n_desc++ == 0) {
			ret_taken->addr = desc.addr;
			ret_taken->flags = desc.flags;
		}
		rig->avail = packed_advance(ring, rig->avail, 1);
	} while (desc.flags & PACKED_DESC_F_NEXT);
	ret_taken->id = desc.id;
	return true;
}

/* As a device: the next chain, if there is one. */
static bool take(struct rig *rig, struct taken *ret_taken)
{
	return rig->q.packed ? take_packed(rig, ret_taken) : take_split(rig, ret_taken);
}

/* As a device: n chains returned by the entry of the last of them. */
static void use(struct rig *rig, const struct taken *taken, unsigned int n, uint32_t len)
{
	struct taken last = taken[n - 1];
	uint16_t idx;

	if (rig->q.packed) {
		const struct packed_ring *ring = &rig->q.packed->ring;

		packed_desc_store_body(ring, rig->used.offset,
				       (struct packed_desc){ .id = last.id, .len = len });
		packed_desc_store_flags(
			ring, rig->used.offset,
			(uint16_t)(PACKED_DESC_F_WRITE | packed_used_flags(rig->used.wrap)));
		for (unsigned int i = 0; i < n; i++)
			rig->used = packed_advance(ring, rig->used, taken[i].n_desc);
		return;
	}
	idx = vring_used_idx(&rig->q.ring);
	vring_set_used_entry(&rig->q.ring, idx, last.id, len);
	vring_set_used_idx(&rig->q.ring, (uint16_t)(idx + n));
}

/* Offers a chain of n buffers to write, as number i. */
static int add(struct rig *rig, unsigned int i, unsigned int n, bool indirect)
{
	struct driverq_buf bufs[MAX];

	for (unsigned int k = 0; k < n; k++)
		bufs[k] = (struct driverq_buf){ 0x1000 * (i + 1) + k, PIECE };
	return driverq_add(&rig->q, bufs, 0, n, indirect, &rig->tokens[i]);
}

static void offer(struct rig *rig, unsigned int from, unsigned int to)
{
	for (unsigned int i = from; i < to; i++)
		assert_int_equal(add(rig, i, 1, false), 0);
	driverq_publish(&rig->q);
}

static void take_all(struct rig *rig, struct taken *taken, unsigned int n)
{
	struct taken more;

	for (unsigned int i = 0; i < n; i++)
		assert_true(take(rig, &taken[i]));
	assert_false(take(rig, &more));
}

static void expect(struct rig *rig, unsigned int i, uint32_t len)
{
	uint32_t got_len = 0;
	void *token = NULL;

	assert_int_equal(driverq_get(&rig->q, &token, &got_len), DRIVERQ_USED);
	assert_ptr_equal(token, &rig->tokens[i]);
	assert_int_equal(got_len, len);
}

static enum driverq_result get(struct rig *rig)
{
	uint32_t len;
	void *token;

	return driverq_get(&rig->q, &token, &len);
}

/* Both kinds, without and with the features. */
#define EACH_KIND(f) for (uint64_t f = 0, i_ = 0; i_ < 2; i_++, f = PACKED)

/* VR-091: sizes that are no powers of two go with packed rings alone. */
static void init_when_packed_has_areas_of_its_own(void **state)
{
	struct rig rig;

	(void)state;
	for (unsigned int size = 1; size <= MAX; size++) {
		rig_open(&rig, size, PACKED);
		assert_int_equal(rig.q.size, size);
		assert_int_equal(rig.q.desc_addr, GUEST);
		assert_true(rig.q.avail_addr >= GUEST + packed_desc_bytes(size));
		assert_int_equal(rig.q.avail_addr % PACKED_EVENT_ALIGN, 0);
		assert_int_equal(rig.q.used_addr % PACKED_EVENT_ALIGN, 0);
		assert_true(rig.q.used_addr + PACKED_EVENT_BYTES <= GUEST + driverq_bytes(size));
		assert_int_equal(driverq_n_free(&rig.q), size);
		rig_close(&rig);
	}
	assert_int_equal(driverq_init(&rig.q, rig.block, GUEST, 3, 0), -EINVAL);
	assert_int_equal(driverq_init(&rig.q, rig.block, GUEST, 0, PACKED), -EINVAL);
	assert_int_equal(driverq_init(&rig.q, rig.block, GUEST, 32769, PACKED), -EINVAL);
}

/* VR-085, VR-088, VR-091 */
static void chains_when_they_go_round_come_back_on_either_kind(void **state)
{
	static const unsigned int sizes[] = { 8, 5 };
	struct taken taken[2];
	struct rig rig;

	(void)state;
	EACH_KIND(kind)
	{
		rig_open(&rig, sizes[kind == PACKED], kind);
		for (unsigned int round = 0; round < 1000; round++) {
			unsigned int n = 1 + round % 3;

			assert_int_equal(add(&rig, 0, n, false), 0);
			assert_int_equal(add(&rig, 1, 1, false), 0);
			assert_int_equal(driverq_n_held(&rig.q), 2);
			assert_int_equal(driverq_n_free(&rig.q), rig.q.size - n - 1);
			assert_true(driverq_publish(&rig.q));
			take_all(&rig, taken, 2);
			assert_int_equal(taken[0].n_desc, n);
			assert_int_equal(taken[0].addr, 0x1000);
			use(&rig, taken, 1, round % PIECE);
			use(&rig, taken + 1, 1, 1);
			expect(&rig, 0, round % PIECE);
			assert_int_equal(rig.q.last_id, taken[0].id);
			expect(&rig, 1, 1);
			assert_int_equal(get(&rig), DRIVERQ_EMPTY);
		}
		rig_close(&rig);
	}
}

/* VR-092: whatever comes back first, each chain is found, and no id is given out twice. */
static void chains_when_they_come_back_in_any_order_are_found(void **state)
{
	struct taken held[MAX];
	unsigned int number[MAX];
	struct rig rig;

	(void)state;
	EACH_KIND(kind)
	{
		uint32_t random = 1;
		unsigned int n = 0, next = 0;

		rig_open(&rig, 8, kind);
		for (unsigned int round = 0; round < 5000; round++) {
			random = random * 1103515245 + 12345;
			if (n == 0 || (n < 8 && (random >> 16) % 2 == 0)) {
				assert_int_equal(add(&rig, next % MAX, 1, false), 0);
				driverq_publish(&rig.q);
				assert_true(take(&rig, &held[n]));
				for (unsigned int i = 0; i < n; i++)
					assert_int_not_equal(held[i].id, held[n].id);
				number[n++] = next++ % MAX;
			} else {
				unsigned int i = (random >> 17) % n;

				use(&rig, &held[i], 1, i);
				expect(&rig, number[i], i);
				held[i] = held[--n];
				number[i] = number[n];
			}
			assert_int_equal(driverq_n_held(&rig.q), n);
			assert_int_equal(driverq_n_free(&rig.q), 8 - n);
		}
		rig_close(&rig);
	}
}

/* VR-094 */
static void add_when_indirect_takes_a_table_of_its_own_on_either_kind(void **state)
{
	struct taken taken[3];
	struct rig rig;

	(void)state;
	EACH_KIND(kind)
	{
		rig_open(&rig, 4, kind);
		assert_int_equal(add(&rig, 0, TABLE + 1, true), -E2BIG);
		for (unsigned int i = 0; i < 3; i++)
			assert_int_equal(add(&rig, i, TABLE, true), 0);
		assert_int_equal(driverq_n_free(&rig.q), 1);
		driverq_publish(&rig.q);
		take_all(&rig, taken, 3);
		for (unsigned int i = 0; i < 3; i++) {
			assert_true(taken[i].flags & VRING_DESC_F_INDIRECT);
			assert_int_equal((taken[i].addr - TABLES) % (TABLE * 16), 0);
			for (unsigned int k = 0; k < i; k++)
				assert_true(taken[i].addr != taken[k].addr);
			use(&rig, &taken[i], 1, TABLE * PIECE);
		}
		for (unsigned int i = 0; i < 3; i++)
			expect(&rig, i, TABLE * PIECE);
		rig_close(&rig);
	}
}

static void get_when_the_length_is_too_large_says_whose_on_either_kind(void **state)
{
	struct taken taken[1];
	struct rig rig;
	uint32_t len = 0;
	void *token = NULL;

	(void)state;
	EACH_KIND(kind)
	{
		rig_open(&rig, 4, kind);
		offer(&rig, 0, 1);
		take_all(&rig, taken, 1);
		use(&rig, taken, 1, PIECE + 1);
		assert_int_equal(driverq_get(&rig.q, &token, &len), DRIVERQ_BAD_LEN);
		assert_ptr_equal(token, &rig.tokens[0]);
		assert_int_equal(len, PIECE + 1);
		assert_int_equal(rig.q.last_len, PIECE + 1);
		rig_close(&rig);
	}
}

/* In order. */

/* VR-078: "descriptors in the ring's order", whatever was free first. */
static void add_when_in_order_goes_on_behind_the_last_descriptor(void **state)
{
	struct taken taken[1];
	unsigned int next = 0;
	struct rig rig;

	(void)state;
	rig_open(&rig, 8, IN_ORDER);
	for (unsigned int round = 0; round < 100; round++) {
		unsigned int n = 1 + round % 5;

		assert_int_equal(driverq_next_id(&rig.q), next);
		assert_int_equal(add(&rig, 0, n, false), 0);
		driverq_publish(&rig.q);
		take_all(&rig, taken, 1);
		assert_int_equal(taken[0].id, next);
		assert_int_equal(taken[0].n_desc, n);
		next = (next + n) % 8;
		use(&rig, taken, 1, 7);
		expect(&rig, 0, 7);
	}
	rig_close(&rig);
}

/* VR-079, VR-080: one entry, at the first one's place, for all up to the last. */
static void get_when_a_batch_shares_an_entry_returns_each(void **state)
{
	struct taken taken[4];
	struct rig rig;

	(void)state;
	EACH_KIND(kind)
	{
		rig_open(&rig, 8, kind | IN_ORDER);
		for (unsigned int round = 0; round < 50; round++) {
			assert_int_equal(add(&rig, 0, 1, false), 0);
			assert_int_equal(add(&rig, 1, 1 + round % 3, false), 0);
			assert_int_equal(add(&rig, 2, 2, false), 0);
			assert_int_equal(add(&rig, 3, 1, false), 0);
			driverq_publish(&rig.q);
			take_all(&rig, taken, 4);
			use(&rig, taken, 3, 5);
			expect(&rig, 0, PIECE);
			assert_true(driverq_calls_on(&rig.q)); /* there is more */
			expect(&rig, 1, (1 + round % 3) * PIECE);
			expect(&rig, 2, 5);
			assert_int_equal(get(&rig), DRIVERQ_EMPTY);
			assert_false(driverq_calls_on(&rig.q));
			use(&rig, taken + 3, 1, 6);
			expect(&rig, 3, 6);
			assert_int_equal(driverq_n_free(&rig.q), 8);
		}
		rig_close(&rig);
	}
}

/* VR-078: the second before the first, with an index that has room for it alone. */
static void get_when_out_of_order_says_so(void **state)
{
	struct taken taken[2];
	struct rig rig;

	(void)state;
	rig_open(&rig, 4, IN_ORDER);
	offer(&rig, 0, 2);
	take_all(&rig, taken, 2);
	use(&rig, taken + 1, 1, 0);
	assert_int_equal(get(&rig), DRIVERQ_BAD_ID);
	assert_int_equal(rig.q.last_id, taken[1].id);
	rig_close(&rig);
}

static void get_when_in_order_names_nothing_says_so(void **state)
{
	const struct taken nothing = { .id = 3, .n_desc = 1 };
	const struct taken outside = { .id = 700, .n_desc = 1 };
	struct taken taken[2];
	struct rig rig;

	(void)state;
	EACH_KIND(kind)
	{
		rig_open(&rig, 4, kind | IN_ORDER);
		offer(&rig, 0, 2);
		take_all(&rig, taken, 2);
		use(&rig, &nothing, 1, 0);
		assert_int_equal(get(&rig), DRIVERQ_BAD_ID);
		driverq_reset(&rig.q);
		device_start(&rig, driverq_base(&rig.q));
		offer(&rig, 0, 2);
		take_all(&rig, taken, 2);
		use(&rig, &outside, 1, 0);
		assert_int_equal(get(&rig), DRIVERQ_BAD_ID);
		rig_close(&rig);
	}
}

/* Positions. */

/* VR-082, VR-100: any position, of both halves. */
static void set_base_when_fresh_goes_on_from_there(void **state)
{
	struct taken taken[1];
	struct rig rig;

	(void)state;
	for (unsigned int i = 0; i < 6; i++) {
		const struct packed_position at = { (uint16_t)(i % 3), i < 3 };
		uint32_t base = packed_base(at, at);

		rig_open(&rig, 3, PACKED);
		assert_int_equal(driverq_base(&rig.q), packed_base(PACKED_START, PACKED_START));
		driverq_set_base(&rig.q, base);
		assert_int_equal(driverq_base(&rig.q), base);
		device_start(&rig, base);
		for (unsigned int n = 0; n < 7; n++) {
			offer(&rig, 0, 1);
			take_all(&rig, taken, 1);
			use(&rig, taken, 1, n);
			expect(&rig, 0, n);
		}
		driverq_reset(&rig.q);
		assert_int_equal(driverq_base(&rig.q), packed_base(PACKED_START, PACKED_START));
		rig_close(&rig);
	}
	rig_open(&rig, 4, EVENT);
	driverq_set_base(&rig.q, 65535);
	assert_int_equal(driverq_base(&rig.q), 65535);
	rig_close(&rig);
}

/* VU-097, VU-235: a device that lost its state takes again what it had not returned. */
static void base_when_the_device_is_lost_is_behind_what_came_back(void **state)
{
	struct taken taken[4];
	struct rig rig;

	(void)state;
	for (unsigned int collected = 0; collected <= 2; collected++) {
		EACH_KIND(kind)
		{
			rig_open(&rig, kind ? 5 : 8, kind);
			for (unsigned int i = 0; i < 3; i++)
				assert_int_equal(add(&rig, i, 1 + i % 2, false), 0);
			driverq_publish(&rig.q);
			take_all(&rig, taken, 3);
			use(&rig, taken, 1, 10);
			use(&rig, taken + 1, 1, 11);
			for (unsigned int i = 0; i < collected; i++)
				expect(&rig, i, 10 + i);
			device_start(&rig, driverq_base(&rig.q));
			take_all(&rig, taken, 1);
			assert_int_equal(taken[0].addr, 0x3000);
			use(&rig, taken, 1, 12);
			for (unsigned int i = collected; i < 3; i++)
				expect(&rig, i, 10 + i);
			rig_close(&rig);
		}
	}
}

/* The same with an entry for several, of which none, or some, are collected. */
static void base_when_a_batch_came_back_is_behind_all_of_it(void **state)
{
	struct taken taken[4];
	struct rig rig;

	(void)state;
	for (unsigned int collected = 0; collected <= 3; collected++) {
		EACH_KIND(kind)
		{
			rig_open(&rig, 8, kind | IN_ORDER);
			for (unsigned int i = 0; i < 4; i++)
				assert_int_equal(add(&rig, i, 1 + i % 2, false), 0);
			driverq_publish(&rig.q);
			take_all(&rig, taken, 4);
			use(&rig, taken, 3, PIECE);
			for (unsigned int i = 0; i < collected; i++)
				expect(&rig, i, (1 + i % 2) * PIECE);
			device_start(&rig, driverq_base(&rig.q));
			take_all(&rig, taken, 1);
			assert_int_equal(taken[0].addr, 0x4000);
			rig_close(&rig);
		}
	}
}

/* What was added and not shown yet is not the device's: no used descriptor can be its. */
static void base_when_nothing_was_shown_stays(void **state)
{
	struct rig rig;

	(void)state;
	EACH_KIND(kind)
	{
		uint32_t base;

		rig_open(&rig, 4, kind);
		base = driverq_base(&rig.q);
		assert_int_equal(add(&rig, 0, 2, false), 0);
		assert_int_equal(driverq_base(&rig.q), base);
		driverq_publish(&rig.q);
		assert_int_equal(driverq_base(&rig.q), base);
		rig_close(&rig);
	}
}

/* VR-096, VR-060 */
static void calls_when_switched_are_said_in_the_right_area(void **state)
{
	struct rig rig;

	(void)state;
	EACH_KIND(kind)
	{
		const uint16_t *flags;

		rig_open(&rig, 4, kind);
		flags = (const void *)(rig.block + (rig.q.avail_addr - GUEST) + (kind ? 2 : 0));
		driverq_calls_off(&rig.q);
		assert_int_equal(shm_load_le16(flags), 1);
		assert_false(driverq_calls_on(&rig.q));
		assert_int_equal(shm_load_le16(flags), 0);
		rig_close(&rig);
	}
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(init_when_packed_has_areas_of_its_own),
	UNIT_TEST(chains_when_they_go_round_come_back_on_either_kind),
	UNIT_TEST(chains_when_they_come_back_in_any_order_are_found),
	UNIT_TEST(add_when_indirect_takes_a_table_of_its_own_on_either_kind),
	UNIT_TEST(get_when_the_length_is_too_large_says_whose_on_either_kind),
	UNIT_TEST(add_when_in_order_goes_on_behind_the_last_descriptor),
	UNIT_TEST(get_when_a_batch_shares_an_entry_returns_each),
	UNIT_TEST(get_when_out_of_order_says_so),
	UNIT_TEST(get_when_in_order_names_nothing_says_so),
	UNIT_TEST(set_base_when_fresh_goes_on_from_there),
	UNIT_TEST(base_when_the_device_is_lost_is_behind_what_came_back),
	UNIT_TEST(base_when_a_batch_came_back_is_behind_all_of_it),
	UNIT_TEST(base_when_nothing_was_shown_stays),
	UNIT_TEST(calls_when_switched_are_said_in_the_right_area),
};

UNIT_MAIN(tests)
