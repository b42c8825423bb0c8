/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Messages about the device as a whole: features, status, reset, config space. */
#include <errno.h>
#include <string.h>

#include "vhu/backend.h"
#include "vhu/codec.h"

static void update_rings(struct vhu_backend *b)
{
	for (unsigned int i = 0; i < b->n_vqs; i++)
		vqio_update(&b->vqs[i]);
}

enum vhu_outcome vhu_on_GET_FEATURES(struct vhu_backend *b, struct vhu_msg *msg,
				     struct vhu_msg *reply)
{
	(void)msg;
	vhu_msg_put_u64(reply, b->nego.offered_features);
	return VHU_DONE;
}

enum vhu_outcome vhu_on_SET_FEATURES(struct vhu_backend *b, struct vhu_msg *msg,
				     struct vhu_msg *reply)
{
	uint64_t features = vhu_msg_u64(msg);

	(void)reply;
	b->dev->ops->set_features(b->dev, features);
	if (!(features & BIT(VHU_F_PROTOCOL_FEATURES_BIT)))
		for (unsigned int i = 0; i < b->n_vqs; i++)
			b->vqs[i].enabled = true; /* there is no ENABLE then (VU-036) */
	update_rings(b);
	return VHU_DONE;
}

enum vhu_outcome vhu_on_GET_PROTOCOL_FEATURES(struct vhu_backend *b, struct vhu_msg *msg,
					      struct vhu_msg *reply)
{
	(void)msg;
	vhu_msg_put_u64(reply, b->nego.offered_protocol);
	return VHU_DONE;
}

/* vhu_observe() remembers the set; whether STATUS is in it decides if rings may run. */
enum vhu_outcome vhu_on_SET_PROTOCOL_FEATURES(struct vhu_backend *b, struct vhu_msg *msg,
					      struct vhu_msg *reply)
{
	(void)b;
	(void)msg;
	(void)reply;
	return VHU_DONE;
}

enum vhu_outcome vhu_on_GET_QUEUE_NUM(struct vhu_backend *b, struct vhu_msg *msg,
				      struct vhu_msg *reply)
{
	(void)msg;
	vhu_msg_put_u64(reply, b->n_vqs);
	return VHU_DONE;
}

/* May come late, and again: libkrun sends it at every activation. */
enum vhu_outcome vhu_on_SET_OWNER(struct vhu_backend *b, struct vhu_msg *msg, struct vhu_msg *reply)
{
	(void)b;
	(void)msg;
	(void)reply;
	return VHU_DONE;
}

/* Deprecated; the text allows to ignore it (VU-191). */
enum vhu_outcome vhu_on_RESET_OWNER(struct vhu_backend *b, struct vhu_msg *msg,
				    struct vhu_msg *reply)
{
	(void)b;
	(void)msg;
	(void)reply;
	return VHU_DONE;
}

static void stop_rings(struct vhu_backend *b)
{
	for (unsigned int i = 0; i < b->n_vqs; i++) {
		vqio_stop(&b->vqs[i]);
		b->vqs[i].call_again = false;
	}
}

/* Rings stop and are disabled; connection, memory and negotiation stay (VU-189). */
enum vhu_outcome vhu_on_RESET_DEVICE(struct vhu_backend *b, struct vhu_msg *msg,
				     struct vhu_msg *reply)
{
	(void)msg;
	(void)reply;
	stop_rings(b);
	for (unsigned int i = 0; i < b->n_vqs; i++)
		b->vqs[i].enabled = false;
	b->status = 0;
	b->config_pending = false;
	b->dev->ops->reset(b->dev);
	return VHU_DONE;
}

/*
 * Any order of bits is taken: QEMU writes FEATURES_OK first. Status 0 stops the
 * rings until they are set up again (VU-184). QEMU writes it when a guest is
 * merely paused, so what the driver has told the device is kept until a ring
 * starts from index 0.
 */
enum vhu_outcome vhu_on_SET_STATUS(struct vhu_backend *b, struct vhu_msg *msg,
				   struct vhu_msg *reply)
{
	(void)reply;
	b->status = (uint8_t)vhu_msg_u64(msg);
	if (b->status == 0)
		stop_rings(b);
	update_rings(b);
	return VHU_DONE;
}

enum vhu_outcome vhu_on_GET_STATUS(struct vhu_backend *b, struct vhu_msg *msg,
				   struct vhu_msg *reply)
{
	(void)msg;
	vhu_msg_put_u64(reply, b->status);
	return VHU_DONE;
}

/* As many bytes as were asked for, zeroes past the device's own (VU-143, VU-144). */
enum vhu_outcome vhu_on_GET_CONFIG(struct vhu_backend *b, struct vhu_msg *msg,
				   struct vhu_msg *reply)
{
	struct vhu_config config;

	vhu_msg_get(msg, &config, sizeof(config));
	b->dev->ops->config_read(b->dev, config.offset, config.bytes, config.size);
	vhu_msg_put(reply, &config, offsetof(struct vhu_config, bytes) + config.size);
	return VHU_DONE;
}

/*
 * Fields that can be written are, whatever the flags: one front-end marks
 * ordinary writes of the guest as migration. A migration write may also cover
 * nothing but fields that cannot.
 */
enum vhu_outcome vhu_on_SET_CONFIG(struct vhu_backend *b, struct vhu_msg *msg,
				   struct vhu_msg *reply)
{
	struct vhu_config config;
	int err;

	(void)reply;
	vhu_msg_get(msg, &config, sizeof(config));
	err = b->dev->ops->config_write(b->dev, config.offset, config.bytes, config.size);
	if (err < 0 && config.flags != VHU_CONFIG_MIGRATION)
		return vhu_backend_refuse(b,
					  "SET_CONFIG of %u bytes at %u: nothing there can be "
					  "written",
					  config.size, config.offset);
	return VHU_DONE;
}

/* May come at any time, and again (VU-202, VU-203). */
enum vhu_outcome vhu_on_SET_BACKEND_REQ_FD(struct vhu_backend *b, struct vhu_msg *msg,
					   struct vhu_msg *reply)
{
	(void)reply;
	if (vhu_channel_open(b, fdset_take(&msg->fds, 0)) < 0)
		return vhu_backend_refuse(b, "no memory for the back-end channel");
	vhu_backend_flush_config(b);
	/* What an older channel, or none, was told of may never have been heard. */
	for (unsigned int i = 0; i < b->n_vqs; i++)
		if (b->vqs[i].live && b->vqs[i].call_fd < 0)
			vqio_call(&b->vqs[i]);
	return VHU_DONE;
}

/* Rows that this back-end does not carry out. Most are not reached: their feature is not offered.
 */
static enum vhu_outcome unsupported(struct vhu_backend *b, const struct vhu_msg *msg)
{
	return vhu_backend_refuse(b, "%s is not supported by this device",
				  vhu_msg_name(VHU_FE, msg->id));
}

#define UNSUPPORTED(NAME)                                                                          \
	enum vhu_outcome vhu_on_##NAME(struct vhu_backend *b, struct vhu_msg *msg,                 \
				       struct vhu_msg *reply)                                      \
	{                                                                                          \
		(void)reply;                                                                       \
		return unsupported(b, msg);                                                        \
	}

UNSUPPORTED(SET_LOG_BASE)
UNSUPPORTED(SET_LOG_FD)
UNSUPPORTED(SEND_RARP)
UNSUPPORTED(NET_SET_MTU)
UNSUPPORTED(IOTLB_MSG)
UNSUPPORTED(SET_VRING_ENDIAN)
UNSUPPORTED(CREATE_CRYPTO_SESSION)
UNSUPPORTED(CLOSE_CRYPTO_SESSION)
UNSUPPORTED(POSTCOPY_ADVISE)
UNSUPPORTED(POSTCOPY_LISTEN)
UNSUPPORTED(POSTCOPY_END)
UNSUPPORTED(GET_INFLIGHT_FD)
UNSUPPORTED(SET_INFLIGHT_FD)
UNSUPPORTED(GPU_SET_SOCKET)
UNSUPPORTED(GET_SHARED_OBJECT)
UNSUPPORTED(SET_DEVICE_STATE_FD)
UNSUPPORTED(CHECK_DEVICE_STATE)
UNSUPPORTED(GET_SHMEM_CONFIG)
UNSUPPORTED(GET_VRING_BASE_SKIP_DRAIN)
