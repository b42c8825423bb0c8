/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "daemon/last-resort.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "backends/terminal-modes.h"
#include "daemon/daemon.h"
#include "log.h"

/*
 * An operation that the kernel does not give back may touch its memory at any time, so
 * nothing is freed. What others can see is in order: the terminal, and files of sockets.
 */
static void time_is_over(struct op *op, int res)
{
	(void)op;
	if (res != -ETIME)
		return;
	log_error(NULL,
		  "the end has not come within %d ms: something holds an operation; leaving "
		  "as things are",
		  DAEMON_END_MS);
	terminal_modes_restore();
	_exit(EXIT_FAILURE);
}

void daemon_end_in_time(struct daemon *d)
{
	timer_init(&d->last_resort, &d->scope, time_is_over);
	timer_arm(&d->last_resort, DAEMON_END_MS * UINT64_C(1000000));
}
