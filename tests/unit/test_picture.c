/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "picture_rig.h"

/* The owner of the entry at avail index at; the test fails if it is not in the picture. */
static enum picture_owner owner_at(const struct ring_picture *p, uint16_t at)
{
	for (size_t i = 0; i < p->n_chains; i++)
		if (p->chains[i].at == at)
			return p->chains[i].owner;
	fail_msg("no chain at %u", at);
	return PICTURE_DRIVER;
}

/* Tests. */

static void split_when_a_chain_is_offered_is_the_devices(void **state)
{
	struct ring_picture *p;
	struct rig rig;

	(void)state;
	rig_open(&rig, SIZE, RIG_V1);
	offer_pair(&rig, false);
	p = take(&rig);
	assert_int_equal(p->size, SIZE);
	assert_int_equal(p->n_chains, 1);
	assert_int_equal(picture_n_offered(p), 1);
	assert_int_equal(p->chains[0].owner, PICTURE_DEVICE);
	assert_int_equal(p->chains[0].n_descs, 2);
	assert_int_equal(p->chains[0].out_len, 7);
	assert_int_equal(p->chains[0].in_len, 32);
	assert_int_equal(p->chains[0].n_out, 7);
	assert_int_equal(p->chains[0].n_in, 0);
	assert_memory_equal(p->data + p->chains[0].out_at, "request", 7);
	assert_says(p, false, "  available 1, used 0: 1 chain is the device's\n");
	assert_says(p, false, "  [0] head 0, the device's: 0x");
	assert_says(p, false, "+7 read ->1; 0x");
	assert_says(p, false, "out: 7 of 7 bytes \"request\"\n");
	assert_says(p, true, "0000 72 65 71 75 65 73 74 ");
	picture_free(p);
	rig_close(&rig);
}

static void split_when_a_chain_came_back_shows_what_was_written(void **state)
{
	struct ring_picture *p;
	struct chain chain;
	struct rig rig;

	(void)state;
	rig_open(&rig, SIZE, RIG_V1);
	offer_pair(&rig, false);
	chain = rig_pop(&rig);
	memcpy(rig_at(&rig, rig.data + 64), "an\x1b swer", 8);
	return_chain(&rig, &chain, 8);
	p = take(&rig);
	assert_int_equal(p->chains[0].owner, PICTURE_DRIVER);
	assert_true(p->chains[0].has_used);
	assert_int_equal(p->chains[0].used_len, 8);
	assert_int_equal(p->chains[0].n_in, 8);
	assert_says(p, false, "returned with 8 bytes written");
	assert_says(p, false, "in:  8 of 8 bytes \"an\\x1b swer\"\n");
	assert_says(p, false, "returned: [0] id 0 len 8\n");
	picture_free(p);
	rig_close(&rig);
}

/* A chain of one buffer that goes to the device and comes back; then the head is free again. */
static void pass(struct rig *rig, uint64_t at, bool writable, const char *text)
{
	const struct driverq_buf buf = { at, 8 };
	uint32_t len = writable ? 8 : 0;
	static int token;
	struct chain chain;
	void *got;

	assert_int_equal(driverq_add(&rig->driver, &buf, !writable, writable, false, &token), 0);
	driverq_publish(&rig->driver);
	chain = rig_pop(rig);
	memcpy(rig_at(rig, at), text, 8);
	return_chain(rig, &chain, len);
	assert_int_equal(driverq_get(&rig->driver, &got, &len), DRIVERQ_USED);
	assert_ptr_equal(got, &token);
}

static void split_when_a_head_is_offered_again_leaves_out_what_it_was(void **state)
{
	struct ring_picture *p;
	struct rig rig;

	(void)state;
	rig_open(&rig, SIZE, RIG_V1);
	pass(&rig, rig.data, false, "older...");
	pass(&rig, rig.data, false, "newer...");
	p = take(&rig);
	assert_int_equal(p->n_chains, 2);
	assert_int_equal(p->chains[0].head, p->chains[1].head);
	assert_int_equal(p->chains[0].fault, PICTURE_REUSED);
	assert_int_equal(p->chains[0].n_descs, 0);
	assert_int_equal(p->chains[0].n_out, 0);
	assert_int_equal(p->chains[1].fault, PICTURE_SOUND);
	assert_memory_equal(p->data + p->chains[1].out_at, "newer...", 8);
	assert_says(p, false, "its descriptors are another chain's by now");
	picture_free(p);
	rig_close(&rig);
}

static void split_when_room_is_offered_again_keeps_what_was_written(void **state)
{
	struct driverq_buf again;
	struct ring_picture *p;
	static int token;
	struct rig rig;

	(void)state;
	rig_open(&rig, SIZE, RIG_V1);
	pass(&rig, rig.data, true, "written.");
	again = (struct driverq_buf){ rig.data, 8 };
	assert_int_equal(driverq_add(&rig.driver, &again, 0, 1, false, &token), 0);
	driverq_publish(&rig.driver);
	p = take(&rig);
	assert_int_equal(p->n_chains, 2);
	assert_int_equal(p->chains[0].fault, PICTURE_SOUND);
	assert_int_equal(p->chains[0].n_in, 8);
	assert_memory_equal(p->data + p->chains[0].in_at, "written.", 8);
	assert_int_equal(p->chains[1].owner, PICTURE_DEVICE);
	picture_free(p);
	rig_close(&rig);
}

static void split_when_there_is_a_table_follows_it(void **state)
{
	struct ring_picture *p;
	struct rig rig;

	(void)state;
	rig_open(&rig, SIZE, RIG_V1 | RIG_INDIRECT);
	offer_pair(&rig, true);
	p = take(&rig);
	assert_int_equal(p->chains[0].fault, PICTURE_SOUND);
	assert_int_equal(p->chains[0].n_descs, 3);
	assert_false(p->descs[0].in_table);
	assert_true(p->descs[1].in_table && p->descs[2].in_table);
	assert_int_equal(p->chains[0].out_len, 7);
	assert_says(p, false, " table { 0x");
	assert_says(p, false, "+32 write }\n");
	picture_free(p);
	rig_close(&rig);
}

static void split_when_addresses_are_not_known_follows_no_table(void **state)
{
	const struct picture_want want = { .data = 64 };
	struct picture_source source;
	struct ring_picture *p;
	struct rig rig;

	(void)state;
	rig_open(&rig, SIZE, RIG_V1 | RIG_INDIRECT);
	offer_pair(&rig, true);
	source = source_of(&rig);
	source.host = NULL;
	p = picture_take(&source, &want);
	assert_int_equal(p->chains[0].n_descs, 1);
	assert_int_equal(p->chains[0].fault, PICTURE_SOUND);
	assert_int_equal(p->n_data, 0);
	picture_free(p);
	rig_close(&rig);
}

static void split_when_data_ends_in_zeroes_counts_them(void **state)
{
	struct ring_picture *p;
	struct rig rig;

	(void)state;
	rig_open(&rig, SIZE, RIG_V1);
	memcpy(rig_at(&rig, rig.data), "a", 1);
	rig_desc(&rig, 0, rig.data, 32, 0, 0);
	rig_offer(&rig, 0);
	p = take(&rig);
	assert_says(p, false, "out: 32 of 32 bytes \"a\", then 31 zeroes\n");
	assert_says(p, true, "0000 61 00 00 00 00 00 00 00  00");
	picture_free(p);
	rig_close(&rig);
}

static void split_when_a_buffer_crosses_regions_is_sound(void **state)
{
	struct gmem_region *regions[] = { rig_region(0, 0, 4096), rig_region(4096, 8192, 4096) };
	struct gmem *mem = rig_gmem(regions, 2);
	struct ring_picture *p;
	struct picture_source source;
	struct rig rig;

	(void)state;
	rig_open(&rig, SIZE, RIG_V1);
	rig_desc(&rig, 0, 4090, 12, 0, 0);
	memcpy(gmem_host_from_guest(mem, 4090, 6), "before", 6);
	memcpy(gmem_host_from_guest(mem, 4096, 6), "behind", 6);
	rig_offer(&rig, 0);
	source = source_of(&rig);
	source.arg = mem;
	p = picture_take(&source, &(struct picture_want){ .data = 64 });
	assert_int_equal(p->chains[0].fault, PICTURE_SOUND);
	assert_says(p, false, "out: 12 of 12 bytes \"beforebehind\"\n");
	picture_free(p);
	rig_close(&rig);
	gmem_unref(mem);
}

static void split_when_returns_overtake_knows_who_has_what(void **state)
{
	static const uint16_t first[] = { 0, 1, 2, 3 }, second[] = { 2, 0 };
	struct ring_picture *p;
	struct rig rig;

	(void)state;
	rig_open(&rig, SIZE, RIG_V1);
	offer_heads(&rig, first, 4);
	return_heads(&rig, second, 2);
	p = take(&rig);
	assert_int_equal(owner_at(p, 0), PICTURE_DRIVER);
	assert_int_equal(owner_at(p, 1), PICTURE_DEVICE);
	assert_int_equal(owner_at(p, 2), PICTURE_DRIVER);
	assert_int_equal(owner_at(p, 3), PICTURE_DEVICE);
	picture_free(p);
	rig_close(&rig);
}

/* Laps of a small ring, each with two returns in the wrong order; then one more offer. */
static void split_when_returns_overtake_for_long_knows_who_has_what(void **state)
{
	static const uint16_t offers[] = { 0, 1, 2, 3 }, returns[] = { 1, 0, 2, 3 };
	struct ring_picture *p;
	struct rig rig;

	(void)state;
	rig_open(&rig, 4, RIG_V1);
	for (int lap = 0; lap < 3; lap++) {
		offer_heads(&rig, offers, 4);
		return_heads(&rig, returns, 4);
	}
	offer_heads(&rig, offers, 1);
	p = take(&rig);
	assert_int_equal(owner_at(p, 12), PICTURE_DEVICE);
	for (uint16_t at = 9; at < 12; at++)
		assert_int_equal(owner_at(p, at), PICTURE_DRIVER);
	picture_free(p);
	rig_close(&rig);
}

/* Head 0 is kept for long while head 1 comes and goes. */
static void split_when_one_is_kept_knows_who_has_what(void **state)
{
	static const uint16_t heads[] = { 0, 1 };
	struct ring_picture *p;
	struct rig rig;

	(void)state;
	rig_open(&rig, SIZE, RIG_V1);
	offer_heads(&rig, heads, 1);
	for (int i = 0; i < 5; i++) {
		offer_heads(&rig, heads + 1, 1);
		return_heads(&rig, heads + 1, 1);
	}
	p = take(&rig);
	assert_int_equal(picture_n_offered(p), 1);
	assert_int_equal(owner_at(p, 0), PICTURE_DEVICE);
	for (uint16_t at = 1; at < 6; at++)
		assert_int_equal(owner_at(p, at), PICTURE_DRIVER);
	picture_free(p);
	rig_close(&rig);
}

static void split_when_there_is_much_room_is_one_line(void **state)
{
	struct ring_picture *p;
	struct rig rig;

	(void)state;
	rig_open(&rig, SIZE, RIG_V1);
	for (uint16_t i = 0; i < 8; i++)
		rig_desc(&rig, i, rig.data + 64U * i, 64, i == 5 ? 0 : VRING_DESC_F_WRITE, 0);
	offer_heads(&rig, (const uint16_t[]){ 0, 1, 2, 3, 4, 5, 6, 7 }, 8);
	return_heads(&rig, (const uint16_t[]){ 0 }, 1);
	p = take(&rig);
	assert_says(p, false, "  [0] head 0, returned");
	assert_says(p, false,
		    "\n  [1] to [4] heads 1 to 4, the device's: 4 chains of 64 bytes to write\n"
		    "  [5] head 5, the device's: ");
	assert_says(p, false, "  [6] head 6, the device's: 0x");
	assert_says(p, false, "  [7] head 7, the device's: 0x");
	picture_free(p);
	vring_set_avail_entry(&rig.driver.ring, 1, 2);
	vring_set_avail_entry(&rig.driver.ring, 2, 1);
	p = take(&rig);
	assert_says(p, false, "[1] to [4] 4 heads, the device's: 4 chains of 64 bytes to write\n");
	picture_free(p);
	/* What is not alike, or is wrong, is told. */
	rig_desc(&rig, 3, RIG_NOWHERE, 64, VRING_DESC_F_WRITE, 0);
	p = take(&rig);
	assert_says(p, false, "[1] head 2, the device's: 0x");
	assert_says(p, false, "[3] head 3, the device's: 0x");
	picture_free(p);
	rig_close(&rig);
}

static void split_when_windows_cannot_be_says_so(void **state)
{
	struct ring_picture *p;
	struct rig rig;

	(void)state;
	rig_open(&rig, SIZE, RIG_V1);
	vring_set_avail_idx(&rig.driver.ring, 20);
	vring_set_used_idx(&rig.driver.ring, 3);
	p = take(&rig);
	assert_false(picture_windows_sound(p));
	assert_says(p, false, "these cannot be, 17 chains would be the device's\n");
	picture_free(p);
	rig_close(&rig);
}

static void split_when_asked_since_has_all_that_is_new(void **state)
{
	uint16_t heads[12];
	struct ring_picture *p;
	struct rig rig;

	(void)state;
	rig_open(&rig, SIZE, RIG_V1);
	for (uint16_t i = 0; i < 12; i++)
		heads[i] = i;
	offer_heads(&rig, heads, 12);
	return_heads(&rig, heads, 1);
	p = take_with(&rig, (struct picture_want){ .slots = 2, .since = true });
	assert_int_equal(p->n_chains, 12);
	assert_int_equal(p->n_used, 1);
	assert_int_equal(p->n_missed, 0);
	picture_free(p);
	/* The one returned is far behind the newest two. */
	p = take_with(&rig, (struct picture_want){ .slots = 2, .since = true, .since_avail = 12 });
	assert_int_equal(p->n_chains, 3);
	assert_int_equal(p->chains[0].at, 0);
	assert_true(p->chains[0].has_used);
	assert_int_equal(p->chains[1].at, 10);
	picture_free(p);
	rig_close(&rig);
}

static void split_when_too_much_was_offered_counts_the_missed(void **state)
{
	struct ring_picture *p;
	struct rig rig;

	(void)state;
	rig_open(&rig, 512, RIG_V1);
	for (uint16_t i = 0; i < 300; i++)
		rig_offer(&rig, i);
	p = take_with(&rig, (struct picture_want){ .since = true });
	assert_int_equal(p->n_chains, PICTURE_MAX_SLOTS);
	assert_int_equal(p->n_missed, 300 - PICTURE_MAX_SLOTS);
	assert_int_equal(p->chains[0].at, 300 - PICTURE_MAX_SLOTS);
	picture_free(p);
	rig_close(&rig);
}

static void split_when_the_index_wraps_goes_on(void **state)
{
	struct ring_picture *p;
	struct rig rig;

	(void)state;
	rig_open(&rig, SIZE, RIG_V1);
	driverq_set_base(&rig.driver, 65535);
	offer_pair(&rig, false);
	offer_pair(&rig, false);
	p = take(&rig);
	assert_int_equal(p->avail_idx, 1);
	assert_int_equal(p->n_chains, 2);
	assert_int_equal(owner_at(p, 65535), PICTURE_DEVICE);
	assert_int_equal(owner_at(p, 0), PICTURE_DEVICE);
	picture_free(p);
	rig_close(&rig);
}

static void wishes_when_flags_are_set_are_off(void **state)
{
	struct ring_picture *p;
	struct rig rig;

	(void)state;
	rig_open(&rig, SIZE, RIG_V1);
	vring_set_avail_flags(&rig.driver.ring, VRING_AVAIL_F_NO_INTERRUPT);
	p = take(&rig);
	assert_true(picture_calls_off(p));
	assert_false(picture_kicks_off(p));
	assert_says(p, false,
		    "16 entries; the driver asks not to be called, the device asks to be kicked\n");
	picture_free(p);
	rig_close(&rig);
}

static void wishes_when_there_is_an_event_index_are_at_a_place(void **state)
{
	struct ring_picture *p;
	struct rig rig;

	(void)state;
	rig_open(&rig, SIZE, RIG_V1 | RIG_EVENT);
	vring_set_used_event(&rig.driver.ring, 0);
	vring_set_avail_event(&rig.driver.ring, 8);
	p = take(&rig);
	assert_false(picture_calls_off(p));
	assert_true(picture_kicks_off(p));
	assert_says(p, false,
		    "the driver asks to be called at 0, the device asks to be kicked at 8");
	picture_free(p);
	rig_close(&rig);
}

static void split_when_the_ring_is_noise_ends(void **state)
{
	uint64_t random = 2;
	struct rig rig;

	(void)state;
	rig_open(&rig, SIZE, RIG_V1 | RIG_EVENT);
	for (int i = 0; i < 2000; i++) {
		struct ring_picture *p;

		for (size_t k = 0; k < driverq_bytes(SIZE); k++)
			if (rig_below(&random, 4) == 0)
				rig.host[k] = (unsigned char)rig_below(&random, 24);
		p = take_with(&rig,
			      (struct picture_want){ .data = 5000,
						     .since = i & 1,
						     .since_avail = (uint16_t)rig_random(&random),
						     .since_used = (uint16_t)rig_random(&random) });
		free(text_of(p, false));
		picture_free(p);
	}
	rig_close(&rig);
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(split_when_a_chain_is_offered_is_the_devices),
	UNIT_TEST(split_when_a_chain_came_back_shows_what_was_written),
	UNIT_TEST(split_when_a_head_is_offered_again_leaves_out_what_it_was),
	UNIT_TEST(split_when_room_is_offered_again_keeps_what_was_written),
	UNIT_TEST(split_when_there_is_a_table_follows_it),
	UNIT_TEST(split_when_addresses_are_not_known_follows_no_table),
	UNIT_TEST(split_when_data_ends_in_zeroes_counts_them),
	UNIT_TEST(split_when_a_buffer_crosses_regions_is_sound),
	UNIT_TEST(split_when_returns_overtake_knows_who_has_what),
	UNIT_TEST(split_when_returns_overtake_for_long_knows_who_has_what),
	UNIT_TEST(split_when_one_is_kept_knows_who_has_what),
	UNIT_TEST(split_when_there_is_much_room_is_one_line),
	UNIT_TEST(split_when_windows_cannot_be_says_so),
	UNIT_TEST(split_when_asked_since_has_all_that_is_new),
	UNIT_TEST(split_when_too_much_was_offered_counts_the_missed),
	UNIT_TEST(split_when_the_index_wraps_goes_on),
	UNIT_TEST(wishes_when_flags_are_set_are_off),
	UNIT_TEST(wishes_when_there_is_an_event_index_are_at_a_place),
	UNIT_TEST(split_when_the_ring_is_noise_ends),
};

UNIT_MAIN(tests)
