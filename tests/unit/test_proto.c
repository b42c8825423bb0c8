/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "unit.h"

#include <stdio.h>
#include <string.h>

#include "vhu/proto.h"

static void find_for_each_row_returns_that_row(void **state)
{
	(void)state;
	assert_true(vhu_desc_count() > 0);
	for (size_t i = 0; i < vhu_desc_count(); i++) {
		const struct vhu_desc *d = vhu_desc_at(i);

		assert_ptr_equal(vhu_desc_find(d->dir, d->id), d);
		assert_string_equal(vhu_msg_name(d->dir, d->id), d->name);
	}
	assert_null(vhu_desc_at(vhu_desc_count()));
	assert_null(vhu_desc_at(SIZE_MAX));
}

static void table_when_counted_has_every_request_of_the_text(void **state)
{
	size_t n_fe = 0;
	size_t n_be = 0;

	(void)state;
	for (uint32_t id = 0; id < 1000; id++) {
		n_fe += vhu_desc_find(VHU_FE, id) != NULL;
		n_be += vhu_desc_find(VHU_BE, id) != NULL;
	}
	assert_int_equal(n_fe, 45);
	assert_int_equal(n_be, 10);
	assert_int_equal(vhu_desc_count(), n_fe + n_be);
	for (uint32_t id = 1; id <= 45; id++)
		assert_non_null(vhu_desc_find(VHU_FE, id));
	for (uint32_t id = 1; id <= 10; id++)
		assert_non_null(vhu_desc_find(VHU_BE, id));
}

/* VU-016: none of these may be taken for a request. */
static void find_for_unknown_id_returns_null(void **state)
{
	const uint32_t ids[] = { 0, 46, 200, 1000, 0x7fffffff, 0xffffffff };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
		assert_null(vhu_desc_find(VHU_FE, ids[i]));
		assert_null(vhu_desc_find(VHU_BE, ids[i]));
		assert_string_equal(vhu_msg_name(VHU_FE, ids[i]), "unknown");
	}
	assert_null(vhu_desc_find(VHU_BE, 11));
}

static void rows_when_walked_are_sorted_and_complete(void **state)
{
	(void)state;
	for (size_t i = 0; i < vhu_desc_count(); i++) {
		const struct vhu_desc *d = vhu_desc_at(i);
		const struct vhu_desc *next = vhu_desc_at(i + 1);

		assert_true(strlen(d->name) > 0);
		assert_true(strlen(d->text) > 0);
		assert_true(strlen(d->ref) > 0);
		assert_true(d->request->max_len <= VHU_MAX_PAYLOAD);
		assert_true(d->reply->max_len <= VHU_MAX_PAYLOAD);
		assert_true(d->request->min_len <= d->request->max_len);
		if (next)
			assert_true(d->dir < next->dir ||
				    (d->dir == next->dir && d->id < next->id));
	}
}

static void names_when_from_the_back_end_have_the_prefix_of_the_text(void **state)
{
	(void)state;
	assert_string_equal(vhu_msg_name(VHU_FE, VHU_FE_GET_VRING_BASE), "GET_VRING_BASE");
	assert_string_equal(vhu_msg_name(VHU_BE, VHU_BE_CONFIG_CHANGE_MSG),
			    "BACKEND_CONFIG_CHANGE_MSG");
	assert_string_equal(vhu_msg_name(VHU_BE, VHU_BE_VRING_CALL), "BACKEND_VRING_CALL");
}

static void wire_numbers_when_compared_with_the_text_agree(void **state)
{
	(void)state;
	assert_int_equal(VHU_FE_GET_FEATURES, 1);
	assert_int_equal(VHU_FE_SET_MEM_TABLE, 5);
	assert_int_equal(VHU_FE_GET_VRING_BASE, 11);
	assert_int_equal(VHU_FE_SET_VRING_ENABLE, 18);
	assert_int_equal(VHU_FE_GET_CONFIG, 24);
	assert_int_equal(VHU_FE_GET_INFLIGHT_FD, 31);
	assert_int_equal(VHU_FE_RESET_DEVICE, 34);
	assert_int_equal(VHU_FE_VRING_KICK, 35);
	assert_int_equal(VHU_FE_ADD_MEM_REG, 37);
	assert_int_equal(VHU_FE_GET_STATUS, 40);
	assert_int_equal(VHU_FE_GET_VRING_BASE_SKIP_DRAIN, 45);
	assert_int_equal(VHU_BE_CONFIG_CHANGE_MSG, 2);
	assert_int_equal(VHU_BE_VRING_CALL, 4);
	assert_int_equal(VHU_BE_SHMEM_UNMAP, 10);
	assert_int_equal(VHU_PF_REPLY_ACK_BIT, 3);
	assert_int_equal(VHU_PF_INBAND_NOTIFICATIONS_BIT, 14);
	assert_int_equal(VHU_PF_GET_VRING_BASE_SKIP_DRAIN_BIT, 23);
	assert_int_equal(VHU_F_PROTOCOL_FEATURES_BIT, 30);
	assert_int_equal(VHOST_F_LOG_ALL_BIT, 26);
	assert_int_equal(VIRTIO_F_VERSION_1_BIT, 32);
	assert_int_equal(VIRTIO_F_INDIRECT_DESC_BIT, 28);
	assert_int_equal(VIRTIO_F_EVENT_IDX_BIT, 29);
}

static void shape_sizes_when_compared_with_the_wire_agree(void **state)
{
	(void)state;
	assert_int_equal(sizeof(struct vhu_iotlb), 32);
	assert_int_equal(sizeof(struct vhu_inflight), 24);
	assert_int_equal(sizeof(struct vhu_region), 32);
	assert_int_equal(sizeof(struct vhu_vring_addr), 40);
	assert_int_equal(sizeof(struct vhu_shmem_config), 2056);
	assert_int_equal(vhu_shape_find("mem_table")->max_len, 264);
	assert_int_equal(vhu_shape_find("mem_table")->max_count, VHU_MAX_REGIONS);
	assert_int_equal(vhu_shape_find("config")->max_count, VHU_MAX_CONFIG);
	assert_int_equal(vhu_shape_ack()->max_len, 8);
	assert_null(vhu_shape_find("no such shape"));
}

/* Fields of every shape follow each other without gap, from the first byte to the last. */
static void fields_for_each_shape_cover_every_byte(void **state)
{
	(void)state;
	for (size_t i = 0; i < vhu_desc_count(); i++) {
		const struct vhu_shape *shape = vhu_desc_at(i)->request;
		uint32_t at = 0;

		for (size_t f = 0; f < shape->n_fields; f++) {
			assert_int_equal(shape->fields[f].offset, at);
			at += (uint32_t)shape->fields[f].width * shape->fields[f].n;
		}
		assert_int_equal(at, shape->max_len);
	}
}

/* Which rings a request silences, as the design's table has it. */
static void quiesce_for_each_row_is_as_designed(void **state)
{
	const uint32_t all[] = { VHU_FE_SET_MEM_TABLE, VHU_FE_REM_MEM_REG, VHU_FE_RESET_DEVICE,
				 VHU_FE_RESET_OWNER, VHU_FE_SET_STATUS };
	const uint32_t one[] = {
		VHU_FE_SET_VRING_NUM,	 VHU_FE_SET_VRING_ADDR, VHU_FE_SET_VRING_BASE,
		VHU_FE_SET_VRING_KICK,	 VHU_FE_SET_VRING_CALL, VHU_FE_SET_VRING_ERR,
		VHU_FE_SET_VRING_ENABLE, VHU_FE_GET_VRING_BASE, VHU_FE_GET_VRING_BASE_SKIP_DRAIN
	};
	size_t n_loud = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		assert_int_equal(vhu_desc_find(VHU_FE, all[i])->quiesce, VHU_QUIESCE_ALL);
	for (size_t i = 0; i < ARRAY_SIZE(one); i++)
		assert_int_equal(vhu_desc_find(VHU_FE, one[i])->quiesce, VHU_QUIESCE_RING);
	for (size_t i = 0; i < vhu_desc_count(); i++)
		n_loud += vhu_desc_at(i)->quiesce != VHU_QUIESCE_NONE;
	assert_int_equal(n_loud, ARRAY_SIZE(all) + ARRAY_SIZE(one));
}

static void quiesce_of_one_ring_for_each_row_comes_with_an_index(void **state)
{
	(void)state;
	for (size_t i = 0; i < vhu_desc_count(); i++) {
		const struct vhu_desc *d = vhu_desc_at(i);

		if (d->quiesce == VHU_QUIESCE_RING)
			assert_int_not_equal(d->index, VHU_INDEX_NONE);
		if (d->index != VHU_INDEX_NONE)
			assert_true(d->request->min_len >= 8);
	}
}

static void names_for_feature_bits_are_those_of_the_texts(void **state)
{
	(void)state;
	assert_string_equal(vhu_feature_name(32), "VERSION_1");
	assert_string_equal(vhu_feature_name(30), "PROTOCOL_FEATURES");
	assert_string_equal(vhu_feature_name(26), "LOG_ALL");
	assert_string_equal(vhu_feature_name(24), "NOTIFY_ON_EMPTY");
	assert_null(vhu_feature_name(0));
	assert_null(vhu_feature_name(63));
	assert_null(vhu_feature_name(64));
	assert_string_equal(vhu_protocol_feature_name(0), "MQ");
	assert_string_equal(vhu_protocol_feature_name(23), "GET_VRING_BASE_SKIP_DRAIN");
	assert_null(vhu_protocol_feature_name(24));
	assert_null(vhu_protocol_feature_name(64));
	for (unsigned int bit = 0; bit < 24; bit++)
		assert_true(strlen(vhu_protocol_feature_text(bit)) > 0);
	assert_null(vhu_protocol_feature_text(24));
}

static void needs_for_protocol_features_are_those_of_the_text(void **state)
{
	(void)state;
	assert_int_equal(vhu_protocol_feature_needs(VHU_PF_INBAND_NOTIFICATIONS_BIT),
			 BIT(3) | BIT(5));
	assert_int_equal(vhu_protocol_feature_needs(VHU_PF_GET_VRING_BASE_SKIP_DRAIN_BIT),
			 BIT(12) | BIT(20));
	assert_int_equal(vhu_protocol_feature_needs(VHU_PF_CONFIG_BIT), 0);
	assert_int_equal(vhu_protocol_feature_needs(64), 0);
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(find_for_each_row_returns_that_row),
	UNIT_TEST(table_when_counted_has_every_request_of_the_text),
	UNIT_TEST(find_for_unknown_id_returns_null),
	UNIT_TEST(rows_when_walked_are_sorted_and_complete),
	UNIT_TEST(names_when_from_the_back_end_have_the_prefix_of_the_text),
	UNIT_TEST(wire_numbers_when_compared_with_the_text_agree),
	UNIT_TEST(shape_sizes_when_compared_with_the_wire_agree),
	UNIT_TEST(fields_for_each_shape_cover_every_byte),
	UNIT_TEST(quiesce_for_each_row_is_as_designed),
	UNIT_TEST(quiesce_of_one_ring_for_each_row_comes_with_an_index),
	UNIT_TEST(names_for_feature_bits_are_those_of_the_texts),
	UNIT_TEST(needs_for_protocol_features_are_those_of_the_text),
};
UNIT_MAIN(tests)
