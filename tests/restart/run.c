/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "run.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "fd.h"

enum { ANSWER_MAX = 256 * 1024, PATH_LEN = 128, MAX_DAEMONS = 4 };

static struct {
	uint64_t seed, random;
	struct run_daemon *daemons[MAX_DAEMONS]; /* that run */
	void (*tell)(const char *sentence);	 /* of a child */
	void (*end)(void);
} run;

void run_begin(uint64_t seed)
{
	run.seed = run.random = seed;
	signal(SIGPIPE, SIG_IGN);
}

uint64_t run_random(void)
{
	run.random ^= run.random << 13;
	run.random ^= run.random >> 7;
	run.random ^= run.random << 17;
	return run.random;
}

void run_be_child(void (*tell)(const char *sentence))
{
	memset(run.daemons, 0, sizeof(run.daemons));
	run.end = NULL;
	run.tell = tell;
}

void run_on_death(void (*end)(void))
{
	run.end = end;
}

static void print_log(const struct run_daemon *d)
{
	char line[1100];
	FILE *f = fopen(d->log, "re");

	while (f && fgets(line, sizeof(line), f))
		printf("# %s", line);
	if (f)
		fclose(f);
}

__attribute__((noreturn)) void die(const char *fmt, ...)
{
	char sentence[1024];
	va_list args;

	va_start(args, fmt);
	vsnprintf(sentence, sizeof(sentence), fmt, args);
	va_end(args);
	if (run.tell) {
		run.tell(sentence);
		_exit(1);
	}
	printf("Bail out! seed %" PRIu64 ": %s\n", run.seed, sentence);
	if (run.end) {
		void (*end)(void) = run.end;

		run.end = NULL; /* it may come here, too */
		end();
	}
	for (unsigned int i = 0; i < MAX_DAEMONS; i++) {
		if (!run.daemons[i])
			continue;
		kill(run.daemons[i]->pid, SIGKILL);
		print_log(run.daemons[i]);
		daemon_remove(run.daemons[i]);
	}
	fflush(stdout);
	exit(1);
}

void must(const struct vhu_frontend *fe, int err, const char *what)
{
	if (err < 0)
		die("%s: %s (%s)", what, strerror(-err), fe->error);
}

/* Folders */

void daemon_make(struct run_daemon *d, const char *name)
{
	snprintf(d->dir, sizeof(d->dir), "/tmp/vhu-%s-XXXXXX", name);
	if (!mkdtemp(d->dir))
		die("no folder: %s", strerror(errno));
	snprintf(d->socket, sizeof(d->socket), "%s/socket", d->dir);
	snprintf(d->control, sizeof(d->control), "%s/control", d->dir);
	snprintf(d->log, sizeof(d->log), "%s/log", d->dir);
}

void daemon_remove(struct run_daemon *d)
{
	struct dirent *entry;
	DIR *dir = opendir(d->dir);

	while (dir && (entry = readdir(dir)))
		unlinkat(dirfd(dir), entry->d_name, 0);
	if (dir)
		closedir(dir);
	rmdir(d->dir);
}

void daemon_port_path(const struct run_daemon *d, unsigned int id, char *ret_path)
{
	snprintf(ret_path, PATH_LEN, "%s/port%u", d->dir, id);
}

/* Connections */

static int dial(const char *path)
{
	struct sockaddr_un addr;
	socklen_t len;
	int fd;

	if (!fd_unix_address(path, &addr, &len))
		die("%s is no address", path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		die("no socket: %s", strerror(errno));
	if (connect(fd, (struct sockaddr *)&addr, len) == 0)
		return fd;
	fd_close(fd);
	return -1;
}

/* A socket of a process that was killed may still take connections for a moment. */
int daemon_dial(const struct run_daemon *d, const char *path)
{
	struct ucred peer = { .pid = 0 };
	socklen_t len = sizeof(peer);
	int fd = dial(path);

	if (fd >= 0 && getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 &&
	    peer.pid == d->pid)
		return fd;
	return fd_close(fd);
}

int daemon_dial_patiently(const struct run_daemon *d, const char *path)
{
	int64_t deadline = monotonic_ms() + RUN_WAIT_MS;
	int fd;

	while ((fd = daemon_dial(d, path)) < 0) {
		if (waitpid(d->pid, NULL, WNOHANG) == d->pid)
			die("the daemon has ended");
		if (monotonic_ms() > deadline)
			die("nobody listens at %s", path);
		poll(NULL, 0, 1);
	}
	return fd;
}

/* The process */

static unsigned int add_port_words(const struct run_daemon *d, const char **argv, unsigned int n)
{
	static char spec[RUN_MAX_PORTS + 1][PATH_LEN + 64];
	char path[PATH_LEN];

	for (unsigned int id = 1; id <= d->n_ports; id++) {
		daemon_port_path(d, id, path);
		snprintf(spec[id], sizeof(spec[id]), "%u,name=data%u,history=64K,unix:%s", id, id,
			 path);
		argv[n++] = "--port";
		argv[n++] = spec[id];
	}
	return n;
}

static unsigned int add_device_words(const struct run_daemon *d, const char **argv, unsigned int n)
{
	static char device[256];

	snprintf(device, sizeof(device), "socket=%s,name=vm,max-ports=%u", d->socket, d->max_ports);
	argv[n++] = "--device";
	argv[n++] = device;
	argv[n++] = "--port";
	argv[n++] = "console,null";
	return add_port_words(d, argv, n);
}

static void daemon_exec(const struct run_daemon *d)
{
	const char *argv[RUN_MAX_WORDS + 16];
	unsigned int n = 0;

	argv[n++] = d->program;
	if (d->config) {
		argv[n++] = "--config";
		argv[n++] = d->config;
	} else if (!d->words) {
		n = add_device_words(d, argv, n);
	}
	for (unsigned int i = 0; d->words && d->words[i] && i < RUN_MAX_WORDS; i++)
		argv[n++] = d->words[i];
	if (d->option) {
		argv[n++] = d->option;
		argv[n++] = d->value;
	}
	if (d->controlled) {
		argv[n++] = "--control";
		argv[n++] = d->control;
	}
	argv[n++] = "--log-level";
	argv[n++] = getenv("RUN_LOG") ? getenv("RUN_LOG") : "info";
	argv[n] = NULL;
	execv(d->program, (char *const *)(uintptr_t)argv);
	_exit(127);
}

static void note_running(struct run_daemon *d, bool runs)
{
	for (unsigned int i = 0; i < MAX_DAEMONS; i++) {
		if (run.daemons[i] == (runs ? NULL : d)) {
			run.daemons[i] = runs ? d : NULL;
			return;
		}
	}
}

int daemon_start(struct run_daemon *d)
{
	d->pid = fork();
	if (d->pid < 0)
		die("no process: %s", strerror(errno));
	if (d->pid == 0) {
		int fd = open(d->log, O_WRONLY | O_CREAT | O_APPEND, 0600);

		prctl(PR_SET_PDEATHSIG, SIGKILL); /* however this process ends */
		dup2(fd, STDERR_FILENO);
		daemon_exec(d);
	}
	note_running(d, true);
	return daemon_dial_patiently(d, d->socket);
}

void daemon_signal(struct run_daemon *d, int signo)
{
	int status;

	kill(d->pid, signo);
	if (waitpid(d->pid, &status, 0) != d->pid || status != (signo == SIGTERM ? 0 : signo))
		die("the daemon has ended with status 0x%x", status);
	note_running(d, false);
	d->pid = 0;
}

void daemon_forget(struct run_daemon *d)
{
	note_running(d, false);
	d->pid = 0;
	daemon_remove(d);
}

void daemon_kill(struct run_daemon *d)
{
	daemon_signal(d, SIGKILL);
}

/* What it is asked, and says */

static void send_line(int fd, const char *line, size_t len)
{
	if (send(fd, line, len, MSG_NOSIGNAL) != (ssize_t)len)
		die("the control socket does not take %.*s", (int)len, line);
}

static void receive_line(int fd, char *line)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	size_t len = 0;

	while (len == 0 || line[len - 1] != '\n') {
		ssize_t n;

		if (poll(&p, 1, RUN_WAIT_MS) <= 0)
			die("the control socket does not answer");
		n = recv(fd, line + len, ANSWER_MAX - 1 - len, 0);
		if (n <= 0)
			die("the control socket is closed without an answer");
		len += (size_t)n;
	}
	line[len] = '\0';
}

const char *daemon_ask(struct run_daemon *d, const char *fmt, ...)
{
	static char answer[ANSWER_MAX];
	char request[512];
	va_list args;
	int len, fd;

	va_start(args, fmt);
	len = vsnprintf(request, sizeof(request) - 1, fmt, args);
	va_end(args);
	request[len++] = '\n';
	fd = daemon_dial_patiently(d, d->control);
	send_line(fd, request, (size_t)len);
	receive_line(fd, answer);
	fd_close(fd);
	return answer;
}

bool daemon_said(const struct run_daemon *d, const char *text, long *at)
{
	char line[1100];
	bool found = false;
	FILE *f = fopen(d->log, "re");

	if (!f || fseek(f, *at, SEEK_SET) < 0)
		die("no log: %s", strerror(errno));
	while (fgets(line, sizeof(line), f))
		found |= strstr(line, text) != NULL;
	*at = ftell(f);
	fclose(f);
	return found;
}
