/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The one guest, or front-end, that means harm. It has the last socket of the daemon
 * and a client on its port; each attack begins with a session of its own.
 */
#ifndef VHU_TESTS_INTRUDER_H
#define VHU_TESTS_INTRUDER_H

#include "../restart/run.h"
#include "guest/guest.h"
#include "vhu/frontend-migrate.h"

enum {
	INTRUDER_PORT = 1,
	INTRUDER_RING_SIZE = 1024, /* its used area has a page of its own */
	INTRUDER_CHAINS = 64,	   /* of a page each */
};

struct intruder {
	const struct run_daemon *daemon;
	char socket[128], port[128];
	bool packed;
	bool reads; /* its driver has buffers for input on the port's ring, of its own */
	struct vhu_frontend fe;
	struct vhu_frontend_plan plan;
	struct guest guest;
	struct driverq_buf pages[INTRUDER_CHAINS];
	uint8_t *hosts[INTRUDER_CHAINS];
	int client; /* of its port, or -1 */
};

/* A session as far as its negotiation; then with rings, a driver, an open port and a client. */
void intruder_negotiate(struct intruder *in);
void intruder_boot(struct intruder *in);

/* What is left of booting after negotiation, with a record of requests in flight. */
void intruder_go_on(struct intruder *in, struct vhu_frontend_inflight *record);

/* Offers n pages as output on the port's ring, or as room for input. Not shown, nor kicked. */
void intruder_offer_output(struct intruder *in, unsigned int n, bool indirect);
void intruder_offer_room(struct intruder *in, unsigned int n);

/* The indirect tables of that output are in other memory from now on, the last that is taken. */
void *intruder_move_tables(struct intruder *in);

/* Shows the device what was offered on ring idx; kicks, which touches no memory. */
void intruder_show(struct intruder *in, unsigned int idx);
void intruder_kick(struct intruder *in, unsigned int idx);

/* Takes guest memory away from the page of host on, or that one page alone. */
void intruder_cut(struct intruder *in, const void *host);
void intruder_punch(struct intruder *in, const void *host, size_t len);

/* Until the daemon has done with connections that were made before, and serves a new one. */
void intruder_await_turn(const struct intruder *in);

/* The daemon ends the session, before a deadline; or the intruder does. */
void intruder_await_end(struct intruder *in);
void intruder_leave(struct intruder *in);

/* A new session of the same device works: bytes flow both ways. It is over then. */
void intruder_try_service(struct intruder *in);

#endif
