/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "vhu/codec.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

/* What the header looks like; its three words leave no gap. */
struct wire_header {
	uint32_t id;
	uint32_t flags;
	uint32_t size;
};
_Static_assert(sizeof(struct wire_header) == VHU_HDR_LEN, "header");

int vhu_header_parse(const uint8_t hdr[VHU_HDR_LEN], struct vhu_msg *m)
{
	struct wire_header h;

	memcpy(&h, hdr, sizeof(h));
	m->id = h.id;
	m->flags = h.flags;
	m->size = h.size;
	return h.size > VHU_MAX_PAYLOAD ? -EMSGSIZE : 0;
}

void vhu_header_pack(const struct vhu_msg *m, uint8_t hdr[VHU_HDR_LEN])
{
	const struct wire_header h = { m->id, m->flags, m->size };

	memcpy(hdr, &h, sizeof(h));
}

void vhu_msg_init(struct vhu_msg *m, enum vhu_dir dir, uint32_t id)
{
	memset(m, 0, sizeof(*m));
	m->dir = dir;
	m->id = id;
	m->flags = VHU_VERSION;
	fdset_init(&m->fds);
}

void vhu_msg_init_reply(struct vhu_msg *m, const struct vhu_msg *request)
{
	vhu_msg_init(m, request->dir, request->id);
	m->flags = VHU_REPLY_FLAGS;
}

void vhu_msg_put(struct vhu_msg *m, const void *payload, size_t len)
{
	assert(len <= VHU_MAX_PAYLOAD);
	if (len > 0)
		memcpy(m->payload, payload, len);
	m->size = (uint32_t)len;
}

void vhu_msg_put_u64(struct vhu_msg *m, uint64_t value)
{
	vhu_msg_put(m, &value, sizeof(value));
}

size_t vhu_msg_payload_len(const struct vhu_msg *m)
{
	return min_size(m->size, VHU_MAX_PAYLOAD);
}

void vhu_msg_get(const struct vhu_msg *m, void *ret_struct, size_t len)
{
	size_t have = min_size(len, vhu_msg_payload_len(m));

	memset(ret_struct, 0, len);
	memcpy(ret_struct, m->payload, have);
}

uint64_t vhu_msg_u64(const struct vhu_msg *m)
{
	uint64_t value;

	vhu_msg_get(m, &value, sizeof(value));
	return value;
}

bool vhu_msg_ring(const struct vhu_msg *m, uint32_t *ret_ring)
{
	const struct vhu_desc *desc = vhu_desc_find(m->dir, m->id);
	struct vhu_vring_state first;

	if (!desc || desc->index == VHU_INDEX_NONE || vhu_msg_payload_len(m) < sizeof(first))
		return false;
	if (desc->index == VHU_INDEX_LOW) {
		*ret_ring = (uint32_t)(vhu_msg_u64(m) & VHU_VRING_IDX_MASK);
		return true;
	}
	vhu_msg_get(m, &first, sizeof(first));
	*ret_ring = first.index;
	return true;
}

bool vhu_shape_expected_len(const struct vhu_shape *shape, const struct vhu_msg *m,
			    uint32_t *ret_len)
{
	uint32_t count;

	if (!shape->counted) {
		*ret_len = shape->max_len;
		return true;
	}
	if (vhu_msg_payload_len(m) < shape->count_offset + sizeof(count))
		return false;
	memcpy(&count, m->payload + shape->count_offset, sizeof(count));
	if (count > shape->max_count)
		return false;
	/* Bounded by max_len, as max_count comes from the size of the struct. */
	*ret_len = shape->prefix_len + count * shape->unit_len;
	return true;
}

static const struct vhu_mem_table sample_table = {
	.n_regions = 1,
	.regions = { { 0x100000, 0x200000, 0x7f0000100000, 0x1000 } },
};
static const struct vhu_single_region sample_region = {
	.region = { 0x400000, 0x200000, 0x7f0000400000, 0x2000 },
};
static const struct vhu_vring_state sample_state = { .index = 0, .num = 1 };
static const struct vhu_vring_addr sample_addr = {
	.desc = 0x7f0000100000,
	.used = 0x7f0000103000,
	.avail = 0x7f0000102000,
};
static const uint32_t sample_config[4] = { 0, sizeof(uint32_t), 0, 0 };
static const struct vhu_log sample_log = { .mmap_size = 0x1000 };
static const struct vhu_iotlb sample_iotlb = {
	.iova = 0x1000,
	.size = 0x1000,
	.perm = 3,
	.type = 2,
};
static const struct vhu_vring_area sample_area = { .size = 0x1000 };
static const struct vhu_inflight sample_inflight = {
	.mmap_size = 0x1000,
	.num_queues = 1,
	.queue_size = 16,
};
static const struct vhu_mmap sample_mmap = { .len = 0x1000 };

/* Shapes that are not listed are well-formed with all their bytes zero. */
static const struct sample {
	const char *shape;
	const void *bytes;
	size_t len;
} samples[] = {
	{ "mem_table", &sample_table, offsetof(struct vhu_mem_table, regions[1]) },
	{ "single_region", &sample_region, sizeof(sample_region) },
	{ "vring_state", &sample_state, sizeof(sample_state) },
	{ "vring_addr", &sample_addr, sizeof(sample_addr) },
	{ "config", &sample_config, sizeof(sample_config) },
	{ "log", &sample_log, sizeof(sample_log) },
	{ "iotlb", &sample_iotlb, sizeof(sample_iotlb) },
	{ "vring_area", &sample_area, sizeof(sample_area) },
	{ "inflight", &sample_inflight, sizeof(sample_inflight) },
	{ "mmap", &sample_mmap, sizeof(sample_mmap) },
};

unsigned int vhu_msg_init_sample(struct vhu_msg *m, const struct vhu_desc *desc)
{
	vhu_msg_init(m, desc->dir, desc->id);
	for (size_t i = 0; i < ARRAY_SIZE(samples); i++) {
		if (strcmp(samples[i].shape, desc->request->name) == 0)
			vhu_msg_put(m, samples[i].bytes, samples[i].len);
	}
	if (m->size == 0)
		m->size = desc->request->min_len;
	switch (desc->fds.kind) {
	case VHU_FD_ONE:
	case VHU_FD_REGIONS:
	case VHU_FD_RING:
		return 1;
	case VHU_FD_NONE:
	case VHU_FD_OPTIONAL:
	case VHU_FD_IF:
		break;
	}
	return 0;
}

size_t vhu_msg_pack(const struct vhu_msg *m, uint8_t buf[VHU_HDR_LEN + VHU_MAX_PAYLOAD])
{
	size_t len = vhu_msg_payload_len(m);

	vhu_header_pack(m, buf);
	memcpy(buf + VHU_HDR_LEN, m->payload, len);
	return VHU_HDR_LEN + len;
}

void vhu_assembler_init(struct vhu_assembler *a, enum vhu_dir dir)
{
	memset(a, 0, sizeof(*a));
	vhu_msg_init(&a->msg, dir, 0);
}

static bool broken(const struct vhu_assembler *a)
{
	return a->n_hdr == VHU_HDR_LEN && a->msg.size > VHU_MAX_PAYLOAD;
}

/* Copies what is still wanted of `want` bytes, from *bytes on; whether all are there now. */
static bool fill(uint8_t *dst, size_t *have, size_t want, const uint8_t **bytes, size_t *left)
{
	size_t n = min_size(want - *have, *left);

	if (n > 0)
		memcpy(dst + *have, *bytes, n);
	*have += n;
	*bytes += n;
	*left -= n;
	return *have == want;
}

enum vhu_assembly vhu_assembler_feed(struct vhu_assembler *a, const uint8_t *bytes, size_t len,
				     size_t *ret_taken)
{
	size_t left = len;
	enum vhu_assembly result = VHU_ASSEMBLY_MORE;

	*ret_taken = 0;
	if (broken(a))
		return VHU_ASSEMBLY_BROKEN;
	if (a->n_hdr < VHU_HDR_LEN) {
		if (!fill(a->hdr, &a->n_hdr, VHU_HDR_LEN, &bytes, &left))
			goto out;
		a->n_payload = 0;
		if (vhu_header_parse(a->hdr, &a->msg) < 0) {
			result = VHU_ASSEMBLY_BROKEN;
			goto out;
		}
	}
	if (fill(a->msg.payload, &a->n_payload, a->msg.size, &bytes, &left)) {
		a->n_hdr = 0;
		result = VHU_ASSEMBLY_MESSAGE;
	}
out:
	*ret_taken = len - left;
	return result;
}

bool vhu_assembler_midway(const struct vhu_assembler *a)
{
	return a->n_hdr > 0 && !broken(a);
}
