/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Time and preemption as a test wants them: link with $(clock_flags). */
#ifndef VHU_TESTS_CLOCK_RIG_H
#define VHU_TESTS_CLOCK_RIG_H

#include "unit.h"

#include <sys/resource.h>
#include <time.h>

/* Time that only we let pass, unless it is 0, and how often it was looked at. */
static uint64_t clock_ns;
static unsigned int n_looks;

int __real_clock_gettime(clockid_t id, struct timespec *ts);
int __wrap_clock_gettime(clockid_t id, struct timespec *ts);
int __wrap_clock_gettime(clockid_t id, struct timespec *ts)
{
	if (clock_ns == 0)
		return __real_clock_gettime(id, ts);
	n_looks++;
	ts->tv_sec = (time_t)(clock_ns / 1000000000);
	ts->tv_nsec = (long)(clock_ns % 1000000000);
	return 0;
}

/* How often the kernel has given our core to somebody else. */
static long n_preempted;

int __wrap_getrusage(int who, struct rusage *usage);
int __wrap_getrusage(int who, struct rusage *usage)
{
	assert_int_equal(who, RUSAGE_THREAD);
	*usage = (struct rusage){ .ru_nivcsw = n_preempted };
	return 0;
}

#endif
