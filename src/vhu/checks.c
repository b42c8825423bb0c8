/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "vhu/checks.h"

#include "vhu/codec.h"

typedef enum vhu_rule check_fn(const struct vhu_nego *n, const struct vhu_msg *m);

/* Files are addressed with a signed offset. */
#define MAX_FILE_OFFSET ((uint64_t)INT64_MAX)

/* Whether [start, start + len) stays below limit; not even the end may be above it. */
static bool ends_by(uint64_t start, uint64_t len, uint64_t limit)
{
	uint64_t end;

	return add_u64(start, len, &end) && end <= limit;
}

static enum vhu_rule check_nothing(const struct vhu_nego *n, const struct vhu_msg *m)
{
	(void)n;
	(void)m;
	return VHU_OK;
}

static enum vhu_rule check_features(const struct vhu_nego *n, const struct vhu_msg *m)
{
	return vhu_msg_u64(m) & ~n->offered_features ? VHU_RULE_FEATURES_OFFERED : VHU_OK;
}

/* rst "Protocol features": what a feature needs comes from features.def. */
static enum vhu_rule check_protocol_needs(uint64_t value)
{
	enum vhu_rule worst = VHU_OK;
	static const struct {
		unsigned int bit;
		enum vhu_rule rule;
	} needs[] = {
#define PF(NAME, bit, needs, rule, text) { bit, VHU_RULE_##rule },
#include "vhu/features.def"
	};

	for (size_t i = 0; i < ARRAY_SIZE(needs); i++) {
		enum vhu_rule rule = needs[i].rule;

		if (!(value & BIT(needs[i].bit)))
			continue;
		if (!(vhu_protocol_feature_needs(needs[i].bit) & ~value))
			continue;
		if (worst == VHU_OK || vhu_rule_severity(rule) > vhu_rule_severity(worst))
			worst = rule;
	}
	return worst;
}

static enum vhu_rule check_protocol_features(const struct vhu_nego *n, const struct vhu_msg *m)
{
	uint64_t value = vhu_msg_u64(m);
	enum vhu_rule needs = check_protocol_needs(value);

	if (vhu_rule_severity(needs) == VHU_CLOSE)
		return needs;
	if (value & ~n->offered_protocol)
		return VHU_RULE_PROTOCOL_OFFERED;
	return needs;
}

static enum vhu_rule check_owner(const struct vhu_nego *n, const struct vhu_msg *m)
{
	(void)m;
	return n->owner ? VHU_RULE_OWNER_AGAIN : VHU_OK;
}

static enum vhu_rule check_one_region(const struct vhu_region *r)
{
	if (r->size == 0)
		return VHU_RULE_REGION_ZERO;
	if (!ends_by(r->guest_addr, r->size, UINT64_MAX))
		return VHU_RULE_REGION_GUEST_WRAP;
	if (!ends_by(r->user_addr, r->size, UINT64_MAX))
		return VHU_RULE_REGION_USER_WRAP;
	if (!ends_by(r->mmap_offset, r->size, MAX_FILE_OFFSET))
		return VHU_RULE_REGION_OFFSET_WRAP;
	return VHU_OK;
}

static bool overlap(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
	return a < b ? b - a < a_size : a - b < b_size;
}

static enum vhu_rule check_region_pair(const struct vhu_region *a, const struct vhu_region *b)
{
	if (overlap(a->guest_addr, a->size, b->guest_addr, b->size))
		return VHU_RULE_REGION_GUEST_OVERLAP;
	if (overlap(a->user_addr, a->size, b->user_addr, b->size))
		return VHU_RULE_REGION_USER_OVERLAP;
	return VHU_OK;
}

static enum vhu_rule check_mem_table(const struct vhu_nego *n, const struct vhu_msg *m)
{
	struct vhu_mem_table t;
	enum vhu_rule rule = VHU_OK;

	(void)n;
	vhu_msg_get(m, &t, sizeof(t));
	if (t.n_regions == 0)
		return VHU_RULE_MEM_EMPTY;
	for (uint32_t i = 0; i < t.n_regions && rule == VHU_OK; i++) {
		rule = check_one_region(&t.regions[i]);
		for (uint32_t j = 0; j < i && rule == VHU_OK; j++)
			rule = check_region_pair(&t.regions[i], &t.regions[j]);
	}
	return rule;
}

static enum vhu_rule check_region(const struct vhu_nego *n, const struct vhu_msg *m)
{
	struct vhu_single_region r;

	(void)n;
	vhu_msg_get(m, &r, sizeof(r));
	return check_one_region(&r.region);
}

static enum vhu_rule check_log(const struct vhu_nego *n, const struct vhu_msg *m)
{
	struct vhu_log log;

	/* One u64, whose meaning the text leaves open; nothing in it to check. */
	if (m->size == sizeof(uint64_t) && !vhu_nego_has_protocol(n, VHU_PF_LOG_SHMFD_BIT))
		return VHU_OK;
	if (m->size < sizeof(log))
		return VHU_RULE_SIZE_SHORT;
	if (!vhu_nego_has_protocol(n, VHU_PF_LOG_SHMFD_BIT))
		return VHU_OK;
	vhu_msg_get(m, &log, sizeof(log));
	if (log.mmap_size == 0 || !ends_by(log.mmap_offset, log.mmap_size, MAX_FILE_OFFSET))
		return VHU_RULE_LOG_SIZE;
	return VHU_OK;
}

static struct vhu_vring_state vring_state(const struct vhu_msg *m)
{
	struct vhu_vring_state s;

	vhu_msg_get(m, &s, sizeof(s));
	return s;
}

static bool packed(const struct vhu_nego *n)
{
	return vhu_nego_has_feature(n, VIRTIO_F_RING_PACKED_BIT);
}

static enum vhu_rule check_num(const struct vhu_nego *n, const struct vhu_msg *m)
{
	uint32_t num = vring_state(m).num;

	if (num == 0)
		return VHU_RULE_NUM_ZERO;
	if (num > VHU_MAX_QUEUE_SIZE)
		return VHU_RULE_NUM_LIMIT;
	if (n->max_queue_size && num > n->max_queue_size)
		return VHU_RULE_NUM_MAX;
	if (!packed(n) && !is_power_of_two(num))
		return VHU_RULE_NUM_POWER;
	return VHU_OK;
}

/*
 * Where the rings lie in memory is gmem's question. The log address is looked
 * at by nobody unless bit 0 is set (UML sends all ones).
 */
static enum vhu_rule check_addr(const struct vhu_nego *n, const struct vhu_msg *m)
{
	struct vhu_vring_addr a;

	vhu_msg_get(m, &a, sizeof(a));
	if (a.flags & ~VHU_VRING_F_LOG)
		return VHU_RULE_ADDR_FLAGS;
	if (a.desc % 16 != 0)
		return VHU_RULE_DESC_ALIGN;
	if (a.avail % (packed(n) ? 4 : 2) != 0)
		return VHU_RULE_AVAIL_ALIGN;
	if (a.used % 4 != 0)
		return VHU_RULE_USED_ALIGN;
	return VHU_OK;
}

static enum vhu_rule check_base(const struct vhu_nego *n, const struct vhu_msg *m)
{
	return !packed(n) && vring_state(m).num > UINT16_MAX ? VHU_RULE_BASE_UPPER : VHU_OK;
}

static enum vhu_rule check_zero_num(const struct vhu_nego *n, const struct vhu_msg *m)
{
	(void)n;
	return vring_state(m).num != 0 ? VHU_RULE_RESERVED_NUM : VHU_OK;
}

/*
 * Where there are more rings than the word has room for, other bits are the
 * rest of an index: to ignore them would be to change another ring.
 */
static enum vhu_rule check_ring_word(const struct vhu_nego *n, const struct vhu_msg *m)
{
	if (!(vhu_msg_u64(m) & ~(VHU_VRING_IDX_MASK | VHU_VRING_NOFD)))
		return VHU_OK;
	return n->n_queues > VHU_MAX_FD_RINGS ? VHU_RULE_RING_WORD : VHU_RULE_RESERVED_BITS;
}

static enum vhu_rule check_enable(const struct vhu_nego *n, const struct vhu_msg *m)
{
	(void)n;
	return vring_state(m).num > 1 ? VHU_RULE_ENABLE_VALUE : VHU_OK;
}

static enum vhu_rule check_endian(const struct vhu_nego *n, const struct vhu_msg *m)
{
	(void)n;
	return vring_state(m).num > 1 ? VHU_RULE_ENDIAN_VALUE : VHU_OK;
}

static enum vhu_rule check_config(const struct vhu_msg *m, struct vhu_config *ret_header)
{
	vhu_msg_get(m, ret_header, offsetof(struct vhu_config, bytes));
	if (ret_header->size == 0)
		return VHU_RULE_CONFIG_EMPTY;
	if (!ends_by(ret_header->offset, ret_header->size, VHU_MAX_CONFIG))
		return VHU_RULE_CONFIG_RANGE;
	return VHU_OK;
}

static enum vhu_rule check_get_config(const struct vhu_nego *n, const struct vhu_msg *m)
{
	struct vhu_config c;
	enum vhu_rule rule = check_config(m, &c);

	(void)n;
	if (rule != VHU_OK)
		return rule;
	/* The reply must have the request's length, so the two sizes have to agree. */
	if (m->size != offsetof(struct vhu_config, bytes) + c.size)
		return VHU_RULE_CONFIG_SIZE;
	return VHU_OK;
}

/* SPDK's payload is longer than its config.size says, so only a shorter one is refused. */
static enum vhu_rule check_set_config(const struct vhu_nego *n, const struct vhu_msg *m)
{
	struct vhu_config c;
	enum vhu_rule rule = check_config(m, &c);

	(void)n;
	if (rule != VHU_OK)
		return rule;
	return c.flags > VHU_CONFIG_MIGRATION ? VHU_RULE_CONFIG_FLAGS : VHU_OK;
}

static enum vhu_rule check_get_inflight(const struct vhu_nego *n, const struct vhu_msg *m)
{
	struct vhu_inflight i;

	(void)n;
	vhu_msg_get(m, &i, sizeof(i));
	return i.num_queues == 0 || i.queue_size == 0 ? VHU_RULE_INFLIGHT_EMPTY : VHU_OK;
}

static enum vhu_rule check_set_inflight(const struct vhu_nego *n, const struct vhu_msg *m)
{
	struct vhu_inflight i;
	enum vhu_rule rule = check_get_inflight(n, m);

	if (rule != VHU_OK)
		return rule;
	vhu_msg_get(m, &i, sizeof(i));
	if (i.mmap_size == 0 || !ends_by(i.mmap_offset, i.mmap_size, MAX_FILE_OFFSET))
		return VHU_RULE_INFLIGHT_SIZE;
	return VHU_OK;
}

static enum vhu_rule check_status(const struct vhu_nego *n, const struct vhu_msg *m)
{
	(void)n;
	return vhu_msg_u64(m) > UINT8_MAX ? VHU_RULE_STATUS_VALUE : VHU_OK;
}

static enum vhu_rule check_device_state(const struct vhu_nego *n, const struct vhu_msg *m)
{
	struct vhu_device_state s;

	(void)n;
	vhu_msg_get(m, &s, sizeof(s));
	return s.direction > 1 || s.phase != 0 ? VHU_RULE_STATE_VALUE : VHU_OK;
}

/* rst "An IOTLB message": four types, permissions a mask of two bits. */
static enum vhu_rule check_iotlb(const struct vhu_nego *n, const struct vhu_msg *m)
{
	struct vhu_iotlb t;

	(void)n;
	vhu_msg_get(m, &t, sizeof(t));
	/* The last byte may be the very last of the address space (invalidate everything). */
	if (t.type < 1 || t.type > 4 || t.perm > 3 ||
	    (t.size && t.iova > UINT64_MAX - (t.size - 1)))
		return VHU_RULE_IOTLB_VALUE;
	return VHU_OK;
}

static enum vhu_rule check_area(const struct vhu_nego *n, const struct vhu_msg *m)
{
	struct vhu_vring_area a;

	vhu_msg_get(m, &a, sizeof(a));
	/* With the no-fd bit the area goes away, and its numbers mean nothing. */
	if (!(a.value & VHU_VRING_NOFD)) {
		if (a.size == 0 || !ends_by(a.offset, a.size, MAX_FILE_OFFSET))
			return VHU_RULE_AREA_RANGE;
	}
	return check_ring_word(n, m);
}

static enum vhu_rule check_mmap(const struct vhu_nego *n, const struct vhu_msg *m)
{
	struct vhu_mmap p;

	(void)n;
	vhu_msg_get(m, &p, sizeof(p));
	if (p.len == 0 || p.flags > 1 || !ends_by(p.fd_offset, p.len, MAX_FILE_OFFSET) ||
	    !ends_by(p.shm_offset, p.len, UINT64_MAX))
		return VHU_RULE_MMAP_VALUE;
	return VHU_OK;
}

/* The check of each row, by direction and id; ids without a row have none. */
static check_fn *const fe_checks[] = {
#define FE(NAME, id, in, out, infds, outfds, when, allowed, at, silent, check, ...)                \
	[id] = check_##check,
#include "vhu/messages.def"
};

static check_fn *const be_checks[] = {
#define BE(NAME, id, in, out, infds, outfds, when, allowed, at, silent, check, ...)                \
	[id] = check_##check,
#include "vhu/messages.def"
};

enum vhu_rule vhu_check_values(const struct vhu_nego *n, const struct vhu_msg *m)
{
	check_fn *const *checks = m->dir == VHU_FE ? fe_checks : be_checks;
	size_t n_checks = m->dir == VHU_FE ? ARRAY_SIZE(fe_checks) : ARRAY_SIZE(be_checks);

	if (m->id >= n_checks || !checks[m->id])
		return VHU_RULE_UNKNOWN;
	return checks[m->id](n, m);
}

typedef enum vhu_rule check_reply_fn(const struct vhu_nego *n, const struct vhu_msg *request,
				     const struct vhu_msg *reply);

static enum vhu_rule reply_base(const struct vhu_nego *n, const struct vhu_msg *request,
				const struct vhu_msg *reply)
{
	if (vring_state(reply).index != vring_state(request).index)
		return VHU_RULE_REPLY_RING;
	if (check_base(n, reply) != VHU_OK)
		return VHU_RULE_REPLY_BASE_UPPER;
	return VHU_OK;
}

/* An empty reply is how an error looks; crosvm expects one with nothing but its header instead. */
static enum vhu_rule reply_config(const struct vhu_nego *n, const struct vhu_msg *request,
				  const struct vhu_msg *reply)
{
	struct vhu_config asked;
	struct vhu_config got;

	(void)n;
	if (reply->size == 0)
		return VHU_OK;
	vhu_msg_get(request, &asked, offsetof(struct vhu_config, bytes));
	vhu_msg_get(reply, &got, offsetof(struct vhu_config, bytes));
	if (reply->size == offsetof(struct vhu_config, bytes) && got.size == 0)
		return VHU_RULE_REPLY_CONFIG_ERROR;
	if (reply->size != request->size)
		return VHU_RULE_REPLY_SIZE;
	if (got.offset != asked.offset || got.size != asked.size)
		return VHU_RULE_REPLY_CONFIG;
	return VHU_OK;
}

static enum vhu_rule reply_inflight(const struct vhu_nego *n, const struct vhu_msg *request,
				    const struct vhu_msg *reply)
{
	struct vhu_inflight i;

	(void)n;
	(void)request;
	vhu_msg_get(reply, &i, sizeof(i));
	return (i.mmap_size != 0) != (reply->fds.n_fds == 1) ? VHU_RULE_REPLY_INFLIGHT : VHU_OK;
}

static enum vhu_rule reply_state(const struct vhu_nego *n, const struct vhu_msg *request,
				 const struct vhu_msg *reply)
{
	uint64_t value = vhu_msg_u64(reply);
	bool has_fd = reply->fds.n_fds == 1;

	(void)n;
	(void)request;
	if (has_fd == ((value & VHU_DEVICE_STATE_NOFD) != 0) || (has_fd && (value & 0xff)))
		return VHU_RULE_REPLY_STATE;
	return VHU_OK;
}

static enum vhu_rule reply_status(const struct vhu_nego *n, const struct vhu_msg *request,
				  const struct vhu_msg *reply)
{
	(void)request;
	return check_status(n, reply) != VHU_OK ? VHU_RULE_REPLY_STATUS : VHU_OK;
}

/* Implementations reply with 0, 8 or 16 bytes; some front-ends wait for all 16. */
static enum vhu_rule reply_log(const struct vhu_nego *n, const struct vhu_msg *request,
			       const struct vhu_msg *reply)
{
	(void)n;
	(void)request;
	return reply->size != sizeof(struct vhu_log) ? VHU_RULE_REPLY_LOG_SIZE : VHU_OK;
}

static enum vhu_rule reply_same_size(const struct vhu_nego *n, const struct vhu_msg *request,
				     const struct vhu_msg *reply)
{
	(void)n;
	return reply->size != request->size ? VHU_RULE_REPLY_SIZE : VHU_OK;
}

enum vhu_rule vhu_check_reply_values(const struct vhu_nego *n, const struct vhu_msg *request,
				     const struct vhu_msg *reply)
{
	static const struct {
		enum vhu_fe_id id;
		check_reply_fn *check;
	} checks[] = {
		{ VHU_FE_SET_LOG_BASE, reply_log },
		{ VHU_FE_GET_VRING_BASE, reply_base },
		{ VHU_FE_GET_CONFIG, reply_config },
		{ VHU_FE_CREATE_CRYPTO_SESSION, reply_same_size },
		{ VHU_FE_GET_INFLIGHT_FD, reply_inflight },
		{ VHU_FE_GET_STATUS, reply_status },
		{ VHU_FE_SET_DEVICE_STATE_FD, reply_state },
		{ VHU_FE_GET_VRING_BASE_SKIP_DRAIN, reply_base },
	};

	for (size_t i = 0; i < ARRAY_SIZE(checks); i++) {
		if (request->dir == VHU_FE && request->id == checks[i].id)
			return checks[i].check(n, request, reply);
	}
	return VHU_OK;
}
