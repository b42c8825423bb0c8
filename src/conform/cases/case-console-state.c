/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* A console whose state goes to another process, in which nothing has happened yet. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conform/cases/case-console.h"
#include "conform/cases/case-list.h"
#include "conform/cases/case-migration.h"

enum { SAVE = 0, LOAD = 1, PIPE_LEN = 1 << 20 };

static const struct trial_plan movable = { .with_protocol = BIT(VHU_PF_DEVICE_STATE_BIT) };

/* Gives theirs to the back-end (and closes it here); *ours becomes what it may want in its place.
 */
static int agree(struct trial *t, uint32_t direction, int theirs, int *ours)
{
	const struct vhu_device_state payload = { .direction = direction };
	struct vhu_msg msg, reply;
	uint64_t value;
	bool closed = false;
	int err;

	vhu_msg_init(&msg, VHU_FE, VHU_FE_SET_DEVICE_STATE_FD);
	vhu_msg_put(&msg, &payload, sizeof(payload));
	msg.fds.fd[msg.fds.n_fds++] = theirs;
	err = migration_ask(t, &msg, &reply, &closed);
	fd_close(theirs);
	if (err < 0)
		return err;
	if (closed)
		return trial_fail(t,
				  "SET_DEVICE_STATE_FD: expected a reply, but the connection was "
				  "closed");
	value = vhu_msg_u64(&reply);
	if (reply.fds.n_fds > 0) {
		fd_close(*ours);
		*ours = fdset_take(&reply.fds, 0);
	}
	fdset_close(&reply.fds);
	if ((value & ~VHU_DEVICE_STATE_NOFD) != 0)
		return trial_fail(t, "SET_DEVICE_STATE_FD: expected success, but it is %#llx",
				  (unsigned long long)value);
	return 0;
}

static int check(struct trial *t, const char *what)
{
	uint64_t value = 0;
	int err = trial_step(t, vhu_frontend_get_u64(&t->fe, VHU_FE_CHECK_DEVICE_STATE, &value),
			     "CHECK_DEVICE_STATE");

	if (err == 0 && value != 0)
		err = trial_fail(t, "CHECK_DEVICE_STATE after %s: expected 0, but it is %llu", what,
				 (unsigned long long)value);
	return err;
}

/* All bytes until the back-end closes its end. */
static int read_all(struct trial *t, int fd, uint8_t *bytes, size_t *ret_len)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	for (*ret_len = 0; *ret_len < PIPE_LEN;) {
		ssize_t n;

		if (poll(&p, 1, trial_ms(t, TRIAL_ANSWER_MS)) <= 0)
			return trial_fail(t,
					  "the device's state: expected its end, but after %zu "
					  "bytes nothing more came",
					  *ret_len);
		n = read(fd, bytes + *ret_len, PIPE_LEN - *ret_len);
		if (n == 0)
			return 0;
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return trial_fail(t, "the device's state: expected bytes, but: %s",
					  strerror(errno));
		*ret_len += n > 0 ? (size_t)n : 0;
	}
	return trial_na(t, "the device's state has more than %d bytes", PIPE_LEN);
}

static int save(struct trial *t, uint8_t *bytes, size_t *ret_len)
{
	int fds[2], err;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return trial_error(t, "a pipe: %s", strerror(errno));
	err = agree(t, SAVE, fds[1], &fds[0]);
	if (err == 0)
		err = read_all(t, fds[0], bytes, ret_len);
	fd_close(fds[0]);
	return err < 0 ? err : check(t, "the state was saved");
}

/* The pipe has room for all of it: nobody has to read meanwhile. */
static int load(struct trial *t, const uint8_t *bytes, size_t len)
{
	int fds[2], err;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return trial_error(t, "a pipe: %s", strerror(errno));
	fcntl(fds[1], F_SETPIPE_SZ, PIPE_LEN);
	fcntl(fds[1], F_SETFL, O_NONBLOCK);
	err = agree(t, LOAD, fds[0], &fds[1]);
	if (err == 0 && write(fds[1], bytes, len) != (ssize_t)len)
		err = trial_error(t, "%zu bytes of state do not go at once", len);
	fd_close(fds[1]);
	return err < 0 ? err : check(t, "the state was loaded");
}

/* Another process, with the same guest: its memory, rings and driver. */
static int arrive(struct trial *t, const uint8_t *bytes, size_t len)
{
	static const struct trial_plan as_it_is = { .no_prepare = true };
	int err = migration_move(t);

	if (err == 0)
		err = trial_handshake_with(t, trial_features(t),
					   trial_protocol(t) | movable.with_protocol);
	if (err == 0)
		err = load(t, bytes, len);
	return err < 0 ? err : migration_run(t, &as_it_is);
}

static int move(struct trial *t)
{
	uint8_t *bytes = malloc(PIPE_LEN);
	size_t len = 0;
	int err = bytes ? trial_stop_rings(t) : trial_error(t, "memory for a state");

	if (err == 0)
		err = save(t, bytes, &len);
	if (err == 0)
		err = arrive(t, bytes, len);
	free(bytes);
	return err;
}

int case_vc_state_open(struct trial *t)
{
	unsigned int id;
	int err = con_start_join_any(t, &movable, &id);

	if (err == 0)
		err = con_post_input(t, id, 8, CON_PAGE);
	con_leave(t);
	if (err == 0)
		err = con_expect(t, id, CONSOLE_PORT_OPEN, 0, NULL);
	if (err == 0)
		err = move(t);
	if (err == 0)
		err = con_reach_again(t, id);
	if (err == 0)
		err = con_peer_write(t, "moved", 5);
	return err < 0 ? err
		       : con_expect_input(t, id, "moved", 5, "input after the state was loaded");
}

int case_vc_state_host(struct trial *t)
{
	unsigned int id;
	int err = con_start_join_any(t, &movable, &id);

	if (err == 0)
		err = move(t);
	con_leave(t);
	return err < 0 ? err : con_expect(t, id, CONSOLE_PORT_OPEN, 0, NULL);
}
