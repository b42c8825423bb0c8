/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The back-end's own channel to the front-end (SET_BACKEND_REQ_FD): requests
 * of ours, acknowledged or not. What goes wrong on it ends the channel, never
 * the session.
 */
#ifndef VHU_VHU_BACKEND_CHANNEL_H
#define VHU_VHU_BACKEND_CHANNEL_H

#include "vhu/conn.h"

struct vhu_backend;
struct vhu_iotlb;

/* Opens the channel on fd (taken); an older channel of the session is closed. 0 or -ENOMEM. */
int vhu_channel_open(struct vhu_backend *b, int fd);

/* Closes the session's channel if there is one; the session is told when it is gone. */
void vhu_channel_close(struct vhu_backend *b);

/* BACKEND_CONFIG_CHANGE_MSG. False when it could not be queued. */
bool vhu_channel_config_change(struct vhu_backend *b);

/* BACKEND_VRING_CALL and _ERR for ring idx: in-band notifications. */
void vhu_channel_vring_call(struct vhu_backend *b, uint32_t idx);
void vhu_channel_forget_call(struct vhu_backend *b, uint32_t idx); /* the ring has stopped */
void vhu_channel_vring_err(struct vhu_backend *b, uint32_t idx);

/*
 * BACKEND_IOTLB_MSG for ring idx: a miss, or an access that is not permitted.
 * False when it could not be queued; vhu_iommu_flush() comes when there may be room.
 * *ret_unacked: whether vhu_iommu_acknowledged() will come.
 */
bool vhu_channel_iotlb(struct vhu_backend *b, uint32_t idx, const struct vhu_iotlb *payload,
		       bool *ret_unacked);

/* Requests that the front-end has still to acknowledge. */
unsigned int vhu_channel_n_unacked(const struct vhu_backend *b);

/* For a hand-over, as a group, if there is one; loaded with the session. */
void vhu_channel_save(const struct vhu_backend *b, struct handover_out *out, unsigned int tag);
void vhu_channel_load(struct vhu_backend *b, struct handover_in *in, unsigned int tag);

#endif
