/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A queue as part of a hand-over (handover.h): it goes on in another process
 * where it was, and the driver sees nothing of it.
 */
#ifndef VHU_VIRTIO_VIRTQ_HANDOVER_H
#define VHU_VIRTIO_VIRTQ_HANDOVER_H

#include "handover.h"
#include "virtio/virtq.h"

/* The queue, which has published all, as a group. What cannot go is out's to say. */
void virtq_save(const struct virtq *q, struct handover_out *out, unsigned int tag);

/*
 * In place of virtq_start(): goes on where it was, for a ring of size entries, and
 * parked: virtq_set_memory() comes next. Neither the ring nor the record of what is
 * in flight is read or written; that is the one that was set (virtq_set_inflight()).
 * What is wrong is the reader's to say.
 */
void virtq_load(struct virtq *q, struct state_reader *r, unsigned int tag, uint32_t size);

#endif
