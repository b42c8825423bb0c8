/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The device's state as it is moved: written to, or read from, a descriptor of
 * the front-end's while the session goes on. (vhost-user text, "Migrating
 * back-end state")
 */
#ifndef VHU_VHU_BACKEND_STATE_H
#define VHU_VHU_BACKEND_STATE_H

#include <stdbool.h>

struct vhu_backend;

enum {
	VHU_STATE_MAX = 64 * 1024 * 1024, /* bytes that are read of a state */
};

/* Error bits of the answers (VU-192, VU-196). */
enum {
	VHU_STATE_FAILED = 1,
};

struct vhu_state;

/* A ring has started: what was saved is not the device's state any more. */
void vhu_state_ring_started(struct vhu_backend *b);

/* RESET_DEVICE: a transfer under way fails, what was loaded is gone. */
void vhu_state_reset(struct vhu_backend *b);

/*
 * The session ends: operations are cancelled, and vhu_backend_part_closed()
 * is called later. Without any transfer so far: false, and nothing is called.
 */
bool vhu_state_close(struct vhu_backend *b);

/* Whether it is on its way. */
bool vhu_state_moves(const struct vhu_backend *b);

/* All is closed. The device goes on, without its contents if they have moved away. */
void vhu_state_release(struct vhu_backend *b);

#endif
