/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Messages about the device as a whole: features, status, reset, config space. */
#include <errno.h>
#include <string.h>

#include "fd.h"
#include "vhu/backend.h"
#include "vhu/codec.h"

static void update_rings(struct vhu_backend *b)
{
	for (unsigned int i = 0; i < b->n_vqs; i++)
		vqio_update(&b->vqs[i]);
}

/* How many of the device's rings this front-end can start: with a descriptor, or in-band. */
static unsigned int usable_rings(const struct vhu_backend *b)
{
	if (vhu_backend_has_protocol(b, VHU_PF_INBAND_NOTIFICATIONS_BIT))
		return b->n_vqs;
	return (unsigned int)min_size(b->n_vqs, VHU_MAX_FD_RINGS);
}

/*
 * Before SET_FEATURES a front-end names the rings that it has (QEMU gives all
 * of them a call descriptor); after it, those that its guest uses, which may be
 * fewer: a boot loader's driver may take two. So what comes after it counts
 * only where something came before.
 */
void vhu_backend_note_rings(struct vhu_backend *b, const struct vhu_msg *msg)
{
	unsigned int usable = usable_rings(b);
	uint32_t ring;

	if (msg->id == VHU_FE_SET_VRING_NUM)
		b->rings_set_up = true;
	if (vhu_msg_ring(msg, &ring) && ring >= b->n_named &&
	    (b->n_named > 0 || !b->nego.features_set))
		b->n_named = ring + 1;
	if (b->n_named > 0)
		b->dev->n_queues_seen = (unsigned int)min_size(b->n_named, usable);
	else
		b->dev->n_queues_seen = usable < b->n_vqs ? usable : 0;
}

void vhu_backend_note_departure(const struct vhu_backend *b)
{
	if (b->told_n_queues && !b->rings_set_up && b->n_named == 0)
		vhu_log_limited(
			&b->limits->sessions, LOG_LEVEL_INFO, b->who,
			"it left after it was told of %u queues: if it wants more, it must ask for "
			"%u (num_vqs), or the device needs more ports",
			b->n_vqs, b->n_vqs);
}

/* The config space is read before the driver sets up its rings, and offers it fewer ports. */
static void warn_few_queues(struct vhu_backend *b)
{
	unsigned int seen = b->dev->n_queues_seen;

	if (b->warned_few_queues || b->rings_set_up || seen == 0 || seen >= b->n_vqs)
		return;
	b->warned_few_queues = true;
	if (seen == usable_rings(b))
		vhu_log_limited(
			&b->limits->sessions, LOG_LEVEL_INFO, b->who,
			"the front-end can use %u of the device's %u queues, so num_vqs=%u at "
			"most: more need in-band notifications",
			seen, b->n_vqs, seen);
	else
		vhu_log_limited(
			&b->limits->sessions, LOG_LEVEL_INFO, b->who,
			"the front-end has %u queues, the device %u: give it num_vqs=%u for all of "
			"them",
			seen, b->n_vqs, b->n_vqs);
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
	if (!vhu_iommu_set_features(b, features))
		return vhu_backend_refuse(b, "SET_FEATURES: no memory for translations");
	b->dev->ops->set_features(b->dev, features);
	vhu_log_update(b, features);
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
	b->told_n_queues = true;
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

/*
 * A reset: what an older driver had in flight concerns nobody any more. The record
 * is closed, as it may come back when the rings have gone on without it.
 */
static void stop_rings(struct vhu_backend *b)
{
	for (unsigned int i = 0; i < b->n_vqs; i++) {
		vqio_stop(&b->vqs[i]);
		vhu_inflight_ring_stopped(&b->vqs[i]);
		b->vqs[i].call_again = false;
	}
	vhu_inflight_drop(b);
}

/*
 * Rings stop and are disabled; connection, memory and negotiation stay (VU-189):
 * the device, back in its initial state, is told again what was accepted.
 */
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
	vhu_state_reset(b);
	b->dev->ops->reset(b->dev);
	b->dev->ops->set_features(b->dev, b->nego.features);
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
	warn_few_queues(b);
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
	if (!fd_is_unix_socket(msg->fds.fd[0]))
		return vhu_backend_refuse(b, "SET_BACKEND_REQ_FD: expected a Unix socket");
	if (vhu_channel_open(b, fdset_take(&msg->fds, 0)) < 0)
		return vhu_backend_refuse(b, "no memory for the back-end channel");
	vhu_backend_flush_config(b);
	vhu_iommu_channel_opened(b);
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

UNSUPPORTED(SEND_RARP)
UNSUPPORTED(NET_SET_MTU)
UNSUPPORTED(SET_VRING_ENDIAN)
UNSUPPORTED(CREATE_CRYPTO_SESSION)
UNSUPPORTED(CLOSE_CRYPTO_SESSION)
UNSUPPORTED(GPU_SET_SOCKET)
UNSUPPORTED(GET_SHARED_OBJECT)
UNSUPPORTED(GET_SHMEM_CONFIG)
