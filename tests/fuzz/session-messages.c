/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Requests as an honest front-end would send them to this device. */
#include "session.h"

static uint64_t base_of(const struct session *s)
{
	if (s->features & BIT(VIRTIO_F_ACCESS_PLATFORM_BIT))
		return SESSION_IOVA_BASE;
	return s->protocol & BIT(VHU_PF_GPA_ADDRESSES_BIT) ? SESSION_GUEST_BASE : SESSION_USER_BASE;
}

static uint64_t features_by(const struct session *s, uint8_t a, uint8_t b)
{
	static const unsigned int bits[] = {
		VIRTIO_F_INDIRECT_DESC_BIT, VIRTIO_F_EVENT_IDX_BIT,    VIRTIO_F_RING_PACKED_BIT,
		VIRTIO_F_IN_ORDER_BIT,	    CONSOLE_F_MULTIPORT_BIT,   CONSOLE_F_SIZE_BIT,
		VHOST_F_LOG_ALL_BIT,	    CONSOLE_F_EMERG_WRITE_BIT,
	};
	uint64_t features = BIT(VIRTIO_F_VERSION_1_BIT) | BIT(VHU_F_PROTOCOL_FEATURES_BIT);

	for (size_t i = 0; i < ARRAY_SIZE(bits); i++)
		features |= a & BIT(i) ? BIT(bits[i]) : 0;
	features |= b & 1 ? BIT(VIRTIO_F_RING_RESET_BIT) : 0;
	features |= s->iommu && (b & 2) ? BIT(VIRTIO_F_ACCESS_PLATFORM_BIT) : 0;
	return b & 4 ? features & ~BIT(VHU_F_PROTOCOL_FEATURES_BIT) : features;
}

/* All that is offered without those that the numbers name. Postcopy is not for this target. */
static uint64_t protocol_by(uint8_t a, uint8_t b)
{
	static const uint64_t offered =
		BIT(VHU_PF_MQ_BIT) | BIT(VHU_PF_REPLY_ACK_BIT) | BIT(VHU_PF_BACKEND_REQ_BIT) |
		BIT(VHU_PF_CONFIG_BIT) | BIT(VHU_PF_RESET_DEVICE_BIT) |
		BIT(VHU_PF_INBAND_NOTIFICATIONS_BIT) | BIT(VHU_PF_CONFIGURE_MEM_SLOTS_BIT) |
		BIT(VHU_PF_STATUS_BIT) | BIT(VHU_PF_DEVICE_STATE_BIT) | BIT(VHU_PF_LOG_SHMFD_BIT) |
		BIT(VHU_PF_INFLIGHT_SHMFD_BIT) | BIT(VHU_PF_GET_VRING_BASE_INFLIGHT_BIT) |
		BIT(VHU_PF_GET_VRING_BASE_SKIP_DRAIN_BIT) | BIT(VHU_PF_GPA_ADDRESSES_BIT);
	uint64_t without = 0, word = (uint64_t)a | (uint64_t)b << 8;

	for (unsigned int bit = 0, n = 0; bit < 64; bit++)
		if (offered & BIT(bit))
			without |= word & BIT(n++) ? BIT(bit) : 0;
	return offered & ~without;
}

static struct vhu_region region(uint8_t idx)
{
	uint64_t at = (uint64_t)(idx % SESSION_REGIONS) * SESSION_REGION_BYTES;

	return (struct vhu_region){
		.guest_addr = SESSION_GUEST_BASE + at,
		.size = SESSION_REGION_BYTES,
		.user_addr = SESSION_USER_BASE + at,
		.mmap_offset = at,
	};
}

static void put_table(struct session_message *m, uint8_t a)
{
	struct vhu_mem_table table = { .n_regions = 1 + a % SESSION_REGIONS };

	for (uint32_t i = 0; i < table.n_regions; i++)
		table.regions[i] = region((uint8_t)i);
	vhu_msg_put(&m->msg, &table,
		    offsetof(struct vhu_mem_table, regions) +
			    table.n_regions * sizeof(table.regions[0]));
	m->n_fds = table.n_regions;
}

static void put_addr(const struct session *s, struct session_message *m, uint8_t a, uint8_t b)
{
	uint64_t at = base_of(s) + session_ring_at(a);
	struct vhu_vring_addr addr = {
		.index = a % SESSION_RINGS,
		.flags = b & 1,
		.desc = at,
		.avail = at + 0x400,
		.used = at + 0x800,
		.log = SESSION_GUEST_BASE + session_ring_at(a) + 0x800,
	};

	vhu_msg_put(&m->msg, &addr, sizeof(addr));
}

static void put_state(struct session_message *m, uint8_t a, uint32_t num)
{
	struct vhu_vring_state state = { .index = a % SESSION_RINGS, .num = num };

	vhu_msg_put(&m->msg, &state, sizeof(state));
}

static uint32_t base_by(const struct session *s, uint8_t b)
{
	uint32_t at = b & 0x7f;

	if (!(s->features & BIT(VIRTIO_F_RING_PACKED_BIT)))
		return at;
	at |= b & 0x80 ? 0 : 0x8000;
	return at | at << 16;
}

static void put_iotlb(struct session_message *m, uint8_t a, uint8_t b)
{
	uint64_t at = (uint64_t)(a % 32) * 4096;
	struct vhu_iotlb iotlb = {
		.iova = SESSION_IOVA_BASE + at,
		.size = (uint64_t)(1 + b % 32) * 4096,
		.uaddr = SESSION_USER_BASE + at,
		.perm = (uint8_t)(3 - (a >> 6)),
		.type = b & 0x80 ? 3 : 2,
	};

	vhu_msg_put(&m->msg, &iotlb, sizeof(iotlb));
}

static void put_inflight(const struct session *s, struct session_message *m, uint8_t a, uint8_t b)
{
	struct vhu_inflight inflight = {
		.num_queues = (uint16_t)(1 + a % 8),
		.queue_size = (uint16_t)(1u << b % 8),
	};

	if (m->msg.id == VHU_FE_SET_INFLIGHT_FD)
		inflight.mmap_size = s->record_bytes ? s->record_bytes : 0x1000;
	vhu_msg_put(&m->msg, &inflight, sizeof(inflight));
}

static void put_config(struct session_message *m, uint8_t a, uint8_t b)
{
	struct vhu_config config = { .offset = a % 16, .size = 1 + b % 16 };

	memset(config.bytes, a, sizeof(config.bytes));
	vhu_msg_put(&m->msg, &config, offsetof(struct vhu_config, bytes) + config.size);
}

static void put_u64(struct session_message *m, uint64_t value)
{
	vhu_msg_put_u64(&m->msg, value);
}

static void put_log(struct session_message *m, uint8_t b)
{
	struct vhu_log log = { .mmap_size = 0x1000, .mmap_offset = b & 1 ? 0x1000 : 0 };

	vhu_msg_put(&m->msg, &log, sizeof(log));
}

static void put_payload(const struct session *s, struct session_message *m, uint8_t a, uint8_t b)
{
	struct vhu_single_region single = { .region = region(a) };
	struct vhu_device_state state = { .direction = a & 1 };

	switch ((enum vhu_fe_id)m->msg.id) {
	case VHU_FE_SET_FEATURES:
		put_u64(m, features_by(s, a, b));
		break;
	case VHU_FE_SET_PROTOCOL_FEATURES:
		put_u64(m, protocol_by(a, b));
		break;
	case VHU_FE_SET_MEM_TABLE:
		put_table(m, a);
		break;
	case VHU_FE_ADD_MEM_REG:
	case VHU_FE_REM_MEM_REG:
		vhu_msg_put(&m->msg, &single, sizeof(single));
		break;
	case VHU_FE_SET_LOG_BASE:
		put_log(m, b);
		m->n_fds = s->protocol & BIT(VHU_PF_LOG_SHMFD_BIT) ? 1 : 0;
		break;
	case VHU_FE_SET_VRING_NUM:
		put_state(m, a, b & 0x80 ? b & 0x7f : 1u << b % 7);
		break;
	case VHU_FE_SET_VRING_BASE:
		put_state(m, a, base_by(s, b));
		break;
	case VHU_FE_SET_VRING_ENABLE:
		put_state(m, a, b & 1);
		break;
	case VHU_FE_GET_VRING_BASE:
	case VHU_FE_GET_VRING_BASE_SKIP_DRAIN:
	case VHU_FE_VRING_KICK:
		put_state(m, a, 0);
		break;
	case VHU_FE_SET_VRING_ADDR:
		put_addr(s, m, a, b);
		break;
	case VHU_FE_SET_VRING_KICK:
	case VHU_FE_SET_VRING_CALL:
	case VHU_FE_SET_VRING_ERR:
		put_u64(m, (a % SESSION_RINGS) | (b & 1 ? VHU_VRING_NOFD : 0));
		m->n_fds = b & 1 ? 0 : 1;
		break;
	case VHU_FE_GET_CONFIG:
	case VHU_FE_SET_CONFIG:
		put_config(m, a, b);
		break;
	case VHU_FE_IOTLB_MSG:
		put_iotlb(m, a, b);
		break;
	case VHU_FE_GET_INFLIGHT_FD:
	case VHU_FE_SET_INFLIGHT_FD:
		put_inflight(s, m, a, b);
		break;
	case VHU_FE_SET_STATUS:
		put_u64(m, a);
		break;
	case VHU_FE_SET_DEVICE_STATE_FD:
		vhu_msg_put(&m->msg, &state, sizeof(state));
		break;
	default: /* as the sample has it */
		break;
	}
}

/* What an honest front-end sends along. */
static enum session_fd usual_fd(const struct session_message *m, uint8_t a)
{
	switch (m->msg.id) {
	case VHU_FE_SET_MEM_TABLE:
	case VHU_FE_ADD_MEM_REG:
	case VHU_FE_REM_MEM_REG:
		return SESSION_FD_MEMORY;
	case VHU_FE_SET_LOG_BASE:
		return SESSION_FD_LOG;
	case VHU_FE_SET_BACKEND_REQ_FD:
		return SESSION_FD_CHANNEL;
	case VHU_FE_SET_INFLIGHT_FD:
		return SESSION_FD_RECORD;
	case VHU_FE_SET_DEVICE_STATE_FD:
		return a & 1 ? SESSION_FD_PIPE : SESSION_FD_PIPE_IN;
	default:
		return SESSION_FD_EVENT;
	}
}

void session_compose(const struct session *s, unsigned int idx, uint8_t a, uint8_t b,
		     struct session_message *m)
{
	unsigned int n_rows = 1;

	while (vhu_desc_at(n_rows)->dir == VHU_FE)
		n_rows++;
	m->n_fds = vhu_msg_init_sample(&m->msg, vhu_desc_at(idx % n_rows));
	put_payload(s, m, a, b);
	for (size_t i = 0; i < ARRAY_SIZE(m->fds); i++)
		m->fds[i] = usual_fd(m, a);
}

/* An honest message, by its id. */
static void tell(struct session *s, enum vhu_fe_id id, uint8_t a, uint8_t b)
{
	struct session_message m;
	unsigned int idx = 0;

	while (vhu_desc_at(idx)->id != id)
		idx++;
	session_compose(s, idx, a, b, &m);
	session_send(s, &m);
}

static void set_ring_up(struct session *s, uint8_t ring, uint8_t how)
{
	tell(s, VHU_FE_SET_VRING_NUM, ring, how & 7);
	tell(s, VHU_FE_SET_VRING_BASE, ring, 0);
	tell(s, VHU_FE_SET_VRING_ADDR, ring, how >> 3 & 1);
	tell(s, VHU_FE_SET_VRING_ERR, ring, 0);
	tell(s, VHU_FE_SET_VRING_CALL, ring, 0);
	tell(s, VHU_FE_SET_VRING_KICK, ring, 0);
	tell(s, VHU_FE_SET_VRING_ENABLE, ring, 1);
	if (ring % 2 == 1)
		session_settle(s);
}

/* how: 0x10 a channel; 0x20 a record; 0x40 a log; the rest is for the rings. */
void session_handshake(struct session *s, uint8_t how, uint8_t features)
{
	tell(s, VHU_FE_SET_OWNER, 0, 0);
	tell(s, VHU_FE_GET_FEATURES, 0, 0);
	tell(s, VHU_FE_GET_PROTOCOL_FEATURES, 0, 0);
	/* Without STATUS, in-band notifications and the guest's addresses. */
	tell(s, VHU_FE_SET_PROTOCOL_FEATURES, how & 0x80 ? 0 : 0x80, how & 0x80 ? 0 : 0x12);
	tell(s, VHU_FE_SET_FEATURES, features, s->iommu ? 2 : 0);
	if (how & 0x10)
		tell(s, VHU_FE_SET_BACKEND_REQ_FD, 0, 0);
	tell(s, VHU_FE_SET_MEM_TABLE, SESSION_REGIONS - 1, 0);
	if (s->features & BIT(VIRTIO_F_ACCESS_PLATFORM_BIT))
		tell(s, VHU_FE_IOTLB_MSG, 0, 31);
	if (how & 0x20) {
		tell(s, VHU_FE_GET_INFLIGHT_FD, SESSION_RINGS - 1, how & 7);
		session_settle(s);
		tell(s, VHU_FE_SET_INFLIGHT_FD, SESSION_RINGS - 1, how & 7);
	}
	if (how & 0x40)
		tell(s, VHU_FE_SET_LOG_BASE, 0, 0);
	for (unsigned int ring = 0; ring < SESSION_RINGS; ring++)
		set_ring_up(s, (uint8_t)ring, how);
}
