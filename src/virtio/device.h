/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What a virtio device and whoever carries it (a vhost-user session, a test)
 * know of each other. A device owns queues while they run and knows nothing of
 * sockets; its carrier owns kicks and calls and knows nothing of the device.
 */
#ifndef VHU_VIRTIO_DEVICE_H
#define VHU_VIRTIO_DEVICE_H

#include "base.h"
#include "histogram.h"
#include "state.h"
#include "virtio/virtq.h"

struct vdev;
struct vqueue;

/* What a device found when it was asked to serve a queue. */
enum vq_service {
	VQ_DRAINED, /* nothing left to take: wake me with a kick */
	VQ_MORE,    /* the budget is spent: call again soon */
	VQ_WAITING, /* buffers are left, but the device has no use for them now:
		       no kick wanted, vqueue_wake() comes from the device */
};

/* The device's view of a queue: its own between queue_start and queue_stop. */
struct vqueue {
	struct virtq vq;
	unsigned int idx;
	bool running;			/* started, enabled, mapped, not silenced */
	struct histogram *latency;	/* the device's, or NULL: from kick to published buffers */
	void (*wake)(struct vqueue *q); /* set by the carrier */
};

struct vdev_ops {
	/* Device-type bits to offer; common ring features are the carrier's business. */
	uint64_t (*features)(const struct vdev *dev);

	/* The driver's choice (device-type bits and others); may come again while running. */
	void (*set_features)(struct vdev *dev, uint64_t accepted);

	/*
	 * [off, off + len) may reach past the config space: reads are zero-filled
	 * there. A write returns 0, or -EINVAL when it covers nothing writable.
	 */
	void (*config_read)(const struct vdev *dev, uint32_t off, void *buf, uint32_t len);
	int (*config_write)(struct vdev *dev, uint32_t off, const void *buf, uint32_t len);

	/* A queue begins or ends to run. fresh: its base is a new driver's. */
	void (*queue_start)(struct vdev *dev, struct vqueue *q, bool fresh);
	void (*queue_stop)(struct vdev *dev, struct vqueue *q);

	/*
	 * A ring is about to start for the guest of that in-flight record (0: it has none).
	 * True: *ret_mark is what the process before this one had returned last, which the
	 * carrier finishes first, unless it was published. May be NULL.
	 */
	bool (*queue_resume)(struct vdev *dev, unsigned int idx, uint64_t guest,
			     struct ring_mark *ret_mark);

	/*
	 * Takes chains until their chain_cost() adds up to budget; the carrier
	 * publishes and notifies afterwards.
	 */
	enum vq_service (*queue_service)(struct vdev *dev, struct vqueue *q, unsigned int budget);

	/* Back to the initial state (RESET_DEVICE). No queue runs. */
	void (*reset)(struct vdev *dev);

	/* A front-end has come or gone. */
	void (*set_present)(struct vdev *dev, bool present);

	/*
	 * No queue runs, and the device's state is about to be saved: nothing goes
	 * in or out on the host side from now on. vdev->frozen() is called, perhaps
	 * at once, when nothing is under way there. Repeatable.
	 */
	void (*freeze)(struct vdev *dev);

	/*
	 * The host side goes on; so it does by itself when a queue starts and at a
	 * reset. moved: the state has gone to another, and what was saved of
	 * contents is forgotten here.
	 */
	void (*thaw)(struct vdev *dev, bool moved);

	/* A frozen device's whole state, finished; state_writer_fini() either way. 0 or -ENOMEM. */
	int (*save)(struct vdev *dev, struct state_writer *ret_state);

	/*
	 * Checks a state, and keeps it until the first queue starts, the front-end
	 * goes, or a reset. 0, or -errno with one sentence, and nothing is changed.
	 */
	int (*load)(struct vdev *dev, const void *state, size_t len, char *ret_why, size_t why_cap);
};

struct vdev {
	const struct vdev_ops *ops;
	unsigned int n_queues;

	/*
	 * Set by the carrier: how many queues the front-end was seen to have, 0
	 * while that is not known. It may be fewer than n_queues.
	 */
	unsigned int n_queues_seen;

	/*
	 * Set by the carrier: outlives this process, with some bytes for the device
	 * (inflight_keep()). NULL: nothing does. What a device keeps in a turn is
	 * there before the driver sees what the turn returned.
	 */
	struct inflight *record;

	/* Set by the carrier while it is there: config space has changed, tell the driver. */
	void (*config_changed)(void *carrier);

	/* Set by the carrier while it waits for what freeze() has begun. */
	void (*frozen)(void *carrier);
	void *carrier;
};

/* Asks for the queue to be served soon; nothing happens unless it runs. */
static inline void vqueue_wake(struct vqueue *q)
{
	if (q && q->running)
		q->wake(q);
}

static inline void vdev_config_changed(struct vdev *dev)
{
	if (dev->config_changed)
		dev->config_changed(dev->carrier);
}

#endif
