/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What the engine makes of memory or descriptors that run out, each call in turn:
 * a failure with its own code, nothing left behind, and the ring goes on.
 */
#include <limits.h>

#include "picture_rig.h"

#include "fail_rig.h"
#include "virtio/dirtylog.h"
#include "virtio/driverq-packed.h"
#include "virtio/inflight.h"
#include "virtio/iotlb.h"

/* As often as there is a call left that can fail. True: this one did not. */
static bool went_through(bool ok)
{
	bool through = n_failed == 0;

	fail_end();
	assert_int_equal(ok, through);
	return through;
}

#define UNTIL_THROUGH(nth)                                                                         \
	unsigned int nth = 1;                                                                      \
	for (bool through = false; !through; nth++)

static void region_when_it_cannot_be_mapped_is_refused(void **state)
{
	const struct gmem_desc desc = { 0, 1 << 20, 0x7000, 0 };
	struct gmem_region *region;
	struct gmem *mem, *more;
	int fd;

	(void)state;
	fd = memfd_create("ram", MFD_CLOEXEC);
	assert_int_equal(ftruncate(fd, 1 << 20), 0);
	UNTIL_THROUGH(nth)
	{
		fail_begin(nth);
		region = NULL;
		mem = more = NULL;
		if (gmem_region_map(&desc, fd, &region) == GMEM_OK &&
		    gmem_new(&region, 1, &mem) == GMEM_OK &&
		    gmem_without(mem, &desc, &more) == GMEM_OK) {
			through = went_through(true);
		} else {
			through = went_through(false);
		}
		gmem_unref(more);
		gmem_unref(mem);
		if (region)
			gmem_region_unref(region);
	}
	assert_true(nth > 3);
	close(fd);
}

static void rings_when_there_is_no_memory_are_not_made(void **state)
{
	static _Alignas(4096) uint8_t bytes[64 * 1024];
	static const uint64_t kinds[] = { RIG_V1, RIG_V1 | RIG_PACKED };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		UNTIL_THROUGH(nth)
		{
			struct driverq q;

			fail_begin(nth);
			through = went_through(driverq_init(&q, bytes, 0, SIZE, kinds[i]) == 0);
			if (through)
				driverq_fini(&q);
		}
		assert_true(nth > 2);
	}
}

static void record_when_there_is_no_room_is_not_made(void **state)
{
	struct inflight *record;
	int fd;

	(void)state;
	for (unsigned int packed = 0; packed < 2; packed++) {
		UNTIL_THROUGH(nth)
		{
			fail_begin(nth);
			through = went_through(inflight_new(2, SIZE, packed, &record, &fd) == 0);
		}
		assert_true(nth > 3);
		inflight_unref(record);
		UNTIL_THROUGH(n)
		{
			fail_begin(n);
			through = went_through(inflight_map(inflight_bytes(2, SIZE, packed), 0, fd,
							    2, SIZE, packed, &record) == GMEM_OK);
		}
		inflight_unref(record);
		close(fd);
	}
}

/* VU-172: a ring whose order of service cannot be known does not run. */
static void record_when_it_cannot_be_read_is_an_error(void **state)
{
	struct packed_slot slots[SIZE] = { 0 };
	struct packed_ring ring = { .desc = slots, .size = SIZE };
	struct inflight *record;
	int fd;

	(void)state;
	for (unsigned int packed = 0; packed < 2; packed++) {
		assert_int_equal(inflight_new(1, SIZE, packed, &record, &fd), 0);
		close(fd);
		UNTIL_THROUGH(nth)
		{
			struct packed_position used = PACKED_START;
			struct inflight_chain chains[SIZE];
			struct inflight_ring r = { 0 };
			uint16_t heads[SIZE];
			int n;

			inflight_attach(&r, record, 0, SIZE);
			fail_begin(nth);
			if (packed)
				n = inflight_packed_resume(&r, &ring, used, &used, chains);
			else
				n = inflight_split_resume(&r, 0, 0, heads);
			through = went_through(n != -ENOMEM);
			inflight_detach(&r);
		}
		assert_true(nth > 2);
		inflight_unref(record);
	}
}

static void translations_when_there_is_no_memory_are_refused(void **state)
{
	const struct iotlb_entry entry = { 0x1000, 0x1000, 0x7000, 3 };

	(void)state;
	UNTIL_THROUGH(nth)
	{
		struct iotlb *tlb;
		bool ok;

		fail_begin(nth);
		tlb = iotlb_new();
		ok = tlb && iotlb_update(tlb, &entry) == 0;
		through = went_through(ok);
		iotlb_free(tlb);
	}
	assert_true(nth > 2);
}

/* A picture with some of everything, of both kinds of rings, and as bytes. */
static void picture_when_there_is_no_memory_is_not_taken(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig, SIZE, RIG_V1 | RIG_INDIRECT | RIG_EVENT);
	for (unsigned int i = 0; i < 4; i++) {
		struct chain chain;

		offer_pair(&rig, i % 2);
		chain = rig_pop(&rig);
		return_chain(&rig, &chain, 3);
		offer_pair(&rig, i % 2 == 0);
	}
	UNTIL_THROUGH(nth)
	{
		const struct picture_source source = source_of(&rig);
		struct ring_picture *p, *q = NULL;
		uint8_t *bytes = NULL;
		size_t len;

		fail_begin(nth);
		p = picture_take(&source, &(struct picture_want){ .data = 64 });
		if (p)
			bytes = picture_pack(p, &len);
		if (bytes)
			q = picture_unpack(bytes, len);
		through = went_through(q != NULL);
		picture_free(q);
		picture_free(p);
		free(bytes);
	}
	assert_true(nth > 6);
	rig_close(&rig);
}

static void packed_picture_when_there_is_no_memory_is_not_taken(void **state)
{
	static int token;
	struct driverq_packed q;
	struct rig rig;

	(void)state;
	rig_open(&rig, SIZE, RIG_V1);
	assert_int_equal(
		driverq_packed_init(&q, rig_at(&rig, rig.tables), rig.tables, SIZE, RIG_V1), 0);
	for (unsigned int i = 0; i < 4; i++) {
		const struct driverq_buf bufs[] = { { rig.data, 7 }, { rig.data + 64, 32 } };

		assert_int_equal(driverq_packed_add(&q, bufs, 1, 1, &token), 0);
	}
	driverq_packed_publish(&q);
	UNTIL_THROUGH(nth)
	{
		struct packed_position avail = PACKED_START, used = PACKED_START;
		uint16_t lists[SIZE] = { 0 };
		const struct picture_source source = {
			.packed = &q.ring,
			.host = host,
			.arg = rig.mem,
			.avail = &avail,
			.used = &used,
			.lists = lists,
		};
		struct ring_picture *p;

		fail_begin(nth);
		p = picture_take(&source, &(struct picture_want){ .data = 64 });
		through = went_through(p != NULL);
		picture_free(p);
	}
	assert_true(nth > 4);
	driverq_packed_fini(&q);
	rig_close(&rig);
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(region_when_it_cannot_be_mapped_is_refused),
	UNIT_TEST(rings_when_there_is_no_memory_are_not_made),
	UNIT_TEST(record_when_there_is_no_room_is_not_made),
	UNIT_TEST(record_when_it_cannot_be_read_is_an_error),
	UNIT_TEST(translations_when_there_is_no_memory_are_refused),
	UNIT_TEST(picture_when_there_is_no_memory_is_not_taken),
	UNIT_TEST(packed_picture_when_there_is_no_memory_is_not_taken),
};
UNIT_MAIN(tests)
