/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Steps that the cases about packed rings share. */
#ifndef VHU_CONFORM_CASE_RING_PACKED_H
#define VHU_CONFORM_CASE_RING_PACKED_H

#include "conform/cases/case-ring-steps.h"
#include "conform/cases/inflight.h"
#include "virtio/driverq-packed.h"

enum { PACKED_RINGS = 32 };

/* How to set up; zero members mean the usual. */
struct packed_plan {
	unsigned int size; /* TRIAL_RING */
	uint64_t without_features;
	bool elsewhere; /* from position `from` on, instead of 0 with both wrap counters 1 */
	struct packed_position from;
	struct trial_inflight *record; /* of requests in flight: a new one is put there, in force */
};

/* The device's rings, all of them packed. */
struct packed {
	struct hand h; /* its requests; its ring is not used */
	struct trial *t;
	unsigned int idx;
	unsigned int n_rings;
	struct driverq_packed rings[PACKED_RINGS];
	struct driverq_packed *q; /* where requests go */
	void *tables;		  /* an indirect table per request, or NULL */
	uint64_t tables_addr;
};

/* The handshake, with packed rings; status. inflight: INFLIGHT_SHMFD, too. */
int packed_greet(struct trial *t, bool inflight);

/* Handshake, memory, rings, driver ready. packed_fini() is due, whatever the result. */
int packed_boot(struct trial *t, const struct packed_plan *plan, struct packed *ret_p);
void packed_fini(struct packed *p);

/* NUM ... ENABLE of the request ring, from this base. */
int packed_start(struct packed *p, uint32_t base);

/* GET_VRING_BASE of the request ring, with both positions. */
int packed_stop(struct packed *p, uint32_t *ret_base);

/* Offers request n in so many pieces. */
int packed_offer(struct packed *p, unsigned int n, unsigned int pieces, bool indirect);

/* Publishes, and kicks as the driver must. */
int packed_publish(struct packed *p);

/* The next list that comes back; *ret_n is its request, rightly answered. */
int packed_collect(struct packed *p, unsigned int *ret_n);

/* n requests at once, there and back. */
int packed_burst(struct packed *p, unsigned int n, unsigned int pieces, bool indirect);

/* One after the other. */
int packed_exchange(struct packed *p, unsigned int n);

/* By hand, from position `at` on: request n in pieces, with these buffer ids; flags are stored last
 * to first. */
int packed_write(struct packed *p, struct packed_position at, unsigned int n, unsigned int pieces,
		 const uint16_t *ids, unsigned int *ret_n_desc);

/* Until the descriptor at a position is used, and what it says then. */
int packed_await(struct packed *p, struct packed_position at, struct packed_desc *ret_desc);

/* Whether a used descriptor is right for request n with this id. */
int packed_judge(struct packed *p, const struct packed_desc *desc, unsigned int n, uint16_t id);

#endif
