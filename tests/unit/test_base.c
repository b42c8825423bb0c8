/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "unit.h"

#include "list.h"

static void range_when_inside_is_accepted(void **state)
{
	(void)state;
	assert_true(range_within(0x1000, 0x1000, 0x1000, 0x1000));
	assert_true(range_within(0x1fff, 1, 0x1000, 0x1000));
	assert_true(range_within(0x2000, 0, 0x1000, 0x1000));
}

static void range_when_outside_is_refused(void **state)
{
	(void)state;
	assert_false(range_within(0xfff, 1, 0x1000, 0x1000));
	assert_false(range_within(0x1fff, 2, 0x1000, 0x1000));
	assert_false(range_within(0x2001, 0, 0x1000, 0x1000));
}

static void range_when_sum_would_wrap_is_refused(void **state)
{
	(void)state;
	assert_false(range_within(0x1800, UINT64_MAX, 0x1000, 0x1000));
	assert_false(range_within(UINT64_MAX, 2, UINT64_MAX - 1, 2));
	assert_true(range_within(UINT64_MAX, 1, UINT64_MAX - 1, 2));
}

static void sums_and_products_when_too_large_say_so(void **state)
{
	uint64_t value;

	(void)state;
	assert_false(add_u64(UINT64_MAX, 1, &value));
	assert_false(mul_u64(BIT(32), BIT(32), &value));
	assert_true(add_u64(UINT64_MAX - 1, 1, &value));
	assert_int_equal(value, UINT64_MAX);
	assert_true(mul_u64(BIT(32), BIT(31), &value));
	assert_int_equal(value, BIT(63));
}

static void power_of_two_when_one_bit_is_set(void **state)
{
	(void)state;
	assert_true(is_power_of_two(1));
	assert_true(is_power_of_two(BIT(63)));
	assert_false(is_power_of_two(0));
	assert_false(is_power_of_two(3));
	assert_false(is_power_of_two(BIT(63) + 1));
}

static void shared_stores_are_little_endian(void **state)
{
	union {
		uint8_t bytes[8];
		uint16_t u16;
		uint32_t u32;
		uint64_t u64;
	} cell;

	(void)state;
	shm_store_le16(&cell.u16, 0x1122);
	assert_int_equal(cell.bytes[0], 0x22);
	assert_int_equal(shm_load_le16(&cell.u16), 0x1122);
	shm_store_release_le16(&cell.u16, 0x3344);
	assert_int_equal(cell.bytes[0], 0x44);
	assert_int_equal(shm_load_acquire_le16(&cell.u16), 0x3344);
	shm_store_le32(&cell.u32, 0x11223344);
	assert_int_equal(cell.bytes[0], 0x44);
	assert_int_equal(shm_load_le32(&cell.u32), 0x11223344);
	shm_store_le64(&cell.u64, 0x1122334455667788);
	assert_int_equal(cell.bytes[0], 0x88);
	assert_int_equal(shm_load_le64(&cell.u64), 0x1122334455667788);
}

struct item {
	int value;
	struct list_node link;
};

/* The values of a list as decimal digits, first item first. */
static int list_digits(struct list_node *head)
{
	struct list_node *node, *tmp;
	int digits = 0;

	list_for_each (node, tmp, head)
		digits = digits * 10 + list_entry(node, struct item, link)->value;
	return digits;
}

static void list_when_appended_and_removed_keeps_order(void **state)
{
	struct item a = { .value = 1 }, b = { .value = 2 }, c = { .value = 3 };
	struct list_node head;

	(void)state;
	list_init(&head);
	assert_true(list_empty(&head));
	list_append(&head, &a.link);
	list_append(&head, &b.link);
	list_append(&head, &c.link);
	assert_int_equal(list_digits(&head), 123);
	list_remove(&b.link);
	list_remove(&b.link);
	assert_int_equal(list_digits(&head), 13);
	assert_ptr_equal(list_first(&head, struct item, link), &a);
}

static void list_when_removed_while_walking_reaches_every_item(void **state)
{
	struct item items[3] = { { .value = 1 }, { .value = 2 }, { .value = 3 } };
	struct list_node head, *node, *tmp;
	int sum = 0;

	(void)state;
	list_init(&head);
	for (size_t i = 0; i < ARRAY_SIZE(items); i++)
		list_append(&head, &items[i].link);
	list_for_each (node, tmp, &head) {
		sum += list_entry(node, struct item, link)->value;
		list_remove(node);
	}
	assert_int_equal(sum, 6);
	assert_true(list_empty(&head));
}

static void list_when_spliced_moves_all_in_order(void **state)
{
	struct item a = { .value = 1 }, b = { .value = 2 }, c = { .value = 3 };
	struct list_node to, from;

	(void)state;
	list_init(&to);
	list_init(&from);
	list_splice(&to, &from);
	assert_true(list_empty(&to));
	list_append(&to, &a.link);
	list_append(&from, &b.link);
	list_append(&from, &c.link);
	list_splice(&to, &from);
	assert_int_equal(list_digits(&to), 123);
	assert_true(list_empty(&from));
}

static void number_when_read_from_bytes_is_little_endian(void **state)
{
	static const uint8_t bytes[] = { 0xee, 0xf1, 0xe2, 0xd3, 0xc4, 0xb5, 0xa6, 0x97, 0x88 };

	(void)state;
	assert_int_equal(get_le16(bytes + 1), 0xe2f1);
	assert_int_equal(get_le32(bytes + 1), 0xc4d3e2f1);
	assert_true(get_le64(bytes + 1) == UINT64_C(0x8897a6b5c4d3e2f1));
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(range_when_inside_is_accepted),
	UNIT_TEST(range_when_outside_is_refused),
	UNIT_TEST(range_when_sum_would_wrap_is_refused),
	UNIT_TEST(sums_and_products_when_too_large_say_so),
	UNIT_TEST(power_of_two_when_one_bit_is_set),
	UNIT_TEST(shared_stores_are_little_endian),
	UNIT_TEST(list_when_appended_and_removed_keeps_order),
	UNIT_TEST(list_when_removed_while_walking_reaches_every_item),
	UNIT_TEST(list_when_spliced_moves_all_in_order),
	UNIT_TEST(number_when_read_from_bytes_is_little_endian),
};

UNIT_MAIN(tests)
