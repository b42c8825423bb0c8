/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What the two files of an upgrade, and two programs, know of each other. */
#ifndef VHU_DAEMON_UPGRADE_PRIVATE_H
#define VHU_DAEMON_UPGRADE_PRIVATE_H

/* The descriptor of the state; after a comma, that it is a probe. */
#define UPGRADE_VARIABLE "VHU_UPGRADE"
#define UPGRADE_CHECK "check"

/* What a probe says, as its last line, when it could go on. */
#define UPGRADE_READY "vhu-upgrade: ready"

enum {
	UPGRADE_FIRST_MS = 5000, /* for a probe while all goes on */
	UPGRADE_LAST_MS = 2000,	 /* for the one that everything waits for */
};

#endif
