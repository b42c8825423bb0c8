/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Where the ring engine meets the dirty log, the record of requests in flight
 * and the translations of an IOMMU.
 */
#include "packed_rig.h"

#define PACKED (RIG_V1 | RIG_PACKED)

enum { LOG_BYTES = 16 };

/* A log over the rig's memory: bit 0 is RIG_GUEST's page. */
struct log_rig {
	struct rig rig;
	struct dirty_log *log;
	uint8_t *bits;
};

static uint64_t page_of(uint64_t guest)
{
	return (guest - RIG_GUEST) / DIRTY_PAGE;
}

/* The rig's pages have bits of a file of their own, which begin at RIG_GUEST's. */
static void log_open(struct log_rig *l, unsigned int size, uint64_t features, bool ring_too,
		     uint64_t ring_log_addr)
{
	uint64_t first = RIG_GUEST / DIRTY_PAGE / 8;
	int fd = rig_memfd(first + LOG_BYTES);
	void *map = mmap(NULL, first + LOG_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	rig_open(&l->rig, size, features);
	assert_ptr_not_equal(map, MAP_FAILED);
	assert_int_equal(dirty_log_map(first + LOG_BYTES, 0, fd, &l->log), GMEM_OK);
	assert_int_equal(close(fd), 0);
	l->bits = (uint8_t *)map + first;
	virtq_set_log(&l->rig.device, l->log, ring_too, ring_log_addr);
}

static void log_close(struct log_rig *l)
{
	uint64_t first = RIG_GUEST / DIRTY_PAGE / 8;
	uint8_t *map = l->bits - first;

	rig_close(&l->rig);
	dirty_log_unref(l->log);
	assert_int_equal(munmap(map, first + LOG_BYTES), 0);
}

static bool marked(const struct log_rig *l, uint64_t guest)
{
	return l->bits[page_of(guest) / 8] & BIT(page_of(guest) % 8);
}

static unsigned int n_marked(const struct log_rig *l)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < LOG_BYTES; i++)
		n += (unsigned int)__builtin_popcount(l->bits[i]);
	return n;
}

/* VU-159: the pages that hold the bytes written, no others, whatever the vectors hold. */
static void log_when_a_chain_is_written_has_its_pages(void **state)
{
	struct log_rig l;
	struct chain chain;
	uint64_t data;

	(void)state;
	log_open(&l, 4, RIG_V1, false, 0);
	data = rig_page_up(l.rig.data);
	rig_desc(&l.rig, 0, data, 8, VRING_DESC_F_NEXT, 1);
	rig_desc(&l.rig, 1, data + 3 * DIRTY_PAGE + 4090, 10,
		 VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 2);
	rig_desc(&l.rig, 2, data + 6 * DIRTY_PAGE, 2 * DIRTY_PAGE, VRING_DESC_F_WRITE, 0);
	rig_offer(&l.rig, 0);
	chain = rig_pop(&l.rig);
	virtq_written(&l.rig.device, chain.iov + chain.n_out, chain.n_in, 10);
	assert_true(marked(&l, data + 3 * DIRTY_PAGE));
	assert_true(marked(&l, data + 4 * DIRTY_PAGE));
	assert_int_equal(n_marked(&l), 2);
	virtq_written(&l.rig.device, chain.iov + chain.n_out, chain.n_in, 11);
	virtq_push(&l.rig.device, 0, 11);
	virtq_publish(&l.rig.device);
	assert_true(marked(&l, data + 6 * DIRTY_PAGE));
	assert_int_equal(n_marked(&l), 3);
	log_close(&l);
}

/* VU-160: at the address that the log was given for the used ring, entries over its end, too. */
static void log_when_the_used_ring_is_wanted_has_its_entries_and_words(void **state)
{
	struct log_rig l;

	(void)state;
	/* The used ring of 1024 in the log's terms: 8198 bytes, two pages and six bytes. */
	log_open(&l, 1024, RIG_V1 | RIG_EVENT, true, RIG_GUEST + 20 * DIRTY_PAGE);
	rig_start(&l.rig, 0);
	assert_true(marked(&l, RIG_GUEST + 20 * DIRTY_PAGE)); /* flags */
	assert_true(marked(&l, RIG_GUEST + 22 * DIRTY_PAGE)); /* available event */
	assert_int_equal(n_marked(&l), 2);
	for (uint16_t i = 0; i < 600; i++) {
		rig_desc(&l.rig, i, l.rig.data, 1, 0, 0);
		rig_offer(&l.rig, i);
		virtq_push(&l.rig.device, rig_pop(&l.rig).head, 0);
	}
	memset(l.bits, 0, LOG_BYTES);
	virtq_publish(&l.rig.device);
	assert_true(marked(&l, RIG_GUEST + 20 * DIRTY_PAGE));
	assert_true(marked(&l, RIG_GUEST + 21 * DIRTY_PAGE));
	assert_int_equal(n_marked(&l), 2);
	log_close(&l);
}

/* Returns chain 0 as used entry idx, with nothing marked before it is shown. */
static void return_at(struct log_rig *l, uint16_t idx)
{
	rig_desc(&l->rig, 0, l->rig.data, 1, 0, 0);
	rig_offer(&l->rig, 0);
	assert_int_equal(vring_used_idx(&l->rig.driver.ring), idx);
	virtq_push(&l->rig.device, rig_pop(&l->rig).head, 0);
}

/*
 * VU-160, VU-164: the index is stored after the entries are marked, so its page
 * is marked for it; a front-end that copied the page in between sees it again.
 */
static void log_when_the_used_ring_goes_round_has_both_ends_and_the_index(void **state)
{
	struct log_rig l;

	(void)state;
	log_open(&l, 2048, RIG_V1, true, RIG_GUEST + 20 * DIRTY_PAGE);
	driverq_set_base(&l.rig.driver, 2046);
	rig_start(&l.rig, 2046);
	return_at(&l, 2046);
	memset(l.bits, 0, LOG_BYTES);
	virtq_publish(&l.rig.device);
	assert_true(marked(&l, RIG_GUEST + 20 * DIRTY_PAGE)); /* the index */
	assert_true(marked(&l, RIG_GUEST + 23 * DIRTY_PAGE));
	assert_int_equal(n_marked(&l), 2);
	return_at(&l, 2047);
	for (unsigned int i = 0; i < 600; i++)
		return_at(&l, 2047);
	memset(l.bits, 0, LOG_BYTES);
	virtq_publish(&l.rig.device);
	assert_true(marked(&l, RIG_GUEST + 20 * DIRTY_PAGE));
	assert_true(marked(&l, RIG_GUEST + 21 * DIRTY_PAGE));
	assert_true(marked(&l, RIG_GUEST + 24 * DIRTY_PAGE)); /* the last entry reaches into it */
	assert_true(marked(&l, RIG_GUEST + 23 * DIRTY_PAGE));
	assert_int_equal(n_marked(&l), 4);
	log_close(&l);
}

/* The descriptors' own pages, and the event word where the log was told it is. */
static void log_when_a_packed_ring_is_wanted_has_its_descriptors(void **state)
{
	struct log_rig l;

	(void)state;
	log_open(&l, 512, PACKED, true, RIG_GUEST + 20 * DIRTY_PAGE);
	for (uint16_t i = 0; i < 300; i++)
		rig_pdesc(&l.rig, i, true, l.rig.data, 1, i, 0);
	for (uint16_t i = 0; i < 300; i++)
		virtq_push(&l.rig.device, rig_pop(&l.rig).head, 0);
	virtq_publish(&l.rig.device);
	assert_true(marked(&l, l.rig.driver.desc_addr));
	assert_true(marked(&l, l.rig.driver.desc_addr + DIRTY_PAGE));
	assert_int_equal(n_marked(&l), 2);
	memset(l.bits, 0, LOG_BYTES);
	rig_pdesc(&l.rig, 300, true, l.rig.data, 1, 0, 0);
	virtq_push(&l.rig.device, rig_pop(&l.rig).head, 0);
	memset(l.bits, 0, LOG_BYTES); /* copied before the flags are there */
	virtq_publish(&l.rig.device);
	assert_true(marked(&l, l.rig.driver.desc_addr + DIRTY_PAGE));
	assert_int_equal(n_marked(&l), 1);
	virtq_kicks_off(&l.rig.device);
	assert_true(marked(&l, RIG_GUEST + 20 * DIRTY_PAGE));
	assert_int_equal(n_marked(&l), 2);
	log_close(&l);
}

/* VU-161 */
static void log_when_taken_away_gets_no_more(void **state)
{
	struct log_rig l;
	struct chain chain;

	(void)state;
	log_open(&l, 4, RIG_V1, true, RIG_GUEST);
	virtq_set_log(&l.rig.device, NULL, false, 0);
	rig_desc(&l.rig, 0, l.rig.data, 8, VRING_DESC_F_WRITE, 0);
	rig_offer(&l.rig, 0);
	chain = rig_pop(&l.rig);
	virtq_written(&l.rig.device, chain.iov, 1, 8);
	virtq_push(&l.rig.device, 0, 8);
	virtq_publish(&l.rig.device);
	assert_int_equal(n_marked(&l), 0);
	log_close(&l);
}

/* A device that is killed, and another one with the record that it left. */
static void kill_and_resume(struct rig *rig, struct inflight *record, uint32_t base)
{
	virtq_fini(&rig->device);
	assert_int_equal(virtq_init(&rig->device, rig->driver.size, rig->features), 0);
	virtq_set_inflight(&rig->device, record, 0);
	rig_start(rig, base);
}

static struct inflight *record_for(struct rig *rig, uint32_t base)
{
	struct inflight *record;
	int fd;

	assert_int_equal(inflight_new(1, rig->driver.size, rig->driver.packed, &record, &fd), 0);
	assert_int_equal(close(fd), 0);
	virtq_set_inflight(&rig->device, record, 0);
	rig_start(rig, base);
	return record;
}

static void offer_split(struct rig *rig, uint16_t head)
{
	rig_desc(rig, head, rig->data + head, 1, 0, 0);
	rig_offer(rig, head);
}

/* VU-171, VU-172: two of four are out, not the first ones offered; then what is new. */
static void inflight_when_others_came_back_is_taken_first_and_once(void **state)
{
	static const uint16_t heads[] = { 3, 1, 2, 0 };
	struct inflight *record;
	struct rig rig;

	(void)state;
	rig_open(&rig, 8, RIG_V1);
	record = record_for(&rig, 0);
	for (size_t i = 0; i < 4; i++)
		offer_split(&rig, heads[i]);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(rig_pop(&rig).head, heads[i]);
	virtq_push(&rig.device, 3, 0);
	virtq_push(&rig.device, 2, 0);
	virtq_publish(&rig.device);
	offer_split(&rig, 5);
	kill_and_resume(&rig, record, 0);
	assert_int_equal(virtq_base(&rig.device), 4);
	assert_int_equal(virtq_position(&rig.device), 2);
	assert_true(virtq_has_avail(&rig.device));
	assert_int_equal(rig_pop(&rig).head, 1);
	assert_int_equal(rig_pop(&rig).head, 0);
	assert_int_equal(rig_pop(&rig).head, 5);
	virtq_unpop(&rig.device, 2); /* one of each kind */
	assert_int_equal(virtq_position(&rig.device), 3);
	kill_and_resume(&rig, record, 0);
	assert_int_equal(virtq_base(&rig.device), 4); /* the new one was given back in the record */
	for (unsigned int i = 0; i < 3; i++) {
		static const uint16_t again[] = { 1, 0, 5 };

		assert_int_equal(rig_pop(&rig).head, again[i]);
		virtq_push(&rig.device, again[i], 0);
		virtq_publish(&rig.device);
	}
	assert_int_equal(vring_used_idx(&rig.driver.ring), 5);
	kill_and_resume(&rig, record, 0);
	assert_int_equal(virtq_base(&rig.device), 5);
	assert_false(virtq_has_avail(&rig.device));
	virtq_stop(&rig.device);
	assert_null(rig.device.inflight.record);
	rig_close(&rig);
	inflight_unref(record);
}

/* Chains that lie in the available ring as they were taken need no list. */
static void inflight_when_it_is_the_next_in_the_ring_is_not_out_at_all(void **state)
{
	struct inflight *record;
	struct rig rig;

	(void)state;
	rig_open(&rig, 8, RIG_V1);
	record = record_for(&rig, 0);
	for (uint16_t i = 0; i < 3; i++)
		offer_split(&rig, i);
	for (uint16_t i = 0; i < 3; i++)
		rig_pop(&rig);
	virtq_push(&rig.device, 0, 0);
	virtq_publish(&rig.device);
	kill_and_resume(&rig, record, 7); /* the record is right, not the front-end's base */
	assert_int_equal(virtq_base(&rig.device), 1);
	assert_int_equal(rig_pop(&rig).head, 1);
	assert_int_equal(rig_pop(&rig).head, 2);
	rig_close(&rig);
	inflight_unref(record);
}

/* VU-172: used descriptors have taken the places of those that are out. */
static void inflight_when_the_ring_was_overwritten_comes_from_the_record(void **state)
{
	struct inflight *record;
	struct chain chain;
	struct rig rig;

	(void)state;
	rig_open(&rig, 5, PACKED);
	record = record_for(&rig, RIG_FRESH_PACKED);
	rig_pdesc(&rig, 0, true, rig.data, 3, 4, PNEXT);
	rig_pdesc(&rig, 1, true, rig.data + 8, 5, 4, PWRITE);
	rig_pdesc(&rig, 2, true, rig.data + 16, 1, 1, 0);
	rig_pdesc(&rig, 3, true, rig.data + 24, 2, 0, 0);
	for (unsigned int i = 0; i < 3; i++)
		rig_pop(&rig);
	virtq_push(&rig.device, 1, 0);
	virtq_push(&rig.device, 0, 0);
	virtq_publish(&rig.device);
	kill_and_resume(&rig, record, RIG_FRESH_PACKED);
	assert_int_equal(virtq_base(&rig.device), 0x80028004);
	assert_int_equal(virtq_position(&rig.device), 0x8002);
	chain = rig_pop(&rig);
	assert_int_equal(chain.head, 4);
	assert_int_equal(chain.out_len, 3);
	assert_int_equal(chain.in_len, 5);
	assert_ptr_equal(chain.iov[0].iov_base, rig_at(&rig, rig.data));
	virtq_unpop(&rig.device, 1);
	assert_int_equal(rig_pop(&rig).head, 4);
	rig_pdesc(&rig, 4, true, rig.data, 1, 1, 0);
	assert_int_equal(rig_pop(&rig).head, 1);
	virtq_unpop(&rig.device, 1);
	virtq_push(&rig.device, 4, 5);
	virtq_publish(&rig.device);
	assert_true(rig_packed_used(&rig, 2, true));
	kill_and_resume(&rig, record, RIG_FRESH_PACKED);
	assert_int_equal(virtq_base(&rig.device), 0x80048004);
	assert_int_equal(rig_pop(&rig).head, 1);
	rig_close(&rig);
	inflight_unref(record);
}

/* VU-174: a record of another layout or size is not used. */
static void inflight_when_it_does_not_fit_is_left_alone(void **state)
{
	struct inflight *record;
	struct rig rig;
	int fd;

	(void)state;
	rig_open(&rig, 8, RIG_V1);
	assert_int_equal(inflight_new(1, 4, false, &record, &fd), 0);
	assert_int_equal(close(fd), 0);
	virtq_set_inflight(&rig.device, record, 0);
	rig_start(&rig, 0);
	offer_split(&rig, 7);
	assert_int_equal(rig_pop(&rig).head, 7);
	virtq_push(&rig.device, 7, 0);
	assert_true(virtq_publish(&rig.device));
	rig_close(&rig);
	inflight_unref(record);
}

#define IOVA UINT64_C(0x100000000000)

static void translate(struct iotlb *tlb, uint64_t iova, uint64_t guest, uint64_t size, uint8_t perm)
{
	const struct iotlb_entry entry = { .iova = iova,
					   .size = size,
					   .user_addr = RIG_USER + (guest - RIG_GUEST),
					   .perm = perm };

	assert_int_equal(iotlb_update(tlb, &entry), 0);
}

static void misses(struct rig *rig, uint64_t iova, uint8_t perm)
{
	uint32_t base = virtq_base(&rig->device);
	struct chain chain;
	uint64_t got_iova;
	uint8_t got_perm;

	assert_int_equal(virtq_pop(&rig->device, &chain), POP_MISSING);
	assert_true(virtq_missing(&rig->device, &got_iova, &got_perm));
	assert_int_equal(got_iova, iova);
	assert_int_equal(got_perm, perm);
	assert_int_equal(virtq_base(&rig->device), base);
	assert_int_equal(virtq_broken(&rig->device), VIRTQ_FAULT_NONE);
	assert_true(virtq_has_avail(&rig->device));
}

/* One chain, offered in either layout: 8 bytes out at IOVA, 8 in at IOVA + 4092, over a page's end.
 */
static void offer_translated(struct rig *rig)
{
	if (rig->driver.packed) {
		rig_pdesc(rig, 0, true, IOVA, 8, 0, PNEXT);
		rig_pdesc(rig, 1, true, IOVA + 4092, 8, 0, PWRITE);
	} else {
		rig_desc(rig, 0, IOVA, 8, VRING_DESC_F_NEXT, 1);
		rig_desc(rig, 1, IOVA + 4092, 8, VRING_DESC_F_WRITE, 0);
		rig_offer(rig, 0);
	}
}

/* VU-211, VU-212: page by page, for what each is needed; nothing is taken before all are there. */
static void miss_as_translations_come(uint64_t features)
{
	struct iotlb *tlb = iotlb_new();
	struct chain chain;
	struct rig rig;
	uint64_t iova;
	uint8_t perm;

	assert_non_null(tlb);
	rig_open(&rig, 4, features);
	virtq_set_iotlb(&rig.device, tlb);
	offer_translated(&rig);
	misses(&rig, IOVA, IOTLB_READ);
	translate(tlb, IOVA, rig.data, 4096, IOTLB_READ);
	misses(&rig, IOVA + 4092, IOTLB_WRITE); /* there, but not for that */
	translate(tlb, IOVA, rig.data, 4096, IOTLB_READ | IOTLB_WRITE);
	misses(&rig, IOVA + 4096, IOTLB_WRITE);
	translate(tlb, IOVA + 4096, rig.data + 3 * 4096, 4096, IOTLB_WRITE);
	chain = rig_pop(&rig);
	assert_false(virtq_missing(&rig.device, &iova, &perm));
	assert_int_equal(chain.n_out, 1);
	assert_int_equal(chain.n_in, 2);
	assert_ptr_equal(chain.iov[1].iov_base, rig_at(&rig, rig.data + 4092));
	assert_ptr_equal(chain.iov[2].iov_base, rig_at(&rig, rig.data + 3 * 4096));
	assert_int_equal(chain.iov[1].iov_len, 4);
	virtq_unpop(&rig.device, 1);
	iotlb_clear(tlb); /* nothing is remembered beside it */
	misses(&rig, IOVA, IOTLB_READ);
	virtq_set_iotlb(&rig.device, NULL);
	assert_int_equal(virtq_pop(&rig.device, &chain), POP_BROKEN);
	assert_int_equal(virtq_broken(&rig.device), VIRTQ_FAULT_UNMAPPED);
	rig_close(&rig);
	iotlb_free(tlb);
}

/* What was translated for one chain is asked for again for the next. */
static void pop_when_a_translation_has_gone_takes_nothing(void **state)
{
	struct iotlb *tlb = iotlb_new();
	struct rig rig;

	(void)state;
	assert_non_null(tlb);
	rig_open(&rig, 4, RIG_V1);
	virtq_set_iotlb(&rig.device, tlb);
	translate(tlb, IOVA, rig.data, 4096, IOTLB_READ);
	for (uint16_t i = 0; i < 2; i++) {
		rig_desc(&rig, i, IOVA + i, 1, 0, 0);
		rig_offer(&rig, i);
	}
	rig_pop(&rig);
	iotlb_invalidate(tlb, IOVA, 4096);
	misses(&rig, IOVA + 1, IOTLB_READ);
	rig_close(&rig);
	iotlb_free(tlb);
}

static void pop_when_a_translation_is_missing_takes_nothing(void **state)
{
	(void)state;
	miss_as_translations_come(RIG_V1);
	miss_as_translations_come(RIG_V1 | RIG_ORDER);
	miss_as_translations_come(PACKED);
}

/* VR-032 with translations: an entry lies across two of them, which lie apart. */
static void table_over_two_translations(uint64_t features)
{
	struct iotlb *tlb = iotlb_new();
	uint64_t table[4];
	struct vring_desc desc;
	struct chain chain;
	struct rig rig;

	assert_non_null(tlb);
	rig_open(&rig, 4, features | RIG_INDIRECT);
	virtq_set_iotlb(&rig.device, tlb);
	desc = (struct vring_desc){ IOVA + 100, 5, rig.driver.packed ? 0 : VRING_DESC_F_NEXT,
				    rig.driver.packed ? 0 : 1 };
	vring_desc_write(table, desc);
	desc = (struct vring_desc){ IOVA + 200, 6, 0, 0 };
	vring_desc_write(table + 2, desc);
	memcpy(rig_at(&rig, rig.data + 4096 - 20), table, 20);
	memcpy(rig_at(&rig, rig.data + 8192), (unsigned char *)table + 20, 12);
	if (rig.driver.packed) {
		rig_pdesc(&rig, 0, true, IOVA + 4096 - 20, 32, 0, PINDIRECT);
	} else {
		rig_desc(&rig, 0, IOVA + 4096 - 20, 32, VRING_DESC_F_INDIRECT, 0);
		rig_offer(&rig, 0);
	}
	misses(&rig, IOVA + 4096 - 20, IOTLB_READ);
	translate(tlb, IOVA, rig.data, 4096, IOTLB_READ);
	misses(&rig, IOVA + 4096, IOTLB_READ);
	translate(tlb, IOVA + 4096, rig.data + 8192, 4096, IOTLB_READ);
	chain = rig_pop(&rig);
	assert_int_equal(chain.n_out, 2);
	assert_int_equal(chain.out_len, 11);
	assert_ptr_equal(chain.iov[1].iov_base, rig_at(&rig, rig.data + 200));
	rig_close(&rig);
	iotlb_free(tlb);
}

static void table_when_translated_in_pieces_is_read_whole(void **state)
{
	(void)state;
	table_over_two_translations(RIG_V1);
	table_over_two_translations(PACKED);
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(log_when_a_chain_is_written_has_its_pages),
	UNIT_TEST(log_when_the_used_ring_is_wanted_has_its_entries_and_words),
	UNIT_TEST(log_when_the_used_ring_goes_round_has_both_ends_and_the_index),
	UNIT_TEST(log_when_a_packed_ring_is_wanted_has_its_descriptors),
	UNIT_TEST(log_when_taken_away_gets_no_more),
	UNIT_TEST(inflight_when_others_came_back_is_taken_first_and_once),
	UNIT_TEST(inflight_when_it_is_the_next_in_the_ring_is_not_out_at_all),
	UNIT_TEST(inflight_when_the_ring_was_overwritten_comes_from_the_record),
	UNIT_TEST(inflight_when_it_does_not_fit_is_left_alone),
	UNIT_TEST(pop_when_a_translation_is_missing_takes_nothing),
	UNIT_TEST(pop_when_a_translation_has_gone_takes_nothing),
	UNIT_TEST(table_when_translated_in_pieces_is_read_whole),
};

UNIT_MAIN(tests)
