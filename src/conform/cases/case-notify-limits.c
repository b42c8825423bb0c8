/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Notifications that cannot be delivered, that are for nothing, that change hands, that tell of
 * faults. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conform/cases/case-list.h"
#include "conform/cases/case-setup.h"

/* A poller that gets little of a processor now may get more of it later. */
enum { CALM_PERCENT = 20, BUSY_PERCENT = 50 };

static const struct trial_plan no_inband = {
	.without_protocol = BIT(VHU_PF_INBAND_NOTIFICATIONS_BIT),
};

/* Requests that each want a call; nobody waits for it. */
static int served_uncalled(struct trial *t)
{
	int err = 0;

	for (unsigned int i = 0; i < 8 && err == 0; i++) {
		driverq_calls_on(&t->fe.rings[trial_ring(t)].q);
		err = setup_exchange_uncalled(t, 1);
	}
	return err < 0 ? err : trial_ping(t);
}

/*
 * An eventfd that takes no more; what was in it is gone. Never blocks: what the
 * back-end writes in between is taken out again.
 */
static int fill_eventfd(struct trial *t, int fd)
{
	static const uint64_t most = UINT64_MAX - 1;
	int flags = fcntl(fd, F_GETFL);
	ssize_t n = -1;

	fcntl(fd, F_SETFL, flags | O_NONBLOCK);
	for (unsigned int i = 0; i < 100 && n < 0; i++) {
		uint64_t value;

		if (read(fd, &value, sizeof(value)) < 0 && errno != EAGAIN)
			break;
		n = write(fd, &most, sizeof(most));
	}
	fcntl(fd, F_SETFL, flags);
	return n < 0 ? trial_error(t, "an eventfd: %s", strerror(errno)) : 0;
}

static int called_through_full_eventfd(struct trial *t, int flags, bool full_when_given)
{
	AUTO_FD int fd = eventfd(0, EFD_CLOEXEC | flags);
	int err = fd < 0 ? trial_error(t, "an eventfd") : trial_boot(t, &no_inband);

	if (err == 0 && full_when_given)
		err = fill_eventfd(t, fd);
	if (err == 0)
		err = setup_fd(t, VHU_FE_SET_VRING_CALL, trial_ring(t), fd);
	if (err == 0 && !full_when_given)
		err = fill_eventfd(t, fd);
	return err < 0 ? err : served_uncalled(t);
}

int case_notify_call_full(struct trial *t)
{
	return called_through_full_eventfd(t, EFD_NONBLOCK, false);
}

int case_notify_call_given_full(struct trial *t)
{
	return called_through_full_eventfd(t, EFD_NONBLOCK, true);
}

int case_notify_call_full_blocking(struct trial *t)
{
	return called_through_full_eventfd(t, 0, false);
}

static int make_pair(struct trial *t, bool stream, int ends[2])
{
	int err = stream ? socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends)
			 : pipe2(ends, O_CLOEXEC);

	return err < 0 ? trial_error(t, "a pair of descriptors: %s", strerror(errno)) : 0;
}

/* Both ends block, as UML's do; ours is never read. */
int case_notify_call_full_socket(struct trial *t)
{
	static const uint64_t one = 1;
	AUTO_FD int ours = -1;
	AUTO_FD int theirs = -1;
	int ends[2], flags, err = trial_boot(t, &no_inband);

	if (err == 0)
		err = make_pair(t, true, ends);
	if (err < 0)
		return err;
	ours = ends[0];
	theirs = ends[1];
	err = setup_fd(t, VHU_FE_SET_VRING_CALL, trial_ring(t), theirs);
	flags = fcntl(theirs, F_GETFL);
	fcntl(theirs, F_SETFL, flags | O_NONBLOCK);
	while (write(theirs, &one, sizeof(one)) > 0)
		;
	fcntl(theirs, F_SETFL, flags);
	return err < 0 ? err : served_uncalled(t);
}

/* Nobody will ever read it: EPIPE, and a signal for those who do not expect it. */
static int called_into_nothing(struct trial *t, bool stream)
{
	int ends[2], err = trial_boot(t, &no_inband);

	if (err == 0)
		err = make_pair(t, stream, ends);
	if (err < 0)
		return err;
	err = setup_fd(t, VHU_FE_SET_VRING_CALL, trial_ring(t), ends[1]);
	fd_close(ends[0]);
	fd_close(ends[1]);
	return err < 0 ? err : served_uncalled(t);
}

int case_notify_call_socket_closed(struct trial *t)
{
	return called_into_nothing(t, true);
}

int case_notify_call_pipe_closed(struct trial *t)
{
	return called_into_nothing(t, false);
}

/* Kicks for nothing. */

/* Idle before means idle after: a back-end that polls anyway cannot be judged. */
static int was_idle(struct trial *t)
{
	unsigned int percent;
	int err = setup_cpu_percent(t, trial_ms(t, 150), &percent);

	if (err == 0 && percent > CALM_PERCENT)
		err = trial_na(t, "the back-end uses %u %% of a core without anything to do",
			       percent);
	return err;
}

static int stays_idle(struct trial *t, const char *after)
{
	unsigned int percent;
	int err = trial_pass(t, trial_ms(t, 20));

	if (err == 0)
		err = setup_cpu_percent(t, trial_ms(t, 300), &percent);
	if (err == 0 && percent > BUSY_PERCENT)
		err = trial_fail(t,
				 "%s: expected the back-end to be idle, but it uses %u %% of a "
				 "core",
				 after, percent);
	return err;
}

int case_notify_spurious(struct trial *t)
{
	unsigned int ring = trial_ring(t);
	int err = trial_boot(t, &no_inband);

	for (unsigned int i = 0; i < 1000 && err == 0; i++)
		err = trial_kick(t, ring);
	if (err == 0)
		err = trial_ping(t);
	return err < 0 || !t->device ? err : trial_exchange(t, 4);
}

int case_notify_spurious_cost(struct trial *t)
{
	int err = trial_boot(t, &no_inband);

	if (err == 0)
		err = was_idle(t);
	for (unsigned int i = 0; i < 1000 && err == 0; i++)
		err = trial_kick(t, trial_ring(t));
	return err < 0 ? err : stays_idle(t, "after 1000 kicks for nothing");
}

/* That it should be taken is what another case is about. */
static int give_kick(struct trial *t, unsigned int ring, int fd, bool stream)
{
	int err = vhu_frontend_vring_fd(&t->fe, VHU_FE_SET_VRING_KICK, ring, fd, true);

	if (err == 0 && vhu_nego_has_feature(&t->fe.nego, VHU_F_PROTOCOL_FEATURES_BIT))
		err = vhu_frontend_vring(&t->fe, VHU_FE_SET_VRING_ENABLE, ring, 1, true);
	if (err == -EREMOTEIO || err == -ECONNRESET) {
		t->closed = err == -ECONNRESET;
		return trial_na(t, "a %s is not taken as a kick descriptor",
				stream ? "socket" : "pipe");
	}
	return trial_step(t, err, "a %s as kick descriptor", stream ? "socket" : "pipe");
}

static int kick_ends(struct trial *t, bool stream)
{
	unsigned int ring = trial_ring(t);
	int ends[2], err = trial_boot(t, &no_inband);

	if (err == 0)
		err = was_idle(t);
	if (err == 0)
		err = setup_without_kick(t, ring);
	if (err == 0)
		err = make_pair(t, stream, ends);
	if (err < 0)
		return err;
	err = give_kick(t, ring, ends[0], stream);
	fd_close(ends[0]);
	fd_close(ends[1]);
	if (err < 0)
		return err;
	err = stays_idle(t, "after the driver's end of the kick descriptor was closed");
	return err < 0 ? err : trial_goes_on(t, "the end of a kick descriptor");
}

int case_notify_kick_pipe_ends(struct trial *t)
{
	return kick_ends(t, false);
}

int case_notify_kick_socket_ends(struct trial *t)
{
	return kick_ends(t, true);
}

/* Calls that change hands. */

static bool was_called(int fd)
{
	uint64_t value;

	return read(fd, &value, sizeof(value)) > 0;
}

/*
 * One completion around a change from old to new: after the acknowledgement old
 * is not written any more, and one of the two tells of it.
 */
static int change_call(struct trial *t, int old, int new)
{
	unsigned int ring = trial_ring(t);
	uint16_t used = t->fe.rings[ring].q.last_used;
	struct trial_request request;
	bool called;
	int err = trial_offer(t, NULL, &request);

	driverq_calls_on(&t->fe.rings[ring].q);
	if (err == 0)
		err = trial_publish(t);
	if (err == 0)
		err = setup_fd(t, VHU_FE_SET_VRING_CALL, ring, new);
	if (err < 0)
		return err;
	called = was_called(old);
	if (!setup_used_moves(t, ring, used, trial_ms(t, TRIAL_ANSWER_MS)))
		return trial_fail(t,
				  "a request while the call descriptor changes: expected it back, "
				  "but it is not");
	if (!called && !setup_readable(t, new, trial_ms(t, TRIAL_ANSWER_MS)))
		err = trial_fail(t, "a completion while the call descriptor changes: expected a "
				    "call on either, but none came");
	if (err == 0 && was_called(old))
		err = trial_fail(t,
				 "after SET_VRING_CALL was acknowledged: expected no call on the "
				 "old descriptor, but one came");
	return err < 0 ? err : trial_answered(t, &request);
}

int case_notify_call_swap(struct trial *t)
{
	AUTO_FD int a = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	AUTO_FD int b = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	int err = a < 0 || b < 0 ? trial_error(t, "eventfds") : trial_boot(t, &no_inband);

	if (err == 0)
		err = setup_fd(t, VHU_FE_SET_VRING_CALL, trial_ring(t), a);
	for (unsigned int i = 0; i < 50 && err == 0; i++) {
		int old = i % 2 == 0 ? a : b, new = i % 2 == 0 ? b : a;

		err = change_call(t, old, new);
		if (err == 0)
			err = trial_pass(t, 1);
		if (err == 0 && was_called(old))
			err = trial_fail(t, "some time after SET_VRING_CALL: expected no call on "
					    "the old descriptor, but one came");
		was_called(new); /* a call for nothing after the change is allowed */
	}
	return err;
}

/* Faults. */

int case_notify_err(struct trial *t)
{
	unsigned int ring = trial_ring(t);
	uint16_t used;
	int err = trial_boot(t, &no_inband);

	if (err == 0)
		err = trial_exchange(t, 1);
	if (err < 0)
		return err;
	used = trial_used_idx(t, ring);
	trial_avail(t, ring, TRIAL_RING + 1); /* no such descriptor */
	err = trial_kick(t, ring);
	if (err == 0 && setup_readable(t, t->fe.rings[ring].err_fd, trial_ms(t, TRIAL_QUIET_MS))) {
		if (trial_used_idx(t, ring) != used)
			err = trial_fail(t, "a chain that begins outside of the ring: expected the "
					    "ring to stop, but its used index moved");
		return err < 0 ? err : trial_goes_on(t, "a fault of the ring");
	}
	if (err == 0)
		err = trial_goes_on(t, "a fault of the ring");
	if (err < 0)
		return err;
	if (t->closed)
		return trial_remark(t, "a fault of a ring ends the connection");
	return trial_fail(t, "a chain that begins outside of the ring: expected the error "
			     "descriptor to be signalled, but it was not");
}
