/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What a driver has said on the control queues, kept where it outlives this
 * process: a driver does not say it again to the one that is started next.
 */
#ifndef VHU_VIRTIO_CONSOLE_KEEP_H
#define VHU_VIRTIO_CONSOLE_KEEP_H

#include "virtio/console.h"

/* Stores what has changed since the last time. Nothing without a record. */
void console_keep(struct console *con);

/* The driver goes on and nothing is known of it: what was kept is in force. False: nothing was. */
bool console_recall(struct console *con);

#endif
