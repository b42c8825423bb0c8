/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "fd.h"
#include "proc.h"

enum { NOBODY = INT32_MAX }; /* no process has this number */

static void file_when_there_is_read(void **state)
{
	FILE *file = proc_open(getpid(), "stat");
	int pid = 0;

	(void)state;
	assert_non_null(file);
	assert_int_equal(fscanf(file, "%d", &pid), 1);
	assert_int_equal(pid, getpid());
	assert_true(fcntl(fileno(file), F_GETFD) & FD_CLOEXEC);
	fclose(file);
}

static void file_when_no_process_gives_errno(void **state)
{
	(void)state;
	errno = 0;
	assert_null(proc_open(NOBODY, "stat"));
	assert_int_equal(errno, ENOENT);
}

static void line_when_of_key_gives_value(void **state)
{
	uint64_t value = 0;

	(void)state;
	assert_true(proc_line_value("Rss:  12 kB\n", "Rss", 10, &value));
	assert_int_equal(value, 12);
	assert_true(proc_line_value("flags:\t02000002\n", "flags", 8, &value));
	assert_int_equal(value, 02000002);
}

static void line_when_of_longer_key_is_another(void **state)
{
	uint64_t value = 7;

	(void)state;
	assert_false(proc_line_value("RssAnon: 12 kB\n", "Rss", 10, &value));
	assert_false(proc_line_value("Rs", "Rss", 10, &value));
	assert_int_equal(value, 7);
}

static int stop_at(pid_t pid, int n, void *arg)
{
	assert_int_equal(pid, getpid());
	return n == *(int *)arg ? -ECANCELED : 0;
}

static void numbers_when_stopped_give_why(void **state)
{
	AUTO_FD int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int none = -1;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(proc_each_number(getpid(), "fd", stop_at, &fd), -ECANCELED);
	assert_int_equal(proc_each_number(getpid(), "fd", stop_at, &none), 0);
}

static void numbers_when_one_is_new_are_one_more(void **state)
{
	int before = proc_count_numbers(getpid(), "fd");
	AUTO_FD int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	(void)state;
	assert_true(before > 0 && fd >= 0);
	assert_int_equal(proc_count_numbers(getpid(), "fd"), before + 1);
}

static void numbers_when_no_process_give_errno(void **state)
{
	(void)state;
	assert_int_equal(proc_count_numbers(NOBODY, "fd"), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(file_when_there_is_read),
		cmocka_unit_test(file_when_no_process_gives_errno),
		cmocka_unit_test(line_when_of_key_gives_value),
		cmocka_unit_test(line_when_of_longer_key_is_another),
		cmocka_unit_test(numbers_when_stopped_give_why),
		cmocka_unit_test(numbers_when_one_is_new_are_one_more),
		cmocka_unit_test(numbers_when_no_process_give_errno),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
