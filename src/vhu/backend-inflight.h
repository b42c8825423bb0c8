/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The session's record of requests in flight, which the front-end keeps over a
 * restart of the back-end (vhost-user text, "Inflight I/O tracking"). It is in
 * force for a ring from its next start on.
 */
#ifndef VHU_VHU_BACKEND_INFLIGHT_H
#define VHU_VHU_BACKEND_INFLIGHT_H

#include "handover.h"
#include "vhu/proto.h"
#include "virtio/inflight.h"

struct vhu_backend;
struct vqio;

/* Begins as VHU_BACKEND_INFLIGHT_NONE. */
struct vhu_backend_inflight {
	struct inflight *record; /* NULL: none was given */
	int fd;			 /* its file; -1: none */
	struct vhu_inflight place;
};

#define VHU_BACKEND_INFLIGHT_NONE                                                                  \
	(struct vhu_backend_inflight)                                                              \
	{                                                                                          \
		.fd = -1                                                                           \
	}

/*
 * Adopts the record at place in the file fd (taken, also on failure), laid out as
 * the features accepted say.
 */
enum gmem_result vhu_inflight_set(struct vhu_backend *b, int fd, const struct vhu_inflight *place);

/* Records nothing from the rings' next starts on: the device was reset, or the session is over. */
void vhu_inflight_drop(struct vhu_backend *b);

/* For a hand-over, as a group; loaded after the features and before the rings. */
void vhu_inflight_save(const struct vhu_backend *b, struct handover_out *out, unsigned int tag);
void vhu_inflight_load(struct vhu_backend *b, struct handover_in *in, unsigned int tag);

/* The ring was stopped, and the answer says where it goes on. */
void vhu_inflight_ring_stopped(struct vqio *v);

#endif
