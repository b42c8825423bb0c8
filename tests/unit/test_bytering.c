/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <string.h>

#include "unit.h"

#include "bytering.h"

/* A ring of eight bytes whose positions stand at start. */
static struct bytering ring_at(uint64_t start)
{
	struct bytering r;

	assert_int_equal(bytering_init(&r, 8), 0);
	r.head = r.tail = start;
	return r;
}

/* What the ring holds, as a string, read without consuming. */
static const char *ring_text(const struct bytering *r)
{
	static char text[64];

	text[bytering_copy_at(r, r->tail, text, sizeof(text) - 1)] = '\0';
	return text;
}

static void init_when_size_is_no_power_of_two_fails(void **state)
{
	struct bytering r = { .size = 77 };

	(void)state;
	assert_int_equal(bytering_init(&r, 0), -EINVAL);
	assert_int_equal(bytering_init(&r, 24), -EINVAL);
	assert_int_equal(r.size, 77);
}

static void fini_when_empty_or_called_twice_does_nothing(void **state)
{
	struct bytering r = { 0 };

	(void)state;
	bytering_fini(&r);
	r = ring_at(0);
	bytering_fini(&r);
	assert_null(r.buf);
	bytering_fini(&r);
}

static void put_when_room_is_short_takes_what_fits(void **state)
{
	struct bytering r = ring_at(6);

	(void)state;
	assert_int_equal(bytering_put(&r, "abcde", 5), 5);
	assert_int_equal(bytering_used(&r), 5);
	assert_int_equal(bytering_room(&r), 3);
	assert_int_equal(bytering_put(&r, "fghij", 5), 3);
	assert_int_equal(bytering_put(&r, "x", 1), 0);
	assert_string_equal(ring_text(&r), "abcdefgh");
	assert_int_equal(r.head, 14);
	bytering_fini(&r);
}

static void put_over_when_full_drops_the_oldest(void **state)
{
	struct bytering r = ring_at(5);

	(void)state;
	bytering_put_over(&r, "abcdef", 6);
	assert_int_equal(r.tail, 5);
	bytering_put_over(&r, "ghij", 4);
	assert_string_equal(ring_text(&r), "cdefghij");
	assert_int_equal(r.tail, 7);
	assert_int_equal(r.head, 15);
	bytering_put_over(&r, "", 0);
	assert_string_equal(ring_text(&r), "cdefghij");
	bytering_fini(&r);
}

static void put_over_when_longer_than_the_ring_keeps_its_end(void **state)
{
	struct bytering r = ring_at(3);

	(void)state;
	bytering_put_over(&r, "zz", 2);
	bytering_put_over(&r, "0123456789abcdefghi", 19);
	assert_string_equal(ring_text(&r), "bcdefghi");
	assert_int_equal(r.head, 3 + 2 + 19);
	assert_int_equal(r.tail, r.head - 8);
	bytering_fini(&r);
}

static void positions_when_past_32_bits_are_not_reduced(void **state)
{
	struct bytering r = ring_at((UINT64_C(1) << 32) - 3);

	(void)state;
	assert_int_equal(bytering_put(&r, "abcdef", 6), 6);
	assert_int_equal(r.head, (UINT64_C(1) << 32) + 3);
	assert_string_equal(ring_text(&r), "abcdef");
	bytering_fini(&r);
}

static void free_segment_when_wrapping_ends_at_the_buffer_end(void **state)
{
	struct bytering r = ring_at(6);
	void *seg;

	(void)state;
	assert_int_equal(bytering_free_segment(&r, &seg), 2);
	memcpy(seg, "ab", 2);
	bytering_commit(&r, 2);
	assert_int_equal(bytering_free_segment(&r, &seg), 6);
	memcpy(seg, "cdefgh", 6);
	bytering_commit(&r, 5);
	assert_string_equal(ring_text(&r), "abcdefg");
	assert_int_equal(bytering_free_segment(&r, &seg), 1);
	bytering_commit(&r, 1);
	assert_int_equal(bytering_free_segment(&r, &seg), 0);
	bytering_fini(&r);
}

static void free_segment_until_committed_stays_in_place(void **state)
{
	struct bytering r = ring_at(0);
	void *before, *after;

	(void)state;
	bytering_put(&r, "abc", 3);
	bytering_free_segment(&r, &before);
	bytering_consume(&r, 3);
	bytering_free_segment(&r, &after);
	assert_ptr_equal(before, after);
	bytering_fini(&r);
}

static void rewind_when_empty_goes_on_at_the_front(void **state)
{
	struct bytering r = ring_at(5);
	char got[4];

	(void)state;
	bytering_put(&r, "a", 1);
	bytering_rewind(&r); /* not empty: nothing moves */
	assert_int_equal(bytering_copy_at(&r, 5, got, 1), 1);
	assert_int_equal(got[0], 'a');
	bytering_consume(&r, 1);
	bytering_rewind(&r);
	bytering_put(&r, "bcd", 3);
	assert_memory_equal(r.buf, "bcd", 3);
	assert_int_equal(bytering_copy_at(&r, 6, got, 3), 3);
	assert_memory_equal(got, "bcd", 3);
	bytering_fini(&r);
}

static void data_iov_when_wrapping_has_two_parts(void **state)
{
	struct bytering r = ring_at(6);
	struct iovec iov[2];

	(void)state;
	assert_int_equal(bytering_data_iov(&r, iov), 0);
	bytering_put(&r, "ab", 2);
	assert_int_equal(bytering_data_iov(&r, iov), 1);
	assert_int_equal(iov[0].iov_len, 2);
	bytering_put(&r, "cde", 3);
	assert_int_equal(bytering_data_iov(&r, iov), 2);
	assert_int_equal(iov[0].iov_len, 2);
	assert_memory_equal(iov[0].iov_base, "ab", 2);
	assert_int_equal(iov[1].iov_len, 3);
	assert_memory_equal(iov[1].iov_base, "cde", 3);
	bytering_fini(&r);
}

static void copy_at_when_inside_reads_from_there_and_consumes_nothing(void **state)
{
	struct bytering r = ring_at(6);
	char text[8] = "";

	(void)state;
	bytering_put(&r, "abcdef", 6);
	assert_int_equal(bytering_copy_at(&r, 7, text, 3), 3);
	assert_memory_equal(text, "bcd", 3);
	assert_int_equal(bytering_copy_at(&r, 10, text, 8), 2);
	assert_memory_equal(text, "ef", 2);
	assert_int_equal(bytering_copy_at(&r, 12, text, 8), 0);
	assert_int_equal(bytering_used(&r), 6);
	bytering_fini(&r);
}

static void consume_drops_the_oldest(void **state)
{
	struct bytering r = ring_at(0);

	(void)state;
	bytering_put(&r, "abcdef", 6);
	bytering_consume(&r, 4);
	assert_string_equal(ring_text(&r), "ef");
	bytering_consume(&r, 2);
	assert_int_equal(bytering_used(&r), 0);
	bytering_fini(&r);
}

/* Every pair of lengths through every offset of the ring, byte for byte. */
static void bytes_through_the_ring_arrive_in_order(void **state)
{
	struct bytering r = ring_at(0);
	uint8_t in = 0, out = 0, buf[8];
	size_t n;

	(void)state;
	for (size_t put = 0; put <= 8; put++) {
		for (size_t get = 0; get <= 8; get++) {
			for (size_t i = 0; i < put; i++)
				buf[i] = (uint8_t)(in + i);
			in = (uint8_t)(in + bytering_put(&r, buf, put));
			n = bytering_copy_at(&r, r.tail, buf, get);
			bytering_consume(&r, n);
			for (size_t i = 0; i < n; i++)
				assert_int_equal(buf[i], out++);
		}
	}
	assert_int_equal((uint8_t)(in - out), bytering_used(&r));
	bytering_fini(&r);
}

static void skip_over_when_larger_than_the_ring_leaves_nothing_behind(void **state)
{
	struct bytering r;
	char back[8];

	(void)state;
	assert_int_equal(bytering_init(&r, 8), 0);
	bytering_put_over(&r, "abc", 3);
	bytering_skip_over(&r, 0);
	assert_int_equal(bytering_used(&r), 3);
	bytering_skip_over(&r, 1000);
	assert_int_equal(bytering_used(&r), 0);
	assert_int_equal(r.head, 1003);
	bytering_put_over(&r, "12345678", 8);
	assert_int_equal(bytering_copy_at(&r, 1003, back, 8), 8);
	assert_memory_equal(back, "12345678", 8);
	bytering_fini(&r);
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(init_when_size_is_no_power_of_two_fails),
	UNIT_TEST(fini_when_empty_or_called_twice_does_nothing),
	UNIT_TEST(put_when_room_is_short_takes_what_fits),
	UNIT_TEST(put_over_when_full_drops_the_oldest),
	UNIT_TEST(put_over_when_longer_than_the_ring_keeps_its_end),
	UNIT_TEST(positions_when_past_32_bits_are_not_reduced),
	UNIT_TEST(free_segment_when_wrapping_ends_at_the_buffer_end),
	UNIT_TEST(free_segment_until_committed_stays_in_place),
	UNIT_TEST(rewind_when_empty_goes_on_at_the_front),
	UNIT_TEST(data_iov_when_wrapping_has_two_parts),
	UNIT_TEST(copy_at_when_inside_reads_from_there_and_consumes_nothing),
	UNIT_TEST(consume_drops_the_oldest),
	UNIT_TEST(bytes_through_the_ring_arrive_in_order),
	UNIT_TEST(skip_over_when_larger_than_the_ring_leaves_nothing_behind),
};

UNIT_MAIN(tests)
