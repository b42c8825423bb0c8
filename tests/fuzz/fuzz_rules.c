/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A session as the rules see it. Input:
 *
 *	byte 0		bit 0: everything is negotiated, else nothing;
 *			bit 1: packed rings; bit 2: four times as many rings
 *	byte 1		number of rings, 0 for unknown
 *	then, again and again
 *		1 byte	low four bits: number of descriptors; bit 4: a back-end
 *			request; bit 5: a reply to the last request
 *		12 + n	a frame; the last may be cut short
 */

#include "fuzz.h"

#include "vhu/codec.h"
#include "vhu/rules.h"

static void open_session(struct vhu_nego *n, uint8_t how, uint8_t n_queues)
{
	vhu_nego_init(n);
	n->offered_features = BIT(VHU_F_PROTOCOL_FEATURES_BIT) | BIT(VIRTIO_F_VERSION_1_BIT);
	n->offered_protocol = BIT(VHU_PF_REPLY_ACK_BIT) | BIT(VHU_PF_CONFIG_BIT);
	n->n_queues = how & 4 ? 4u * n_queues : n_queues;
	if (how & 1) {
		n->offered_features = UINT64_MAX;
		n->features = UINT64_MAX & ~BIT(VIRTIO_F_RING_PACKED_BIT);
		n->offered_protocol = UINT64_MAX;
		n->protocol = UINT64_MAX;
	}
	if (how & 2)
		n->features |= BIT(VIRTIO_F_RING_PACKED_BIT);
}

/* What a handler relies on once a request was accepted. */
static void check_accepted(const struct vhu_nego *n, const struct vhu_msg *m)
{
	const struct vhu_desc *desc = vhu_desc_find(m->dir, m->id);
	struct vhu_mem_table table;
	struct vhu_config config;
	uint32_t ring;

	must(desc != NULL);
	must(m->size >= desc->request->min_len && m->size <= desc->request->max_len);
	if (vhu_msg_ring(m, &ring))
		must(ring < (n->n_queues ? n->n_queues : VHU_MAX_RINGS));
	else
		must(desc->index == VHU_INDEX_NONE);
	if (desc->index == VHU_INDEX_LOW && n->n_queues > VHU_MAX_FD_RINGS)
		must(vhu_msg_u64(m) <= (VHU_VRING_IDX_MASK | VHU_VRING_NOFD));
	if (m->dir == VHU_FE && m->id == VHU_FE_SET_MEM_TABLE) {
		vhu_msg_get(m, &table, sizeof(table));
		must(table.n_regions >= 1 && table.n_regions <= VHU_MAX_REGIONS);
		must(m->fds.n_fds == table.n_regions);
		for (uint32_t i = 0; i < table.n_regions; i++)
			must(table.regions[i].size > 0);
	}
	if (m->dir == VHU_FE && (m->id == VHU_FE_GET_CONFIG || m->id == VHU_FE_SET_CONFIG)) {
		vhu_msg_get(m, &config, sizeof(config));
		must(config.size >= 1 && config.size <= VHU_MAX_CONFIG);
		must(config.offset <= VHU_MAX_CONFIG - config.size);
		must(offsetof(struct vhu_config, bytes) + config.size <= m->size);
	}
}

static void run_request(struct vhu_nego *n, const struct vhu_msg *m)
{
	enum vhu_rule rule = vhu_check_header(n, m);

	must(rule == VHU_OK || vhu_rule_severity(rule) == VHU_CLOSE);
	if (rule != VHU_OK)
		return;
	rule = vhu_check_request(n, m);
	must(rule < VHU_N_RULES);
	if (vhu_rule_severity(rule) == VHU_NOTE) {
		check_accepted(n, m);
		vhu_observe(n, m);
	}
	must(!vhu_reply_due(n, m) || vhu_desc_find(m->dir, m->id) ||
	     (m->flags & VHU_FLAG_NEED_REPLY));
}

static void run_reply(struct vhu_nego *n, const struct vhu_msg *request, const struct vhu_msg *m)
{
	enum vhu_rule rule = vhu_check_reply(n, request, m);

	must(rule < VHU_N_RULES);
	if (vhu_rule_severity(rule) != VHU_NOTE)
		return;
	must(m->flags == VHU_REPLY_FLAGS && m->id == request->id);
	must(vhu_reply_due(n, request));
	vhu_observe(n, m);
}

/* Reads one record; how many bytes it has, 0 at the end. */
static size_t next_record(struct vhu_msg *m, const uint8_t *data, size_t size)
{
	size_t len;

	if (size < 1 + VHU_HDR_LEN)
		return 0;
	vhu_msg_init(m, data[0] & 0x10 ? VHU_BE : VHU_FE, 0);
	(void)vhu_header_parse(data + 1, m);
	m->fds.n_fds = (unsigned int)min_size(data[0] & 0xf, FDSET_MAX);
	len = min_size(vhu_msg_payload_len(m), size - 1 - VHU_HDR_LEN);
	memcpy(m->payload, data + 1 + VHU_HDR_LEN, len);
	return 1 + VHU_HDR_LEN + len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct vhu_msg request;
	static struct vhu_msg m;
	static struct vhu_nego n;
	size_t at = 2;
	size_t len;

	if (size < 2)
		return 0;
	open_session(&n, data[0], data[1]);
	vhu_msg_init(&request, VHU_FE, VHU_FE_GET_FEATURES);
	while ((len = next_record(&m, data + at, size - at)) > 0) {
		if (data[at] & 0x20) {
			run_reply(&n, &request, &m);
		} else {
			run_request(&n, &m);
			request = m;
		}
		at += len;
	}
	return 0;
}
