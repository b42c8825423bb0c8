/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "vhu/backend-handover.h"

#include <errno.h>
#include <inttypes.h>

#include "virtio/features.h"
#include "virtio/virtq-handover.h"

enum session_tag {
	TAG_CONN = 1,
	TAG_FLAGS, /* BIT(enum session_flag) */
	TAG_OFFERED,
	TAG_FEATURES,
	TAG_OFFERED_PROTOCOL,
	TAG_PROTOCOL,
	TAG_MAX_QUEUE_SIZE,
	TAG_STATUS,
	TAG_N_NAMED,
	TAG_N_QUEUES_SEEN,
	TAG_REGION,
	TAG_TRANSLATIONS,
	TAG_LOG,
	TAG_INFLIGHT,
	TAG_RING,
	TAG_CHANNEL,
};

enum session_flag {
	FLAG_FEATURES_SET,
	FLAG_PROTOCOL_SET,
	FLAG_OWNER,
	FLAG_HAS_MEMORY,
	FLAG_CONFIG_PENDING,
	FLAG_RINGS_SET_UP,
	FLAG_TOLD_N_QUEUES,
	FLAG_WARNED_FEW_QUEUES,
	N_FLAGS,
};

enum region_tag { REGION_FD = 1, REGION_GUEST, REGION_SIZE, REGION_USER, REGION_OFFSET };

enum ring_tag {
	RING_IDX = 1,
	RING_FLAGS, /* BIT(enum ring_flag) */
	RING_NUM,
	RING_ADDR_FLAGS,
	RING_DESC,
	RING_USED,
	RING_AVAIL,
	RING_LOG,
	RING_BASE,
	RING_KICK,
	RING_CALL,
	RING_ERR,
	RING_NEGO_NUM,
	RING_LACK,
	RING_QUEUE, /* of one that is live */
};

enum ring_flag {
	RING_NUM_SET,
	RING_ADDR_SET,
	RING_ENABLED,
	RING_STARTED,
	RING_LIVE,
	RING_MAPPED,
	RING_POLLED,
	RING_CALL_DUE,
	RING_ERR_DUE,
	/* As the rules see it. */
	RING_NEGO_NUM_SET,
	RING_NEGO_ADDR_SET,
	RING_NEGO_BASE_SET,
	RING_NEGO_KICK_SET,
	RING_NEGO_CALL_SET,
	RING_NEGO_ENABLED,
	N_RING_FLAGS,
};

/* What this file knows to hand over: a feature with a state of its own is added with it. */
static const uint64_t known_protocol =
	BIT(VHU_PF_MQ_BIT) | BIT(VHU_PF_LOG_SHMFD_BIT) | BIT(VHU_PF_REPLY_ACK_BIT) |
	BIT(VHU_PF_BACKEND_REQ_BIT) | BIT(VHU_PF_PAGEFAULT_BIT) | BIT(VHU_PF_CONFIG_BIT) |
	BIT(VHU_PF_INFLIGHT_SHMFD_BIT) | BIT(VHU_PF_RESET_DEVICE_BIT) |
	BIT(VHU_PF_INBAND_NOTIFICATIONS_BIT) | BIT(VHU_PF_CONFIGURE_MEM_SLOTS_BIT) |
	BIT(VHU_PF_STATUS_BIT) | BIT(VHU_PF_DEVICE_STATE_BIT) |
	BIT(VHU_PF_GET_VRING_BASE_INFLIGHT_BIT) | BIT(VHU_PF_GET_VRING_BASE_SKIP_DRAIN_BIT) |
	BIT(VHU_PF_GPA_ADDRESSES_BIT);

static uint64_t session_flags(const struct vhu_backend *b)
{
	return (uint64_t)b->nego.features_set << FLAG_FEATURES_SET |
	       (uint64_t)b->nego.protocol_set << FLAG_PROTOCOL_SET |
	       (uint64_t)b->nego.owner << FLAG_OWNER |
	       (uint64_t)(b->mem != NULL) << FLAG_HAS_MEMORY |
	       (uint64_t)b->config_pending << FLAG_CONFIG_PENDING |
	       (uint64_t)b->rings_set_up << FLAG_RINGS_SET_UP |
	       (uint64_t)b->told_n_queues << FLAG_TOLD_N_QUEUES |
	       (uint64_t)b->warned_few_queues << FLAG_WARNED_FEW_QUEUES;
}

static void save_region(const struct gmem_region *region, struct handover_out *out)
{
	const struct gmem_desc *desc = gmem_region_desc(region);
	struct state_writer *w = &out->state;

	if (gmem_region_fd(region) < 0)
		handover_busy(out, "a memory region has no descriptor (RLIMIT_NOFILE)");
	state_begin_group(w, TAG_REGION);
	handover_put_fd(out, REGION_FD, gmem_region_fd(region));
	state_put_number(w, REGION_GUEST, desc->guest_addr);
	state_put_number(w, REGION_SIZE, desc->size);
	state_put_number(w, REGION_USER, desc->user_addr);
	state_put_number(w, REGION_OFFSET, desc->mmap_offset);
	state_end(w);
}

static uint64_t ring_flags(const struct vqio *v, const struct vhu_nego_ring *nego)
{
	return (uint64_t)v->num_set << RING_NUM_SET | (uint64_t)v->addr_set << RING_ADDR_SET |
	       (uint64_t)v->enabled << RING_ENABLED | (uint64_t)v->started << RING_STARTED |
	       (uint64_t)v->live << RING_LIVE | (uint64_t)v->mapped << RING_MAPPED |
	       (uint64_t)v->polled << RING_POLLED |
	       (uint64_t)(v->call_again || op_armed(&v->call)) << RING_CALL_DUE |
	       (uint64_t)op_armed(&v->err) << RING_ERR_DUE |
	       (uint64_t)nego->num_set << RING_NEGO_NUM_SET |
	       (uint64_t)nego->addr_set << RING_NEGO_ADDR_SET |
	       (uint64_t)nego->base_set << RING_NEGO_BASE_SET |
	       (uint64_t)nego->kick_set << RING_NEGO_KICK_SET |
	       (uint64_t)nego->call_set << RING_NEGO_CALL_SET |
	       (uint64_t)nego->enabled << RING_NEGO_ENABLED;
}

static void save_ring(const struct vqio *v, struct handover_out *out)
{
	const struct vhu_nego_ring *nego = &v->b->nego.ring[v->q.idx];
	struct state_writer *w = &out->state;

	state_begin_group(w, TAG_RING);
	state_put_number(w, RING_IDX, v->q.idx);
	state_put_number(w, RING_FLAGS, ring_flags(v, nego));
	state_put_number(w, RING_NUM, v->num);
	state_put_number(w, RING_ADDR_FLAGS, v->addr.flags);
	state_put_number(w, RING_DESC, v->addr.desc);
	state_put_number(w, RING_USED, v->addr.used);
	state_put_number(w, RING_AVAIL, v->addr.avail);
	state_put_number(w, RING_LOG, v->addr.log);
	state_put_number(w, RING_BASE, v->base);
	handover_put_fd(out, RING_KICK, v->kick_fd);
	handover_put_fd(out, RING_CALL, v->call_fd);
	handover_put_fd(out, RING_ERR, v->err_fd);
	state_put_number(w, RING_NEGO_NUM, nego->num);
	vhu_iommu_save_lack(v, w, RING_LACK);
	if (v->live)
		virtq_save(&v->q.vq, out, RING_QUEUE);
	state_end(w);
}

static void save_memory(const struct vhu_backend *b, struct handover_out *out)
{
	for (size_t i = 0; b->mem && i < gmem_n_regions(b->mem); i++)
		save_region(gmem_region_at(b->mem, i), out);
}

/* What cannot go at present, or not at all. */
static void look_for_reasons(const struct vhu_backend *b, struct handover_out *out)
{
	uint64_t unknown = b->nego.protocol & ~known_protocol;

	if (b->closing || b->conn.has_ended || b->n_busy > 0)
		handover_busy(out, "%s: the session is ending or amid a message", b->who);
	if (unknown != 0)
		handover_busy(out, "%s: protocol features 0x%" PRIx64 " cannot be handed over",
			      b->who, unknown);
	if (b->conn.ear)
		handover_busy(out, "%s: --trace writes its messages down", b->who);
	if (vhu_postcopy_under_way(b))
		handover_busy(out, "%s: guest memory is still elsewhere (postcopy)", b->who);
	if (vhu_state_moves(b))
		handover_busy(out, "%s: the device's state is being moved", b->who);
}

void vhu_backend_save(const struct vhu_backend *b, struct handover_out *out, unsigned int tag)
{
	struct state_writer *w = &out->state;

	look_for_reasons(b, out);
	state_begin_group(w, tag);
	vhu_conn_save(&b->conn, out, TAG_CONN);
	state_put_number(w, TAG_FLAGS, session_flags(b));
	state_put_number(w, TAG_OFFERED, b->nego.offered_features);
	state_put_number(w, TAG_FEATURES, b->nego.features);
	state_put_number(w, TAG_OFFERED_PROTOCOL, b->nego.offered_protocol);
	state_put_number(w, TAG_PROTOCOL, b->nego.protocol);
	state_put_number(w, TAG_MAX_QUEUE_SIZE, b->nego.max_queue_size);
	state_put_number(w, TAG_STATUS, b->status);
	state_put_number(w, TAG_N_NAMED, b->n_named);
	state_put_number(w, TAG_N_QUEUES_SEEN, b->dev->n_queues_seen);
	save_memory(b, out);
	vhu_iommu_save(b, w, TAG_TRANSLATIONS);
	vhu_log_save(b, out, TAG_LOG);
	vhu_inflight_save(b, out, TAG_INFLIGHT);
	for (unsigned int i = 0; i < b->n_vqs; i++)
		save_ring(&b->vqs[i], out);
	vhu_channel_save(b, out, TAG_CHANNEL);
	state_end(w);
}

/* What was offered stays on offer; what was accepted, this program must know. */
static void load_nego(struct vhu_backend *b, struct state_reader *r, uint64_t flags)
{
	const uint64_t known = b->nego.offered_features, protocol = b->nego.offered_protocol;
	struct vhu_nego *n = &b->nego;

	n->features_set = flags & BIT(FLAG_FEATURES_SET);
	n->protocol_set = flags & BIT(FLAG_PROTOCOL_SET);
	n->owner = flags & BIT(FLAG_OWNER);
	n->offered_features = state_take_number(r, TAG_OFFERED, "features on offer", UINT64_MAX);
	n->features = state_take_number(r, TAG_FEATURES, "features", UINT64_MAX);
	n->offered_protocol = state_take_number(r, TAG_OFFERED_PROTOCOL,
						"protocol features on offer", UINT64_MAX);
	n->protocol = state_take_number(r, TAG_PROTOCOL, "protocol features", UINT64_MAX);
	n->max_queue_size = (unsigned int)state_take_number(r, TAG_MAX_QUEUE_SIZE, "size of queues",
							    n->max_queue_size);
	if ((n->features & ~known) || (n->protocol & ~protocol & known_protocol))
		state_fail(r,
			   "features 0x%" PRIx64 " and 0x%" PRIx64 " are in use, known are "
			   "0x%" PRIx64 " and 0x%" PRIx64,
			   n->features, n->protocol, known, protocol);
}

static void load_flags(struct vhu_backend *b, uint64_t flags)
{
	b->config_pending = flags & BIT(FLAG_CONFIG_PENDING);
	b->rings_set_up = flags & BIT(FLAG_RINGS_SET_UP);
	b->told_n_queues = flags & BIT(FLAG_TOLD_N_QUEUES);
	b->warned_few_queues = flags & BIT(FLAG_WARNED_FEW_QUEUES);
}

static struct gmem_region *load_region(struct handover_in *in)
{
	struct state_reader *r = &in->state;
	struct gmem_region *region = NULL;
	enum gmem_result result;
	struct gmem_desc desc;
	int fd;

	if (!state_enter(r, TAG_REGION, "memory"))
		return NULL;
	fd = handover_take_fd(in, REGION_FD, "file", true);
	desc.guest_addr = state_take_number(r, REGION_GUEST, "guest address", UINT64_MAX);
	desc.size = state_take_number(r, REGION_SIZE, "size", UINT64_MAX);
	desc.user_addr = state_take_number(r, REGION_USER, "user address", UINT64_MAX);
	desc.mmap_offset = state_take_number(r, REGION_OFFSET, "offset", UINT64_MAX);
	if (!r->failed) {
		result = gmem_region_map(&desc, fd, &region);
		if (result != GMEM_OK)
			state_fail(r, "%s", gmem_result_text(result));
	}
	fd_close(fd); /* the region has its own */
	state_leave(r);
	return region;
}

static void load_memory(struct vhu_backend *b, struct handover_in *in, bool has_memory)
{
	struct gmem_region *regions[GMEM_MAX_REGIONS];
	enum gmem_result result = GMEM_OK;
	size_t n = 0;

	while (n < GMEM_MAX_REGIONS && state_has(&in->state, TAG_REGION) &&
	       (regions[n] = load_region(in)))
		n++;
	if (has_memory && !in->state.failed)
		result = gmem_new(regions, n, &b->mem);
	if (result != GMEM_OK)
		state_fail(&in->state, "memory: %s", gmem_result_text(result));
	for (size_t i = 0; i < n; i++)
		gmem_region_unref(regions[i]);
}

static void load_ring_flags(struct vqio *v, struct vhu_nego_ring *nego, uint64_t flags)
{
	v->num_set = flags & BIT(RING_NUM_SET);
	v->addr_set = flags & BIT(RING_ADDR_SET);
	v->enabled = flags & BIT(RING_ENABLED);
	v->started = flags & BIT(RING_STARTED);
	v->live = flags & BIT(RING_LIVE);
	v->mapped = flags & BIT(RING_MAPPED);
	v->polled = flags & BIT(RING_POLLED);
	v->call_again = flags & BIT(RING_CALL_DUE);
	nego->num_set = (flags & BIT(RING_NEGO_NUM_SET)) != 0;
	nego->addr_set = (flags & BIT(RING_NEGO_ADDR_SET)) != 0;
	nego->base_set = (flags & BIT(RING_NEGO_BASE_SET)) != 0;
	nego->kick_set = (flags & BIT(RING_NEGO_KICK_SET)) != 0;
	nego->call_set = (flags & BIT(RING_NEGO_CALL_SET)) != 0;
	nego->enabled = (flags & BIT(RING_NEGO_ENABLED)) != 0;
}

/* The engine goes on where it was. */
static void load_live(struct vqio *v, struct state_reader *r)
{
	struct vdev *dev = v->b->dev;
	struct virtq_ring ring;

	virtq_load(&v->q.vq, r, RING_QUEUE, v->num);
	if (!r->failed && v->mapped && !vqio_map_ring(v, &ring))
		state_fail(r, "its addresses are not inside one shared region each");
	if (!r->failed && v->mapped)
		virtq_set_memory(&v->q.vq, &ring, v->b->mem);
	if (!r->failed)
		dev->ops->queue_start(dev, &v->q, false);
}

/* In order, as they were written: each once, or its queue would be started twice. */
static void load_ring(struct vhu_backend *b, struct handover_in *in, unsigned int *next)
{
	static const uint64_t one = 1;
	struct state_reader *r = &in->state;
	struct vhu_nego_ring *nego;
	struct vqio *v;
	uint64_t flags;

	if (!state_enter(r, TAG_RING, "ring"))
		return;
	v = &b->vqs[state_take_number(r, RING_IDX, "number", b->n_vqs - 1)];
	nego = &b->nego.ring[v->q.idx];
	flags = state_take_number(r, RING_FLAGS, "flags", BIT(N_RING_FLAGS) - 1);
	if (v->q.idx < *next)
		state_fail(r, "it is number %u, expected is %u or more", v->q.idx, *next);
	if (r->failed) {
		state_leave(r);
		return;
	}
	*next = v->q.idx + 1;
	load_ring_flags(v, nego, flags);
	v->num = (uint32_t)state_take_number(r, RING_NUM, "size", b->nego.max_queue_size);
	v->addr.index = v->q.idx;
	v->addr.flags = (uint32_t)state_take_number(r, RING_ADDR_FLAGS, "flags", UINT32_MAX);
	v->addr.desc = state_take_number(r, RING_DESC, "descriptors", UINT64_MAX);
	v->addr.used = state_take_number(r, RING_USED, "used", UINT64_MAX);
	v->addr.avail = state_take_number(r, RING_AVAIL, "available", UINT64_MAX);
	v->addr.log = state_take_number(r, RING_LOG, "log", UINT64_MAX);
	v->base = (uint32_t)state_take_number(r, RING_BASE, "base", UINT32_MAX);
	v->kick_fd = handover_take_fd(in, RING_KICK, "kick", false);
	v->call_fd = handover_take_fd(in, RING_CALL, "call", false);
	v->err_fd = handover_take_fd(in, RING_ERR, "error", false);
	vqio_note_fds(v);
	nego->num = (uint16_t)state_take_number(r, RING_NEGO_NUM, "size", VRING_MAX_SIZE);
	vhu_iommu_load_lack(v, r, RING_LACK);
	if (v->live)
		load_live(v, r);
	if (flags & BIT(RING_ERR_DUE) && v->err_fd >= 0)
		op_write(&v->err, v->err_fd, &one, sizeof(one));
	state_leave(r);
}

/*
 * With all that they need. The device stores nothing in the record while its
 * queues start: what it knew of its driver comes after that.
 */
static void load_rings(struct vhu_backend *b, struct handover_in *in)
{
	struct state_reader *r = &in->state;
	unsigned int next = 0;

	vhu_iommu_load(b, r, TAG_TRANSLATIONS);
	vhu_log_load(b, in, TAG_LOG);
	vhu_inflight_load(b, in, TAG_INFLIGHT);
	b->dev->record = NULL;
	while (state_has(r, TAG_RING))
		load_ring(b, in, &next);
	b->dev->record = b->inflight.record;
	vhu_log_update(b, b->nego.features);
}

/* Kicks are listened for, and every ring is looked at: what was cut short goes on. */
static void start_rings(struct vhu_backend *b)
{
	for (unsigned int i = 0; i < b->n_vqs; i++)
		vqio_resume(&b->vqs[i]);
}

int vhu_backend_load(struct loop *loop, struct vdev *dev, struct handover_in *in, unsigned int tag,
		     const struct vhu_backend_options *options,
		     void (*closed)(struct vhu_backend *b, void *arg), void *arg,
		     struct vhu_backend **ret_backend)
{
	struct state_reader *r = &in->state;
	struct vhu_backend *b;
	uint64_t flags;
	int err;

	err = vhu_backend_make(loop, dev, options, closed, arg, &b);
	if (err < 0)
		return err;
	*ret_backend = b;
	if (!state_enter(r, tag, options->who))
		return 0;
	vhu_conn_load(&b->conn, loop, VHU_FE, &vhu_backend_conn_ops, in, TAG_CONN);
	flags = state_take_number(r, TAG_FLAGS, "flags", BIT(N_FLAGS) - 1);
	load_nego(b, r, flags);
	load_flags(b, flags);
	b->status = (uint8_t)state_take_number(r, TAG_STATUS, "status", UINT8_MAX);
	b->n_named = (unsigned int)state_take_number(r, TAG_N_NAMED, "rings named", VHU_MAX_RINGS);
	dev->n_queues_seen =
		(unsigned int)state_take_number(r, TAG_N_QUEUES_SEEN, "queues", UINT32_MAX);
	load_memory(b, in, flags & BIT(FLAG_HAS_MEMORY));
	load_rings(b, in);
	vhu_channel_load(b, in, TAG_CHANNEL);
	state_leave(r);
	if (!r->failed) {
		start_rings(b);
		/* What put it off there, a rest of the share, is not known here. */
		vhu_backend_read_next(b);
	}
	return 0;
}
