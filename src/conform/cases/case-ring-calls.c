/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Calls: when the device must notify the driver, and when it should not. */
#include <stdio.h>
#include <stdlib.h>

#include "conform/cases/case-list.h"
#include "conform/cases/case-ring-steps.h"

/* Events that a ring with EVENT_IDX, or one without, is about to be tried with. */
static int boot(struct trial *t, bool events, struct hand *ret_hand)
{
	const struct trial_plan plan = { .without_features = events ? 0 : RING_EVENT };
	int err = hand_boot(t, &plan, ret_hand);

	if (err == 0)
		ring_settle(t);
	return err;
}

/*
 * A ring with EVENT_IDX that has had its first call, which may be one too many,
 * and asks for the one of the request that is `later` entries behind the next.
 */
static int boot_for_event(struct trial *t, const struct trial_plan *plan, int later,
			  struct hand *ret_hand)
{
	int err = hand_boot(t, plan, ret_hand);

	if (err < 0)
		return err;
	ring_settle(t);
	vring_set_used_event(ret_hand->ring, ret_hand->used);
	err = hand_round(ret_hand, 0);
	ring_settle(t);
	if (err == 0)
		vring_set_used_event(ret_hand->ring, (uint16_t)(ret_hand->used + later));
	return err;
}

int case_ring_call_each(struct trial *t)
{
	AUTO(hand_fini) struct hand h = { .t = t };
	int err = boot(t, false, &h);

	if (err < 0)
		return err;
	vring_set_avail_flags(h.ring, 0);
	for (unsigned int i = 0; i < 20 && err == 0; i++) {
		err = hand_round(&h, 0);
		if (err == 0)
			err = ring_called(t, "a request without EVENT_IDX, with flags 0");
		ring_settle(t);
	}
	return err;
}

int case_ring_call_off(struct trial *t)
{
	AUTO(hand_fini) struct hand h = { .t = t };
	int err = boot(t, false, &h);

	if (err < 0)
		return err;
	vring_set_avail_flags(h.ring, VRING_AVAIL_F_NO_INTERRUPT);
	for (unsigned int i = 0; i < 10 && err == 0; i++)
		err = hand_round(&h, 0);
	return err < 0 ? err : ring_not_called(t, "10 requests without EVENT_IDX, with flags 1");
}

int case_ring_call_unevented(struct trial *t)
{
	static const uint16_t events[] = { 0, 1000, 0x7fff, 0xffff };
	AUTO(hand_fini) struct hand h = { .t = t };
	int err = boot(t, false, &h);

	if (err < 0)
		return err;
	vring_set_avail_flags(h.ring, 0);
	for (unsigned int i = 0; i < ARRAY_SIZE(events) && err == 0; i++) {
		vring_set_used_event(h.ring, (uint16_t)(h.used - 1 + events[i]));
		err = hand_round(&h, 0);
		if (err == 0)
			err = ring_called(t, "a request without EVENT_IDX, with a used_event");
		ring_settle(t);
	}
	return err;
}

int case_ring_call_flag_ignored(struct trial *t)
{
	AUTO(hand_fini) struct hand h = { .t = t };
	int err = boot(t, true, &h);

	if (err < 0)
		return err;
	vring_set_avail_flags(h.ring, VRING_AVAIL_F_NO_INTERRUPT);
	for (unsigned int i = 0; i < 3 && err == 0; i++) {
		vring_set_used_event(h.ring, h.used);
		err = hand_round(&h, 0);
		if (err == 0)
			err = ring_called(t, "a request that passes used_event, with flags 1");
		ring_settle(t);
	}
	return err;
}

int case_ring_call_third(struct trial *t)
{
	AUTO(hand_fini) struct hand h = { .t = t };
	int err = boot_for_event(t, NULL, 2, &h);

	for (unsigned int i = 0; i < 3 && err == 0; i++) {
		if (i == 2 && vhu_frontend_take_calls(&t->fe, h.idx))
			trial_remark(t, "a call comes before used_event is passed");
		err = hand_round(&h, 0);
	}
	return err < 0 ? err : ring_called(t, "the third request, with used_event at the third");
}

/* Eight entries at once, with the event somewhere among them. */
int case_ring_call_batch(struct trial *t)
{
	AUTO(hand_fini) struct hand h = { .t = t };
	int err = boot(t, true, &h);

	for (uint16_t event = 0; event < 8 && err == 0; event++) {
		vring_set_used_event(h.ring, (uint16_t)(h.used + event));
		err = hand_batch(&h, 8);
		h.used = (uint16_t)(h.used + 8);
		if (err == 0)
			err = ring_called(t, "8 requests at once that pass used_event");
		ring_settle(t);
	}
	return err;
}

int case_ring_call_early(struct trial *t)
{
	AUTO(hand_fini) struct hand h = { .t = t };
	int err = boot_for_event(t, NULL, 2, &h);

	for (unsigned int i = 0; i < 2 && err == 0; i++)
		err = hand_round(&h, 0);
	return err < 0 ? err : ring_not_called(t, "two requests, with used_event at the third");
}

int case_ring_call_never(struct trial *t)
{
	AUTO(hand_fini) struct hand h = { .t = t };
	int err = boot_for_event(t, NULL, -1, &h);

	for (unsigned int i = 0; i < 65520 / HAND_REQUESTS && err == 0; i++) {
		err = hand_batch(&h, HAND_REQUESTS);
		h.used = (uint16_t)(h.used + HAND_REQUESTS);
	}
	return err < 0 ? err : ring_not_called(t, "65504 requests, with used_event behind them");
}

int case_ring_call_wrap(struct trial *t)
{
	const struct trial_plan plan = { .base = 65530 };
	AUTO(hand_fini) struct hand h = { .t = t };
	int err = boot_for_event(t, &plan, 0, &h);

	if (err < 0)
		return err;
	vring_set_used_event(h.ring, 0);
	while (h.used != 0 && err == 0)
		err = hand_round(&h, 0);
	if (err == 0)
		err = ring_not_called(t, "requests up to index 65535, with used_event 0");
	if (err == 0)
		err = hand_round(&h, 0);
	return err < 0 ? err : ring_called(t, "the request at index 0, with used_event 0");
}

/* A ring that goes on after a stop, with the event at its next entry. */
int case_ring_call_restarted(struct trial *t)
{
	AUTO(hand_fini) struct hand h = { .t = t };
	int err = boot(t, true, &h);

	for (unsigned int i = 0; i < 3 && err == 0; i++) {
		vring_set_used_event(h.ring, (uint16_t)(h.used - 1));
		for (unsigned int n = 0; n < 5 && err == 0; n++)
			err = hand_round(&h, 0);
		if (err == 0)
			err = trial_step(
				t, vhu_frontend_vring_base(&t->fe, h.idx, &t->fe.rings[h.idx].base),
				"GET_VRING_BASE of ring %u", h.idx);
		vring_set_used_event(h.ring, h.used);
		if (err == 0)
			err = trial_start_ring(t, h.idx, NULL);
		ring_settle(t);
		if (err == 0)
			err = hand_round(&h, 0);
		if (err == 0)
			err = ring_called(t, "the first request after a restart, with used_event "
					     "at it");
		ring_settle(t);
	}
	return err;
}

int case_ring_call_empty(struct trial *t)
{
	const struct trial_plan plan = {
		.with_features = BIT(VIRTIO_F_NOTIFY_ON_EMPTY_BIT),
		.without_features = RING_EVENT,
	};
	AUTO(hand_fini) struct hand h = { .t = t };
	int err = hand_boot(t, &plan, &h);

	if (err < 0)
		return err;
	ring_settle(t);
	vring_set_avail_flags(h.ring, VRING_AVAIL_F_NO_INTERRUPT);
	err = hand_round(&h, 0);
	return err < 0 ? err : ring_called(t, "the last request, with NOTIFY_ON_EMPTY and flags 1");
}

/*
 * The driver asks for a call only to wait, looks once more, and then relies on
 * it: a call that is lost is a request that is late.
 */
static int wait_for_calls(struct trial *t, bool events)
{
	const struct trial_plan plan = { .without_features = events ? 0 : RING_EVENT };
	int err = trial_boot(t, &plan);

	return err < 0 ? err : ring_rounds(t, 20000, 1);
}

int case_ring_call_lost(struct trial *t)
{
	return wait_for_calls(t, false);
}

int case_ring_call_lost_event(struct trial *t)
{
	return wait_for_calls(t, true);
}
