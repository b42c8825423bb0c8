/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Innocent guests of one daemon, each with a lossless port and a client of it, all
 * driven by a process of their own. Every byte is compared, both ways.
 */
#ifndef VHU_TESTS_CROWD_H
#define VHU_TESTS_CROWD_H

#include "../restart/run.h"

enum { CROWD_MAX = 63 };

struct crowd_shared;

struct crowd {
	const struct run_daemon *daemon;
	unsigned int n; /* at most CROWD_MAX */
	bool bulk;	/* output alone, to nobody, as fast as it goes: for measuring */
	int cpu;	/* where they run; -1: anywhere */
	pid_t pid;
	struct crowd_shared *shared;
};

/* The sockets of guest i: its front-end's; and its client's, of which odd guests have TCP. */
void crowd_socket_path(const struct run_daemon *d, unsigned int i, char *ret_path);
void crowd_port_path(const struct run_daemon *d, unsigned int i, char *ret_path);

/* This process runs on that core alone; -1: as before. */
void crowd_pin(int cpu);

/* Connects all of them; they are busy when it returns. Dies if they cannot. */
void crowd_start(struct crowd *c);

/* Waits until each of them has got bytes both ways that were not there at the call; dies if not. */
void crowd_await_progress(const struct crowd *c);

/* Bytes so far, of all of them. */
uint64_t crowd_bytes(const struct crowd *c);

/* Waits until all that was sent has come, and ends them. */
void crowd_end(struct crowd *c);

#endif
