/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "vhu/backend-vring.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "fd.h"
#include "vhu/backend.h"
#include "vhu/codec.h"
#include "virtio/features.h"
#include "virtio/iotlb.h"

/* While its session rests, kicks add up in their descriptor. */
static void arm_kick(struct vqio *v)
{
	if (vhu_backend_rests(v->b))
		return;
	if (v->kick_fd >= 0 && !op_armed(&v->kick))
		op_read(&v->kick, v->kick_fd, &v->kick_value, sizeof(v->kick_value));
	else if (v->polled && !op_armed(&v->poll.op))
		timer_arm(&v->poll, VQIO_POLL_NS);
}

/* Whether operations that listen for the driver may be armed. */
static bool listens(const struct vqio *v)
{
	return v->started && !v->silenced && !v->b->closing &&
	       virtq_broken(&v->q.vq) == VIRTQ_FAULT_NONE;
}

static void make_ready(struct vqio *v)
{
	if (!list_empty(&v->ready_link))
		return;
	list_append(&v->b->ready_rings, &v->ready_link);
	loop_defer(v->b->loop, &v->b->serve_rings);
}

static void wake(struct vqueue *q)
{
	make_ready(container_of(q, struct vqio, q));
}

static bool look(struct loop_watch *w, bool last)
{
	struct vqio *v = container_of(w, struct vqio, watch);
	bool found = last ? virtq_kicks_on(&v->q.vq) : virtq_has_avail(&v->q.vq);

	if (last)
		vhu_log_tell(v->b);
	if (found)
		make_ready(v);
	return found;
}

/* All is taken. Whether more has come already. */
static bool await_kick(struct vqio *v)
{
	return !loop_watch(v->b->loop, &v->watch) && virtq_kicks_on(&v->q.vq);
}

void vqio_update(struct vqio *v)
{
	bool runs = v->mapped && v->enabled && listens(v) && vhu_backend_driver_ok(v->b);

	if (listens(v))
		arm_kick(v);
	if (runs == v->q.running)
		return;
	v->q.running = runs;
	if (runs) {
		make_ready(v);
		vhu_backend_flush_config(v->b);
	} else {
		list_remove(&v->ready_link);
		loop_unwatch(v->b->loop, &v->watch);
	}
}

/* The ring is of no use until it is set up anew; the others go on (VU-219). */
static void broken(struct vqio *v)
{
	static const uint64_t one = 1;

	vhu_backend_warn(v->b, v->who, "the ring is stopped: %s",
			 virtq_fault_text(virtq_broken(&v->q.vq)));
	vqio_update(v);
	if (v->err_fd >= 0 && !op_armed(&v->err) && !scope_cancelling(&v->scope))
		op_write(&v->err, v->err_fd, &one, sizeof(one));
	else if (v->err_fd < 0)
		vhu_channel_vring_err(v->b, v->q.idx);
	vhu_backend_needs_reset(v->b);
}

void vqio_call(struct vqio *v)
{
	if (v->call_fd < 0) {
		vhu_channel_vring_call(v->b, v->q.idx);
	} else if (v->silenced || op_armed(&v->call)) {
		v->call_again = true;
	} else {
		v->call_again = false;
		op_write(&v->call, v->call_fd, &v->call_value, sizeof(v->call_value));
	}
}

void vqio_note_kick(struct vqio *v)
{
	if (v->q.latency && v->kicked_ns == 0)
		v->kicked_ns = monotonic_ns();
}

/*
 * After a turn: buffers that came back end the time that began with a kick. A
 * kick for nothing is forgotten; one whose buffers the device holds is not.
 */
static void note_service(struct vqio *v, bool published, enum vq_service found)
{
	if (v->kicked_ns == 0)
		return;
	if (published && v->q.latency)
		histogram_add(v->q.latency, monotonic_ns() - v->kicked_ns);
	if (published || found == VQ_DRAINED || !v->q.latency)
		v->kicked_ns = 0;
}

/* What a guest gains by kicks for nothing, others lose. */
static void note_vain_kick(struct vqio *v)
{
	v->n_vain++;
	if (v->b->share)
		share_charge(v->b->share, SHARE_KICK_NS);
}

static bool lost_memory(const struct vhu_backend *b)
{
	return gmem_faulted(b->mem) || (b->log.map && dirty_log_faulted(b->log.map)) ||
	       (b->inflight.record && inflight_faulted(b->inflight.record));
}

/* One turn. Returns whether another is needed without any kick. */
static bool serve(struct vqio *v)
{
	struct vdev *dev = v->b->dev;
	struct virtq *vq = &v->q.vq;
	uint16_t published_idx = vq->published_idx;
	enum vq_service found;

	loop_unwatch(v->b->loop, &v->watch);
	virtq_kicks_off(vq);
	found = dev->ops->queue_service(dev, &v->q, VQIO_BUDGET);
	if (virtq_publish(vq))
		vqio_call(v);
	note_service(v, vq->published_idx != published_idx, found);
	if (vq->published_idx != published_idx)
		v->n_vain = 0;
	else if (v->kicked)
		note_vain_kick(v);
	v->kicked = false;
	vhu_log_tell(v->b);
	if (lost_memory(v->b)) {
		vhu_backend_close(v->b, LOG_LEVEL_WARNING,
				  "the front-end truncated the memory that it shares");
		return false;
	}
	if (virtq_broken(vq) != VIRTQ_FAULT_NONE) {
		broken(v);
		return false;
	}
	if (vhu_iommu_lacks(v) || vhu_postcopy_lacks_chain(v))
		return false;
	return found == VQ_MORE || (found == VQ_DRAINED && await_kick(v));
}

/*
 * However many rings a guest keeps busy, other guests wait for VQIO_TURN_NS at
 * most, and for one ring's budget. Who had no turn is the first next time.
 */
static void serve_ready_rings(struct vhu_backend *b)
{
	uint64_t end = 0;
	struct list_node batch;

	list_init(&batch);
	list_splice(&batch, &b->ready_rings);
	while (!list_empty(&batch)) {
		struct vqio *v = list_first(&batch, struct vqio, ready_link);

		list_remove(&v->ready_link);
		if (v->q.running && serve(v))
			make_ready(v);
		if (list_empty(&batch))
			break; /* the common case: no look at the clock */
		if (end == 0)
			end = monotonic_ns() + VQIO_TURN_NS;
		else if (monotonic_ns() >= end)
			break;
	}
	list_splice(&batch, &b->ready_rings);
	list_splice(&b->ready_rings, &batch);
	if (!list_empty(&b->ready_rings))
		loop_defer(b->loop, &b->serve_rings);
}

/* What a turn costs is the guest's to choose, by the bytes of its chains and who takes them. */
void vqio_serve_ready(struct task *task)
{
	struct vhu_backend *b = container_of(task, struct vhu_backend, serve_rings);

	if (loop_is_parked(b->loop)) {
		loop_defer_parked(b->loop, task);
		return;
	}
	if (!fair_take_turn(b->loop, &b->turns)) {
		loop_defer(b->loop, task);
		return;
	}
	serve_ready_rings(b);
}

void vqio_service_now(struct vqio *v)
{
	/* Bounded: what comes after a ring's worth of turns is served as usual. */
	for (unsigned int i = 0; i <= v->num / VQIO_BUDGET; i++) {
		if (!v->q.running || !serve(v))
			return;
	}
	make_ready(v);
}

/* It held up the loop, and so all others: no session may do that twice. */
static bool blocked(struct vqio *v, const char *what, int res)
{
	char why[96];

	if (res != -EDEADLK)
		return false;
	snprintf(why, sizeof(why), "the %s descriptor of ring %u was ready, and then made us wait",
		 what, v->q.idx);
	vhu_backend_close(v->b, LOG_LEVEL_WARNING, why);
	return true;
}

/*
 * A semaphore gives one at a time, and its counter may be as large as its owner
 * likes: nobody would have to kick any more to keep us busy. One that was kicked
 * faster than it was read gives more than one, sooner or later.
 */
/* seccomp: poll ppoll */
static bool never_ends(struct vqio *v)
{
	struct pollfd p = { .fd = v->kick_fd, .events = POLLIN };

	if (v->kick_value != 1)
		v->n_vain = 0;
	if (v->n_vain < VQIO_VAIN_MAX)
		return false;
	v->n_vain = 0;
	return poll(&p, 1, 0) == 1;
}

static void kick_done(struct op *op, int res)
{
	struct vqio *v = container_of(op, struct vqio, kick);

	if (blocked(v, "kick", res))
		return;
	if (res == -ECANCELED || res == -EINTR) {
		if (listens(v))
			arm_kick(v);
		return;
	}
	if (res <= 0) {
		/* Closed, or not a thing to read from: no kick will ever come (VU-133). */
		if (listens(v)) {
			virtq_break(&v->q.vq, VIRTQ_FAULT_KICK);
			broken(v);
		}
		return;
	}
	if (!listens(v))
		return; /* resuming serves the ring whether or not it was kicked */
	log_trace(v->who, "kicked");
	if (never_ends(v)) {
		vhu_backend_warn(
			v->b, v->who,
			"%d kicks for nothing, and its descriptor stays readable: expected "
			"an eventfd that a read empties, no semaphore",
			VQIO_VAIN_MAX);
		virtq_break(&v->q.vq, VIRTQ_FAULT_KICK);
		broken(v);
		return;
	}
	v->kicked = true;
	vqio_note_kick(v);
	arm_kick(v);
	vqueue_wake(&v->q);
}

static void poll_done(struct op *op, int res)
{
	struct vqio *v = container_of(op, struct vqio, poll.op);

	(void)res;
	if (!listens(v))
		return;
	arm_kick(v);
	vqueue_wake(&v->q);
}

static void call_done(struct op *op, int res)
{
	struct vqio *v = container_of(op, struct vqio, call);

	if (blocked(v, "call", res))
		return;
	/* A descriptor that takes no more was written to and not read: told already (VU-130). */
	if (res == -ECANCELED || res == -EINTR)
		v->call_again = true;
	else if (res < 0 && res != -EAGAIN)
		vhu_backend_warn(v->b, v->who, "cannot call the driver: %s", strerror(-res));
	if (v->call_again && !v->silenced && !v->b->closing)
		vqio_call(v);
}

static void err_done(struct op *op, int res)
{
	blocked(container_of(op, struct vqio, err), "error", res);
}

bool vqio_map_ring(struct vqio *v, struct virtq_ring *ret_ring)
{
	/* A ring that is live stays what it was. */
	uint64_t features = v->live ? v->q.vq.features : v->b->nego.features;
	struct virtq_areas len = virtq_area_bytes(features, v->num);
	/* A packed ring is written where it is read. */
	uint8_t both =
		features & BIT(VIRTIO_F_RING_PACKED_BIT) ? IOTLB_READ | IOTLB_WRITE : IOTLB_READ;
	void *desc = vhu_iommu_area(v, v->addr.desc, len.desc, both);
	void *driver = desc ? vhu_iommu_area(v, v->addr.avail, len.driver, IOTLB_READ) : NULL;
	void *device = driver ? vhu_iommu_area(v, v->addr.used, len.device, IOTLB_WRITE) : NULL;

	if (device &&
	    (vhu_postcopy_lacks(v, desc, len.desc) || vhu_postcopy_lacks(v, driver, len.driver) ||
	     vhu_postcopy_lacks(v, device, len.device)))
		return false;
	if (!device || !virtq_ring_map(ret_ring, features, desc, driver, device, v->num))
		return false;
	vhu_log_update_ring(v, features); /* it may lie elsewhere than before */
	return true;
}

/*
 * A process before this one may have returned chains that it did not live to
 * publish; the device knows.
 */
static void resume_ring(struct vqio *v, const struct virtq_ring *ring)
{
	const struct vdev_ops *ops = v->b->dev->ops;
	const struct inflight *record = v->q.vq.record;
	bool fits = record && inflight_fits(record, v->q.idx, ring->size, ring->packed);
	uint64_t guest = fits ? inflight_identity(record) : 0;
	struct ring_mark mark;

	if (record && !fits)
		vhu_backend_warn(v->b, v->who,
				 "not in the record of requests in flight: it is for other rings");
	if (ops->queue_resume && ops->queue_resume(v->b->dev, v->q.idx, guest, &mark) &&
	    virtq_finish(&v->q.vq, ring, &mark))
		log_info(v->who, "chains that were returned before are published now");
}

void vqio_go_live(struct vqio *v)
{
	struct vdev *dev = v->b->dev;
	struct virtq_ring ring;

	if (v->live || !v->started || !v->num_set || !v->addr_set)
		return;
	if (!virtq_size_valid(v->b->nego.features, v->num)) {
		vhu_backend_warn(v->b, v->who, "waits: a split ring cannot have %u entries",
				 v->num);
		return;
	}
	if (!vqio_map_ring(v, &ring)) {
		if (!v->lack.waits && !v->fetching)
			vhu_backend_warn(
				v->b, v->who,
				"waits: its addresses are not inside one shared region each");
		return;
	}
	resume_ring(v, &ring);
	virtq_start(&v->q.vq, &ring, v->b->mem, v->base, v->b->nego.features);
	v->live = true;
	v->mapped = true;
	vhu_state_ring_started(v->b);
	if (virtq_broken(&v->q.vq) != VIRTQ_FAULT_NONE)
		broken(v);
	dev->ops->queue_start(dev, &v->q, virtq_is_fresh(&v->q.vq));
	if (virtq_resumed(&v->q.vq))
		vqio_call(v); /* of what was published the driver may not have been told */
	log_debug(v->who, "live: %u entries from base 0x%x", v->num, v->base);
}

void vqio_start(struct vqio *v)
{
	v->started = true;
	vqio_go_live(v);
	vqio_update(v);
}

void vqio_stop(struct vqio *v)
{
	bool was_started = v->started;

	v->started = false;
	v->kicked_ns = 0;
	if (v->live) {
		struct vdev *dev = v->b->dev;

		v->live = false;
		v->mapped = false;
		vhu_channel_forget_call(v->b, v->q.idx);
		vqio_update(v);
		dev->ops->queue_stop(dev, &v->q);
		v->base = virtq_base(&v->q.vq);
		virtq_stop(&v->q.vq);
	}
	if (was_started)
		vhu_iommu_ring_stopped(v);
	vqio_update(v);
}

void vqio_remap(struct vqio *v)
{
	struct virtq_ring ring;

	if (!v->live) {
		vqio_go_live(v);
	} else {
		v->mapped = vqio_map_ring(v, &ring);
		virtq_set_memory(&v->q.vq, v->mapped ? &ring : NULL, v->mapped ? v->b->mem : NULL);
		if (!v->mapped && !v->fetching)
			log_debug(v->who, "parked: its addresses left the memory table");
	}
	vqio_update(v);
}

void vqio_silence(struct vqio *v)
{
	v->silenced = true;
	vqio_update(v);
}

void vqio_resume(struct vqio *v)
{
	v->silenced = false;
	vqio_update(v);
	if (v->call_again)
		vqio_call(v);
}

int vqio_init(struct vqio *v, struct vhu_backend *b, unsigned int idx, unsigned int max_size)
{
	*v = (struct vqio){
		.q = { .idx = idx, .wake = wake },
		.b = b,
		.kick_fd = -1,
		.call_fd = -1,
		.err_fd = -1,
		.call_value = 1,
	};
	snprintf(v->who, sizeof(v->who), "%s/q%u", b->who, idx);
	scope_init(&v->scope, b->loop);
	op_init(&v->kick, &v->scope, kick_done);
	op_init(&v->call, &v->scope, call_done);
	op_init(&v->err, &v->scope, err_done);
	timer_init(&v->poll, &v->scope, poll_done);
	list_init(&v->ready_link);
	list_init(&v->lack.due);
	loop_watch_init(&v->watch, look);
	return virtq_init(&v->q.vq, max_size, 0);
}

void vqio_fini(struct vqio *v)
{
	list_remove(&v->ready_link);
	list_remove(&v->lack.due);
	loop_unwatch(v->b->loop, &v->watch);
	scope_fini(&v->scope);
	virtq_fini(&v->q.vq);
	v->kick_fd = fd_close(v->kick_fd);
	v->call_fd = fd_close(v->call_fd);
	v->err_fd = fd_close(v->err_fd);
}
