/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The end comes even if something does not let go of an operation. */
#ifndef VHU_DAEMON_LAST_RESORT_H
#define VHU_DAEMON_LAST_RESORT_H

struct daemon;

enum { DAEMON_END_MS = 5000 }; /* more than all that may take its time at the end, together */

/* Called once, when the end begins: if it has not come in time, the process ends as it is. */
void daemon_end_in_time(struct daemon *d);

#endif
