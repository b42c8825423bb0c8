/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Kick, call and error descriptors: how they are given, and what may be given. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conform/cases/case-list.h"
#include "conform/cases/case-setup.h"

static const enum vhu_fe_id ring_fds[] = { VHU_FE_SET_VRING_CALL, VHU_FE_SET_VRING_ERR,
					   VHU_FE_SET_VRING_KICK };

/* Words and descriptors. */

int case_notify_reserved_bits(struct trial *t)
{
	unsigned int ring = trial_ring(t);
	int err = trial_boot(t, NULL);

	if (err == 0)
		err = setup_without_kick(t, ring);
	for (size_t i = 0; i < ARRAY_SIZE(ring_fds) && err == 0; i++) {
		const struct vhu_frontend_ring *r = &t->fe.rings[ring];
		struct vhu_msg msg;

		trial_msg_u64(t, &msg, ring_fds[i], ring | 0x200);
		msg.fds.fd[msg.fds.n_fds++] = i == 0   ? r->call_peer
					      : i == 1 ? r->err_fd
						       : r->kick_fd;
		err = trial_survives(t, &msg, NULL, "%s with bit 9 set",
				     vhu_msg_name(VHU_FE, ring_fds[i]));
		if (err < 0 || t->closed)
			return err;
	}
	if (err == 0)
		err = setup_enable(t, ring, true);
	return err < 0 || !t->device ? err : trial_exchange(t, 2);
}

static int word_refused(struct trial *t, enum vhu_fe_id id, bool nofd, bool with_fd)
{
	struct vhu_msg msg;
	int err = trial_boot(t, NULL);

	if (err == 0 && id == VHU_FE_SET_VRING_KICK)
		err = setup_without_kick(t, trial_ring(t));
	if (err < 0)
		return err;
	trial_msg_u64(t, &msg, id, trial_ring(t) | (nofd ? VHU_VRING_NOFD : 0));
	if (with_fd)
		msg.fds.fd[msg.fds.n_fds++] = t->fe.rings[trial_ring(t)].err_fd;
	return trial_refused(t, &msg, "%s with the no-fd bit %s and %s descriptor",
			     vhu_msg_name(VHU_FE, id), nofd ? "set" : "clear",
			     with_fd ? "a" : "no");
}

int case_notify_kick_missing(struct trial *t)
{
	return word_refused(t, VHU_FE_SET_VRING_KICK, false, false);
}

int case_notify_call_missing(struct trial *t)
{
	return word_refused(t, VHU_FE_SET_VRING_CALL, false, false);
}

int case_notify_err_missing(struct trial *t)
{
	return word_refused(t, VHU_FE_SET_VRING_ERR, false, false);
}

int case_notify_kick_despite(struct trial *t)
{
	return word_refused(t, VHU_FE_SET_VRING_KICK, true, true);
}

int case_notify_call_despite(struct trial *t)
{
	return word_refused(t, VHU_FE_SET_VRING_CALL, true, true);
}

int case_notify_err_despite(struct trial *t)
{
	return word_refused(t, VHU_FE_SET_VRING_ERR, true, true);
}

/* Polling and silence. In-band notifications would take the place of descriptors. */

static const struct trial_plan no_inband = {
	.without_protocol = BIT(VHU_PF_INBAND_NOTIFICATIONS_BIT),
};

int case_notify_polled(struct trial *t)
{
	unsigned int ring = trial_ring(t);
	int err = trial_boot(t, &no_inband);

	if (err == 0)
		err = setup_restart_kick(t, ring, -1, t->fe.rings[ring].kick_fd);
	for (unsigned int i = 0; i < 4 && err == 0; i++) {
		uint16_t used = t->fe.rings[ring].q.last_used;
		struct trial_request request;

		err = trial_offer(t, NULL, &request);
		setup_publish_unkicked(t);
		if (err < 0)
			return err;
		if (!setup_used_moves(t, ring, used, trial_ms(t, TRIAL_ANSWER_MS)))
			return trial_fail(t, "a ring without a kick descriptor: expected it to be "
					     "polled, but a request stays");
		err = trial_answered(t, &request);
	}
	return err;
}

/* What the polling costs while there is nothing to do: recorded. */
int case_notify_polled_cost(struct trial *t)
{
	unsigned int percent, ring = trial_ring(t);
	int err = trial_boot(t, &no_inband);

	if (err == 0)
		err = setup_restart_kick(t, ring, -1, t->fe.rings[ring].kick_fd);
	if (err == 0)
		err = setup_cpu_percent(t, trial_ms(t, 300), &percent);
	if (err == 0)
		trial_remark(t, "an idle ring without a kick descriptor costs %u %% of a core",
			     percent);
	return err < 0 ? err : trial_ping(t);
}

int case_notify_no_call(struct trial *t)
{
	unsigned int ring = trial_ring(t);
	int err = trial_boot(t, &no_inband);

	if (err == 0)
		err = trial_exchange(t, 1);
	if (err == 0)
		err = setup_fd(t, VHU_FE_SET_VRING_CALL, ring, -1);
	if (err < 0)
		return err;
	vhu_frontend_take_calls(&t->fe, ring);
	driverq_calls_on(&t->fe.rings[ring].q);
	err = setup_exchange_uncalled(t, 4);
	if (err == 0 && vhu_frontend_take_calls(&t->fe, ring))
		err = trial_fail(t, "SET_VRING_CALL without a descriptor: expected no calls, but "
				    "one came on the old one");
	return err;
}

/* Front-ends do send SET_VRING_CALL, and back-ends that wait for it exist: a warning. */
static int serves_without_call(struct trial *t)
{
	unsigned int ring = trial_ring(t);
	uint16_t used = t->fe.rings[ring].q.last_used;
	struct trial_request request;
	int err = trial_offer(t, NULL, &request);

	if (err == 0)
		err = trial_publish(t);
	if (err < 0)
		return err;
	if (!setup_used_moves(t, ring, used, trial_ms(t, TRIAL_ANSWER_MS)))
		return trial_warn(t,
				  "a ring for which SET_VRING_CALL never came: expected a request "
				  "to be processed, but it stays");
	err = trial_answered(t, &request);
	return err < 0 ? err : setup_exchange_uncalled(t, 3);
}

/* The ring's set-up with SET_VRING_CALL left out, or sent last. */
static int call_later(struct trial *t, bool at_all)
{
	unsigned int ring = trial_ring(t);
	const struct vhu_frontend_ring *r;
	uint16_t base;
	int err = trial_boot(t, &no_inband);

	if (err == 0)
		err = trial_stop_ring(t, ring, &base);
	if (err < 0)
		return err;
	r = &t->fe.rings[ring];
	err = setup_place(t, ring, base);
	if (err == 0)
		err = setup_fd(t, VHU_FE_SET_VRING_KICK, ring, r->kick_fd);
	if (err == 0)
		err = setup_enable(t, ring, true);
	if (err == 0 && !at_all)
		return serves_without_call(t);
	if (err < 0)
		return err;
	err = setup_fd(t, VHU_FE_SET_VRING_CALL, ring, r->call_peer);
	return err < 0 ? err : trial_exchange(t, 3);
}

int case_notify_call_never(struct trial *t)
{
	return call_later(t, false);
}

int case_notify_call_last(struct trial *t)
{
	return call_later(t, true);
}

/* Other things than eventfds. */

int case_notify_call_socket(struct trial *t)
{
	static const struct trial_plan plan = {
		.call = VHU_CALL_SOCKET,
		.without_protocol = BIT(VHU_PF_INBAND_NOTIFICATIONS_BIT),
	};
	int err = trial_boot(t, &plan);

	return err < 0 ? err : trial_exchange(t, 8);
}

/* Rings that run, and what may stand for an eventfd: what one end is written, the other reads. */
static int boot_with_pair(struct trial *t, bool stream, int ends[2])
{
	int err = trial_boot(t, &no_inband);

	if (err < 0)
		return err;
	err = stream ? socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends)
		     : pipe2(ends, O_CLOEXEC);
	return err < 0 ? trial_error(t, "a pair of descriptors: %s", strerror(errno)) : 0;
}

static int kicked_through(struct trial *t, bool stream)
{
	int ends[2], err = boot_with_pair(t, stream, ends);

	if (err < 0)
		return err;
	err = setup_restart_kick(t, trial_ring(t), ends[0], ends[1]);
	fd_close(ends[0]);
	return err < 0 ? err : trial_exchange(t, 8);
}

int case_notify_kick_pipe(struct trial *t)
{
	return kicked_through(t, false);
}

int case_notify_kick_socket(struct trial *t)
{
	return kicked_through(t, true);
}

int case_notify_call_pipe(struct trial *t)
{
	unsigned int ring = trial_ring(t);
	struct vhu_frontend_ring *r;
	int ends[2], err = boot_with_pair(t, false, ends);

	if (err < 0)
		return err;
	r = &t->fe.rings[ring];
	if (r->call_peer != r->call_fd)
		fd_close(r->call_peer);
	fd_close(r->call_fd);
	r->call_fd = ends[0];
	r->call_peer = ends[1];
	err = setup_fd(t, VHU_FE_SET_VRING_CALL, ring, r->call_peer);
	return err < 0 ? err : trial_exchange(t, 8);
}

int case_notify_kick_value(struct trial *t)
{
	static const uint64_t values[] = { 0xfffe, 1, 0x100000000, 0x8000000000000000, 2 };
	unsigned int ring = trial_ring(t);
	int err = trial_boot(t, &no_inband);

	for (size_t i = 0; i < ARRAY_SIZE(values) && err == 0; i++) {
		uint16_t used = t->fe.rings[ring].q.last_used;
		struct trial_request request;

		err = trial_offer(t, NULL, &request);
		setup_publish_unkicked(t);
		if (err < 0)
			return err;
		if (write(t->fe.rings[ring].kick_fd, &values[i], sizeof(values[i])) < 0)
			return trial_error(t, "a kick: %s", strerror(errno));
		if (!setup_used_moves(t, ring, used, trial_ms(t, TRIAL_ANSWER_MS)))
			return trial_fail(t,
					  "a kick of value %#llx: expected the request to be "
					  "processed, but it stays",
					  (unsigned long long)values[i]);
		err = trial_answered(t, &request);
	}
	return err;
}

/* Flags are those of the file, and so the front-end's as well. */
int case_notify_flags_kept(struct trial *t)
{
	unsigned int ring = trial_ring(t);
	int kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), before, after;
	int err = kick < 0 ? trial_error(t, "an eventfd") : trial_boot(t, &no_inband);
	const struct vhu_frontend_ring *r;

	if (err == 0)
		err = trial_exchange(t, 2);
	if (err < 0) {
		fd_close(kick);
		return err;
	}
	r = &t->fe.rings[ring];
	if ((fcntl(r->kick_fd, F_GETFL) & O_NONBLOCK) != 0)
		trial_remark(t, "a kick descriptor is made non-blocking for both sides");
	before = fcntl(r->call_fd, F_GETFL);
	err = setup_restart_kick(t, ring, kick, kick);
	if (err == 0)
		err = trial_exchange(t, 2);
	after = fcntl(kick, F_GETFL);
	if (err == 0 && !(after & O_NONBLOCK))
		err = trial_fail(t,
				 "a non-blocking kick descriptor: expected it to stay so, but it "
				 "blocks now");
	after = fcntl(r->call_fd, F_GETFL);
	if (err == 0 && (before & O_NONBLOCK) && !(after & O_NONBLOCK))
		err = trial_fail(t,
				 "a non-blocking call descriptor: expected it to stay so, but it "
				 "blocks now");
	return err;
}

/* As libkrun: one eventfd for the calls of every ring. */
int case_notify_shared_call(struct trial *t)
{
	unsigned int ring = trial_ring(t);
	int err = trial_boot(t, &no_inband);

	for (unsigned int i = 0; i < t->fe.n_rings && err == 0; i++)
		err = setup_fd(t, VHU_FE_SET_VRING_CALL, i, t->fe.rings[ring].call_peer);
	return err < 0 ? err : trial_exchange(t, 8);
}
