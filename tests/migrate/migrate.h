/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* A guest that moves between two daemons: what its parts share. */
#ifndef VHU_TESTS_MIGRATE_H
#define VHU_TESTS_MIGRATE_H

#include "../restart/side.h"

#include "vhu/frontend-log.h"
#include "vhu/frontend-migrate.h"

enum { MAX_PORTS = 32 };

struct move_port {
	struct side side;
	int there;	  /* the client's connection to the daemon where the guest is not, or -1 */
	bool slow_guest;  /* its input waits */
	bool slow_client; /* and its output */
};

extern struct migrate {
	struct run_daemon daemons[2];
	unsigned int here; /* where the guest is */
	struct vhu_frontend fe;
	struct vhu_frontend there; /* a connection alone */
	struct vhu_frontend_plan plan;
	struct vhu_frontend_memory memory; /* of the machine where the guest is not */
	struct guest guest;
	unsigned int n_ports;
	struct move_port ports[MAX_PORTS];
} m;

static inline struct run_daemon *source(void)
{
	return &m.daemons[m.here];
}

static inline struct run_daemon *destination(void)
{
	return &m.daemons[1 - m.here];
}

/* Some work of the guest and the clients. */
void step(bool clients_send);

/* The same for a while. */
void be_busy(void);

/* clients.c: they read at the source what it has given, and go on at the destination. */

/* Some are at the destination before the guest is. */
void clients_go_ahead(void);

/* Some read, and so the device returns what it had no room for, and takes more. */
void clients_read_on(void);

/*
 * Takes all that the source has given; nothing may have come from elsewhere. Adds the
 * bytes that are still under way, which are the destination's affair.
 */
void clients_drain(uint64_t *n_out, uint64_t *n_in);

/* The guest has moved. Most also stay where they were, for its return. */
void clients_follow(void);

/* Where the guest is not, no connection is left. */
void clients_forget(void);

/*
 * memory.c: to memory, while the guest and its device write to what it is copied
 * from. What the device writes is known from the log alone.
 */

/* Begins the log; then copies everything, with steps between. */
void memory_begin(void);

/* Copies what has been written since: returns pages. driver: also what the driver has written. */
unsigned int memory_pass(bool driver);

/* Dies unless all bytes are equal; ends the log. */
void memory_compare(void);

/* control.c: what the guest is told of ports, once each. */

/* Something happens to ports of both daemons, and the guest hears of it when its rings run. */
void control_happen(unsigned int n);

/* A daemon that was started anew is made like the other one. */
void control_equip(struct run_daemon *d);

/* From now on until the next begin, the guest hears what is expected, and nothing else. */
void control_begin(void);
void control_expect_open(unsigned int id, unsigned int n); /* PORT_OPEN, n times more */
void control_await(void);
void control_check(void);

#endif
