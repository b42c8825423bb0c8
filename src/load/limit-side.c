/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "load/limit-side.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "fd.h"
#include "load/limit-cores.h"
#include "load/limit.h"

#define SLEEP_DEADLINE_NS UINT64_C(2000000000)

void limit_side_ready(int ready_fd)
{
	ssize_t n = write(ready_fd, "", 1);

	(void)n; /* who does not hear of it has ended */
}

static void serve_and_exit(limit_side_fn *serve, void *arg, int ready_fd, pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() == parent)
		serve(arg, ready_fd);
	_exit(EXIT_FAILURE);
}

static int open_stat(pid_t pid)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int look_into(struct limit_side *side)
{
	int err = clock_getcpuclockid(side->pid, &side->clock);

	if (err != 0)
		return limit_error(-err, "the CPU clock of the other process");
	side->stat_fd = open_stat(side->pid);
	if (side->stat_fd < 0)
		return limit_error(side->stat_fd, "/proc/%d/stat", (int)side->pid);
	return 0;
}

int limit_side_start(limit_side_fn *serve, void *arg, bool pin, struct limit_side *ret_side)
{
	AUTO(limit_side_stop) struct limit_side side = LIMIT_SIDE_NONE;
	AUTO_FD int ready_rd = -1;
	AUTO_FD int ready_wr = -1;
	pid_t parent = getpid();
	int ends[2], err;
	char byte;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return limit_error(-errno, "a pipe");
	ready_rd = ends[0];
	ready_wr = ends[1];
	fflush(stdout);
	side.pid = fork();
	if (side.pid == 0)
		serve_and_exit(serve, arg, ready_wr, parent);
	if (side.pid < 0) {
		side.pid = 0;
		return limit_error(-errno, "fork");
	}
	fd_cleanup(&ready_wr);
	if (read(ready_rd, &byte, 1) != 1)
		return limit_error(-ESRCH, "the other process did not start");
	err = look_into(&side);
	if (err == 0 && pin)
		err = limit_cores_pin(side.pid);
	if (err < 0)
		return err;
	*ret_side = side;
	side = (struct limit_side)LIMIT_SIDE_NONE;
	return 0;
}

void limit_side_stop(struct limit_side *side)
{
	if (side->pid > 0) {
		kill(side->pid, SIGKILL);
		while (waitpid(side->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	fd_cleanup(&side->stat_fd);
	side->pid = 0;
}

int limit_side_check(const struct limit_side *side)
{
	siginfo_t info = { 0 };

	if (waitid(P_PID, (id_t)side->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
	    info.si_pid == 0)
		return 0;
	return limit_error(-ESRCH, "the other process ended in the middle");
}

uint64_t limit_side_cpu_ns(const struct limit_side *side)
{
	struct timespec t;

	if (clock_gettime(side->clock, &t) < 0)
		return 0;
	return (uint64_t)t.tv_sec * UINT64_C(1000000000) + (uint64_t)t.tv_nsec;
}

/* The letter behind the name in parentheses, which may contain some of its own; 0: cannot tell. */
static char state_of(const struct limit_side *side)
{
	char text[512];
	ssize_t n = pread(side->stat_fd, text, sizeof(text) - 1, 0);
	const char *end;

	if (n <= 0)
		return 0;
	text[n] = '\0';
	end = strrchr(text, ')');
	if (!end || end[1] != ' ')
		return 0;
	return end[2];
}

int limit_side_await_sleep(const struct limit_side *side)
{
	uint64_t end_ns = monotonic_ns() + SLEEP_DEADLINE_NS;

	for (;;) {
		char state = state_of(side);

		if (state == 'S')
			return 0;
		if (state != 'R' && state != 'D')
			return limit_side_check(side) < 0
				       ? -ESRCH
				       : limit_error(-EPROTO, "/proc/%d/stat", (int)side->pid);
		if (monotonic_ns() >= end_ns)
			return limit_error(-ETIMEDOUT, "the other process does not sleep");
	}
}
