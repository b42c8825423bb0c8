/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "conform/frontend/frontend-process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fd.h"

/* In the child. It ends with us, however we end. */
_Noreturn static void become(const char *script, int log_fd)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setsid();
	if (null >= 0)
		dup2(null, STDIN_FILENO);
	dup2(log_fd, STDOUT_FILENO);
	dup2(log_fd, STDERR_FILENO);
	execl("/bin/sh", "sh", "-c", script, (char *)NULL);
	_exit(127);
}

int frontend_process_start(struct frontend_process *f, const char *command)
{
	char *script;

	*f = (struct frontend_process){ .pidfd = -1, .log_fd = -1 };
	if (asprintf(&script, "exec %s", command) < 0)
		return -ENOMEM;
	f->log_fd = memfd_create("front-end", MFD_CLOEXEC);
	if (f->log_fd >= 0)
		fcntl(f->log_fd, F_SETFL, O_APPEND);
	f->pid = f->log_fd < 0 ? -1 : fork();
	if (f->pid == 0)
		become(script, f->log_fd);
	free(script);
	if (f->pid < 0) {
		f->pid = 0;
		return -errno;
	}
	f->pidfd = (int)syscall(SYS_pidfd_open, f->pid, 0);
	if (f->pidfd >= 0)
		fd_set_cloexec(f->pidfd);
	return 0;
}

bool frontend_process_ended(struct frontend_process *f)
{
	if (f->pid > 0 && !f->ended && waitpid(f->pid, &f->status, WNOHANG) == f->pid)
		f->ended = true;
	return f->ended;
}

int frontend_process_crash(const struct frontend_process *f)
{
	static const int faults[] = { SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGSYS, SIGTRAP };

	if (!f->ended)
		return 0;
	if (WIFSIGNALED(f->status) && !f->stopping)
		return WTERMSIG(f->status);
	/* Asked to end, it may still crash; and what a shell around it says of a signal. */
	for (size_t i = 0; i < ARRAY_SIZE(faults); i++)
		if ((WIFSIGNALED(f->status) && WTERMSIG(f->status) == faults[i]) ||
		    (WIFEXITED(f->status) && WEXITSTATUS(f->status) == 128 + faults[i]))
			return faults[i];
	return 0;
}

bool frontend_process_is_busy(const struct frontend_process *f)
{
	char path[64], line[512];
	const char *after;
	FILE *file;
	size_t n;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", (int)f->pid, (int)f->pid);
	file = f->pid > 0 && !f->ended ? fopen(path, "re") : NULL;
	if (!file)
		return false;
	n = fread(line, 1, sizeof(line) - 1, file);
	fclose(file);
	line[n] = '\0';
	after = strrchr(line, ')'); /* the name before it may hold anything */
	return after && strncmp(after, ") R", 3) == 0;
}

void frontend_process_ask(struct frontend_process *f)
{
	if (f->pid > 0 && !frontend_process_ended(f)) {
		f->stopping = true;
		kill(f->pid, SIGTERM);
	}
}

void frontend_process_stop(struct frontend_process *f)
{
	if (f->pid > 0 && !frontend_process_ended(f)) {
		f->stopping = true;
		kill(-f->pid, SIGKILL);
		while (waitpid(f->pid, &f->status, 0) < 0 && errno == EINTR)
			;
		f->ended = true;
	}
	/* What it started may have outlived it. */
	if (f->pid > 0)
		kill(-f->pid, SIGKILL);
	f->pid = 0;
	f->pidfd = fd_close(f->pidfd);
	f->log_fd = fd_close(f->log_fd);
}

void frontend_process_said(const struct frontend_process *f, char *buf, size_t size)
{
	off_t end = f->log_fd < 0 ? 0 : lseek(f->log_fd, 0, SEEK_END);
	off_t from = end > (off_t)size - 1 ? end - (off_t)size + 1 : 0;
	ssize_t n = f->log_fd < 0 ? 0 : pread(f->log_fd, buf, size - 1, from);

	if (n < 0)
		n = 0;
	buf[n] = '\0';
	for (char *c = buf; *c; c++)
		if ((unsigned char)*c < 0x20 && *c != '\n')
			*c = ' ';
}
