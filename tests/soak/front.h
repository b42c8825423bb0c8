/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What a guest's process has: a front-end, a driver, and ports with two rings each. */
#ifndef VHU_TESTS_SOAK_FRONT_H
#define VHU_TESTS_SOAK_FRONT_H

#include "../restart/side.h"
#include "soak.h"

enum { FRONT_RINGS = GUEST_RINGS(SOAK_PORTS), FRONT_WAIT_MS = 30000 };

/* A port as the guest has it. */
struct front_port {
	struct side side;
	bool equipped; /* its buffers are the device's, since the guest's start */
	bool open;
	unsigned int generation; /* of one that comes and goes */
	unsigned int stream;
	struct check in; /* input, and of which generation it is */
	unsigned int in_generation;
	uint64_t tail_from;
};

/* Descriptors that the daemon has been sent and keeps. */
struct front_given {
	bool kick[FRONT_RINGS], call[FRONT_RINGS], err[FRONT_RINGS];
	bool call_is_socket;
	unsigned int n_channels, n_regions;
};

extern struct front {
	struct soak_guest *g;
	struct vhu_frontend fes[2]; /* the one before, while its rings are still looked at */
	unsigned int now;
	struct vhu_frontend_plan plan;
	struct guest guest;
	struct front_port ports[SOAK_PORTS];
	struct front_given given;
	struct vhu_frontend_ear ear;
} front;

static inline struct vhu_frontend *front_fe(void)
{
	return &front.fes[front.now];
}

/* front-boot.c: a guest that starts, and how it ends. */
void front_boot_first(void);
void front_reboot(void);

/* front-ports.c: its ports. */
void front_ports_begin(void); /* a new driver; those that stay are opened */
void front_ports_drain(void); /* the driver that was: what has come back by its end */
void front_ports_poll(void);  /* what the device says of those that come and go */
void front_ports_send(bool all);
void front_ports_receive(void);
bool front_ports_have_sent_tail(void);
void front_ports_begin_tail(void);

#endif
