/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Chains that are wrong, seem to be, or are long. */
#include "picture_rig.h"

/* One more chain, at head; it is the newest of the picture. */
static void assert_fault(struct rig *rig, uint16_t head, enum picture_fault fault)
{
	struct ring_picture *p;

	rig_offer(rig, head);
	p = take(rig);
	assert_int_equal(p->chains[p->n_chains - 1].fault, fault);
	assert_says(p, false, picture_fault_text(fault));
	picture_free(p);
}

static void split_when_chains_are_wrong_says_how(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig, SIZE, RIG_V1 | RIG_INDIRECT);
	rig_desc(&rig, 1, rig.data, 1, VRING_DESC_F_NEXT, 1);
	assert_fault(&rig, 1, PICTURE_LONG);
	rig_desc(&rig, 2, rig.data, 1, VRING_DESC_F_NEXT, SIZE);
	assert_fault(&rig, 2, PICTURE_NEXT_RANGE);
	assert_fault(&rig, SIZE, PICTURE_HEAD_RANGE);
	rig_desc(&rig, 3, RIG_NOWHERE, 1, 0, 0);
	assert_fault(&rig, 3, PICTURE_UNMAPPED);
	rig_desc(&rig, 4, UINT64_MAX - 3, 32, 0, 0);
	assert_fault(&rig, 4, PICTURE_UNMAPPED);
	rig_desc(&rig, 5, RIG_NOWHERE, 32, VRING_DESC_F_INDIRECT, 0);
	assert_fault(&rig, 5, PICTURE_TABLE_UNMAPPED);
	rig_desc(&rig, 6, UINT64_MAX - 8, 32, VRING_DESC_F_INDIRECT, 0);
	assert_fault(&rig, 6, PICTURE_TABLE_UNMAPPED);
	rig_desc(&rig, 7, rig.tables, 8, VRING_DESC_F_INDIRECT, 0);
	assert_fault(&rig, 7, PICTURE_NEXT_RANGE);
	rig_table_desc(&rig, rig.tables, 0, rig.data, 1, VRING_DESC_F_NEXT, 0);
	rig_desc(&rig, 8, rig.tables, 16, VRING_DESC_F_INDIRECT, 0);
	assert_fault(&rig, 8, PICTURE_LONG);
	rig_close(&rig);
}

/* Linux frees the table of a chain that came back, and it becomes anything. */
static void split_when_a_chain_came_back_is_never_wrong(void **state)
{
	static const struct vring_desc wrong[] = {
		{ RIG_NOWHERE, 8, VRING_DESC_F_WRITE, 0 },
		{ RIG_NOWHERE, 32, VRING_DESC_F_INDIRECT, 0 },
		{ RIG_GUEST, 8, VRING_DESC_F_NEXT, SIZE },
		{ RIG_GUEST, 8, VRING_DESC_F_NEXT, 0 },
	};
	struct rig rig;

	(void)state;
	rig_open(&rig, SIZE, RIG_V1 | RIG_INDIRECT);
	for (uint16_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		const uint16_t head = 0;
		struct ring_picture *p;
		struct picture_chain *c;

		vring_desc_store(&rig.driver.ring, head, wrong[i]);
		offer_heads(&rig, &head, 1);
		p = take(&rig);
		c = &p->chains[p->n_chains - 1];
		assert_true(picture_chain_broken(c));
		picture_free(p);
		return_heads(&rig, &head, 1);
		p = take(&rig);
		c = &p->chains[p->n_chains - 1];
		assert_int_equal(c->fault, PICTURE_REUSED);
		assert_false(picture_chain_broken(c));
		assert_int_equal(p->n_descs + c->n_descs + c->out_len + c->in_len + c->n_more, 0);
		assert_says(p, false, "returned with 0 bytes written: its descriptors are another");
		picture_free(p);
	}
	rig_close(&rig);
}

static struct ring_picture *take_from_zero(const struct rig *rig)
{
	struct picture_source source = source_of(rig);
	struct ring_picture *p;

	source.from_zero = true;
	p = picture_take(&source, &(struct picture_want){ .slots = SIZE });
	assert_non_null(p);
	return p;
}

/*
 * Chains of heads 0 and 1, which come back in the other order; then head 0 is offered
 * again, and the table of 1 has become anything.
 */
static void swap(struct rig *rig)
{
	static const uint16_t there[] = { 0, 1 }, back[] = { 1, 0 };

	rig_desc(rig, 1, rig->data, 8, 0, 0);
	offer_heads(rig, there, 2);
	return_heads(rig, back, 2);
	rig_desc(rig, 1, RIG_NOWHERE, 8, 0, 0);
	offer_heads(rig, there, 1);
}

/* In the first lap all that ever happened is known; later, who has what may be a guess. */
static void split_when_chains_come_back_in_another_order_is_not_wrong(void **state)
{
	static const uint16_t head = 0;
	struct ring_picture *p;
	struct rig rig;

	(void)state;
	rig_open(&rig, SIZE, RIG_V1);
	rig_desc(&rig, 0, rig.data, 8, 0, 0);
	for (unsigned int i = 0; i < SIZE; i++) {
		swap(&rig);
		p = take_from_zero(&rig);
		for (size_t k = 0; k < p->n_chains; k++)
			assert_false(picture_chain_broken(&p->chains[k]));
		if (p->avail_idx < SIZE - 2)
			assert_true(p->chains[p->n_chains - 1].owner == PICTURE_DEVICE);
		picture_free(p);
		return_heads(&rig, &head, 1);
	}
	rig_close(&rig);
}

/* What was offered after the last picture, and not returned since, is the device's for certain. */
static void split_when_a_chain_is_certainly_the_devices_is_wrong_in_any_lap(void **state)
{
	static const uint16_t head = 0;
	struct picture_want want = { .since = true };
	struct ring_picture *p;
	struct rig rig;

	(void)state;
	rig_open(&rig, SIZE, RIG_V1);
	rig_desc(&rig, head, rig.data, 8, 0, 0);
	for (unsigned int i = 0; i < SIZE; i++) {
		swap(&rig);
		return_heads(&rig, &head, 1);
	}
	p = take(&rig);
	want.since_avail = p->avail_idx;
	want.since_used = p->used_idx;
	picture_free(p);
	rig_desc(&rig, head, RIG_NOWHERE, 8, 0, 0);
	offer_heads(&rig, &head, 1);
	p = take_with(&rig, want);
	assert_int_equal(p->chains[p->n_chains - 1].fault, PICTURE_UNMAPPED);
	picture_free(p);
	p = take(&rig);
	assert_int_equal(p->chains[p->n_chains - 1].fault, PICTURE_REUSED);
	picture_free(p);
	rig_close(&rig);
}

/* While a buffer is looked up, the device returns a chain, if there is one to return. */
struct busy {
	struct rig *rig;
	bool returns;
	uint16_t head;
};

static const void *host_meanwhile(void *arg, uint64_t guest_addr, uint64_t len)
{
	struct busy *busy = arg;

	if (busy->returns)
		return_heads(busy->rig, &busy->head, 1);
	busy->returns = false;
	return host(busy->rig->mem, guest_addr, len);
}

/* Chains 0 and 1 are offered; the buffer of 1 is nowhere. What is said of 1? */
static enum picture_fault fault_meanwhile(bool returns, uint16_t head)
{
	struct busy busy = { .returns = returns, .head = head };
	enum picture_fault fault;
	struct picture_source source;
	struct ring_picture *p;
	struct rig rig;

	rig_open(&rig, SIZE, RIG_V1);
	busy.rig = &rig;
	rig_desc(&rig, 0, rig.data, 8, 0, 0);
	rig_desc(&rig, 1, RIG_NOWHERE, 8, 0, 0);
	offer_heads(&rig, (const uint16_t[]){ 0, 1 }, 2);
	source = source_of(&rig);
	source.host = host_meanwhile;
	source.arg = &busy;
	p = picture_take(&source, &(struct picture_want){ .data = 64 });
	assert_int_equal(p->n_chains, 2);
	assert_int_equal(p->chains[0].fault, PICTURE_SOUND);
	assert_int_equal(p->chains[1].owner, PICTURE_DEVICE);
	assert_int_equal(p->chains[1].n_descs, p->chains[1].fault == PICTURE_UNMAPPED);
	fault = p->chains[1].fault;
	picture_free(p);
	rig_close(&rig);
	return fault;
}

static void split_when_chains_come_back_meanwhile_blames_nobody(void **state)
{
	(void)state;
	assert_int_equal(fault_meanwhile(false, 0), PICTURE_UNMAPPED);
	assert_int_equal(fault_meanwhile(true, 0), PICTURE_REUSED);
	assert_int_equal(fault_meanwhile(true, 1), PICTURE_REUSED);
}

/* Returns. */

/* What the last return of the picture is, and of all before it. */
static void assert_last_return(struct ring_picture *p, enum picture_return fault)
{
	assert_true(p->n_used > 0);
	for (size_t i = 0; i + 1 < p->n_used; i++)
		assert_int_equal(p->used[i].fault, PICTURE_RETURN_SOUND);
	assert_int_equal(p->used[p->n_used - 1].fault, fault);
	assert_int_equal(picture_device_broken(p), fault != PICTURE_RETURN_SOUND);
	picture_free(p);
}

static void return_when_its_id_was_not_offered_is_wrong(void **state)
{
	static const uint16_t heads[] = { 0, 2 }, back[] = { 2, 1 };
	struct ring_picture *p;
	struct rig rig;

	(void)state;
	rig_open(&rig, SIZE, RIG_V1);
	offer_heads(&rig, heads, 2);
	return_heads(&rig, back, 1);
	assert_last_return(take_from_zero(&rig), PICTURE_RETURN_SOUND);
	return_heads(&rig, back + 1, 1);
	p = take_from_zero(&rig);
	assert_says(p, false,
		    "\n  ! used entry [1] returns id 1, which was not offered (VR-051)\n");
	assert_last_return(p, PICTURE_RETURN_NOT_OFFERED);
	/* Of what may have been written over, one is not enough. */
	assert_last_return(take(&rig), PICTURE_RETURN_SOUND);
	rig_close(&rig);
}

static void return_when_it_comes_twice_is_wrong(void **state)
{
	static const uint16_t heads[] = { 3, 2, 3 };
	struct ring_picture *p;
	struct rig rig;

	(void)state;
	rig_open(&rig, SIZE, RIG_V1);
	offer_heads(&rig, heads, 1);
	return_heads(&rig, heads, 1);
	offer_heads(&rig, heads + 1, 1);
	return_heads(&rig, heads, 1);
	p = take_from_zero(&rig);
	assert_says(p, false, "! used entry [1] returns id 3, which came back already (VR-050)\n");
	assert_last_return(p, PICTURE_RETURN_AGAIN);
	offer_heads(&rig, heads + 2, 1);
	assert_last_return(take_from_zero(&rig), PICTURE_RETURN_SOUND);
	rig_close(&rig);
}

static void return_when_its_id_is_none_is_wrong(void **state)
{
	const uint16_t head = 0, none = SIZE;
	struct ring_picture *p;
	struct rig rig;

	(void)state;
	rig_open(&rig, SIZE, RIG_V1);
	driverq_set_base(&rig.driver, 100);
	offer_heads(&rig, &head, 1);
	return_heads(&rig, &none, 1);
	p = take_with(&rig, (struct picture_want){
				    .since = true, .since_avail = 100, .since_used = 100 });
	assert_says(p, false, "returns id 16, which is no descriptor of this ring (VR-051)\n");
	assert_last_return(p, PICTURE_RETURN_RANGE);
	/* It may have been there before the device was. */
	assert_last_return(take(&rig), PICTURE_RETURN_SOUND);
	rig_close(&rig);
}

static void return_when_more_came_back_than_was_offered_is_wrong(void **state)
{
	const uint16_t heads[] = { 0, 0 };
	struct ring_picture *p;
	struct rig rig;

	(void)state;
	rig_open(&rig, SIZE, RIG_V1);
	offer_heads(&rig, heads, 1);
	return_heads(&rig, heads, 2);
	p = take(&rig);
	assert_true(picture_device_broken(p));
	assert_says(p, false, "! used index 2 is ahead of available index 1: more came back");
	picture_free(p);
	rig_close(&rig);
}

/* After many laps an id that is nowhere in the ring comes back for the second time. */
static void return_when_rings_were_written_over_is_judged_by_the_latest(void **state)
{
	const uint16_t head = 3, wrong = 4;
	struct rig rig;

	(void)state;
	rig_open(&rig, SIZE, RIG_V1);
	for (int i = 0; i < 3 * SIZE; i++) {
		offer_heads(&rig, &head, 1);
		return_heads(&rig, &head, 1);
	}
	assert_last_return(take(&rig), PICTURE_RETURN_SOUND);
	for (int i = 0; i < 2; i++) {
		offer_heads(&rig, &head, 1);
		return_heads(&rig, &wrong, 1);
		assert_last_return(take_from_zero(&rig),
				   i == 0 ? PICTURE_RETURN_SOUND : PICTURE_RETURN_NOT_OFFERED);
	}
	rig_close(&rig);
}

/* One entry may stand for many: what the others had before is not wrong. */
static void return_when_in_order_is_not_judged(void **state)
{
	static const uint16_t heads[] = { 5, 6 };
	struct picture_source source;
	struct ring_picture *p;
	struct rig rig;

	(void)state;
	rig_open(&rig, SIZE, RIG_V1);
	offer_heads(&rig, heads, 2);
	vring_set_used_entry(&rig.driver.ring, 0, 6, 0);
	vring_set_used_idx(&rig.driver.ring, 2);
	source = source_of(&rig);
	source.from_zero = true;
	source.in_order = true;
	p = picture_take(&source, &(struct picture_want){ 0 });
	assert_false(picture_device_broken(p));
	picture_free(p);
	rig_close(&rig);
}

/*
 * Sound rings, in any order, around the end of the index, and with entries that
 * each side has written and not published: never anything is wrong.
 */
static void play(struct rig *rig, uint64_t *random, bool *held)
{
	const struct vring *ring = &rig->driver.ring;
	uint16_t avail = vring_avail_idx(ring), used = vring_used_idx(ring);
	uint32_t n = rig_below(random, ring->size / 2);

	for (uint32_t i = 0; i < n; i++) {
		uint16_t head = (uint16_t)rig_below(random, ring->size);

		if (held[head])
			continue;
		held[head] = true;
		vring_set_avail_entry(ring, avail++, head);
	}
	vring_set_avail_idx(ring, avail);
	for (uint32_t i = 0; i < ring->size; i++)
		if (held[i] && rig_below(random, 3) == 0) {
			held[i] = false;
			vring_set_used_entry(ring, used++, i, 7);
		}
	vring_set_used_idx(ring, used);
	/* Ahead of the indices. */
	n = ring->size - (uint16_t)(avail - used);
	for (uint32_t i = 0, k = 0; i < ring->size && k < min_size(n, ring->size / 2); i++)
		if (!held[i]) {
			vring_set_avail_entry(ring, (uint16_t)(avail + k), (uint16_t)i);
			k++;
		}
	for (uint32_t i = 0, k = 0; i < ring->size; i++)
		if (held[i])
			vring_set_used_entry(ring, (uint16_t)(used + k++), i, 7);
}

static void return_when_all_is_sound_is_never_wrong(void **state)
{
	uint64_t random = 5;

	(void)state;
	for (int round = 0; round < 40; round++) {
		bool held[SIZE] = { false };
		struct rig rig;

		rig_open(&rig, SIZE, RIG_V1);
		driverq_set_base(&rig.driver, round % 2 == 0 ? 0 : (uint16_t)(65536 - 3 * round));
		for (int i = 0; i < 100; i++) {
			struct ring_picture *p;

			play(&rig, &random, held);
			p = take_from_zero(&rig);
			if (picture_device_broken(p))
				fail_msg("%s", text_of(p, false));
			picture_free(p);
			p = take_with(&rig, (struct picture_want){ .slots = SIZE });
			assert_false(picture_device_broken(p));
			picture_free(p);
		}
		rig_close(&rig);
	}
}

/* Long chains. */

enum { BIG = 256, N_LONG = 200 };

/* N_LONG descriptors of a ring of BIG, in turn to read and to write. */
static void offer_long(struct rig *rig)
{
	rig_open(rig, BIG, RIG_V1 | RIG_INDIRECT);
	for (uint16_t i = 0; i < N_LONG; i++)
		rig_desc(rig, i, rig->data + i, 1,
			 (i < N_LONG - 1 ? VRING_DESC_F_NEXT : 0U) |
				 (i >= N_LONG / 2 ? VRING_DESC_F_WRITE : 0U),
			 i + 1U);
	rig_offer(rig, 0);
}

static void split_when_a_chain_is_long_counts_the_rest(void **state)
{
	struct ring_picture *p;
	struct rig rig;

	(void)state;
	offer_long(&rig);
	p = take(&rig);
	assert_int_equal(p->chains[0].fault, PICTURE_SOUND);
	assert_int_equal(p->chains[0].n_descs, PICTURE_MAX_CHAIN);
	assert_int_equal(p->chains[0].n_more, N_LONG - PICTURE_MAX_CHAIN);
	assert_int_equal(p->chains[0].out_len, N_LONG / 2);
	assert_int_equal(p->chains[0].in_len, N_LONG / 2);
	assert_says(p, false, "+1 read ->64; and 136 more\n");
	picture_free(p);
	/* Behind those that are shown, too. */
	rig_desc(&rig, N_LONG - 1, RIG_NOWHERE, 1, VRING_DESC_F_WRITE, 0);
	p = take(&rig);
	assert_int_equal(p->chains[0].fault, PICTURE_UNMAPPED);
	assert_says(p, false, "; and 136 more ... a buffer is not in guest memory\n");
	picture_free(p);
	rig_desc(&rig, N_LONG - 1, rig.data, 1, VRING_DESC_F_WRITE | VRING_DESC_F_NEXT, 0);
	p = take(&rig);
	assert_int_equal(p->chains[0].fault, PICTURE_LONG);
	assert_int_equal(p->chains[0].n_descs + p->chains[0].n_more, BIG);
	picture_free(p);
	rig_close(&rig);
}

/* More than the ring has; the table itself is one more. */
static void split_when_a_table_is_long_counts_the_rest(void **state)
{
	const uint32_t n = 1024;
	struct ring_picture *p;
	struct rig rig;

	(void)state;
	rig_open(&rig, SIZE, RIG_V1 | RIG_INDIRECT);
	for (uint32_t i = 0; i < n; i++)
		rig_table_desc(&rig, rig.data, i, rig.data, 2, i < n - 1 ? VRING_DESC_F_NEXT : 0,
			       i + 1);
	rig_desc(&rig, 0, rig.data, n * VRING_DESC_BYTES, VRING_DESC_F_INDIRECT, 0);
	rig_offer(&rig, 0);
	p = take(&rig);
	assert_int_equal(p->chains[0].fault, PICTURE_SOUND);
	assert_int_equal(p->chains[0].n_descs + p->chains[0].n_more, n + 1);
	assert_int_equal(p->chains[0].out_len, 2 * n);
	assert_says(p, false, "; and 961 more }\n");
	picture_free(p);
	rig_table_desc(&rig, rig.data, n - 1, rig.data, 2, VRING_DESC_F_NEXT, 7);
	p = take(&rig);
	assert_int_equal(p->chains[0].fault, PICTURE_LONG);
	picture_free(p);
	rig_close(&rig);
}

/* Each of 256 chains goes through all of the table for ever: the work has an end. */
static void split_when_all_chains_are_endless_ends(void **state)
{
	const uint32_t n = 4096;
	struct ring_picture *p;
	struct rig rig;

	(void)state;
	rig_open(&rig, BIG, RIG_V1 | RIG_INDIRECT);
	for (uint32_t i = 0; i < n; i++)
		rig_table_desc(&rig, rig.data, i, rig.data, 2, VRING_DESC_F_NEXT, (i + 1) % n);
	for (uint16_t i = 0; i < BIG; i++) {
		rig_desc(&rig, i, rig.data, UINT32_MAX, VRING_DESC_F_INDIRECT, 0);
		rig_offer(&rig, i);
	}
	p = take_with(&rig, (struct picture_want){ .slots = BIG });
	assert_int_equal(p->n_chains, BIG);
	assert_int_equal(p->chains[0].fault, PICTURE_LONG);
	assert_int_equal(p->chains[0].n_descs + p->chains[0].n_more, PICTURE_MAX_FOLLOWED);
	assert_int_equal(p->chains[BIG - 1].n_descs, 0);
	assert_int_equal(p->chains[BIG - 1].fault, PICTURE_SOUND);
	picture_free(p);
	rig_close(&rig);
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(split_when_chains_are_wrong_says_how),
	UNIT_TEST(split_when_a_chain_came_back_is_never_wrong),
	UNIT_TEST(split_when_chains_come_back_in_another_order_is_not_wrong),
	UNIT_TEST(split_when_a_chain_is_certainly_the_devices_is_wrong_in_any_lap),
	UNIT_TEST(split_when_chains_come_back_meanwhile_blames_nobody),
	UNIT_TEST(return_when_its_id_was_not_offered_is_wrong),
	UNIT_TEST(return_when_it_comes_twice_is_wrong),
	UNIT_TEST(return_when_its_id_is_none_is_wrong),
	UNIT_TEST(return_when_more_came_back_than_was_offered_is_wrong),
	UNIT_TEST(return_when_rings_were_written_over_is_judged_by_the_latest),
	UNIT_TEST(return_when_in_order_is_not_judged),
	UNIT_TEST(return_when_all_is_sound_is_never_wrong),
	UNIT_TEST(split_when_a_chain_is_long_counts_the_rest),
	UNIT_TEST(split_when_a_table_is_long_counts_the_rest),
	UNIT_TEST(split_when_all_chains_are_endless_ends),
};

UNIT_MAIN(tests)
