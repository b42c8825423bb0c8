/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The process of a back-end: started, watched, ended. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "conform/target/target.h"
#include "fd.h"

/* In the environment of all that it starts, with the folder, which no other tester has. */
#define MARK "VHU_CONFORM_DIR"

enum { OUTPUT_LOOKED_AT = 65536, STUBBORN_MS = 100, GONE_MS = 1000, TICK_MS = 2 };

static int open_pid(pid_t pid)
{
	return (int)syscall(SYS_pidfd_open, pid, 0);
}

/* In the child. It ends with us, however we end; signals are as a shell has them. */
_Noreturn static void become(const char *script, int output, pid_t parent)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(127);
	setpgid(0, 0);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	if (null >= 0)
		dup2(null, STDIN_FILENO);
	if (output >= 0)
		dup2(output, STDERR_FILENO);
	dup2(STDERR_FILENO, STDOUT_FILENO);
	execl("/bin/sh", "sh", "-c", script, (char *)NULL);
	_exit(127);
}

/* A process group of its own. Its pid or -errno. */
static pid_t spawn(struct target *target, const char *script)
{
	pid_t parent = getpid(), pid = fork();

	if (pid == 0)
		become(script, target->output_fd, parent);
	if (pid < 0)
		return target_fail(target, -errno, "fork: %s", strerror(errno));
	setpgid(pid, pid); /* the child does the same: whoever is first */
	return pid;
}

/* Watching. */

void target_watch(struct target *target, pid_t listener)
{
	target->server_fd = fd_close(target->server_fd);
	if (target->child != 0 && (listener == 0 || listener == target->child)) {
		target->pid = target->child;
		return;
	}
	target->pid = listener;
	if (target->child != 0) {
		target->server_fd = open_pid(listener);
		return;
	}
	target->pidfd = fd_close(target->pidfd);
	if (listener != 0)
		target->pidfd = open_pid(listener);
}

static void take_status(struct target *target, int status)
{
	target->child = 0;
	target->started = false;
	target->end = WIFSIGNALED(status) ? TARGET_SIGNALED : TARGET_EXITED;
	target->end_status = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
	/* A shell, where there is one, tells of its child's signal like this. */
	if (target->end == TARGET_EXITED && target->server_fd >= 0 && target->end_status > 128 &&
	    target->end_status < 128 + SIGRTMAX) {
		target->end = TARGET_SIGNALED;
		target->end_status -= 128;
	}
}

/* Whether the process has mark, with its end, in its environment. */
static bool is_marked(int proc, const char *pid, const char *mark, char *buf, size_t size)
{
	char path[64];
	AUTO_FD int fd = -1;
	ssize_t n;

	snprintf(path, sizeof(path), "%.16s/environ", pid);
	fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
	n = fd >= 0 ? read(fd, buf, size) : 0;
	return n > 0 && memmem(buf, (size_t)n, mark, strlen(mark) + 1);
}

/* How many have been killed. */
static int kill_marked(DIR *proc, const char *mark, char *buf, size_t size)
{
	struct dirent *entry;
	int n = 0;

	while ((entry = readdir(proc))) {
		pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
		AUTO_FD int fd = -1;

		if (pid <= 1 || pid == getpid() ||
		    !is_marked(dirfd(proc), entry->d_name, mark, buf, size))
			continue;
		/* The number may have passed to another one before this, but not after. */
		fd = open_pid(pid);
		if (fd < 0 || !is_marked(dirfd(proc), entry->d_name, mark, buf, size))
			continue;
		n += syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0) == 0;
		(void)target_wait_fd(fd, GONE_MS);
	}
	return n;
}

/* Processes that it has left behind outside of its group. */
static void end_leftovers(const struct target *target)
{
	enum { ROUNDS = 5, SIZE = 1 << 18 };
	char *mark, *buf = malloc(SIZE);
	DIR *proc = opendir("/proc");

	if (!target->dir || asprintf(&mark, MARK "=%s", target->dir) < 0)
		mark = NULL;
	for (int i = 0; proc && buf && mark && i < ROUNDS; i++) {
		if (kill_marked(proc, mark, buf, SIZE) == 0)
			break;
		rewinddir(proc);
	}
	if (proc)
		closedir(proc);
	free(mark);
	free(buf);
}

/* Its group may hold processes that it has left behind, and need not be the one it was put into;
 * nobody else has its number until it is waited for. */
static void reap(struct target *target)
{
	int status = 0;

	kill(-target->child, SIGKILL);
	kill(target->child, SIGKILL);
	end_leftovers(target);
	/* Who listens must not take connections any more that are meant for the next one. */
	if (target->server_fd >= 0)
		(void)target_wait_fd(target->server_fd, GONE_MS);
	while (waitpid(target->child, &status, 0) < 0 && errno == EINTR)
		;
	take_status(target, status);
	target->pidfd = fd_close(target->pidfd);
	target->server_fd = fd_close(target->server_fd);
}

bool target_ended(struct target *target, int ms)
{
	if (target->end != TARGET_RUNS)
		return true;
	if (target->server_fd >= 0 && target_wait_fd(target->server_fd, ms)) {
		/* What started it has a moment to tell its status. */
		if (!target_wait_fd(target->pidfd, target_ms(target, GONE_MS))) {
			target->end = TARGET_EXITED;
			target->end_status = TARGET_STATUS_UNKNOWN;
			return true;
		}
	} else if (target->pidfd < 0 || !target_wait_fd(target->pidfd, ms)) {
		return false;
	}
	if (target->child != 0) {
		reap(target);
	} else {
		target->end = TARGET_EXITED;
		target->end_status = TARGET_STATUS_UNKNOWN;
	}
	return true;
}

const char *target_describe_end(const struct target *target, char buf[64])
{
	if (target->end == TARGET_SIGNALED)
		snprintf(buf, 64, "signal %d (%s)", target->end_status,
			 strsignal(target->end_status));
	else if (target->end_status == TARGET_STATUS_UNKNOWN)
		snprintf(buf, 64, "a status that is not ours to see");
	else
		snprintf(buf, 64, "status %d", target->end_status);
	return buf;
}

/* What it printed. */

char *target_output(const struct target *target, size_t size)
{
	struct stat st;
	off_t len = fstat(target->output_fd, &st) == 0 ? st.st_size : 0;
	off_t at = len > (off_t)size ? len - (off_t)size : 0;
	char *text = len > 0 ? calloc(1, size + 1) : NULL;
	ssize_t n = text ? pread(target->output_fd, text, size, at) : 0;

	if (n <= 0) {
		free(text);
		return NULL;
	}
	for (ssize_t i = 0; i < n; i++)
		if (text[i] == '\0')
			text[i] = '?';
	return text;
}

void target_forget_output(const struct target *target)
{
	/* There is none, or it stays as it is: then it is only longer. */
	(void)!ftruncate(target->output_fd, 0);
}

/* The line of text that at is in. */
static void copy_line(const char *text, const char *at, char line[160])
{
	while (at > text && at[-1] != '\n')
		at--;
	snprintf(line, 160, "%.*s", (int)strcspn(at, "\n"), at);
	option_make_one_line(line);
}

bool target_output_tells_crash(const struct target *target, char line[160])
{
	static const char *const signs[] = {
		"ERROR: AddressSanitizer",
		"runtime error: ",
		"WARNING: MemorySanitizer",
		"ERROR: LeakSanitizer",
		"WARNING: ThreadSanitizer",
		"panicked at",
		"Assertion `",
	};
	char *text = target_output(target, OUTPUT_LOOKED_AT);
	const char *at = NULL;

	for (size_t i = 0; text && !at && i < ARRAY_SIZE(signs); i++) {
		at = strstr(text, signs[i]);
		if (at)
			copy_line(text, at, line);
	}
	free(text);
	return at != NULL;
}

/* Starting and ending. */

static int start_child(struct target *target)
{
	char *command = target_expand(target, target->exec, NULL), *script = NULL;
	pid_t pid = -ENOMEM;

	/* It may have removed the folder. */
	(void)mkdir(target->dir, 0700);
	/* The process is the command itself, not a shell around it. */
	if (command && asprintf(&script, "export " MARK "='%s'; exec %s", target->dir, command) < 0)
		script = NULL;
	if (script)
		pid = spawn(target, script);
	else
		target_fail(target, -ENOMEM, "no memory");
	free(script);
	free(command);
	if (pid < 0)
		return pid;
	target->child = target->pid = pid;
	target->pidfd = open_pid(pid);
	target->started = true;
	target->n_sessions = 0;
	return 0;
}

static const char *last_line(char *text)
{
	size_t len = strlen(text);
	const char *line;

	while (len > 0 && text[len - 1] == '\n')
		text[--len] = '\0';
	line = strrchr(text, '\n');
	return line ? line + 1 : text;
}

/* The process has said why, in its own words. */
static int explain_start(struct target *target, int err)
{
	char end[64], *output = target_output(target, OUTPUT_LOOKED_AT);
	const char *line = output ? last_line(output) : "";

	if (target_ended(target, 0))
		target_fail(target, err, "it ended with %s before it listened at %s%s%s",
			    target_describe_end(target, end), target->path,
			    line[0] ? "; it said: " : "", line);
	free(output);
	return err;
}

/* A socket that nobody listens at is in the way of some. */
static void remove_stale(const struct target *target)
{
	int64_t deadline = monotonic_ms() + target_ms(target, GONE_MS);
	struct stat st;
	int fd;

	if (lstat(target->path, &st) < 0 || !S_ISSOCK(st.st_mode))
		return;
	/* A child that ours has left behind may hold it a moment longer. */
	fd = target_dial(target->path, 0);
	while ((fd >= 0 || fd == -EAGAIN) && monotonic_ms() < deadline) {
		fd_close(fd);
		(void)poll(NULL, 0, TICK_MS);
		fd = target_dial(target->path, 0);
	}
	if (fd == -ECONNREFUSED)
		(void)unlink(target->path);
	fd_close(fd);
}

int target_start(struct target *target)
{
	int err = 0, ms = target_ms(target, target->exec ? TARGET_START_MS : TARGET_REACH_MS);

	if (!target->path || target->connect_fd >= 0)
		return 0;
	if (target->started && !target_ended(target, 0))
		return 0;
	if (target->interrupted)
		return target_fail(target, -EINTR, "interrupted");
	/* Somebody else's may be started again by somebody else. */
	if (target->end != TARGET_RUNS && !target->exec)
		target_watch(target, 0);
	target->end = TARGET_RUNS;
	target->stopped = false;
	if (target->exec) {
		remove_stale(target);
		err = start_child(target);
	}
	if (err == 0)
		err = target_reach(target, ms);
	if (err < 0 && target->exec)
		explain_start(target, err);
	return err;
}

int target_stop(struct target *target)
{
	int ms = target->stubborn ? STUBBORN_MS : target_ms(target, TARGET_STOP_MS);

	target_drop_spare(target);
	if (target->child == 0 || target_ended(target, 0))
		return 0;
	target->stopped = true;
	kill(target->child, SIGTERM);
	if (target->pid != target->child && target->server_fd >= 0)
		kill(target->pid, SIGTERM);
	if (target_wait_fd(target->pidfd, ms)) {
		reap(target);
		return 0;
	}
	target->stubborn = true;
	kill(-target->child, SIGKILL);
	reap(target);
	return -ETIMEDOUT;
}

int target_run(struct target *target, const char *script)
{
	pid_t pid = spawn(target, script);
	AUTO_FD int fd = pid > 0 ? open_pid(pid) : -1;
	int status = 0;
	bool in_time;

	if (pid < 0)
		return pid;
	in_time = target_wait_fd(fd, target_ms(target, TARGET_ACT_MS));
	kill(-pid, SIGKILL);
	kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (!in_time)
		return target_fail(target, -ETIMEDOUT, "the command did not end in time: %s",
				   script);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return target_fail(target, -EIO, "the command failed with wait status %#x: %s",
				   (unsigned int)status, script);
	return 0;
}
