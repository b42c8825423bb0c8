/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Translations of an IOMMU: VU-211, VU-212. */
#include "ring_rig.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "virtio/iotlb.h"

enum { RW = IOTLB_READ | IOTLB_WRITE };

/* The model: by address of a small space, the user address and the permission. */
enum { SPACE = 256 };

struct model {
	uint64_t user[SPACE];
	uint8_t perm[SPACE];
};

static int update(struct iotlb *tlb, uint64_t iova, uint64_t size, uint64_t user, uint8_t perm)
{
	const struct iotlb_entry entry = {
		.iova = iova,
		.size = size,
		.user_addr = user,
		.perm = perm,
	};

	return iotlb_update(tlb, &entry);
}

static void assert_at(const struct iotlb *tlb, uint64_t iova, uint64_t user, uint8_t perm)
{
	struct iotlb_entry entry;

	assert_true(iotlb_find(tlb, iova, &entry));
	assert_true(iova - entry.iova < entry.size);
	assert_int_equal(entry.user_addr + (iova - entry.iova), user);
	assert_int_equal(entry.perm, perm);
}

static void assert_none(const struct iotlb *tlb, uint64_t iova)
{
	struct iotlb_entry entry;

	assert_false(iotlb_find(tlb, iova, &entry));
	assert_false(iotlb_knows(tlb, iova, 1));
}

static void assert_is_model(const struct iotlb *tlb, const struct model *m, uint64_t base)
{
	for (unsigned int i = 0; i < SPACE; i++) {
		if (m->perm[i])
			assert_at(tlb, base + i, m->user[i], m->perm[i]);
		else
			assert_none(tlb, base + i);
	}
}

static void random_step(struct iotlb *tlb, struct model *m, uint64_t base)
{
	unsigned int at = (unsigned int)rand() % SPACE;
	unsigned int n = 1 + (unsigned int)rand() % (SPACE - at);
	uint64_t user = (uint64_t)rand() << 12;
	uint8_t perm = (uint8_t)(1 + rand() % 3);
	bool forget = rand() % 3 == 0;

	if (rand() % 2)
		n = 1 + n % 8;
	if (at + n > SPACE)
		n = SPACE - at;
	if (forget)
		iotlb_invalidate(tlb, base + at, n);
	else
		assert_int_equal(update(tlb, base + at, n, user, perm), 0);
	for (unsigned int i = 0; i < n; i++) {
		m->user[at + i] = user + i;
		m->perm[at + i] = forget ? 0 : perm;
	}
}

static void random_when_compared_with_a_model_is_the_same(void **state)
{
	/* The second ends with the address space. */
	static const uint64_t bases[] = { 0x1000, UINT64_MAX - SPACE + 1 };

	(void)state;
	for (unsigned int seed = 1; seed <= 12; seed++) {
		struct iotlb *tlb = iotlb_new();
		struct model m = { .perm = { 0 } };
		uint64_t base = bases[seed % 2];

		assert_non_null(tlb);
		srand(seed);
		for (unsigned int i = 0; i < 400; i++) {
			random_step(tlb, &m, base);
			assert_is_model(tlb, &m, base);
		}
		iotlb_free(tlb);
	}
}

static void update_when_malformed_is_refused(void **state)
{
	struct iotlb *tlb = iotlb_new();

	(void)state;
	assert_non_null(tlb);
	assert_int_equal(update(tlb, 0x1000, 0, 0x2000, RW), -EINVAL);
	assert_int_equal(update(tlb, UINT64_MAX, 2, 0x2000, RW), -EINVAL);
	assert_int_equal(update(tlb, 0x1000, 2, UINT64_MAX, RW), -EINVAL);
	assert_int_equal(update(tlb, 0x1000, 2, 0x2000, 0), -EINVAL);
	assert_int_equal(update(tlb, 0x1000, 2, 0x2000, 4), -EINVAL);
	assert_int_equal(iotlb_n_entries(tlb), 0);
	assert_int_equal(update(tlb, UINT64_MAX, 1, UINT64_MAX, RW), 0);
	assert_at(tlb, UINT64_MAX, UINT64_MAX, RW);
	iotlb_free(tlb);
	iotlb_free(NULL);
}

static void invalidate_when_inside_leaves_both_ends(void **state)
{
	struct iotlb *tlb = iotlb_new();

	(void)state;
	assert_non_null(tlb);
	assert_int_equal(update(tlb, 0x1000, 0x3000, 0x9000, RW), 0);
	iotlb_invalidate(tlb, 0x2000, 0);
	assert_int_equal(iotlb_n_entries(tlb), 1);
	iotlb_invalidate(tlb, 0x2000, 0x1000);
	assert_int_equal(iotlb_n_entries(tlb), 2);
	assert_at(tlb, 0x1fff, 0x9fff, RW);
	assert_none(tlb, 0x2000);
	assert_none(tlb, 0x2fff);
	assert_at(tlb, 0x3000, 0xb000, RW);
	assert_true(iotlb_knows(tlb, 0x2800, 0x801));
	assert_true(iotlb_knows(tlb, 0x2800, UINT64_MAX)); /* to the last address */
	assert_false(iotlb_knows(tlb, 0x2800, 0x800));
	/* Past the end: to the end of all addresses. */
	iotlb_invalidate(tlb, 0x1800, UINT64_MAX);
	assert_at(tlb, 0x17ff, 0x97ff, RW);
	assert_none(tlb, 0x3000);
	iotlb_clear(tlb);
	assert_int_equal(iotlb_n_entries(tlb), 0);
	iotlb_free(tlb);
}

static void update_when_full_replaces_the_oldest(void **state)
{
	struct iotlb *tlb = iotlb_new();

	(void)state;
	assert_non_null(tlb);
	for (uint64_t i = 0; i < IOTLB_MAX_ENTRIES; i++)
		assert_int_equal(update(tlb, (i ^ 1) << 12, 0x1000, i << 13, RW), 0);
	assert_int_equal(iotlb_n_entries(tlb), IOTLB_MAX_ENTRIES);
	/* What is told again is the newest. */
	assert_int_equal(update(tlb, 1 << 12, 0x1000, 0, RW), 0);
	assert_int_equal(iotlb_n_entries(tlb), IOTLB_MAX_ENTRIES);
	assert_int_equal(update(tlb, UINT64_C(1) << 40, 0x1000, 0x5000, RW), 0);
	assert_int_equal(iotlb_n_entries(tlb), IOTLB_MAX_ENTRIES);
	assert_none(tlb, 0);
	assert_at(tlb, 1 << 12, 0, RW);
	assert_at(tlb, UINT64_C(1) << 40, 0x5000, RW);
	/* A hole in the middle of one needs one more: what is above it is forgotten then. */
	iotlb_invalidate(tlb, (UINT64_C(1) << 40) + 0x100, 1);
	assert_int_equal(iotlb_n_entries(tlb), IOTLB_MAX_ENTRIES);
	assert_at(tlb, (UINT64_C(1) << 40) + 0xff, 0x50ff, RW);
	assert_none(tlb, (UINT64_C(1) << 40) + 0x101);
	iotlb_free(tlb);
}

/* Two regions that meet in the front-end's addresses. */
static struct gmem *two_regions(void)
{
	struct gmem_region *regions[] = {
		rig_region(0x40000000, RIG_USER, 0x4000),
		rig_region(0x80000000, RIG_USER + 0x4000, 0x4000),
	};

	return rig_gmem(regions, 2);
}

static void window_when_translated_is_bounded_by_translation_and_region(void **state)
{
	struct iotlb *tlb = iotlb_new();
	struct gmem *mem = two_regions();
	struct gmem_window w;

	(void)state;
	assert_non_null(tlb);
	assert_int_equal(update(tlb, 0x100000, 0x2000, RIG_USER + 0x3000, IOTLB_READ), 0);
	assert_true(iotlb_window_at(tlb, mem, 0x100800, IOTLB_READ, &w));
	assert_int_equal(w.guest_addr, 0x100000);
	assert_int_equal(w.size, 0x1000);
	assert_ptr_equal(w.host, gmem_host_from_user(mem, RIG_USER + 0x3000, 0x1000));
	assert_true(iotlb_window_at(tlb, mem, 0x101fff, IOTLB_READ, &w));
	assert_int_equal(w.guest_addr, 0x101000);
	assert_int_equal(w.size, 0x1000);
	assert_ptr_equal(w.host, gmem_host_from_user(mem, RIG_USER + 0x4000, 0x1000));
	assert_false(iotlb_window_at(tlb, mem, 0x102000, IOTLB_READ, &w));
	assert_false(iotlb_window_at(tlb, mem, 0x100800, IOTLB_WRITE, &w));
	assert_false(iotlb_window_at(tlb, mem, 0x100800, RW, &w));
	assert_int_equal(w.guest_addr, 0x101000);
	/* Memory that has left, or never was: as if there were no translation. */
	assert_false(iotlb_window_at(tlb, NULL, 0x100800, IOTLB_READ, &w));
	assert_int_equal(update(tlb, 0x200000, 0x1000, RIG_USER + 0x8000, RW), 0);
	assert_false(iotlb_window_at(tlb, mem, 0x200000, IOTLB_READ, &w));
	gmem_unref(mem);
	iotlb_free(tlb);
}

static void area_when_contiguous_here_is_found(void **state)
{
	struct iotlb *tlb = iotlb_new();
	struct gmem *mem = two_regions();
	uint64_t missing = 7;

	(void)state;
	assert_non_null(tlb);
	assert_int_equal(update(tlb, 0x100000, 0x1000, RIG_USER, RW), 0);
	assert_int_equal(update(tlb, 0x102000, 0x1000, RIG_USER + 0x3000, RW), 0);
	assert_null(iotlb_host(tlb, mem, 0x100800, 0x1000, RW, &missing));
	assert_int_equal(missing, 0x101000);
	assert_int_equal(update(tlb, 0x101000, 0x1000, RIG_USER + 0x1000, RW), 0);
	assert_ptr_equal(iotlb_host(tlb, mem, 0x100800, 0x1800, RW, &missing),
			 gmem_host_from_user(mem, RIG_USER + 0x800, 0x1800));
	/* All are there, but not one after the other. */
	assert_null(iotlb_host(tlb, mem, 0x100800, 0x1801, RW, &missing));
	assert_int_equal(missing, 0x100800);
	assert_null(iotlb_host(tlb, mem, 0, 16, RW, &missing));
	assert_int_equal(missing, 0);
	assert_int_equal(update(tlb, UINT64_MAX, 1, RIG_USER, RW), 0);
	assert_null(iotlb_host(tlb, mem, UINT64_MAX, 16, RW, &missing));
	gmem_unref(mem);
	iotlb_free(tlb);
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(random_when_compared_with_a_model_is_the_same),
	UNIT_TEST(update_when_malformed_is_refused),
	UNIT_TEST(invalidate_when_inside_leaves_both_ends),
	UNIT_TEST(update_when_full_replaces_the_oldest),
	UNIT_TEST(window_when_translated_is_bounded_by_translation_and_region),
	UNIT_TEST(area_when_contiguous_here_is_found),
};

UNIT_MAIN(tests)
