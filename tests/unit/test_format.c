/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "unit.h"

#include <stdio.h>
#include <string.h>

#include "vhu/codec.h"
#include "vhu/format.h"

static struct vhu_msg msg;
static char text[65536];

typedef size_t format_fn(char *buf, size_t cap, const struct vhu_msg *m);

static void assert_line(const char *expected)
{
	size_t len = vhu_format_line(text, sizeof(text), &msg);

	assert_string_equal(text, expected);
	assert_int_equal(len, strlen(expected));
}

static void assert_json(const char *expected)
{
	size_t len = vhu_format_json(text, sizeof(text), &msg);

	assert_string_equal(text, expected);
	assert_int_equal(len, strlen(expected));
}

static void line_for_features_names_the_bits(void **state)
{
	(void)state;
	vhu_msg_init(&msg, VHU_FE, VHU_FE_SET_FEATURES);
	vhu_msg_put_u64(&msg, BIT(32) | BIT(30) | BIT(1));
	msg.flags |= VHU_FLAG_NEED_REPLY;
	assert_line("SET_FEATURES need_reply value=0x140000002[bit1 PROTOCOL_FEATURES VERSION_1]");
}

static void line_for_protocol_features_names_the_bits(void **state)
{
	(void)state;
	vhu_msg_init(&msg, VHU_FE, VHU_FE_SET_PROTOCOL_FEATURES);
	vhu_msg_put_u64(&msg, BIT(3) | BIT(40));
	assert_line("SET_PROTOCOL_FEATURES value=0x10000000008[REPLY_ACK bit40]");
}

static void line_for_status_names_the_bits(void **state)
{
	(void)state;
	vhu_msg_init(&msg, VHU_FE, VHU_FE_SET_STATUS);
	vhu_msg_put_u64(&msg, 0x4f);
	assert_line("SET_STATUS value=0x4f[ACKNOWLEDGE DRIVER DRIVER_OK FEATURES_OK "
		    "DEVICE_NEEDS_RESET]");
}

static void line_for_ring_messages_tells_index_and_descriptor(void **state)
{
	(void)state;
	vhu_msg_init(&msg, VHU_FE, VHU_FE_SET_VRING_CALL);
	vhu_msg_put_u64(&msg, 3);
	msg.fds.n_fds = 1;
	assert_line("SET_VRING_CALL ring=3 fds=1");
	msg.fds.n_fds = 0;
	vhu_msg_put_u64(&msg, 0x1104);
	assert_line("SET_VRING_CALL ring=4 nofd reserved=0x1000");
}

/* UML's form: room for two regions, one in use. */
static void line_for_memory_table_shows_the_regions_counted(void **state)
{
	struct vhu_mem_table t = { .n_regions = 1, .regions = { { 0x1000, 0x2000, 0x3000, 0 } } };

	(void)state;
	vhu_msg_init(&msg, VHU_FE, VHU_FE_SET_MEM_TABLE);
	vhu_msg_put(&msg, &t, 72);
	msg.fds.n_fds = 1;
	assert_line("SET_MEM_TABLE n_regions=1 regions=[{guest_addr=0x1000 size=0x2000 "
		    "user_addr=0x3000 mmap_offset=0x0}] extra=32 fds=1");
}

static void line_for_single_region_shows_it_without_padding(void **state)
{
	const struct vhu_single_region r = { .region = { 1, 2, 3, 4 } };

	(void)state;
	vhu_msg_init(&msg, VHU_FE, VHU_FE_ADD_MEM_REG);
	vhu_msg_put(&msg, &r, sizeof(r));
	assert_line("ADD_MEM_REG region={guest_addr=0x1 size=0x2 user_addr=0x3 mmap_offset=0x4}");
}

static void line_when_the_payload_is_short_shows_whole_fields_and_what_is_missing(void **state)
{
	(void)state;
	vhu_msg_init(&msg, VHU_FE, VHU_FE_SET_VRING_NUM);
	vhu_msg_put(&msg, "\1\0\0\0\1\0", 6);
	assert_line("SET_VRING_NUM index=1 missing=2");
	vhu_msg_put(&msg, NULL, 0);
	assert_line("SET_VRING_NUM missing=8");
}

static void line_for_unknown_request_has_its_id_and_bytes(void **state)
{
	(void)state;
	vhu_msg_init(&msg, VHU_FE, 1000);
	vhu_msg_put(&msg, "\xde\xad", 2);
	assert_line("unknown(1000) bytes=dead");
}

static void line_for_odd_flags_shows_them(void **state)
{
	(void)state;
	vhu_msg_init(&msg, VHU_FE, VHU_FE_GET_FEATURES);
	msg.flags = 0x12;
	assert_line("GET_FEATURES flags=0x12");
	msg.flags = 0x11;
	assert_line("GET_FEATURES flags=0x11");
	msg.flags = 0x2;
	assert_line("GET_FEATURES flags=0x2");
}

static void line_for_reply_uses_the_reply_shape(void **state)
{
	(void)state;
	vhu_msg_init(&msg, VHU_FE, VHU_FE_GET_QUEUE_NUM);
	msg.flags = VHU_REPLY_FLAGS;
	vhu_msg_put_u64(&msg, 4);
	assert_line("GET_QUEUE_NUM reply value=4");
	msg.id = VHU_FE_SET_VRING_ADDR;
	vhu_msg_put_u64(&msg, 0);
	assert_line("SET_VRING_ADDR reply value=0");
	msg.id = VHU_FE_SET_LOG_BASE;
	assert_line("SET_LOG_BASE reply value=0");
	vhu_msg_put(&msg, "\0\20\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16);
	assert_line("SET_LOG_BASE reply mmap_size=0x1000 mmap_offset=0x0");
}

static void line_for_long_config_cuts_the_bytes(void **state)
{
	const uint32_t header[3] = { 0, 40, 1 };
	uint8_t bytes[52] = { 0 };

	(void)state;
	memcpy(bytes, header, sizeof(header));
	vhu_msg_init(&msg, VHU_FE, VHU_FE_SET_CONFIG);
	vhu_msg_put(&msg, bytes, sizeof(bytes));
	assert_line("SET_CONFIG offset=0 size=40 flags=1 bytes="
		    "0000000000000000000000000000000000000000000000000000000000000000(+8)");
}

static void line_for_shared_object_has_a_uuid(void **state)
{
	const uint8_t uuid[16] = { 0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0,
				   1,	 2,    3,    4,	   5,	 6,    7,    8 };

	(void)state;
	vhu_msg_init(&msg, VHU_BE, VHU_BE_SHARED_OBJECT_ADD);
	vhu_msg_put(&msg, uuid, sizeof(uuid));
	assert_line("BACKEND_SHARED_OBJECT_ADD uuid=12345678-9abc-def0-0102-030405060708");
}

static void line_for_shmem_config_leaves_zero_sizes_out(void **state)
{
	static struct vhu_shmem_config c = { .n_regions = 1, .sizes = { [200] = 0x1000 } };

	(void)state;
	vhu_msg_init(&msg, VHU_FE, VHU_FE_GET_SHMEM_CONFIG);
	msg.flags = VHU_REPLY_FLAGS;
	vhu_msg_put(&msg, &c, sizeof(c));
	assert_line("GET_SHMEM_CONFIG reply n_regions=1 sizes={200=0x1000}");
}

static void json_for_features_has_value_and_bits(void **state)
{
	(void)state;
	vhu_msg_init(&msg, VHU_FE, VHU_FE_SET_FEATURES);
	vhu_msg_put_u64(&msg, BIT(32) | BIT(30));
	msg.flags |= VHU_FLAG_NEED_REPLY;
	assert_json("{\"dir\":\"front-end\",\"name\":\"SET_FEATURES\",\"id\":2,\"need_reply\":true,"
		    "\"size\":8,\"fds\":0,\"payload\":{\"value\":\"0x140000000\","
		    "\"bits\":[\"PROTOCOL_FEATURES\",\"VERSION_1\"]}}");
}

static void json_for_nested_shapes_is_nested(void **state)
{
	const struct vhu_single_region r = { .region = { 1, 2, 3, 4 } };
	const struct vhu_mem_table t = { .n_regions = 2, .regions = { [1] = { 5, 6, 7, 8 } } };

	(void)state;
	vhu_msg_init(&msg, VHU_FE, VHU_FE_REM_MEM_REG);
	vhu_msg_put(&msg, &r, sizeof(r));
	assert_json("{\"dir\":\"front-end\",\"name\":\"REM_MEM_REG\",\"id\":38,\"size\":40,"
		    "\"fds\":0,\"payload\":{\"region\":{\"guest_addr\":\"0x1\",\"size\":\"0x2\","
		    "\"user_addr\":\"0x3\",\"mmap_offset\":\"0x4\"}}}");
	vhu_msg_init(&msg, VHU_FE, VHU_FE_SET_MEM_TABLE);
	vhu_msg_put(&msg, &t, 72);
	vhu_format_json(text, sizeof(text), &msg);
	assert_non_null(strstr(text, "\"regions\":[{"));
	assert_non_null(strstr(text, "\"mmap_offset\":\"0x0\"},{\"guest_addr\":\"0x5\","
				     "\"size\":\"0x6\",\"user_addr\":\"0x7\","
				     "\"mmap_offset\":\"0x8\"}]}}"));
}

static void json_for_numbers_beyond_a_double_is_a_string(void **state)
{
	(void)state;
	vhu_msg_init(&msg, VHU_FE, VHU_FE_NET_SET_MTU);
	vhu_msg_put_u64(&msg, UINT64_MAX);
	vhu_format_json(text, sizeof(text), &msg);
	assert_non_null(strstr(text, "\"payload\":{\"value\":\"0xffffffffffffffff\"}"));
	vhu_msg_put_u64(&msg, 1500);
	vhu_format_json(text, sizeof(text), &msg);
	assert_non_null(strstr(text, "\"payload\":{\"value\":1500}"));
}

static void json_for_ring_words_and_empty_payloads_is_well_formed(void **state)
{
	(void)state;
	vhu_msg_init(&msg, VHU_FE, VHU_FE_SET_VRING_KICK);
	vhu_msg_put_u64(&msg, 0x101);
	assert_json("{\"dir\":\"front-end\",\"name\":\"SET_VRING_KICK\",\"id\":12,\"size\":8,"
		    "\"fds\":0,\"payload\":{\"ring\":1,\"nofd\":true}}");
	vhu_msg_init(&msg, VHU_BE, 77);
	assert_json("{\"dir\":\"back-end\",\"name\":\"unknown\",\"id\":77,\"size\":0,\"fds\":0,"
		    "\"payload\":{}}");
}

/* Brackets pair up, and quotes too: a cheap stand-in for a parser. */
static void assert_balanced(const char *s)
{
	int depth = 0;
	bool quoted = false;

	for (; *s; s++) {
		if (*s == '"')
			quoted = !quoted;
		if (quoted)
			continue;
		depth += (*s == '{' || *s == '[') - (*s == '}' || *s == ']');
		assert_true(depth >= 0);
		assert_false(*s == ',' && (s[1] == ',' || s[1] == '}' || s[1] == ']'));
		assert_false((*s == '{' || *s == '[') && s[1] == ',');
	}
	assert_int_equal(depth, 0);
	assert_false(quoted);
}

/* For a buffer of every size: the terminator is inside, and nothing behind it is touched. */
static void check_caps(format_fn *format, size_t full)
{
	static char small[65536];
	size_t top = min_size(full + 2, sizeof(small) - 1);

	for (size_t cap = 0; cap <= top; cap++) {
		memset(small, 0x7e, top + 1);
		assert_int_equal(format(small, cap, &msg), full);
		if (cap > 0)
			assert_int_equal(strnlen(small, cap), min_size(full, cap - 1));
		assert_int_equal(small[cap], 0x7e);
		if (cap > 0)
			assert_memory_equal(small, text, min_size(full, cap - 1));
	}
}

static void both_for_each_row_at_any_cap_stay_inside(void **state)
{
	(void)state;
	for (size_t i = 0; i < vhu_desc_count(); i++) {
		const uint32_t flags[] = { 0x1, 0xfffffffd };

		for (size_t j = 0; j < ARRAY_SIZE(flags); j++) {
			vhu_msg_init_sample(&msg, vhu_desc_at(i));
			msg.flags = flags[j];
			msg.fds.n_fds = FDSET_MAX;
			check_caps(vhu_format_line, vhu_format_line(text, sizeof(text), &msg));
			vhu_format_json(text, sizeof(text), &msg);
			assert_balanced(text);
			check_caps(vhu_format_json, strlen(text));
		}
	}
}

/* Whatever the payload: all ones makes every count and mask as large as it can be. */
static void both_for_each_row_and_hostile_payload_stay_inside(void **state)
{
	const uint32_t sizes[] = { 0, 1, 7, 9, 13, 41, 300, VHU_MAX_PAYLOAD, UINT32_MAX };

	(void)state;
	for (size_t i = 0; i < vhu_desc_count(); i++) {
		for (size_t j = 0; j < 2 * ARRAY_SIZE(sizes); j++) {
			const struct vhu_desc *d = vhu_desc_at(i);

			vhu_msg_init(&msg, d->dir, d->id);
			memset(msg.payload, 0xff, sizeof(msg.payload));
			msg.size = sizes[j / 2];
			msg.flags = j % 2 ? VHU_REPLY_FLAGS : VHU_VERSION;
			assert_true(vhu_format_line(text, sizeof(text), &msg) < sizeof(text));
			assert_true(vhu_format_json(text, sizeof(text), &msg) < sizeof(text));
			assert_balanced(text);
			assert_null(strchr(text, '\n'));
		}
	}
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(line_for_features_names_the_bits),
	UNIT_TEST(line_for_protocol_features_names_the_bits),
	UNIT_TEST(line_for_status_names_the_bits),
	UNIT_TEST(line_for_ring_messages_tells_index_and_descriptor),
	UNIT_TEST(line_for_memory_table_shows_the_regions_counted),
	UNIT_TEST(line_for_single_region_shows_it_without_padding),
	UNIT_TEST(line_when_the_payload_is_short_shows_whole_fields_and_what_is_missing),
	UNIT_TEST(line_for_unknown_request_has_its_id_and_bytes),
	UNIT_TEST(line_for_odd_flags_shows_them),
	UNIT_TEST(line_for_reply_uses_the_reply_shape),
	UNIT_TEST(line_for_long_config_cuts_the_bytes),
	UNIT_TEST(line_for_shared_object_has_a_uuid),
	UNIT_TEST(line_for_shmem_config_leaves_zero_sizes_out),
	UNIT_TEST(json_for_features_has_value_and_bits),
	UNIT_TEST(json_for_nested_shapes_is_nested),
	UNIT_TEST(json_for_numbers_beyond_a_double_is_a_string),
	UNIT_TEST(json_for_ring_words_and_empty_payloads_is_well_formed),
	UNIT_TEST(both_for_each_row_at_any_cap_stay_inside),
	UNIT_TEST(both_for_each_row_and_hostile_payload_stay_inside),
};
UNIT_MAIN(tests)
