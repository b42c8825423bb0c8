/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "unit.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "load/usage.h"

enum { PIECE = 16 * 1024 * 1024, SLACK = 4 * 1024 * 1024, BURNT_NS = 2000000 };

/* What this process has used while act() ran. */
static struct load_usage usage_of(void (*act)(void))
{
	struct load_meter meter = { 0 };
	struct load_usage usage;

	assert_int_equal(load_meter_start(&meter, getpid(), LOAD_SYSCALLS_NONE), 0);
	act();
	assert_int_equal(load_meter_stop(&meter, &usage), 0);
	return usage;
}

static void do_nothing(void)
{
}

static uint64_t own_cpu_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void burn_cpu(void)
{
	uint64_t begin = own_cpu_ns();

	while (own_cpu_ns() - begin < BURNT_NS)
		continue;
}

static void block_five_times(void)
{
	for (int i = 0; i < 5; i++)
		poll(NULL, 0, 1);
}

static void cpu_when_some_was_burnt_is_at_least_that(void **state)
{
	(void)state;
	assert_true(usage_of(burn_cpu).cpu_ns >= BURNT_NS);
}

static void wakeups_when_a_thread_blocks_are_counted(void **state)
{
	struct load_usage usage = usage_of(block_five_times);

	(void)state;
	assert_true(usage.n_wakeups >= 5);
	assert_true(usage.n_switches >= usage.n_wakeups);
}

static void syscalls_when_nobody_counts_are_unknown(void **state)
{
	(void)state;
	assert_int_equal(usage_of(do_nothing).n_syscalls, -1);
}

/* The folder that is counted is open itself, both here and in fd_count_open(). */
static void fds_when_one_more_is_open_are_one_more(void **state)
{
	unsigned int n_before = usage_of(do_nothing).n_fds;
	int fd = dup(STDERR_FILENO);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(usage_of(do_nothing).n_fds, n_before + 1);
	fd_close(fd);
}

/* How much more is private while a piece of such memory is in use. */
static uint64_t private_growth(int flags)
{
	uint64_t before = usage_of(do_nothing).private_bytes, after;
	char *piece = mmap(NULL, PIECE, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);

	assert_true(piece != MAP_FAILED);
	memset(piece, 1, PIECE);
	after = usage_of(do_nothing).private_bytes;
	munmap(piece, PIECE);
	return after > before ? after - before : 0;
}

static void private_when_memory_is_in_use_counts_only_what_is_not_shared(void **state)
{
	(void)state;
	assert_true(private_growth(MAP_PRIVATE) >= PIECE - SLACK);
	assert_true(private_growth(MAP_SHARED) < SLACK);
}

static void start_when_the_process_has_ended_fails(void **state)
{
	struct load_meter meter = { 0 };
	pid_t pid = fork();

	(void)state;
	if (pid == 0)
		_exit(0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(load_meter_start(&meter, pid, LOAD_SYSCALLS_NONE), -ESRCH);
	load_meter_end(&meter);
}

static void stop_when_the_process_has_ended_fails(void **state)
{
	struct load_meter meter = { 0 };
	struct load_usage usage;
	int hold[2];
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(hold), 0);
	pid = fork();
	if (pid == 0) {
		close(hold[1]);
		(void)!read(hold[0], &pid, 1);
		_exit(0);
	}
	assert_int_equal(load_meter_start(&meter, pid, LOAD_SYSCALLS_NONE), 0);
	close(hold[0]);
	close(hold[1]);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_not_equal(load_meter_stop(&meter, &usage), 0);
	load_meter_end(&meter);
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(cpu_when_some_was_burnt_is_at_least_that),
	UNIT_TEST(wakeups_when_a_thread_blocks_are_counted),
	UNIT_TEST(syscalls_when_nobody_counts_are_unknown),
	UNIT_TEST(fds_when_one_more_is_open_are_one_more),
	UNIT_TEST(private_when_memory_is_in_use_counts_only_what_is_not_shared),
	UNIT_TEST(start_when_the_process_has_ended_fails),
	UNIT_TEST(stop_when_the_process_has_ended_fails),
};

UNIT_MAIN(tests)
