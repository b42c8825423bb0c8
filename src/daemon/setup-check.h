/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The last part of setup_load(): what is wrong only when all devices are known. */
#ifndef VHU_DAEMON_SETUP_CHECK_H
#define VHU_DAEMON_SETUP_CHECK_H

#include "daemon/setup.h"

/*
 * Gives ports of a device their numbers, sorts them, settles max_ports
 * (fallback: the daemon's, 0 for just enough), and checks numbers and names
 * (VC-071). Zero, or -EINVAL with a sentence.
 */
int setup_number_ports(struct device_spec *device, uint64_t fallback, char *ret_why,
		       size_t why_cap);

/*
 * Whether anything (a name, a socket's path, a TCP port, a descriptor, the
 * terminal) is used twice. Zero, -ENOMEM, or -EINVAL with a sentence.
 */
int setup_check(const struct setup *setup, char *ret_why, size_t why_cap);

#endif
