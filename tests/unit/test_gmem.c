/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit.h"

#include "base.h"
#include "virtio/gmem.h"

#include "ring_rig.h"

#define PAGE UINT64_C(4096)
#define HUGE_PAGE (UINT64_C(2) << 20)

/* Makes every file look as if it lay on huge pages. */
static bool fake_hugetlbfs;

int fstatfs(int fd, struct statfs *buf)
{
	int r = (int)syscall(SYS_fstatfs, fd, buf);

	if (r == 0 && fake_hugetlbfs) {
		buf->f_type = HUGETLBFS_MAGIC;
		buf->f_bsize = (long)HUGE_PAGE;
	}
	return r;
}

static enum gmem_result try_map(uint64_t guest, uint64_t user, uint64_t size, uint64_t offset,
				uint64_t file_size)
{
	struct gmem_desc desc = { guest, size, user, offset };
	struct gmem_region *region = NULL;
	int fd = rig_memfd(file_size);
	enum gmem_result result;

	result = gmem_region_map(&desc, fd, &region);
	close(fd);
	if (result == GMEM_OK)
		gmem_region_unref(region);
	else
		assert_null(region);
	return result;
}

/* Whether an address of ours is mapped at all. */
static bool is_mapped(void *p)
{
	unsigned char vec;
	void *page = (void *)((uintptr_t)p & ~(uintptr_t)(PAGE - 1));

	return mincore(page, 1, &vec) == 0;
}

/* VU-060 */
static void region_when_numbers_are_wrong_is_refused(void **state)
{
	(void)state;
	assert_int_equal(try_map(0, 0, 0, 0, PAGE), GMEM_EMPTY_REGION);
	assert_int_equal(try_map(UINT64_MAX - PAGE + 1, 0, PAGE, 0, PAGE), GMEM_WRAPS);
	assert_int_equal(try_map(0, UINT64_MAX - 10, PAGE, 0, PAGE), GMEM_WRAPS);
	assert_int_equal(try_map(0, 0, PAGE, UINT64_MAX - 1, PAGE), GMEM_WRAPS);
	assert_int_equal(try_map(1, 0, UINT64_MAX, 0, PAGE), GMEM_WRAPS);
	assert_int_equal(try_map(0, 0, UINT64_MAX, 0, PAGE), GMEM_PAST_FILE);
	assert_int_equal(try_map(UINT64_MAX - PAGE, 0, PAGE, 0, PAGE), GMEM_OK);
}

/* VU-061 */
static void region_when_past_its_file_is_refused(void **state)
{
	(void)state;
	assert_int_equal(try_map(0, 0, PAGE + 1, 0, PAGE), GMEM_PAST_FILE);
	assert_int_equal(try_map(0, 0, PAGE, 1, PAGE), GMEM_PAST_FILE);
	assert_int_equal(try_map(0, 0, PAGE, UINT64_C(1) << 63, PAGE), GMEM_PAST_FILE);
	assert_int_equal(try_map(0, 0, PAGE, PAGE, 2 * PAGE), GMEM_OK);
}

static void region_when_fd_is_no_shared_file_is_refused(void **state)
{
	struct gmem_desc desc = { .size = PAGE };
	struct gmem_region *region = NULL;
	int pair[2];
	int dir = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int memfd = rig_memfd(PAGE);
	char path[64];
	int read_only;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", memfd);
	read_only = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(dir >= 0 && read_only >= 0);
	assert_int_equal(gmem_region_map(&desc, pair[0], &region), GMEM_MAP_FAILED);
	assert_int_equal(gmem_region_map(&desc, dir, &region), GMEM_MAP_FAILED);
	assert_int_equal(gmem_region_map(&desc, read_only, &region), GMEM_MAP_FAILED);
	assert_int_equal(gmem_region_map(&desc, -1, &region), GMEM_MAP_FAILED);
	assert_null(region);
	close(pair[0]);
	close(pair[1]);
	close(dir);
	close(memfd);
	close(read_only);
}

/* VU-054, VU-059 */
static void region_when_offset_is_odd_begins_there(void **state)
{
	struct gmem_desc desc = {
		.guest_addr = 0x1000, .size = 0x1800, .user_addr = 0x9000, .mmap_offset = 0x10800
	};
	struct gmem_region *region = NULL;
	struct gmem *mem;
	unsigned char *host;
	int fd = rig_memfd(0x12000);

	(void)state;
	assert_int_equal(pwrite(fd, "first", 5, 0x10800), 5);
	assert_int_equal(pwrite(fd, "last", 4, 0x10800 + 0x1800 - 4), 4);
	assert_int_equal(gmem_region_map(&desc, fd, &region), GMEM_OK);
	close(fd);
	mem = rig_gmem(&region, 1);
	host = gmem_host_from_guest(mem, 0x1000, 0x1800);
	assert_memory_equal(host, "first", 5);
	assert_memory_equal(host + 0x1800 - 4, "last", 4);
	assert_ptr_equal(gmem_host_from_user(mem, 0x9000, 0x1800), host);
	gmem_unref(mem);
	assert_false(is_mapped(host));
}

/* The unit that the kernel takes offsets and lengths in, there. */
static void region_when_on_huge_pages_is_mapped_in_whole_ones(void **state)
{
	struct gmem_desc desc = { .size = HUGE_PAGE + 0x3000, .mmap_offset = HUGE_PAGE + 0x5000 };
	struct gmem_region *region = NULL;
	struct gmem *mem;
	unsigned char *host;
	int fd = rig_memfd(4 * HUGE_PAGE);

	(void)state;
	assert_int_equal(pwrite(fd, "start", 5, (off_t)desc.mmap_offset), 5);
	fake_hugetlbfs = true;
	assert_int_equal(gmem_region_map(&desc, fd, &region), GMEM_OK);
	fake_hugetlbfs = false;
	close(fd);
	mem = rig_gmem(&region, 1);
	host = gmem_host_from_guest(mem, 0, desc.size);
	assert_memory_equal(host, "start", 5);
	assert_true(is_mapped(host - 0x5000));
	assert_true(is_mapped(host - 0x5000 + 2 * HUGE_PAGE - PAGE));
	gmem_unref(mem);
	assert_false(is_mapped(host - 0x5000));
	assert_false(is_mapped(host - 0x5000 + 2 * HUGE_PAGE - PAGE));
}

/* VU-058 */
static void region_when_two_share_a_file_show_the_same_bytes(void **state)
{
	struct gmem_desc low = { 0, 2 * PAGE, 0, 0 };
	struct gmem_desc high = { UINT64_C(4) << 30, PAGE, 0x100000, PAGE };
	struct gmem_region *regions[2];
	struct gmem *mem;
	unsigned char *a;
	unsigned char *b;
	int fd = rig_memfd(2 * PAGE);

	(void)state;
	assert_int_equal(gmem_region_map(&low, fd, &regions[0]), GMEM_OK);
	assert_int_equal(gmem_region_map(&high, fd, &regions[1]), GMEM_OK);
	close(fd);
	mem = rig_gmem(regions, 2);
	a = gmem_host_from_guest(mem, PAGE + 7, 1);
	b = gmem_host_from_guest(mem, (UINT64_C(4) << 30) + 7, 1);
	assert_ptr_not_equal(a, b);
	*a = 0x5a;
	assert_int_equal(*b, 0x5a);
	gmem_unref(mem);
}

/* VU-069 */
static void region_when_mapped_stays_out_of_core_dumps(void **state)
{
	struct gmem_region *region = rig_region(0, 0, PAGE);
	struct gmem *mem = rig_gmem(&region, 1);
	void *host = gmem_host_from_guest(mem, 0, PAGE);
	FILE *smaps = fopen("/proc/self/smaps", "re");
	bool inside = false;
	bool dont_dump = false;
	char start[32];
	char line[512];

	(void)state;
	assert_non_null(smaps);
	snprintf(start, sizeof(start), "%08lx-", (unsigned long)(uintptr_t)host);
	while (fgets(line, sizeof(line), smaps)) {
		if (strncmp(line, start, strlen(start)) == 0)
			inside = true;
		if (inside && strncmp(line, "VmFlags:", 8) == 0) {
			dont_dump = strstr(line, " dd") != NULL;
			break;
		}
	}
	fclose(smaps);
	assert_true(inside);
	assert_true(dont_dump);
	gmem_unref(mem);
}

/* VU-063 */
static void table_when_regions_overlap_is_refused(void **state)
{
	static const struct gmem_desc rows[][2] = {
		{ { 0, PAGE, 0, 0 }, { 0, PAGE, 0x10000, 0 } },
		{ { 0, 2 * PAGE, 0, 0 }, { PAGE, PAGE, 0x10000, 0 } },
		{ { PAGE, PAGE, 0, 0 }, { 0, PAGE + 1, 0x10000, 0 } },
		{ { 0, PAGE, 0, 0 }, { 0x10000, PAGE, PAGE - 1, 0 } },
		{ { 0, PAGE, PAGE, 0 }, { 0x10000, 4 * PAGE, 0, 0 } },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct gmem_region *regions[2];
		struct gmem *mem = NULL;

		for (size_t k = 0; k < 2; k++)
			regions[k] = rig_region(rows[i][k].guest_addr, rows[i][k].user_addr,
						rows[i][k].size);
		assert_int_equal(gmem_new(regions, 2, &mem), GMEM_OVERLAP);
		assert_null(mem);
		gmem_region_unref(regions[0]);
		gmem_region_unref(regions[1]);
	}
}

/* VU-056 and the limit above it. */
static void table_when_full_finds_every_region_and_no_gap(void **state)
{
	struct gmem_region *regions[GMEM_MAX_REGIONS + 1];
	struct gmem *mem = NULL;

	(void)state;
	for (uint64_t i = 0; i <= GMEM_MAX_REGIONS; i++) {
		uint64_t place = (i * 37) % (GMEM_MAX_REGIONS + 1); /* not sorted */

		regions[i] = rig_region(place * 2 * PAGE, place * 3 * PAGE, PAGE);
	}
	assert_int_equal(gmem_new(regions, GMEM_MAX_REGIONS + 1, &mem), GMEM_TOO_MANY);
	assert_int_equal(gmem_new(regions, GMEM_MAX_REGIONS, &mem), GMEM_OK);
	assert_int_equal(gmem_n_regions(mem), GMEM_MAX_REGIONS);
	for (uint64_t i = 0; i < GMEM_MAX_REGIONS; i++) {
		uint64_t place = (i * 37) % (GMEM_MAX_REGIONS + 1);
		void *host = gmem_host_from_guest(mem, place * 2 * PAGE, PAGE);

		assert_non_null(host);
		assert_ptr_equal(gmem_host_from_user(mem, place * 3 * PAGE, PAGE), host);
		assert_null(gmem_host_from_guest(mem, place * 2 * PAGE + PAGE, 1));
		assert_null(gmem_host_from_user(mem, place * 3 * PAGE + PAGE, 1));
	}
	for (size_t i = 0; i <= GMEM_MAX_REGIONS; i++)
		gmem_region_unref(regions[i]);
	gmem_unref(mem);
}

/* VU-073 to VU-075 */
static void table_when_region_comes_and_goes_leaves_the_old_alone(void **state)
{
	struct gmem_region *a = rig_region(0, 0x100000, PAGE);
	struct gmem_region *b = rig_region(PAGE, 0x200000, PAGE);
	struct gmem_desc match = { PAGE, PAGE, 0x200000, 0x7777 };
	struct gmem *one = NULL;
	struct gmem *two = NULL;
	struct gmem *back = NULL;
	void *in_b;

	(void)state;
	assert_int_equal(gmem_with(NULL, a, &one), GMEM_OK);
	assert_int_equal(gmem_with(one, b, &two), GMEM_OK);
	assert_int_equal(gmem_n_regions(one), 1);
	assert_int_equal(gmem_n_regions(two), 2);
	assert_int_equal(gmem_with(two, b, &back), GMEM_OVERLAP);
	in_b = gmem_host_from_guest(two, PAGE, PAGE);
	gmem_region_unref(a);
	gmem_region_unref(b);
	assert_int_equal(gmem_without(two, &match, &back), GMEM_OK);
	assert_int_equal(gmem_n_regions(back), 1);
	assert_null(gmem_host_from_guest(back, PAGE, 1));
	assert_ptr_equal(gmem_host_from_guest(two, PAGE, PAGE), in_b);
	gmem_unref(two);
	assert_false(is_mapped(in_b));
	assert_non_null(gmem_host_from_guest(one, 0, PAGE));
	gmem_unref(one);
	gmem_unref(back);
}

/* VU-075 */
static void removal_when_one_number_differs_finds_nothing(void **state)
{
	struct gmem_region *region = rig_region(PAGE, 0x100000, PAGE);
	struct gmem *mem = rig_gmem(&region, 1);
	struct gmem_desc match[] = {
		{ 0, PAGE, 0x100000, 0 },
		{ PAGE, 2 * PAGE, 0x100000, 0 },
		{ PAGE, PAGE, 0x100001, 0 },
	};
	struct gmem_desc exact = { PAGE, PAGE, 0x100000, 0 };
	struct gmem *ret = NULL;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(match); i++)
		assert_int_equal(gmem_without(mem, &match[i], &ret), GMEM_NOT_FOUND);
	assert_int_equal(gmem_without(NULL, &exact, &ret), GMEM_NOT_FOUND);
	assert_null(ret);
	assert_int_equal(gmem_without(mem, &exact, &ret), GMEM_OK);
	assert_int_equal(gmem_n_regions(ret), 0);
	assert_null(gmem_host_from_guest(ret, PAGE, 1));
	gmem_unref(ret);
	gmem_unref(mem);
}

/* VU-055, VU-088 */
static void lookup_when_range_leaves_the_region_is_refused(void **state)
{
	struct gmem_region *region = rig_region(0x10000, 0x900000, 2 * PAGE);
	struct gmem *mem = rig_gmem(&region, 1);

	(void)state;
	assert_non_null(gmem_host_from_guest(mem, 0x10000, 2 * PAGE));
	assert_non_null(gmem_host_from_guest(mem, 0x10000 + 2 * PAGE - 1, 1));
	assert_null(gmem_host_from_guest(mem, 0x10000, 2 * PAGE + 1));
	assert_null(gmem_host_from_guest(mem, 0x10000 + 2 * PAGE, 0));
	assert_null(gmem_host_from_guest(mem, 0xffff, 1));
	assert_null(gmem_host_from_guest(mem, 0x10001, UINT64_MAX));
	assert_null(gmem_host_from_guest(mem, UINT64_MAX - 15, 16));
	assert_null(gmem_host_from_guest(mem, 0x900000, 1));
	assert_non_null(gmem_host_from_user(mem, 0x900000, 2 * PAGE));
	assert_null(gmem_host_from_user(mem, 0x900000, 2 * PAGE + 1));
	assert_null(gmem_host_from_user(mem, 0x900000 + 2 * PAGE, 0));
	assert_null(gmem_host_from_user(mem, 0x8fffff, 1));
	assert_null(gmem_host_from_user(mem, 0x900001, UINT64_MAX));
	assert_null(gmem_host_from_user(mem, 0x10000, 1));
	assert_null(gmem_host_from_guest(NULL, 0x10000, 1));
	assert_null(gmem_host_from_user(NULL, 0x10000, 1));
	gmem_unref(mem);
}

/* VU-057 */
static void run_when_regions_adjoin_ends_at_the_seam(void **state)
{
	struct gmem_region *regions[] = {
		rig_region(0, 0x900000, PAGE),
		rig_region(PAGE, 0x100000, PAGE),
		rig_region(4 * PAGE, 0x500000, PAGE),
	};
	struct gmem *mem = rig_gmem(regions, 3);
	struct gmem_window window = { .size = 0 };
	void *host = NULL;

	(void)state;
	assert_int_equal(gmem_run(mem, PAGE - 10, 100, &host), 10);
	assert_ptr_equal(host, gmem_host_from_guest(mem, PAGE - 10, 10));
	assert_int_equal(gmem_run(mem, PAGE, 90, &host), 90);
	assert_ptr_equal(host, gmem_host_from_guest(mem, PAGE, 90));
	assert_int_equal(gmem_run(mem, PAGE, UINT64_MAX, &host), PAGE);
	host = NULL;
	assert_int_equal(gmem_run(mem, 2 * PAGE, 1, &host), 0);
	assert_int_equal(gmem_run(mem, 0, 0, &host), 0);
	assert_int_equal(gmem_run(NULL, 0, 1, &host), 0);
	assert_null(host);
	assert_null(gmem_host_from_guest(mem, PAGE - 10, 100));
	assert_true(gmem_covers(mem, 0, 2 * PAGE));
	assert_false(gmem_covers(mem, 0, 2 * PAGE + 1));
	assert_false(gmem_covers(mem, UINT64_MAX, 2));
	assert_true(gmem_window_at(mem, PAGE + 5, &window));
	assert_int_equal(window.guest_addr, PAGE);
	assert_int_equal(window.size, PAGE);
	assert_ptr_equal(window.host, gmem_host_from_guest(mem, PAGE, PAGE));
	assert_false(gmem_window_at(mem, 3 * PAGE, &window));
	gmem_unref(mem);
}

/* VU-065, invariant I1: a mapping outlives whoever still holds it. */
static void mapping_when_last_holder_lets_go_ends(void **state)
{
	struct gmem_region *region = rig_region(0, 0, PAGE);
	struct gmem *mem = rig_gmem(&region, 1);
	void *host = gmem_host_from_guest(mem, 0, PAGE);

	(void)state;
	assert_ptr_equal(gmem_ref(mem), mem);
	gmem_unref(mem);
	assert_true(is_mapped(host));
	gmem_unref(mem);
	assert_false(is_mapped(host));
	assert_null(gmem_ref(NULL));
	gmem_unref(NULL);
	gmem_region_unref(NULL);
}

/* VU-062 */
static void access_when_file_was_truncated_reads_zeroes_and_is_marked(void **state)
{
	struct gmem_desc desc = { .size = 4 * PAGE };
	struct gmem_region *regions[2];
	struct gmem *mem;
	struct gmem *other;
	volatile unsigned char *host;
	int fd = rig_memfd(4 * PAGE);

	(void)state;
	assert_int_equal(gmem_fault_guard_install(), 0);
	assert_int_equal(gmem_region_map(&desc, fd, &regions[0]), GMEM_OK);
	regions[1] = rig_region(0x100000, 0x100000, PAGE);
	assert_int_equal(gmem_new(&regions[1], 1, &other), GMEM_OK);
	mem = rig_gmem(regions, 2);
	host = gmem_host_from_guest(mem, 0, 4 * PAGE);
	host[2 * PAGE] = 9;
	assert_false(gmem_faulted(mem));
	assert_int_equal(ftruncate(fd, 0), 0);
	close(fd);
	assert_int_equal(host[2 * PAGE], 0);
	assert_true(gmem_faulted(mem));
	assert_false(gmem_faulted(other));
	assert_false(gmem_faulted(NULL));
	host[0] = 1; /* private from here on, and all of it there */
	host[4 * PAGE - 1] = 2;
	assert_int_equal(host[0] + host[4 * PAGE - 1], 3);
	gmem_unref(mem);
	gmem_unref(other);
	assert_int_equal(signal(SIGBUS, SIG_DFL) == SIG_ERR, 0);
}

/* Maps a region whose file is gone, reads it, and gives it up, over and over. */
static void *lose_regions(void *arg)
{
	unsigned int *n_repaired = arg;

	for (unsigned int i = 0; i < 100; i++) {
		struct gmem_desc desc = { .size = PAGE };
		struct gmem_region *region;
		struct gmem *mem;
		volatile unsigned char *host;
		int fd = memfd_create("gone", MFD_CLOEXEC);
		bool good = ftruncate(fd, PAGE) == 0 &&
			    gmem_region_map(&desc, fd, &region) == GMEM_OK &&
			    gmem_new(&region, 1, &mem) == GMEM_OK && ftruncate(fd, 0) == 0;

		close(fd);
		if (!good)
			return NULL;
		gmem_region_unref(region);
		host = gmem_host_from_guest(mem, 0, PAGE);
		*n_repaired += host[0] == 0 && gmem_faulted(mem);
		gmem_unref(mem);
	}
	return NULL;
}

static void faults_when_threads_come_and_go_with_regions_are_all_repaired(void **state)
{
	unsigned int n_repaired[3] = { 0 };
	pthread_t threads[3];

	(void)state;
	assert_int_equal(gmem_fault_guard_install(), 0);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, lose_regions, &n_repaired[i]),
				 0);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
		assert_int_equal(n_repaired[i], 100);
	}
	assert_int_equal(signal(SIGBUS, SIG_DFL) == SIG_ERR, 0);
}

static void fault_outside(void)
{
	int fd = rig_memfd(PAGE);
	volatile char *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (p == MAP_FAILED || ftruncate(fd, 0) < 0)
		_exit(1);
	*p = 1;
}

static void fault_sent(void)
{
	kill(getpid(), SIGBUS);
}

static int status_of_child(void (*fault)(void))
{
	struct rlimit no_core = { 0, 0 };
	pid_t pid = fork();
	int status = 0;

	assert_true(pid >= 0);
	if (pid == 0) {
		setrlimit(RLIMIT_CORE, &no_core);
		signal(SIGBUS, SIG_DFL); /* what was there before is the test library's */
		if (gmem_fault_guard_install() == 0)
			fault();
		_exit(2);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void fault_when_not_in_guest_memory_kills_as_before(void **state)
{
	struct gmem_region *region = rig_region(0, 0, PAGE);
	int status;

	(void)state;
	status = status_of_child(fault_outside);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGBUS);
	status = status_of_child(fault_sent);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGBUS);
	gmem_region_unref(region);
}

static void result_text_when_asked_differs_for_each(void **state)
{
	(void)state;
	for (int i = GMEM_OK; i <= GMEM_NO_MEMORY; i++) {
		assert_true(strlen(gmem_result_text((enum gmem_result)i)) > 10);
		for (int k = GMEM_OK; k < i; k++)
			assert_string_not_equal(gmem_result_text((enum gmem_result)i),
						gmem_result_text((enum gmem_result)k));
	}
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(region_when_numbers_are_wrong_is_refused),
	UNIT_TEST(region_when_past_its_file_is_refused),
	UNIT_TEST(region_when_fd_is_no_shared_file_is_refused),
	UNIT_TEST(region_when_offset_is_odd_begins_there),
	UNIT_TEST(region_when_on_huge_pages_is_mapped_in_whole_ones),
	UNIT_TEST(region_when_two_share_a_file_show_the_same_bytes),
	UNIT_TEST(region_when_mapped_stays_out_of_core_dumps),
	UNIT_TEST(table_when_regions_overlap_is_refused),
	UNIT_TEST(table_when_full_finds_every_region_and_no_gap),
	UNIT_TEST(table_when_region_comes_and_goes_leaves_the_old_alone),
	UNIT_TEST(removal_when_one_number_differs_finds_nothing),
	UNIT_TEST(lookup_when_range_leaves_the_region_is_refused),
	UNIT_TEST(run_when_regions_adjoin_ends_at_the_seam),
	UNIT_TEST(mapping_when_last_holder_lets_go_ends),
	UNIT_TEST(access_when_file_was_truncated_reads_zeroes_and_is_marked),
	UNIT_TEST(faults_when_threads_come_and_go_with_regions_are_all_repaired),
	UNIT_TEST(fault_when_not_in_guest_memory_kills_as_before),
	UNIT_TEST(result_text_when_asked_differs_for_each),
};

UNIT_MAIN(tests)
