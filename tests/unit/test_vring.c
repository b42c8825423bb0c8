/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <string.h>

#include "unit.h"

#include "base.h"
#include "virtio/vring.h"

#include "ring_rig.h"

enum {
	SIZE = 4,
	AVAIL = 64,	   /* 16 * 4 */
	USED = 80,	   /* after 6 + 2 * 4 bytes, aligned */
	BYTES = USED + 38, /* 6 + 8 * 4 */
};

struct ring_bytes {
	_Alignas(16) unsigned char b[BYTES + 2];
};

static struct vring ring_over(struct ring_bytes *bytes)
{
	struct vring ring;

	memset(bytes, 0, sizeof(*bytes));
	assert_true(vring_map(&ring, bytes->b, bytes->b + AVAIL, bytes->b + USED, SIZE));
	return ring;
}

/* "Split Virtqueues", the table of sizes; VU-088. */
static void sizes_when_computed_include_the_event_words(void **state)
{
	(void)state;
	assert_int_equal(vring_desc_bytes(1), 16);
	assert_int_equal(vring_avail_bytes(1), 8);
	assert_int_equal(vring_used_bytes(1), 14);
	assert_int_equal(vring_desc_bytes(32768), 524288);
	assert_int_equal(vring_avail_bytes(32768), 65542);
	assert_int_equal(vring_used_bytes(32768), 262150);
}

/* VU-082 to VU-084 */
static void size_when_not_a_power_of_two_in_range_is_refused(void **state)
{
	static const uint64_t bad[] = { 0, 3, 100, 32769, 65536, 0x10001, UINT64_MAX };

	(void)state;
	for (uint64_t n = 1; n <= 32768; n *= 2)
		assert_true(vring_size_valid(n));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(vring_size_valid(bad[i]));
}

/* VU-087 */
static void map_when_area_is_missing_or_misaligned_is_refused(void **state)
{
	struct ring_bytes bytes;
	struct vring ring = ring_over(&bytes);
	struct vring before = ring;

	(void)state;
	assert_false(vring_map(&ring, bytes.b + 8, bytes.b + AVAIL, bytes.b + USED, 2));
	assert_false(vring_map(&ring, bytes.b, bytes.b + AVAIL + 1, bytes.b + USED, 2));
	assert_false(vring_map(&ring, bytes.b, bytes.b + AVAIL, bytes.b + USED + 2, 2));
	assert_false(vring_map(&ring, NULL, bytes.b + AVAIL, bytes.b + USED, 2));
	assert_false(vring_map(&ring, bytes.b, NULL, bytes.b + USED, 2));
	assert_false(vring_map(&ring, bytes.b, bytes.b + AVAIL, NULL, 2));
	assert_false(vring_map(&ring, bytes.b, bytes.b + AVAIL, bytes.b + USED, 0));
	assert_false(vring_map(&ring, bytes.b, bytes.b + AVAIL, bytes.b + USED, 3));
	assert_ptr_equal(ring.desc, before.desc);
	assert_ptr_equal(ring.avail, before.avail);
	assert_ptr_equal(ring.used, before.used);
	assert_int_equal(ring.size, before.size);
}

/* VR-113: every place and byte order of the layout table. */
static void descriptor_when_stored_has_the_layout_of_the_text(void **state)
{
	static const unsigned char expected[16] = { 8, 7, 6, 5, 4,    3,    2,	  1,
						    4, 3, 2, 1, 0x22, 0x11, 0x44, 0x33 };
	struct vring_desc desc = { 0x0102030405060708, 0x01020304, 0x1122, 0x3344 };
	struct ring_bytes bytes;
	struct vring ring = ring_over(&bytes);
	struct vring_desc copy;

	(void)state;
	vring_desc_store(&ring, 2, desc);
	assert_memory_equal(bytes.b + 32, expected, 16);
	copy = vring_desc_load(&ring, 2);
	assert_memory_equal(&copy, &desc, sizeof(desc));
}

static void available_ring_when_written_has_the_layout_of_the_text(void **state)
{
	static const unsigned char expected[14] = { 1, 0, 2, 1, 0, 0, 0, 0, 4, 3, 0, 0, 6, 5 };
	struct ring_bytes bytes;
	struct vring ring = ring_over(&bytes);

	(void)state;
	vring_set_avail_flags(&ring, 1);
	vring_set_avail_idx(&ring, 0x0102);
	vring_set_avail_entry(&ring, 0xfffe, 0x0304); /* slot 2 */
	vring_set_used_event(&ring, 0x0506);
	assert_memory_equal(bytes.b + AVAIL, expected, sizeof(expected));
	assert_int_equal(vring_avail_flags(&ring), 1);
	assert_int_equal(vring_avail_idx(&ring), 0x0102);
	assert_int_equal(vring_avail_entry(&ring, 6), 0x0304);
	assert_int_equal(vring_used_event(&ring), 0x0506);
}

/* VR-057 */
static void used_ring_when_written_has_the_layout_of_the_text(void **state)
{
	struct ring_bytes bytes;
	struct vring ring = ring_over(&bytes);
	uint32_t id;
	uint32_t len;

	(void)state;
	memset(bytes.b, 0xee, sizeof(bytes.b));
	vring_set_used_flags(&ring, 1);
	vring_set_used_idx(&ring, 0x0102);
	vring_set_used_entry(&ring, 3, 0x01020304, 0x05060708);
	vring_set_avail_event(&ring, 0x0a0b);
	assert_memory_equal(bytes.b + USED, "\1\0\2\1", 4);
	assert_memory_equal(bytes.b + USED + 4 + 24, "\4\3\2\1\10\7\6\5\13\12", 10);
	assert_int_equal(bytes.b[USED - 1], 0xee);
	assert_int_equal(bytes.b[BYTES], 0xee);
	assert_int_equal(vring_used_flags(&ring), 1);
	assert_int_equal(vring_used_idx(&ring), 0x0102);
	vring_used_entry(&ring, 0xffff, &id, &len);
	assert_int_equal(id, 0x01020304);
	assert_int_equal(len, 0x05060708);
	assert_int_equal(vring_avail_event(&ring), 0x0a0b);
}

/* VR-032 */
static void table_entry_when_at_any_alignment_or_seam_is_the_same(void **state)
{
	struct vring_desc desc = { 0x1112131415161718, 0x2122, 0x3132, 0x4142 };
	struct gmem_region *regions[] = {
		rig_region(0, 0, 4096),
		rig_region(4096, 0x100000, 4096),
	};
	struct gmem *mem = rig_gmem(regions, 2);
	unsigned char *low = gmem_host_from_guest(mem, 0, 4096);
	unsigned char *high = gmem_host_from_guest(mem, 4096, 4096);
	uint64_t words[2];

	(void)state;
	vring_desc_write(words, desc);
	for (size_t at = 4096 - 17; at <= 4096 + 1; at++) {
		struct vring_desc copy = { .addr = 0 };

		for (size_t i = 0; i < 16; i++) {
			unsigned char *p = at + i < 4096 ? low + at + i : high + (at + i - 4096);

			*p = ((unsigned char *)words)[i];
		}
		assert_true(vring_desc_read_guest(mem, at, &copy));
		assert_memory_equal(&copy, &desc, sizeof(desc));
	}
	assert_false(vring_desc_read_guest(mem, 8192 - 15, &desc));
	assert_false(vring_desc_read_guest(mem, UINT64_MAX - 7, &desc));
	assert_int_equal(desc.len, 0x2122);
	gmem_unref(mem);
}

/* VR-062, VR-063, VR-066 */
static void event_when_passed_is_inside_the_batch(void **state)
{
	static const struct {
		uint16_t event, new_idx, old_idx;
		bool passed;
	} rows[] = {
		{ 2, 2, 1, false },	    { 2, 3, 2, true },	       { 2, 8, 0, true },
		{ 2, 4, 3, false },	    { 0, 1, 0, true },	       { 7, 8, 0, true },
		{ 8, 8, 0, false },	    { 65535, 0, 65535, true }, { 65535, 3, 65530, true },
		{ 65529, 3, 65530, false }, { 0, 3, 65530, true },     { 3, 3, 65530, false },
		{ 5, 5, 5, false },	    { 4, 5, 5, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(
			vring_event_passed(rows[i].event, rows[i].new_idx, rows[i].old_idx),
			rows[i].passed);
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(sizes_when_computed_include_the_event_words),
	UNIT_TEST(size_when_not_a_power_of_two_in_range_is_refused),
	UNIT_TEST(map_when_area_is_missing_or_misaligned_is_refused),
	UNIT_TEST(descriptor_when_stored_has_the_layout_of_the_text),
	UNIT_TEST(available_ring_when_written_has_the_layout_of_the_text),
	UNIT_TEST(used_ring_when_written_has_the_layout_of_the_text),
	UNIT_TEST(table_entry_when_at_any_alignment_or_seam_is_the_same),
	UNIT_TEST(event_when_passed_is_inside_the_batch),
};

UNIT_MAIN(tests)
