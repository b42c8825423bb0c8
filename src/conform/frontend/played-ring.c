/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Rings of the played back-end: the device side is virtio/virtq.h, which judges the driver. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "conform/frontend/played.h"
#include "vhu/codec.h"

enum { STATUS_DRIVER_OK = 0x04 };

/* Buffers may lie there so long before a kick that was asked for counts as missing. */
#define LATE_NS UINT64_C(3000000000)

/* So long after a ring could be used, one is served that lacks DRIVER_OK, as most back-ends do. */
#define NOT_OK_NS UINT64_C(1000000000)

int played_rings_init(struct played *p)
{
	int err = 0;

	if (p->n_rings > PLAYED_MAX_RINGS)
		p->n_rings = PLAYED_MAX_RINGS;
	for (unsigned int i = 0; i < PLAYED_MAX_RINGS; i++) {
		struct played_ring *r = &p->rings[i];

		r->kick_fd = -1;
		r->call_fd = -1;
		r->err_fd = -1;
		if (err == 0 && i < p->n_rings)
			err = virtq_init(&r->q, VRING_MAX_SIZE, 0);
	}
	return err;
}

void played_rings_fini(struct played *p)
{
	for (unsigned int i = 0; i < PLAYED_MAX_RINGS; i++) {
		struct played_ring *r = &p->rings[i];

		r->kick_fd = fd_close(r->kick_fd);
		r->call_fd = fd_close(r->call_fd);
		r->err_fd = fd_close(r->err_fd);
		if (i < p->n_rings)
			virtq_fini(&r->q);
	}
}

static bool map_ring(struct played *p, const struct played_ring *r, struct virtq_ring *ret_ring)
{
	uint64_t features = p->nego.features;
	struct virtq_areas len = virtq_area_bytes(features, r->num);

	return virtq_ring_map(ret_ring, features,
			      gmem_host_from_user(p->mem, r->addr.desc, len.desc),
			      gmem_host_from_user(p->mem, r->addr.avail, len.driver),
			      gmem_host_from_user(p->mem, r->addr.used, len.device), r->num);
}

/* A started ring whose place is known begins; what becomes known later begins then. */
static void go_live(struct played *p, unsigned int idx)
{
	struct played_ring *r = &p->rings[idx];
	struct virtq_ring ring;

	if (r->live || !r->started || !r->num_set || !r->addr_set || !p->mem)
		return;
	if (!map_ring(p, r, &ring))
		return;
	virtq_start(&r->q, &ring, p->mem, r->base, p->nego.features);
	r->live = true;
	r->late_ns = 0;
}

static bool lacks_driver_ok(const struct played *p)
{
	return vhu_nego_has_protocol(&p->nego, VHU_PF_STATUS_BIT) &&
	       !(p->status & STATUS_DRIVER_OK);
}

bool played_ring_runs(const struct played *p, unsigned int idx)
{
	const struct played_ring *r = &p->rings[idx];

	if (!r->live || !r->enabled || virtq_broken(&r->q) != VIRTQ_FAULT_NONE)
		return false;
	return !lacks_driver_ok(p) || (r->ready_ns && monotonic_ns() - r->ready_ns > NOT_OK_NS);
}

void played_ring_update(struct played *p, unsigned int idx)
{
	struct played_ring *r = &p->rings[idx];

	go_live(p, idx);
	if (!r->live || !r->enabled)
		r->ready_ns = 0;
	else if (!r->ready_ns)
		r->ready_ns = monotonic_ns();
}

void played_rings_remap(struct played *p)
{
	for (unsigned int i = 0; i < p->n_rings; i++) {
		struct played_ring *r = &p->rings[i];
		struct virtq_ring ring;

		if (r->live && p->mem && map_ring(p, r, &ring)) {
			virtq_set_memory(&r->q, &ring, p->mem);
		} else if (r->live) {
			virtq_publish(&r->q);
			virtq_set_memory(&r->q, NULL, NULL);
		}
		played_ring_update(p, i);
	}
}

void played_ring_start(struct played *p, unsigned int idx)
{
	struct played_ring *r = &p->rings[idx];
	struct virtq_ring ring;
	bool known = r->num_set && r->addr_set;

	/* Some front-ends enable first, others last: only a start is judged. */
	played_judge(p, DUTY_START_NEEDS, known, "ring %u was started without %s", idx,
		     r->num_set ? "SET_VRING_ADDR" : "SET_VRING_NUM");
	played_judge(p, DUTY_FEATURES_BEFORE_RINGS, p->nego.features_set,
		     "ring %u was started before SET_FEATURES", idx);
	played_judge(p, DUTY_OWNER, p->nego.owner, "ring %u was started before SET_OWNER", idx);
	if (known)
		played_judge(p, DUTY_RING_MAPPED, p->mem && map_ring(p, r, &ring),
			     "ring %u of %u entries at 0x%llx, 0x%llx, 0x%llx does not lie within "
			     "the memory",
			     idx, r->num, (unsigned long long)r->addr.desc,
			     (unsigned long long)r->addr.avail, (unsigned long long)r->addr.used);
	r->started = true;
	played_ring_update(p, idx);
}

void played_ring_stop(struct played *p, unsigned int idx)
{
	struct played_ring *r = &p->rings[idx];

	if (r->live) {
		virtq_publish(&r->q);
		virtq_stop(&r->q);
		r->base = virtq_base(&r->q);
	}
	r->live = false;
	r->started = false;
	r->late_ns = 0;
	r->ready_ns = 0;
	r->kick_fd = fd_close(r->kick_fd);
	r->call_fd = fd_close(r->call_fd);
}

void played_ring_kicked(struct played *p, unsigned int idx)
{
	struct played_ring *r = &p->rings[idx];
	uint64_t value;
	ssize_t n = read(r->kick_fd, &value, sizeof(value));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	/* The end of a pipe or socket: the other side is on its way out. */
	if (n != 0)
		played_judge(
			p, DUTY_KICK_READABLE, n == sizeof(value),
			"reading the kick descriptor of ring %u gave %zd bytes or an error (%d)",
			idx, n, n < 0 ? errno : 0);
	if (n != sizeof(value))
		r->kick_fd = fd_close(r->kick_fd);
	else
		r->n_kicks++;
	r->late_ns = 0;
}

static void call_inband(struct played *p, unsigned int idx)
{
	const struct vhu_vring_state s = { .index = idx };
	uint8_t bytes[VHU_HDR_LEN + VHU_MAX_PAYLOAD];
	struct vhu_msg m;

	vhu_msg_init(&m, VHU_BE, VHU_BE_VRING_CALL);
	vhu_msg_put(&m, &s, sizeof(s));
	played_send(p, p->channel_fd, bytes, vhu_msg_pack(&m, bytes), NULL, 0);
}

static bool can_write(int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLOUT };

	return poll(&pfd, 1, 0) > 0 && (pfd.revents & POLLOUT);
}

void played_ring_call(struct played *p, unsigned int idx)
{
	struct played_ring *r = &p->rings[idx];
	const uint64_t one = 1;
	ssize_t n;

	if (r->call_fd < 0) {
		if (p->channel_fd >= 0 &&
		    vhu_nego_has_protocol(&p->nego, VHU_PF_INBAND_NOTIFICATIONS_BIT))
			call_inband(p, idx);
		return;
	}
	/* A socket that is full has calls in it that were not heard yet: one more is not needed. */
	if (!can_write(r->call_fd))
		return;
	n = write(r->call_fd, &one, sizeof(one));
	/* Gone: so is the guest. */
	if (n < 0 && (errno == EAGAIN || errno == EPIPE || errno == EINTR))
		return;
	played_judge(p, DUTY_CALL_WRITABLE, n == sizeof(one),
		     "writing 8 bytes to the call descriptor of ring %u gave %zd (error %d)", idx,
		     n, n < 0 ? errno : 0);
}

/* Judging the driver. */

static const struct {
	enum virtq_fault fault;
	enum played_duty duty;
	bool indirect; /* shown only by chains with a table */
} faults[] = {
	{ VIRTQ_FAULT_AVAIL_JUMP, DUTY_RING_AVAIL_JUMP, false },
	{ VIRTQ_FAULT_HEAD_RANGE, DUTY_RING_HEAD_RANGE, false },
	{ VIRTQ_FAULT_HEAD_IN_USE, DUTY_RING_HEAD_IN_USE, false },
	{ VIRTQ_FAULT_NEXT_RANGE, DUTY_RING_NEXT_RANGE, false },
	{ VIRTQ_FAULT_CHAIN_LONG, DUTY_RING_CHAIN_LONG, false },
	{ VIRTQ_FAULT_ORDER, DUTY_RING_ORDER, false },
	{ VIRTQ_FAULT_UNMAPPED, DUTY_RING_UNMAPPED, false },
	{ VIRTQ_FAULT_TOO_LARGE, DUTY_RING_TOO_LARGE, false },
	{ VIRTQ_FAULT_INDIRECT_FEATURE, DUTY_RING_INDIRECT_FEATURE, true },
	{ VIRTQ_FAULT_INDIRECT_NESTED, DUTY_RING_INDIRECT_NESTED, true },
	{ VIRTQ_FAULT_INDIRECT_NEXT, DUTY_RING_INDIRECT_NEXT, true },
	{ VIRTQ_FAULT_INDIRECT_SIZE, DUTY_RING_INDIRECT_SIZE, true },
	{ VIRTQ_FAULT_INDIRECT_UNMAPPED, DUTY_RING_INDIRECT_UNMAPPED, true },
};

static bool next_is_indirect(const struct virtq *q)
{
	uint16_t head;

	if (q->ring.size == 0)
		return false;
	head = vring_avail_entry(&q->ring.split, (uint16_t)virtq_base(q));
	return head < q->ring.size &&
	       (vring_desc_load(&q->ring.split, head).flags & VRING_DESC_F_INDIRECT);
}

static void judge_chain(struct played *p, unsigned int idx, bool indirect)
{
	enum virtq_fault broken = virtq_broken(&p->rings[idx].q);

	for (size_t i = 0; i < ARRAY_SIZE(faults); i++) {
		if (faults[i].indirect && !indirect && broken != faults[i].fault)
			continue;
		played_judge(p, faults[i].duty, broken != faults[i].fault,
			     "ring %u, available index %u: %s", idx, virtq_base(&p->rings[idx].q),
			     virtq_fault_text(broken));
	}
}

bool played_ring_pop(struct played *p, unsigned int idx, struct chain *ret_chain)
{
	struct played_ring *r = &p->rings[idx];
	enum pop_result result;
	bool indirect;

	if (!virtq_has_avail(&r->q) || virtq_broken(&r->q) != VIRTQ_FAULT_NONE)
		return false;
	indirect = next_is_indirect(&r->q);
	result = virtq_pop(&r->q, ret_chain);
	if (result == POP_EMPTY)
		return false;
	/* After a wrong used entry of ours a driver may be as confused as it likes. */
	if (!p->fault_done)
		judge_chain(p, idx, indirect);
	if (result != POP_CHAIN)
		return false;
	r->n_chains++;
	p->n_chains++;
	if (!p->ran_ns)
		p->ran_ns = monotonic_ns();
	return true;
}

void played_ring_push(struct played *p, unsigned int idx, uint16_t head, uint32_t len)
{
	struct played_ring *r = &p->rings[idx];

	if (played_fault_used(p, idx, head, len))
		return;
	virtq_push(&r->q, head, len);
	if (virtq_publish(&r->q))
		played_ring_call(p, idx);
}

/*
 * Kicks are asked for before every sleep; buffers that lie there all the same
 * and stay for long were offered without the kick that they needed.
 */
static void serve_ring(struct played *p, unsigned int idx)
{
	struct played_ring *r = &p->rings[idx];
	uint64_t now = monotonic_ns();

	if (!virtq_has_avail(&r->q) || (p->device->poked & BIT(idx))) {
		r->late_ns = 0;
	} else if (r->n_kicks == 0 && r->n_chains > 0 && !r->polled) {
		if (!r->late_ns)
			r->late_ns = now;
		if (now - r->late_ns < LATE_NS)
			return;
		played_judge(p, DUTY_KICK_SENT, false,
			     "ring %u: buffers were made available, a kick was asked for, and "
			     "within 3 s "
			     "none came",
			     idx);
	} else if (r->n_kicks > 0) {
		played_judge(p, DUTY_KICK_SENT, true, "%s", "");
	}
	r->n_kicks = 0;
	r->late_ns = 0;
	do
		p->device->serve(p, idx);
	while (!(p->device->poked & BIT(idx)) && virtq_kicks_on(&r->q) &&
	       virtq_broken(&r->q) == VIRTQ_FAULT_NONE && p->fd >= 0 &&
	       p->script.fault != FAULT_USED_NEVER);
}

void played_rings_serve(struct played *p)
{
	for (unsigned int i = 0; i < p->n_rings && p->fd >= 0; i++) {
		if (!played_ring_runs(p, i))
			continue;
		if (vhu_nego_has_protocol(&p->nego, VHU_PF_STATUS_BIT) &&
		    virtq_has_avail(&p->rings[i].q))
			played_judge(p, DUTY_STATUS_DRIVER_OK, !lacks_driver_ok(p),
				     "ring %u was started and enabled, has buffers, and a second "
				     "later the "
				     "status is 0x%02x",
				     i, p->status);
		serve_ring(p, i);
	}
}

/* Buffers that were never asked for are looked at now, and stay the driver's. */
static void judge_left_over(struct played *p, unsigned int idx)
{
	struct chain chain;

	for (unsigned int n = 0; n < 64; n++)
		if (!played_ring_pop(p, idx, &chain))
			return;
}

void played_judge_end(struct played *p)
{
	for (unsigned int i = 0; i < p->n_rings; i++) {
		const struct played_ring *r = &p->rings[i];

		if (!r->live)
			continue;
		if (virtq_has_avail(&r->q))
			played_judge(p, DUTY_ENABLED, r->was_enabled,
				     "ring %u was started and has buffers, and was never enabled",
				     i);
		if (r->enabled)
			judge_left_over(p, i);
	}
}
