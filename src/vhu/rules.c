/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "vhu/rules.h"

#include <string.h>

#include "vhu/checks.h"
#include "vhu/codec.h"

struct rule_row {
	const char *name;
	enum vhu_severity severity;
	const char *text;
	const char *ref;
};

static const struct rule_row *find_rule(enum vhu_rule rule)
{
	static const struct rule_row rows[] = {
		[VHU_OK] = { "OK", VHU_NOTE, "nothing is wrong", "" },
#define RULE(NAME, severity, text, ref) [VHU_RULE_##NAME] = { #NAME, VHU_##severity, text, ref },
#include "vhu/rules.def"
	};
	static const struct rule_row none = { "?", VHU_REFUSE, "the rule is known", "" };

	return (size_t)rule < ARRAY_SIZE(rows) ? &rows[rule] : &none;
}

const char *vhu_rule_name(enum vhu_rule rule)
{
	return find_rule(rule)->name;
}

const char *vhu_rule_text(enum vhu_rule rule)
{
	return find_rule(rule)->text;
}

const char *vhu_rule_ref(enum vhu_rule rule)
{
	return find_rule(rule)->ref;
}

enum vhu_severity vhu_rule_severity(enum vhu_rule rule)
{
	return find_rule(rule)->severity;
}

void vhu_nego_init(struct vhu_nego *n)
{
	memset(n, 0, sizeof(*n));
}

bool vhu_nego_has_feature(const struct vhu_nego *n, unsigned int bit)
{
	return n->features & BIT(bit);
}

bool vhu_nego_has_protocol(const struct vhu_nego *n, unsigned int bit)
{
	return n->protocol & BIT(bit);
}

enum vhu_rule vhu_check_header(const struct vhu_nego *n, const struct vhu_msg *m)
{
	const struct vhu_desc *desc = vhu_desc_find(m->dir, m->id);

	/* No limit depends on what was negotiated: features only select among smaller forms. */
	(void)n;
	if ((m->flags & VHU_FLAG_VERSION_MASK) != VHU_VERSION)
		return VHU_RULE_VERSION;
	if (m->flags & VHU_FLAG_REPLY)
		return VHU_RULE_REPLY_BIT;
	if (m->size > VHU_MAX_PAYLOAD)
		return VHU_RULE_PAYLOAD_LIMIT;
	if (desc && m->size > desc->request->max_len)
		return VHU_RULE_PAYLOAD_ROW_LIMIT;
	return VHU_OK;
}

enum vhu_rule vhu_check_reply_header(const struct vhu_msg *m)
{
	if (m->flags != VHU_REPLY_FLAGS)
		return VHU_RULE_REPLY_FLAGS;
	if (m->size > VHU_MAX_PAYLOAD)
		return VHU_RULE_PAYLOAD_LIMIT;
	return VHU_OK;
}

static enum vhu_rule check_gate(const struct vhu_nego *n, const struct vhu_gate *gate)
{
	switch (gate->kind) {
	case VHU_GATE_NONE:
	case VHU_GATE_LAX:
		return VHU_OK;
	case VHU_GATE_OFFERED:
		return n->offered_features & BIT(gate->bit) ? VHU_OK : VHU_RULE_GATE_OFFERED;
	case VHU_GATE_ACKED:
		return vhu_nego_has_feature(n, gate->bit) ? VHU_OK : VHU_RULE_GATE_ACKED;
	case VHU_GATE_PROTOCOL:
		return vhu_nego_has_protocol(n, gate->bit) ? VHU_OK : VHU_RULE_GATE_PROTOCOL;
	case VHU_GATE_VIRTIO:
		return vhu_nego_has_feature(n, gate->bit) ? VHU_OK : VHU_RULE_GATE_VIRTIO;
	}
	return VHU_OK;
}

/*
 * A counted payload may be longer than its count asks for, up to its largest:
 * UML's memory table always has room for two regions. Where that is wrong the
 * row's own check says so.
 */
static enum vhu_rule check_size(const struct vhu_shape *shape, const struct vhu_msg *m)
{
	uint32_t expected;

	if (shape->max_len == 0)
		return m->size == 0 ? VHU_OK : VHU_RULE_PAYLOAD_UNEXPECTED;
	if (m->size < shape->min_len)
		return VHU_RULE_SIZE_SHORT;
	if (m->size > shape->max_len)
		return VHU_RULE_SIZE_LONG;
	if (!shape->counted)
		return VHU_OK;
	if (!vhu_shape_expected_len(shape, m, &expected))
		return VHU_RULE_COUNT_LIMIT;
	return m->size < expected ? VHU_RULE_SIZE_SHORT : VHU_OK;
}

static enum vhu_rule check_exactly(unsigned int n_fds, unsigned int want)
{
	if (n_fds == want)
		return VHU_OK;
	if (want == 0)
		return VHU_RULE_FD_UNEXPECTED;
	return n_fds == 0 ? VHU_RULE_FD_MISSING : VHU_RULE_FD_MANY;
}

static enum vhu_rule check_region_fds(const struct vhu_msg *m)
{
	struct vhu_mem_table t;

	vhu_msg_get(m, &t, sizeof(t));
	if (m->fds.n_fds == t.n_regions)
		return VHU_OK;
	return m->fds.n_fds == 0 ? VHU_RULE_FD_MISSING : VHU_RULE_FD_REGIONS;
}

static enum vhu_rule check_ring_fd(const struct vhu_msg *m)
{
	if (vhu_msg_u64(m) & VHU_VRING_NOFD)
		return m->fds.n_fds == 0 ? VHU_OK : VHU_RULE_FD_DESPITE_NOFD;
	if (m->fds.n_fds == 0)
		return VHU_RULE_NOFD_MISSING;
	return check_exactly(m->fds.n_fds, 1);
}

static enum vhu_rule check_fds(const struct vhu_nego *n, const struct vhu_fd_rule *rule,
			       const struct vhu_msg *m)
{
	switch (rule->kind) {
	case VHU_FD_NONE:
		return check_exactly(m->fds.n_fds, 0);
	case VHU_FD_ONE:
		return check_exactly(m->fds.n_fds, 1);
	case VHU_FD_OPTIONAL:
		return m->fds.n_fds <= 1 ? VHU_OK : VHU_RULE_FD_MANY;
	case VHU_FD_REGIONS:
		return check_region_fds(m);
	case VHU_FD_RING:
		return check_ring_fd(m);
	case VHU_FD_IF:
		return check_exactly(m->fds.n_fds, vhu_nego_has_protocol(n, rule->bit));
	}
	return VHU_OK;
}

static enum vhu_rule check_ring_index(const struct vhu_nego *n, const struct vhu_msg *m)
{
	uint32_t limit =
		n->n_queues ? (uint32_t)min_size(n->n_queues, VHU_MAX_RINGS) : VHU_MAX_RINGS;
	uint32_t ring;

	if (!vhu_msg_ring(m, &ring))
		return VHU_OK;
	return ring < limit ? VHU_OK : VHU_RULE_RING_INDEX;
}

/* need_reply that nothing gives a right to yet, except on the message that creates the right. */
static bool need_reply_early(const struct vhu_nego *n, const struct vhu_desc *desc,
			     const struct vhu_msg *m)
{
	if (!(m->flags & VHU_FLAG_NEED_REPLY) || vhu_nego_has_protocol(n, VHU_PF_REPLY_ACK_BIT))
		return false;
	if (desc->dir == VHU_FE && desc->id == VHU_FE_SET_PROTOCOL_FEATURES)
		return !(vhu_msg_u64(m) & BIT(VHU_PF_REPLY_ACK_BIT));
	return desc->replied.kind != VHU_REPLY_ASKED;
}

static enum vhu_rule check_notes(const struct vhu_nego *n, const struct vhu_desc *desc,
				 const struct vhu_msg *m)
{
	if (desc->gate.kind == VHU_GATE_LAX && !vhu_nego_has_protocol(n, desc->gate.bit))
		return VHU_RULE_GATE_LAX;
	if (m->flags & VHU_FLAG_RESERVED_MASK)
		return VHU_RULE_RESERVED_FLAGS;
	if (need_reply_early(n, desc, m))
		return VHU_RULE_NEED_REPLY_EARLY;
	return VHU_OK;
}

enum vhu_rule vhu_check_request(const struct vhu_nego *n, const struct vhu_msg *m)
{
	const struct vhu_desc *desc = vhu_desc_find(m->dir, m->id);
	enum vhu_rule rule;

	if (!desc)
		return VHU_RULE_UNKNOWN;
	rule = check_gate(n, &desc->gate);
	if (rule == VHU_OK)
		rule = check_size(desc->request, m);
	if (rule == VHU_OK)
		rule = check_fds(n, &desc->fds, m);
	if (rule == VHU_OK)
		rule = check_ring_index(n, m);
	if (rule == VHU_OK)
		rule = vhu_check_values(n, m);
	if (rule == VHU_OK)
		rule = check_notes(n, desc, m);
	return rule;
}

/* Replies whose length is judged with their values, because more than one is in use. */
static bool reply_size_varies(const struct vhu_desc *desc)
{
	return desc->reply->min_len != desc->reply->max_len;
}

static enum vhu_rule check_own_reply(const struct vhu_nego *n, const struct vhu_desc *desc,
				     const struct vhu_msg *request, const struct vhu_msg *reply)
{
	if (!reply_size_varies(desc) && reply->size != desc->reply->max_len)
		return VHU_RULE_REPLY_SIZE;
	if (check_fds(n, &desc->reply_fds, reply) != VHU_OK)
		return VHU_RULE_REPLY_FDS;
	return vhu_check_reply_values(n, request, reply);
}

enum vhu_rule vhu_check_reply(const struct vhu_nego *n, const struct vhu_msg *request,
			      const struct vhu_msg *reply)
{
	const struct vhu_desc *desc = vhu_desc_find(request->dir, request->id);
	enum vhu_rule rule = vhu_check_reply_header(reply);

	if (rule != VHU_OK)
		return rule;
	if (reply->id != request->id || reply->dir != request->dir)
		return VHU_RULE_REPLY_ID;
	if (!vhu_reply_due(n, request))
		return VHU_RULE_REPLY_UNEXPECTED;
	if (desc && vhu_has_own_reply(desc, n))
		return check_own_reply(n, desc, request, reply);
	if (reply->size != vhu_shape_ack()->max_len)
		return VHU_RULE_REPLY_SIZE;
	return reply->fds.n_fds == 0 ? VHU_OK : VHU_RULE_REPLY_FDS;
}

static void observe_features(struct vhu_nego *n, const struct vhu_msg *m)
{
	n->features = vhu_msg_u64(m);
	n->features_set = true;
	if (vhu_nego_has_feature(n, VHU_F_PROTOCOL_FEATURES_BIT))
		return;
	/* Without SET_VRING_ENABLE every ring counts as enabled (rst "Ring states"). */
	for (size_t i = 0; i < VHU_MAX_RINGS; i++)
		n->ring[i].enabled = true;
}

static void observe_protocol(struct vhu_nego *n, const struct vhu_msg *m)
{
	n->protocol = vhu_msg_u64(m);
	n->protocol_set = true;
}

static void observe_owner(struct vhu_nego *n, const struct vhu_msg *m)
{
	(void)m;
	n->owner = true;
}

/* Rings that could not be enabled again, for want of the message, stay enabled. */
static void disable_rings(struct vhu_nego *n)
{
	if (!vhu_nego_has_feature(n, VHU_F_PROTOCOL_FEATURES_BIT))
		return;
	for (size_t i = 0; i < VHU_MAX_RINGS; i++)
		n->ring[i].enabled = false;
}

static void observe_reset_owner(struct vhu_nego *n, const struct vhu_msg *m)
{
	(void)m;
	n->owner = false;
	disable_rings(n);
}

static void observe_reset_device(struct vhu_nego *n, const struct vhu_msg *m)
{
	(void)m;
	disable_rings(n);
}

/* A virtio reset stops the queues until they are set up anew (virtio "Device Reset"). */
static void observe_status(struct vhu_nego *n, const struct vhu_msg *m)
{
	if (vhu_msg_u64(m) != 0)
		return;
	for (size_t i = 0; i < VHU_MAX_RINGS; i++)
		n->ring[i].kick_set = false;
}

static struct vhu_nego_ring *ring_of(struct vhu_nego *n, const struct vhu_msg *m)
{
	uint32_t ring;

	if (!vhu_msg_ring(m, &ring) || ring >= VHU_MAX_RINGS)
		return NULL;
	return &n->ring[ring];
}

static void observe_ring(struct vhu_nego *n, const struct vhu_msg *m)
{
	struct vhu_nego_ring *r = ring_of(n, m);
	struct vhu_vring_state s;

	if (!r)
		return;
	vhu_msg_get(m, &s, sizeof(s));
	switch (m->id) {
	case VHU_FE_SET_VRING_NUM:
		r->num_set = true;
		r->num = (uint16_t)s.num; /* VU-083: 32768 at most, or it was refused */
		break;
	case VHU_FE_SET_VRING_ADDR:
		r->addr_set = true;
		break;
	case VHU_FE_SET_VRING_BASE:
		r->base_set = true;
		break;
	case VHU_FE_SET_VRING_ENABLE:
		r->enabled = s.num == 1;
		break;
	default:
		break;
	}
}

static void observe_start(struct vhu_nego *n, const struct vhu_msg *m)
{
	struct vhu_nego_ring *r = ring_of(n, m);

	if (r)
		r->kick_set = true;
}

static void observe_call(struct vhu_nego *n, const struct vhu_msg *m)
{
	struct vhu_nego_ring *r = ring_of(n, m);

	if (r)
		r->call_set = !(vhu_msg_u64(m) & VHU_VRING_NOFD);
}

/* Stopping drops both descriptors; the enabled flag survives (VU-113, VU-114). */
static void observe_stop(struct vhu_nego *n, const struct vhu_msg *m)
{
	struct vhu_nego_ring *r = ring_of(n, m);

	if (r) {
		r->kick_set = false;
		r->call_set = false;
	}
}

static void learn_features(struct vhu_nego *n, const struct vhu_msg *m)
{
	n->offered_features = vhu_msg_u64(m);
}

static void learn_protocol(struct vhu_nego *n, const struct vhu_msg *m)
{
	n->offered_protocol = vhu_msg_u64(m);
}

static void learn_queue_num(struct vhu_nego *n, const struct vhu_msg *m)
{
	n->n_queues = (unsigned int)min_u64(vhu_msg_u64(m), VHU_MAX_RINGS);
}

void vhu_observe(struct vhu_nego *n, const struct vhu_msg *m)
{
	static const struct {
		enum vhu_fe_id id;
		bool reply;
		void (*observe)(struct vhu_nego *n, const struct vhu_msg *m);
	} rows[] = {
		{ VHU_FE_GET_FEATURES, true, learn_features },
		{ VHU_FE_GET_PROTOCOL_FEATURES, true, learn_protocol },
		{ VHU_FE_GET_QUEUE_NUM, true, learn_queue_num },
		{ VHU_FE_SET_FEATURES, false, observe_features },
		{ VHU_FE_SET_PROTOCOL_FEATURES, false, observe_protocol },
		{ VHU_FE_SET_OWNER, false, observe_owner },
		{ VHU_FE_RESET_OWNER, false, observe_reset_owner },
		{ VHU_FE_RESET_DEVICE, false, observe_reset_device },
		{ VHU_FE_SET_STATUS, false, observe_status },
		{ VHU_FE_SET_VRING_NUM, false, observe_ring },
		{ VHU_FE_SET_VRING_ADDR, false, observe_ring },
		{ VHU_FE_SET_VRING_BASE, false, observe_ring },
		{ VHU_FE_SET_VRING_ENABLE, false, observe_ring },
		{ VHU_FE_SET_VRING_KICK, false, observe_start },
		{ VHU_FE_VRING_KICK, false, observe_start },
		{ VHU_FE_SET_VRING_CALL, false, observe_call },
		{ VHU_FE_GET_VRING_BASE, false, observe_stop },
		{ VHU_FE_GET_VRING_BASE_SKIP_DRAIN, false, observe_stop },
	};
	bool reply = m->flags & VHU_FLAG_REPLY;

	for (size_t i = 0; i < ARRAY_SIZE(rows) && m->dir == VHU_FE; i++) {
		if (rows[i].id == m->id && rows[i].reply == reply)
			rows[i].observe(n, m);
	}
}

bool vhu_has_own_reply(const struct vhu_desc *desc, const struct vhu_nego *n)
{
	switch (desc->replied.kind) {
	case VHU_REPLY_ALWAYS:
		return true;
	case VHU_REPLY_IF:
		return vhu_nego_has_protocol(n, desc->replied.bit);
	case VHU_REPLY_ACK:
	case VHU_REPLY_ASKED:
		break;
	}
	return false;
}

bool vhu_reply_due(const struct vhu_nego *n, const struct vhu_msg *m)
{
	const struct vhu_desc *desc = vhu_desc_find(m->dir, m->id);

	if (desc && vhu_has_own_reply(desc, n))
		return true;
	if (!(m->flags & VHU_FLAG_NEED_REPLY))
		return false;
	if (desc && desc->replied.kind == VHU_REPLY_ASKED)
		return true;
	return vhu_nego_has_protocol(n, VHU_PF_REPLY_ACK_BIT);
}
