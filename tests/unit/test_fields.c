/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "unit.h"

#include <stdio.h>
#include <string.h>

#include "vhu/codec.h"
#include "vhu/fields.h"
#include "vhu/format.h"

enum { MAX_FIELDS = 64 };

static struct vhu_msg msg;

/* What was told of msg, and the bytes as they travel. */
static struct {
	struct vhu_field_view fields[MAX_FIELDS];
	size_t n;
	uint8_t wire[VHU_HDR_LEN + VHU_MAX_PAYLOAD];
	size_t len;
	size_t at; /* where the next field has to begin */
} told;

/* Each begins where the one before it ended, and has the bytes of that place. */
static void take_field(const struct vhu_field_view *f, void *arg)
{
	assert_ptr_equal(arg, &told);
	assert_true(told.n < MAX_FIELDS);
	assert_int_equal(f->at, told.at);
	assert_true(f->len > 0 && f->len <= told.len - f->at);
	assert_memory_equal(f->bytes, told.wire + f->at, f->len);
	assert_true(strlen(f->name) > 0 && strlen(f->text) > 0);
	assert_int_equal(f->part == VHU_FIELD_HEADER, f->at < VHU_HDR_LEN);
	told.at += f->len;
	told.fields[told.n] = *f;
	/* Bytes of the header are gone after the call. */
	told.fields[told.n++].bytes = told.wire + f->at;
}

static void tell(void)
{
	memset(&told, 0, sizeof(told));
	told.len = vhu_msg_pack(&msg, told.wire);
	vhu_fields_each(&msg, take_field, &told);
	assert_int_equal(told.at, told.len);
}

static const struct vhu_field_view *field(const char *name)
{
	for (size_t i = 0; i < told.n; i++)
		if (strcmp(told.fields[i].name, name) == 0)
			return &told.fields[i];
	fail_msg("there is no field %s", name);
	return NULL;
}

static void assert_value(const char *name, const char *expected)
{
	char text[256];
	size_t len = vhu_field_value(text, sizeof(text), field(name));

	assert_string_equal(text, expected);
	assert_int_equal(len, strlen(expected));
}

static void fields_of_each_row_cover_every_byte_once(void **state)
{
	const struct vhu_desc *desc;

	(void)state;
	for (size_t i = 0; (desc = vhu_desc_at(i)) != NULL; i++) {
		vhu_msg_init_sample(&msg, desc);
		tell();
		for (size_t k = 0; k < told.n; k++)
			assert_int_not_equal(told.fields[k].part, VHU_FIELD_EXTRA);
	}
}

static void fields_of_each_row_at_any_length_cover_every_byte_once(void **state)
{
	const struct vhu_desc *desc;

	(void)state;
	for (size_t i = 0; (desc = vhu_desc_at(i)) != NULL; i++)
		for (uint32_t flags = 0; flags < 2; flags++)
			for (uint32_t size = 0; size < 90; size++) {
				vhu_msg_init_sample(&msg, desc);
				msg.flags |= flags * VHU_FLAG_REPLY;
				msg.size = size;
				tell();
			}
}

static void fields_of_hostile_payloads_cover_every_byte_once(void **state)
{
	const struct vhu_desc *desc;

	(void)state;
	for (size_t i = 0; (desc = vhu_desc_at(i)) != NULL; i++) {
		vhu_msg_init(&msg, desc->dir, desc->id);
		memset(msg.payload, 0xff, sizeof(msg.payload));
		msg.size = UINT32_MAX;
		tell();
		msg.size = VHU_MAX_PAYLOAD;
		tell();
	}
}

static void fields_of_the_header_come_first(void **state)
{
	(void)state;
	vhu_msg_init(&msg, VHU_FE, VHU_FE_GET_FEATURES);
	msg.flags |= VHU_FLAG_NEED_REPLY;
	tell();
	assert_int_equal(told.n, 3);
	assert_value("request", "1");
	assert_value("flags", "0x9");
	assert_value("size", "0");
}

static void fields_of_a_memory_table_are_named_by_region(void **state)
{
	struct vhu_mem_table t = {
		.n_regions = 2,
		.regions = { { 0x1000, 0x2000, 0x3000, 0 }, { 0x9000, 0x100, 0x7000, 0x40 } },
	};

	(void)state;
	vhu_msg_init(&msg, VHU_FE, VHU_FE_SET_MEM_TABLE);
	vhu_msg_put(&msg, &t, 8 + 2 * 32);
	tell();
	assert_int_equal(told.n, 3 + 2 + 2 * 4);
	assert_int_equal(field("padding")->part, VHU_FIELD_PADDING);
	assert_value("padding", "00000000");
	assert_value("regions[0].user_addr", "0x3000");
	assert_value("regions[1].mmap_offset", "0x40");
	assert_int_equal(field("regions[1].guest_addr")->at, VHU_HDR_LEN + 8 + 32);
}

static void fields_of_a_nest_alone_have_no_index(void **state)
{
	(void)state;
	vhu_msg_init_sample(&msg, vhu_desc_find(VHU_FE, VHU_FE_ADD_MEM_REG));
	tell();
	assert_value("region.guest_addr", "0x400000");
	assert_int_equal(field("region.guest_addr")->at, VHU_HDR_LEN + 8);
}

/* UML's form: room for two regions, one in use. */
static void fields_beyond_the_count_are_extra(void **state)
{
	struct vhu_mem_table t = { .n_regions = 1, .regions = { { 0x1000, 0x2000, 0x3000, 0 } } };

	(void)state;
	vhu_msg_init(&msg, VHU_FE, VHU_FE_SET_MEM_TABLE);
	vhu_msg_put(&msg, &t, 72);
	tell();
	assert_int_equal(told.n, 3 + 2 + 4 + 1);
	assert_int_equal(field("extra")->part, VHU_FIELD_EXTRA);
	assert_int_equal(field("extra")->len, 32);
}

static void fields_that_are_cut_are_bytes(void **state)
{
	struct vhu_vring_addr addr = { .index = 1, .desc = 0x0807060504030201 };

	(void)state;
	vhu_msg_init(&msg, VHU_FE, VHU_FE_SET_VRING_ADDR);
	vhu_msg_put(&msg, &addr, 12);
	tell();
	assert_int_equal(told.n, 3 + 3);
	assert_value("index", "1");
	assert_value("desc", "01020304");
	assert_string_equal(field("desc")->text, "only its first bytes are there");
}

static void fields_of_an_unknown_message_are_its_payload(void **state)
{
	(void)state;
	vhu_msg_init(&msg, VHU_FE, 1000);
	vhu_msg_put_u64(&msg, 0x0807060504030201);
	tell();
	assert_null(vhu_msg_shape(&msg));
	assert_int_equal(told.n, 4);
	assert_int_equal(field("payload")->part, VHU_FIELD_EXTRA);
	assert_value("payload", "0102030405060708");
}

static void values_of_words_are_those_of_the_line(void **state)
{
	char line[512], value[256];

	(void)state;
	vhu_msg_init(&msg, VHU_FE, VHU_FE_SET_FEATURES);
	vhu_msg_put_u64(&msg, BIT(32) | BIT(30) | BIT(1));
	tell();
	assert_value("value", "0x140000002[bit1 PROTOCOL_FEATURES VERSION_1]");
	vhu_format_line(line, sizeof(line), &msg);
	vhu_field_value(value, sizeof(value), field("value"));
	assert_non_null(strstr(line, value));
	vhu_msg_init(&msg, VHU_FE, VHU_FE_SET_VRING_CALL);
	vhu_msg_put_u64(&msg, 0x1104);
	tell();
	assert_value("value", "ring=4 nofd reserved=0x1000");
}

static void value_of_an_id_is_written_as_one(void **state)
{
	struct vhu_shared_object object = { .uuid = { 0x12, 0x34, [4] = 0x56, [15] = 0x9a } };

	(void)state;
	vhu_msg_init(&msg, VHU_FE, VHU_FE_GET_SHARED_OBJECT);
	vhu_msg_put(&msg, &object, sizeof(object));
	tell();
	assert_value("uuid", "12340000-5600-0000-0000-00000000009a");
}

static void shape_of_a_reply_is_the_rows_own_or_an_acknowledgement(void **state)
{
	(void)state;
	vhu_msg_init(&msg, VHU_FE, VHU_FE_GET_FEATURES);
	msg.flags |= VHU_FLAG_REPLY;
	assert_string_equal(vhu_msg_shape(&msg)->name, "features");
	vhu_msg_init(&msg, VHU_FE, VHU_FE_SET_VRING_NUM);
	assert_string_equal(vhu_msg_shape(&msg)->name, "vring_state");
	msg.flags |= VHU_FLAG_REPLY;
	assert_ptr_equal(vhu_msg_shape(&msg), vhu_shape_ack());
	vhu_msg_init(&msg, VHU_FE, VHU_FE_SET_LOG_BASE);
	msg.flags |= VHU_FLAG_REPLY;
	msg.size = 8;
	assert_ptr_equal(vhu_msg_shape(&msg), vhu_shape_ack());
	msg.size = 16;
	assert_string_equal(vhu_msg_shape(&msg)->name, "log");
}

static void names_of_bits_go_with_their_field(void **state)
{
	(void)state;
	assert_string_equal(vhu_field_bit_name(VHU_STYLE_FEATURES, 32), "VERSION_1");
	assert_string_equal(vhu_field_bit_name(VHU_STYLE_PROTOCOL, 3), "REPLY_ACK");
	assert_string_equal(vhu_field_bit_name(VHU_STYLE_STATUS, 2), "DRIVER_OK");
	assert_null(vhu_field_bit_name(VHU_STYLE_STATUS, 5));
	assert_null(vhu_field_bit_name(VHU_STYLE_PROTOCOL, 63));
	assert_null(vhu_field_bit_name(VHU_STYLE_FEATURES, 64));
	assert_null(vhu_field_bit_name(VHU_STYLE_HEX, 3));
}

static void value_at_any_cap_stays_inside(void **state)
{
	char small[8];

	(void)state;
	vhu_msg_init(&msg, VHU_FE, VHU_FE_SET_FEATURES);
	vhu_msg_put_u64(&msg, BIT(32));
	tell();
	memset(small, 'x', sizeof(small));
	assert_int_equal(vhu_field_value(small, 5, field("value")),
			 strlen("0x100000000[VERSION_1]"));
	assert_string_equal(small, "0x10");
	assert_int_equal(small[5], 'x');
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(fields_of_each_row_cover_every_byte_once),
	UNIT_TEST(fields_of_each_row_at_any_length_cover_every_byte_once),
	UNIT_TEST(fields_of_hostile_payloads_cover_every_byte_once),
	UNIT_TEST(fields_of_the_header_come_first),
	UNIT_TEST(fields_of_a_memory_table_are_named_by_region),
	UNIT_TEST(fields_of_a_nest_alone_have_no_index),
	UNIT_TEST(fields_beyond_the_count_are_extra),
	UNIT_TEST(fields_that_are_cut_are_bytes),
	UNIT_TEST(fields_of_an_unknown_message_are_its_payload),
	UNIT_TEST(values_of_words_are_those_of_the_line),
	UNIT_TEST(value_of_an_id_is_written_as_one),
	UNIT_TEST(shape_of_a_reply_is_the_rows_own_or_an_acknowledgement),
	UNIT_TEST(names_of_bits_go_with_their_field),
	UNIT_TEST(value_at_any_cap_stays_inside),
};

UNIT_MAIN(tests)
