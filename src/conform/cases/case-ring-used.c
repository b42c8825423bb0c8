/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Used entries: that they are there, once, whole, and say what was done. */
#include <stdlib.h>
#include <string.h>

#include "conform/cases/case-list.h"
#include "conform/cases/case-ring-steps.h"

enum { STREAM = 16 /* requests on their way */ };

/* Each request is shown while others are under way, without waiting for them. */
static int stream(struct trial *t, struct trial_request *q, unsigned int total)
{
	struct trial_request *back = NULL;
	int err = 0;

	for (unsigned int sent = 0, done = 0; done < total && err == 0;) {
		if (sent < total && sent < done + STREAM) {
			err = trial_offer(t, NULL, sent < STREAM ? &q[sent] : back);
			if (err == 0)
				err = trial_publish(t);
			sent++;
			if (sent < STREAM)
				continue;
		}
		if (err == 0)
			err = ring_collect(t, q, STREAM, &back);
		done++;
	}
	return err;
}

int case_ring_stream(struct trial *t)
{
	struct trial_request *q = calloc(STREAM, sizeof(*q));
	int err = q ? trial_boot(t, NULL) : trial_error(t, "memory for requests");

	if (err == 0)
		err = stream(t, q, 20000);
	free(q);
	return err;
}

/* n at once; which of them came back, in which order. */
static int check_together(struct hand *h, unsigned int n)
{
	unsigned int seen[HAND_REQUESTS] = { 0 };
	bool ordered = true;

	for (unsigned int i = 0; i < n; i++) {
		uint32_t id, len;
		int err;

		trial_used_entry(h->t, h->idx, h->used, &id, &len);
		if (id % 2 != 0 || id / 2 >= n || seen[id / 2]++ > 0)
			return trial_fail(h->t,
					  "%u requests at once: expected each head once, but used "
					  "entry %u has id %u",
					  n, h->used, id);
		ordered = ordered && id / 2 == i;
		err = hand_answered(h, id / 2, (uint16_t)id);
		if (err < 0)
			return err;
	}
	return ordered ? 0 : trial_remark(h->t, "requests come back in another order");
}

int case_ring_together(struct trial *t)
{
	AUTO(hand_fini) struct hand h = { .t = t };
	int err = hand_boot(t, NULL, &h);

	if (err == 0)
		err = hand_batch(&h, HAND_REQUESTS);
	if (err == 0)
		err = check_together(&h, HAND_REQUESTS);
	if (err < 0)
		return err;
	ring_settle(t);
	return trial_quiet(t, h.idx);
}

/* Used entries are looked at as soon as the index moves. */
int case_ring_used_complete(struct trial *t)
{
	AUTO(hand_fini) struct hand h = { .t = t };
	int err = hand_boot(t, NULL, &h);

	for (unsigned int i = 0; i < 5000 && err == 0; i++) {
		uint16_t head = (uint16_t)(2 * (i % 31));

		vring_set_used_entry(h.ring, h.used, UINT32_MAX, UINT32_MAX);
		err = hand_round(&h, head);
	}
	return err;
}

int case_ring_used_ids(struct trial *t)
{
	const struct trial_plan plan = { .ring_size = 256 };
	AUTO(hand_fini) struct hand h = { .t = t };
	int err = hand_boot(t, &plan, &h);

	for (unsigned int head = 0; head < 256 && err == 0; head++) {
		vring_set_used_entry(h.ring, h.used, UINT32_MAX, UINT32_MAX);
		err = hand_round(&h, (uint16_t)head);
	}
	return err;
}

int case_ring_used_zero(struct trial *t)
{
	AUTO(hand_fini) struct hand h = { .t = t };
	uint32_t id, len;
	int err = hand_boot(t, NULL, &h);

	if (err == 0)
		err = hand_put(&h, 0, 0);
	if (err == 0 && h.q[0].r.in_len > 0)
		return trial_na(t, "requests of this device have something to write");
	if (err == 0)
		err = hand_show(&h, 0);
	if (err == 0)
		err = hand_await(&h, 1);
	if (err < 0)
		return err;
	trial_used_entry(t, h.idx, h.used, &id, &len);
	if (len != 0)
		return trial_fail(t,
				  "a chain without device-writable descriptors: expected a used "
				  "length of 0, but it is %u",
				  len);
	return 0;
}

int case_ring_used_room(struct trial *t)
{
	int err = trial_boot(t, NULL);

	return err < 0 ? err : ring_rounds(t, 200, 8);
}

int case_ring_used_unevented(struct trial *t)
{
	const struct trial_plan plan = { .without_features = RING_EVENT };
	AUTO(hand_fini) struct hand h = { .t = t };
	uint16_t event = 0x5aa5;
	int err = hand_boot(t, &plan, &h);

	if (err < 0)
		return err;
	vring_set_avail_event(h.ring, event);
	for (unsigned int i = 0; i < 50 && err == 0; i++)
		err = hand_round(&h, (uint16_t)(i % TRIAL_RING));
	if (err == 0 && vring_avail_event(h.ring) != event)
		err = trial_fail(t,
				 "50 requests without EVENT_IDX: expected avail_event to stay %#x, "
				 "but it is %#x",
				 event, vring_avail_event(h.ring));
	return err;
}

/*
 * The index in memory is the driver's to read. A device that adds to what it
 * finds there confuses its driver alone, as long as entries are where they
 * belong.
 */
int case_ring_used_overwritten(struct trial *t)
{
	AUTO(hand_fini) struct hand h = { .t = t };
	uint16_t fake;
	int err = hand_boot(t, NULL, &h);

	for (unsigned int i = 0; i < 4 && err == 0; i++)
		err = hand_round(&h, 0);
	if (err == 0)
		err = hand_put(&h, 0, 0);
	if (err < 0)
		return err;
	fake = (uint16_t)(h.used + 1000);
	vring_set_used_idx(h.ring, fake);
	err = hand_show(&h, 0);
	for (int ms = trial_ms(t, TRIAL_ANSWER_MS); ms > 0 && err == 0; ms--) {
		if (trial_used_idx(t, h.idx) != fake)
			break;
		err = trial_pass(t, 1);
	}
	if (err == 0 && trial_used_idx(t, h.idx) == (uint16_t)(h.used + 1))
		return hand_answered(&h, 0, 0);
	if (err == 0 && trial_used_idx(t, h.idx) != (uint16_t)(fake + 1))
		err = trial_fail(t,
				 "a request after the used index was overwritten with %u: expected "
				 "it to become %u, but it is %u",
				 fake, (uint16_t)(h.used + 1), trial_used_idx(t, h.idx));
	if (err == 0)
		err = hand_answered(&h, 0, 0);
	return err < 0 ? err
		       : trial_warn(t,
				    "a request after the used index was overwritten with %u: "
				    "expected the device's own %u, but it went on from there",
				    fake, h.used);
}

int case_ring_used_end(struct trial *t)
{
	enum { GUARDED = 256 };
	AUTO(hand_fini) struct hand h = { .t = t };
	uint8_t *end;
	int err = hand_boot(t, NULL, &h);

	if (err < 0)
		return err;
	/* The ring's block is the only one in its last page. */
	end = (uint8_t *)t->fe.rings[h.idx].block + driverq_bytes(TRIAL_RING);
	memset(end, RING_GUARD, GUARDED);
	for (unsigned int i = 0; i < 3 * TRIAL_RING && err == 0; i++)
		err = hand_round(&h, (uint16_t)(i % TRIAL_RING));
	for (unsigned int i = 0; i < GUARDED && err == 0; i++)
		if (end[i] != RING_GUARD)
			err = trial_fail(t,
					 "expected nothing to be written beyond the used area, but "
					 "the byte %u behind it has changed",
					 i);
	return err;
}
