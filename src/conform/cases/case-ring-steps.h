/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Steps that the cases about split rings share. As with trial.h, a negative
 * result has given the trial its verdict.
 */
#ifndef VHU_CONFORM_CASE_RING_STEPS_H
#define VHU_CONFORM_CASE_RING_STEPS_H

#include "conform/trial/trial-ring.h"
#include "virtio/features.h"

#define RING_EVENT BIT(VIRTIO_F_EVENT_IDX_BIT)
#define RING_INDIRECT BIT(VIRTIO_F_INDIRECT_DESC_BIT)

enum {
	HAND_REQUESTS = 32, /* on their way at once */
	HAND_PIECES = 16,   /* descriptors of one request */
	RING_GUARD = 0xa5,  /* what must stay where nobody writes */
};

/* The request ring, driven by hand. */
struct hand {
	struct trial *t;
	unsigned int idx;
	const struct vring *ring;
	uint16_t used;		 /* the next used entry to look at */
	struct trial_request *q; /* HAND_REQUESTS of them */
};

/* trial_boot(), and the ring in hand. hand_fini() is due, whatever the result. */
int hand_boot(struct trial *t, const struct trial_plan *plan, struct hand *ret_hand);

void hand_fini(struct hand *h);

/* Makes request n and cuts it into at most `pieces` descriptors, to read and then to write. */
struct hand_cut {
	struct driverq_buf bufs[HAND_PIECES];
	unsigned int n, n_out;
};

int hand_make(struct hand *h, unsigned int n, unsigned int pieces, struct hand_cut *ret_cut);

/* Flags of piece i, with NEXT unless it is the last one. */
uint16_t hand_flags(const struct hand_cut *cut, unsigned int i);

/* Pieces from..to - 1 in the descriptors from first on, modulo the ring size, each linked to the
 * next one. */
void hand_link(struct hand *h, const struct hand_cut *cut, unsigned int from, unsigned int to,
	       uint16_t first);

/* All pieces in an indirect table, the i-th one at order[i]; order NULL: as they come. */
void hand_table(void *table, const struct hand_cut *cut, const uint16_t *order);

/* A ring by hand, and request 0, cut into pieces, for an indirect table in guest memory. */
enum { TABLE_MAX = 64 };

struct hand_indirect {
	struct hand h;
	struct hand_cut pieces;
	uint64_t *table; /* of TABLE_MAX entries, all zero */
	uint64_t addr;
};

/* hand_indirect_fini() is due, whatever the result. */
int hand_indirect_boot(struct trial *t, const struct trial_plan *plan, unsigned int pieces,
		       struct hand_indirect *ret_x);
void hand_indirect_fini(struct hand_indirect *x);

#define AUTO_INDIRECT AUTO(hand_indirect_fini) struct hand_indirect

/* Makes request n and puts it into the descriptors from head on, plainly. */
int hand_put(struct hand *h, unsigned int n, uint16_t head);

/* Requests 0 to n - 1, from heads 0, 2, 4, ... on, with one kick, until all are used. */
int hand_batch(struct hand *h, unsigned int n);

/* Makes head available and kicks. */
int hand_show(struct hand *h, uint16_t head);

/* Until n more entries are used, no more; takes no calls. */
int hand_await(struct hand *h, unsigned int n);

/* The next used entry must be request n under head, rightly answered. */
int hand_answered(struct hand *h, unsigned int n, uint16_t head);

/* A request in the descriptors from head on, there and back. */
int hand_round(struct hand *h, uint16_t head);

/* hand_show(), and it comes back as request 0. */
int hand_finish(struct hand *h, uint16_t head);

/* Whether entries are used within the time of silence; takes no calls. */
bool hand_moves(struct hand *h);

/* n requests at once, back in any order; the request ring must have room. q: n of them. */
int ring_burst(struct trial *t, struct trial_request *q, unsigned int n,
	       const struct trial_layout *layout);

/* The next of these n requests that comes back, whichever it is, rightly answered. */
int ring_collect(struct trial *t, struct trial_request *q, unsigned int n,
		 struct trial_request **ret_request);

/* total requests, `batch` at a time (at most HAND_REQUESTS). */
int ring_rounds(struct trial *t, unsigned int total, unsigned int batch);

/* Another connection, and everything anew as trial_boot(). */
int ring_reboot(struct trial *t, const struct trial_plan *plan);

/* A call is there or comes. */
int ring_called(struct trial *t, const char *after);

/* No call is there or comes. */
int ring_not_called(struct trial *t, const char *after);

/* Takes calls that are late. */
void ring_settle(struct trial *t);

/* Cases of a file's own combine(t, features): neither feature, each alone, and both. */
#define RING_COMBINATIONS(area)                                                                    \
	int case_##area##_combine_none(struct trial *t)                                            \
	{                                                                                          \
		return combine(t, 0);                                                              \
	}                                                                                          \
	int case_##area##_combine_event(struct trial *t)                                           \
	{                                                                                          \
		return combine(t, RING_EVENT);                                                     \
	}                                                                                          \
	int case_##area##_combine_indirect(struct trial *t)                                        \
	{                                                                                          \
		return combine(t, RING_INDIRECT);                                                  \
	}                                                                                          \
	int case_##area##_combine_both(struct trial *t)                                            \
	{                                                                                          \
		return combine(t, RING_EVENT | RING_INDIRECT);                                     \
	}

/* Random numbers, the same ones each time. */
uint32_t ring_random(uint64_t *state);

#endif
