/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* GET_VRING_BASE: what it answers, what is stopped by it, and what goes on afterwards. */
#include <inttypes.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "conform/cases/case-list.h"
#include "conform/cases/case-setup.h"
#include "conform/target/process.h"

enum { MANY = 30, ROUNDS = 40 };

static int stops_at(struct trial *t, unsigned int ring, uint16_t expected)
{
	uint16_t base;
	int err = trial_stop_ring(t, ring, &base);

	if (err == 0 && base != expected)
		err = trial_fail(t,
				 "GET_VRING_BASE of ring %u after %u chains came back: expected "
				 "%u, but %u came",
				 ring, expected, expected, base);
	return err;
}

int case_state_base(struct trial *t)
{
	unsigned int ring = trial_ring(t);
	int err = trial_boot(t, NULL);

	if (err == 0)
		err = trial_exchange(t, 3);
	return err < 0 ? err : stops_at(t, ring, t->fe.rings[ring].q.last_used);
}

/* Past the end of the ring, and of sixteen bits. */
int case_state_base_wraps(struct trial *t)
{
	unsigned int ring = trial_ring(t);
	uint16_t base;
	int err = trial_boot(t, NULL);

	if (err == 0)
		err = trial_stop_ring(t, ring, &base);
	if (err < 0)
		return err;
	vhu_frontend_reset_ring(&t->fe, ring);
	driverq_set_base(&t->fe.rings[ring].q, 65530);
	err = setup_resume(t, ring, 65530);
	if (err == 0)
		err = trial_exchange(t, TRIAL_RING + 10);
	return err < 0 ? err : stops_at(t, ring, (uint16_t)(65530 + TRIAL_RING + 10));
}

/* Waits until all of n requests are back, in whatever order. */
static int await_all(struct trial *t, unsigned int n)
{
	while (n-- > 0) {
		void *token;
		uint32_t len;
		int err = vhu_frontend_await_used(&t->fe, trial_ring(t), &token, &len,
						  trial_ms(t, TRIAL_ANSWER_MS));

		if (err < 0)
			return trial_step(t, err, "a request of many on ring %u", trial_ring(t));
	}
	return 0;
}

/* Every chain below the base is back, and none from it on. */
static int is_drained(struct trial *t, uint16_t base)
{
	uint16_t used = trial_used_idx(t, trial_ring(t));

	if (used == base)
		return 0;
	return trial_fail(t,
			  "GET_VRING_BASE of a busy ring: expected the chains below the base to be "
			  "back, but the base is %u and the used index %u",
			  base, used);
}

/* Every other time the back-end has begun with the requests. */
static int stop_busy(struct trial *t, bool begun, bool last, uint16_t *ret_base)
{
	unsigned int ring = trial_ring(t);
	struct trial_request requests[MANY];
	int err = 0;

	for (unsigned int i = 0; i < MANY && err == 0; i++)
		err = trial_offer(t, NULL, &requests[i]);
	if (err == 0)
		err = trial_publish(t);
	if (err == 0 && begun)
		err = trial_ping(t);
	if (err == 0)
		err = trial_stop_ring(t, ring, ret_base);
	if (err == 0)
		err = is_drained(t, *ret_base);
	/* What is back is collected, so that more of it can be told from it. */
	while (err == 0 && t->fe.rings[ring].q.last_used != *ret_base)
		err = await_all(t, 1);
	vhu_frontend_take_calls(&t->fe, ring);
	return err < 0 || !last ? err : trial_quiet(t, ring);
}

int case_state_drained(struct trial *t)
{
	unsigned int ring = trial_ring(t);
	uint16_t base;
	int err = trial_boot(t, NULL);

	for (unsigned int i = 0; i < ROUNDS && err == 0; i++) {
		err = stop_busy(t, i % 2 != 0, i + 1 == ROUNDS, &base);
		if (err == 0)
			err = setup_resume(t, ring, base);
		if (err == 0)
			err = await_all(t, t->fe.rings[ring].q.n_held);
	}
	return err < 0 ? err : trial_exchange(t, 2);
}

/* A device without its own work: nothing moves in memory that the driver sees. */
int case_state_stopped_memory(struct trial *t)
{
	unsigned int ring = trial_ring(t);
	struct trial_request request;
	uint16_t base;
	int err = setup_offer_stopped(t, &request, &base);

	if (err < 0)
		return err;
	memset(request.in_host, 0x5a, request.r.in_len);
	vhu_frontend_take_calls(&t->fe, ring);
	setup_publish_unkicked(t);
	err = trial_kick(t, ring);
	if (err == 0)
		err = trial_quiet(t, ring);
	for (size_t i = 0; i < request.r.in_len && err == 0; i++)
		if (request.in_host[i] != 0x5a)
			err = trial_fail(t,
					 "after GET_VRING_BASE: expected guest memory to stay as "
					 "it is, but byte %zu of a buffer was written",
					 i);
	return err;
}

int case_state_never_started(struct trial *t)
{
	uint16_t base;
	int err = trial_handshake(t);

	if (err == 0)
		err = trial_stop_ring(t, 0, &base);
	if (err == 0 && base != 0)
		err = trial_fail(t, "a ring that never ran: expected base 0, but %u came", base);
	if (err == 0)
		err = setup_base(t, 0, 7);
	if (err == 0)
		err = trial_stop_ring(t, 0, &base);
	if (err == 0 && base != 0 && base != 7)
		err = trial_fail(
			t, "a ring that never ran, of base 7: expected that or 0, but %u came",
			base);
	return err;
}

/* Descriptors. */

static int await_dropped(struct trial *t, int fd, const char *what)
{
	int n;

	for (int ms = 0;; ms += 20) {
		int err;

		n = process_n_fds_of(t->target->pid, fd);
		if (n < 0)
			return trial_na(t, "the descriptors of process %d cannot be seen",
					(int)t->target->pid);
		if (n == 0)
			return 0;
		if (ms >= trial_ms(t, TRIAL_ANSWER_MS))
			break;
		err = trial_pass(t, 20);
		if (err < 0)
			return err;
	}
	return trial_fail(t,
			  "after GET_VRING_BASE: expected the %s descriptor to be closed, but the "
			  "back-end holds %d of it",
			  what, n);
}

/* Whether eventfds can be told apart: one that the back-end never saw is not found there. */
static bool eventfds_differ(const struct trial *t)
{
	AUTO_FD int never_sent = eventfd(0, EFD_CLOEXEC);

	return never_sent >= 0 && process_n_fds_of(t->target->pid, never_sent) == 0;
}

int case_state_drops_fds(struct trial *t)
{
	static const struct trial_plan plan = { .call = VHU_CALL_SOCKET };
	unsigned int ring = trial_ring(t);
	const struct vhu_frontend_ring *r;
	uint16_t base;
	int err = trial_boot(t, &plan);

	if (err == 0)
		err = trial_exchange(t, 2);
	if (err < 0)
		return err;
	r = &t->fe.rings[ring];
	if (process_n_fds_of(t->target->pid, r->call_peer) <= 0)
		return trial_na(t, "the back-end's call descriptor cannot be seen");
	err = trial_stop_ring(t, ring, &base);
	if (err == 0)
		err = await_dropped(t, r->call_peer, "call");
	if (err == 0 && eventfds_differ(t))
		err = await_dropped(t, r->kick_fd, "kick");
	return err;
}

int case_state_new_fds(struct trial *t)
{
	unsigned int ring = trial_ring(t);
	struct vhu_frontend_ring *r;
	uint16_t base;
	int err = trial_boot(t, NULL);

	for (unsigned int i = 0; i < 4 && err == 0; i++) {
		err = trial_exchange(t, 2);
		if (err == 0)
			err = trial_stop_ring(t, ring, &base);
		if (err < 0)
			return err;
		r = &t->fe.rings[ring];
		fd_close(r->kick_fd);
		fd_close(r->call_fd);
		r->kick_fd = eventfd(0, EFD_CLOEXEC);
		r->call_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		r->call_peer = r->call_fd;
		if (r->kick_fd < 0 || r->call_fd < 0)
			return trial_error(t, "descriptors for a ring");
		err = setup_resume(t, ring, base);
	}
	return err < 0 ? err : trial_exchange(t, 2);
}

/* Restarts. */

/* The ring goes on where it was; with_enable: it is enabled anew. */
static int goes_on(struct trial *t, bool with_enable)
{
	unsigned int ring = trial_ring(t);
	struct trial_request request;
	uint16_t base;
	int err = setup_offer_stopped(t, &request, &base);

	if (err < 0)
		return err;
	setup_publish_unkicked(t);
	err = setup_all_but_enable(t, ring, base);
	if (err == 0 && with_enable)
		err = setup_enable(t, ring, true);
	if (err == 0)
		err = trial_kick(t, ring);
	if (err == 0)
		err = trial_answered(t, &request);
	return err < 0 ? err : trial_exchange(t, 3);
}

int case_state_stays_enabled(struct trial *t)
{
	return goes_on(t, false);
}

int case_state_restarts(struct trial *t)
{
	return goes_on(t, true);
}

int case_state_base_reserved(struct trial *t)
{
	struct vhu_vring_state state;
	struct vhu_msg msg, reply;
	int err = trial_handshake(t);

	if (err < 0)
		return err;
	trial_msg_vring(t, &msg, VHU_FE_GET_VRING_BASE, 0, 7);
	msg.flags &= ~VHU_FLAG_NEED_REPLY; /* it has a reply of its own */
	err = trial_request(t, &msg, &reply);
	if (err < 0)
		return err;
	vhu_msg_get(&reply, &state, sizeof(state));
	fdset_close(&reply.fds);
	if (state.num != 0)
		return trial_fail(t,
				  "GET_VRING_BASE with 7 in the reserved number: expected base 0 "
				  "of a ring that never ran, but %u came",
				  state.num);
	return 0;
}

/* trial_stop_ring() judges the index of each answer. */
int case_state_base_index(struct trial *t)
{
	uint16_t base;
	int err = trial_boot(t, NULL);

	for (unsigned int i = t->fe.n_rings; i-- > 0 && err == 0;)
		err = trial_stop_ring(t, i, &base);
	return err;
}

/* All and one. */

static int resume_all(struct trial *t)
{
	int err = 0;

	for (unsigned int i = 0; i < t->fe.n_rings && err == 0; i++)
		err = setup_resume(t, i, (uint16_t)t->fe.rings[i].base);
	return err;
}

int case_state_suspended(struct trial *t)
{
	struct trial_request request;
	unsigned int n_heard;
	int err = trial_boot(t, NULL);

	if (err == 0)
		err = trial_exchange(t, 2);
	if (err == 0)
		err = trial_stop_rings(t);
	if (err == 0)
		err = trial_offer(t, NULL, &request);
	if (err < 0)
		return err;
	n_heard = t->fe.heard.n_messages;
	setup_publish_unkicked(t);
	for (unsigned int i = 0; i < t->fe.n_rings && err == 0; i++)
		err = trial_kick(t, i);
	if (err == 0)
		err = trial_quiet(t, trial_ring(t));
	for (unsigned int i = 0; i < t->fe.n_rings && err == 0; i++)
		if (vhu_frontend_take_calls(&t->fe, i))
			err = trial_fail(t,
					 "all rings stopped: expected no call, but one came for "
					 "ring %u",
					 i);
	if (err == 0 && t->fe.heard.n_messages != n_heard)
		err = trial_fail(t, "all rings stopped: expected no message of the back-end, but "
				    "one came");
	if (err == 0)
		err = trial_ping(t);
	if (err == 0)
		err = resume_all(t);
	return err < 0 ? err : trial_answered(t, &request);
}

int case_state_others_run(struct trial *t)
{
	unsigned int other = t->target->info.n_rings;
	uint16_t base;
	int err = trial_boot(t, NULL);

	if (err < 0)
		return err;
	if (other > t->fe.n_rings)
		other = t->fe.n_rings;
	other--;
	if (other == trial_ring(t))
		other--;
	err = trial_exchange(t, 2);
	if (err == 0)
		err = trial_stop_ring(t, other, &base);
	if (err == 0)
		err = trial_exchange(t, 4);
	return err;
}

int case_state_kick_again(struct trial *t)
{
	unsigned int ring = trial_ring(t);
	int err = trial_boot(t, NULL);

	for (unsigned int i = 0; i < 4 && err == 0; i++) {
		int fd = eventfd(0, EFD_CLOEXEC);

		if (fd < 0)
			return trial_error(t, "a kick descriptor");
		err = setup_kick(t, ring, fd, fd);
		if (err == 0)
			err = trial_exchange(t, 3);
	}
	return err;
}
