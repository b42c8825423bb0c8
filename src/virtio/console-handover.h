/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What a console knows of its driver, as part of a hand-over (handover.h). */
#ifndef VHU_VIRTIO_CONSOLE_HANDOVER_H
#define VHU_VIRTIO_CONSOLE_HANDOVER_H

#include "handover.h"
#include "virtio/console.h"

/* As a group. */
void console_handover_save(const struct console *con, struct handover_out *out, unsigned int tag);

/*
 * The console has its ports, and its queues have been started; whatever that
 * made it think of its driver is replaced. Nothing is told to anybody.
 */
void console_handover_load(struct console *con, struct handover_in *in, unsigned int tag);

#endif
