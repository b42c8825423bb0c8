/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The device's state through a pipe or socket (vhost-user "Migrating back-end state"). */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conform/cases/case-console.h"
#include "conform/cases/case-list.h"
#include "conform/cases/case-migration.h"

enum {
	SAVE = 0,
	LOAD = 1,
	STATE_MAX = 16 << 20, /* more than any device of ours has */
	EOF_MS = 5000,
	SMALL_PIPE = 4096,
	JUNK_LEN = 65536,
	N_MUTATIONS = 64,
	ERROR_MASK = 0xff,
};

struct state {
	uint8_t *bytes;
	size_t len;
};

static void state_fini(struct state *s)
{
	free(s->bytes);
	s->bytes = NULL;
}

#define AUTO_STATE AUTO(state_fini) struct state

/* A way for state: our end, and theirs. */
struct way {
	int ours, theirs;
};

static void way_fini(struct way *w)
{
	w->ours = fd_close(w->ours);
	w->theirs = fd_close(w->theirs);
}

#define AUTO_WAY AUTO(way_fini) struct way
#define WAY_NONE                                                                                   \
	{                                                                                          \
		-1, -1                                                                             \
	}

static int way_open(struct trial *t, struct way *w, uint32_t direction, bool socket)
{
	int fds[2];

	if (socket ? socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0
		   : pipe2(fds, O_CLOEXEC) < 0)
		return trial_error(t, "a way for the device's state: %s", strerror(errno));
	w->ours = fds[direction == SAVE ? 0 : 1];
	w->theirs = fds[direction == SAVE ? 1 : 0];
	fcntl(w->ours, F_SETFL, O_NONBLOCK);
	return 0;
}

static uint64_t protocol(const struct trial *t)
{
	return trial_protocol(t) | BIT(VHU_PF_DEVICE_STATE_BIT);
}

/* A device whose rings have run and are stopped. */
static int suspended(struct trial *t)
{
	int err = migration_begin(t, trial_features(t), protocol(t));

	if (err == 0)
		err = migration_run(t, NULL);
	if (err == 0 && t->device)
		err = trial_exchange(t, 2);
	return err < 0 ? err : trial_stop_rings(t);
}

/* A device on which nothing has run yet. */
static int unborn(struct trial *t)
{
	return trial_handshake_with(t, trial_features(t), protocol(t));
}

/* What SET_DEVICE_STATE_FD came to. */
struct answer {
	bool closed; /* the connection instead */
	uint64_t value;
	unsigned int n_fds; /* the first takes the place of our end */
};

static int ask(struct trial *t, uint32_t direction, uint32_t phase, struct way *w,
	       struct answer *ret_answer)
{
	const struct vhu_device_state payload = { .direction = direction, .phase = phase };
	struct answer *a = ret_answer;
	struct vhu_msg msg, reply;
	int err;

	*a = (struct answer){ 0 };
	vhu_msg_init(&msg, VHU_FE, VHU_FE_SET_DEVICE_STATE_FD);
	vhu_msg_put(&msg, &payload, sizeof(payload));
	msg.fds.fd[msg.fds.n_fds++] = w->theirs;
	err = migration_ask(t, &msg, &reply, &a->closed);
	w->theirs = fd_close(w->theirs); /* else there is no end of it */
	if (err < 0 || a->closed)
		return err;
	a->value = vhu_msg_u64(&reply);
	a->n_fds = reply.fds.n_fds;
	if (reply.fds.n_fds > 0) {
		fd_close(w->ours);
		w->ours = fdset_take(&reply.fds, 0);
		fcntl(w->ours, F_SETFL, O_NONBLOCK);
	}
	fdset_close(&reply.fds);
	if (reply.size == sizeof(uint64_t))
		return 0;
	return trial_fail(t, "SET_DEVICE_STATE_FD: expected 8 bytes, but %u came", reply.size);
}

/* The same, in order. */
static int agree(struct trial *t, uint32_t direction, struct way *w)
{
	struct answer a;
	int err = ask(t, direction, 0, w, &a);

	if (err < 0)
		return err;
	if (a.closed)
		return trial_fail(t, "SET_DEVICE_STATE_FD: expected a reply, but the connection "
				     "was closed");
	if (a.value == (a.n_fds ? 0 : VHU_DEVICE_STATE_NOFD))
		return 0;
	return trial_fail(t,
			  "SET_DEVICE_STATE_FD to %s: expected %#x without a descriptor, or 0 with "
			  "one, but it is %#llx with %u",
			  direction == SAVE ? "save" : "load", (unsigned int)VHU_DEVICE_STATE_NOFD,
			  (unsigned long long)a.value, a.n_fds);
}

static int check(struct trial *t, uint64_t *ret_value)
{
	struct vhu_msg msg, reply;
	bool closed = false;
	int err;

	vhu_msg_init(&msg, VHU_FE, VHU_FE_CHECK_DEVICE_STATE);
	err = migration_ask(t, &msg, &reply, &closed);
	if (err < 0)
		return err;
	if (closed)
		return trial_fail(t, "CHECK_DEVICE_STATE: expected a reply, but the connection was "
				     "closed");
	*ret_value = vhu_msg_u64(&reply);
	fdset_close(&reply.fds);
	return 0;
}

static int expect_check(struct trial *t, bool good, const char *what)
{
	uint64_t value = 0;
	int err = check(t, &value);

	if (err < 0 || (value == 0) == good)
		return err;
	return trial_fail(t, "CHECK_DEVICE_STATE after %s: expected %s, but it is %llu", what,
			  good ? "0" : "a failure", (unsigned long long)value);
}

/* Reads until the other side closes. */
static int read_state(struct trial *t, int fd, struct state *s)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	s->bytes = malloc(STATE_MAX);
	if (!s->bytes)
		return trial_error(t, "memory for the device's state");
	for (s->len = 0; s->len < STATE_MAX;) {
		ssize_t n;

		if (poll(&p, 1, trial_ms(t, EOF_MS)) <= 0)
			return trial_fail(t,
					  "the device's state: expected its end within %d ms, but "
					  "after %zu bytes nothing more comes",
					  trial_ms(t, EOF_MS), s->len);
		n = read(fd, s->bytes + s->len, STATE_MAX - s->len);
		if (n == 0)
			return 0;
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return trial_fail(t, "the device's state: expected bytes and their end: %s",
					  strerror(errno));
		s->len += n > 0 ? (size_t)n : 0;
	}
	return trial_fail(t, "the device's state: expected less than %d bytes", STATE_MAX);
}

/* Writes all of it and closes; a reader that has gone away has its reasons. */
static int write_state(struct trial *t, struct way *w, const void *bytes, size_t len)
{
	struct pollfd p = { .fd = w->ours, .events = POLLOUT };
	size_t done = 0;

	while (done < len) {
		ssize_t n;

		if (poll(&p, 1, trial_ms(t, EOF_MS)) <= 0)
			return trial_fail(t,
					  "%zu bytes of state: expected them to be read within %d "
					  "ms, but %zu were",
					  len, trial_ms(t, EOF_MS), done);
		n = write(w->ours, (const uint8_t *)bytes + done, len - done);
		if (n < 0 && (errno == EPIPE || errno == ECONNRESET))
			break;
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return trial_error(t, "state on its way: %s", strerror(errno));
		done += n > 0 ? (size_t)n : 0;
	}
	w->ours = fd_close(w->ours);
	return 0;
}

static int save(struct trial *t, bool socket, struct state *s)
{
	AUTO_WAY w = WAY_NONE;
	int err = way_open(t, &w, SAVE, socket);

	if (err == 0)
		err = agree(t, SAVE, &w);
	if (err == 0)
		err = read_state(t, w.ours, s);
	return err < 0 ? err : expect_check(t, true, "state was saved");
}

static int load(struct trial *t, bool socket, const void *bytes, size_t len)
{
	AUTO_WAY w = WAY_NONE;
	int err = way_open(t, &w, LOAD, socket);

	if (err == 0)
		err = agree(t, LOAD, &w);
	return err < 0 ? err : write_state(t, &w, bytes, len);
}

/* Saving. */

int case_devstate_reply(struct trial *t)
{
	AUTO_WAY w = WAY_NONE;
	int err = suspended(t);

	if (err == 0)
		err = way_open(t, &w, SAVE, false);
	return err < 0 ? err : agree(t, SAVE, &w);
}

static int saved(struct trial *t, bool socket)
{
	AUTO_STATE s = { 0 };
	int err = suspended(t);

	if (err == 0)
		err = save(t, socket, &s);
	return err < 0 ? err : trial_remark(t, "the state has %zu bytes", s.len);
}

int case_devstate_saved(struct trial *t)
{
	return saved(t, false);
}

int case_devstate_saved_socket(struct trial *t)
{
	return saved(t, true);
}

/* Nobody reads before the reply. */
int case_devstate_save_unread(struct trial *t)
{
	AUTO_WAY w = WAY_NONE;
	AUTO_STATE s = { 0 };
	int err = suspended(t);

	if (err == 0)
		err = way_open(t, &w, SAVE, false);
	if (err == 0)
		fcntl(w.ours, F_SETPIPE_SZ, SMALL_PIPE);
	if (err == 0)
		err = agree(t, SAVE, &w);
	if (err == 0)
		err = read_state(t, w.ours, &s);
	if (err == 0 && s.len <= SMALL_PIPE)
		trial_remark(t, "the state of %zu bytes fits into the pipe", s.len);
	return err < 0 ? err : expect_check(t, true, "state was saved");
}

/* Loading. */

int case_devstate_load_unwritten(struct trial *t)
{
	AUTO_WAY w = WAY_NONE;
	AUTO_STATE s = { 0 };
	int err = suspended(t);

	if (err == 0)
		err = save(t, false, &s);
	if (err == 0)
		err = way_open(t, &w, LOAD, false);
	if (err == 0)
		err = agree(t, LOAD, &w);
	if (err == 0)
		err = write_state(t, &w, s.bytes, s.len);
	return err < 0 ? err : expect_check(t, true, "its own state was loaded");
}

/* The same guest memory, rings and driver at another process. */
static int move_on(struct trial *t, const struct state *s, bool socket)
{
	static const struct trial_plan as_it_is = { .no_prepare = true };
	int err = migration_move(t);

	if (err == 0)
		err = unborn(t);
	if (err == 0)
		err = load(t, socket, s->bytes, s->len);
	if (err == 0)
		err = expect_check(t, true, "the state of another process was loaded");
	if (err == 0)
		err = migration_run(t, &as_it_is);
	return err;
}

static int moved(struct trial *t, bool socket)
{
	AUTO_STATE s = { 0 };
	int err = suspended(t);

	if (err == 0)
		err = save(t, socket, &s);
	if (err == 0)
		err = move_on(t, &s, socket);
	return err < 0 ? err : trial_exchange(t, 3);
}

int case_devstate_moved(struct trial *t)
{
	return moved(t, false);
}

int case_devstate_moved_socket(struct trial *t)
{
	return moved(t, true);
}

/* Input comes without another word from the driver. */
int case_devstate_moved_open(struct trial *t)
{
	const struct trial_plan plan = { .with_protocol = BIT(VHU_PF_DEVICE_STATE_BIT) };
	AUTO_STATE s = { 0 };
	unsigned int id;
	int err = con_start_join(t, &plan, false, &id);

	if (err < 0)
		return err;
	con_leave(t);
	err = trial_stop_rings(t);
	if (err == 0)
		err = save(t, false, &s);
	if (err == 0)
		err = move_on(t, &s, false);
	if (err == 0)
		err = con_reach_again(t, id);
	if (err == 0)
		err = con_post_input(t, id, 4, CON_PAGE);
	if (err == 0)
		err = con_peer_write(t, "moved", 5);
	return err < 0 ? err : con_expect_input(t, id, "moved", 5, "input after the move");
}

int case_devstate_cut(struct trial *t)
{
	AUTO_STATE s = { 0 };
	int err = suspended(t);

	if (err == 0)
		err = save(t, false, &s);
	if (err < 0)
		return err;
	if (s.len < 2)
		return trial_na(t, "the state has %zu bytes: no half of it can be loaded", s.len);
	err = load(t, false, s.bytes, s.len / 2);
	return err < 0 ? err : expect_check(t, false, "half of a state was loaded");
}

/* Refusals. */

/* An error in the low byte, and no descriptor with it; or the end of the connection. */
static int expect_error(struct trial *t, uint32_t direction, uint32_t phase, const char *what)
{
	AUTO_WAY w = WAY_NONE;
	struct answer a = { 0 };
	int err = way_open(t, &w, direction == SAVE ? SAVE : LOAD, false);

	if (err == 0)
		err = ask(t, direction, phase, &w, &a);
	if (err < 0)
		return err;
	if (a.closed)
		return trial_remark(t, "SET_DEVICE_STATE_FD %s ends the connection", what);
	if ((a.value & ERROR_MASK) == 0)
		return trial_fail(t, "SET_DEVICE_STATE_FD %s: expected an error, but it is %#llx",
				  what, (unsigned long long)a.value);
	if (a.n_fds > 0 || !(a.value & VHU_DEVICE_STATE_NOFD))
		return trial_fail(t,
				  "SET_DEVICE_STATE_FD %s: expected bit 8 and no descriptor beside "
				  "the error, but it is %#llx with %u",
				  what, (unsigned long long)a.value, a.n_fds);
	return trial_ping(t);
}

int case_devstate_phase(struct trial *t)
{
	int err = suspended(t);

	return err < 0 ? err : expect_error(t, SAVE, 1, "with phase 1");
}

int case_devstate_direction(struct trial *t)
{
	int err = suspended(t);

	return err < 0 ? err : expect_error(t, 2, 0, "with direction 2");
}

/* Whatever the answer is, error and descriptor do not come together. */
static int error_alone(struct trial *t, uint32_t direction, uint32_t phase)
{
	AUTO_WAY w = WAY_NONE;
	struct answer a = { 0 };
	int err = t->closed ? trial_reconnect(t) : 0;

	if (err == 0)
		err = unborn(t);
	if (err == 0)
		err = way_open(t, &w, LOAD, false);
	if (err == 0)
		err = ask(t, direction, phase, &w, &a);
	if (err < 0)
		return err;
	if ((a.value & ERROR_MASK) == 0 || a.n_fds == 0)
		return a.closed ? 0 : trial_reconnect(t);
	return trial_fail(
		t,
		"SET_DEVICE_STATE_FD of direction %u and phase %u: expected no descriptor "
		"with an error, but %#llx came with one",
		direction, phase, (unsigned long long)a.value);
}

int case_devstate_error_alone(struct trial *t)
{
	static const struct {
		uint32_t direction, phase;
	} wrong[] = { { SAVE, 1 }, { LOAD, 1 }, { 2, 0 }, { UINT32_MAX, UINT32_MAX } };
	int err = 0;

	for (size_t i = 0; i < ARRAY_SIZE(wrong) && err == 0; i++)
		err = error_alone(t, wrong[i].direction, wrong[i].phase);
	return err;
}

int case_devstate_running(struct trial *t)
{
	int err = migration_begin(t, trial_features(t), protocol(t));

	if (err == 0)
		err = migration_run(t, NULL);
	return err < 0 ? err : expect_error(t, SAVE, 0, "while rings run");
}

/* Hostile. */

/* State that is not to be trusted: refused at once, at CHECK_DEVICE_STATE, or taken. */
static int load_junk(struct trial *t, const void *bytes, size_t len, bool *ret_taken)
{
	AUTO_WAY w = WAY_NONE;
	struct answer a = { 0 };
	uint64_t value = 1;
	int err = way_open(t, &w, LOAD, false);

	if (err == 0)
		err = ask(t, LOAD, 0, &w, &a);
	if (err < 0 || a.closed || (a.value & ERROR_MASK))
		return err;
	err = write_state(t, &w, bytes, len);
	if (err == 0)
		err = check(t, &value);
	*ret_taken = value == 0;
	return err < 0 ? err : trial_ping(t);
}

static int junk_refused(struct trial *t, uint8_t first, uint8_t step, const char *what)
{
	uint8_t *junk = malloc(JUNK_LEN);
	bool taken = false;
	int err = junk ? suspended(t) : trial_error(t, "memory for junk");

	for (size_t i = 0; junk && i < JUNK_LEN; i++)
		junk[i] = (uint8_t)(first + i * step);
	if (err == 0)
		err = load_junk(t, junk, JUNK_LEN, &taken);
	free(junk);
	if (err < 0 || !taken)
		return err;
	return trial_warn(t, "%d %s loaded as state: expected a failure, but it succeeded",
			  JUNK_LEN, what);
}

int case_devstate_zeroes(struct trial *t)
{
	return junk_refused(t, 0, 0, "zeroes");
}

int case_devstate_ones(struct trial *t)
{
	return junk_refused(t, 0xff, 0, "bytes of 0xff");
}

int case_devstate_counting(struct trial *t)
{
	return junk_refused(t, 1, 7, "bytes of no meaning");
}

int case_devstate_mutated(struct trial *t)
{
	uint64_t seed = 1;
	unsigned int n_taken = 0;
	AUTO_STATE s = { 0 };
	int err = suspended(t);

	if (err == 0)
		err = save(t, false, &s);
	if (err == 0 && s.len == 0)
		err = trial_na(t, "the state has no bytes");
	for (unsigned int i = 0; i < N_MUTATIONS && err == 0; i++) {
		size_t at = migration_random(&seed) % s.len;
		uint8_t old = s.bytes[at];
		bool taken = false;

		s.bytes[at] = (uint8_t)migration_random(&seed);
		err = t->closed ? trial_reconnect(t) : 0;
		if (err == 0 && t->fe.n_sent == 0)
			err = unborn(t);
		if (err == 0)
			err = load_junk(t, s.bytes, s.len, &taken);
		s.bytes[at] = old;
		n_taken += taken;
	}
	/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): s has a cleanup attribute */
	return err < 0 ? err
		       : trial_remark(t, "%u of %d states with one byte changed are taken", n_taken,
				      N_MUTATIONS);
}
