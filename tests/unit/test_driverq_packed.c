/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The driver side of a packed ring; the test plays the device, a bad one where it matters. */
#include <errno.h>
#include <string.h>

#include "unit.h"

#include "base.h"
#include "virtio/driverq-packed.h"
#include "virtio/features.h"

#define GUEST UINT64_C(0x40000000)
#define EVENT BIT(VIRTIO_F_EVENT_IDX_BIT)

enum { MAX = 64 };

/* A list as the device took it. */
struct taken {
	struct packed_desc desc[MAX];
	unsigned int n;
	uint16_t id;
};

struct rig {
	_Alignas(16) unsigned char block[MAX * 16 + 8];
	_Alignas(16) unsigned char table[MAX * 16];
	struct driverq_packed q;
	struct packed_position avail, used; /* the device's */
};

static void rig_open(struct rig *rig, unsigned int size, uint64_t features)
{
	memset(rig, 0xee, sizeof(*rig));
	assert_true(driverq_packed_bytes(size) <= sizeof(rig->block));
	assert_int_equal(driverq_packed_init(&rig->q, rig->block, GUEST, size, features), 0);
	rig->avail = (struct packed_position){ 0, true };
	rig->used = rig->avail;
}

static void rig_close(struct rig *rig)
{
	driverq_packed_fini(&rig->q);
}

/* As a device: the next list, if there is one. */
static bool take(struct rig *rig, struct taken *ret_taken)
{
	const struct packed_ring *ring = &rig->q.ring;
	uint16_t flags = packed_desc_flags(ring, rig->avail.offset);

	ret_taken->n = 0;
	if (!packed_is_avail(flags, rig->avail.wrap))
		return false;
	do {
		struct packed_desc desc = packed_desc_load(ring, rig->avail.offset);

		assert_true(ret_taken->n < ring->size);
		assert_true(packed_is_avail(desc.flags, rig->avail.wrap));
		ret_taken->desc[ret_taken->n++] = desc;
		ret_taken->id = desc.id;
		flags = desc.flags;
		rig->avail = packed_advance(ring, rig->avail, 1);
	} while (flags & PACKED_DESC_F_NEXT);
	return true;
}

/* As a device: a used descriptor for a list of n. */
static void use(struct rig *rig, uint16_t id, unsigned int n, uint32_t len, uint16_t flags)
{
	const struct packed_ring *ring = &rig->q.ring;
	struct packed_desc desc = { .id = id, .len = len };

	packed_desc_store_body(ring, rig->used.offset, desc);
	packed_desc_store_flags(ring, rig->used.offset,
				(uint16_t)(flags | packed_used_flags(rig->used.wrap)));
	rig->used = packed_advance(ring, rig->used, n);
}

static int add(struct rig *rig, unsigned int n_out, unsigned int n_in, void *token)
{
	struct driverq_buf bufs[MAX];

	for (unsigned int i = 0; i < n_out + n_in; i++)
		bufs[i] = (struct driverq_buf){ 0x1000 + i, i + 1 };
	return driverq_packed_add(&rig->q, bufs, n_out, n_in, token);
}

static enum driverq_result get(struct rig *rig, void **ret_token)
{
	uint32_t len;

	return driverq_packed_get(&rig->q, ret_token, &len);
}

static void init_when_size_or_place_is_wrong_fails(void **state)
{
	_Alignas(16) unsigned char block[128];
	struct driverq_packed q = { .lists = NULL };

	(void)state;
	assert_int_equal(driverq_packed_init(&q, block, 0, 0, 0), -EINVAL);
	assert_int_equal(driverq_packed_init(&q, block, 0, 32769, 0), -EINVAL);
	assert_int_equal(driverq_packed_init(&q, block + 8, 0, 2, 0), -EINVAL);
	assert_null(q.lists);
	driverq_packed_fini(&q);
}

static void ring_when_fresh_shows_nothing_at_any_position(void **state)
{
	struct rig rig;
	struct taken taken;
	void *token;

	(void)state;
	for (unsigned int size = 1; size <= 5; size++) {
		rig_open(&rig, size, 0);
		for (unsigned int i = 0; i < 2 * size; i++) {
			struct packed_position at = { (uint16_t)(i % size), i < size };

			driverq_packed_set_position(&rig.q, at);
			rig.avail = at;
			assert_false(take(&rig, &taken));
			assert_int_equal(get(&rig, &token), DRIVERQ_EMPTY);
			assert_int_equal(driverq_packed_base(&rig.q), packed_base(at, at));
		}
		rig_close(&rig);
	}
}

static void base_when_made_has_offsets_and_wraps(void **state)
{
	struct packed_position avail = { 3, true }, used = { 0x7fff, false };

	(void)state;
	assert_int_equal(packed_base(avail, used), 0x7fff8003);
	assert_int_equal(packed_base(used, avail), 0x80037fff);
}

static void add_when_direct_is_a_list_of_neighbours(void **state)
{
	struct taken taken;
	struct rig rig;
	int token;

	(void)state;
	rig_open(&rig, 4, 0);
	assert_int_equal(add(&rig, 2, 1, &token), 0);
	assert_false(take(&rig, &taken));
	assert_true(driverq_packed_publish(&rig.q));
	assert_true(take(&rig, &taken));
	assert_int_equal(taken.n, 3);
	for (unsigned int i = 0; i < 3; i++) {
		uint16_t flags = taken.desc[i].flags & 7;

		assert_int_equal(taken.desc[i].addr, 0x1000 + i);
		assert_int_equal(taken.desc[i].len, i + 1);
		assert_int_equal(flags, (i < 2 ? PACKED_DESC_F_NEXT : 0) |
						(i == 2 ? PACKED_DESC_F_WRITE : 0));
	}
	assert_false(take(&rig, &taken));
	rig_close(&rig);
}

static void add_when_indirect_takes_one_descriptor(void **state)
{
	struct driverq_buf bufs[2] = { { 0x1000, 5 }, { 0x2000, 6 } };
	struct packed_ring table;
	struct taken taken;
	struct rig rig;
	int token;

	(void)state;
	rig_open(&rig, 2, 0);
	assert_int_equal(driverq_packed_add_indirect(&rig.q, rig.table, 0x9000, bufs, 1, 1, &token),
			 0);
	driverq_packed_publish(&rig.q);
	assert_true(take(&rig, &taken));
	assert_int_equal(taken.n, 1);
	assert_int_equal(taken.desc[0].addr, 0x9000);
	assert_int_equal(taken.desc[0].len, 32);
	assert_int_equal(taken.desc[0].flags & 7, PACKED_DESC_F_INDIRECT);
	assert_true(packed_map(&table, rig.table, rig.block, rig.block, 2));
	assert_int_equal(packed_desc_load(&table, 0).addr, 0x1000);
	assert_int_equal(packed_desc_load(&table, 0).flags, 0);
	assert_int_equal(packed_desc_load(&table, 1).len, 6);
	assert_int_equal(packed_desc_load(&table, 1).flags, PACKED_DESC_F_WRITE);
	rig_close(&rig);
}

static void add_when_it_cannot_fit_says_how(void **state)
{
	struct driverq_buf bufs[5];
	struct rig rig;
	int token;

	(void)state;
	memset(bufs, 0, sizeof(bufs));
	rig_open(&rig, 4, 0);
	assert_int_equal(add(&rig, 0, 0, &token), -EINVAL);
	assert_int_equal(add(&rig, 1, 0, NULL), -EINVAL);
	assert_int_equal(add(&rig, 3, 2, &token), -E2BIG);
	assert_int_equal(add(&rig, 3, 0, &token), 0);
	assert_int_equal(add(&rig, 1, 1, &token), -ENOSPC);
	assert_int_equal(add(&rig, 1, 0, &token), 0);
	assert_int_equal(driverq_packed_add_indirect(&rig.q, rig.table, 0, bufs, 1, 0, &token),
			 -ENOSPC);
	assert_int_equal(driverq_packed_add_indirect(&rig.q, rig.table, 0, bufs, 5, 0, &token),
			 -E2BIG);
	assert_int_equal(driverq_packed_add_indirect(&rig.q, rig.table, 0, bufs, 0, 0, &token),
			 -EINVAL);
	rig_close(&rig);
}

/* Lists of all lengths go round rings of all sizes many times: wraps and ids hold. */
static void lists_when_they_go_round_come_back(void **state)
{
	(void)state;
	for (unsigned int size = 1; size <= 7; size++) {
		struct taken taken;
		int tokens[7];
		struct rig rig;

		rig_open(&rig, size, 0);
		for (unsigned int i = 0; i < 200; i++) {
			unsigned int n = 1 + i % size;
			uint32_t len = 0;
			void *token = NULL;

			assert_int_equal(add(&rig, n - 1, 1, &tokens[n - 1]), 0);
			assert_true(driverq_packed_publish(&rig.q));
			assert_true(take(&rig, &taken));
			assert_int_equal(taken.n, n);
			use(&rig, taken.id, n, n, PACKED_DESC_F_WRITE);
			assert_int_equal(driverq_packed_get(&rig.q, &token, &len), DRIVERQ_USED);
			assert_ptr_equal(token, &tokens[n - 1]);
			assert_int_equal(len, n);
			assert_int_equal(get(&rig, &token), DRIVERQ_EMPTY);
			assert_int_equal(driverq_packed_base(&rig.q),
					 packed_base(rig.avail, rig.used));
		}
		rig_close(&rig);
	}
}

static void get_when_returned_out_of_order_finds_the_tokens(void **state)
{
	struct taken taken[3];
	int tokens[3];
	struct rig rig;
	void *token;

	(void)state;
	rig_open(&rig, 6, 0);
	for (unsigned int i = 0; i < 3; i++)
		assert_int_equal(add(&rig, i + 1, 0, &tokens[i]), 0);
	driverq_packed_publish(&rig.q);
	for (unsigned int i = 0; i < 3; i++)
		assert_true(take(&rig, &taken[i]));
	for (unsigned int i = 0; i < 3; i++) {
		unsigned int at = (i + 2) % 3;

		use(&rig, taken[at].id, taken[at].n, 0, 0);
		assert_int_equal(get(&rig, &token), DRIVERQ_USED);
		assert_ptr_equal(token, &tokens[at]);
	}
	assert_int_equal(rig.q.n_free, 6);
	rig_close(&rig);
}

static void get_when_the_write_flag_is_clear_has_no_length(void **state)
{
	struct taken taken;
	uint32_t len = 77;
	struct rig rig;
	void *token;
	int mine;

	(void)state;
	rig_open(&rig, 2, 0);
	add(&rig, 0, 1, &mine);
	driverq_packed_publish(&rig.q);
	take(&rig, &taken);
	use(&rig, taken.id, 1, 12345, 0);
	assert_int_equal(driverq_packed_get(&rig.q, &token, &len), DRIVERQ_USED);
	assert_int_equal(len, 0);
	rig_close(&rig);
}

static void get_when_the_device_lies_says_how(void **state)
{
	struct taken taken;
	struct rig rig;
	void *token;
	int mine;

	(void)state;
	rig_open(&rig, 4, 0);
	use(&rig, 0, 1, 0, 0);
	assert_int_equal(get(&rig, &token), DRIVERQ_BAD_IDX);
	rig_close(&rig);

	rig_open(&rig, 4, 0);
	add(&rig, 0, 1, &mine);
	driverq_packed_publish(&rig.q);
	take(&rig, &taken);
	use(&rig, (uint16_t)(taken.id + 1), 1, 0, 0);
	assert_int_equal(get(&rig, &token), DRIVERQ_BAD_ID);
	rig_close(&rig);

	rig_open(&rig, 4, 0);
	add(&rig, 0, 1, &mine);
	driverq_packed_publish(&rig.q);
	take(&rig, &taken);
	use(&rig, taken.id, 1, 2, PACKED_DESC_F_WRITE);
	assert_int_equal(get(&rig, &token), DRIVERQ_BAD_LEN);
	rig_close(&rig);
}

static void publish_when_kicks_are_suppressed_needs_none(void **state)
{
	struct packed_event event = { .flags = PACKED_EVENT_DISABLE };
	struct rig rig;
	int mine;

	(void)state;
	rig_open(&rig, 8, 0);
	assert_false(driverq_packed_publish(&rig.q));
	packed_event_store(rig.q.ring.device_event, event);
	add(&rig, 1, 0, &mine);
	assert_false(driverq_packed_publish(&rig.q));
	/* Position events need EVENT_IDX; without it they ask for every kick. */
	event.flags = PACKED_EVENT_DESC;
	event.offset = 7;
	packed_event_store(rig.q.ring.device_event, event);
	add(&rig, 1, 0, &mine);
	assert_true(driverq_packed_publish(&rig.q));
	rig_close(&rig);
}

/* Against counting: the event lies at old, old + 1, ... new - 1, or it was not passed. */
static void event_when_its_position_is_passed_is_due(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig, 5, EVENT);
	for (uint16_t at = 0; at < 10; at++) {
		for (unsigned int n = 1; n <= 5; n++) {
			struct packed_position old = { at % 5, at < 5 };
			struct packed_position new = packed_advance(&rig.q.ring, old, n);

			for (uint16_t e = 0; e < 10; e++) {
				struct packed_event event = { e % 5, e < 5, PACKED_EVENT_DESC };
				bool passed = (unsigned int)((e + 10 - at) % 10) < n;

				assert_int_equal(packed_event_passed(&rig.q.ring, event, new, n),
						 passed);
			}
		}
	}
	rig_close(&rig);
}

static void calls_when_switched_follow_the_layout(void **state)
{
	struct packed_event event;
	struct taken taken;
	struct rig rig;
	void *token;
	int mine;

	(void)state;
	rig_open(&rig, 3, EVENT);
	driverq_packed_calls_off(&rig.q);
	event = packed_event_load(rig.q.ring.driver_event);
	assert_int_equal(event.flags, PACKED_EVENT_DISABLE);
	add(&rig, 3, 0, &mine);
	driverq_packed_publish(&rig.q);
	assert_true(take(&rig, &taken));
	assert_false(driverq_packed_calls_on(&rig.q));
	use(&rig, taken.id, 3, 0, 0);
	assert_true(driverq_packed_calls_on(&rig.q));
	assert_int_equal(get(&rig, &token), DRIVERQ_USED);
	assert_false(driverq_packed_calls_on(&rig.q));
	event = packed_event_load(rig.q.ring.driver_event);
	assert_int_equal(event.flags, PACKED_EVENT_DESC);
	assert_int_equal(event.offset, 0);
	assert_false(event.wrap);
	rig_close(&rig);
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(init_when_size_or_place_is_wrong_fails),
	UNIT_TEST(ring_when_fresh_shows_nothing_at_any_position),
	UNIT_TEST(base_when_made_has_offsets_and_wraps),
	UNIT_TEST(add_when_direct_is_a_list_of_neighbours),
	UNIT_TEST(add_when_indirect_takes_one_descriptor),
	UNIT_TEST(add_when_it_cannot_fit_says_how),
	UNIT_TEST(lists_when_they_go_round_come_back),
	UNIT_TEST(get_when_returned_out_of_order_finds_the_tokens),
	UNIT_TEST(get_when_the_write_flag_is_clear_has_no_length),
	UNIT_TEST(get_when_the_device_lies_says_how),
	UNIT_TEST(publish_when_kicks_are_suppressed_needs_none),
	UNIT_TEST(event_when_its_position_is_passed_is_due),
	UNIT_TEST(calls_when_switched_follow_the_layout),
};

UNIT_MAIN(tests)
