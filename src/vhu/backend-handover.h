/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A session as part of a hand-over (handover.h): its connections, what was
 * negotiated, the guest's memory and the rings go on in another process, and
 * the front-end and its driver see nothing of it.
 */
#ifndef VHU_VHU_BACKEND_HANDOVER_H
#define VHU_VHU_BACKEND_HANDOVER_H

#include "vhu/backend.h"

/* The session as a group; its loop is at rest. What cannot go is out's to say. */
void vhu_backend_save(const struct vhu_backend *b, struct handover_out *out, unsigned int tag);

/*
 * In place of vhu_backend_new(). The device hears of its queues as ever; what
 * it knew of its driver is to be loaded after that. Nothing is written into the
 * guest's memory. 0 or -ENOMEM; what is wrong otherwise is the reader's to say.
 */
int vhu_backend_load(struct loop *loop, struct vdev *dev, struct handover_in *in, unsigned int tag,
		     const struct vhu_backend_options *options,
		     void (*closed)(struct vhu_backend *b, void *arg), void *arg,
		     struct vhu_backend **ret_backend);

#endif
