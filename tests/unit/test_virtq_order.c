/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Chains that come back in the order they were offered, and share used entries where they may. */
#include "packed_rig.h"

#define PACKED (RIG_V1 | RIG_PACKED | RIG_ORDER)
#define SPLIT (RIG_V1 | RIG_ORDER)

enum { STALE = 0x7777 };

/* A split ring of 8 with n chains of one buffer; those whose bit is set are to be written. */
static void open_split(struct rig *rig, uint16_t n, unsigned int writable)
{
	rig_open(rig, 8, SPLIT);
	for (uint16_t i = 0; i < 8; i++)
		vring_set_used_entry(&rig->driver.ring, i, STALE, STALE);
	for (uint16_t i = 0; i < n; i++) {
		rig_desc(rig, i, rig->data + 8u * i, 8, writable & BIT(i) ? VRING_DESC_F_WRITE : 0,
			 0);
		rig_offer(rig, i);
		rig_pop(rig);
	}
}

static void entry_is(const struct rig *rig, uint16_t idx, uint32_t id, uint32_t len)
{
	uint32_t got_id, got_len;

	vring_used_entry(&rig->driver.ring, idx, &got_id, &got_len);
	assert_int_equal(got_id, id);
	assert_int_equal(got_len, len);
}

static void push_all(struct rig *rig, uint16_t from, uint16_t to, uint32_t len)
{
	for (uint16_t i = from; i < to; i++)
		virtq_push(&rig->device, i, len);
}

/* VR-079: the last one's entry, at the first one's slot. */
static void output_when_returned_together_takes_one_used_entry(void **state)
{
	struct rig rig;

	(void)state;
	open_split(&rig, 5, 0);
	push_all(&rig, 0, 3, 0);
	assert_int_equal(vring_used_idx(&rig.driver.ring), 0);
	virtq_publish(&rig.device);
	assert_int_equal(vring_used_idx(&rig.driver.ring), 3);
	entry_is(&rig, 0, 2, 0);
	entry_is(&rig, 1, STALE, STALE);
	push_all(&rig, 3, 5, 0);
	virtq_publish(&rig.device);
	assert_int_equal(vring_used_idx(&rig.driver.ring), 5);
	entry_is(&rig, 3, 4, 0);
	rig_close(&rig);
}

/* VR-080: a skipped buffer counts as full, so none that can be written to is skipped. */
static void input_when_returned_has_an_entry_and_a_length_of_its_own(void **state)
{
	struct rig rig;

	(void)state;
	open_split(&rig, 5, BIT(1) | BIT(2));
	virtq_push(&rig.device, 0, 0);
	virtq_push(&rig.device, 1, 3);
	virtq_push(&rig.device, 2, 8);
	push_all(&rig, 3, 5, 0);
	virtq_publish(&rig.device);
	assert_int_equal(vring_used_idx(&rig.driver.ring), 5);
	entry_is(&rig, 0, 1, 3); /* for the output before it, too */
	entry_is(&rig, 2, 2, 8);
	entry_is(&rig, 3, 4, 0);
	rig_close(&rig);
}

/* VR-078, VR-081: what is taken back is not in the way of order. */
static void unpop_when_some_are_out_keeps_the_order_of_the_rest(void **state)
{
	struct rig rig;

	(void)state;
	open_split(&rig, 4, 0);
	virtq_unpop(&rig.device, 2);
	push_all(&rig, 0, 2, 0);
	virtq_publish(&rig.device);
	assert_int_equal(rig_pop(&rig).head, 2);
	assert_int_equal(rig_pop(&rig).head, 3);
	push_all(&rig, 2, 4, 0);
	virtq_publish(&rig.device);
	assert_int_equal(vring_used_idx(&rig.driver.ring), 4);
	entry_is(&rig, 0, 1, 0);
	entry_is(&rig, 2, 3, 0);
	rig_close(&rig);
}

/* VR-079 of packed rings: at the first one's place, and all their places are behind it. */
static void output_when_returned_together_takes_one_used_descriptor(void **state)
{
	struct packed_desc desc;
	struct rig rig;

	(void)state;
	rig_open(&rig, 8, PACKED);
	rig_pdesc(&rig, 0, true, rig.data, 1, 0, PNEXT);
	rig_pdesc(&rig, 1, true, rig.data, 1, 0, 0);
	rig_pdesc(&rig, 2, true, rig.data, 1, 7, 0);
	rig_pdesc(&rig, 3, true, rig.data, 9, 2, PWRITE);
	rig_pdesc(&rig, 4, true, rig.data, 1, 3, 0);
	for (unsigned int i = 0; i < 4; i++)
		rig_pop(&rig);
	virtq_push(&rig.device, 0, 0);
	virtq_push(&rig.device, 7, 0);
	virtq_publish(&rig.device);
	desc = rig_packed_at(&rig, 0);
	assert_true(rig_packed_used(&rig, 0, true));
	assert_int_equal(desc.id, 7);
	assert_int_equal(desc.flags & PWRITE, 0);
	assert_false(rig_packed_used(&rig, 1, true));
	assert_false(rig_packed_used(&rig, 2, true));
	virtq_push(&rig.device, 2, 4);
	virtq_push(&rig.device, 3, 0);
	virtq_publish(&rig.device);
	desc = rig_packed_at(&rig, 3);
	assert_int_equal(desc.id, 2);
	assert_int_equal(desc.len, 4);
	assert_int_equal(desc.flags & PWRITE, PWRITE);
	assert_true(rig_packed_used(&rig, 4, true));
	assert_int_equal(virtq_base(&rig.device), 0x80058005);
	rig_close(&rig);
}

/* VR-062: a batch passes the event that one of those skipped would have met. */
static void calls_when_a_skipped_one_was_asked_for_come(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig, 8, SPLIT | RIG_EVENT);
	for (uint16_t i = 0; i < 6; i++) {
		rig_desc(&rig, i, rig.data, 1, 0, 0);
		rig_offer(&rig, i);
		rig_pop(&rig);
	}
	vring_set_used_event(&rig.driver.ring, 3);
	push_all(&rig, 0, 2, 0);
	assert_true(virtq_publish(&rig.device)); /* VR-065 */
	push_all(&rig, 2, 3, 0);
	assert_false(virtq_publish(&rig.device));
	push_all(&rig, 3, 6, 0);
	assert_true(virtq_publish(&rig.device));
	rig_close(&rig);
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(output_when_returned_together_takes_one_used_entry),
	UNIT_TEST(input_when_returned_has_an_entry_and_a_length_of_its_own),
	UNIT_TEST(unpop_when_some_are_out_keeps_the_order_of_the_rest),
	UNIT_TEST(output_when_returned_together_takes_one_used_descriptor),
	UNIT_TEST(calls_when_a_skipped_one_was_asked_for_come),
};

UNIT_MAIN(tests)
