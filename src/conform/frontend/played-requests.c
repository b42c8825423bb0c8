/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What a decent back-end does with each request, and which duties it shows. */
#include <assert.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conform/frontend/played.h"
#include "vhu/codec.h"

enum { STATUS_FEATURES_OK = 0x08, STATUS_DRIVER_OK = 0x04 };

static struct vhu_vring_state ring_state(const struct vhu_msg *m)
{
	struct vhu_vring_state s;

	vhu_msg_get(m, &s, sizeof(s));
	return s;
}

/* The ring that a request names is below n_rings, or it would not have come here. */
static struct played_ring *ring_of(struct played *p, const struct vhu_msg *m, uint32_t *ret_idx)
{
	bool named = vhu_msg_ring(m, ret_idx);

	assert(named && *ret_idx < p->n_rings);
	return &p->rings[*ret_idx];
}

static bool get_features(struct played *p, struct vhu_msg *m, struct vhu_msg *reply)
{
	(void)m;
	vhu_msg_put_u64(reply, p->features);
	return true;
}

static bool set_features(struct played *p, struct vhu_msg *m, struct vhu_msg *reply)
{
	uint64_t value = vhu_msg_u64(m);

	(void)reply;
	played_judge(p, DUTY_FEATURES_ASKED, p->seen[VHU_FE_GET_FEATURES] > 0,
		     "SET_FEATURES came and no GET_FEATURES before it");
	if (p->features & BIT(VIRTIO_F_VERSION_1_BIT))
		played_judge(p, DUTY_VERSION_1, value & BIT(VIRTIO_F_VERSION_1_BIT),
			     "SET_FEATURES 0x%llx lacks VERSION_1, which was offered",
			     (unsigned long long)value);
	if (!(value & BIT(VHU_F_PROTOCOL_FEATURES_BIT)))
		for (unsigned int i = 0; i < p->n_rings; i++)
			p->rings[i].enabled = p->rings[i].was_enabled = true;
	return true;
}

static bool get_protocol(struct played *p, struct vhu_msg *m, struct vhu_msg *reply)
{
	(void)m;
	vhu_msg_put_u64(reply, p->protocol);
	return true;
}

static bool set_protocol(struct played *p, struct vhu_msg *m, struct vhu_msg *reply)
{
	(void)m;
	(void)reply;
	played_judge(p, DUTY_PROTOCOL_ASKED, p->seen[VHU_FE_GET_PROTOCOL_FEATURES] > 0,
		     "SET_PROTOCOL_FEATURES came and no GET_PROTOCOL_FEATURES before it");
	return true;
}

static bool get_queue_num(struct played *p, struct vhu_msg *m, struct vhu_msg *reply)
{
	(void)m;
	p->nego.n_queues = p->n_rings * p->device->per_queue;
	vhu_msg_put_u64(reply, p->n_rings);
	return true;
}

static bool nothing(struct played *p, struct vhu_msg *m, struct vhu_msg *reply)
{
	(void)p;
	(void)m;
	(void)reply;
	return true;
}

/* Memory. */

static bool overlaps(uint64_t a, uint64_t b, uint64_t a_size, uint64_t b_size)
{
	return a < b ? b - a < a_size : a - b < b_size;
}

static bool map_slot(struct played *p, const struct vhu_region *wire, int fd)
{
	const struct gmem_desc desc = {
		.guest_addr = wire->guest_addr,
		.size = wire->size,
		.user_addr = wire->user_addr,
		.mmap_offset = wire->mmap_offset,
	};
	struct gmem_region *region;
	enum gmem_result result = gmem_region_map(&desc, fd, &region);

	played_judge(p, DUTY_REGION_FILE, result == GMEM_OK,
		     "a region of 0x%llx bytes at file offset 0x%llx: %s",
		     (unsigned long long)wire->size, (unsigned long long)wire->mmap_offset,
		     gmem_result_text(result));
	if (result != GMEM_OK)
		return false;
	p->slots[p->n_slots].wire = *wire;
	p->slots[p->n_slots++].region = region;
	return true;
}

/* The table of all slots; without them all, when it cannot be made. */
static bool make_table(struct played *p)
{
	struct gmem_region *regions[PLAYED_MAX_SLOTS];
	struct gmem *mem = NULL;
	enum gmem_result result;

	for (unsigned int i = 0; i < p->n_slots; i++)
		regions[i] = p->slots[i].region;
	result = gmem_new(regions, p->n_slots, &mem);
	if (result != GMEM_OK)
		played_note(p, "-- the memory table cannot be used: %s", gmem_result_text(result));
	gmem_unref(p->mem);
	p->mem = result == GMEM_OK ? mem : NULL;
	played_rings_remap(p);
	return result == GMEM_OK;
}

static void drop_slots(struct played *p)
{
	for (unsigned int i = 0; i < p->n_slots; i++)
		gmem_region_unref(p->slots[i].region);
	p->n_slots = 0;
}

static unsigned int slots_offered(const struct played *p)
{
	return p->script.n_slots ? p->script.n_slots : PLAYED_MAX_SLOTS;
}

static bool set_mem_table(struct played *p, struct vhu_msg *m, struct vhu_msg *reply)
{
	struct vhu_mem_table t;
	bool good = true;

	(void)reply;
	vhu_msg_get(m, &t, sizeof(t));
	drop_slots(p);
	for (uint32_t i = 0; i < t.n_regions && i < VHU_MAX_REGIONS && good; i++)
		good = map_slot(p, &t.regions[i], m->fds.fd[i]);
	return make_table(p) && good;
}

static bool add_mem_reg(struct played *p, struct vhu_msg *m, struct vhu_msg *reply)
{
	struct vhu_single_region r;
	bool is_new = true;

	(void)reply;
	vhu_msg_get(m, &r, sizeof(r));
	for (unsigned int i = 0; i < p->n_slots; i++) {
		const struct vhu_region *w = &p->slots[i].wire;

		if (overlaps(w->guest_addr, r.region.guest_addr, w->size, r.region.size) ||
		    overlaps(w->user_addr, r.region.user_addr, w->size, r.region.size))
			is_new = false;
	}
	played_judge(
		p, DUTY_REGION_NEW, is_new,
		"ADD_MEM_REG of guest address 0x%llx, size 0x%llx, which overlaps another region",
		(unsigned long long)r.region.guest_addr, (unsigned long long)r.region.size);
	played_judge(p, DUTY_SLOTS_LIMIT, p->n_slots < slots_offered(p),
		     "ADD_MEM_REG of one region more than the %u slots", slots_offered(p));
	if (!is_new || p->n_slots >= slots_offered(p) || !map_slot(p, &r.region, m->fds.fd[0]))
		return false;
	return make_table(p);
}

static bool rem_mem_reg(struct played *p, struct vhu_msg *m, struct vhu_msg *reply)
{
	struct vhu_single_region r;
	unsigned int i;

	(void)reply;
	vhu_msg_get(m, &r, sizeof(r));
	for (i = 0; i < p->n_slots; i++) {
		const struct vhu_region *w = &p->slots[i].wire;

		if (w->guest_addr == r.region.guest_addr && w->user_addr == r.region.user_addr &&
		    w->size == r.region.size)
			break;
	}
	played_judge(p, DUTY_REGION_KNOWN, i < p->n_slots,
		     "REM_MEM_REG of guest address 0x%llx, size 0x%llx: there is no such region",
		     (unsigned long long)r.region.guest_addr, (unsigned long long)r.region.size);
	if (i == p->n_slots)
		return false;
	gmem_region_unref(p->slots[i].region);
	p->slots[i] = p->slots[--p->n_slots];
	return make_table(p);
}

static bool get_max_mem_slots(struct played *p, struct vhu_msg *m, struct vhu_msg *reply)
{
	(void)m;
	vhu_msg_put_u64(reply, slots_offered(p));
	return true;
}

/* Rings. */

static bool set_vring_num(struct played *p, struct vhu_msg *m, struct vhu_msg *reply)
{
	uint32_t i;
	struct played_ring *r = ring_of(p, m, &i);

	(void)reply;
	r->num = ring_state(m).num;
	r->num_set = true;
	played_ring_update(p, i);
	return true;
}

static bool set_vring_addr(struct played *p, struct vhu_msg *m, struct vhu_msg *reply)
{
	uint32_t i;
	struct played_ring *r = ring_of(p, m, &i);

	(void)reply;
	played_judge(p, DUTY_MEMORY_FIRST, p->mem != NULL,
		     "SET_VRING_ADDR of ring %u came before any memory", i);
	vhu_msg_get(m, &r->addr, sizeof(r->addr));
	r->addr_set = true;
	played_ring_update(p, i);
	return true;
}

static bool set_vring_base(struct played *p, struct vhu_msg *m, struct vhu_msg *reply)
{
	uint32_t i;

	(void)reply;
	ring_of(p, m, &i)->base = ring_state(m).num;
	return true;
}

static bool get_vring_base(struct played *p, struct vhu_msg *m, struct vhu_msg *reply)
{
	uint32_t i;
	struct played_ring *r = ring_of(p, m, &i);
	struct vhu_vring_state s = { .index = i };

	played_ring_stop(p, i);
	s.num = r->base;
	vhu_msg_put(reply, &s, sizeof(s));
	return true;
}

static bool set_vring_kick(struct played *p, struct vhu_msg *m, struct vhu_msg *reply)
{
	uint32_t i;
	struct played_ring *r = ring_of(p, m, &i);

	(void)reply;
	fd_close(r->kick_fd);
	r->kick_fd = fdset_take(&m->fds, 0);
	r->polled =
		r->kick_fd < 0 && !vhu_nego_has_protocol(&p->nego, VHU_PF_INBAND_NOTIFICATIONS_BIT);
	played_ring_start(p, i);
	return true;
}

static bool vring_kick(struct played *p, struct vhu_msg *m, struct vhu_msg *reply)
{
	uint32_t i;
	struct played_ring *r = ring_of(p, m, &i);

	(void)reply;
	if (!r->started)
		played_ring_start(p, i);
	r->n_kicks++;
	r->late_ns = 0;
	return true;
}

static bool set_vring_call(struct played *p, struct vhu_msg *m, struct vhu_msg *reply)
{
	uint32_t i;
	struct played_ring *r = ring_of(p, m, &i);

	(void)reply;
	fd_close(r->call_fd);
	r->call_fd = fdset_take(&m->fds, 0);
	return true;
}

static bool set_vring_err(struct played *p, struct vhu_msg *m, struct vhu_msg *reply)
{
	uint32_t i;
	struct played_ring *r = ring_of(p, m, &i);

	(void)reply;
	fd_close(r->err_fd);
	r->err_fd = fdset_take(&m->fds, 0);
	return true;
}

static bool set_vring_enable(struct played *p, struct vhu_msg *m, struct vhu_msg *reply)
{
	uint32_t i;
	struct played_ring *r = ring_of(p, m, &i);

	(void)reply;
	r->enabled = ring_state(m).num == 1;
	r->was_enabled |= r->enabled;
	played_ring_update(p, i);
	return true;
}

/* The device. */

static bool judge_config(struct played *p, const struct vhu_msg *m, struct vhu_config *ret_access)
{
	uint32_t cut = p->script.config_cut, len = p->device->config_len;

	len -= cut < len ? cut : len;
	memset(ret_access, 0, sizeof(*ret_access));
	vhu_msg_get(m, ret_access, min_size(vhu_msg_payload_len(m), sizeof(*ret_access)));
	played_judge(p, DUTY_CONFIG_WITHIN,
		     range_within(ret_access->offset, ret_access->size, 0, len),
		     "an access to bytes %u to %u of a config space of %u bytes",
		     ret_access->offset, ret_access->offset + ret_access->size, len);
	return range_within(ret_access->offset, ret_access->size, 0, cut ? len : sizeof(p->config));
}

/*
 * Bytes that the device lacks read as zero, as QEMU asks for what its user said
 * there is; those that it is to lack are an error, an empty reply.
 */
static bool get_config(struct played *p, struct vhu_msg *m, struct vhu_msg *reply)
{
	struct vhu_config c;

	if (!judge_config(p, m, &c))
		return true;
	memcpy(c.bytes, p->config + c.offset, c.size);
	vhu_msg_put(reply, &c, offsetof(struct vhu_config, bytes) + c.size);
	return true;
}

static bool set_config(struct played *p, struct vhu_msg *m, struct vhu_msg *reply)
{
	struct vhu_config c;

	(void)reply;
	return judge_config(p, m, &c);
}

static bool get_inflight(struct played *p, struct vhu_msg *m, struct vhu_msg *reply)
{
	struct vhu_inflight i;
	int fd;

	vhu_msg_get(m, &i, sizeof(i));
	i.mmap_offset = 0;
	i.mmap_size = ((uint64_t)i.num_queues * (64 + 16 * (uint64_t)i.queue_size) + 4095) &
		      ~UINT64_C(4095);
	fd = memfd_create("inflight", MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, (off_t)i.mmap_size) < 0)
		i.mmap_size = 0;
	vhu_msg_put(reply, &i, sizeof(i));
	p->inflight = i;
	if (i.mmap_size)
		reply->fds.fd[reply->fds.n_fds++] = fd;
	else
		fd_close(fd);
	return true;
}

static bool set_inflight(struct played *p, struct vhu_msg *m, struct vhu_msg *reply)
{
	struct vhu_inflight i;

	(void)reply;
	vhu_msg_get(m, &i, sizeof(i));
	/* One that was handed out on an earlier connection is not known here. */
	if (p->inflight.mmap_size)
		played_judge(p, DUTY_INFLIGHT_SAME,
			     i.mmap_size == p->inflight.mmap_size &&
				     i.mmap_offset == p->inflight.mmap_offset,
			     "SET_INFLIGHT_FD of 0x%llx bytes at 0x%llx; handed out were 0x%llx at "
			     "0x%llx",
			     (unsigned long long)i.mmap_size, (unsigned long long)i.mmap_offset,
			     (unsigned long long)p->inflight.mmap_size,
			     (unsigned long long)p->inflight.mmap_offset);
	return true;
}

static bool get_status(struct played *p, struct vhu_msg *m, struct vhu_msg *reply)
{
	(void)m;
	vhu_msg_put_u64(reply, p->status);
	return true;
}

/* A virtio reset stops all rings until they are set up anew; call descriptors stay. */
static void reset_rings(struct played *p)
{
	for (unsigned int i = 0; i < p->n_rings; i++) {
		int call_fd = fd_take(&p->rings[i].call_fd);

		played_ring_stop(p, i);
		p->rings[i].call_fd = call_fd;
	}
}

static bool set_status(struct played *p, struct vhu_msg *m, struct vhu_msg *reply)
{
	uint8_t value = (uint8_t)vhu_msg_u64(m);

	(void)reply;
	if (value != 0)
		played_judge(p, DUTY_STATUS_KEEPS, (p->status & ~value) == 0,
			     "SET_STATUS 0x%02x after 0x%02x", value, p->status);
	if (value & STATUS_DRIVER_OK)
		played_judge(p, DUTY_STATUS_FEATURES_OK, value & STATUS_FEATURES_OK,
			     "SET_STATUS 0x%02x: DRIVER_OK without FEATURES_OK", value);
	p->status = value;
	if (value == 0)
		reset_rings(p);
	return true;
}

static bool reset_device(struct played *p, struct vhu_msg *m, struct vhu_msg *reply)
{
	(void)m;
	(void)reply;
	for (unsigned int i = 0; i < p->n_rings; i++) {
		played_ring_stop(p, i);
		p->rings[i].enabled = false;
	}
	p->status = 0;
	return true;
}

static bool set_channel(struct played *p, struct vhu_msg *m, struct vhu_msg *reply)
{
	int type = 0;
	socklen_t len = sizeof(type);
	int fd = fdset_take(&m->fds, 0);

	(void)reply;
	getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len);
	played_judge(p, DUTY_CHANNEL_SOCKET, type == SOCK_STREAM,
		     "the descriptor of SET_BACKEND_REQ_FD is no stream socket");
	fd_close(p->channel_fd);
	p->channel_fd = fd;
	return true;
}

static const struct {
	enum vhu_fe_id id;
	bool (*act)(struct played *p, struct vhu_msg *m, struct vhu_msg *reply);
} actions[] = {
	{ VHU_FE_GET_FEATURES, get_features },
	{ VHU_FE_SET_FEATURES, set_features },
	{ VHU_FE_GET_PROTOCOL_FEATURES, get_protocol },
	{ VHU_FE_SET_PROTOCOL_FEATURES, set_protocol },
	{ VHU_FE_GET_QUEUE_NUM, get_queue_num },
	{ VHU_FE_SET_OWNER, nothing },
	{ VHU_FE_RESET_OWNER, nothing },
	{ VHU_FE_SET_MEM_TABLE, set_mem_table },
	{ VHU_FE_ADD_MEM_REG, add_mem_reg },
	{ VHU_FE_REM_MEM_REG, rem_mem_reg },
	{ VHU_FE_GET_MAX_MEM_SLOTS, get_max_mem_slots },
	{ VHU_FE_SET_VRING_NUM, set_vring_num },
	{ VHU_FE_SET_VRING_ADDR, set_vring_addr },
	{ VHU_FE_SET_VRING_BASE, set_vring_base },
	{ VHU_FE_GET_VRING_BASE, get_vring_base },
	{ VHU_FE_SET_VRING_KICK, set_vring_kick },
	{ VHU_FE_VRING_KICK, vring_kick },
	{ VHU_FE_SET_VRING_CALL, set_vring_call },
	{ VHU_FE_SET_VRING_ERR, set_vring_err },
	{ VHU_FE_SET_VRING_ENABLE, set_vring_enable },
	{ VHU_FE_GET_CONFIG, get_config },
	{ VHU_FE_SET_CONFIG, set_config },
	{ VHU_FE_GET_INFLIGHT_FD, get_inflight },
	{ VHU_FE_SET_INFLIGHT_FD, set_inflight },
	{ VHU_FE_GET_STATUS, get_status },
	{ VHU_FE_SET_STATUS, set_status },
	{ VHU_FE_RESET_DEVICE, reset_device },
	{ VHU_FE_SET_BACKEND_REQ_FD, set_channel },
};

static bool is_postcopy(uint32_t id)
{
	return id == VHU_FE_POSTCOPY_ADVISE || id == VHU_FE_POSTCOPY_LISTEN ||
	       id == VHU_FE_POSTCOPY_END;
}

bool played_act(struct played *p, struct vhu_msg *m, struct vhu_msg *ret_reply)
{
	uint32_t ring;

	if (vhu_msg_ring(m, &ring) && ring >= p->n_rings)
		return false;
	if (vhu_nego_has_protocol(&p->nego, VHU_PF_CONFIGURE_MEM_SLOTS_BIT))
		played_judge(p, DUTY_POSTCOPY_SLOTS, !is_postcopy(m->id),
			     "%s came although CONFIGURE_MEM_SLOTS was accepted",
			     vhu_msg_name(m->dir, m->id));
	for (size_t i = 0; i < ARRAY_SIZE(actions); i++)
		if (actions[i].id == m->id)
			return actions[i].act(p, m, ret_reply);
	return false;
}
