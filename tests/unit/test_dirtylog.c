/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <fcntl.h>
#include <pthread.h>

#include "ring_rig.h"

#include "virtio/dirtylog.h"

enum { PAGE = 4096, LOG_BYTES = 3 * PAGE };

static int log_fd = -1;
static uint8_t *bits;

static int setup(void **state)
{
	assert_int_equal(unit_setup(state), 0);
	log_fd = rig_memfd(LOG_BYTES);
	bits = mmap(NULL, LOG_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, log_fd, 0);
	assert_ptr_not_equal(bits, MAP_FAILED);
	return 0;
}

static int teardown(void **state)
{
	munmap(bits, LOG_BYTES);
	close(log_fd);
	return unit_teardown(state);
}

#define TEST(f) UNIT_TEST_WITH(f, setup, teardown)

static struct dirty_log *map(uint64_t size, uint64_t offset)
{
	struct dirty_log *log = NULL;

	assert_int_equal(dirty_log_map(size, offset, log_fd, &log), GMEM_OK);
	return log;
}

static bool bit(uint64_t page)
{
	return bits[page / 8] & (1u << page % 8);
}

static unsigned int n_bits(void)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < LOG_BYTES; i++)
		n += (unsigned int)__builtin_popcount(bits[i]);
	return n;
}

/* VU-159 */
static void mark_for_each_extent_sets_the_bits_of_its_pages_alone(void **state)
{
	static const struct {
		uint64_t addr, len, first, n;
	} extents[] = {
		{ 0, 1, 0, 1 },
		{ PAGE - 1, 1, 0, 1 },
		{ PAGE - 1, 2, 0, 2 },
		{ 7 * PAGE, PAGE, 7, 1 },
		{ 7 * PAGE, PAGE + 1, 7, 2 },
		{ 3 * PAGE + 5, 64 * PAGE, 3, 65 },
		{ 8 * PAGE, 8 * PAGE, 8, 8 },
		{ 100 * PAGE, 5000, 100, 2 },
		{ (8 * LOG_BYTES - 1) * (uint64_t)PAGE, PAGE, 8 * LOG_BYTES - 1, 1 },
	};
	struct dirty_log *log = map(LOG_BYTES, 0);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(extents); i++) {
		memset(bits, 0, LOG_BYTES);
		assert_true(dirty_log_mark(log, extents[i].addr, extents[i].len));
		assert_int_equal(n_bits(), extents[i].n);
		for (uint64_t k = 0; k < extents[i].n; k++)
			assert_true(bit(extents[i].first + k));
	}
	assert_int_equal(dirty_log_n_missed(log), 0);
	dirty_log_unref(log);
}

static void mark_when_nothing_is_new_says_so(void **state)
{
	struct dirty_log *log = map(LOG_BYTES, 0);

	(void)state;
	assert_false(dirty_log_mark(log, 0, 0));
	assert_false(dirty_log_mark(NULL, 0, 1));
	assert_true(dirty_log_mark(log, 0, 3 * PAGE));
	assert_false(dirty_log_mark(log, PAGE, PAGE));
	assert_true(dirty_log_mark(log, 2 * PAGE, 2 * PAGE));
	assert_true(dirty_log_take_changed(log));
	assert_false(dirty_log_take_changed(log));
	bits[0] = 0;
	assert_true(dirty_log_mark(log, 0, 1));
	dirty_log_unref(log);
}

/* VU-163 */
static void log_at_an_offset_begins_there(void **state)
{
	static const uint64_t offsets[] = { PAGE, 8, 12, 1 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(offsets); i++) {
		struct dirty_log *log = map(PAGE, offsets[i]);

		memset(bits, 0, LOG_BYTES);
		dirty_log_mark(log, 5 * PAGE, 1);
		assert_int_equal(bits[offsets[i]], 1u << 5);
		assert_int_equal(n_bits(), 1);
		dirty_log_unref(log);
	}
}

/* VU-166 */
static void mark_past_the_end_writes_nothing_there(void **state)
{
	struct dirty_log *log = map(1, 1);

	(void)state;
	assert_true(dirty_log_mark(log, UINT64_C(1) << 30, PAGE));
	assert_int_equal(n_bits(), 0);
	assert_int_equal(dirty_log_n_missed(log), 1);
	assert_true(dirty_log_mark(log, 6 * PAGE, 4 * PAGE));
	assert_int_equal(bits[1], 0xc0);
	assert_int_equal(n_bits(), 2);
	assert_int_equal(dirty_log_n_missed(log), 3);
	assert_true(dirty_log_mark(log, UINT64_MAX - 5, 100));
	assert_int_equal(n_bits(), 2);
	dirty_log_unref(log);
}

/* VU-167 */
static void log_of_a_bad_size_or_file_is_refused(void **state)
{
	struct dirty_log *log = NULL;
	int dir_fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	(void)state;
	assert_int_equal(dirty_log_map(0, 0, log_fd, &log), GMEM_EMPTY_REGION);
	assert_int_equal(dirty_log_map(PAGE, UINT64_MAX - 5, log_fd, &log), GMEM_WRAPS);
	assert_int_equal(dirty_log_map(LOG_BYTES, 1, log_fd, &log), GMEM_PAST_FILE);
	assert_int_equal(dirty_log_map(PAGE, 0, dir_fd, &log), GMEM_MAP_FAILED);
	assert_null(log);
	close(dir_fd);
}

static void log_is_unmapped_with_its_last_reference(void **state)
{
	struct dirty_log *log = map(LOG_BYTES, 0);

	(void)state;
	assert_ptr_equal(dirty_log_ref(log), log);
	dirty_log_unref(log);
	assert_true(dirty_log_mark(log, 0, 1));
	dirty_log_unref(log);
	dirty_log_unref(NULL);
	assert_null(dirty_log_ref(NULL));
}

static void log_that_is_cut_off_is_survived(void **state)
{
	struct dirty_log *log = map(LOG_BYTES, 0);

	(void)state;
	assert_int_equal(gmem_fault_guard_install(), 0);
	assert_int_equal(ftruncate(log_fd, 0), 0);
	dirty_log_mark(log, 0, 1);
	assert_true(dirty_log_faulted(log));
	dirty_log_unref(log);
}

/* VU-162: each side has bits of its own in every byte, and loses none. */
enum { ROUNDS = 200000 };

static void *front_end(void *arg)
{
	unsigned int *n_seen = arg;

	for (unsigned int i = 0; i < ROUNDS; i++) {
		__atomic_fetch_or(&bits[0], 0x80, __ATOMIC_SEQ_CST);
		if (__atomic_fetch_and(&bits[0], 0x7f, __ATOMIC_SEQ_CST) & 0x80)
			++*n_seen;
	}
	return NULL;
}

static void marks_beside_a_front_end_lose_no_bit(void **state)
{
	struct dirty_log *log = map(LOG_BYTES, 0);
	unsigned int n_seen = 0, n_lost = 0;
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, front_end, &n_seen), 0);
	for (unsigned int i = 0; i < ROUNDS; i++) {
		dirty_log_mark(log, (i % 7) * (uint64_t)PAGE, 1);
		if (!(__atomic_fetch_and(&bits[0], (uint8_t) ~(1u << i % 7), __ATOMIC_SEQ_CST) &
		      (1u << i % 7)))
			n_lost++;
	}
	pthread_join(thread, NULL);
	assert_int_equal(n_seen, ROUNDS);
	assert_int_equal(n_lost, 0);
	dirty_log_unref(log);
}

static const struct CMUnitTest tests[] = {
	TEST(mark_for_each_extent_sets_the_bits_of_its_pages_alone),
	TEST(mark_when_nothing_is_new_says_so),
	TEST(log_at_an_offset_begins_there),
	TEST(mark_past_the_end_writes_nothing_there),
	TEST(log_of_a_bad_size_or_file_is_refused),
	TEST(log_is_unmapped_with_its_last_reference),
	TEST(log_that_is_cut_off_is_survived),
	TEST(marks_beside_a_front_end_lose_no_bit),
};
UNIT_MAIN(tests)
