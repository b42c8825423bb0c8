/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* This process as another would see it. */
#include "unit.h"

#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include "conform/target/process.h"

enum { PAGE = 4096, NOBODY = 0xffffff };

static int make_memory(void)
{
	int fd = memfd_create("guest", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 2 * PAGE), 0);
	return fd;
}

static void *map(int fd, off_t at)
{
	void *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, at);

	assert_true(p != MAP_FAILED);
	return p;
}

static void process_when_it_lives_is_visible(void **state)
{
	(void)state;
	assert_true(process_visible(getpid()));
	assert_int_equal(process_n_threads(getpid()), 1);
	assert_true(process_n_maps(getpid()) > 1);
	assert_true(process_rss(getpid()) >= PAGE);
	assert_true(process_cpu_ns(getpid()) > 0);
}

static void process_when_there_is_none_gives_errors(void **state)
{
	unsigned int flags;

	(void)state;
	assert_false(process_visible(NOBODY));
	assert_true(process_n_fds(NOBODY) < 0);
	assert_true(process_n_threads(NOBODY) < 0);
	assert_true(process_n_maps(NOBODY) < 0);
	assert_true(process_n_memory_maps(NOBODY) < 0);
	assert_true(process_rss(NOBODY) < 0);
	assert_true(process_cpu_ns(NOBODY) < 0);
	assert_true(process_n_fds_of(NOBODY, STDERR_FILENO) < 0);
	assert_true(process_fd_flags_of(NOBODY, STDERR_FILENO, &flags) < 0);
	assert_true(process_n_maps_of(NOBODY, STDERR_FILENO, NULL, 0) < 0);
}

static void descriptors_when_one_more_is_open_are_one_more(void **state)
{
	int n = process_n_fds(getpid()), fd = dup(STDERR_FILENO);

	(void)state;
	assert_true(n > 0 && fd >= 0);
	assert_int_equal(process_n_fds(getpid()), n + 1);
	fd_close(fd);
	assert_int_equal(process_n_fds(getpid()), n);
}

static void descriptors_when_of_one_file_are_counted(void **state)
{
	int fd = make_memory(), other = make_memory(), again = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	(void)state;
	assert_int_equal(process_n_fds_of(getpid(), fd), 2);
	assert_int_equal(process_n_fds_of(getpid(), other), 1);
	fd_close(again);
	assert_int_equal(process_n_fds_of(getpid(), fd), 1);
	fd_close(fd);
	fd_close(other);
}

/* They share an inode. */
static void descriptors_when_events_are_told_apart(void **state)
{
	int fd = eventfd(0, EFD_CLOEXEC), other = eventfd(0, EFD_CLOEXEC);

	(void)state;
	assert_true(fd >= 0 && other >= 0);
	assert_int_equal(process_n_fds_of(getpid(), fd), 1);
	fd_close(other);
	fd_close(fd);
}

static void flags_when_asked_for_are_those_of_the_descriptor(void **state)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), other = eventfd(0, 0);
	unsigned int flags = 0;

	(void)state;
	assert_int_equal(process_fd_flags_of(getpid(), fd, &flags), 0);
	assert_true((flags & O_CLOEXEC) && (flags & O_NONBLOCK));
	assert_int_equal(process_fd_flags_of(getpid(), other, &flags), 0);
	assert_false(flags & (O_CLOEXEC | O_NONBLOCK));
	fd_close(fd);
	fd_close(other);
}

static void mappings_when_of_memory_files_are_counted(void **state)
{
	int n = process_n_memory_maps(getpid()), fd = make_memory();
	void *first = map(fd, 0), *second;

	(void)state;
	assert_true(n >= 0);
	assert_int_equal(process_n_memory_maps(getpid()), n + 1);
	assert_int_equal(process_n_maps_of(getpid(), fd, NULL, 0), 1);
	/* The same page twice: the kernel does not make one mapping of it. */
	second = map(fd, 0);
	assert_int_equal(process_n_maps_of(getpid(), fd, NULL, 0), 2);
	munmap(second, PAGE);
	munmap(first, PAGE);
	assert_int_equal(process_n_maps_of(getpid(), fd, NULL, 0), 0);
	assert_int_equal(process_n_memory_maps(getpid()), n);
	fd_close(fd);
}

static void mapping_when_not_for_dumps_has_the_flag(void **state)
{
	int fd = make_memory();
	void *p = map(fd, 0);
	char flags[128] = "";

	(void)state;
	assert_int_equal(process_n_maps_of(getpid(), fd, flags, sizeof(flags)), 1);
	assert_null(strstr(flags, " dd"));
	assert_int_equal(madvise(p, PAGE, MADV_DONTDUMP), 0);
	assert_int_equal(process_n_maps_of(getpid(), fd, flags, sizeof(flags)), 1);
	assert_non_null(strstr(flags, " dd"));
	munmap(p, PAGE);
	fd_close(fd);
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(process_when_it_lives_is_visible),
	UNIT_TEST(process_when_there_is_none_gives_errors),
	UNIT_TEST(descriptors_when_one_more_is_open_are_one_more),
	UNIT_TEST(descriptors_when_of_one_file_are_counted),
	UNIT_TEST(descriptors_when_events_are_told_apart),
	UNIT_TEST(flags_when_asked_for_are_those_of_the_descriptor),
	UNIT_TEST(mappings_when_of_memory_files_are_counted),
	UNIT_TEST(mapping_when_not_for_dumps_has_the_flag),
};

UNIT_MAIN(tests)
