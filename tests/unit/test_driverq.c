/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The driver side alone: the test plays the device, a bad one where it matters. */
#include <errno.h>
#include <string.h>

#include "unit.h"

#include "base.h"
#include "virtio/driverq.h"

#include "ring_rig.h"

/* As a device: one used entry more. */
static void use(struct rig *rig, uint32_t id, uint32_t len)
{
	const struct vring *ring = &rig->driver.ring;
	uint16_t idx = vring_used_idx(ring);

	vring_set_used_entry(ring, idx, id, len);
	vring_set_used_idx(ring, (uint16_t)(idx + 1));
}

static int add_one(struct rig *rig, uint32_t in_len, void *token)
{
	struct driverq_buf buf = { rig->data, in_len };

	return driverq_add(&rig->driver, &buf, 0, 1, false, token);
}

static enum driverq_result get(struct rig *rig)
{
	uint32_t len;
	void *token;

	return driverq_get(&rig->driver, &token, &len);
}

static void layout_when_initialised_is_aligned_and_apart(void **state)
{
	(void)state;
	for (unsigned int size = 1; size <= VRING_MAX_SIZE; size *= 2) {
		struct rig rig;
		struct driverq *q = &rig.driver;

		rig_open(&rig, size, RIG_V1);
		assert_int_equal(q->desc_addr, RIG_GUEST);
		assert_int_equal(q->avail_addr % VRING_AVAIL_ALIGN, 0);
		assert_int_equal(q->used_addr % VRING_USED_ALIGN, 0);
		assert_true(q->avail_addr >= q->desc_addr + vring_desc_bytes(size));
		assert_true(q->used_addr >= q->avail_addr + vring_avail_bytes(size));
		assert_int_equal(driverq_bytes(size),
				 q->used_addr + vring_used_bytes(size) - RIG_GUEST);
		rig_close(&rig);
	}
}

static void init_when_size_or_place_is_wrong_fails(void **state)
{
	_Alignas(16) unsigned char block[256];
	struct driverq q = { .slots = NULL };

	(void)state;
	assert_int_equal(driverq_init(&q, block, 0, 0, 0), -EINVAL);
	assert_int_equal(driverq_init(&q, block, 0, 3, 0), -EINVAL);
	assert_int_equal(driverq_init(&q, block, 0, 65536, 0), -EINVAL);
	assert_int_equal(driverq_init(&q, block + 8, 0, 4, 0), -EINVAL);
	assert_null(q.slots);
	driverq_fini(&q);
}

static void add_when_direct_links_the_buffers(void **state)
{
	struct driverq_buf bufs[3];
	struct vring_desc desc;
	struct rig rig;
	uint16_t idx;

	(void)state;
	rig_open(&rig, 4, RIG_V1);
	for (unsigned int i = 0; i < 3; i++)
		bufs[i] = (struct driverq_buf){ rig.data + i, i + 1 };
	assert_int_equal(driverq_add(&rig.driver, bufs, 2, 1, false, &rig), 0);
	assert_int_equal(vring_avail_idx(&rig.driver.ring), 0);
	driverq_publish(&rig.driver);
	assert_int_equal(vring_avail_idx(&rig.driver.ring), 1);
	idx = vring_avail_entry(&rig.driver.ring, 0);
	for (unsigned int i = 0; i < 3; i++) {
		desc = vring_desc_load(&rig.driver.ring, idx);
		assert_int_equal(desc.addr, rig.data + i);
		assert_int_equal(desc.len, i + 1);
		assert_int_equal(desc.flags, (i < 2 ? VRING_DESC_F_NEXT : 0) |
						     (i == 2 ? VRING_DESC_F_WRITE : 0));
		idx = desc.next;
	}
	rig_close(&rig);
}

static void add_when_indirect_takes_one_descriptor(void **state)
{
	struct driverq_buf bufs[RIG_TABLE + 1];
	struct vring_desc desc;
	struct rig rig;

	(void)state;
	rig_open(&rig, 1, RIG_V1 | RIG_INDIRECT);
	for (unsigned int i = 0; i <= RIG_TABLE; i++)
		bufs[i] = (struct driverq_buf){ rig.data + i, 1 };
	assert_int_equal(driverq_add(&rig.driver, bufs, RIG_TABLE + 1, 0, true, &rig), -E2BIG);
	assert_int_equal(driverq_add(&rig.driver, bufs, RIG_TABLE, 0, true, &rig), 0);
	assert_int_equal(driverq_add(&rig.driver, bufs, 1, 0, true, &rig), -ENOSPC);
	desc = vring_desc_load(&rig.driver.ring, 0);
	assert_int_equal(desc.addr, rig.tables);
	assert_int_equal(desc.len, RIG_TABLE * 16);
	assert_int_equal(desc.flags, VRING_DESC_F_INDIRECT);
	desc = vring_desc_read(rig_at(&rig, rig.tables + 16 * (RIG_TABLE - 1)));
	assert_int_equal(desc.addr, rig.data + RIG_TABLE - 1);
	assert_int_equal(desc.flags, 0);
	rig_close(&rig);
}

static void add_when_it_cannot_fit_says_how(void **state)
{
	struct driverq_buf bufs[5];
	struct rig rig;

	(void)state;
	rig_open(&rig, 4, RIG_V1);
	memset(bufs, 0, sizeof(bufs));
	assert_int_equal(driverq_add(&rig.driver, bufs, 0, 0, false, &rig), -EINVAL);
	assert_int_equal(driverq_add(&rig.driver, bufs, 1, 0, false, NULL), -EINVAL);
	assert_int_equal(driverq_add(&rig.driver, bufs, 5, 0, false, &rig), -E2BIG);
	assert_int_equal(driverq_add(&rig.driver, bufs, 3, 0, false, &rig), 0);
	assert_int_equal(driverq_add(&rig.driver, bufs, 2, 0, false, &rig), -ENOSPC);
	assert_int_equal(driverq_add(&rig.driver, bufs, 1, 0, false, &rig), 0);
	assert_int_equal(driverq_add(&rig.driver, bufs, 1, 0, false, &rig), -ENOSPC);
	rig_close(&rig);
}

static void get_when_returned_out_of_order_finds_the_tokens(void **state)
{
	int tokens[4];
	struct rig rig;
	uint32_t len = 0;
	void *token = NULL;

	(void)state;
	rig_open(&rig, 4, RIG_V1);
	for (unsigned int i = 0; i < 4; i++)
		assert_int_equal(add_one(&rig, 10 + i, &tokens[i]), 0);
	driverq_publish(&rig.driver);
	assert_int_equal(get(&rig), DRIVERQ_EMPTY);
	for (unsigned int i = 4; i-- > 0;)
		use(&rig, vring_avail_entry(&rig.driver.ring, (uint16_t)i), 10 + i);
	for (unsigned int i = 4; i-- > 0;) {
		assert_int_equal(driverq_get(&rig.driver, &token, &len), DRIVERQ_USED);
		assert_ptr_equal(token, &tokens[i]);
		assert_int_equal(len, 10 + i);
	}
	assert_int_equal(get(&rig), DRIVERQ_EMPTY);
	for (unsigned int i = 0; i < 4; i++)
		assert_int_equal(add_one(&rig, 1, &tokens[i]), 0);
	rig_close(&rig);
}

/* VR-050, VR-051 */
static void get_when_the_id_is_not_held_says_so_and_goes_on(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig, 4, RIG_V1);
	for (unsigned int i = 0; i < 4; i++)
		assert_int_equal(add_one(&rig, 8, &rig), 0);
	driverq_publish(&rig.driver);
	use(&rig, 4, 0);
	assert_int_equal(get(&rig), DRIVERQ_BAD_ID);
	use(&rig, 0x10000, 0);
	assert_int_equal(get(&rig), DRIVERQ_BAD_ID);
	assert_int_equal(rig.driver.last_id, 0x10000);
	use(&rig, 2, 0);
	assert_int_equal(get(&rig), DRIVERQ_USED);
	use(&rig, 2, 0);
	assert_int_equal(get(&rig), DRIVERQ_BAD_ID);
	rig_close(&rig);
}

/* VR-049 */
static void get_when_the_length_is_too_large_says_so(void **state)
{
	struct driverq_buf bufs[2];
	struct rig rig;

	(void)state;
	rig_open(&rig, 4, RIG_V1);
	bufs[0] = (struct driverq_buf){ rig.data, 100 };
	bufs[1] = (struct driverq_buf){ rig.data, 7 };
	for (unsigned int i = 0; i < 2; i++)
		assert_int_equal(driverq_add(&rig.driver, bufs, 1, 1, false, &rig), 0);
	driverq_publish(&rig.driver);
	use(&rig, 0, 8);
	assert_int_equal(get(&rig), DRIVERQ_BAD_LEN);
	assert_int_equal(rig.driver.last_len, 8);
	use(&rig, 2, 7);
	assert_int_equal(get(&rig), DRIVERQ_USED);
	assert_int_equal(rig.driver.n_free, 4);
	rig_close(&rig);
}

/* VR-055 */
static void get_when_more_is_returned_than_offered_says_so(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig, 4, RIG_V1);
	use(&rig, 0, 0);
	assert_int_equal(get(&rig), DRIVERQ_BAD_IDX);
	driverq_reset(&rig.driver);
	assert_int_equal(add_one(&rig, 8, &rig), 0);
	use(&rig, 0, 0);
	assert_int_equal(get(&rig), DRIVERQ_BAD_IDX); /* it was not published yet */
	driverq_publish(&rig.driver);
	assert_int_equal(get(&rig), DRIVERQ_USED);
	vring_set_used_idx(&rig.driver.ring, 0);
	assert_int_equal(get(&rig), DRIVERQ_BAD_IDX);
	rig_close(&rig);
}

/* VR-070, VR-071 */
static void kick_when_no_event_index_obeys_the_flag_alone(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig, 8, RIG_V1);
	assert_false(driverq_publish(&rig.driver));
	vring_set_avail_event(&rig.driver.ring, 99);
	add_one(&rig, 1, &rig);
	assert_true(driverq_publish(&rig.driver));
	vring_set_used_flags(&rig.driver.ring, VRING_USED_F_NO_NOTIFY);
	add_one(&rig, 1, &rig);
	assert_false(driverq_publish(&rig.driver));
	rig_close(&rig);
}

/* VR-073 */
static void kick_when_event_index_is_sent_only_in_passing_it(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig, 8, RIG_V1 | RIG_EVENT);
	vring_set_used_flags(&rig.driver.ring, VRING_USED_F_NO_NOTIFY);
	vring_set_avail_event(&rig.driver.ring, 1);
	add_one(&rig, 1, &rig);
	assert_false(driverq_publish(&rig.driver));
	add_one(&rig, 1, &rig);
	assert_true(driverq_publish(&rig.driver));
	add_one(&rig, 1, &rig);
	assert_false(driverq_publish(&rig.driver));
	vring_set_avail_event(&rig.driver.ring, 5);
	for (unsigned int i = 0; i < 4; i++)
		add_one(&rig, 1, &rig);
	assert_true(driverq_publish(&rig.driver));
	rig_close(&rig);
}

static void calls_when_switched_say_so_in_the_ring(void **state)
{
	struct rig rig;

	(void)state;
	for (unsigned int i = 0; i < 2; i++) {
		bool event = i == 1;
		const struct vring *ring = &rig.driver.ring;

		rig_open(&rig, 8, RIG_V1 | (event ? RIG_EVENT : 0));
		driverq_calls_off(&rig.driver);
		assert_int_equal(vring_avail_flags(ring), event ? 0 : VRING_AVAIL_F_NO_INTERRUPT);
		assert_int_equal(vring_used_event(ring), event ? 0x10000 - 9 : 0);
		assert_false(driverq_calls_on(&rig.driver));
		assert_int_equal(vring_avail_flags(ring), 0);
		assert_int_equal(vring_used_event(ring), 0);
		add_one(&rig, 1, &rig);
		driverq_publish(&rig.driver);
		use(&rig, 0, 0);
		assert_true(driverq_calls_on(&rig.driver));
		assert_int_equal(get(&rig), DRIVERQ_USED);
		assert_false(driverq_calls_on(&rig.driver));
		assert_int_equal(vring_used_event(ring), event ? 1 : 0);
		rig_close(&rig);
	}
}

static void reset_when_chains_are_out_forgets_them(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig, 4, RIG_V1);
	for (unsigned int i = 0; i < 4; i++)
		add_one(&rig, 1, &rig);
	driverq_publish(&rig.driver);
	driverq_reset(&rig.driver);
	assert_int_equal(vring_avail_idx(&rig.driver.ring), 0);
	assert_int_equal(get(&rig), DRIVERQ_EMPTY);
	for (unsigned int i = 0; i < 4; i++)
		assert_int_equal(add_one(&rig, 1, &rig), 0);
	rig_close(&rig);
}

static void result_text_when_asked_differs_for_each(void **state)
{
	(void)state;
	for (int i = DRIVERQ_EMPTY; i <= DRIVERQ_BAD_LEN; i++) {
		for (int k = DRIVERQ_EMPTY; k < i; k++)
			assert_string_not_equal(driverq_result_text((enum driverq_result)i),
						driverq_result_text((enum driverq_result)k));
	}
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(layout_when_initialised_is_aligned_and_apart),
	UNIT_TEST(init_when_size_or_place_is_wrong_fails),
	UNIT_TEST(add_when_direct_links_the_buffers),
	UNIT_TEST(add_when_indirect_takes_one_descriptor),
	UNIT_TEST(add_when_it_cannot_fit_says_how),
	UNIT_TEST(get_when_returned_out_of_order_finds_the_tokens),
	UNIT_TEST(get_when_the_id_is_not_held_says_so_and_goes_on),
	UNIT_TEST(get_when_the_length_is_too_large_says_so),
	UNIT_TEST(get_when_more_is_returned_than_offered_says_so),
	UNIT_TEST(kick_when_no_event_index_obeys_the_flag_alone),
	UNIT_TEST(kick_when_event_index_is_sent_only_in_passing_it),
	UNIT_TEST(calls_when_switched_say_so_in_the_ring),
	UNIT_TEST(reset_when_chains_are_out_forgets_them),
	UNIT_TEST(result_text_when_asked_differs_for_each),
};

UNIT_MAIN(tests)
