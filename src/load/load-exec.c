/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "load/load-exec.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "fd.h"
#include "load/load.h"

/* In the child. It ends with us, however we end. */
_Noreturn static void become(const char *script)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	prctl(PR_SET_PDEATHSIG, SIGTERM);
	setpgid(0, 0);
	if (null >= 0)
		dup2(null, STDIN_FILENO);
	dup2(STDERR_FILENO, STDOUT_FILENO);
	execl("/bin/sh", "sh", "-c", script, (char *)NULL);
	_exit(127);
}

int load_exec_start(struct load_exec *e, const char *command)
{
	char *script;

	/* The process that is measured is the command itself, not a shell around it. */
	if (asprintf(&script, "exec %s", command) < 0)
		return load_fail(-ENOMEM, "--exec: out of memory");
	e->began_ns = monotonic_ns();
	e->pid = fork();
	if (e->pid == 0)
		become(script);
	free(script);
	if (e->pid > 0)
		return 0;
	e->pid = 0;
	return load_fail(-errno, "--exec: fork: %s", strerror(errno));
}

static void say_how_it_ended(int status)
{
	if (WIFSIGNALED(status))
		load_fail(0, "the back-end of --exec was ended by signal %d", WTERMSIG(status));
	else
		load_fail(0, "the back-end of --exec ended with status %d", WEXITSTATUS(status));
}

bool load_exec_runs(struct load_exec *e)
{
	int status;

	if (e->pid == 0)
		return false;
	if (waitpid(e->pid, &status, WNOHANG) != e->pid)
		return true;
	e->pid = 0;
	say_how_it_ended(status);
	return false;
}

/* Whether it has ended, at the latest in so many milliseconds. */
static bool ends_within(const struct load_exec *e, int ms)
{
	struct pollfd p = { .fd = (int)syscall(SYS_pidfd_open, e->pid, 0), .events = POLLIN };
	bool ended = p.fd >= 0 && poll(&p, 1, ms) > 0;

	fd_close(p.fd);
	return ended;
}

/* A process closes what it has open before it can be waited for. */
void load_exec_explain(struct load_exec *e)
{
	enum { PATIENCE_MS = 1000 };

	if (e->pid != 0 && ends_within(e, PATIENCE_MS))
		load_exec_runs(e);
}

void load_exec_end(struct load_exec *e)
{
	enum { PATIENCE_MS = 2000 };

	if (e->pid == 0)
		return;
	kill(e->pid, SIGTERM);
	if (!ends_within(e, PATIENCE_MS))
		kill(e->pid, SIGKILL);
	kill(-e->pid, SIGKILL); /* what it may have left behind */
	waitpid(e->pid, NULL, 0);
	e->pid = 0;
}

int load_threads_open(struct load_threads *t, pid_t pid)
{
	char path[300];
	struct dirent *entry;
	DIR *tasks;

	t->n = 0;
	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	tasks = opendir(path);
	if (!tasks)
		return load_fail(-errno, "%s: %s", path, strerror(errno));
	while ((entry = readdir(tasks)) != NULL && t->n < LOAD_MAX_THREADS) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/%d/task/%s/stat", pid, entry->d_name);
		t->fd[t->n] = open(path, O_RDONLY | O_CLOEXEC);
		if (t->fd[t->n] >= 0)
			t->n++;
	}
	closedir(tasks);
	return 0;
}

void load_threads_close(struct load_threads *t)
{
	while (t->n > 0)
		fd_close(t->fd[--t->n]);
}

/* The state is the letter after the name, which is in brackets and may hold any. */
static bool thread_sleeps(int fd)
{
	char text[128] = { 0 };
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
	const char *end;

	if (n <= 0)
		return true;
	end = strrchr(text, ')');
	return !end || (end[2] != 'R' && end[2] != 'D');
}

bool load_threads_sleep(const struct load_threads *t)
{
	for (unsigned int i = 0; i < t->n; i++)
		if (!thread_sleeps(t->fd[i]))
			return false;
	return true;
}
