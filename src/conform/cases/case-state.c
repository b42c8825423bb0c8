/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Rings that are stopped, started, enabled and disabled. */
#include <unistd.h>

#include "conform/cases/case-list.h"
#include "conform/cases/case-setup.h"

/* A request is shown to the device, and it is kicked whether it listens or not. */
static int show_request(struct trial *t, struct trial_request *request)
{
	int err = trial_offer(t, NULL, request);

	setup_publish_unkicked(t);
	return err < 0 ? err : trial_kick(t, trial_ring(t));
}

int case_state_initial(struct trial *t)
{
	static const struct trial_plan plan = {
		.no_kick = true,
		.no_enable = true,
		.no_prepare = true,
	};
	struct trial_request request;
	int err = trial_boot(t, &plan);

	if (err == 0)
		err = show_request(t, &request);
	return err < 0 ? err : trial_quiet(t, trial_ring(t));
}

/* The ring is stopped, and a request waits in it: *ret_base is where the ring goes on. */
static int stop_with_backlog(struct trial *t, struct trial_request *request, uint16_t *ret_base)
{
	int err = setup_offer_stopped(t, request, ret_base);

	setup_publish_unkicked(t);
	return err;
}

/* The kick descriptor is new, so that no kick of before is in it. */
static int fresh_kick(struct trial *t)
{
	unsigned int idx = trial_ring(t);
	uint64_t value;
	struct vhu_frontend_ring *r = &t->fe.rings[idx];

	/* A count of 0 would block. */
	if (setup_readable(t, r->kick_fd, 0) && read(r->kick_fd, &value, sizeof(value)) < 0)
		return trial_error(t, "a kick descriptor");
	return 0;
}

int case_state_starts_by_message(struct trial *t)
{
	struct trial_request request;
	uint16_t base;
	int err = stop_with_backlog(t, &request, &base);

	if (err == 0)
		err = fresh_kick(t);
	if (err == 0)
		err = setup_resume(t, trial_ring(t), base);
	return err < 0 ? err : trial_answered(t, &request);
}

int case_state_nothing_available(struct trial *t)
{
	int err = trial_boot(t, NULL);

	if (err == 0)
		err = trial_pass(t,
				 trial_ms(t, 20)); /* calls for nothing are allowed at the start */
	if (err == 0)
		err = trial_quiet(t, trial_ring(t));
	if (err == 0)
		err = trial_ping(t);
	return err < 0 || !t->device ? err : trial_exchange(t, 1);
}

int case_state_stopped_rests(struct trial *t)
{
	unsigned int ring = trial_ring(t);
	struct trial_request request;
	uint16_t base;
	int err = stop_with_backlog(t, &request, &base);

	vhu_frontend_take_calls(&t->fe, ring);
	if (err == 0)
		err = setup_enable(t, ring, true);
	if (err == 0)
		err = trial_kick(t, ring);
	if (err == 0)
		err = trial_quiet(t, ring);
	if (err == 0)
		err = setup_resume(t, ring, base);
	return err < 0 ? err : trial_answered(t, &request);
}

int case_state_enabled_before(struct trial *t)
{
	unsigned int ring = trial_ring(t);
	int err = setup_all_but_ring(t, NULL);

	if (err == 0)
		err = setup_enable(t, ring, true);
	if (err == 0)
		err = setup_all_but_enable(t, ring, 0);
	if (err == 0)
		err = trial_prepare(t);
	return err < 0 ? err : trial_exchange(t, 2);
}

/* Everything of a stopped ring except that it is disabled. */
static int resume_disabled(struct trial *t, uint16_t base)
{
	unsigned int ring = trial_ring(t);
	int err = setup_enable(t, ring, false);

	return err < 0 ? err : setup_all_but_enable(t, ring, base);
}

/* What a disabled ring did with a request: it may hold it or discard it, never answer it. */
static int judge_disabled(struct trial *t, const struct trial_request *request, uint16_t used,
			  bool *ret_discarded)
{
	unsigned int ring = trial_ring(t);
	uint32_t id, len;

	*ret_discarded = setup_used_moves(t, ring, used, trial_ms(t, TRIAL_QUIET_MS));
	if (!*ret_discarded)
		return 0;
	trial_used_entry(t, ring, used, &id, &len);
	if (len > 0 && request->r.in_len > 0)
		return trial_fail(t,
				  "a disabled ring: expected no effects, but a request was "
				  "answered with %u bytes",
				  len);
	return 0;
}

static int starts_disabled(struct trial *t, bool kick_again, bool *ret_discarded)
{
	unsigned int ring = trial_ring(t);
	struct trial_request request;
	uint16_t base, used;
	int err = stop_with_backlog(t, &request, &base);

	if (err < 0)
		return err;
	used = t->fe.rings[ring].q.last_used;
	err = resume_disabled(t, base);
	if (err == 0)
		err = trial_kick(t, ring);
	if (err == 0)
		err = judge_disabled(t, &request, used, ret_discarded);
	if (err == 0)
		err = setup_enable(t, ring, true);
	if (err == 0 && kick_again)
		err = trial_kick(t, ring);
	if (err < 0)
		return err;
	/* One that discarded it has given it back already. */
	if (!*ret_discarded)
		return trial_answered(t, &request);
	err = trial_await_used_idx(t, ring, (uint16_t)(used + 1));
	return err < 0 ? err : trial_restart_ring(t, ring);
}

int case_state_disabled_before(struct trial *t)
{
	bool discarded;
	int err = starts_disabled(t, true, &discarded);

	return err < 0 ? err : trial_exchange(t, 2);
}

int case_state_disabled_running(struct trial *t)
{
	unsigned int ring = trial_ring(t);
	struct trial_request request;
	bool discarded = false;
	uint16_t used;
	int err = trial_boot(t, NULL);

	if (err == 0)
		err = trial_exchange(t, 2);
	if (err == 0)
		err = setup_enable(t, ring, false);
	if (err < 0)
		return err;
	used = t->fe.rings[ring].q.last_used;
	err = show_request(t, &request);
	if (err == 0)
		err = judge_disabled(t, &request, used, &discarded);
	if (err == 0 && discarded)
		trial_remark(t, "requests of a disabled ring are discarded");
	return err;
}

int case_state_backlog(struct trial *t)
{
	bool discarded;
	int err = starts_disabled(t, false, &discarded);

	if (err == 0 && discarded)
		trial_remark(t, "what comes while a ring is disabled is discarded");
	return err < 0 ? err : trial_exchange(t, 2);
}

/* UML suspends and cloud-hypervisor pauses like this. */
int case_state_pause(struct trial *t)
{
	unsigned int ring = trial_ring(t);
	int err = trial_boot(t, NULL);

	for (unsigned int i = 0; i < 8 && err == 0; i++) {
		err = trial_exchange(t, 2);
		if (err == 0)
			err = setup_enable(t, ring, false);
		if (err == 0)
			err = setup_enable(t, ring, true);
	}
	return err < 0 ? err : trial_exchange(t, 2);
}

int case_state_enable_unconfigured(struct trial *t)
{
	unsigned int n = t->target->info.n_rings;
	int err = trial_handshake(t);

	for (unsigned int i = 0; i < n && err == 0; i++)
		err = setup_enable(t, i, true);
	for (unsigned int i = 0; i < n && err == 0; i++)
		err = setup_enable(t, i, false);
	return err < 0 ? err : trial_ping(t);
}

int case_state_enable_unnegotiated(struct trial *t)
{
	struct vhu_msg msg;
	int err = trial_handshake_with(t, trial_features(t) & ~BIT(VHU_F_PROTOCOL_FEATURES_BIT),
				       trial_protocol(t));

	if (err < 0)
		return err;
	trial_msg_vring(t, &msg, VHU_FE_SET_VRING_ENABLE, 0, 1);
	return trial_survives(t, &msg, NULL, "SET_VRING_ENABLE without PROTOCOL_FEATURES");
}

int case_state_enable_value(struct trial *t)
{
	static const uint32_t values[] = { 2, 0x100, UINT32_MAX };
	int err = trial_handshake(t);

	for (size_t i = 0; i < ARRAY_SIZE(values) && err == 0; i++) {
		struct vhu_msg msg;

		trial_msg_vring(t, &msg, VHU_FE_SET_VRING_ENABLE, 0, values[i]);
		err = trial_refused(t, &msg, "SET_VRING_ENABLE of %u", values[i]);
		if (err < 0 || setup_is_over(t))
			return err;
		err = trial_refresh(t);
	}
	return err;
}
