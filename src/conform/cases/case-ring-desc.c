/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Descriptors: what they may look like, and what the device leaves alone. */
#include <errno.h>
#include <string.h>

#include "conform/cases/case-list.h"
#include "conform/cases/case-ring-steps.h"

/* Bytes around a buffer that nobody may write. */
enum { MARGIN = 64 };

/* A table with traffic all over it: nothing in it has changed. */
int case_ring_table_kept(struct trial *t)
{
	const struct trial_plan plan = { .ring_size = 16 };
	AUTO(hand_fini) struct hand h = { .t = t };
	struct vring_desc before[16];
	int err = hand_boot(t, &plan, &h);

	for (uint16_t i = 0; i < 16 && err == 0; i++)
		trial_desc(t, h.idx, i, 0x1111u * i, i, VRING_DESC_F_WRITE, 9);
	for (uint16_t head = 0; head < 16 && err == 0; head += 2) {
		err = hand_put(&h, 0, head);
		for (uint16_t i = 0; i < 16; i++)
			before[i] = vring_desc_load(h.ring, i);
		if (err == 0)
			err = hand_finish(&h, head);
		for (uint16_t i = 0; i < 16 && err == 0; i++) {
			struct vring_desc after = vring_desc_load(h.ring, i);

			if (memcmp(&after, &before[i], sizeof(after)) != 0)
				err = trial_fail(t,
						 "a request with head %u: expected the descriptor "
						 "table to stay as it was, but descriptor %u has "
						 "changed",
						 head, i);
		}
	}
	return err;
}

static int check_margins(struct trial *t, const uint8_t *bytes, size_t len, const char *what)
{
	for (size_t i = 0; i < len + 2 * (size_t)MARGIN; i++) {
		bool inside = i >= MARGIN && i < MARGIN + len;

		if (!inside && bytes[i] != RING_GUARD)
			return trial_fail(t,
					  "expected nothing to be written outside the %s buffer, "
					  "but the byte at offset %d of it has changed",
					  what, (int)i - MARGIN);
	}
	return 0;
}

/* Its own bytes in guest memory, between bytes that are watched. */
static int fenced(struct trial *t, size_t len, uint8_t **ret_host, uint64_t *ret_guest)
{
	void *host;
	int err = trial_alloc(t, len + 2 * (size_t)MARGIN, 16, &host, ret_guest);

	if (err < 0)
		return err;
	memset(host, RING_GUARD, len + 2 * (size_t)MARGIN);
	*ret_host = host;
	return 0;
}

int case_ring_bounds_kept(struct trial *t)
{
	AUTO(hand_fini) struct hand h = { .t = t };
	struct hand_cut pieces;
	uint64_t out_addr = 0, in_addr = 0;
	uint8_t *out = NULL, *in = NULL;
	int err = hand_boot(t, NULL, &h);

	if (err == 0)
		err = hand_make(&h, 0, 2, &pieces);
	if (err == 0)
		err = fenced(t, h.q[0].r.out_len, &out, &out_addr);
	if (err == 0)
		err = fenced(t, h.q[0].r.in_len, &in, &in_addr);
	if (err < 0)
		return err;
	memcpy(out + MARGIN, h.q[0].r.out, h.q[0].r.out_len);
	for (unsigned int i = 0; i < pieces.n; i++)
		pieces.bufs[i].addr += MARGIN + (i < pieces.n_out ? out_addr - h.q[0].out_addr
								  : in_addr - h.q[0].in_addr);
	h.q[0].in_host = in + MARGIN;
	hand_link(&h, &pieces, 0, pieces.n, 0);
	err = hand_finish(&h, 0);
	if (err == 0)
		err = check_margins(t, out, h.q[0].r.out_len, "device-readable");
	return err < 0 ? err : check_margins(t, in, h.q[0].r.in_len, "device-writable");
}

int case_ring_out_kept(struct trial *t)
{
	AUTO(hand_fini) struct hand h = { .t = t };
	int err = hand_boot(t, NULL, &h);

	for (uint16_t i = 0; i < 16 && err == 0; i++) {
		err = hand_round(&h, (uint16_t)(2 * i));
		if (err == 0 && memcmp(h.q[0].out_host, h.q[0].r.out, h.q[0].r.out_len) != 0)
			err = trial_fail(t,
					 "request %u: expected its device-readable bytes to stay "
					 "as they were, but they have changed",
					 i);
	}
	return err;
}

/* Cuts. */

static int exchange_cut(struct trial *t, const uint32_t *lens, unsigned int n)
{
	const struct trial_layout layout = { .out = lens, .n_out = n, .in = lens, .n_in = n };
	struct trial_request request;
	int err = 0;

	for (unsigned int i = 0; i < 3 && err == 0; i++)
		err = ring_burst(t, &request, 1, &layout);
	return err;
}

int case_ring_cut_bytes(struct trial *t)
{
	static const uint32_t ones[] = { 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1 };
	int err = trial_boot(t, NULL);

	return err < 0 ? err : exchange_cut(t, ones, ARRAY_SIZE(ones));
}

int case_ring_cut_odd(struct trial *t)
{
	static const uint32_t odd[] = { 1, 3, 7, 4085 };
	int err = trial_boot(t, NULL);

	return err < 0 ? err : exchange_cut(t, odd, ARRAY_SIZE(odd));
}

int case_ring_cut_anywhere(struct trial *t)
{
	int err = trial_boot(t, NULL);

	for (uint32_t at = 1; at <= 64 && err == 0; at++) {
		const uint32_t lens[] = { at, 4096 };

		err = exchange_cut(t, lens, ARRAY_SIZE(lens));
		if (err < 0)
			trial_remark(t, "both parts of the request were cut after %u bytes", at);
	}
	return err;
}

int case_ring_cut_full(struct trial *t)
{
	const struct trial_plan plan = { .ring_size = 8 };
	AUTO(hand_fini) struct hand h = { .t = t };
	struct hand_cut pieces;
	int err = hand_boot(t, &plan, &h);

	for (uint16_t head = 0; head < 8 && err == 0; head += 3) {
		err = hand_make(&h, 0, 8, &pieces);
		if (err == 0 && pieces.n != 8)
			return trial_na(t, "a request of this device makes %u descriptors at most",
					pieces.n);
		if (err == 0) {
			hand_link(&h, &pieces, 0, pieces.n, head);
			err = hand_finish(&h, head);
		}
	}
	return err;
}

/* Fields. */

int case_ring_next_ignored(struct trial *t)
{
	static const uint16_t values[] = { 0, 1, 63, 64, 0x7fff, 0xffff };
	AUTO(hand_fini) struct hand h = { .t = t };
	struct hand_cut pieces;
	int err = hand_boot(t, NULL, &h);

	for (unsigned int i = 0; i < ARRAY_SIZE(values) && err == 0; i++) {
		err = hand_make(&h, 0, 2, &pieces);
		if (err == 0) {
			unsigned int last = pieces.n - 1;

			hand_link(&h, &pieces, 0, pieces.n, 0);
			trial_desc(t, h.idx, (uint16_t)last, pieces.bufs[last].addr,
				   pieces.bufs[last].len, hand_flags(&pieces, last), values[i]);
			err = hand_finish(&h, 0);
		}
	}
	return err;
}

int case_ring_flags_unknown(struct trial *t)
{
	AUTO(hand_fini) struct hand h = { .t = t };
	struct hand_cut pieces;
	int err = hand_boot(t, NULL, &h);

	for (unsigned int bit = 3; bit < 16 && err == 0; bit++) {
		err = hand_make(&h, 0, 2, &pieces);
		for (unsigned int i = 0; i < pieces.n && err == 0; i++)
			trial_desc(t, h.idx, (uint16_t)i, pieces.bufs[i].addr, pieces.bufs[i].len,
				   (uint16_t)(hand_flags(&pieces, i) | BIT(bit)),
				   (uint16_t)(i + 1));
		if (err == 0)
			err = hand_finish(&h, 0);
	}
	return err;
}

/* The ring works anew, or the session has ended with it. */
static int refused(struct trial *t, unsigned int idx, const char *what)
{
	int err;

	if (vhu_frontend_ping(&t->fe) == -ECONNRESET) {
		t->closed = true;
		t->ended_allowed = true;
		return trial_remark(t, "%s ends the session", what);
	}
	trial_remark(t, "%s is refused", what);
	err = trial_restart_ring(t, idx);
	return err < 0 ? err : trial_exchange(t, 1);
}

/*
 * Shows head, which may be answered as request 0, come back with length 0, or
 * stop the ring.
 */
static int answered_or_not(struct hand *h, uint16_t head, const char *what)
{
	struct trial *t = h->t;
	uint32_t id, len;
	int err = hand_show(h, head);

	if (err < 0)
		return err;
	if (!hand_moves(h))
		return refused(t, h->idx, what);
	trial_used_entry(t, h->idx, h->used, &id, &len);
	if (id == head && len == 0 && h->q[0].r.in_len > 0) {
		trial_remark(t, "%s comes back with length 0", what);
		h->used++;
		return 0;
	}
	err = hand_answered(h, 0, head);
	return err < 0 ? err : trial_remark(t, "%s is taken", what);
}

/* An empty descriptor before each part of a request, then alone. */
int case_ring_empty_inside(struct trial *t)
{
	AUTO(hand_fini) struct hand h = { .t = t };
	struct hand_cut pieces;
	int err = hand_boot(t, NULL, &h);

	if (err == 0)
		err = hand_make(&h, 0, 4, &pieces);
	if (err < 0)
		return err;
	for (unsigned int i = 0; i < pieces.n; i++) {
		uint16_t at = (uint16_t)(2 * i);
		uint16_t write = i >= pieces.n_out ? VRING_DESC_F_WRITE : 0;

		trial_desc(t, h.idx, at, pieces.bufs[i].addr, 0, VRING_DESC_F_NEXT | write,
			   (uint16_t)(at + 1));
		trial_desc(t, h.idx, (uint16_t)(at + 1), pieces.bufs[i].addr, pieces.bufs[i].len,
			   hand_flags(&pieces, i), (uint16_t)(at + 2));
	}
	return answered_or_not(&h, 0, "a request with descriptors of length 0");
}

int case_ring_empty_alone(struct trial *t)
{
	AUTO(hand_fini) struct hand h = { .t = t };
	uint32_t id, len;
	int err = hand_boot(t, NULL, &h);

	if (err == 0)
		err = hand_put(&h, 0, 4);
	if (err < 0)
		return err;
	trial_desc(t, h.idx, 0, h.q[0].out_addr, 0, h.q[0].r.out_len > 0 ? 0 : VRING_DESC_F_WRITE,
		   0);
	err = hand_show(&h, 0);
	if (err < 0)
		return err;
	if (!hand_moves(&h))
		return refused(t, h.idx, "a descriptor of length 0");
	trial_used_entry(t, h.idx, h.used, &id, &len);
	if (id != 0 || len != 0)
		return trial_fail(t,
				  "a descriptor of length 0: expected a used entry with id 0 and "
				  "length 0, but it has %u and %u",
				  id, len);
	trial_remark(t, "a descriptor of length 0 comes back");
	err = trial_restart_ring(t, h.idx);
	return err < 0 ? err : trial_exchange(t, 1);
}
