/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "vhu/proto.h"

#include <stddef.h>
#include <string.h>

/*
 * Structs and lists agree with the wire: offsets, sizes, and nothing between
 * the fields (each byte belongs to a field or to named padding).
 */
#define AT(shape, name, at)                                                                        \
	_Static_assert(offsetof(struct vhu_##shape, name) == (at), #shape "." #name);
#define FIELD(shape, type, name, at, style, text) AT(shape, name, at)
#define PAD(shape, type, name, at, text) AT(shape, name, at)
#define BYTES(shape, name, at, n, style, text) AT(shape, name, at)
#define WORDS(shape, name, at, n, text) AT(shape, name, at)
#define NEST(shape, inner, name, at, text) AT(shape, name, at)
#define NESTS(shape, inner, name, at, n, text) AT(shape, name, at)
#define SHAPE_END(shape, size) _Static_assert(sizeof(struct vhu_##shape) == (size), #shape);
#include "vhu/shapes.def"
#undef AT

enum {
	S_none,
#define SHAPE(shape, min, max) S_##shape,
#include "vhu/shapes.def"
	N_SHAPES,
};

static const struct vhu_shape shapes[N_SHAPES];

/* The formatter takes the braces of these lists for blocks. */
/* clang-format off */
#define SHAPE(shape, min, max) static const struct vhu_field fields_##shape[] = {
#define FIELD(shape, type, name, at, style, text)                                                  \
	{ #name, at, sizeof(type), 1, VHU_STYLE_##style, NULL, text },
#define PAD(shape, type, name, at, text) FIELD(shape, type, name, at, PADDING, text)
#define BYTES(shape, name, at, n, style, text)                                                     \
	{ #name, at, 1, n, VHU_STYLE_##style, NULL, text },
#define WORDS(shape, name, at, n, text) { #name, at, 8, n, VHU_STYLE_WORDS, NULL, text },
#define NEST(shape, inner, name, at, text) NESTS(shape, inner, name, at, 1, text)
#define NESTS(shape, inner, name, at, n, text)                                                     \
	{ #name, at, sizeof(struct vhu_##inner), n, VHU_STYLE_NEST, &shapes[S_##inner], text },
#define SHAPE_END(shape, size) };
#include "vhu/shapes.def"

#define MEMBER_SIZE(shape, name) sizeof(((struct vhu_##shape *)NULL)->name)

static const struct vhu_shape shapes[N_SHAPES] = {
	[S_none] = { .name = "none" },
#define SHAPE(shape, min, max)                                                                     \
	[S_##shape].name = #shape, [S_##shape].min_len = (min), [S_##shape].max_len = (max),       \
	[S_##shape].fields = fields_##shape, [S_##shape].n_fields = ARRAY_SIZE(fields_##shape),
#define COUNTED(shape, count, member, unit)                                                        \
	[S_##shape].counted = true,                                                                \
	[S_##shape].count_offset = offsetof(struct vhu_##shape, count),                            \
	[S_##shape].prefix_len = offsetof(struct vhu_##shape, member),                             \
	[S_##shape].unit_len = (unit), [S_##shape].max_count = MEMBER_SIZE(shape, member) / (unit),
#include "vhu/shapes.def"
};

enum {
#define FE(NAME, ...) ROW_FE_##NAME,
#include "vhu/messages.def"
#define BE(NAME, ...) ROW_BE_##NAME,
#include "vhu/messages.def"
	N_ROWS,
};

/* The values of the columns. */
#define FD_NONE { .kind = VHU_FD_NONE }
#define FD_ONE { .kind = VHU_FD_ONE }
#define FD_OPTIONAL { .kind = VHU_FD_OPTIONAL }
#define FD_REGIONS { .kind = VHU_FD_REGIONS }
#define FD_RING { .kind = VHU_FD_RING }
#define FD_IF(FEATURE) { .kind = VHU_FD_IF, .bit = VHU_PF_##FEATURE##_BIT }

#define R_ACK { .kind = VHU_REPLY_ACK }
#define R_ALWAYS { .kind = VHU_REPLY_ALWAYS }
#define R_IF(FEATURE) { .kind = VHU_REPLY_IF, .bit = VHU_PF_##FEATURE##_BIT }
#define R_ASKED { .kind = VHU_REPLY_ASKED }

#define G_NONE { .kind = VHU_GATE_NONE }
#define G_OFFERED { .kind = VHU_GATE_OFFERED, .bit = VHU_F_PROTOCOL_FEATURES_BIT }
#define G_ACKED { .kind = VHU_GATE_ACKED, .bit = VHU_F_PROTOCOL_FEATURES_BIT }
#define G_PF(FEATURE) { .kind = VHU_GATE_PROTOCOL, .bit = VHU_PF_##FEATURE##_BIT }
#define G_LAX(FEATURE) { .kind = VHU_GATE_LAX, .bit = VHU_PF_##FEATURE##_BIT }
#define G_VF(FEATURE) { .kind = VHU_GATE_VIRTIO, .bit = VIRTIO_F_##FEATURE##_BIT }

#define IX_NONE VHU_INDEX_NONE
#define IX_LOW VHU_INDEX_LOW
#define IX_FIRST VHU_INDEX_FIRST

#define Q_NONE VHU_QUIESCE_NONE
#define Q_RING VHU_QUIESCE_RING
#define Q_ALL VHU_QUIESCE_ALL

/* clang-format on */

/*
 * In the order of the ROW_ numbers. FE and BE are another name of ROW, not a
 * macro that calls it: an argument with braces would fall apart on the way.
 */
#define ROW(NAME, number, in, out, infds, outfds, when, allowed, at, silent, check, words, where)  \
	{                                                                                          \
		.dir = ROW_DIR,                                                                    \
		.id = (number),                                                                    \
		.name = ROW_PREFIX #NAME,                                                          \
		.request = &shapes[S_##in],                                                        \
		.reply = &shapes[S_##out],                                                         \
		.fds = infds,                                                                      \
		.reply_fds = outfds,                                                               \
		.replied = when,                                                                   \
		.gate = allowed,                                                                   \
		.index = at,                                                                       \
		.quiesce = silent,                                                                 \
		.text = words,                                                                     \
		.ref = where,                                                                      \
	},

static const struct vhu_desc rows[N_ROWS] = {
#define ROW_DIR VHU_FE
#define ROW_PREFIX ""
#define FE ROW
#include "vhu/messages.def"
#undef ROW_DIR
#undef ROW_PREFIX
#define ROW_DIR VHU_BE
#define ROW_PREFIX "BACKEND_"
#define BE ROW
#include "vhu/messages.def"
};

/* In the two switches below a duplicate id is a duplicate case: it does not compile. */
static const struct vhu_desc *find_fe(uint32_t id)
{
	switch (id) {
#define FE(NAME, number, ...)                                                                      \
	case (number):                                                                             \
		return &rows[ROW_FE_##NAME];
#include "vhu/messages.def"
	default:
		return NULL;
	}
}

static const struct vhu_desc *find_be(uint32_t id)
{
	switch (id) {
#define BE(NAME, number, ...)                                                                      \
	case (number):                                                                             \
		return &rows[ROW_BE_##NAME];
#include "vhu/messages.def"
	default:
		return NULL;
	}
}

const struct vhu_desc *vhu_desc_find(enum vhu_dir dir, uint32_t id)
{
	return dir == VHU_FE ? find_fe(id) : find_be(id);
}

size_t vhu_desc_count(void)
{
	return N_ROWS;
}

const struct vhu_desc *vhu_desc_at(size_t i)
{
	return i < N_ROWS ? &rows[i] : NULL;
}

const struct vhu_shape *vhu_shape_ack(void)
{
	return &shapes[S_number];
}

const struct vhu_shape *vhu_shape_find(const char *name)
{
	for (size_t i = 0; i < N_SHAPES; i++) {
		if (strcmp(shapes[i].name, name) == 0)
			return &shapes[i];
	}
	return NULL;
}

const char *vhu_msg_name(enum vhu_dir dir, uint32_t id)
{
	const struct vhu_desc *desc = vhu_desc_find(dir, id);

	return desc ? desc->name : "unknown";
}

struct protocol_feature {
	const char *name;
	uint64_t needs;
	const char *text;
};

static const struct protocol_feature *find_protocol_feature(unsigned int bit)
{
#define NEED(OTHER) BIT(VHU_PF_##OTHER##_BIT)
	static const struct protocol_feature features[] = {
#define PF(NAME, bit, needs, rule, text) [bit] = { #NAME, needs, text },
#include "vhu/features.def"
	};
#undef NEED

	if (bit >= ARRAY_SIZE(features) || !features[bit].name)
		return NULL;
	return &features[bit];
}

const char *vhu_protocol_feature_name(unsigned int bit)
{
	const struct protocol_feature *f = find_protocol_feature(bit);

	return f ? f->name : NULL;
}

const char *vhu_protocol_feature_text(unsigned int bit)
{
	const struct protocol_feature *f = find_protocol_feature(bit);

	return f ? f->text : NULL;
}

uint64_t vhu_protocol_feature_needs(unsigned int bit)
{
	const struct protocol_feature *f = find_protocol_feature(bit);

	return f ? f->needs : 0;
}

const char *vhu_feature_name(unsigned int bit)
{
	static const char *const names[64] = {
#define VIRTIO_FEATURE(NAME, bit) [bit] = #NAME,
#include "virtio/features.def"
#define VHOST_FEATURE(PREFIX, NAME, bit) [bit] = #NAME,
#include "vhu/features.def"
	};

	return bit < ARRAY_SIZE(names) ? names[bit] : NULL;
}
