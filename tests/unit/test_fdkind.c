/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "fdkind.h"

static struct fd_about about;

/* Describes fd, which it closes. */
static const char *text_of(int fd)
{
	static char text[256];
	size_t len;

	assert_true(fd >= 0);
	assert_true(fd_describe(fd, &about));
	fd_close(fd);
	len = fd_about_text(text, sizeof(text), &about);
	assert_int_equal(len, strlen(text));
	return text;
}

static int memory(const char *name, off_t size)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, size), 0);
	return fd;
}

static void describe_when_there_is_none_says_so(void **state)
{
	(void)state;
	assert_false(fd_describe(-1, &about));
	assert_false(fd_describe(1000000, &about));
}

static void text_of_memory_has_name_and_size(void **state)
{
	(void)state;
	assert_string_equal(text_of(memory("ram", 256 << 20)), "memfd:ram, 256 MiB");
	assert_int_equal(about.kind, FD_KIND_MEMORY);
	assert_int_equal(about.size, 256 << 20);
	assert_false(about.readonly);
}

static void text_of_sizes_is_in_the_largest_whole_unit(void **state)
{
	(void)state;
	assert_string_equal(text_of(memory("a", 0)), "memfd:a, 0 B");
	assert_string_equal(text_of(memory("a", 1023)), "memfd:a, 1023 B");
	assert_string_equal(text_of(memory("a", 4096)), "memfd:a, 4 KiB");
	assert_string_equal(text_of(memory("a", 4097)), "memfd:a, 4097 B");
	assert_string_equal(text_of(memory("a", (off_t)3 << 30)), "memfd:a, 3 GiB");
	assert_string_equal(text_of(memory("a", (off_t)2 << 40)), "memfd:a, 2048 GiB");
}

static void text_of_a_name_with_controls_has_none(void **state)
{
	(void)state;
	assert_string_equal(text_of(memory("\033[2Jx\ny", 1)), "memfd:\xef\xbf\xbd[2Jx y, 1 B");
}

static void describe_memory_tells_its_seals(void **state)
{
	int fd = memory("ram", 4096);

	(void)state;
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
	text_of(fd);
	assert_int_equal(about.seals, F_SEAL_SHRINK);
}

static void describe_two_openings_of_a_file_tells_that_they_are_one(void **state)
{
	int fd = memory("ram", 4096);
	struct fd_about first;
	char path[64];

	(void)state;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	assert_true(fd_describe(fd, &first));
	assert_string_equal(text_of(open(path, O_RDONLY | O_CLOEXEC)),
			    "memfd:ram, 4 KiB, read-only");
	fd_close(fd);
	assert_true(about.inode == first.inode && about.device == first.device);
	assert_true(about.readonly && !first.readonly);
}

static void text_of_a_file_has_its_path(void **state)
{
	char path[] = "/tmp/test-fdkind-XXXXXX", expected[128];
	int fd = mkostemp(path, O_CLOEXEC);

	(void)state;
	assert_true(fd >= 0);
	snprintf(expected, sizeof(expected), "file %s, 0 B", path);
	assert_string_equal(text_of(dup(fd)), expected);
	assert_int_equal(about.kind, FD_KIND_FILE);
	assert_int_equal(unlink(path), 0);
	snprintf(expected, sizeof(expected), "deleted file %s, 0 B", path);
	assert_string_equal(text_of(fd), expected);
	assert_int_equal(about.kind, FD_KIND_MEMORY);
}

static void text_of_an_eventfd_is_its_kind(void **state)
{
	int other = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct fd_about first;

	(void)state;
	assert_true(fd_describe(other, &first));
	assert_true(first.nonblock);
	assert_string_equal(text_of(eventfd(0, EFD_CLOEXEC)), "eventfd");
	assert_false(about.nonblock);
	assert_true(first.eventfd_id == 0 || about.eventfd_id != first.eventfd_id);
	fd_close(other);
}

static void text_of_sockets_and_pipes_is_their_kind(void **state)
{
	int fds[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	assert_string_equal(text_of(fds[0]), "socket");
	assert_int_equal(about.kind, FD_KIND_SOCKET);
	fd_close(fds[1]);
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_string_equal(text_of(fds[0]), "pipe, read end");
	assert_string_equal(text_of(fds[1]), "pipe, write end");
}

static void text_of_others_is_their_path(void **state)
{
	(void)state;
	assert_string_equal(text_of(open("/dev/null", O_RDWR | O_CLOEXEC)), "/dev/null");
	assert_int_equal(about.kind, FD_KIND_OTHER);
}

static void text_at_any_cap_stays_inside(void **state)
{
	char small[8];

	(void)state;
	text_of(memory("ram", 4096));
	memset(small, 'x', sizeof(small));
	assert_int_equal(fd_about_text(small, 6, &about), strlen("memfd:ram, 4 KiB"));
	assert_string_equal(small, "memfd");
	assert_int_equal(small[6], 'x');
	assert_int_equal(fd_about_text(NULL, 0, &about), strlen("memfd:ram, 4 KiB"));
}

static void names_of_kinds_differ(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < FD_N_KINDS; i++)
		for (unsigned int k = 0; k < i; k++)
			assert_string_not_equal(fd_kind_name((enum fd_kind)i),
						fd_kind_name((enum fd_kind)k));
	assert_string_equal(fd_kind_name(FD_N_KINDS), "unknown");
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(describe_when_there_is_none_says_so),
	UNIT_TEST(text_of_memory_has_name_and_size),
	UNIT_TEST(text_of_sizes_is_in_the_largest_whole_unit),
	UNIT_TEST(text_of_a_name_with_controls_has_none),
	UNIT_TEST(describe_memory_tells_its_seals),
	UNIT_TEST(describe_two_openings_of_a_file_tells_that_they_are_one),
	UNIT_TEST(text_of_a_file_has_its_path),
	UNIT_TEST(text_of_an_eventfd_is_its_kind),
	UNIT_TEST(text_of_sockets_and_pipes_is_their_kind),
	UNIT_TEST(text_of_others_is_their_path),
	UNIT_TEST(text_at_any_cap_stays_inside),
	UNIT_TEST(names_of_kinds_differ),
};

UNIT_MAIN(tests)
