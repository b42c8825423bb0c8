/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The new program, started beside us to see whether it can go on, or in our place. */
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
#include "daemon/upgrade-private.h"
#include "daemon/upgrade.h"
#include "fd.h"
#include "options.h"

enum {
	SAID_MAX = 4096, /* of its last words */
	NS_PER_MS = 1000 * 1000,
};

struct upgrade_probe {
	pid_t pid;
	int words; /* what it says on standard output and error */
	int pidfd; /* readable when it has ended; -1: not to be had */
	char said[SAID_MAX];
	size_t len;
};

/* seccomp(upgrade): fcntl:F_GETFD fcntl:F_SETFD */
static int set_inherited(int fd, bool inherited)
{
	int flags = fcntl(fd, F_GETFD);

	if (flags < 0)
		return -errno;
	flags = inherited ? flags & ~FD_CLOEXEC : flags | FD_CLOEXEC;
	return fcntl(fd, F_SETFD, flags) < 0 ? -errno : 0;
}

static void set_all_inherited(const struct handover_out *out, int state_fd, bool inherited)
{
	set_inherited(state_fd, inherited);
	for (size_t i = 0; i < out->n_fds; i++)
		set_inherited(out->fds[i], inherited);
}

/* The environment and one variable more; NULL without memory. The caller frees both. */
static char **make_environment(int state_fd, bool check, char **ret_variable)
{
	size_t n = 0;
	char **env;

	while (environ[n])
		n++;
	if (asprintf(ret_variable, "%s=%d%s", UPGRADE_VARIABLE, state_fd,
		     check ? "," UPGRADE_CHECK : "") < 0) {
		*ret_variable = NULL;
		return NULL;
	}
	env = calloc(n + 2, sizeof(*env));
	if (!env)
		return NULL;
	memcpy(env, environ, n * sizeof(*env));
	env[n] = *ret_variable;
	return env;
}

/* In the child, between fork() and execve(): nothing but calls of the kernel. */
/* seccomp(upgrade): setpgid prctl:PR_SET_PDEATHSIG dup2 dup3 execve write exit_group */
static void become_probe(const char *program, char *const *argv, char **env, int state_fd,
			 const struct handover_out *out, int words, int null)
{
	static const char failed[] = "it cannot be executed\n";

	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* it has our locks */
	if (dup2(null, STDIN_FILENO) < 0 || dup2(words, STDOUT_FILENO) < 0 ||
	    dup2(words, STDERR_FILENO) < 0)
		_exit(EXIT_FAILURE);
	set_all_inherited(out, state_fd, true);
	execve(program, argv, env);
	(void)!write(STDERR_FILENO, failed, sizeof(failed) - 1);
	_exit(EXIT_FAILURE);
}

/* seccomp(upgrade): openat pipe2 clone:SIGCHLD set_robust_list setpgid */
/* seccomp(upgrade): fcntl:F_SETFL pidfd_open */
static int start_probe(struct upgrade_probe *p, const char *program, char *const *argv,
		       int state_fd, const struct handover_out *out)
{
	AUTO_FD int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int ends[2] = { -1, -1 };
	char *variable = NULL;
	char **env = make_environment(state_fd, true, &variable);
	int err = 0;

	*p = (struct upgrade_probe){ .pid = -1, .words = -1, .pidfd = -1 };
	if (!env)
		err = -ENOMEM;
	else if (null < 0 || pipe2(ends, O_CLOEXEC) < 0)
		err = -errno;
	if (err == 0) {
		p->pid = fork();
		if (p->pid == 0)
			become_probe(program, argv, env, state_fd, out, ends[1], null);
		if (p->pid < 0)
			err = -errno;
		fd_close(ends[1]);
		p->words = ends[0];
	}
	if (p->pid > 0) {
		setpgid(p->pid, p->pid); /* whichever of us is first */
		fcntl(p->words, F_SETFL, O_NONBLOCK);
		p->pidfd = (int)syscall(SYS_pidfd_open, p->pid, 0);
	}
	free(env);
	free(variable);
	return err;
}

/* Keeps the last of what it says. */
/* seccomp(upgrade): read */
static void listen_to(struct upgrade_probe *p)
{
	char buf[512];
	ssize_t n;

	while ((n = read(p->words, buf, sizeof(buf))) > 0) {
		size_t len = (size_t)n, over;

		over = p->len + len > sizeof(p->said) - 1 ? p->len + len - (sizeof(p->said) - 1)
							  : 0;
		if (over > 0)
			memmove(p->said, p->said + over, p->len - over);
		p->len -= over;
		memcpy(p->said + p->len, buf, len);
		p->len += len;
	}
	p->said[p->len] = '\0';
}

/* Until it has ended; false when the time was up first. */
/* seccomp(upgrade): wait4 poll ppoll */
static bool await_end(struct upgrade_probe *p, unsigned int ms, int *ret_status)
{
	uint64_t end = monotonic_ns() + (uint64_t)ms * NS_PER_MS, now;
	struct pollfd polls[] = { { .fd = p->pidfd, .events = POLLIN },
				  { .fd = p->words, .events = POLLIN } };

	for (;;) {
		pid_t pid = waitpid(p->pid, ret_status, WNOHANG);

		listen_to(p);
		if (pid == p->pid)
			return true;
		now = monotonic_ns();
		if (now >= end)
			return false;
		/* Without a pidfd it is looked for now and then. */
		poll(polls, ARRAY_SIZE(polls),
		     p->pidfd < 0 ? 10 : (int)((end - now) / NS_PER_MS) + 1);
		if (polls[1].revents & POLLHUP)
			polls[1].fd = -1; /* it says no more */
	}
}

/* The last line that has something in it; the text is cut for that. */
static const char *last_line(char *said)
{
	char *end = said + strlen(said), *line;

	while (end > said && (end[-1] == '\n' || end[-1] == '\r' || end[-1] == ' '))
		*--end = '\0';
	line = strrchr(said, '\n');
	option_make_one_line(line ? line + 1 : said);
	return line ? line + 1 : said;
}

static int judge(struct upgrade_probe *p, int status, char *ret_why, size_t why_cap)
{
	const char *said = last_line(p->said);

	if (WIFEXITED(status) && WEXITSTATUS(status) == 0 && strcmp(said, UPGRADE_READY) == 0)
		return 0;
	if (WIFSIGNALED(status))
		snprintf(ret_why, why_cap, "it was ended by signal %d (%s)%s%.200s",
			 WTERMSIG(status), strsignal(WTERMSIG(status)), said[0] ? ": " : "", said);
	else if (said[0])
		snprintf(ret_why, why_cap, "%.200s", said);
	else
		snprintf(ret_why, why_cap, "it ended with status %d and did not say that it can",
			 WEXITSTATUS(status));
	return -EINVAL;
}

static void end_probe(struct upgrade_probe *p)
{
	kill(-p->pid, SIGKILL);
	kill(p->pid, SIGKILL);
	waitpid(p->pid, NULL, 0);
}

int upgrade_probe_start(const char *program, char *const *argv, int state_fd,
			const struct handover_out *out, struct upgrade_probe **ret_probe)
{
	struct upgrade_probe *p = calloc(1, sizeof(*p));
	int err = p ? start_probe(p, program, argv, state_fd, out) : -ENOMEM;

	if (err < 0) {
		free(p);
		return err;
	}
	*ret_probe = p;
	return 0;
}

int upgrade_probe_fd(const struct upgrade_probe *p)
{
	return p->pidfd;
}

/* seccomp(upgrade): kill:SIGKILL wait4 */
int upgrade_probe_finish(struct upgrade_probe *p, unsigned int ms, char *ret_why, size_t why_cap)
{
	int status = 0, err = -ETIMEDOUT;

	if (await_end(p, ms, &status)) {
		kill(-p->pid, SIGKILL); /* whatever it has left behind */
		err = judge(p, status, ret_why, why_cap);
	} else {
		end_probe(p);
		snprintf(ret_why, why_cap, "it did not answer in time");
	}
	fd_close(p->words);
	fd_close(p->pidfd);
	free(p);
	return err;
}

int upgrade_exec(const char *program, char *const *argv, int state_fd,
		 const struct handover_out *out)
{
	char *variable = NULL;
	char **env = make_environment(state_fd, false, &variable);
	int err = -ENOMEM;

	if (env) {
		set_all_inherited(out, state_fd, true);
		execve(program, argv, env);
		err = -errno;
		set_all_inherited(out, state_fd, false);
	}
	free(env);
	free(variable);
	return err;
}
