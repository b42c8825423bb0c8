/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Indices: where they start, how they run, where they wrap. */
#include <errno.h>

#include "conform/cases/case-list.h"
#include "conform/cases/case-ring-steps.h"

static int run(struct trial *t, const struct trial_plan *plan, unsigned int total,
	       unsigned int batch)
{
	int err = trial_boot(t, plan);

	return err < 0 ? err : ring_rounds(t, total, batch);
}

int case_ring_wrap_8(struct trial *t)
{
	const struct trial_plan plan = { .ring_size = 8 };

	return run(t, &plan, 70000, 4);
}

int case_ring_wrap_2(struct trial *t)
{
	const struct trial_plan plan = { .ring_size = 2, .base = 64000 };

	return run(t, &plan, 4000, 1);
}

/* The largest ring that SET_VRING_NUM takes. */
static int find_largest(struct trial *t, unsigned int *ret_size)
{
	unsigned int size = VRING_MAX_SIZE;
	int err = trial_handshake(t);

	while (err == 0 && size > TRIAL_RING) {
		int answer =
			vhu_frontend_vring(&t->fe, VHU_FE_SET_VRING_NUM, trial_ring(t), size, true);

		if (answer == 0)
			answer = vhu_frontend_ping(&t->fe);
		if (answer == 0)
			break;
		size /= 2;
		if (answer != -EREMOTEIO) {
			err = trial_reconnect(t);
			if (err == 0)
				err = trial_handshake(t);
		}
	}
	if (err == 0)
		*ret_size = size;
	return err;
}

int case_ring_wrap_large(struct trial *t)
{
	struct trial_plan plan = { .ring_size = 0 };
	int err = find_largest(t, &plan.ring_size);

	if (err == 0)
		err = ring_reboot(t, &plan);
	if (err < 0)
		return err;
	trial_remark(t, "the ring has %u entries", plan.ring_size);
	return ring_rounds(t, 70000, HAND_REQUESTS);
}

int case_ring_base_last(struct trial *t)
{
	const struct trial_plan plan = { .base = 65535 };
	int err = trial_boot(t, &plan);

	return err < 0 ? err : trial_exchange(t, 5);
}

int case_ring_base_middle(struct trial *t)
{
	const struct trial_plan plan = { .base = 1000, .no_prepare = true };
	unsigned int idx = trial_ring(t);
	int err = trial_boot(t, &plan);
	uint16_t used;

	if (err < 0)
		return err;
	used = trial_used_idx(t, idx);
	if (used != 1000)
		return trial_fail(t,
				  "a ring that starts from index 1000: expected the used index to "
				  "stay 1000, but it is %u",
				  used);
	err = trial_prepare(t);
	if (err < 0)
		return err;
	used = trial_used_idx(t, idx);
	err = trial_exchange(t, 4);
	if (err == 0 && trial_used_idx(t, idx) != (uint16_t)(used + 4))
		err = trial_fail(t,
				 "4 requests from index %u on: expected the used index to become "
				 "%u, but it is %u",
				 used, (uint16_t)(used + 4), trial_used_idx(t, idx));
	return err;
}

int case_ring_base_restart(struct trial *t)
{
	unsigned int idx = trial_ring(t);
	int err = trial_boot(t, NULL);

	for (unsigned int i = 0; i < 5 && err == 0; i++) {
		uint16_t base = 0, expected;

		err = trial_exchange(t, 13);
		expected = vring_avail_idx(trial_vring(t, idx));
		if (err == 0)
			err = trial_stop_ring(t, idx, &base);
		if (err == 0 && base != expected)
			err = trial_fail(
				t,
				"GET_VRING_BASE after all requests were answered: expected "
				"%u, but it is %u",
				expected, base);
		t->fe.rings[idx].base = base;
		if (err == 0)
			err = trial_start_ring(t, idx, NULL);
		/* Its avail_event may be of before; that it looks by itself is another case's. */
		if (err == 0)
			err = trial_kick(t, idx);
	}
	return err < 0 ? err : trial_exchange(t, 3);
}

/* Good heads beyond the index: they are of a lap before. */
int case_ring_stale(struct trial *t)
{
	AUTO(hand_fini) struct hand h = { .t = t };
	uint16_t at;
	int err = hand_boot(t, NULL, &h);

	if (err == 0)
		err = hand_put(&h, 0, 2);
	if (err < 0)
		return err;
	ring_settle(t);
	at = vring_avail_idx(h.ring);
	for (uint16_t i = 0; i < TRIAL_RING; i++)
		vring_set_avail_entry(h.ring, (uint16_t)(at + i), 2);
	err = trial_kick(t, h.idx);
	if (err == 0)
		err = trial_quiet(t, h.idx);
	return err < 0 ? err : hand_finish(&h, 2);
}

/* The driver's own word of the available ring for its entries, against what is there. */
int case_ring_avail_kept(struct trial *t)
{
	const struct trial_plan plan = { .without_features = RING_EVENT };
	AUTO(hand_fini) struct hand h = { .t = t };
	uint16_t at, event = 0x5a5a;
	int err = hand_boot(t, &plan, &h);

	if (err < 0)
		return err;
	for (uint16_t i = 0; i < TRIAL_RING; i++)
		vring_set_avail_entry(h.ring, i, (uint16_t)(0x4000 + i));
	vring_set_used_event(h.ring, event);
	vring_set_avail_flags(h.ring, VRING_AVAIL_F_NO_INTERRUPT);
	at = vring_avail_idx(h.ring);
	for (uint16_t i = 0; i < 8 && err == 0; i++)
		err = hand_round(&h, (uint16_t)(2 * i));
	if (err < 0)
		return err;
	if (vring_avail_idx(h.ring) != (uint16_t)(at + 8) || vring_used_event(h.ring) != event ||
	    vring_avail_flags(h.ring) != VRING_AVAIL_F_NO_INTERRUPT)
		return trial_fail(t, "expected flags, index and used_event of the available ring "
				     "to stay as the driver wrote them, but one has changed");
	for (uint16_t i = 0; i < TRIAL_RING; i++) {
		uint32_t slot = vring_slot(h.ring, (uint16_t)(at + i));
		uint16_t entry = vring_avail_entry(h.ring, (uint16_t)(at + i));

		if (entry != (i < 8 ? 2 * i : 0x4000 + slot))
			return trial_fail(t,
					  "expected the available ring to stay as the driver wrote "
					  "it, but entry %u has become %u",
					  slot, entry);
	}
	return 0;
}

/* Head 0x0102 at index 0x0102: another byte order finds neither. */
int case_ring_endian(struct trial *t)
{
	const struct trial_plan plan = { .ring_size = 1024, .base = 0x0102 };
	AUTO(hand_fini) struct hand h = { .t = t };
	int err = hand_boot(t, &plan, &h);

	return err < 0 ? err : hand_round(&h, 0x0102);
}
