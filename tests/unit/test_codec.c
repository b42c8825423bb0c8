/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "unit.h"

#include <errno.h>
#include <string.h>

#include "vhu/codec.h"

static struct vhu_msg msg;
static struct vhu_msg other;
static struct vhu_assembler assembler;

/* VU-001: three native words, in this order. */
static void header_when_packed_has_three_native_words(void **state)
{
	uint8_t hdr[VHU_HDR_LEN];
	uint32_t words[3];

	(void)state;
	vhu_msg_init(&msg, VHU_FE, VHU_FE_SET_FEATURES);
	vhu_msg_put_u64(&msg, 1);
	msg.flags |= VHU_FLAG_NEED_REPLY;
	vhu_header_pack(&msg, hdr);
	memcpy(words, hdr, sizeof(words));
	assert_int_equal(words[0], 2);
	assert_int_equal(words[1], 0x9);
	assert_int_equal(words[2], 8);
}

static void header_when_packed_and_parsed_is_the_same(void **state)
{
	uint8_t hdr[VHU_HDR_LEN];

	(void)state;
	for (size_t i = 0; i < vhu_desc_count(); i++) {
		vhu_msg_init_sample(&msg, vhu_desc_at(i));
		vhu_header_pack(&msg, hdr);
		vhu_msg_init(&other, msg.dir, 0);
		assert_int_equal(vhu_header_parse(hdr, &other), 0);
		assert_int_equal(other.id, msg.id);
		assert_int_equal(other.flags, msg.flags);
		assert_int_equal(other.size, msg.size);
	}
}

static void header_parse_leaves_payload_and_direction_alone(void **state)
{
	const uint8_t hdr[VHU_HDR_LEN] = { 1 };

	(void)state;
	vhu_msg_init(&msg, VHU_BE, 9);
	memset(msg.payload, 0xa5, sizeof(msg.payload));
	assert_int_equal(vhu_header_parse(hdr, &msg), 0);
	assert_int_equal(msg.dir, VHU_BE);
	for (size_t i = 0; i < sizeof(msg.payload); i++)
		assert_int_equal(msg.payload[i], 0xa5);
}

static void header_parse_when_size_is_the_largest_accepts_it(void **state)
{
	const uint32_t size = VHU_MAX_PAYLOAD;
	uint8_t hdr[VHU_HDR_LEN] = { 25, 0, 0, 0 };

	(void)state;
	memcpy(hdr + 8, &size, sizeof(size));
	vhu_msg_init(&msg, VHU_FE, 0);
	assert_int_equal(vhu_header_parse(hdr, &msg), 0);
	assert_int_equal(msg.size, size);
}

/* VU-011 */
static void header_parse_when_size_is_absurd_says_so_and_keeps_the_fields(void **state)
{
	const uint32_t sizes[] = { VHU_MAX_PAYLOAD + 1, 65536, 0x7fffffff, 0xffffffff };
	uint8_t hdr[VHU_HDR_LEN] = { 2, 0, 0, 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		memcpy(hdr + 8, &sizes[i], sizeof(sizes[i]));
		vhu_msg_init(&msg, VHU_FE, 0);
		assert_int_equal(vhu_header_parse(hdr, &msg), -EMSGSIZE);
		assert_int_equal(msg.size, sizes[i]);
		assert_int_equal(vhu_msg_payload_len(&msg), VHU_MAX_PAYLOAD);
	}
}

/* VU-003, VU-004: whatever the request's flags were. */
static void init_reply_when_the_request_asked_for_one_has_flags_5_and_its_id(void **state)
{
	(void)state;
	vhu_msg_init(&msg, VHU_FE, VHU_FE_GET_FEATURES);
	msg.flags = 0xfffffff9;
	vhu_msg_init_reply(&other, &msg);
	assert_int_equal(other.flags, 0x5);
	assert_int_equal(other.id, VHU_FE_GET_FEATURES);
	assert_int_equal(other.dir, VHU_FE);
	assert_int_equal(other.size, 0);
	assert_int_equal(other.fds.n_fds, 0);
}

static void init_gives_an_empty_request_of_version_1(void **state)
{
	(void)state;
	memset(&msg, 0xff, sizeof(msg));
	vhu_msg_init(&msg, VHU_BE, VHU_BE_VRING_CALL);
	assert_int_equal(msg.dir, VHU_BE);
	assert_int_equal(msg.id, 4);
	assert_int_equal(msg.flags, 1);
	assert_int_equal(msg.size, 0);
	assert_int_equal(msg.fds.n_fds, 0);
}

static void get_when_payload_is_shorter_fills_with_zero(void **state)
{
	const uint32_t half = 0x11223344;
	struct vhu_vring_state s;

	(void)state;
	vhu_msg_init(&msg, VHU_FE, VHU_FE_SET_VRING_NUM);
	memset(msg.payload, 0xff, sizeof(msg.payload));
	vhu_msg_put(&msg, &half, sizeof(half));
	memset(&s, 0xee, sizeof(s));
	vhu_msg_get(&msg, &s, sizeof(s));
	assert_int_equal(s.index, half);
	assert_int_equal(s.num, 0);
	assert_int_equal(vhu_msg_u64(&msg), half);
}

static void get_when_size_exceeds_the_buffer_stays_inside(void **state)
{
	static uint8_t big[VHU_MAX_PAYLOAD + 64];

	(void)state;
	vhu_msg_init(&msg, VHU_FE, VHU_FE_SET_CONFIG);
	memset(msg.payload, 1, sizeof(msg.payload));
	msg.size = UINT32_MAX;
	vhu_msg_get(&msg, big, sizeof(big));
	assert_int_equal(big[VHU_MAX_PAYLOAD - 1], 1);
	for (size_t i = VHU_MAX_PAYLOAD; i < sizeof(big); i++)
		assert_int_equal(big[i], 0);
}

static void put_then_get_for_largest_payload_is_the_same(void **state)
{
	static uint8_t in[VHU_MAX_PAYLOAD];
	static uint8_t out[VHU_MAX_PAYLOAD];

	(void)state;
	for (size_t i = 0; i < sizeof(in); i++)
		in[i] = (uint8_t)(i * 7);
	vhu_msg_init(&msg, VHU_FE, VHU_FE_SET_CONFIG);
	vhu_msg_put(&msg, in, sizeof(in));
	vhu_msg_get(&msg, out, sizeof(out));
	assert_memory_equal(in, out, sizeof(in));
	vhu_msg_put(&msg, NULL, 0);
	assert_int_equal(msg.size, 0);
}

static void ring_for_each_kind_of_index_is_found(void **state)
{
	const struct vhu_vring_state s = { .index = 0x12345678, .num = 1 };
	const struct vhu_vring_area area = { .value = 0x107 };
	uint32_t ring = 0;

	(void)state;
	vhu_msg_init(&msg, VHU_FE, VHU_FE_SET_VRING_NUM);
	vhu_msg_put(&msg, &s, sizeof(s));
	assert_true(vhu_msg_ring(&msg, &ring));
	assert_int_equal(ring, 0x12345678);

	vhu_msg_init(&msg, VHU_FE, VHU_FE_SET_VRING_KICK);
	vhu_msg_put_u64(&msg, VHU_VRING_NOFD | 5);
	assert_true(vhu_msg_ring(&msg, &ring));
	assert_int_equal(ring, 5);

	vhu_msg_init(&msg, VHU_BE, VHU_BE_VRING_HOST_NOTIFIER_MSG);
	vhu_msg_put(&msg, &area, sizeof(area));
	assert_true(vhu_msg_ring(&msg, &ring));
	assert_int_equal(ring, 7);
}

static void ring_when_there_is_none_is_not_found(void **state)
{
	uint32_t ring = 77;

	(void)state;
	vhu_msg_init(&msg, VHU_FE, VHU_FE_SET_FEATURES);
	vhu_msg_put_u64(&msg, 3);
	assert_false(vhu_msg_ring(&msg, &ring));
	vhu_msg_init(&msg, VHU_FE, 1000);
	vhu_msg_put_u64(&msg, 3);
	assert_false(vhu_msg_ring(&msg, &ring));
	vhu_msg_init(&msg, VHU_FE, VHU_FE_SET_VRING_KICK);
	vhu_msg_put(&msg, "1234567", 7);
	assert_false(vhu_msg_ring(&msg, &ring));
	assert_int_equal(ring, 77);
}

static void expected_len_for_counted_shapes_follows_the_count(void **state)
{
	const struct vhu_shape *table = vhu_shape_find("mem_table");
	const struct vhu_shape *config = vhu_shape_find("config");
	struct vhu_mem_table t = { .n_regions = 8 };
	uint32_t header[3] = { 0, VHU_MAX_CONFIG, 0 };
	uint32_t len = 0;

	(void)state;
	vhu_msg_init(&msg, VHU_FE, VHU_FE_SET_MEM_TABLE);
	vhu_msg_put(&msg, &t, sizeof(t));
	assert_true(vhu_shape_expected_len(table, &msg, &len));
	assert_int_equal(len, 264);
	vhu_msg_put(&msg, header, sizeof(header));
	assert_true(vhu_shape_expected_len(config, &msg, &len));
	assert_int_equal(len, VHU_MAX_PAYLOAD);
}

/* VU-064: no count, however large, leads outside the payload. */
static void expected_len_when_the_count_is_too_large_or_missing_is_refused(void **state)
{
	const struct vhu_shape *table = vhu_shape_find("mem_table");
	const uint32_t counts[] = { 9, 0x08000000, 0xffffffff };
	uint32_t len = 5;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
		vhu_msg_init(&msg, VHU_FE, VHU_FE_SET_MEM_TABLE);
		vhu_msg_put(&msg, &counts[i], sizeof(counts[i]));
		msg.size = 8;
		assert_false(vhu_shape_expected_len(table, &msg, &len));
	}
	vhu_msg_put(&msg, counts, 3);
	assert_false(vhu_shape_expected_len(table, &msg, &len));
	assert_int_equal(len, 5);
}

static void sample_for_each_row_has_a_length_its_shape_allows(void **state)
{
	(void)state;
	for (size_t i = 0; i < vhu_desc_count(); i++) {
		const struct vhu_desc *d = vhu_desc_at(i);
		unsigned int n_fds = vhu_msg_init_sample(&msg, d);
		uint32_t len;

		assert_true(n_fds <= 1);
		assert_int_equal(msg.flags, 1);
		assert_int_equal(msg.fds.n_fds, 0);
		assert_in_range(msg.size, d->request->min_len, d->request->max_len);
		assert_true(vhu_shape_expected_len(d->request, &msg, &len));
		if (d->request->counted)
			assert_int_equal(msg.size, len);
	}
}

/* One message with a payload and one without, back to back. */
static size_t two_frames(uint8_t *bytes)
{
	size_t len;

	vhu_msg_init(&msg, VHU_FE, VHU_FE_SET_FEATURES);
	vhu_msg_put_u64(&msg, 0x123456789abcdef0);
	len = vhu_msg_pack(&msg, bytes);
	vhu_msg_init(&msg, VHU_FE, VHU_FE_GET_FEATURES);
	return len + vhu_msg_pack(&msg, bytes + len);
}

/* VU-001, VU-002: the same messages, however the stream is cut. */
static void assembler_for_any_cut_yields_the_same_messages(void **state)
{
	static uint8_t bytes[2 * (VHU_HDR_LEN + VHU_MAX_PAYLOAD)];
	size_t len = two_frames(bytes);

	(void)state;
	for (size_t piece = 1; piece <= len; piece++) {
		size_t at = 0;
		unsigned int n_messages = 0;

		vhu_assembler_init(&assembler, VHU_FE);
		while (at < len) {
			size_t taken = 0;
			enum vhu_assembly a = vhu_assembler_feed(&assembler, bytes + at,
								 min_size(piece, len - at), &taken);

			assert_true(taken > 0);
			at += taken;
			assert_int_not_equal(a, VHU_ASSEMBLY_BROKEN);
			if (a == VHU_ASSEMBLY_MORE)
				continue;
			n_messages++;
			if (n_messages == 1)
				assert_true(vhu_msg_u64(&assembler.msg) == 0x123456789abcdef0);
			else
				assert_int_equal(assembler.msg.id, VHU_FE_GET_FEATURES);
		}
		assert_int_equal(n_messages, 2);
		assert_false(vhu_assembler_midway(&assembler));
	}
}

/* VU-009, VU-010: an end of stream here is a truncation. */
static void assembler_when_fed_half_a_message_is_midway(void **state)
{
	uint8_t bytes[2 * (VHU_HDR_LEN + VHU_MAX_PAYLOAD)];
	const size_t cuts[] = { 1, 7, 11, 12, 15, 19 };
	size_t taken;

	(void)state;
	two_frames(bytes);
	for (size_t i = 0; i < ARRAY_SIZE(cuts); i++) {
		vhu_assembler_init(&assembler, VHU_FE);
		assert_false(vhu_assembler_midway(&assembler));
		assert_int_equal(vhu_assembler_feed(&assembler, bytes, cuts[i], &taken),
				 VHU_ASSEMBLY_MORE);
		assert_int_equal(taken, cuts[i]);
		assert_true(vhu_assembler_midway(&assembler));
	}
}

static void assembler_when_the_size_is_absurd_is_broken_for_good(void **state)
{
	uint8_t bytes[VHU_HDR_LEN + 8] = { 2, 0, 0, 0 };
	const uint32_t size = VHU_MAX_PAYLOAD + 1;
	size_t taken;

	(void)state;
	memcpy(bytes + 8, &size, sizeof(size));
	vhu_assembler_init(&assembler, VHU_FE);
	assert_int_equal(vhu_assembler_feed(&assembler, bytes, sizeof(bytes), &taken),
			 VHU_ASSEMBLY_BROKEN);
	assert_int_equal(taken, VHU_HDR_LEN);
	assert_int_equal(assembler.msg.size, size);
	assert_int_equal(vhu_assembler_feed(&assembler, bytes, sizeof(bytes), &taken),
			 VHU_ASSEMBLY_BROKEN);
	assert_int_equal(taken, 0);
}

static void assembler_for_the_largest_payload_takes_it_in_pieces(void **state)
{
	static uint8_t bytes[VHU_HDR_LEN + VHU_MAX_PAYLOAD];
	size_t taken;

	(void)state;
	vhu_msg_init(&msg, VHU_FE, VHU_FE_SET_CONFIG);
	msg.size = VHU_MAX_PAYLOAD;
	vhu_msg_pack(&msg, bytes);
	vhu_assembler_init(&assembler, VHU_FE);
	assert_int_equal(vhu_assembler_feed(&assembler, bytes, VHU_HDR_LEN, &taken),
			 VHU_ASSEMBLY_MORE);
	assert_true(vhu_assembler_midway(&assembler));
	assert_int_equal(
		vhu_assembler_feed(&assembler, bytes + VHU_HDR_LEN, VHU_MAX_PAYLOAD, &taken),
		VHU_ASSEMBLY_MESSAGE);
	assert_int_equal(taken, VHU_MAX_PAYLOAD);
}

static void assembler_for_each_row_gives_back_the_packed_message(void **state)
{
	static uint8_t bytes[VHU_HDR_LEN + VHU_MAX_PAYLOAD];

	(void)state;
	for (size_t i = 0; i < vhu_desc_count(); i++) {
		const struct vhu_desc *d = vhu_desc_at(i);
		size_t taken;
		size_t len;

		vhu_msg_init_sample(&msg, d);
		len = vhu_msg_pack(&msg, bytes);
		vhu_assembler_init(&assembler, d->dir);
		assert_int_equal(vhu_assembler_feed(&assembler, bytes, len, &taken),
				 VHU_ASSEMBLY_MESSAGE);
		assert_int_equal(taken, len);
		assert_int_equal(assembler.msg.dir, d->dir);
		assert_int_equal(assembler.msg.id, d->id);
		assert_int_equal(assembler.msg.size, msg.size);
		assert_memory_equal(assembler.msg.payload, msg.payload, msg.size);
	}
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(header_when_packed_has_three_native_words),
	UNIT_TEST(header_when_packed_and_parsed_is_the_same),
	UNIT_TEST(header_parse_leaves_payload_and_direction_alone),
	UNIT_TEST(header_parse_when_size_is_the_largest_accepts_it),
	UNIT_TEST(header_parse_when_size_is_absurd_says_so_and_keeps_the_fields),
	UNIT_TEST(init_reply_when_the_request_asked_for_one_has_flags_5_and_its_id),
	UNIT_TEST(init_gives_an_empty_request_of_version_1),
	UNIT_TEST(get_when_payload_is_shorter_fills_with_zero),
	UNIT_TEST(get_when_size_exceeds_the_buffer_stays_inside),
	UNIT_TEST(put_then_get_for_largest_payload_is_the_same),
	UNIT_TEST(ring_for_each_kind_of_index_is_found),
	UNIT_TEST(ring_when_there_is_none_is_not_found),
	UNIT_TEST(expected_len_for_counted_shapes_follows_the_count),
	UNIT_TEST(expected_len_when_the_count_is_too_large_or_missing_is_refused),
	UNIT_TEST(sample_for_each_row_has_a_length_its_shape_allows),
	UNIT_TEST(assembler_for_any_cut_yields_the_same_messages),
	UNIT_TEST(assembler_when_fed_half_a_message_is_midway),
	UNIT_TEST(assembler_when_the_size_is_absurd_is_broken_for_good),
	UNIT_TEST(assembler_for_the_largest_payload_takes_it_in_pieces),
	UNIT_TEST(assembler_for_each_row_gives_back_the_packed_message),
};
UNIT_MAIN(tests)
