/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "picture_rig.h"

/* A picture with some of everything. */
static struct ring_picture *rich_picture(struct rig *rig)
{
	struct chain chain;

	rig_open(rig, SIZE, RIG_V1 | RIG_INDIRECT | RIG_EVENT);
	offer_pair(rig, true);
	chain = rig_pop(rig);
	return_chain(rig, &chain, 3);
	offer_pair(rig, false);
	rig_offer(rig, 999);
	return take(rig);
}

static void unpack_when_packed_before_is_the_same(void **state)
{
	struct ring_picture *p, *q;
	char *before, *after;
	uint8_t *bytes;
	struct rig rig;
	size_t len;

	(void)state;
	p = rich_picture(&rig);
	bytes = picture_pack(p, &len);
	assert_non_null(bytes);
	q = picture_unpack(bytes, len);
	assert_non_null(q);
	before = text_of(p, true);
	after = text_of(q, true);
	assert_string_equal(before, after);
	assert_int_equal(q->chains[q->n_chains - 1].fault, PICTURE_HEAD_RANGE);
	assert_true(q->event_idx);
	free(before);
	free(after);
	free(bytes);
	picture_free(p);
	picture_free(q);
	rig_close(&rig);
}

static void unpack_when_a_chain_was_long_knows_the_rest(void **state)
{
	struct ring_picture *p, *q;
	uint8_t *bytes;
	struct rig rig;
	size_t len;

	(void)state;
	rig_open(&rig, 512, RIG_V1);
	for (uint16_t i = 0; i < 511; i++)
		rig_desc(&rig, i, rig.data, 1, VRING_DESC_F_NEXT, i + 1U);
	rig_desc(&rig, 511, rig.data, 1, 0, 0);
	rig_offer(&rig, 0);
	p = take(&rig);
	bytes = picture_pack(p, &len);
	q = picture_unpack(bytes, len);
	assert_non_null(q);
	assert_int_equal(q->chains[0].n_descs, PICTURE_MAX_CHAIN);
	assert_int_equal(q->chains[0].n_more, 512 - PICTURE_MAX_CHAIN);
	assert_int_equal(q->chains[0].out_len, 512);
	picture_free(q);
	picture_free(p);
	free(bytes);
	rig_close(&rig);
}

static void unpack_when_a_return_was_wrong_knows_it(void **state)
{
	struct picture_used used = { .at = 1, .id = 9, .len = 3 };
	const struct ring_picture p = {
		.size = 16, .avail_idx = 2, .used_idx = 2, .used = &used, .n_used = 1
	};

	(void)state;
	for (int fault = 0; fault <= PICTURE_N_RETURNS; fault++) {
		struct ring_picture *q;
		uint8_t *bytes;
		size_t len;

		used.fault = (enum picture_return)fault;
		bytes = picture_pack(&p, &len);
		q = picture_unpack(bytes, len);
		assert_int_equal(q != NULL, fault < PICTURE_N_RETURNS);
		if (q)
			assert_int_equal(q->used[0].fault, fault);
		picture_free(q);
		free(bytes);
	}
}

static void unpack_when_cut_or_longer_is_refused(void **state)
{
	struct ring_picture *p;
	uint8_t *bytes;
	struct rig rig;
	size_t len;

	(void)state;
	p = rich_picture(&rig);
	bytes = picture_pack(p, &len);
	for (size_t cut = 0; cut < len; cut++) {
		/* On its own, so that a read past the end is seen. */
		uint8_t *part = malloc(cut ? cut : 1);

		memcpy(part, bytes, cut);
		assert_null(picture_unpack(part, cut));
		free(part);
	}
	bytes = realloc(bytes, len + 1);
	bytes[len] = 0;
	assert_null(picture_unpack(bytes, len + 1));
	free(bytes);
	picture_free(p);
	rig_close(&rig);
}

/* Any one byte changed: refused, or so sound that it can be printed and packed again. */
static void unpack_when_a_byte_differs_is_refused_or_sound(void **state)
{
	static const uint8_t values[] = { 0, 1, 2, 0x7f, 0xff };
	unsigned int n_refused = 0;
	struct ring_picture *p;
	uint8_t *bytes;
	struct rig rig;
	size_t len;

	(void)state;
	p = rich_picture(&rig);
	bytes = picture_pack(p, &len);
	for (size_t i = 0; i < len * ARRAY_SIZE(values); i++) {
		uint8_t *at = &bytes[i / ARRAY_SIZE(values)], was = *at;
		struct ring_picture *q;

		*at = values[i % ARRAY_SIZE(values)];
		q = picture_unpack(bytes, len);
		if (q)
			free(text_of(q, true));
		n_refused += !q;
		picture_free(q);
		*at = was;
	}
	assert_true(n_refused > 100);
	free(bytes);
	picture_free(p);
	rig_close(&rig);
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(unpack_when_packed_before_is_the_same),
	UNIT_TEST(unpack_when_a_chain_was_long_knows_the_rest),
	UNIT_TEST(unpack_when_a_return_was_wrong_knows_it),
	UNIT_TEST(unpack_when_cut_or_longer_is_refused),
	UNIT_TEST(unpack_when_a_byte_differs_is_refused_or_sound),
};

UNIT_MAIN(tests)
