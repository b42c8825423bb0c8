/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fd.h"
#include "load/syscount.h"

enum {
	STRACE_WAIT_MS = 10000, /* for it to attach, and for its last words */
	STRACE_SAID_MAX = 64 * 1024,
};

static const char *const event_ids[] = {
	"/sys/kernel/tracing/events/raw_syscalls/sys_enter/id",
	"/sys/kernel/debug/tracing/events/raw_syscalls/sys_enter/id",
};

/* The number of the event, or -errno. */
static int event_id(void)
{
	int err = -ENOENT;

	for (size_t i = 0; i < ARRAY_SIZE(event_ids); i++) {
		FILE *file = fopen(event_ids[i], "re");
		int id = -1;

		if (!file) {
			err = errno == ENOENT ? err : -errno;
			continue;
		}
		if (fscanf(file, "%d", &id) != 1)
			id = -1;
		fclose(file);
		if (id >= 0)
			return id;
	}
	return err;
}

static int perf_open(pid_t tid, int id)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_TRACEPOINT,
		.size = sizeof(attr),
		.config = (unsigned int)id,
		.inherit = 1,
	};
	long fd = syscall(SYS_perf_event_open, &attr, tid, -1, -1, PERF_FLAG_FD_CLOEXEC);

	return fd < 0 ? -errno : (int)fd;
}

static void perf_close(struct syscount *count)
{
	for (unsigned int i = 0; i < count->n_fds; i++)
		fd_close(count->fds[i]);
	free(count->fds);
	count->fds = NULL;
	count->n_fds = 0;
}

static int perf_add(struct syscount *count, pid_t tid, int id)
{
	int *fds = reallocarray(count->fds, count->n_fds + 1, sizeof(*fds));
	int fd;

	if (!fds)
		return -ENOMEM;
	count->fds = fds;
	fd = perf_open(tid, id);
	if (fd < 0)
		return fd == -ESRCH ? 0 : fd;
	fds[count->n_fds++] = fd;
	return 0;
}

static int perf_add_all(struct syscount *count, pid_t pid, int id)
{
	char path[64];
	struct dirent *entry;
	DIR *tasks;
	int err = 0;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	tasks = opendir(path);
	if (!tasks)
		return -errno;
	while (err == 0 && (entry = readdir(tasks)) != NULL) {
		uint64_t tid;

		if (option_parse_number(entry->d_name, &tid))
			err = perf_add(count, (pid_t)tid, id);
	}
	closedir(tasks);
	return err == 0 && count->n_fds == 0 ? -ESRCH : err;
}

static int perf_start(struct syscount *count, pid_t pid)
{
	int id = event_id();
	int err = id < 0 ? id : perf_add_all(count, pid, id);

	if (err < 0)
		perf_close(count);
	return err;
}

static int64_t perf_stop(struct syscount *count)
{
	int64_t sum = 0;

	for (unsigned int i = 0; i < count->n_fds; i++) {
		uint64_t n;

		if (read(count->fds[i], &n, sizeof(n)) == sizeof(n))
			sum += (int64_t)n;
	}
	perf_close(count);
	return sum;
}

/* Does not return. Should we die, strace lets go of its process. */
__attribute__((noreturn)) static void strace_run(pid_t pid, int out)
{
	char number[24];
	int null = open("/dev/null", O_RDWR);

	prctl(PR_SET_PDEATHSIG, SIGTERM);
	snprintf(number, sizeof(number), "%d", (int)pid);
	if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0 ||
	    dup2(out, STDERR_FILENO) < 0)
		_exit(EXIT_FAILURE);
	execlp("strace", "strace", "-c", "-f", "-U", "calls,name", "-p", number, (char *)NULL);
	dprintf(STDERR_FILENO, "strace: %s\n", strerror(errno));
	_exit(EXIT_FAILURE);
}

/*
 * Adds what strace says to said, up to its end or, if word is not NULL, up to
 * that word. Whether it came so far in time.
 */
static bool strace_read(const struct syscount *count, const char *word, char *said, size_t cap)
{
	struct pollfd wait = { .fd = count->from_strace, .events = POLLIN };
	size_t len = strlen(said);

	while (len + 1 < cap && poll(&wait, 1, STRACE_WAIT_MS) > 0) {
		ssize_t n = read(count->from_strace, said + len, cap - len - 1);

		if (n <= 0)
			return n == 0 && !word;
		len += (size_t)n;
		said[len] = '\0';
		if (word && strstr(said, word))
			return true;
	}
	return false;
}

static void strace_end(struct syscount *count, int sig)
{
	kill(count->strace, sig);
	while (waitpid(count->strace, NULL, 0) < 0 && errno == EINTR)
		continue;
	count->strace = 0;
	count->from_strace = fd_close(count->from_strace);
}

/* Zero, or -errno with the first line of what strace said in ret_why. */
static int strace_start(struct syscount *count, pid_t pid, char *ret_why, size_t why_cap)
{
	char said[512] = "";
	int ends[2];
	pid_t child;

	snprintf(ret_why, why_cap, "strace cannot be started");
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	child = fork();
	if (child == 0)
		strace_run(pid, ends[1]);
	fd_close(ends[1]);
	if (child < 0) {
		fd_close(ends[0]);
		return -EAGAIN;
	}
	count->strace = child;
	count->from_strace = ends[0];
	if (strace_read(count, " attached", said, sizeof(said)))
		return 0;
	strace_end(count, SIGKILL);
	said[strcspn(said, "\n")] = '\0';
	snprintf(ret_why, why_cap, "%s", said[0] ? said : "strace said nothing");
	return -EPERM;
}

/* The line of the sum, "123 total"; there is none when there were no calls. */
static int64_t strace_sum(const char *said)
{
	const char *line = said;

	while (line) {
		long long n;
		char word[16];

		if (sscanf(line, "%lld %15s", &n, word) == 2 && strcmp(word, "total") == 0)
			return n;
		line = strchr(line, '\n');
		line = line ? line + 1 : NULL;
	}
	return 0;
}

static int64_t strace_stop(struct syscount *count)
{
	char *said = calloc(1, STRACE_SAID_MAX);
	int64_t sum = -1;

	kill(count->strace, SIGINT);
	if (said && strace_read(count, NULL, said, STRACE_SAID_MAX))
		sum = strace_sum(said);
	free(said);
	strace_end(count, SIGKILL);
	return sum;
}

int syscount_start(struct syscount *ret_count, pid_t pid, enum load_syscalls how)
{
	char why[512] = "";
	int err = 0;

	*ret_count = (struct syscount){ .from_strace = -1 };
	if (how == LOAD_SYSCALLS_PERF || how == LOAD_SYSCALLS_AUTO) {
		err = perf_start(ret_count, pid);
		if (err < 0)
			snprintf(why, sizeof(why), "raw_syscalls:sys_enter: %s", strerror(-err));
	}
	if (how == LOAD_SYSCALLS_STRACE || (how == LOAD_SYSCALLS_AUTO && err < 0))
		err = strace_start(ret_count, pid, why, sizeof(why));
	if (err < 0)
		load_fail(err, "the system calls of process %d are not counted: %s", (int)pid, why);
	return err;
}

int64_t syscount_stop(struct syscount *count)
{
	if (count->fds)
		return perf_stop(count);
	return count->strace > 0 ? strace_stop(count) : -1;
}
