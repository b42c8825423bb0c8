/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The console as state: what its driver was told and has said, and the contents
 * of its ports. Loading has two steps: what is read and found good is kept, and
 * put in force when the first queue starts. So a move that fails after it costs
 * neither side a byte, and a state beats the look of a new driver (a control
 * queue that starts at index 0).
 */
#ifndef VHU_VIRTIO_CONSOLE_STATE_H
#define VHU_VIRTIO_CONSOLE_STATE_H

#include "backends/port-state.h"
#include "virtio/console.h"

/* What was read and is not in force yet. */
struct console_loaded;

/* Writes the console into the open group, or the top. Ports are frozen; no queue runs. */
void console_save(struct console *con, struct state_writer *w, enum port_state_how how);

/*
 * Reads it, all or nothing: -EINVAL with the reader's sentence, or -ENOMEM. The
 * reader's bytes are copied. What was loaded before is dropped.
 */
int console_load(struct console *con, struct state_reader *r, enum port_state_how how);

/* Puts what was loaded in force; drops it. Nothing happens when there is none. */
void console_apply_loaded(struct console *con);
void console_drop_loaded(struct console *con);

#endif
