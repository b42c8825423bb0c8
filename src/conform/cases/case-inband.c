/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Kicks and calls that are messages (INBAND_NOTIFICATIONS). */
#include "conform/cases/case-list.h"
#include "conform/cases/case-setup.h"

/* In-band and without any descriptor: no kick, no call. */
static int boot_inband(struct trial *t)
{
	static const struct trial_plan plan = {
		.with_protocol = BIT(VHU_PF_INBAND_NOTIFICATIONS_BIT),
		.call = VHU_CALL_NONE,
		.no_kick = true,
	};
	int err = trial_boot(t, &plan);

	if (err == 0 && t->fe.channel_fd < 0)
		err = trial_na(t, "there is no back-end channel");
	return err;
}

/* The first kick starts the ring: there was no SET_VRING_KICK. */
int case_inband_kick(struct trial *t)
{
	int err = boot_inband(t);

	return err < 0 ? err : trial_exchange(t, 4);
}

int case_inband_kick_done(struct trial *t)
{
	unsigned int ring = trial_ring(t);
	int err = boot_inband(t);

	for (unsigned int i = 0; i < 8 && err == 0; i++) {
		uint16_t used = t->fe.rings[ring].q.last_used;
		struct trial_request request;

		err = trial_offer(t, NULL, &request);
		setup_publish_unkicked(t);
		if (err == 0) /* which asks for an acknowledgement */
			err = trial_kick(t, ring);
		if (err == 0 && trial_used_idx(t, ring) == used)
			err = trial_fail(t,
					 "VRING_KICK was acknowledged: expected the ring to have "
					 "been processed, but the request is not back");
		if (err == 0)
			err = trial_answered(t, &request);
	}
	return err;
}

/* Waits for n more calls by message. */
static int await_calls(struct trial *t, unsigned int ring, unsigned int n)
{
	int slices = trial_ms(t, TRIAL_ANSWER_MS) / 2;

	while (t->fe.heard.n_calls[ring] < n && slices-- > 0) {
		int err = trial_pass(t, 2);

		if (err < 0)
			return err;
	}
	if (t->fe.heard.n_calls[ring] >= n)
		return 0;
	return trial_fail(t, "a completion on a ring without call descriptor: expected "
			     "BACKEND_VRING_CALL, but it did not come");
}

int case_inband_call(struct trial *t)
{
	unsigned int ring = trial_ring(t);
	int err = boot_inband(t);

	for (unsigned int i = 0; i < 4 && err == 0; i++) {
		unsigned int n_calls = t->fe.heard.n_calls[ring];
		struct trial_request request;

		err = trial_offer(t, NULL, &request);
		driverq_calls_on(&t->fe.rings[ring].q);
		if (err == 0)
			err = trial_publish(t);
		if (err == 0)
			err = await_calls(t, ring, n_calls + 1);
		if (err == 0)
			err = trial_answered(t, &request);
	}
	return err;
}

static int is_called(struct trial *t, int fd)
{
	if (setup_readable(t, fd, trial_ms(t, TRIAL_ANSWER_MS)))
		return 0;
	return trial_fail(t,
			  "a completion on a ring with a call descriptor: expected a call on it, "
			  "but none came");
}

int case_inband_descriptor_first(struct trial *t)
{
	static const struct trial_plan plan = {
		.with_protocol = BIT(VHU_PF_INBAND_NOTIFICATIONS_BIT),
	};
	unsigned int ring = trial_ring(t);
	struct trial_request request;
	unsigned int n_calls;
	int err = trial_boot(t, &plan);

	if (err < 0)
		return err;
	vhu_frontend_take_calls(&t->fe, ring);
	n_calls = t->fe.heard.n_calls[ring];
	err = trial_offer(t, NULL, &request);
	driverq_calls_on(&t->fe.rings[ring].q);
	if (err == 0)
		err = trial_publish(t);
	if (err == 0)
		err = is_called(t, t->fe.rings[ring].call_fd);
	if (err == 0)
		err = trial_answered(t, &request);
	if (err == 0)
		err = trial_pass(t, trial_ms(t, TRIAL_QUIET_MS));
	if (err == 0 && t->fe.heard.n_calls[ring] != n_calls)
		err = trial_fail(t, "a ring with a call descriptor: expected no "
				    "BACKEND_VRING_CALL, but one came");
	return err;
}

/* The back-end wants its call acknowledged while we wait for our own acknowledgement. */
int case_inband_late_answer(struct trial *t)
{
	unsigned int ring = trial_ring(t);
	int err = boot_inband(t);

	for (unsigned int i = 0; i < 4 && err == 0; i++) {
		struct trial_request request;

		t->fe.channel_silent = true;
		err = trial_offer(t, NULL, &request);
		driverq_calls_on(&t->fe.rings[ring].q);
		setup_publish_unkicked(t);
		if (err == 0) /* waits for its acknowledgement and answers nothing */
			err = trial_kick(t, ring);
		if (err == 0)
			err = trial_ping(t);
		if (err == 0)
			err = trial_step(t, vhu_frontend_speak(&t->fe), "answers on the channel");
		if (err == 0)
			err = trial_answered(t, &request);
	}
	return err;
}
