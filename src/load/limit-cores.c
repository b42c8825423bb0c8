/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "load/limit-cores.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "fd.h"
#include "load/limit.h"

/* What this process might use before it was pinned. */
static cpu_set_t allowed;
static bool allowed_known;

/* A number from the CPU's topology in sysfs; -1: unknown. */
static long topology(int cpu, const char *what)
{
	char text[128];
	AUTO_FD int fd = -1;
	ssize_t n;

	snprintf(text, sizeof(text), "/sys/devices/system/cpu/cpu%d/topology/%s", cpu, what);
	fd = open(text, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n <= 0)
		return -1;
	text[n] = '\0';
	return strtol(text, NULL, 10);
}

/* Whether two CPUs are hardware threads of one core. Unknown means they are not. */
static bool same_core(int cpu, int other)
{
	long core = topology(cpu, "core_id");

	return cpu == other ||
	       (core >= 0 && core == topology(other, "core_id") &&
		topology(cpu, "physical_package_id") == topology(other, "physical_package_id"));
}

/* The first CPU, and those of all other cores. */
static int split(cpu_set_t *ret_own, cpu_set_t *ret_others)
{
	int first = 0;

	CPU_ZERO(ret_own);
	CPU_ZERO(ret_others);
	while (first < CPU_SETSIZE && !CPU_ISSET((size_t)first, &allowed))
		first++;
	for (int i = first; i < CPU_SETSIZE; i++)
		if (CPU_ISSET((size_t)i, &allowed) && !same_core(first, i))
			CPU_SET((size_t)i, ret_others);
	if (CPU_COUNT(ret_others) == 0)
		return limit_error(-ENODEV, "two cores to use, for --pin or cacheline");
	CPU_SET((size_t)first, ret_own);
	return 0;
}

static int pin_threads(pid_t pid, const cpu_set_t *cpus)
{
	char path[64];
	struct dirent *entry;
	DIR *dir;
	int err = 0;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	dir = opendir(path);
	if (!dir)
		return limit_error(-errno, "%s", path);
	while (err == 0 && (entry = readdir(dir)) != NULL) {
		pid_t tid = (pid_t)strtol(entry->d_name, NULL, 10);

		/* A thread may have ended meanwhile. */
		if (tid > 0 && sched_setaffinity(tid, sizeof(*cpus), cpus) < 0 && errno != ESRCH)
			err = limit_error(-errno, "choosing the cores of process %d", (int)pid);
	}
	closedir(dir);
	return err;
}

int limit_cores_pin(pid_t other)
{
	cpu_set_t own, others;
	int err;

	if (!allowed_known && sched_getaffinity(0, sizeof(allowed), &allowed) < 0)
		return limit_error(-errno, "the cores that may be used");
	allowed_known = true;
	err = split(&own, &others);
	if (err == 0)
		err = pin_threads(other, &others);
	if (err == 0 && sched_setaffinity(0, sizeof(own), &own) < 0)
		err = limit_error(-errno, "choosing a core");
	return err;
}

void limit_cores_unpin(void)
{
	if (allowed_known)
		sched_setaffinity(0, sizeof(allowed), &allowed);
}
