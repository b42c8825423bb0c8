/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "conform/frontend/frontend-session.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "clock.h"
#include "conform/target/folder.h"

enum {
	STEP_MS = 20,
	RAN_MS = 300,	   /* rings run for so long before something is done to them */
	IDLE_FACTOR = 2,   /* rings that run and are not used settle so much later */
	STUCK_FACTOR = 4,  /* nothing for so much longer than a good session takes: it gave up */
	STUCK_MS = 4000,   /* and for so long at least */
	CLOSING_MS = 3000, /* for its last messages, after it was asked to end */
	SPIN_MS = 2000,	   /* a thread that wanted a processor for all of it spins */
	SETTLE_MS = 200,   /* for what it has to do about the end of the connection */
	BACKLOG = 4,
};

static uint64_t ms_since(uint64_t ns)
{
	return (monotonic_ns() - ns) / 1000000;
}

static int fail(struct frontend_setup *s, int err, const char *what)
{
	snprintf(s->error, sizeof(s->error), "%s: %s", what, strerror(-err));
	return err;
}

/* The folder, and the socket in it or elsewhere. */

static int make_dir(struct frontend_setup *s)
{
	int err = folder_make(&s->dir);

	return err < 0 ? fail(s, err, "a temporary folder") : 0;
}

static void remove_dir(struct frontend_setup *s)
{
	folder_remove(s->dir);
	s->dir = NULL;
}

static int listen_at(struct frontend_setup *s, const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd, err;

	if (strlen(path) >= sizeof(addr.sun_path))
		return fail(s, -ENAMETOOLONG, path);
	memcpy(addr.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return fail(s, -errno, "socket");
	unlink(path);
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 || listen(fd, BACKLOG) < 0) {
		err = -errno;
		fd_close(fd);
		return fail(s, err, path);
	}
	s->listen_fd = fd;
	return 0;
}

int frontend_setup_open(struct frontend_setup *s)
{
	s->listen_fd = -1;
	s->dir = NULL;
	return s->exec ? 0 : listen_at(s, s->socket);
}

void frontend_setup_close(struct frontend_setup *s)
{
	s->listen_fd = fd_close(s->listen_fd);
	if (s->socket && !s->exec)
		unlink(s->socket);
	remove_dir(s);
}

/* Starts it with a new folder and a new socket. */
static int start(struct frontend_setup *s, struct frontend_session *session)
{
	char *path = NULL, *command = NULL;
	int err = make_dir(s);

	if (err < 0)
		return err;
	if (s->socket)
		path = strdup(s->socket);
	else if (asprintf(&path, "%s/socket", s->dir) < 0)
		path = NULL;
	err = path ? listen_at(s, path) : fail(s, -ENOMEM, "--exec");
	if (err == 0) {
		command = folder_expand(s->exec, s->dir, path, NULL);
		err = command ? frontend_process_start(&session->process, command) : -ENOMEM;
		if (err < 0)
			fail(s, err, "--exec");
	}
	session->watched = err == 0;
	free(command);
	free(path);
	return err;
}

static bool has_ended(struct frontend_session *session)
{
	return session->watched && frontend_process_ended(&session->process);
}

/* A connection within ms, unless the front-end ends before; or -1. */
static int await_connection(struct frontend_setup *s, struct frontend_session *session, int ms)
{
	uint64_t began = monotonic_ns();

	for (;;) {
		struct pollfd pfd = { .fd = s->listen_fd, .events = POLLIN };

		if (poll(&pfd, 1, STEP_MS) > 0)
			return accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC);
		if (has_ended(session) || ms_since(began) > (uint64_t)ms)
			return -1;
	}
}

/* A good session is over: its rings were used, or could have been, and all is quiet. */
static bool is_settled(const struct frontend_setup *s, const struct played *p)
{
	uint64_t quiet = ms_since(p->last_ns);

	if (p->channel_asked_ns)
		return false;
	if (p->ran_ns)
		return quiet > (uint64_t)s->settle_ms &&
		       ms_since(p->ran_ns) > (uint64_t)s->settle_ms;
	return played_rings_run(p) && quiet > IDLE_FACTOR * (uint64_t)s->settle_ms;
}

/* It said less than a good session needs, and no more for far longer than that takes. */
static bool is_stuck(const struct frontend_setup *s, const struct played *p)
{
	return s->run_ms && !p->ran_ns && !played_rings_run(p) && !p->fault_done &&
	       ms_since(p->last_ns) > STUCK_FACTOR * s->run_ms + STUCK_MS;
}

/*
 * A fault is over: nothing more came for a while, or much came. One that the
 * front-end got over, before its rings ran, is given the time that they took.
 */
static bool is_over(const struct frontend_setup *s, const struct played *p)
{
	uint64_t last = p->last_ns > p->fault_ns ? p->last_ns : p->fault_ns;
	bool went_on =
		p->n_messages > p->messages_at_fault || played_fault_is_right(p->script.fault);

	if (went_on && !p->ran_ns && ms_since(p->fault_ns) < 2 * s->run_ms + (uint64_t)s->after_ms)
		return is_settled(s, p);
	return ms_since(last) > (uint64_t)s->after_ms ||
	       ms_since(p->fault_ns) > 4 * (uint64_t)s->after_ms;
}

/* What the session does of its own accord once rings have run for a while. */
static void act_running(struct played *p, bool *asked)
{
	bool ran = p->ran_ns && ms_since(p->ran_ns) > RAN_MS;
	bool idle = !p->ran_ns && played_rings_run(p) && ms_since(p->last_ns) > 3 * RAN_MS;

	if (!ran && !idle)
		return;
	played_fault_running(p);
	if (!p->fault_done && !played_fault_is_running(p->script.fault) && !*asked)
		*asked = played_config_change(p);
}

static void play(struct frontend_setup *s, struct frontend_session *session, struct played *p)
{
	bool asked = false;

	played_fault_asked(p);
	while (p->fd >= 0 && !has_ended(session)) {
		played_step(p, STEP_MS, session->watched ? session->process.pidfd : -1);
		if (p->fd < 0)
			break;
		act_running(p, &asked);
		if (p->fault_done ? is_over(s, p)
				  : is_settled(s, p) && !played_fault_is_running(p->script.fault))
			break;
		if (is_stuck(s, p) ||
		    ms_since(p->began_ns) > (uint64_t)s->wait_ms + (uint64_t)s->settle_ms)
			break;
	}
}

static struct played *begin(struct frontend_setup *s, int fd, const struct played_script *script)
{
	struct played *p = calloc(1, sizeof(*p));
	struct played_script own = *script;

	if (!own.n_rings)
		own.n_rings = s->n_rings;
	if (p && played_init(p, fd, s->device, &own) == 0) {
		p->trace = s->trace;
		return p;
	}
	if (p)
		played_fini(p);
	else
		fd_close(fd);
	free(p);
	return NULL;
}

/* It is asked to end, and may say goodbye. */
static void part(struct frontend_setup *s, struct frontend_session *session)
{
	struct played *p = session->p;
	uint64_t began = monotonic_ns();

	if (p->fd >= 0 && !p->fault_done)
		played_judge_end(p);
	/* One that went by itself may be about to end, or to crash: that is not to be our doing. */
	while (p->left && session->watched && !has_ended(session) &&
	       ms_since(began) < (uint64_t)s->after_ms)
		poll(NULL, 0, STEP_MS);
	session->ended_early = has_ended(session);
	session->left_early = p->left;
	session->n_messages = p->n_messages;
	session->last_id = p->last_id;
	session->channel_closed = p->channel_closed;
	session->fault_late = !p->fault_done;
	if (!session->ended_early)
		frontend_process_ask(&session->process);
	began = monotonic_ns();
	while (session->watched && !has_ended(session) && ms_since(began) < CLOSING_MS)
		if (p->fd >= 0)
			played_step(p, STEP_MS, session->process.pidfd);
		else
			poll(NULL, 0, STEP_MS);
}

/* It comes back: a good back-end is there now. */
static void serve_again(struct frontend_setup *s, struct frontend_session *session)
{
	const struct played_script good = { .fault = FAULT_NONE };
	int fd = await_connection(s, session, s->after_ms);
	struct played *p = fd < 0 ? NULL : begin(s, fd, &good);

	if (!p)
		return;
	session->again = true;
	play(s, session, p);
	session->again_ran = p->ran_ns != 0;
	played_fini(p);
	free(p);
}

/*
 * Whether its first thread never sleeps. A thread that was seen to sleep does
 * not spin; nor does one on its way to an end.
 */
static void watch_spinning(struct frontend_session *session)
{
	struct played *p = session->p;
	uint64_t began = monotonic_ns();

	while (session->watched && !has_ended(session) && ms_since(began) < SPIN_MS) {
		if (!frontend_process_is_busy(&session->process) && ms_since(began) > SETTLE_MS)
			return;
		if (p->fd >= 0)
			played_step(p, STEP_MS, -1);
		else
			poll(NULL, 0, STEP_MS);
	}
	session->spins = session->watched && !has_ended(session);
}

/*
 * Something was done wrong: what becomes of the front-end? A connection that it
 * did not give up stays; only drivers that were told nonsense lose theirs, as
 * they have to tidy up then.
 */
static void watch_after(struct frontend_setup *s, struct frontend_session *session)
{
	struct played *p = session->p;

	/* A driver may well spin until its buffer is back: as long as there is a back-end. */
	if (p->fd >= 0 && p->script.fault >= FAULT_USED_RANGE) {
		session->after_close = !has_ended(session);
		played_close(p);
	}
	watch_spinning(session);
	session->ended_early = has_ended(session);
	if (session->spins)
		return;
	if (p->fd < 0)
		serve_again(s, session);
	part(s, session);
}

int frontend_session_run(struct frontend_setup *s, const struct played_script *script,
			 struct frontend_session *ret)
{
	int err, fd;

	*ret = (struct frontend_session){ .process = { .pidfd = -1, .log_fd = -1 } };
	err = s->exec ? start(s, ret) : 0;
	if (err < 0) {
		frontend_session_end(ret);
		s->listen_fd = fd_close(s->listen_fd);
		remove_dir(s);
		return err;
	}
	fd = await_connection(s, ret, s->wait_ms);
	ret->p = fd < 0 ? NULL : begin(s, fd, script);
	if (ret->p) {
		play(s, ret, ret->p);
		if (ret->p->fault_done)
			watch_after(s, ret);
		else
			part(s, ret);
	}
	if (!ret->ended_early)
		ret->ended_early = has_ended(ret) && !ret->process.stopping;
	frontend_process_said(&ret->process, ret->said, sizeof(ret->said));
	frontend_process_stop(&ret->process);
	if (s->exec) {
		s->listen_fd = fd_close(s->listen_fd);
		remove_dir(s);
	}
	return 0;
}

void frontend_session_end(struct frontend_session *s)
{
	frontend_process_stop(&s->process);
	if (s->p)
		played_fini(s->p);
	free(s->p);
	s->p = NULL;
}
