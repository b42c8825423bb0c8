/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What every unit test program shares: cmocka with the headers it wants, an
 * alarm, and a count of open descriptors before and after each test.
 *
 *	static void put_when_full_returns_zero(void **state) { ... }
 *
 *	static const struct CMUnitTest tests[] = {
 *		UNIT_TEST(put_when_full_returns_zero),
 *	};
 *	UNIT_MAIN(tests)
 */
#ifndef VHU_UNIT_H
#define VHU_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base.h"
#include "fd.h"

/* The analyzer cannot see that an assertion that fails does not return. */
#ifdef __clang_analyzer__
#undef assert_true
#undef assert_non_null
#define assert_true(c) ((c) ? (void)0 : abort())
#define assert_non_null(p) assert_true((p) != NULL)
#endif

enum { UNIT_ALARM_SECONDS = 60 };

/* What loops run on: programs that end in _by_poll are the same sources with LOOP_POLL. */
#ifndef UNIT_ENGINE
#define UNIT_ENGINE LOOP_AUTO
#endif

static unsigned int unit_n_fds_before;

static inline int unit_setup(void **state)
{
	(void)state;
	unit_n_fds_before = fd_count_open();
	return 0;
}

/* A descriptor too many is a leak, one too few was closed on somebody else's behalf. */
static inline int unit_teardown(void **state)
{
	unsigned int n_fds = fd_count_open();

	(void)state;
	if (n_fds == unit_n_fds_before)
		return 0;
	print_error("open descriptors: %u before the test, %u after\n", unit_n_fds_before, n_fds);
	return 1;
}

/*
 * For a test with a fixture: its setup calls unit_setup() first, its teardown
 * returns what unit_teardown() returns, called last.
 */
#define UNIT_TEST_WITH(f, setup, teardown) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define UNIT_TEST(f) UNIT_TEST_WITH(f, unit_setup, unit_teardown)

/* A program that hangs dies of SIGALRM. The environment may ask for more patience. */
static inline void unit_start_alarm(void)
{
	const char *wanted = getenv("UNIT_ALARM_SECONDS");
	unsigned long seconds = wanted ? strtoul(wanted, NULL, 10) : 0;

	alarm(seconds > 0 && seconds < 36000 ? (unsigned int)seconds : UNIT_ALARM_SECONDS);
}

#define UNIT_MAIN(tests)                                                                           \
	int main(void)                                                                             \
	{                                                                                          \
		unit_start_alarm();                                                                \
		return cmocka_run_group_tests(tests, NULL, NULL);                                  \
	}

#endif
