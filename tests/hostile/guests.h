/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* A daemon with the devices of the crowd, and one of the intruder behind them. */
#ifndef VHU_TESTS_GUESTS_H
#define VHU_TESTS_GUESTS_H

#include "crowd.h"
#include "intruder.h"

/* Starts it with n innocent guests; d has its program alone. bulk: their ports lead nowhere. */
void guests_start(struct run_daemon *d, unsigned int n, bool bulk);

/* Where it serves TCP, or telnet, for "DEVICE: port N". */
unsigned int guests_tcp_port(const struct run_daemon *d, const char *who);

/* For a process that was forked off: it is killed when its parent ends. */
void guests_end_with_parent(void);

/* The intruder of that daemon, without a session. */
void guests_intruder(const struct run_daemon *d, struct intruder *ret_intruder);

#endif
