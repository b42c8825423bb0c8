/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Descriptors that were inherited, and that nobody has named. */
#ifndef VHU_DAEMON_SANDBOX_DESCRIPTORS_H
#define VHU_DAEMON_SANDBOX_DESCRIPTORS_H

#include "daemon/setup.h"

/*
 * Closes all but the standard streams, what the service manager has passed, and
 * what the setup names. Before anything else is open. 0 or -errno.
 */
int sandbox_descriptors_close(const struct setup *setup);

#endif
