/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* A loop, a scope and operations of every kind, for the tests of the loop. */
#ifndef VHU_TESTS_LOOP_RIG_H
#define VHU_TESTS_LOOP_RIG_H

#include "unit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <termios.h>

#include "loop.h"

enum { FOREVER = 1000 };

/* An operation that remembers what came of it. */
struct probe {
	struct op op;
	unsigned int n_done;
	int res;
};

struct rig {
	struct loop *loop;
	struct scope scope;
	unsigned int n_idle;
};

static struct rig rig;

static inline void done(struct op *op, int res)
{
	struct probe *p = container_of(op, struct probe, op);

	assert_false(op_armed(op));
	p->n_done++;
	p->res = res;
}

static inline void on_idle(struct scope *scope)
{
	assert_true(scope_idle(scope));
	assert_false(scope_cancelling(scope));
	rig.n_idle++;
}

/* Whether the kernel does the operations, and the loop does not. */
static inline bool by_uring(void)
{
	return strcmp(loop_engine_name(rig.loop), "uring") == 0;
}

static inline void begin(void)
{
	const char *why = NULL;

	signal(SIGPIPE, SIG_IGN);
	loop_choose_engine(UNIT_ENGINE);
	rig.n_idle = 0;
	if (loop_new(16, &rig.loop, &why) < 0)
		fail_msg("%s", why);
	scope_init(&rig.scope, rig.loop);
}

static inline void end(void)
{
	scope_fini(&rig.scope);
	loop_free(rig.loop);
}

static inline void *end_at_once(void *arg)
{
	return arg;
}

/* A sanitizer may have a thread of its own as soon as there is another one. */
static inline void start_first_thread(void)
{
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, end_at_once, NULL), 0);
	pthread_join(thread, NULL);
}

/* Threads of this process, but those of the kernel. */
static inline unsigned int count_threads(void)
{
	DIR *dir = opendir("/proc/self/task");
	const struct dirent *entry;
	char path[64], name[32];
	unsigned int n = 0;

	assert_non_null(dir);
	while ((entry = readdir(dir))) {
		FILE *f;

		snprintf(path, sizeof(path), "/proc/self/task/%.16s/comm", entry->d_name);
		f = entry->d_name[0] == '.' ? NULL : fopen(path, "re");
		if (!f)
			continue;
		n += fgets(name, sizeof(name), f) && strncmp(name, "iou-", 4) != 0;
		fclose(f);
	}
	closedir(dir);
	return n;
}

static inline void probe_init(struct probe *p)
{
	p->n_done = 0;
	p->res = -EINPROGRESS;
	op_init(&p->op, &rig.scope, done);
}

static inline void run_until(const unsigned int *counter, unsigned int value)
{
	for (unsigned int i = 0; *counter < value; i++) {
		assert_true(i < FOREVER);
		assert_int_equal(loop_step(rig.loop, true), 0);
	}
	assert_int_equal(*counter, value);
}

/* Takes whatever is there without waiting; nothing must be left over from before. */
static inline void run_what_is_there(void)
{
	for (unsigned int i = 0; i < 4; i++)
		assert_int_equal(loop_step(rig.loop, false), 0);
}

enum kind { PIPE, SOCKETS, TERMINAL, EVENT, N_KINDS };

/* fds[0] is read from, fds[1] written to. */
static inline void make(enum kind kind, int fds[2])
{
	struct termios raw;

	if (kind == PIPE) {
		assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	} else if (kind == SOCKETS) {
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	} else if (kind == TERMINAL) {
		assert_int_equal(openpty(&fds[1], &fds[0], NULL, NULL, NULL), 0);
		assert_int_equal(tcgetattr(fds[0], &raw), 0);
		cfmakeraw(&raw);
		assert_int_equal(tcsetattr(fds[0], TCSANOW, &raw), 0);
	} else {
		fds[0] = eventfd(0, EFD_CLOEXEC);
		fds[1] = fcntl(fds[0], F_DUPFD_CLOEXEC, 0);
	}
	assert_true(fds[0] >= 0 && fds[1] >= 0);
}

static inline void unmake(int fds[2])
{
	close(fds[0]);
	close(fds[1]);
}

/* One of each operation, none of which can complete by itself. */
struct stuck {
	struct probe read, recv, send, accept, poll, write;
	struct timer timer;
	unsigned int n_timer;
	int timer_res;
	int pipe[2], sockets[2], listener;
	char buf[8];
	struct iovec iov;
	struct msghdr in, out;
	uint64_t value;
	int full;
};

static inline void timer_done(struct op *op, int res)
{
	struct stuck *s = container_of(op, struct stuck, timer.op);

	s->n_timer++;
	s->timer_res = res;
}

static inline void make_stuck(struct stuck *s)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	uint64_t most = UINT64_MAX - 1;

	memset(s, 0, sizeof(*s));
	make(PIPE, s->pipe);
	make(SOCKETS, s->sockets);
	s->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	/* An address of the kernel's choice. */
	assert_int_equal(bind(s->listener, (struct sockaddr *)&addr, sizeof(sa_family_t)), 0);
	assert_int_equal(listen(s->listener, 1), 0);
	s->full = eventfd(0, EFD_CLOEXEC);
	assert_int_equal(write(s->full, &most, sizeof(most)), 8);
	while (send(s->sockets[0], s->buf, sizeof(s->buf), MSG_DONTWAIT) > 0)
		;
	s->iov = (struct iovec){ s->buf, sizeof(s->buf) };
	s->in = (struct msghdr){ .msg_iov = &s->iov, .msg_iovlen = 1 };
	s->out = s->in;
	s->value = 1;
}

static inline void arm_stuck(struct stuck *s)
{
	probe_init(&s->read);
	probe_init(&s->recv);
	probe_init(&s->send);
	probe_init(&s->accept);
	probe_init(&s->poll);
	probe_init(&s->write);
	timer_init(&s->timer, &rig.scope, timer_done);
	s->n_timer = 0;
	op_read(&s->read.op, s->pipe[0], s->buf, sizeof(s->buf));
	op_recvmsg(&s->recv.op, s->sockets[0], &s->in, 0);
	op_sendmsg(&s->send.op, s->sockets[0], &s->out, 0);
	op_accept(&s->accept.op, s->listener);
	op_poll(&s->poll.op, s->pipe[0], POLLIN);
	op_write(&s->write.op, s->full, &s->value, sizeof(s->value));
	timer_arm(&s->timer, UINT64_C(3600) * 1000000000);
}

static inline void unmake_stuck(struct stuck *s)
{
	unmake(s->pipe);
	unmake(s->sockets);
	close(s->listener);
	close(s->full);
}

#endif
