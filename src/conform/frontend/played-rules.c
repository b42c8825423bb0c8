/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Which rules of rules.def a message is subject to, and which it breaks. */
#include <stdio.h>

#include "conform/frontend/played.h"
#include "vhu/codec.h"
#include "vhu/format.h"

typedef bool applies_fn(const struct vhu_desc *desc, const struct vhu_nego *n,
			const struct vhu_msg *m);

static bool any(const struct vhu_desc *desc, const struct vhu_nego *n, const struct vhu_msg *m)
{
	(void)desc;
	(void)n;
	(void)m;
	return true;
}

#define APPLIES(name, condition)                                                                   \
	static bool name(const struct vhu_desc *desc, const struct vhu_nego *n,                    \
			 const struct vhu_msg *m)                                                  \
	{                                                                                          \
		(void)n;                                                                           \
		(void)m;                                                                           \
		return desc && (condition);                                                        \
	}

APPLIES(is_known, true)
APPLIES(has_gate_offered, desc->gate.kind == VHU_GATE_OFFERED)
APPLIES(has_gate_acked, desc->gate.kind == VHU_GATE_ACKED)
APPLIES(has_gate_protocol, desc->gate.kind == VHU_GATE_PROTOCOL)
APPLIES(has_gate_virtio, desc->gate.kind == VHU_GATE_VIRTIO)
APPLIES(has_gate_lax, desc->gate.kind == VHU_GATE_LAX)
APPLIES(is_bare, desc->request->max_len == 0)
APPLIES(has_payload, desc->request->max_len > 0)
APPLIES(has_count, desc->request->counted)
APPLIES(takes_no_fd, desc->fds.kind == VHU_FD_NONE)
APPLIES(takes_fd, desc->fds.kind == VHU_FD_ONE || desc->fds.kind == VHU_FD_REGIONS)
APPLIES(takes_one_fd, desc->fds.kind == VHU_FD_ONE || desc->fds.kind == VHU_FD_OPTIONAL ||
			      desc->fds.kind == VHU_FD_RING)
APPLIES(takes_region_fds, desc->fds.kind == VHU_FD_REGIONS)
APPLIES(has_nofd_bit, desc->fds.kind == VHU_FD_RING && (vhu_msg_u64(m) & VHU_VRING_NOFD))
APPLIES(has_ring_fd, desc->fds.kind == VHU_FD_RING && !(vhu_msg_u64(m) & VHU_VRING_NOFD))
APPLIES(has_ring_word, desc->fds.kind == VHU_FD_RING)
APPLIES(has_ring, desc->index != VHU_INDEX_NONE)
APPLIES(asks_reply, m->flags &VHU_FLAG_NEED_REPLY)
APPLIES(has_region, m->id == VHU_FE_SET_MEM_TABLE || m->id == VHU_FE_ADD_MEM_REG)
APPLIES(is_SET_FEATURES, m->id == VHU_FE_SET_FEATURES)
APPLIES(is_SET_PROTOCOL_FEATURES, m->id == VHU_FE_SET_PROTOCOL_FEATURES)
APPLIES(accepts_inband, m->id == VHU_FE_SET_PROTOCOL_FEATURES &&
				(vhu_msg_u64(m) & BIT(VHU_PF_INBAND_NOTIFICATIONS_BIT)))
APPLIES(accepts_skip_drain, m->id == VHU_FE_SET_PROTOCOL_FEATURES &&
				    (vhu_msg_u64(m) & BIT(VHU_PF_GET_VRING_BASE_SKIP_DRAIN_BIT)))
APPLIES(is_SET_MEM_TABLE, m->id == VHU_FE_SET_MEM_TABLE)
APPLIES(is_SET_LOG_BASE, m->id == VHU_FE_SET_LOG_BASE)
APPLIES(is_SET_VRING_NUM, m->id == VHU_FE_SET_VRING_NUM)
APPLIES(is_num_limited, m->id == VHU_FE_SET_VRING_NUM && n->max_queue_size)
APPLIES(is_split_num,
	m->id == VHU_FE_SET_VRING_NUM && !vhu_nego_has_feature(n, VIRTIO_F_RING_PACKED_BIT))
APPLIES(is_SET_VRING_ADDR, m->id == VHU_FE_SET_VRING_ADDR)
APPLIES(is_SET_VRING_BASE, m->id == VHU_FE_SET_VRING_BASE)
APPLIES(is_SET_VRING_ENABLE, m->id == VHU_FE_SET_VRING_ENABLE)
APPLIES(is_SET_VRING_ENDIAN, m->id == VHU_FE_SET_VRING_ENDIAN)
APPLIES(is_config, m->id == VHU_FE_GET_CONFIG || m->id == VHU_FE_SET_CONFIG)
APPLIES(is_SET_CONFIG, m->id == VHU_FE_SET_CONFIG)
APPLIES(is_inflight, m->id == VHU_FE_GET_INFLIGHT_FD || m->id == VHU_FE_SET_INFLIGHT_FD)
APPLIES(is_SET_INFLIGHT_FD, m->id == VHU_FE_SET_INFLIGHT_FD)
APPLIES(is_SET_STATUS, m->id == VHU_FE_SET_STATUS)
APPLIES(is_SET_DEVICE_STATE_FD, m->id == VHU_FE_SET_DEVICE_STATE_FD)
APPLIES(is_IOTLB_MSG, m->id == VHU_FE_IOTLB_MSG)
APPLIES(is_SET_OWNER, m->id == VHU_FE_SET_OWNER)
APPLIES(has_reserved_num, m->id == VHU_FE_GET_VRING_BASE || m->id == VHU_FE_VRING_KICK ||
				  m->id == VHU_FE_GET_VRING_BASE_SKIP_DRAIN)
APPLIES(has_wide_ring_word, desc->fds.kind == VHU_FD_RING && n->n_queues > VHU_MAX_FD_RINGS)

/* Rules that requests of a front-end can break. */
static applies_fn *const requests[VHU_N_RULES] = {
	[VHU_RULE_TRUNCATED] = any,
	[VHU_RULE_VERSION] = any,
	[VHU_RULE_REPLY_BIT] = any,
	[VHU_RULE_PAYLOAD_LIMIT] = any,
	[VHU_RULE_PAYLOAD_ROW_LIMIT] = is_known,
	[VHU_RULE_UNKNOWN] = any,
	[VHU_RULE_GATE_OFFERED] = has_gate_offered,
	[VHU_RULE_GATE_ACKED] = has_gate_acked,
	[VHU_RULE_GATE_PROTOCOL] = has_gate_protocol,
	[VHU_RULE_GATE_VIRTIO] = has_gate_virtio,
	[VHU_RULE_PAYLOAD_UNEXPECTED] = is_bare,
	[VHU_RULE_SIZE_SHORT] = has_payload,
	[VHU_RULE_SIZE_LONG] = has_payload,
	[VHU_RULE_COUNT_LIMIT] = has_count,
	[VHU_RULE_FD_UNEXPECTED] = takes_no_fd,
	[VHU_RULE_FD_MISSING] = takes_fd,
	[VHU_RULE_FD_MANY] = takes_one_fd,
	[VHU_RULE_FD_REGIONS] = takes_region_fds,
	[VHU_RULE_FD_DESPITE_NOFD] = has_nofd_bit,
	[VHU_RULE_NOFD_MISSING] = has_ring_fd,
	[VHU_RULE_RING_INDEX] = has_ring,
	[VHU_RULE_GATE_LAX] = has_gate_lax,
	[VHU_RULE_RESERVED_FLAGS] = any,
	[VHU_RULE_NEED_REPLY_EARLY] = asks_reply,
	[VHU_RULE_FEATURES_OFFERED] = is_SET_FEATURES,
	[VHU_RULE_PROTOCOL_OFFERED] = is_SET_PROTOCOL_FEATURES,
	[VHU_RULE_INBAND_NEEDS] = accepts_inband,
	[VHU_RULE_SKIP_DRAIN_NEEDS] = accepts_skip_drain,
	[VHU_RULE_MEM_EMPTY] = is_SET_MEM_TABLE,
	[VHU_RULE_REGION_ZERO] = has_region,
	[VHU_RULE_REGION_GUEST_WRAP] = has_region,
	[VHU_RULE_REGION_USER_WRAP] = has_region,
	[VHU_RULE_REGION_OFFSET_WRAP] = has_region,
	[VHU_RULE_REGION_GUEST_OVERLAP] = is_SET_MEM_TABLE,
	[VHU_RULE_REGION_USER_OVERLAP] = is_SET_MEM_TABLE,
	[VHU_RULE_LOG_SIZE] = is_SET_LOG_BASE,
	[VHU_RULE_NUM_ZERO] = is_SET_VRING_NUM,
	[VHU_RULE_NUM_LIMIT] = is_SET_VRING_NUM,
	[VHU_RULE_NUM_MAX] = is_num_limited,
	[VHU_RULE_NUM_POWER] = is_split_num,
	[VHU_RULE_ADDR_FLAGS] = is_SET_VRING_ADDR,
	[VHU_RULE_DESC_ALIGN] = is_SET_VRING_ADDR,
	[VHU_RULE_AVAIL_ALIGN] = is_SET_VRING_ADDR,
	[VHU_RULE_USED_ALIGN] = is_SET_VRING_ADDR,
	[VHU_RULE_BASE_UPPER] = is_SET_VRING_BASE,
	[VHU_RULE_ENABLE_VALUE] = is_SET_VRING_ENABLE,
	[VHU_RULE_ENDIAN_VALUE] = is_SET_VRING_ENDIAN,
	[VHU_RULE_CONFIG_EMPTY] = is_config,
	[VHU_RULE_CONFIG_SIZE] = is_config,
	[VHU_RULE_CONFIG_RANGE] = is_config,
	[VHU_RULE_CONFIG_FLAGS] = is_SET_CONFIG,
	[VHU_RULE_INFLIGHT_EMPTY] = is_inflight,
	[VHU_RULE_INFLIGHT_SIZE] = is_SET_INFLIGHT_FD,
	[VHU_RULE_STATUS_VALUE] = is_SET_STATUS,
	[VHU_RULE_STATE_VALUE] = is_SET_DEVICE_STATE_FD,
	[VHU_RULE_IOTLB_VALUE] = is_IOTLB_MSG,
	[VHU_RULE_RING_WORD] = has_wide_ring_word,
	[VHU_RULE_PROTOCOL_NEEDS] = is_SET_PROTOCOL_FEATURES,
	[VHU_RULE_OWNER_AGAIN] = is_SET_OWNER,
	[VHU_RULE_RESERVED_BITS] = has_ring_word,
	[VHU_RULE_RESERVED_NUM] = has_reserved_num,
};

bool played_rule_concerns(enum vhu_rule rule)
{
	switch (rule) {
	case VHU_RULE_FDS_TOO_MANY:
	case VHU_RULE_FDS_PLACE:
	case VHU_RULE_REPLY_UNEXPECTED:
	case VHU_RULE_REPLY_ID:
	case VHU_RULE_REPLY_FLAGS:
	case VHU_RULE_REPLY_SIZE:
	case VHU_RULE_REPLY_FDS:
		return true;
	default:
		return requests[rule] != NULL;
	}
}

bool played_rule_is_lenient(enum vhu_rule rule)
{
	/* QEMU enables rings of a network device before SET_FEATURES; the text says "should". */
	return vhu_rule_severity(rule) == VHU_NOTE || rule == VHU_RULE_GATE_ACKED;
}

void played_judge_rule(struct played *p, enum vhu_rule rule, bool met, const struct vhu_msg *m)
{
	struct played_point *point = &p->rules[rule];
	char line[PLAYED_TEXT - 128];

	point->n_applied++;
	if (met || point->n_broken++ > 0)
		return;
	vhu_format_line(line, sizeof(line), m);
	snprintf(point->broken, sizeof(point->broken), "expected: %s; what came: %s",
		 vhu_rule_text(rule), line);
	played_note(p, "!! %s: %s", vhu_rule_name(rule), vhu_rule_text(rule));
}

enum vhu_rule played_judge_request(struct played *p, const struct vhu_msg *m, bool truncated)
{
	const struct vhu_desc *desc = vhu_desc_find(m->dir, m->id);
	enum vhu_rule broken = vhu_check_header(&p->nego, m);

	if (broken == VHU_OK && !truncated)
		broken = vhu_check_request(&p->nego, m);
	for (unsigned int i = 1; i < VHU_N_RULES; i++) {
		if (i == broken || (requests[i] && requests[i](desc, &p->nego, m)))
			played_judge_rule(p, i, i != broken, m);
	}
	return broken;
}
