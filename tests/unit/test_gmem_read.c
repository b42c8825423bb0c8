/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "ring_rig.h"

#define PAGE UINT64_C(4096)

static void region_when_only_to_be_read_takes_a_read_only_fd(void **state)
{
	const struct gmem_desc desc = { .guest_addr = PAGE, .size = PAGE };
	struct gmem_region *region = NULL;
	int memfd = rig_memfd(PAGE);
	struct gmem *mem;
	char path[64];
	int read_only;

	(void)state;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", memfd);
	read_only = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(read_only >= 0);
	assert_int_equal(gmem_region_map_to_read(&desc, read_only, &region), GMEM_OK);
	mem = rig_gmem(&region, 1);
	assert_int_equal(pwrite(memfd, "seen", 4, 8), 4);
	assert_memory_equal(gmem_host_from_guest(mem, PAGE + 8, 4), "seen", 4);
	gmem_unref(mem);
	close(memfd);
	close(read_only);
}

static void region_when_only_to_be_read_cannot_be_written(void **state)
{
	const struct gmem_desc desc = { .size = PAGE };
	struct gmem_region *region = NULL;
	int memfd = rig_memfd(PAGE);
	int status, zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	struct gmem *mem;

	(void)state;
	/* Even with a descriptor that can be written. The kernel says what a store would say. */
	assert_int_equal(gmem_region_map_to_read(&desc, memfd, &region), GMEM_OK);
	mem = rig_gmem(&region, 1);
	status = (int)read(zero, gmem_host_from_guest(mem, 0, 1), 1);
	assert_int_equal(status, -1);
	assert_int_equal(errno, EFAULT);
	gmem_unref(mem);
	close(memfd);
	close(zero);
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(region_when_only_to_be_read_takes_a_read_only_fd),
	UNIT_TEST(region_when_only_to_be_read_cannot_be_written),
};

UNIT_MAIN(tests)
